//! Our rounding against llama-quantize's, format by format, and our decode against gguf-py's. Needs
//! the peers and the SmolLM2 test model that `.ci/run` fetches.

mod fetched;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use opencog_qat::block::{self, SquaredError, squared_error};
use opencog_qat::gguf::{Format, Gguf, TensorInfo};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

/// A format, what llama-quantize calls the file of it, and by how much less we want to lose.
const FORMATS: [(Format, &str, f64); 11] = [
    (Format::Q4_0, "Q4_0", 0.08),
    (Format::Q4_1, "Q4_1", 0.18),
    (Format::Q5_0, "Q5_0", 0.08),
    (Format::Q5_1, "Q5_1", 0.15),
    (Format::Q8_0, "Q8_0", 0.18),
    (Format::IQ4_NL, "IQ4_NL", 0.06),
    (Format::IQ4_XS, "IQ4_XS", 0.06),
    (Format::Q4_K, "Q4_K_S", 0.05),
    (Format::Q5_K, "Q5_K_S", 0.10),
    (Format::Q6_K, "Q6_K", 0.12),
    (Format::MXFP4, "MXFP4_MOE", 0.05),
];

#[test]
fn every_format_loses_less_than_llama_quantize() {
    let Some(peers) = Peers::found() else { return };
    let model = Gguf::open(&peers.model).unwrap();
    let folder = tempfile::tempdir().unwrap();
    println!("sum of squared errors over the tensors of that format, SmolLM2-135M");
    println!("  format   tensors      theirs        ours    ratio  wanted  worst tensor");
    let mut missed = Vec::new();
    for (format, name, wanted) in FORMATS {
        let file = folder.path().join(format!("{name}.gguf"));
        peers.quantize(&peers.model, name, &file);
        let theirs = Gguf::open(&file).unwrap();
        let pairs: Vec<_> = theirs.tensors().iter().filter(|t| t.format == format).collect();
        let errors: Vec<(f64, f64)> =
            pairs.iter().map(|tensor| both_errors(&model, &theirs, tensor)).collect();
        let (their_sum, our_sum) = errors.iter().fold((0.0, 0.0), |s, e| (s.0 + e.0, s.1 + e.1));
        let worst = errors.iter().map(|(theirs, ours)| ours / theirs).fold(0.0, f64::max);
        let ratio = our_sum / their_sum;
        println!(
            "  {format:<8} {:>7}  {their_sum:>10.3}  {our_sum:>10.3}   {ratio:.4}  {:.2}    {worst:.4}",
            pairs.len(),
            1.0 - wanted
        );
        if pairs.is_empty() || ratio > 1.0 - wanted || worst > 1.0 {
            missed.push(format);
        }
        // One layer of it: gguf-py takes half a minute for them all.
        check_decode(&peers, &file, "blk.7.");
        std::fs::remove_file(file).unwrap();
    }
    assert!(missed.is_empty(), "less gained than wanted, or a tensor is worse: {missed:?}");
}

/// The squared error of llama-quantize's tensor and of ours in the same format.
fn both_errors(model: &Gguf, theirs: &Gguf, tensor: &TensorInfo) -> (f64, f64) {
    let original = model.tensor(&tensor.name).unwrap();
    let values = values(model, original);
    let their_values = self::values(theirs, tensor);
    let mut blocks = vec![0; tensor.bytes() as usize];
    let row_bytes = blocks.len() / tensor.rows();
    blocks
        .par_chunks_mut(row_bytes)
        .zip(values.par_chunks(tensor.row_len()))
        .for_each(|(out, row)| block::encode(tensor.format, row, tensor.row_len(), None, out));
    let mut our_values = vec![0.0; values.len()];
    block::decode(tensor.format, &blocks, &mut our_values);
    let error = |decoded: &[f32]| -> SquaredError { squared_error(&values, decoded) };
    (error(&their_values).error, error(&our_values).error)
}

fn values(gguf: &Gguf, tensor: &TensorInfo) -> Vec<f32> {
    let mut values = vec![0.0; tensor.elements() as usize];
    block::decode(tensor.format, gguf.data(tensor), &mut values);
    values
}

/// The model in the box, whose rows fit every format.
fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/tiny.gguf")
}

#[test]
fn gguf_py_decodes_llama_quantizes_files_to_the_same_bits() {
    let Some(peers) = Peers::found() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("theirs.gguf");
    let read_only = ["F32", "F16", "BF16", "Q2_K", "Q3_K_S"];
    for name in read_only.into_iter().chain(FORMATS.map(|(_, name, _)| name)) {
        peers.quantize(&tiny(), name, &file);
        check_decode(&peers, &file, "");
    }
}

#[test]
fn gguf_py_decodes_our_files_to_the_same_bits() {
    let Some(peers) = Peers::found() else { return };
    let folder = tempfile::tempdir().unwrap();
    for (format, ..) in FORMATS {
        let file = folder.path().join("ours.gguf");
        let status = Command::new(env!("CARGO_BIN_EXE_opencog-qat"))
            .args(["--quiet", "--force", "--effort", "fast", "--formats", format.name()])
            .args([&tiny(), &file])
            .status();
        assert!(status.unwrap().success());
        check_decode(&peers, &file, "");
    }
}

/// Compares the bits of the decoded tensors of a file, those whose name starts with `prefix`, with
/// gguf-py's.
fn check_decode(peers: &Peers, file: &Path, prefix: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/decoded_hashes.py");
    let output = Command::new(&peers.python).arg(script).arg(file).arg(prefix).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    let theirs: HashMap<&str, &str> =
        said.lines().map(|line| line.split_once(' ').unwrap()).map(|(h, n)| (n, h)).collect();
    let gguf = Gguf::open(file).unwrap();
    let tensors: Vec<_> = gguf.tensors().iter().filter(|t| t.name.starts_with(prefix)).collect();
    assert!(!tensors.is_empty() && theirs.len() == tensors.len(), "{}", file.display());
    for tensor in tensors {
        let mut hash = Sha256::new();
        for value in values(&gguf, tensor) {
            hash.update(value.to_le_bytes());
        }
        let ours: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(theirs[tensor.name.as_str()], ours, "{} of {}", tensor.name, file.display());
    }
}

/// The programs and the model that the comparison needs.
struct Peers {
    quantize: PathBuf,
    python: PathBuf,
    model: PathBuf,
}

impl Peers {
    /// Where `.ci/run` puts them, or a line that says what is missing.
    fn found() -> Option<Peers> {
        let peers = Peers {
            quantize: fetched::llama_cpp("llama-quantize"),
            python: fetched::python(),
            model: fetched::smollm2(),
        };
        let needed: [&Path; 3] = [&peers.quantize, &peers.python, &peers.model];
        (fetched::optimized() && fetched::present(&needed)).then_some(peers)
    }

    fn quantize(&self, model: &Path, name: &str, file: &Path) {
        let mut command = Command::new(&self.quantize);
        command.arg("--pure").arg(model).arg(file).args([name, "2"]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
