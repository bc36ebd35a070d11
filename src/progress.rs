//! How far a run is, as it runs.

/// Hears how far a run is.
pub trait Progress: Sync {
    /// A stage begins that will handle `bytes` of the input.
    fn start(&self, stage: &'static str, bytes: u64);
    /// So many more of them are done.
    fn advance(&self, bytes: u64);
    /// The stage is over.
    fn finish(&self);
}

/// Hears nothing.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn start(&self, _: &'static str, _: u64) {}
    fn advance(&self, _: u64) {}
    fn finish(&self) {}
}
