//! Quantized weights that learn from the full-precision model on its own text.
//!
//! Layer by layer: each layer, on what the quantized layers before it make of the text, learns to
//! give what the full-precision layer gives in the full-precision model; in the memory of one layer.
//! End to end: all layers together learn to give the next token the probabilities that the
//! full-precision model gives it; in the memory of all.

mod adam;
mod blocks;
mod end_to_end;
mod examples;
mod gains;
mod kl;
mod latent;
mod latent_layer;
mod layer;
mod loss;
mod parts;
mod readers;
mod schedule;
mod states;
mod student;
#[cfg(test)]
mod tests;
mod time_budget;

pub use blocks::{BlockTraining, Trained, TrainedBlock, train_blocks};
pub use end_to_end::{Check, EndToEnd, EndToEndTraining, TrainedWhole, train_end_to_end};
pub use latent_layer::StepLengths;
pub use layer::Training;
pub use time_budget::TokenCost;
