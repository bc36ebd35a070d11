//! Our statistics against those that llama-perplexity prints, from its own files of predictions.
//! Needs its tools, the SmolLM2 test model and the text of `../shared`; `.ci/run` provides them.

mod fetched;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use opencog_qat::report::{Activations, Evaluation, TextSource, evaluation_table};
use opencog_qat::validate::{
    Along, Chunks, LogitsReader, LogitsWriter, Position, Statistics, encode_logits,
};

const CHUNKS: usize = 2;

#[test]
fn our_statistics_and_files_are_those_of_llama_perplexity() {
    let Some(peer) = Peer::found() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let quantized = file("q4_0.gguf");
    peer.quantize(&quantized);
    peer.keep_predictions(&peer.model, &file("base"));
    peer.keep_predictions(&quantized, &file("quantized"));
    let theirs = peer.compare(&quantized, &file("base"));
    let ours = evaluation_table(&evaluate(&file("base"), &file("quantized")));
    println!("theirs:\n{theirs}\n\nours, from the 16-bit codes of both models:\n{ours}");
    compare(&figures(&theirs), &figures(&ours));
    write_again(&file("base"));
}

#[test]
fn a_log_that_is_cut_is_told_from_a_whole_one() {
    let whole = |stream| fetched::is_whole(stream, "Mean KLD: ");
    assert!(whole("Mean KLD:   0.0123 ± 0.1\n") && whole("Mean KLD: 0.0123\n"));
    for cut in ["", "Mean KL", "Mean KLD: ", "Mean KLD:   0.0", "Other: 1\nMean KLD: 0.0"] {
        assert!(!whole(cut), "{cut:?}");
    }
    assert!(fetched::is_whole("", ""));
    assert_eq!(fetched::number_behind("KLD: ", "Mean KLD:   0.25 ± 1\n"), 0.25);
}

fn compare(theirs: &HashMap<String, f64>, ours: &HashMap<String, f64>) {
    assert!(theirs.len() > 30, "{theirs:?}");
    let mut off = Vec::new();
    for (name, &theirs) in theirs {
        let ours = *ours.get(name).unwrap_or_else(|| panic!("no {name:?} in our table"));
        let allowed = allowed(name, theirs);
        if (ours - theirs).abs() > allowed {
            off.push(format!("{name}: {ours} for {theirs}, within {allowed}"));
        }
    }
    assert!(off.is_empty(), "{off:#?}");
}

/// By how much a figure may differ: there are 16-bit codes on both sides here, and on one in
/// llama-perplexity.
fn allowed(name: &str, theirs: f64) -> f64 {
    match name {
        "Mean PPL(base)" => 2e-6,
        "Mean    KLD" => 0.01 * theirs,
        name if name.ends_with("KLD") => 0.01 * theirs + 1e-3,
        // In percent.
        name if name.contains("Δp") => 0.01,
        "Same top p" => 0.2,
        "Cor(ln(PPL(Q)), ln(PPL(base)))" => 0.01,
        _ => 2e-4 * (1.0 + theirs.abs()),
    }
}

/// The first number of each line `name: number`.
fn figures(table: &str) -> HashMap<String, f64> {
    let figure = |line: &str| {
        let (name, rest) = line.split_once(": ")?;
        let number = rest.split_whitespace().next()?.trim_end_matches('%');
        Some((name.trim().to_string(), number.parse().ok()?))
    };
    table.lines().filter_map(figure).collect()
}

/// Our statistics from two files of predictions.
fn evaluate(base: &Path, quantized: &Path) -> Evaluation {
    let mut base = LogitsReader::open(base).unwrap();
    let mut quantized = LogitsReader::open(quantized).unwrap();
    assert_eq!(base.header(), quantized.header());
    assert_eq!(base.tokens(), quantized.tokens());
    let header = base.header();
    assert_eq!((header.context, header.chunks as usize), (512, CHUNKS));
    let row = || vec![0.0; header.vocabulary as usize];
    let (mut p, mut q) = (row(), row());
    let mut positions = Vec::new();
    while let Some(next) = base.position(&mut p).unwrap() {
        assert_eq!(quantized.position(&mut q).unwrap(), Some(next));
        positions.push(position(&p, &q, next));
    }
    assert_eq!(positions.len(), 255 * CHUNKS);
    let (chunks, context) = (header.chunks as usize, header.context as usize);
    let (text, activations) = (TextSource::Own { seed: 0 }, Activations::Rounded);
    let (statistics, rounding_kld) = (Statistics::of(&positions), None);
    let along = Along::default();
    Evaluation { text, activations, chunks, context, statistics, rounding_kld, along }
}

/// Our position, from rows of logarithms that llama-perplexity wrote.
fn position(base: &[f32], quantized: &[f32], next: u32) -> Position {
    let position = Position::of(base, quantized, next).unwrap();
    // What lies more than 16 below the likeliest was raised to there, so that the probabilities
    // sum up to a little over 1, which ours divides by. llama-perplexity takes them as they are.
    let [nll, nll_base] = [quantized, base].map(|row| -row[next as usize]);
    for surplus in [position.nll - nll, position.nll_base - nll_base] {
        let most = (base.len() as f32 * (-16f32).exp()).ln_1p();
        assert!(surplus > -1e-4 && surplus < most + 1e-4, "{surplus}");
    }
    Position {
        nll,
        nll_base,
        nll_base_clipped: nll_base,
        dp: (-nll).exp() - (-nll_base).exp(),
        ..position
    }
}

/// Writes a file of predictions once more, and compares.
fn write_again(file: &Path) {
    let theirs = fs::read(file).unwrap();
    let mut reader = LogitsReader::open(file).unwrap();
    let chunks = Chunks::new(reader.tokens().to_vec(), 512, None, None).unwrap();
    let mut row = vec![0.0; reader.header().vocabulary as usize];
    let mut writer = LogitsWriter::new(Vec::new(), &chunks, row.len()).unwrap();
    while reader.position(&mut row).unwrap().is_some() {
        writer.position(&encode_logits(&row).unwrap()).unwrap();
    }
    let ours = writer.finish().unwrap();
    let start = 20 + 4 * chunks.tokens().len();
    assert!(theirs.len() == ours.len() && theirs[..start] == ours[..start]);
    let (mut same, mut all) = (0, 0);
    let records = |bytes| <[u8]>::chunks_exact(bytes, 8 + 2 * row.len()).map(codes);
    for (ours, theirs) in records(&ours[start..]).zip(records(&theirs[start..])) {
        assert!(ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() <= 1));
        same += ours.iter().zip(&theirs).filter(|(a, b)| a == b).count();
        all += ours.len();
    }
    println!("written again: {same} of {all} codes are the same, the others off by one");
}

fn codes(record: &[u8]) -> Vec<i32> {
    let codes = record[8..].as_chunks().0.iter();
    codes.map(|&code| i32::from(u16::from_le_bytes(code))).collect()
}

/// llama.cpp's tools, a model and a text.
struct Peer {
    perplexity: PathBuf,
    quantize: PathBuf,
    model: PathBuf,
    text: PathBuf,
}

impl Peer {
    /// Where `.ci/run` puts them, or a line that says what is missing.
    fn found() -> Option<Peer> {
        let peer = Peer {
            perplexity: fetched::llama_cpp("llama-perplexity"),
            quantize: fetched::llama_cpp("llama-quantize"),
            model: fetched::smollm2(),
            text: fetched::wikitext(),
        };
        let needed: [&Path; 4] = [&peer.perplexity, &peer.quantize, &peer.model, &peer.text];
        (fetched::optimized() && fetched::present(&needed)).then_some(peer)
    }

    fn quantize(&self, output: &Path) {
        let mut command = Command::new(&self.quantize);
        fetched::said(command.arg(&self.model).arg(output).args(["Q4_0", "2"]), "");
    }

    /// Has the predictions of `model` written to `file`.
    fn keep_predictions(&self, model: &Path, file: &Path) {
        let chunks = CHUNKS.to_string();
        let mut command = Command::new(&self.perplexity);
        command.args(["-c", "512", "-b", "512", "-t", "2", "--chunks", &chunks, "-m"]).arg(model);
        command.arg("-f").arg(&self.text).arg("--kl-divergence-base").arg(file);
        fetched::said(&mut command, "");
    }

    /// What llama-perplexity prints about `model` and the predictions in `file`.
    fn compare(&self, model: &Path, file: &Path) -> String {
        let mut command = Command::new(&self.perplexity);
        command.args(["-c", "512", "-b", "512", "-t", "2", "-m"]).arg(model);
        command.arg("--kl-divergence-base").arg(file).arg("--kl-divergence");
        let said = fetched::said(&mut command, "Same top p: ");
        let start = said.find("====== Perplexity").expect("llama-perplexity's table");
        let end = said.find("Same top p: ").expect("its last line");
        said[start..]
            .lines()
            .take(said[start..end].lines().count() + 1)
            .collect::<Vec<_>>()
            .join("\n")
    }
}
