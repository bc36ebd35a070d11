//! What the constructors of AtomSpace's atoms demand. A reader stops where they are given something
//! else.

use std::collections::HashSet;

use super::super::atom_store::{AtomId, AtomStore};
use super::super::declarations::Sort;
use super::super::number;
use super::super::types::TypeId;
use super::destination::{Destination, Target};

use Member::{All, First, NotFirst, Second};

/// What the links of a type, and of those derived from it, must be.
struct Check {
    of: &'static str,
    /// The only generation that demands it; none where both do.
    only: Option<Target>,
    /// How many atoms they hold.
    arity: (usize, usize),
    members: &'static [Member],
}

/// What some members must be: of one of these types, or derived from it.
enum Member {
    First(&'static [&'static str]),
    Second(&'static [&'static str]),
    All(&'static [&'static str]),
    /// Not of any of these.
    NotFirst(&'static [&'static str]),
}

const ANY: usize = usize::MAX;

const VARIABLES: &[&str] = &["VariableNode", "GlobNode"];

const fn arity(of: &'static str, least: usize, most: usize) -> Check {
    Check { of, only: None, arity: (least, most), members: &[] }
}

const fn holds(of: &'static str, least: usize, most: usize, members: &'static [Member]) -> Check {
    Check { of, only: None, arity: (least, most), members }
}

const fn only(target: Target, check: Check) -> Check {
    Check { only: Some(target), ..check }
}

use Target::{AtomSpace5_0 as Old, AtomSpace2026 as New};

/// From the constructors and from `Checkers.cc`; commits are those of the table of types.
const CHECKS: &[Check] = &[
    arity("StateLink", 2, 2),
    holds(
        "DefineLink",
        2,
        2,
        &[First(&[
            "DefinedProcedureNode",
            "DefinedSchemaNode",
            "DefinedPredicateNode",
            "DefinedTypeNode",
        ])],
    ),
    only(New, holds("PipeLink", 2, 2, &[First(&["NameNode"])])),
    holds(
        "TypedAtomLink",
        2,
        2,
        &[
            NotFirst(VARIABLES),
            Second(&["TypeNode", "DefinedTypeNode", "TypeChoice", "SignatureLink", "ArrowLink"]),
        ],
    ),
    holds(
        "TypedVariableLink",
        2,
        2,
        &[
            First(VARIABLES),
            Second(&[
                "TypeNode",
                "DefinedTypeNode",
                "TypeChoice",
                "TypeIntersectionLink",
                "VariableNode",
                "SignatureLink",
                "IntervalLink",
                "ArrowLink",
            ]),
        ],
    ),
    holds("VariableList", 0, ANY, &[All(&["VariableNode", "GlobNode", "TypedVariableLink"])]),
    holds("VariableSet", 0, ANY, &[All(&["VariableNode", "GlobNode", "TypedVariableLink"])]),
    holds(
        "ExecutionOutputLink",
        2,
        2,
        &[First(&[
            "FunctionLink",
            "VirtualLink",
            "LambdaLink",
            "RuleLink",
            "ProcedureNode",
            "VariableNode",
            "UnquoteLink",
        ])],
    ),
    arity("ScopeLink", 1, ANY),
    arity("PutLink", 2, 3),
    arity("QueryLink", 2, ANY),
    arity("GetLink", 1, 2),
    arity("MeetLink", 1, 2),
    arity("SatisfactionLink", 1, 2),
    arity("DualLink", 1, 1),
    arity("DontExecLink", 1, 1),
    arity("SleepLink", 1, 1),
    arity("TimeLink", 0, 0),
    arity("CondLink", 1, ANY),
    arity("FilterLink", 2, 2),
    arity("CollectionOfLink", 1, 2),
    only(Old, arity("FormulaPredicateLink", 2, 3)),
    arity("IncomingOfLink", 1, 2),
    holds("LinkSignatureLink", 1, ANY, &[First(&["TypeNode"])]),
    only(Old, arity("NumberOfLink", 1, 1)),
    only(Old, arity("PromiseLink", 1, ANY)),
    only(Old, arity("SetTVLink", 2, ANY)),
    only(Old, arity("SetValueLink", 3, 4)),
    only(New, arity("SetValueLink", 2, 4)),
    only(New, arity("IncrementValueLink", 3, 3)),
    only(New, arity("AtomSpaceOfLink", 1, 1)),
    only(New, arity("DrainLink", 1, ANY)),
    only(New, arity("TriggerLink", 1, ANY)),
    only(Old, arity("StringOfLink", 2, 2)),
    arity("ValueOfLink", 1, ANY),
    arity("StreamValueOfLink", 2, 2),
    arity("ValueShimLink", 0, 0),
    arity("ExecuteThreadedLink", 1, ANY),
    arity("PureExecLink", 1, ANY),
    arity("AccumulateLink", 1, 1),
    arity("DecimateLink", 2, 2),
    arity("ElementOfLink", 2, 2),
    arity("FloorLink", 1, 1),
    arity("HeavisideLink", 1, 1),
    arity("Log2Link", 1, 1),
    arity("PowLink", 2, 2),
    arity("RandomNumberLink", 2, 2),
    arity("SineLink", 1, 1),
    only(New, arity("CosineLink", 1, 1)),
    only(New, arity("TanLink", 1, 1)),
    only(New, arity("ExpLink", 1, 1)),
    arity("ConclusionOfLink", 1, 2),
    arity("PremiseOfLink", 1, 2),
    only(Old, holds("CrispInputLink", 0, ANY, &[All(EVALUATABLE)])),
    only(New, holds("CrispInputSig", 0, ANY, &[All(EVALUATABLE)])),
    only(Old, holds("BooleanInputLink", 0, ANY, &[All(BOOLEAN)])),
    only(New, holds("BooleanInputSig", 0, ANY, &[All(BOOLEAN)])),
    only(Old, holds("NumericInputLink", 0, ANY, &[All(NUMERIC)])),
    only(New, holds("NumericInputSig", 0, ANY, &[All(NUMERIC)])),
    only(Old, holds("TypeInputLink", 0, ANY, &[All(TYPES)])),
    only(New, holds("TypeInputSig", 0, ANY, &[All(TYPES)])),
];

const EVALUATABLE: &[&str] = &[
    "PutLink",
    "GetLink",
    "VariableNode",
    "GlobNode",
    "DefinedPredicateNode",
    "PredicateNode",
    "ConceptNode",
    "QuoteLink",
    "UnquoteLink",
    "SimilarityLink",
    "MemberLink",
    "DirectlyEvaluatableLink",
    "EvaluatableLink",
    "BooleanOutputSig",
];

const BOOLEAN: &[&str] = &[
    "VariableNode",
    "DefinedProcedureNode",
    "ExecutionOutputLink",
    "BooleanOutputLink",
    "BooleanOutputSig",
];

const NUMERIC: &[&str] = &[
    "PutLink",
    "SatisfyingLink",
    "ExecutionOutputLink",
    "VariableNode",
    "GlobNode",
    "NumberNode",
    "BoolOpLink",
    "DefinedProcedureNode",
    "SetLink",
    "SchemaNode",
    "QuoteLink",
    "UnquoteLink",
    "NumericOutputLink",
    "NumericOutputSig",
];

const TYPES: &[&str] = &["TypeNode", "IntervalLink", "TypeOutputLink", "TypeOutputSig"];

/// Types that are there for others to be derived from: there are no atoms of just these.
const PRIVATE: &[&str] = &[
    "FreeLink",
    "UniqueLink",
    "FunctionLink",
    "FoldLink",
    "ArithmeticLink",
    "PrenexLink",
    "JoinLink",
];

/// A type, as the AtomSpace has it.
struct Facts<'a> {
    name: &'a str,
    /// Whether there are no atoms of it.
    is_refused: bool,
    /// It and all that it is derived from.
    ancestors: HashSet<&'a str>,
    checks: Vec<&'static Check>,
}

impl Facts<'_> {
    fn is_any(&self, of: &[&str]) -> bool {
        of.iter().any(|name| self.ancestors.contains(name))
    }
}

/// The atoms that an AtomSpace refuses, by id: of types that it does not know, or that its
/// constructors do not take, and all links that hold one.
pub(super) fn refused(store: &impl AtomStore, to: &Destination) -> Vec<bool> {
    let facts: Vec<Facts> = store.types().iter().map(|of| facts(of, to)).collect();
    let mut defined = HashSet::new();
    let mut refused: Vec<bool> = Vec::with_capacity(store.atom_count());
    for atom in store.atoms() {
        let of = store.type_of(atom);
        let is_refused = facts[of.index()].is_refused
            || store.outgoing(atom).any(|held| refused[held.index()])
            || match store.name(atom) {
                Some(name) => is_name_refused(&facts[of.index()], &name, to),
                None => is_link_refused(store, &facts, atom, &mut defined),
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
    let is_of = |check: &&Check| {
        check.only.is_none_or(|only| only == to.target)
            && ancestors.contains(check.of)
            && !(is_crisp && check.of == "BooleanInputSig")
            // The only one of its kinds that has a check of its own.
            && !(check.of == "SetValueLink" && &*of.name == "SetTVLink")
    };
    Facts {
        name: &of.name,
        is_refused: !types.is_known(declared, to.target, &to.modules)
            || PRIVATE.contains(&&*of.name),
        checks: CHECKS.iter().filter(is_of).collect(),
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
) -> bool {
    let of = store.type_of(link);
    let own = &facts[of.index()];
    if own.checks.is_empty() && !own.is_any(&["UniqueLink", "PresentLink"]) {
        return false;
    }
    let members: Vec<&Facts> =
        store.outgoing(link).map(|held| &facts[store.type_of(held).index()]).collect();
    if !own.checks.iter().all(|check| passes(check, own.name, &members)) {
        return true;
    }
    // A second definition of the same is refused.
    let mut outgoing = store.outgoing(link);
    if own.is_any(&["UniqueLink"]) && !own.is_any(&["StateLink", "GrantLink"]) {
        return outgoing.next().is_some_and(|key| !defined.insert((of, key)));
    }
    if own.is_any(&["PresentLink"]) {
        return !holds_variable(store, facts, link);
    }
    if own.is_any(&["PatternLink"]) {
        return !has_declared_variables(store, facts, link);
    }
    false
}

fn passes(check: &Check, of: &str, members: &[&Facts]) -> bool {
    let (least, most) = check.arity;
    // The pattern matcher has any clauses in one.
    let is_free = of == "AndLink";
    let is_member_right = |member: &Member| match member {
        First(types) => members.first().is_none_or(|first| first.is_any(types)),
        Second(types) => members.get(1).is_none_or(|second| second.is_any(types)),
        All(types) => is_free || members.iter().all(|member| member.is_any(types)),
        NotFirst(types) => members.first().is_none_or(|first| !first.is_any(types)),
    };
    (least..=most).contains(&members.len()) && check.members.iter().all(is_member_right)
}

/// Whether there is a variable in an atom.
fn holds_variable<S: AtomStore>(store: &S, facts: &[Facts], atom: AtomId) -> bool {
    !variables_in(store, facts, [atom]).is_empty()
}

/// Whether each variable that a query declares is in what it looks for.
fn has_declared_variables<S: AtomStore>(store: &S, facts: &[Facts], query: AtomId) -> bool {
    let mut outgoing = store.outgoing(query);
    let Some(first) = outgoing.next() else { return false };
    let types = ["VariableList", "VariableSet", "TypedVariableLink", "VariableNode", "GlobNode"];
    if !facts[store.type_of(first).index()].is_any(&types) {
        return true;
    }
    let declared = variables_in(store, facts, [first]);
    declared.is_subset(&variables_in(store, facts, outgoing.take(1)))
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
