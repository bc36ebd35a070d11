//! A companion file that is read again.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::gguf::{self, Gguf};
use crate::opencog::atomspace::AtomStore;
use crate::opencog::atomspace::companion::{Form, PackedSpace, expand, form};
use crate::opencog::ecan::AtomAttention;
use crate::opencog::metta::{self, PackedMetta};
use crate::opencog::moses::CodedEnsemble;
use crate::opencog::section::{Companion, Section, SectionError, write};
use crate::report::{AtomSpaceReport, EcanReport, MosesReport};

/// An open companion, its atoms ready to be asked.
#[derive(Debug)]
pub(super) struct Opened {
    path: PathBuf,
    gguf: Gguf,
    /// The form of the atoms in the file; none where it has none.
    form: Option<Form>,
    /// The mapped form, made in memory, of atoms at rest.
    expanded: Option<Gguf>,
    /// Whether the atoms are those of MeTTa.
    is_metta: bool,
}

impl Opened {
    pub fn open(path: &Path) -> Result<Opened, Error> {
        let gguf = Gguf::open(path).map_err(|error| match error {
            gguf::Error::Io { path, source, .. } => {
                Error::file(&path, "cannot open the companion", source)
            }
            other => other.into(),
        })?;
        Opened::of(path, gguf)
    }

    /// What is read as that file.
    pub fn of(path: &Path, gguf: Gguf) -> Result<Opened, Error> {
        let companion = Companion::new(&gguf).map_err(|e| Error::opencog(path, e))?;
        let form = form(&gguf)?;
        let is_metta = metta::is_in(&companion).map_err(|e| Error::opencog(path, e))?;
        let expanded = match form {
            Some(Form::AtRest) => Some(expanded(path, &gguf, is_metta)?),
            Some(Form::Mapped) | None => None,
        };
        Ok(Opened { path: path.into(), gguf, form, expanded, is_metta })
    }

    /// The atoms as MeTTa; none where they are those of an AtomSpace.
    pub fn metta(&self) -> Result<Option<PackedMetta<'_>>, Error> {
        let packed = || super::metta::packed(&self.path, self.mapped());
        self.is_metta.then(packed).transpose()
    }

    /// The file that has the atoms in the mapped form.
    fn mapped(&self) -> &Gguf {
        self.expanded.as_ref().unwrap_or(&self.gguf)
    }

    pub fn companion(&self) -> Result<Companion<'_>, Error> {
        Companion::new(&self.gguf).map_err(|e| self.fault(e))
    }

    /// Something that is wrong with it.
    pub fn fault(&self, fault: impl Display) -> Error {
        Error::opencog(&self.path, fault)
    }

    /// Bytes of the file.
    pub fn file_bytes(&self) -> u64 {
        self.gguf.file_bytes()
    }

    /// Names and bytes of the tensors.
    pub fn parts(&self) -> impl Iterator<Item = (&str, u64)> {
        self.gguf.tensors().iter().map(|tensor| (&tensor.name[..], tensor.bytes()))
    }

    /// The atoms, which must be there. After answers [`PackedSpace::fault`] is to be asked.
    pub fn space(&self) -> Result<PackedSpace<'_>, Error> {
        Ok(PackedSpace::of(self.mapped())?)
    }

    /// The atoms, which must be there, for who reads them all: the whole file is checked before.
    pub fn whole_space(&self) -> Result<PackedSpace<'_>, Error> {
        let space = self.space()?;
        space.verify()?;
        Ok(space)
    }

    /// What is to be told of the atoms, if there are any.
    pub fn atomspace(&self) -> Result<Option<AtomSpaceReport>, Error> {
        let Some(form) = self.form else { return Ok(None) };
        let bytes = self.bytes_of("atomspace.") + self.bytes_of("metta.");
        let space = self.whole_space()?;
        let metta = self.metta()?.map(|metta| super::metta::told_of(&metta.tops));
        let report = AtomSpaceReport { metta, ..AtomSpaceReport::of(&space, form, bytes) };
        Ok(Some(report.with_codec(space.truth_codec())))
    }

    /// What is to be told of coded attention values, if there are any.
    pub fn ecan(&self) -> Result<Option<EcanReport>, Error> {
        let atoms = match self.form {
            Some(_) => self.space()?.atom_count() as u32,
            None => return Ok(None),
        };
        let coded = AtomAttention::from_companion(&self.companion()?, atoms);
        let coded = coded.map_err(|e| self.fault(e))?;
        Ok(coded.map(|coded| EcanReport::of(&coded)))
    }

    /// What is to be told of programs, if there are any.
    pub fn moses(&self) -> Result<Option<MosesReport>, Error> {
        Ok(self.programs()?.map(|coded| MosesReport::of(&coded, self.bytes_of("moses."))))
    }

    /// The programs, if there are any.
    pub fn programs(&self) -> Result<Option<CodedEnsemble>, Error> {
        let coded = CodedEnsemble::from_companion(&self.companion()?);
        coded.map_err(|e| self.fault(e))
    }

    fn bytes_of(&self, room: &str) -> u64 {
        self.parts().filter(|(name, _)| name.starts_with(room)).map(|(_, bytes)| bytes).sum()
    }
}

/// The mapped form of atoms at rest, in memory.
fn expanded(path: &Path, gguf: &Gguf, is_metta: bool) -> Result<Gguf, Error> {
    let in_memory = |sections: &[Section]| {
        let file = write(Vec::new(), path, sections)?;
        Gguf::from_bytes(&path.to_string_lossy(), file)
    };
    let atoms = expand(gguf)?.section(Form::Mapped);
    let mapped = in_memory(std::slice::from_ref(&atoms))?;
    if !is_metta {
        return Ok(mapped);
    }
    let tops = Companion::new(gguf).and_then(|companion| {
        let space = PackedSpace::of(&mapped).map_err(|error| SectionError(error.to_string()))?;
        metta::expand(&companion, &space)
    });
    let tops = tops.map_err(|error| Error::opencog(path, error))?;
    Ok(in_memory(&[atoms, tops])?)
}
