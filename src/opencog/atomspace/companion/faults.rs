//! What an open file turns out to be wrong in while it is asked.

use std::sync::OnceLock;

/// The first part that an answer found to contradict others. A file is not read through when it is
/// opened; whoever has had answers may ask here whether they are to be trusted.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults {
    first: OnceLock<&'static str>,
}

impl Faults {
    /// Notes that a part contradicts others, and gives what is answered instead.
    #[cold]
    pub fn found<T>(&self, part: &'static str, instead: T) -> T {
        self.first.get_or_init(|| part);
        instead
    }

    /// The part.
    pub fn first(&self) -> Option<&'static str> {
        self.first.get().copied()
    }
}
