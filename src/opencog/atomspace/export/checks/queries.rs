//! What queries look for: each of their variables must be in a clause that atoms are found for
//! (`PatternLink.cc`, `RuleLink.cc`).

use std::collections::HashSet;

use super::super::super::atom_store::{AtomId, AtomStore};
use super::variables::Variables;

/// What declares variables, as the first of a query.
pub(super) const DECLARATIONS: &[&str] =
    &["VariableList", "VariableSet", "TypedVariableLink", "GlobNode"];

const CONNECTIVES: &[&str] =
    &["=AndLink", "=SequentialAndLink", "=OrLink", "=SequentialOrLink", "=NotLink"];

/// Those that are taken apart within an `AndLink`.
const CONNECTIVES_WITHIN: &[&str] = &["=AndLink", "=OrLink", "=NotLink"];

/// How many parts a clause has that is told; many queries may look for the same large one.
const MOST_PARTS: usize = 1024;

/// What is sought as it stands.
const LITERALS: &[&str] = &["PresentLink", "AbsentLink", "=ChoiceLink"];

/// Whether a query is refused, or may be.
pub(super) fn is_refused<S: AtomStore>(variables: &mut Variables<S>, query: AtomId) -> bool {
    if variables.is_any(query, &["=DualLink"]) {
        return false;
    }
    let Some(found) = variables.of(query) else { return true };
    // A part of something quoted is not looked at.
    let Some(parts) = Parts::of(variables, query).filter(|_| !found.is_quoted) else {
        return false;
    };
    if parts.has_more {
        return true;
    }
    let Some(wanted) = wanted(variables, &parts) else { return true };
    let is_disjoint = variables.is_any(parts.body, &["=ChoiceLink", "=OrLink"])
        && variables.store.outgoing(parts.body).len() > 1;
    if is_disjoint || has_defined(variables, parts.body) {
        return false;
    }
    let mut clauses = Clauses { variables, wanted, found: HashSet::new() };
    match clauses.enter(parts.body) {
        Some(()) => !clauses.wanted.is_subset(&clauses.found),
        None => true,
    }
}

/// The parts of a query.
struct Parts {
    declaration: Option<AtomId>,
    body: AtomId,
    /// What it makes of what it finds.
    results: Vec<AtomId>,
    /// Whether there is more than it can have.
    has_more: bool,
}

impl Parts {
    /// Those of a query; none where it has no body.
    fn of<S: AtomStore>(variables: &Variables<S>, query: AtomId) -> Option<Parts> {
        let mut parts = Parts::of_scope(variables, query)?;
        if variables.is_any(query, &["QueryLink"]) {
            return Some(parts);
        }
        let has_more = !parts.results.is_empty();
        if parts.declaration.is_none() && variables.is_any(parts.body, &["LambdaLink"]) {
            parts = Parts::of_scope(variables, parts.body)?;
        }
        Some(Parts { results: Vec::new(), has_more, ..parts })
    }

    fn of_scope<S: AtomStore>(variables: &Variables<S>, scope: AtomId) -> Option<Parts> {
        let members = variables.outgoing(scope);
        let of_first = variables.facts(*members.first()?);
        let is_variable = of_first.is_any(&["VariableNode"]) && members.len() > 1;
        let is_declared = is_variable || of_first.is_any(DECLARATIONS);
        let skipped = usize::from(is_declared || of_first.is_any(&["AnchorNode"]));
        let (&body, results) = members[skipped..].split_first()?;
        let declaration = members.first().copied().filter(|_| is_declared);
        Some(Parts { declaration, body, results: results.to_vec(), has_more: false })
    }
}

/// The variables that a query has; none where there are too many to tell.
fn wanted<S: AtomStore>(variables: &mut Variables<S>, parts: &Parts) -> Option<HashSet<AtomId>> {
    let Some(declaration) = parts.declaration else {
        return Some(variables.free(parts.body)?.iter().copied().collect());
    };
    let mut wanted: HashSet<AtomId> = variables.free(declaration)?.iter().copied().collect();
    if parts.results.is_empty() || variables.is_any(declaration, &["VariableSet"]) {
        return Some(wanted);
    }
    // Those that are nowhere else are dropped.
    let mut used = HashSet::new();
    for &part in std::iter::once(&parts.body).chain(&parts.results) {
        used.extend(variables.free(part)?.iter().copied());
    }
    wanted.retain(|one| used.contains(one));
    Some(wanted)
}

/// Whether a definition is run: then all is told when the query runs.
fn has_defined<S: AtomStore>(variables: &Variables<S>, body: AtomId) -> bool {
    let mut seen = HashSet::new();
    let mut open = vec![body];
    while let Some(atom) = open.pop() {
        if variables.is_any(atom, &["=DefinedPredicateNode", "=DefinedSchemaNode"]) {
            return true;
        }
        let is_run = variables.is_any(atom, CONNECTIVES)
            || variables.is_any(atom, &["EvaluatableLink"])
                && !variables.is_any(atom, LITERALS)
                && !variables.is_any(atom, &["ScopeLink"]);
        if is_run && seen.len() < MOST_PARTS && seen.insert(atom) {
            open.extend(variables.store.outgoing(atom));
        }
    }
    false
}

/// The clauses of a query, and the variables in those that atoms are found for.
struct Clauses<'a, 'b, S> {
    variables: &'a mut Variables<'b, S>,
    wanted: HashSet<AtomId>,
    found: HashSet<AtomId>,
}

impl<S: AtomStore> Clauses<'_, '_, S> {
    /// Takes a body apart; none where it is refused, or may be.
    fn enter(&mut self, body: AtomId) -> Option<()> {
        if !self.variables.is_any(body, &["=AndLink"]) {
            return self.clause(body, CONNECTIVES);
        }
        for clause in self.variables.outgoing(body) {
            self.clause(clause, CONNECTIVES_WITHIN)?;
        }
        Some(())
    }

    fn clause(&mut self, clause: AtomId, connectives: &[&str]) -> Option<()> {
        let mut is_all_literal = true;
        let mut seen = HashSet::new();
        let mut open = vec![(clause, false)];
        while let Some((part, is_not)) = open.pop() {
            if seen.len() > MOST_PARTS {
                return None;
            }
            if !seen.insert((part, is_not)) || self.literal(part, is_not)? {
                continue;
            }
            match self.variables.is_any(part, connectives) {
                true => {
                    let is_not = is_not != self.variables.is_any(part, &["=NotLink"]);
                    open.extend(self.variables.store.outgoing(part).map(|held| (held, is_not)));
                }
                false => is_all_literal = false,
            }
        }
        if is_all_literal { Some(()) } else { self.plain(clause) }
    }

    /// Notes a part that is sought as it stands; whether it is one.
    fn literal(&mut self, part: AtomId, is_not: bool) -> Option<bool> {
        let of = self.variables.facts(part);
        let is_absent = of.is_any(&["=AbsentLink"]);
        if is_absent || of.is_any(&["=PresentLink"]) {
            if is_absent != is_not && self.variables.store.outgoing(part).len() != 1 {
                return None;
            }
            self.note(part)?;
            return Some(true);
        }
        if of.is_any(&["=ChoiceLink"]) {
            if is_not {
                return None;
            }
            self.note(part)?;
            return Some(true);
        }
        Some(!is_not && of.is_any(&["=AlwaysLink", "=GroupLink", "=TypedVariableLink"]))
    }

    fn note(&mut self, part: AtomId) -> Option<()> {
        self.found.extend(self.variables.free(part)?.iter());
        Some(())
    }

    fn sought(&mut self, part: AtomId) -> Option<Vec<AtomId>> {
        let free = self.variables.free(part)?;
        Some(free.iter().copied().filter(|one| self.wanted.contains(one)).collect())
    }

    /// Notes a clause that may be run: of one with two variables, what it holds is found instead.
    fn plain(&mut self, clause: AtomId) -> Option<()> {
        let is_run = self.variables.is_any(clause, &["EvaluatableLink"])
            && !self.variables.is_any(clause, &["=IdenticalLink", "=ExclusiveLink"]);
        if !is_run || self.sought(clause)?.len() < 2 {
            return self.note(clause);
        }
        if !self.variables.is_any(clause, &["VirtualLink"]) {
            return self.grounded(clause);
        }
        for held in self.variables.outgoing(clause) {
            if !self.variables.is_any(held, &["EvaluatableLink"]) {
                self.note(held)?;
            }
        }
        Some(())
    }

    /// An evaluation of a plain predicate is found as it stands, and any other is run.
    fn grounded(&mut self, clause: AtomId) -> Option<()> {
        let first = self.variables.store.outgoing(clause).next();
        let is_found = self.variables.is_any(clause, &["=EvaluationLink"])
            && first.is_some_and(|of| {
                !self.variables.is_any(of, &["EvaluatableLink", "=GroundedPredicateNode"])
            });
        if is_found { self.note(clause) } else { Some(()) }
    }
}
