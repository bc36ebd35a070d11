//! A position in the bytes of a file that is never moved past their end.

use std::path::Path;

use super::error::{Error, grouped, quoted};

/// What is being read, for messages.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'a> {
    Header,
    Key(u64),
    Value(&'a str),
    TensorName(u64),
    Tensor(&'a str),
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Header => write!(f, "the header"),
            Place::Key(i) => write!(f, "metadata key {}", i + 1),
            Place::Value(key) => write!(f, "the value of {}", quoted(key.as_bytes())),
            Place::TensorName(i) => write!(f, "the name of tensor {}", i + 1),
            Place::Tensor(name) => write!(f, "the entry of tensor {}", quoted(name.as_bytes())),
        }
    }
}

/// Reads little-endian numbers and strings from a file in memory.
pub(super) struct Cursor<'a> {
    pub path: &'a Path,
    pub place: Place<'a>,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(path: &'a Path, bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { path, place: Place::Header, bytes, at: 0 }
    }

    /// The next byte's offset in the file.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Goes back to where the cursor has been.
    pub fn rewind(&mut self, at: usize) {
        debug_assert!(at <= self.at);
        self.at = at;
    }

    pub fn remaining(&self) -> u64 {
        (self.bytes.len() - self.at) as u64
    }

    /// The next `n` bytes, if the file has them.
    pub fn take(&mut self, n: u64) -> Result<&'a [u8], Error> {
        self.need(n)?;
        let start = self.at;
        self.at += n as usize;
        Ok(&self.bytes[start..self.at])
    }

    /// An error unless `n` bytes remain: asked before anything is allocated for them.
    pub fn need(&self, n: u64) -> Result<(), Error> {
        let Some(missing) = n.checked_sub(self.remaining()).filter(|&missing| missing > 0) else {
            return Ok(());
        };
        Err(self.fault_at_end(&format!("needs {} more bytes", grouped(missing))))
    }

    /// An error unless `count` items of at least `bytes_each` bytes can remain.
    pub fn need_items(&self, count: u64, bytes_each: u64, items: &str) -> Result<(), Error> {
        if count <= self.remaining() / bytes_each {
            return Ok(());
        }
        let remaining = grouped(self.remaining());
        Err(self.fault_at_end(&format!(
            "declares {} {items}, and {remaining} bytes remain",
            grouped(count)
        )))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N as u64)?);
        Ok(out)
    }

    pub fn u32(&mut self) -> Result<u32, Error> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Result<u64, Error> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A string: its length, its bytes.
    pub fn string(&mut self) -> Result<&'a [u8], Error> {
        let len = self.u64()?;
        self.take(len)
    }

    /// A string that must be text: a key or a name.
    pub fn text(&mut self) -> Result<&'a str, Error> {
        let bytes = self.string()?;
        std::str::from_utf8(bytes)
            .map_err(|_| self.fault(&format!("{} is not UTF-8", quoted(bytes))))
    }

    /// An error about the place that the cursor is in.
    pub fn fault(&self, fault: &str) -> Error {
        Error::format(self.path, format!("{}: {fault}", self.place))
    }

    fn fault_at_end(&self, why: &str) -> Error {
        let end = grouped(self.bytes.len() as u64);
        let place = self.place;
        let fault = format!(
            "the file ends at byte {end}, inside {place} ({why}); was the download complete?"
        );
        Error::format(self.path, fault)
    }
}
