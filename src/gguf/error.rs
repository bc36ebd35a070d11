//! What can go wrong with a GGUF file, sorted by who is to blame.

use std::io;
use std::path::{Path, PathBuf};

/// A failure to read or write a GGUF file. Every message begins with the file's name.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine: the file cannot be opened, read, created or written. The message says what was
    /// being done; the system's reason is the [source](std::error::Error::source).
    #[error("{}: {doing}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What could not be done.
        doing: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The file: it breaks a rule of GGUF.
    #[error("{}: {fault}", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Where it is broken, what was expected and what was found.
        fault: String,
    },
    /// This program: the file may be sound, but is of a kind that is not read here.
    #[error("{}: {what}", .path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What is not read, and what to do instead.
        what: String,
    },
    /// The caller: what is to be written would not be a valid file, or not be allowed.
    #[error("{}: {what}", .path.display())]
    Parameter {
        /// The file that was to be written.
        path: PathBuf,
        /// What is wrong with the request.
        what: String,
    },
}

impl Error {
    pub(super) fn io(path: &Path, doing: impl Into<String>, source: io::Error) -> Error {
        Error::Io { path: path.into(), doing: doing.into(), source }
    }

    pub(super) fn format(path: &Path, fault: impl Into<String>) -> Error {
        Error::Format { path: path.into(), fault: fault.into() }
    }

    pub(super) fn unsupported(path: &Path, what: impl Into<String>) -> Error {
        Error::Unsupported { path: path.into(), what: what.into() }
    }

    pub(super) fn parameter(path: &Path, what: impl Into<String>) -> Error {
        Error::Parameter { path: path.into(), what: what.into() }
    }
}

/// `1234567` as `1,234,567`: byte counts in messages are long.
pub(super) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A name found in a file, in backquotes, fit for a message: control characters escaped, bad UTF-8
/// replaced, and cut short, since a hostile file can hold a name of a gigabyte.
pub(super) fn quoted(name: &[u8]) -> String {
    format!("`{}`", shortened(name, 80))
}

/// The first `limit` characters of `text` on one line, with `…` where more follow.
pub(super) fn shortened(text: &[u8], limit: usize) -> String {
    // A character has at most 4 bytes, so that more bytes than this cannot be shown.
    let head = String::from_utf8_lossy(&text[..text.len().min(4 * limit)]);
    let mut out: String = head.chars().take(limit).flat_map(char::escape_debug).collect();
    if head.chars().count() > limit || text.len() > 4 * limit {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(4_213_000), "4,213,000");
    }

    #[test]
    fn names_in_messages_are_short_and_on_one_line() {
        assert_eq!(quoted(b"a\nb"), r"`a\nb`");
        assert_eq!(quoted(b"\xff"), "`\u{fffd}`");
        assert!(quoted(&vec![b'x'; 1 << 20]).len() < 100);
    }
}
