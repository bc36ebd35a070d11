//! What a word means as the first of an expression.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::super::atom_store::AtomId;
use super::super::builder::Builder;
use super::super::declarations::{Declarations, Sort};
use super::super::error::Error;
use super::super::types::{Kind, TypeId};
use super::super::value::{TruthKind, Value};

/// What a word means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    /// A type of atoms.
    Atom(Typed),
    /// A name that the file gave an atom.
    Named(AtomId),
    /// A name that the file gave a value.
    Defined(Defined),
    /// A truth value.
    Truth(TruthKind),
    /// `av`, `AttentionValue`.
    Attention,
    /// `alist`.
    Alist,
    /// `list`: what it holds, in its place.
    List,
    /// `cog-new-value`: the kind follows as a symbol.
    NewValue,
    /// `cons`.
    Cons,
    /// A value of numbers, strings, ...
    Value(ValueHead),
    /// A value of a derived kind.
    Derived(Derived),
    /// A value of a kind that is not known, or a name that the file gave one.
    OddValue,
    /// What is done rather than described.
    Command(Command),
    /// `AtomSpace`.
    AtomSpace,
    /// Nothing that is known.
    Unknown,
}

/// A type word, as an index into the types that the reader has met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Typed(u32);

/// The name of a value, as an index into those that the file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Defined(u32);

/// A derived kind of values, as an index into those that the reader has met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Derived(u32);

/// The kinds of values that are not truth or attention values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueHead {
    Floats,
    Strings,
    Bools,
    Links,
    Void,
}

/// The commands that say something of atoms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Define,
    /// `cog-new-node`, `cog-new-link`: the type follows as a symbol.
    New,
    SetValue,
    SetValues,
    SetTruth,
    SetAttention,
}

impl Head {
    /// Whether it is a value, or the name of one.
    pub fn is_value(self) -> bool {
        matches!(
            self,
            Head::Truth(_)
                | Head::Attention
                | Head::Value(_)
                | Head::Derived(_)
                | Head::Defined(_)
                | Head::OddValue
                | Head::NewValue
        )
    }
}

fn fixed(word: &[u8]) -> Option<Head> {
    Some(match word {
        b"stv" | b"SimpleTruthValue" | b"cog-new-stv" => Head::Truth(TruthKind::Simple),
        b"ctv" | b"CountTruthValue" | b"cog-new-ctv" => Head::Truth(TruthKind::Count),
        b"itv" | b"IndefiniteTruthValue" | b"cog-new-itv" => Head::Truth(TruthKind::Indefinite),
        b"ptv" | b"ProbabilisticTruthValue" | b"cog-new-ptv" => {
            Head::Truth(TruthKind::Probabilistic)
        }
        b"etv" | b"ectv" | b"EvidenceCountTruthValue" | b"cog-new-etv" => {
            Head::Truth(TruthKind::EvidenceCount)
        }
        b"ftv" | b"FuzzyTruthValue" | b"cog-new-ftv" => Head::Truth(TruthKind::Fuzzy),
        b"av" | b"AttentionValue" | b"cog-new-av" => Head::Attention,
        b"alist" => Head::Alist,
        b"list" => Head::List,
        b"cog-new-value" => Head::NewValue,
        b"cons" => Head::Cons,
        b"FloatValue" => Head::Value(ValueHead::Floats),
        b"StringValue" => Head::Value(ValueHead::Strings),
        b"BoolValue" => Head::Value(ValueHead::Bools),
        b"LinkValue" => Head::Value(ValueHead::Links),
        b"VoidValue" => Head::Value(ValueHead::Void),
        b"define" | b"define-public" => Head::Command(Command::Define),
        b"cog-node" | b"cog-link" | b"cog-new-node" | b"cog-new-link" => {
            Head::Command(Command::New)
        }
        b"cog-set-value!" => Head::Command(Command::SetValue),
        b"cog-set-values!" => Head::Command(Command::SetValues),
        b"cog-set-tv!" => Head::Command(Command::SetTruth),
        b"cog-set-av!" => Head::Command(Command::SetAttention),
        b"AtomSpace" => Head::AtomSpace,
        _ => return None,
    })
}

/// Whether a word that no table knows is written as a type is, of atoms or of values.
fn looks_like_type(word: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    word.first().is_some_and(u8::is_ascii_uppercase) && word.iter().all(plain)
}

/// Whether a type that no table knows is one of values.
fn looks_like_value(word: &[u8]) -> bool {
    word.ends_with(b"Value") || word.ends_with(b"Stream")
}

/// The two types that a word can name, each made when there is an atom of it.
#[derive(Debug)]
struct TypeWord {
    name: Box<str>,
    node: Option<TypeId>,
    link: Option<TypeId>,
    can_be_node: bool,
    can_be_link: bool,
}

/// The words that were met so far.
#[derive(Debug)]
pub(super) struct Heads {
    declarations: Arc<Declarations>,
    by_word: FxHashMap<Box<[u8]>, Head>,
    types: Vec<TypeWord>,
    /// Whether a word means an atom.
    name_atoms: bool,
    derived: Vec<Box<str>>,
    defined: Vec<Value>,
}

impl Heads {
    pub fn new(declarations: Arc<Declarations>) -> Heads {
        let (types, derived, defined) = (Vec::new(), Vec::new(), Vec::new());
        Heads {
            declarations,
            by_word: FxHashMap::default(),
            types,
            name_atoms: false,
            derived,
            defined,
        }
    }

    /// What a word means.
    pub fn find(&mut self, word: &[u8]) -> Head {
        if let Some(&head) = self.by_word.get(word) {
            return head;
        }
        let head = fixed(word).unwrap_or_else(|| match std::str::from_utf8(word) {
            Ok(name) => self.new_type(name),
            Err(_) => Head::Unknown,
        });
        // a word that means nothing is not kept: there may be many
        if head != Head::Unknown {
            self.by_word.insert(word.into(), head);
        }
        head
    }

    fn new_type(&mut self, name: &str) -> Head {
        let known = |sort| self.declarations.find(name, sort);
        let [node, link] = [Kind::Node, Kind::Link].map(|kind| known(Sort::Atom(kind)).is_some());
        let is_known = node || link;
        if let Some(kind) = known(Sort::Value).filter(|_| !is_known) {
            self.derived.push(kind.name.clone());
            return Head::Derived(Derived(self.derived.len() as u32 - 1));
        }
        if !is_known && !looks_like_type(name.as_bytes()) {
            return Head::Unknown;
        }
        if !is_known && looks_like_value(name.as_bytes()) {
            return Head::OddValue;
        }
        self.types.push(TypeWord {
            name: name.into(),
            node: None,
            link: None,
            can_be_node: node || !is_known,
            can_be_link: link || !is_known,
        });
        Head::Atom(Typed(self.types.len() as u32 - 1))
    }

    /// Lets a word mean what another one means, a type; whether it now does.
    pub fn alias(&mut self, word: &[u8], of: &[u8]) -> bool {
        let target = self.find(of);
        let is_free = self.is_free(word) || matches!(self.find(word), Head::Atom(_));
        let can = is_free && matches!(target, Head::Atom(_));
        if can {
            self.by_word.insert(word.into(), target);
        }
        can
    }

    /// Lets a word mean an atom; whether it now does.
    pub fn name(&mut self, word: &[u8], atom: AtomId) -> bool {
        let is_free = self.is_free(word);
        if is_free {
            self.by_word.insert(word.into(), Head::Named(atom));
            self.name_atoms = true;
        }
        is_free
    }

    /// Whether there is a word that means an atom.
    pub fn name_atoms(&self) -> bool {
        self.name_atoms
    }

    /// Lets a word mean a value; whether it now does.
    pub fn define(&mut self, word: &[u8], value: Value) -> bool {
        let is_free = self.is_free(word);
        if is_free {
            self.name_atoms = true; // which a value may be, or hold
            self.defined.push(value);
            let defined = Defined(self.defined.len() as u32 - 1);
            self.by_word.insert(word.into(), Head::Defined(defined));
            // It may hold atoms.
            self.name_atoms = true;
        }
        is_free
    }

    /// Lets a word mean a value that is not known; whether it now does.
    pub fn define_odd(&mut self, word: &[u8]) -> bool {
        let is_free = self.is_free(word);
        if is_free {
            self.by_word.insert(word.into(), Head::OddValue);
        }
        is_free
    }

    /// Whether a word means nothing but what a file gave it.
    fn is_free(&mut self, word: &[u8]) -> bool {
        match self.find(word) {
            Head::Unknown | Head::Named(_) | Head::Defined(_) | Head::OddValue => true,
            // It only looks like a type, and there are no atoms of it.
            Head::Atom(Typed(at)) => {
                let of = &self.types[at as usize];
                of.can_be_node && of.can_be_link && of.node.is_none() && of.link.is_none()
            }
            _ => false,
        }
    }

    /// The value that a word means.
    pub fn defined(&self, Defined(at): Defined) -> &Value {
        &self.defined[at as usize]
    }

    /// The name of a derived kind of values.
    pub fn derived(&self, Derived(at): Derived) -> &str {
        &self.derived[at as usize]
    }

    /// The long name of the type that a word means.
    pub fn long_name<'a>(&'a self, word: &'a [u8]) -> &'a [u8] {
        let name = std::str::from_utf8(word).ok();
        let known = name.and_then(|name| self.declarations.long_name(name));
        known.map_or(word, str::as_bytes)
    }

    /// The word as it was written.
    pub fn type_name(&self, typed: Typed) -> &str {
        &self.types[typed.0 as usize].name
    }

    /// Whether an atom of this type can be of this kind.
    pub fn can_be(&self, typed: Typed, kind: Kind) -> bool {
        let word = &self.types[typed.0 as usize];
        match kind {
            Kind::Node => word.can_be_node,
            Kind::Link => word.can_be_link,
        }
    }

    /// The type in the space.
    #[inline]
    pub fn type_id(
        &mut self,
        typed: Typed,
        kind: Kind,
        builder: &mut Builder,
    ) -> Result<TypeId, Error> {
        let word = &mut self.types[typed.0 as usize];
        let id = match kind {
            Kind::Node => &mut word.node,
            Kind::Link => &mut word.link,
        };
        match *id {
            Some(id) => Ok(id),
            None => Ok(*id.insert(builder.add_type(&word.name, kind)?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_types_values_commands_or_nothing() {
        let mut heads = Heads::new(Declarations::builtin().clone());
        assert!(matches!(heads.find(b"ConceptNode"), Head::Atom(_)));
        assert!(matches!(heads.find(b"WRLink"), Head::Atom(_)));
        assert_eq!(heads.find(b"stv"), Head::Truth(TruthKind::Simple));
        assert_eq!(heads.find(b"cog-set-value!"), Head::Command(Command::SetValue));
        assert!(matches!(heads.find(b"QueueValue"), Head::Derived(_)));
        assert!(matches!(heads.find(b"FormulaStream"), Head::Derived(_)));
        for odd in [&b"NewValue"[..], b"OddStream", b"GenericTruthValue"] {
            assert_eq!(heads.find(odd), Head::OddValue);
        }
        let nothing = [&b"use-modules"[..], b"scm", b"e", b"new-Value", b"", b"\xff"];
        for nothing in nothing.into_iter().chain([&b"X-y"[..]]) {
            assert_eq!(heads.find(nothing), Head::Unknown);
        }
        let Head::Atom(concept) = heads.find(b"Concept") else { panic!() };
        assert!(heads.can_be(concept, Kind::Node) && !heads.can_be(concept, Kind::Link));
        let Head::Atom(unknown) = heads.find(b"SemeX") else { panic!() };
        assert!(heads.can_be(unknown, Kind::Node) && heads.can_be(unknown, Kind::Link));
    }

    #[test]
    fn words_are_given_meanings() {
        let mut heads = Heads::new(Declarations::builtin().clone());
        assert!(heads.alias(b"e", b"Evaluation"));
        assert_eq!(heads.find(b"e"), heads.find(b"Evaluation"));
        assert!(!heads.alias(b"f", b"some-procedure"));
        assert!(!heads.alias(b"stv", b"Evaluation"));
        assert!(heads.name(b"x", AtomId(3)));
        assert_eq!(heads.find(b"x"), Head::Named(AtomId(3)));
        assert!(!heads.name(b"ListLink", AtomId(3)));
        assert!(heads.name(b"A", AtomId(3)) && !heads.name(b"Concept", AtomId(3)));
        assert_eq!(heads.find(b"A"), Head::Named(AtomId(3)));
        assert!(heads.define_odd(b"x") && !heads.define_odd(b"stv"));
        assert_eq!(heads.find(b"x"), Head::OddValue);
        assert!(heads.define(b"x", Value::Void) && !heads.define(b"stv", Value::Void));
        let Head::Defined(defined) = heads.find(b"x") else { panic!() };
        assert_eq!(*heads.defined(defined), Value::Void);
    }
}
