//! The places that a query of AtomSpace 2026 has for what it finds: an empty `UnisetValue` under the
//! query itself, under each of its results, and under each of its variables and their declarations
//! (`setAtomSpace` of `PatternLink.cc`). Upstream makes them anew, and its readers take no empty one.

use super::super::atom_store::{AtomId, AtomStore};
use super::super::declarations::Sort;
use super::super::value_ref::ValueRef;
use super::destination::{Destination, Target};

/// How many of its results and variables are looked at: there is a value for each.
const MOST_PARTS: usize = 64;

pub(super) struct Places {
    /// By type, whether it is one of queries.
    is_query: Vec<bool>,
}

impl Places {
    pub fn new(store: &impl AtomStore, to: &Destination) -> Places {
        let is_query = store.types().iter().map(|of| {
            let declared = to.types.find(&of.name, Sort::Atom(of.kind));
            to.target == Target::AtomSpace2026
                && declared.is_some_and(|of| to.types.is_a_in(of, "PatternLink", to.target))
        });
        Places { is_query: is_query.collect() }
    }

    /// Whether a value of an atom is such a place, which nothing is in.
    pub fn has(&self, store: &impl AtomStore, atom: AtomId, key: AtomId, value: ValueRef) -> bool {
        self.is_query[store.type_of(atom).index()]
            && is_empty_set(value)
            && (key == atom || is_part(store, atom, key))
    }
}

fn is_empty_set(value: ValueRef) -> bool {
    matches!(value, ValueRef::Derived(derived) if derived.kind() == "UnisetValue"
        && matches!(derived.held(), ValueRef::Links(values) if values.iter().next().is_none()))
}

/// Whether an atom is in a query, its declaration, or that of one variable.
fn is_part(store: &impl AtomStore, query: AtomId, atom: AtomId) -> bool {
    let declaration = store.outgoing(query).next();
    let of_variables =
        declaration.into_iter().flat_map(|list| store.outgoing(list).take(MOST_PARTS));
    let holds = |link: AtomId| store.outgoing(link).take(MOST_PARTS).any(|held| held == atom);
    holds(query) || declaration.is_some_and(holds) || of_variables.into_iter().any(holds)
}
