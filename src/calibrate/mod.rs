//! Calibration: what text shows of the inputs of the linear maps.

mod gram;
mod statistics;

pub use gram::{Gram, grams};
pub use statistics::{Importance, Place, importance};
