//! The variables that are free in an atom: no scope in it binds them, and no quote holds them
//! (`get_free_variables` of `FindUtils.cc`, `extract_variables` of `ScopeLink.cc`).

use std::collections::HashMap;
use std::rc::Rc;

use super::super::super::atom_store::{AtomId, AtomStore};
use super::Facts;
use super::constructors::VARIABLES;

/// More free variables of an atom are not told.
const MOST_VARIABLES: usize = 256;

/// Nor those in more quotes.
const MOST_QUOTES: u8 = 8;

/// What an atom has of variables.
#[derive(Clone)]
pub(super) struct Found {
    /// Those that are free, by increasing id.
    pub free: Rc<[AtomId]>,
    /// Whether there is an `UnquoteLink` in it that no quote in it is for: then it is itself part
    /// of something quoted, and upstream does not look at it.
    pub is_quoted: bool,
}

/// Atoms, what their types are, and the variables of those that were asked for.
pub(super) struct Variables<'a, S> {
    pub store: &'a S,
    pub facts: &'a [Facts<'a>],
    /// By atom and how many quotes it is in; none where there are too many to tell.
    known: HashMap<(AtomId, u8), Option<Found>>,
}

impl<'a, S: AtomStore> Variables<'a, S> {
    pub fn new(store: &'a S, facts: &'a [Facts<'a>]) -> Variables<'a, S> {
        Variables { store, facts, known: HashMap::new() }
    }

    pub fn facts(&self, atom: AtomId) -> &'a Facts<'a> {
        &self.facts[self.store.type_of(atom).index()]
    }

    pub fn is_any(&self, atom: AtomId, of: &[&str]) -> bool {
        self.facts(atom).is_any(of)
    }

    pub fn outgoing(&self, atom: AtomId) -> Vec<AtomId> {
        self.store.outgoing(atom).collect()
    }

    /// The variables of an atom; none where there are too many to tell.
    pub fn of(&mut self, atom: AtomId) -> Option<Found> {
        self.within(atom, 0)
    }

    /// The free variables of an atom; none where there are too many to tell.
    pub fn free(&mut self, atom: AtomId) -> Option<Rc<[AtomId]>> {
        self.of(atom).map(|found| found.free)
    }

    /// Whether there is surely no free variable in an atom.
    pub fn is_closed(&mut self, atom: AtomId) -> Option<bool> {
        self.free(atom).map(|free| free.is_empty())
    }

    fn within(&mut self, atom: AtomId, quotes: u8) -> Option<Found> {
        let mut open = vec![(atom, quotes)];
        while let Some(&(at, quotes)) = open.last() {
            if self.known.contains_key(&(at, quotes)) {
                open.pop();
                continue;
            }
            let inner = self.quotes_within(at, quotes);
            let before = open.len();
            let held = self.store.outgoing(at).map(|held| (held, inner));
            open.extend(held.filter(|held| !self.known.contains_key(held)));
            if open.len() == before {
                let found = self.combined(at, quotes, inner);
                self.known.insert((at, quotes), found);
                open.pop();
            }
        }
        self.known[&(atom, quotes)].clone()
    }

    fn quotes_within(&self, link: AtomId, quotes: u8) -> u8 {
        match self.facts(link).name {
            "QuoteLink" => (quotes + 1).min(MOST_QUOTES),
            "UnquoteLink" => quotes.saturating_sub(1),
            _ => quotes,
        }
    }

    /// What an atom has, where that of all that it holds is known.
    fn combined(&self, atom: AtomId, quotes: u8, inner: u8) -> Option<Found> {
        if inner == MOST_QUOTES {
            return None;
        }
        let mut free = Vec::new();
        if quotes == 0 && self.is_any(atom, VARIABLES) {
            free.push(atom);
        }
        let mut is_quoted = quotes == 0 && self.facts(atom).name == "UnquoteLink";
        for held in self.store.outgoing(atom) {
            let found = self.known[&(held, inner)].as_ref()?;
            free.extend_from_slice(&found.free);
            is_quoted |= found.is_quoted;
        }
        free.sort_unstable();
        free.dedup();
        if !is_quoted && self.is_any(atom, &["ScopeLink"]) {
            let bound = self.bound(atom).and_then(|of| self.known[&(of, inner)].clone());
            free.retain(|one| !bound.as_ref().is_some_and(|of| of.free.contains(one)));
        }
        (free.len() <= MOST_VARIABLES).then(|| Found { free: free.into(), is_quoted })
    }

    /// The member of a scope whose free variables it binds.
    fn bound(&self, scope: AtomId) -> Option<AtomId> {
        let mut outgoing = self.store.outgoing(scope);
        let first = outgoing.next()?;
        match self.facts(first).name {
            "AnchorNode" => outgoing.next(),
            _ => Some(first),
        }
    }
}
