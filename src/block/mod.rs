//! The block formats: decoding all that stock llama.cpp writes for dense models, and encoding the
//! 4 to 8 bit ones with a better search than the reference.
//!
//! A format is a type that implements [`Block`] (how to read one block) and, where it can be
//! written, [`EncodeBlock`] (how to find and store the best block). [`decode`] and [`encode`] pick
//! the type, and run it with the widest vectors that the CPU has.

mod float;
#[expect(non_camel_case_types, reason = "ggml's names")]
mod iq4;
#[expect(non_camel_case_types, reason = "ggml's names")]
mod kquant;
mod legacy;
mod measure;
mod mxfp4;
mod packing;
mod search;
#[cfg(test)]
mod tests;

pub use measure::{LARGEST, SquaredError, squared_error, unstorable};

use crate::gguf::Format;
use pulp::{Arch, Simd, WithSimd};
use search::{Flat, Importance, Weights};

/// A format whose blocks can be read.
trait Block {
    /// Which one it is.
    const FORMAT: Format;

    /// Decodes one block of `FORMAT.block_bytes()` into `FORMAT.block_len()` values.
    fn decode(block: &[u8], out: &mut [f32]);
}

/// A format whose blocks can be written.
trait EncodeBlock: Block {
    /// Encodes `FORMAT.block_len()` finite values into one block, losing as little as it can of the
    /// squared error weighted by `w`.
    fn encode<S: Simd, W: Weights>(simd: S, x: &[f32], w: W, block: &mut [u8]);
}

/// Whether [`decode`] reads this format.
pub fn can_decode(format: Format) -> bool {
    use Format::*;
    matches!(format, F32 | F16 | BF16 | Q2_K | Q3_K | MXFP4) || can_encode(format)
}

/// Whether [`encode`] writes this block format.
pub fn can_encode(format: Format) -> bool {
    use Format::*;
    matches!(format, Q4_0 | Q4_1 | Q5_0 | Q5_1 | Q8_0 | Q4_K | Q5_K | Q6_K | IQ4_NL | IQ4_XS)
}

/// Decodes whole blocks: `bytes` holds `out.len()` values. The same bits as gguf-py's `dequantize`.
///
/// # Panics
/// If the format [cannot be decoded](can_decode) or the lengths do not agree.
pub fn decode(format: Format, bytes: &[u8], out: &mut [f32]) {
    assert_eq!(format.bytes_of(out.len() as u64), Some(bytes.len() as u64), "{format} lengths");
    Arch::new().dispatch(Decode { format, bytes, out });
}

/// Encodes rows of finite values, each `row_len` long. `importance` (one non-negative number for
/// each column) weights the squared error that the search minimises.
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
    assert!(
        format.fits(row_len) && values.len().is_multiple_of(row_len),
        "{format} rows of {row_len}"
    );
    assert_eq!(format.bytes_of(values.len() as u64), Some(out.len() as u64), "{format} lengths");
    let importance = importance.map(|importance| floored(importance, row_len));
    let importance = importance.as_deref();
    Arch::new().dispatch(Encode { format, values, row_len, importance, out });
}

/// The arguments of [`decode`], as pulp wants them: what `with_simd` inlines is compiled once for
/// each level of vector instructions.
struct Decode<'a> {
    format: Format,
    bytes: &'a [u8],
    out: &'a mut [f32],
}

impl WithSimd for Decode<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Decode { format, bytes, out } = self;
        match format {
            Format::F32 => float::decode_f32(bytes, out),
            Format::F16 => float::decode_f16(bytes, out),
            Format::BF16 => float::decode_bf16(bytes, out),
            Format::Q4_0 => decode_blocks::<legacy::Q4_0>(bytes, out),
            Format::Q4_1 => decode_blocks::<legacy::Q4_1>(bytes, out),
            Format::Q5_0 => decode_blocks::<legacy::Q5_0>(bytes, out),
            Format::Q5_1 => decode_blocks::<legacy::Q5_1>(bytes, out),
            Format::Q8_0 => decode_blocks::<legacy::Q8_0>(bytes, out),
            Format::Q2_K => decode_blocks::<kquant::Q2_K>(bytes, out),
            Format::Q3_K => decode_blocks::<kquant::Q3_K>(bytes, out),
            Format::Q4_K => decode_blocks::<kquant::Q4_K>(bytes, out),
            Format::Q5_K => decode_blocks::<kquant::Q5_K>(bytes, out),
            Format::Q6_K => decode_blocks::<kquant::Q6_K>(bytes, out),
            Format::IQ4_NL => decode_blocks::<iq4::IQ4_NL>(bytes, out),
            Format::IQ4_XS => decode_blocks::<iq4::IQ4_XS>(bytes, out),
            Format::MXFP4 => decode_blocks::<mxfp4::MXFP4>(bytes, out),
            _ => panic!("{format} cannot be decoded"),
        }
    }
}

/// The arguments of [`encode`].
struct Encode<'a> {
    format: Format,
    values: &'a [f32],
    row_len: usize,
    importance: Option<&'a [f32]>,
    out: &'a mut [u8],
}

impl WithSimd for Encode<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.format {
            Format::Q4_0 => self.rows::<legacy::Q4_0, S>(simd),
            Format::Q4_1 => self.rows::<legacy::Q4_1, S>(simd),
            Format::Q5_0 => self.rows::<legacy::Q5_0, S>(simd),
            Format::Q5_1 => self.rows::<legacy::Q5_1, S>(simd),
            Format::Q8_0 => self.rows::<legacy::Q8_0, S>(simd),
            Format::Q4_K => self.rows::<kquant::Q4_K, S>(simd),
            Format::Q5_K => self.rows::<kquant::Q5_K, S>(simd),
            Format::Q6_K => self.rows::<kquant::Q6_K, S>(simd),
            Format::IQ4_NL => self.rows::<iq4::IQ4_NL, S>(simd),
            Format::IQ4_XS => self.rows::<iq4::IQ4_XS, S>(simd),
            format => panic!("{format} cannot be encoded"),
        }
    }
}

impl Encode<'_> {
    #[inline(always)]
    fn rows<B: EncodeBlock, S: Simd>(self, simd: S) {
        match self.importance {
            None => encode_blocks::<B, S, _>(simd, self.values, Flat, self.out),
            Some(weights) => {
                let row_bytes = self.out.len() / (self.values.len() / self.row_len).max(1);
                let rows = self.values.chunks_exact(self.row_len);
                for (row, out) in rows.zip(self.out.chunks_exact_mut(row_bytes.max(1))) {
                    encode_blocks::<B, S, _>(simd, row, Importance(weights), out);
                }
            }
        }
    }
}

/// Importance with a small floor, so that a column that was never active still gets sane values.
fn floored(importance: &[f32], row_len: usize) -> Vec<f32> {
    assert_eq!(importance.len(), row_len, "one importance for each column");
    let mean = importance.iter().sum::<f32>() / row_len as f32;
    let floor = if mean > 0.0 { mean * 1e-5 } else { 1.0 };
    importance.iter().map(|&importance| importance.max(floor)).collect()
}

#[inline(always)]
fn decode_blocks<B: Block>(bytes: &[u8], out: &mut [f32]) {
    let blocks = bytes.chunks_exact(B::FORMAT.block_bytes());
    for (block, out) in blocks.zip(out.chunks_exact_mut(B::FORMAT.block_len())) {
        B::decode(block, out);
    }
}

#[inline(always)]
fn encode_blocks<B: EncodeBlock, S: Simd, W: Weights>(
    simd: S,
    row: &[f32],
    weights: W,
    out: &mut [u8],
) {
    let (len, bytes) = (B::FORMAT.block_len(), B::FORMAT.block_bytes());
    for (i, (x, block)) in row.chunks_exact(len).zip(out.chunks_exact_mut(bytes)).enumerate() {
        B::encode(simd, x, weights.skip(i * len), block);
    }
}
