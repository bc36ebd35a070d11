//! The types of the atoms in a space: open, so that a type that no table knows is fine.

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;
use std::hash::BuildHasher;

use super::declarations::{Declarations, Sort};

/// A type of a store: an index into [`AtomStore::types`](super::AtomStore::types).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId(pub u16);

impl TypeId {
    /// As an index.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Whether an atom has a name or an outgoing set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// It has a name.
    Node,
    /// It has an outgoing set.
    Link,
}

/// A type of atoms. Where a file uses one name for nodes and for links, these are two types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtomType {
    /// The long name (`ConceptNode`), or for a type that no table knows, the name as written.
    pub name: Box<str>,
    /// What its atoms have.
    pub kind: Kind,
    /// Whether the order of outgoing says nothing: `(SetLink A B)` is `(SetLink B A)`.
    pub unordered: bool,
}

impl AtomType {
    /// The type that files mean by `name`, long or short, where an atom of `kind` has it and the
    /// types are those of OpenCog's modules.
    pub fn named(name: &str, kind: Kind) -> AtomType {
        AtomType::declared(Declarations::builtin(), name, kind)
    }

    /// The type that files mean by `name`, long or short, where an atom of `kind` has it.
    pub(super) fn declared(all: &Declarations, name: &str, kind: Kind) -> AtomType {
        match all.find(name, Sort::Atom(kind)) {
            Some(found) => {
                let is = |ancestor| all.is_a(found, ancestor);
                let unordered = is("UnorderedLink") || is("UnorderedSig");
                AtomType { name: found.name.clone(), kind, unordered }
            }
            None => AtomType { name: name.into(), kind, unordered: false },
        }
    }
}

/// The types of a space in the order of their first use, found by name.
#[derive(Debug, Clone, Default)]
pub(super) struct TypeTable {
    types: Vec<AtomType>,
    by_name: HashTable<TypeId>,
}

fn hash(name: &str, kind: Kind) -> u64 {
    FxBuildHasher.hash_one((name, kind))
}

impl TypeTable {
    pub fn types(&self) -> &[AtomType] {
        &self.types
    }

    /// The type of this long name.
    pub fn find(&self, name: &str, kind: Kind) -> Option<TypeId> {
        let is = |id: &TypeId| {
            let known = &self.types[id.index()];
            known.kind == kind && &*known.name == name
        };
        self.by_name.find(hash(name, kind), is).copied()
    }

    /// The type's id, which is a new one if it is new; none where there are too many.
    pub fn intern(&mut self, new: AtomType) -> Option<TypeId> {
        if let Some(id) = self.find(&new.name, new.kind) {
            return Some(id);
        }
        let id = TypeId(u16::try_from(self.types.len()).ok()?);
        let hash_of_new = hash(&new.name, new.kind);
        self.types.push(new);
        let types = &self.types;
        let rehash = |id: &TypeId| hash(&types[id.index()].name, types[id.index()].kind);
        self.by_name.insert_unique(hash_of_new, id, rehash);
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_synonyms_of_long_ones() {
        assert_eq!(&*AtomType::named("Concept", Kind::Node).name, "ConceptNode");
        assert_eq!(&*AtomType::named("List", Kind::Link).name, "ListLink");
        assert_eq!(&*AtomType::named("Feature", Kind::Link).name, "FeatureLink");
        assert_eq!(&*AtomType::named("Feature", Kind::Node).name, "FeatureNode");
        assert_eq!(&*AtomType::named("Section", Kind::Link).name, "Section");
        assert!(AtomType::named("Set", Kind::Link).unordered);
        assert!(!AtomType::named("ListLink", Kind::Link).unordered);
    }

    #[test]
    fn unknown_types_keep_their_name() {
        let mut table = TypeTable::default();
        let seen = table.intern(AtomType::named("WeirdNode", Kind::Node)).unwrap();
        assert_eq!(table.intern(AtomType::named("WeirdNode", Kind::Node)), Some(seen));
        assert_ne!(table.intern(AtomType::named("WeirdNode", Kind::Link)), Some(seen));
        assert_eq!(table.find("WeirdNode", Kind::Node), Some(seen));
        assert_eq!(table.types().len(), 2);
    }

    #[test]
    fn there_are_at_most_65536_types() {
        let mut table = TypeTable::default();
        for i in 0..=u16::MAX {
            table.intern(AtomType::named(&format!("T{i}"), Kind::Node)).unwrap();
        }
        assert_eq!(table.intern(AtomType::named("OneMore", Kind::Node)), None);
        assert_eq!(table.intern(AtomType::named("T7", Kind::Node)), Some(TypeId(7)));
    }
}
