//! How many bytes a plan takes, exactly, however the plan was made.

use std::ops::{Add, AddAssign};

use crate::gguf::Format;
use crate::model::Kind;

/// Bytes, counted in the two ways that limits are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bytes {
    /// The tensors themselves: what `--reduction` and `--bpw` bound.
    pub tensors: u64,
    /// What they add to the file, with padding and the lines of metadata that name their formats:
    /// what `--size` and `--memory` bound.
    pub file: u64,
}

impl Bytes {
    /// A tensor of so many bytes in a file with this alignment.
    pub fn of_tensor(bytes: u64, alignment: u64) -> Bytes {
        Bytes { tensors: bytes, file: bytes.next_multiple_of(alignment) }
    }

    /// Whether neither count is above that of `limit`.
    pub fn within(self, limit: Bytes) -> bool {
        self.tensors <= limit.tensors && self.file <= limit.file
    }

    /// The lesser of both counts, each on its own.
    pub fn min(self, other: Bytes) -> Bytes {
        Bytes { tensors: self.tensors.min(other.tensors), file: self.file.min(other.file) }
    }
}

impl Add for Bytes {
    type Output = Bytes;

    fn add(self, other: Bytes) -> Bytes {
        Bytes { tensors: self.tensors + other.tensors, file: self.file + other.file }
    }
}

impl AddAssign for Bytes {
    fn add_assign(&mut self, other: Bytes) {
        *self = *self + other;
    }
}

impl std::iter::Sum for Bytes {
    fn sum<I: Iterator<Item = Bytes>>(bytes: I) -> Bytes {
        bytes.fold(Bytes::default(), Add::add)
    }
}

/// What the file holds beside what its tensors add.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the header: all metadata, of the plan an empty list of lines, and the table of
    /// tensors, without padding at the end.
    pub bytes: u64,
    /// Alignment of the file.
    pub alignment: u64,
}

impl Header {
    /// Bytes of the whole file with tensors that add `bytes`.
    ///
    /// Tensors are padded to the alignment, so that the padding of the header may as well stand at
    /// the end.
    pub fn file_with(&self, bytes: Bytes) -> u64 {
        (self.bytes + bytes.file).next_multiple_of(self.alignment)
    }

    /// The most that tensors may add to a file of at most `file` bytes.
    pub fn room_in(&self, file: u64) -> u64 {
        (file / self.alignment * self.alignment).saturating_sub(self.bytes)
    }
}

/// The line about `n` tensors of a kind in a format.
pub fn line(kind: &Kind, format: Format, n: usize) -> String {
    format!("{kind}: {format} x {n}")
}

/// What the line about `n` tensors adds to the file: a length, and its text.
pub fn line_bytes(kind: &Kind, format: Format, n: usize) -> Bytes {
    Bytes { tensors: 0, file: 8 + line(kind, format, n).len() as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_what_fills_a_file() {
        for alignment in [1, 8, 32, 4096] {
            let header = Header { bytes: 1003, alignment };
            for file in [5000, 8191, 8192, 8193, 100_000] {
                let room = header.room_in(file);
                let with = |file| header.file_with(Bytes { tensors: 0, file });
                assert!(with(room) <= file && with(room + 1) > file, "{alignment}, {file}");
            }
        }
        assert_eq!(Header { bytes: 1003, alignment: 32 }.room_in(900), 0);
    }

    #[test]
    fn lines_name_kind_format_and_count() {
        let kind = Kind::of("blk.7.attn_q.weight");
        assert_eq!(line(&kind, Format::Q4_K, 30), "attention q: Q4_K x 30");
        assert_eq!(line_bytes(&kind, Format::Q4_K, 30).file, 8 + 22);
        let kind = Kind::of("v.blk.7.attn_q.weight");
        assert_eq!(line(&kind, Format::Q8_0, 24), "v.blk.*.attn_q: Q8_0 x 24");
    }
}
