//! Atoms by their importance: OpenCog's bins, and the random choice among them.

use std::collections::BTreeSet;

/// The highest bin.
const HIGHEST: usize = 104;
const GROUP: i32 = 8;
const GROUPS: u32 = 12;

/// The bin of an STI, as `ImportanceIndex::importanceBin` computes it: 0 below 1, then the whole
/// number up to 16, then groups of 8 bins, each twice as wide. (Groups overlap: 23 is in bin 23,
/// and 24 in bin 20. So it is upstream.)
pub fn importance_bin(sti: f64) -> usize {
    let importance = i32::from(sti as i16);
    if importance < 0 {
        return 0;
    }
    if importance < 2 * GROUP {
        return importance as usize;
    }
    let units = (importance - GROUP) / GROUP;
    let (mut sum, mut group) = (0, 0);
    while group <= GROUPS && sum < units {
        sum += 1 << group;
        group += 1;
    }
    let within = (f64::from(importance) / f64::from(1u32 << (group - 1))).ceil() as i32;
    let bin = group as i32 * GROUP - (GROUP - within);
    (bin as usize).min(HIGHEST)
}

/// A float as an integer of the same order.
pub(super) fn ordered(value: f64) -> i64 {
    let bits = value.to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

/// The atoms of each bin. An atom is in none until its STI first moves to another bin.
#[derive(Debug, Clone)]
pub(super) struct ImportanceIndex {
    /// By STI, then atom.
    bins: Vec<BTreeSet<(i64, u32)>>,
}

impl ImportanceIndex {
    pub(super) fn new() -> ImportanceIndex {
        ImportanceIndex { bins: vec![BTreeSet::new(); HIGHEST + 1] }
    }

    /// The STI of an atom changed.
    pub(super) fn update(&mut self, atom: u32, old: f64, new: f64) {
        let (from, to) = (importance_bin(old), importance_bin(new));
        let was_there = self.bins[from].remove(&(ordered(old), atom));
        if was_there || from != to {
            self.bins[to].insert((ordered(new), atom));
        }
    }

    /// An atom is gone.
    pub(super) fn remove(&mut self, atom: u32, sti: f64) {
        self.bins[importance_bin(sti)].remove(&(ordered(sti), atom));
    }

    /// The atoms in a bin.
    pub(super) fn size(&self, bin: usize) -> usize {
        self.bins[bin].len()
    }

    /// The atom of the lowest STI in the lowest bin that has any.
    pub(super) fn lowest(&self) -> Option<u32> {
        self.bins[..HIGHEST].iter().find_map(BTreeSet::first).map(|(_, atom)| *atom)
    }

    /// The atom of the highest STI in the highest bin that has any.
    pub(super) fn highest(&self) -> Option<u32> {
        self.bins.iter().rev().find_map(BTreeSet::last).map(|(_, atom)| *atom)
    }

    /// The atoms with an STI of 0 or more, bin after bin.
    pub(super) fn not_negative(&self) -> impl Iterator<Item = u32> {
        let zero = ordered(0.0);
        self.bins.iter().flatten().filter(move |(sti, _)| *sti >= zero).map(|(_, atom)| *atom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_those_of_upstream() {
        for (sti, bin) in [
            (-40.0, 0),
            (0.9, 0),
            (1.0, 1),
            (15.5, 15),
            (16.0, 16),
            (23.0, 23),
            (24.0, 20),
            (39.0, 28),
            (40.0, 26),
            (1000.0, 64),
            (32767.0, 104),
        ] {
            assert_eq!(importance_bin(sti), bin, "{sti}");
        }
    }

    #[test]
    fn integers_keep_the_order_of_floats() {
        let values = [f64::NEG_INFINITY, -2.5, -1.0, -0.0, 0.0, 1e-300, 3.0, f64::INFINITY];
        assert!(values.windows(2).all(|pair| ordered(pair[0]) < ordered(pair[1])));
    }

    #[test]
    fn atoms_are_found_by_importance() {
        let mut index = ImportanceIndex::new();
        index.update(7, 0.0, 0.5);
        assert_eq!(index.highest(), None, "it never left bin 0");
        index.update(7, 0.5, 30.0);
        index.update(8, 0.0, 31.0);
        index.update(9, 0.0, 2.0);
        assert_eq!((index.lowest(), index.highest()), (Some(9), Some(8)));
        index.update(9, 2.0, -1.0);
        assert_eq!(index.not_negative().collect::<Vec<_>>(), [7, 8]);
        index.remove(8, 31.0);
        assert_eq!((index.highest(), index.size(importance_bin(30.0))), (Some(7), 1));
    }
}
