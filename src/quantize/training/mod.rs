//! Quantized weights that learn, layer by layer, from the full-precision model on its own text: each
//! layer, on what the quantized layers before it make of the text, learns to give what the
//! full-precision layer gives in the full-precision model.

mod adam;
mod blocks;
mod examples;
mod latent;
mod layer;
mod loss;
#[cfg(test)]
mod tests;
mod time_budget;

pub use blocks::{BlockTraining, Trained, TrainedBlock, train_blocks};
pub use layer::Training;
