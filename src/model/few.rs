//! Products of a matrix with the vectors of few tokens, as when text is sampled.
//!
//! `gemm` rearranges both factors before it multiplies, which many tokens pay for and few do not.
//! Here the weights are read as they lie, each once. Every result is one chain of fused
//! multiplications and additions from the first column to the last, whatever stands beside it: a
//! token gets the same bits in any company.

use pulp::{Simd, WithSimd};

use crate::simd::Level;

/// Tokens up to which this is faster than `gemm`.
pub const MOST: usize = 64;
/// Rows of weights that are best handed over at once.
pub const ROWS: usize = 8;
/// Tokens are padded to a multiple of this: whole vectors on any CPU.
const LANES: usize = 16;
/// Columns that are taken at a time.
pub const COLUMNS: usize = 8;

/// The vectors of a few tokens, value by value.
#[derive(Debug)]
pub struct FewTokens {
    /// Values of each vector.
    columns: usize,
    /// Tokens, and padding.
    lanes: usize,
    /// Shape: columns x lanes.
    data: Vec<f32>,
}

impl FewTokens {
    /// Of `x`, tokens x columns.
    pub fn of(x: &[f32], columns: usize) -> FewTokens {
        let lanes = (x.len() / columns).next_multiple_of(LANES);
        let mut data = vec![0.0; columns * lanes];
        // A cache line of each token at a time.
        for (block, data) in data.chunks_mut(LANES * lanes).enumerate() {
            for (token, x) in x.chunks_exact(columns).enumerate() {
                for (data, x) in data.chunks_exact_mut(lanes).zip(&x[block * LANES..]) {
                    data[token] = *x;
                }
            }
        }
        FewTokens { columns, lanes, data }
    }

    /// Tokens, and padding.
    pub fn lanes(&self) -> usize {
        self.lanes
    }

    /// `out = weights * x`. Shapes: `weights` rows x columns, `out` rows x lanes. `meanwhile` is
    /// called once for each whole block of columns, with its number, so that memory can be asked for
    /// while there is much to compute.
    pub fn multiply(&self, weights: &[f32], out: &mut [f32], meanwhile: impl Fn(usize)) {
        let rows = weights.len() / self.columns;
        assert_eq!((weights.len(), out.len()), (rows * self.columns, rows * self.lanes));
        Level::widest().run(Multiply { weights, x: self, out, meanwhile });
    }
}

struct Multiply<'a, F> {
    weights: &'a [f32],
    x: &'a FewTokens,
    out: &'a mut [f32],
    meanwhile: F,
}

impl<F: Fn(usize)> WithSimd for Multiply<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Multiply { weights, x, out, meanwhile } = self;
        let (mut first, mut meanwhile) = (0, Some(&meanwhile));
        // The sums of a tile, the tokens and a weight stay in registers, and the sums are enough to
        // hide how long a multiplication takes.
        while first < x.lanes {
            let two = first + 2 * S::F32_LANES <= x.lanes;
            match (two, S::REGISTER_COUNT >= 32) {
                (true, true) => tiles::<S, 8, 2>(simd, weights, x, first, out, meanwhile),
                (true, false) => tiles::<S, 4, 2>(simd, weights, x, first, out, meanwhile),
                (false, _) => tiles::<S, 8, 1>(simd, weights, x, first, out, meanwhile),
            }
            first += if two { 2 } else { 1 } * S::F32_LANES;
            meanwhile = None;
        }
    }
}

/// All rows, for `V` vectors of tokens from lane `first` on: `R` rows at a time, then one by one.
#[inline(always)]
fn tiles<S: Simd, const R: usize, const V: usize>(
    simd: S,
    weights: &[f32],
    x: &FewTokens,
    first: usize,
    out: &mut [f32],
    mut meanwhile: Option<&impl Fn(usize)>,
) {
    let weights = weights.chunks(R * x.columns);
    for (weights, out) in weights.zip(out.chunks_mut(R * x.lanes)) {
        if weights.len() == R * x.columns {
            tile::<S, R, V>(simd, weights, x, first, out, meanwhile.take());
        } else {
            let rows = weights.chunks_exact(x.columns).zip(out.chunks_exact_mut(x.lanes));
            for (weights, out) in rows {
                tile::<S, 1, V>(simd, weights, x, first, out, meanwhile.take());
            }
        }
    }
}

/// `R` rows for `V` vectors of tokens. No closures: they would be compiled for a plainer CPU.
#[inline(always)]
fn tile<S: Simd, const R: usize, const V: usize>(
    simd: S,
    weights: &[f32],
    x: &FewTokens,
    first: usize,
    out: &mut [f32],
    meanwhile: Option<&impl Fn(usize)>,
) {
    let mut rows: [&[f32]; R] = [&[]; R];
    for (row, weights) in rows.iter_mut().zip(weights.chunks_exact(x.columns)) {
        *row = weights;
    }
    let mut sums = [[simd.splat_f32s(0.0); V]; R];
    let mut blocks = x.data.chunks_exact(COLUMNS * x.lanes);
    for (block, tokens) in (&mut blocks).enumerate() {
        let mut weights: [&[f32; COLUMNS]; R] = [&[0.0; COLUMNS]; R];
        for r in 0..R {
            weights[r] = &rows[r].as_chunks().0[block];
        }
        if let Some(meanwhile) = meanwhile {
            meanwhile(block);
        }
        for column in 0..COLUMNS {
            let tokens = &tokens[column * x.lanes + first..][..V * S::F32_LANES];
            let tokens = S::as_simd_f32s(tokens).0;
            for r in 0..R {
                let weight = simd.splat_f32s(weights[r][column]);
                for v in 0..V {
                    sums[r][v] = simd.mul_add_f32s(weight, tokens[v], sums[r][v]);
                }
            }
        }
    }
    let done = x.columns / COLUMNS * COLUMNS;
    for (column, tokens) in blocks.remainder().chunks_exact(x.lanes).enumerate() {
        let tokens = S::as_simd_f32s(&tokens[first..first + V * S::F32_LANES]).0;
        for r in 0..R {
            let weight = simd.splat_f32s(rows[r][done + column]);
            for v in 0..V {
                sums[r][v] = simd.mul_add_f32s(weight, tokens[v], sums[r][v]);
            }
        }
    }
    for (sums, out) in sums.iter().zip(out.chunks_exact_mut(x.lanes)) {
        let out = S::as_mut_simd_f32s(&mut out[first..first + V * S::F32_LANES]).0;
        out.copy_from_slice(sums);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::levels;

    fn numbers(n: usize, salt: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 7919 + salt) % 1009) as f32 / 504.5 - 1.0).collect()
    }

    #[test]
    fn every_level_gives_a_token_the_same_bits_in_any_company() {
        let (rows, columns) = (31, 77);
        let (weights, x) = (numbers(rows * columns, 1), numbers(MOST * columns, 2));
        let chain = |row: &[f32], x: &[f32]| {
            row.iter().zip(x).fold(0.0f32, |sum, (w, x)| w.mul_add(*x, sum))
        };
        for level in levels() {
            for tokens in [1, 7, 16, 17, 32, 41, MOST] {
                let few = FewTokens::of(&x[..tokens * columns], columns);
                let mut out = vec![f32::NAN; rows * few.lanes];
                level.run(Multiply {
                    weights: &weights,
                    x: &few,
                    out: &mut out,
                    meanwhile: |_| (),
                });
                for (out, row) in out.chunks(few.lanes).zip(weights.chunks(columns)) {
                    for (out, x) in out.iter().zip(x.chunks(columns)).take(tokens) {
                        assert_eq!(*out, chain(row, x), "{level:?}, {tokens} tokens");
                    }
                }
            }
        }
    }
}
