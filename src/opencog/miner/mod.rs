//! Mines a store for frequent patterns and tells how surprising they are, as OpenCog's miner does.
//!
//! A tree of the data is a link that no link holds. A pattern is a conjunction of one to three links
//! in which variables stand for atoms, each sharing a variable with one before; its support is the
//! number of ways in which trees match it. Unordered links are taken whole, links deeper than six
//! too, and trees of more than 24 atoms are left out.

mod abstraction;
mod beta;
mod clauses;
mod groundings;
mod options;
mod pattern;
mod search;
mod surprisingness;
#[cfg(test)]
mod tests;

pub use clauses::trees;
pub use options::MinerOptions;
pub use search::{Mined, MinedPattern, mine};
pub use surprisingness::Surprise;
