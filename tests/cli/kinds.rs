//! Models of architectures that nobody knows the parts of: tensors are grouped by their names.

use std::collections::{BTreeMap, BTreeSet};

use opencog_qat::gguf::{Array, Format, Value};

use crate::folder::{Folder, Report};
use crate::models::{Model, weights};

/// Weights that are the harder to quantize the larger `spread` is.
fn spread(name: &str, n: u64, spread: i32) -> Vec<f32> {
    weights(name, n).into_iter().map(|x| x * (20.0 * x.abs()).powi(spread)).collect()
}

/// Two blocks for each prefix, with parts of different spread.
fn model(blocks: &[(&str, &[&str])]) -> Model {
    let mut model = Model::empty().weights("token_embd.weight", Format::F16, &[64, 12]);
    for (prefix, parts) in blocks {
        for block in 0..2 {
            for (i, part) in parts.iter().enumerate() {
                let name = format!("{prefix}.{block}.{part}.weight");
                let values = spread(&name, 64 * 12, i as i32);
                model = model.values(&name, Format::F16, &[64, 12], &values);
            }
        }
    }
    model
}

/// The formats of each kind.
fn formats(report: &Report) -> BTreeMap<String, BTreeSet<String>> {
    let mut formats: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for tensor in report.quantized() {
        formats.entry(tensor.kind.clone()).or_default().insert(tensor.format.clone());
    }
    formats
}

#[track_caller]
fn assert_grouped(folder: &Folder, kinds: &[&str]) {
    let report = folder.quantize("--bpw 5.2");
    let formats = formats(&report);
    for kind in kinds {
        assert_eq!(formats.get(*kind).map(BTreeSet::len), Some(1), "{kind} in {formats:?}");
    }
    let all: BTreeSet<&String> = kinds.iter().flat_map(|&kind| &formats[kind]).collect();
    assert!(all.len() > 1, "all have {all:?}");
    let gguf = folder.open("out.gguf");
    let Some(Value::Array(Array::String(lines))) = gguf.metadata().get("opencog_qat.plan") else {
        panic!("no lines about the plan")
    };
    let lines: Vec<String> =
        lines.iter().map(|line| String::from_utf8_lossy(line).into()).collect();
    for kind in kinds {
        let format = formats[*kind].first().unwrap();
        assert!(lines.contains(&format!("{kind}: {format} x 2")), "{lines:?}");
    }
    // Sizes are foretold to the byte, also with lines of all lengths.
    let size = report.metrics.output_bytes;
    assert!(folder.quantize(&format!("--size {size}")).metrics.output_bytes <= size);
    let summary = folder.run("--force --effort fast --bpw 5.2 in.gguf out.gguf").success();
    let summary = String::from_utf8(summary.get_output().stdout.clone()).unwrap();
    for kind in kinds {
        let line = summary.lines().find(|line| line.starts_with(&format!("  {kind} ")));
        assert!(line.is_some_and(|line| line.contains("  2  ")), "{kind} in {summary}");
    }
}

#[test]
fn an_encoder_and_a_decoder() {
    let parts: [&str; 4] = ["attn_q", "attn_o", "ffn_up", "ffn_down"];
    let cross: [&str; 3] = ["attn_q", "cross_attn_q", "ffn_down"];
    let folder = Folder::with(&model(&[("enc.blk", &parts), ("dec.blk", &cross)]));
    let kinds = ["enc.blk.*.attn_q", "enc.blk.*.ffn_down", "dec.blk.*.cross_attn_q"];
    assert_grouped(&folder, &kinds);
}

#[test]
fn a_vision_tower() {
    let parts: [&str; 4] = ["attn_q", "attn_out", "ffn_up", "ffn_down"];
    let folder = Folder::with(&model(&[("v.blk", &parts), ("mm", &["input_projection"])]));
    assert_grouped(&folder, &["v.blk.*.attn_q", "v.blk.*.attn_out", "v.blk.*.ffn_down"]);
}

#[test]
fn tensors_with_no_two_names_alike() {
    let mut model = Model::empty();
    for i in 0..300 {
        model = model.weights(&format!("part{i}.weight"), Format::F16, &[32, 4 + i % 7]);
    }
    let report = Folder::with(&model).quantize("--bpw 5.5");
    assert_eq!(report.quantized().count(), 300);
    assert!(report.quantized_bpw() <= 5.5 && report.quantized_bpw() > 5.4);
}
