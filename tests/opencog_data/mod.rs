//! The AtomSpace files that OpenCog projects ship.

#![allow(dead_code, reason = "every test takes what it needs")]

use std::path::{Path, PathBuf};
use std::process::Command;

use opencog_qat::opencog::atomspace::AtomSpace;
use opencog_qat::opencog::atomspace::read::{ReadOptions, ReadSummary, read};

/// Where the files that OpenCog projects ship are.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/opencog-data/atomspace")
}

/// The text of a file, unpacked where it is packed; none, said aloud, where it or `xz` is missing.
pub fn text(name: &str) -> Option<Vec<u8>> {
    let plain = folder().join(name);
    if let Ok(text) = std::fs::read(&plain) {
        return Some(text);
    }
    let packed = folder().join(format!("{name}.xz"));
    let output = Command::new("xz").arg("-dc").arg(&packed).output();
    let text = output.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    if text.is_none() {
        println!("skipped: {} cannot be unpacked", packed.display());
    }
    text
}

/// A file as a space.
pub fn read_file(name: &str) -> Option<(AtomSpace, ReadSummary)> {
    let text = text(name)?;
    Some(read(&text[..], &ReadOptions::default()).unwrap_or_else(|error| panic!("{name}: {error}")))
}
