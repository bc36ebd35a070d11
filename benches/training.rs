//! Trained files against llama-quantize's of the same formats, and against what the search alone gives;
//! and the time and memory of training on models of three sizes.
//!
//! `cargo bench --bench training`, with `-- q4_0 iq4_nl q4_k_m accuracy sizes bare` for some of its
//! parts only; `bare` is the rate of bare products alone. Needs what `search` needs. A row takes about
//! an hour.

mod arena;
mod process;
mod product;
#[path = "../tests/random_models/mod.rs"]
#[allow(unused_imports, reason = "it is for tests too")]
mod random_models;

use std::time::Instant;

use arena::{Arena, CHUNKS, Run, bytes, write_random};
use serde_json::Value as Json;

/// Wanted: our KLD as a share of that of llama-quantize's file with an importance matrix.
const OF_ONE_FORMAT: [(&str, f64); 2] = [("Q4_0", 0.55), ("IQ4_NL", 0.60)];
const OF_Q4_K_M: f64 = 0.45;
const THREADS: usize = 2;

fn main() {
    let parts: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let asked = |part: &str| parts.is_empty() || parts.iter().any(|asked| asked == part);
    if let Some(arena) = Arena::found() {
        for (format, wanted) in OF_ONE_FORMAT {
            if asked(&format.to_lowercase()) {
                let flags = format!("--bpw 4.5 --formats {format}");
                let theirs = arena.pure(format);
                against(&arena, &format!("trained-{format}"), &flags, &theirs, wanted);
            }
        }
        if asked("q4_k_m") {
            let theirs = arena.recipe("q4_k_m", true);
            let flags = format!("--size {}", bytes(&theirs));
            against(&arena, "trained-q4_k_m", &flags, &theirs, OF_Q4_K_M);
        }
        if asked("accuracy") {
            smallest(&arena);
        }
    }
    if asked("sizes") {
        sizes();
    }
    if asked("bare") {
        println!("bare products: {:.1} GFLOP/s", bare_rate());
    }
}

/// A trained file against one of llama-quantize with a matrix.
fn against(arena: &Arena, name: &str, flags: &str, theirs: &std::path::Path, wanted: f64) {
    let ours = arena.run(name, &format!("--effort thorough {flags}"));
    let [kld, other] = [&ours.file, &theirs.to_path_buf()].map(|file| arena.kld(file));
    println!("\nSmolLM2-135M, F16, --effort thorough {flags}: {CHUNKS} chunks");
    println!("  ours         {:>11} bytes, KLD {kld:.5}", bytes(&ours.file));
    println!("  with matrix  {:>11} bytes, KLD {other:.5}", bytes(theirs));
    println!("  ours / it    {:>11.3}, wanted {wanted:.2}", kld / other);
    print(&ours);
}

/// The smallest file within 2 %, trained and not.
fn smallest(arena: &Arena) {
    let [searched, trained] = ["standard", "thorough"].map(|effort| {
        arena.run(&format!("{effort}-accuracy"), &format!("--effort {effort} --accuracy 0.02"))
    });
    println!("\nSmolLM2-135M, F16, --accuracy 0.02: 1 - exp(-KLD) by llama-perplexity");
    for (effort, run) in [("standard", &searched), ("thorough", &trained)] {
        let lost = 1.0 - (-arena.kld(&run.file)).exp();
        println!("  {effort:<10} {:>11} bytes  {lost:.4}", bytes(&run.file));
    }
    let smaller = 1.0 - bytes(&trained.file) as f64 / bytes(&searched.file) as f64;
    println!("  {:.1} % smaller, wanted 10", 100.0 * smaller);
    print(&trained);
}

/// Tokens that the model writes at `--effort thorough`.
const WRITTEN: f64 = 144.0 * 512.0;

/// What a run took. For its products count the text, each weight once for a token, and training, each
/// weight of a layer three times for a token that is learnt from, there and back, but those of
/// queries, keys and values twice. Those that measure and encode do not count.
fn print(run: &Run) {
    let search = &run.report["search"];
    let rounds = search["trained"].as_array().expect("it was trained");
    let tensors = run.report["tensors"].as_array().expect("there are tensors");
    let name = |tensor: &Json| tensor["name"].as_str().unwrap_or_default().to_string();
    let elements = |tensor: &Json| -> f64 {
        let shape = tensor["shape"].as_array().expect("it has a shape");
        shape.iter().filter_map(Json::as_f64).product()
    };
    let all: f64 = tensors.iter().map(elements).sum();
    let of_layers = tensors.iter().filter(|tensor| name(tensor).starts_with("blk."));
    let reads_stream =
        |name: String| ["attn_q.", "attn_k.", "attn_v."].iter().any(|part| name.contains(part));
    let there_and_back: f64 = of_layers
        .map(|tensor| elements(tensor) * if reads_stream(name(tensor)) { 4.0 } else { 6.0 })
        .sum();
    let all_layers = run.report["search"]["trained"][0]["layers"].as_array().map_or(1, Vec::len);
    let mut products = 2.0 * all * WRITTEN;
    let bare = bare_rate();
    for round in rounds {
        let number = |key: &str| round[key].as_f64().expect("it is measured");
        let [before, after, seconds] = ["untrained_kld", "trained_kld", "seconds"].map(number);
        let layers = round["layers"].as_array().expect("of layers");
        let tokens: f64 = layers.iter().filter_map(|layer| layer["tokens"].as_f64()).sum();
        let trained = there_and_back * tokens / all_layers as f64;
        products += trained;
        println!(
            "  own text: KLD {before:.5}, trained {after:.5}, {:.0} % of it; {seconds:.0} s, {tokens} \
             tokens of layers, {:.0} % of the bare rate",
            100.0 * after / before,
            trained / seconds / bare / 1e7
        );
    }
    println!(
        "  took {:.0} s in all (wanted: 2700), {:.2} GB at most (wanted: 2.5); bare products \
         {bare:.1} GFLOP/s, the whole run at {:.1}, {:.0} % of that (wanted: 55)",
        run.seconds,
        run.peak.total as f64 * 1024.0 / 1e9,
        products / run.seconds / 1e9,
        products / run.seconds / bare / 1e7
    );
}

/// GFLOP/s of products such as training has, with nothing around them.
fn bare_rate() -> f64 {
    let (m, n, k) = (2048, 1536, 576);
    let (x, w, mut y) = (vec![0.5f32; m * k], vec![0.5f32; n * k], vec![0.0f32; m * n]);
    let mut rate = || {
        let start = Instant::now();
        product::bare((m, n, k), &x, &w, &mut y, THREADS);
        (2 * m * n * k) as f64 / start.elapsed().as_secs_f64() / 1e9
    };
    let mut rates: Vec<f64> = (0..50).map(|_| rate()).collect();
    rates.sort_unstable_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// Time and memory on random models of three sizes, which have layers of the same size.
fn sizes() {
    println!("\nrandom llama models, F16, layers of 12.8 M weights, 4096 tokens of text, 2 passes");
    println!("  layers   weights    seconds   of training   s / M weights   peak of own pages, MB");
    let folder = tempfile::tempdir().unwrap();
    for layers in [2, 4, 8] {
        let path = folder.path().join("model.gguf");
        write_random(layers, &path);
        let flags = "--effort thorough --batches 2 --batch-size 8 --seq-len 256 --bpw 4.5 \
                     --formats Q4_0";
        let run = Run::of(&path, &folder.path().join("out.gguf"), flags);
        let weights = run.report["metrics"]["parameters"].as_f64().unwrap() / 1e6;
        let training = run.report["search"]["trained"][0]["seconds"].as_f64().unwrap();
        println!(
            "  {layers:>6}  {weights:>6.1} M  {:>9.1}  {training:>12.1}  {:>14.2}  {:>22.0}",
            run.seconds,
            run.seconds / weights,
            run.peak.own as f64 * 1024.0 / 1e6
        );
    }
}
