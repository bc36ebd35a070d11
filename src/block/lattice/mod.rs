//! Weights that lie on a block format's own lattice: those of quantization-aware training that are
//! published in full precision, or what was decoded from blocks before. The blocks that decode to
//! them again.
//!
//! A search for the best scale finds the lattice of such a block by chance only: the largest level
//! that it uses need not be the largest that there is. Here every level is tried as that of the
//! largest weight, and all others must then lie on levels too, as near as the file tells them.

pub(super) mod affine;
pub(super) mod symmetric;
#[cfg(test)]
mod tests;

pub use super::on_lattice::Fit;
pub use super::stored::is_full_precision;

use super::codes::{set_codes, set_grid, set_unit, sub_len};
use super::format::Block as _;
use super::grid::{Levels, SubGrid};
use super::on_lattice::Block;
use super::stored::Stored;
use crate::gguf::Format;

/// The formats whose lattices are known, by bits per weight.
pub const FORMATS: [Format; 11] = [
    Format::MXFP4,
    Format::IQ4_XS,
    Format::IQ4_NL,
    Format::Q4_0,
    Format::Q4_K,
    Format::Q4_1,
    Format::Q5_0,
    Format::Q5_K,
    Format::Q5_1,
    Format::Q6_K,
    Format::Q8_0,
];

/// Encodes whole blocks of `values`, which a file holds in the format `stored`, into `out`; `None`
/// if they do not lie on the lattice of `format`, and `out` is then of no use.
///
/// # Panics
/// If the lattice of the format is unknown, if `stored` is not in full precision or if the lengths
/// do not agree.
pub fn encode(format: Format, stored: Format, values: &[f32], out: &mut [u8]) -> Option<Fit> {
    assert_eq!(format.bytes_of(values.len() as u64), Some(out.len() as u64), "{format} lengths");
    let stored = Stored::of(stored);
    let blocks = values.chunks_exact(format.block_len());
    let mut worst = Fit::Exact;
    for (x, block) in blocks.zip(out.chunks_exact_mut(format.block_bytes())) {
        if !x.iter().all(|x| x.is_finite()) {
            return None;
        }
        worst = worst.max(encode_block(format, stored, x, block)?);
    }
    Some(worst)
}

/// The numbers that a file in the format `stored` has for these.
pub fn round_to(stored: Format, values: &mut [f32]) {
    let stored = Stored::of(stored);
    values.iter_mut().for_each(|x| *x = stored.round(*x));
}

fn encode_block(format: Format, stored: Stored, x: &[f32], block: &mut [u8]) -> Option<Fit> {
    let on_lattice = for_format!(read format, B => B::ON_LATTICE, else None);
    let Some(encode) = on_lattice else { panic!("the lattice of {format} is unknown") };
    encode(&mut Block { format, stored, x, bytes: block })
}

/// What is found of formats whose weights either lie on the lattice or do not.
pub(super) fn exact(found: bool) -> Option<Fit> {
    found.then_some(Fit::Exact)
}

impl<'b> Block<'b> {
    fn levels(&self) -> Levels {
        Levels::of(self.format)
    }

    /// The weights of each sub-block.
    fn subs(&self) -> impl Iterator<Item = &'b [f32]> + use<'b> {
        self.x.chunks_exact(sub_len(self.format))
    }

    /// Fills the block, if its weights are those of these grids, one for each sub-block. `unit` is
    /// what the grids of a super-block are multiples of, and else the grid itself.
    fn fill(&mut self, unit: SubGrid, grids: &[SubGrid]) -> bool {
        let levels = self.levels();
        let mut codes = [0; 256];
        let subs = codes.chunks_exact_mut(sub_len(self.format)).zip(self.subs()).zip(grids);
        for ((codes, x), &grid) in subs {
            for (code, &x) in codes.iter_mut().zip(x) {
                let level = nearest(levels, f64::from(grid.place(x)));
                if self.stored.round(grid.scale * level + grid.min) != x {
                    return false;
                }
                *code = levels.code(level);
            }
        }
        self.write(unit, grids, &codes);
        true
    }

    fn write(&mut self, unit: SubGrid, grids: &[SubGrid], codes: &[u8]) {
        let (format, block) = (self.format, &mut *self.bytes);
        block.fill(0);
        set_unit(format, block, unit);
        grids.iter().enumerate().for_each(|(k, &grid)| set_grid(format, block, k, grid));
        set_codes(format, block, &codes[..format.block_len()]);
    }
}

/// The level nearest to a number of steps.
fn nearest(levels: Levels, place: f64) -> f32 {
    match levels {
        Levels::Even { low, high, .. } => {
            place.round_ties_even().clamp(f64::from(low), f64::from(high)) as f32
        }
        Levels::Table(levels) => {
            let above = |pair: &[f32]| place > f64::from(0.5 * (pair[0] + pair[1]));
            levels[levels.windows(2).take_while(|pair| above(pair)).count()]
        }
    }
}
