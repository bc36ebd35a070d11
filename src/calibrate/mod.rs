//! Calibration text that the model writes itself, and what it shows: no data set is needed, and
//! text sampled from the model is the very distribution that a quantized model is to keep.
//!
//! [`generate`] samples sequences, many side by side, and sets some aside: what is learnt from the
//! others is judged on these. [`importance`] and [`inputs`] gather what the text shows of the inputs
//! of the linear maps.

mod diversity;
mod generate;
mod gram;
mod inputs;
mod recipe;
mod rounding;
mod row;
mod sampler;
mod seed_source;
mod seeds;
mod split;
mod statistics;

pub use diversity::Diversity;
pub use generate::generate;
pub use gram::{Gram, GramSums};
pub use inputs::{Input, inputs};
pub use recipe::Recipe;
pub use rounding::RoundingErrors;
pub use sampler::{Drawn, draw};
pub use seed_source::seed_source;
pub use seeds::{Chat, SeedSource};
pub use split::{CalibrationText, HeldOut, Learn};
pub use statistics::{HEAD, Importance, InputSize, Place, importance, place};

/// The tokens of one sequence, to be read from position 0 on.
pub type Sequence = Vec<u32>;
