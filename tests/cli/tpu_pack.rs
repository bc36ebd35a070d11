//! The folder for a TPU beside the model.

use std::fs;
use std::path::Path;

use assert_cmd::assert::OutputAssertExt;
use opencog_qat::gguf::{Format, Gguf, Value};
use predicates::prelude::*;

use crate::folder::{Folder, PROGRAM};
use crate::models::Model;

const FILES: [&str; 7] = [
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
];

/// In the model's own formats and with nothing to measure, so that it takes no time.
const FLAGS: &str = "--hardware tpu --effort fast --formats Q8_0";

/// The model in the box with weights that Q8_0 holds exactly with one scale for all of a matrix: each
/// block has the largest code.
fn model() -> Model {
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/tiny.gguf");
    Model::of(&Gguf::open(&tiny).unwrap()).with_matrices(|_, values| {
        let scale = 1.0 / 512.0;
        for (i, value) in values.iter_mut().enumerate() {
            let code = if i % 32 == 0 { 127.0 } else { *value / scale };
            *value = code.round().clamp(-127.0, 127.0) * scale;
        }
        Some(Format::F16)
    })
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_pack_lies_beside_the_model() {
    let folder = Folder::with(&model());
    let run = folder.run(&format!("{FLAGS} --report x.json in.gguf out.gguf")).success();
    run.stdout(
        predicate::str::is_match("TPU pack +out.tpu, compressed-tensors, [0-9.]+ MB").unwrap(),
    );
    assert_eq!(folder.names(), ["in.gguf", "out.gguf", "out.tpu", "x.json"]);
    let pack = folder.path("out.tpu");
    assert_eq!(names_in(&pack), FILES);
    let bytes = |name: &str| fs::metadata(pack.join(name)).unwrap().len();
    let report = &json(&folder.path("x.json"))["pack"];
    assert_eq!(
        (&report["folder"], &report["layout"]),
        (&"out.tpu".into(), &"compressed-tensors".into())
    );
    assert_eq!(report["bytes"], FILES.iter().map(|name| bytes(name)).sum::<u64>());
    let config = json(&pack.join("config.json"));
    assert_eq!(config["architectures"][0], "LlamaForCausalLM");
    assert_eq!(config["quantization_config"]["format"], "int-quantized");
    let index = &json(&pack.join("model.safetensors.index.json"))["weight_map"];
    let up = "model.layers.0.mlp.up_proj";
    for part in ["weight", "weight_scale"] {
        assert_eq!(index[format!("{up}.{part}")], "model.safetensors");
    }
    // The same command gives the same bytes, for whatever threads.
    let first = FILES.map(|name| fs::read(pack.join(name)).unwrap());
    folder.run(&format!("{FLAGS} --threads 1 --force in.gguf out.gguf")).success();
    assert!(first == FILES.map(|name| fs::read(pack.join(name)).unwrap()));
}

#[test]
fn a_pack_may_be_laid_out_for_qwix() {
    let folder = Folder::with(&model());
    folder.run(&format!("{FLAGS} --tpu-layout qwix in.gguf out.gguf")).success();
    let config = json(&folder.path("out.tpu/config.json"));
    assert_eq!(config["quantization_config"]["quant_method"], "qwix");
    let index = &json(&folder.path("out.tpu/model.safetensors.index.json"))["weight_map"];
    assert_eq!(index["model.layers.0.mlp.up_proj.kernel.qvalue"], "model.safetensors");
}

#[test]
fn an_existing_pack_is_replaced_by_force_only() {
    let folder = Folder::with(&model());
    let args = format!("{FLAGS} in.gguf out.gguf");
    fs::create_dir(folder.path("out.tpu")).unwrap();
    folder.write("out.tpu/model.safetensors", b"old");
    folder.refused_with(&args, "out.tpu: it exists already; remove it, or have it replaced: with");
    folder.run(&format!("--force {args}")).success();
    assert_eq!(names_in(&folder.path("out.tpu")), FILES);
    assert_eq!(folder.names(), ["in.gguf", "out.gguf", "out.tpu"]);
    // What is no pack stays, whatever is asked for.
    folder.write("out.tpu/notes.txt", b"mine");
    folder.refused_with(&format!("--force {args}"), "out.tpu: it holds `notes.txt`");
}

#[test]
fn a_dry_run_makes_no_pack() {
    let folder = Folder::with(&model());
    folder.run(&format!("{FLAGS} --dry-run in.gguf out.gguf")).success();
    assert_eq!(folder.names(), ["in.gguf"]);
    fs::create_dir(folder.path("out.tpu")).unwrap();
    folder
        .refused_with(&format!("{FLAGS} --dry-run in.gguf out.gguf"), "out.tpu: it exists already");
}

#[test]
fn a_pack_that_misses_a_target_is_named_so() {
    let folder = Folder::with(&model());
    // At this effort nothing is measured, so that the target is missed.
    let args = format!("{FLAGS} --accuracy 0.01 --report x.json in.gguf out.gguf");
    folder.run(&args).code(3);
    let names = ["in.gguf", "out.gguf.below-target", "out.tpu.below-target", "x.json"];
    assert_eq!(folder.names(), names);
    assert_eq!(json(&folder.path("x.json"))["pack"]["folder"], "out.tpu.below-target");
    folder.run(&args).code(3);
    assert_eq!(folder.names(), names);
}

#[cfg(unix)]
#[test]
fn a_pack_that_cannot_be_written_leaves_nothing() {
    let folder = Folder::with(&model());
    // 4.6 MB: the model has 3.9, and the pack 5.2, as its embeddings are floats.
    let limited = format!("ulimit -f 9000; exec {PROGRAM} {FLAGS} in.gguf out.gguf");
    let run = folder.command("sh", &["-c", &limited]).assert().code(1);
    run.stderr(predicate::str::starts_with("error: out.tpu/model.safetensors: cannot write"));
    assert_eq!(folder.names(), ["in.gguf"]);
}

#[test]
fn what_cannot_be_packed_is_refused_before_the_work() {
    let args = format!("{FLAGS} in.gguf out.gguf");
    let unknown = model().key("general.architecture", Value::string("mamba"));
    Folder::with(&unknown).refused_with(&args, "in.gguf: it cannot be packed for a TPU: the arch");
    let scaled = model().key("llama.rope.scaling.attn_factor", Value::F32(1.5));
    Folder::with(&scaled)
        .refused_with(&args, "which the loaders' LlamaForCausalLM has no place for");
    let spelled = model().key("tokenizer.ggml.pre", Value::string("tekken"));
    Folder::with(&spelled).refused_with(&args, "its tokenizer: the tokenizer is of kind");
    let folder = Folder::with(&spelled);
    folder.run(&format!("{FLAGS} --tpu-layout none in.gguf out.gguf")).success();
    assert_eq!(folder.names(), ["in.gguf", "out.gguf"]);
    let folder = Folder::with(&model());
    folder
        .refused_with(&format!("{FLAGS} in.gguf out.tpu"), "out.tpu: the folder for the TPU would");
    let report = format!("{FLAGS} --report out.tpu/x.json in.gguf out.gguf");
    folder.refused_with(&report, "out.tpu");
}

#[test]
fn a_layout_is_of_tpus_only() {
    let folder = Folder::with(&model());
    folder
        .refused_with("--tpu-layout qwix in.gguf out.gguf", "--tpu-layout qwix: needs --hardware");
    let run = folder.run("--hardware tpu --tpu-layout maxtext in.gguf out.gguf").code(2);
    run.stderr(predicate::str::contains("expected compressed-tensors, qwix or none"));
}

#[test]
fn a_pack_that_is_beyond_the_memory_misses_its_target() {
    let folder = Folder::with(&model());
    // The file and its KV cache fit, the pack with its embedding in F32 does not.
    let flags = "--hardware tpu --effort fast --formats Q8_0 --context 64";
    let run = folder.run(&format!("{flags} --memory 0.0045 in.gguf out.gguf")).code(3);
    let told = "--memory 0.0045: the pack and its KV cache take ";
    run.stderr(predicate::str::contains(told));
    assert_eq!(folder.names(), ["in.gguf", "out.gguf.below-target", "out.tpu.below-target"]);
    let run = folder.run(&format!("{flags} --memory 0.0045 --tpu-layout qwix in.gguf q.gguf"));
    run.success().stderr(predicate::str::contains("the pack takes").not());
}
