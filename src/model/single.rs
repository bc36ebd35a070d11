//! Attention of a single query to a cache, as when text is sampled.
//!
//! Both its halves are weighted sums of rows: scores are the rows of the keys (one for each value
//! of a key, position after position) weighted by the query, and what is gathered is the rows of
//! the values weighted by the softmax of the scores. Blocks that fit in the first-level cache are
//! widened from F16, for all query heads that share them.

use half::f16;
use half::slice::HalfFloatSliceExt;
use pulp::{Simd, WithSimd, bytemuck};

use super::attention::{Queries, softmax};
use super::cache::Stored;
use super::shape::AttentionShape;
use crate::simd::{Level, widen_f16};

/// Rows and columns of a block that is widened and added at a time: 16 KiB.
const BLOCK: usize = 64;

/// Buffers of a thread.
#[derive(Debug, Default)]
pub struct Single {
    /// The queries of a key head's group, scaled.
    queries: Vec<f32>,
    /// Their scores.
    scores: Vec<f32>,
    /// Rows of keys or values.
    widened: Vec<f32>,
}

/// What the query heads of key head `kv_head` gather, for the one token of `queries`. `out`: heads
/// x `value_len`, of which those of this key head are written. `window`: how many positions a query
/// sees, its own counted.
pub fn attend_single(
    shape: &AttentionShape,
    window: Option<usize>,
    queries: Queries,
    kv_head: usize,
    stored: Stored,
    single: &mut Single,
    out: &mut [f32],
) {
    let AttentionShape { heads, kv_heads, key_len, value_len, scale } = *shape;
    let group = heads / kv_heads;
    let end = queries.first + 1;
    let low = window.map_or(0, |window| end.saturating_sub(window));
    let span = end - low;
    let Single { queries: scaled, scores, widened } = single;
    scaled.clear();
    let query = &queries.data[kv_head * group * key_len..][..group * key_len];
    scaled.extend(query.iter().map(|x| x * scale));
    scores.clear();
    scores.resize(group * span, 0.0);
    let capacity = stored.keys.len() / key_len;
    let keys = Rows { data: &stored.keys[low..], count: key_len, stride: capacity, len: span };
    keys.add_weighted(scaled, widened, scores);
    scores.chunks_exact_mut(span).for_each(softmax);
    let out = &mut out[kv_head * group * value_len..][..group * value_len];
    out.fill(0.0);
    let values = &stored.values[low * value_len..];
    let values = Rows { data: values, count: span, stride: value_len, len: value_len };
    values.add_weighted(scores, widened, out);
}

/// `count` rows of `len` values, one every `stride`.
#[derive(Clone, Copy)]
struct Rows<'a> {
    data: &'a [f16],
    count: usize,
    stride: usize,
    len: usize,
}

impl Rows<'_> {
    /// Adds all rows, weighted, to each row of `out`. Shapes: `weights` some x count, `out` as many
    /// x len.
    fn add_weighted(self, weights: &[f32], widened: &mut Vec<f32>, out: &mut [f32]) {
        let Rows { data, count, stride, len } = self;
        for column in (0..len).step_by(BLOCK) {
            let columns = BLOCK.min(len - column);
            for row in (0..count).step_by(BLOCK) {
                let rows = BLOCK.min(count - row);
                widened.resize(rows * columns, 0.0);
                let data = &data[row * stride + column..];
                if stride == columns {
                    widen(&data[..rows * columns], widened);
                } else {
                    for (row, wide) in widened.chunks_exact_mut(columns).enumerate() {
                        widen(&data[row * stride..][..columns], wide);
                    }
                }
                for (weights, out) in weights.chunks_exact(count).zip(out.chunks_exact_mut(len)) {
                    let weights = &weights[row..row + rows];
                    let out = &mut out[column..column + columns];
                    Level::widest().run(AddWeighted { weights, rows: widened, out });
                }
            }
        }
    }
}

fn widen(halves: &[f16], out: &mut [f32]) {
    let bits: &[u16] = halves.reinterpret_cast();
    widen_f16(bytemuck::cast_slice(bits), out);
}

/// Adds weighted rows to `out`, in order. Shapes: `weights` rows, `rows` rows x `out.len()`.
struct AddWeighted<'a> {
    weights: &'a [f32],
    rows: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for AddWeighted<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let AddWeighted { weights, rows, out } = self;
        let len = out.len();
        let mut first = 0;
        // As many sums side by side as hide how long a multiplication takes.
        while first + 4 * S::F32_LANES <= len {
            add_columns::<S, 4>(simd, weights, rows, first, out);
            first += 4 * S::F32_LANES;
        }
        while first + S::F32_LANES <= len {
            add_columns::<S, 1>(simd, weights, rows, first, out);
            first += S::F32_LANES;
        }
        for (weight, row) in weights.iter().zip(rows.chunks_exact(len)) {
            for (out, row) in out[first..].iter_mut().zip(&row[first..]) {
                *out = weight.mul_add(*row, *out);
            }
        }
    }
}

/// Adds `V` vectors of each row, from column `first` on.
#[inline(always)]
fn add_columns<S: Simd, const V: usize>(
    simd: S,
    weights: &[f32],
    rows: &[f32],
    first: usize,
    out: &mut [f32],
) {
    let len = out.len();
    let columns = first..first + V * S::F32_LANES;
    let out = S::as_mut_simd_f32s(&mut out[columns.clone()]).0;
    let mut sums = [simd.splat_f32s(0.0); V];
    sums.copy_from_slice(out);
    for (&weight, row) in weights.iter().zip(rows.chunks_exact(len)) {
        let row = S::as_simd_f32s(&row[columns.clone()]).0;
        let weight = simd.splat_f32s(weight);
        for v in 0..V {
            sums[v] = simd.mul_add_f32s(weight, row[v], sums[v]);
        }
    }
    out.copy_from_slice(&sums);
}
