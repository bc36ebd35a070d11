//! Columns of values, where they lie.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::OnceLock;

use crate::gguf::Error;
use crate::opencog::atomspace::value::TruthKind;
use crate::opencog::atomspace::value_bytes;
use crate::opencog::atomspace::{AtomId, AttentionValue, TruthValue, ValueRef};
use crate::opencog::ecan::AtomAttention;

use super::faults::Faults;
use super::packed::Packed;
use super::reader::Reader;
use super::section::{key, name};

/// Three floats of a dictionary.
type Three = [[u8; 8]; 3];

const TRUTH_CODES: &str = "atomspace.truth.codes";
const TRUTH_LEVELS: &str = "atomspace.strength.codes";
const ATTENTION_CODES: &str = "atomspace.attention.codes";
const ATTENTION_CODED: &str = "ecan.atoms";
const VALUE_ROWS: &str = "atomspace.values.row_starts";
const VALUE_KEYS: &str = "atomspace.values.keys";
const VALUE_BYTES: &str = "atomspace.values.bytes";

fn floats(row: &Three) -> [f64; 3] {
    row.map(f64::from_le_bytes)
}

/// For each atom 0 for none, or 1 + the place of what it has.
#[derive(Debug, Clone, Copy)]
pub(super) enum Codes<'a> {
    /// No atom has any.
    None,
    Bytes(&'a [u8]),
    Wide(Packed<'a>),
}

impl<'a> Codes<'a> {
    /// Those of a part, which may go beyond what there is: whoever asks looks it up.
    fn new(reader: &Reader<'a>, name: &str, atoms: u32, distinct: u64) -> Result<Self, Error> {
        let packed = reader.packed(name, atoms.into(), distinct)?;
        Ok(match packed.as_bytes() {
            _ if distinct == 0 => Codes::None,
            Some(bytes) => Codes::Bytes(bytes),
            None => Codes::Wide(packed),
        })
    }

    /// Whether no code goes beyond what there is.
    fn are_up_to(&self, distinct: u64) -> bool {
        match self {
            Codes::None => true,
            Codes::Bytes(bytes) => bytes.iter().all(|&code| u64::from(code) <= distinct),
            Codes::Wide(packed) => packed.iter().all(|code| code <= distinct),
        }
    }

    #[inline]
    fn place(&self, atom: AtomId) -> Option<usize> {
        let code = match self {
            Codes::None => return None,
            Codes::Bytes(bytes) => usize::from(bytes[atom.index()]),
            Codes::Wide(packed) => packed.get(atom.index()) as usize,
        };
        code.checked_sub(1)
    }
}

/// The truth values.
#[derive(Debug, Clone, Copy)]
pub(super) struct TruthView<'a> {
    codes: Codes<'a>,
    kinds: &'a [u8],
    /// How many simple ones come first.
    simple: usize,
    numbers: &'a [Three],
    /// Strength and confidence of simple ones that are coded by columns.
    coded: Option<[LevelView<'a>; 2]>,
}

impl<'a> TruthView<'a> {
    pub fn new(reader: &Reader<'a>, atoms: u32) -> Result<TruthView<'a>, Error> {
        let [codes, kinds, numbers] =
            ["codes", "kinds", "numbers"].map(|part| format!("{}.{part}", name::TRUTH));
        let distinct = reader.bytes(&kinds);
        let rows = reader.rows(&numbers)?;
        reader.check(&kinds, distinct.len() == rows.len())?;
        let strength = LevelView::new(reader, name::STRENGTH, atoms)?;
        let confidence = LevelView::new(reader, name::CONFIDENCE, atoms)?;
        Ok(TruthView {
            codes: Codes::new(reader, &codes, atoms, rows.len() as u64)?,
            kinds: distinct,
            // They are ordered by kind. In a broken file some others may count as simple.
            simple: distinct.partition_point(|&kind| kind == TruthKind::Simple as u8),
            numbers: rows,
            coded: strength.zip(confidence).map(|(strength, confidence)| [strength, confidence]),
        })
    }

    /// Reads all of it.
    pub fn verify(&self, reader: &Reader, atoms: u32) -> Result<(), Error> {
        let known = |&kind: &u8| usize::from(kind) < TruthKind::ALL.len();
        let (simple, others) = self.kinds.split_at(self.simple);
        let is_simple = |kind: &u8| *kind == TruthKind::Simple as u8;
        let in_order = simple.iter().all(is_simple) && !others.iter().any(is_simple);
        reader.check("atomspace.truth.kinds", in_order && self.kinds.iter().all(known))?;
        reader.check(TRUTH_CODES, self.codes.are_up_to(self.numbers.len() as u64))?;
        let mut columns = self.coded.iter().flatten();
        columns.try_for_each(|column| reader.check(TRUTH_LEVELS, column.has_all(atoms)))
    }

    #[inline]
    pub fn get(&self, atom: AtomId, faults: &Faults) -> Option<TruthValue> {
        match self.codes.place(atom) {
            Some(place) if place < self.simple => {
                let [strength, confidence, _] = floats(&self.numbers[place]);
                Some(TruthValue::Simple { strength, confidence })
            }
            place => self.get_other(atom, place, faults),
        }
    }

    /// Of another kind, or coded by columns. Apart, so that the common case is no call.
    #[inline(never)]
    fn get_other(&self, atom: AtomId, place: Option<usize>, faults: &Faults) -> Option<TruthValue> {
        match place {
            Some(place) => {
                let kind =
                    self.kinds.get(place).and_then(|&kind| TruthKind::ALL.get(kind as usize));
                let found = kind.zip(self.numbers.get(place));
                let value =
                    found.map(|(kind, numbers)| TruthValue::from_numbers(*kind, floats(numbers)));
                value.or_else(|| faults.found(TRUTH_CODES, None))
            }
            None => {
                let [strength, confidence] = self.coded.as_ref()?;
                let (strength, confidence) =
                    (strength.get(atom, faults)?, confidence.get(atom, faults)?);
                Some(TruthValue::Simple { strength, confidence })
            }
        }
    }
}

/// Numbers coded by levels.
#[derive(Debug, Clone, Copy)]
struct LevelView<'a> {
    /// The level after the last stands for an exception.
    codes: Codes<'a>,
    levels: &'a [[[u8; 8]; 1]],
    /// The atoms that are exceptions, ascending.
    atoms: Packed<'a>,
    values: &'a [[[u8; 8]; 1]],
}

impl<'a> LevelView<'a> {
    /// None where there is no such column.
    fn new(reader: &Reader<'a>, column: &str, atoms: u32) -> Result<Option<LevelView<'a>>, Error> {
        let [codes, levels, exceptions, values] =
            ["codes", "levels", "exceptions", "exception_values"]
                .map(|part| format!("{column}.{part}"));
        if reader.bytes(&codes).is_empty() {
            return Ok(None);
        }
        let levels = reader.rows(&levels)?;
        let values = reader.rows(&values)?;
        let last = u64::from(atoms).saturating_sub(1);
        Ok(Some(LevelView {
            codes: Codes::new(reader, &codes, atoms, levels.len() as u64 + 1)?,
            levels,
            atoms: reader.packed(&exceptions, values.len() as u64, last)?,
            values,
        }))
    }

    #[inline]
    fn get(&self, atom: AtomId, faults: &Faults) -> Option<f64> {
        let level = self.codes.place(atom)?;
        let value = self.number(level, atom);
        let [value] = value.or_else(|| faults.found(TRUTH_LEVELS, None))?;
        Some(f64::from_le_bytes(*value))
    }

    /// The number of a level, or the exception that an atom is.
    #[inline]
    fn number(&self, level: usize, atom: AtomId) -> Option<&[[u8; 8]; 1]> {
        self.levels.get(level).or_else(|| self.exception(atom))
    }

    /// Whether there is a number for each atom that has a code: that is no code beyond the levels, and
    /// no exception that is not listed.
    fn has_all(&self, atoms: u32) -> bool {
        let is_there = |atom| match self.codes.place(AtomId(atom)) {
            Some(level) => level <= self.levels.len() && self.number(level, AtomId(atom)).is_some(),
            None => true,
        };
        (0..atoms).all(is_there)
    }

    fn exception(&self, atom: AtomId) -> Option<&[[u8; 8]; 1]> {
        let (mut low, mut high) = (0, self.atoms.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.atoms.get(middle) < atom.0.into() {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        self.values.get(low).filter(|_| self.atoms.get(low) == u64::from(atom.0))
    }
}

/// The attention values.
#[derive(Debug, Clone)]
pub(super) enum AttentionView<'a> {
    /// As they are.
    Exact { codes: Codes<'a>, numbers: &'a [Three] },
    /// As ECAN's section has them, once one was asked for.
    Coded { reader: Reader<'a>, atoms: u32, coded: OnceLock<Option<AtomAttention>> },
}

/// The attention value that ECAN's section has of an atom.
pub(super) fn coded_value(coded: &AtomAttention, atom: AtomId) -> Option<AttentionValue> {
    let (sti, lti, vlti) = coded.value(atom.0)?;
    Some(AttentionValue { sti, lti, vlti: vlti.into() })
}

impl<'a> AttentionView<'a> {
    pub fn new(reader: &Reader<'a>, atoms: u32) -> Result<AttentionView<'a>, Error> {
        if reader.has_coded_attention() {
            let (reader, coded) = (*reader, OnceLock::new());
            return Ok(AttentionView::Coded { reader, atoms, coded });
        }
        let [codes, numbers] =
            ["codes", "numbers"].map(|part| format!("{}.{part}", name::ATTENTION));
        let numbers = reader.rows(&numbers)?;
        let codes = Codes::new(reader, &codes, atoms, numbers.len() as u64)?;
        Ok(AttentionView::Exact { codes, numbers })
    }

    /// Reads all of it.
    pub fn verify(&self, reader: &Reader) -> Result<(), Error> {
        match self {
            AttentionView::Exact { codes, numbers } => {
                reader.check(ATTENTION_CODES, codes.are_up_to(numbers.len() as u64))
            }
            AttentionView::Coded { reader, atoms, .. } => reader.coded_attention(*atoms).map(drop),
        }
    }

    #[inline]
    pub fn get(&self, atom: AtomId, faults: &Faults) -> Option<AttentionValue> {
        match self {
            AttentionView::Exact { codes, numbers } => match numbers.get(codes.place(atom)?) {
                Some(row) => {
                    let [sti, lti, vlti] = floats(row);
                    Some(AttentionValue { sti, lti, vlti })
                }
                None => faults.found(ATTENTION_CODES, None),
            },
            AttentionView::Coded { reader, atoms, coded } => {
                let read = || match reader.coded_attention(*atoms) {
                    Ok(coded) => coded,
                    Err(_) => faults.found(ATTENTION_CODED, None),
                };
                coded_value(coded.get_or_init(read).as_ref()?, atom)
            }
        }
    }
}

/// The values under other keys.
#[derive(Debug, Clone, Copy)]
pub(super) struct ValuesView<'a> {
    codes: Codes<'a>,
    row_starts: Packed<'a>,
    /// The keys of the rows, one row after another, and the places of their values.
    keys: Packed<'a>,
    places: Packed<'a>,
    starts: Packed<'a>,
    bytes: &'a [u8],
    /// How many atoms there are.
    atoms: u32,
}

impl<'a> ValuesView<'a> {
    pub fn new(reader: &Reader<'a>, atoms: u32) -> Result<ValuesView<'a>, Error> {
        let [codes, row_starts, keys, places, starts, bytes] =
            ["codes", "row_starts", "keys", "places", "starts", "bytes"]
                .map(|part| format!("{}.{part}", name::VALUES));
        let [rows, cells, values] = [key::ROWS, key::CELLS, key::VALUES];
        let (rows, cells, values) =
            (reader.number(rows)?, reader.number(cells)?, reader.number(values)?);
        let last_atom = u64::from(atoms).saturating_sub(1);
        let blob = reader.bytes(&bytes);
        // Only a file with values has places, and every value takes a byte at least.
        let sound = (cells == 0 || values > 0 && atoms > 0) && values <= blob.len() as u64;
        reader.check(&bytes, sound)?;
        Ok(ValuesView {
            codes: Codes::new(reader, &codes, atoms, rows)?,
            row_starts: reader.bounds(&row_starts, rows, cells)?,
            keys: reader.packed(&keys, cells, last_atom)?,
            places: reader.packed(&places, cells, values.saturating_sub(1))?,
            starts: reader.bounds(&starts, values, blob.len() as u64)?,
            bytes: blob,
            atoms,
        })
    }

    /// Reads all of it.
    pub fn verify(&self, reader: &Reader) -> Result<(), Error> {
        // One bound more than rows and values.
        let rows = (self.row_starts.len() as u64).saturating_sub(1);
        let values = (self.starts.len() as u64).saturating_sub(1);
        reader.check("atomspace.values.codes", self.codes.are_up_to(rows))?;
        reader.check(VALUE_ROWS, self.row_starts.bounds_lists_up_to(self.keys.len() as u64))?;
        reader.check(VALUE_KEYS, self.keys.iter().all(|key| key < self.atoms.into()))?;
        reader.check("atomspace.values.places", self.places.iter().all(|place| place < values))?;
        let bytes = self.bytes.len() as u64;
        reader.check("atomspace.values.starts", self.starts.bounds_lists_up_to(bytes))?;
        let is_value =
            |place: u64| value_bytes::is_value(self.bytes_of(place as usize), self.atoms);
        reader.check(VALUE_BYTES, (0..values).all(is_value))
    }

    #[inline]
    fn bytes_of(&self, place: usize) -> &'a [u8] {
        let (start, end) = self.starts.bounds(place);
        self.bytes.get(start as usize..end as usize).unwrap_or(&[])
    }

    /// The cells of an atom's row, which are some of those there are.
    #[inline]
    fn cells(&self, atom: AtomId, faults: &Faults) -> Range<usize> {
        let Some(row) = self.codes.place(atom) else { return 0..0 };
        let (start, end) = self.row_starts.bounds(row);
        match start <= end && end <= self.keys.len() as u64 {
            true => start as usize..end as usize,
            false => faults.found(VALUE_ROWS, 0..0),
        }
    }

    #[inline]
    fn key(&self, cell: usize) -> AtomId {
        AtomId(self.keys.get(cell) as u32)
    }

    /// A value of which all atoms are there.
    #[inline]
    fn value(&self, cell: usize, faults: &Faults) -> Option<ValueRef<'a>> {
        let bytes = self.bytes_of(self.places.get(cell) as usize);
        match value_bytes::is_value(bytes, self.atoms) {
            true => value_bytes::view(bytes),
            false => faults.found(VALUE_BYTES, None),
        }
    }

    #[inline]
    pub fn get(&self, atom: AtomId, key: AtomId, faults: &Faults) -> Option<ValueRef<'a>> {
        let Range { mut start, mut end } = self.cells(atom, faults);
        while start < end {
            let middle = start + (end - start) / 2;
            match self.key(middle).cmp(&key) {
                Ordering::Less => start = middle + 1,
                Ordering::Greater => end = middle,
                Ordering::Equal => return self.value(middle, faults),
            }
        }
        None
    }

    pub fn all<'s>(
        &self,
        atom: AtomId,
        faults: &'s Faults,
    ) -> impl Iterator<Item = (AtomId, ValueRef<'a>)> + use<'s, 'a> {
        let view = *self;
        view.cells(atom, faults).filter_map(move |cell| {
            let key = view.key(cell);
            match key.0 < view.atoms {
                true => Some((key, view.value(cell, faults)?)),
                false => faults.found(VALUE_KEYS, None),
            }
        })
    }
}
