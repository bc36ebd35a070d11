//! The planned tensors, encoded and written: encoding and writing run side by side.

use std::sync::mpsc::{SendError, SyncSender, sync_channel};
use std::thread;

use crate::block;
use crate::calibrate::Importance;
use crate::gguf::{Gguf, Metadata, OutputFile, TensorInfo, Writer};
use crate::progress::{Amount, Progress};

use super::candidate::Candidate;
use super::encode::{EncodeError, check_finite, encode_tensor, lost_by};
use super::encoded::Encodings;
use super::grid::on_256_levels;
use super::lost::Lost;
use super::plan::{Choice, Plan, Planned};

/// Batches that may wait for the disk.
const QUEUE: usize = 4;
/// Bytes copied at a time.
const COPY: usize = 4 << 20;

/// Why a model could not be written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A weight that no format can hold.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The file.
    #[error(transparent)]
    Write(#[from] crate::gguf::Error),
    /// The file; the reason is on the writer's side.
    #[error("the writer stopped")]
    WriterStopped,
}

impl From<SendError<Vec<u8>>> for StoreError {
    fn from(_: SendError<Vec<u8>>) -> StoreError {
        StoreError::WriterStopped
    }
}

/// Writes the whole model to `output`, and returns it with what each changed tensor lost. Errors
/// are weighted by `importance` where it is known. Tensors that are encoded already are taken from
/// `encodings`, in the formats of the plan.
pub fn store(
    gguf: &Gguf,
    plan: &Plan,
    metadata: &Metadata,
    importance: &Importance,
    encodings: &Encodings,
    output: OutputFile,
    progress: &dyn Progress,
) -> Result<(OutputFile, Vec<Option<Lost>>), StoreError> {
    let target = output.target().to_path_buf();
    let mut writer = Writer::new(output, &target, metadata, &plan.specs())?;
    let bytes = gguf.tensors().iter().map(TensorInfo::bytes).sum();
    progress.start("encoding", Amount::Bytes(bytes));
    let (sender, batches) = sync_channel::<Vec<u8>>(QUEUE);
    let (written, lost) = thread::scope(|scope| {
        let written = scope.spawn(move || {
            for batch in batches {
                writer.tensor_bytes(&batch)?;
            }
            writer.finish()
        });
        let lost = store_tensors(gguf, plan, importance, encodings, &sender, progress);
        drop(sender);
        (written.join().expect("the writer does not panic"), lost)
    });
    progress.finish();
    match lost {
        // Where the writer stopped, it knows why.
        Err(StoreError::WriterStopped) => {
            Err(written.map_or_else(Into::into, |_| StoreError::WriterStopped))
        }
        Err(error) => Err(error),
        Ok(lost) => Ok((written?, lost)),
    }
}

fn store_tensors(
    gguf: &Gguf,
    plan: &Plan,
    importance: &Importance,
    encodings: &Encodings,
    sender: &SyncSender<Vec<u8>>,
    progress: &dyn Progress,
) -> Result<Vec<Option<Lost>>, StoreError> {
    let mut losses = Vec::with_capacity(plan.tensors.len());
    for (tensor, planned) in gguf.tensors().iter().zip(&plan.tensors) {
        let lost = match encodings.get(&tensor.name) {
            Some(encoded) if planned.choice != Choice::AlreadyQuantized => {
                // Norms that were trained are in no plan.
                let to = planned.candidate().unwrap_or(Candidate::encoded(encoded.format));
                send(&encoded.bytes, sender)?;
                progress.advance(tensor.bytes());
                Some(lost_by(gguf, tensor, to, &encoded.bytes)?)
            }
            _ => store_tensor(gguf, tensor, planned, importance, sender, progress)?,
        };
        tracing::debug!(
            tensor = tensor.name,
            from = %tensor.format,
            to = %planned.spec.format,
            error = lost.map(|lost| lost.error.relative()),
        );
        losses.push(lost);
    }
    Ok(losses)
}

/// Hands over bytes that are made already.
fn send(bytes: &[u8], sender: &SyncSender<Vec<u8>>) -> Result<(), StoreError> {
    bytes.chunks(COPY).try_for_each(|part| sender.send(part.to_vec()).map_err(StoreError::from))
}

fn store_tensor(
    gguf: &Gguf,
    tensor: &TensorInfo,
    planned: &Planned,
    importance: &Importance,
    sender: &SyncSender<Vec<u8>>,
    progress: &dyn Progress,
) -> Result<Option<Lost>, StoreError> {
    if let Some(to) = planned.candidate() {
        let rows = tensor.rows() as u64;
        let row_bytes = to.format.bytes_of(tensor.row_len() as u64).unwrap_or(1);
        let send = |batch: Vec<u8>| {
            progress.advance(tensor.bytes() / rows * (batch.len() as u64 / row_bytes));
            sender.send(batch).map_err(StoreError::from)
        };
        return encode_tensor(gguf, tensor, to, importance.of(&tensor.name), send).map(Some);
    }
    match planned.choice {
        Choice::OnGrid => {
            check_finite(tensor, 0, gguf.data(tensor))?;
            let mut values = vec![0.0; tensor.elements() as usize];
            block::decode(tensor.format, gguf.data(tensor), &mut values);
            let before = values.clone();
            on_256_levels(&mut values);
            sender.send(values.iter().flat_map(|value| value.to_le_bytes()).collect())?;
            progress.advance(tensor.bytes());
            Ok(Some(Lost::of(0, tensor.row_len(), &before, &values)))
        }
        _ => {
            for (i, piece) in gguf.data(tensor).chunks(COPY).enumerate() {
                check_finite(tensor, i * COPY, piece)?;
                sender.send(piece.to_vec())?;
                gguf.release(tensor, i * COPY..i * COPY + piece.len());
                progress.advance(piece.len() as u64);
            }
            Ok(None)
        }
    }
}
