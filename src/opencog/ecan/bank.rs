//! The bank of attention: funds, wages and the attentional focus.

use std::collections::{BTreeSet, VecDeque};

use rand::RngExt;
use rand_pcg::Pcg64Mcg;

use super::index::{ImportanceIndex, ordered};
use super::parameters::Parameters;
use super::values::AttentionValues;

/// Keeps the attention values of atoms. What atoms gain, the funds lose.
#[derive(Debug, Clone)]
pub struct Bank {
    parameters: Parameters,
    values: AttentionValues,
    sti_funds: f64,
    lti_funds: f64,
    index: ImportanceIndex,
    focus: Focus,
    /// The lowest and the highest STI, each as a moving mean.
    recent: (f32, f32),
    /// Atoms that came into the focus, the first first.
    entered: VecDeque<u32>,
}

/// The attentional focus: the most important atoms. An atom that loses importance stays in it until
/// another of more importance than the least takes that one's place.
#[derive(Debug, Clone, Default)]
struct Focus {
    /// By STI, then by when it came in.
    members: BTreeSet<(i64, u64, u32)>,
    /// Of each atom, how it stands in `members`.
    places: Vec<Option<(i64, u64)>>,
    entries: u64,
}

impl Focus {
    fn insert(&mut self, atom: u32, sti: f64) {
        let place = (ordered(sti), self.entries);
        self.entries += 1;
        self.members.insert((place.0, place.1, atom));
        self.places[atom as usize] = Some(place);
    }

    fn remove(&mut self, atom: u32) -> bool {
        let Some((sti, entry)) = self.places[atom as usize].take() else { return false };
        self.members.remove(&(sti, entry, atom))
    }
}

impl Bank {
    /// A bank of atoms that have no importance yet.
    pub fn new(atoms: usize, parameters: Parameters) -> Bank {
        Bank {
            parameters,
            values: AttentionValues::zero(atoms),
            sti_funds: parameters.starting_funds,
            lti_funds: parameters.starting_funds,
            index: ImportanceIndex::new(),
            focus: Focus { places: vec![None; atoms], ..Focus::default() },
            recent: (0.0, 0.0),
            entered: VecDeque::new(),
        }
    }

    /// A bank in which each atom was given these values, the first first.
    pub fn with_values(values: &AttentionValues, parameters: Parameters) -> Bank {
        let mut bank = Bank::new(values.len(), parameters);
        for atom in 0..values.len() as u32 {
            let at = atom as usize;
            bank.set_sti(atom, values.sti[at]);
            bank.set_lti(atom, values.lti[at]);
            bank.values.vlti[at] = values.vlti[at];
        }
        bank.entered.clear();
        bank
    }

    /// The parameters.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The attention values.
    pub fn values(&self) -> &AttentionValues {
        &self.values
    }

    /// STI of an atom.
    pub fn sti(&self, atom: u32) -> f64 {
        self.values.sti[atom as usize]
    }

    /// LTI of an atom.
    pub fn lti(&self, atom: u32) -> f64 {
        self.values.lti[atom as usize]
    }

    /// STI that no atom has.
    pub fn sti_funds(&self) -> f64 {
        self.sti_funds
    }

    /// LTI that no atom has.
    pub fn lti_funds(&self) -> f64 {
        self.lti_funds
    }

    /// The atoms in the attentional focus, the least important first.
    pub fn focus(&self) -> impl Iterator<Item = u32> {
        self.focus.members.iter().map(|(_, _, atom)| *atom)
    }

    /// Whether an atom is in the attentional focus.
    pub fn is_in_focus(&self, atom: u32) -> bool {
        self.focus.places[atom as usize].is_some()
    }

    /// Gives an atom an STI, from the funds.
    pub fn set_sti(&mut self, atom: u32, sti: f64) {
        let old = std::mem::replace(&mut self.values.sti[atom as usize], sti);
        self.sti_funds += old - sti;
        self.index.update(atom, old, sti);
        self.note_range();
        self.update_focus(atom);
    }

    /// Gives an atom an LTI, from the funds.
    pub fn set_lti(&mut self, atom: u32, lti: f64) {
        let old = std::mem::replace(&mut self.values.lti[atom as usize], lti);
        self.lti_funds += old - lti;
        self.note_range();
        self.update_focus(atom);
    }

    /// Pays an atom the wage of a stimulus, in STI and LTI.
    pub fn stimulate(&mut self, atom: u32, stimulus: f64) {
        let (sti, lti) = (self.wage(self.sti_funds), self.wage(self.lti_funds));
        let old_lti = self.lti(atom);
        self.values.lti[atom as usize] += lti * stimulus;
        self.lti_funds += old_lti - self.lti(atom);
        self.set_sti(atom, self.sti(atom) + sti * stimulus);
    }

    /// The wage of a unit of stimulus: more the more funds there are.
    fn wage(&self, funds: f64) -> f64 {
        let Parameters { target_funds, funds_buffer, wage, .. } = self.parameters;
        wage + wage * ((funds - target_funds) / funds_buffer).clamp(-1.0, 1.0)
    }

    /// An atom is gone; what it had goes back to the funds.
    pub(super) fn remove(&mut self, atom: u32) {
        self.set_sti(atom, 0.0);
        self.set_lti(atom, 0.0);
        self.focus.remove(atom);
        self.index.remove(atom, 0.0);
    }

    /// The STI of an atom between the recent lowest and highest, from 0 to 1.
    pub fn normalised_sti(&self, atom: u32) -> f64 {
        let (low, high) = (f64::from(self.recent.0), f64::from(self.recent.1));
        // Upstream keeps the width in an integer.
        let width = (high - low).trunc();
        if width == 0.0 {
            return 0.0;
        }
        ((self.sti(atom) - low) / width).clamp(0.0, 1.0)
    }

    /// An atom outside of the focus that has an STI of 0 or more and was of some importance once.
    pub fn random_outside_focus(&self, random: &mut Pcg64Mcg) -> Option<u32> {
        any_of(self.index.not_negative().filter(|atom| !self.is_in_focus(*atom)), random)
    }

    /// An atom of the focus.
    pub fn random_in_focus(&self, random: &mut Pcg64Mcg) -> Option<u32> {
        any_of(self.focus(), random)
    }

    /// The next atom that came into the focus, if another did.
    pub(super) fn next_entered(&mut self) -> Option<u32> {
        self.entered.pop_front()
    }

    pub(super) fn index(&self) -> &ImportanceIndex {
        &self.index
    }

    fn note_range(&mut self) {
        let sti = |atom: Option<u32>| atom.map_or(0.0, |atom| self.sti(atom));
        let high = sti(self.index.highest());
        let low = sti(self.index.lowest()).min(high);
        let moved = |recent: f32, now: f64| (0.5 * now + f64::from(0.5 * recent)) as f32;
        self.recent = (moved(self.recent.0, low), moved(self.recent.1, high));
    }

    fn update_focus(&mut self, atom: u32) {
        let sti = self.sti(atom);
        if self.focus.remove(atom) {
            return self.focus.insert(atom, sti);
        }
        if self.focus.members.len() >= self.parameters.focus {
            let least = self.focus.members.first().copied();
            let Some((_, _, least)) = least.filter(|least| ordered(sti) > least.0) else {
                return;
            };
            self.focus.remove(least);
        }
        self.focus.insert(atom, sti);
        self.entered.push_back(atom);
    }
}

/// One of these atoms, each as likely. With the same random numbers it is the same one of two sets
/// that hardly differ, so that what is compared does not differ by chance.
fn any_of(atoms: impl Iterator<Item = u32>, random: &mut Pcg64Mcg) -> Option<u32> {
    let key: u64 = random.random();
    atoms.min_by_key(|atom| (shuffled(key ^ u64::from(*atom)), *atom))
}

/// The finalizer of splitmix64.
fn shuffled(mut z: u64) -> u64 {
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn bank(atoms: usize, focus: usize) -> Bank {
        Bank::new(atoms, Parameters { focus, ..Parameters::default() })
    }

    /// `AttentionUTest`: 50 atoms of STI 0, 10 .. 490 and a focus of 10.
    #[test]
    fn the_focus_has_the_most_important() {
        let mut bank = bank(50, 10);
        (0..50).for_each(|atom| bank.set_sti(atom, f64::from(atom) * 10.0));
        let focus: Vec<f64> = bank.focus().map(|atom| bank.sti(atom)).collect();
        assert_eq!(focus.len(), 10);
        assert_eq!((focus[0], focus[9]), (400.0, 490.0));
    }

    /// `AttentionUTest::testGetRandomAtoms` and `testGetRandomAtomsBigAF`.
    #[test]
    fn random_atoms_are_outside_the_focus() {
        let mut random = Pcg64Mcg::seed_from_u64(1);
        for (focus, first) in [(10, 0.0), (999, 1.0)] {
            let mut bank = bank(1000, focus);
            (0..1000).for_each(|atom| bank.set_sti(atom, first + f64::from(atom) * 10.0));
            for _ in 0..50 {
                let atom = bank.random_outside_focus(&mut random).unwrap();
                assert!(!bank.is_in_focus(atom));
            }
        }
    }

    #[test]
    fn every_atom_is_as_likely() {
        let mut random = Pcg64Mcg::seed_from_u64(1);
        let mut counts = [0; 10];
        for _ in 0..10_000 {
            counts[any_of(0..10, &mut random).unwrap() as usize] += 1;
        }
        assert!(counts.iter().all(|count| (880..1120).contains(count)), "{counts:?}");
        assert_eq!(any_of(0..0, &mut random), None);
    }

    #[test]
    fn wages_are_paid_from_the_funds() {
        let mut bank = bank(2, 10);
        // Funds are 90000 above their target: the wage is double.
        bank.stimulate(0, 50.0);
        assert_eq!((bank.sti(0), bank.lti(0)), (1000.0, 1000.0));
        assert_eq!((bank.sti_funds(), bank.lti_funds()), (99_000.0, 99_000.0));
        bank.set_sti(1, 89_000.0);
        assert_eq!(bank.sti_funds(), 10_000.0);
        bank.stimulate(0, 1.0);
        assert_eq!(bank.sti(0), 1010.0, "funds are on target");
        assert_eq!(bank.lti(0), 1020.0);
    }

    #[test]
    fn an_atom_that_fades_stays_until_another_comes() {
        let mut bank = bank(3, 2);
        bank.set_sti(0, 10.0);
        bank.set_sti(1, 20.0);
        bank.set_sti(0, 0.0);
        assert!(bank.is_in_focus(0), "nobody wants its place");
        bank.set_sti(2, 1.0);
        assert_eq!(bank.focus().collect::<Vec<_>>(), [2, 1]);
        let entered: Vec<_> = std::iter::from_fn(|| bank.next_entered()).collect();
        assert_eq!(entered, [0, 1, 2]);
    }

    #[test]
    fn importance_is_normalised_by_its_recent_range() {
        let mut bank = bank(2, 2);
        for _ in 0..60 {
            bank.set_sti(0, 10.0);
            bank.set_sti(1, 110.0);
        }
        assert!((bank.normalised_sti(0) - 0.0).abs() < 1e-6);
        assert!((bank.normalised_sti(1) - 1.0).abs() < 1e-6);
    }
}
