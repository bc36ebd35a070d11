//! A part of a text, ordered, in a temporary file until it is merged with the others.
//!
//! The file has no name, so that nothing is left of it however the program ends. It holds, one after
//! another: names by length and bytes, outgoing sets, and what atoms are given by increasing atom.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;

use crate::opencog::atomspace::read::{PartOfText, Slot};
use crate::opencog::atomspace::value_bytes;
use crate::opencog::atomspace::{AtomId, AtomSpace, AtomStore, AtomType, Value};

use super::groups::GroupSize;
use super::ordered::Order;

/// Bytes that are read or written at a time.
const CHUNK: usize = 1 << 18;

/// An ordered part; its ids are its own.
pub(super) struct Run {
    /// In the order of files.
    pub types: Vec<AtomType>,
    pub groups: Vec<GroupSize>,
    source: BufReader<File>,
    /// How often something is given to an atom that is yet to be read.
    gifts: u64,
}

/// What an atom of a run is given, or is taken.
#[derive(Debug)]
pub(super) struct Gift {
    pub atom: u32,
    pub slot: Slot,
    /// Whether it is given only if no earlier run gave the atom such a value.
    pub is_weak: bool,
    /// As [`value_bytes`] has it, with the ids of the run; none where it is taken, or where it is weak
    /// and something else takes its place.
    pub value: Option<Vec<u8>>,
}

const TRUTH: u8 = 0;
const ATTENTION: u8 = 1;
const KEY: u8 = 2;

impl Run {
    /// Orders a part and writes it to a file in this folder.
    pub fn of(part: &PartOfText, folder: &Path) -> io::Result<Run> {
        let order = Order::of(&part.space);
        let mut out = BufWriter::with_capacity(CHUNK, tempfile::tempfile_in(folder)?);
        for name in order.old.iter().map_while(|&atom| part.space.name(atom)) {
            out.write_all(&(name.len() as u32).to_le_bytes())?;
            out.write_all(&name)?;
        }
        for member in &order.outgoing {
            out.write_all(&member.to_le_bytes())?;
        }
        let gifts = write_gifts(part, &order, &mut out)?;
        let Order { types, groups, .. } = order;
        let mut file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        Ok(Run { types, groups, source: BufReader::with_capacity(CHUNK, file), gifts })
    }

    fn u32(&mut self) -> io::Result<u32> {
        let mut bytes = [0; 4];
        self.source.read_exact(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.source.read_exact(&mut byte)?;
        Ok(byte[0])
    }

    fn append(&mut self, len: u32, out: &mut Vec<u8>) -> io::Result<()> {
        let start = out.len();
        out.resize(start + len as usize, 0);
        self.source.read_exact(&mut out[start..])
    }

    /// Appends the next name.
    pub fn name(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        let len = self.u32()?;
        self.append(len, out)
    }

    /// The next member of an outgoing set.
    pub fn member(&mut self) -> io::Result<u32> {
        self.u32()
    }

    /// What is given next, when all outgoing sets were read; none at the end.
    pub fn gift(&mut self) -> io::Result<Option<Gift>> {
        let Some(left) = self.gifts.checked_sub(1) else { return Ok(None) };
        self.gifts = left;
        let atom = self.u32()?;
        let slot = match self.byte()? {
            TRUTH => Slot::Truth,
            ATTENTION => Slot::Attention,
            _ => Slot::Key(AtomId(self.u32()?)),
        };
        let is_weak = self.byte()? != 0;
        let value = match self.u32()? {
            0 => None,
            len => {
                let mut bytes = Vec::new();
                self.append(len, &mut bytes)?;
                Some(bytes)
            }
        };
        Ok(Some(Gift { atom, slot, is_weak, value }))
    }
}

/// Writes what atoms are given, and what is taken of them before it; how much it is.
fn write_gifts(
    part: &PartOfText,
    order: &Order<AtomSpace>,
    out: &mut impl Write,
) -> io::Result<u64> {
    let PartOfText { space, weak, replaced, cleared } = part;
    let id = |atom: AtomId| AtomId(order.new[atom.index()]);
    let mut count = 0;
    for (new, &atom) in (0u32..).zip(&order.old) {
        let mut write = |slot: Slot, is_weak: bool, value: Option<&Value>| {
            count += 1;
            let mut bytes = Vec::new();
            if let Some(value) = value {
                value_bytes::encode(value, &id, &mut bytes);
            }
            out.write_all(&new.to_le_bytes())?;
            match slot {
                Slot::Truth => out.write_all(&[TRUTH])?,
                Slot::Attention => out.write_all(&[ATTENTION])?,
                Slot::Key(key) => {
                    out.write_all(&[KEY])?;
                    out.write_all(&id(key).0.to_le_bytes())?;
                }
            }
            out.write_all(&[u8::from(is_weak)])?;
            out.write_all(&(bytes.len() as u32).to_le_bytes())?;
            out.write_all(&bytes)
        };
        for (slots, is_weak) in [(replaced, true), (cleared, false)] {
            for &slot in slots.get(&atom).into_iter().flatten() {
                write(slot, is_weak, None)?;
            }
        }
        let mut give = |slot, value| write(slot, weak.contains(&(atom, slot)), Some(&value));
        if let Some(truth) = space.truth_value(atom) {
            give(Slot::Truth, Value::Truth(truth))?;
        }
        if let Some(attention) = space.attention_value(atom) {
            give(Slot::Attention, Value::Attention(attention))?;
        }
        for (key, value) in space.values(atom) {
            give(Slot::Key(key), value.to_value())?;
        }
    }
    Ok(count)
}
