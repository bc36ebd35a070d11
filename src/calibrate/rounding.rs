//! What inputs lose where llama.cpp rounds them before it multiplies them with quantized weights.

use std::collections::BTreeMap;

use crate::model::{LinearInput, Observer, Rounding};

use super::statistics::{add_squares, mean};

/// The mean squared error of each column of an input that is rounded.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RoundingErrors {
    /// In blocks of 32; empty where rows are no whole number of blocks, here and below.
    blocks_32: Vec<f32>,
    /// In blocks of 256.
    blocks_256: Vec<f32>,
}

impl RoundingErrors {
    /// The mean squared length of what outputs err by whose inputs are rounded so. `weights`: rows of
    /// as many values as the input has columns. The errors of columns are taken as unrelated, and
    /// those of 16-bit inputs as none.
    pub fn output_error(&self, rounding: Rounding, weights: &[f32]) -> f64 {
        let errors = match rounding {
            Rounding::Blocks32 => &self.blocks_32,
            Rounding::Blocks256 => &self.blocks_256,
            Rounding::None | Rounding::Half | Rounding::Brain => return 0.0,
        };
        let of_row = |row: &[f32]| -> f64 {
            row.iter().zip(errors).map(|(w, error)| f64::from(w * w) * f64::from(*error)).sum()
        };
        weights.chunks(errors.len().max(1)).map(of_row).sum()
    }
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
}

impl RoundingSums {
    /// The means over all tokens that were seen.
    pub fn means(self) -> BTreeMap<LinearInput, RoundingErrors> {
        let means = |(input, sums): (LinearInput, Sums)| {
            let Sums { tokens, blocks_32, blocks_256 } = sums;
            let (blocks_32, blocks_256) = (mean(blocks_32, tokens), mean(blocks_256, tokens));
            (input, RoundingErrors { blocks_32, blocks_256 })
        };
        self.sums.into_iter().map(means).collect()
    }
}

impl Observer for RoundingSums {
    fn see(&mut self, _: usize, input: LinearInput, x: &[f32], columns: usize) {
        let sums = self.sums.entry(input).or_default();
        sums.tokens += (x.len() / columns) as u64;
        add_errors(&mut sums.blocks_32, Rounding::Blocks32, 32, x, columns);
        add_errors(&mut sums.blocks_256, Rounding::Blocks256, 256, x, columns);
    }
}

fn add_errors(sums: &mut Vec<f64>, rounding: Rounding, block: usize, x: &[f32], columns: usize) {
    if !columns.is_multiple_of(block) {
        return;
    }
    sums.resize(columns, 0.0);
    let mut errors = rounding.rounded(x).into_owned();
    errors.iter_mut().zip(x).for_each(|(error, x)| *error -= x);
    add_squares(sums, &errors, columns);
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
        for rounding in [Rounding::Blocks32, Rounding::Blocks256] {
            let rounded = rounding.rounded(&x);
            let mut sum = 0.0;
            for (x, rounded) in x.chunks(columns).zip(rounded.chunks(columns)) {
                for w in weights.chunks(columns) {
                    sum += (output(x, w) - output(rounded, w)).powi(2);
                }
            }
            let (found, expected) = (errors.output_error(rounding, &weights), sum / tokens as f64);
            assert!((found / expected - 1.0).abs() < 0.15, "{rounding:?}: {found}, {expected}");
        }
        let [coarse, fine] = [Rounding::Blocks256, Rounding::Blocks32];
        assert!(errors.output_error(coarse, &weights) > 2.0 * errors.output_error(fine, &weights));
        assert_eq!(errors.output_error(Rounding::Half, &weights), 0.0);
    }

    #[test]
    fn rows_that_are_no_whole_blocks_have_no_errors() {
        let mut sums = RoundingSums::default();
        sums.see(0, LinearInput::Ffn, &[0.3; 2 * 96], 96);
        let errors = &sums.means()[&LinearInput::Ffn];
        assert_eq!(errors.output_error(Rounding::Blocks256, &[1.0; 96]), 0.0);
        assert_eq!(errors.blocks_32.len(), 96);
    }
}
