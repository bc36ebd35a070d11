//! How far off the output of a linear map is.

use rayon::prelude::*;

use crate::calibrate::Gram;
use crate::model::{Product, View, multiply};

/// The mean squared error of an output, summed over its columns.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct OutputError {
    /// `tr(E G E^T)`: the mean over tokens of the squared length of what the output errs by.
    pub error: f64,
    /// `tr(W G W^T)`: the mean over tokens of the squared length of the output.
    pub norm: f64,
}

impl OutputError {
    /// The error as a share of the norm; 0 for an output that is 0 and stayed so.
    pub fn relative(self) -> f64 {
        if self.error == 0.0 { 0.0 } else { self.error / self.norm }
    }
}

/// What the output errs by where the weights are `decoded` instead of `values` (both rows x
/// columns), on inputs with this Gram matrix. The same for any number of threads.
pub fn output_error(values: &[f32], decoded: &[f32], gram: &Gram) -> OutputError {
    /// Rows of one task.
    const TASK: usize = 64;
    assert_eq!(values.len(), decoded.len(), "as many weights before as after");
    let len = TASK * gram.columns;
    let tasks = values.par_chunks(len).zip(decoded.par_chunks(len));
    let sums: Vec<OutputError> = tasks
        .map(|(values, decoded)| {
            let errors: Vec<f32> = values.iter().zip(decoded).map(|(x, y)| x - y).collect();
            OutputError { error: squares(&errors, gram), norm: squares(values, gram) }
        })
        .collect();
    let add = |a: OutputError, b: &OutputError| OutputError {
        error: a.error + b.error,
        norm: a.norm + b.norm,
    };
    sums.iter().fold(OutputError::default(), add)
}

/// `tr(X G X^T)`.
fn squares(x: &[f32], gram: &Gram) -> f64 {
    let n = gram.columns;
    let product = Product { rows: x.len() / n, columns: n, depth: n };
    let mut products = vec![0.0; x.len()];
    let (left, right) = (View::rows(x, n), View::rows(&gram.values, n));
    multiply(product, 1.0, left, right, &mut products, n, false);
    x.iter().zip(&products).map(|(&x, &product)| f64::from(x) * f64::from(product)).sum()
}
