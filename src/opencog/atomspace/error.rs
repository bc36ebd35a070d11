//! What can go wrong with an AtomSpace.

/// A failure to read, build or write an AtomSpace.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine: bytes could not be read or written.
    #[error("{doing}")]
    Io {
        /// What could not be done.
        doing: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The text: it is not what AtomSpace files consist of.
    #[error("line {line}, column {column}: {fault}")]
    Text {
        /// The line, from 1.
        line: u64,
        /// The byte in the line, from 1.
        column: u64,
        /// What was expected and what was found.
        fault: String,
    },
    /// This program: more of something than it has numbers for.
    #[error("{what}: more than {limit}, which is what an AtomSpace can hold here")]
    Limit {
        /// Of what there are too many.
        what: &'static str,
        /// How many there may be.
        limit: u64,
    },
    /// The caller: what was asked for cannot be done with this space.
    #[error("{0}")]
    Parameter(String),
}
