//! What a format costs a tensor, estimated on some of its rows.

use rand::SeedableRng;
use rand::seq::index;
use rand_pcg::Pcg64Mcg;

use crate::block::{self, SquaredError};
use crate::gguf::{Format, Gguf, TensorInfo};

use super::encode::{EncodeError, checked_values};

/// Rows looked at in a tensor: its error is the same within some percent over all of them.
const ROWS: usize = 12;

/// The squared error of `tensor` as a share of its norm, in each of `formats`, on sampled rows.
pub fn relative_errors(
    gguf: &Gguf,
    tensor: &TensorInfo,
    formats: &[Format],
    seed: u64,
) -> Result<Vec<f64>, EncodeError> {
    let row_len = tensor.row_len();
    let mut sums = vec![SquaredError::default(); formats.len()];
    let (mut x, mut decoded) = (vec![0.0; row_len], vec![0.0; row_len]);
    for row in sampled_rows(tensor, seed) {
        checked_values(gguf, tensor, row, &mut x)?;
        for (sum, &format) in sums.iter_mut().zip(formats) {
            let mut blocks = vec![0; row_len / format.block_len() * format.block_bytes()];
            block::encode(format, &x, row_len, None, &mut blocks);
            block::decode(format, &blocks, &mut decoded);
            *sum += block::squared_error(&x, &decoded);
        }
    }
    Ok(sums.into_iter().map(SquaredError::relative).collect())
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
