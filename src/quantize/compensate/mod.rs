//! Rounding that makes its errors good: GPTQ (Frantar et al. 2022) into the block formats.
//!
//! Inputs of a linear map are correlated: what one weight errs by, later weights of its row can
//! make up for. Columns are rounded from left to right, each to the level nearest to what makes
//! good the errors so far; the scales of a block are found on what its weights are by then wanted
//! to be. After that, single codes and scales move as long as the error of the output falls.

mod hessian;
mod output_error;
mod rows;
mod tile;

pub use hessian::Regularisation;
pub use output_error::{OutputError, output_error};

use rayon::prelude::*;

use crate::block;
use crate::calibrate::Gram;

use super::candidate::Candidate;
use hessian::{Feedback, Hessian};
use rows::Rows;
use tile::ROWS;

/// What moves after all columns are rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Polish {
    /// Passes over all columns, at most.
    pub sweeps: usize,
    /// Whether scales move, or codes alone.
    pub scales: bool,
}

impl Default for Polish {
    fn default() -> Polish {
        Polish { sweeps: 3, scales: true }
    }
}

/// All that does not depend on the weights, for the linear maps that share an input.
pub struct Compensation<'g> {
    hessian: Hessian<'g>,
    feedback: Feedback,
    polish: Polish,
}

impl<'g> Compensation<'g> {
    /// For inputs with this Gram matrix. Takes columns^3 / 6 multiplications, and as much memory as
    /// the matrix.
    pub fn new(gram: &'g Gram, regularisation: Regularisation, polish: Polish) -> Compensation<'g> {
        let hessian = Hessian::of(gram, regularisation);
        Compensation { hessian, feedback: Feedback::of(gram, regularisation), polish }
    }

    /// Encodes rows of finite `values` so that the output on such inputs errs little. Scales are
    /// searched with `importance`, one for each column, as in [`block::encode`]; the diagonal of
    /// the Gram matrix is a good one. Scales that the candidate shares stay shared.
    ///
    /// Rows are encoded in parallel; the bytes do not depend on the number of threads.
    ///
    /// # Panics
    /// If the format cannot be encoded or the lengths do not agree.
    pub fn encode(&self, to: Candidate, values: &[f32], importance: &[f32], out: &mut [u8]) {
        let Candidate { format, shared, .. } = to;
        let columns = self.hessian.columns();
        assert_eq!(importance.len(), columns, "one importance for each column");
        assert!(format.fits(columns) && values.len().is_multiple_of(columns), "{format} rows");
        assert_eq!(
            format.bytes_of(values.len() as u64),
            Some(out.len() as u64),
            "{format} lengths"
        );
        assert!(block::can_encode(format), "{format} cannot be encoded");
        assert!(shared.is_none_or(|shared| shared.fits(columns)), "scales shared by {shared:?}");
        let row_bytes = format.size_of(columns);
        let tasks = values.par_chunks(ROWS * columns).zip(out.par_chunks_mut(ROWS * row_bytes));
        tasks.for_each(|(values, out)| {
            let mut rows = Rows::new(to, values, importance, out);
            rows.round(&self.feedback);
            rows.polish(&self.hessian, self.polish);
            rows.store();
        });
    }

    /// [`Compensation::encode`] or encoding without compensation, whichever errs less on inputs
    /// with the Gram matrix `judge`: that of the inputs that are to come, if it is known.
    pub fn encode_best(
        &self,
        to: Candidate,
        values: &[f32],
        importance: &[f32],
        judge: &Gram,
        out: &mut [u8],
    ) -> Comparison {
        let mut decoded = vec![0.0; values.len()];
        let mut plain_bytes = vec![0; out.len()];
        encode_plain(to, values, importance, &mut plain_bytes);
        block::decode(to.format, &plain_bytes, &mut decoded);
        let plain = output_error(values, &decoded, judge);
        self.encode(to, values, importance, out);
        block::decode(to.format, out, &mut decoded);
        let compensated = output_error(values, &decoded, judge);
        let comparison = Comparison { plain, compensated };
        if !comparison.gains() {
            out.copy_from_slice(&plain_bytes);
        }
        comparison
    }
}

/// What the output errs by without and with compensation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// Each weight rounded for itself, scales searched with importance.
    pub plain: OutputError,
    /// Errors made good.
    pub compensated: OutputError,
}

impl Comparison {
    /// Whether compensation lowers the error.
    pub fn gains(self) -> bool {
        self.compensated.error < self.plain.error
    }
}

/// Encodes all rows without compensation, in parallel.
fn encode_plain(to: Candidate, values: &[f32], importance: &[f32], out: &mut [u8]) {
    let columns = importance.len();
    let row_bytes = to.format.size_of(columns);
    let tasks = values.par_chunks(ROWS * columns).zip(out.par_chunks_mut(ROWS * row_bytes));
    tasks.for_each(|(values, out)| match to.shared {
        None => block::encode(to.format, values, columns, Some(importance), out),
        Some(shared) => block::encode_shared(shared, values, columns, Some(importance), out),
    });
}

#[cfg(test)]
mod tests;
