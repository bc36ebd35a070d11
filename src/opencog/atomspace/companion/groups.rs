//! Groups: atoms of one type, height and arity, which have neighbouring ids.
//!
//! The height of a node is 0 and that of a link one more than the greatest height in its outgoing
//! set. Groups are ordered by height, so that what a link holds lies in groups before its own.

use std::ops::Range;

use crate::opencog::atomspace::{AtomId, AtomType, Kind, TypeId};

/// Cells of the table that leads from atoms to groups, at most: a few lines of the first-level cache.
const CELLS: u32 = 1 << 10;

/// Atoms up to which it is written down where each outgoing set begins, in 1 MB at most: a group
/// tells it as well, but not as soon, which counts where all else is in the cache.
const FEW: u32 = 1 << 18;

/// How many atoms of which type, height and arity come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GroupSize {
    pub of: TypeId,
    pub height: u32,
    pub arity: u32,
    pub count: u32,
}

/// A group and where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Group {
    pub of: TypeId,
    pub kind: Kind,
    pub height: u32,
    pub arity: u32,
    /// Its atoms.
    pub first: u32,
    pub end: u32,
    /// Where the outgoing set of the first begins among all outgoing sets.
    pub outgoing: u64,
}

impl Group {
    /// The atoms.
    pub fn atoms(&self) -> Range<u32> {
        self.first..self.end
    }

    /// Where the outgoing set of one of its atoms lies.
    #[inline]
    pub fn outgoing_of(&self, atom: AtomId) -> Range<u64> {
        let arity = u64::from(self.arity);
        let start = self.outgoing + u64::from(atom.0 - self.first) * arity;
        start..start + arity
    }
}

/// The groups of a file, and the way to them from atoms and from types.
#[derive(Debug, Clone)]
pub(super) struct Groups {
    groups: Vec<Group>,
    /// For each cell of atoms the group of its first one.
    cells: Vec<u32>,
    /// A cell has 2 to this power atoms: one alone, where there are no more atoms than cells.
    cell_bits: u32,
    /// Where the outgoing set of each atom begins, and the last one ends; nothing where there are
    /// many atoms.
    starts: Vec<u32>,
    /// The groups of each type, in order, and how many atoms they have.
    of_type: Vec<(Vec<u32>, usize)>,
    nodes: u32,
    outgoing: u64,
}

impl Groups {
    /// Lays groups one after another, or says what is wrong with them, be it that they have more
    /// than `most` atoms.
    pub fn new(sizes: &[GroupSize], types: &[AtomType], most: u64) -> Result<Groups, String> {
        let mut out = Groups {
            groups: Vec::with_capacity(sizes.len()),
            cells: Vec::new(),
            cell_bits: 0,
            starts: Vec::new(),
            of_type: vec![(Vec::new(), 0); types.len()],
            nodes: 0,
            outgoing: 0,
        };
        for (i, size) in sizes.iter().enumerate() {
            out.push(size, types).map_err(|fault| format!("group {i} {fault}"))?;
        }
        let atoms = out.atoms();
        if u64::from(atoms) > most {
            return Err(format!("there are {atoms} atoms, where {most} have room"));
        }
        while (atoms >> out.cell_bits) >= CELLS {
            out.cell_bits += 1;
        }
        let mut group = 0;
        for first in (0..atoms).step_by(1 << out.cell_bits) {
            while out.groups[group].end <= first {
                group += 1;
            }
            out.cells.push(group as u32);
        }
        if let (true, Ok(end)) = (atoms <= FEW, u32::try_from(out.outgoing)) {
            out.starts.reserve_exact(atoms as usize + 1);
            for group in &out.groups {
                let start = |atom| group.outgoing_of(AtomId(atom)).start as u32;
                out.starts.extend(group.atoms().map(start));
            }
            out.starts.push(end);
        }
        Ok(out)
    }

    fn push(&mut self, size: &GroupSize, types: &[AtomType]) -> Result<(), String> {
        let &GroupSize { of, height, arity, count } = size;
        let kind =
            types.get(of.index()).ok_or(format!("has type {} of {}", of.0, types.len()))?.kind;
        if (kind == Kind::Node) != (height == 0) || kind == Kind::Node && arity != 0 {
            return Err(format!("has {kind:?}s of height {height} and arity {arity}"));
        }
        if self.groups.last().is_some_and(|last| last.height > height) {
            return Err(format!("has height {height}, less than the group before it"));
        }
        // Two links of one type that hold nothing would be the same atom.
        if count == 0 || kind == Kind::Link && arity == 0 && count > 1 {
            return Err(format!("has {count} atoms of arity {arity}"));
        }
        let (first, outgoing) = (self.atoms(), self.outgoing);
        if arity > 0 && first == 0 {
            return Err("holds atoms, of which there are none before it".into());
        }
        let end = first.checked_add(count).ok_or("has more atoms than there are ids")?;
        // Less than 2^64 for any arity and count.
        let more = u64::from(arity) * u64::from(count);
        self.outgoing = outgoing.checked_add(more).ok_or("holds more atoms than can be counted")?;
        if kind == Kind::Node {
            if !self.of_type[of.index()].0.is_empty() {
                return Err("has nodes of a type that has a group already".into());
            }
            self.nodes = end;
        }
        let (groups, atoms) = &mut self.of_type[of.index()];
        groups.push(self.groups.len() as u32);
        *atoms += count as usize;
        self.groups.push(Group { of, kind, height, arity, first, end, outgoing });
        Ok(())
    }

    /// All of them, in order.
    pub fn all(&self) -> &[Group] {
        &self.groups
    }

    /// How many atoms there are.
    pub fn atoms(&self) -> u32 {
        self.groups.last().map_or(0, |last| last.end)
    }

    /// How many of them are nodes; these come first.
    pub fn nodes(&self) -> u32 {
        self.nodes
    }

    /// The lengths of all outgoing sets together.
    pub fn outgoing(&self) -> u64 {
        self.outgoing
    }

    /// The group of an atom.
    ///
    /// # Panics
    /// If there is no such atom.
    #[inline]
    pub fn of(&self, atom: AtomId) -> &Group {
        let first = self.cells[(atom.0 >> self.cell_bits) as usize] as usize;
        let found = self.groups[first..].iter().find(|group| atom.0 < group.end);
        found.expect("the atom is one of the store")
    }

    /// Where the outgoing set of an atom lies among all.
    ///
    /// # Panics
    /// If there is no such atom.
    #[inline]
    pub fn outgoing_of(&self, atom: AtomId) -> Range<u64> {
        match self.starts.get(atom.index()..) {
            Some(&[start, end, ..]) => start.into()..end.into(),
            _ => self.of(atom).outgoing_of(atom),
        }
    }

    /// The nodes of a type, which are one group; none where it is one of links.
    #[inline]
    pub fn nodes_of_type(&self, of: TypeId) -> Range<u32> {
        let first = self.of_type[of.index()].0.first().map(|&group| &self.groups[group as usize]);
        first.filter(|group| group.kind == Kind::Node).map_or(0..0, Group::atoms)
    }

    /// The groups of a type, by increasing id of their atoms.
    pub fn of_type(&self, of: TypeId) -> impl Iterator<Item = &Group> {
        self.of_type[of.index()].0.iter().map(|&group| &self.groups[group as usize])
    }

    /// The atoms of a type, by increasing id.
    pub fn atoms_of_type(&self, of: TypeId) -> AtomsOfType<'_> {
        let (groups, left) = &self.of_type[of.index()];
        AtomsOfType { all: &self.groups, rest: groups, now: 0..0, left: *left }
    }
}

/// The atoms of a type.
#[derive(Debug, Clone)]
pub(super) struct AtomsOfType<'a> {
    all: &'a [Group],
    rest: &'a [u32],
    now: Range<u32>,
    left: usize,
}

impl Iterator for AtomsOfType<'_> {
    type Item = AtomId;

    fn next(&mut self) -> Option<AtomId> {
        if self.now.is_empty() {
            let (&group, rest) = self.rest.split_first()?;
            self.now = self.all[group as usize].atoms();
            self.rest = rest;
        }
        self.left -= 1;
        self.now.next().map(AtomId)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for AtomsOfType<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    fn types() -> Vec<AtomType> {
        [("ConceptNode", Kind::Node), ("ListLink", Kind::Link), ("SetLink", Kind::Link)]
            .map(|(name, kind)| AtomType::named(name, kind))
            .to_vec()
    }

    fn size(of: u16, height: u32, arity: u32, count: u32) -> GroupSize {
        GroupSize { of: TypeId(of), height, arity, count }
    }

    #[test]
    fn atoms_of_many_groups_lead_to_them() {
        let mut sizes = vec![size(0, 0, 0, 20_000)];
        sizes.extend((0..3_000).map(|i| size(1, 1 + i / 10, 1 + i % 10, 1 + i % 3)));
        let groups = Groups::new(&sizes, &types(), 100_000).unwrap();
        assert_eq!(groups.atoms(), 26_000);
        for group in groups.all() {
            for atom in group.atoms() {
                assert_eq!(groups.of(AtomId(atom)), group);
                assert_eq!(groups.outgoing_of(AtomId(atom)), group.outgoing_of(AtomId(atom)));
            }
        }
    }

    #[test]
    fn atoms_lead_to_groups_and_back() {
        let sizes = [size(0, 0, 0, 700), size(1, 1, 2, 3), size(2, 1, 0, 1), size(1, 2, 5, 600)];
        let groups = Groups::new(&sizes, &types(), 10_000).unwrap();
        assert_eq!((groups.atoms(), groups.nodes(), groups.outgoing()), (1304, 700, 3006));
        for atom in 0..1304 {
            let group = groups.of(AtomId(atom));
            assert!(group.atoms().contains(&atom));
            assert_eq!(groups.outgoing_of(AtomId(atom)), group.outgoing_of(AtomId(atom)));
        }
        assert_eq!(groups.of(AtomId(702)).outgoing_of(AtomId(702)), 4..6);
        let lists = groups.atoms_of_type(TypeId(1));
        assert_eq!(lists.len(), 603);
        assert_eq!(
            lists.map(|atom| atom.0).collect::<Vec<_>>(),
            (700..703).chain(704..1304).collect::<Vec<_>>()
        );
        assert_eq!(groups.of_type(TypeId(1)).count(), 2);
        assert_eq!([0, 1].map(|of| groups.nodes_of_type(TypeId(of))), [0..700, 0..0]);
    }

    #[test]
    fn impossible_groups_are_refused() {
        let fault = |sizes: &[GroupSize]| Groups::new(sizes, &types(), 10_000).unwrap_err();
        assert!(fault(&[size(3, 0, 0, 1)]).contains("type 3 of 3"));
        assert!(fault(&[size(0, 1, 0, 1)]).contains("Nodes of height 1"));
        assert!(fault(&[size(1, 0, 0, 1)]).contains("Links of height 0"));
        assert!(fault(&[size(0, 0, 2, 1)]).contains("arity 2"));
        assert!(fault(&[size(0, 0, 0, 0)]).contains("0 atoms"));
        assert!(fault(&[size(0, 0, 0, 1), size(0, 0, 0, 1)]).contains("a group already"));
        assert!(fault(&[size(1, 1, 0, 2)]).contains("2 atoms of arity 0"));
        assert!(fault(&[size(1, 1, 1, 2)]).contains("none before it"));
        assert!(fault(&[size(0, 0, 0, 10_001)]).contains("10000 have room"));
        assert!(fault(&[size(1, 2, 0, 1), size(1, 1, 0, 1)]).contains("group 1 has height 1"));
        assert!(fault(&[size(0, 0, 0, u32::MAX), size(0, 0, 0, 1)]).contains("ids"));
        assert!(fault(&[size(0, 0, 0, u32::MAX), size(1, 1, 0, 1)]).contains("ids"));
    }
}
