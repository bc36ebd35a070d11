//! Blocks that share a scale: the grids of integers that a TPU multiplies, in blocks that llama.cpp
//! runs.

use std::marker::PhantomData;

use pulp::{Simd, WithSimd};

use super::column_weights;
use super::grid::Levels;
use super::legacy::codes;
use super::packing::{pack_nibbles, put_f16};
use super::search::{
    Flat, Grid, Importance, Scales, Signed, Weights, fit_shared_scale, inverse, round_to_f16,
    round_to_f16_and_bf16,
};
use crate::gguf::Format;
use crate::simd::Level;

/// A run of columns whose blocks all carry one scale.
///
/// What holds of rows that are encoded so, or trained so:
/// - The blocks are ordinary ones of its [format](SharedScale::format), so that llama.cpp runs
///   them: a value is `scale * code`, in F32, with a `code` that is an integer around 0.
/// - All blocks of a run have the same scale, bit for bit, and runs begin at each row's first
///   column.
/// - The scale is a finite number, of either sign; if it is 0, so are all codes of the run.
/// - Scales and codes are what the variants say.
///
/// So the weights of a run are an array of integers and one number, which other containers can hold
/// too, bit for bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SharedScale {
    /// A row, of so many columns, in int8: Q8_0 blocks with codes from -127 to 127. F16, and so
    /// F32, represents the scale.
    Row(usize),
    /// So many columns of a row, in int4: Q4_0 blocks with codes (stored plus 8) from -8 to 7. Both
    /// F16 and BF16 represent the scale: it has at most 8 significant bits, is a multiple of 2^-24,
    /// and at most 65280.
    Tile(usize),
}

/// Columns of a block of either format.
const BLOCK: usize = 32;

impl SharedScale {
    /// The format of its blocks.
    pub fn format(self) -> Format {
        match self {
            SharedScale::Row(_) => Format::Q8_0,
            SharedScale::Tile(_) => Format::Q4_0,
        }
    }

    /// Columns that share a scale.
    pub fn columns(self) -> usize {
        match self {
            SharedScale::Row(columns) | SharedScale::Tile(columns) => columns,
        }
    }

    /// The levels that codes stand for.
    pub fn levels(self) -> Levels {
        match self {
            SharedScale::Row(_) => Levels::Even { low: -127, high: 127, zero: 128 },
            SharedScale::Tile(_) => Levels::of(Format::Q4_0),
        }
    }

    /// The number nearest to a finite `scale` that may be one.
    pub fn round(self, scale: f32) -> f32 {
        match self {
            SharedScale::Row(_) => round_to_f16(scale),
            SharedScale::Tile(_) => round_to_f16_and_bf16(scale),
        }
    }

    /// Whether rows of so many columns are whole runs of whole blocks.
    pub fn fits(self, row_len: usize) -> bool {
        let columns = self.columns();
        columns > 0 && columns.is_multiple_of(BLOCK) && row_len.is_multiple_of(columns)
    }
}

/// Encodes rows of finite values, each `row_len` long, into blocks that share scales. `importance`
/// is that of [`super::encode`].
///
/// No run of columns loses more than it would by rounding to nearest with the scale that puts its
/// largest magnitude at an end of the grid. The bytes depend on the arguments alone: not on the
/// CPU, nor on how rows are grouped into calls.
///
/// # Panics
/// If the scales do not [fit](SharedScale::fits) the rows or the lengths do not agree.
pub fn encode_shared(
    shared: SharedScale,
    values: &[f32],
    row_len: usize,
    importance: Option<&[f32]>,
    out: &mut [u8],
) {
    let format = shared.format();
    assert!(shared.fits(row_len) && values.len().is_multiple_of(row_len), "rows of {row_len}");
    assert_eq!(format.bytes_of(values.len() as u64), Some(out.len() as u64), "{format} lengths");
    let fits = importance.is_none_or(|importance| importance.len() == row_len);
    assert!(fits, "one importance for each column");
    let weights = importance.and_then(column_weights);
    let weights = weights.as_ref().map(|(raised, raw)| (&raised[..], &raw[..]));
    let rows = Rows { shared, values, row_len, weights };
    encode_at(Level::widest(), rows, out);
}

/// Rows to encode.
#[derive(Clone, Copy)]
struct Rows<'a> {
    shared: SharedScale,
    values: &'a [f32],
    row_len: usize,
    /// As of [`column_weights`].
    weights: Option<(&'a [f32], &'a [f32])>,
}

/// [`encode_shared`] at one level of vector instructions.
fn encode_at(level: Level, rows: Rows, out: &mut [u8]) {
    match rows.shared {
        SharedScale::Row(_) => encode_as::<Int8>(level, rows, out),
        SharedScale::Tile(_) => encode_as::<Int4>(level, rows, out),
    }
}

fn encode_as<R: Run>(level: Level, rows: Rows, out: &mut [u8]) {
    match rows.weights {
        None => level.run(EncodeRows::<R, _> { rows, w: Flat, out, run: PhantomData }),
        Some((columns, raw)) => {
            // Only ggml's own search asks for the mean square.
            let w = Importance { columns, raw, row_mean_square: 0.0 };
            level.run(EncodeRows::<R, _> { rows, w, out, run: PhantomData });
        }
    }
}

/// Blocks that share a scale.
trait Run: Scales {
    /// Their levels.
    type Grid: Grid;
    /// Their format.
    const FORMAT: Format;

    /// Rounds the values of one block and writes all of it.
    fn write(x: &[f32], scale: f32, block: &mut [u8]);
}

/// A row of int8.
struct Int8;
/// A tile of int4.
struct Int4;

impl Scales for Int8 {
    const SPACING: f32 = 1.0 / 1024.0;

    #[inline(always)]
    fn nearest(scale: f32) -> f32 {
        round_to_f16(scale)
    }
}

impl Run for Int8 {
    type Grid = Signed<-127, 127>;
    const FORMAT: Format = Format::Q8_0;

    #[inline(always)]
    fn write(x: &[f32], scale: f32, block: &mut [u8]) {
        let inverse = inverse(scale);
        put_f16(block, 0, scale);
        for (byte, &x) in block[2..].iter_mut().zip(x) {
            *byte = Self::Grid::level(x, inverse) as i8 as u8;
        }
    }
}

impl Scales for Int4 {
    const SPACING: f32 = 1.0 / 128.0;

    #[inline(always)]
    fn nearest(scale: f32) -> f32 {
        round_to_f16_and_bf16(scale)
    }
}

impl Run for Int4 {
    type Grid = Signed<-8, 7>;
    const FORMAT: Format = Format::Q4_0;

    #[inline(always)]
    fn write(x: &[f32], scale: f32, block: &mut [u8]) {
        put_f16(block, 0, scale);
        pack_nibbles(&codes::<Self::Grid>(x, scale), &mut block[2..]);
    }
}

/// Rows to encode, all with the same weights.
struct EncodeRows<'a, R, W> {
    rows: Rows<'a>,
    w: W,
    out: &'a mut [u8],
    run: PhantomData<R>,
}

impl<R: Run, W: Weights> WithSimd for EncodeRows<'_, R, W> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Rows { shared, values, row_len, .. } = self.rows;
        let columns = shared.columns();
        let runs = self.out.chunks_exact_mut(R::FORMAT.size_of(columns));
        for (i, (x, blocks)) in values.chunks_exact(columns).zip(runs).enumerate() {
            let w = self.w.skip(i * columns % row_len);
            let scale = fit_shared_scale::<R::Grid, R, S, W>(simd, x, w);
            let blocks = blocks.chunks_exact_mut(R::FORMAT.block_bytes());
            for (x, block) in x.chunks_exact(BLOCK).zip(blocks) {
                R::write(x, scale, block);
            }
        }
    }
}

#[cfg(test)]
mod tests;
