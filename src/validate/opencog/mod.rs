//! What coding OpenCog data costs those who use it.

pub mod latency;
pub mod mining;
