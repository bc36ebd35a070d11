//! What a pass through a layer asks of its linear maps, however their weights are held.

/// A linear map.
pub trait LinearMap: Sized {
    /// Values of its output.
    fn rows(&self) -> usize;

    /// Values of its input.
    fn columns(&self) -> usize;

    /// What maps that share their input make of it. Shapes: `x` tokens x columns, each output tokens
    /// x rows.
    fn apply_all(maps: &mut [(&Self, &mut [f32])], x: &[f32]);
}
