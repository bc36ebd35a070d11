//! The model in the box with some weights scaled, so that what is computed stays the same while what
//! lies between two maps gets large.

#![allow(dead_code, reason = "every test takes what it needs")]

use std::path::Path;

use opencog_qat::block;
use opencog_qat::gguf::{Format, Gguf, TensorSpec, Writer};

/// A weight's factor, by its row and column.
pub type Factor = fn(usize, usize) -> f32;

/// By how much the hidden values of a feed-forward network are scaled.
const LARGE: f32 = 65_536.0;

/// Hidden values of layer 1 are large, 64 of them: their sums of 32 are beyond F16, what they are
/// scaled with is not.
pub fn with_large_hidden_values() -> Vec<u8> {
    tiny_with(&[
        ("blk.1.ffn_up.weight", |row, _| if row < 64 { LARGE } else { 1.0 }),
        ("blk.1.ffn_down.weight", |_, column| if column < 64 { 1.0 / LARGE } else { 1.0 }),
    ])
}

/// Values that attention gathers in layer 1 are beyond F16.
pub fn with_large_attention_values() -> Vec<u8> {
    tiny_with(&[
        ("blk.1.attn_v.weight", |_, _| 8.0 * LARGE),
        ("blk.1.attn_output.weight", |_, _| 1.0 / (8.0 * LARGE)),
    ])
}

/// The file with these tensors scaled, in F32.
fn tiny_with(scaled: &[(&str, Factor)]) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/tiny.gguf");
    let gguf = Gguf::open(&path).unwrap();
    let factor = |name: &str| scaled.iter().find(|(it, _)| *it == name).map(|(_, factor)| *factor);
    let spec = |spec: TensorSpec| match factor(&spec.name) {
        Some(_) => TensorSpec { format: Format::F32, ..spec },
        None => spec,
    };
    let specs: Vec<TensorSpec> = gguf.tensors().iter().map(|it| spec(it.spec())).collect();
    let mut file = Vec::new();
    let mut writer = Writer::new(&mut file, &path, gguf.metadata(), &specs).unwrap();
    for tensor in gguf.tensors() {
        let Some(factor) = factor(&tensor.name) else {
            writer.tensor_bytes(gguf.data(tensor)).unwrap();
            continue;
        };
        let mut values = vec![0.0; tensor.elements() as usize];
        block::decode(tensor.format, gguf.data(tensor), &mut values);
        for (row, values) in values.chunks_mut(tensor.row_len()).enumerate() {
            values.iter_mut().enumerate().for_each(|(column, x)| *x *= factor(row, column));
        }
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        writer.tensor_bytes(&bytes).unwrap();
    }
    writer.finish().unwrap();
    file
}
