//! The referee, llama-perplexity, with a real model and text that neither we nor llama.cpp learnt from;
//! and random models of layers of one size.

#![allow(dead_code, reason = "every bench takes what it needs")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use opencog_qat::gguf::Format;
use serde_json::Value as Json;

use crate::process::{PROGRAM, Peak, peak_memory};
use crate::random_models::{VARIANTS, Variant, Vocabulary, fetched};

/// Chunks of 512 tokens that are judged on, and that llama.cpp's importance matrix is made from.
pub const CHUNKS: usize = 40;

/// The referee, a model and a text.
pub struct Arena {
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
    /// In the cache folder that `.ci/run` fills, where it keeps its files in `search/`; nothing where
    /// something is missing, which it says.
    pub fn found() -> Option<Arena> {
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
            fetched::said(&mut command, "");
        }
        if !arena.base.exists() {
            let mut command = arena.tool("llama-perplexity", &arena.model);
            command.arg("-f").arg(&arena.text).arg("--kl-divergence-base").arg(&arena.base);
            fetched::said(&mut command, "");
        }
        Some(arena)
    }

    fn tool(&self, tool: &str, model: &Path) -> Command {
        let mut command = Command::new(fetched::llama_cpp(tool));
        command.args(["-c", "512", "-t", "2", "--chunks", &CHUNKS.to_string(), "-m"]).arg(model);
        command
    }

    /// The mean KLD of `quantized` by llama-perplexity.
    pub fn kld(&self, quantized: &Path) -> f64 {
        let mut command = self.tool("llama-perplexity", quantized);
        command.arg("--kl-divergence-base").arg(&self.base).arg("--kl-divergence");
        let name = "Mean    KLD:";
        fetched::number_behind(name, &fetched::said(&mut command, name))
    }

    /// A recipe of llama-quantize, with the importance matrix or without: its file.
    pub fn recipe(&self, recipe: &str, matrix: bool) -> PathBuf {
        let name = format!("{recipe}{}.gguf", if matrix { "-matrix" } else { "" });
        self.llama_quantize(&name, &[], matrix, recipe)
    }

    /// All tensors in one format, by llama-quantize with the importance matrix: its file.
    pub fn pure(&self, format: &str) -> PathBuf {
        self.llama_quantize(&format!("pure-{format}-matrix.gguf"), &["--pure"], true, format)
    }

    /// A file of llama-quantize, made where it is not there yet.
    fn llama_quantize(&self, name: &str, flags: &[&str], matrix: bool, of: &str) -> PathBuf {
        let file = self.folder.join(name);
        if !file.exists() {
            let mut command = Command::new(fetched::llama_cpp("llama-quantize"));
            command.args(flags);
            if matrix {
                command.arg("--imatrix").arg(&self.matrix);
            }
            fetched::said(command.arg(&self.model).arg(&file).args([of, "2"]), "");
        }
        file
    }

    /// A run of ours on the model.
    pub fn run(&self, name: &str, flags: &str) -> Run {
        Run::of(&self.model, &self.folder.join(format!("ours-{name}.gguf")), flags)
    }
}

/// A run of ours.
pub struct Run {
    pub file: PathBuf,
    pub seconds: f64,
    pub peak: Peak,
    pub report: Json,
}

impl Run {
    /// On two threads.
    pub fn of(model: &Path, file: &Path, flags: &str) -> Run {
        let json = file.with_extension("json");
        let mut command = Command::new(PROGRAM);
        command.args(["--quiet", "--force", "--threads", "2"]).args(flags.split_whitespace());
        let start = Instant::now();
        let peak = peak_memory(command.arg("--report").arg(&json).arg(model).arg(file));
        let seconds = start.elapsed().as_secs_f64();
        let report = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
        Run { file: file.into(), seconds, peak, report }
    }
}

/// The length of a file.
pub fn bytes(file: &Path) -> u64 {
    fs::metadata(file).unwrap().len()
}

/// Writes a random llama model of so many layers, of 12.8 M weights each.
pub fn write_random(layers: u64, path: &Path) {
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
    fs::write(path, model.file()).unwrap();
}
