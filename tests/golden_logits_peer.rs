//! llama.cpp still says of the random models what the committed golden logits say. Needs
//! llama-perplexity; `.ci/run` provides it. With `OPENCOG_QAT_BLESS=1` what it says becomes golden.

mod random_models;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use random_models::golden::Golden;
use random_models::{VARIANTS, Variant, vocabulary};

/// Tokens of a context, and the number of contexts.
const CONTEXT: &str = "64";
const CHUNKS: &str = "2";

#[test]
fn llama_cpp_says_what_is_golden() {
    let tool = cache().join("llama.cpp/bin/llama-perplexity");
    if !tool.exists() {
        println!("skipped: {} is missing", tool.display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let bless = std::env::var_os("OPENCOG_QAT_BLESS").is_some_and(|bless| bless == "1");
    for variant in VARIANTS {
        let theirs = perplexity(&tool, folder.path(), variant);
        match bless {
            true => fs::write(Golden::path(variant.name), theirs).unwrap(),
            false => compare(variant, &theirs),
        }
    }
}

/// Bit for bit, or, as another CPU adds up in another order, within what rounding makes.
fn compare(variant: &Variant, theirs: &[u8]) {
    let name = variant.name;
    if fs::read(Golden::path(name)).unwrap() == theirs {
        return;
    }
    let (golden, theirs) = (Golden::of(name), Golden::parse(theirs));
    assert_eq!(golden.chunks, theirs.chunks, "{name}: tokens");
    let (golden, theirs) = (golden.scored.iter().flatten(), theirs.scored.iter().flatten());
    let klds = golden
        .zip(theirs)
        .map(|(golden, theirs)| golden.compare(&theirs.log_probs()).normalized_kld);
    let klds: Vec<f64> = klds.collect();
    let kld = klds.iter().sum::<f64>() / klds.len() as f64;
    println!("{name}: not to the bit what is golden, KLD {kld:.1e}");
    assert!(kld < variant.allowed_kld(), "{name}: KLD {kld}");
}

/// What llama-perplexity writes of a model, computed as exactly as it can: on one thread, with keys
/// and values in F32, without flash attention (which would round them to F16) and without
/// repacking.
fn perplexity(tool: &Path, folder: &Path, variant: &Variant) -> Vec<u8> {
    let [model, text, logits] = ["model.gguf", "text", "logits"].map(|name| folder.join(name));
    fs::write(&model, variant.golden_file()).unwrap();
    fs::write(&text, vocabulary::text()).unwrap();
    let output = Command::new(tool)
        .args(["-c", CONTEXT, "-b", CONTEXT, "--chunks", CHUNKS, "-t", "1", "--no-warmup"])
        .args(["-fa", "off", "-ctk", "f32", "-ctv", "f32", "--no-repack", "-fit", "off"])
        .args(["-m".as_ref(), model.as_path(), "-f".as_ref(), &text])
        .args(["--kl-divergence-base".as_ref(), logits.as_path()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "llama-perplexity on {}:\n{said}", variant.name);
    fs::read(&logits).unwrap_or_else(|_| panic!("no logits of {}:\n{said}", variant.name))
}

/// Where `.ci/run` keeps peers and models between runs.
fn cache() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
    let default = || home().join(".cache/opencog-qat");
    std::env::var_os("OPENCOG_QAT_CACHE").map_or_else(default, PathBuf::from)
}
