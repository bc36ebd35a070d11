//! The search for matches.

use std::collections::BTreeSet;

use super::super::atom_store::{AtomId, AtomStore};
use super::super::types::TypeId;
use super::{Query, Term, TruthFilter};

/// All matches in one list, by increasing ids, how many they are, and whether these are all.
pub(super) fn solve<S: AtomStore>(
    store: &S,
    query: &Query,
    filter: TruthFilter,
    most: usize,
) -> (Vec<AtomId>, usize, bool) {
    let mut search = Search {
        store,
        query,
        filter,
        most,
        bound: vec![None; query.variables.len()],
        is_met: vec![false; query.clauses.len()],
        found: BTreeSet::new(),
        is_complete: true,
    };
    search.next_clause();
    let count = search.found.len();
    (search.found.into_iter().flatten().collect(), count, search.is_complete)
}

struct Search<'a, S> {
    store: &'a S,
    query: &'a Query,
    filter: TruthFilter,
    most: usize,
    /// What each variable stands for now.
    bound: Vec<Option<AtomId>>,
    is_met: Vec<bool>,
    found: BTreeSet<Vec<AtomId>>,
    is_complete: bool,
}

/// What a term is, given what its variables stand for.
enum Resolved {
    Atom(AtomId),
    Open,
    Absent,
}

/// From where the links that may match a clause are found.
enum Start {
    /// All of the type.
    Type(TypeId),
    /// Upwards from an atom, through links of these types.
    Atom(AtomId, Vec<TypeId>),
    /// There are none.
    Nowhere,
}

/// What must be the same: a list on the stack.
enum Goals<'g> {
    Met,
    Same(&'g Term, AtomId, &'g Goals<'g>),
    InOrder(&'g [Term], &'g [AtomId], &'g Goals<'g>),
    InAnyOrder(&'g [&'g Term], &'g [AtomId], &'g Goals<'g>),
}

impl<'a, S: AtomStore> Search<'a, S> {
    /// Meets the clause that has the fewest candidates, then the others.
    fn next_clause(&mut self) {
        let clauses = &self.query.clauses;
        let open = (0..clauses.len()).filter(|&i| !self.is_met[i]);
        let estimates = open.map(|i| (self.start(&clauses[i]), i));
        let Some(((_, start), clause)) = estimates.min_by_key(|((count, _), i)| (*count, *i))
        else {
            return self.found_one();
        };
        self.is_met[clause] = true;
        for link in self.candidates(start) {
            if !self.is_complete {
                break;
            }
            if self.filter.passes(self.store, link) {
                self.meet(&Goals::Same(&clauses[clause], link, &Goals::Met));
            }
        }
        self.is_met[clause] = false;
    }

    fn found_one(&mut self) {
        if self.found.len() == self.most {
            self.is_complete = false;
            return;
        }
        // a variable that is in no clause stands for nothing that could be told
        let atoms: Option<Vec<AtomId>> = self.bound.iter().copied().collect();
        self.found.extend(atoms);
    }

    fn resolve(&self, term: &Term) -> Resolved {
        match term {
            Term::Variable(i) => self.bound[*i].map_or(Resolved::Open, Resolved::Atom),
            Term::Atom(atom) => Resolved::Atom(*atom),
            Term::Absent => Resolved::Absent,
            Term::Link(of, held) => {
                let mut atoms = Vec::with_capacity(held.len());
                let mut is_open = false;
                for term in held {
                    match self.resolve(term) {
                        Resolved::Atom(atom) => atoms.push(atom),
                        Resolved::Open => is_open = true,
                        Resolved::Absent => return Resolved::Absent,
                    }
                }
                if is_open {
                    return Resolved::Open;
                }
                self.store.by_outgoing(*of, &atoms).map_or(Resolved::Absent, Resolved::Atom)
            }
        }
    }

    /// Where to look for a clause, and about how many links are looked at.
    fn start(&self, clause: &Term) -> (usize, Start) {
        match (self.resolve(clause), clause) {
            (Resolved::Atom(atom), _) => (1, Start::Atom(atom, Vec::new())),
            (Resolved::Open, Term::Link(of, held)) => {
                let mut best = (self.store.by_type(*of).len(), Start::Type(*of));
                self.better_start(held, &mut vec![*of], &mut best);
                best
            }
            _ => (0, Start::Nowhere),
        }
    }

    /// Looks for an atom in fewer links among what is held; `path` has the types around it, the
    /// outermost first.
    fn better_start(&self, held: &[Term], path: &mut Vec<TypeId>, best: &mut (usize, Start)) {
        for term in held {
            match (self.resolve(term), term) {
                (Resolved::Atom(atom), _) => {
                    let count = self.store.incoming(atom).len();
                    if count < best.0 {
                        *best = (count, Start::Atom(atom, path.iter().rev().copied().collect()));
                    }
                }
                (Resolved::Open, Term::Link(of, held)) => {
                    path.push(*of);
                    self.better_start(held, path, best);
                    path.pop();
                }
                _ => (),
            }
        }
    }

    fn candidates(&self, start: Start) -> Vec<AtomId> {
        match start {
            Start::Nowhere => Vec::new(),
            Start::Type(of) => self.store.by_type(of).collect(),
            Start::Atom(atom, path) => path.into_iter().fold(vec![atom], |level, of| {
                let up = level.iter().flat_map(|&atom| self.store.incoming(atom));
                let mut up: Vec<_> = up.filter(|&link| self.store.type_of(link) == of).collect();
                up.sort_unstable();
                up.dedup();
                up
            }),
        }
    }

    /// Meets the goals in every way there is, and each time the other clauses.
    fn meet(&mut self, goals: &Goals) {
        if !self.is_complete {
            return;
        }
        match *goals {
            Goals::Met => self.next_clause(),
            Goals::Same(term, atom, rest) => self.same(term, atom, rest),
            Goals::InOrder(&[], _, rest) | Goals::InAnyOrder(&[], _, rest) => self.meet(rest),
            Goals::InOrder([term, terms @ ..], atoms, rest) => {
                let others = Goals::InOrder(terms, &atoms[1..], rest);
                self.same(term, atoms[0], &others);
            }
            Goals::InAnyOrder([term, terms @ ..], atoms, rest) => {
                for (i, &atom) in atoms.iter().enumerate() {
                    if !atoms[..i].contains(&atom) {
                        let others = [&atoms[..i], &atoms[i + 1..]].concat();
                        self.same(term, atom, &Goals::InAnyOrder(terms, &others, rest));
                    }
                }
            }
        }
    }

    fn same(&mut self, term: &Term, atom: AtomId, rest: &Goals) {
        match term {
            Term::Absent => (),
            Term::Atom(wanted) if *wanted == atom => self.meet(rest),
            Term::Atom(_) => (),
            Term::Variable(i) => match self.bound[*i] {
                Some(before) if before == atom => self.meet(rest),
                Some(_) => (),
                None if self.may_be(*i, atom) => {
                    self.bound[*i] = Some(atom);
                    self.meet(rest);
                    self.bound[*i] = None;
                }
                None => (),
            },
            Term::Link(of, held) => self.same_link(*of, held, atom, rest),
        }
    }

    fn may_be(&self, variable: usize, atom: AtomId) -> bool {
        let of = self.query.variables[variable].of;
        of.is_none_or(|of| self.store.type_of(atom) == of)
    }

    fn same_link(&mut self, of: TypeId, held: &[Term], atom: AtomId, rest: &Goals) {
        if self.store.type_of(atom) != of || self.store.outgoing(atom).len() != held.len() {
            return;
        }
        let atoms: Vec<AtomId> = self.store.outgoing(atom).collect();
        match self.store.types()[of.index()].unordered {
            true => {
                // What is known comes first: it tells at once whether there is any way.
                let mut held: Vec<&Term> = held.iter().collect();
                held.sort_by_key(|term| matches!(self.resolve(term), Resolved::Open));
                self.meet(&Goals::InAnyOrder(&held, &atoms, rest));
            }
            false => self.meet(&Goals::InOrder(held, &atoms, rest)),
        }
    }
}
