//! Numbers side by side: the vector instructions of the CPU, and functions written for them.

mod exp;
mod half;
mod level;
#[cfg(test)]
mod levels;

pub use exp::exp;
pub use half::{widen_f16, widen_halves};
pub use level::Level;
#[cfg(test)]
pub use levels::levels;
