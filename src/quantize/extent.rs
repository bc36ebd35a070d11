//! How far the weights of a tensor reach, and which formats hold them.

use rayon::prelude::*;

use crate::block;
use crate::gguf::{Format, Gguf, TensorInfo};

use super::encode::{EncodeError, check, for_each_batch};

/// The largest F16: every block format that is written holds as much.
const ALWAYS_HELD: f32 = 65504.0;
/// Bytes that one thread looks at.
const TASK: usize = 1 << 20;
/// Bytes between two times that memory is given back.
const BATCH: usize = 32 << 20;

/// The least and the largest weight of a tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Extent {
    least: f32,
    largest: f32,
}

impl Extent {
    /// Of a tensor some of whose weights not every format holds; `None` of others.
    pub fn of(gguf: &Gguf, tensor: &TensorInfo) -> Result<Option<Extent>, EncodeError> {
        let may_be_beyond = match tensor.format {
            // All of its numbers are held; what is none is found where it is encoded.
            Format::F16 => false,
            Format::F32 | Format::BF16 => peak(gguf, tensor) > ALWAYS_HELD.to_bits(),
            _ => true,
        };
        if !may_be_beyond {
            return Ok(None);
        }
        let mut extent = Extent { least: 0.0, largest: 0.0 };
        for_each_batch(gguf, tensor, |_, values| {
            extent.least = values.iter().copied().fold(extent.least, f32::min);
            extent.largest = values.iter().copied().fold(extent.largest, f32::max);
        })?;
        let beyond = extent.largest.max(-extent.least) > ALWAYS_HELD;
        Ok(beyond.then_some(extent))
    }

    /// The largest weight; 0 if all are below.
    pub fn largest(self) -> f32 {
        self.largest
    }

    /// Whether a format holds all of the weights.
    pub fn is_held_by(self, format: Format) -> bool {
        let range = block::range(format);
        range.contains(&self.least) && range.contains(&self.largest)
    }
}

/// The first weight of a tensor that a format cannot hold.
pub fn first_beyond(gguf: &Gguf, tensor: &TensorInfo, format: Format) -> Option<EncodeError> {
    let columns = tensor.row_len();
    let mut found = None;
    let read = for_each_batch(gguf, tensor, |first, values| {
        if found.is_none() {
            found = check(tensor, first / columns, values, format).err();
        }
    });
    read.err().or(found)
}

/// The bits of the largest magnitude in F32: as integers, magnitudes are ordered like the numbers,
/// with infinity and NaN above all others.
fn peak(gguf: &Gguf, tensor: &TensorInfo) -> u32 {
    let bytes = gguf.data(tensor);
    let batches = bytes.chunks(BATCH).enumerate().map(|(i, batch)| {
        let peak = batch.par_chunks(TASK).map(|bytes| match tensor.format {
            Format::BF16 => peak_of_brains(bytes) << 16,
            _ => peak_of_singles(bytes),
        });
        let peak = peak.max().unwrap_or(0);
        gguf.release(tensor, i * BATCH..i * BATCH + batch.len());
        peak
    });
    batches.max().unwrap_or(0)
}

fn peak_of_brains(bytes: &[u8]) -> u32 {
    let magnitude = |&x: &[u8; 2]| i16::from_le_bytes(x) & 0x7fff;
    bytes.as_chunks().0.iter().map(magnitude).fold(0, i16::max) as u32
}

fn peak_of_singles(bytes: &[u8]) -> u32 {
    let magnitude = |&x: &[u8; 4]| i32::from_le_bytes(x) & 0x7fff_ffff;
    bytes.as_chunks().0.iter().map(magnitude).fold(0, i32::max) as u32
}
