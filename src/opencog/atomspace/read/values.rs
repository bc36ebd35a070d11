//! Values, and the lists of keys and values that atoms carry.

use std::io::Read;

use super::super::atom_store::AtomId;
use super::super::error::Error;
use super::super::number;
use super::super::types::Kind;
use super::super::value::{ATTENTION_KEY, AttentionValue, TRUTH_KEY, TruthKind, TruthValue, Value};
use super::heads::{Derived, Head, Typed, ValueHead};
use super::lexer::Token;
use super::reader::{Given, Reader, Stop};
use super::skipped::quoted;

/// The key of a value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Key {
    Truth,
    Attention,
    Atom(AtomId),
}

impl<R: Read> Reader<'_, R> {
    /// A truth value after its word.
    pub fn truth(&mut self, kind: TruthKind) -> Result<TruthValue, Stop> {
        let mut numbers = [0.0; 4];
        if kind != TruthKind::Indefinite {
            self.numbers(&mut numbers[..kind.arity()], kind.name())?;
            let [a, b, c, _] = numbers;
            return Ok(TruthValue::from_numbers(kind, [a, b, c]));
        }
        for (place, number) in numbers[..3].iter_mut().enumerate() {
            *number = self.number_of(place, 3, kind.name())?;
        }
        let token = self.next()?;
        self.push_back(token);
        let last = usize::from(token == Token::Word);
        self.numbers(&mut numbers[3..3 + last], kind.name())?;
        // FileStorage writes the mean first, then the upper end.
        let [lower, upper, confidence, _] = match (last, numbers) {
            (0, numbers) => numbers,
            (_, [mean, upper, lower, confidence]) => [lower, upper, confidence, mean],
        };
        Ok(TruthValue::Indefinite { lower, upper, confidence })
    }

    /// An attention value after its word.
    pub fn attention(&mut self) -> Result<AttentionValue, Stop> {
        let mut numbers = [0.0; 3];
        self.numbers(&mut numbers, "AttentionValue")?;
        let [sti, lti, vlti] = numbers;
        Ok(AttentionValue { sti, lti, vlti })
    }

    /// As many numbers as there is room for, and `)`.
    fn numbers(&mut self, out: &mut [f64], of: &str) -> Result<(), Stop> {
        let wanted = out.len();
        for (place, number) in out.iter_mut().enumerate() {
            *number = self.number_of(place, wanted, of)?;
        }
        match self.next()? {
            Token::Close => Ok(()),
            token => Err(self.unexpected(token, &format!("`)` after {wanted} numbers of a {of}"))),
        }
    }

    /// One number of those that there must be.
    fn number_of(&mut self, place: usize, wanted: usize, of: &str) -> Result<f64, Stop> {
        match self.next()? {
            Token::Word => self.number(),
            Token::Open => Err(Stop::Skip(format!("({of} (..) ..)"))),
            token => {
                let expected = format!("number {} of the {wanted} of a {of}", place + 1);
                Err(self.unexpected(token, &expected))
            }
        }
    }

    /// The last word is a number.
    fn number(&self) -> Result<f64, Stop> {
        let word = self.lexer.bytes();
        number::parse(word)
            .ok_or_else(|| Stop::Skip(format!("{} where a number should be", quoted(word))))
    }

    /// Any value; none means that there is to be none.
    pub fn value(&mut self) -> Result<Option<Value>, Stop> {
        match self.next()? {
            Token::Open => self.value_expression().map(Some),
            Token::Quote => {
                if self.next()? == Token::Open && self.next()? == Token::Close {
                    return Ok(None);
                }
                Err(Stop::Skip("a quoted value".into()))
            }
            Token::Word if self.lexer.bytes() == b"#f" => Ok(None),
            Token::Word => match self.heads.find(self.lexer.bytes()) {
                Head::Named(atom) => Ok(Some(Value::Atom(atom))),
                Head::Defined(defined) => Ok(Some(self.heads.defined(defined).clone())),
                _ => {
                    let word = quoted(self.lexer.bytes());
                    Err(Stop::Skip(format!("{word} where a value should be")))
                }
            },
            Token::Text => Err(Stop::Skip("a text where a value should be".into())),
            token => Err(self.unexpected(token, "a value")),
        }
    }

    fn value_expression(&mut self) -> Result<Value, Stop> {
        match self.next()? {
            Token::Word => (),
            Token::Open => return Err(Stop::Skip("((..) ..) as a value".into())),
            token => return Err(self.unexpected(token, "a kind of values")),
        }
        let head = self.heads.find(self.lexer.bytes());
        self.value_of(head)
    }

    /// A value after its word, which means this.
    pub fn value_of(&mut self, head: Head) -> Result<Value, Stop> {
        match head {
            Head::Truth(kind) => self.truth(kind).map(Value::Truth),
            Head::Attention => self.attention().map(Value::Attention),
            Head::Value(ValueHead::Links) => self.deeper(Self::links),
            Head::Value(head) => self.flat_value(head),
            Head::NewValue => match self.symbol("a quoted kind of values")? {
                head if head.is_value() && head != Head::NewValue => self.value_of(head),
                _ => Err(Stop::Skip("(cog-new-value ..) of no kind of values".into())),
            },
            Head::Derived(kind) => self.deeper(|reader| reader.derived(kind)),
            Head::Atom(typed) => self.deeper(|r| r.atom(typed)).map(|new| Value::Atom(new.atom)),
            _ => {
                let word = quoted(self.lexer.bytes());
                Err(Stop::Skip(format!("({} ..) as a value", word.trim_matches('`'))))
            }
        }
    }

    /// Reads a value that can hold others.
    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Stop>) -> Result<T, Stop> {
        if self.value_depth == Value::DEEPEST {
            let fault = format!("values lie in each other more than {} deep", Value::DEEPEST);
            return Err(self.broken(&fault));
        }
        self.value_depth += 1;
        let value = read(self)?;
        self.value_depth -= 1;
        Ok(value)
    }

    fn links(&mut self) -> Result<Value, Stop> {
        let mut values = Vec::new();
        let (mut is_less, mut lists) = (false, 0);
        loop {
            let (token, outside) = self.in_lists(&mut lists)?;
            match token {
                Token::Close if is_less && values.is_empty() => {
                    return Err(Stop::Skip("a value that holds nothing that is known".into()));
                }
                Token::Close => return Ok(Value::Links(values)),
                token => match self.held(outside, token)? {
                    Some(value) => values.push(value),
                    None => is_less = true,
                },
            }
        }
    }

    /// A value in another one, after its first token; none if it is not known.
    fn held(&mut self, outside: usize, token: Token) -> Result<Option<Value>, Stop> {
        if token == Token::Open {
            return self.optional(outside, Self::value_expression);
        }
        self.push_back(token);
        let value = self.optional(outside, Self::value)?;
        Ok(value.map(|value| value.unwrap_or(Value::Void)))
    }

    /// The next token of what stands in any number of `(list ..)` or `'(..)`, without these, and how
    /// many expressions are open around it. What follows a `(` comes next.
    fn in_lists(&mut self, lists: &mut usize) -> Result<(Token, usize), Stop> {
        loop {
            let outside = self.lexer.depth();
            match self.next()? {
                Token::Close if *lists > 0 => *lists -= 1,
                Token::Open => match self.next()? {
                    Token::Word if self.lexer.bytes() == b"list" => *lists += 1,
                    token => {
                        self.push_back(token);
                        return Ok((Token::Open, outside));
                    }
                },
                Token::Quote => match self.next()? {
                    Token::Open => *lists += 1,
                    _ => return Err(Stop::Skip("a quoted value".into())),
                },
                token => return Ok((token, outside)),
            }
        }
    }

    /// A value of a derived kind, which holds what is written, after its word.
    fn derived(&mut self, kind: Derived) -> Result<Value, Stop> {
        let (mut floats, mut strings, mut values) = (Vec::new(), Vec::new(), Vec::new());
        let (mut is_less, mut lists) = (false, 0);
        loop {
            let (token, outside) = self.in_lists(&mut lists)?;
            match token {
                Token::Close => break,
                Token::Text => strings.push(self.lexer.unescape(&mut self.scratch).to_vec()),
                Token::Word if number::parse(self.lexer.bytes()).is_some() => {
                    floats.push(self.number()?);
                }
                token => match self.held(outside, token)? {
                    Some(value) => values.push(value),
                    None => is_less = true,
                },
            }
        }
        let held = match (floats.is_empty(), strings.is_empty(), values.is_empty()) {
            (true, true, true) if is_less => {
                return Err(Stop::Skip("a value that holds nothing that is known".into()));
            }
            (false, true, true) => Value::Floats(floats),
            (true, false, true) => Value::Strings(strings),
            (true, true, _) => Value::Links(values),
            _ => {
                let kind = self.heads.derived(kind);
                return Err(Stop::Skip(format!("({kind} ..) of more than one kind")));
            }
        };
        Ok(Value::Derived(self.heads.derived(kind).into(), held.into()))
    }

    /// A value that holds no others, after its word.
    fn flat_value(&mut self, head: ValueHead) -> Result<Value, Stop> {
        let (mut floats, mut strings, mut bools) = (Vec::new(), Vec::new(), Vec::new());
        let mut lists = 0;
        loop {
            match (head, self.in_lists(&mut lists)?.0) {
                (_, Token::Close) => break,
                (ValueHead::Floats, Token::Word) => floats.push(self.number()?),
                (ValueHead::Strings, Token::Text) => {
                    strings.push(self.lexer.unescape(&mut self.scratch).to_vec());
                }
                (ValueHead::Bools, Token::Word) => self.bools(&mut bools)?,
                (_, Token::Open | Token::Word) => {
                    return Err(Stop::Skip("a value of what is computed".into()));
                }
                (_, token) => return Err(self.unexpected(token, "more of the value or `)`")),
            }
        }
        Ok(match head {
            ValueHead::Floats => Value::Floats(floats),
            ValueHead::Strings => Value::Strings(strings),
            ValueHead::Bools => Value::Bools(bools),
            ValueHead::Links | ValueHead::Void => Value::Void,
        })
    }

    /// The last word is one bit, or `#x` and four bits a digit.
    fn bools(&self, out: &mut Vec<bool>) -> Result<(), Stop> {
        let word = self.lexer.bytes();
        let nibble = |digit: &u8| (*digit as char).to_digit(16);
        match word {
            b"1" | b"#t" => out.push(true),
            b"0" | b"#f" => out.push(false),
            [b'#', b'x', digits @ ..] if digits.iter().all(|digit| nibble(digit).is_some()) => {
                let bits = |nibble: u32| [8, 4, 2, 1].map(|bit| nibble & bit != 0);
                out.extend(digits.iter().filter_map(nibble).flat_map(bits));
            }
            _ => return Err(Stop::Skip(format!("{} in a BoolValue", quoted(word)))),
        }
        Ok(())
    }

    /// The key of a value. Those of the truth value and of the attention value are no atoms of the
    /// space.
    pub fn key(&mut self) -> Result<Key, Stop> {
        let token = self.next()?;
        if token != Token::Open {
            self.push_back(token);
            return self.atom_or_name().map(|added| Key::Atom(added.atom));
        }
        let typed = self.type_word()?;
        let token = self.next()?;
        if token == Token::Text && self.is_predicate(typed) {
            let key = match self.lexer.bytes() {
                TRUTH_KEY => Some(Key::Truth),
                ATTENTION_KEY => Some(Key::Attention),
                _ => None,
            };
            if let Some(key) = key {
                self.close()?;
                return Ok(key);
            }
        }
        self.push_back(token);
        self.deeper(|reader| reader.atom(typed)).map(|added| Key::Atom(added.atom))
    }

    fn is_predicate(&self, typed: Typed) -> bool {
        matches!(self.heads.type_name(typed), "Predicate" | "PredicateNode")
    }

    /// What an atom is given by a value under a key.
    pub fn given(&mut self, key: Key, value: Option<Value>) -> Result<Given, Error> {
        Ok(match (key, value) {
            (Key::Atom(key), value) => Given::Value(key, value),
            (Key::Truth, None) => Given::Truth(None),
            (Key::Attention, None) => Given::Attention(None),
            (Key::Truth, Some(value)) => match value.as_truth() {
                Some(truth) => Given::Truth(Some(truth)),
                None => Given::Value(self.predicate(TRUTH_KEY)?, Some(value)),
            },
            (Key::Attention, Some(value)) => match value.as_attention() {
                Some(attention) => Given::Attention(Some(attention)),
                None => Given::Value(self.predicate(ATTENTION_KEY)?, Some(value)),
            },
        })
    }

    fn predicate(&mut self, name: &[u8]) -> Result<AtomId, Error> {
        let of = self.builder.add_type("PredicateNode", Kind::Node)?;
        Ok(self.builder.add_node(of, name)?.atom)
    }

    /// Pairs after `(alist`, up to the `)`.
    pub fn alist(&mut self) -> Result<(), Stop> {
        loop {
            match self.next()? {
                Token::Close => return Ok(()),
                Token::Open => self.pair()?,
                Token::Word => {
                    let stop = Stop::Skip(format!("(alist {} ..)", quoted(self.lexer.bytes())));
                    self.optional(self.lexer.depth(), |_| Err::<(), Stop>(stop))?;
                }
                token => return Err(self.unexpected(token, "(cons KEY VALUE)")),
            }
        }
    }

    /// `KEY VALUE)` after `(cons`.
    pub fn rest_of_pair(&mut self) -> Result<(), Stop> {
        self.push_back(Token::Word);
        self.pair()
    }

    /// Pairs after `((`, up to the second `)`.
    pub fn dotted_alist(&mut self) -> Result<(), Stop> {
        self.pair()?;
        self.alist()
    }

    /// `cons KEY VALUE)` or `KEY . VALUE)`, after its `(`. One that means nothing here is passed over.
    fn pair(&mut self) -> Result<(), Stop> {
        let outside = self.lexer.depth() - 1;
        let given = self.optional(outside, Self::key_and_value)?;
        self.given.extend(given);
        Ok(())
    }

    fn key_and_value(&mut self) -> Result<Given, Stop> {
        let token = self.next()?;
        let is_cons = token == Token::Word && self.heads.find(self.lexer.bytes()) == Head::Cons;
        if !is_cons {
            self.push_back(token);
        }
        let key = self.key()?;
        if !is_cons {
            match self.next()? {
                Token::Word if self.lexer.bytes() == b"." => (),
                token => return Err(self.unexpected(token, "`.`")),
            }
        }
        let value = self.value()?;
        self.close()?;
        Ok(self.given(key, value)?)
    }
}
