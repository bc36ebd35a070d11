//! Tensors of all kinds: what is quantized, to what, and what stays as it is.

use std::collections::BTreeSet;

use opencog_qat::gguf::{Format, Gguf, TensorInfo};

use crate::folder::{Folder, Report};
use crate::models::{Model, weights};

const FIXED: [(&str, &str, &str); 8] = [
    ("token_embd.weight", "Q8_0", "Q8_0"),
    ("blk.0.attn_q.weight", "Q4_K", "IQ4_NL"),
    ("blk.0.attn_k.weight", "Q4_K", "IQ4_NL"),
    ("blk.0.attn_v.weight", "Q4_K", "IQ4_NL"),
    ("blk.0.attn_output.weight", "Q4_K", "IQ4_NL"),
    ("blk.0.ffn_gate.weight", "Q6_K", "Q5_1"),
    ("blk.0.ffn_up.weight", "Q6_K", "Q5_1"),
    ("blk.0.ffn_down.weight", "Q6_K", "Q5_1"),
];

fn data<'a>(gguf: &'a Gguf, name: &str) -> (&'a TensorInfo, &'a [u8]) {
    let tensor = gguf.tensor(name).expect(name);
    (tensor, gguf.data(tensor))
}

#[track_caller]
fn assert_note(report: &Report, name: &str, expected: &str) {
    let note = report.tensor(name).note.as_deref();
    assert!(note.is_some_and(|note| note.contains(expected)), "{name}: {note:?}");
}

#[test]
fn the_fixed_table_for_rows_that_256_divides() {
    let model = Model::llama(512, Format::F16).weights("output.weight", Format::F16, &[512, 4]);
    let report = Folder::with(&model).quantize("--strategy fixed");
    for (name, format, _) in FIXED.into_iter().chain([("output.weight", "Q8_0", "")]) {
        let tensor = report.tensor(name);
        assert_eq!((&*tensor.format, &tensor.note), (format, &None), "{name}");
    }
}

#[test]
fn the_fixed_table_for_other_rows_names_what_it_stands_in_for() {
    let report = Folder::with(&Model::llama(96, Format::F16)).quantize("--strategy fixed");
    for (name, format, by_32) in FIXED {
        assert_eq!(report.tensor(name).format, by_32, "{name}");
        if format != by_32 {
            let note = format!("{by_32} instead of {format}, whose blocks of 256 do not divide");
            assert_note(&report, name, &note);
        }
    }
}

#[test]
fn fixed_norms_have_256_levels_in_f32() {
    let folder = Folder::with(&Model::llama(2048, Format::F16));
    let report = folder.quantize("--strategy fixed");
    let (input, output) = (folder.open("in.gguf"), folder.open("out.gguf"));
    let floats = |bytes: &[u8]| -> Vec<f32> {
        bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
    };
    let span = |x: &[f32]| {
        x.iter().fold((f32::MAX, f32::MIN), |(low, high), &x| (low.min(x), high.max(x)))
    };
    for name in ["output_norm.weight", "blk.0.attn_norm.weight"] {
        let (before, after) = (floats(data(&input, name).1), floats(data(&output, name).1));
        let levels: BTreeSet<u32> = after.iter().map(|x| x.to_bits()).collect();
        assert_eq!(data(&output, name).0.format, Format::F32);
        assert!(levels.len() <= 256 && levels.len() > 100, "{} levels", levels.len());
        assert_eq!(span(&before), span(&after));
        assert_note(&report, name, "256 even levels, stored in F32");
    }
}

#[test]
fn a_search_leaves_norms_alone() {
    let folder = Folder::with(&Model::llama(512, Format::F16));
    folder.quantize("");
    let (input, output) = (folder.open("in.gguf"), folder.open("out.gguf"));
    assert_eq!(data(&input, "output_norm.weight").1, data(&output, "output_norm.weight").1);
}

#[test]
fn a_format_that_does_not_fit_the_rows_names_its_stand_in() {
    let folder = Folder::with(&Model::llama(576, Format::F16));
    let report = folder.quantize("--formats Q4_K");
    assert!(report.quantized().all(|tensor| tensor.format == "IQ4_NL"));
    let note = "IQ4_NL instead of Q4_K, whose blocks of 256 do not divide rows of 576";
    assert_note(&report, "blk.0.ffn_up.weight", note);
    let summary = folder.run("--dry-run --formats Q4_K in.gguf x.gguf").success();
    summary.stdout(predicates::str::contains(format!("8 tensors: {note}")));
}

#[test]
fn a_search_takes_the_formats_that_fit_the_rows() {
    let report = Folder::with(&Model::llama(576, Format::F16)).quantize("--bpw 5.2");
    let fitting = ["IQ4_NL", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"];
    assert!(report.quantized().all(|tensor| fitting.contains(&&*tensor.format)));
    assert!(report.quantized_bpw() <= 5.2);
}

#[test]
fn rows_that_no_format_divides_are_copied_and_named() {
    let model = Model::llama(256, Format::F16).weights("blk.0.odd.weight", Format::BF16, &[80, 9]);
    let folder = Folder::with(&model);
    let report = folder.quantize("--bpw 5");
    assert_note(
        &report,
        "blk.0.odd.weight",
        "copied in BF16: no allowed format divides rows of 80",
    );
    let (input, output) = (folder.open("in.gguf"), folder.open("out.gguf"));
    assert_eq!(data(&input, "blk.0.odd.weight").1, data(&output, "blk.0.odd.weight").1);
    // 6 bits are there in blocks of 256 only.
    let folder = Folder::with(&Model::llama(96, Format::F16));
    folder.refused_with("--bits 6:6 in.gguf out.gguf", "to the allowed formats");
}

/// What llama.cpp takes in full precision only.
const KEPT: [(&str, Format, &[u64]); 9] = [
    ("rope_freqs.weight", Format::F32, &[32]),
    ("position_embd.weight", Format::F16, &[256, 8]),
    ("token_types.weight", Format::F32, &[256, 2]),
    ("blk.0.attn_q.bias", Format::F32, &[256]),
    ("blk.0.attn_k_norm.weight", Format::F32, &[256, 4]),
    ("blk.0.ffn_gate_inp.weight", Format::F32, &[256, 8]),
    ("blk.0.ssm_conv1d.weight", Format::F32, &[32, 256]),
    ("blk.0.ffn_up.scale", Format::F32, &[256, 2]),
    ("blk.0.one_row.weight", Format::BF16, &[256]),
];

#[test]
fn what_must_not_be_quantized_is_copied_byte_for_byte() {
    let add = |model: Model, (name, format, dims): (&str, Format, &[u64])| {
        model.weights(name, format, dims)
    };
    let model = KEPT.into_iter().fold(Model::llama(256, Format::F16), add);
    let folder =
        Folder::with(&model.tensor("ids", Format::I32, &[2], vec![1, 0, 0, 0, 255, 1, 2, 3]));
    let report = folder.quantize("--bpw 4.5");
    let (input, output) = (folder.open("in.gguf"), folder.open("out.gguf"));
    for name in KEPT.iter().map(|row| row.0).chain(["ids"]) {
        let ((was, before), (is, after)) = (data(&input, name), data(&output, name));
        assert_eq!((was.format, before), (is.format, after), "{name}");
        assert_eq!(report.tensor(name).relative_error, None, "{name}");
    }
    assert_eq!(report.quantized().count(), 8);
}

#[test]
fn experts_are_quantized_and_their_router_is_not() {
    let mut model = Model::llama(256, Format::F16);
    for part in ["gate", "up", "down"] {
        model = model.weights(&format!("blk.0.ffn_{part}_exps.weight"), Format::F16, &[256, 6, 4]);
    }
    let folder = Folder::with(&model.weights("blk.0.ffn_gate_inp.weight", Format::F32, &[256, 4]));
    let report = folder.quantize("--formats Q6_K");
    let experts = report.tensor("blk.0.ffn_down_exps.weight");
    assert_eq!((&*experts.role, &*experts.format), ("ffn-down", "Q6_K"));
    assert_eq!(experts.bytes, 6 * 4 * 210);
    assert_eq!(report.tensor("blk.0.ffn_gate_inp.weight").format, "F32");
    let dims = folder.open("out.gguf").tensor("blk.0.ffn_down_exps.weight").unwrap().shape;
    assert_eq!(dims.dims(), [256, 6, 4]);
}

#[test]
fn every_full_precision_is_read() {
    for format in [Format::F32, Format::F16, Format::BF16] {
        let report = Folder::with(&Model::llama(256, format)).quantize("--bits 8:8");
        let error = report.metrics.relative_error.unwrap();
        assert!(error > 1e-6 && error < 1e-4, "{format}: {error}");
        assert_eq!(report.tensor("token_embd.weight").from, format.name());
    }
}

#[test]
fn three_shards_become_one_file() {
    let folder = Folder::empty();
    let model = Model::llama(256, Format::F16);
    for (no, shard) in model.shards(3).iter().enumerate() {
        folder.write(&format!("m-{:05}-of-00003.gguf", no + 1), shard);
    }
    folder.write("in.gguf", &model.bytes());
    folder.run("m-00001-of-00003.gguf joined.gguf").success();
    folder.run("in.gguf whole.gguf").success();
    assert!(folder.read("joined.gguf") == folder.read("whole.gguf"), "no trace of the split");
}

#[test]
fn zeros_stay_zeros() {
    let zeros = vec![0.0; 256 * 8];
    let model = Model::empty().values("a.weight", Format::F32, &[256, 8], &zeros);
    let report = Folder::with(&model).quantize("--bpw 4.5");
    assert_eq!(report.tensor("a.weight").relative_error, Some(0.0));
}

#[test]
fn the_report_says_how_much_was_lost() {
    let folder = Folder::with(&Model::llama(256, Format::F32));
    let report = folder.quantize("--formats Q8_0");
    let output = folder.open("out.gguf");
    let name = "blk.0.attn_q.weight";
    let before = weights(name, 256 * 12);
    let mut after = vec![0.0; before.len()];
    opencog_qat::block::decode(Format::Q8_0, data(&output, name).1, &mut after);
    let sum =
        |terms: &mut dyn Iterator<Item = f32>| terms.map(f64::from).map(|x| x * x).sum::<f64>();
    let lost =
        sum(&mut before.iter().zip(&after).map(|(a, b)| a - b)) / sum(&mut before.iter().copied());
    let told = report.tensor(name).relative_error.unwrap();
    assert!((told / lost - 1.0).abs() < 1e-4, "{told} for {lost}");
}
