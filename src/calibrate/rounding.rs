//! What inputs lose where llama.cpp rounds them before it multiplies them with quantized weights, and
//! how large they are.

use std::collections::BTreeMap;

use crate::model::{Extremes, LinearInput, Rounding, Trace};

use super::statistics::{add_squares, mean};

/// Values of a block with a scale, and with a sum, in F16.
const BLOCK: usize = 32;

/// The mean squared error of each column of an input that is rounded.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RoundingErrors {
    /// The error in blocks of 32 (Q8_0, Q8_1); empty if rows are no whole number of blocks, here and
    /// below.
    blocks_32: Vec<f32>,
    /// The error in blocks of 256 (Q8_K).
    blocks_256: Vec<f32>,
    /// The error of the sums of Q8_1, one for each block: against those of the rounded values.
    sums: Vec<f32>,
    /// The largest inputs.
    pub extremes: Extremes,
}

impl RoundingErrors {
    /// The mean squared length of what outputs err by whose inputs are rounded so. `weights`: rows of
    /// as many values as the input has columns. The errors of columns and of sums are taken as
    /// unrelated, those of 16-bit inputs as none, and the smallest weight of a block as its minimum.
    pub fn output_error(&self, rounding: Rounding, weights: &[f32]) -> f64 {
        let errors = match rounding {
            Rounding::Q8_0 | Rounding::Q8_1 => &self.blocks_32,
            Rounding::Q8_K => &self.blocks_256,
            Rounding::None | Rounding::Half | Rounding::Brain => return 0.0,
        };
        let with_sums = rounding == Rounding::Q8_1;
        let of_row = |row: &[f32]| -> f64 {
            let of_values = weighted(row.iter().copied(), errors);
            match with_sums {
                true => of_values + weighted(row.chunks(BLOCK).map(minimum), &self.sums),
                false => of_values,
            }
        };
        weights.chunks(errors.len().max(1)).map(of_row).sum()
    }
}

/// The squares of factors, weighted by mean squared errors.
fn weighted(factors: impl Iterator<Item = f32>, errors: &[f32]) -> f64 {
    factors.zip(errors).map(|(w, error)| f64::from(w * w) * f64::from(*error)).sum()
}

fn minimum(block: &[f32]) -> f32 {
    block.iter().copied().fold(f32::INFINITY, f32::min)
}

/// Gathers the rounding errors of the inputs of one layer.
#[derive(Debug, Default)]
pub struct RoundingSums {
    sums: BTreeMap<LinearInput, Sums>,
}

#[derive(Debug, Default)]
struct Sums {
    tokens: u64,
    blocks_32: Vec<f64>,
    blocks_256: Vec<f64>,
    sums: Vec<f64>,
    extremes: Extremes,
}

impl RoundingSums {
    /// The means over all tokens that were seen.
    pub fn means(self) -> BTreeMap<LinearInput, RoundingErrors> {
        let means = |(input, sums): (LinearInput, Sums)| {
            let Sums { tokens, blocks_32, blocks_256, sums, extremes } = sums;
            let [blocks_32, blocks_256, sums] =
                [blocks_32, blocks_256, sums].map(|sums| mean(sums, tokens));
            (input, RoundingErrors { blocks_32, blocks_256, sums, extremes })
        };
        self.sums.into_iter().map(means).collect()
    }
}

impl Trace for RoundingSums {
    fn see(&mut self, _: usize, input: LinearInput, x: &[f32], columns: usize) {
        let sums = self.sums.entry(input).or_default();
        sums.tokens += (x.len() / columns) as u64;
        sums.extremes = sums.extremes.or(Extremes::of(x, columns));
        if columns.is_multiple_of(BLOCK) {
            // The values of a row are followed by what its blocks' sums err by.
            let depth = Rounding::Q8_1.depth(columns);
            let (mut errors, mut of_sums) = (Vec::new(), Vec::new());
            let rows = Rounding::Q8_1.inputs(x, columns);
            for (row, x) in rows.chunks_exact(depth).zip(x.chunks_exact(columns)) {
                let (values, surplus) = row.split_at(columns);
                errors.extend(values.iter().zip(x).map(|(value, x)| value - x));
                of_sums.extend_from_slice(surplus);
            }
            add(&mut sums.blocks_32, &errors, columns);
            add(&mut sums.sums, &of_sums, columns / BLOCK);
        }
        if columns.is_multiple_of(256) {
            let mut errors = Rounding::Q8_K.rounded(x).into_owned();
            errors.iter_mut().zip(x).for_each(|(error, x)| *error -= x);
            add(&mut sums.blocks_256, &errors, columns);
        }
    }
}

fn add(sums: &mut Vec<f64>, errors: &[f32], columns: usize) {
    sums.resize(columns, 0.0);
    add_squares(sums, errors, columns);
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_pcg::Pcg64Mcg;

    use super::*;

    #[test]
    fn errors_are_those_of_outputs_on_rounded_inputs() {
        // Some columns are as large as in real models, so that their blocks of 256 round coarsely.
        let (tokens, columns, outputs) = (400, 512, 5);
        let mut random = Pcg64Mcg::seed_from_u64(1);
        let mut random = || random.random_range(-1.0f32..1.0);
        let size = |column: usize| if column % 100 == 7 { 30.0 } else { 1.0 };
        let x: Vec<f32> = (0..tokens * columns).map(|i| size(i % columns) * random()).collect();
        let weights: Vec<f32> = (0..outputs * columns).map(|_| random()).collect();
        let mut sums = RoundingSums::default();
        sums.see(0, LinearInput::Ffn, &x[..100 * columns], columns);
        sums.see(0, LinearInput::Ffn, &x[100 * columns..], columns);
        let errors = &sums.means()[&LinearInput::Ffn];
        let output = |x: &[f32], w: &[f32]| -> f64 {
            x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum()
        };
        for rounding in [Rounding::Q8_0, Rounding::Q8_1, Rounding::Q8_K] {
            let rounded = rounding.inputs(&x, columns);
            let depth = rounding.depth(columns);
            let mut sum = 0.0;
            for (x, rounded) in x.chunks(columns).zip(rounded.chunks(depth)) {
                for w in weights.chunks(columns) {
                    let minimums = w.chunks(32).map(minimum).take(depth - columns);
                    let w_and_minimums: Vec<f32> = w.iter().copied().chain(minimums).collect();
                    sum += (output(x, w) - output(rounded, &w_and_minimums)).powi(2);
                }
            }
            let (found, expected) = (errors.output_error(rounding, &weights), sum / tokens as f64);
            assert!((found / expected - 1.0).abs() < 0.15, "{rounding:?}: {found}, {expected}");
        }
        let of = |rounding| errors.output_error(rounding, &weights);
        assert!(of(Rounding::Q8_K) > 2.0 * of(Rounding::Q8_0));
        assert!(of(Rounding::Q8_1) > of(Rounding::Q8_0));
        assert_eq!(of(Rounding::Half), 0.0);
        assert!((29.0..30.0).contains(&errors.extremes.input), "{:?}", errors.extremes);
    }

    #[test]
    fn rows_that_are_no_whole_blocks_have_no_errors() {
        let mut sums = RoundingSums::default();
        sums.see(0, LinearInput::Ffn, &[0.3; 2 * 96], 96);
        let errors = &sums.means()[&LinearInput::Ffn];
        assert_eq!(errors.output_error(Rounding::Q8_K, &[1.0; 96]), 0.0);
        assert_eq!(errors.blocks_32.len(), 96);
    }
}
