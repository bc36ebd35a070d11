//! MeTTa in a companion file, asked where it lies.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::super::atomspace::companion::PackedSpace;
use super::super::atomspace::{AtomId, AtomStore, Error};
use super::super::section::Companion;
use super::print::{Printing, sorts};
use super::sort::Sort;
use super::tops::Tops;
use crate::gguf::{self, Gguf};

/// The atoms of a companion that holds MeTTa, and which of them are at the top.
#[derive(Debug, Clone)]
pub struct PackedMetta<'a> {
    /// Its atoms, each once.
    pub space: PackedSpace<'a>,
    /// Those at the top.
    pub tops: Tops<'a>,
    /// What the types of the space are.
    pub sorts: Vec<Sort>,
}

/// How many bytes a text may have.
const MOST_BYTES: u64 = 1 << 40;

/// How many bytes are written at a time.
const BLOCK: usize = 1 << 16;

impl<'a> PackedMetta<'a> {
    /// Checks what a query could go astray by, once.
    ///
    /// # Errors
    /// The file holds no MeTTa in the mapped form, or contradicts itself.
    pub fn of(gguf: &'a Gguf) -> Result<PackedMetta<'a>, gguf::Error> {
        let path = || -> PathBuf { gguf.paths().next().unwrap_or(Path::new("")).into() };
        let fault = |fault: String| gguf::Error::Format { path: path(), fault };
        let space = PackedSpace::of(gguf)?;
        let companion = Companion::new(gguf).map_err(|error| fault(error.0))?;
        let tops = Tops::of(&companion, space.atom_count()).map_err(|error| fault(error.0))?;
        let sorts = sorts(space.types());
        let sorts = sorts.ok_or_else(|| fault("it has types that are none of MeTTa".into()))?;
        Ok(PackedMetta { space, tops, sorts })
    }

    /// The sort of an atom.
    pub fn sort(&self, atom: AtomId) -> Sort {
        self.sorts[self.space.type_of(atom).index()]
    }

    /// Writes the atoms at the top as text, each on a line, in their order. How many there are.
    ///
    /// # Errors
    /// `out` does not take it; the file is broken, or expressions hold each other in so many ways
    /// that the text would be of more than 2^40 bytes.
    pub fn export(&self, out: &mut impl Write) -> Result<u64, Error> {
        let mut left = MOST_BYTES;
        let mut text = Vec::new();
        for atom in self.tops.in_order() {
            let atom = atom.ok_or_else(|| {
                Error::Parameter("part `metta.order` is not what others say of it".into())
            })?;
            let mut printing = Printing::of(&self.space, &self.sorts, atom);
            while !printing.write(BLOCK, &mut text) {
                left = put(&mut text, left, out)?;
            }
            text.push(b'\n');
        }
        put(&mut text, left, out)?;
        let written = out.write_all(&text);
        written.map_err(|source| Error::Io { doing: "cannot write the text", source })?;
        Ok(self.tops.len() as u64)
    }
}

/// Writes all bytes but the last, on which it depends what comes next; how many are left to be
/// written, of so many.
fn put(text: &mut Vec<u8>, left: u64, out: &mut impl Write) -> Result<u64, Error> {
    let Some((_, all)) = text.split_last() else { return Ok(left) };
    let left = left
        .checked_sub(all.len() as u64)
        .ok_or_else(|| Error::Parameter("as text, this would be of more than 2^40 bytes".into()))?;
    let written = out.write_all(all);
    written.map_err(|source| Error::Io { doing: "cannot write the text", source })?;
    text.drain(..text.len() - 1);
    Ok(left)
}
