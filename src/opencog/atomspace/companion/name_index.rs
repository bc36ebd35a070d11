//! The index from type and name to node: a hash table of packed slots.
//!
//! A slot is 0 where it is empty, else a tag in its lowest byte and 1 + the node above it. The tag
//! spares looking at most names that are not the one sought. Collisions go to the next slot.

use super::packed::{Packed, pack, width_of};
use crate::opencog::atomspace::TypeId;

/// Bits of the hash that are kept in a slot.
const TAG_BITS: u32 = 8;

/// Slots for so many nodes: half of them stay empty.
fn slots_for(nodes: u64) -> u64 {
    if nodes == 0 { 0 } else { 2 * nodes + 1 }
}

/// The largest content of a slot.
fn max_slot(nodes: u64) -> u64 {
    ((nodes + 1) << TAG_BITS) - 1
}

/// A hash of type and name that is part of the format: words of 8 bytes, each multiplied into the
/// state to 128 bits, which are folded.
fn hash(of: TypeId, name: &[u8]) -> u64 {
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let fold = |state: u64, word: u64| {
        let product = u128::from(state ^ word) * u128::from(SPREAD ^ word.rotate_left(32));
        product as u64 ^ (product >> 64) as u64
    };
    let mut state = SPREAD ^ (u64::from(of.0) << 48) ^ name.len() as u64;
    let (words, rest) = name.as_chunks::<8>();
    for word in words {
        state = fold(state, u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    fold(state, u64::from_le_bytes(last))
}

/// Where a hash wants to be among `slots`, and its tag.
fn place(hash: u64, slots: u64) -> (u64, u64) {
    let first = (u128::from(hash) * u128::from(slots)) >> 64;
    (first as u64, hash & ((1 << TAG_BITS) - 1))
}

/// The packed slots of nodes whose types and names are these, in the order of their ids.
pub(super) fn build<'a>(nodes: impl ExactSizeIterator<Item = (TypeId, &'a [u8])>) -> Vec<u8> {
    let count = nodes.len() as u64;
    let mut slots = vec![0u64; slots_for(count) as usize];
    for (node, (of, name)) in (1u64..).zip(nodes) {
        let (first, tag) = place(hash(of, name), slots.len() as u64);
        let mut at = first as usize;
        while slots[at] != 0 {
            at = (at + 1) % slots.len();
        }
        slots[at] = node << TAG_BITS | tag;
    }
    pack(slots, width_of(max_slot(count)))
}

/// The index, where it lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct NameIndex<'a> {
    slots: Packed<'a>,
    nodes: u64,
}

impl<'a> NameIndex<'a> {
    /// The index of so many nodes; none unless the bytes are that long.
    pub fn new(bytes: &'a [u8], nodes: u64) -> Option<NameIndex<'a>> {
        let slots = Packed::new(bytes, slots_for(nodes), max_slot(nodes))?;
        Some(NameIndex { slots, nodes })
    }

    /// Whether all slots lead to nodes that there are.
    pub fn names_no_others(&self) -> bool {
        self.slots.iter().all(|slot| slot >> TAG_BITS <= self.nodes)
    }

    /// The node of this type and name, where `is` tells whether a node is the one, and that there is
    /// no other than those of the index.
    #[inline]
    pub fn find(&self, of: TypeId, name: &[u8], is: impl Fn(u32) -> bool) -> Option<u32> {
        let count = self.slots.len();
        let (first, tag) = place(hash(of, name), count as u64);
        let mut at = first as usize;
        // No further than once around, even where a broken file has no empty slot.
        for _ in 0..count {
            let slot = self.slots.get(at);
            let node = (slot >> TAG_BITS).checked_sub(1)? as u32;
            if slot & ((1 << TAG_BITS) - 1) == tag && is(node) {
                return Some(node);
            }
            at += 1;
            if at == count {
                at = 0;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<(TypeId, Vec<u8>)> {
        let name = |i: usize| (TypeId((i % 3) as u16), format!("R-HSA-{}", i / 3).into_bytes());
        (0..count).map(name).collect()
    }

    fn index_of(names: &[(TypeId, Vec<u8>)]) -> Vec<u8> {
        build(names.iter().map(|(of, name)| (*of, &name[..])))
    }

    #[test]
    fn every_name_is_found_and_no_other() {
        for count in [0, 1, 2, 3, 255, 256, 5000] {
            let names = names(count);
            let bytes = index_of(&names);
            let index = NameIndex::new(&bytes, count as u64).unwrap();
            let find = |of: TypeId, name: &[u8]| {
                let is = |node: u32| {
                    let (type_of, name_of) = &names[node as usize];
                    *type_of == of && name_of == name
                };
                index.find(of, name, is)
            };
            for (i, (of, name)) in names.iter().enumerate() {
                assert_eq!(find(*of, name), Some(i as u32));
                assert_eq!(find(TypeId(7), name), None);
            }
            assert_eq!(find(TypeId(0), b"R-HSA"), None);
        }
    }

    #[test]
    fn hardly_a_name_is_looked_at_in_vain() {
        let names = names(20_000);
        let bytes = index_of(&names);
        let index = NameIndex::new(&bytes, 20_000).unwrap();
        let looked = std::cell::Cell::new(0);
        for (of, name) in &names {
            index.find(*of, &[name, &b"'"[..]].concat(), |_| {
                looked.set(looked.get() + 1);
                false
            });
        }
        // Half full, a miss passes 1.5 slots on average, of which one in 256 has its tag.
        assert!(looked.get() < 20_000 * 2 / 256 * 2, "{looked:?}");
    }

    #[test]
    fn a_full_table_is_searched_once_around() {
        let width = width_of(max_slot(2));
        let bytes = pack([1 << TAG_BITS; 5], width);
        let index = NameIndex::new(&bytes, 2).unwrap();
        assert_eq!(index.find(TypeId(0), b"x", |_| false), None);
        let third = pack([1 << TAG_BITS, 3 << TAG_BITS, 0, 0, 0], width);
        assert!(index.names_no_others());
        let index = NameIndex::new(&third, 2).unwrap();
        assert!(!index.names_no_others(), "there is no node 3");
    }
}
