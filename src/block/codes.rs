//! Blocks opened: the scales, the minimums and the codes that an encoded block holds, to look at
//! and to change one by one. Of the formats that [can be encoded](super::can_encode).

use super::iq4;
use super::kquant::{Q4_K, Q5_K, Q6_K};
use super::legacy::{pack_high_bits, unpack_high_bits};
use super::packing::{
    f16_at, pack_nibbles, pack_scale_mins, put_f16, unpack_nibbles, unpack_scale_mins,
};
use super::search::{Iq4, inverse, round_to_f16};
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
    /// `1 / scale`; 0 where all levels are the same.
    #[inline(always)]
    pub fn inverse(self) -> f32 {
        inverse(self.scale)
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
    /// Uneven ones, ascending.
    Table(&'static [f32; 16]),
}

impl Levels {
    /// Those of a format.
    ///
    /// # Panics
    /// If the format cannot be encoded; so do all functions here.
    pub fn of(format: Format) -> Levels {
        let even = |low: i16, high| Levels::Even { low, high, zero: -low };
        match format {
            Format::Q4_0 => even(-8, 7),
            Format::Q5_0 => even(-16, 15),
            Format::Q8_0 => even(-128, 127),
            Format::Q6_K => even(-32, 31),
            Format::Q4_1 | Format::Q4_K => even(0, 15),
            Format::Q5_1 | Format::Q5_K => even(0, 31),
            Format::IQ4_NL | Format::IQ4_XS => Levels::Table(&Iq4::LEVELS),
            format => closed(format),
        }
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
            Levels::Table(levels) => (levels[15] - levels[0]) / 15.0,
        }
    }

    /// The code of a level.
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

/// Whether sub-blocks of this format have a minimum.
pub fn has_min(format: Format) -> bool {
    matches!(format, Format::Q4_1 | Format::Q5_1 | Format::Q4_K | Format::Q5_K)
}

/// Values that share a [`SubGrid`].
pub fn sub_len(format: Format) -> usize {
    if format == Format::Q6_K { 16 } else { 32 }
}

/// The grids of one block's sub-blocks, `block_len / sub_len` of them.
pub fn grids(format: Format, block: &[u8], out: &mut [SubGrid]) {
    let unit = unit(format, block);
    let scaled = |scale: i32| SubGrid { scale: unit.scale * scale as f32, min: 0.0 };
    match format {
        Format::Q4_K | Format::Q5_K => {
            let (scales, mins) = unpack_scale_mins(&block[4..16]);
            for (k, out) in out.iter_mut().enumerate() {
                let min = -(unit.min * mins[k] as f32);
                *out = SubGrid { min, ..scaled(scales[k].into()) };
            }
        }
        Format::Q6_K => {
            let subs = out.iter_mut().zip(&block[192..208]);
            subs.for_each(|(out, &sub)| *out = scaled((sub as i8).into()));
        }
        Format::IQ4_XS => {
            let subs = out.iter_mut().enumerate();
            subs.for_each(|(k, out)| *out = scaled(iq4::IQ4_XS::sub(block, k)));
        }
        _ => out[0] = unit,
    }
}

/// What the block's F16 fields hold: in super-blocks the units that the scales and the minimums of
/// sub-blocks are multiples of, and otherwise the grid itself.
pub fn unit(format: Format, block: &[u8]) -> SubGrid {
    match format {
        Format::Q4_0 | Format::Q5_0 | Format::Q8_0 | Format::IQ4_NL | Format::IQ4_XS => {
            SubGrid { scale: f16_at(block, 0), min: 0.0 }
        }
        Format::Q4_1 | Format::Q5_1 | Format::Q4_K | Format::Q5_K => {
            SubGrid { scale: f16_at(block, 0), min: f16_at(block, 2) }
        }
        Format::Q6_K => SubGrid { scale: f16_at(block, 208), min: 0.0 },
        format => closed(format),
    }
}

/// The grid nearest to `wanted` that a sub-block can have, the units of a super-block unchanged.
pub fn nearest_grid(format: Format, unit: SubGrid, wanted: SubGrid) -> SubGrid {
    let multiple = |wanted: f32, unit: f32, low: f32, high: f32| {
        let times = if unit == 0.0 { 0.0 } else { (wanted / unit).round().clamp(low, high) };
        unit * times
    };
    let scale = |low, high| multiple(wanted.scale, unit.scale, low, high);
    match format {
        Format::Q4_K | Format::Q5_K => {
            let min = -multiple(-wanted.min, unit.min, 0.0, 63.0);
            SubGrid { scale: scale(0.0, 63.0), min }
        }
        Format::Q6_K => SubGrid { scale: scale(-128.0, 127.0), min: 0.0 },
        Format::IQ4_XS => SubGrid { scale: scale(-32.0, 31.0), min: 0.0 },
        Format::Q4_1 | Format::Q5_1 => {
            SubGrid { scale: round_to_f16(wanted.scale), min: round_to_f16(wanted.min) }
        }
        _ => SubGrid { scale: round_to_f16(wanted.scale), min: 0.0 },
    }
}

/// Writes the grid of sub-block `k`, one that [`nearest_grid`] gave for this block's unit.
pub fn set_grid(format: Format, block: &mut [u8], k: usize, grid: SubGrid) {
    let unit = unit(format, block);
    let times = |value: f32, unit: f32| if unit == 0.0 { 0 } else { (value / unit).round() as i32 };
    let scale = times(grid.scale, unit.scale);
    match format {
        Format::Q4_K | Format::Q5_K => {
            let (mut scales, mut mins) = unpack_scale_mins(&block[4..16]);
            (scales[k], mins[k]) = (scale as u8, times(-grid.min, unit.min) as u8);
            pack_scale_mins(&scales, &mins, &mut block[4..16]);
        }
        Format::Q6_K => block[192 + k] = scale as i8 as u8,
        Format::IQ4_XS => iq4::IQ4_XS::set_sub(block, k, scale),
        Format::Q4_1 | Format::Q5_1 => {
            put_f16(block, 0, grid.scale);
            put_f16(block, 2, grid.min);
        }
        _ => put_f16(block, 0, grid.scale),
    }
}

/// The codes of one block, `block_len` of them.
pub fn codes(format: Format, block: &[u8], out: &mut [u8]) {
    match format {
        Format::Q4_0 | Format::IQ4_NL => unpack_nibbles(&block[2..18], out),
        Format::Q4_1 => unpack_nibbles(&block[4..20], out),
        Format::Q5_0 => {
            unpack_nibbles(&block[6..22], out);
            unpack_high_bits(&block[2..6], out);
        }
        Format::Q5_1 => {
            unpack_nibbles(&block[8..24], out);
            unpack_high_bits(&block[4..8], out);
        }
        // From two's complement to an offset.
        Format::Q8_0 => out.iter_mut().zip(&block[2..34]).for_each(|(o, &byte)| *o = byte ^ 128),
        Format::Q4_K => Q4_K::unpack(block, out),
        Format::Q5_K => Q5_K::unpack(block, out),
        Format::Q6_K => Q6_K::unpack(block, out),
        Format::IQ4_XS => {
            let subs = out.chunks_exact_mut(32).zip(block[8..].chunks_exact(16));
            subs.for_each(|(out, bytes)| unpack_nibbles(bytes, out));
        }
        format => closed(format),
    }
}

/// Writes the codes of one block and leaves its scales as they are.
pub fn set_codes(format: Format, block: &mut [u8], codes: &[u8]) {
    match format {
        Format::Q4_0 | Format::IQ4_NL => pack_nibbles(codes, &mut block[2..18]),
        Format::Q4_1 => pack_nibbles(codes, &mut block[4..20]),
        Format::Q5_0 => {
            pack_high_bits(codes, &mut block[2..6]);
            pack_nibbles(codes, &mut block[6..22]);
        }
        Format::Q5_1 => {
            pack_high_bits(codes, &mut block[4..8]);
            pack_nibbles(codes, &mut block[8..24]);
        }
        Format::Q8_0 => {
            block[2..34].iter_mut().zip(codes).for_each(|(byte, &code)| *byte = code ^ 128);
        }
        Format::Q4_K => Q4_K::pack(codes, block),
        Format::Q5_K => Q5_K::pack(codes, block),
        Format::Q6_K => Q6_K::pack(codes, block),
        Format::IQ4_XS => {
            let subs = codes.chunks_exact(32).zip(block[8..].chunks_exact_mut(16));
            subs.for_each(|(codes, bytes)| pack_nibbles(codes, bytes));
        }
        format => closed(format),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
                let at = if format == Format::Q6_K { 208 } else { 0 };
                put_f16(block, at, round_to_f16(d[0]));
                if has_min(format) {
                    put_f16(block, 2, round_to_f16(d[1]));
                }
                let (grids, codes) = opened(format, block);
                let mut decoded = vec![0.0; format.block_len()];
                decode(format, block, &mut decoded);
                let levels = Levels::of(format);
                for (i, (&code, &decoded)) in codes.iter().zip(&decoded).enumerate() {
                    let SubGrid { scale, min } = grids[i / sub_len(format)];
                    prop_assert_eq!(scale * levels.at(code) + min, decoded, "{} {}", format, i);
                    prop_assert_eq!(levels.code(levels.at(code)), code);
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
