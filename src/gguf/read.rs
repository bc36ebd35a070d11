//! An open model: mapped files, their metadata and their tensors.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use super::error::{Error, quoted};
use super::foreign;
use super::header::{self, Header};
use super::metadata::Metadata;
use super::split::Split;
use super::tensor::TensorInfo;

/// A GGUF model, opened and checked: one file, or all the shards of a split one.
///
/// Files are mapped, so that opening reads little more than the header and memory is used only for
/// the tensors at work.
#[derive(Debug)]
pub struct Gguf {
    version: u32,
    alignment: u64,
    metadata: Metadata,
    tensors: Vec<TensorInfo>,
    /// Places in `tensors`, sorted by name.
    by_name: Vec<u32>,
    shards: Vec<Shard>,
}

/// One file of a model.
#[derive(Debug)]
struct Shard {
    path: PathBuf,
    backing: Backing,
}

#[derive(Debug)]
enum Backing {
    Mapped(Mmap),
    Memory(Vec<u8>),
}

impl Gguf {
    /// Opens the model at `path`; where that is the first of several shards, all of them.
    ///
    /// The files must not be changed or cut short while they are open: they are mapped.
    pub fn open(path: &Path) -> Result<Gguf, Error> {
        let mut shards = vec![Shard::map(path, "cannot open the model")?];
        let mut tensors = Vec::new();
        let header = header::parse(path, shards[0].bytes(), 0, &mut tensors)?;
        if let Some(split) = Split::of(path, &header.metadata)? {
            for no in 1..split.count {
                let path = split.path(no);
                let doing = format!(
                    "cannot open shard {} of {}, which should lie beside the first",
                    no + 1,
                    split.count
                );
                let shard = Shard::map(&path, &doing)?;
                let member = header::parse(&path, shard.bytes(), no, &mut tensors)?;
                split.check_member(&path, no, &member.metadata)?;
                shards.push(shard);
            }
            split.check_tensors(tensors.len())?;
        }
        Gguf::assemble(header, tensors, shards)
    }

    /// Reads a model of one file from memory; `name` stands for the file in messages.
    pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Result<Gguf, Error> {
        let shard = Shard { path: name.into(), backing: Backing::Memory(bytes) };
        let mut tensors = Vec::new();
        let header = header::parse(&shard.path, shard.bytes(), 0, &mut tensors)?;
        if Split::of(&shard.path, &header.metadata)?.is_some() {
            let what = "it is one shard of several, which can only be opened as files";
            return Err(Error::unsupported(&shard.path, what));
        }
        Gguf::assemble(header, tensors, vec![shard])
    }

    fn assemble(
        header: Header,
        tensors: Vec<TensorInfo>,
        shards: Vec<Shard>,
    ) -> Result<Gguf, Error> {
        let Header { version, alignment, metadata } = header;
        let name = |&i: &u32| tensors[i as usize].name.as_str();
        let mut by_name: Vec<u32> = (0..tensors.len() as u32).collect();
        by_name.sort_unstable_by_key(|i| (name(i), *i));
        if let Some(pair) = by_name.windows(2).find(|pair| name(&pair[0]) == name(&pair[1])) {
            let again = &tensors[pair[1] as usize];
            let fault = format!("the tensor {} stands twice", quoted(again.name.as_bytes()));
            return Err(Error::format(&shards[again.shard].path, fault));
        }
        Ok(Gguf { version, alignment, metadata, tensors, by_name, shards })
    }

    /// The version of the (first) file, 2 or 3.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The alignment of tensor data in the (first) file.
    pub fn alignment(&self) -> u64 {
        self.alignment
    }

    /// The metadata of the (first) file, `split.*` keys included.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The tensors in the order of the file, one shard after another.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// The tensor of this name.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        let place = |i: &u32| self.tensors[*i as usize].name.as_str().cmp(name);
        let found = self.by_name.binary_search_by(place).ok()?;
        Some(&self.tensors[self.by_name[found] as usize])
    }

    /// The bytes of a tensor of this model, [`TensorInfo::bytes`] of them.
    pub fn data(&self, tensor: &TensorInfo) -> &[u8] {
        &self.shards[tensor.shard].bytes()[tensor.range.clone()]
    }

    /// Bytes of all the files together.
    pub fn file_bytes(&self) -> u64 {
        self.shards.iter().map(|shard| shard.bytes().len() as u64).sum()
    }

    /// The files, in the order of the shards.
    pub fn paths(&self) -> impl ExactSizeIterator<Item = &Path> {
        self.shards.iter().map(|shard| shard.path.as_path())
    }

    /// Says that bytes `range` of a tensor are not needed for now, so that they stop counting as
    /// this program's memory. They stay readable: a later use fetches them from the file again.
    ///
    /// Whole pages are released, those at the ends of the range with what others hold of them.
    pub fn release(&self, tensor: &TensorInfo, range: Range<usize>) {
        let place = |at: usize| tensor.range.start.saturating_add(at).min(tensor.range.end);
        self.shards[tensor.shard].release(place(range.start)..place(range.end));
    }
}

impl Shard {
    fn map(path: &Path, doing: &str) -> Result<Shard, Error> {
        let failed = |source| Error::io(path, doing, source);
        // Asked before opening, since opening a named pipe waits for someone to write to it.
        let metadata = path.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(Error::unsupported(path, foreign::folder(path)));
        }
        if !metadata.is_file() {
            let reason = "it is no regular file, and only those can be mapped";
            return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, reason)));
        }
        let file = File::open(path).map_err(failed)?;
        // SAFETY: the mapping is read only. That nobody changes the file meanwhile cannot be had
        // from the system; `open` demands it of the user.
        let map = unsafe { Mmap::map(&file) }.map_err(failed)?;
        // Tensors are read from front to back. It is advice: without it all is as right.
        #[cfg(unix)]
        let _ = map.advise(memmap2::Advice::Sequential);
        Ok(Shard { path: path.into(), backing: Backing::Mapped(map) })
    }

    fn bytes(&self) -> &[u8] {
        match &self.backing {
            Backing::Mapped(map) => map,
            Backing::Memory(bytes) => bytes,
        }
    }

    #[cfg(unix)]
    fn release(&self, range: Range<usize>) {
        /// A multiple of the page size of every system in use.
        const PAGES: usize = 64 << 10;
        let Backing::Mapped(map) = &self.backing else { return };
        let start = range.start / PAGES * PAGES;
        let end = range.end.next_multiple_of(PAGES).min(map.len());
        if start < end {
            let advice = memmap2::UncheckedAdvice::DontNeed;
            // SAFETY: the mapping is shared with the file and read only, so that a dropped page
            // comes back with the same bytes. A refusal only leaves the pages where they are.
            let _ = unsafe { map.unchecked_advise_range(advice, start, end - start) };
        }
    }

    #[cfg(not(unix))]
    fn release(&self, _range: Range<usize>) {}
}
