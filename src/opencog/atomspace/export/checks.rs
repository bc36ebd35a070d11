//! What the constructors of AtomSpace's atoms demand. A reader stops where they are given something
//! else. What is not told for sure is taken for refused, so that it does not stop a reader: a query,
//! a `PutLink` or an equation of a rare form.

mod constraints;
mod constructors;
mod puts;
mod queries;
mod rules;
#[cfg(test)]
mod tests;
mod variables;

use std::collections::HashSet;

use super::super::atom_store::{AtomId, AtomStore};
use super::super::declarations::Sort;
use super::super::number;
use super::super::types::{Kind, TypeId};
use super::destination::{Destination, Target};

use constructors::{Form, NUMERIC, ROWS, Row, VARIABLES};
use variables::Variables;

/// A type, as the AtomSpace has it.
struct Facts<'a> {
    name: &'a str,
    /// Whether there are no atoms of it.
    is_refused: bool,
    /// It and all that it is derived from.
    ancestors: HashSet<&'a str>,
    checks: Vec<&'static Row>,
}

impl Facts<'_> {
    /// Whether it is one of these types or derived from it, or one alone after `=`.
    fn is_any(&self, of: &[&str]) -> bool {
        of.iter().any(|&name| match name.strip_prefix('=') {
            Some(only) => self.name == only,
            None => self.ancestors.contains(name),
        })
    }
}

/// The atoms that an AtomSpace refuses, by id: of types that it does not know, or that its
/// constructors do not take, and all links that hold one.
pub(super) fn refused(store: &impl AtomStore, to: &Destination) -> Vec<bool> {
    let facts: Vec<Facts> = store.types().iter().map(|of| facts(of, to)).collect();
    let mut defined = HashSet::new();
    let mut deep = Deep::new(store, &facts, to);
    let mut refused: Vec<bool> = Vec::with_capacity(store.atom_count());
    for atom in store.atoms() {
        let of = store.type_of(atom);
        let is_refused = facts[of.index()].is_refused
            || store.outgoing(atom).any(|held| refused[held.index()])
            || match store.name(atom) {
                Some(name) => is_name_refused(&facts[of.index()], &name, to),
                None => {
                    is_link_refused(store, &facts, atom, &mut defined, to.target)
                        || deep.is_refused(atom)
                }
            };
        refused.push(is_refused);
    }
    refused
}

fn facts<'a>(of: &'a super::super::AtomType, to: &'a Destination) -> Facts<'a> {
    let types = &to.types;
    let Some(declared) = types.find(&of.name, Sort::Atom(of.kind)) else {
        let (ancestors, checks) = (HashSet::new(), Vec::new());
        return Facts { name: &of.name, is_refused: true, ancestors, checks };
    };
    let ancestors: HashSet<&str> = types.ancestors(declared, to.target).into_iter().collect();
    // What takes crisp values is asked for these, and no more for any booleans.
    let is_crisp = ancestors.contains("CrispInputSig");
    let is_of = |check: &&Row| {
        let is_about = match check.of.strip_prefix('=') {
            Some(only) => only == &*of.name,
            None => ancestors.contains(check.of),
        };
        let is_overruled = match check.of {
            "BooleanInputSig" => is_crisp,
            // The only one of its kinds that has a check of its own.
            "SetValueLink" => &*of.name == "SetTVLink",
            _ => false,
        };
        is_about && !is_overruled && !check.forms(to.target).is_empty()
    };
    Facts {
        name: &of.name,
        is_refused: !types.is_known(declared, to.target, &to.modules),
        checks: ROWS.iter().filter(is_of).collect(),
        ancestors,
    }
}

fn is_name_refused(of: &Facts, name: &[u8], to: &Destination) -> bool {
    match of.name {
        "TypeNode" => {
            let name = std::str::from_utf8(name).ok();
            !name.is_some_and(|name| to.types.is_name_known(name, to.target, &to.modules))
        }
        _ => of.is_any(&["NumberNode"]) && number::numbers_of_name(name).is_none(),
    }
}

fn is_link_refused<S: AtomStore>(
    store: &S,
    facts: &[Facts],
    link: AtomId,
    defined: &mut HashSet<(TypeId, AtomId)>,
    target: Target,
) -> bool {
    let of = store.type_of(link);
    let own = &facts[of.index()];
    if own.checks.is_empty() && !own.is_any(&["UniqueLink", "PresentLink"]) {
        return false;
    }
    let members: Vec<&Facts> =
        store.outgoing(link).map(|held| &facts[store.type_of(held).index()]).collect();
    let has_form =
        |check: &&Row| check.forms(target).iter().any(|form| passes(form, own.name, &members));
    if !own.checks.iter().all(has_form) {
        return true;
    }
    // A second definition of the same is refused.
    let mut outgoing = store.outgoing(link);
    if own.is_any(&["UniqueLink"]) && !own.is_any(&["StateLink", "GrantLink"]) {
        return outgoing.next().is_some_and(|key| !defined.insert((of, key)));
    }
    own.is_any(&["PresentLink"]) && !holds_variable(store, facts, link)
}

fn passes(form: &Form, of: &str, members: &[&Facts]) -> bool {
    // The pattern matcher has any clauses in one.
    let is_free = of == "AndLink";
    let is = |place: usize, types: Option<&[&str]>| {
        let member = members.get(place);
        types.is_none_or(|types| member.is_none_or(|member| member.is_any(types)))
    };
    let are = |members: &[&Facts], types: Option<&[&str]>| {
        types.is_none_or(|types| is_free || members.iter().all(|member| member.is_any(types)))
    };
    (form.least..=form.most).contains(&members.len())
        && is(0, form.first)
        && is(1, form.second)
        && are(members.get(1..).unwrap_or_default(), form.rest)
        && are(members, form.all)
        && members.first().is_none_or(|first| !first.is_any(form.not_first))
        && !members.iter().any(|member| member.is_any(form.none))
}

/// What is told by more than the types of what a link holds.
struct Deep<'a, S> {
    variables: Variables<'a, S>,
    to: &'a Destination,
    /// By type, whether there is something to tell.
    is_concerned: Vec<bool>,
    /// The sets that hold nothing but numbers, and what may be some.
    numeric: HashSet<AtomId>,
}

/// The types of which there is something to tell by more than the types of what they hold.
const DEEP: &[&str] = &[
    "=SetLink",
    "NumericInputLink",
    "NumericInputSig",
    "CollectionOfLink",
    "=PromiseLink",
    "PutLink",
    "VardeclOfLink",
    "PatternLink",
    "JoinLink",
    "PresentLink",
    "IdenticalLink",
    "EqualLink",
    "AlphaEqualLink",
    "ExclusiveLink",
];

impl<'a, S: AtomStore> Deep<'a, S> {
    fn new(store: &'a S, facts: &'a [Facts<'a>], to: &'a Destination) -> Deep<'a, S> {
        let is_concerned = facts.iter().map(|of| of.is_any(DEEP)).collect();
        Deep { variables: Variables::new(store, facts), to, is_concerned, numeric: HashSet::new() }
    }

    fn is_refused(&mut self, link: AtomId) -> bool {
        if !self.is_concerned[self.variables.store.type_of(link).index()] {
            return false;
        }
        let own = self.variables.facts(link);
        if own.name == "SetLink" && self.is_numeric(link) {
            self.numeric.insert(link);
        }
        let is_of_2026 = self.to.target == Target::AtomSpace2026;
        own.is_any(&["NumericInputLink", "NumericInputSig"]) && !self.is_numeric(link)
            || own.is_any(&["CollectionOfLink", "=PromiseLink"]) && !self.makes_known_values(link)
            || own.is_any(&["PutLink"])
                && puts::is_refused(&mut self.variables, link, self.to.target)
            || own.is_any(&["VardeclOfLink"]) && rules::is_refused(&mut self.variables, link)
            || own.is_any(&["PatternLink"]) && queries::is_refused(&mut self.variables, link)
            || own.is_any(&["JoinLink"]) && !is_of_2026 && self.has_fixed_clause(link)
            || is_of_2026 && constraints::is_refused(&mut self.variables, link)
    }

    /// Whether a join asks for something that is run and has no variable.
    fn has_fixed_clause(&mut self, join: AtomId) -> bool {
        self.variables.outgoing(join).into_iter().any(|clause| {
            self.variables.is_any(clause, &["EvaluatableLink"])
                && !self.variables.is_any(clause, &["=PresentLink"])
                && self.variables.is_closed(clause) != Some(false)
        })
    }

    fn is_numeric(&self, link: AtomId) -> bool {
        let is = |held: AtomId| match self.variables.facts(held).name {
            "SetLink" => self.numeric.contains(&held),
            _ => self.variables.is_any(held, NUMERIC),
        };
        self.variables.store.outgoing(link).all(is)
    }

    /// Whether the type that a link names is one of what it makes, if it names one.
    fn makes_known_values(&self, link: AtomId) -> bool {
        let store = self.variables.store;
        let Some(first) = store.outgoing(link).next() else { return true };
        let is_named = self.variables.is_any(first, &["TypeNode"])
            && (store.outgoing(link).len() > 1 || self.variables.is_any(link, &["=PromiseLink"]));
        if !is_named {
            return true;
        }
        let name = store.name(first).unwrap_or_default();
        let Ok(name) = std::str::from_utf8(&name) else { return false };
        if self.variables.is_any(link, &["=PromiseLink"]) {
            return matches!(name, "FutureStream" | "FormulaStream");
        }
        let types = &self.to.types;
        let values: &[&str] = match self.to.target {
            Target::AtomSpace5_0 => &["LinkValue"],
            Target::AtomSpace2026 => &["LinkValue", "FloatValue"],
        };
        types.find(name, Sort::Atom(Kind::Link)).is_some()
            || types.find(name, Sort::Value).is_some_and(|found| {
                values.iter().any(|of| types.is_a_in(found, of, self.to.target))
            })
    }
}

/// Whether there is a variable in an atom.
fn holds_variable<S: AtomStore>(store: &S, facts: &[Facts], atom: AtomId) -> bool {
    !variables_in(store, facts, [atom]).is_empty()
}

fn variables_in<S: AtomStore>(
    store: &S,
    facts: &[Facts],
    atoms: impl IntoIterator<Item = AtomId>,
) -> HashSet<AtomId> {
    let mut found = HashSet::new();
    let mut seen = HashSet::new();
    let mut open: Vec<AtomId> = atoms.into_iter().collect();
    while let Some(atom) = open.pop() {
        if facts[store.type_of(atom).index()].is_any(VARIABLES) {
            found.insert(atom);
        } else if seen.insert(atom) {
            open.extend(store.outgoing(atom));
        }
    }
    found
}
