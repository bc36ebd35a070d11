//! The backward pass of one layer: from gradients of what it gives to gradients of what it is given
//! and of its weights; and that of the output head.
//!
//! All in F32, on weights that are widened once. A [`Tape`] passes a small batch through the layer,
//! keeps what the way back needs, and computes anew what is cheap.

mod attention;
mod gate;
mod head;
mod norm;
mod product;
mod tape;
#[cfg(test)]
mod tests;

pub use norm::norm_backward;
pub use tape::{LayerPlace, Tape};
