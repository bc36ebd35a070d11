//! A folder for the files of this process, in memory if the system has a place for that.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::OnceLock;

fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let memory = Path::new("/dev/shm");
        let root = if memory.is_dir() { memory.into() } else { std::env::temp_dir() };
        let folder = root.join(format!("opencog-qat-fuzz-{}", process::id()));
        fs::create_dir_all(&folder).expect("a folder for files");
        folder
    })
}

/// Where the file of this name is, or will be.
pub fn path_of(name: &str) -> PathBuf {
    folder().join(name)
}

/// Writes a file, and says where it is.
pub fn put(name: &str, bytes: &[u8]) -> PathBuf {
    let path = path_of(name);
    fs::write(&path, bytes).expect("a file in the folder");
    path
}
