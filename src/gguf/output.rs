//! A file that appears under its name only when it is complete.
//!
//! It is written under a temporary name in the target's folder, then flushed to the disk and
//! renamed. Whatever ends the program before leaves the target untouched; errors and panics delete
//! the temporary file by dropping it, and for signals there is [`discard_unfinished`]. What a killed
//! program left is deleted when the target is begun again: it is locked no more.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::NamedTempFile;

use super::descriptor::leads_to_descriptor;
use super::error::Error;
use super::folder::folder_of;

/// The temporary files and folders of this process. Its lock is held while one is made or renamed, so that
/// there is never a temporary file that isn't listed.
static UNFINISHED: Mutex<Unfinished> = Mutex::new(Unfinished { paths: Vec::new(), ended: false });

pub(super) struct Unfinished {
    pub(super) paths: Vec<PathBuf>,
    /// Whether [`discard_unfinished`] was called.
    ended: bool,
}

pub(super) fn unfinished() -> MutexGuard<'static, Unfinished> {
    // The list is sound after a panic elsewhere: each change of it is a single call.
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Deletes the temporary file of every [`OutputFile`] that isn't committed, and every such folder,
/// and lets no other be made or committed: for the thread that ends the process on SIGINT or SIGTERM.
///
/// It takes a lock, so it is not for a signal handler proper.
pub fn discard_unfinished() {
    let mut unfinished = unfinished();
    unfinished.ended = true;
    for path in unfinished.paths.drain(..) {
        remove(&path);
    }
}

/// Deletes a temporary file or folder. Nothing can be done about one that cannot be deleted.
fn remove(path: &Path) {
    let _ = match path.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    };
}

/// A file in the making.
#[derive(Debug)]
pub struct OutputFile {
    target: PathBuf,
    overwrite: bool,
    /// `None` once it is renamed or deleted.
    temporary: Option<NamedTempFile>,
}

impl OutputFile {
    /// Begins a file that will be `target`. Unless `overwrite`, there must be none yet.
    pub fn create(target: &Path, overwrite: bool) -> Result<OutputFile, Error> {
        let (folder, name) = checked_name(target, overwrite)?;
        let mut unfinished = unfinished();
        refuse_when_ended(&unfinished, target)?;
        discard_abandoned(name, folder);
        let temporary =
            temporary(name, folder).map_err(|source| cannot_create(folder, name, source))?;
        unfinished.paths.push(temporary.path().into());
        Ok(OutputFile { target: target.into(), overwrite, temporary: Some(temporary) })
    }

    /// Checks what [`OutputFile::create`] checks, and makes nothing that has a name.
    pub fn check(target: &Path, overwrite: bool) -> Result<(), Error> {
        let (folder, name) = checked_name(target, overwrite)?;
        let created = tempfile::tempfile_in(folder);
        created.map(drop).map_err(|source| cannot_create(folder, name, source))
    }

    /// Checks whether there can be a file of this name.
    pub fn check_name(target: &Path) -> Result<(), Error> {
        checked_name(target, true).map(drop)
    }

    /// The temporary file, which can be read meanwhile.
    pub fn path(&self) -> &Path {
        self.temporary.as_ref().map_or(&self.target, |file| file.path())
    }

    /// The name it will have.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Completes it under another name in the same folder, and replaces what has that name.
    pub fn commit_as(mut self, target: &Path) -> Result<(), Error> {
        self.target = target.into();
        self.overwrite = true;
        self.commit()
    }

    /// Brings all bytes to the disk, so that little is left that could fail.
    pub fn sync(&self) -> Result<(), Error> {
        let synced = self.file().and_then(|file| file.sync_all());
        synced.map_err(|source| Error::io(&self.target, "cannot write it to the disk", source))
    }

    /// Completes it: all bytes to the disk, then its name. On an error it is deleted.
    pub fn commit(mut self) -> Result<(), Error> {
        self.sync()?;
        let failed = |doing: &str, source| Error::io(&self.target, doing, source);
        let mut unfinished = unfinished();
        refuse_when_ended(&unfinished, &self.target)?;
        let Some(temporary) = self.temporary.take() else { return Ok(()) };
        unfinished.paths.retain(|path| path != temporary.path());
        let renamed = match self.overwrite {
            true => temporary.persist(&self.target),
            false => temporary.persist_noclobber(&self.target),
        };
        drop(unfinished);
        match renamed {
            Ok(_) => {}
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(exists(&self.target));
            }
            Err(error) => return Err(failed("cannot give the file its name", error.error)),
        }
        // So that the name outlasts a power cut too. Some file systems cannot do this for a
        // folder; the file is complete and in its place either way.
        #[cfg(unix)]
        let _ = File::open(folder_of(&self.target)).and_then(|folder| folder.sync_all());
        Ok(())
    }

    fn file(&self) -> io::Result<&File> {
        let file = self.temporary.as_ref().map(NamedTempFile::as_file);
        file.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file()?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file()?.flush()
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        if let Some(temporary) = self.temporary.take() {
            let mut unfinished = unfinished();
            let path = temporary.path().to_path_buf();
            drop(temporary);
            unfinished.paths.retain(|other| *other != path);
        }
    }
}

pub(super) fn exists(target: &Path) -> Error {
    Error::parameter(
        target,
        "it exists already; remove it, or have it replaced: with --force, in a program with Job::force",
    )
}

pub(super) fn refuse_when_ended(unfinished: &Unfinished, target: &Path) -> Result<(), Error> {
    match unfinished.ended {
        true => Err(Error::io(target, "not written", io::ErrorKind::Interrupted.into())),
        false => Ok(()),
    }
}

/// Folder and name of a file that may be made, or why it may not.
fn checked_name(target: &Path, overwrite: bool) -> Result<(&Path, &OsStr), Error> {
    // `name/` and `name/.` have a name by their parts, but stand for folders.
    let ends_with =
        |name: &OsStr| target.as_os_str().as_encoded_bytes().ends_with(name.as_encoded_bytes());
    let Some(name) = target.file_name().filter(|name| target.is_dir() || ends_with(name)) else {
        return Err(Error::parameter(target, "it is no name for a file"));
    };
    if target.is_dir() {
        return Err(Error::parameter(target, "it is a folder; name a file in it"));
    }
    if target.metadata().is_ok_and(|metadata| !metadata.is_file()) || leads_to_descriptor(target) {
        let what = "it is a device, a pipe or the like, which a file must not replace; name a file";
        return Err(Error::parameter(target, what));
    }
    let folder = folder_of(target);
    if !folder.is_dir() {
        return Err(Error::parameter(folder, "there is no such folder; create it first"));
    }
    match target.symlink_metadata() {
        Ok(_) if !overwrite => Err(exists(target)),
        // Too long a name, for example.
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::io(target, "there can be no file of this name", error))
        }
        _ => Ok((folder, name)),
    }
}

pub(super) fn cannot_create(folder: &Path, name: &OsStr, source: io::Error) -> Error {
    Error::io(folder, format!("cannot create {} in this folder", name.display()), source)
}

/// How the names of temporary files end.
const SUFFIX: &str = ".tmp";
/// Random letters and digits in their names.
const RANDOM: usize = 6;

/// How the names of the temporary files of the file `name` begin. Of a long name a part, since the
/// whole must fit in the 255 bytes of most file systems.
fn prefix(name: &OsStr) -> String {
    let name: String = name.to_string_lossy().chars().take(40).collect();
    format!(".{name}.")
}

/// A new file `.NAME.RANDOM.tmp`, with the permissions that any new file would have, locked for as
/// long as this process has it open.
fn temporary(name: &OsStr, folder: &Path) -> io::Result<NamedTempFile> {
    let prefix = prefix(name);
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(SUFFIX).rand_bytes(RANDOM);
    // Made by us: tempfile's own files are for their owner only, and its errors name them.
    builder.make_in(folder, |path| {
        let file = File::create_new(path)?;
        // Where files cannot be locked, none is taken for abandoned.
        let _ = file.lock();
        match path.exists() {
            true => Ok(file),
            // Taken for abandoned before it was locked: tempfile tries another name.
            false => Err(io::ErrorKind::AlreadyExists.into()),
        }
    })
}

/// A new folder `.NAME.RANDOM.tmp`, with the permissions that any new folder would have.
pub(super) fn temporary_folder(name: &OsStr, folder: &Path) -> io::Result<PathBuf> {
    let prefix = prefix(name);
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(SUFFIX).rand_bytes(RANDOM);
    let made = builder.make_in(folder, |path| fs::create_dir(path))?;
    made.keep().map(|((), path)| path).map_err(|error| error.error)
}

/// Deletes the temporary files and folders of the output `name` that no process has locked.
pub(super) fn discard_abandoned(name: &OsStr, folder: &Path) {
    let prefix = prefix(name);
    let ours = |entry: &fs::DirEntry| {
        let name = entry.file_name();
        let random =
            name.to_str().and_then(|name| name.strip_prefix(&prefix)?.strip_suffix(SUFFIX));
        random.is_some_and(|r| r.len() == RANDOM && r.bytes().all(|c| c.is_ascii_alphanumeric()))
    };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten().filter(ours) {
        let Ok(file) = File::open(entry.path()) else { continue };
        if file.try_lock().is_ok() {
            remove(&entry.path()); // it is in nobody's way
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_in(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        entries.map(|name| name.into_string().unwrap()).collect()
    }

    #[test]
    fn the_name_appears_on_commit_only() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.gguf");
        let mut file = OutputFile::create(&target, false).unwrap();
        file.write_all(b"abc").unwrap();
        assert!(!target.exists());
        assert!(names_in(folder.path())[0].starts_with(".out.gguf."));
        assert_eq!(fs::read(file.path()).unwrap(), b"abc");
        file.commit().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"abc");
        assert_eq!(names_in(folder.path()), ["out.gguf"]);
    }

    #[test]
    fn dropping_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = OutputFile::create(&folder.path().join("out.gguf"), false).unwrap();
        file.write_all(b"abc").unwrap();
        drop(file);
        assert!(names_in(folder.path()).is_empty());
    }

    #[test]
    fn what_a_killed_program_left_is_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.gguf");
        let alive = OutputFile::create(&target, false).unwrap();
        let others =
            [".out.gguf.abc.tmp", ".out.gguf.abcde-.tmp", ".out.abcdef.tmp", "out.gguf.tmp"];
        for name in others.into_iter().chain([".out.gguf.aB3dEf.tmp"]) {
            fs::write(folder.path().join(name), "").unwrap();
        }
        OutputFile::create(&target, false).unwrap();
        let left = names_in(folder.path());
        assert!(!left.contains(&".out.gguf.aB3dEf.tmp".to_string()), "{left:?}");
        assert!(
            alive.path().exists() && others.iter().all(|name| left.contains(&name.to_string()))
        );
    }

    #[test]
    fn only_overwrite_replaces() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.gguf");
        let early = OutputFile::create(&target, false).unwrap();
        fs::write(&target, "old").unwrap();
        let refused = OutputFile::create(&target, false).unwrap_err().to_string();
        assert!(refused.contains("exists already"), "{refused}");
        assert!(refused.contains("--force") && refused.contains("Job::force"), "{refused}");
        let refused = early.commit().unwrap_err().to_string();
        assert!(refused.contains("exists already"), "made meanwhile: {refused}");
        assert_eq!(fs::read(&target).unwrap(), b"old");

        let mut file = OutputFile::create(&target, true).unwrap();
        file.write_all(b"new").unwrap();
        file.commit().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert_eq!(names_in(folder.path()), ["out.gguf"]);
    }

    #[test]
    fn a_missing_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = OutputFile::create(&folder.path().join("no/out.gguf"), false).unwrap_err();
        assert!(
            error.to_string().ends_with("no: there is no such folder; create it first"),
            "{error}"
        );
        let error = OutputFile::create(folder.path(), true).unwrap_err();
        assert!(error.to_string().contains("it is a folder"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn permissions_are_those_of_any_new_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let [ours, plain] = ["ours", "plain"].map(|name| folder.path().join(name));
        OutputFile::create(&ours, false).unwrap().commit().unwrap();
        fs::write(&plain, "").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
    }
}
