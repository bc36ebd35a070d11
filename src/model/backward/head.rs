//! The output head, backwards. Its matrix, often the largest of a model, stays in its file format and
//! is widened a panel at a time.

use rayon::prelude::*;

use super::super::forward::Model;
use super::super::linear::Matrix;
use super::super::matmul::{Product, View, multiply};
use super::product::add_parts;

/// Sums over parts of the vocabulary that are computed side by side.
const PARTS: usize = 16;
/// Rows of the matrix that are widened at a time.
const ROWS: usize = 192;
/// Values that one thread takes at a time.
const TASK: usize = 1 << 14;

impl Model<'_> {
    /// From gradients of `logits` (tokens x vocabulary), which are used up, to those of the
    /// normalised hidden states they were computed from (tokens x width).
    pub fn logits_backward(&self, logits: &[f32], gradient: &mut [f32], out: &mut [f32]) {
        if let Some(cap) = self.shape.logit_cap {
            gradient.par_chunks_mut(TASK).zip(logits.par_chunks(TASK)).for_each(
                |(gradient, logits)| {
                    for (gradient, logit) in gradient.iter_mut().zip(logits) {
                        *gradient *= 1.0 - (logit / cap) * (logit / cap);
                    }
                },
            );
        }
        let head = &self.weights.head;
        input_gradient(&head.weight, gradient, out);
        if head.scale != 1.0 {
            out.iter_mut().for_each(|gradient| *gradient *= head.scale);
        }
    }
}

/// `out = gradient * matrix`. Shapes: `gradient` tokens x rows, `out` tokens x columns.
fn input_gradient(matrix: &Matrix, gradient: &[f32], out: &mut [f32]) {
    let Matrix { rows, columns, .. } = *matrix;
    let firsts: Vec<usize> = (0..rows).step_by(rows.div_ceil(PARTS)).collect();
    let part = |widened: &mut Vec<f32>, &start: &usize| {
        let end = rows.min(start + rows.div_ceil(PARTS));
        let mut part = vec![0.0; out.len()];
        for first in (start..end).step_by(ROWS) {
            let depth = ROWS.min(end - first);
            widened.resize(depth * columns, 0.0);
            matrix.widen(first, widened);
            let product = Product { rows: part.len() / columns, columns, depth };
            let left = View::rows(&gradient[first..], rows);
            let right = View::rows(widened, columns);
            multiply(product, 1.0, left, right, &mut part, columns, true);
        }
        part
    };
    let parts: Vec<Vec<f32>> = firsts.par_iter().map_init(Vec::new, part).collect();
    add_parts(&parts, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block;
    use crate::gguf::Format;

    #[test]
    fn a_matrix_in_its_format_goes_back_as_its_values_do() {
        // More rows than a panel in each part, and a last part that is shorter.
        let (tokens, rows, columns) = (5, 3333, 64);
        let numbers = |n: usize, salt: usize| -> Vec<f32> {
            (0..n).map(|i| ((i * 7919 + salt * 131) % 1009) as f32 / 504.5 - 1.0).collect()
        };
        let mut bytes = vec![0; Format::Q8_0.size_of(columns) * rows];
        block::encode(Format::Q8_0, &numbers(rows * columns, 1), columns, None, &mut bytes);
        let matrix = Matrix { format: Format::Q8_0, rows, columns, bytes: &bytes };
        let mut wide = vec![0.0; rows * columns];
        matrix.widen(0, &mut wide);
        let gradient = numbers(tokens * rows, 2);
        let mut out = vec![f32::NAN; tokens * columns];
        input_gradient(&matrix, &gradient, &mut out);
        for (i, found) in out.iter().enumerate() {
            let (token, column) = (i / columns, i % columns);
            let product = |row: usize| {
                f64::from(gradient[token * rows + row]) * f64::from(wide[row * columns + column])
            };
            let expected: f64 = (0..rows).map(product).sum();
            assert!((f64::from(*found) - expected).abs() < 1e-3, "{found} for {expected}");
        }
    }
}
