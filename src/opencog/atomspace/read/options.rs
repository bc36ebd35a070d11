//! How a file is read, and what reading it brought.

use std::sync::Arc;

use super::super::declarations::Declarations;
use super::super::replaced::Gone;
use super::skipped::Skipped;

/// Which value stays where an atom is given one more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TvMerge {
    /// Nearly as the fast reader of AtomSpace: what a nested atom carries is taken if the atom has
    /// no such value at that moment, so that what is said only once is never lost; an atom at the
    /// top of a form, and a command, overwrites. (The fast reader takes it only if the atom is new.)
    #[default]
    FirstNested,
    /// As `load` of Guile: the last one.
    Last,
}

impl TvMerge {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            TvMerge::FirstNested => "first",
            TvMerge::Last => "last",
        }
    }
}

/// How a file is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Which value stays where an atom is given one more than once.
    pub tv_merge: TvMerge,
    /// Words that the file uses for types without defining them: (`e`, `Evaluation`).
    pub aliases: Vec<(String, String)>,
    /// The types that are declared; where nothing is said, those of OpenCog's modules.
    pub types: Option<Arc<Declarations>>,
}

/// What reading brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadSummary {
    /// Forms at the top that were taken.
    pub forms: u64,
    /// Atoms that were read, each as often as it is written.
    pub atoms_written: u64,
    /// Values that were given and taken.
    pub values_taken: u64,
    /// Values that nested atoms carried and that [`TvMerge::FirstNested`] did not take.
    pub values_ignored: u64,
    /// What was passed over.
    pub skipped: Skipped,
}

impl ReadSummary {
    /// Tells what is gone with states that others took the place of, of which these are the lines.
    pub(super) fn without(&mut self, gone: &Gone, lines: &[u64]) {
        let told = [
            ("a link that holds a state, which a later one took the place of", &gone.links),
            ("a value of or on a state, which a later one took the place of", &gone.values),
        ];
        for (name, counts) in told {
            for (count, line) in counts.iter().zip(lines) {
                self.skipped.add_times(name, *count, *line);
            }
        }
        self.values_taken = self.values_taken.saturating_sub(gone.values.iter().sum());
    }
}
