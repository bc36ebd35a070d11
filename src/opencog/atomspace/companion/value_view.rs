//! Columns of values, where they lie.

use std::cmp::Ordering;
use std::ops::Range;

use crate::gguf::Error;
use crate::opencog::atomspace::value::TruthKind;
use crate::opencog::atomspace::value_bytes;
use crate::opencog::atomspace::{AtomId, AttentionValue, TruthValue, ValueRef};
use crate::opencog::ecan::AtomAttention;

use super::packed::Packed;
use super::reader::Reader;
use super::section::{key, name};

/// Three floats of a dictionary.
type Three = [[u8; 8]; 3];

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
    /// Those of a section, of which none is beyond what there is.
    fn new(reader: &Reader<'a>, name: &str, atoms: u32, distinct: u64) -> Result<Self, Error> {
        let packed = reader.packed(name, atoms.into(), distinct)?;
        reader.checked(name, packed.iter().all(|code| code <= distinct).then_some(()))?;
        Ok(match packed.as_bytes() {
            _ if distinct == 0 => Codes::None,
            Some(bytes) => Codes::Bytes(bytes),
            None => Codes::Wide(packed),
        })
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
        let known = distinct.iter().all(|&kind| usize::from(kind) < TruthKind::ALL.len());
        let rows = reader.rows(&numbers)?;
        reader.checked(&kinds, (known && distinct.len() == rows.len()).then_some(()))?;
        let strength = LevelView::new(reader, name::STRENGTH, atoms)?;
        let confidence = LevelView::new(reader, name::CONFIDENCE, atoms)?;
        Ok(TruthView {
            codes: Codes::new(reader, &codes, atoms, rows.len() as u64)?,
            kinds: distinct,
            simple: distinct.iter().take_while(|&&kind| kind == TruthKind::Simple as u8).count(),
            numbers: rows,
            coded: strength.zip(confidence).map(|(strength, confidence)| [strength, confidence]),
        })
    }

    #[inline]
    pub fn get(&self, atom: AtomId) -> Option<TruthValue> {
        match self.codes.place(atom) {
            Some(place) if place < self.simple => {
                let [strength, confidence, _] = floats(&self.numbers[place]);
                Some(TruthValue::Simple { strength, confidence })
            }
            place => self.get_other(atom, place),
        }
    }

    /// Of another kind, or coded by columns. Apart, so that the common case is no call.
    #[inline(never)]
    fn get_other(&self, atom: AtomId, place: Option<usize>) -> Option<TruthValue> {
        match place {
            Some(place) => {
                let kind = TruthKind::ALL[usize::from(self.kinds[place])];
                Some(TruthValue::from_numbers(kind, floats(&self.numbers[place])))
            }
            None => {
                let [strength, confidence] = self.coded.as_ref()?;
                let (strength, confidence) = (strength.get(atom)?, confidence.get(atom)?);
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
    fn get(&self, atom: AtomId) -> Option<f64> {
        let level = self.codes.place(atom)?;
        let [value] = self.levels.get(level).or_else(|| self.exception(atom))?;
        Some(f64::from_le_bytes(*value))
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
    /// As ECAN's section has them.
    Coded(AtomAttention),
}

/// The attention value that ECAN's section has of an atom.
pub(super) fn coded_value(coded: &AtomAttention, atom: AtomId) -> Option<AttentionValue> {
    let (sti, lti, vlti) = coded.value(atom.0)?;
    Some(AttentionValue { sti, lti, vlti: vlti.into() })
}

impl<'a> AttentionView<'a> {
    pub fn new(reader: &Reader<'a>, atoms: u32) -> Result<AttentionView<'a>, Error> {
        if let Some(coded) = reader.coded_attention(atoms)? {
            return Ok(AttentionView::Coded(coded));
        }
        let [codes, numbers] =
            ["codes", "numbers"].map(|part| format!("{}.{part}", name::ATTENTION));
        let numbers = reader.rows(&numbers)?;
        let codes = Codes::new(reader, &codes, atoms, numbers.len() as u64)?;
        Ok(AttentionView::Exact { codes, numbers })
    }

    #[inline]
    pub fn get(&self, atom: AtomId) -> Option<AttentionValue> {
        match self {
            AttentionView::Exact { codes, numbers } => {
                let [sti, lti, vlti] = floats(&numbers[codes.place(atom)?]);
                Some(AttentionValue { sti, lti, vlti })
            }
            AttentionView::Coded(coded) => coded_value(coded, atom),
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
        let view = ValuesView {
            codes: Codes::new(reader, &codes, atoms, rows)?,
            row_starts: reader.bounds(&row_starts, rows, cells)?,
            keys: reader.packed_below(&keys, cells, last_atom)?,
            places: reader.packed_below(&places, cells, values.saturating_sub(1))?,
            starts: reader.bounds(&starts, values, blob.len() as u64)?,
            bytes: blob,
        };
        // Only a file with values has places, and every value takes a byte at least.
        let is_value = |place: usize| value_bytes::is_value(view.bytes_of(place), atoms);
        let sound = (cells == 0 || values > 0 && atoms > 0)
            && values <= blob.len() as u64
            && (0..values as usize).all(is_value);
        reader.checked(&bytes, sound.then_some(view))
    }

    #[inline]
    fn bytes_of(&self, place: usize) -> &'a [u8] {
        let (start, end) = self.starts.bounds(place);
        self.bytes.get(start as usize..end as usize).unwrap_or(&[])
    }

    /// The cells of an atom's row.
    #[inline]
    fn cells(&self, atom: AtomId) -> Range<usize> {
        let row = self.codes.place(atom);
        let (start, end) = row.map_or((0, 0), |row| self.row_starts.bounds(row));
        start as usize..end as usize
    }

    #[inline]
    fn key(&self, cell: usize) -> AtomId {
        AtomId(self.keys.get(cell) as u32)
    }

    #[inline]
    fn value(&self, cell: usize) -> Option<ValueRef<'a>> {
        value_bytes::view(self.bytes_of(self.places.get(cell) as usize))
    }

    #[inline]
    pub fn get(&self, atom: AtomId, key: AtomId) -> Option<ValueRef<'a>> {
        let Range { mut start, mut end } = self.cells(atom);
        while start < end {
            let middle = start + (end - start) / 2;
            match self.key(middle).cmp(&key) {
                Ordering::Less => start = middle + 1,
                Ordering::Greater => end = middle,
                Ordering::Equal => return self.value(middle),
            }
        }
        None
    }

    pub fn all(&self, atom: AtomId) -> impl Iterator<Item = (AtomId, ValueRef<'a>)> + use<'a> {
        let view = *self;
        view.cells(atom).filter_map(move |cell| Some((view.key(cell), view.value(cell)?)))
    }
}
