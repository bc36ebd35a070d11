//! Weights in full precision that lie on the lattice of a block format.

use half::bf16;
use opencog_qat::block::{self, can_encode};
use opencog_qat::gguf::{Format, Gguf};
use serde_json::Value as Json;

use crate::folder::{Folder, Report};
use crate::models::{Model, stored, weights};

fn values(gguf: &Gguf, name: &str) -> Vec<f32> {
    let tensor = gguf.tensor(name).expect(name);
    let mut values = vec![0.0; tensor.elements() as usize];
    block::decode(tensor.format, gguf.data(tensor), &mut values);
    values
}

/// Weights after they were in a format.
fn rounded(format: Format, values: &[f32]) -> Vec<f32> {
    let mut rounded = vec![0.0; values.len()];
    block::decode(format, &stored(format, values), &mut rounded);
    rounded
}

/// Weights of a grid of 15 levels for each 32, whose largest level is seldom used, as
/// quantization-aware training leaves them.
fn on_grid(values: &mut [f32]) {
    for (i, block) in values.chunks_exact_mut(32).enumerate() {
        let peak = block.iter().fold(0.0, |peak: f32, x| peak.max(x.abs()));
        let scale = bf16::from_f32(peak / (4 + i % 4) as f32).to_f32();
        let levels = |x: f32| (x / scale).round().clamp(-7.0, 7.0);
        block.iter_mut().for_each(|x| *x = levels(*x) * scale);
    }
}

#[track_caller]
fn assert_exact(report: &Report, name: &str, format: &str) {
    let tensor = report.tensor(name);
    assert_eq!((&*tensor.format, tensor.relative_error), (format, Some(0.0)), "{name}");
    let note = format!("on the lattice of {format}, which holds all weights exactly");
    assert_eq!(tensor.note.as_ref(), Some(&note), "{name}");
}

#[test]
fn the_lattice_of_every_format_is_found() {
    let formats: Vec<Format> = Format::all().filter(|&format| can_encode(format)).collect();
    for from in [Format::BF16, Format::F16, Format::F32] {
        let mut model = Model::empty().weights("token_embd.weight", from, &[256, 12]);
        for (i, &format) in formats.iter().enumerate() {
            let name = format!("blk.{i}.ffn_up.weight");
            let values = rounded(format, &weights(&name, 256 * 8));
            model = model.values(&name, from, &[256, 8], &values);
        }
        let folder = Folder::with(&model);
        let report = folder.quantize("");
        let (input, output) = (folder.open("in.gguf"), folder.open("out.gguf"));
        for (i, format) in formats.iter().enumerate() {
            let name = format!("blk.{i}.ffn_up.weight");
            assert_exact(&report, &name, format.name());
            let before = values(&input, &name);
            let mut after = values(&output, &name);
            block::lattice::round_to(from, &mut after);
            assert!(before == after, "{name} of {format} in {from}");
        }
        assert!(report.tensor("token_embd.weight").note.is_none(), "random weights");
    }
}

#[test]
fn what_was_mxfp4_is_so_again() {
    let levels = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];
    let name = "blk.0.ffn_up_exps.weight";
    let value = |i: usize| levels[i * i % 61 % 8] * if i.is_multiple_of(3) { -1.0 } else { 1.0 };
    let values: Vec<f32> =
        (0..64 * 24).map(|i| value(i) * 2f32.powi((i / 32 % 5) as i32 - 9)).collect();
    let model = Model::llama(64, Format::BF16).values(name, Format::BF16, &[64, 12, 2], &values);
    let folder = Folder::with(&model);
    assert_exact(&folder.quantize(""), name, "MXFP4");
    // Its levels are among those of Q5_0, twice as large.
    assert_exact(&folder.quantize("--formats Q5_0,Q8_0"), name, "Q5_0");
}

#[test]
fn a_lattice_that_is_not_allowed_or_has_no_room_is_told() {
    let q8_0 = |_: &str, x: &mut [f32]| {
        x.copy_from_slice(&rounded(Format::Q8_0, x));
        Some(Format::F16)
    };
    let model = Folder::with(&Model::llama(256, Format::F32)).open("in.gguf");
    let folder = Folder::with(&Model::of(&model).with_matrices(q8_0));
    assert_eq!(folder.quantize("").tensor("blk.0.ffn_up.weight").format, "Q8_0");
    let report = folder.quantize("--bits 4:6");
    assert!(report.quantized().all(|tensor| tensor.format != "Q8_0"));
    let told = "8 tensors lie on the lattice of a format, Q8_0 for example";
    assert!(report.warnings.iter().any(|w| w.contains(told)), "{:?}", report.warnings);
    let report = folder.quantize("--bpw 6");
    let told = "8 tensors lie on the lattice of a block format, which holds the weights exactly";
    assert!(report.warnings.iter().any(|w| w.contains(told)), "{:?}", report.warnings);
    assert!(report.quantized_bpw() <= 6.0);
}

#[test]
fn a_model_on_a_grid_is_quantized_without_loss() {
    let tiny = Model::of(&Folder::with_tiny().open("in.gguf"));
    let model = tiny.with_matrices(|name, x| {
        name.starts_with("blk.").then(|| {
            on_grid(x);
            Format::BF16
        })
    });
    let folder = Folder::with(&model);
    let text = "--batches 1 --batch-size 4 --seq-len 64 --formats Q4_0,Q8_0";
    for effort in ["--effort standard", "--effort thorough"] {
        let report = folder.quantize(&format!("{effort} {text}"));
        let layers = report.tensors.iter().filter(|tensor| tensor.name.starts_with("blk."));
        let matrices: Vec<_> = layers.filter(|tensor| tensor.shape.len() == 2).collect();
        assert_eq!(matrices.len(), 28);
        matrices.iter().for_each(|tensor| assert_exact(&report, &tensor.name, "Q4_0"));
        // Only the embedding loses anything, and what llama.cpp rounds.
        let json: Json = serde_json::from_slice(&folder.read("report.json")).unwrap();
        let kld = json["metrics"]["mean_kld"].as_f64().unwrap();
        println!("{effort}: KLD {kld:.6}");
        assert!(kld < 0.002, "{effort}: {kld}");
    }
}
