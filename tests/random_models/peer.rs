//! llama-perplexity, which says what is golden.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::fetched;

/// What it is asked about.
pub struct Question<'a> {
    pub model: &'a Path,
    pub text: &'a Path,
    /// Tokens of a chunk, and how many chunks.
    pub n_ctx: usize,
    pub chunks: usize,
}

/// The tool, or a line that says that it is missing.
pub fn tool() -> Option<PathBuf> {
    let tool = fetched::llama_cpp("llama-perplexity");
    fetched::present(&[&tool]).then_some(tool)
}

/// The file that it writes for `--kl-divergence-base`, computed as exactly as it can: on one
/// thread, with keys and values in F32, without flash attention (which would round them to F16) and
/// without repacking.
pub fn ask(tool: &Path, question: &Question) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let logits = folder.path().join("logits");
    let Question { model, text, .. } = question;
    let [n_ctx, chunks] = [question.n_ctx, question.chunks].map(|number| number.to_string());
    let output = Command::new(tool)
        .args(["-c", &n_ctx, "-b", &n_ctx, "--chunks", &chunks, "-t", "1", "--no-warmup"])
        .args(["-fa", "off", "-ctk", "f32", "-ctv", "f32", "--no-repack", "-fit", "off"])
        .args(["-m".as_ref(), *model, "-f".as_ref(), *text])
        .args(["--kl-divergence-base".as_ref(), logits.as_path()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "llama-perplexity on {}:\n{said}", model.display());
    fs::read(&logits).unwrap_or_else(|error| panic!("{error}: {}:\n{said}", logits.display()))
}
