//! Builds an [`AtomSpace`], each atom once.

use super::atom_store::AtomId;
use super::atom_table::{AtomTable, Content};
use super::atoms::Atoms;
use super::error::Error;
use super::number;
use super::space::{AtomSpace, Values};
use super::types::{AtomType, Kind, TypeId, TypeTable};
use super::value::{ATTENTION_KEY, AttentionValue, TRUTH_KEY, TruthValue, Value};

/// A space that grows. An atom is added after what it holds; adding it again gives the same id.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    types: TypeTable,
    /// The type whose names are numbers in one spelling, once there is one.
    number_node: Option<TypeId>,
    atoms: Atoms,
    table: AtomTable,
    values: Values,
    /// What an unordered link holds, in its one order.
    sorted: Vec<AtomId>,
}

/// About how many bytes the values of an atom under other keys take: mostly a few numbers.
const BYTES_OF_OTHERS: usize = 200;

/// An atom that was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Added {
    /// Its id.
    pub atom: AtomId,
    /// Whether it was not there before.
    pub is_new: bool,
}

impl Builder {
    /// An empty space.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// How many atoms there are.
    pub fn atom_count(&self) -> usize {
        self.atoms.len()
    }

    /// About how many bytes of memory the atoms and their values take.
    pub(super) fn bytes(&self) -> usize {
        let Values { truth, attention, other } = &self.values;
        let values = truth.bytes() + attention.bytes() + other.len() * BYTES_OF_OTHERS;
        self.atoms.bytes() + self.table.bytes() + values
    }

    /// The space so far. What is added next belongs to another one, whose types have the same ids.
    pub(super) fn take_part(&mut self) -> AtomSpace {
        let next = Builder {
            types: self.types.clone(),
            number_node: self.number_node,
            ..Builder::default()
        };
        std::mem::replace(self, next).finish()
    }

    /// The types so far.
    pub fn types(&self) -> &[AtomType] {
        self.types.types()
    }

    /// The type that this name, long or short, means for an atom of this kind.
    ///
    /// # Errors
    /// There are 65,536 types already.
    pub fn add_type(&mut self, name: &str, kind: Kind) -> Result<TypeId, Error> {
        let new = AtomType::named(name, kind);
        let is_number = &*new.name == "NumberNode" && kind == Kind::Node;
        let limit = 1 << 16;
        let id = self.types.intern(new).ok_or(Error::Limit { what: "types of atoms", limit })?;
        if is_number {
            self.number_node = Some(id);
        }
        Ok(id)
    }

    /// Adds a node. The name of a `NumberNode` is brought into its one spelling.
    ///
    /// # Errors
    /// There are 2^32 - 1 atoms or 2^32 - 1 bytes of names already.
    ///
    /// # Panics
    /// `of` is no type of nodes of this space.
    pub fn add_node(&mut self, of: TypeId, name: &[u8]) -> Result<Added, Error> {
        assert_eq!(self.types()[of.index()].kind, Kind::Node, "a node has a type of nodes");
        if self.number_node == Some(of)
            && let Some(normal) = number::normal_name(name)
        {
            return self.intern(of, Content::Name(&normal));
        }
        self.intern(of, Content::Name(name))
    }

    /// Adds a link; the order of `outgoing` is kept unless the type is unordered.
    ///
    /// # Errors
    /// There are 2^32 - 1 atoms or 2^32 - 1 members of links already.
    ///
    /// # Panics
    /// `of` is no type of links of this space, or an atom in `outgoing` is none of it.
    pub fn add_link(&mut self, of: TypeId, outgoing: &[AtomId]) -> Result<Added, Error> {
        let AtomType { kind, unordered, .. } = self.types()[of.index()];
        assert_eq!(kind, Kind::Link, "a link has a type of links");
        let count = self.atom_count();
        assert!(outgoing.iter().all(|atom| atom.index() < count), "what a link holds is there");
        if !unordered {
            return self.intern(of, Content::Outgoing(outgoing));
        }
        let mut sorted = std::mem::take(&mut self.sorted);
        sorted.clear();
        sorted.extend_from_slice(outgoing);
        sorted.sort_unstable();
        let added = self.intern(of, Content::Outgoing(&sorted));
        self.sorted = sorted;
        added
    }

    fn intern(&mut self, of: TypeId, content: Content) -> Result<Added, Error> {
        let (atom, is_new) = self.table.intern(&mut self.atoms, of, content)?;
        Ok(Added { atom, is_new })
    }

    /// Takes the last atoms out again, until there are `count`. They must have no values yet.
    pub(super) fn truncate(&mut self, count: usize) {
        while self.atoms.len() > count {
            let of = self.atoms.type_of(AtomId(self.atoms.len() as u32 - 1));
            let is_node = self.types()[of.index()].kind == Kind::Node;
            self.table.remove_last(&mut self.atoms, is_node);
        }
    }

    /// Gives an atom a truth value, or takes it, and with it what else stands under its key.
    pub fn set_truth_value(&mut self, atom: AtomId, value: Option<TruthValue>) {
        self.clear_other_value(atom, TRUTH_KEY);
        match value {
            Some(value) => self.values.truth.set(atom, value, value.bits()),
            None => self.values.truth.clear(atom),
        }
    }

    /// Gives an atom an attention value, or takes it, and with it what else stands under its key.
    pub fn set_attention_value(&mut self, atom: AtomId, value: Option<AttentionValue>) {
        self.clear_other_value(atom, ATTENTION_KEY);
        match value {
            Some(value) => self.values.attention.set(atom, value, value.bits()),
            None => self.values.attention.clear(atom),
        }
    }

    /// Gives an atom a value under a key, or takes it. Under the keys of truth and of attention
    /// values, what is such a value becomes the atom's.
    pub fn set_value(&mut self, atom: AtomId, key: AtomId, value: Option<Value>) {
        let name = self.predicate_name(key);
        let (of_truth, of_attention) = (name == Some(TRUTH_KEY), name == Some(ATTENTION_KEY));
        let truth = value.as_ref().filter(|_| of_truth).and_then(Value::as_truth);
        let attention = value.as_ref().filter(|_| of_attention).and_then(Value::as_attention);
        if of_truth {
            self.set_truth_value(atom, truth);
        }
        if of_attention {
            self.set_attention_value(atom, attention);
        }
        let is_set = truth.is_some() || attention.is_some();
        self.set_other_value(atom, key, value.filter(|_| !is_set));
    }

    /// The name of an atom that is a `PredicateNode`.
    fn predicate_name(&self, atom: AtomId) -> Option<&[u8]> {
        let of = &self.types()[self.atoms.type_of(atom).index()];
        let is_predicate = of.kind == Kind::Node && &*of.name == "PredicateNode";
        is_predicate.then(|| self.atoms.name(atom))
    }

    /// Takes what an atom has under the key of this name beside truth and attention values.
    fn clear_other_value(&mut self, atom: AtomId, name: &[u8]) {
        let Some(values) = self.values.other.get(&atom) else { return };
        let mut keys = values.iter().map(|&(key, _)| key);
        if let Some(key) = keys.find(|&key| self.predicate_name(key) == Some(name)) {
            self.set_other_value(atom, key, None);
        }
    }

    fn set_other_value(&mut self, atom: AtomId, key: AtomId, value: Option<Value>) {
        let of_atom = self.values.other.entry(atom).or_default();
        match (of_atom.binary_search_by_key(&key, |&(key, _)| key), value) {
            (Ok(at), Some(value)) => of_atom[at].1 = value,
            (Ok(at), None) => drop(of_atom.remove(at)),
            (Err(at), Some(value)) => of_atom.insert(at, (key, value)),
            (Err(_), None) => (),
        }
        if of_atom.is_empty() {
            self.values.other.remove(&atom);
        }
    }

    /// The space, with its indexes.
    pub fn finish(self) -> AtomSpace {
        AtomSpace::new(self.types, self.atoms, self.table, self.values)
    }
}

#[cfg(test)]
mod tests {
    use super::super::atom_store::AtomStore;
    use super::*;

    #[test]
    fn each_atom_is_there_once() {
        let mut builder = Builder::new();
        let concept = builder.add_type("Concept", Kind::Node).unwrap();
        let set = builder.add_type("SetLink", Kind::Link).unwrap();
        let list = builder.add_type("List", Kind::Link).unwrap();
        let a = builder.add_node(concept, b"a").unwrap();
        let b = builder.add_node(concept, b"b").unwrap().atom;
        assert!(a.is_new);
        let a = a.atom;
        assert_eq!(builder.add_node(concept, b"a").unwrap(), Added { atom: a, is_new: false });
        let ab = builder.add_link(set, &[a, b]).unwrap().atom;
        assert_eq!(builder.add_link(set, &[b, a]).unwrap(), Added { atom: ab, is_new: false });
        let ordered = builder.add_link(list, &[a, b]).unwrap().atom;
        assert!(builder.add_link(list, &[b, a]).unwrap().is_new);
        let empty = builder.add_link(list, &[]).unwrap().atom;
        let twice = builder.add_link(list, &[a, a]).unwrap().atom;
        let space = builder.finish();
        assert_eq!(space.atom_count(), 7);
        assert_eq!(space.by_name(concept, b"b"), Some(b));
        assert_eq!(space.by_outgoing(set, &[b, a]), Some(ab));
        assert_eq!(space.by_outgoing(list, &[]), Some(empty));
        assert_eq!(space.incoming(b).collect::<Vec<_>>(), [ab, ordered, AtomId(4)]);
        assert_eq!(space.incoming(a).last(), Some(twice));
        assert_eq!(space.incoming(a).len(), 4);
        assert_eq!(space.by_type(list).len(), 4);
        assert_eq!(space.find_type("SetLink", Kind::Link), Some(set));
    }

    #[test]
    fn atoms_can_be_taken_out_again() {
        let mut builder = Builder::new();
        let concept = builder.add_type("Concept", Kind::Node).unwrap();
        let list = builder.add_type("List", Kind::Link).unwrap();
        let a = builder.add_node(concept, b"a").unwrap().atom;
        let b = builder.add_node(concept, b"b").unwrap().atom;
        builder.add_link(list, &[a, b]).unwrap();
        builder.truncate(1);
        assert_eq!(builder.atom_count(), 1);
        assert_eq!(builder.add_node(concept, b"c").unwrap(), Added { atom: b, is_new: true });
        assert!(builder.add_link(list, &[a, b]).unwrap().is_new);
        let space = builder.finish();
        assert_eq!(space.by_name(concept, b"b"), None);
        assert_eq!(space.name(b).unwrap(), &b"c"[..]);
    }

    #[test]
    fn numbers_are_nodes_by_value() {
        let mut builder = Builder::new();
        let number = builder.add_type("NumberNode", Kind::Node).unwrap();
        let half = builder.add_node(number, b"0.50").unwrap().atom;
        assert_eq!(builder.add_node(number, b".5").unwrap().atom, half);
        assert_eq!(builder.finish().name(half).unwrap(), &b"0.5"[..]);
    }

    #[test]
    fn values_are_set_and_taken() {
        let mut builder = Builder::new();
        let concept = builder.add_type("Concept", Kind::Node).unwrap();
        let [a, k, l] = [b"a", b"k", b"l"].map(|n| builder.add_node(concept, n).unwrap().atom);
        let truth = TruthValue::Simple { strength: 0.1, confidence: 0.2 };
        builder.set_truth_value(a, Some(truth));
        builder.set_truth_value(k, Some(truth));
        builder.set_truth_value(k, None);
        builder.set_value(a, l, Some(Value::Void));
        builder.set_value(a, k, Some(Value::Floats(vec![1.0])));
        builder.set_value(a, l, None);
        builder.set_attention_value(l, Some(AttentionValue { sti: 3.0, lti: 2.0, vlti: 1.0 }));
        let space = builder.finish();
        assert_eq!(space.truth_value(a), Some(truth));
        assert_eq!(space.truth_value(k), None);
        assert_eq!(space.attention_value(l).unwrap().lti, 2.0);
        assert_eq!(space.attention_value(a), None);
        let values: Vec<_> = space.values(a).map(|(key, value)| (key, value.to_value())).collect();
        assert_eq!(values, [(k, Value::Floats(vec![1.0]))]);
        assert_eq!(space.values(l).count(), 0);
    }

    #[test]
    fn what_is_under_the_key_of_truth_values_is_one() {
        let mut builder = Builder::new();
        let predicate = builder.add_type("Predicate", Kind::Node).unwrap();
        let key = builder.add_node(predicate, TRUTH_KEY).unwrap().atom;
        let [a, b, c] = [b"a", b"b", b"c"].map(|n| builder.add_node(predicate, n).unwrap().atom);
        let floats = |numbers: &[f64]| Some(Value::Floats(numbers.to_vec()));
        builder.set_value(a, key, floats(&[1.0]));
        builder.set_value(a, key, floats(&[0.5, 0.25]));
        builder.set_value(b, key, floats(&[0.5, 0.25]));
        builder.set_value(b, key, None);
        builder.set_value(c, key, floats(&[0.5, 0.25]));
        builder.set_value(c, key, floats(&[1.0]));
        let space = builder.finish();
        let simple = TruthValue::Simple { strength: 0.5, confidence: 0.25 };
        assert_eq!([a, b, c].map(|atom| space.truth_value(atom)), [Some(simple), None, None]);
        assert_eq!([a, b, c].map(|atom| space.values(atom).count()), [0, 0, 1]);
    }
}
