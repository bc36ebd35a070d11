//! The table that finds atoms by what they are.
//!
//! Open addressing: an atom is in the first slot that was free from where its hash points to. A
//! place is the high bits of a hash, so that atoms keep their order when the table grows and both
//! tables are passed over once from the front. The hash is kept, so that growing and missing touch
//! no atom.

use std::hash::{BuildHasher, RandomState};

use super::atom_store::AtomId;
use super::atoms::Atoms;
use super::error::Error;
use super::types::TypeId;

/// What an atom is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Content<'a> {
    Name(&'a [u8]),
    Outgoing(&'a [AtomId]),
}

impl Content<'_> {
    #[inline]
    fn hash(self, of: TypeId, seed: u64) -> u32 {
        let state = seed ^ u64::from(of.0).wrapping_mul(SPREAD);
        let hash = match self {
            Content::Name(name) => hash_of_name(state, name),
            Content::Outgoing(outgoing) => hash_of_outgoing(state, outgoing),
        };
        (hash >> 32) as u32
    }
}

const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A word is multiplied into the state to 128 bits, which are folded.
#[inline]
fn fold(state: u64, word: u64) -> u64 {
    let product = u128::from(state ^ word) * u128::from(SPREAD ^ word.rotate_left(32));
    product as u64 ^ (product >> 64) as u64
}

#[inline]
fn hash_of_name(seed: u64, name: &[u8]) -> u64 {
    let mut state = seed ^ name.len() as u64;
    // The last word overlaps the one before it, if there is one.
    let last = match (name.last_chunk::<8>(), name.last_chunk::<4>(), name.first_chunk::<4>()) {
        (Some(last), ..) => {
            for word in name[..name.len() - 1].as_chunks::<8>().0 {
                state = fold(state, u64::from_le_bytes(*word));
            }
            u64::from_le_bytes(*last)
        }
        (None, Some(last), Some(first)) => {
            u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))
        }
        _ => name.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    };
    fold(state, last)
}

#[inline]
fn hash_of_outgoing(seed: u64, outgoing: &[AtomId]) -> u64 {
    let (pairs, rest) = outgoing.as_chunks::<2>();
    let state = seed ^ outgoing.len() as u64;
    let state = pairs
        .iter()
        .fold(state, |state, [a, b]| fold(state, u64::from(a.0) << 32 | u64::from(b.0)));
    rest.iter().fold(state, |state, atom| fold(state, atom.0.into()))
}

/// An atom in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    hash: u32,
    /// What leads to the atom; [`NOTHING`] where the slot is free.
    to: u32,
}

/// No atom has this id, and no name has its head here.
const NOTHING: u32 = u32::MAX;

const FREE: Slot = Slot { hash: 0, to: NOTHING };

/// The least slots of a table that has any, as a power of two.
const LEAST_BITS: u32 = 6;

/// Those of the first one that is no small table any more: 256 KB.
const SMALL_BITS: u32 = 15;

/// Where hashes lead to.
#[derive(Debug, Clone, Default)]
struct Slots {
    /// A power of two of them, of which at most half are taken, or none.
    slots: Vec<Slot>,
    /// What is left of a hash when it is shifted by this is a place.
    shift: u32,
    taken: usize,
}

impl Slots {
    /// What `is` makes of one that a hash leads to, or the free slot where it is to be.
    #[inline(always)]
    fn find<T>(&self, hash: u32, is: impl Fn(u32) -> Option<T>) -> Result<T, usize> {
        if self.slots.is_empty() {
            return Err(0);
        }
        let mut at = (hash >> self.shift) as usize;
        loop {
            let slot = self.slots[at];
            if slot.to == NOTHING {
                return Err(at);
            }
            if slot.hash == hash
                && let Some(found) = is(slot.to)
            {
                return Ok(found);
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    /// Takes the free slot that was found for a hash.
    #[inline]
    fn take(&mut self, mut place: usize, slot: Slot) {
        if self.is_half_taken() {
            self.grow();
            place = self.free_from(slot.hash);
        }
        self.slots[place] = slot;
        self.taken += 1;
    }

    /// Whether there are to be more slots before one is taken. Of 2^32, the most that hashes tell
    /// apart, some are always free: there are fewer atoms.
    fn is_half_taken(&self) -> bool {
        2 * (self.taken + 1) > self.slots.len() && (self.slots.len() as u64) < 1 << u32::BITS
    }

    /// The first free slot for a hash.
    fn free_from(&self, hash: u32) -> usize {
        let mut at = (hash >> self.shift) as usize;
        while self.slots[at] != FREE {
            at = (at + 1) & (self.slots.len() - 1);
        }
        at
    }

    #[cold]
    fn grow(&mut self) {
        let bits = match self.slots.len() {
            0 => LEAST_BITS,
            // Small ones grow faster, which takes little memory and spares most of the moves.
            some if some.ilog2() < SMALL_BITS => some.ilog2() + 3,
            some => some.ilog2() + 1,
        };
        self.shift = u32::BITS - bits;
        let old = std::mem::replace(&mut self.slots, vec![FREE; 1 << bits]);
        for slot in old.into_iter().filter(|&slot| slot != FREE) {
            let place = self.free_from(slot.hash);
            self.slots[place] = slot;
        }
    }

    /// Frees a slot, to which those after it move up that would not be found past a free one.
    fn free(&mut self, slot: Slot) {
        let mask = self.slots.len() - 1;
        let mut free = (slot.hash >> self.shift) as usize;
        while self.slots[free] != slot {
            free = (free + 1) & mask;
        }
        let mut at = free;
        loop {
            at = (at + 1) & mask;
            let slot = self.slots[at];
            if slot == FREE {
                break;
            }
            let wanted = (slot.hash >> self.shift) as usize;
            if at.wrapping_sub(wanted) & mask >= at.wrapping_sub(free) & mask {
                self.slots[free] = slot;
                free = at;
            }
        }
        self.slots[free] = FREE;
        self.taken -= 1;
    }
}

/// The atoms by what they are, nodes apart from links: there are fewer, and they are asked for more.
#[derive(Debug, Clone)]
pub(super) struct AtomTable {
    /// To the heads of names.
    nodes: Slots,
    /// To ids.
    links: Slots,
    /// Another one in each run, so that no text is written of which all atoms have one place.
    seed: u64,
}

impl Default for AtomTable {
    fn default() -> Self {
        let seed = RandomState::new().hash_one(0);
        AtomTable { nodes: Slots::default(), links: Slots::default(), seed }
    }
}

impl AtomTable {
    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        (self.nodes.slots.len() + self.links.slots.len()) * size_of::<Slot>()
    }

    pub fn find(&self, atoms: &Atoms, of: TypeId, content: Content) -> Option<AtomId> {
        self.look_up(atoms, of, content, content.hash(of, self.seed)).ok()
    }

    /// The atom of this content, or the place of the free slot where it is to be.
    #[inline(always)]
    fn look_up(
        &self,
        atoms: &Atoms,
        of: TypeId,
        content: Content,
        hash: u32,
    ) -> Result<AtomId, usize> {
        match content {
            Content::Name(name) => self.nodes.find(hash, |head| atoms.node_if(head, of, name)),
            Content::Outgoing(outgoing) => self.links.find(hash, |link| {
                let link = AtomId(link);
                (atoms.type_of(link) == of && atoms.outgoing(link) == outgoing).then_some(link)
            }),
        }
    }

    /// The atom's id, and whether it is new and was put at the end of `atoms`.
    #[inline(always)]
    pub fn intern(
        &mut self,
        atoms: &mut Atoms,
        of: TypeId,
        content: Content,
    ) -> Result<(AtomId, bool), Error> {
        let hash = content.hash(of, self.seed);
        let place = match self.look_up(atoms, of, content, hash) {
            Ok(atom) => return Ok((atom, false)),
            Err(place) => place,
        };
        let atom = match content {
            Content::Name(name) => {
                let atom = atoms.push_node(of, name)?;
                self.nodes.take(place, Slot { hash, to: atoms.head(atom) });
                atom
            }
            Content::Outgoing(outgoing) => {
                let atom = atoms.push_link(of, outgoing)?;
                self.links.take(place, Slot { hash, to: atom.0 });
                atom
            }
        };
        Ok((atom, true))
    }

    /// Takes an atom out of the table, so that it is found no more; `is_node` tells what it is.
    pub fn remove(&mut self, atoms: &Atoms, atom: AtomId, is_node: bool) {
        let of = atoms.type_of(atom);
        if is_node {
            let hash = Content::Name(atoms.name(atom)).hash(of, self.seed);
            self.nodes.free(Slot { hash, to: atoms.head(atom) });
        } else {
            let hash = Content::Outgoing(atoms.outgoing(atom)).hash(of, self.seed);
            self.links.free(Slot { hash, to: atom.0 });
        }
    }

    /// Puts an atom that was taken out into the table again; `is_node` tells what it is.
    pub fn insert(&mut self, atoms: &Atoms, atom: AtomId, is_node: bool) {
        let of = atoms.type_of(atom);
        let (slots, content, to) = match is_node {
            true => (&mut self.nodes, Content::Name(atoms.name(atom)), atoms.head(atom)),
            false => (&mut self.links, Content::Outgoing(atoms.outgoing(atom)), atom.0),
        };
        let hash = content.hash(of, self.seed);
        // There is a slot: the atom was in one.
        slots.take(slots.free_from(hash), Slot { hash, to });
    }

    /// Takes the last atom out of both again.
    pub fn remove_last(&mut self, atoms: &mut Atoms, is_node: bool) {
        let Some(last) = atoms.len().checked_sub(1) else { return };
        self.remove(atoms, AtomId(last as u32), is_node);
        atoms.pop(is_node);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_all_lengths_are_told_apart() {
        let mut seen = HashMap::new();
        for len in 0..40 {
            for byte in [0, 1, b'x'] {
                for at in 0..len.max(1) {
                    let mut name = vec![b'a'; len];
                    name.iter_mut().skip(at).take(1).for_each(|of| *of = byte);
                    let hash = hash_of_name(5, &name);
                    let before = seen.insert(hash, name.clone()).unwrap_or_else(|| name.clone());
                    assert_eq!(before, name);
                }
            }
        }
    }

    #[test]
    fn places_are_spread() {
        let mut atoms = Atoms::default();
        let mut table = AtomTable::default();
        let mut longest = 0;
        for i in 0..40_000u32 {
            let (of, name) = (TypeId((i % 3) as u16), format!("R-HSA-{}", i / 3));
            table.intern(&mut atoms, of, Content::Name(name.as_bytes())).unwrap();
        }
        let mut run = 0;
        for slot in &table.nodes.slots {
            run = if *slot == FREE { 0 } else { run + 1 };
            longest = longest.max(run);
        }
        assert!(longest < 400, "a run of {longest} slots");
    }

    proptest! {
        /// Atoms are added and the last ones taken, against a map.
        #[test]
        fn atoms_are_found_until_they_are_taken(
            steps in vec((0u16..3, 0u32..200, 0usize..4), 0..400),
        ) {
            let (mut atoms, mut table) = (Atoms::default(), AtomTable::default());
            let mut known: Vec<(TypeId, Vec<u8>)> = Vec::new();
            for (of, name, taken) in steps {
                let (of, name) = (TypeId(of), name.to_string().into_bytes());
                let place = known.iter().position(|one| *one == (of, name.clone()));
                let added = table.intern(&mut atoms, of, Content::Name(&name)).unwrap();
                let next = known.len();
                prop_assert_eq!(added, (AtomId(place.unwrap_or(next) as u32), place.is_none()));
                if place.is_none() {
                    known.push((of, name));
                }
                for _ in 0..taken.saturating_sub(2).min(known.len()) {
                    table.remove_last(&mut atoms, true);
                    let (of, name) = known.pop().unwrap();
                    prop_assert_eq!(table.find(&atoms, of, Content::Name(&name)), None);
                }
                prop_assert_eq!(table.nodes.taken, known.len());
            }
            for (i, (of, name)) in known.iter().enumerate() {
                let found = table.find(&atoms, *of, Content::Name(name));
                prop_assert_eq!(found, Some(AtomId(i as u32)));
            }
        }
    }
}
