//! Inputs that are too large for what llama.cpp keeps of them in F16.

use opencog_qat::block;
use opencog_qat::gguf::Format;
use predicates::prelude::*;
use serde_json::Value as Json;

use crate::folder::Folder;
use crate::models::{Model, stored};
use crate::scaled_model::{with_large_attention_values, with_large_hidden_values};

const LITTLE: &str = "--batches 1 --batch-size 4 --seq-len 64";
const DOWN: &str = "blk.1.ffn_down.weight";

fn large() -> Folder {
    let folder = Folder::empty();
    folder.write("in.gguf", &with_large_hidden_values());
    folder
}

fn report(folder: &Folder) -> Json {
    serde_json::from_slice(&folder.read("r.json")).unwrap()
}

#[test]
fn a_tensor_is_kept_from_formats_whose_outputs_llama_cpp_cannot_hold() {
    let folder = large();
    let has = predicate::str::contains;
    let flags = format!("{LITTLE} --formats Q4_0,Q5_1 --bpw 7 --report r.json");
    let told = has("  not Q5_1: blk.1.ffn_down.weight\n")
        .and(has("llama.cpp keeps the sum of each 32 of its inputs in F16"));
    folder.run(&format!("{flags} in.gguf out.gguf")).success().stdout(told);
    let output = folder.open("out.gguf");
    let format = |name: &str| output.tensor(name).unwrap().format.name();
    assert_eq!(format(DOWN), "Q4_0");
    // There is room for it everywhere else.
    assert_eq!(format("blk.0.ffn_down.weight"), "Q5_1");
    let kept_from = report(&folder)["kept_from"].as_array().unwrap().clone();
    assert_eq!(kept_from.len(), 1, "{kept_from:?}");
    assert_eq!((&kept_from[0]["tensor"], &kept_from[0]["kept"]), (&DOWN.into(), &"sum".into()));
    assert_eq!(kept_from[0]["formats"].as_array().unwrap(), &["Q5_1"]);
    assert!(kept_from[0]["largest"].as_f64().unwrap() > 65504.0 / 4.0, "{kept_from:?}");

    // From the whole palette as well, whatever is aimed at.
    folder.run(&format!("{LITTLE} --report r.json --force in.gguf out.gguf"));
    for one in report(&folder)["kept_from"].as_array().unwrap() {
        assert_eq!(one["tensor"], DOWN);
    }
    let format = |tensor: &Json| tensor["format"].as_str().unwrap().to_string();
    let tensors = report(&folder)["tensors"].as_array().unwrap().clone();
    let down = tensors.iter().find(|tensor| tensor["name"] == DOWN).map(format).unwrap();
    assert!(!["Q4_1", "Q5_1"].contains(&&*down), "{down}");
}

#[test]
fn a_lattice_without_room_for_the_inputs_is_left() {
    let on_lattice = |name: &str, x: &mut [f32]| {
        (name == DOWN).then(|| {
            block::decode(Format::Q5_1, &stored(Format::Q5_1, x), &mut x[..]);
            Format::F32
        })
    };
    let folder = Folder::with(&Model::of(&large().open("in.gguf")).with_matrices(on_lattice));
    assert_eq!(folder.quantize("").tensor(DOWN).format, "Q5_1");
    let report_of_run = folder.quantize(&format!("--effort standard {LITTLE}"));
    assert!(!["Q4_1", "Q5_1"].contains(&&*report_of_run.tensor(DOWN).format));
    assert_eq!(report_of_run.tensor(DOWN).note, None);
    let json: Json = serde_json::from_slice(&folder.read("report.json")).unwrap();
    assert_eq!(json["kept_from"][0]["formats"], serde_json::json!(["Q5_1"]));
}

#[test]
fn what_no_allowed_format_can_hold_is_refused_by_name() {
    let folder = large();
    let has = |part: &str| predicate::str::contains(part.to_string());
    let run = folder.run(&format!("{LITTLE} --formats Q4_1,Q5_1 in.gguf out.gguf")).code(1);
    run.stderr(
        has("error: in.gguf: tensor blk.1.ffn_down.weight in Q4_1, Q5_1: ")
            .and(has(
                "llama.cpp keeps the sum of each 32 of its inputs in F16, which ends at 65504",
            ))
            .and(has("--formats")),
    );
    // There is nothing to go on from, and nothing in the way of another command.
    assert_eq!(folder.names(), ["in.gguf"]);
}

#[test]
fn a_limit_that_leaves_no_room_for_inputs_is_refused_with_their_number() {
    let folder = large();
    let flags = format!("{LITTLE} --formats Q4_1,Q8_0 --bpw 5 in.gguf out.gguf");
    let message = folder.refused(&flags);
    let told = "tensors that are kept from formats in which llama.cpp could not hold their \
                inputs: 1";
    assert!(message.contains("--bpw 5: ") && message.contains(told), "{message}");
    // A limit that leaves it is met.
    folder.run(&flags.replace("--bpw 5", "--bpw 6 --report r.json")).success();
    assert_eq!(folder.open("out.gguf").tensor(DOWN).unwrap().format, Format::Q8_0);
    assert_eq!(report(&folder)["kept_from"][0]["formats"], serde_json::json!(["Q4_1"]));
}

#[test]
fn eval_fails_as_llama_cpp_does() {
    let folder = large();
    for format in ["Q5_1", "Q4_0"] {
        folder.run(&format!("--effort fast --formats {format} in.gguf {format}.gguf")).success();
    }
    let eval = |quantized: &str, flags: &str| {
        format!("eval --context 64 --chunks 2 {flags} in.gguf {quantized}")
    };
    let message = folder.refused(&eval("Q5_1.gguf", ""));
    for part in [
        &format!("Q5_1.gguf against in.gguf: tensor {DOWN} in Q5_1: "),
        "llama.cpp keeps the sum of each 32",
        "NaN",
        "--activations float",
    ] {
        assert!(message.contains(part), "no {part:?} in {message}");
    }
    folder.run(&eval("Q5_1.gguf", "--activations float")).success();
    folder.run(&eval("Q4_0.gguf", "")).success();
}

#[test]
fn keys_and_values_are_kept_in_f16() {
    let folder = Folder::with_tiny();
    folder.write("large.gguf", &with_large_attention_values());
    let eval = "eval --context 64 --chunks 2 in.gguf large.gguf";
    folder.refused_with(eval, "large.gguf against in.gguf: keys or values of layer 1 are beyond");
    folder.run(&format!("{eval} --activations float")).success();
    assert!(folder.refused(eval).contains("eval --activations float"));
}

#[test]
fn what_llama_cpp_cannot_run_as_it_is_told_is_quantized_by_its_weights() {
    let folder = Folder::empty();
    folder.write("in.gguf", &with_large_attention_values());
    let has = predicate::str::contains;
    // It cannot write either: its keys and values are kept in F16 then too.
    let cannot = "the attention of layer 1 holds NaN or infinity";
    let told = format!(
        "formats are chosen by the weights alone, and what was lost is not measured: {cannot}"
    );
    let run = folder.run(&format!("{LITTLE} -q --report r.json in.gguf out.gguf")).success();
    run.stderr(has(told));
    let report = report(&folder);
    assert!(report["unmeasured"].as_str().unwrap().starts_with(cannot), "{report}");
    assert!(report["search"].is_null() && report["evaluations"].as_array().unwrap().is_empty());
    assert!(folder.path("out.gguf").exists());

    let missed = format!("--accuracy 0.02: it could not be measured: {cannot}");
    let run = folder.run(&format!("{LITTLE} --accuracy 0.02 in.gguf new.gguf")).code(3);
    run.stderr(has(missed));
    assert!(!folder.path("new.gguf").exists());
}

#[test]
fn a_tensor_that_overflows_and_stays_leaves_no_search() {
    let folder = large();
    let gguf = folder.open("in.gguf");
    let in_q5_1 =
        |name: &str, _: &mut [f32]| (name == "blk.1.ffn_down.weight").then_some(Format::Q5_1);
    let model = Model::of(&gguf).with_matrices(in_q5_1);
    let folder = Folder::with(&model);
    let run = folder.run(&format!("{LITTLE} -q --report r.json in.gguf out.gguf")).success();
    run.stderr(predicate::str::contains(
        "formats are chosen without a search by errors of weights, and what was lost is not \
         measured: tensor blk.1.ffn_down.weight in Q5_1",
    ));
    let report = report(&folder);
    assert!(report["search"].is_null() && report["evaluations"].as_array().unwrap().is_empty());
    assert_eq!(
        folder.open("out.gguf").tensor("blk.1.ffn_down.weight").unwrap().format,
        Format::Q5_1
    );
}
