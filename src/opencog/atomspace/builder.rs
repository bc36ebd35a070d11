//! Builds an [`AtomSpace`], each atom once.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::atom_store::AtomId;
use super::atom_table::{AtomTable, Content};
use super::atoms::Atoms;
use super::declarations::Declarations;
use super::error::Error;
use super::identity::Role;
use super::number;
use super::replaced::{self, Gone, Left};
use super::space::{AtomSpace, Values};
use super::terms::Terms;
use super::types::{AtomType, Kind, TypeId, TypeTable};
use super::value::{ATTENTION_KEY, AttentionValue, TRUTH_KEY, TruthValue, Value};

/// A space that grows. An atom is added after what it holds; adding it again gives the same id.
///
/// Beside name and outgoing set, atoms are told apart as AtomSpace does it: numbers and names of
/// types have one spelling; links that differ in the names of bound variables only are one; of the
/// `StateLink`s of a key without variables the last one stays, of its `GrantLink`s the first. A
/// second definition of the same is kept here; AtomSpace, and who reads text, refuses it.
#[derive(Debug, Clone)]
pub struct Builder {
    declarations: Arc<Declarations>,
    types: TypeTable,
    /// What each type is to the identity of atoms.
    roles: Vec<Role>,
    atoms: Atoms,
    table: AtomTable,
    values: Values,
    /// What an unordered link holds, in its one order.
    sorted: Vec<AtomId>,
    /// Scopes by what they say, whatever their variables are called.
    scopes: FxHashMap<u128, AtomId>,
    /// The state, grant or definition of each key, by the type of link.
    unique: FxHashMap<(TypeId, AtomId), AtomId>,
    /// States that another one took the place of, and that one, in this order.
    replaced: Vec<(AtomId, AtomId)>,
}

/// How many atoms one that is written again may hold, itself among them.
const MOST_AGAIN: usize = 64;

/// An atom that was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Added {
    /// Its id.
    pub atom: AtomId,
    /// Whether it was not there before.
    pub is_new: bool,
}

impl Default for Builder {
    fn default() -> Builder {
        Builder::with_types(Declarations::builtin().clone())
    }
}

impl Builder {
    /// An empty space, with the types that OpenCog's modules declare.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// An empty space, with the types that are declared here.
    pub fn with_types(declarations: Arc<Declarations>) -> Builder {
        Builder {
            declarations,
            types: TypeTable::default(),
            roles: Vec::new(),
            atoms: Atoms::default(),
            table: AtomTable::default(),
            values: Values::default(),
            sorted: Vec::new(),
            scopes: FxHashMap::default(),
            unique: FxHashMap::default(),
            replaced: Vec::new(),
        }
    }

    /// The types that are declared.
    pub fn declarations(&self) -> &Arc<Declarations> {
        &self.declarations
    }

    /// How many atoms there are.
    pub fn atom_count(&self) -> usize {
        self.atoms.len()
    }

    /// About how many bytes of memory the atoms and their values take.
    pub(super) fn bytes(&self) -> usize {
        self.atoms.bytes() + self.table.bytes() + self.values.bytes()
    }

    /// Whether what is added next may be what is there though it is not the same: a scope of other
    /// variables, or another state.
    pub(super) fn has_scopes_or_states(&self) -> bool {
        !self.scopes.is_empty() || !self.unique.is_empty()
    }

    /// The space so far. What is added next belongs to another one, whose types have the same ids.
    pub(super) fn take_part(&mut self) -> AtomSpace {
        let next = Builder {
            types: self.types.clone(),
            roles: self.roles.clone(),
            ..Builder::with_types(self.declarations.clone())
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
        let new = AtomType::declared(&self.declarations, name, kind);
        let role = Role::of(&new, &self.declarations);
        let limit = 1 << 16;
        let id = self.types.intern(new).ok_or(Error::Limit { what: "types of atoms", limit })?;
        if id.index() == self.roles.len() {
            self.roles.push(role);
        }
        Ok(id)
    }

    /// Adds a node. The name of a `NumberNode` is brought into its one spelling, that of a
    /// `TypeNode` into the long name of the type.
    ///
    /// # Errors
    /// There are 2^32 - 1 atoms or 2^32 - 1 bytes of names already.
    ///
    /// # Panics
    /// `of` is no type of nodes of this space.
    pub fn add_node(&mut self, of: TypeId, name: &[u8]) -> Result<Added, Error> {
        assert_eq!(self.types()[of.index()].kind, Kind::Node, "a node has a type of nodes");
        match self.roles[of.index()] {
            Role::Number => {
                if let Some(normal) = number::normal_name(name) {
                    return self.intern(of, Content::Name(&normal));
                }
            }
            Role::TypeName => {
                let declarations = self.declarations.clone();
                let text = std::str::from_utf8(name).ok();
                if let Some(long) = text.and_then(|name| declarations.long_name(name)) {
                    return self.intern(of, Content::Name(long.as_bytes()));
                }
            }
            _ => (),
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
            return match self.roles[of.index()] {
                role if role.is_scope() => self.add_scope(of, outgoing),
                role if role.is_unique() => self.add_unique(of, outgoing),
                _ => self.intern(of, Content::Outgoing(outgoing)),
            };
        }
        let mut sorted = std::mem::take(&mut self.sorted);
        sorted.clear();
        sorted.extend_from_slice(outgoing);
        sorted.sort_unstable();
        let added = self.intern(of, Content::Outgoing(&sorted));
        self.sorted = sorted;
        added
    }

    /// Whether a link of this type may be one that is there and holds other atoms.
    pub(super) fn may_hold_others(&self, of: TypeId) -> bool {
        let role = self.roles[of.index()];
        role.is_scope() || role == Role::Grant
    }

    /// Whether AtomSpace refuses a link beside those that there are: a second definition of what is
    /// defined.
    pub(super) fn is_refused(&self, of: TypeId, outgoing: &[AtomId]) -> bool {
        let known = || self.unique.get(&(of, *outgoing.first()?));
        self.roles[of.index()] == Role::Unique
            && known().is_some_and(|&known| self.atoms.outgoing(known) != outgoing)
    }

    fn terms(&self) -> Terms<'_> {
        Terms { atoms: &self.atoms, roles: &self.roles, types: self.types.types() }
    }

    fn add_scope(&mut self, of: TypeId, outgoing: &[AtomId]) -> Result<Added, Error> {
        if let Some(atom) = self.table.find(&self.atoms, of, Content::Outgoing(outgoing)) {
            return Ok(Added { atom, is_new: false });
        }
        let fingerprint = self.terms().fingerprint(of, outgoing);
        let known = fingerprint.and_then(|fingerprint| self.scopes.get(&fingerprint));
        if let Some(&atom) = known {
            return Ok(Added { atom, is_new: false });
        }
        let added = self.intern(of, Content::Outgoing(outgoing))?;
        self.scopes.extend(fingerprint.map(|fingerprint| (fingerprint, added.atom)));
        Ok(added)
    }

    fn add_unique(&mut self, of: TypeId, outgoing: &[AtomId]) -> Result<Added, Error> {
        let role = self.roles[of.index()];
        let is_open = || role != Role::Unique && !self.terms().is_closed(outgoing);
        let key = outgoing.first().filter(|_| !is_open());
        let Some(&key) = key else { return self.intern(of, Content::Outgoing(outgoing)) };
        let known = self.unique.get(&(of, key)).copied();
        match known {
            Some(atom) if role == Role::Grant => return Ok(Added { atom, is_new: false }),
            // the first definition stays the one that counts
            Some(_) if role == Role::Unique => return self.intern(of, Content::Outgoing(outgoing)),
            _ => (),
        }
        let added = self.intern(of, Content::Outgoing(outgoing))?;
        if added.is_new {
            self.unique.insert((of, key), added.atom);
            if let Some(old) = known {
                self.replaced.push((old, added.atom));
                self.table.remove(&self.atoms, old, false);
            }
        }
        Ok(added)
    }

    /// How many states others took the place of.
    pub(super) fn replaced_count(&self) -> usize {
        self.replaced.len()
    }

    /// The atom as it is if it is written again: where another state took the place of a state that
    /// it is or holds, that is the state of its key again. One that holds very many atoms stays as it
    /// is.
    pub(super) fn again(&mut self, atom: AtomId) -> Result<AtomId, Error> {
        if self.replaced.is_empty() {
            return Ok(atom);
        }
        let Some(all) = self.all_in(atom, MOST_AGAIN) else { return Ok(atom) };
        // What a link holds comes before it.
        let mut new: Vec<AtomId> = Vec::with_capacity(all.len());
        let mut outgoing = Vec::new();
        for &old in &all {
            let of = self.atoms.type_of(old);
            if self.types()[of.index()].kind == Kind::Node {
                new.push(old);
                continue;
            }
            let now = |held: &AtomId| all.binary_search(held).map_or(*held, |place| new[place]);
            outgoing.clear();
            outgoing.extend(self.atoms.outgoing(old).iter().map(now));
            let is_same = outgoing == self.atoms.outgoing(old) && !self.is_replaced(of, old);
            new.push(if is_same { old } else { self.add_link(of, &outgoing)?.atom });
        }
        Ok(new.pop().unwrap_or(atom))
    }

    /// An atom and all that it holds, ascending, each once; none if there are more than so many.
    fn all_in(&self, atom: AtomId, most: usize) -> Option<Vec<AtomId>> {
        let mut all = vec![atom];
        let mut place = 0;
        while place < all.len() {
            let of = self.atoms.type_of(all[place]);
            if self.types()[of.index()].kind == Kind::Link {
                for &held in self.atoms.outgoing(all[place]) {
                    if !all.contains(&held) {
                        all.push(held);
                    }
                }
            }
            place += 1;
            if all.len() > most {
                return None;
            }
        }
        all.sort_unstable();
        Some(all)
    }

    fn is_replaced(&self, of: TypeId, atom: AtomId) -> bool {
        let outgoing = self.atoms.outgoing(atom);
        let is_other = |key: &AtomId| self.unique.get(&(of, *key)).is_some_and(|now| *now != atom);
        self.roles[of.index()] == Role::State
            && outgoing.first().is_some_and(is_other)
            && self.terms().is_closed(outgoing)
    }

    fn intern(&mut self, of: TypeId, content: Content) -> Result<Added, Error> {
        let (atom, is_new) = self.table.intern(&mut self.atoms, of, content)?;
        Ok(Added { atom, is_new })
    }

    /// Takes the last atoms out again, until there are `count`. They must have no values yet.
    pub(super) fn truncate(&mut self, count: usize) {
        while self.atoms.len() > count {
            let last = AtomId(self.atoms.len() as u32 - 1);
            let of = self.atoms.type_of(last);
            let is_node = self.types()[of.index()].kind == Kind::Node;
            match self.roles[of.index()] {
                role if role.is_unique() => self.forget_unique(of, last),
                role if role.is_scope() => self.forget_scope(of, last),
                _ => (),
            }
            self.table.remove_last(&mut self.atoms, is_node);
        }
    }

    /// As if a scope, the last atom, had not been given.
    fn forget_scope(&mut self, of: TypeId, last: AtomId) {
        let fingerprint = self.terms().fingerprint(of, self.atoms.outgoing(last));
        if let Some(fingerprint) = fingerprint
            && self.scopes.get(&fingerprint) == Some(&last)
        {
            self.scopes.remove(&fingerprint);
        }
    }

    /// As if a state, grant or definition, the last atom, had not been given.
    fn forget_unique(&mut self, of: TypeId, last: AtomId) {
        let Some(&key) = self.atoms.outgoing(last).first() else { return };
        if self.unique.get(&(of, key)) == Some(&last) {
            self.unique.remove(&(of, key));
        }
        if let Some((old, _)) = self.replaced.pop_if(|(_, by)| *by == last) {
            self.unique.insert((of, key), old);
            self.table.insert(&self.atoms, old, false);
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
        if let Some(key) = self.key_named(atom, name) {
            self.set_other_value(atom, key, None);
        }
    }

    /// The key of this name among those that an atom has other values under.
    fn key_named(&self, atom: AtomId, name: &[u8]) -> Option<AtomId> {
        let values = self.values.other.get(&atom)?;
        let mut keys = values.iter().map(|&(key, _)| key);
        keys.find(|&key| self.predicate_name(key) == Some(name))
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

    /// Whether an atom has a truth value, or another value under its key.
    pub(super) fn has_truth(&self, atom: AtomId) -> bool {
        self.values.truth.get(atom).is_some() || self.key_named(atom, TRUTH_KEY).is_some()
    }

    /// Whether an atom has an attention value, or another value under its key.
    pub(super) fn has_attention(&self, atom: AtomId) -> bool {
        self.values.attention.get(atom).is_some() || self.key_named(atom, ATTENTION_KEY).is_some()
    }

    /// Whether an atom has a value under a key.
    pub(super) fn has_value(&self, atom: AtomId, key: AtomId) -> bool {
        match self.predicate_name(key) {
            Some(TRUTH_KEY) => self.has_truth(atom),
            Some(ATTENTION_KEY) => self.has_attention(atom),
            _ => {
                let values = self.values.other.get(&atom).map_or(&[][..], Vec::as_slice);
                values.binary_search_by_key(&key, |&(key, _)| key).is_ok()
            }
        }
    }

    /// The space, with its indexes.
    pub fn finish(self) -> AtomSpace {
        self.finish_without().0
    }

    /// The space, and what is gone with states that others took the place of.
    pub(super) fn finish_without(self) -> (AtomSpace, Gone) {
        let Builder { types, atoms, table, values, replaced, .. } = self;
        if replaced.is_empty() {
            return (AtomSpace::new(types, atoms, table, values), Gone::default());
        }
        let left = replaced::without(&types, &atoms, &values, &replaced);
        let Left { atoms, table, values, gone } = left;
        (AtomSpace::new(types, atoms, table, values), gone)
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
