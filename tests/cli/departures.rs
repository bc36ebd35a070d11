//! Files that depart a little from the usual: whatever llama.cpp runs is calibrated and measured.

use opencog_qat::gguf::{Array, Value};
use predicates::prelude::*;
use serde_json::Value as Json;

use crate::folder::Folder;
use crate::models::Model;

/// As little text as can be calibrated and measured on.
const LITTLE: &str = "--batches 1 --batch-size 4 --seq-len 64 --bpw 5 --report r.json";

fn tiny() -> Model {
    Model::of(&Folder::with_tiny().open("in.gguf"))
}

fn report(folder: &Folder) -> Json {
    serde_json::from_slice(&folder.read("r.json")).unwrap()
}

fn warnings(report: &Json) -> Vec<String> {
    serde_json::from_value(report["warnings"].clone()).unwrap()
}

/// What comes of a run: the report.
fn quantized(folder: &Folder, flags: &str) -> Json {
    folder.run(&format!("{LITTLE} {flags} --force in.gguf out.gguf")).success();
    let report = report(folder);
    assert!(report["unmeasured"].is_null(), "{}", report["unmeasured"]);
    assert!(report["metrics"]["mean_kld"].as_f64().unwrap() > 0.0);
    report
}

#[test]
#[ignore = "takes longer than ten seconds"]
fn dimensions_of_1_and_types_of_no_tokens_change_nothing() {
    let sound = quantized(&Folder::with_tiny(), "");
    let [norm, first, down] =
        ["output_norm.weight", "blk.0.attn_norm.weight", "blk.0.ffn_down.weight"];
    let model = tiny()
        .reshaped(norm, &dims_and(norm, &[1]))
        .reshaped(first, &dims_and(first, &[1, 1]))
        .reshaped(down, &dims_and(down, &[1]))
        .key("tokenizer.ggml.token_type", Value::Array(Array::I32(longer_types())));
    let folder = Folder::with(&model);
    let departed = quantized(&folder, "");
    assert_eq!(departed["evaluations"], sound["evaluations"]);
    assert!(warnings(&departed) == warnings(&sound));
    // They stay in the output.
    let output = folder.open("out.gguf");
    assert_eq!(output.tensor(first).unwrap().shape.dims(), dims_and(first, &[1, 1]));
    folder.run("eval in.gguf out.gguf --chunks 2 --context 64").success();
}

/// The dimensions of a tensor of the model in the box, and these.
fn dims_and(name: &str, more: &[u64]) -> Vec<u64> {
    let shape = Folder::with_tiny().open("in.gguf").tensor(name).unwrap().shape;
    [shape.dims(), more].concat()
}

/// The types of the tokens of the model in the box, and three more.
fn longer_types() -> Vec<i32> {
    let folder = Folder::with_tiny();
    let gguf = folder.open("in.gguf");
    let types = gguf.metadata().get("tokenizer.ggml.token_type").and_then(Value::as_array);
    match types {
        Some(Array::I32(types)) => [&types[..], &[1, 3, 99]].concat(),
        types => panic!("{types:?}"),
    }
}

#[test]
fn special_tokens_that_are_not_there_are_ignored_aloud() {
    let keys = ["bos", "eos", "padding"].map(|of| format!("tokenizer.ggml.{of}_token_id"));
    let model = keys.iter().fold(tiny(), |model, key| model.key(key, Value::U32(999_999)));
    let folder = Folder::with(&model);
    let run = folder.run(&format!("--quiet {LITTLE} in.gguf out.gguf")).success();
    let told = String::from_utf8(run.get_output().stderr.clone()).unwrap();
    for key in keys {
        let warning = format!("warning: {key} is 999999, and there are 2048 tokens: it is ignored");
        assert!(told.contains(&warning), "{key}: {told}");
    }
    assert!(report(&folder)["unmeasured"].is_null());
    folder.run("eval in.gguf out.gguf --chunks 2 --context 64").success();
}

#[test]
fn words_that_are_split_in_an_unknown_way_keep_no_model_from_writing() {
    let folder = Folder::with(&tiny().key("tokenizer.ggml.pre", Value::string("tekken")));
    folder.write("text.txt", "The river ran down to the sea. ".repeat(100).as_bytes());
    let report = quantized(&folder, "--eval-text text.txt");
    let warnings = warnings(&report);
    let unread = "--eval-text text.txt: nothing is measured on it: the tokenizer is of kind";
    assert!(warnings.iter().any(|warning| warning.starts_with(unread)), "{warnings:?}");
    assert_eq!(report["evaluations"].as_array().unwrap().len(), 1);
    folder.run("eval in.gguf out.gguf --chunks 2 --context 64").success();
    folder.refused_with("eval in.gguf out.gguf --text text.txt", "pre-tokenizer `tekken`");
}

#[test]
fn an_embedding_for_another_vocabulary_is_warned_of() {
    let tokens: Vec<String> = (0..300).map(|token| format!("t{token}")).collect();
    let tokens = Array::String(tokens.iter().map(String::as_bytes).collect());
    let folder = Folder::with(&tiny().key("tokenizer.ggml.tokens", Value::Array(tokens)));
    let run = folder.run("--quiet --effort fast in.gguf out.gguf").success();
    let has = predicate::str::contains;
    run.stderr(
        has("warning: token_embd.weight has 2048 rows, and the vocabulary 300 tokens")
            .and(has("stock llama.cpp refuses")),
    );
}

/// The model in the box with one count of heads for each layer, and no lengths of keys and values.
fn by_layer() -> Model {
    let folder = Folder::with_tiny();
    let gguf = folder.open("in.gguf");
    let number = |key: &str| gguf.metadata().get(key).and_then(Value::as_u64).unwrap();
    let (heads, layers) = (number("llama.attention.head_count"), number("llama.block_count"));
    let heads = Array::I32(vec![heads as i32; layers as usize]);
    let model = tiny().without("llama.attention.key").without("llama.attention.value");
    model.key("llama.attention.head_count", Value::Array(heads))
}

#[test]
fn heads_counted_by_layer_have_the_same_cache() {
    let cache = |folder: &Folder| folder.quantize("").metrics.kv_cache_bytes;
    let folder = Folder::with(&by_layer());
    let expected = cache(&Folder::with_tiny());
    assert_eq!(cache(&folder), expected);
    assert!(expected.is_some_and(|bytes| bytes > 0));
    folder.refused_with("--memory 0.001 --effort fast --force in.gguf out.gguf", "the KV cache");
}

#[test]
fn a_limit_that_cannot_be_reckoned_is_refused_if_it_was_asked_for() {
    let folder = Folder::with(&tiny().without("llama.attention.head_count"));
    let unknown = "the KV cache cannot be reckoned: llama.attention.head_count is missing";
    for flag in ["--memory 4", "--context 100"] {
        let args = format!("{flag} --effort fast in.gguf out.gguf");
        folder.refused_with(&args, &format!("in.gguf: {flag}: {unknown}"));
    }
    let run = folder.run("--effort fast in.gguf out.gguf").success();
    let memory = predicate::str::is_match(r"without the KV cache,\n +of [0-9.]+ GB").unwrap();
    run.stderr(predicate::str::contains(unknown)).stdout(memory);
    let known = Folder::with_tiny();
    let args = format!("--context {} --effort fast in.gguf out.gguf", u64::MAX);
    known.refused_with(&args, "takes more than 2^63 bytes");
}

#[test]
fn the_memory_is_this_machines_unless_another_is_asked_for() {
    let folder = Folder::with_tiny();
    let run = folder.run("--effort fast --report r.json in.gguf out.gguf").success();
    run.stdout(predicate::str::is_match(r"of [0-9]+\.[0-9] GB \(this machine\)").unwrap());
    let default = report(&folder);
    assert_eq!(default["metrics"]["memory"]["of"], "this-machine");
    assert!(default["metrics"]["memory"]["gb"].as_f64().unwrap() > 0.1);
    assert!(!default["flags"].as_str().unwrap().contains("--memory"), "{}", default["flags"]);
    let run = folder.run("--effort fast --memory 7 --report r.json in.gguf 7.gguf").success();
    run.stdout(predicate::str::contains("of 7.0 GB (as asked for)"));
    assert!(report(&folder)["flags"].as_str().unwrap().contains(" --memory 7 "));
}
