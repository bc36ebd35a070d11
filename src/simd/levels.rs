//! The levels of vector instructions that this CPU can run.

use pulp::Arch;

use super::Level;

/// Plain Rust, and then all that this CPU has.
pub fn levels() -> Vec<Level> {
    let mut levels = vec![Level::Portable];
    #[cfg(target_arch = "x86_64")]
    {
        use pulp::x86::{V3, V4};
        levels.extend(V3::try_new().map(|simd| Level::Vector(Arch::V3(simd))));
        levels.extend(V4::try_new().map(|simd| Level::Vector(Arch::V4(simd))));
    }
    #[cfg(not(target_arch = "x86_64"))]
    levels.push(Level::widest());
    levels
}
