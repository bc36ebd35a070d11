//! What hears a pass through the layers: nothing, an observer of inputs and of the stream, or the tape
//! that the way back reads.

use super::parts::LinearInput;

/// Values that a pass computes in a layer, each with one row for each token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Computed {
    /// The stream before attention.
    Stream,
    /// The stream, normalised for attention.
    AttentionNormed,
    /// Queries before they are normalised, where they are.
    RawQueries,
    /// Keys before they are normalised, where they are.
    RawKeys,
    /// Queries as they meet keys.
    Queries,
    /// Keys as queries meet them.
    Keys,
    /// Values.
    Values,
    /// What attention gives.
    Attended,
    /// That, projected, before it is normalised, where it is.
    AttentionProjected,
    /// The stream between attention and feed-forward network.
    Middle,
    /// That, normalised for the feed-forward network.
    FfnNormed,
    /// What the gate is before its activation.
    Gate,
    /// What is gated.
    Up,
    /// The gated values.
    Gated,
    /// They, projected back, before they are normalised, where they are.
    FfnProjected,
}

/// Hears what a pass computes.
pub trait Trace {
    /// The input of some linear maps of `layer`: rows of `columns` values, one for each token.
    fn see(&mut self, _layer: usize, _input: LinearInput, _x: &[f32], _columns: usize) {}

    /// Values that the pass changes next.
    fn before(&mut self, _what: Computed, _values: &[f32]) {}

    /// Values that the pass needs no more: who keeps them takes the buffer, and leaves another.
    fn after(&mut self, _what: Computed, _values: &mut Vec<f32>) {}

    /// The residual stream of all tokens after `layer`: rows of `width` values. After the last layer
    /// it is whole only if all tokens are wanted.
    fn stream(&mut self, _layer: usize, _x: &[f32], _width: usize) {}

    /// All tokens have passed `layer`.
    fn layer_done(&mut self, _layer: usize) {}
}

/// Hears nothing.
#[derive(Debug, Clone, Copy)]
pub struct Untraced;

impl Trace for Untraced {}
