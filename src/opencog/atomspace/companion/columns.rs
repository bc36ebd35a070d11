//! Values of atoms as columns: a code for each atom, and what the codes stand for.

use std::collections::HashMap;

use crate::gguf::Strings;
use crate::opencog::atomspace::codec::{self, Codec, Coded, Column, Truth};
use crate::opencog::atomspace::value_bytes;
use crate::opencog::atomspace::{AtomId, AtomStore, AttentionValue, TruthValue, ValueRef};

use super::TruthCoding;

/// For each atom none or one of some distinct things.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Dictionary<T> {
    /// For each atom 0 for none, or 1 + the place in `distinct`.
    pub codes: Vec<u32>,
    /// In the order of the first atoms that have them, truth values by kind first.
    pub distinct: T,
}

/// The truth values of atoms.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TruthColumn {
    /// What they were coded with.
    pub(super) codec: Option<Codec>,
    /// Those that are kept as they are.
    pub(super) exact: Dictionary<Vec<TruthValue>>,
    /// Simple ones, where they are coded by columns.
    pub(super) coded: Option<CodedTruth>,
}

/// Simple truth values, coded by columns.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CodedTruth {
    pub strength: CodedColumn,
    pub confidence: CodedColumn,
}

/// Strengths or confidences.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CodedColumn {
    /// For each atom 0 for none, 1 + the level, or one more for an exception.
    pub codes: Vec<u32>,
    pub levels: Vec<f64>,
    /// Atoms, ascending, and their values.
    pub exceptions: Vec<(u32, f64)>,
}

/// The values of atoms under all other keys: distinct rows of keys and values.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ValueColumn {
    /// For each atom 0 for none, or 1 + its row.
    pub rows: Dictionary<Vec<Row>>,
    /// The distinct values, as bytes.
    pub values: Strings,
}

/// Keys, ascending, and values by their places among the distinct ones.
pub(super) type Row = Vec<(u32, u32)>;

impl<V: Clone> Dictionary<Vec<V>> {
    /// Of the values of all atoms in order, told apart by what `key` makes of them.
    pub fn of<K: Eq + std::hash::Hash>(
        values: impl Iterator<Item = Option<V>>,
        key: impl Fn(&V) -> K,
    ) -> Dictionary<Vec<V>> {
        let mut places = HashMap::new();
        let mut distinct = Vec::new();
        let code = |value: Option<V>| {
            value.map_or(0, |value| {
                *places.entry(key(&value)).or_insert_with(|| {
                    distinct.push(value);
                    distinct.len() as u32
                })
            })
        };
        Dictionary { codes: values.map(code).collect(), distinct }
    }

    /// Sorts what is distinct; equals keep their order.
    fn sort_by_key<K: Ord>(&mut self, key: impl Fn(&V) -> K) {
        let mut order: Vec<u32> = (0..self.distinct.len() as u32).collect();
        order.sort_by_key(|&old| key(&self.distinct[old as usize]));
        let mut new_code = vec![0; order.len() + 1];
        for (new, &old) in (1..).zip(&order) {
            new_code[old as usize + 1] = new;
        }
        self.distinct = order.iter().map(|&old| self.distinct[old as usize].clone()).collect();
        self.codes.iter_mut().for_each(|code| *code = new_code[*code as usize]);
    }
}

/// A dictionary in the making, by increasing atoms.
#[derive(Debug)]
pub(super) struct Collected<K, V> {
    places: HashMap<K, u32>,
    codes: Vec<u32>,
    distinct: Vec<V>,
}

impl<K, V> Default for Collected<K, V> {
    fn default() -> Self {
        Collected { places: HashMap::new(), codes: Vec::new(), distinct: Vec::new() }
    }
}

impl<K: Eq + std::hash::Hash, V> Collected<K, V> {
    /// What an atom has, which this tells from others. The atoms since the last one have none.
    pub fn push(&mut self, atom: u32, key: K, value: V) {
        let distinct = &mut self.distinct;
        let code = *self.places.entry(key).or_insert_with(|| {
            distinct.push(value);
            distinct.len() as u32
        });
        self.codes.resize(atom as usize, 0);
        self.codes.push(code);
    }

    /// The dictionary of so many atoms.
    pub fn finish(mut self, atoms: usize) -> Dictionary<Vec<V>> {
        let codes = match self.codes.is_empty() {
            // Memory that is never written to takes no room.
            true => vec![0; atoms],
            false => {
                self.codes.resize(atoms, 0);
                self.codes
            }
        };
        Dictionary { codes, distinct: self.distinct }
    }
}

/// The truth values of a store's atoms in this order.
pub(super) fn truth_values(
    store: &impl AtomStore,
    order: &[AtomId],
) -> Dictionary<Vec<TruthValue>> {
    Dictionary::of(order.iter().map(|&atom| store.truth_value(atom)), |value| value.bits())
}

/// The coded form of what truth values atoms have.
pub(super) fn truth_column(given: Dictionary<Vec<TruthValue>>, coding: TruthCoding) -> TruthColumn {
    if given.distinct.is_empty() {
        let codec = match coding {
            TruthCoding::Exact => None,
            TruthCoding::Chosen { tolerance } => Some(codec::choose(&[], tolerance).0),
            TruthCoding::Named { codec, .. } => Some(codec),
        };
        return TruthColumn { codec, exact: given, coded: None };
    }
    let all = || {
        let value = |code: &u32| Some(given.distinct[code.checked_sub(1)? as usize]);
        given.codes.iter().map(value)
    };
    // Simple ones first, so that a reader need not look up the kind of what nearly all are.
    let sorted = |mut values: Dictionary<Vec<TruthValue>>| {
        values.sort_by_key(|value| value.kind());
        values
    };
    let simple: Vec<Truth> = all().filter_map(|value| as_simple(value.as_ref()?)).collect();
    let (codec, coded) = match coding {
        TruthCoding::Exact => (None, None),
        TruthCoding::Chosen { tolerance } => {
            let (codec, coded) = codec::choose(&simple, tolerance);
            (Some(codec), Some(coded))
        }
        TruthCoding::Named { codec, tolerance } => (Some(codec), codec.encode(&simple, tolerance)),
    };
    match coded.filter(|coded| !coded.is_empty()) {
        Some(Coded::Columns { strength, confidence }) => {
            let others = all().map(|value| value.filter(|value| as_simple(value).is_none()));
            let others = Dictionary::of(others, |value| value.bits());
            let has: Vec<bool> =
                all().map(|value| value.as_ref().and_then(as_simple).is_some()).collect();
            let coded = CodedTruth {
                strength: spread(&strength, &has),
                confidence: spread(&confidence, &has),
            };
            TruthColumn { codec, exact: sorted(others), coded: Some(coded) }
        }
        // A palette is a dictionary of few entries, of what other codes may have made of the values.
        Some(Coded::Palette(palette)) => {
            let mut codes = palette.codes.iter();
            let mut coded = |value: TruthValue| match as_simple(&value).and_then(|_| codes.next()) {
                None => value,
                Some(&code) => {
                    let Truth { strength, confidence } = palette.pairs[usize::from(code)];
                    TruthValue::Simple { strength, confidence }
                }
            };
            let all = all().map(|value| value.map(&mut coded));
            let exact = sorted(Dictionary::of(all, |value| value.bits()));
            TruthColumn { codec, exact, coded: None }
        }
        None => TruthColumn { codec, exact: sorted(given), coded: None },
    }
}

fn as_simple(value: &TruthValue) -> Option<Truth> {
    match *value {
        TruthValue::Simple { strength, confidence } => Some(Truth { strength, confidence }),
        _ => None,
    }
}

/// Spreads the codes of some atoms over all of them, of which those that `has` tells have one.
fn spread(column: &Column, has: &[bool]) -> CodedColumn {
    let mut next = column.codes.iter();
    let mut code = |&has: &bool| match has {
        true => next.next().map_or(0, |&code| 1 + u32::from(code)),
        false => 0,
    };
    let codes = has.iter().map(&mut code).collect();
    let atoms: Vec<u32> = (0..).zip(has).filter(|(_, has)| **has).map(|(atom, _)| atom).collect();
    let exceptions = &column.exceptions;
    CodedColumn {
        codes,
        levels: column.levels.clone(),
        exceptions: exceptions.iter().map(|&(at, value)| (atoms[at as usize], value)).collect(),
    }
}

/// The attention values of a store's atoms in this order.
pub(super) fn attention_column(
    store: &impl AtomStore,
    order: &[AtomId],
) -> Dictionary<Vec<AttentionValue>> {
    Dictionary::of(order.iter().map(|&atom| store.attention_value(atom)), |value| value.bits())
}

/// A column of other values in the making, by increasing atoms.
#[derive(Debug, Default)]
pub(super) struct ValueRows {
    places: HashMap<Vec<u8>, u32>,
    values: Strings,
    rows: Collected<Row, Row>,
}

impl ValueRows {
    /// What an atom has under keys, ascending; nothing where there are none.
    pub fn push(&mut self, atom: u32, cells: impl Iterator<Item = (u32, Vec<u8>)>) {
        let row: Row = cells.map(|(key, bytes)| (key, self.place(bytes))).collect();
        if !row.is_empty() {
            self.rows.push(atom, row.clone(), row);
        }
    }

    fn place(&mut self, bytes: Vec<u8>) -> u32 {
        if let Some(place) = self.places.get(&bytes) {
            return *place;
        }
        let place = self.values.len() as u32;
        self.values.push(&bytes);
        self.places.insert(bytes, place);
        place
    }

    /// The column of so many atoms.
    pub fn finish(self, atoms: usize) -> ValueColumn {
        ValueColumn { rows: self.rows.finish(atoms), values: self.values }
    }
}

/// The other values of a store's atoms in this order, where `id` gives new ids for old ones.
pub(super) fn value_column(
    store: &impl AtomStore,
    order: &[AtomId],
    id: &impl Fn(AtomId) -> AtomId,
) -> ValueColumn {
    let mut rows = ValueRows::default();
    for (new, &atom) in (0..).zip(order) {
        let cell = |(key, value): (AtomId, ValueRef)| {
            let mut bytes = Vec::new();
            value_bytes::encode(&value.to_value(), id, &mut bytes);
            (id(key).0, bytes)
        };
        let mut cells: Vec<(u32, Vec<u8>)> = store.values(atom).map(cell).collect();
        cells.sort_unstable_by_key(|cell| cell.0);
        rows.push(new, cells.into_iter());
    }
    rows.finish(order.len())
}
