//! Stock llama.cpp as the referee: it loads what we write, and computes with it what our own decode
//! and forward pass do. Needs its tools and the text of `../shared`; `.ci/run` provides them.

mod fetched;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use opencog_qat::config::{Config, Effort};
use opencog_qat::evaluate::{self, EvaluationJob};
use opencog_qat::gguf::Format;
use opencog_qat::progress::Silent;
use opencog_qat::report::Activations;
use opencog_qat::{Job, pipeline};

const FORMATS: [Format; 11] = [
    Format::Q4_0,
    Format::Q4_1,
    Format::Q5_0,
    Format::Q5_1,
    Format::Q8_0,
    Format::Q4_K,
    Format::Q5_K,
    Format::Q6_K,
    Format::IQ4_NL,
    Format::IQ4_XS,
    Format::MXFP4,
];

/// A model, the text it is judged on, and how much of that.
struct Judged {
    model: PathBuf,
    text: PathBuf,
    chunks: usize,
}

/// What llama.cpp's perplexity may differ by, as a share.
const TOLERANCE: f64 = 0.003;

#[test]
fn perplexity_of_the_model_in_the_box_is_ours() {
    let Some((tool, text)) = referee() else { return };
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/tiny.gguf");
    let judged = Judged { model, text, chunks: 40 };
    compare(&tool, &judged, &FORMATS);
}

#[test]
fn perplexity_of_smollm2_is_ours() {
    let Some((tool, text)) = referee() else { return };
    let model = fetched::smollm2();
    if !fetched::present(&[&model]) {
        return;
    }
    // Rows of 576, which 256 does not divide, get the formats in blocks of 32 that stand in.
    let formats = [Format::Q4_K, Format::Q5_K, Format::Q6_K, Format::IQ4_XS];
    let judged = Judged { model, text, chunks: 16 };
    compare(&tool, &judged, &formats);
}

fn compare(tool: &Path, judged: &Judged, formats: &[Format]) {
    let folder = tempfile::tempdir().unwrap();
    println!("{}\n  format   llama.cpp        ours   ratio", judged.model.display());
    let mut off = Vec::new();
    for &format in formats {
        let quantized = folder.path().join("q.gguf");
        quantize(&judged.model, &quantized, format);
        let theirs = perplexity(tool, &quantized, judged);
        let ours = our_perplexity(&quantized, judged);
        let ratio = theirs / ours;
        println!("  {format:<8} {theirs:>9.4}   {ours:>9.4}   {ratio:.5}");
        if (ratio - 1.0).abs() > TOLERANCE {
            off.push(format);
        }
        fs::remove_file(quantized).unwrap();
    }
    assert!(off.is_empty(), "too far off: {off:?}");
}

fn quantize(input: &Path, output: &Path, format: Format) {
    let effort = Effort::Fast;
    let config = Config { formats: Some(vec![format]), effort, ..Config::default() };
    pipeline::run(&Job::new(input, output), &config, &Silent).unwrap();
}

/// What our own decode and forward pass make of it, activations rounded as llama.cpp does: in
/// floats, SmolLM2 in Q4_K reads 0.5 % better.
fn our_perplexity(quantized: &Path, judged: &Judged) -> f64 {
    let job = EvaluationJob {
        base: judged.model.clone(),
        quantized: quantized.to_path_buf(),
        text: Some(judged.text.clone()),
        chunks: Some(judged.chunks),
        context: Some(512),
        activations: Activations::Rounded,
        logits: None,
        report: None,
        force: false,
        seed: 0,
        threads: None,
    };
    evaluate::run(&job, &Silent).unwrap().statistics.ppl.value
}

/// What llama-perplexity prints as its final estimate.
fn perplexity(tool: &Path, model: &Path, judged: &Judged) -> f64 {
    let chunks = judged.chunks.to_string();
    let mut command = Command::new(tool);
    command.args(["-c", "512", "-b", "512", "-t", "2", "--chunks", &chunks, "-m"]).arg(model);
    let estimate = "Final estimate: PPL = ";
    let said = fetched::said(command.arg("-f").arg(&judged.text), estimate);
    fetched::number_behind(estimate, &said)
}

/// llama-perplexity and the evaluation text, or a line that says what is missing.
fn referee() -> Option<(PathBuf, PathBuf)> {
    let (tool, text) = (fetched::llama_cpp("llama-perplexity"), fetched::wikitext());
    (fetched::optimized() && fetched::present(&[&tool, &text])).then_some((tool, text))
}
