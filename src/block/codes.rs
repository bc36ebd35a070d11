//! Blocks opened: the scales, the minimums and the codes that an encoded block holds, to look at
//! and to change one by one. Of the formats that [can be encoded](super::can_encode).

use super::format::EncodeBlock;
pub use super::grid::{Levels, SubGrid};
use crate::gguf::Format;

impl Levels {
    /// Those of a format.
    ///
    /// # Panics
    /// If the format cannot be encoded; so do all functions here.
    pub fn of(format: Format) -> Levels {
        for_format!(written format, B => B::LEVELS, else closed(format))
    }
}

fn closed(format: Format) -> ! {
    panic!("blocks of {format} cannot be opened")
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
