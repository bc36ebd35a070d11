//! What coded attention values change in what OpenCog attends to.

use std::collections::BTreeSet;

use serde::Serialize;

use super::ranking::spearman;
use crate::opencog::ecan::{
    AttentionCodec, AttentionValues, Column, HebbianLinks, Incidence, Memory, Parameters, Pattern,
    Simulation,
};

/// Atoms that are stimulated before a cycle, and by how much.
pub type Stimuli = Vec<(u32, f64)>;

/// Where attention goes on.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    /// Which atoms are beside which.
    pub incidence: &'a Incidence,
    /// The Hebbian links at the beginning, of the run from the values and of that from coded ones.
    pub links: [&'a HebbianLinks; 2],
    /// The parameters of attention allocation.
    pub parameters: Parameters,
    /// What happens: a cycle for each of them.
    pub stimuli: &'a [Stimuli],
    /// Seconds between cycles.
    pub seconds: f64,
    /// Of all that is random, from the values and from the coded ones: the same, but to see what
    /// chance alone changes.
    pub seeds: [u64; 2],
}

/// How attention that begins with coded values differs from that which begins with the values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AttentionChange {
    /// The Jaccard index of the attentional foci before the first cycle.
    pub first_jaccard: f64,
    /// Its mean over the cycles.
    pub mean_jaccard: f64,
    /// The lowest of any cycle.
    pub least_jaccard: f64,
    /// Spearman's rank correlation of STI before the first cycle.
    pub first_correlation: f64,
    /// The same after the last.
    pub last_correlation: f64,
    /// STI that coding made (above 0) or lost (below), as a share of all STI there is.
    pub coding_error: f64,
    /// How far STI and funds together were off from what they should be after any cycle, at most, as
    /// a share of it.
    pub drift: f64,
    /// The Jaccard index of the atoms that are forgotten after the last cycle, down to nine tenths.
    pub forgotten_jaccard: f64,
    /// The root of the mean squared difference of the strengths of Hebbian links that both have.
    pub strength_rmse: f64,
    /// The Jaccard index of the Hebbian links.
    pub links_jaccard: f64,
}

/// Runs attention from both.
///
/// # Panics
///
/// Where the values are not as many as the atoms.
pub fn attention_change(
    values: &AttentionValues,
    coded: &AttentionValues,
    world: &World,
) -> AttentionChange {
    let atoms = values.len();
    let parameters = Parameters { atoms: usize::MAX / 2, ..world.parameters };
    let mut runs = [(values, 0), (coded, 1)].map(|(values, run)| {
        let (incidence, links) = (world.incidence.clone(), world.links[run].clone());
        Simulation::new(values, incidence, links, parameters, world.seeds[run])
    });
    let first_jaccard = focus_jaccard(&runs);
    let first_correlation = spearman(&values.sti, &coded.sti);
    let (mut jaccards, mut drift) = (Vec::new(), 0f64);
    for stimuli in world.stimuli {
        for run in &mut runs {
            stimuli.iter().for_each(|(atom, stimulus)| run.stimulate(*atom, *stimulus));
            run.cycle(world.seconds);
            drift = drift.max(off_balance(run));
        }
        jaccards.push(focus_jaccard(&runs));
    }
    let [a, b] = &runs;
    let total = |values: &AttentionValues| values.sti.iter().sum::<f64>();
    AttentionChange {
        first_jaccard,
        mean_jaccard: jaccards.iter().sum::<f64>() / jaccards.len().max(1) as f64,
        least_jaccard: jaccards.iter().copied().fold(1.0, f64::min),
        first_correlation,
        last_correlation: spearman(&a.bank().values().sti, &b.bank().values().sti),
        coding_error: (total(coded) - total(values)) / parameters.starting_funds,
        drift,
        strength_rmse: strength_rmse(a.links(), b.links()),
        links_jaccard: jaccard(&pairs(a.links()), &pairs(b.links())),
        forgotten_jaccard: {
            let [a, b] = [a, b].map(|run| forgotten(run, world, atoms));
            jaccard(&a, &b)
        },
    }
}

fn focus_jaccard(runs: &[Simulation; 2]) -> f64 {
    let [a, b] = [0, 1].map(|run: usize| runs[run].bank().focus().collect::<BTreeSet<u32>>());
    jaccard(&a, &b)
}

/// The share of what is in either that is in both; 1 where both are empty.
pub fn jaccard<T: Ord>(a: &BTreeSet<T>, b: &BTreeSet<T>) -> f64 {
    let both = a.intersection(b).count();
    let either = a.len() + b.len() - both;
    if either == 0 { 1.0 } else { both as f64 / either as f64 }
}

/// How far STI and funds are off from all there is, as a share of it.
fn off_balance(run: &Simulation) -> f64 {
    let bank = run.bank();
    let total = bank.values().sti.iter().sum::<f64>() + bank.sti_funds();
    let all = bank.parameters().starting_funds;
    (total - all).abs() / all
}

fn pairs(links: &HebbianLinks) -> BTreeSet<(u32, u32)> {
    links.iter().map(|(pair, _)| pair).collect()
}

fn strength_rmse(a: &HebbianLinks, b: &HebbianLinks) -> f64 {
    let of_both = |((source, target), link): ((u32, u32), &crate::opencog::ecan::HebbianLink)| {
        b.get(source, target).map(|other| (link.strength - other.strength).powi(2))
    };
    let squares: Vec<f64> = a.iter().filter_map(of_both).collect();
    (squares.iter().sum::<f64>() / squares.len().max(1) as f64).sqrt()
}

/// The atoms that would be forgotten if a tenth of the atoms were too many.
fn forgotten(run: &Simulation, world: &World, atoms: usize) -> BTreeSet<u32> {
    let values = run.bank().values();
    let most = atoms - atoms / 10;
    let parameters = Parameters { atoms: most, atoms_spread: 0, ..world.parameters };
    let (incidence, links) = (world.incidence.clone(), HebbianLinks::new());
    let mut run = Simulation::new(values, incidence, links, parameters, world.seeds[0]);
    run.forget().into_iter().collect()
}

/// Cycles of recall.
const CYCLES: usize = 10;

/// How well patterns are recalled from cues: the mean similarity of what cue `i` leads to and of
/// pattern `i`. With a codec, all STI and every strength of a link is kept in its 8 bits.
///
/// # Panics
///
/// Where there are not as many cues, or they are not of one size.
pub fn recall(patterns: &[Pattern], cues: &[Pattern], codec: Option<AttentionCodec>) -> f64 {
    assert_eq!(patterns.len(), cues.len(), "a cue for each pattern");
    let keep = |values: &[f64]| match codec {
        None => values.to_vec(),
        Some(codec) => Column::encode(codec, values).decode(),
    };
    let mut memory = Memory::new(patterns.first().map_or(0, |pattern| pattern.0.len()));
    patterns.iter().for_each(|pattern| memory.learn(pattern, &keep));
    let memory = memory.kept(&keep);
    let similarity = |(pattern, cue): (&Pattern, &Pattern)| {
        pattern.similarity(&memory.recall(cue, CYCLES, &keep))
    };
    patterns.iter().zip(cues).map(similarity).sum::<f64>() / patterns.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::opencog::ecan::CodedAttention;

    /// A ring of atoms, each odd one a link of its neighbours.
    fn ring(atoms: u32) -> Incidence {
        let link = |link| (link, vec![link - 1, (link + 1) % atoms]);
        Incidence::new(atoms as usize, &(1..atoms).step_by(2).map(link).collect::<Vec<_>>())
            .unwrap()
    }

    fn change(coded: impl Fn(&AttentionValues) -> AttentionValues) -> AttentionChange {
        let mut values = AttentionValues::zero(200);
        for atom in 0..200 {
            values.sti[atom] = 1.7f64.powi((atom % 12) as i32) + atom as f64 / 50.0;
            values.lti[atom] = (atom * 37 % 200) as f64 / 3.0;
        }
        let stimuli: Vec<Stimuli> = (0..20).map(|cycle| vec![(cycle * 7, 2.0)]).collect();
        let none = HebbianLinks::new();
        let world = World {
            incidence: &ring(200),
            links: [&none; 2],
            parameters: Parameters { focus: 30, ..Parameters::default() },
            stimuli: &stimuli,
            seconds: 0.2,
            seeds: [1, 1],
        };
        attention_change(&values, &coded(&values), &world)
    }

    #[test]
    fn what_is_not_changed_changes_nothing() {
        let same = change(Clone::clone);
        let ones = [
            same.first_jaccard,
            same.mean_jaccard,
            same.least_jaccard,
            same.last_correlation,
            same.forgotten_jaccard,
            same.links_jaccard,
        ];
        assert!(ones.iter().all(|one| (one - 1.0).abs() < 1e-12), "{same:?}");
        assert_eq!((same.strength_rmse, same.coding_error), (0.0, 0.0));
        assert!(same.drift < 1e-9);
    }

    #[test]
    fn codes_of_eight_bits_change_less_than_coarse_ones() {
        let geometric =
            change(|values| CodedAttention::encode(AttentionCodec::Geometric, values).decode());
        let coarse = change(|values| {
            let sti = values.sti.iter().map(|sti| (sti / 200.0).round() * 200.0).collect();
            AttentionValues { sti, ..values.clone() }
        });
        assert!(geometric.first_jaccard > 0.9, "{geometric:?}");
        assert!(coarse.mean_jaccard < geometric.mean_jaccard, "{coarse:?} {geometric:?}");
        assert!(coarse.last_correlation < geometric.last_correlation);
        assert!(coarse.coding_error.abs() > geometric.coding_error.abs());
    }

    #[test]
    fn memory_recalls_with_codes_too() {
        let patterns = Pattern::read_all("OOO\n...\n...\n\n..O\n..O\n.OO\n").unwrap();
        let cues = Pattern::read_all("O.O\n...\n...\n\n..O\n..O\n..O\n").unwrap();
        assert_eq!(recall(&patterns, &cues, None), 1.0);
        assert_eq!(recall(&patterns, &cues, Some(AttentionCodec::Palette)), 1.0);
    }
}
