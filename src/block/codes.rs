//! Blocks opened: the scales, the minimums and the codes that an encoded block holds, to look at
//! and to change one by one. Of the formats that [can be encoded](super::can_encode).

use super::format::EncodeBlock;
use super::search::inverse;
use crate::gguf::Format;

/// The grid of a sub-block: code `q` stands for `scale * level(q) + min`, in F32, first multiplied
/// and then added: the same number as [`super::decode`] gives (but for the sign of a zero).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SubGrid {
    /// From one integer level to the next.
    pub scale: f32,
    /// What level 0 stands for; 0 in formats without a minimum.
    pub min: f32,
}

impl SubGrid {
    /// `1 / scale`; 0 where all levels are the same, and finite where the scale is subnormal.
    #[inline(always)]
    pub fn inverse(self) -> f32 {
        inverse(self.scale).min(f32::MAX)
    }

    /// Where a weight lies, in levels.
    #[inline(always)]
    pub fn place(self, weight: f32) -> f32 {
        (weight - self.min) * self.inverse()
    }
}

/// The levels that codes stand for, in units of the scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Levels {
    /// The integers from `low` to `high`.
    Even {
        /// The lowest.
        low: i16,
        /// The highest.
        high: i16,
        /// The code of level 0.
        zero: i16,
    },
    /// Uneven ones, ascending. A level may stand there twice, if two codes stand for it.
    Table(&'static [f32; 16]),
}

impl Levels {
    /// Those of a format.
    ///
    /// # Panics
    /// If the format cannot be encoded; so do all functions here.
    pub fn of(format: Format) -> Levels {
        for_format!(written format, B => B::LEVELS, else closed(format))
    }

    /// The integers from `low` to `high`.
    pub(super) const fn even(low: i16, high: i16) -> Levels {
        Levels::Even { low, high, zero: -low }
    }

    /// The level of a code.
    pub fn at(self, code: u8) -> f32 {
        match self {
            Levels::Even { zero, .. } => f32::from(i16::from(code) - zero),
            Levels::Table(levels) => levels[usize::from(code)],
        }
    }

    /// Half a step beyond the outermost levels: what lies further out is clipped.
    pub fn borders(self) -> (f32, f32) {
        match self {
            Levels::Even { low, high, .. } => (f32::from(low) - 0.5, f32::from(high) + 0.5),
            Levels::Table([first, second, .., before, last]) => {
                (1.5 * first - 0.5 * second, 1.5 * last - 0.5 * before)
            }
        }
    }

    /// The mean distance between neighbouring levels.
    pub fn spacing(self) -> f32 {
        match self {
            Levels::Even { .. } => 1.0,
            Levels::Table(levels) => {
                let steps = levels.windows(2).filter(|pair| pair[0] < pair[1]).count();
                (levels[15] - levels[0]) / steps as f32
            }
        }
    }

    /// The level next to that of a code: the next higher one, or the next lower one.
    pub fn next_to(self, code: u8, higher: bool) -> f32 {
        let level = self.at(code);
        let next = |by: u8| if higher { self.at(code + by) } else { self.at(code - by) };
        if next(1) == level { next(2) } else { next(1) }
    }

    /// The code of a level; of two the lower one.
    pub fn code(self, level: f32) -> u8 {
        match self {
            Levels::Even { zero, .. } => (level as i16 + zero) as u8,
            Levels::Table(levels) => levels.iter().filter(|&&other| other < level).count() as u8,
        }
    }

    /// Replaces each number by the level nearest to it. Plain arithmetic, so that it vectorises.
    #[inline(always)]
    pub fn round<const N: usize>(self, x: &mut [f32; N]) {
        /// 1.5 * 2^23: adding it rounds small numbers to integers, ties to even.
        const MAGIC: f32 = 12_582_912.0;
        match self {
            Levels::Even { low, high, .. } => {
                let (low, high) = (f32::from(low), f32::from(high));
                for x in x {
                    let above = if *x > low { *x } else { low };
                    let within = if above < high { above } else { high };
                    *x = (within + MAGIC) - MAGIC;
                }
            }
            Levels::Table(levels) => {
                let mut rounded = [levels[0]; N];
                for pair in levels.windows(2) {
                    let middle = 0.5 * (pair[0] + pair[1]);
                    for (rounded, x) in rounded.iter_mut().zip(x.iter()) {
                        *rounded = if *x > middle { pair[1] } else { *rounded };
                    }
                }
                *x = rounded;
            }
        }
    }
}

fn closed(format: Format) -> ! {
    panic!("blocks of {format} cannot be opened")
}

/// The multiple of `unit` nearest to `wanted`, from `low` to `high` times.
pub(super) fn multiple(wanted: f32, unit: f32, (low, high): (i32, i32)) -> f32 {
    let times =
        if unit == 0.0 { 0.0 } else { (wanted / unit).round().clamp(low as f32, high as f32) };
    unit * times
}

/// How many times `unit` one of its multiples is.
pub(super) fn times(multiple: f32, unit: f32) -> i32 {
    if unit == 0.0 { 0 } else { (multiple / unit).round() as i32 }
}

/// Whether sub-blocks of this format have a minimum.
pub fn has_min(format: Format) -> bool {
    for_format!(written format, B => B::HAS_MIN, else closed(format))
}

/// Values that share a [`SubGrid`]: 16 or 32.
pub fn sub_len(format: Format) -> usize {
    for_format!(written format, B => B::SUB_LEN, else closed(format))
}

/// The grids of one block's sub-blocks, `block_len / sub_len` of them.
pub fn grids(format: Format, block: &[u8], out: &mut [SubGrid]) {
    for_format!(written format, B => B::grids(block, out), else closed(format))
}

/// In super-blocks the units that the scales and the minimums of sub-blocks are multiples of, and
/// otherwise the grid itself.
pub fn unit(format: Format, block: &[u8]) -> SubGrid {
    for_format!(written format, B => B::unit(block), else closed(format))
}

/// Writes the unit of a block.
pub(super) fn set_unit(format: Format, block: &mut [u8], unit: SubGrid) {
    for_format!(written format, B => B::set_unit(block, unit), else closed(format))
}

/// The grid nearest to `wanted` that a sub-block can have, the units of a super-block unchanged.
pub fn nearest_grid(format: Format, unit: SubGrid, wanted: SubGrid) -> SubGrid {
    for_format!(written format, B => B::nearest_grid(unit, wanted), else closed(format))
}

/// Writes the grid of sub-block `k`, one that [`nearest_grid`] gave for this block's unit.
pub fn set_grid(format: Format, block: &mut [u8], k: usize, grid: SubGrid) {
    for_format!(written format, B => B::set_grid(block, k, grid), else closed(format))
}

/// The codes of one block, `block_len` of them.
pub fn codes(format: Format, block: &[u8], out: &mut [u8]) {
    for_format!(written format, B => B::codes(block, out), else closed(format))
}

/// Writes the codes of one block and leaves its scales as they are.
pub fn set_codes(format: Format, block: &mut [u8], codes: &[u8]) {
    for_format!(written format, B => B::set_codes(block, codes), else closed(format))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::search::round_to_f16;
    use crate::block::{can_encode, decode};
    use proptest::prelude::*;

    fn encodable() -> impl Iterator<Item = Format> {
        Format::all().filter(|&format| can_encode(format))
    }

    fn opened(format: Format, block: &[u8]) -> (Vec<SubGrid>, Vec<u8>) {
        let len = format.block_len();
        let mut grids = vec![SubGrid::default(); len / sub_len(format)];
        let mut codes = vec![0; len];
        super::grids(format, block, &mut grids);
        super::codes(format, block, &mut codes);
        (grids, codes)
    }

    proptest! {
        #[test]
        fn opened_blocks_hold_what_decoding_gives(
            bytes in prop::collection::vec(any::<u8>(), 256),
            d in prop::array::uniform2(-4f32..4.0),
        ) {
            for format in encodable() {
                let block = &mut bytes.clone()[..format.block_bytes()];
                // Random bytes would often be infinite scales.
                let [scale, min] = d.map(round_to_f16);
                set_unit(format, block, SubGrid { scale, min });
                let (grids, codes) = opened(format, block);
                let mut decoded = vec![0.0; format.block_len()];
                decode(format, block, &mut decoded);
                let levels = Levels::of(format);
                for (i, (&code, &decoded)) in codes.iter().zip(&decoded).enumerate() {
                    let SubGrid { scale, min } = grids[i / sub_len(format)];
                    prop_assert_eq!(scale * levels.at(code) + min, decoded, "{} {}", format, i);
                    let level = levels.at(code);
                    prop_assert_eq!(levels.at(levels.code(level)), level);
                    let other = levels.code(level);
                    prop_assert!(other == code || other + 1 == code && level == 0.0);
                }
                let mut again = block.to_vec();
                set_codes(format, &mut again, &vec![0; codes.len()]);
                set_codes(format, &mut again, &codes);
                prop_assert_eq!(&again[..], &block[..], "{} codes", format);
                for (k, &grid) in grids.iter().enumerate() {
                    prop_assert_eq!(nearest_grid(format, unit(format, block), grid), grid);
                    set_grid(format, &mut again, k, grid);
                    let mut kept = grids.clone();
                    super::grids(format, &again, &mut kept);
                    prop_assert_eq!(&kept, &grids, "{} grids", format);
                }
            }
        }

        #[test]
        fn numbers_are_rounded_to_the_nearest_level(x in prop::array::uniform8(-150f32..150.0)) {
            for format in encodable() {
                let levels = Levels::of(format);
                let all: Vec<f32> = match levels {
                    Levels::Even { low, high, .. } => (low..=high).map(f32::from).collect(),
                    Levels::Table(table) => table.to_vec(),
                };
                let mut rounded = x;
                levels.round(&mut rounded);
                for (x, rounded) in x.iter().zip(rounded) {
                    let least = all.iter().map(|l| (l - x).abs()).fold(f32::MAX, f32::min);
                    prop_assert!(all.contains(&rounded) && (rounded - x).abs() <= least + 1e-4);
                }
            }
        }
    }
}
