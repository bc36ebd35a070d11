//! What `eval` finds of files that llama-quantize made against what llama-perplexity does, format by
//! format: our rounding of activations is llama.cpp's. And a model whose activations are too large for
//! some formats: the file that the search chooses is finite there. Needs llama.cpp's tools, the SmolLM2
//! test model and the text of `../shared`; `.ci/run` provides them.

mod fetched;
mod scaled_model;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use opencog_qat::companion::Request;
use opencog_qat::config::{Calibration, Config, Effort};
use opencog_qat::evaluate::{self, EvaluationJob};
use opencog_qat::gguf::Format;
use opencog_qat::progress::Silent;
use opencog_qat::report::{Activations, Report};
use opencog_qat::{Job, pipeline};

/// On fewer, how rounded activations happen to fall is 2 % of the KLD of Q8_0.
const CHUNKS: usize = 16;
/// What our KLD may differ by, as a share.
const TOLERANCE: f64 = 0.02;

/// What llama-quantize is asked for. It gives dense models MXFP4 where their tensors are named.
const RECIPES: [(&str, &[&str]); 6] = [
    ("Q4_1", &[]),
    ("Q5_1", &[]),
    ("Q4_K_M", &[]),
    ("IQ4_XS", &[]),
    ("Q8_0", &[]),
    ("MXFP4_MOE", &["--tensor-type", "ffn_.*=mxfp4", "--tensor-type", "attn_.*=mxfp4"]),
];

#[test]
fn klds_of_llama_quantizes_files_are_llama_perplexitys() {
    let Some(peer) = Peer::found() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (base, quantized) = (folder.path().join("base"), folder.path().join("q.gguf"));
    let chunks = CHUNKS.to_string();
    let mut command = peer.perplexity(&peer.model, 512);
    command.args(["--chunks", &chunks, "-f"]).arg(&peer.text);
    fetched::said(command.arg("--kl-divergence-base").arg(&base), "");
    println!("SmolLM2-135M, F16, {CHUNKS} chunks\n  recipe     llama.cpp      ours    ratio");
    let mut off = Vec::new();
    for (recipe, flags) in RECIPES {
        let mut command = Command::new(fetched::llama_cpp("llama-quantize"));
        fetched::said(command.args(flags).arg(&peer.model).arg(&quantized).args([recipe, "2"]), "");
        let mut command = peer.perplexity(&quantized, 512);
        command.arg("--kl-divergence-base").arg(&base).arg("--kl-divergence");
        let name = "Mean    KLD:";
        let theirs = fetched::number_behind(name, &fetched::said(&mut command, name));
        let ours = peer.our_kld(&quantized);
        let ratio = ours / theirs;
        println!("  {recipe:<9} {theirs:>10.6} {ours:>9.6} {ratio:>8.4}");
        if (ratio - 1.0).abs() > TOLERANCE {
            off.push(recipe);
        }
    }
    assert!(off.is_empty(), "too far off: {off:?}");
}

#[test]
fn large_activations_stay_finite_in_llama_cpp() {
    let Some(peer) = Peer::found() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    fs::write(file("in.gguf"), scaled_model::with_large_hidden_values()).unwrap();
    let perplexity = |model: &Path| {
        let mut command = peer.perplexity(model, 128);
        command.args(["--chunks", "4", "-f"]).arg(&peer.text);
        let said = fetched::said(&mut command, "[4]");
        // It says nothing else where the first chunk is NaN.
        fetched::number_behind("[4]", &said.replace(',', " "))
    };
    let fast =
        Config { formats: Some(vec![Format::Q5_1]), effort: Effort::Fast, ..Config::default() };
    quantize(&file("in.gguf"), &file("q5_1.gguf"), &fast);
    let naive = perplexity(&file("q5_1.gguf"));
    assert!(naive.is_nan(), "Q5_1 throughout: {naive}");
    let calibration = Calibration { batches: Some(2), batch_size: Some(4), seq_len: Some(128) };
    let report =
        quantize(&file("in.gguf"), &file("out.gguf"), &Config { calibration, ..Config::default() });
    let kept_from: Vec<_> = report.kept_from.iter().map(|it| it.tensor.as_str()).collect();
    assert_eq!(kept_from, ["blk.1.ffn_down.weight"]);
    let chosen = perplexity(&report.output);
    println!("activations beyond F16: perplexity {chosen:.2} as searched, {naive} in Q5_1");
    assert!(chosen.is_finite() && chosen < 1e4, "{chosen}");
}

fn quantize(input: &Path, output: &Path, config: &Config) -> Report {
    let (input, output) = (input.to_path_buf(), output.to_path_buf());
    let (force, dry_run, threads) = (false, false, None);
    let (eval_text, report) = (None, None);
    let opencog = Request::default();
    let tpu_layout = None;
    let job =
        Job { input, output, opencog, eval_text, report, tpu_layout, force, dry_run, threads };
    pipeline::run(&job, config, &Silent).unwrap()
}

/// llama-perplexity, a model and a text.
struct Peer {
    model: PathBuf,
    text: PathBuf,
}

impl Peer {
    /// Where `.ci/run` puts them, or a line that says what is missing.
    fn found() -> Option<Peer> {
        let tools = ["llama-perplexity", "llama-quantize"].map(fetched::llama_cpp);
        let peer = Peer { model: fetched::smollm2(), text: fetched::wikitext() };
        let needed: [&Path; 4] = [&tools[0], &tools[1], &peer.model, &peer.text];
        (fetched::optimized() && fetched::present(&needed)).then_some(peer)
    }

    fn perplexity(&self, model: &Path, context: usize) -> Command {
        let mut command = Command::new(fetched::llama_cpp("llama-perplexity"));
        let context = context.to_string();
        command.args(["-c", &context, "-b", &context, "-t", "2", "-m"]).arg(model);
        command
    }

    fn our_kld(&self, quantized: &Path) -> f64 {
        let job = EvaluationJob {
            base: self.model.clone(),
            quantized: quantized.to_path_buf(),
            text: Some(self.text.clone()),
            chunks: Some(CHUNKS),
            context: Some(512),
            activations: Activations::Rounded,
            logits: None,
            force: false,
            seed: 0,
            threads: None,
        };
        evaluate::run(&job, &Silent).unwrap().statistics.kld.value
    }
}
