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
    let parts = variables.outgoing(rule);
    let is_declared = parts.first().is_some_and(|&first| {
        variables.is_any(first, DECLARATIONS)
            || variables.is_any(first, &["VariableNode"]) && parts.len() > 1
    });
    let parts = &parts[usize::from(is_declared)..];
    let Some((&body, conclusions)) = parts.split_first() else { return true };
    let count = match variables.is_any(link, &["ConclusionOfLink"]) {
        true if conclusions.is_empty() => return true,
        true => conclusions.len(),
        // Of a lambda in a lambda, the inner one counts.
        false if variables.is_any(body, &["LambdaLink"]) => 0,
        false => variables.store.outgoing(body).len(),
    };
    index.first().is_some_and(|&index| !is_below(variables, index, count))
}

/// Whether a `NumberNode` is the index of one of so many.
fn is_below<S: AtomStore>(variables: &Variables<S>, index: AtomId, count: usize) -> bool {
    let numbers = variables.store.name(index).and_then(|name| number::numbers_of_name(&name));
    let first = numbers.and_then(|numbers| numbers.first().copied());
    first.is_some_and(|index| index >= 0.0 && index.round() < count as f64)
}
