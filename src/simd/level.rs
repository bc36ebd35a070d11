//! The levels of vector instructions that an operation can run at.

use pulp::{Arch, Scalar256b, Simd, WithSimd};

/// A level of vector instructions. All give the same results.
#[derive(Debug, Clone, Copy)]
pub enum Level {
    /// Plain Rust in the shape of eight lanes.
    Portable,
    /// What pulp found the CPU to have, other than nothing.
    Vector(Arch),
}

impl Level {
    /// The widest that this CPU has.
    pub fn widest() -> Level {
        match Arch::new() {
            Arch::Scalar => Level::Portable,
            arch => Level::Vector(arch),
        }
    }

    /// What the instructions are called.
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Level::Vector(Arch::V4(_)) => "AVX-512",
            #[cfg(target_arch = "x86_64")]
            Level::Vector(Arch::V3(_)) => "AVX2",
            #[cfg(target_arch = "aarch64")]
            Level::Vector(Arch::Neon(_)) => "NEON",
            _ => "no vectors",
        }
    }

    /// Runs `op`, compiled for this level.
    #[inline]
    pub fn run<O: WithSimd>(self, op: O) -> O::Output {
        // Not `Arch::dispatch`: that would compile every operation for single lanes too.
        match self {
            #[cfg(target_arch = "x86_64")]
            Level::Vector(Arch::V4(simd)) => Simd::vectorize(simd, op),
            #[cfg(target_arch = "x86_64")]
            Level::Vector(Arch::V3(simd)) => Simd::vectorize(simd, op),
            #[cfg(target_arch = "aarch64")]
            Level::Vector(Arch::Neon(simd)) => Simd::vectorize(simd, op),
            _ => Simd::vectorize(Scalar256b, op),
        }
    }
}
