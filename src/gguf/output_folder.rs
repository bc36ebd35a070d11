//! A folder that appears under its name only when it is complete: what [`OutputFile`] is for a file.
//!
//! [`OutputFile`]: super::OutputFile

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::error::{Error, quoted};
use super::folder::folder_of;
use super::output::{
    cannot_create, discard_abandoned, exists, refuse_when_ended, temporary_folder, unfinished,
};

/// Which files a folder of this kind may have: one with others is never replaced.
pub type Known = fn(&OsStr) -> bool;

/// A folder in the making.
#[derive(Debug)]
pub struct OutputFolder {
    target: PathBuf,
    overwrite: bool,
    known: Known,
    /// `None` once it is renamed or deleted.
    temporary: Option<PathBuf>,
    /// Open for as long as it is in the making, and locked if the system can do that to a folder.
    _lock: Option<File>,
}

impl OutputFolder {
    /// Begins a folder that will be `target`. Unless `overwrite`, there must be none yet; a folder
    /// with a file that is not `known` is not replaced at all.
    pub fn create(target: &Path, overwrite: bool, known: Known) -> Result<OutputFolder, Error> {
        let (folder, name) = checked_place(target, overwrite, known)?;
        let mut unfinished = unfinished();
        refuse_when_ended(&unfinished, target)?;
        discard_abandoned(name, folder);
        let temporary =
            temporary_folder(name, folder).map_err(|source| cannot_create(folder, name, source))?;
        unfinished.paths.push(temporary.clone());
        // Where folders cannot be opened or locked, none is taken for abandoned.
        let lock = File::open(&temporary).ok();
        let _ = lock.as_ref().map(File::lock);
        let (target, temporary) = (target.into(), Some(temporary));
        Ok(OutputFolder { target, overwrite, known, temporary, _lock: lock })
    }

    /// Checks what [`OutputFolder::create`] checks before it makes anything.
    pub fn check(target: &Path, overwrite: bool, known: Known) -> Result<(), Error> {
        checked_place(target, overwrite, known).map(drop)
    }

    /// The temporary folder.
    pub fn path(&self) -> &Path {
        self.temporary.as_ref().unwrap_or(&self.target)
    }

    /// The name it will have.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Adds a file of what `fill` writes, and brings it to the disk; its bytes.
    pub fn add(
        &self,
        name: &str,
        fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    ) -> Result<u64, Error> {
        debug_assert!((self.known)(OsStr::new(name)), "{name} could not be replaced");
        let shown = self.target.join(name);
        let mut file = BufWriter::with_capacity(1 << 20, self.new_file(name)?);
        let write = || {
            fill(&mut file)?;
            file.flush()?;
            file.get_ref().sync_all()?;
            Ok(file.get_ref().metadata()?.len())
        };
        write().map_err(|source| Error::io(&shown, "cannot write it to the disk", source))
    }

    /// None is made once the process ends: the folder could not be deleted.
    fn new_file(&self, name: &str) -> Result<File, Error> {
        let shown = self.target.join(name);
        let unfinished = unfinished();
        refuse_when_ended(&unfinished, &shown)?;
        let file = File::create_new(self.path().join(name));
        file.map_err(|source| Error::io(&shown, "cannot create it", source))
    }

    /// Completes it under another name in the same folder, and replaces what has that name.
    pub fn commit_as(mut self, target: &Path) -> Result<(), Error> {
        self.target = target.into();
        self.overwrite = true;
        self.commit()
    }

    /// Completes it: it gets its name. On an error it is deleted.
    pub fn commit(mut self) -> Result<(), Error> {
        let (folder, name) = checked_place(&self.target, self.overwrite, self.known)?;
        let mut unfinished = unfinished();
        refuse_when_ended(&unfinished, &self.target)?;
        let Some(temporary) = self.temporary.as_ref() else { return Ok(()) };
        let failed = |source| Error::io(&self.target, "cannot give the folder its name", source);
        let old = match self.target.exists() {
            true => Some(set_aside(&self.target, name, folder).map_err(failed)?),
            false => None,
        };
        if let Err(source) = fs::rename(temporary, &self.target) {
            if let Some(old) = &old {
                let _ = fs::rename(old, &self.target); // it is not lost where it is, either
            }
            return Err(failed(source));
        }
        unfinished.paths.retain(|path| path != temporary);
        unfinished.paths.extend(old.clone());
        drop(unfinished);
        self.temporary = None;
        // So that the name outlasts a power cut too, if the file system can do this for a folder.
        #[cfg(unix)]
        for folder in [&self.target, folder] {
            let _ = File::open(folder).and_then(|folder| folder.sync_all());
        }
        if let Some(old) = old {
            discard(&old);
        }
        Ok(())
    }
}

impl Drop for OutputFolder {
    fn drop(&mut self) {
        if let Some(temporary) = self.temporary.take() {
            discard(&temporary);
        }
    }
}

/// Deletes a folder of the list, and takes it off the list.
fn discard(path: &Path) {
    let _ = fs::remove_dir_all(path); // nothing can be done about one that cannot be deleted
    unfinished().paths.retain(|other| other != path);
}

/// Gives the folder `target` a temporary name, which is returned.
fn set_aside(target: &Path, name: &OsStr, folder: &Path) -> io::Result<PathBuf> {
    let aside = temporary_folder(name, folder)?;
    fs::remove_dir(&aside)?;
    fs::rename(target, &aside).map(|()| aside)
}

/// Folder and name of a folder that may be made, or why it may not.
fn checked_place(target: &Path, overwrite: bool, known: Known) -> Result<(&Path, &OsStr), Error> {
    let Some(name) = target.file_name() else {
        return Err(Error::parameter(target, "it is no name for a folder"));
    };
    let folder = folder_of(target);
    if !folder.is_dir() {
        return Err(Error::parameter(folder, "there is no such folder; create it first"));
    }
    let metadata = match target.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((folder, name)),
        // Too long a name, for example.
        Err(error) => {
            return Err(Error::io(target, "there can be no folder of this name", error));
        }
        Ok(metadata) => metadata,
    };
    if !metadata.is_dir() {
        let what = "it is no folder, so that no folder can replace it; remove it";
        return Err(Error::parameter(target, what));
    }
    if !overwrite {
        return Err(exists(target));
    }
    let failed = |source| Error::io(target, "cannot see what is in it", source);
    for entry in fs::read_dir(target).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if !is_file || !known(&entry.file_name()) {
            let name = quoted(entry.file_name().as_encoded_bytes());
            let what =
                format!("it holds {name}, which is no part of such a folder; remove it yourself");
            return Err(Error::parameter(target, what));
        }
    }
    Ok((folder, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(name: &OsStr) -> bool {
        name == "a" || name == "b"
    }

    fn names_in(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        entries.map(|name| name.into_string().unwrap()).collect()
    }

    fn begun(target: &Path, overwrite: bool, content: &str) -> OutputFolder {
        let folder = OutputFolder::create(target, overwrite, known).unwrap();
        let bytes = folder.add("a", |out| out.write_all(content.as_bytes())).unwrap();
        assert_eq!(bytes, content.len() as u64);
        folder
    }

    #[test]
    fn it_appears_whole_or_not_at_all() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("out.tpu");
        drop(begun(&target, false, "lost"));
        assert!(names_in(place.path()).is_empty());
        let folder = begun(&target, false, "kept");
        assert!(!target.exists() && folder.path().join("a").exists());
        let full = folder.add("b", |_| Err(io::ErrorKind::StorageFull.into())).unwrap_err();
        assert!(full.to_string().contains("out.tpu/b"), "{full}");
        folder.commit().unwrap();
        assert_eq!(names_in(place.path()), ["out.tpu"]);
        assert_eq!(fs::read(target.join("a")).unwrap(), b"kept");
    }

    #[test]
    fn only_overwrite_replaces() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("out.tpu");
        let early = begun(&target, false, "early");
        begun(&target, false, "old").commit().unwrap();
        let refused = OutputFolder::create(&target, false, known).unwrap_err().to_string();
        assert!(refused.contains("exists already") && refused.contains("--force"), "{refused}");
        assert!(early.commit().is_err(), "made meanwhile");
        begun(&target, true, "new").commit().unwrap();
        assert_eq!(fs::read(target.join("a")).unwrap(), b"new");
        begun(&place.path().join("other"), false, "newer").commit_as(&target).unwrap();
        assert_eq!(fs::read(target.join("a")).unwrap(), b"newer");
        assert_eq!(names_in(place.path()), ["out.tpu"]);
    }

    #[test]
    fn what_is_no_such_folder_is_never_replaced() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("out.tpu");
        let refused =
            |target: &Path| OutputFolder::create(target, true, known).unwrap_err().to_string();
        fs::write(&target, "a file").unwrap();
        assert!(refused(&target).contains("no folder"));
        fs::remove_file(&target).unwrap();
        fs::create_dir_all(target.join("a")).unwrap();
        assert!(refused(&target).contains("holds `a`"), "a folder in it");
        fs::remove_dir(target.join("a")).unwrap();
        fs::write(target.join("photo"), "").unwrap();
        assert!(refused(&target).contains("holds `photo`"));
        assert!(refused(&place.path().join("no/out.tpu")).contains("no such folder"));
        #[cfg(unix)]
        {
            let link = place.path().join("link.tpu");
            fs::remove_file(target.join("photo")).unwrap();
            std::os::unix::fs::symlink(&target, &link).unwrap();
            assert!(refused(&link).contains("no folder"), "a link");
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_a_killed_program_left_is_deleted() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("out.tpu");
        let alive = begun(&target, false, "alive");
        let dead = place.path().join(".out.tpu.aB3dEf.tmp");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join("a"), "").unwrap();
        let other = OutputFolder::create(&target, false, known).unwrap();
        assert!(!dead.exists() && alive.path().exists() && other.path().exists());
    }

    #[cfg(unix)]
    #[test]
    fn permissions_are_those_of_any_new_folder_and_file() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("out.tpu");
        begun(&target, false, "x").commit().unwrap();
        let plain = place.path().join("plain");
        fs::create_dir(&plain).unwrap();
        fs::write(plain.join("a"), "").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&target), mode(&plain));
        assert_eq!(mode(&target.join("a")), mode(&plain.join("a")));
    }
}
