//! The mapped form as a store of atoms.

use std::borrow::Cow;
use std::ops::Range;

use crate::gguf::{Error, Gguf};
use crate::opencog::atomspace::codec::Codec;
use crate::opencog::atomspace::{
    AtomId, AtomStore, AtomType, AttentionValue, Kind, TruthValue, TypeId, ValueRef,
};

use super::Form;
use super::faults::Faults;
use super::groups::{Group, Groups};
use super::name_index::NameIndex;
use super::packed::Packed;
use super::reader::Reader;
use super::section::{key, name};
use super::value_view::{AttentionView, TruthView, ValuesView};

/// An AtomSpace in an open file, queried in place. In memory are only the types and the
/// groups, tables of at most 1.1 MB that lead to these, and attention values where ECAN has coded
/// them and one was asked for.
#[derive(Debug, Clone)]
pub struct PackedSpace<'a> {
    reader: Reader<'a>,
    faults: Faults,
    types: Vec<AtomType>,
    groups: Groups,
    names: &'a [u8],
    name_starts: Packed<'a>,
    name_index: NameIndex<'a>,
    outgoing: Packed<'a>,
    incoming_starts: Packed<'a>,
    incoming: Packed<'a>,
    truth: TruthView<'a>,
    truth_codec: Option<Codec>,
    attention: AttentionView<'a>,
    values: ValuesView<'a>,
}

impl<'a> PackedSpace<'a> {
    /// Opens it: how long that takes depends on the number of groups, not of atoms. Where a part
    /// contradicts others is found when an answer needs it: no query can panic, go on for ever or
    /// read elsewhere, whatever the file says. [`PackedSpace::fault`] tells whether one met that,
    /// [`PackedSpace::verify`] reads all.
    ///
    /// # Errors
    /// The file is no companion, of another version, holds no AtomSpace in the mapped form, or the
    /// lengths of its parts contradict each other.
    pub fn of(gguf: &'a Gguf) -> Result<PackedSpace<'a>, Error> {
        let reader = Reader::new(gguf, Form::Mapped)?;
        let types = reader.types()?;
        let sizes = reader.groups(reader.bytes(name::GROUPS))?;
        // Each atom takes a bit at least.
        let most = reader.file_bytes().saturating_mul(8);
        let groups = Groups::new(&sizes, &types, most).map_err(|fault| reader.fault(fault))?;
        let (atoms, nodes) = (groups.atoms(), u64::from(groups.nodes()));
        if reader.number(key::ATOMS)? != u64::from(atoms) {
            return Err(reader
                .fault(format!("its groups have {atoms} atoms, `{}` says otherwise", key::ATOMS)));
        }
        let last = u64::from(atoms).saturating_sub(1);
        let names = reader.bytes(name::NAMES);
        let index = NameIndex::new(reader.bytes(name::NAME_INDEX), nodes);
        let incoming = reader.number(key::INCOMING)?;
        Ok(PackedSpace {
            reader,
            faults: Faults::default(),
            names,
            name_starts: reader.bounds(name::NAME_STARTS, nodes, names.len() as u64)?,
            name_index: reader.checked(name::NAME_INDEX, index)?,
            outgoing: reader.packed(name::OUTGOING, groups.outgoing(), last)?,
            incoming_starts: reader.bounds(name::INCOMING_STARTS, atoms.into(), incoming)?,
            incoming: reader.packed(name::INCOMING, incoming, last)?,
            truth: TruthView::new(&reader, atoms)?,
            truth_codec: reader.text(key::TRUTH_CODEC).and_then(|name| name.parse().ok()),
            attention: AttentionView::new(&reader, atoms)?,
            values: ValuesView::new(&reader, atoms)?,
            types,
            groups,
        })
    }

    /// Reads the whole file and checks everything by which an answer could be none of what was
    /// packed: for who reads it anyway, or does not trust where it comes from.
    ///
    /// # Errors
    /// A part contradicts others.
    pub fn verify(&self) -> Result<(), Error> {
        let (reader, atoms) = (&self.reader, self.groups.atoms());
        let last = u64::from(atoms).saturating_sub(1);
        let names = self.names.len() as u64;
        reader.check(name::NAME_STARTS, self.name_starts.bounds_lists_up_to(names))?;
        reader.check(name::NAME_INDEX, self.name_index.names_no_others())?;
        reader.check(name::OUTGOING, holds_what_is_before(&self.groups, &self.outgoing))?;
        let incoming = self.incoming.len() as u64;
        reader.check(name::INCOMING_STARTS, self.incoming_starts.bounds_lists_up_to(incoming))?;
        reader.check(name::INCOMING, self.incoming.iter().all(|link| link <= last))?;
        self.truth.verify(reader, atoms)?;
        self.attention.verify(reader)?;
        self.values.verify(reader)
    }

    /// What answers met that cannot be so, if they did: then something else was answered in its
    /// place, and the file is broken.
    pub fn fault(&self) -> Option<Error> {
        self.faults.first().map(|part| self.reader.contradiction(part))
    }

    /// What the truth values were coded with; none where they were kept as they are.
    pub fn truth_codec(&self) -> Option<Codec> {
        self.truth_codec
    }

    #[inline]
    fn name_of(&self, node: u32) -> &'a [u8] {
        let (start, end) = self.name_starts.bounds(node as usize);
        let name = self.names.get(start as usize..end as usize);
        name.unwrap_or_else(|| self.faults.found(name::NAME_STARTS, &[]))
    }

    /// What a link holds that lies here: atoms before it, without which there would be cycles.
    #[inline]
    fn held(
        &self,
        link: AtomId,
        range: Range<u64>,
    ) -> impl ExactSizeIterator<Item = AtomId> + use<'_, 'a> {
        let before = move |id: u64| match id < link.0.into() {
            true => AtomId(id as u32),
            // No group of links that hold something begins with the first atom.
            false => self.faults.found(name::OUTGOING, AtomId(link.0.saturating_sub(1))),
        };
        self.outgoing.range(range.start, range.end).map(before)
    }

    /// The link of a group that holds this; in a group they are in ascending order.
    fn find_in(&self, group: &Group, outgoing: &[AtomId]) -> Option<AtomId> {
        let Range { start: mut low, end: mut high } = group.atoms();
        while low < high {
            let middle = low + (high - low) / 2;
            let link = AtomId(middle);
            let held = self.held(link, group.outgoing_of(link));
            match held.cmp(outgoing.iter().copied()) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(AtomId(middle)),
            }
        }
        None
    }
}

/// Whether every link holds only atoms of groups before its own: ids that there are, and no cycles.
fn holds_what_is_before(groups: &Groups, outgoing: &Packed) -> bool {
    groups.all().iter().all(|group| {
        let end = group.outgoing + u64::from(group.arity) * u64::from(group.end - group.first);
        outgoing.range(group.outgoing, end).all(|id| id < group.first.into())
    })
}

impl AtomStore for PackedSpace<'_> {
    fn atom_count(&self) -> usize {
        self.groups.atoms() as usize
    }

    fn types(&self) -> &[AtomType] {
        &self.types
    }

    #[inline]
    fn type_of(&self, atom: AtomId) -> TypeId {
        self.groups.of(atom).of
    }

    #[inline]
    fn name(&self, atom: AtomId) -> Option<Cow<'_, [u8]>> {
        (atom.0 < self.groups.nodes()).then(|| Cow::Borrowed(self.name_of(atom.0)))
    }

    #[inline]
    fn outgoing(&self, atom: AtomId) -> impl ExactSizeIterator<Item = AtomId> {
        self.held(atom, self.groups.outgoing_of(atom))
    }

    #[inline]
    fn incoming(&self, atom: AtomId) -> impl ExactSizeIterator<Item = AtomId> {
        let (start, end) = self.incoming_starts.bounds(atom.index());
        let is_list = start <= end && end <= self.incoming.len() as u64;
        let end = if is_list { end } else { self.faults.found(name::INCOMING_STARTS, start) };
        let atoms = self.groups.atoms();
        let one_of_these = move |id: u64| match id < atoms.into() {
            true => AtomId(id as u32),
            false => self.faults.found(name::INCOMING, AtomId(atoms.saturating_sub(1))),
        };
        self.incoming.range(start, end).map(one_of_these)
    }

    fn by_type(&self, of: TypeId) -> impl ExactSizeIterator<Item = AtomId> {
        self.groups.atoms_of_type(of)
    }

    #[inline]
    fn by_name(&self, of: TypeId, name: &[u8]) -> Option<AtomId> {
        let nodes = self.groups.nodes_of_type(of);
        let is = |node: u32| nodes.contains(&node) && self.name_of(node) == name;
        self.name_index.find(of, name, is).map(AtomId)
    }

    fn by_outgoing(&self, of: TypeId, outgoing: &[AtomId]) -> Option<AtomId> {
        let AtomType { kind, unordered, .. } = self.types[of.index()];
        let mut wanted = Cow::Borrowed(outgoing);
        if unordered {
            wanted.to_mut().sort_unstable();
        }
        let below = outgoing.iter().map(|&member| self.groups.of(member).height).max();
        let height = 1 + below.unwrap_or(0);
        let arity = outgoing.len();
        let is = |group: &&Group| {
            kind == Kind::Link && group.height == height && group.arity as usize == arity
        };
        self.groups.of_type(of).filter(is).find_map(|group| self.find_in(group, &wanted))
    }

    #[inline]
    fn truth_value(&self, atom: AtomId) -> Option<TruthValue> {
        self.truth.get(atom, &self.faults)
    }

    #[inline]
    fn attention_value(&self, atom: AtomId) -> Option<AttentionValue> {
        self.attention.get(atom, &self.faults)
    }

    #[inline]
    fn value(&self, atom: AtomId, key: AtomId) -> Option<ValueRef<'_>> {
        self.values.get(atom, key, &self.faults)
    }

    fn values(&self, atom: AtomId) -> impl Iterator<Item = (AtomId, ValueRef<'_>)> {
        self.values.all(atom, &self.faults)
    }
}
