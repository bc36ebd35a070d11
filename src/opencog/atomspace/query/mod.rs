//! Finds the atoms that make conjunctions of patterns with variables true.
//!
//! A [`Query`] is a number of links that must all be there, in which variables stand for atoms.
//! [`Query::matches`] tries the link with the fewest candidates first, which are found by climbing
//! incoming sets from the rarest atom that is known in it.

mod solve;
#[cfg(test)]
mod tests;
mod wrapped;

use std::sync::Arc;

use serde::Serialize;

use super::atom_store::{AtomId, AtomStore};
use super::declarations::Declarations;
use super::error::Error;
use super::export::sizes_as_text;
use super::read::{ReadOptions, read};
use super::types::{Kind, TypeId};
use super::value::TruthValue;

/// What stands in a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Term {
    /// A variable, by its place in [`Query::variables`].
    Variable(usize),
    /// This atom.
    Atom(AtomId),
    /// A link of this type that holds these, in any order where the type is unordered.
    Link(TypeId, Vec<Term>),
    /// An atom that the store does not have, so that nothing matches.
    Absent,
}

/// A variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// What it is called.
    pub name: String,
    /// The type of the atoms that it may stand for; none for any.
    pub of: Option<TypeId>,
}

/// Which of the links that match a clause count.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TruthFilter {
    /// All.
    #[default]
    Any,
    /// Those whose strength times confidence is at least this.
    ProductAtLeast(f64),
    /// Those whose truth value stands for at least so many observations.
    CountAtLeast(f64),
}

impl TruthFilter {
    /// Whether an atom counts; one without a truth value has the default one.
    pub fn passes(self, store: &impl AtomStore, atom: AtomId) -> bool {
        let truth = || store.truth_value(atom).unwrap_or(TruthValue::DEFAULT);
        match self {
            TruthFilter::Any => true,
            TruthFilter::ProductAtLeast(least) => {
                let truth = truth();
                truth.strength() * truth.confidence() >= least
            }
            TruthFilter::CountAtLeast(least) => truth().count() >= least,
        }
    }
}

/// Links that must all be there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    /// The variables.
    pub variables: Vec<Variable>,
    /// The links, each a [`Term::Link`].
    pub clauses: Vec<Term>,
}

/// What the variables of a query can stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matches {
    /// How many variables there are: a match is so many atoms.
    width: usize,
    atoms: Vec<AtomId>,
    count: usize,
    /// Whether these are all matches there are.
    pub is_complete: bool,
}

impl Matches {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// A match: the atoms in the order of [`Query::variables`].
    pub fn get(&self, i: usize) -> &[AtomId] {
        &self.atoms[i * self.width..(i + 1) * self.width]
    }

    /// The matches, by increasing ids.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[AtomId]> {
        (0..self.count).map(|i| self.get(i))
    }
}

/// The most atoms of a pattern, each counted as often as it is written.
const MOST_WRITTEN: u64 = 1000;

/// An error where a pattern is too large. Terms have what they hold in them, be it the same.
fn check_size(pattern: &impl AtomStore) -> Result<(), Error> {
    let sizes = sizes_as_text(pattern);
    if sizes.iter().any(|&size| size > MOST_WRITTEN) || sizes.len() as u64 > MOST_WRITTEN {
        return Err(Error::Parameter(format!("a query has at most {MOST_WRITTEN} atoms")));
    }
    Ok(())
}

/// Which atoms are in these.
fn reached(pattern: &impl AtomStore, of: &[AtomId]) -> Vec<bool> {
    let mut reached = vec![false; pattern.atom_count()];
    let mut open = of.to_vec();
    while let Some(atom) = open.pop() {
        if !std::mem::replace(&mut reached[atom.index()], true) {
            open.extend(pattern.outgoing(atom));
        }
    }
    reached
}

impl Query {
    /// The query that a text is for a store: each form at the top is a clause, each `VariableNode` a
    /// variable. Clauses may be wrapped as AtomSpace has them: in `MeetLink` and `GetLink`, also with
    /// variables of a type; in `QueryLink` and `BindLink`, of which what they would make of matches is
    /// left out; in `PresentLink`; and in an `AndLink`, of links with variables in each.
    ///
    /// # Errors
    /// The text is broken, has something else than atoms in it, more than 1000 of them or none, or a
    /// clause is no link.
    pub fn parse(text: &str, store: &impl AtomStore) -> Result<Query, Error> {
        Query::parse_with(text, store, None)
    }

    /// As [`Query::parse`], where these types are declared.
    ///
    /// # Errors
    /// As there.
    pub fn parse_with(
        text: &str,
        store: &impl AtomStore,
        types: Option<Arc<Declarations>>,
    ) -> Result<Query, Error> {
        let options = ReadOptions { types, ..ReadOptions::default() };
        let (pattern, summary) = read(text.as_bytes(), &options)?;
        if !summary.skipped.is_empty() {
            return Err(Error::Parameter(format!("a query has only atoms: {}", summary.skipped)));
        }
        if summary.values_taken > 0 || summary.values_ignored > 0 {
            return Err(Error::Parameter("a query has only atoms, found values".into()));
        }
        check_size(&pattern)?;
        let wrapped::Unwrapped { clauses, typed } = wrapped::unwrapped(&pattern)?;
        if clauses.is_empty() {
            return Err(Error::Parameter("expected links, found none".into()));
        }
        let mut query = Query::default();
        let is_asked = reached(&pattern, &clauses);
        let mut terms: Vec<Term> = Vec::with_capacity(pattern.atom_count());
        for atom in pattern.atoms() {
            let term = match is_asked[atom.index()] {
                true => query.term(&pattern, atom, &terms, store),
                false => Term::Absent,
            };
            terms.push(term);
        }
        query.clauses = clauses.iter().map(|clause| terms[clause.index()].clone()).collect();
        for (variable, of) in typed {
            let Term::Variable(place) = terms[variable.index()] else { continue };
            let name = pattern.name(of).unwrap_or_default();
            let name = String::from_utf8_lossy(&name);
            let mut kinds = [Kind::Node, Kind::Link].into_iter();
            match kinds.find_map(|kind| store.find_type(&name, kind)) {
                Some(of) => query.variables[place].of = Some(of),
                // There are no atoms of it.
                None => query.clauses.push(Term::Absent),
            }
        }
        Ok(query)
    }

    /// The term for an atom of a pattern, where `terms` has those of all smaller ids.
    fn term(
        &mut self,
        pattern: &impl AtomStore,
        atom: AtomId,
        terms: &[Term],
        store: &impl AtomStore,
    ) -> Term {
        let of = &pattern.types()[pattern.type_of(atom).index()];
        let of_store = store.find_type(&of.name, of.kind);
        match (pattern.name(atom), of_store) {
            (Some(name), _) if &*of.name == "VariableNode" => {
                self.variables
                    .push(Variable { name: String::from_utf8_lossy(&name).into_owned(), of: None });
                Term::Variable(self.variables.len() - 1)
            }
            (Some(name), Some(of)) => store.by_name(of, &name).map_or(Term::Absent, Term::Atom),
            (None, Some(of)) => {
                let held = pattern.outgoing(atom).map(|held| terms[held.index()].clone());
                Term::Link(of, held.collect())
            }
            (_, None) => Term::Absent,
        }
    }

    /// What the variables can stand for, each combination once: at most `most` of them.
    ///
    /// # Panics
    /// A term has a variable or an atom that there is none of.
    pub fn matches<S: AtomStore>(&self, store: &S, filter: TruthFilter, most: usize) -> Matches {
        let (atoms, count, is_complete) = solve::solve(store, self, filter, most);
        Matches { width: self.variables.len(), atoms, count, is_complete }
    }
}
