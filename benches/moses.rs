//! What 6-bit constants change in programs evolved for the tables that MOSES ships: how they rank,
//! and how far evolution goes from them.
//!
//! `cargo bench --bench moses`, with `-- bank.csv iris.data` for some of the tables only. Needs
//! `../shared/opencog-data/moses`.

#[path = "../tests/moses_tables/mod.rs"]
mod moses_tables;

use std::time::Instant;

use moses_tables::{Shipped, evolved, shipped};
use opencog_qat::opencog::moses::{
    CodedEnsemble, ConstantCodec, Digits, Effort, Ensemble, Fitness, Primitives, Rounding,
    TOLERANCE, Tree, print,
};
use opencog_qat::validate::opencog::moses::{Evolutions, continue_evolution, fitness_change};

/// The programs that are coded.
const ENSEMBLE: Effort = Effort { population: 200, evaluations: 30_000, complexity_ratio: 3.5 };
/// How far evolution goes on from them.
const CONTINUED: Effort = Effort { population: 200, evaluations: 30_000, complexity_ratio: 3.5 };
/// Evolution is random: it goes on this often.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=4;
/// Wanted: Kendall's tau, and how far the best from coded programs may be below the uncoded best.
const WANTED: (f64, f64) = (0.99, 0.02);

fn main() {
    let asked: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let is_asked = |of: &Shipped| asked.is_empty() || asked.iter().any(|name| name == of.name);
    for of in shipped().iter().filter(|of| is_asked(of)) {
        table(of);
    }
}

fn table(of: &Shipped) {
    let start = Instant::now();
    let (ensemble, primitives) = evolved(&of.table, &ENSEMBLE, 1);
    let seconds = start.elapsed().as_secs_f64();
    describe(of, &ensemble, seconds);
    println!(
        "  codec    rounding     bytes  bits/constant     tau  top ten  same best  agreement  largest change of a score"
    );
    for (codec, name, rounding) in codings(of) {
        let coded = CodedEnsemble::encode(&ensemble, codec, rounding);
        let change =
            fitness_change(&ensemble, &coded.decode(), &of.table, Fitness::Errors).unwrap();
        println!(
            "  {codec:<8} {name:<11} {:>6}  {:>13.2}  {:.4}  {:>7.2}  {:>9}  {:>9.4}  {:>25.5}",
            coded.bytes().len(),
            bits(&coded),
            change.tau,
            change.top_ten,
            change.same_best,
            change.agreement,
            change.largest
        );
    }
    evolution(of, &ensemble, &primitives);
}

fn describe(of: &Shipped, ensemble: &Ensemble, seconds: f64) {
    let mut constants: Vec<f64> = ensemble.programs.iter().flat_map(Tree::constants).collect();
    let count = constants.len();
    constants.sort_by(f64::total_cmp);
    constants.dedup();
    let text = |program| print(program, &ensemble.names, Digits::Shortest);
    let bytes: usize = ensemble.programs.iter().map(|program| text(program).len() + 1).sum();
    println!(
        "\n{}: {} programs evolved in {seconds:.1} s, {} bytes of text, {} vertices, {count} constants of {} values, \
         best {:.4}\n  {}",
        of.name,
        ensemble.programs.len(),
        bytes,
        ensemble.programs.iter().map(Tree::len).sum::<usize>(),
        constants.len(),
        ensemble.measure("score").unwrap()[0],
        text(&ensemble.programs[0])
    );
}

fn codings(of: &Shipped) -> Vec<(ConstantCodec, &'static str, Rounding<'_>)> {
    use ConstantCodec::{Lattice, Palette, Uniform};
    vec![
        (Lattice, "keep", Rounding::Keep),
        (Lattice, "nearest", Rounding::Nearest),
        (Lattice, "calibrated", calibrated(of, f64::INFINITY)),
        (Lattice, "within 1e-9", calibrated(of, TOLERANCE)),
        (Palette, "keep", Rounding::Keep),
        (Palette, "nearest", Rounding::Nearest),
        (Palette, "calibrated", calibrated(of, f64::INFINITY)),
        (Palette, "within 1e-9", calibrated(of, TOLERANCE)),
        (Uniform, "nearest", Rounding::Nearest),
        (Uniform, "calibrated", calibrated(of, f64::INFINITY)),
    ]
}

/// At the level with which a program says most nearly the same of its table.
fn calibrated(of: &Shipped, tolerance: f64) -> Rounding<'_> {
    Rounding::Calibrated { table: &of.table, tolerance }
}

/// Bits a constant, with the numbers that are kept and their places.
fn bits(coded: &CodedEnsemble) -> f64 {
    let (levels, kept) = coded.constants();
    let exact = coded.book().exact().len();
    (6 * (levels + kept) + 8 * kept + 64 * exact) as f64 / (levels + kept).max(1) as f64
}

fn evolution(of: &Shipped, ensemble: &Ensemble, primitives: &Primitives) {
    let coded = CodedEnsemble::encode(ensemble, ConstantCodec::Palette, calibrated(of, TOLERANCE));
    let trees: Vec<_> = (0..coded.len()).map(|program| coded.tree(program)).collect();
    let on = (&of.table, Fitness::Errors);
    let runs: Vec<_> = SEEDS
        .map(|seed| {
            let codes = (&trees[..], coded.book());
            continue_evolution(ensemble, codes, primitives, on, &CONTINUED, seed).unwrap()
        })
        .collect();
    println!("  evolution goes on, palette within 1e-9; seeds {SEEDS:?}");
    let uncoded: Vec<f64> = runs.iter().map(|run| run.uncoded).collect();
    let coded: Vec<f64> = runs.iter().map(|run| run.coded).collect();
    for (name, scores) in [("numbers", &uncoded), ("codes", &coded)] {
        let bests: Vec<String> = scores.iter().map(|score| format!("{score:.4}")).collect();
        println!("    best with {name:<8} {}", bests.join("  "));
    }
    let highest = |scores: &[f64]| scores.iter().copied().fold(f64::MIN, f64::max);
    let mean = |scores: &[f64]| scores.iter().sum::<f64>() / scores.len() as f64;
    let short = |best: &dyn Fn(&[f64]) -> f64| {
        let (uncoded, coded) = (best(&uncoded), best(&coded));
        100.0 * Evolutions { start: runs[0].start, uncoded, coded }.shortfall(&of.table)
    };
    println!(
        "    from {:.4}: codes fall short by {:.2} % of the best of all seeds, {:.2} % of the mean (wanted: tau {}, {:.0} %)",
        runs[0].start,
        short(&highest),
        short(&mean),
        WANTED.0,
        100.0 * WANTED.1
    );
}
