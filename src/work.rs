//! The work folder beside the output: what a run has found so far, so that the same command goes on
//! where a run was ended, and ends with the same bytes.
//!
//! Every stage is a function of what came before it, so what it gives is kept under its name and
//! read back by the next run. An entry is written under another name, synced and renamed, and ends
//! with the hash of its content: what is not whole is made anew, never trusted. The manifest names
//! what the entries belong to: the program, the flags and the model.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use memmap2::Mmap;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

/// The file that says what the entries belong to; it is locked while a run is at work.
const MANIFEST: &str = "manifest";
/// How the names of entries end; nothing else in the folder is ours.
const SUFFIX: &str = ".kept";
/// How the names of entries end that are being written.
const PART: &str = ".part";
/// Bytes of a hash.
const HASH: usize = 32;
/// How every manifest begins.
pub const PROGRAM: &str = "opencog-qat ";

/// The work folders of this process.
static AT_WORK: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Whether a run of this process has done its work, and only tidies up.
static FINISHING: AtomicBool = AtomicBool::new(false);

/// Whether a run of this process has done its work, and only removes its state: it should not be
/// interrupted any more, as its output is there.
pub fn is_finishing() -> bool {
    FINISHING.load(Ordering::Relaxed)
}

fn at_work() -> MutexGuard<'static, Vec<PathBuf>> {
    // The list is sound after a panic elsewhere: each change of it is a single call.
    AT_WORK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The folders from which runs of this process can go on, now that it ends; those that hold nothing
/// yet are removed.
pub fn leave_folders() -> Vec<PathBuf> {
    at_work().iter().filter(|folder| !removed_if_empty(folder)).cloned().collect()
}

/// Removes a folder that holds nothing but its manifest; whether it did.
fn removed_if_empty(folder: &Path) -> bool {
    let empty = entries(folder).is_ok_and(|entries| entries.is_empty());
    empty && fs::remove_file(folder.join(MANIFEST)).and_then(|()| fs::remove_dir(folder)).is_ok()
}

/// Why the work folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// It belongs to another run.
    #[error(
        "{}: holds the state of another run ({found}); remove the folder, give another output, or \
         have it done anew with --force",
        .folder.display()
    )]
    Foreign {
        /// The folder.
        folder: PathBuf,
        /// What it belongs to.
        found: String,
    },
    /// It holds what no run of this program wrote.
    #[error(
        "{}: is where the state of this run is kept, but holds {name}, which this program did not \
         write; move that away or give another output",
        .folder.display()
    )]
    NotOurs {
        /// The folder.
        folder: PathBuf,
        /// A file in it.
        name: String,
    },
    /// Another run is at work in it.
    #[error("{}: another run is at work on this output", .folder.display())]
    Busy {
        /// The folder.
        folder: PathBuf,
    },
    /// It cannot be read or written.
    #[error("{}: cannot keep or remove the state of the run", .folder.display())]
    Io {
        /// The folder.
        folder: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// What to do with the state of another run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// Refuse to work.
    Refuse,
    /// Remove it.
    Replace,
}

/// Where a run keeps its state.
#[derive(Debug)]
pub enum Work {
    /// Nowhere.
    Forgetful,
    /// In a folder.
    Folder {
        /// Where it is, or will be.
        path: PathBuf,
        /// What the run is described by.
        run: String,
        /// Made when there is something to keep.
        made: OnceLock<Folder>,
    },
}

/// A work folder, locked.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// What the run is described by.
    run: String,
    /// Holds the lock.
    _manifest: File,
    /// Whether it is removed already, and what is there now is another run's.
    removed: bool,
}

/// Bytes that were made by this run, or read from the work folder.
#[derive(Debug, Clone)]
pub struct Bytes(Content);

#[derive(Debug, Clone)]
enum Content {
    Made(Arc<Vec<u8>>),
    /// An entry, with its hash at the end.
    Kept(Arc<Mmap>),
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Content::Made(bytes) => bytes,
            Content::Kept(map) => &map[..map.len() - HASH],
        }
    }
}

/// Where the state of a run with this output is kept.
pub fn work_folder(output: &Path) -> PathBuf {
    let mut name = output.as_os_str().to_owned();
    name.push(".work");
    name.into()
}

impl Work {
    /// Keeps the state in a folder beside `output`, for runs that are described by `run`.
    pub fn beside(output: &Path, run: &str, foreign: Foreign) -> Result<Work, WorkError> {
        let (path, made) = (work_folder(output), OnceLock::new());
        match path.symlink_metadata() {
            Ok(_) => {
                let folder = Folder::open(path.clone(), run, foreign)?;
                made.set(folder).expect("it was empty");
            }
            Err(reason) if reason.kind() == io::ErrorKind::NotFound => {}
            // Too long a name, for example.
            Err(source) => return Err(WorkError::Io { folder: path, source }),
        }
        Ok(Work::Folder { path, run: run.into(), made })
    }

    /// What an earlier run kept under this name, if it did.
    pub fn recall<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let kept = self.recall_bytes(name, None)?;
        serde_json::from_slice(&kept).ok()
    }

    /// The folder, which is made if need be; `None` where nothing is kept.
    fn folder(&self) -> Result<Option<&Folder>, WorkError> {
        let Work::Folder { path, run, made } = self else { return Ok(None) };
        if made.get().is_none() {
            let folder = Folder::open(path.clone(), run, Foreign::Refuse)?;
            // A thread that was faster holds the lock: then the line above has failed.
            let _ = made.set(folder);
        }
        Ok(made.get())
    }

    /// What `compute` gives, or gave to an earlier run of the same kind.
    pub fn remember<T, E>(&self, name: &str, compute: impl FnOnce() -> Result<T, E>) -> Result<T, E>
    where
        T: Serialize + DeserializeOwned,
        E: From<WorkError>,
    {
        if let Some(value) = self.recall(name) {
            return Ok(value);
        }
        // Before the work: a run that finds another on this output is to know at once.
        let folder = self.folder()?;
        let value = compute()?;
        let Some(folder) = folder else { return Ok(value) };
        let json = serde_json::to_vec(&value).map_err(|e| folder.io(e.into()))?;
        folder.write(name, &json)?;
        Ok(value)
    }

    /// The bytes that `compute` gives, or gave to an earlier run; of this length, where given.
    pub fn remember_bytes<E: From<WorkError>>(
        &self,
        name: &str,
        len: Option<u64>,
        compute: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Bytes, E> {
        if let Some(bytes) = self.recall_bytes(name, len) {
            return Ok(bytes);
        }
        let folder = self.folder()?;
        let bytes = compute()?;
        let Some(folder) = folder else {
            return Ok(Bytes(Content::Made(Arc::new(bytes))));
        };
        folder.write(name, &bytes)?;
        // Read back, so that it is the system that decides what stays in memory.
        Ok(self.recall_bytes(name, len).unwrap_or(Bytes(Content::Made(Arc::new(bytes)))))
    }

    /// The bytes that an earlier run kept, if it did; of this length, where given.
    pub fn recall_bytes(&self, name: &str, len: Option<u64>) -> Option<Bytes> {
        let Work::Folder { made, .. } = self else { return None };
        made.get()?.read(name).filter(|bytes| len.is_none_or(|len| len == bytes.len() as u64))
    }

    /// Removes what was kept under this name, if anything was: no later run will ask for it.
    pub fn forget(&self, name: &str) -> Result<(), WorkError> {
        let Work::Folder { made, .. } = self else { return Ok(()) };
        made.get().map_or(Ok(()), |folder| folder.forget(name))
    }

    /// Removes the folder: the work is done. What was kept under the name `last` goes last, so that
    /// a run that is killed meanwhile still says so.
    pub fn finish(self, last: &str) -> Result<(), WorkError> {
        match self {
            Work::Forgetful => Ok(()),
            Work::Folder { made, .. } => {
                made.into_inner().map_or(Ok(()), |folder| folder.remove(last))
            }
        }
    }
}

impl Folder {
    fn open(path: PathBuf, run: &str, foreign: Foreign) -> Result<Folder, WorkError> {
        let io = |source| WorkError::Io { folder: path.clone(), source };
        fs::create_dir_all(&path).map_err(io)?;
        if let Some(name) = not_ours(&path).map_err(io)? {
            return Err(WorkError::NotOurs { folder: path, name });
        }
        let manifest = path.join(MANIFEST);
        let not_ours = || WorkError::NotOurs { folder: path.clone(), name: MANIFEST.into() };
        let file = File::options().create(true).truncate(false).write(true).open(&manifest);
        let file = file.map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(WorkError::Busy { folder: path }),
            // There are file systems without locks: two runs at once are the user's to avoid then.
            Err(TryLockError::Error(_)) => {}
        }
        let found = fs::read_to_string(&manifest).map_err(|_| not_ours())?;
        if found != run {
            if !found.starts_with(PROGRAM) && !run.starts_with(&found) {
                return Err(not_ours());
            }
            // A manifest that breaks off is that of a run that was ended as it began, and had no
            // entry yet.
            let broken_off = run.starts_with(&found);
            let entries = entries(&path).map_err(io)?;
            if let (true, Some(entry)) = (broken_off, entries.first()) {
                return Err(WorkError::NotOurs { folder: path.clone(), name: entry.clone() });
            }
            if !broken_off && foreign == Foreign::Refuse && !entries.is_empty() {
                return Err(WorkError::Foreign { folder: path, found });
            }
            for entry in entries {
                fs::remove_file(path.join(entry)).map_err(io)?;
            }
            let mut file = &file;
            file.set_len(0).and_then(|()| file.write_all(run.as_bytes())).map_err(io)?;
            file.sync_all().map_err(io)?;
        }
        at_work().push(path.clone());
        Ok(Folder { path, run: run.into(), _manifest: file, removed: false })
    }

    fn io(&self, source: io::Error) -> WorkError {
        WorkError::Io { folder: self.path.clone(), source }
    }

    /// The entry, if it is there and whole.
    fn read(&self, name: &str) -> Option<Bytes> {
        let file = File::open(self.path.join(format!("{name}{SUFFIX}"))).ok()?;
        if file.metadata().ok()?.len() < HASH as u64 {
            return None;
        }
        // SAFETY: entries are never written in place, and the folder is locked: nobody who goes by
        // the lock changes them while they are mapped.
        let map = unsafe { Mmap::map(&file) }.ok()?;
        let (content, hash) = map.split_at(map.len() - HASH);
        let whole = self.hash_of(name, content)[..] == *hash;
        whole.then(|| Bytes(Content::Kept(Arc::new(map))))
    }

    fn write(&self, name: &str, content: &[u8]) -> Result<(), WorkError> {
        let part = self.path.join(format!("{name}{PART}"));
        let write = || {
            let mut file = File::create(&part)?;
            file.write_all(content)?;
            file.write_all(&self.hash_of(name, content))?;
            file.sync_all()?;
            fs::rename(&part, self.path.join(format!("{name}{SUFFIX}")))
        };
        write().map_err(|source| {
            let _ = fs::remove_file(&part); // it may be what fills the disk
            self.io(source)
        })
    }

    fn forget(&self, name: &str) -> Result<(), WorkError> {
        match fs::remove_file(self.path.join(format!("{name}{SUFFIX}"))) {
            Err(reason) if reason.kind() != io::ErrorKind::NotFound => Err(self.io(reason)),
            _ => Ok(()),
        }
    }

    /// The hash of an entry: of its run, its name and its content.
    fn hash_of(&self, name: &str, content: &[u8]) -> [u8; HASH] {
        let mut hash = Sha256::new();
        for named in [&self.run, name] {
            hash.update(named);
            hash.update([0]);
        }
        hash.chain_update(content).finalize().into()
    }

    fn remove(mut self, last: &str) -> Result<(), WorkError> {
        FINISHING.store(true, Ordering::Relaxed);
        at_work().retain(|path| *path != self.path);
        self.removed = true;
        let remove = || {
            let mut entries = entries(&self.path)?;
            entries.sort_by_key(|entry| entry.strip_suffix(SUFFIX) == Some(last));
            for entry in entries {
                fs::remove_file(self.path.join(entry))?;
            }
            fs::remove_file(self.path.join(MANIFEST))?;
            fs::remove_dir(&self.path)
        };
        remove().map_err(|source| self.io(source))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        at_work().retain(|path| *path != self.path);
        if !self.removed {
            removed_if_empty(&self.path);
        }
    }
}

/// The entries, and what was to become one.
fn entries(folder: &Path) -> io::Result<Vec<String>> {
    let names = names(folder)?;
    Ok(names.into_iter().filter(|name| name.ends_with(SUFFIX) || name.ends_with(PART)).collect())
}

/// Something that this program does not write, if there is any: a file of another name, or what is
/// no file, but leads to one elsewhere.
fn not_ours(folder: &Path) -> io::Result<Option<String>> {
    let ours = |name: &str| name == MANIFEST || name.ends_with(SUFFIX) || name.ends_with(PART);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !ours(&name) || !entry.file_type()?.is_file() {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    let name = |entry: io::Result<fs::DirEntry>| {
        entry.map(|entry| entry.file_name().to_string_lossy().into_owned())
    };
    fs::read_dir(folder)?.map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = "entry";

    fn open(output: &Path, run: &str) -> Result<Work, WorkError> {
        Work::beside(output, &run_of(run), Foreign::Refuse)
    }

    fn run_of(name: &str) -> String {
        format!("{PROGRAM}{name}")
    }

    fn remember(work: &Work, value: f64) -> f64 {
        work.remember(ENTRY, || Ok::<f64, WorkError>(value)).unwrap()
    }

    fn remember_bytes(work: &Work, bytes: &[u8]) -> Vec<u8> {
        let len = Some(bytes.len() as u64);
        work.remember_bytes(ENTRY, len, || Ok::<_, WorkError>(bytes.to_vec())).unwrap().to_vec()
    }

    #[test]
    fn what_was_found_is_found_again_bit_by_bit() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("out.gguf");
        let value = 0.1 + 0.2;
        let work = open(&output, "a").unwrap();
        assert_eq!(remember(&work, value), value);
        drop(work);
        let work = open(&output, "a").unwrap();
        assert_eq!(remember(&work, 7.0).to_bits(), value.to_bits());
        work.finish(ENTRY).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert_eq!(remember(&Work::Forgetful, 7.0), 7.0);
    }

    #[test]
    fn what_is_not_whole_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("out.gguf");
        let work = open(&output, "a").unwrap();
        remember_bytes(&work, b"content");
        let path = folder.path().join("out.gguf.work/entry.kept");
        let whole = fs::read(&path).unwrap();
        for len in 0..whole.len() {
            fs::write(&path, &whole[..len]).unwrap();
            assert_eq!(remember_bytes(&work, b"another"), b"another", "cut to {len}");
        }
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 4;
            fs::write(&path, flipped).unwrap();
            assert_eq!(remember_bytes(&work, b"another"), b"another", "changed at {at}");
        }
        fs::write(&path, &whole).unwrap();
        assert_eq!(remember_bytes(&work, b"another"), b"content");
        assert_eq!(remember_bytes(&work, b"of another length"), b"of another length");
        let theirs = folder.path().join("theirs.gguf");
        remember_bytes(&open(&theirs, "b").unwrap(), b"theirs");
        fs::copy(folder.path().join("theirs.gguf.work/entry.kept"), &path).unwrap();
        assert_eq!(remember_bytes(&work, b"ours"), b"ours", "an entry of another run");
        work.forget(ENTRY).unwrap();
        work.forget(ENTRY).unwrap();
        assert!(work.recall::<f64>(ENTRY).is_none());
    }

    #[test]
    fn the_state_of_another_run_is_refused_or_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("out.gguf");
        remember(&open(&output, "a").unwrap(), 1.0);
        let error = open(&output, "b").unwrap_err().to_string();
        assert!(error.contains("out.gguf.work") && error.contains("--force"), "{error}");
        assert_eq!(remember(&open(&output, "a").unwrap(), 2.0), 1.0, "it was left as it was");
        let work = Work::beside(&output, &run_of("b"), Foreign::Replace).unwrap();
        assert_eq!(remember(&work, 2.0), 2.0);
    }

    #[test]
    fn a_run_that_was_ended_as_it_began_is_no_hindrance() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("out.gguf");
        for manifest in ["", "opencog-", "opencog-qat 0.0 with"] {
            fs::create_dir_all(folder.path().join("out.gguf.work")).unwrap();
            fs::write(folder.path().join("out.gguf.work/manifest"), manifest).unwrap();
            open(&output, "1.0").unwrap().finish(ENTRY).unwrap();
        }
    }

    #[test]
    fn what_others_wrote_is_never_touched() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("out.gguf");
        let theirs = folder.path().join("out.gguf.work/notes.txt");
        fs::create_dir(folder.path().join("out.gguf.work")).unwrap();
        fs::write(&theirs, "notes").unwrap();
        for foreign in [Foreign::Refuse, Foreign::Replace] {
            let error = Work::beside(&output, "a", foreign).unwrap_err().to_string();
            assert!(error.contains("notes.txt"), "{error}");
        }
        assert_eq!(fs::read_to_string(&theirs).unwrap(), "notes");
        // What looks like an entry, but was never announced by a manifest.
        let film = theirs.with_file_name("film.part");
        fs::rename(&theirs, &film).unwrap();
        let _ = fs::remove_file(theirs.with_file_name("manifest"));
        let error = Work::beside(&output, "a", Foreign::Replace).unwrap_err().to_string();
        assert!(error.contains("film.part"), "{error}");
        assert_eq!(fs::read_to_string(&film).unwrap(), "notes");
        // Nor a manifest of something else.
        fs::rename(&film, theirs.with_file_name("manifest")).unwrap();
        for foreign in [Foreign::Refuse, Foreign::Replace] {
            let error = Work::beside(&output, "a", foreign).unwrap_err().to_string();
            assert!(error.contains("holds manifest"), "{error}");
        }
        assert_eq!(fs::read_to_string(theirs.with_file_name("manifest")).unwrap(), "notes");
    }

    #[cfg(unix)]
    #[test]
    fn what_leads_elsewhere_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("out.gguf");
        let theirs = folder.path().join("theirs");
        fs::write(&theirs, "").unwrap();
        fs::create_dir(folder.path().join("out.gguf.work")).unwrap();
        let manifest = folder.path().join("out.gguf.work/manifest");
        std::os::unix::fs::symlink(&theirs, &manifest).unwrap();
        let error = Work::beside(&output, "a", Foreign::Replace).unwrap_err().to_string();
        assert!(error.contains("holds manifest"), "{error}");
        assert_eq!(fs::read_to_string(theirs).unwrap(), "");
    }

    #[test]
    fn the_last_entry_goes_last() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("out.gguf");
        let work = open(&output, "a").unwrap();
        for name in ["after", ENTRY, "before"] {
            work.remember(name, || Ok::<_, WorkError>(1.0)).unwrap();
        }
        // Where the others cannot go, it stays.
        let other = folder.path().join("out.gguf.work/before.kept");
        fs::remove_file(&other).unwrap();
        fs::create_dir(&other).unwrap();
        work.finish(ENTRY).unwrap_err();
        assert!(folder.path().join("out.gguf.work/entry.kept").exists());
    }

    #[test]
    fn two_runs_at_once_do_not_share_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("out.gguf");
        let first = open(&output, "a").unwrap();
        let folder = folder.path().join("out.gguf.work");
        let busy = || {
            assert!(matches!(open(&output, "a"), Err(WorkError::Busy { .. })));
            Ok::<_, WorkError>(1.0)
        };
        first.remember(ENTRY, busy).unwrap();
        assert!(at_work().contains(&folder));
        drop(first);
        assert!(!at_work().contains(&folder));
        open(&output, "a").unwrap();
    }

    #[test]
    fn what_holds_nothing_is_not_left() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("out.gguf");
        let fails = || Err::<f64, _>(WorkError::Busy { folder: output.clone() });
        let work = open(&output, "a").unwrap();
        work.remember(ENTRY, fails).unwrap_err();
        drop(work);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let work = open(&output, "a").unwrap();
        work.remember("whole", || Ok::<_, WorkError>(1.0)).unwrap();
        work.remember(ENTRY, fails).unwrap_err();
        drop(work);
        assert_eq!(open(&output, "a").unwrap().recall("whole"), Some(1.0));
    }
}
