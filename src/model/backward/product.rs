//! The products of a linear map on the way back, cut into blocks of rows that do not depend on the
//! number of threads.

use rayon::prelude::*;

use super::super::TOKENS_PER_TASK;
use super::super::dense::{DenseMatrix, TOKENS};
use super::super::matmul::{Product, View, multiply};

/// Rows of a weight's gradient that one task computes.
const ROWS: usize = 96;

/// Gradients of what maps share as their input: the sum of `scale * gradient * matrix`, where
/// each `gradient` is that of a map's output, tokens x rows. `out`: tokens x columns.
pub fn input_gradient(maps: &[(&DenseMatrix, &[f32])], out: &mut [f32]) {
    let columns = maps[0].0.columns;
    out.par_chunks_mut(TOKENS * columns).enumerate().for_each(|(task, out)| {
        let tokens = out.len() / columns;
        for (i, (matrix, gradient)) in maps.iter().enumerate() {
            let rows = matrix.rows;
            let left = View::rows(&gradient[task * TOKENS * rows..], rows);
            let product = Product { rows: tokens, columns, depth: rows };
            let right = View::rows(&matrix.values, columns);
            multiply(product, matrix.scale, left, right, out, columns, i > 0);
        }
    });
}

/// Gradients of the weights and of the bias: `scale * gradient^T * x`, where `gradient` is that of the
/// output. Shapes: `gradient` tokens x rows, `x` tokens x columns.
pub fn weight_gradient(gradient: &[f32], x: &[f32], out: &mut DenseMatrix) {
    let DenseMatrix { rows, columns, ref mut values, scale, ref mut bias } = *out;
    let tokens = x.len() / columns;
    values.par_chunks_mut(ROWS * columns).enumerate().for_each(|(task, values)| {
        let left = View::rows(&gradient[task * ROWS..], rows).transposed();
        let product = Product { rows: values.len() / columns, columns, depth: tokens };
        multiply(product, scale, left, View::rows(x, columns), values, columns, false);
    });
    if !bias.is_empty() {
        column_sums(gradient, rows, bias);
    }
}

/// The sums of columns; of parts first, so that they are the same for any number of threads.
fn column_sums(rows: &[f32], columns: usize, out: &mut [f32]) {
    let parts = rows.par_chunks(TOKENS_PER_TASK * columns).map(|rows| {
        let mut sums = vec![0.0; columns];
        for row in rows.chunks_exact(columns) {
            sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        }
        sums
    });
    let parts: Vec<Vec<f32>> = parts.collect();
    add_parts(&parts, out);
}

/// `out = sum of parts`, in their order.
pub fn add_parts(parts: &[Vec<f32>], out: &mut [f32]) {
    out.fill(0.0);
    for part in parts {
        out.iter_mut().zip(part).for_each(|(out, part)| *out += part);
    }
}
