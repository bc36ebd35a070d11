//! Orders the atoms of a text that is read in parts: an external merge sort.
//!
//! Each part is ordered alone, in memory, and written to a temporary file ([`Run`]). In the order of
//! files an atom comes after what it holds, and what its place depends on, type, height, arity and
//! names or members, is the same in each part, but for the ids; and ids of all parts rise with those
//! of each. So merging reads each file once from the front, and knows the ids of members when it
//! comes to the links that hold them.
//!
//! In memory are the ids that a part's have among all, and what comes out, in columns.

use std::cmp::Reverse;
use std::collections::binary_heap::PeekMut;
use std::collections::{BTreeMap, BinaryHeap};
use std::io;
use std::path::{Path, PathBuf};

use crate::gguf::Strings;
use crate::opencog::atomspace::read::{PartOfText, Slot};
use crate::opencog::atomspace::value_bytes;
use crate::opencog::atomspace::{
    AtomId, AtomType, AttentionValue, Error, TruthValue, TypeId, Value,
};

use super::TruthCoding;
use super::columns::{Collected, Dictionary, ValueColumn, ValueRows, truth_column};
use super::groups::GroupSize;
use super::ordered::Ordered;
use super::run::{Gift, Run};

/// The parts so far.
pub struct Sorter {
    folder: PathBuf,
    runs: Vec<Run>,
}

/// The atoms of all parts in the order of files, each once; truth values not yet coded.
#[derive(Debug)]
pub struct Sorted {
    types: Vec<AtomType>,
    groups: Vec<GroupSize>,
    names: Strings,
    outgoing: Vec<u32>,
    truth: Dictionary<Vec<TruthValue>>,
    attention: Dictionary<Vec<AttentionValue>>,
    values: ValueColumn,
    /// Values of nested atoms that turned out to have one.
    ignored: u64,
}

impl Sorter {
    /// Nothing yet; temporary files will be in this folder.
    pub fn new(folder: &Path) -> Sorter {
        Sorter { folder: folder.into(), runs: Vec::new() }
    }

    /// Whether there are no parts.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Adds the next part.
    ///
    /// # Errors
    /// The temporary file cannot be written.
    pub fn add(&mut self, part: PartOfText) -> Result<(), Error> {
        let doing = "cannot write a temporary file beside the output";
        let run = Run::of(&part, &self.folder).map_err(|source| Error::Io { doing, source })?;
        self.runs.push(run);
        Ok(())
    }

    /// Merges the parts.
    ///
    /// # Errors
    /// A temporary file cannot be read, or there are too many atoms.
    pub fn finish(self) -> Result<Sorted, Error> {
        let (types, ranks) = ranked(&self.runs);
        let runs = self.runs.into_iter().zip(ranks);
        let mut cursors: Vec<Cursor> = runs.map(|(run, rank)| Cursor::new(run, rank)).collect();
        let mut merged = Merged::default();
        merged.atoms(&mut cursors)?;
        let mut given = Given::default();
        let read = given.all(&mut cursors);
        read.map_err(cannot_read)?;
        let atoms = merged.count as usize;
        let Merged { groups, names, outgoing, .. } = merged;
        Ok(Sorted {
            types,
            groups,
            names,
            outgoing,
            truth: given.truth.finish(atoms),
            attention: given.attention.finish(atoms),
            values: given.values.finish(atoms),
            ignored: given.ignored,
        })
    }
}

fn cannot_read(source: io::Error) -> Error {
    Error::Io { doing: "cannot read a temporary file beside the output", source }
}

impl Sorted {
    /// How many atoms there are.
    pub fn atom_count(&self) -> usize {
        self.truth.codes.len()
    }

    /// The types, and how many atoms each has.
    pub fn types(&self) -> impl Iterator<Item = (&AtomType, usize)> {
        let mut counts = vec![0; self.types.len()];
        self.groups.iter().for_each(|group| counts[group.of.index()] += group.count as usize);
        self.types.iter().zip(counts)
    }

    /// The truth values of the atoms that have one.
    pub fn truth_values(&self) -> impl Iterator<Item = TruthValue> {
        let value = |code: &u32| Some(self.truth.distinct[code.checked_sub(1)? as usize]);
        self.truth.codes.iter().filter_map(value)
    }

    /// How many atoms have attention values.
    pub fn attention_values(&self) -> usize {
        self.attention.codes.iter().filter(|&&code| code > 0).count()
    }

    /// How many values were taken of nested atoms that had one of an earlier part.
    pub fn values_ignored(&self) -> u64 {
        self.ignored
    }

    /// The atoms with their truth values as they were given.
    pub fn ordered(self) -> Ordered {
        let Sorted { types, groups, names, outgoing, truth, attention, values, .. } = self;
        let truth = truth_column(truth, TruthCoding::Exact);
        Ordered { types, groups, names, outgoing, truth, attention, values }
    }
}

/// The types of all runs in the order of files, and for each run the places of its own among them.
fn ranked(runs: &[Run]) -> (Vec<AtomType>, Vec<Vec<u16>>) {
    let order = |of: &AtomType| (of.kind, of.name.clone());
    let mut types: Vec<AtomType> = runs.iter().flat_map(|run| run.types.clone()).collect();
    types.sort_by_key(order);
    types.dedup();
    let rank = |of: &AtomType| types.iter().position(|known| known == of).unwrap_or(0) as u16;
    let ranks = runs.iter().map(|run| run.types.iter().map(rank).collect()).collect();
    (types, ranks)
}

/// How far a run was read.
struct Cursor {
    run: Run,
    /// Of its types among all.
    rank: Vec<u16>,
    /// The group of the next atom, and how many of it are left.
    group: usize,
    left: u32,
    /// The ids of its atoms among all.
    ids: Vec<u32>,
}

impl Cursor {
    fn new(run: Run, rank: Vec<u16>) -> Cursor {
        let left = run.groups.first().map_or(0, |group| group.count);
        Cursor { run, rank, group: 0, left, ids: Vec::new() }
    }

    /// Makes `key` that of the next atom: bytes by which atoms are in the order of files. False where
    /// there is none.
    fn next(&mut self, key: &mut Vec<u8>) -> io::Result<bool> {
        while self.left == 0 {
            self.group += 1;
            let Some(group) = self.run.groups.get(self.group) else { return Ok(false) };
            self.left = group.count;
        }
        self.left -= 1;
        let GroupSize { of, height, arity, .. } = self.run.groups[self.group];
        key.clear();
        key.extend(height.to_be_bytes());
        key.extend(self.rank[of.index()].to_be_bytes());
        if height == 0 {
            self.run.name(key)?;
            return Ok(true);
        }
        key.extend(arity.to_be_bytes());
        for _ in 0..arity {
            let member = self.run.member()?;
            key.extend(self.ids[member as usize].to_be_bytes());
        }
        Ok(true)
    }
}

/// The atoms that came out so far.
#[derive(Default)]
struct Merged {
    count: u32,
    groups: Vec<GroupSize>,
    names: Strings,
    outgoing: Vec<u32>,
}

impl Merged {
    /// Merges the atoms of all runs.
    fn atoms(&mut self, cursors: &mut [Cursor]) -> Result<(), Error> {
        let mut next = BinaryHeap::new();
        for (run, cursor) in cursors.iter_mut().enumerate() {
            let mut key = Vec::new();
            if cursor.next(&mut key).map_err(cannot_read)? {
                next.push(Reverse((key, run)));
            }
        }
        let mut last: Vec<u8> = Vec::new();
        while let Some(mut first) = next.peek_mut() {
            let Reverse((key, run)) = &mut *first;
            let cursor = &mut cursors[*run];
            if self.count == 0 || *key != last {
                self.put(key)?;
                last.clone_from(key);
            }
            cursor.ids.push(self.count - 1);
            if !cursor.next(key).map_err(cannot_read)? {
                PeekMut::pop(first);
            }
        }
        Ok(())
    }

    /// Puts the next atom, whose key this is.
    fn put(&mut self, key: &[u8]) -> Result<(), Error> {
        let limit = u64::from(u32::MAX);
        if self.count == u32::MAX - 1 {
            return Err(Error::Limit { what: "atoms", limit });
        }
        let number = |at: usize| key[at..].first_chunk().map_or(0, |n| u32::from_be_bytes(*n));
        let (height, rank) = (number(0), u16::from_be_bytes([key[4], key[5]]));
        let arity = if height == 0 { 0 } else { number(6) };
        match height {
            0 => self.names.push(&key[6..]),
            _ => {
                self.outgoing.extend(key[10..].as_chunks().0.iter().map(|n| u32::from_be_bytes(*n)))
            }
        }
        let group = GroupSize { of: TypeId(rank), height, arity, count: 1 };
        match self.groups.last_mut() {
            Some(last) if (GroupSize { count: 1, ..*last }) == group => last.count += 1,
            _ => self.groups.push(group),
        }
        self.count += 1;
        Ok(())
    }
}

/// What the atoms were given so far.
#[derive(Default)]
struct Given {
    truth: Collected<[u64; 4], TruthValue>,
    attention: Collected<[u64; 4], AttentionValue>,
    values: ValueRows,
    ignored: u64,
}

/// What one atom has.
#[derive(Default)]
struct Has {
    truth: Option<TruthValue>,
    attention: Option<AttentionValue>,
    /// By key, with ids among all.
    others: BTreeMap<u32, Vec<u8>>,
}

impl Given {
    /// Goes through what the runs give, by increasing atom, of each atom in the order of the runs.
    fn all(&mut self, cursors: &mut [Cursor]) -> io::Result<()> {
        let mut next = BinaryHeap::new();
        let mut gifts: Vec<Option<Gift>> = Vec::new();
        for (run, cursor) in cursors.iter_mut().enumerate() {
            let gift = cursor.run.gift()?;
            next.extend(gift.as_ref().map(|gift| Reverse((cursor.ids[gift.atom as usize], run))));
            gifts.push(gift);
        }
        let (mut atom, mut has) = (0, Has::default());
        while let Some(Reverse((id, run))) = next.pop() {
            if id != atom {
                self.put(atom, std::mem::take(&mut has));
                atom = id;
            }
            let cursor = &mut cursors[run];
            if let Some(gift) = gifts[run].take() {
                match (gift.is_weak, has.has(gift.slot, &cursor.ids)) {
                    (true, true) => self.ignored += 1,
                    // Something of the same run takes its place.
                    (true, false) if gift.value.is_none() => (),
                    _ => has.take(gift, &cursor.ids),
                }
            }
            gifts[run] = cursor.run.gift()?;
            let of = gifts[run].as_ref().map(|gift| cursor.ids[gift.atom as usize]);
            next.extend(of.map(|id| Reverse((id, run))));
        }
        self.put(atom, has);
        Ok(())
    }

    fn put(&mut self, atom: u32, has: Has) {
        if let Some(truth) = has.truth {
            self.truth.push(atom, truth.bits(), truth);
        }
        if let Some(attention) = has.attention {
            self.attention.push(atom, attention.bits(), attention);
        }
        self.values.push(atom, has.others.into_iter());
    }
}

impl Has {
    /// Whether there is something already where something is given with the ids of a run.
    fn has(&self, slot: Slot, ids: &[u32]) -> bool {
        match slot {
            Slot::Truth => self.truth.is_some(),
            Slot::Attention => self.attention.is_some(),
            Slot::Key(key) => self.others.contains_key(&ids[key.index()]),
        }
    }

    /// Takes what is given with the ids of a run, which have these among all.
    fn take(&mut self, Gift { slot, value, .. }: Gift, ids: &[u32]) {
        let id = |atom: AtomId| AtomId(ids[atom.index()]);
        let value = value.and_then(|bytes| Some(value_bytes::view(&bytes)?.to_value()));
        match (slot, value) {
            (Slot::Truth, Some(Value::Truth(truth))) => self.truth = Some(truth),
            (Slot::Truth, _) => self.truth = None,
            (Slot::Attention, Some(Value::Attention(attention))) => {
                self.attention = Some(attention);
            }
            (Slot::Attention, _) => self.attention = None,
            (Slot::Key(key), None) => drop(self.others.remove(&id(key).0)),
            (Slot::Key(key), Some(value)) => {
                let mut bytes = Vec::new();
                value_bytes::encode(&value, &id, &mut bytes);
                self.others.insert(id(key).0, bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::Form;
    use super::*;
    use crate::opencog::atomspace::read::{ReadOptions, ReadSummary, TvMerge, read, read_in_parts};

    fn sorted(text: &str, options: &ReadOptions, limit: usize) -> (Ordered, ReadSummary, usize) {
        let folder = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::new(folder.path());
        let mut add = |part| sorter.add(part);
        let (last, mut summary) = read_in_parts(text.as_bytes(), options, limit, &mut add).unwrap();
        sorter.add(last).unwrap();
        let parts = sorter.runs.len();
        assert_eq!(folder.path().read_dir().unwrap().count(), 0, "the files have no names");
        let sorted = sorter.finish().unwrap();
        summary.values_taken -= sorted.values_ignored();
        summary.values_ignored += sorted.values_ignored();
        (sorted.ordered(), summary, parts)
    }

    /// However a text is cut, the companion is that of the whole.
    fn check(text: &str) {
        for tv_merge in [TvMerge::FirstNested, TvMerge::Last] {
            let options = ReadOptions { tv_merge, ..ReadOptions::default() };
            let (space, whole) = read(text.as_bytes(), &options).unwrap();
            let expected = Ordered::of(&space, TruthCoding::Exact);
            for limit in [1, 700, 2000] {
                let (ordered, summary, _) = sorted(text, &options, limit);
                assert_eq!(ordered.section(Form::Mapped), expected.section(Form::Mapped), "{text}");
                assert!(ordered == expected, "{text}");
                assert_eq!(summary, whole, "{text}");
            }
        }
    }

    fn atom() -> impl Strategy<Value = String> {
        let truth = prop_oneof![
            Just(String::new()),
            (0u8..4, 0u8..3).prop_map(|(s, c)| format!("(stv 0.{s} 0.{c})")),
            (0u8..3).prop_map(|n| format!("(ctv 0.5 0.25 {n})")),
            (0u8..3).prop_map(|sti| format!("(av {sti} 1 0)")),
            (0u8..4, 0u8..4).prop_map(|(s, again)| format!("(stv 0.{s} 0.1) (stv 0.{again} 0.1)")),
        ];
        let leaf = (prop_oneof![Just("Concept"), Just("Predicate"), Just("Odd")], 0u8..5, truth)
            .prop_map(|(of, name, truth)| format!("({of} \"{name}\" {truth})"));
        leaf.prop_recursive(4, 12, 3, |inner| {
            let of = prop_oneof![Just("List"), Just("Set"), Just("Member")];
            let truth = prop_oneof![Just(""), Just("(stv 0.7 0.7)")];
            (of, truth, vec(inner, 0..3))
                .prop_map(|(of, truth, members)| format!("({of} {truth} {})", members.concat()))
        })
    }

    fn form() -> impl Strategy<Value = String> {
        let value = prop_oneof![
            Just("#f".to_string()),
            (0u8..3).prop_map(|n| format!("(FloatValue {n} 1)")),
            atom().prop_map(|atom| format!("(LinkValue {atom} (StringValue \"s\"))")),
            atom(),
        ];
        prop_oneof![
            6 => atom(),
            2 => (atom(), atom(), value)
                .prop_map(|(atom, key, value)| format!("(cog-set-value! {atom} {key} {value})")),
            1 => atom().prop_map(|atom| format!("(cog-set-tv! {atom} (stv 0.25 0.5))")),
            1 => Just("(use-modules (opencog))".to_string()),
        ]
    }

    proptest! {
        #[test]
        fn a_text_in_parts_is_the_text(forms in vec(form(), 1..14)) {
            check(&forms.join("\n"));
        }
    }

    #[test]
    fn what_parts_say_of_an_atom_is_taken_in_order() {
        check(
            r#"(List (Concept "a" (stv 0.1 0.1))) (List (Predicate "p") (Concept "a" (stv 0.2 0.2)))
            (Concept "b" (stv 0.3 0.3)) (Set (Concept "b" (stv 0.4 0.4)))
            (cog-set-value! (Concept "a") (Predicate "k") (FloatValue 1))
            (cog-set-value! (Concept "a") (Predicate "l") (Concept "b"))
            (cog-set-value! (Concept "a") (Predicate "k") #f)
            (List (Concept "c")) (List (Concept "c" (stv 0.1 0.1) (stv 0.2 0.2)))
            (Concept "b" (av 1 2 3)) (cog-set-value! (Concept "b") (List) (FloatValue 2))"#,
        );
    }

    #[test]
    fn states_that_are_replaced_are_the_same_in_parts() {
        let state = |value: u8| format!("(State (Concept \"k\") (Concept \"v{value}\"))");
        let (v1, v2) = (state(1), state(2));
        check(&format!(
            r#"(List (Concept "h" (stv 0.1 0.1) (alist (cons (Predicate "k") (FloatValue 1)))))
            (List (Concept "i" (stv 0.2 0.2) (alist (cons (Predicate "k") (FloatValue 1)))))
            (List (Concept "i" (stv 0.4 0.4))) (List {v1} (Concept "z" (stv 0.5 0.5)))
            (List (Concept "z" (stv 0.7 0.7))) (Set {v1} (Concept "h" (stv 0.3 0.3)))
            (Concept "late" (av 1 2 3)) (List (Concept "i" (stv 0.6 0.6))) {v2}
            (cog-set-value! (Concept "i") (Predicate "k") #f)
            (cog-set-value! (Concept "h") (Predicate "k") {v1}) {v2}"#
        ));
    }

    #[test]
    fn a_text_that_names_an_atom_is_one_part_from_there() {
        let text = r#"(Concept "a") (define x (Concept "b")) (List x) (Concept "c") (Set x x)"#;
        check(text);
        assert_eq!(sorted(text, &ReadOptions::default(), 1).2, 2);
    }

    #[test]
    fn a_disk_without_room_is_an_error() {
        let part = || {
            let text = r#"(List (Concept "a"))"#;
            let mut part = None;
            let mut take = |first| {
                part = Some(first);
                Ok(())
            };
            read_in_parts(text.as_bytes(), &ReadOptions::default(), 1, &mut take).unwrap();
            part.unwrap()
        };
        let mut sorter = Sorter::new(Path::new("/no such folder"));
        let error = sorter.add(part()).unwrap_err().to_string();
        assert!(error.contains("cannot write a temporary file"), "{error}");
    }
}
