//! What 8-bit attention values change: how near they are, where attention goes from them, and what a
//! Hopfield memory recalls through them.
//!
//! `cargo bench --bench ecan`. The patterns and the values of the embodiment corpus are those of
//! `../shared/opencog-data`; without it, those parts are skipped. The corpus is read with `xz`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use opencog_qat::opencog::ecan::{
    AttentionCodec, AttentionValues, CodedAttention, HebbianLinks, Incidence, Parameters, Pattern,
    Simulation,
};
use opencog_qat::validate::opencog::attention::{Stimuli, World, attention_change, recall};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// Nodes and links of the simulated AtomSpace: those of the embodiment corpus.
const NODES: u32 = 1706;
const LINKS: u32 = 9978;
/// Cycles before values are coded, and after.
const WARM: usize = 300;
const CYCLES: usize = 100;
/// Seconds between cycles: rent is due in each.
const SECONDS: f64 = 0.2;
const SEED: u64 = 1;

fn main() {
    corpus();
    attention();
    hopfield();
}

fn data(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/opencog-data").join(file)
}

/// The values of `(av sti lti vlti)` in a file, in order.
fn corpus() {
    let path = data("atomspace/embodiment-corpus-av.scm.xz");
    let text = Command::new("xz").arg("-dc").arg(&path).output();
    let Some(text) = text.ok().filter(|output| output.status.success()) else {
        return println!("skipped: {} cannot be read with xz", path.display());
    };
    let text = String::from_utf8(text.stdout).unwrap();
    let mut values = AttentionValues::default();
    for value in text.split("(av ").skip(1) {
        let numbers = value.split(')').next().unwrap_or_default().split_whitespace();
        let numbers: Vec<f64> = numbers.map(|number| number.parse().unwrap()).collect();
        values.sti.push(numbers[0]);
        values.lti.push(numbers[1]);
        values.vlti.push(numbers[2].max(0.0) as u32);
    }
    println!("embodiment corpus: {} attention values", values.len());
    nearness(&values);
}

fn nearness(values: &AttentionValues) {
    println!(
        "  codec      STI values -> after   not 0 became 0   0 became other   largest error   VLTI kept 0 and not 0"
    );
    for codec in AttentionCodec::all() {
        let coded = CodedAttention::encode(codec, values).decode();
        let pairs = || values.sti.iter().zip(&coded.sti);
        let count = |of: fn(f64, f64) -> bool| pairs().filter(|(a, b)| of(**a, **b)).count();
        let vlti = values.vlti.iter().zip(&coded.vlti).all(|(a, b)| (*a == 0) == (*b == 0));
        println!(
            "  {codec:<9} {:>11} -> {:<5} {:>17} {:>16} {:>15.4} {:>23}",
            distinct(&values.sti),
            distinct(&coded.sti),
            count(|a, b| a != 0.0 && b == 0.0),
            count(|a, b| a == 0.0 && b != 0.0),
            pairs().map(|(a, b)| (a - b).abs()).fold(0.0, f64::max),
            vlti
        );
    }
}

fn distinct(values: &[f64]) -> usize {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.dedup();
    values.len()
}

/// Links of two or three atoms, those that have many links already the more likely.
fn graph(random: &mut Pcg64Mcg) -> Incidence {
    let mut ends: Vec<u32> = (0..NODES).collect();
    let links = (NODES..NODES + LINKS).map(|link| {
        let targets: Vec<u32> = (0..random.random_range(2..4))
            .map(|_| ends[random.random_range(0..ends.len())])
            .collect();
        ends.extend(&targets);
        ends.push(link);
        (link, targets)
    });
    let links: Vec<_> = links.collect();
    Incidence::new((NODES + LINKS) as usize, &links).unwrap()
}

/// A few nodes, the first ones the more likely, as words in a text are.
fn stimuli(cycles: usize, random: &mut Pcg64Mcg) -> Vec<Stimuli> {
    let node = |random: &mut Pcg64Mcg| (f64::from(NODES).powf(random.random::<f64>()) - 1.0) as u32;
    (0..cycles).map(|_| (0..5).map(|_| (node(random), 1.0)).collect()).collect()
}

fn attention() {
    let mut random = Pcg64Mcg::seed_from_u64(SEED);
    let incidence = graph(&mut random);
    let parameters = Parameters { focus: 100, ..Parameters::default() };
    let zero = AttentionValues::zero(incidence.atoms());
    let mut warm = Simulation::new(&zero, incidence.clone(), HebbianLinks::new(), parameters, SEED);
    let start = Instant::now();
    for stimuli in stimuli(WARM, &mut random) {
        stimuli.iter().for_each(|(atom, stimulus)| warm.stimulate(*atom, *stimulus));
        warm.cycle(SECONDS);
    }
    let seconds = start.elapsed().as_secs_f64();
    let mut values = warm.bank().values().clone();
    // Some atoms are wanted, as many as in the corpus have a VLTI.
    values.vlti.iter_mut().step_by(10).for_each(|vlti| *vlti = 1);
    println!(
        "\nsimulated AtomSpace: {} atoms, {} Hebbian links, {WARM} cycles in {seconds:.1} s, then coded",
        incidence.atoms(),
        warm.links().len()
    );
    nearness(&values);
    let stimuli = stimuli(CYCLES, &mut random);
    let world = World {
        incidence: &incidence,
        links: [warm.links(); 2],
        parameters,
        stimuli: &stimuli,
        seconds: SECONDS,
        seeds: [SEED; 2],
    };
    println!(
        "  {CYCLES} cycles from coded values against the same from the values; focus of {}",
        parameters.focus
    );
    println!(
        "  codec                 focus Jaccard: first   mean  least   STI rank correlation: first    last   STI made by coding     drift   forgotten   links  strength RMSE"
    );
    let coded = |codec| CodedAttention::encode(codec, &values).decode();
    let codecs = AttentionCodec::all().map(|codec| (codec.to_string(), coded(codec), world));
    let by_chance = World { seeds: [SEED, SEED + 1], ..world };
    let chance = ("no codes, other seed".to_string(), values.clone(), by_chance);
    for (name, coded, world) in codecs.chain([chance]) {
        let change = attention_change(&values, &coded, &world);
        println!(
            "  {name:<20} {:>21.4} {:>6.4} {:>6.4} {:>29.4} {:>7.4} {:>20.2e} {:>9.1e} {:>11.4} {:>7.4} {:>14.5}",
            change.first_jaccard,
            change.mean_jaccard,
            change.least_jaccard,
            change.first_correlation,
            change.last_correlation,
            change.coding_error,
            change.drift,
            change.forgotten_jaccard,
            change.links_jaccard,
            change.strength_rmse
        );
    }
}

fn hopfield() {
    println!("\nHopfield recall: mean similarity of what cues lead to and of the patterns");
    for size in ["3x3", "4x4", "10x10"] {
        let read = |kind: &str| {
            let path = data(&format!("attention/hopfield_{kind}_patterns_{size}.txt"));
            let text = std::fs::read_to_string(&path).ok();
            text.map(|text| Pattern::read_all(&text).unwrap())
        };
        let (Some(patterns), Some(cues)) = (read("training"), read("cue")) else {
            return println!("skipped: {} is missing", data("attention").display());
        };
        let given: f64 = patterns.iter().zip(&cues).map(|(a, b)| a.similarity(b)).sum();
        let mut line = format!(
            "  {size:<6} {} patterns, cues {:.4}: as it is {:.4}",
            patterns.len(),
            given / patterns.len() as f64,
            recall(&patterns, &cues, None)
        );
        for codec in AttentionCodec::all() {
            line += &format!(", {codec} {:.4}", recall(&patterns, &cues, Some(codec)));
        }
        println!("{line}");
    }
}
