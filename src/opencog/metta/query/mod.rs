//! Asks MeTTa in a companion for all that matches a pattern, as `match &self` does.
//!
//! Matching is unification: a variable may stand in the pattern or in a stored atom, whose variables
//! are its own. `(, A B ..)` is of several patterns that are met together. An answer comes as often
//! as there are ways to it: an atom that is twice at the top matches twice.
//!
//! Numbers are as in Hyperon: a `1` of a pattern is a `1.0` of an atom only if there is no `1`
//! anywhere, but `0` is `0.0`; a variable that stands for two numbers takes them for the same if they
//! are equal.

mod answer;
mod pattern;
mod search;
#[cfg(test)]
mod tests;
mod unify;

use super::super::atomspace::Error;
use super::packed::PackedMetta;
use pattern::Pattern;

/// What a pattern's variables can stand for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answers {
    /// The names of the variables, with their `$`.
    pub variables: Vec<String>,
    /// For each match what they stand for, as MeTTa text.
    pub matches: Vec<Vec<String>>,
    /// Whether these are all matches there are.
    pub is_complete: bool,
}

/// The longest answer, in bytes of text.
const LONGEST: usize = 1 << 26;

/// The matches of a pattern, at most `most` of them: by increasing ids of what they match, in the
/// order in which patterns that are met together are looked for.
///
/// # Errors
/// The pattern is no MeTTa text of one atom, or of more than 1000, or the answer is longer than
/// 2^26 bytes.
pub fn query(metta: &PackedMetta, pattern: &str, most: usize) -> Result<Answers, Error> {
    let pattern = Pattern::parse(pattern, metta)?;
    search::search(metta, &pattern, most, LONGEST)
}
