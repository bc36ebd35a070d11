//! In which of OpenCog's languages a text of atoms is written: Scheme, as AtomSpaces are, or MeTTa.
//!
//! Its name tells by `.scm` or `.metta`; what stands in it must not say otherwise. Of another name,
//! what stands in it tells.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::Error;
use crate::opencog::atomspace::{AtomType, Kind};

/// A language of atoms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    /// Of AtomSpaces.
    Scheme,
    /// Of Hyperon.
    Metta,
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Language::Scheme => "AtomSpace text (Scheme)",
            Language::Metta => "MeTTa",
        })
    }
}

/// How much of a file is looked at.
const HEAD: u64 = 1 << 16;

impl Language {
    /// The language of a file. `has_aliases` tells that it is Scheme with words of its own.
    ///
    /// # Errors
    /// It cannot be read, or its name says one language and what stands in it the other.
    pub fn of(path: &Path, has_aliases: bool) -> Result<Language, Error> {
        let extension = path.extension().map(|it| it.to_string_lossy().to_ascii_lowercase());
        let by_name = match extension.as_deref() {
            Some("metta") => Some(Language::Metta),
            Some("scm" | "scheme") => Some(Language::Scheme),
            _ if has_aliases => Some(Language::Scheme),
            _ => None,
        };
        // What cannot be read twice, as a pipe, is what its name says.
        if !path.is_file() || has_aliases && by_name == Some(Language::Scheme) {
            return Ok(by_name.unwrap_or(Language::Scheme));
        }
        let mut head = Vec::new();
        let read = File::open(path).and_then(|file| file.take(HEAD).read_to_end(&mut head));
        read.map_err(|e| Error::file(path, "cannot read it", e))?;
        let signs = Signs::of(&head);
        match by_name {
            None => Ok(signs.language()),
            Some(language) if signs.contradict(language) => {
                let (found, extension) = match language {
                    Language::Metta => (Language::Scheme, "scm"),
                    Language::Scheme => (Language::Metta, "metta"),
                };
                let fault = format!(
                    "by its name it is {language}, but what stands in it is {found}: \
                     call it .{extension}"
                );
                Err(Error::opencog(path, fault))
            }
            Some(language) => Ok(language),
        }
    }
}

/// What tells the languages apart, counted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Signs {
    /// What no MeTTa has: nodes of known types, commands, values and defined words of AtomSpace text.
    scheme: usize,
    /// What no AtomSpace text has: `!(`, `$x`, `(: ..`, `(= ..`.
    metta: usize,
    /// Words that are arguments and were not defined before. AtomSpace text has no others.
    words: usize,
}

/// Words that AtomSpace text has at the head of forms.
const SCHEME_HEADS: [&str; 12] = [
    "define",
    "use-modules",
    "load",
    "setlocale",
    "define-public",
    "stv",
    "av",
    "alist",
    "cons",
    "ctv",
    "itv",
    "etv",
];

impl Signs {
    fn of(text: &[u8]) -> Signs {
        let mut signs = Signs::default();
        let mut scan = Scan { rest: text, depth: 0, is_head: false };
        // The depth of a form with what Scheme means by its words.
        let mut inside: Option<usize> = None;
        let mut before: &[u8] = b"";
        let mut defined: HashSet<&[u8]> = HashSet::new();
        // Texts have few types, and each is looked up once.
        let mut node_types: HashMap<&[u8], bool> = HashMap::new();
        while let Some(token) = scan.next() {
            if inside.is_some_and(|depth| scan.depth < depth) {
                inside = None;
            }
            match token {
                Piece::Block => signs.scheme += 1,
                Piece::Text
                    if *node_types.entry(before).or_insert_with(|| is_node_type(before)) =>
                {
                    signs.scheme += 1;
                }
                Piece::Head(b":" | b"=" | b"->") if scan.depth == 1 => signs.metta += 1,
                Piece::Head(word) if is_scheme_head(word) => {
                    signs.scheme += 1;
                    inside = inside.or(Some(scan.depth));
                }
                Piece::Word(word) if before == b"define" => {
                    defined.insert(word);
                }
                Piece::Word(word) if defined.contains(word) => signs.scheme += 1,
                Piece::Word(b"!") if scan.depth == 0 => signs.metta += 1,
                Piece::Word([b'$', ..]) | Piece::Head([b'$', ..]) => signs.metta += 1,
                Piece::Word([b'\'', b'A'..=b'Z', ..]) => signs.scheme += 1,
                Piece::Word([b'#', b't' | b'f']) => signs.scheme += 1,
                Piece::Word(word) if scan.depth > 0 && inside.is_none() && !is_number(word) => {
                    signs.words += 1;
                }
                _ => (),
            }
            before = match token {
                Piece::Head(word) => word,
                _ => b"",
            };
        }
        signs
    }

    /// The likelier language; Scheme if nothing tells.
    fn language(&self) -> Language {
        match self.is_metta() || self.metta + self.words > self.scheme {
            true => Language::Metta,
            false => Language::Scheme,
        }
    }

    /// Whether it has as many signs of MeTTa as of Scheme: types of AtomSpaces are words of MeTTa as
    /// good as any, while no AtomSpace text has `$x`.
    fn is_metta(&self) -> bool {
        self.metta > 0 && self.metta >= self.scheme
    }

    /// Whether it is clearly not this language.
    fn contradict(&self, language: Language) -> bool {
        match language {
            Language::Metta => self.metta == 0 && self.scheme > self.words,
            Language::Scheme => self.is_metta() || self.scheme == 0 && self.words > 0,
        }
    }
}

fn is_node_type(word: &[u8]) -> bool {
    let Ok(word) = std::str::from_utf8(word) else { return false };
    AtomType::named(word, Kind::Node).name.ends_with("Node")
}

fn is_scheme_head(word: &[u8]) -> bool {
    word.starts_with(b"cog-")
        || word.ends_with(b"TruthValue")
        || SCHEME_HEADS.iter().any(|head| head.as_bytes() == word)
}

fn is_number(word: &[u8]) -> bool {
    std::str::from_utf8(word).is_ok_and(|word| word.parse::<f64>().is_ok())
}

/// A piece of a text in either language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece<'a> {
    /// A word behind an opening parenthesis.
    Head(&'a [u8]),
    /// Another word.
    Word(&'a [u8]),
    /// A string.
    Text,
    /// `#! .. !#`
    Block,
    /// A parenthesis.
    Paren,
}

/// Cuts a text into pieces, whatever it is.
struct Scan<'a> {
    rest: &'a [u8],
    depth: usize,
    is_head: bool,
}

impl<'a> Iterator for Scan<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        loop {
            let (&first, after) = self.rest.split_first()?;
            let is_head = std::mem::take(&mut self.is_head);
            let (len, piece) = match first {
                b';' => (end(self.rest, |byte| byte == b'\n'), None),
                b'(' => {
                    self.depth += 1;
                    self.is_head = true;
                    (1, Some(Piece::Paren))
                }
                b')' => {
                    self.depth = self.depth.saturating_sub(1);
                    (1, Some(Piece::Paren))
                }
                b'"' => (1 + text_len(after), Some(Piece::Text)),
                b'#' if after.first() == Some(&b'!') => {
                    let found = self.rest.windows(2).position(|two| two == b"!#");
                    (found.map_or(self.rest.len(), |at| at + 2), Some(Piece::Block))
                }
                byte if byte.is_ascii_whitespace() => {
                    self.is_head = is_head;
                    (1, None)
                }
                _ => {
                    let ends = |byte: u8| byte.is_ascii_whitespace() || b"();\"".contains(&byte);
                    let len = end(self.rest, ends);
                    let word = &self.rest[..len];
                    (len, Some(if is_head { Piece::Head(word) } else { Piece::Word(word) }))
                }
            };
            self.rest = &self.rest[len..];
            if piece.is_some() {
                return piece;
            }
        }
    }
}

fn end(bytes: &[u8], ends: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|&byte| ends(byte)).unwrap_or(bytes.len())
}

/// The bytes of a string behind its opening quote, with the closing one, as far as it goes.
fn text_len(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += match byte {
            b'"' => return at + 1,
            b'\\' => 2,
            _ => 1,
        };
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const METTA: [&str; 7] = [
        "(: Evaluation Type)\n(: \"R-HSA-1\" Reactome)\n(Inheritance \"R-HSA-1\" \"R-HSA-2\")",
        "(parent Tom Bob)\n(parent Pam Bob)",
        "!(import! &self kb)",
        "; a note\n(= (f $x) (g $x))",
        "(Inheritance (Concept $x) (Concept \"animal\"))",
        "(STV 0.9 0.8) (Inheritance cat animal (STV 1 0.9))",
        "!\n(match &self (Concept \"a\") \"a\")",
    ];

    const SCHEME: [&str; 6] = [
        "(use-modules (opencog))\n(Inheritance (stv 1 0.9) (Concept \"cat\") (Concept \"animal\"))",
        "(ConceptNode \"a\")",
        "#! words ( in a block !# (List (Number 1) (Concept \"$x\"))",
        "(define cat (Concept \"cat\"))\n(Inheritance cat cat)",
        "(cog-set-value! (Concept \"a\") (Predicate \"k\") (FloatValue 1 2))",
        "(Lambda (TypedVariable (Variable \"$x\") (Type 'ConceptNode)) (Variable \"$x\"))",
    ];

    #[test]
    fn texts_tell_their_language() {
        for text in METTA {
            let signs = Signs::of(text.as_bytes());
            assert_eq!(signs.language(), Language::Metta, "{text}: {signs:?}");
            assert!(signs.contradict(Language::Scheme), "{text}: {signs:?}");
            assert!(!signs.contradict(Language::Metta), "{text}: {signs:?}");
        }
        for text in SCHEME {
            let signs = Signs::of(text.as_bytes());
            assert_eq!(signs.language(), Language::Scheme, "{text}: {signs:?}");
            assert!(signs.contradict(Language::Metta), "{text}: {signs:?}");
            assert!(!signs.contradict(Language::Scheme), "{text}: {signs:?}");
        }
    }

    #[test]
    fn what_either_may_be_contradicts_neither() {
        for text in ["", "()", "; nothing", "(s (m \"ChEBI:1\") (c \"R-HSA\"))", "(\"a\" \"b\") 5"]
        {
            let signs = Signs::of(text.as_bytes());
            assert_eq!(signs.language(), Language::Scheme);
            assert!(!signs.contradict(Language::Scheme) && !signs.contradict(Language::Metta));
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            Signs::of(&bytes);
        }
    }
}
