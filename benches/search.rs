//! The search against llama-quantize's recipes at the same bytes, judged by llama-perplexity on text
//! that neither learnt from; and its time and memory on models of three sizes.
//!
//! `cargo bench --bench search`, with `-- iq4_nl q4_k_m q5_k_m accuracy sizes` for some of its parts
//! only. Needs llama.cpp's tools and the SmolLM2 test model in the cache folder that `.ci/run` fills,
//! where it keeps its files in `search/`. A row takes some 15 minutes.

mod process;
#[path = "../tests/random_models/mod.rs"]
#[allow(unused_imports, reason = "it is for tests too")]
mod random_models;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use opencog_qat::gguf::Format;
use process::{PROGRAM, Peak, peak_memory, said};
use random_models::{VARIANTS, Variant, Vocabulary, fetched};
use serde_json::Value as Json;

/// Chunks of 512 tokens that are judged on, and that llama.cpp's importance matrix is made from.
const CHUNKS: usize = 40;
/// llama-quantize's recipes; each has the lowest KLD of those up to its size.
const RECIPES: [&str; 3] = ["iq4_nl", "q4_k_m", "q5_k_m"];
/// Wanted: our KLD as a share of the recipe's with an importance matrix, and without.
const WANTED: (f64, f64) = (0.65, 0.40);

fn main() {
    let parts: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let asked = |part: &str| parts.is_empty() || parts.iter().any(|asked| asked == part);
    if let Some(arena) = Arena::found() {
        for recipe in RECIPES.into_iter().filter(|recipe| asked(recipe)) {
            arena.same_bytes(recipe);
        }
        if asked("accuracy") {
            arena.smallest();
        }
    }
    if asked("sizes") {
        sizes();
    }
}

/// The referee, a model and a text.
struct Arena {
    folder: PathBuf,
    model: PathBuf,
    /// Judged on.
    text: PathBuf,
    /// llama.cpp's importance matrix, from other text.
    matrix: PathBuf,
    /// What the full-precision model predicts.
    base: PathBuf,
}

impl Arena {
    fn found() -> Option<Arena> {
        let tools = ["llama-quantize", "llama-imatrix", "llama-perplexity"].map(fetched::llama_cpp);
        let (model, whole) = (fetched::smollm2(), fetched::wikitext());
        let needed = tools.iter().chain([&model, &whole]).map(PathBuf::as_path);
        if !fetched::present(&needed.collect::<Vec<_>>()) {
            return None;
        }
        let folder = fetched::cache().join("search");
        fs::create_dir_all(&folder).unwrap();
        let file = |name: &str| folder.join(name);
        let arena = Arena {
            model,
            text: file("judged-on.txt"),
            matrix: file("matrix.gguf"),
            base: file("base"),
            folder: folder.clone(),
        };
        // The first part is judged on; the last is what llama.cpp may learn from.
        let whole = fs::read_to_string(whole).unwrap();
        let middle = whole.len() / 2 + whole[whole.len() / 2..].find('\n').unwrap();
        fs::write(&arena.text, &whole[..middle]).unwrap();
        fs::write(file("learnt-from.txt"), &whole[middle..]).unwrap();
        if !arena.matrix.exists() {
            let mut command = arena.tool("llama-imatrix", &arena.model);
            command.arg("-f").arg(file("learnt-from.txt")).arg("-o").arg(&arena.matrix);
            said(&mut command);
        }
        if !arena.base.exists() {
            let mut command = arena.tool("llama-perplexity", &arena.model);
            said(command.arg("-f").arg(&arena.text).arg("--kl-divergence-base").arg(&arena.base));
        }
        Some(arena)
    }

    fn tool(&self, tool: &str, model: &Path) -> Command {
        let mut command = Command::new(fetched::llama_cpp(tool));
        command.args(["-c", "512", "-t", "2", "--chunks", &CHUNKS.to_string(), "-m"]).arg(model);
        command
    }

    /// The mean KLD of `quantized` by llama-perplexity. On a busy machine its log sometimes ends
    /// early, though it succeeded: then it is asked again.
    fn kld(&self, quantized: &Path) -> f64 {
        let ask = || {
            let mut command = self.tool("llama-perplexity", quantized);
            let said =
                said(command.arg("--kl-divergence-base").arg(&self.base).arg("--kl-divergence"));
            let line = said.lines().find(|line| line.starts_with("Mean    KLD:"))?;
            line.split_whitespace().nth(2)?.parse().ok()
        };
        (0..3).find_map(|_| ask()).expect("llama-perplexity says the mean KLD")
    }

    /// A recipe of llama-quantize, with the importance matrix or without: its file.
    fn recipe(&self, recipe: &str, matrix: bool) -> PathBuf {
        let name = format!("{recipe}{}.gguf", if matrix { "-matrix" } else { "" });
        let file = self.folder.join(name);
        if !file.exists() {
            let mut command = Command::new(fetched::llama_cpp("llama-quantize"));
            if matrix {
                command.arg("--imatrix").arg(&self.matrix);
            }
            said(command.arg(&self.model).arg(&file).args([recipe, "2"]));
        }
        file
    }

    /// Our best file of a recipe's bytes against it.
    fn same_bytes(&self, recipe: &str) {
        let [with, without] = [true, false].map(|matrix| self.recipe(recipe, matrix));
        let size = bytes(&with).min(bytes(&without));
        let ours = self.run(recipe, &format!("--size {size}"));
        let kld = self.kld(&ours.file);
        println!("\nSmolLM2-135M, F16, --size {size}: KLD by llama-perplexity, {CHUNKS} chunks");
        println!("  file                      bytes      KLD   ours / it  wanted");
        println!("  ours                {:>11}  {kld:.5}", bytes(&ours.file));
        for (name, file, wanted) in [("matrix", with, WANTED.0), ("none", without, WANTED.1)] {
            let (size, theirs) = (bytes(&file), self.kld(&file));
            let ratio = kld / theirs;
            println!(
                "  {recipe:<7} {name:<10} {size:>12}  {theirs:.5}  {ratio:>10.3}  {wanted:>6.2}"
            );
        }
        ours.print();
    }

    /// The smallest file within 2 % against the smallest recipe within 2 %.
    fn smallest(&self) {
        let ours = self.run("accuracy", "--accuracy 0.02");
        println!("\nSmolLM2-135M, F16, --accuracy 0.02: 1 - exp(-KLD) by llama-perplexity");
        let degradation = |file: &Path| 1.0 - (-self.kld(file)).exp();
        println!("  ours              {:>11}  {:.4}", bytes(&ours.file), degradation(&ours.file));
        for recipe in ["q4_k_m", "q5_k_s", "q5_k_m"] {
            let file = self.recipe(recipe, true);
            let smaller = 1.0 - bytes(&ours.file) as f64 / bytes(&file) as f64;
            println!(
                "  {recipe:<8} matrix   {:>11}  {:.4}  ours is {:.1} % smaller (wanted of the \
                 smallest within 0.02: 12)",
                bytes(&file),
                degradation(&file),
                100.0 * smaller
            );
        }
        ours.print();
    }

    fn run(&self, name: &str, flags: &str) -> Run {
        Run::of(&self.model, &self.folder.join(format!("ours-{name}.gguf")), flags)
    }
}

/// A run of ours.
struct Run {
    file: PathBuf,
    seconds: f64,
    peak: Peak,
    report: Json,
}

impl Run {
    /// On two threads.
    fn of(model: &Path, file: &Path, flags: &str) -> Run {
        let json = file.with_extension("json");
        let mut command = Command::new(PROGRAM);
        command.args(["--quiet", "--force", "--threads", "2"]).args(flags.split_whitespace());
        let start = Instant::now();
        let peak = peak_memory(command.arg("--report").arg(&json).arg(model).arg(file));
        let seconds = start.elapsed().as_secs_f64();
        let report = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
        Run { file: file.into(), seconds, peak, report }
    }

    fn print(&self) {
        let search = &self.report["search"];
        let [predicted, measured] =
            ["predicted_kld", "measured_kld"].map(|key| search[key].as_f64().unwrap_or(f64::NAN));
        println!(
            "  took {:.0} s (wanted: 900), {:.2} GB at most (wanted: 1.5); on own text KLD \
             {measured:.5}, predicted {predicted:.5}, {:+.0} % (wanted: 15), recipe by role {:.5}",
            self.seconds,
            self.peak.total as f64 * 1024.0 / 1e9,
            100.0 * (measured / predicted - 1.0),
            search["recipe_kld"].as_f64().unwrap_or(f64::NAN)
        );
    }
}

fn bytes(file: &Path) -> u64 {
    fs::metadata(file).unwrap().len()
}

/// Time and memory on random models of three sizes, which have layers of the same size.
fn sizes() {
    println!("\nrandom llama models, F16, layers of 12.8 M weights, 4096 tokens of text");
    println!("  layers   weights    seconds   s / M weights   peak of own pages, MB");
    let folder = tempfile::tempdir().unwrap();
    for layers in [2, 4, 8] {
        let model = Variant {
            name: "sizes",
            vocabulary: Vocabulary::Bpe { pre: "llama-bpe", bos: false },
            matrices: &[Format::F16],
            layers,
            width: 1024,
            heads: 16,
            kv_heads: 16,
            head: 64,
            ff: 2816,
            tied: true,
            biases: &[],
            rope_freqs: false,
            ..VARIANTS[0]
        };
        let path = folder.path().join("model.gguf");
        fs::write(&path, model.file()).unwrap();
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
