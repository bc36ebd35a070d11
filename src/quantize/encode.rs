//! One tensor in its new format, streamed: never more of it in memory than a few megabytes.

use rayon::prelude::*;

use crate::block::{self, SquaredError};
use crate::gguf::{Format, Gguf, TensorInfo};

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

/// Encodes `tensor` in the block format `to`, weighted by `importance` where given, and hands the
/// bytes to `write` in order. Rows are encoded in parallel on rayon's current pool; neither the
/// bytes nor the returned error depend on how many threads it has.
pub fn encode_tensor<E: From<EncodeError>>(
    gguf: &Gguf,
    tensor: &TensorInfo,
    to: Format,
    importance: Option<&[f32]>,
    mut write: impl FnMut(Vec<u8>) -> Result<(), E>,
) -> Result<SquaredError, E> {
    let row_len = tensor.row_len();
    let bytes_of_rows =
        |format: Format, rows: usize| rows * (row_len / format.block_len()) * format.block_bytes();
    let task_rows = (TASK / row_len).max(1);
    let batch_rows = (BATCH / row_len / task_rows).max(1) * task_rows;
    let data = gguf.data(tensor);
    let mut sum = SquaredError::default();
    for first_row in (0..tensor.rows()).step_by(batch_rows) {
        let rows = batch_rows.min(tensor.rows() - first_row);
        let from = bytes_of_rows(tensor.format, first_row);
        let source = &data[from..from + bytes_of_rows(tensor.format, rows)];
        let mut encoded = vec![0; bytes_of_rows(to, rows)];
        let errors: Vec<SquaredError> = source
            .par_chunks(bytes_of_rows(tensor.format, task_rows))
            .zip(encoded.par_chunks_mut(bytes_of_rows(to, task_rows)))
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
        errors.into_iter().for_each(|error| sum += error);
        tracing::trace!(tensor = tensor.name, first_row, rows, %to, "encoded");
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
        to: Format,
        importance: Option<&[f32]>,
        encoded: &mut [u8],
    ) -> Result<SquaredError, EncodeError> {
        let len = encoded.len() / to.block_bytes() * to.block_len();
        self.values.resize(len, 0.0);
        self.decoded.resize(len, 0.0);
        block::decode(tensor.format, source, &mut self.values);
        check(tensor, first_row, &self.values, to)?;
        block::encode(to, &self.values, tensor.row_len(), importance, encoded);
        block::decode(to, encoded, &mut self.decoded);
        Ok(block::squared_error(&self.values, &self.decoded))
    }
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

/// What a tensor loses by being encoded as `bytes` in the block format `to`.
pub(super) fn squared_error_of(
    gguf: &Gguf,
    tensor: &TensorInfo,
    to: Format,
    bytes: &[u8],
) -> Result<SquaredError, EncodeError> {
    let mut error = SquaredError::default();
    for_each_batch(gguf, tensor, |first, values| {
        let bytes = &bytes[to.size_of(first)..to.size_of(first + values.len())];
        error += block::squared_error(values, &decoded(to, bytes));
    })?;
    Ok(error)
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

/// Whether `format` can hold whole rows, of which `first_row` is the first.
fn check(
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
