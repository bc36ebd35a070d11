//! What coding changes in what OpenCog concludes from its data.

pub mod attention;
pub mod moses;
pub mod ranking;
