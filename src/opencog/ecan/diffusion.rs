//! Diffusion: atoms give a share of their STI to those beside them.

use std::collections::BTreeMap;

use super::bank::Bank;
use super::hebbian::HebbianLinks;
use super::incidence::Incidence;

/// STI that goes from one atom to another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trade {
    /// Who gives.
    pub source: u32,
    /// Who gets.
    pub target: u32,
    /// How much.
    pub amount: f64,
}

/// The shares of what an atom spreads that go to the atoms beside it, by atom. `hebbian_share` is
/// the most that goes over Hebbian links.
pub fn shares(
    incidence: &Incidence,
    links: &HebbianLinks,
    source: u32,
    hebbian_share: f64,
) -> BTreeMap<u32, f64> {
    let mut shares = BTreeMap::new();
    let count = links.from(source).count() as f64;
    let mut left = 1.0;
    for (target, link) in links.from(source) {
        // Divided by their number twice: so it is upstream.
        let share = hebbian_share / count * (link.strength * link.confidence / count);
        shares.insert(target, share);
        left -= share;
    }
    let incident = incidence.incident(source);
    for atom in incident {
        // One that has a share already gets no other, and one that stands twice gets one.
        shares.entry(*atom).or_insert(left / incident.len() as f64);
    }
    shares
}

/// What an atom gives when it spreads `amount` in all: nothing where that is 0.
pub fn trades(source: u32, amount: f64, shares: &BTreeMap<u32, f64>) -> Vec<Trade> {
    if amount == 0.0 {
        return Vec::new();
    }
    let trade =
        |(target, share): (&u32, &f64)| Trade { source, target: *target, amount: amount * share };
    shares.iter().map(trade).collect()
}

/// Moves STI from one atom to another.
pub fn trade(bank: &mut Bank, trade: &Trade) {
    bank.set_sti(trade.source, bank.sti(trade.source) - trade.amount);
    bank.set_sti(trade.target, bank.sti(trade.target) + trade.amount);
}

/// Every atom in the focus spreads (`AFImportanceDiffusionAgent`). All is computed before any of it
/// moves; the last trade moves first.
pub fn diffuse_focus(bank: &mut Bank, incidence: &Incidence, links: &HebbianLinks) {
    let (spread, share) = (bank.parameters().spread, bank.parameters().hebbian_share);
    let of = |source: u32| {
        trades(source, bank.sti(source) * spread, &shares(incidence, links, source, share))
    };
    let stack: Vec<Trade> = bank.focus().flat_map(of).collect();
    stack.iter().rev().for_each(|event| trade(bank, event));
}

#[cfg(test)]
mod tests {
    use super::super::hebbian::HebbianLink;
    use super::super::parameters::Parameters;
    use super::*;

    /// The graph of `ImportanceDiffusionUTest`: Hebbian links X -> Y and A -> Y (0.7, 0.9), and
    /// Implication(Inheritance(A B) Inheritance(A C)).
    fn graph() -> (Incidence, HebbianLinks) {
        let links = [(5, vec![0, 3]), (6, vec![0, 4]), (7, vec![5, 6])];
        let mut hebbian = HebbianLinks::new();
        let link = |strength| HebbianLink { strength, confidence: 0.9, vlti: 1 };
        hebbian.set(2, 1, link(0.6));
        hebbian.set(0, 1, link(0.7));
        (Incidence::new(8, &links).unwrap(), hebbian)
    }

    #[test]
    fn incident_and_hebbian_atoms_are_those_of_upstream_s_test() {
        let (incidence, hebbian) = graph();
        assert_eq!(incidence.incident(0).len(), 2);
        assert_eq!(incidence.incident(5).len(), 3);
        assert_eq!(hebbian.from(0).count(), 1);
        // With one link, its percentage is all that is divided: 0.7 * 0.9 = 0.63.
        let shares = shares(&incidence, &hebbian, 0, 1.0);
        assert_eq!(shares[&1], 0.7 * 0.9);
    }

    #[test]
    fn three_atoms_share_what_upstream_s_test_spreads() {
        let (incidence, hebbian) = graph();
        let mut bank = Bank::new(8, Parameters::default());
        bank.stimulate(0, 50.0);
        let shares = shares(&incidence, &hebbian, 0, 0.05);
        assert_eq!(shares.len(), 3);
        assert_eq!(shares[&1], 0.05 * 0.63);
        assert_eq!(shares[&5], (1.0 - 0.05 * 0.63) / 2.0);
        let events = trades(0, 0.3 * bank.sti(0), &shares);
        assert_eq!(events.len(), 3);
        let total: f64 = events.iter().map(|event| event.amount).sum();
        assert!((total - 0.3 * bank.sti(0)).abs() < 1e-9);
        assert_eq!(trades(0, 0.0, &shares), []);
    }

    #[test]
    fn trades_are_exact() {
        let mut bank = Bank::new(2, Parameters::default());
        bank.stimulate(0, 50.0);
        bank.stimulate(1, 50.0);
        let (first, second) = (bank.sti(0), bank.sti(1));
        trade(&mut bank, &Trade { source: 0, target: 1, amount: 12.12 });
        assert_eq!((bank.sti(0), bank.sti(1)), (first - 12.12, second + 12.12));
    }

    #[test]
    fn the_focus_spreads_and_nothing_is_lost() {
        let (incidence, hebbian) = graph();
        let mut bank = Bank::new(8, Parameters::default());
        bank.stimulate(0, 50.0);
        let funds = bank.sti_funds();
        diffuse_focus(&mut bank, &incidence, &hebbian);
        assert!((bank.sti(0) - 600.0).abs() < 1e-9, "it keeps 60 %");
        assert!((bank.sti(1) - 400.0 * 0.05 * 0.63).abs() < 1e-9);
        let total: f64 = bank.values().sti.iter().sum();
        assert!((total - 1000.0).abs() < 1e-9);
        assert!((bank.sti_funds() - funds).abs() < 1e-6);
    }
}
