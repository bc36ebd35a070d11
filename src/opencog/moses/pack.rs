//! Programs in bytes: in preorder, so that every subtree is a range of bytes.
//!
//! | first byte | vertex | what follows |
//! |---|---|---|
//! | `00cccccc` | constant of level c | nothing; c = 63 in a codebook of at most 63 levels: the place of a constant that is kept as it is |
//! | `01naaaaa` | argument a, negated where n is 1 | nothing; a = 31: how much larger than 31 it is |
//! | `1kkooooo` | operator o with k arguments | nothing; k = 3: how many more than 3 |
//!
//! Operators 28 to 30 are a word, a neuron and an input of a network, whose number follows. Numbers
//! are LEB128: seven bits a byte, the lowest first, the high bit set where more follow.

use super::codebook::{Code, Codebook, LEVELS};
use super::operator::Operator;
use super::tree::{Token, Tree, TreeError};

/// The code that says that the constant itself is kept, in a codebook that leaves it free.
const ESCAPE: u8 = LEVELS as u8 - 1;
/// An argument that says that more follows.
const FAR: u32 = 31;
/// An arity that says that more follows.
const MANY: u32 = 3;
const WORD: u8 = 28;
const NEURON: u8 = 29;
const INPUT: u8 = 30;

/// Bytes that are no program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    /// A byte that means nothing, or a number out of its range.
    #[error("byte {at}: {fault}")]
    Byte {
        /// The byte, from 0.
        at: usize,
        /// What was expected, and what was found.
        fault: String,
    },
    /// Vertices that make no tree.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// What the numbers of packed programs may refer to.
#[derive(Debug, Clone, Copy)]
pub struct Limits<'a> {
    /// The codebook of their constants.
    pub book: &'a Codebook,
    /// How many arguments have names.
    pub arguments: usize,
    /// How many words there are.
    pub words: usize,
}

/// The bytes of a coded program.
pub fn pack(tree: &Tree<Code>, book: &Codebook) -> Vec<u8> {
    let mut out = Vec::with_capacity(tree.len() + 2);
    for token in tree.tokens() {
        match *token {
            Token::Constant(Code::Level(level)) => out.push(level),
            Token::Constant(Code::Exact(place)) => {
                // A codebook of 64 levels has no code to spare; level 63 then stands for both, and
                // a number tells them apart: 0 for the level, else the place and 1.
                out.push(ESCAPE);
                put_number(place + u32::from(is_full(book)), &mut out);
                continue;
            }
            Token::Argument { argument, negated } => {
                out.push(0x40 | u8::from(negated) << 5 | argument.min(FAR) as u8);
                put_rest(argument, FAR, &mut out);
            }
            Token::Operator(operator, arity) => put_operator(operator.id(), arity, &mut out),
            Token::Word(word) => {
                out.push(0x80 | WORD);
                put_number(word, &mut out);
            }
            Token::Neuron { id, arity } => {
                put_operator(NEURON, arity, &mut out);
                put_number(id, &mut out);
            }
            Token::Input(input) => {
                out.push(0x80 | INPUT);
                put_number(input, &mut out);
            }
        }
        if is_full(book) && *token == Token::Constant(Code::Level(ESCAPE)) {
            put_number(0, &mut out);
        }
    }
    out
}

fn is_full(book: &Codebook) -> bool {
    book.levels().len() == LEVELS
}

fn put_operator(id: u8, arity: u32, out: &mut Vec<u8>) {
    out.push(0x80 | (arity.min(MANY) as u8) << 5 | id);
    put_rest(arity, MANY, out);
}

/// How much more a number is than the largest that stood in a byte.
fn put_rest(number: u32, largest: u32, out: &mut Vec<u8>) {
    if let Some(rest) = number.checked_sub(largest) {
        put_number(rest, out);
    }
}

fn put_number(mut number: u32, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// The coded program of these bytes, all of them. Its constants, arguments and words are checked to
/// be among those of `limits`, so that nothing that uses the program can fail for want of one.
pub fn unpack(bytes: &[u8], limits: &Limits) -> Result<Tree<Code>, PackError> {
    let mut cursor = Cursor { bytes, at: 0 };
    // A vertex takes a byte at least, which bounds what is allocated.
    let mut tokens = Vec::with_capacity(bytes.len());
    while cursor.at < bytes.len() {
        tokens.push(cursor.token(limits)?);
    }
    Ok(Tree::new(tokens)?)
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn token(&mut self, limits: &Limits) -> Result<Token<Code>, PackError> {
        let at = self.at;
        let byte = self.byte()?;
        match byte >> 6 {
            0 => self.constant(at, byte, limits.book).map(Token::Constant),
            1 => {
                let argument = self.rest(u32::from(byte & 0x1f), FAR)?;
                below(at, "an argument", argument, limits.arguments)?;
                Ok(Token::Argument { argument, negated: byte & 0x20 != 0 })
            }
            _ => self.operator(at, byte, limits),
        }
    }

    fn constant(&mut self, at: usize, code: u8, book: &Codebook) -> Result<Code, PackError> {
        if code == ESCAPE {
            let number = self.number()?;
            let Some(place) = number.checked_sub(u32::from(is_full(book))) else {
                return Ok(Code::Level(code));
            };
            below(at, "a constant", place, book.exact().len())?;
            return Ok(Code::Exact(place));
        }
        below(at, "a level", u32::from(code), book.levels().len())?;
        Ok(Code::Level(code))
    }

    fn operator(&mut self, at: usize, byte: u8, limits: &Limits) -> Result<Token<Code>, PackError> {
        let arity = self.rest(u32::from(byte >> 5 & 3), MANY)?;
        let leaf = |token, what| match arity {
            0 => Ok(token),
            _ => Err(fault(at, format!("expected {what} without arguments, found {arity}"))),
        };
        match byte & 0x1f {
            WORD => {
                let word = self.number()?;
                below(at, "a word", word, limits.words)?;
                leaf(Token::Word(word), "a word")
            }
            NEURON => Ok(Token::Neuron { id: self.number()?, arity }),
            INPUT => leaf(Token::Input(self.number()?), "an input"),
            id => match Operator::from_id(id) {
                Some(operator) => Ok(Token::Operator(operator, arity)),
                None => Err(fault(at, format!("expected an operator up to 30, found {id}"))),
            },
        }
    }

    fn byte(&mut self) -> Result<u8, PackError> {
        let byte = self.bytes.get(self.at).copied();
        let byte = byte.ok_or_else(|| fault(self.at, "expected a byte, found the end".into()))?;
        self.at += 1;
        Ok(byte)
    }

    /// `number`, or what follows added to it where it is the largest that a byte holds.
    fn rest(&mut self, number: u32, largest: u32) -> Result<u32, PackError> {
        if number < largest {
            return Ok(number);
        }
        let at = self.at;
        let sum = self.number()?.checked_add(largest);
        sum.ok_or_else(|| fault(at, "expected a number of 32 bits, found a larger one".into()))
    }

    /// A number in as few bytes as it takes, so that a program has one form only.
    fn number(&mut self) -> Result<u32, PackError> {
        let at = self.at;
        let mut number = 0u64;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let is_shortest = byte != 0 || shift == 0;
                return match u32::try_from(number) {
                    Ok(number) if is_shortest => Ok(number),
                    _ => Err(fault(at, format!("expected 32 bits, shortest, found {number}"))),
                };
            }
        }
        Err(fault(at, "expected a number of at most 5 bytes, found more".into()))
    }
}

fn fault(at: usize, fault: String) -> PackError {
    PackError::Byte { at, fault }
}

fn below(at: usize, what: &str, number: u32, count: usize) -> Result<(), PackError> {
    if (number as usize) < count {
        return Ok(());
    }
    Err(fault(at, format!("expected {what} below {count}, found {number}")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::codebook::ConstantCodec;
    use super::super::names::Names;
    use super::super::read::read;
    use super::*;

    fn packed(text: &str, constants: &[f64]) -> (Vec<u8>, Tree<Code>, Codebook, Names) {
        let mut names = Names::new();
        let mut book = book(constants);
        let tree = read(text, &mut names).unwrap().map(|value| book.lossless(value));
        (pack(&tree, &book), tree, book, names)
    }

    /// A codebook of just these levels, of 0 where there are none.
    fn book(levels: &[f64]) -> Codebook {
        let levels = if levels.is_empty() { &[0.0] } else { levels };
        Codebook::from_parts(ConstantCodec::Palette, levels.to_vec(), Vec::new()).unwrap()
    }

    fn limits<'a>(book: &'a Codebook, names: &Names) -> Limits<'a> {
        Limits { book, arguments: names.arguments().len(), words: names.words().len() }
    }

    #[test]
    fn a_vertex_takes_a_byte() {
        let (bytes, ..) = packed("and(0<(+(-1.3 $x)) !$g)", &[-1.3]);
        assert_eq!(bytes, [0xc0, 0xab, 0xc5, 0x00, 0x40, 0x61]);
    }

    #[test]
    fn programs_come_back() {
        let many: Vec<f64> = (0..64).map(f64::from).collect();
        let long = format!("or({})", (1..=200).map(|i| format!("$x{i} ")).collect::<String>());
        for text in [
            "and(0<(+(-1.3 $x)) !$g)",
            "+(62 63 64 1e300 -0.5)",
            "cond(0<($1) red enum:\"light blue\")",
            "ann($N1($I2 $I700 0.5 63) $N2($N1 63))",
            &long,
        ] {
            for constants in [&many[..], &many[..63], &[]] {
                let (bytes, tree, book, names) = packed(text, constants);
                assert_eq!(unpack(&bytes, &limits(&book, &names)), Ok(tree), "{text}");
            }
        }
    }

    #[test]
    fn foreign_bytes_are_refused() {
        let (_, _, book, names) = packed("and($a 1 2)", &[1.0]);
        let fault = |bytes: &[u8]| unpack(bytes, &limits(&book, &names)).unwrap_err().to_string();
        assert_eq!(fault(&[]), "the program ends where 1 more arguments are expected");
        assert_eq!(fault(&[0x01]), "byte 0: expected a level below 1, found 1");
        assert_eq!(fault(&[0x3f, 0x07]), "byte 0: expected a constant below 1, found 7");
        assert_eq!(fault(&[0x41]), "byte 0: expected an argument below 1, found 1");
        assert_eq!(fault(&[0x9f]), "byte 0: expected an operator up to 30, found 31");
        assert_eq!(fault(&[0xbc, 0]), "byte 0: expected a word below 0, found 0");
        assert_eq!(fault(&[0x5f, 0x80, 0]), "byte 1: expected 32 bits, shortest, found 0");
        assert_eq!(fault(&[0xe0]), "byte 1: expected a byte, found the end");
        assert_eq!(
            fault(&[0xe0, 255, 255, 255, 255, 255]),
            "byte 1: expected a number of at most 5 bytes, found more"
        );
        assert_eq!(
            fault(&[0xe0, 255, 255, 255, 255, 15]),
            "byte 1: expected a number of 32 bits, found a larger one"
        );
        assert_eq!(fault(&[0x40, 0x40]), "vertex 1 follows the end of the program");
        assert!(fault(&[0xa2; 10_000]).contains("deeper than 256"));
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_what_is_read_is_written_alike(
            bytes in proptest::collection::vec(any::<u8>(), 0..60), levels in 1..=64usize,
        ) {
            let constants: Vec<f64> = (0..levels).map(|i| i as f64).collect();
            let mut book = book(&constants);
            for i in 100..140 {
                book.lossless(f64::from(i));
            }
            let limits = Limits { book: &book, arguments: 40, words: 3 };
            if let Ok(tree) = unpack(&bytes, &limits) {
                prop_assert_eq!(pack(&tree, &book), bytes);
            }
        }
    }
}
