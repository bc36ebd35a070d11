//! Unification of a pattern with stored atoms: what variables stand for.

use std::borrow::Cow;

use rustc_hash::{FxHashMap, FxHashSet};

use super::super::super::atomspace::{AtomId, AtomStore};
use super::super::packed::PackedMetta;
use super::super::sort::Sort;
use super::pattern::{Pattern, are_equal};

/// An atom and whose variables it has: those of the pattern (frame 0), or those of the stored atom
/// that matched as the so manieth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Term {
    pub frame: u32,
    pub atom: AtomId,
}

impl Term {
    pub fn of_pattern(atom: AtomId) -> Term {
        Term { frame: 0, atom }
    }
}

/// What a variable stands for, and since the matching of which frame.
#[derive(Debug, Clone, Copy)]
struct Value {
    term: Term,
    since: u32,
}

/// Pairs of expressions up to which it is not looked up whether a pair was met before. Atoms hold
/// each other in so many ways that without it there may be exponentially many.
const FEW: usize = 64;

/// What the variables stand for, so far.
#[derive(Debug)]
pub(super) struct Bindings<'q, 'a> {
    pub metta: &'q PackedMetta<'a>,
    pub pattern: &'q Pattern,
    values: FxHashMap<Term, Value>,
    /// The variables that have a value, in the order in which they got it.
    trail: Vec<Term>,
}

/// Two terms that must become the same.
#[derive(Debug, Clone, Copy)]
struct Pair {
    a: Term,
    b: Term,
    /// Whether a variable of this matching stands for one of them: then numbers need only be equal.
    is_loose: bool,
}

impl<'q, 'a> Bindings<'q, 'a> {
    pub fn new(metta: &'q PackedMetta<'a>, pattern: &'q Pattern) -> Bindings<'q, 'a> {
        let (values, trail) = (FxHashMap::default(), Vec::new());
        Bindings { metta, pattern, values, trail }
    }

    pub fn sort(&self, term: Term) -> Sort {
        match term.frame {
            0 => {
                let Pattern { metta, sorts, .. } = self.pattern;
                sorts[metta.space.type_of(term.atom).index()]
            }
            _ => self.metta.sort(term.atom),
        }
    }

    /// The name of a leaf.
    pub fn name(&self, term: Term) -> Cow<'_, [u8]> {
        let name = match term.frame {
            0 => self.pattern.metta.space.name(term.atom),
            _ => self.metta.space.name(term.atom),
        };
        name.unwrap_or_default()
    }

    /// What an expression holds.
    pub fn held(&self, term: Term) -> Vec<Term> {
        let of = |atom| Term { atom, ..term };
        match term.frame {
            0 => self.pattern.metta.space.outgoing(term.atom).map(of).collect(),
            _ => self.metta.space.outgoing(term.atom).map(of).collect(),
        }
    }

    /// What a term is: of a variable that stands for something, that.
    pub fn resolve(&self, mut term: Term) -> Term {
        while let Some(value) = self.values.get(&term) {
            term = value.term;
        }
        term
    }

    /// How many variables have a value.
    pub fn mark(&self) -> usize {
        self.trail.len()
    }

    /// Takes the values again that variables got since a mark.
    pub fn rewind(&mut self, mark: usize) {
        for variable in self.trail.drain(mark..) {
            self.values.remove(&variable);
        }
    }

    /// Makes a clause of the pattern and a stored atom, of a new frame, the same where that can be;
    /// whether it can. `is_open` tells whether the stored atom holds variables. Values that were
    /// given stay where not.
    pub fn unify(&mut self, clause: AtomId, stored: Term, is_open: bool) -> bool {
        let mark = self.mark();
        let first = Pair { a: Term::of_pattern(clause), b: stored, is_loose: false };
        let mut left = vec![first];
        let mut seen = FxHashSet::default();
        let mut expressions = 0;
        while let Some(Pair { a, b, is_loose }) = left.pop() {
            let (a, b) = (self.deref(a, stored.frame), self.deref(b, stored.frame));
            let is_loose = is_loose || a.is_loose || b.is_loose;
            let (a, b) = (a.term, b.term);
            match (self.sort(a), self.sort(b)) {
                _ if a == b => continue,
                // An answer has the pattern's variables, where it can.
                (_, Sort::Variable) if b.frame > 0 || self.sort(a) != Sort::Variable => {
                    self.set(b, a, stored.frame);
                }
                (Sort::Variable, _) => self.set(a, b, stored.frame),
                (Sort::Expression, Sort::Expression) => {
                    expressions += 1;
                    if expressions > FEW && !seen.insert((a, b, is_loose)) {
                        continue;
                    }
                    let (a, b) = (self.held(a), self.held(b));
                    if a.len() != b.len() {
                        return false;
                    }
                    let pairs = a.into_iter().zip(b).map(|(a, b)| Pair { a, b, is_loose });
                    left.extend(pairs.rev());
                }
                _ if !self.are_alike(a, b, is_loose) => return false,
                _ => (),
            }
        }
        // What holds no variables is no value of which a variable is part.
        !(is_open || stored.frame > 1) || !self.has_loop(mark)
    }

    /// What a term is, and whether a variable that got its value in this frame stood for it.
    fn deref(&self, mut term: Term, frame: u32) -> Dereferenced {
        let mut is_loose = false;
        while let Some(value) = self.values.get(&term) {
            is_loose |= value.since == frame;
            term = value.term;
        }
        Dereferenced { term, is_loose }
    }

    /// Whether two leaves, or a leaf and an expression, are the same.
    fn are_alike(&self, a: Term, b: Term, is_loose: bool) -> bool {
        match (a.frame, b.frame) {
            _ if is_loose => {
                are_equal((self.sort(a), &self.name(a)), (self.sort(b), &self.name(b)))
            }
            (0, 0) => a.atom == b.atom,
            (0, _) => self.pattern.is(a.atom, b.atom, self.metta),
            (_, 0) => self.pattern.is(b.atom, a.atom, self.metta),
            _ => {
                a.atom == b.atom
                    || self
                        .pattern
                        .zeros
                        .is_some_and(|zeros| zeros.contains(&a.atom) && zeros.contains(&b.atom))
            }
        }
    }

    fn set(&mut self, variable: Term, term: Term, since: u32) {
        self.values.insert(variable, Value { term, since });
        self.trail.push(variable);
    }

    /// Whether a variable that got its value since a mark is part of it.
    fn has_loop(&self, mark: usize) -> bool {
        /// How far a term is looked at.
        #[derive(Clone, Copy, PartialEq)]
        enum State {
            Inside,
            Done,
        }
        let mut states: FxHashMap<Term, State> = FxHashMap::default();
        // A term is looked at when it is entered, and again when all in it was.
        let mut left: Vec<(Term, bool)> = Vec::new();
        left.extend(self.trail[mark..].iter().map(|&variable| (variable, false)));
        while let Some((term, is_left)) = left.pop() {
            if is_left {
                states.insert(term, State::Done);
                continue;
            }
            match states.get(&term) {
                Some(State::Inside) => return true,
                Some(State::Done) => continue,
                None => states.insert(term, State::Inside),
            };
            left.push((term, true));
            let inner = match self.values.get(&term) {
                Some(value) => vec![value.term],
                None if self.sort(term) == Sort::Expression => self.held(term),
                None => Vec::new(),
            };
            left.extend(inner.into_iter().map(|term| (term, false)));
        }
        false
    }
}

/// What a term is.
#[derive(Debug, Clone, Copy)]
struct Dereferenced {
    term: Term,
    is_loose: bool,
}
