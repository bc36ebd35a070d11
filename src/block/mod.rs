//! The block formats: decoding all that stock llama.cpp writes for dense models, and encoding the
//! 4 to 8 bit ones with a better search than the reference.
//!
//! A format is a type in the file of its family that says all about itself (`format.rs`): it
//! implements `Block` (what a block is, how to read one) and, if it can be written, `EncodeBlock`
//! (its levels and grids, how to find and store the best block). [`decode`] and [`encode`] pick the
//! type, and run it with the widest vectors that the CPU has.

#[macro_use]
mod format;

pub mod codes;
mod float;
mod grid;
#[expect(non_camel_case_types, reason = "ggml's names")]
mod iq4;
#[expect(non_camel_case_types, reason = "ggml's names")]
mod kquant;
pub mod lattice;
mod legacy;
mod measure;
mod mxfp4;
mod on_lattice;
mod packing;
mod range;
mod search;
mod shared;
mod stored;
#[cfg(test)]
mod tests;

pub use format::{Rounding, activations, is_repacked, nominal_bits};
pub use measure::{SquaredError, squared_error};
pub use range::{range, unstorable};
pub use shared::{SharedScale, encode_shared};

use std::marker::PhantomData;

use crate::gguf::Format;
use crate::simd::Level;
use pulp::{Simd, WithSimd};

use format::{Block, EncodeBlock};
use search::{
    CHUNK, Flat, Importance, LANES, Weights, distinct, effective_chunks, ordinary, sum_of_squares,
};

/// Whether [`decode`] reads this format.
pub fn can_decode(format: Format) -> bool {
    for_format!(read format, B => B::FORMAT == format, else false)
}

/// Whether [`encode`] writes this block format.
pub fn can_encode(format: Format) -> bool {
    for_format!(written format, B => B::FORMAT == format, else false)
}

/// Decodes whole blocks: `bytes` holds `out.len()` values. The same bits as gguf-py's `dequantize`.
///
/// # Panics
/// If the format [cannot be decoded](can_decode) or the lengths do not agree.
pub fn decode(format: Format, bytes: &[u8], out: &mut [f32]) {
    assert_eq!(format.bytes_of(out.len() as u64), Some(bytes.len() as u64), "{format} lengths");
    decode_at(Level::widest(), format, bytes, out);
}

/// Encodes rows of finite values, each `row_len` long. `importance` (one non-negative number for
/// each column) weights the squared error that the search minimises.
///
/// No row loses more than ggml's own quantization of it would, as what ggml finds is one of the
/// candidates; but for long rows of ordinary weights without importance, where it is not tried, as
/// ours is all but always better. Without importance no block loses more than zeros would.
///
/// The bytes depend on the arguments alone: not on the CPU, nor on how rows are grouped into calls.
///
/// # Panics
/// If the format [cannot be encoded](can_encode) or the lengths do not agree.
pub fn encode(
    format: Format,
    values: &[f32],
    row_len: usize,
    importance: Option<&[f32]>,
    out: &mut [u8],
) {
    encode_with(true, format, values, row_len, importance, out);
}

/// Encodes one block as [`encode`] does, but without ggml's own search, which is made for many blocks
/// at a time: for blocks that come one by one, and are searched further.
///
/// # Panics
/// As [`encode`].
pub fn encode_block(format: Format, values: &[f32], importance: &[f32], out: &mut [u8]) {
    encode_with(false, format, values, format.block_len(), Some(importance), out);
}

/// [`encode`], with or without ggml's own search.
fn encode_with(
    reference: bool,
    format: Format,
    values: &[f32],
    row_len: usize,
    importance: Option<&[f32]>,
    out: &mut [u8],
) {
    assert!(
        format.fits(row_len) && values.len().is_multiple_of(row_len),
        "{format} rows of {row_len}"
    );
    assert_eq!(format.bytes_of(values.len() as u64), Some(out.len() as u64), "{format} lengths");
    let fits = importance.is_none_or(|importance| importance.len() == row_len);
    assert!(fits, "one importance for each column");
    let weights = importance.and_then(column_weights);
    let importance = weights.as_ref().map(|(raised, raw)| (&raised[..], &raw[..]));
    let rows = Rows { values, row_len, importance, reference };
    encode_at(Level::widest(), format, rows, out);
}

/// [`decode`] at one level of vector instructions.
fn decode_at(level: Level, format: Format, bytes: &[u8], out: &mut [f32]) {
    for_format!(
        read format, B => B::decode_all(level, bytes, out),
        else panic!("{format} cannot be decoded")
    )
}

/// [`encode`] at one level of vector instructions.
fn encode_at(level: Level, format: Format, rows: Rows, out: &mut [u8]) {
    for_format!(
        written format, B => encode_rows::<B>(level, rows, out),
        else panic!("{format} cannot be encoded")
    )
}

/// Rows to encode.
#[derive(Clone, Copy)]
struct Rows<'a> {
    values: &'a [f32],
    row_len: usize,
    /// One for each column, [relative] to their mean, [raised] above zero; and before they were.
    importance: Option<(&'a [f32], &'a [f32])>,
    /// Whether ggml's own search is tried.
    reference: bool,
}

fn decode_blocks<B: Block>(level: Level, bytes: &[u8], out: &mut [f32]) {
    level.run(DecodeBlocks::<B> { bytes, out, format: PhantomData });
}

fn encode_rows<B: EncodeBlock>(level: Level, rows: Rows, out: &mut [u8]) {
    let Rows { values, row_len, importance, reference } = rows;
    match importance {
        None => level.run(EncodeRows::<B, _> {
            reference,
            values,
            row_len,
            w: Flat,
            out,
            format: PhantomData,
        }),
        Some((importance, raw)) => {
            let row_bytes = B::FORMAT.size_of(row_len);
            let rows = values.chunks_exact(row_len).zip(out.chunks_exact_mut(row_bytes));
            for (values, out) in rows {
                let squares = if reference { sum_of_squares(values) } else { 0.0 };
                let row_mean_square = squares / row_len as f32;
                let w = Importance { columns: importance, raw, row_mean_square };
                level.run(EncodeRows::<B, _> {
                    reference,
                    values,
                    row_len,
                    w,
                    out,
                    format: PhantomData,
                });
            }
        }
    }
}

/// Blocks to decode, as pulp wants them: `with_simd` is compiled once for each level of vector
/// instructions, with all that it inlines.
struct DecodeBlocks<'a, B> {
    bytes: &'a [u8],
    out: &'a mut [f32],
    format: PhantomData<B>,
}

impl<B: Block> WithSimd for DecodeBlocks<'_, B> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let blocks = self.bytes.chunks_exact(B::FORMAT.block_bytes());
        for (block, out) in blocks.zip(self.out.chunks_exact_mut(B::FORMAT.block_len())) {
            B::decode(block, out);
        }
    }
}

/// Rows to encode, all with the same weights.
struct EncodeRows<'a, B, W> {
    values: &'a [f32],
    row_len: usize,
    reference: bool,
    w: W,
    out: &'a mut [u8],
    format: PhantomData<B>,
}

impl<B: EncodeBlock, W: Weights> WithSimd for EncodeRows<'_, B, W> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let row_bytes = B::FORMAT.size_of(self.row_len);
        let rows = self.values.chunks_exact(self.row_len);
        for (row, out) in rows.zip(self.out.chunks_exact_mut(row_bytes)) {
            encode_row::<B, S, W>(simd, row, self.w, self.reference, out);
        }
    }
}

/// Encodes a row, group by group: first ggml's search where it may be needed, then ours.
#[inline(always)]
fn encode_row<B: EncodeBlock, S: Simd, W: Weights>(
    simd: S,
    row: &[f32],
    w: W,
    reference: bool,
    out: &mut [u8],
) {
    let (len, bytes) = (B::FORMAT.block_len(), B::FORMAT.block_bytes());
    let searched = reference && (!W::EVEN || B::ENOUGH > 0.0);
    let long = W::EVEN && searched && effective_chunks(simd, row) >= B::ENOUGH;
    let mut found = [B::Reference::default(); LANES];
    let groups = row.chunks(B::GROUP * len).zip(out.chunks_mut(B::GROUP * bytes));
    for (i, (x, blocks)) in groups.enumerate() {
        let w = w.skip(i * B::GROUP * len);
        let mut needed = searched;
        if long {
            needed = false;
            for x in x.chunks(CHUNK) {
                needed |= !ordinary(simd, x) || B::FINDS_LATTICES && !distinct(simd, x);
            }
        }
        if needed {
            B::references(simd, x, w, &mut found[..x.len() / len]);
        }
        let blocks = x.chunks_exact(len).zip(blocks.chunks_exact_mut(bytes));
        for (k, ((x, block), theirs)) in blocks.zip(&found).enumerate() {
            B::encode(simd, x, w.skip(k * len), needed.then_some(theirs), block);
        }
    }
}

/// What errors count by column: [relative] to their mean, [raised] above zero; and before they were
/// raised. `None` where every column counts the same, so that nothing is weighted.
fn column_weights(importance: &[f32]) -> Option<(Vec<f32>, Vec<f32>)> {
    let is_uneven = importance.iter().any(|&w| w != importance[0]);
    let raw = is_uneven.then(|| relative(importance, importance.len()))?;
    Some((raised(&raw), raw))
}

/// Importance relative to about its mean, so that no sum over a block overflows.
fn relative(importance: &[f32], row_len: usize) -> Vec<f32> {
    let sum: f64 = importance.iter().map(|&importance| f64::from(importance)).sum();
    let scale = if sum > 0.0 { row_len as f64 / sum } else { return vec![1.0; row_len] };
    // A power of two, as it rounds nothing.
    let scale = f64::from_bits(scale.to_bits() & !((1 << 52) - 1));
    importance.iter().map(|&w| (f64::from(w) * scale) as f32).collect()
}

/// Importance with a small floor, so that a column that was never active still gets sane values.
fn raised(importance: &[f32]) -> Vec<f32> {
    const FLOOR: f32 = 1e-5;
    importance.iter().map(|&w| w.max(FLOOR)).collect()
}
