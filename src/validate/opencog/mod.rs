//! What coding changes in what OpenCog concludes from its data, and what it costs those who use it.

pub mod attention;
pub mod latency;
pub mod mining;
pub mod moses;
pub mod ranking;
