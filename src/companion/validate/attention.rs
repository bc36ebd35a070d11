//! Where attention goes from coded values, and what a memory recalls through them.

use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use rustc_hash::FxHashMap;

use crate::opencog::atomspace::{AtomId, AtomStore, AttentionValue, Kind};
use crate::opencog::ecan::{
    AttentionCodec, AttentionValues, HebbianLink, HebbianLinks, Incidence, Parameters, Pattern,
};
use crate::report::{DynamicsReport, RecallReport};
use crate::validate::opencog::attention::{Stimuli, World, attention_change, recall};

const SEED: u64 = 1;

/// Cycles of attention allocation, as far as atoms times cycles are not more than [`MOST_STEPS`].
const CYCLES: usize = 100;
const MOST_STEPS: usize = 10_000_000;

/// Seconds between cycles: rent is due in each.
const SECONDS: f64 = 0.2;

/// The largest attentional focus. In OpenCog it is 1000, which on small data would be all atoms, and
/// is linked each with each.
const FOCUS: usize = 100;

/// Atoms that get a stimulus of 1 before each cycle.
const STIMULATED: usize = 5;

/// Runs attention allocation from the values that were read and from those of the companion; the
/// original of atom `i` of the companion is `originals[i]`. Atoms without a value have zeros.
pub(super) fn dynamics(
    original: &impl AtomStore,
    packed: &impl AtomStore,
    originals: &[AtomId],
) -> DynamicsReport {
    let values = values_of(originals.iter().map(|atom| original.attention_value(*atom)));
    let coded = values_of(packed.atoms().map(|atom| packed.attention_value(atom)));
    let attended = packed.atoms().filter(|&atom| packed.attention_value(atom).is_some());
    let attended: Vec<u32> = attended.map(|atom| atom.0).collect();
    let cycles = (MOST_STEPS / values.len().max(1)).clamp(1, CYCLES);
    let parameters = Parameters {
        focus: (attended.len() / 10).clamp(1, FOCUS),
        starting_funds: funds(&values),
        ..Parameters::default()
    };
    let ids: FxHashMap<AtomId, AtomId> =
        originals.iter().zip(packed.atoms()).map(|(&original, atom)| (original, atom)).collect();
    let links = hebbian_links(original, |atom| ids[&atom]);
    let coded_links = hebbian_links(packed, |atom| atom);
    let world = World {
        incidence: &incidence(packed),
        links: [&links, &coded_links],
        parameters,
        stimuli: &stimuli(&attended, cycles),
        seconds: SECONDS,
        seeds: [SEED; 2],
    };
    let change = attention_change(&values, &coded, &world);
    let other_seed = World { seeds: [SEED, SEED + 1], links: [&links; 2], ..world };
    let by_chance = attention_change(&values, &values, &other_seed).mean_jaccard;
    DynamicsReport { cycles, focus: parameters.focus, change, by_chance }
}

fn values_of(atoms: impl Iterator<Item = Option<AttentionValue>>) -> AttentionValues {
    let mut values = AttentionValues::default();
    for value in atoms {
        let AttentionValue { sti, lti, vlti } = value.unwrap_or_default();
        values.sti.push(sti);
        values.lti.push(lti);
        // A count: 8-bit codes are of no others.
        values.vlti.push(vlti as u32);
    }
    values
}

/// OpenCog's, or so much that funds are on target after atoms got what they have.
fn funds(values: &AttentionValues) -> f64 {
    let Parameters { starting_funds, target_funds, .. } = Parameters::default();
    let given = |values: &[f64]| values.iter().sum::<f64>() + target_funds;
    starting_funds.max(given(&values.sti)).max(given(&values.lti))
}

/// The asymmetric Hebbian links of a store between two atoms, with the strength and confidence that
/// they have there; `id` is that of an atom in the companion.
fn hebbian_links(store: &impl AtomStore, id: impl Fn(AtomId) -> AtomId) -> HebbianLinks {
    let mut links = HebbianLinks::new();
    let Some(of) = store.find_type("AsymmetricHebbianLink", Kind::Link) else { return links };
    for link in store.by_type(of) {
        let held: Vec<AtomId> = store.outgoing(link).map(&id).collect();
        let &[source, target] = &held[..] else { continue };
        let truth = store.truth_value(link);
        let vlti = store.attention_value(link).unwrap_or_default().vlti as u32;
        links.set(
            source.0,
            target.0,
            HebbianLink {
                strength: truth.map_or(0.0, |truth| truth.strength()),
                confidence: truth.map_or(0.0, |truth| truth.confidence()),
                vlti,
            },
        );
    }
    links
}

/// Which atoms are beside which by all links but Hebbian ones.
fn incidence(store: &impl AtomStore) -> Incidence {
    let is_hebbian =
        |atom| store.types()[store.type_of(atom).index()].name.ends_with("HebbianLink");
    let links = store.atoms().filter(|&atom| store.outgoing(atom).len() > 0 && !is_hebbian(atom));
    let links = links.map(|link| (link.0, store.outgoing(link).map(|held| held.0).collect()));
    let links: Vec<(u32, Vec<u32>)> = links.collect();
    Incidence::new(store.atom_count(), &links)
        .unwrap_or_else(|fault| unreachable!("links hold atoms of their store: {fault}"))
}

/// A few of these atoms before each cycle.
fn stimuli(atoms: &[u32], cycles: usize) -> Vec<Stimuli> {
    let mut random = Pcg64Mcg::seed_from_u64(SEED);
    let mut some = || {
        let chosen = (0..STIMULATED).filter_map(|_| atoms.choose(&mut random));
        chosen.map(|atom| (*atom, 1.0)).collect()
    };
    (0..cycles).map(|_| some()).collect()
}

/// Atoms of the grid that patterns are on, the larger of OpenCog's example.
const GRID: usize = 100;

/// Patterns, so many that some are hard to recall.
const PATTERNS: usize = 20;

/// The share of atoms that cues have otherwise than their pattern.
const NOISE: f64 = 0.2;

/// Has a Hopfield memory recall random patterns, as it is and through a code. The atoms are made up:
/// what an AtomSpace attends to is no set of patterns to learn.
pub(super) fn recalled(codec: AttentionCodec) -> RecallReport {
    let mut random = Pcg64Mcg::seed_from_u64(SEED);
    let mut pattern = || Pattern((0..GRID).map(|_| random.random()).collect());
    let patterns: Vec<Pattern> = (0..PATTERNS).map(|_| pattern()).collect();
    let cue = |Pattern(atoms): &Pattern| {
        Pattern(atoms.iter().map(|active| active ^ random.random_bool(NOISE)).collect())
    };
    let cues: Vec<Pattern> = patterns.iter().map(cue).collect();
    let given = patterns.iter().zip(&cues).map(|(pattern, cue)| pattern.similarity(cue));
    RecallReport {
        patterns: PATTERNS,
        atoms: GRID,
        cues: given.sum::<f64>() / PATTERNS as f64,
        uncoded: recall(&patterns, &cues, None),
        coded: recall(&patterns, &cues, Some(codec)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::opencog::atomspace::read::{ReadOptions, read};
    use crate::opencog::atomspace::{AtomSpace, twins};

    /// A hundred atoms on a string, their importance as a function of their place.
    fn string(sti: impl Fn(u32) -> f64) -> AtomSpace {
        let atom = |i: u32| format!("(Concept \"{i}\" (av {} {i} 0))", sti(i));
        let link = |i: u32| format!("(List {} {})\n", atom(i), atom(i + 1));
        let text: String = (0..99).map(link).collect();
        read(text.as_bytes(), &ReadOptions::default()).unwrap().0
    }

    fn change(coded: impl Fn(u32) -> f64) -> DynamicsReport {
        let (original, coded) = (string(|i| f64::from(i * 37 % 100)), string(coded));
        dynamics(&original, &coded, &twins(&coded, &original).unwrap())
    }

    #[test]
    fn equal_values_lead_to_equal_attention() {
        let same = change(|i| f64::from(i * 37 % 100));
        assert_eq!((same.cycles, same.focus), (CYCLES, 10));
        assert_eq!((same.change.first_jaccard, same.change.least_jaccard), (1.0, 1.0));
        assert!(same.change.last_correlation > 1.0 - 1e-12, "{same:?}");
        assert!(same.change.drift < 1e-9);
        assert!(same.by_chance > 0.0 && same.by_chance < 1.0, "{same:?}");
    }

    #[test]
    fn other_values_lead_elsewhere() {
        let reversed = change(|i| f64::from(99 - i * 37 % 100)).change;
        assert!(reversed.first_jaccard < 0.5 && reversed.first_correlation < 0.9, "{reversed:?}");
        let coarse = change(|i| f64::from(i * 37 % 100 / 50 * 50)).change;
        assert!(coarse.coding_error < 0.0 && coarse.mean_jaccard < 1.0, "{coarse:?}");
    }

    #[test]
    fn links_that_are_coded_otherwise_lead_elsewhere() {
        let space = |strength: f64| {
            let link = |i: u32| {
                let (a, b) = (i, (i * 7 + 3) % 100);
                format!(
                    "(AsymmetricHebbianLink (stv {strength} 0.9) (Concept \"{a}\") (Concept \"{b}\"))\n"
                )
            };
            let atom = |i: u32| format!("(Concept \"{i}\" (av {} {i} 0))\n", i * 37 % 100);
            let text: String = (0..100).map(atom).chain((0..100).map(link)).collect();
            read(text.as_bytes(), &ReadOptions::default()).unwrap().0
        };
        let change = |coded: f64| {
            let (original, coded) = (space(0.9), space(coded));
            dynamics(&original, &coded, &twins(&coded, &original).unwrap()).change
        };
        assert_eq!(change(0.9).mean_jaccard, 1.0);
        let zeroed = change(0.0);
        assert_eq!(zeroed.first_jaccard, 1.0);
        assert!(zeroed.last_correlation < 1.0 && zeroed.strength_rmse > 0.0, "{zeroed:?}");
    }

    #[test]
    fn funds_are_on_target_where_atoms_have_much() {
        let mut values = AttentionValues::zero(10);
        assert_eq!(funds(&values), 100_000.0);
        values.sti.fill(30_000.0);
        assert_eq!(funds(&values), 310_000.0);
    }

    #[test]
    fn hebbian_links_lead_nowhere() {
        let text = "(AsymmetricHebbianLink (Concept \"a\") (Concept \"b\")) (List (Concept \"a\"))";
        let (space, _) = read(text.as_bytes(), &ReadOptions::default()).unwrap();
        let incidence = incidence(&space);
        let incident: Vec<usize> = (0..4).map(|atom| incidence.incident(atom).len()).collect();
        assert_eq!(incident.iter().sum::<usize>(), 2, "from the list and to it: {incident:?}");
    }

    #[test]
    fn memory_recalls_more_than_cues_give() {
        for codec in [AttentionCodec::Palette, AttentionCodec::Geometric] {
            let told = recalled(codec);
            assert!(told.uncoded > told.cues && told.cues > 0.75, "{told:?}");
            assert!(told.coded > told.cues, "{told:?}");
        }
    }
}
