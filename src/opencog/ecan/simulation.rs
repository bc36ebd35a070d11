//! All of attention allocation, cycle after cycle.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;

use super::bank::Bank;
use super::diffusion::{diffuse_focus, shares, trade, trades};
use super::forgetting::forget;
use super::hebbian::HebbianLinks;
use super::incidence::Incidence;
use super::index::importance_bin;
use super::parameters::Parameters;
use super::rent::{collect, collect_from_focus, lti_rent, sti_rent};
use super::values::AttentionValues;

/// The share for Hebbian links outside of the focus: upstream's agent reads another parameter there,
/// DIFFUSION_TOURNAMENT_SIZE.
const OUTSIDE_HEBBIAN_SHARE: f64 = 5.0;
/// Agents that look at one atom a run are run this often for each run of the others, since an
/// AtomSpace has many atoms outside of the focus.
const RUNS: usize = 10;

/// An AtomSpace in which attention is allocated.
#[derive(Debug, Clone)]
pub struct Simulation {
    bank: Bank,
    incidence: Incidence,
    links: HebbianLinks,
    kept: Vec<bool>,
    diffused: Updates,
    rented: Updates,
    /// Seconds that passed, and when rent was collected.
    now: f64,
    last_rent: f64,
    random: Pcg64Mcg,
}

/// How often atoms of each bin are looked at, from which it is estimated how long ago one was
/// (`StochasticDiffusionAmountCalculator`).
#[derive(Debug, Clone, Default)]
struct Updates {
    bins: BTreeMap<usize, Record>,
}

#[derive(Debug, Clone, Copy)]
struct Record {
    count: u32,
    size: usize,
    rate: f64,
    last: f64,
}

impl Updates {
    /// The estimate for an atom; then it counts as looked at.
    fn elapsed(&mut self, bank: &Bank, atom: u32, now: f64) -> f64 {
        let bin = importance_bin(bank.sti(atom));
        let known = self.bins.get(&bin).copied();
        let elapsed = known.map_or(0.0, |record| record.size as f64 / record.rate);
        let (count, last) = known.map_or((1, now), |record| (record.count + 1, record.last));
        // A rate after no time is infinite, and what follows from it is 0 seconds.
        let rate = f64::from(count) / (now - last);
        self.bins.insert(bin, Record { count, size: bank.index().size(bin), rate, last: now });
        elapsed
    }
}

impl Simulation {
    /// Attention of atoms that have these values, linked so. The same seed leads to the same events.
    ///
    /// # Panics
    ///
    /// Where the values are not as many as the atoms.
    pub fn new(
        values: &AttentionValues,
        incidence: Incidence,
        links: HebbianLinks,
        parameters: Parameters,
        seed: u64,
    ) -> Simulation {
        assert_eq!(values.len(), incidence.atoms(), "values of the same atoms");
        Simulation {
            bank: Bank::with_values(values, parameters),
            kept: vec![true; incidence.atoms()],
            incidence,
            links,
            diffused: Updates::default(),
            rented: Updates::default(),
            now: 0.0,
            last_rent: 0.0,
            random: Pcg64Mcg::seed_from_u64(seed),
        }
    }

    /// The bank.
    pub fn bank(&self) -> &Bank {
        &self.bank
    }

    /// The Hebbian links.
    pub fn links(&self) -> &HebbianLinks {
        &self.links
    }

    /// Whether an atom is there still.
    pub fn is_kept(&self, atom: u32) -> bool {
        self.kept[atom as usize]
    }

    /// Gives an atom a stimulus, unless it is forgotten.
    pub fn stimulate(&mut self, atom: u32, stimulus: f64) {
        if self.is_kept(atom) {
            self.bank.stimulate(atom, stimulus);
        }
    }

    /// Runs every agent but the forgetting one, `seconds` after the cycle before.
    pub fn cycle(&mut self, seconds: f64) {
        self.now += seconds;
        diffuse_focus(&mut self.bank, &self.incidence, &self.links);
        (0..RUNS).for_each(|_| self.diffuse_outside());
        if collect_from_focus(&mut self.bank, self.now - self.last_rent) {
            self.last_rent = self.now;
        }
        (0..RUNS).for_each(|_| self.rent_outside());
        for _ in 0..RUNS {
            if let Some(atom) = self.bank.next_entered().filter(|atom| self.kept[*atom as usize]) {
                self.links.create(&self.bank, atom, &mut self.random);
            }
        }
        self.update_links();
    }

    /// Forgets atoms if they are too many, and says which.
    pub fn forget(&mut self) -> Vec<u32> {
        forget(&mut self.bank, &self.incidence, &mut self.links, &mut self.kept)
    }

    /// An atom outside of the focus spreads what it would have since it last did
    /// (`WAImportanceDiffusionAgent`).
    fn diffuse_outside(&mut self) {
        let Some(source) = self.bank.random_outside_focus(&mut self.random) else { return };
        let elapsed = self.diffused.elapsed(&self.bank, source, self.now);
        let sti = self.bank.sti(source);
        let amount = sti - sti * (1.0 - self.bank.parameters().spread).powf(elapsed);
        let shares = shares(&self.incidence, &self.links, source, OUTSIDE_HEBBIAN_SHARE);
        for event in trades(source, amount, &shares).iter().rev() {
            trade(&mut self.bank, event);
        }
    }

    /// An atom outside of the focus pays for the time since it last did (`WARentCollectionAgent`).
    fn rent_outside(&mut self) {
        let Some(atom) = self.bank.random_outside_focus(&mut self.random) else { return };
        let rent = self.bank.parameters().rent * self.rented.elapsed(&self.bank, atom, self.now);
        let due = (sti_rent(&self.bank, rent), lti_rent(&self.bank, rent));
        collect(&mut self.bank, atom, due);
    }

    fn update_links(&mut self) {
        if let Some(source) = self.bank.random_in_focus(&mut self.random) {
            self.links.update(&self.bank, source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chain of atoms, each odd one a link of its neighbours.
    fn chain(atoms: u32) -> Incidence {
        let links: Vec<_> =
            (1..atoms - 1).step_by(2).map(|link| (link, vec![link - 1, link + 1])).collect();
        Incidence::new(atoms as usize, &links).unwrap()
    }

    fn run(seed: u64) -> Simulation {
        let parameters = Parameters { focus: 20, ..Parameters::default() };
        let values = AttentionValues::zero(101);
        let mut simulation =
            Simulation::new(&values, chain(101), HebbianLinks::new(), parameters, seed);
        for cycle in 0..50 {
            simulation.stimulate(cycle * 7 % 101, 20.0);
            simulation.cycle(0.2);
        }
        simulation
    }

    #[test]
    fn importance_spreads_and_is_conserved() {
        let simulation = run(1);
        let sti: f64 = simulation.bank().values().sti.iter().sum();
        let total = sti + simulation.bank().sti_funds();
        assert!((total - 100_000.0).abs() < 1e-6, "{total}");
        assert!(sti > 1000.0);
        let reached = simulation.bank().values().sti.iter().filter(|sti| **sti > 0.0).count();
        assert!(reached > 60, "{reached}");
        assert_eq!(simulation.bank().focus().count(), 20);
        assert!(!simulation.links().is_empty());
    }

    #[test]
    fn a_seed_leads_to_the_same_events() {
        let (a, b, c) = (run(1), run(1), run(2));
        assert_eq!(a.bank().values(), b.bank().values());
        assert_eq!(a.links(), b.links());
        assert_ne!(a.bank().values(), c.bank().values());
    }

    #[test]
    fn the_time_between_looks_is_estimated_by_bin() {
        let mut bank = Bank::new(4, Parameters { focus: 0, ..Parameters::default() });
        (0..4).for_each(|atom| bank.set_sti(atom, 5.0));
        let mut updates = Updates::default();
        assert_eq!(updates.elapsed(&bank, 0, 1.0), 0.0, "nothing is known");
        assert_eq!(updates.elapsed(&bank, 1, 3.0), 0.0, "the first had no rate yet");
        // 2 looks in 2 seconds, 4 atoms: 4 seconds.
        assert_eq!(updates.elapsed(&bank, 2, 4.0), 4.0);
    }
}
