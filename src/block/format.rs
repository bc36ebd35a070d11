//! What a block format says about itself, and the one place that leads from a [`Format`] to the
//! type that says it.
//!
//! To add a format: a type in the file of its family that implements [`Block`] and, if it is
//! written, [`EncodeBlock`]; and its line in one of the two lists below. Its id, its sizes and its
//! `general.file_type` stand in [`Format`]'s own table, as the container needs them of formats too
//! of which nothing else is known here.

use pulp::Simd;

use super::decode_blocks;
use super::grid::{Levels, SubGrid};
use super::on_lattice::{self, Fit};
use super::packing::{f16_at, put_f16};
use super::search::{Weights, round_to_f16};
use crate::gguf::Format;
use crate::simd::Level;

/// What llama.cpp rounds activations to before it multiplies them with weights on a CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(non_camel_case_types, reason = "ggml's names")]
pub enum Rounding {
    /// Nothing: they stay F32.
    None,
    /// F16.
    Half,
    /// BF16.
    Brain,
    /// 8-bit integers with an F16 scale for each 32.
    Q8_0,
    /// The same, and the sum of each 32 in F16.
    Q8_1,
    /// 8-bit integers with an F32 scale for each 256.
    Q8_K,
}

/// The largest F16: no scale and no minimum that is stored as one is larger.
pub const F16_MAX: f32 = 65504.0;

/// Encodes the weights of a block that lie on a format's lattice.
pub type EncodeOnLattice = fn(&mut on_lattice::Block) -> Option<Fit>;

/// A format whose blocks can be read.
pub trait Block: Sized {
    /// Which one it is.
    const FORMAT: Format;
    /// Values of a block.
    const LEN: usize;
    /// Bytes of a block, as its fields add up.
    const BYTES: usize;
    /// The bits that it is named after: 4 for Q4_K and IQ4_XS, 8 for Q8_0.
    const NOMINAL_BITS: u32;
    /// What llama.cpp rounds the activations to that meet weights in it (`vec_dot_type` in
    /// `ggml-cpu.c`).
    const ACTIVATIONS: Rounding;
    /// Whether llama.cpp reorders the blocks of a matrix when it loads it, on x86 with AVX2
    /// (`repack.cpp` of ggml 0.25).
    const REPACKED: bool = false;
    /// The least and the largest value that it holds: its outermost levels times its largest scale.
    const RANGE: (f32, f32);
    /// The search for weights on its lattice, if there is one.
    const ON_LATTICE: Option<EncodeOnLattice> = None;

    /// Decodes one block of `BYTES` into `LEN` values.
    fn decode(block: &[u8], out: &mut [f32]);

    /// Decodes whole blocks.
    fn decode_all(level: Level, bytes: &[u8], out: &mut [f32]) {
        decode_blocks::<Self>(level, bytes, out);
    }
}

/// A format whose blocks can be opened and written.
///
/// What is provided here is that of blocks with one F16 scale and, if they have one, an F16 minimum
/// behind it.
pub trait EncodeBlock: Block {
    /// The levels that its codes stand for, in units of the scale.
    const LEVELS: Levels;
    /// Values that share a grid: all of a block, or a sub-block.
    const SUB_LEN: usize = Self::LEN;
    /// Whether grids have a minimum.
    const HAS_MIN: bool = false;
    /// Where in a block the F16 scale stands.
    const SCALE_AT: usize = 0;

    /// What ggml's own search finds for a block.
    type Reference: Copy + Default;

    /// How many blocks [`EncodeBlock::references`] takes at a time, at most.
    const GROUP: usize;

    /// How many chunks of ordinary weights, without importance, make a row on which our search is
    /// the better one for sure; none if ggml does not search there, but rounds.
    const ENOUGH: f32;

    /// Whether ggml's search finds lattices of equal steps better than ours.
    const FINDS_LATTICES: bool = false;

    /// What ggml's own search finds for some blocks, one each.
    fn references<S: Simd, W: Weights>(simd: S, x: &[f32], w: W, found: &mut [Self::Reference]);

    /// Encodes `LEN` finite values into one block, losing as little as it can of the squared error
    /// weighted by `w`, and never more than `theirs` would, if given.
    fn encode<S: Simd, W: Weights>(
        simd: S,
        x: &[f32],
        w: W,
        theirs: Option<&Self::Reference>,
        block: &mut [u8],
    );

    /// In super-blocks the units that the scales and the minimums of sub-blocks are multiples of,
    /// and otherwise the grid itself.
    fn unit(block: &[u8]) -> SubGrid {
        let min = if Self::HAS_MIN { f16_at(block, Self::SCALE_AT + 2) } else { 0.0 };
        SubGrid { scale: f16_at(block, Self::SCALE_AT), min }
    }

    /// Writes the unit.
    fn set_unit(block: &mut [u8], unit: SubGrid) {
        put_f16(block, Self::SCALE_AT, unit.scale);
        if Self::HAS_MIN {
            put_f16(block, Self::SCALE_AT + 2, unit.min);
        }
    }

    /// The grids of the `LEN / SUB_LEN` sub-blocks.
    fn grids(block: &[u8], out: &mut [SubGrid]) {
        out[0] = Self::unit(block);
    }

    /// The grid nearest to `wanted` that a sub-block can have, the unit of a super-block unchanged.
    fn nearest_grid(_unit: SubGrid, wanted: SubGrid) -> SubGrid {
        let min = if Self::HAS_MIN { round_to_f16(wanted.min) } else { 0.0 };
        SubGrid { scale: round_to_f16(wanted.scale), min }
    }

    /// Writes the grid of sub-block `k`, one that [`EncodeBlock::nearest_grid`] gave for this
    /// block's unit.
    fn set_grid(block: &mut [u8], _k: usize, grid: SubGrid) {
        Self::set_unit(block, grid);
    }

    /// The codes of a block.
    fn codes(block: &[u8], out: &mut [u8]);

    /// Writes the codes of a block and leaves its scales as they are.
    fn set_codes(block: &mut [u8], codes: &[u8]);
}

/// The formats that are only read, each with its type.
macro_rules! read_only {
    ($then:ident $args:tt) => {
        $then! {
            $args
            F32 = float::F32,
            F16 = float::F16,
            BF16 = float::BF16,
            Q2_K = kquant::Q2_K,
            Q3_K = kquant::Q3_K
        }
    };
}

/// The formats that are written too.
macro_rules! written {
    ($then:ident $args:tt) => {
        $then! {
            $args
            Q4_0 = legacy::Q4_0,
            Q4_1 = legacy::Q4_1,
            Q5_0 = legacy::Q5_0,
            Q5_1 = legacy::Q5_1,
            Q8_0 = legacy::Q8_0,
            Q4_K = kquant::Q4_K,
            Q5_K = kquant::Q5_K,
            Q6_K = kquant::Q6_K,
            IQ4_NL = iq4::IQ4_NL,
            IQ4_XS = iq4::IQ4_XS,
            MXFP4 = mxfp4::MXFP4
        }
    };
}

/// The only `match` over block formats.
macro_rules! match_format {
    (
        ($format:expr, $B:ident => $do:expr, else $other:expr)
        $($name:ident = $family:ident::$type:ident),*
    ) => {
        match $format {
            $($crate::gguf::Format::$name => {
                type $B = $crate::block::$family::$type;
                $do
            })*
            _ => $other,
        }
    };
}

/// `for_format!(written format, B => with(B), else otherwise)`: an expression in which `B` is the
/// type of a format that is `written`, or of any that is `read`.
macro_rules! for_format {
    (written $format:expr, $B:ident => $do:expr, else $other:expr) => {
        written!(match_format($format, $B => $do, else $other))
    };
    (read $format:expr, $B:ident => $do:expr, else $other:expr) => {
        read_only!(match_format(
            $format, $B => $do, else for_format!(written $format, $B => $do, else $other)
        ))
    };
}

/// The container and the type agree on what a block is.
macro_rules! assert_sizes {
    (() $($name:ident = $family:ident::$type:ident),*) => {
        $(const _: () = {
            use super::$family::$type as B;
            assert!(B::FORMAT as usize == Format::$name as usize, stringify!($name));
            assert!(B::LEN == Format::$name.block_len(), stringify!($name));
            assert!(B::BYTES == Format::$name.block_bytes(), stringify!($name));
        };)*
    };
}

/// Whoever works on sub-blocks has loops for 16 and for 32 values, and a block is whole ones.
macro_rules! assert_sub_blocks {
    (() $($name:ident = $family:ident::$type:ident),*) => {
        $(const _: () = {
            use super::$family::$type as B;
            assert!(B::SUB_LEN == 16 || B::SUB_LEN == 32, stringify!($name));
            assert!(B::LEN.is_multiple_of(B::SUB_LEN) && B::LEN <= 256, stringify!($name));
        };)*
    };
}

read_only!(assert_sizes());
written!(assert_sizes());
written!(assert_sub_blocks());

/// The bits that a format is named after: 4 for Q4_K and IQ4_XS, 8 for Q8_0. `None` if it cannot be
/// decoded.
pub fn nominal_bits(format: Format) -> Option<u32> {
    for_format!(read format, B => Some(B::NOMINAL_BITS), else None)
}

/// What llama.cpp rounds activations to where the weights have this format; nothing if it cannot
/// be decoded.
pub fn activations(format: Format) -> Rounding {
    for_format!(read format, B => B::ACTIVATIONS, else Rounding::None)
}

/// Whether llama.cpp reorders the blocks of a matrix in this format when it loads it, on x86 with
/// AVX2.
pub fn is_repacked(format: Format) -> bool {
    for_format!(read format, B => B::REPACKED, else false)
}
