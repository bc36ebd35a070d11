//! How far a run is, as it runs.

/// How much a stage has to do, and in what it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// Bytes of the input.
    Bytes(u64),
    /// Tokens of text.
    Tokens(u64),
}

/// Hears how far a run is.
pub trait Progress: Sync {
    /// A stage begins that will handle `all` this.
    fn start(&self, stage: &'static str, all: Amount);
    /// What is to be known of the stage now, beside how far it is: one line.
    fn tell(&self, now: &str);
    /// So many more bytes, or tokens, are done.
    fn advance(&self, more: u64);
    /// The stage is over.
    fn finish(&self);
}

/// Hears nothing.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn start(&self, _: &'static str, _: Amount) {}
    fn tell(&self, _: &str) {}
    fn advance(&self, _: u64) {}
    fn finish(&self) {}
}
