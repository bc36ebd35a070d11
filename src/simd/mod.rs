//! Numbers side by side: the vector instructions of the CPU.

mod level;
#[cfg(test)]
mod levels;

pub use level::Level;
#[cfg(test)]
pub use levels::levels;
