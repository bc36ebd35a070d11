//! A text that is read in parts, each a space of its own, where it is too much for memory.
//!
//! What a part says of an atom depends on what the parts before it said: that is told with it.

use rustc_hash::{FxHashMap, FxHashSet};

use super::super::atom_store::AtomId;
use super::super::builder::Builder;
use super::super::error::Error;
use super::super::replaced::Gone;
use super::super::space::AtomSpace;
use super::reader::Given;

/// What an atom can be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Slot {
    /// A truth value.
    Truth,
    /// An attention value.
    Attention,
    /// A value under a key.
    Key(AtomId),
}

/// A part of a text, and what of it holds only if the parts before allow it.
#[derive(Debug)]
pub struct PartOfText {
    /// Its atoms and values.
    pub space: AtomSpace,
    /// Values that nested atoms carried and that stay only if the atom has none in the parts before.
    pub weak: FxHashSet<(AtomId, Slot)>,
    /// Weak values that others took the place of, each as often as that was so: they count as taken.
    pub replaced: FxHashMap<AtomId, Vec<Slot>>,
    /// Values that were taken away, which those of earlier parts are too.
    pub cleared: FxHashMap<AtomId, Vec<Slot>>,
}

/// What becomes of a part, in order.
pub type TakePart<'a> = &'a mut (dyn FnMut(PartOfText) -> Result<(), Error> + 'a);

/// What is noted of a part while it is read.
#[derive(Debug, Default)]
pub(super) struct Noted {
    weak: FxHashSet<(AtomId, Slot)>,
    replaced: FxHashMap<AtomId, Vec<Slot>>,
    cleared: FxHashMap<AtomId, Vec<Slot>>,
}

impl Noted {
    /// The same where some atoms are gone and others have other ids.
    pub fn without(self, gone: &Gone) -> Noted {
        let slot = |slot: Slot| match slot {
            Slot::Key(key) => gone.id(key).map(Slot::Key),
            other => Some(other),
        };
        let slots = |of: FxHashMap<AtomId, Vec<Slot>>| -> FxHashMap<AtomId, Vec<Slot>> {
            let moved = |(atom, slots): (AtomId, Vec<Slot>)| {
                Some((gone.id(atom)?, slots.into_iter().filter_map(slot).collect()))
            };
            of.into_iter().filter_map(moved).collect()
        };
        let weak = self.weak.into_iter();
        let weak = weak.filter_map(|(atom, of)| Some((gone.id(atom)?, slot(of)?)));
        let (replaced, mut cleared) = (slots(self.replaced), slots(self.cleared));
        let weak: FxHashSet<(AtomId, Slot)> = weak.collect();
        // What is gone took the place of what earlier parts have.
        for &(atom, key) in &gone.cleared {
            let (slot, of) = (Slot::Key(key), cleared.entry(atom).or_default());
            if !weak.contains(&(atom, slot)) && !of.contains(&slot) {
                of.push(slot);
            }
        }
        Noted { weak, replaced, cleared }
    }

    /// The part, of which this is noted.
    pub fn of(self, space: AtomSpace) -> PartOfText {
        let Noted { weak, replaced, cleared } = self;
        PartOfText { space, weak, replaced, cleared }
    }
}

/// How a text is cut into parts.
pub(super) struct Parts<'a> {
    /// Bytes of memory from which on a part is complete.
    limit: usize,
    take: TakePart<'a>,
    noted: Noted,
}

impl<'a> Parts<'a> {
    pub fn new(limit: usize, take: TakePart<'a>) -> Parts<'a> {
        Parts { limit, take, noted: Noted::default() }
    }

    /// Notes what an atom is about to be given, `is_weak` if that depends on the parts before.
    pub fn note(&mut self, atom: AtomId, given: &Given, is_weak: bool) {
        let (slot, is_taken) = match given {
            Given::Truth(value) => (Slot::Truth, value.is_none()),
            Given::Attention(value) => (Slot::Attention, value.is_none()),
            Given::Value(key, value) => (Slot::Key(*key), value.is_none()),
        };
        // What this part took away, no earlier one has.
        let is_cleared = |slots: &Vec<Slot>| slots.contains(&slot);
        let is_weak = is_weak && !self.noted.cleared.get(&atom).is_some_and(is_cleared);
        let was_weak = match is_weak {
            true => !self.noted.weak.insert((atom, slot)),
            false => self.noted.weak.remove(&(atom, slot)),
        };
        if was_weak {
            self.noted.replaced.entry(atom).or_default().push(slot);
        }
        if is_taken && !is_weak {
            let cleared = self.noted.cleared.entry(atom).or_default();
            if !cleared.contains(&slot) {
                cleared.push(slot);
            }
        }
    }

    /// Ends the part, if it is complete.
    #[inline]
    pub fn end(&mut self, builder: &mut Builder) -> Result<(), Error> {
        let noted = self.noted.weak.len() * 2 * size_of::<(AtomId, Slot)>();
        if builder.bytes() + noted < self.limit || builder.has_scopes_or_states() {
            return Ok(());
        }
        let noted = std::mem::take(&mut self.noted);
        (self.take)(noted.of(builder.take_part()))
    }

    /// What was noted since the last part ended.
    pub fn into_noted(self) -> Noted {
        self.noted
    }
}
