//! Gram matrices of the inputs of linear maps.

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::model::{LinearInput, Product, Trace, View, multiply};

/// The Gram matrix of an input: the mean of `x^T x` over all tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Gram {
    /// Columns of the input.
    pub columns: usize,
    /// Shape: columns x columns, symmetric.
    pub values: Vec<f32>,
    /// Tokens that it is the mean over.
    pub tokens: u64,
}

/// Gathers the Gram matrices of the inputs of one layer.
#[derive(Debug, Default)]
pub struct GramSums {
    sums: BTreeMap<LinearInput, Gram>,
}

impl GramSums {
    /// The means over all tokens that were seen.
    pub fn means(mut self) -> BTreeMap<LinearInput, Gram> {
        self.sums.values_mut().for_each(Gram::finish);
        self.sums
    }
}

impl Trace for GramSums {
    fn see(&mut self, _: usize, input: LinearInput, x: &[f32], columns: usize) {
        let empty = || Gram { columns, values: vec![0.0; columns * columns], tokens: 0 };
        let gram = self.sums.entry(input).or_insert_with(empty);
        gram.tokens += (x.len() / columns) as u64;
        gram.add(x);
    }
}

impl Gram {
    /// Of the one input that is shown; `None` where none is.
    pub fn of(show: impl FnOnce(&mut GramSums)) -> Option<Gram> {
        let mut sums = GramSums::default();
        show(&mut sums);
        sums.means().into_values().next()
    }

    /// Adds `x^T x`, on and right of the diagonal only. `x`: tokens x columns.
    fn add(&mut self, x: &[f32]) {
        /// Rows of the matrix that one task computes.
        const ROWS: usize = 128;
        let columns = self.columns;
        let tokens = x.len() / columns;
        let tasks = self.values.par_chunks_mut(ROWS * columns).enumerate();
        tasks.for_each(|(task, out)| {
            let first = task * ROWS;
            let rows = out.len() / columns;
            let product = Product { rows, columns: columns - first, depth: tokens };
            let right = View { data: &x[first..], row: columns, column: 1 };
            let left = right.transposed();
            multiply(product, 1.0, left, right, &mut out[first..], columns, true);
        });
    }

    /// The mean square of each column: its importance.
    pub fn diagonal(&self) -> Vec<f32> {
        self.values.iter().step_by(self.columns + 1).copied().collect()
    }

    /// Divides the sums by the tokens and fills in what is left of the diagonal.
    fn finish(&mut self) {
        let (columns, scale) = (self.columns, 1.0 / self.tokens.max(1) as f32);
        for row in 0..columns {
            for column in row..columns {
                let mean = self.values[row * columns + column] * scale;
                self.values[row * columns + column] = mean;
                self.values[column * columns + row] = mean;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gram_matrix_holds_the_products_of_columns() {
        let (tokens, columns) = (150, 301);
        let x: Vec<f32> = (0..tokens * columns).map(|i| ((i * 31) % 97) as f32 / 48.0).collect();
        let values = vec![0.0; columns * columns];
        let mut gram = Gram { columns, values, tokens: tokens as u64 };
        gram.add(&x[..100 * columns]);
        gram.add(&x[100 * columns..]);
        gram.finish();
        for (a, b) in [(0, 0), (3, 200), (200, 3), (300, 300), (127, 128), (128, 127)] {
            let products = (0..tokens).map(|t| x[t * columns + a] * x[t * columns + b]);
            let mean = products.map(f64::from).sum::<f64>() / tokens as f64;
            let found = f64::from(gram.values[a * columns + b]);
            assert!((found - mean).abs() < 1e-4 * mean, "{found} for {mean}");
        }
    }
}
