//! Weights beyond the largest F16: a tensor goes where it fits; and rows too small for any.

use opencog_qat::block;
use opencog_qat::gguf::{Format, Gguf};

use crate::folder::Folder;
use crate::models::Model;

const NAME: &str = "blk.1.ffn_up.weight";

fn large(gguf: &Gguf, row: usize, column: usize) -> f32 {
    let tensor = gguf.tensor(NAME).unwrap();
    let mut values = vec![0.0; tensor.elements() as usize];
    block::decode(tensor.format, gguf.data(tensor), &mut values);
    values[row * tensor.row_len() + column]
}

/// A model with one weight of `value`.
fn with_large(row_len: u64, format: Format, value: f32) -> Folder {
    let mut values = crate::models::weights(NAME, row_len * 12);
    values[3 * row_len as usize + 5] = value;
    let model = Model::llama(row_len, format).values(NAME, format, &[row_len, 12], &values);
    Folder::with(&model)
}

#[test]
fn a_tensor_goes_where_it_fits() {
    for (row_len, value) in [(64, 99840.0), (256, -99840.0), (256, 4e6)] {
        for format in [Format::BF16, Format::F32] {
            let folder = with_large(row_len, format, value);
            for flags in ["", "--formats Q8_0", "--strategy fixed", "--formats Q4_1,Q8_0"] {
                let report = folder.quantize(flags);
                let found = large(&folder.open("out.gguf"), 3, 5);
                let off = (found / value - 1.0).abs();
                let format = &report.tensor(NAME).format;
                assert!(off <= 1.0 / 7.0, "{flags}: {found} for {value} in {format}");
            }
        }
    }
}

#[test]
fn the_format_that_could_hold_it_is_named() {
    let folder = with_large(64, Format::BF16, -99840.0);
    let message = folder.refused("--effort fast --formats Q4_1,Q5_1 in.gguf out.gguf");
    let place = "tensor blk.1.ffn_up.weight holds -99840 in row 3, column 5; Q5_1 reaches from \
                 -65504 to 2030624, the widest that --formats Q4_1,Q5_1 allows; Q8_0 could hold";
    assert!(message.contains(place), "{message}");
    // The fixed table has Q5_1 for such rows.
    let report = folder.quantize("--strategy fixed");
    let tensor = report.tensor(NAME);
    assert_eq!(tensor.format, "Q8_0");
    let note = "Q8_0 instead of Q5_1, which cannot hold weights or inputs so large";
    assert_eq!(tensor.note.as_deref(), Some(note));
}

#[test]
fn a_search_goes_round_what_cannot_hold_it() {
    let tiny = Model::of(&Folder::with_tiny().open("in.gguf"));
    let model = tiny.with_matrices(|name, x| {
        (name == NAME).then(|| {
            x[5] = -99840.0;
            Format::BF16
        })
    });
    let folder = Folder::with(&model);
    let text = "--batches 1 --batch-size 4 --seq-len 64 --formats Q4_1,Q5_1,Q8_0 --bpw 6";
    for effort in ["--effort standard", "--effort thorough"] {
        let report = folder.quantize(&format!("{effort} {text}"));
        assert_eq!(report.tensor(NAME).format, "Q8_0");
        let found = large(&folder.open("out.gguf"), 0, 5);
        assert!((found / -99840.0 - 1.0).abs() <= 1.0 / 127.0, "{effort}: {found}");
        assert!(report.quantized().any(|tensor| tensor.format == "Q4_1"));
    }
}

#[test]
fn rows_that_are_lost_are_told() {
    // Far below the least F16, as no scale is that small.
    let tiny = |name: &str, rows: &[usize]| {
        let mut values = crate::models::weights(name, 64 * 12);
        let of_rows = rows.iter().flat_map(|row| row * 64..(row + 1) * 64);
        of_rows.for_each(|i| values[i] *= 1e-9);
        values
    };
    let down = "blk.2.ffn_down.weight";
    let model = Model::llama(64, Format::F32)
        .values(NAME, Format::F32, &[64, 12], &tiny(NAME, &[7, 2, 5]))
        .values(down, Format::F32, &[64, 12], &tiny(down, &[11]));
    let folder = Folder::with(&model);
    let report = folder.quantize("--formats Q4_0,Q8_0 -q");
    let lost = |name: &str| (report.tensor(name).lost_rows, report.tensor(name).first_lost_row);
    assert_eq!((lost(NAME), lost(down)), ((3, Some(2)), (1, Some(11))));
    assert_eq!(lost("blk.0.ffn_up.weight"), (0, None));
    let told: Vec<_> = report.warnings.iter().filter(|told| told.contains("zeros")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("4 rows of 2 tensors decode to zeros"), "{told:?}");
    assert!(told[0].contains(&format!("first row 2 of {NAME} in Q")), "{told:?}");
}
