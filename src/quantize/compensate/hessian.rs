//! What an error costs, and how an error is made good by later columns.

use rayon::prelude::*;

use crate::calibrate::Gram;
use crate::model::{Product, View, multiply};

use super::tile::{STEP, Square};

/// How far a Gram matrix of little text is trusted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Regularisation {
    /// The share that correlations between columns lose; from 0 to 1.
    pub shrink: f32,
    /// What is added to the diagonal, in units of its mean.
    pub ridge: f32,
}

impl Regularisation {
    /// What did well on text of another kind than the calibration text, and nearly best on text of
    /// the same kind; of fewer than four tokens a column, correlations are trusted less.
    pub fn of(gram: &Gram) -> Regularisation {
        let (columns, tokens) = (gram.columns as f32, gram.tokens as f32);
        Regularisation { shrink: 0.2f32.max(columns / (columns + tokens)), ridge: 0.05 }
    }
}

/// `(1 - shrink) G + shrink diag(G) + ridge mean(diag(G)) I`: an error `e` of a row of weights costs
/// `e H e^T`.
pub struct Hessian<'g> {
    gram: &'g Gram,
    /// What is left of the Gram matrix.
    pub share: f32,
    /// What is added to the diagonal, for each column.
    pub extra: Vec<f32>,
}

impl<'g> Hessian<'g> {
    pub fn of(gram: &'g Gram, regularisation: Regularisation) -> Hessian<'g> {
        let Regularisation { shrink, ridge } = regularisation;
        let n = gram.columns;
        let diagonal = gram.values.iter().step_by(n + 1);
        let mean = diagonal.clone().map(|&d| f64::from(d)).sum::<f64>() / n as f64;
        // Where nothing was ever active, all errors cost the same.
        let ridge = if mean > 0.0 { ridge * mean as f32 } else { 1.0 };
        let extra = diagonal.map(|&d| shrink * d + ridge).collect();
        Hessian { gram, share: 1.0 - shrink, extra }
    }

    pub fn columns(&self) -> usize {
        self.gram.columns
    }

    /// Rows of the Gram matrix from `first` on.
    pub fn gram_from(&self, first: usize) -> View<'g> {
        View::rows(&self.gram.values[first * self.columns()..], self.columns())
    }

    /// The `STEP` columns from `first` on, with each other.
    pub fn square(&self, first: usize) -> Square {
        let n = self.columns();
        std::array::from_fn(|j| {
            let row = &self.gram.values[(first + j) * n + first..];
            let extra = |k| if j == k { self.extra[first + j] } else { 0.0 };
            std::array::from_fn(|k| self.share * row[k] + extra(k))
        })
    }

    /// Row `j` from the diagonal on; 0 left of it.
    fn upper_row(&self, j: usize, out: &mut [f32]) {
        let n = self.columns();
        let row = &self.gram.values[j * n..][..n];
        for (out, &g) in out[j..].iter_mut().zip(&row[j..]) {
            *out = self.share * g;
        }
        out[j] += self.extra[j];
    }
}

/// How later columns make good the errors of earlier ones. With `H = R R^T`, R upper triangular, an
/// error costs the sum over k of `(R_kk e_k + sum of e_j R_jk over j < k)^2`: column k does best to
/// err by minus the sum of `e_j R_jk / R_kk`.
pub struct Feedback {
    columns: usize,
    /// `R_jk / R_kk` for j < k; columns x columns.
    values: Vec<f32>,
}

/// Columns that are eliminated together.
const BLOCK: usize = 128;
/// Rows of one task.
const TASK: usize = 128;

impl Feedback {
    /// Of a Hessian; of one with a larger ridge where rounding left it no longer positive.
    pub fn of(gram: &Gram, regularisation: Regularisation) -> Feedback {
        const TRIES: usize = 6;
        let mut regularisation = regularisation;
        for _ in 0..TRIES {
            if let Some(feedback) = Feedback::try_of(&Hessian::of(gram, regularisation)) {
                return feedback;
            }
            regularisation.ridge = 4.0 * regularisation.ridge.max(0.001);
        }
        // No number: then nothing is made good.
        Feedback { columns: gram.columns, values: vec![0.0; gram.columns * gram.columns] }
    }

    /// `None` where the Hessian is not positive definite.
    fn try_of(hessian: &Hessian) -> Option<Feedback> {
        let n = hessian.columns();
        let mut values = vec![0.0; n * n];
        let rows = values.par_chunks_mut(n).enumerate();
        rows.for_each(|(j, row)| hessian.upper_row(j, row));
        let mut diagonal = vec![0.0; n];
        let mut end = n;
        while end > 0 {
            let start = (end - 1) / BLOCK * BLOCK;
            let square = decompose(&values, n, start..end)?;
            let width = end - start;
            for (k, row) in square.chunks_exact(width).enumerate() {
                diagonal[start + k] = row[k];
                let place = &mut values[(start + k) * n + start..][..width];
                place.iter_mut().zip(row).for_each(|(place, &r)| *place = r as f32);
            }
            eliminate(&mut values, n, start..end, &square);
            end = start;
        }
        values.par_chunks_mut(n).enumerate().for_each(|(j, row)| {
            row[..=j].fill(0.0);
            row.iter_mut().zip(&diagonal).for_each(|(r, d)| *r = (f64::from(*r) / d) as f32);
        });
        Some(Feedback { columns: n, values })
    }

    /// From row `row` and column `column` on.
    pub fn view(&self, row: usize, column: usize) -> View<'_> {
        View::rows(&self.values[row * self.columns + column..], self.columns)
    }

    /// The `STEP` columns from `first` on, with each other.
    pub fn square(&self, first: usize) -> Square {
        let row = |j| &self.values[(first + j) * self.columns + first..][..STEP];
        std::array::from_fn(|j| std::array::from_fn(|k| row(j)[k]))
    }
}

/// R of a block on the diagonal, from its last column to its first.
fn decompose(values: &[f32], n: usize, block: std::ops::Range<usize>) -> Option<Vec<f64>> {
    let (start, width) = (block.start, block.len());
    let mut r = vec![0.0; width * width];
    for k in (0..width).rev() {
        let given = f64::from(values[(start + k) * n + start + k]);
        let square =
            given - r[k * width + k + 1..(k + 1) * width].iter().map(|r| r * r).sum::<f64>();
        // What F32 leaves of a difference this small is noise; and NaN is no number.
        if square.is_nan() || square <= 1e-7 * given {
            return None;
        }
        let root = square.sqrt();
        r[k * width + k] = root;
        for j in 0..k {
            let (above, row) = r.split_at(k * width);
            let tails = above[j * width..][k + 1..width].iter().zip(&row[k + 1..width]);
            let sum: f64 = tails.map(|(a, b)| a * b).sum();
            let given = f64::from(values[(start + j) * n + start + k]);
            r[j * width + k] = (given - sum) / root;
        }
    }
    Some(r)
}

/// Turns the columns of a block into those of R above the block, and takes their products from
/// what is left of the matrix.
fn eliminate(values: &mut [f32], n: usize, block: std::ops::Range<usize>, square: &[f64]) {
    let (start, width) = (block.start, block.len());
    let mut panel = vec![0.0; start * width];
    let rows = values[..start * n].par_chunks_mut(n).zip(panel.par_chunks_mut(width));
    rows.with_min_len(16).for_each(|(row, panel)| {
        let place = &mut row[block.clone()];
        let mut x = [0.0; BLOCK];
        for k in (0..width).rev() {
            let r = &square[k * width..][..width];
            let sum: f64 = (k + 1..width).map(|m| x[m] * r[m]).sum();
            x[k] = (f64::from(place[k]) - sum) / r[k];
        }
        place.iter_mut().zip(&x).for_each(|(place, &x)| *place = x as f32);
        panel.copy_from_slice(place);
    });
    let tasks = values[..start * n].par_chunks_mut(TASK * n).enumerate();
    tasks.for_each(|(task, out)| {
        let first = task * TASK;
        let product = Product { rows: out.len() / n, columns: start - first, depth: width };
        let left = View::rows(&panel[first * width..], width);
        multiply(product, -1.0, left, left.transposed(), &mut out[first..], n, true);
    });
}

#[cfg(test)]
mod tests {
    use super::super::tests::correlated_gram;
    use super::*;

    #[test]
    fn feedback_takes_the_hessian_apart() {
        for n in [32, 160, 288] {
            let gram = correlated_gram(n, 2 * n, 5);
            let regularisation = Regularisation::of(&gram);
            let hessian = Hessian::of(&gram, regularisation);
            let feedback = Feedback::of(&gram, regularisation);
            // R = A D with unit upper triangular A; D^2 follows from the last column to the first.
            let a = |j: usize, k: usize| match j.cmp(&k) {
                std::cmp::Ordering::Less => f64::from(feedback.values[j * n + k]),
                std::cmp::Ordering::Equal => 1.0,
                std::cmp::Ordering::Greater => 0.0,
            };
            let h = |j: usize, k: usize| {
                let extra = if j == k { hessian.extra[j] } else { 0.0 };
                f64::from(hessian.share * gram.values[j * n + k] + extra)
            };
            let mut d = vec![0.0; n];
            for k in (0..n).rev() {
                d[k] = h(k, k) - (k + 1..n).map(|m| a(k, m) * a(k, m) * d[m]).sum::<f64>();
            }
            for (j, k) in [(0, 1), (3, 30), (0, n - 1), (n / 2, n / 2 + 5), (n - 2, n - 1)] {
                let product: f64 = (k..n).map(|m| a(j, m) * a(k, m) * d[m]).sum();
                let scale = (h(j, j) * h(k, k)).sqrt();
                assert!((product - h(j, k)).abs() < 1e-4 * scale, "{n}: {j}, {k}");
            }
        }
    }

    #[test]
    fn matrices_that_are_not_positive_get_a_larger_ridge() {
        let n = 64;
        let mut gram = correlated_gram(n, 8, 1);
        gram.values[n + 2] += 100.0;
        gram.values[2 * n + 1] += 100.0;
        let feedback = Feedback::of(&gram, Regularisation { shrink: 0.0, ridge: 0.0 });
        assert!(feedback.values.iter().all(|a| a.is_finite()));
        gram.values[0] = f32::NAN;
        let feedback = Feedback::of(&gram, Regularisation::of(&gram));
        assert!(feedback.values.iter().all(|&a| a == 0.0));
    }
}
