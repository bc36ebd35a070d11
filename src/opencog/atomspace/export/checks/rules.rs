//! Links that take a rule or a lambda apart (`VardeclOfLink.cc` and those derived from it).

use super::super::super::atom_store::{AtomId, AtomStore};
use super::super::super::number;
use super::queries::DECLARATIONS;
use super::variables::Variables;

/// Whether such a link is refused, or may be: the part that it is for is not there.
pub(super) fn is_refused<S: AtomStore>(variables: &mut Variables<S>, link: AtomId) -> bool {
    let members = variables.outgoing(link);
    let Some((&rule, index)) = members.split_first() else { return true };
    // A part of something quoted has no parts itself.
    if variables.of(rule).is_none_or(|found| found.is_quoted) {
        return true;
    }
    let store = variables.store;
    let count_of_parts = store.outgoing(rule).len();
    let is_declared = store.outgoing(rule).next().is_some_and(|first| {
        variables.is_any(first, DECLARATIONS)
            || variables.is_any(first, &["VariableNode"]) && count_of_parts > 1
    });
    let before_body = usize::from(is_declared);
    let Some(body) = store.outgoing(rule).nth(before_body) else { return true };
    let count = match variables.is_any(link, &["ConclusionOfLink"]) {
        true => count_of_parts - before_body - 1,
        // Of a lambda in a lambda, the inner one counts.
        false if variables.is_any(body, &["LambdaLink"]) => 0,
        false => store.outgoing(body).len(),
    };
    if variables.is_any(link, &["ConclusionOfLink"]) && count == 0 {
        return true;
    }
    index.first().is_some_and(|&index| !is_below(variables, index, count))
}

/// Whether a `NumberNode` is the index of one of so many.
fn is_below<S: AtomStore>(variables: &Variables<S>, index: AtomId, count: usize) -> bool {
    let numbers = variables.store.name(index).and_then(|name| number::numbers_of_name(&name));
    let first = numbers.and_then(|numbers| numbers.first().copied());
    first.is_some_and(|index| index >= 0.0 && index.round() < count as f64)
}
