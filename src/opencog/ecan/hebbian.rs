//! Asymmetric Hebbian links: which atoms are important together.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;
use rand_pcg::Pcg64Mcg;

use super::bank::Bank;

/// What a link is when it is made: strength and confidence.
const NEW: (f64, f64) = (0.5, 0.1);
/// The confidence of what a link is updated to.
const UPDATE_CONFIDENCE: f64 = 0.1;
/// How much of a link's strength is new at an update. Upstream writes `0.1f`.
const DECAY: f64 = 0.1f32 as f64;

/// A link's truth value, and how many parts of the system want it kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HebbianLink {
    /// How much the target tends to be important when the source is.
    pub strength: f64,
    /// How sure that is.
    pub confidence: f64,
    /// Very long-term importance: 1 for each time it was made.
    pub vlti: u32,
}

/// Links from atoms to atoms.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HebbianLinks {
    /// By source and target.
    links: BTreeMap<(u32, u32), HebbianLink>,
    /// The same pairs, by target and source.
    reversed: BTreeSet<(u32, u32)>,
}

impl HebbianLinks {
    /// No links.
    pub fn new() -> HebbianLinks {
        HebbianLinks::default()
    }

    /// The number of links.
    pub fn len(&self) -> usize {
        self.links.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// The link from `source` to `target`.
    pub fn get(&self, source: u32, target: u32) -> Option<&HebbianLink> {
        self.links.get(&(source, target))
    }

    /// Sets the link from `source` to `target`.
    pub fn set(&mut self, source: u32, target: u32, link: HebbianLink) {
        self.links.insert((source, target), link);
        self.reversed.insert((target, source));
    }

    /// All links by source and target, in order.
    pub fn iter(&self) -> impl Iterator<Item = ((u32, u32), &HebbianLink)> {
        self.links.iter().map(|(pair, link)| (*pair, link))
    }

    /// The links that lead from an atom, by target.
    pub fn from(&self, source: u32) -> impl Iterator<Item = (u32, &HebbianLink)> {
        let links = self.links.range((source, 0)..=(source, u32::MAX));
        links.map(|((_, target), link)| (*target, link))
    }

    /// The atoms whose links lead to an atom.
    pub fn sources(&self, target: u32) -> impl Iterator<Item = u32> {
        self.reversed.range((target, 0)..=(target, u32::MAX)).map(|(_, source)| *source)
    }

    /// The number of links from and to an atom.
    pub fn degree(&self, atom: u32) -> usize {
        self.from(atom).count() + self.sources(atom).count()
    }

    /// An atom is gone, and its links with it. Returns how many they were.
    pub(super) fn remove_atom(&mut self, atom: u32) -> usize {
        let pairs = self.pairs(atom);
        pairs.iter().for_each(|pair| self.remove(*pair));
        pairs.len()
    }

    fn remove(&mut self, (source, target): (u32, u32)) {
        self.links.remove(&(source, target));
        self.reversed.remove(&(target, source));
    }

    /// The links from and to an atom.
    fn pairs(&self, atom: u32) -> Vec<(u32, u32)> {
        let from = self.from(atom).map(|(target, _)| (atom, target));
        from.chain(self.sources(atom).map(|source| (source, atom))).collect()
    }

    /// Makes a link, or makes it new.
    fn add(&mut self, source: u32, target: u32) {
        let vlti = self.get(source, target).map_or(0, |link| link.vlti) + 1;
        self.set(source, target, HebbianLink { strength: NEW.0, confidence: NEW.1, vlti });
    }

    /// Links an atom that came into the focus with all others there, a few outside, and unlinks
    /// some where they become too many (`HebbianCreationAgent`).
    pub(super) fn create(&mut self, bank: &Bank, atom: u32, random: &mut Pcg64Mcg) {
        // Upstream takes the one for the other: links to the atom are made where there is none from
        // it, and from it where there is none to it.
        let targets: BTreeSet<u32> = self.from(atom).map(|(target, _)| target).collect();
        let sources: BTreeSet<u32> = self.sources(atom).collect();
        let focus: Vec<u32> = bank.focus().filter(|other| *other != atom).collect();
        for other in focus.iter().filter(|other| !targets.contains(other)) {
            self.add(*other, atom);
        }
        let mut made = 0;
        for other in focus.iter().filter(|other| !sources.contains(other)) {
            self.add(atom, *other);
            made += 1;
        }
        for _ in 0..made / bank.parameters().local_to_far {
            if let Some(far) = bank.random_outside_focus(random)
                && far != atom
                && self.get(atom, far).is_none()
            {
                self.add(atom, far);
            }
        }
        let mut pairs = self.pairs(atom);
        while pairs.len() >= bank.parameters().links.max(1) {
            self.remove(pairs.swap_remove(random.random_range(0..pairs.len())));
        }
    }

    /// Moves the links from an atom towards what its importance and its targets' are now
    /// (`HebbianUpdatingAgent`).
    pub(super) fn update(&mut self, bank: &Bank, source: u32) {
        let importance = bank.normalised_sti(source);
        for ((_, target), link) in self.links.range_mut((source, 0)..=(source, u32::MAX)) {
            let conjunction = conjunction(importance, bank.normalised_sti(*target));
            // A merge takes the more confident of two truth values, the new one where they are equal.
            if link.confidence <= UPDATE_CONFIDENCE {
                link.strength = DECAY * conjunction + (1.0 - DECAY) * link.strength;
                link.confidence = UPDATE_CONFIDENCE;
            }
        }
    }
}

/// How much two importances from 0 to 1 speak for a link from the first to the second, from 0 to 1.
fn conjunction(source: f64, target: f64) -> f64 {
    let difference = target - source;
    (source * target + difference * difference.abs() + 1.0) / 2.0
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::super::parameters::Parameters;
    use super::*;

    fn focused(atoms: u32, parameters: Parameters) -> Bank {
        let mut bank = Bank::new(atoms as usize, parameters);
        (0..atoms).for_each(|atom| bank.set_sti(atom, 10.0 + f64::from(atom)));
        bank
    }

    #[test]
    fn a_newcomer_is_linked_with_the_focus() {
        let mut random = Pcg64Mcg::seed_from_u64(1);
        let bank = focused(30, Parameters { focus: 21, ..Parameters::default() });
        let mut links = HebbianLinks::new();
        links.create(&bank, 29, &mut random);
        assert_eq!(links.sources(29).count(), 20);
        let targets: Vec<u32> = links.from(29).map(|(target, _)| target).collect();
        let far: Vec<u32> =
            targets.into_iter().filter(|target| !bank.is_in_focus(*target)).collect();
        assert!((1..=2).contains(&far.len()), "20 / 10, which may be the same: {far:?}");
        let link = HebbianLink { strength: 0.5, confidence: 0.1, vlti: 1 };
        assert_eq!(links.get(29, 28), Some(&link));
    }

    #[test]
    fn too_many_links_are_cut() {
        let mut random = Pcg64Mcg::seed_from_u64(1);
        let bank = focused(50, Parameters { links: 30, ..Parameters::default() });
        let mut links = HebbianLinks::new();
        links.create(&bank, 3, &mut random);
        assert_eq!(links.degree(3), 29);
        assert_eq!(links.len(), 29);
    }

    #[test]
    fn links_move_to_what_is_important_now() {
        let mut bank = Bank::new(3, Parameters::default());
        for _ in 0..60 {
            bank.set_sti(0, 110.0);
            bank.set_sti(1, 110.0);
            bank.set_sti(2, 10.0);
        }
        let mut links = HebbianLinks::new();
        for (target, confidence) in [(1, 0.1), (2, 0.1)] {
            links.set(0, target, HebbianLink { strength: 0.5, confidence, vlti: 1 });
        }
        links.set(2, 0, HebbianLink { strength: 0.5, confidence: 0.9, vlti: 1 });
        links.update(&bank, 0);
        links.update(&bank, 2);
        let strength = |source, target| links.get(source, target).unwrap().strength;
        // Both important: (1 * 1 + 0 + 1) / 2 = 1; a tenth of it and nine of 0.5.
        assert!((strength(0, 1) - 0.55).abs() < 1e-6, "{}", strength(0, 1));
        // The target is not: (0 - 1 + 1) / 2 = 0.
        assert!((strength(0, 2) - 0.45).abs() < 1e-6, "{}", strength(0, 2));
        assert_eq!(strength(2, 0), 0.5, "what is more confident stays");
    }

    #[test]
    fn links_go_with_their_atom() {
        let mut links = HebbianLinks::new();
        for (source, target) in [(0, 1), (1, 2), (2, 0)] {
            links.add(source, target);
        }
        assert_eq!(links.remove_atom(1), 2);
        assert_eq!(links.iter().map(|(pair, _)| pair).collect::<Vec<_>>(), [(2, 0)]);
        assert_eq!(links.sources(0).collect::<Vec<_>>(), [2]);
    }
}
