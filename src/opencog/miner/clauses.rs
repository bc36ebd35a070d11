//! The frequent clauses: links of the data with some of their atoms replaced by variables.

use std::hash::BuildHasher;

use rustc_hash::{FxBuildHasher, FxHashMap};

use super::super::atomspace::query::TruthFilter;
use super::super::atomspace::{AtomId, AtomStore, Kind};
use super::options::MinerOptions;
use super::pattern::{Clause, Token, Variable};

/// How deep links are looked into; what lies deeper is taken whole.
const DEEPEST: usize = 6;

/// How many atoms a link may consist of; larger ones are left out.
const LARGEST: usize = 24;

/// The data: the links that no link holds and that the filter lets pass.
pub fn trees(store: &impl AtomStore, filter: TruthFilter) -> Vec<AtomId> {
    let is_tree = |&atom: &AtomId| {
        store.types()[store.type_of(atom).index()].kind == Kind::Link
            && store.incoming(atom).len() == 0
            && filter.passes(store, atom)
    };
    store.atoms().filter(is_tree).collect()
}

/// What the variables of a clause stand for, a row for each link that it matches.
#[derive(Debug, Clone)]
pub(super) struct FrequentClause {
    pub clause: Clause,
    pub rows: Vec<AtomId>,
    pub support: u64,
}

/// The clauses that at least `minimum_support` of the trees match, in an order that depends on the
/// trees alone.
pub(super) fn frequent_clauses<S: AtomStore>(
    store: &S,
    trees: &[AtomId],
    options: &MinerOptions,
) -> Vec<FrequentClause> {
    let mut walk = Walk::new(store, trees, options);
    let mut counts: FxHashMap<u64, u64> = FxHashMap::default();
    for &tree in trees {
        walk.abstractions(tree, &mut |tokens, _| *counts.entry(hash(tokens)).or_default() += 1);
    }
    let mut rows: FxHashMap<Box<[Token]>, Vec<AtomId>> = FxHashMap::default();
    for &tree in trees {
        walk.abstractions(tree, &mut |tokens, bound| {
            if counts[&hash(tokens)] >= options.minimum_support {
                match rows.get_mut(tokens) {
                    Some(rows) => rows.extend_from_slice(bound),
                    None => drop(rows.insert(tokens.into(), bound.to_vec())),
                }
            }
        });
    }
    let clauses = rows.into_iter().map(|(tokens, rows)| {
        let clause = Clause(tokens);
        let support = (rows.len() / clause.variables().len()) as u64;
        FrequentClause { clause, rows, support }
    });
    // two clauses may have had one hash
    clauses.filter(|clause| clause.support >= options.minimum_support).collect()
}

fn hash(tokens: &[Token]) -> u64 {
    FxBuildHasher.hash_one(tokens)
}

/// A place in a tree: by which types, arities and members one comes to it from the root.
type Place = u32;

struct Walk<'a, S> {
    store: &'a S,
    options: &'a MinerOptions,
    /// The places below a place: (place, type, arity, member).
    places: FxHashMap<(Place, u16, u32, u32), Place>,
    /// In how many trees an atom is at a place.
    counts: FxHashMap<(Place, AtomId), u64>,
}

/// The clause that is being made of a tree.
struct Draft<'v> {
    tokens: Vec<Token>,
    /// What each variable stands for.
    bound: Vec<AtomId>,
    /// What of the tree is to come, the next last.
    agenda: Vec<(AtomId, Place, usize)>,
    visit: &'v mut dyn FnMut(&[Token], &[AtomId]),
}

impl<'a, S: AtomStore> Walk<'a, S> {
    fn new(store: &'a S, trees: &[AtomId], options: &'a MinerOptions) -> Self {
        let (places, counts) = (FxHashMap::default(), FxHashMap::default());
        let mut walk = Walk { store, options, places, counts };
        for &tree in trees {
            walk.count(tree);
        }
        walk
    }

    /// Counts the atoms of a tree, each at its place.
    fn count(&mut self, tree: AtomId) {
        let mut agenda = vec![(tree, 0, 0)];
        let mut met = 0;
        while let Some((atom, place, depth)) = agenda.pop() {
            met += 1;
            if met > LARGEST {
                return;
            }
            *self.counts.entry((place, atom)).or_default() += 1;
            self.push_members(atom, place, depth, &mut agenda);
        }
    }

    /// Puts what a link holds on the agenda, unless it is to be taken whole: where order says
    /// nothing, members have no places. Whether it did.
    fn push_members(
        &mut self,
        atom: AtomId,
        place: Place,
        depth: usize,
        agenda: &mut Vec<(AtomId, Place, usize)>,
    ) -> bool {
        let of = self.store.type_of(atom);
        let known = &self.store.types()[of.index()];
        if known.kind == Kind::Node || known.unordered || depth == DEEPEST {
            return false;
        }
        let outgoing = self.store.outgoing(atom);
        let arity = outgoing.len() as u32;
        let from = agenda.len();
        for (i, member) in outgoing.enumerate() {
            let next = self.places.len() as Place + 1;
            let below = *self.places.entry((place, of.0, arity, i as u32)).or_insert(next);
            agenda.push((member, below, depth + 1));
        }
        agenda[from..].reverse();
        arity > 0
    }

    /// Visits each clause that the tree matches, of few enough variables and of constants that are
    /// frequent where they stand, with what the variables stand for.
    fn abstractions(&mut self, tree: AtomId, visit: &mut dyn FnMut(&[Token], &[AtomId])) {
        if !self.is_small(tree) {
            return;
        }
        let mut draft = Draft { tokens: Vec::new(), bound: Vec::new(), agenda: Vec::new(), visit };
        self.open(tree, 0, 0, &mut draft);
    }

    fn is_small(&mut self, tree: AtomId) -> bool {
        let mut agenda = vec![(tree, 0, 0)];
        let mut met = 0;
        while let Some((atom, place, depth)) = agenda.pop() {
            met += 1;
            if met > LARGEST {
                return false;
            }
            self.push_members(atom, place, depth, &mut agenda);
        }
        true
    }

    /// Completes a draft in all ways.
    fn complete(&mut self, draft: &mut Draft) {
        let Some((atom, place, depth)) = draft.agenda.pop() else {
            if !draft.bound.is_empty() {
                (draft.visit)(&draft.tokens, &draft.bound);
            }
            return;
        };
        self.put_variables(atom, draft);
        if !self.open(atom, place, depth, draft) && self.is_frequent(atom, place) {
            draft.tokens.push(Token::Atom(atom));
            self.complete(draft);
            draft.tokens.pop();
        }
        draft.agenda.push((atom, place, depth));
    }

    fn is_frequent(&self, atom: AtomId, place: Place) -> bool {
        self.counts.get(&(place, atom)).is_some_and(|&n| n >= self.options.minimum_support)
    }

    /// A new variable stands here, or one that stands for the same atom elsewhere.
    fn put_variables(&mut self, atom: AtomId, draft: &mut Draft) {
        for variable in 0..draft.bound.len() {
            if draft.bound[variable] == atom {
                draft.tokens.push(Token::Variable(variable as Variable));
                self.complete(draft);
                draft.tokens.pop();
            }
        }
        if draft.bound.len() < self.options.max_variables {
            draft.tokens.push(Token::Variable(draft.bound.len() as Variable));
            draft.bound.push(atom);
            self.complete(draft);
            draft.bound.pop();
            draft.tokens.pop();
        }
    }

    /// A link stands here, and what it holds comes next; false if it is taken whole.
    fn open(&mut self, atom: AtomId, place: Place, depth: usize, draft: &mut Draft) -> bool {
        let agenda_before = draft.agenda.len();
        let mut agenda = std::mem::take(&mut draft.agenda);
        let is_open = self.push_members(atom, place, depth, &mut agenda);
        draft.agenda = agenda;
        if is_open {
            let arity = (draft.agenda.len() - agenda_before) as u32;
            draft.tokens.push(Token::Link(self.store.type_of(atom), arity));
            self.complete(draft);
            draft.tokens.pop();
            draft.agenda.truncate(agenda_before);
        }
        is_open
    }
}
