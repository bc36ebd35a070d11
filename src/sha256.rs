//! SHA-256 in hexadecimal: of files, and of what is written on its way.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

/// The 64 digits of a hash.
pub fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The hash of a file's bytes.
pub fn of_file(path: &Path) -> io::Result<String> {
    let mut hashed = Hashed::default();
    io::copy(&mut File::open(path)?, &mut hashed)?;
    Ok(hex(hashed.hash))
}

/// Takes bytes, which are hashed and counted, and keeps none.
#[derive(Default)]
pub struct Hashed {
    /// Of what was taken so far.
    pub hash: Sha256,
    /// How many bytes that was.
    pub bytes: u64,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_what_is_written_have_the_same_hash() {
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        assert_eq!(of_file(&path).unwrap(), known);
        let mut hashed = Hashed::default();
        hashed.write_all(b"a").and_then(|()| hashed.write_all(b"bc")).unwrap();
        assert_eq!((hashed.bytes, hex(hashed.hash)), (3, known.into()));
    }
}
