//! Models whose matrices lie on the grids of a TPU, by plain rounding.

use half::{bf16, f16};
use opencog_qat::block;
use opencog_qat::gguf::{Format, Gguf, Writer};
use opencog_qat::model::{Model, layer_part};
use std::path::Path;

/// The model with its matrices in the formats that `choose` gives for their names: Q8_0 with one
/// scale a row, Q4_0 with one a tile, F16. Where 32 does not divide the rows they stay as they are.
pub fn snapped(gguf: &Gguf, choose: impl Fn(&str) -> Format) -> Vec<u8> {
    let mut specs = Vec::new();
    let mut encoded = Vec::new();
    for tensor in gguf.tensors() {
        let mut spec = tensor.spec();
        let is_matrix = tensor.rows() > 1 && tensor.row_len().is_multiple_of(32);
        if !is_matrix {
            encoded.push(gguf.data(tensor).to_vec());
            specs.push(spec);
            continue;
        }
        spec.format = choose(&spec.name);
        let mut row = vec![0.0; tensor.row_len()];
        let rows = gguf.data(tensor).chunks_exact(tensor.format.size_of(tensor.row_len()));
        let mut bytes = Vec::new();
        for stored in rows {
            block::decode(tensor.format, stored, &mut row);
            match spec.format {
                Format::Q8_0 => eight_bits(&row, &mut bytes),
                Format::Q4_0 => {
                    row.chunks(tile_len(row.len())).for_each(|t| four_bits(t, &mut bytes))
                }
                _ => bytes.extend(row.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes())),
            }
        }
        encoded.push(bytes);
        specs.push(spec);
    }
    let mut writer =
        Writer::new(Vec::new(), Path::new("snapped.gguf"), gguf.metadata(), &specs).unwrap();
    encoded.iter().for_each(|bytes| writer.tensor_bytes(bytes).unwrap());
    let snapped = writer.finish().unwrap();
    Model::of(&Gguf::from_bytes("snapped.gguf", snapped.clone()).unwrap()).unwrap();
    snapped
}

/// Feed-forward networks in 4 bits but for those of the first layer, all else in 8 bits.
pub fn mixed(name: &str) -> Format {
    match layer_part(name) {
        Some((layer, part)) if layer > 0 && part.starts_with("ffn") => Format::Q4_0,
        _ => Format::Q8_0,
    }
}

fn tile_len(columns: usize) -> usize {
    [128, 64, 32].into_iter().find(|&tile| columns.is_multiple_of(tile)).unwrap()
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |most, x| most.max(x.abs()))
}

fn eight_bits(row: &[f32], out: &mut Vec<u8>) {
    let scale = f16::from_f32(largest(row) / 127.0);
    for block in row.chunks(32) {
        out.extend(scale.to_le_bytes());
        out.extend(block.iter().map(|&x| code(x, scale.to_f32(), -127.0, 127.0) as u8));
    }
}

fn four_bits(tile: &[f32], out: &mut Vec<u8>) {
    let scale = bf16::from_f32(f16::from_f32(largest(tile) / 7.0).to_f32()).to_f32();
    let stored = f16::from_f32(scale);
    assert_eq!(stored.to_f32(), scale, "both types hold it");
    for block in tile.chunks(32) {
        out.extend(stored.to_le_bytes());
        let code = |x| (code(x, scale, -8.0, 7.0) + 8) as u8;
        let (low, high) = block.split_at(16);
        out.extend(low.iter().zip(high).map(|(&low, &high)| code(low) | code(high) << 4));
    }
}

fn code(x: f32, scale: f32, least: f32, most: f32) -> i8 {
    match scale {
        0.0 => 0,
        scale => (x / scale).round().clamp(least, most) as i8,
    }
}
