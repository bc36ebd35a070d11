//! `--hardware tpu`: integers of 4 and of 8 bits with scales that a row or a tile shares, in blocks
//! that llama.cpp runs.

use std::collections::BTreeMap;

use half::{bf16, f16};
use opencog_qat::gguf::{Format, Gguf, TensorInfo};

use crate::folder::{Folder, Report};
use crate::models::{Model, stored, weights};

// Models made by `Model::llama` cannot be run, and so not be packed: theirs is `--tpu-layout none`.

/// Little text.
const LITTLE: &str = "--batches 1 --batch-size 8 --seq-len 64";

/// The inputs that share a scale of int4.
fn tile(row_len: usize) -> usize {
    [128, 64, 32].into_iter().find(|tile| row_len.is_multiple_of(*tile)).unwrap()
}

/// That all blocks of a run carry one scale, which other types hold too, and integers of either
/// sign.
#[track_caller]
fn check_runs(tensor: &TensorInfo, data: &[u8]) {
    let (name, format, row_len) = (&tensor.name, tensor.format, tensor.row_len());
    let run = if format == Format::Q8_0 { row_len } else { tile(row_len) };
    for blocks in data.chunks(run / 32 * format.block_bytes()) {
        let blocks: Vec<&[u8]> = blocks.chunks(format.block_bytes()).collect();
        assert!(blocks.iter().all(|block| block[..2] == blocks[0][..2]), "{name}: scales differ");
        let scale = f16::from_le_bytes([blocks[0][0], blocks[0][1]]).to_f32();
        assert!(scale.is_finite(), "{name}: {scale}");
        if format == Format::Q8_0 {
            let codes = blocks.iter().flat_map(|block| &block[2..]);
            assert!(codes.map(|&byte| byte as i8).min() > Some(-128), "{name}: -128");
        } else {
            assert_eq!(bf16::from_f32(scale).to_f32(), scale, "{name}: no BF16");
        }
    }
}

/// The formats of tensors that are loaded as one, by what they are loaded as.
fn loaded_as_one(gguf: &Gguf) -> BTreeMap<String, Vec<Format>> {
    let mut formats: BTreeMap<String, Vec<Format>> = BTreeMap::new();
    for tensor in gguf.tensors() {
        let whole = match tensor.name.rsplit_once('.') {
            Some((stem, "weight")) => stem,
            _ => continue,
        };
        for (part, one) in [("attn_q", "qkv"), ("attn_k", "qkv"), ("attn_v", "qkv")]
            .into_iter()
            .chain([("ffn_gate", "gate-up"), ("ffn_up", "gate-up")])
        {
            if let Some(layer) = whole.strip_suffix(part) {
                formats.entry(format!("{layer}{one}")).or_default().push(tensor.format);
            }
        }
    }
    formats
}

/// That a file is one that a TPU's packer can read: every matrix on a grid, and those that are
/// loaded as one in one format. Returns how many have each format.
#[track_caller]
fn check(folder: &Folder) -> [usize; 2] {
    let gguf = folder.open("out.gguf");
    let mut counts = [0; 2];
    for tensor in gguf.tensors().iter().filter(|tensor| tensor.shape.rows() > 1) {
        match tensor.format {
            Format::Q4_0 => counts[0] += 1,
            Format::Q8_0 => counts[1] += 1,
            other => panic!("{} in {other}", tensor.name),
        }
        check_runs(tensor, gguf.data(tensor));
    }
    let norms = gguf.tensors().iter().filter(|tensor| tensor.shape.rows() == 1);
    assert!(norms.map(|norm| norm.format).all(|format| format == Format::F32));
    for (whole, formats) in loaded_as_one(&gguf) {
        assert!(formats.iter().all(|format| *format == formats[0]), "{whole}: {formats:?}");
    }
    counts
}

#[test]
fn the_search_and_the_training_keep_to_the_grids() {
    let folder = Folder::with_tiny();
    for (effort, flags) in
        [("standard", "--bpw 6"), ("standard", "--bits 6:8"), ("thorough", "--bpw 6")]
    {
        let flags = format!("--hardware tpu --effort {effort} {LITTLE} {flags}");
        let report = folder.quantize(&flags);
        assert!(report.flags.starts_with("--hardware tpu "), "{}", report.flags);
        let [int4, int8] = check(&folder);
        println!("{flags}: {int4} tensors of int4, {int8} of int8");
        assert_eq!(int4 + int8, 29);
        match flags.ends_with("6:8") {
            true => assert_eq!(int4, 0),
            false => assert!(int4 > 0 && int8 > 0, "{flags}: a mixture"),
        }
    }
}

#[test]
#[ignore = "takes longer than ten seconds"]
fn training_lowers_the_loss_on_the_grid() {
    let folder = Folder::with_tiny();
    let kld = |effort: &str| {
        let flags =
            "--hardware tpu --bits 4:4 --accuracy 0.2 --batches 2 --batch-size 16 --seq-len 128";
        folder.quantize(&format!("--effort {effort} {flags}"));
        assert_eq!(check(&folder), [29, 0]);
        let report: serde_json::Value =
            serde_json::from_slice(&folder.read("report.json")).unwrap();
        report["metrics"]["mean_kld"].as_f64().unwrap()
    };
    let (before, after) = (kld("standard"), kld("thorough"));
    println!("int4: KLD {before:.5} at standard effort, {after:.5} at thorough effort");
    assert!(after < before, "{after} for {before}");
}

#[test]
fn weights_alone_do_and_a_fixed_table_too() {
    let folder = Folder::with_tiny();
    for flags in ["", "--bpw 5", "--bpw 7", "--portable --bpw 6", "--formats Q8_0"] {
        folder.quantize(&format!("--hardware tpu {flags}"));
        check(&folder);
    }
    let formats = |report: &Report, name: &str| report.tensor(name).format.clone();
    for effort in ["fast", "standard"] {
        let accuracy = if effort == "fast" { "" } else { "--accuracy 0.2" };
        let effort = format!("--effort {effort} {LITTLE} {accuracy}");
        let report = folder.quantize(&format!("--hardware tpu --strategy fixed {effort}"));
        check(&folder);
        assert_eq!(formats(&report, "token_embd.weight"), "Q8_0");
        for part in ["attn_q", "attn_k", "attn_v", "attn_output"] {
            assert_eq!(formats(&report, &format!("blk.1.{part}.weight")), "Q4_0");
        }
        for part in ["ffn_gate", "ffn_up", "ffn_down"] {
            assert_eq!(formats(&report, &format!("blk.1.{part}.weight")), "Q8_0");
        }
    }
}

#[test]
fn rows_that_128_does_not_divide_have_smaller_tiles_and_that_is_told() {
    let model =
        Model::llama(192, Format::F16).weights("blk.0.wide.weight", Format::F16, &[256, 12]);
    let folder = Folder::with(&model);
    let report = folder.quantize("--hardware tpu --tpu-layout none --bits 4:4");
    check(&folder);
    let told = "8 tensors have rows that 128 does not divide: scales of int4 are shared by fewer \
                inputs there, by 64 in token_embd.weight, whose rows have 192";
    assert!(report.warnings.iter().any(|warning| warning == told), "{:?}", report.warnings);
    let report = folder.quantize("--hardware tpu --tpu-layout none --bits 8:8");
    assert!(!report.warnings.iter().any(|warning| warning.contains("128")), "no int4");
    let folder = Folder::with(&Model::llama(128, Format::F16));
    let report = folder.quantize("--hardware tpu --tpu-layout none --bits 4:4");
    assert!(!report.warnings.iter().any(|warning| warning.contains("128")));
}

#[test]
fn tensors_that_are_loaded_as_one_have_one_format_even_where_one_is_out_of_reach() {
    let mut model = Model::llama(128, Format::F32);
    let far: Vec<f32> = weights("far", 128 * 12)
        .iter()
        .enumerate()
        .map(|(i, x)| if i == 77 { 7e6 } else { *x })
        .collect();
    for part in ["attn_q", "attn_k", "attn_v", "ffn_gate", "ffn_up"] {
        let name = format!("blk.1.{part}.weight");
        model = match part {
            "attn_k" => model.values(&name, Format::F32, &[128, 12], &far),
            _ => model.weights(&name, Format::F32, &[128, 12]),
        };
    }
    let folder = Folder::with(&model);
    let report = folder.quantize("--hardware tpu --tpu-layout none --bpw 5.8");
    for part in ["attn_q", "attn_k", "attn_v"] {
        assert_eq!(report.tensor(&format!("blk.1.{part}.weight")).format, "Q8_0", "{part}");
    }
    let [int4, _] = check(&folder);
    assert!(int4 > 0);
    folder.refused_with(
        "--hardware tpu --tpu-layout none --effort fast --strategy fixed --force in.gguf out.gguf",
        "are loaded as one on a TPU, and need one format",
    );
}

#[test]
fn what_is_in_blocks_already_is_on_no_such_grid() {
    let name = "blk.0.ffn_down.weight";
    let values = weights(name, 256 * 12);
    let blocks = |format: Format| {
        let model = Model::llama(256, Format::F16);
        model.tensor("blk.1.ffn_down.weight", format, &[256, 12], stored(format, &values))
    };
    let folder = Folder::with(&blocks(Format::Q8_0));
    let expected = "tensor blk.1.ffn_down.weight is kept in Q8_0, whose blocks share no scales";
    folder
        .refused_with("--hardware tpu --tpu-layout none --effort fast in.gguf out.gguf", expected);
    // It may be encoded again, in as many bits.
    let report = folder.quantize("--hardware tpu --tpu-layout none --allow-requantize");
    check(&folder);
    assert!(["Q4_0", "Q8_0"].contains(&&*report.tensor("blk.1.ffn_down.weight").format));
    let folder = Folder::with(&blocks(Format::IQ4_XS));
    let expected = "tensor blk.1.ffn_down.weight is kept in IQ4_XS";
    folder.refused_with(
        "--hardware tpu --tpu-layout none --effort fast --allow-requantize in.gguf out.gguf",
        expected,
    );
}

#[test]
fn lattices_of_single_blocks_are_left() {
    let tiny = Model::of(&Folder::with_tiny().open("in.gguf"));
    let rounded = tiny.with_matrices(|_, x| {
        let blocks = stored(Format::Q4_0, x);
        opencog_qat::block::decode(Format::Q4_0, &blocks, x);
        Some(Format::F32)
    });
    let folder = Folder::with(&rounded);
    let report = folder.quantize("--hardware tpu --bits 4:4");
    check(&folder);
    assert!(report.warnings.iter().all(|warning| !warning.contains("lattice")));
}

#[test]
fn bits_that_a_tpu_does_not_multiply_are_refused() {
    let folder = Folder::with_tiny();
    for (flags, expected) in [
        ("--bits 5:6", "--bits 5:6: holds no format that a TPU multiplies"),
        ("--formats Q4_K", "--formats Q4_K: is not among those that hold what a TPU multiplies"),
    ] {
        folder.refused_with(&format!("--hardware tpu {flags} in.gguf out.gguf"), expected);
    }
}
