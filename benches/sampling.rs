//! How fast text is sampled: 32 sequences side by side, against the rate at which prompts are read.
//!
//! `cargo bench --bench sampling`, with `-- --quick` for fewer turns and shorter sequences. Needs
//! the SmolLM2 test model in the cache folder that `.ci/run` fills.

#[path = "../tests/fetched/mod.rs"]
mod fetched;

use std::time::{Duration, Instant};

use opencog_qat::calibrate::draw;
use opencog_qat::gguf::Gguf;
use opencog_qat::model::{Cache, Model, Session, Untraced, Wanted};
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;
use rayon::prelude::*;

/// Sequences sampled side by side.
const ROWS: usize = 32;
/// Sequences that a prompt pass reads, and their length.
const PROMPT: (usize, usize) = (4, 512);
/// The share of the prompt rate that sampling is to reach.
const WANTED: f64 = 0.5;

fn main() {
    let quick = std::env::args().any(|arg| arg == "--quick");
    let path = fetched::smollm2();
    if !fetched::present(&[&path]) {
        return;
    }
    let gguf = Gguf::open(&path).unwrap();
    let model = Model::of(&gguf).unwrap();
    let (turns, length) = if quick { (1, 256) } else { (3, 512) };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    println!("SmolLM2-135M, F16, 2 threads, in turns; tokens/s of wall time, ms of CPU per token");
    println!("  prompt   CPU    sampling   CPU    ratio  by CPU  wanted");
    pool.install(|| {
        for _ in 0..turns {
            turn(&model, length);
        }
    });
}

/// Measures both, and prints a line.
fn turn(model: &Model, length: usize) {
    let text = vec![vec![0; PROMPT.1]; PROMPT.0];
    let before = clock(|| read(model, &text), PROMPT.0 * PROMPT.1);
    let mut written = Vec::new();
    let sampling = clock(|| written = write(model, length), ROWS * length);
    // Text rather than one token over and over, and before and after, as other work comes and goes.
    let after = clock(|| read(model, &written[..PROMPT.0]), PROMPT.0 * length);
    let mean = |a: f64, b: f64| 2.0 / (1.0 / a + 1.0 / b);
    let prompt = Rate { wall: mean(before.wall, after.wall), cpu: (before.cpu + after.cpu) / 2.0 };
    println!(
        "  {:>6.0}  {:>5.2}  {:>7.0}  {:>7.2}  {:>6.2}  {:>6.2}  {WANTED:>6.2}",
        prompt.wall,
        prompt.cpu * 1e3,
        sampling.wall,
        sampling.cpu * 1e3,
        sampling.wall / prompt.wall,
        prompt.cpu / sampling.cpu,
    );
}

/// Reads sequences in one pass, with the logits of half the positions.
fn read(model: &Model, sequences: &[Vec<u32>]) {
    let sequences: Vec<&[u32]> = sequences.iter().map(|sequence| &sequence[..]).collect();
    let len = sequences[0].len();
    let all = 0..sequences.len() * len;
    let second_halves: Vec<usize> = all.filter(|token| token % len >= len / 2).collect();
    let mut session = Session::new(model);
    let wanted = Wanted::Tokens(&second_halves);
    let hidden = session.hidden(&sequences, wanted, &mut Untraced).unwrap();
    let mut logits = Vec::new();
    session.logits(&hidden, &mut logits);
}

/// Samples sequences side by side: one step of the model, and one draw from each row of logits.
fn write(model: &Model, length: usize) -> Vec<Vec<u32>> {
    let mut session = Session::new(model);
    let mut cache = Cache::new(&model.shape, ROWS, length);
    let slots: Vec<usize> = (0..ROWS).collect();
    let mut random: Vec<_> = (0..ROWS as u64).map(Pcg64Mcg::seed_from_u64).collect();
    let mut text = vec![vec![0]; ROWS];
    let mut logits = Vec::new();
    for _ in 1..length {
        let last: Vec<&[u32]> = text.iter().map(|row| &row[row.len() - 1..]).collect();
        let hidden = session.extend(&mut cache, &slots, &last).unwrap();
        session.logits(&hidden, &mut logits);
        let rows = logits.par_chunks_exact_mut(model.weights.vocabulary());
        rows.zip(&mut text).zip(&mut random).for_each(|((logits, row), random)| {
            row.push(draw(logits, 1.0, random).unwrap().token);
        });
    }
    text
}

/// How fast tokens go by.
struct Rate {
    /// Tokens in a second of wall time.
    wall: f64,
    /// Seconds of CPU time for a token.
    cpu: f64,
}

fn clock(work: impl FnOnce(), tokens: usize) -> Rate {
    let (start, cpu) = (Instant::now(), cpu_time());
    work();
    let (wall, cpu) = (start.elapsed(), cpu_time() - cpu);
    Rate { wall: tokens as f64 / wall.as_secs_f64(), cpu: cpu.as_secs_f64() / tokens as f64 }
}

/// CPU time of this process so far (Linux: `/proc/self/stat`, in hundredths of a second).
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum::<u64>();
    Duration::from_millis(10 * ticks)
}
