//! Tensors that the input has in block formats: they stay, unless fewer bits are asked for.

use opencog_qat::block::can_encode;
use opencog_qat::gguf::{Format, Gguf};
use serde_json::Value as Json;

use crate::folder::{Folder, Report};
use crate::models::Model;

fn encodable() -> impl Iterator<Item = Format> {
    Format::all().filter(|&format| can_encode(format))
}

fn data<'a>(gguf: &'a Gguf, name: &str) -> (Format, &'a [u8]) {
    let tensor = gguf.tensor(name).expect(name);
    (tensor.format, gguf.data(tensor))
}

/// Whether a tensor of `in.gguf` stands unchanged in `out.gguf`.
#[track_caller]
fn assert_kept(folder: &Folder, report: &Report, name: &str) {
    let (input, output) = (folder.open("in.gguf"), folder.open("out.gguf"));
    assert!(data(&input, name) == data(&output, name), "{name} was changed");
    let tensor = report.tensor(name);
    assert_eq!(tensor.relative_error, None, "{name}");
    let note = format!("already quantized to {}: kept as it is", tensor.from);
    assert_eq!(tensor.note.as_ref(), Some(&note), "{name}");
}

/// Blocks that hold any bits, but scales of the size of weights.
fn any_blocks(format: Format, blocks: usize) -> Vec<u8> {
    let byte =
        |i: usize| if format == Format::MXFP4 && i.is_multiple_of(17) { 120 } else { i * 37 % 59 };
    (0..blocks * format.block_bytes()).map(|i| byte(i) as u8).collect()
}

/// A mixture of experts as gpt-oss is published: experts in MXFP4, everything else BF16.
fn experts() -> Model {
    let mut model = Model::empty().weights("token_embd.weight", Format::BF16, &[64, 64]);
    model = model.weights("output_norm.weight", Format::F32, &[64]);
    for part in ["attn_q", "attn_k", "attn_v", "attn_output"] {
        model = model.weights(&format!("blk.0.{part}.weight"), Format::BF16, &[64, 64]);
    }
    model = model.weights("blk.0.ffn_gate_inp.weight", Format::F32, &[64, 4]);
    for part in ["gate", "up", "down"] {
        let (name, blocks) = (format!("blk.0.ffn_{part}_exps.weight"), 2 * 64 * 4);
        let bytes = any_blocks(Format::MXFP4, blocks);
        model = model.tensor(&name, Format::MXFP4, &[64, 64, 4], bytes);
    }
    model
}

#[test]
fn experts_in_mxfp4_stay_and_the_rest_is_quantized() {
    let folder = Folder::with(&experts());
    for flags in ["", "--bpw 5", "--bits 4:4 --allow-requantize", "--strategy fixed"] {
        let report = folder.quantize(flags);
        for part in ["gate", "up", "down"] {
            assert_kept(&folder, &report, &format!("blk.0.ffn_{part}_exps.weight"));
        }
        assert!(report.metrics.output_bytes < report.metrics.input_bytes, "{flags}");
        let quantized: Vec<&str> = report.quantized().map(|tensor| &*tensor.from).collect();
        assert!(quantized.iter().filter(|&&from| from == "BF16").count() == 5, "{quantized:?}");
        // The error is that of what was encoded, and not thinned by the others.
        let errors = report.quantized().filter(|tensor| tensor.from == "BF16");
        let least = errors.filter_map(|tensor| tensor.relative_error).fold(1.0, f64::min);
        assert!(report.metrics.relative_error.unwrap() >= least, "{flags}");
    }
    let summary = folder.run("--force --effort fast in.gguf out.gguf").success();
    let summary = String::from_utf8(summary.get_output().stdout.clone()).unwrap();
    assert!(summary.contains("3 tensors: already quantized to MXFP4"), "{summary}");
}

#[test]
fn every_block_format_is_kept_whether_it_can_be_decoded_or_not() {
    let mut model = Model::empty().weights("token_embd.weight", Format::F16, &[256, 8]);
    let mut names = Vec::new();
    for (i, format) in Format::all().filter(|format| format.block_len() > 1).enumerate() {
        names.push(format!("blk.{i}.ffn_up.weight"));
        let bytes = any_blocks(format, 8 * 256 / format.block_len());
        model = model.tensor(&names[i], format, &[256, 8], bytes);
    }
    let folder = Folder::with(&model);
    let report = folder.quantize("");
    names.iter().for_each(|name| assert_kept(&folder, &report, name));
    assert!(report.tensor("token_embd.weight").relative_error.is_some());
    // With the flag, what has more bits may get fewer, and nothing gets more.
    let lower = folder.quantize("--allow-requantize --bits 4:4");
    let bytes = |report: &Report, name: &str| report.tensor(name).bytes;
    for name in &names {
        assert!(bytes(&lower, name) <= bytes(&report, name), "{name}");
        if lower.tensor(name).from == lower.tensor(name).format {
            assert_kept(&folder, &lower, name);
        }
    }
    for name in ["Q8_0", "Q6_K", "Q5_K", "Q5_1"] {
        let tensor = lower.tensors.iter().find(|tensor| tensor.from == name).unwrap();
        assert!(tensor.format.contains('4'), "{name} -> {}", tensor.format);
    }
}

#[test]
fn the_format_that_a_tensor_has_is_a_copy() {
    for format in encodable() {
        let folder = Folder::with(&Model::llama(256, format));
        let report = folder.quantize(&format!("--allow-requantize --formats {format}"));
        for tensor in report.tensors.iter().filter(|tensor| tensor.shape.len() == 2) {
            assert_kept(&folder, &report, &tensor.name);
        }
        assert!(report.warnings.iter().any(|w| w.contains("every tensor stays")), "{format}");
    }
}

/// A layer as Q4_K_M has it.
fn q4_k_m() -> Model {
    let six = ["token_embd", "attn_v", "ffn_down"];
    Model::of(&Folder::with(&Model::llama(256, Format::F16)).open("in.gguf")).with_matrices(
        |name, _| {
            let six = six.iter().any(|part| name.contains(part));
            Some(if six { Format::Q6_K } else { Format::Q4_K })
        },
    )
}

#[test]
fn a_file_never_grows() {
    let folder = Folder::with(&q4_k_m());
    for flags in ["", "--strategy fixed", "--bits 4:6", "--bits 4:4", "--bpw 4.6", "--bits 8:8"] {
        let report = folder.quantize(&format!("--allow-requantize {flags}"));
        for tensor in &report.tensors {
            let from: Format = tensor.from.parse().unwrap();
            let most = from.bytes_of(tensor.weights()).unwrap();
            assert!(tensor.bytes <= most, "{flags}: {} in {}", tensor.name, tensor.format);
            if tensor.from == tensor.format && from.block_len() > 1 {
                assert_kept(&folder, &report, &tensor.name);
            }
        }
        let fewer = report.tensors.iter().filter(|t| t.from == "Q6_K" && t.format != "Q6_K");
        match flags {
            "--bits 4:4" | "--bpw 4.6" => assert!(fewer.count() > 0, "{flags}"),
            "" | "--bits 8:8" => assert_eq!(fewer.count(), 0, "{flags}"),
            _ => {}
        }
    }
}

#[test]
fn limits_that_kept_tensors_are_too_large_for_name_the_flag() {
    let mixed = |name: &str, _: &mut [f32]| name.contains("ffn").then_some(Format::Q8_0);
    let model = Folder::with(&Model::llama(256, Format::F16)).open("in.gguf");
    let folder = Folder::with(&Model::of(&model).with_matrices(mixed));
    for flags in ["--bpw 5", "--size 19000", "--reduction 0.82"] {
        let message = folder.refused(&format!("--effort fast --force {flags} in.gguf out.gguf"));
        assert!(message.contains("3 tensors are already quantized"), "{message}");
        assert!(message.contains("unless --allow-requantize is given"), "{message}");
        folder.quantize(&format!("{flags} --allow-requantize"));
    }
}

#[test]
#[ignore = "takes longer than ten seconds"]
fn a_search_and_training_leave_them_alone() {
    let tiny = Model::of(&Folder::with_tiny().open("in.gguf"));
    let kept = ["blk.1.ffn_down.weight", "blk.2.attn_q.weight"];
    let model = tiny.with_matrices(|name, _| kept.contains(&name).then_some(Format::Q5_0));
    let folder = Folder::with(&model);
    let text = "--batches 1 --batch-size 4 --seq-len 64 --bpw 5";
    for effort in ["--effort standard", "--effort thorough"] {
        let report = folder.quantize(&format!("{effort} {text}"));
        kept.iter().for_each(|name| assert_kept(&folder, &report, name));
        assert_eq!(report.quantized().filter(|tensor| tensor.from == "F16").count(), 27);
        let json: Json = serde_json::from_slice(&folder.read("report.json")).unwrap();
        let costs = json["search"]["sensitivities"].as_array().unwrap();
        assert!(costs.iter().all(|costs| costs["tensor"] != kept[0]), "{effort}");
        assert!(json["metrics"]["mean_kld"].as_f64().unwrap() < 0.3, "{effort}");
    }
    // As they may get fewer bits, they are weighed too; what is not better stays.
    let report = folder.quantize(&format!("--allow-requantize --bits 4:5 {text}"));
    for name in kept {
        assert!(report.tensor(name).bytes * 8 <= report.tensor(name).weights() * 11 / 2, "{name}");
    }
}
