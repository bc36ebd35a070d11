//! What in a text tells of which language it is.

use std::collections::{HashMap, HashSet};

use crate::opencog::atomspace::{AtomType, Kind};

use super::Language;
use super::pieces::{Piece, Pieces};

/// What tells the languages apart, counted.
///
/// Nearly all that is Scheme can be MeTTa: there, any word is a symbol. Therefore a text that is
/// MeTTa by its name is Scheme only where it has what nobody writes in MeTTa.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Signs {
    /// What nobody writes in MeTTa: nodes by the long names of their types, `cog-..`, modules,
    /// truth values within atoms, blocks of comment.
    scheme: usize,
    /// What only a program has: `cog-..`, modules, what is loaded, definitions.
    code: usize,
    /// What AtomSpace text consists of and MeTTa may have too: nodes by short names, truth values,
    /// lists of values, and words of Scheme.
    shared: usize,
    /// What no AtomSpace text has: `!(`, `(: ..`, `(= ..`.
    metta: usize,
    /// `$x` that the text does not define: in Scheme, only what it loads can have defined it.
    variables: usize,
    /// Words that are arguments and were not defined before. AtomSpace text has no others.
    words: usize,
    /// Strings behind others in a form of an unknown word. An atom has one name.
    texts: usize,
    /// Whether the text takes definitions from elsewhere.
    loads: bool,
}

/// Words at the head of forms with which AtomSpace text defines, loads and gives values.
const SCHEME_HEADS: [&str; 12] = [
    "define",
    "define-public",
    "define*",
    "define*-public",
    "setlocale",
    "stv",
    "av",
    "alist",
    "cons",
    "ctv",
    "itv",
    "etv",
];

/// Those that bring definitions from elsewhere.
const LOADING_HEADS: [&str; 9] = [
    "use-modules",
    "load",
    "load-from-path",
    "primitive-load",
    "load-file",
    "include",
    "import",
    "define-module",
    "define-syntax",
];

/// Those of either language within which words tell nothing.
const CODE_HEADS: [&str; 23] = [
    "lambda", "lambda*", "let", "let*", "letrec", "if", "cond", "case", "do", "begin", "when",
    "unless", "and", "or", "not", "set!", "map", "for-each", "apply", "display", "format", "quote",
    "list",
];

impl Signs {
    /// Those in the beginning of a text. `goes_on` tells that there is more of it.
    pub fn of(text: &[u8], goes_on: bool) -> Signs {
        let mut seen = Seen::default();
        let mut pieces = Pieces::of(text, goes_on);
        while let Some(piece) = pieces.next() {
            seen.see(piece, pieces.depth);
        }
        let Signs { metta, loads, .. } = seen.signs;
        if loads && metta == 0 {
            seen.signs.variables = 0;
        }
        seen.signs
    }

    /// The likelier language; Scheme if nothing tells.
    pub fn language(&self) -> Language {
        let of_metta = self.of_metta() + self.words + self.texts;
        match () {
            () if self.metta == 0 && self.code > 0 => Language::Scheme,
            () if self.is_metta() || of_metta > self.of_scheme() => Language::Metta,
            () => Language::Scheme,
        }
    }

    /// Whether it is clearly not this language.
    pub fn contradict(&self, language: Language) -> bool {
        match language {
            Language::Metta => {
                self.of_metta() == 0 && self.scheme > 0 && self.of_scheme() > self.words
            }
            Language::Scheme => self.is_metta() || self.of_scheme() == 0 && self.words > 0,
        }
    }

    /// Whether it has as many signs of MeTTa as of Scheme, or clear ones and no program: types of
    /// AtomSpaces are words of MeTTa as good as any, while no AtomSpace text has `$x`.
    fn is_metta(&self) -> bool {
        self.metta > 0 && self.code == 0
            || self.of_metta() > 0 && self.of_metta() >= self.of_scheme()
    }

    fn of_metta(&self) -> usize {
        self.metta + self.variables
    }

    fn of_scheme(&self) -> usize {
        self.scheme + self.shared
    }
}

/// What was seen of a text.
#[derive(Default)]
struct Seen<'a> {
    signs: Signs,
    /// The depth of the outermost form with what Scheme means by its words, or that is data.
    inside: Option<usize>,
    /// The depth of the form in which words are defined.
    defining: Option<usize>,
    defined: HashSet<&'a [u8]>,
    /// What the last pieces were, without comments.
    last: Last<'a>,
    /// Whether a truth value here belongs to an atom: behind the type of a link, or the name of a
    /// node.
    is_in_atom: bool,
    /// Texts have few types, and each is looked up once.
    types: HashMap<&'a [u8], Known>,
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Last<'a> {
    #[default]
    Other,
    Head(&'a [u8]),
    /// An opening parenthesis behind a head, of which it is the first argument.
    FirstOf(&'a [u8]),
    /// What a `define` names.
    Named,
    /// An opening parenthesis behind that.
    Defined,
    /// A string in a form of an unknown word.
    Text,
    Quote,
}

/// What a word is as a type of AtomSpaces.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Not,
    /// A type of nodes; whether by its long name.
    Node(bool),
    Link,
}

impl<'a> Seen<'a> {
    fn see(&mut self, piece: Piece<'a>, depth: usize) {
        let is_outside = |of: Option<usize>| of.filter(|&form| depth >= form);
        self.inside = is_outside(self.inside);
        self.defining = is_outside(self.defining);
        let last = self.last;
        self.last = match piece {
            Piece::Block => return self.block(depth),
            Piece::Dropped => {
                self.signs.shared += 1;
                return;
            }
            Piece::Open => self.open(last, depth),
            Piece::Close => Last::Other,
            Piece::Head(word) => self.head(word, last, depth),
            Piece::Word(word) => self.word(word, last, depth),
            Piece::Quote => {
                self.inside = self.inside.or(Some(depth + 1));
                Last::Quote
            }
            Piece::Text => self.text(last),
        };
        self.is_in_atom = match (piece, self.last) {
            (Piece::Open, _) => self.is_in_atom,
            (Piece::Head(word), _) => self.known(word) == Known::Link,
            (Piece::Text, _) => matches!(last, Last::Head(word) if self.is_node(word)),
            _ => false,
        };
    }

    /// A comment within a form may be words of MeTTa.
    fn block(&mut self, depth: usize) {
        match depth {
            0 => self.signs.scheme += 1,
            _ => self.signs.shared += 1,
        }
    }

    fn open(&mut self, last: Last<'a>, depth: usize) -> Last<'a> {
        match last {
            Last::Head(word) if is_definition(word) || word.starts_with(b"lambda") => {
                self.defining = Some(depth);
                self.signs.code += 1;
                Last::FirstOf(word)
            }
            Last::Head(word) => Last::FirstOf(word),
            Last::Named => Last::Defined,
            // data, which has no head
            Last::Quote => {
                self.signs.shared += 1;
                Last::Other
            }
            _ => Last::Other,
        }
    }

    fn head(&mut self, word: &'a [u8], last: Last<'a>, depth: usize) -> Last<'a> {
        let is = |heads: &[&str]| heads.iter().any(|head| head.as_bytes() == word);
        let signs = &mut self.signs;
        if self.defining == Some(depth) {
            self.defined.insert(word);
            return Last::Other;
        }
        let begins_values = last == Last::FirstOf(b"alist") && word == b"cons";
        let names_modules = matches!(last, Last::FirstOf(b"use-modules" | b"define-module"));
        if begins_values {
            signs.scheme += 1;
        }
        if names_modules || word.starts_with(b"cog-") {
            signs.code += 1;
            signs.scheme += 1;
        }
        let is_truth = word.ends_with(b"TruthValue") || is(&["stv", "ctv", "itv", "etv", "av"]);
        if is_truth && self.is_in_atom {
            signs.scheme += 1;
        }
        if is(&LOADING_HEADS) {
            signs.loads = true;
            signs.code += 1;
        }
        if is_truth || is(&SCHEME_HEADS) || is(&LOADING_HEADS) {
            signs.shared += 1;
        }
        if is_truth
            || [&SCHEME_HEADS[..], &LOADING_HEADS, &CODE_HEADS].into_iter().any(is)
            || word.starts_with(b"cog-")
        {
            self.inside = self.inside.or(Some(depth));
        }
        match word {
            b":" | b"=" | b"->" if depth == 1 => signs.metta += 1,
            [b'$', ..] if !self.defined.contains(word) => signs.variables += 1,
            _ => (),
        }
        if last == Last::Defined && self.known(word) != Known::Not {
            self.signs.code += 1;
            self.signs.scheme += 1;
        }
        Last::Head(word)
    }

    fn word(&mut self, word: &'a [u8], last: Last<'a>, depth: usize) -> Last<'a> {
        let quoted = word.strip_prefix(b"'");
        let names_type = quoted.is_some_and(|of| self.known(of) == Known::Node(true));
        let signs = &mut self.signs;
        match (word, last) {
            (_, Last::Head(head)) if is_definition(head) => {
                self.defined.insert(word);
                return Last::Named;
            }
            _ if self.defining == Some(depth) => {
                self.defined.insert(word);
            }
            _ if self.defined.contains(word) => signs.shared += 1,
            (b"!", _) if depth == 0 => signs.metta += 1,
            ([b'$', ..], _) => signs.variables += 1,
            _ if names_type => signs.scheme += 1,
            ([b'\'' | b'`' | b',', b'a'..=b'z' | b'A'..=b'Z', ..], _)
            | ([b'#', b't' | b'f' | b'\\' | b':', ..], _) => signs.shared += 1,
            _ if depth > 0 && self.inside.is_none() && !is_number(word) => signs.words += 1,
            _ => (),
        }
        Last::Other
    }

    fn text(&mut self, last: Last<'a>) -> Last<'a> {
        match last {
            Last::Head(word) => match self.known(word) {
                Known::Node(true) => self.signs.scheme += 1,
                Known::Node(false) => self.signs.shared += 1,
                Known::Link => (),
                Known::Not if self.inside.is_none() => return Last::Text,
                Known::Not => (),
            },
            Last::Text => self.signs.texts += 1,
            _ => (),
        }
        Last::Other
    }

    fn is_node(&mut self, word: &'a [u8]) -> bool {
        matches!(self.known(word), Known::Node(_))
    }

    fn known(&mut self, word: &'a [u8]) -> Known {
        *self.types.entry(word).or_insert_with(|| known(word))
    }
}

fn known(word: &[u8]) -> Known {
    let Ok(word) = std::str::from_utf8(word) else { return Known::Not };
    if word.ends_with("Node") {
        return Known::Node(true);
    }
    let is = |kind, end| AtomType::named(word, kind).name.ends_with(end);
    match () {
        () if is(Kind::Node, "Node") => Known::Node(false),
        () if is(Kind::Link, "Link") => Known::Link,
        () => Known::Not,
    }
}

fn is_definition(word: &[u8]) -> bool {
    matches!(word, b"define" | b"define-public" | b"define*" | b"define*-public")
}

fn is_number(word: &[u8]) -> bool {
    std::str::from_utf8(word).is_ok_and(|word| word.parse::<f64>().is_ok())
}
