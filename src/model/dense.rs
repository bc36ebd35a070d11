//! The weights of a layer widened to F32; also whatever has one number for each of them, such as
//! their gradients.

use rayon::prelude::*;

use super::layer::Layer;
use super::linear::Linear;
use super::linear_map::LinearMap;
use super::matmul::{Product, View, multiply};

/// Tokens of one task: enough that packing the weights for them costs little.
pub(super) const TOKENS: usize = 256;

/// A matrix, and what its outputs are multiplied by and added to.
#[derive(Debug, Clone, PartialEq)]
pub struct DenseMatrix {
    /// Outputs.
    pub rows: usize,
    /// Inputs.
    pub columns: usize,
    /// Rows x columns.
    pub values: Vec<f32>,
    /// What outputs are multiplied by; it does not learn.
    pub scale: f32,
    /// One for each output; empty where there is none.
    pub bias: Vec<f32>,
}

/// One number for each weight of a layer.
pub type DenseLayer = Layer<DenseMatrix>;

impl DenseLayer {
    /// The weights of `layer`.
    pub fn of(layer: &Layer<Linear>) -> DenseLayer {
        layer.each(DenseMatrix::of, Vec::clone)
    }

    /// As many zeros.
    pub fn zeros(&self) -> DenseLayer {
        let zeros = |values: &Vec<f32>| vec![0.0; values.len()];
        let matrix = |matrix: &DenseMatrix| DenseMatrix {
            values: zeros(&matrix.values),
            bias: zeros(&matrix.bias),
            ..*matrix
        };
        self.each(matrix, zeros)
    }
}

impl DenseMatrix {
    fn of(linear: &Linear) -> DenseMatrix {
        let weight = &linear.weight;
        let mut values = vec![0.0; weight.rows * weight.columns];
        weight.widen(0, &mut values);
        let bias = linear.bias.clone().unwrap_or_default();
        let scale = linear.scale;
        DenseMatrix { rows: weight.rows, columns: weight.columns, values, scale, bias }
    }
}

impl LinearMap for DenseMatrix {
    fn rows(&self) -> usize {
        self.rows
    }

    fn columns(&self) -> usize {
        self.columns
    }

    fn apply_all(maps: &mut [(&DenseMatrix, &mut [f32])], x: &[f32]) {
        maps.iter_mut().for_each(|(matrix, out)| apply(matrix, x, out));
    }
}

/// `out = scale * x * matrix^T + bias`. Shapes: `x` tokens x columns, `out` tokens x rows.
pub(super) fn apply(matrix: &DenseMatrix, x: &[f32], out: &mut [f32]) {
    let DenseMatrix { rows, columns, ref values, scale, ref bias } = *matrix;
    let right = View::rows(values, columns).transposed();
    let tasks = out.par_chunks_mut(TOKENS * rows).zip(x.par_chunks(TOKENS * columns));
    tasks.for_each(|(out, x)| {
        let product = Product { rows: out.len() / rows, columns: rows, depth: columns };
        multiply(product, scale, View::rows(x, columns), right, out, rows, false);
        if !bias.is_empty() {
            for out in out.chunks_exact_mut(rows) {
                out.iter_mut().zip(bias).for_each(|(out, bias)| *out += bias);
            }
        }
    });
}
