//! The search against llama-quantize's recipes at the same bytes, judged by llama-perplexity on text
//! that neither learnt from; and its time and memory on models of three sizes.
//!
//! `cargo bench --bench search`, with `-- iq4_nl q4_k_m q5_k_m accuracy sizes` for some of its parts
//! only. Needs llama.cpp's tools and the SmolLM2 test model in the cache folder that `.ci/run` fills,
//! where it keeps its files in `search/`. A row takes some 15 minutes.

mod arena;
mod process;
#[path = "../tests/random_models/mod.rs"]
#[allow(unused_imports, reason = "it is for tests too")]
mod random_models;

use std::path::Path;

use arena::{Arena, CHUNKS, Run, bytes, write_random};

/// llama-quantize's recipes; each has the lowest KLD of those up to its size.
const RECIPES: [&str; 3] = ["iq4_nl", "q4_k_m", "q5_k_m"];
/// Wanted: our KLD as a share of the recipe's with an importance matrix, and without.
const WANTED: (f64, f64) = (0.65, 0.40);

fn main() {
    let parts: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let asked = |part: &str| parts.is_empty() || parts.iter().any(|asked| asked == part);
    if let Some(arena) = Arena::found() {
        for recipe in RECIPES.into_iter().filter(|recipe| asked(recipe)) {
            same_bytes(&arena, recipe);
        }
        if asked("accuracy") {
            smallest(&arena);
        }
    }
    if asked("sizes") {
        sizes();
    }
}

/// Our best file of a recipe's bytes against it.
fn same_bytes(arena: &Arena, recipe: &str) {
    let [with, without] = [true, false].map(|matrix| arena.recipe(recipe, matrix));
    let size = bytes(&with).min(bytes(&without));
    let ours = arena.run(recipe, &format!("--size {size}"));
    let kld = arena.kld(&ours.file);
    println!("\nSmolLM2-135M, F16, --size {size}: KLD by llama-perplexity, {CHUNKS} chunks");
    println!("  file                      bytes      KLD   ours / it  wanted");
    println!("  ours                {:>11}  {kld:.5}", bytes(&ours.file));
    for (name, file, wanted) in [("matrix", with, WANTED.0), ("none", without, WANTED.1)] {
        let (size, theirs) = (bytes(&file), arena.kld(&file));
        let ratio = kld / theirs;
        println!("  {recipe:<7} {name:<10} {size:>12}  {theirs:.5}  {ratio:>10.3}  {wanted:>6.2}");
    }
    print(&ours);
}

/// The smallest file within 2 % against the smallest recipe within 2 %.
fn smallest(arena: &Arena) {
    let ours = arena.run("accuracy", "--accuracy 0.02");
    println!("\nSmolLM2-135M, F16, --accuracy 0.02: 1 - exp(-KLD) by llama-perplexity");
    let degradation = |file: &Path| 1.0 - (-arena.kld(file)).exp();
    println!("  ours              {:>11}  {:.4}", bytes(&ours.file), degradation(&ours.file));
    for recipe in ["q4_k_m", "q5_k_s", "q5_k_m"] {
        let file = arena.recipe(recipe, true);
        let smaller = 1.0 - bytes(&ours.file) as f64 / bytes(&file) as f64;
        println!(
            "  {recipe:<8} matrix   {:>11}  {:.4}  ours is {:.1} % smaller (wanted of the \
             smallest within 0.02: 12)",
            bytes(&file),
            degradation(&file),
            100.0 * smaller
        );
    }
    print(&ours);
}

/// What a run took, and how far its prediction was off.
fn print(run: &Run) {
    let search = &run.report["search"];
    let [predicted, measured] =
        ["predicted_kld", "measured_kld"].map(|key| search[key].as_f64().unwrap_or(f64::NAN));
    println!(
        "  took {:.0} s (wanted: 900), {:.2} GB at most (wanted: 1.5); on own text KLD \
         {measured:.5}, predicted {predicted:.5}, {:+.0} % (wanted: 15), recipe by role {:.5}",
        run.seconds,
        run.peak.total as f64 * 1024.0 / 1e9,
        100.0 * (measured / predicted - 1.0),
        search["recipe_kld"].as_f64().unwrap_or(f64::NAN)
    );
}

/// Time and memory on random models of three sizes, which have layers of the same size.
fn sizes() {
    println!("\nrandom llama models, F16, layers of 12.8 M weights, 4096 tokens of text");
    println!("  layers   weights    seconds   s / M weights   peak of own pages, MB");
    let folder = tempfile::tempdir().unwrap();
    for layers in [2, 4, 8] {
        let path = folder.path().join("model.gguf");
        write_random(layers, &path);
        let flags = "--batches 2 --batch-size 8 --seq-len 256 --bpw 5";
        let run = Run::of(&path, &folder.path().join("out.gguf"), flags);
        let weights = run.report["metrics"]["parameters"].as_f64().unwrap() / 1e6;
        println!(
            "  {layers:>6}  {weights:>6.1} M  {:>9.1}  {:>14.2}  {:>22.0}",
            run.seconds,
            run.seconds / weights,
            run.peak.own as f64 * 1024.0 / 1e6
        );
    }
}
