//! Atoms in the one order that files have them in, so that equal AtomSpaces make equal files.

use crate::gguf::Strings;
use crate::opencog::atomspace::{AtomId, AtomStore, AtomType, AttentionValue, Kind, TypeId};
use crate::opencog::ecan::{AtomAttention, AttentionValues};

use super::TruthCoding;
use super::columns::{self, Dictionary, TruthColumn, ValueColumn};
use super::groups::GroupSize;
use super::value_view::coded_value;

/// An AtomSpace in the order of files, not yet packed.
///
/// Types: those of nodes first, by name. Atoms: by height, type and arity (a group), in a group by
/// name or by outgoing set.
#[derive(Debug, Clone, PartialEq)]
pub struct Ordered {
    pub(super) types: Vec<AtomType>,
    pub(super) groups: Vec<GroupSize>,
    /// Of the nodes.
    pub(super) names: Strings,
    /// The outgoing sets of the links, one after another.
    pub(super) outgoing: Vec<u32>,
    pub(super) truth: TruthColumn,
    pub(super) attention: Dictionary<Vec<AttentionValue>>,
    pub(super) values: ValueColumn,
}

/// The truth values of ordered atoms, in one coding.
pub struct OrderedTruth(TruthColumn);

impl Ordered {
    /// Orders the atoms of a store and codes their truth values.
    pub fn of(store: &impl AtomStore, coding: TruthCoding) -> Ordered {
        Ordered::with_places(store, coding).0
    }

    /// As [`Ordered::of`], and the new id of each atom of the store.
    pub fn with_places(store: &impl AtomStore, coding: TruthCoding) -> (Ordered, Vec<u32>) {
        let Order { types, groups, outgoing, old, new, .. } = Order::of(store);
        let id = |atom: AtomId| AtomId(new[atom.index()]);
        let names = old.iter().map_while(|&atom| store.name(atom)).collect();
        let ordered = Ordered {
            types,
            groups,
            names,
            outgoing,
            truth: columns::truth_column(columns::truth_values(store, &old), coding),
            attention: columns::attention_column(store, &old),
            values: columns::value_column(store, &old, &id),
        };
        (ordered, new)
    }

    /// A copy of the truth values.
    pub fn truth(&self) -> OrderedTruth {
        OrderedTruth(self.truth.clone())
    }

    /// Codes truth values that are exact so far.
    pub fn code_truth(&mut self, coding: TruthCoding) {
        let given = std::mem::take(&mut self.truth.exact);
        self.truth = columns::truth_column(given, coding);
    }

    /// Puts truth values of the same atoms in the place of those that there are.
    pub fn set_truth(&mut self, truth: OrderedTruth) {
        self.truth = truth.0;
    }

    /// The atoms that have attention values, ascending, and these values; none where a value is
    /// not finite or a VLTI no count, which no 8-bit code has. A VLTI below 0 is 0, as in ECAN.
    pub fn attention_values(&self) -> Option<(Vec<u32>, AttentionValues)> {
        let (mut atoms, mut values) = (Vec::new(), AttentionValues::default());
        for (atom, &code) in (0..).zip(&self.attention.codes) {
            let Some(place) = (code as usize).checked_sub(1) else { continue };
            let AttentionValue { sti, lti, vlti } = self.attention.distinct[place];
            let vlti = if vlti < 0.0 { 0.0 } else { vlti };
            let count = (vlti >= 0.0 && vlti <= u32::MAX.into() && vlti.fract() == 0.0)
                .then_some(vlti as u32)?;
            if !sti.is_finite() || !lti.is_finite() {
                return None;
            }
            atoms.push(atom);
            values.sti.push(sti);
            values.lti.push(lti);
            values.vlti.push(count);
        }
        Some((atoms, values))
    }

    /// How many attention values are distinct: up to 255 take a byte an atom, and nothing is lost.
    pub fn distinct_attention(&self) -> usize {
        self.attention.distinct.len()
    }

    /// Puts coded attention values in the place of those that there are.
    pub fn set_attention(&mut self, coded: &AtomAttention) {
        let values = (0..self.atom_count() as u32).map(|atom| coded_value(coded, AtomId(atom)));
        self.attention = Dictionary::of(values, |value| value.bits());
    }

    /// Forgets the attention values, which a section of their own may have.
    pub fn take_attention(&mut self) {
        self.attention.codes.fill(0);
        self.attention.distinct.clear();
    }

    /// How many atoms there are.
    pub fn atom_count(&self) -> usize {
        self.groups.iter().map(|group| group.count as usize).sum()
    }
}

/// The order of a store's atoms, and what it makes of names, outgoing sets and groups.
pub(super) struct Order<'a, S> {
    store: &'a S,
    pub types: Vec<AtomType>,
    /// The new type for each old one; unused ones have none.
    type_id: Vec<Option<TypeId>>,
    /// By old id.
    heights: Vec<u32>,
    pub groups: Vec<GroupSize>,
    pub outgoing: Vec<u32>,
    /// The old ids in the new order.
    pub old: Vec<AtomId>,
    /// The new ids by old id.
    pub new: Vec<u32>,
}

impl<'a, S: AtomStore> Order<'a, S> {
    pub fn of(store: &'a S) -> Order<'a, S> {
        let mut order = Order::unordered(store);
        order.put_nodes();
        order.put_links();
        order
    }

    fn unordered(store: &'a S) -> Order<'a, S> {
        let mut used = vec![false; store.types().len()];
        store.atoms().for_each(|atom| used[store.type_of(atom).index()] = true);
        let mut sorted: Vec<usize> = (0..used.len()).filter(|&of| used[of]).collect();
        sorted.sort_unstable_by_key(|&of| (store.types()[of].kind, &store.types()[of].name));
        let mut type_id = vec![None; used.len()];
        for (id, &of) in (0..).zip(&sorted) {
            type_id[of] = Some(TypeId(id));
        }
        let mut heights: Vec<u32> = Vec::with_capacity(store.atom_count());
        for atom in store.atoms() {
            let height = match store.types()[store.type_of(atom).index()].kind {
                Kind::Node => 0,
                // What a link holds has smaller ids.
                Kind::Link => {
                    let below = store.outgoing(atom).map(|member| heights[member.index()]).max();
                    1 + below.unwrap_or(0)
                }
            };
            heights.push(height);
        }
        Order {
            store,
            types: sorted.into_iter().map(|of| store.types()[of].clone()).collect(),
            type_id,
            heights,
            groups: Vec::new(),
            outgoing: Vec::new(),
            old: Vec::with_capacity(store.atom_count()),
            new: vec![0; store.atom_count()],
        }
    }

    /// The new type of an atom of the store.
    fn type_of(&self, atom: AtomId) -> TypeId {
        // Every type that an atom has is used.
        self.type_id[self.store.type_of(atom).index()].unwrap_or(TypeId(0))
    }

    fn put_nodes(&mut self) {
        let store = self.store;
        // Room for these alone: a vector that grows leaves holes in memory.
        let count = self.heights.iter().filter(|&&height| height == 0).count();
        let mut nodes = Vec::with_capacity(count);
        let atoms = store.atoms().filter(|atom| self.heights[atom.index()] == 0);
        nodes.extend(atoms.map(|atom| (self.type_of(atom), store.name(atom), atom)));
        nodes.sort_unstable();
        for (of, _, atom) in nodes {
            self.put(atom, GroupSize { of, height: 0, arity: 0, count: 1 });
        }
    }

    fn put_links(&mut self) {
        let mut links: Vec<AtomId> = Vec::with_capacity(self.store.atom_count() - self.old.len());
        links.extend(self.store.atoms().filter(|atom| self.heights[atom.index()] > 0));
        links.sort_by_key(|atom| self.heights[atom.index()]);
        let heights = std::mem::take(&mut self.heights);
        for level in links.chunk_by(|a, b| heights[a.index()] == heights[b.index()]) {
            self.put_level(level, heights[level[0].index()]);
        }
    }

    /// Puts links of one height. What they hold is put already.
    fn put_level(&mut self, links: &[AtomId], height: u32) {
        let mut members: Vec<u32> = Vec::new();
        let mut keys = Vec::with_capacity(links.len());
        for &link in links {
            let start = members.len();
            members.extend(self.store.outgoing(link).map(|member| self.new[member.index()]));
            let of = self.type_of(link);
            if self.types[of.index()].unordered {
                members[start..].sort_unstable();
            }
            keys.push((of, start..members.len(), link));
        }
        keys.sort_unstable_by_key(|(of, span, link)| {
            (*of, span.len(), &members[span.clone()], *link)
        });
        for (of, span, link) in keys {
            let arity = span.len() as u32;
            self.outgoing.extend(&members[span]);
            self.put(link, GroupSize { of, height, arity, count: 1 });
        }
    }

    /// Puts the next atom, of a group that may be the last one or a new one.
    fn put(&mut self, atom: AtomId, group: GroupSize) {
        self.new[atom.index()] = self.old.len() as u32;
        self.old.push(atom);
        let last = self.groups.last_mut();
        let same = |last: &&mut GroupSize| GroupSize { count: 1, ..**last } == group;
        match last.filter(same) {
            Some(last) => last.count += 1,
            None => self.groups.push(group),
        }
    }
}
