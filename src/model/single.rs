//! Attention of a single query to a cache, as when text is sampled.
//!
//! Both its halves are weighted sums of rows: scores are the rows of the keys (one for each value
//! of a key, position after position) weighted by the query, and what is gathered is the rows of
//! the values weighted by the softmax of the scores. Blocks that fit in the first-level cache are
//! widened from F16, for all query heads that share them.

use half::f16;
use half::slice::HalfFloatSliceExt;
use pulp::{Simd, WithSimd, bytemuck};

use super::attention::Queries;
use super::cache::{BLOCK, Stored};
use super::shape::AttentionShape;
use super::softmax::softmax;
use crate::simd::{Level, widen_f16};

/// Buffers of a thread.
#[derive(Debug, Default)]
pub struct Single {
    /// The queries of a key head's group, scaled.
    queries: Vec<f32>,
    /// Their scores, for whole blocks of positions.
    scores: Vec<f32>,
    /// A block of keys or values.
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
    let AttentionShape { heads, kv_heads, key_len, value_len, scale, cap } = *shape;
    let group = heads / kv_heads;
    let end = queries.first + 1;
    let low = window.map_or(0, |window| end.saturating_sub(window));
    let Single { queries: scaled, scores, widened } = single;
    scaled.clear();
    let query = &queries.data[kv_head * group * key_len..][..group * key_len];
    scaled.extend(query.iter().map(|x| x * scale));

    // Positions from `start` on have scores, some of which nobody asked for.
    let start = low / BLOCK * BLOCK;
    let room = (end - start).next_multiple_of(BLOCK);
    scores.clear();
    scores.resize(group * room, 0.0);
    let blocks = stored.keys.chunks_exact(BLOCK * key_len).skip(start / BLOCK);
    for (i, keys) in blocks.take(room / BLOCK).enumerate() {
        widen(keys, widened);
        for (query, scores) in scaled.chunks_exact(key_len).zip(scores.chunks_exact_mut(room)) {
            let out = &mut scores[i * BLOCK..][..BLOCK];
            Level::widest().run(AddWeighted { weights: query, rows: widened, out });
        }
    }
    let seen = low - start..end - start;
    for scores in scores.chunks_exact_mut(room) {
        let scores = &mut scores[seen.clone()];
        if let Some(cap) = cap {
            scores.iter_mut().for_each(|score| *score = cap * (*score / cap).tanh());
        }
        softmax(scores);
    }

    let out = &mut out[kv_head * group * value_len..][..group * value_len];
    out.fill(0.0);
    let values = &stored.values[low * value_len..end * value_len];
    for (i, values) in values.chunks(BLOCK * value_len).enumerate() {
        widen(values, widened);
        for (scores, out) in scores.chunks_exact(room).zip(out.chunks_exact_mut(value_len)) {
            let weights = &scores[seen.clone()][i * BLOCK..][..values.len() / value_len];
            Level::widest().run(AddWeighted { weights, rows: widened, out });
        }
    }
}

fn widen(halves: &[f16], out: &mut Vec<f32>) {
    out.resize(halves.len(), 0.0);
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

#[cfg(test)]
mod tests {
    use super::super::attention::{KeysValues, attend};
    use super::super::matmul::View;
    use super::*;

    fn numbers(n: usize, salt: usize) -> Vec<f16> {
        let number = |i| ((i * 7919 + salt * 31) % 1009) as f32 / 252.0 - 2.0;
        (0..n).map(number).map(f16::from_f32).collect()
    }

    fn wide(halves: &[f16]) -> Vec<f32> {
        halves.iter().map(|half| half.to_f32()).collect()
    }

    #[test]
    fn a_single_query_gathers_what_a_block_of_one_does() {
        let (key_len, value_len) = (20, 37);
        for cap in [None, Some(0.5)] {
            let shape =
                AttentionShape { heads: 6, kv_heads: 2, key_len, value_len, scale: 0.1, cap };
            gathers_as_a_block_does(&shape);
        }
    }

    fn gathers_as_a_block_does(shape: &AttentionShape) {
        let AttentionShape { key_len, value_len, .. } = *shape;
        let positions = 3 * BLOCK;
        let (keys, values) = (numbers(positions * key_len, 1), numbers(positions * value_len, 2));
        let stored = Stored { keys: &keys, values: &values };
        let key = |i: usize| {
            let (position, place) = (i / key_len, i % key_len);
            keys[(position / BLOCK * key_len + place) * BLOCK + position % BLOCK].to_f32()
        };
        let wide_keys: Vec<f32> = (0..keys.len()).map(key).collect();
        let wide_values = wide(&values);
        let context = KeysValues {
            keys: View::rows(&wide_keys, key_len),
            values: View::rows(&wide_values, value_len),
        };
        let data = wide(&numbers(6 * key_len, 3));
        for first in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, positions - 1] {
            for window in [None, Some(1), Some(BLOCK), Some(BLOCK + 7)] {
                let queries = Queries { data: &data, tokens: 1, first };
                let (mut found, mut expected) =
                    (vec![f32::NAN; 6 * value_len], vec![f32::NAN; 6 * value_len]);
                for head in 0..2 {
                    let single = &mut Single::default();
                    attend_single(shape, window, queries, head, stored, single, &mut found);
                    let scores = &mut Vec::new();
                    attend(shape, window, queries, head, context, scores, &mut expected);
                }
                for (found, expected) in found.iter().zip(&expected) {
                    assert!((found - expected).abs() < 1e-5, "{first}, {window:?}: {found}");
                }
            }
        }
    }
}
