//! Calibration text that the model writes itself: no data set is needed, and text sampled from the
//! model is the very distribution that a quantized model is to keep.
//!
//! [`generate`] samples sequences, many side by side, and sets some aside: what is learnt from the
//! others is judged on these.

mod diversity;
mod generate;
mod recipe;
mod row;
mod sampler;
mod seeds;
mod split;

pub use diversity::Diversity;
pub use generate::generate;
pub use recipe::Recipe;
pub use sampler::{Drawn, Sampling, draw};
pub use seeds::{Chat, SeedSource};
pub use split::{CalibrationText, HeldOut, Learn};

/// The tokens of one sequence, to be read from position 0 on.
pub type Sequence = Vec<u32>;
