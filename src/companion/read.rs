//! Reads OpenCog's own files.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::Error;
use crate::opencog::atomspace::companion::{Sorted, Sorter};
use crate::opencog::atomspace::read::{ReadOptions, ReadSummary, read, read_in_parts};
use crate::opencog::atomspace::{self, AtomSpace, AtomStore, Declarations};
use crate::opencog::metta::{self, Metta};
use crate::opencog::moses::{Binding, ColumnChoice, Ensemble, Table};

use super::Request;
use super::language::Language;
use super::text::Text;

/// What the files say.
#[derive(Debug, Default)]
pub(super) struct Data {
    pub atoms: Option<(AtomSpace, ReadSummary)>,
    pub metta: Option<Metta>,
    /// Atoms that were too many for memory.
    pub sorted: Option<(Sorted, ReadSummary)>,
    pub programs: Option<Programs>,
    /// What is to be said of memory.
    pub warning: Option<String>,
}

/// Programs, and what they are about.
#[derive(Debug)]
pub(super) struct Programs {
    pub ensemble: Ensemble,
    pub table: Option<Table>,
}

impl Data {
    /// What is wrong with a text that was read and has no atoms, in a line.
    pub fn without_atoms(&self) -> Option<String> {
        if let Some(metta) = self.metta.as_ref().filter(|metta| metta.order.is_empty()) {
            return Some(match metta.commands.count {
                0 => "expected atoms, found none".into(),
                n => format!("expected atoms, found only {n} commands (`!`), which are not run"),
            });
        }
        let (_, summary) = self.atoms.as_ref().filter(|(space, _)| space.atom_count() == 0)?;
        let skipped = summary.skipped.to_string().replace('\n', "; ");
        Some(match skipped.is_empty() {
            true => "expected atoms, found none".into(),
            false => format!("expected atoms, found only what was passed over: {skipped}"),
        })
    }
}

/// Reads all that is asked for.
pub(super) fn data(request: &Request) -> Result<Data, Error> {
    let text = request.atoms().map(Text::open).transpose()?;
    let mut data = match text {
        Some(text) => match text.language(!request.aliases.is_empty())? {
            Language::Scheme => atoms(text, request)?,
            Language::Metta => {
                refuse_words(text.path, &request.aliases, &request.types)?;
                let metta = metta(text)?;
                let sorting = request.sorting.as_ref();
                let warning =
                    sorting.and_then(|sorting| sorting.warning(metta.space.bytes(), OF_METTA));
                Data { metta: Some(metta), warning, ..Data::default() }
            }
        },
        None => Data::default(),
    };
    data.programs = request.programs().map(|path| programs(path, request)).transpose()?;
    Ok(data)
}

/// Refuses what is said of the words of AtomSpace text, where the atoms of a file are MeTTa.
pub(super) fn refuse_words(
    path: &Path,
    aliases: &[(String, String)],
    types: &[PathBuf],
) -> Result<(), Error> {
    match aliases.is_empty() && types.is_empty() {
        true => Ok(()),
        false => Err(Error::opencog(
            path,
            "its atoms are MeTTa, of which --alias and --types tell nothing; leave them out",
        )),
    }
}

/// Why atoms are read and ordered at once.
const OF_METTA: &str = "MeTTa is sorted in memory alone";
const OF_NAMES: &str = "from the first `define` of an atom or value, state, definition or \
                        scope on, a text is held in memory";
const OF_VALIDATE: &str = "--validate needs all that was read";

/// Reads a text of MeTTa.
pub(super) fn metta(text: Text) -> Result<Metta, Error> {
    let path = text.path;
    metta::read(text.into_reader()).map_err(|error| fault(path, error))
}

/// An error about the text or the companion at a path.
pub(super) fn fault(path: &Path, error: atomspace::Error) -> Error {
    match error {
        atomspace::Error::Io { doing, source } => Error::file(path, doing, source),
        other => Error::opencog(path, other),
    }
}

/// Reads a text of atoms, in parts that are sorted where memory may not suffice.
fn atoms(text: Text, request: &Request) -> Result<Data, Error> {
    let Some(sorting) = request.sorting.as_ref().filter(|_| !request.validate) else {
        let atoms = atomspace(text, request)?;
        let sorting = request.sorting.as_ref();
        let warning = sorting.and_then(|sorting| sorting.warning(atoms.0.bytes(), OF_VALIDATE));
        return Ok(Data { atoms: Some(atoms), warning, ..Data::default() });
    };
    let path = text.path;
    let blamed = |error| blamed(path, error);
    let mut sorter = Sorter::new(&sorting.folder);
    let mut add = |part| sorter.add(part);
    let (last, mut summary) =
        read_in_parts(text.into_reader(), &options(request)?, sorting.part(), &mut add)
            .map_err(blamed)?;
    // Of what can be cut, less is left.
    let warning = sorting.warning(last.space.bytes(), OF_NAMES);
    if sorter.is_empty() {
        return Ok(Data { atoms: Some((last.space, summary)), warning, ..Data::default() });
    }
    let sorted = sorter.add(last).and_then(|()| sorter.finish()).map_err(blamed)?;
    summary.values_taken -= sorted.values_ignored();
    summary.values_ignored += sorted.values_ignored();
    Ok(Data { sorted: Some((sorted, summary)), warning, ..Data::default() })
}

/// Reads a text of atoms.
pub(super) fn atomspace(text: Text, request: &Request) -> Result<(AtomSpace, ReadSummary), Error> {
    let path = text.path;
    read(text.into_reader(), &options(request)?).map_err(|error| blamed(path, error))
}

fn options(request: &Request) -> Result<ReadOptions, Error> {
    Ok(ReadOptions {
        tv_merge: request.tv_merge,
        aliases: request.aliases.clone(),
        types: types(&request.types)?,
    })
}

/// The error of reading a file.
fn blamed(path: &Path, error: atomspace::Error) -> Error {
    match error {
        atomspace::Error::Io { doing, source } => Error::file(path, doing, source),
        other => Error::opencog(path, other),
    }
}

/// The types of OpenCog's modules and those that these scripts declare; none where there are no
/// scripts.
pub(super) fn types(scripts: &[PathBuf]) -> Result<Option<Arc<Declarations>>, Error> {
    if scripts.is_empty() {
        return Ok(None);
    }
    let mut types = Declarations::default();
    for path in scripts {
        types.add_script(&whole(path)?).map_err(|e| Error::opencog(path, e))?;
    }
    Ok(Some(Arc::new(types)))
}

/// Whether a file begins as a GGUF does. What cannot be read twice, as a pipe, is text.
pub(super) fn is_gguf(path: &Path) -> Result<bool, Error> {
    if !path.is_file() {
        return Ok(false);
    }
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(4).read_to_end(&mut head));
    read.map_err(|e| Error::file(path, "cannot read it", e))?;
    Ok(head == b"GGUF")
}

fn programs(path: &Path, request: &Request) -> Result<Programs, Error> {
    let ensemble = Ensemble::read(&whole(path)?).map_err(|e| Error::opencog(path, e))?;
    if ensemble.programs.is_empty() {
        return Err(Error::opencog(path, "expected programs, found none"));
    }
    let Some(of) = request.table() else { return Ok(Programs { ensemble, table: None }) };
    let [target, weight] = [&request.moses_target, &request.moses_weight]
        .map(|column| column.as_deref().map(ColumnChoice::from));
    let table = Table::read(&whole(of)?, target.as_ref(), weight.as_ref());
    let table = table.map_err(|e| Error::opencog(of, e))?;
    Binding::new(&ensemble.names, &table)
        .map_err(|e| Error::opencog(of, format!("{e}, which {} asks for", path.display())))?;
    Ok(Programs { ensemble, table: Some(table) })
}

/// What some programs begin a text with; it is no part of it.
const BYTE_ORDER_MARK: char = '\u{feff}';

fn whole(path: &Path) -> Result<String, Error> {
    let mut text = fs::read_to_string(path).map_err(|e| Error::file(path, "cannot read it", e))?;
    if text.starts_with(BYTE_ORDER_MARK) {
        text.remove(0);
    }
    Ok(text)
}
