//! A companion as it is written: under its name only when all is done.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::gguf::{self, Gguf, OutputFile};
use crate::opencog::section::{Section, write};
use crate::report::OpenCogReport;
use crate::sha256::{self, Hashed};

use super::code::{Coded, code};
use super::opened::Opened;
use super::read::{self, Data};
use super::validate::validate;
use super::{Request, carried, companion_of};

/// What is done about the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It is checked whether it could be written; its hash is wanted.
    Dry,
    /// It is written.
    Write,
}

/// A companion, written, but not yet under its name.
#[derive(Debug)]
pub(crate) struct Companion {
    target: PathBuf,
    /// Nothing in a dry run, and where the same file is there already.
    file: Option<OutputFile>,
    /// What is told of it.
    pub report: OpenCogReport,
}

impl Companion {
    /// The companion of a model's output: of the data that is asked for, and of a companion beside
    /// the input where some is not. `None` where there is no data.
    pub fn beside(
        model: &Gguf,
        request: &Request,
        output: &Path,
        mode: Mode,
        overwrite: bool,
    ) -> Result<Option<Companion>, Error> {
        let carried = Companion::carried(model, request);
        if carried.is_none() && request.inputs().next().is_none() {
            return Ok(None);
        }
        let target = companion_of(output);
        OutputFile::check_name(&target)?;
        let made = Made::of(request, carried.as_deref())?;
        if made.coded.sections.is_empty() {
            return Ok(None);
        }
        made.write(&target, overwrite, mode).map(Some)
    }

    /// The companion beside the input that something is kept of.
    pub fn carried(model: &Gguf, request: &Request) -> Option<PathBuf> {
        carried::beside(model, request)
    }

    /// What is to be said of that companion, where it is not the one that the input names.
    pub fn doubt(model: &Gguf, request: &Request) -> Option<String> {
        carried::doubt(model, request)
    }

    /// The companion of data that is asked for.
    pub fn pack(request: &Request, target: &Path, overwrite: bool) -> Result<Companion, Error> {
        Made::of(request, None)?.write(target, overwrite, Mode::Write)
    }

    /// The name that the model's metadata has of it: it lies in the same folder.
    pub fn name(&self) -> String {
        self.target.file_name().unwrap_or_default().to_string_lossy().into()
    }

    /// Gives it its name.
    pub fn commit(self) -> Result<(), gguf::Error> {
        self.file.map_or(Ok(()), OutputFile::commit)
    }

    /// Gives it its name and then does what gives the model its own; where that fails, a companion
    /// that is new is deleted again.
    pub fn commit_before(
        self,
        model: impl FnOnce() -> Result<(), gguf::Error>,
    ) -> Result<(), gguf::Error> {
        let target = self.target.clone();
        let is_new = self.file.is_some() && target.symlink_metadata().is_err();
        self.commit()?;
        model().inspect_err(|_| {
            if is_new {
                let _ = fs::remove_file(&target);
            }
        })
    }
}

/// What was coded, and of what.
struct Made<'a> {
    request: &'a Request,
    /// The companion that something is kept of.
    carried: Option<&'a Path>,
    data: Data,
    coded: Coded,
}

impl<'a> Made<'a> {
    /// Reads and codes. A text that has no atoms is refused where there are no programs either:
    /// nobody packs nothing on purpose.
    fn of(request: &'a Request, carried: Option<&'a Path>) -> Result<Made<'a>, Error> {
        let mut data = read::data(request)?;
        let mut coded = code(&mut data, request)?;
        if let Some(path) = carried {
            carried::add(&mut coded, path, request)?;
        }
        match (request.atoms(), data.without_atoms()) {
            (Some(path), Some(fault)) if coded.moses.is_none() => Err(Error::opencog(path, fault)),
            _ => Ok(Made { request, carried, data, coded }),
        }
    }

    fn write(self, target: &Path, overwrite: bool, mode: Mode) -> Result<Companion, Error> {
        let Made { request, carried, data, coded } = self;
        let Coded { sections, atomspace, ecan, moses } = coded;
        let Hashed { hash, bytes } = write(Hashed::default(), target, &sections)?;
        let sha256 = sha256::hex(hash);
        let file = match mode {
            // A run that was killed before it gave the model its name has made it.
            _ if !overwrite && is_there(target, bytes, &sha256) => None,
            Mode::Dry => OutputFile::check(target, overwrite).map(|()| None)?,
            Mode::Write => {
                let file = OutputFile::create(target, overwrite)?;
                let file = write(file, target, &sections)?;
                file.sync()?;
                Some(file)
            }
        };
        let inputs = request.inputs().chain(carried);
        let mut report = OpenCogReport {
            inputs: inputs.map(|path| path.to_string_lossy().into()).collect(),
            companion: target.to_string_lossy().into(),
            bytes,
            sha256,
            atomspace,
            ecan,
            moses,
        };
        if request.validate {
            let opened = match (mode, &file) {
                (Mode::Dry, _) => in_memory(target, &sections)?,
                (Mode::Write, Some(file)) => Opened::open(file.path())?,
                (Mode::Write, None) => Opened::open(target)?,
            };
            drop(sections);
            validate(&mut report, &data, &opened)?;
        }
        Ok(Companion { target: target.into(), file, report })
    }
}

/// What a dry run does not write, opened.
fn in_memory(target: &Path, sections: &[Section]) -> Result<Opened, Error> {
    let file = write(Vec::new(), target, sections)?;
    Opened::of(target, Gguf::from_bytes(&target.to_string_lossy(), file)?)
}

/// Whether there is such a file with just these bytes.
fn is_there(target: &Path, bytes: u64, sha256: &str) -> bool {
    target.metadata().is_ok_and(|found| found.is_file() && found.len() == bytes)
        && sha256::of_file(target).is_ok_and(|found| found == sha256)
}
