//! One tensor in its new format, streamed: never more of it in memory than a few megabytes.

use rayon::prelude::*;

use crate::block::{self, lattice};
use crate::gguf::{Format, Gguf, TensorInfo};

use super::candidate::{Candidate, How};
use super::lost::Lost;

/// Weights encoded between two writes, or held at a time. Large enough to keep all threads busy.
const BATCH: usize = 4 << 20;
/// Weights that one thread takes at a time: their F32 values stay in its second-level cache.
const TASK: usize = 32 << 10;

/// A weight that its format cannot hold, and where it stands.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("tensor {tensor} holds {value} in row {row}, column {column}; {}", reason(*value, *format))]
pub struct EncodeError {
    /// Its tensor.
    pub tensor: String,
    /// Counted from 0.
    pub row: usize,
    /// Counted from 0.
    pub column: usize,
    /// NaN, infinite, or too large.
    pub value: f32,
    /// What should have held it.
    pub format: Format,
}

/// Why `format` cannot hold `value`.
fn reason(value: f32, format: Format) -> String {
    if value.is_finite() {
        let range = block::range(format);
        return format!("{format} reaches from {} to {}", range.start(), range.end());
    }
    "every weight must be a finite number: the model is damaged, or was converted wrongly".into()
}

/// Encodes `tensor` as `to` has it, weighted by `importance` where given, and hands the bytes to
/// `write` in order; returns what was lost. Rows are encoded in parallel on rayon's current pool;
/// neither the bytes nor what is returned depend on how many threads it has.
pub fn encode_tensor<E: From<EncodeError>>(
    gguf: &Gguf,
    tensor: &TensorInfo,
    to: Candidate,
    importance: Option<&[f32]>,
    mut write: impl FnMut(Vec<u8>) -> Result<(), E>,
) -> Result<Lost, E> {
    let row_len = tensor.row_len();
    let bytes_of_rows =
        |format: Format, rows: usize| rows * (row_len / format.block_len()) * format.block_bytes();
    let task_rows = (TASK / row_len).max(1);
    let batch_rows = (BATCH / row_len / task_rows).max(1) * task_rows;
    let data = gguf.data(tensor);
    let mut sum = Lost::default();
    for first_row in (0..tensor.rows()).step_by(batch_rows) {
        let rows = batch_rows.min(tensor.rows() - first_row);
        let from = bytes_of_rows(tensor.format, first_row);
        let source = &data[from..from + bytes_of_rows(tensor.format, rows)];
        let mut encoded = vec![0; bytes_of_rows(to.format, rows)];
        let lost: Vec<Lost> = source
            .par_chunks(bytes_of_rows(tensor.format, task_rows))
            .zip(encoded.par_chunks_mut(bytes_of_rows(to.format, task_rows)))
            .enumerate()
            .map_init(Scratch::default, |scratch, (task, (source, encoded))| {
                scratch.encode(
                    tensor,
                    source,
                    first_row + task * task_rows,
                    to,
                    importance,
                    encoded,
                )
            })
            .collect::<Result<_, EncodeError>>()?;
        lost.into_iter().for_each(|lost| sum += lost);
        tracing::trace!(tensor = tensor.name, first_row, rows, to = %to.format, "encoded");
        gguf.release(tensor, from..from + source.len());
        write(encoded)?;
    }
    Ok(sum)
}

/// The values of one task, before and after.
#[derive(Default)]
struct Scratch {
    values: Vec<f32>,
    decoded: Vec<f32>,
}

impl Scratch {
    fn encode(
        &mut self,
        tensor: &TensorInfo,
        source: &[u8],
        first_row: usize,
        to: Candidate,
        importance: Option<&[f32]>,
        encoded: &mut [u8],
    ) -> Result<Lost, EncodeError> {
        if to.how == How::Copied {
            encoded.copy_from_slice(source);
            return Ok(Lost::default());
        }
        let len = encoded.len() / to.format.block_bytes() * to.format.block_len();
        self.values.resize(len, 0.0);
        self.decoded.resize(len, 0.0);
        block::decode(tensor.format, source, &mut self.values);
        check_held(tensor, first_row, &self.values, to)?;
        encode_rows(tensor, to, &self.values, importance, encoded);
        block::decode(to.format, encoded, &mut self.decoded);
        as_stored(tensor, to, &mut self.decoded);
        Ok(Lost::of(first_row, tensor.row_len(), &self.values, &self.decoded))
    }
}

/// Encodes whole rows of a tensor, which is not to be copied.
fn encode_rows(
    tensor: &TensorInfo,
    to: Candidate,
    values: &[f32],
    importance: Option<&[f32]>,
    out: &mut [u8],
) {
    match (to.how, to.shared) {
        (How::OnLattice(_), _) => {
            let found = lattice::encode(to.format, tensor.format, values, out);
            found.expect("all weights of the tensor were found to lie on it");
        }
        (_, None) => block::encode(to.format, values, tensor.row_len(), importance, out),
        (_, Some(shared)) => {
            block::encode_shared(shared, values, tensor.row_len(), importance, out);
        }
    }
}

/// What lies on a lattice is compared as the file had it: what it rounded off is no loss.
fn as_stored(tensor: &TensorInfo, to: Candidate, decoded: &mut [f32]) {
    if let How::OnLattice(_) = to.how {
        lattice::round_to(tensor.format, decoded);
    }
}

/// What whole rows of a tensor are after they were encoded.
pub(super) fn rounded(
    tensor: &TensorInfo,
    to: Candidate,
    values: &[f32],
    importance: Option<&[f32]>,
) -> Vec<f32> {
    if to.how == How::Copied {
        return values.to_vec();
    }
    let mut bytes = vec![0; to.format.size_of(values.len())];
    encode_rows(tensor, to, values, importance, &mut bytes);
    let mut decoded = decoded(to.format, &bytes);
    as_stored(tensor, to, &mut decoded);
    decoded
}

/// Hands over the weights of a tensor in batches of whole rows, each with the number of weights
/// before it.
pub(super) fn for_each_batch(
    gguf: &Gguf,
    tensor: &TensorInfo,
    mut each: impl FnMut(usize, &[f32]),
) -> Result<(), EncodeError> {
    let columns = tensor.row_len();
    let batch = (BATCH / columns).max(1);
    for first in (0..tensor.rows()).step_by(batch) {
        let rows = batch.min(tensor.rows() - first);
        let mut values = vec![0.0; rows * columns];
        for (row, values) in values.chunks_exact_mut(columns).enumerate() {
            checked_values(gguf, tensor, first + row, values)?;
        }
        each(first * columns, &values);
    }
    Ok(())
}

/// What a tensor loses by being encoded as `bytes`, as `to` has it.
pub(super) fn lost_by(
    gguf: &Gguf,
    tensor: &TensorInfo,
    to: Candidate,
    bytes: &[u8],
) -> Result<Lost, EncodeError> {
    let (mut lost, columns) = (Lost::default(), tensor.row_len());
    let size_of = |values: usize| to.format.size_of(values);
    for_each_batch(gguf, tensor, |first, values| {
        let bytes = &bytes[size_of(first)..size_of(first + values.len())];
        let mut decoded = decoded(to.format, bytes);
        as_stored(tensor, to, &mut decoded);
        lost += Lost::of(first / columns, columns, values, &decoded);
    })?;
    Ok(lost)
}

/// The values of whole blocks.
pub(super) fn decoded(format: Format, bytes: &[u8]) -> Vec<f32> {
    let mut decoded = vec![0.0; bytes.len() / format.block_bytes() * format.block_len()];
    block::decode(format, bytes, &mut decoded);
    decoded
}

/// Decodes one row into `values`, which are finite numbers.
pub(super) fn checked_values(
    gguf: &Gguf,
    tensor: &TensorInfo,
    row: usize,
    values: &mut [f32],
) -> Result<(), EncodeError> {
    let format = tensor.format;
    let row_bytes = format.size_of(tensor.row_len());
    block::decode(format, &gguf.data(tensor)[row * row_bytes..][..row_bytes], values);
    check(tensor, row, values, Format::F32)
}

/// Whether whole rows can be encoded: what lies on a lattice need not be looked at again.
fn check_held(
    tensor: &TensorInfo,
    first_row: usize,
    values: &[f32],
    to: Candidate,
) -> Result<(), EncodeError> {
    let format = if to.is_searched() { to.format } else { Format::F32 };
    check(tensor, first_row, values, format)
}

/// Whether `format` can hold whole rows, of which `first_row` is the first.
pub(super) fn check(
    tensor: &TensorInfo,
    first_row: usize,
    values: &[f32],
    format: Format,
) -> Result<(), EncodeError> {
    match block::unstorable(format, values) {
        None => Ok(()),
        Some(at) => Err(refused(tensor, first_row * tensor.row_len() + at, values[at], format)),
    }
}

/// Whether bytes of a tensor that is copied, from byte `start` on, hold numbers only. What is not
/// in full precision is taken as it is.
pub(super) fn check_finite(
    tensor: &TensorInfo,
    start: usize,
    bytes: &[u8],
) -> Result<(), EncodeError> {
    if !matches!(tensor.format, Format::F32 | Format::F16 | Format::BF16) {
        return Ok(());
    }
    let value_bytes = tensor.format.block_bytes();
    let mut values = vec![0.0; bytes.len() / value_bytes];
    block::decode(tensor.format, bytes, &mut values);
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(at) => Err(refused(tensor, start / value_bytes + at, values[at], tensor.format)),
    }
}

/// The error for the value at `place`, counted over all rows.
fn refused(tensor: &TensorInfo, place: usize, value: f32, format: Format) -> EncodeError {
    let (row, column) = (place / tensor.row_len(), place % tensor.row_len());
    EncodeError { tensor: tensor.name.clone(), row, column, value, format }
}
