//! Values where they lie, in memory or as bytes of a file, read without a copy.

use super::atom_store::AtomId;
use super::value::{AttentionValue, TruthValue, Value};
use super::value_bytes::{Encoded, view};

/// A value of an atom, as its store has it.
#[derive(Debug, Clone, Copy)]
pub enum ValueRef<'a> {
    /// `FloatValue`.
    Floats(Floats<'a>),
    /// `StringValue`.
    Strings(StringsRef<'a>),
    /// `BoolValue`.
    Bools(Bools<'a>),
    /// `LinkValue`.
    Links(LinksRef<'a>),
    /// `VoidValue`.
    Void,
    /// An atom of the same store.
    Atom(AtomId),
    /// A truth value.
    Truth(TruthValue),
    /// An attention value.
    Attention(AttentionValue),
    /// A value of a derived kind.
    Derived(DerivedRef<'a>),
}

/// The numbers of a `FloatValue`.
#[derive(Debug, Clone, Copy)]
pub enum Floats<'a> {
    /// In memory.
    Numbers(&'a [f64]),
    /// In a file, little-endian.
    Bytes(&'a [[u8; 8]]),
}

/// What a `BoolValue` holds.
#[derive(Debug, Clone, Copy)]
pub enum Bools<'a> {
    /// In memory.
    Bools(&'a [bool]),
    /// In a file, 0 for false.
    Bytes(&'a [u8]),
}

/// The strings of a `StringValue`.
#[derive(Debug, Clone, Copy)]
pub enum StringsRef<'a> {
    /// In memory.
    Strings(&'a [Vec<u8>]),
    /// In a file.
    Bytes(Encoded<'a>),
}

/// The values in a `LinkValue`.
#[derive(Debug, Clone, Copy)]
pub enum LinksRef<'a> {
    /// In memory.
    Values(&'a [Value]),
    /// In a file.
    Bytes(Encoded<'a>),
}

/// A value of a kind that is derived from another one.
#[derive(Debug, Clone, Copy)]
pub enum DerivedRef<'a> {
    /// In memory: the kind, and what it holds.
    Value(&'a str, &'a Value),
    /// In a file.
    Bytes(&'a str, &'a [u8]),
}

impl ValueRef<'_> {
    /// A copy in memory.
    pub fn to_value(self) -> Value {
        match self {
            ValueRef::Floats(floats) => Value::Floats(floats.iter().collect()),
            ValueRef::Strings(strings) => Value::Strings(strings.iter().map(Vec::from).collect()),
            ValueRef::Bools(bools) => Value::Bools(bools.iter().collect()),
            ValueRef::Links(links) => Value::Links(links.iter().map(ValueRef::to_value).collect()),
            ValueRef::Void => Value::Void,
            ValueRef::Atom(atom) => Value::Atom(atom),
            ValueRef::Truth(truth) => Value::Truth(truth),
            ValueRef::Attention(attention) => Value::Attention(attention),
            ValueRef::Derived(derived) => {
                Value::Derived(derived.kind().into(), derived.held().to_value().into())
            }
        }
    }
}

impl<'a> From<&'a Value> for ValueRef<'a> {
    fn from(value: &'a Value) -> ValueRef<'a> {
        match value {
            Value::Floats(floats) => ValueRef::Floats(Floats::Numbers(floats)),
            Value::Strings(strings) => ValueRef::Strings(StringsRef::Strings(strings)),
            Value::Bools(bools) => ValueRef::Bools(Bools::Bools(bools)),
            Value::Links(values) => ValueRef::Links(LinksRef::Values(values)),
            Value::Void => ValueRef::Void,
            Value::Atom(atom) => ValueRef::Atom(*atom),
            Value::Truth(truth) => ValueRef::Truth(*truth),
            Value::Attention(attention) => ValueRef::Attention(*attention),
            Value::Derived(kind, held) => ValueRef::Derived(DerivedRef::Value(kind, held)),
        }
    }
}

impl<'a> DerivedRef<'a> {
    /// The name of the kind: `QueueValue`.
    pub fn kind(self) -> &'a str {
        match self {
            DerivedRef::Value(kind, _) | DerivedRef::Bytes(kind, _) => kind,
        }
    }

    /// What it holds.
    pub fn held(self) -> ValueRef<'a> {
        match self {
            DerivedRef::Value(_, held) => held.into(),
            DerivedRef::Bytes(_, bytes) => view(bytes).unwrap_or(ValueRef::Void),
        }
    }
}

impl<'a> Floats<'a> {
    /// The number at a place.
    #[inline]
    pub fn get(self, place: usize) -> Option<f64> {
        match self {
            Floats::Numbers(numbers) => numbers.get(place).copied(),
            Floats::Bytes(bytes) => bytes.get(place).copied().map(f64::from_le_bytes),
        }
    }

    /// All of them.
    #[inline]
    pub fn iter(self) -> impl Iterator<Item = f64> + use<'a> {
        (0..).map_while(move |place| self.get(place))
    }
}

impl<'a> Bools<'a> {
    /// The one at a place.
    #[inline]
    pub fn get(self, place: usize) -> Option<bool> {
        match self {
            Bools::Bools(bools) => bools.get(place).copied(),
            Bools::Bytes(bytes) => bytes.get(place).map(|&byte| byte != 0),
        }
    }

    /// All of them.
    #[inline]
    pub fn iter(self) -> impl Iterator<Item = bool> + use<'a> {
        (0..).map_while(move |place| self.get(place))
    }
}

impl<'a> StringsRef<'a> {
    /// All of them.
    pub fn iter(mut self) -> impl Iterator<Item = &'a [u8]> {
        std::iter::from_fn(move || match &mut self {
            StringsRef::Strings(strings) => strings.split_off_first().map(Vec::as_slice),
            StringsRef::Bytes(encoded) => encoded.next_string(),
        })
    }
}

impl<'a> LinksRef<'a> {
    /// All of them.
    pub fn iter(mut self) -> impl Iterator<Item = ValueRef<'a>> {
        std::iter::from_fn(move || match &mut self {
            LinksRef::Values(values) => values.split_off_first().map(ValueRef::from),
            LinksRef::Bytes(encoded) => encoded.next_value().and_then(view),
        })
    }
}
