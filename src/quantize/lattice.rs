//! Tensors whose weights lie on the lattice of a block format.

use rayon::prelude::*;

use crate::block::lattice::Fit;
use crate::block::{self, lattice};
use crate::gguf::{Format, Gguf, TensorInfo};

/// Weights looked at by one thread at a time.
const TASK: usize = 32 << 10;

/// The lattices that a tensor's weights lie on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lattices {
    /// That of the smallest allowed format.
    pub allowed: Option<(Format, Fit)>,
    /// That of a smaller format, which is not allowed.
    pub refused: Option<Format>,
}

impl Lattices {
    /// Of a tensor in full precision. Of ordinary weights a few blocks tell that there is none.
    pub fn of(gguf: &Gguf, tensor: &TensorInfo, allowed: &[Format]) -> Lattices {
        let mut found = Lattices::default();
        // Zeros alone tell of no lattice, and take no time.
        let Some(telling) = first_number(gguf, tensor) else { return found };
        for format in lattice::FORMATS.into_iter().filter(|f| f.fits(tensor.row_len())) {
            let Some(fit) = fit(gguf, tensor, format, telling) else { continue };
            if allowed.contains(&format) {
                found.allowed = Some((format, fit));
                break;
            }
            found.refused.get_or_insert(format);
        }
        found
    }
}

/// The place of the first weight that is not 0, counted over all rows.
fn first_number(gguf: &Gguf, tensor: &TensorInfo) -> Option<usize> {
    /// Whole weights of any format in full precision.
    const CHUNK: usize = 64 << 10;
    // All bits together: a loop that never ends early runs on vectors.
    let is_any = |bytes: &[u8]| bytes.iter().fold(0, |bits, byte| bits | byte) != 0;
    let chunk = gguf.data(tensor).par_chunks(CHUNK).position_first(is_any);
    gguf.release(tensor, 0..tensor.bytes() as usize);
    let first = chunk? * CHUNK;
    let before = gguf.data(tensor)[first..].iter().position(|&byte| byte != 0)?;
    Some((first + before) / tensor.format.block_bytes())
}

/// How near the lattice of `format` comes to all weights, if they lie on it. Signed zeros alone tell
/// of no lattice. The weight at `telling` is looked at first, with some others.
fn fit(gguf: &Gguf, tensor: &TensorInfo, format: Format, telling: usize) -> Option<Fit> {
    let len = format.block_len();
    let blocks = tensor.elements() as usize / len;
    let of_blocks = |first: usize, blocks: usize| {
        let mut values = vec![0.0; blocks * len];
        let from = tensor.format.size_of(first * len);
        let bytes = &gguf.data(tensor)[from..from + tensor.format.size_of(blocks * len)];
        block::decode(tensor.format, bytes, &mut values);
        let fit = lattice::encode(
            format,
            tensor.format,
            &values,
            &mut vec![0; format.size_of(values.len())],
        );
        fit.map(|fit| (fit, values.iter().any(|&x| x != 0.0)))
    };
    // One here and there first.
    for first in [telling / len, 0, blocks / 3, blocks / 2, blocks - 1] {
        of_blocks(first, 1)?;
    }
    let task = TASK / len;
    let all = (0..blocks.div_ceil(task)).into_par_iter().map(|i| {
        let first = i * task;
        of_blocks(first, task.min(blocks - first))
    });
    let worst = all.try_reduce(|| (Fit::Exact, false), |a, b| Some((a.0.max(b.0), a.1 || b.1)));
    gguf.release(tensor, 0..tensor.bytes() as usize);
    worst.and_then(|(fit, some)| some.then_some(fit))
}
