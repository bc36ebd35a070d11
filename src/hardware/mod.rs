//! The machines a model is packed for, and the block formats that suit each.

use std::borrow::Cow;

use crate::block::SharedScale;
use crate::gguf::Format;

mod cost;
mod cpu;
mod fused;
mod gpu;
mod memory;
mod speed;
pub mod tpu;
mod workload;

pub use cost::Cost;
pub use cpu::InstructionSet;
pub use memory::Memory;
pub use speed::{SpeedFloor, Time};
pub use workload::{SpeedUp, Utilisation, Workload};

/// What kind of machine runs the quantized model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hardware {
    /// llama.cpp on the processor.
    Cpu,
    /// llama.cpp on a graphics card: CUDA, Vulkan or Metal.
    Gpu,
    /// A TPU, which multiplies integers of 4 and of 8 bits.
    Tpu,
}

impl Hardware {
    /// The formats it runs, by bits per weight.
    pub fn palette(self) -> &'static [Format] {
        const OF_CPU: &[Format] = &[
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
        match self {
            Hardware::Cpu => OF_CPU,
            // IQ4_XS is slower than the rest: see `gpu`.
            Hardware::Gpu => OF_CPU.split_at(1).1,
            Hardware::Tpu => &[Format::Q4_0, Format::Q8_0],
        }
    }

    /// Formats that it runs too, but that weights get only if they lie on their lattice, or if the
    /// user names them and they can be written: MXFP4, whose scales are powers of two, loses twice
    /// as much as IQ4_XS of as many bits.
    pub fn beside_palette(self) -> &'static [Format] {
        match self {
            Hardware::Cpu | Hardware::Gpu => &[Format::MXFP4],
            Hardware::Tpu => &[],
        }
    }

    /// What the blocks of a format share in rows of so many columns, all of which whole blocks
    /// hold: nothing but on a TPU, which multiplies int8 with one scale a row, and int4 with one
    /// scale a tile of [`TILE`] inputs, or of the largest of 64 and 32 that divides the rows.
    pub fn shared_scale(self, format: Format, columns: usize) -> Option<SharedScale> {
        let tile = || [TILE, 64, 32].into_iter().find(|&tile| columns.is_multiple_of(tile));
        match (self, format) {
            (Hardware::Tpu, Format::Q8_0) => Some(SharedScale::Row(columns)),
            (Hardware::Tpu, Format::Q4_0) => tile().map(SharedScale::Tile),
            _ => None,
        }
    }

    /// The name of the tensor that is loaded in place of this one: tensors of one name need one
    /// format. The tensor itself, but on a TPU, whose loaders put some together.
    pub fn loaded_as(self, tensor: &str) -> Cow<'_, str> {
        match self {
            Hardware::Tpu => fused::fused(tensor),
            Hardware::Cpu | Hardware::Gpu => tensor.into(),
        }
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Hardware::Cpu => "cpu",
            Hardware::Gpu => "gpu",
            Hardware::Tpu => "tpu",
        }
    }
}

/// Inputs that share a scale in int4.
pub const TILE: usize = 128;

/// The formats that other programs than llama.cpp decode too, by bits per weight.
pub const PORTABLE: [Format; 5] =
    [Format::Q4_0, Format::Q4_K, Format::Q5_K, Format::Q6_K, Format::Q8_0];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::nominal_bits;

    #[test]
    fn palettes_hold_formats_that_can_be_written() {
        for hardware in [Hardware::Cpu, Hardware::Gpu, Hardware::Tpu] {
            let palette = hardware.palette();
            let known = |&f: &Format| crate::block::can_encode(f) && nominal_bits(f).is_some();
            assert!(palette.iter().all(known));
            assert!(palette.is_sorted_by(|a, b| a.bpw() <= b.bpw()));
        }
        let palette = Hardware::Cpu.palette();
        assert!(PORTABLE.iter().all(|format| palette.contains(format)));
        for bits in palette.iter().map(|&format| nominal_bits(format)) {
            assert!(PORTABLE.iter().any(|&format| nominal_bits(format) == bits), "{bits:?}");
        }
    }

    #[test]
    fn only_a_tpu_shares_scales() {
        use SharedScale::{Row, Tile};
        let shared = |format, columns| Hardware::Tpu.shared_scale(format, columns);
        assert_eq!(shared(Format::Q8_0, 576), Some(Row(576)));
        for (columns, tile) in [(2048, 128), (576, 64), (96, 32), (32, 32), (640, 128)] {
            assert_eq!(shared(Format::Q4_0, columns), Some(Tile(tile)), "{columns}");
            assert!(Tile(tile).fits(columns));
        }
        for &format in Hardware::Tpu.palette() {
            let shared = shared(format, 256).unwrap();
            assert_eq!(shared.format(), format);
            assert_eq!(Hardware::Cpu.shared_scale(format, 256), None);
            assert_eq!(Hardware::Gpu.shared_scale(format, 256), None);
        }
    }

    #[test]
    fn only_a_tpu_has_tensors_put_together() {
        let query = "blk.0.attn_q.weight";
        assert_eq!(Hardware::Tpu.loaded_as(query), "blk.0.attn_qkv.weight");
        assert_eq!(Hardware::Cpu.loaded_as(query), query);
        assert_eq!(Hardware::Gpu.loaded_as(query), query);
    }
}
