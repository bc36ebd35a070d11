//! What a format costs a tensor, estimated on some of its rows.

use rand::SeedableRng;
use rand::seq::index;
use rand_pcg::Pcg64Mcg;

use crate::block::{self, SquaredError};
use crate::gguf::{Gguf, TensorInfo};

use super::candidate::Candidate;
use super::encode::{EncodeError, checked_values, rounded};

/// Rows looked at in a tensor: its error is the same within some percent over all of them.
const ROWS: usize = 12;

/// The squared error of `tensor` as a share of its norm, in each of `candidates`, on sampled rows;
/// where the `importance` of its columns is known, both weighted by it.
pub fn relative_errors(
    gguf: &Gguf,
    tensor: &TensorInfo,
    candidates: &[Candidate],
    importance: Option<&[f32]>,
    seed: u64,
) -> Result<Vec<f64>, EncodeError> {
    let row_len = tensor.row_len();
    let gains: Option<Vec<f32>> =
        importance.map(|importance| importance.iter().map(|w| w.sqrt()).collect());
    let mut weighted = vec![0.0; row_len];
    let mut sums = vec![SquaredError::default(); candidates.len()];
    let mut x = vec![0.0; row_len];
    for row in sampled_rows(tensor, seed) {
        checked_values(gguf, tensor, row, &mut x)?;
        multiply(&x, gains.as_deref(), &mut weighted);
        for (sum, &candidate) in sums.iter_mut().zip(candidates) {
            let decoded = rounded(tensor, candidate, &x, importance);
            let weighted_decoded = &mut vec![0.0; row_len];
            multiply(&decoded, gains.as_deref(), weighted_decoded);
            *sum += block::squared_error(&weighted, weighted_decoded);
        }
    }
    // Around each row the system has mapped more: of a large model, all together would be much.
    gguf.release(tensor, 0..tensor.bytes() as usize);
    Ok(sums.into_iter().map(SquaredError::relative).collect())
}

/// Each value times the gain of its column, where there are gains.
fn multiply(x: &[f32], gains: Option<&[f32]>, out: &mut [f32]) {
    out.copy_from_slice(x);
    if let Some(gains) = gains {
        out.iter_mut().zip(gains).for_each(|(out, gain)| *out *= gain);
    }
}

/// Some rows of the tensor: the same for the same seed and name.
fn sampled_rows(tensor: &TensorInfo, seed: u64) -> Vec<usize> {
    // FNV-1a, so that tensors of one shape do not all show the same rows.
    let salt = tensor.name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut rng = Pcg64Mcg::seed_from_u64(seed ^ salt);
    let mut rows = index::sample(&mut rng, tensor.rows(), ROWS.min(tensor.rows())).into_vec();
    rows.sort_unstable();
    rows
}
