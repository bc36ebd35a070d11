//! The whole run against llama-quantize: time, in turns on the same file, and memory.
//!
//! `cargo bench --bench llama_quantize`, with `-- --quick` for fewer runs and a smaller model, with
//! `-- smollm2 wide memory` for some of its parts only. Needs llama-quantize and the SmolLM2 test
//! model in the cache folder that `.ci/run` fills.

#[path = "../tests/fetched/mod.rs"]
mod fetched;
mod process;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use half::f16;
use opencog_qat::gguf::{Format, Metadata, OutputFile, Shape, TensorSpec, Value, Writer};
use process::{PROGRAM, peak_memory, time};

/// One comparison.
struct Duel {
    /// What `--formats` says on our side.
    formats: &'static str,
    /// llama-quantize's type, and whether it keeps to that (`--pure`).
    theirs: &'static str,
    pure: bool,
    /// Whether our file must have the bytes of theirs, so that the plan comes out the same where
    /// llama-quantize lets another format stand in on rows that 256 does not divide.
    their_bytes: bool,
    /// How much faster the project wants to be at least.
    wanted: f64,
}

const fn pure(formats: &'static str, theirs: &'static str, wanted: f64) -> Duel {
    Duel { formats, theirs, pure: true, their_bytes: false, wanted }
}

const fn mixed(formats: &'static str, theirs: &'static str, wanted: f64) -> Duel {
    Duel { pure: false, ..pure(formats, theirs, wanted) }
}

const DUELS: [Duel; 13] = [
    pure("Q4_0", "Q4_0", 1.0),
    pure("Q8_0", "Q8_0", 1.0),
    pure("Q4_1", "Q4_1", 0.0),
    pure("Q5_0", "Q5_0", 0.0),
    pure("Q5_1", "Q5_1", 0.0),
    Duel { their_bytes: true, ..pure("Q4_K,Q5_0", "Q4_K_S", 1.5) },
    pure("Q4_K", "Q4_K_S", 1.5),
    mixed("Q4_K", "Q4_K_M", 1.5),
    pure("Q5_K", "Q5_K_S", 0.0),
    pure("Q6_K", "Q6_K", 1.5),
    pure("IQ4_NL", "IQ4_NL", 5.0),
    pure("IQ4_XS", "IQ4_XS", 5.0),
    mixed("Q4_0", "Q4_0", 1.0),
];

/// Room for the metadata that our files have beyond llama-quantize's.
const OUR_METADATA: u64 = 4096;

fn main() {
    let quick = std::env::args().any(|arg| arg == "--quick");
    let parts: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let asked = |part: &str| parts.is_empty() || parts.iter().any(|asked| asked == part);
    let peer = fetched::llama_cpp("llama-quantize");
    let smollm2 = fetched::smollm2();
    let folder = tempfile::tempdir().unwrap();
    if fetched::present(&[&peer, &smollm2]) {
        let runs = if quick { 3 } else { 7 };
        if asked("smollm2") {
            race("SmolLM2-135M, F16", &peer, &smollm2, folder.path(), runs);
        }
        if asked("wide") {
            let wide = folder.path().join("wide.gguf");
            synthetic(&wide, if quick { 100 } else { 200 } << 20);
            race("random weights, rows of 2048", &peer, &wide, folder.path(), runs);
            fs::remove_file(wide).unwrap();
        }
    }
    if asked("memory") {
        measure_memory(folder.path(), quick);
    }
}

/// Median wall times of both programs, in turns.
fn race(title: &str, peer: &Path, model: &Path, folder: &Path, runs: usize) {
    println!("\n{title}: seconds of wall time, 2 threads, median of {runs} runs in turns");
    println!("  ours       llama-quantize     ours   theirs  faster  wanted");
    for Duel { formats, theirs, pure, their_bytes, wanted } in DUELS {
        let (ours_out, theirs_out) = (folder.join("ours.gguf"), folder.join("theirs.gguf"));
        let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
        // The slow ones need fewer runs to be told apart.
        let runs = if wanted >= 5.0 { runs.min(3) } else { runs };
        for _ in 0..runs {
            let mut command = Command::new(peer);
            command.args(pure.then_some("--pure")).arg(model).arg(&theirs_out);
            their_times.push(time(command.args([theirs, "2"])));
            let mut command = ours(model, &ours_out);
            if their_bytes {
                let size = fs::metadata(&theirs_out).unwrap().len() + OUR_METADATA;
                command.args(["--size", &size.to_string()]);
            }
            our_times.push(time(command.args(["--formats", formats])));
        }
        let (our_time, their_time) = (median(our_times), median(their_times));
        let name = format!("{theirs}{}", if pure { " --pure" } else { "" });
        let faster = their_time.as_secs_f64() / our_time.as_secs_f64();
        let wanted = if wanted == 0.0 { "-".into() } else { format!("{wanted:.1}x") };
        println!(
            "  {formats:<10} {name:<16} {:>6.2}   {:>6.2}  {faster:>5.2}x  {wanted:>6}",
            our_time.as_secs_f64(),
            their_time.as_secs_f64()
        );
    }
}

/// Peak memory of our run on models of growing size.
fn measure_memory(folder: &Path, quick: bool) {
    println!("\npeak memory of a run with --formats Q4_K, MB");
    println!("  model bytes    own pages   with mapped file pages");
    let sizes: &[u64] = if quick { &[1 << 29, 1 << 30] } else { &[1 << 29, 1 << 30, 1 << 32] };
    for &bytes in sizes {
        let (model, out) = (folder.join("large.gguf"), folder.join("out.gguf"));
        synthetic(&model, bytes / 2);
        let peak = peak_memory(ours(&model, &out).args(["--formats", "Q4_K"]));
        let mb = |kb: u64| kb as f64 * 1024.0 / 1e6;
        let size = fs::metadata(&model).unwrap().len();
        println!("  {size:>11}  {:>11.1}   {:>11.1}", mb(peak.own), mb(peak.total));
        fs::remove_file(model).unwrap();
        fs::remove_file(out).unwrap();
    }
}

fn ours(model: &Path, out: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["--quiet", "--force", "--threads", "2", "--effort", "fast"]).arg(model).arg(out);
    command
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// An F16 model of about `weights` random weights in matrices of 2048 x 8192.
fn synthetic(path: &Path, weights: u64) {
    const DIMS: [u64; 2] = [2048, 8192];
    let count = (weights / (DIMS[0] * DIMS[1])).max(1);
    let mut metadata = Metadata::new();
    metadata.set("general.architecture", Value::string("llama"));
    for (key, number) in [
        ("block_count", count as u32),
        ("context_length", 4096),
        ("embedding_length", 2048),
        ("feed_forward_length", 8192),
        ("attention.head_count", 16),
    ] {
        metadata.set(&format!("llama.{key}"), Value::U32(number));
    }
    metadata.set("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5));
    let spec = |block| TensorSpec {
        name: format!("blk.{block}.ffn_up.weight"),
        format: Format::F16,
        shape: Shape::new(&DIMS).unwrap(),
    };
    let specs: Vec<_> = (0..count).map(spec).collect();
    let output = OutputFile::create(path, true).unwrap();
    let mut writer = Writer::new(output, path, &metadata, &specs).unwrap();
    let matrix = random_matrix((DIMS[0] * DIMS[1]) as usize);
    for _ in 0..count {
        writer.tensor_bytes(&matrix).unwrap();
    }
    writer.finish().unwrap().commit().unwrap();
}

/// Weights about Gaussian: the sum of four even random numbers, a multiply-xorshift generator's.
fn random_matrix(n: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(2 * n);
    for _ in 0..n {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let even = |k: u32| f64::from((state >> (16 * k)) as u16) / 65536.0 - 0.5;
        let weight = f16::from_f64((0..4).map(even).sum::<f64>() * 0.05);
        bytes.write_all(&weight.to_le_bytes()).unwrap();
    }
    bytes
}
