//! Queries as AtomSpace has them: clauses wrapped in `MeetLink`, `PresentLink`, `AndLink` and others.

use super::super::atom_store::{AtomId, AtomStore};
use super::super::error::Error;

/// Links that must all be there, and what is said of variables.
#[derive(Debug, Default)]
pub(super) struct Unwrapped {
    pub clauses: Vec<AtomId>,
    /// Variables, each with the `TypeNode` of what it may stand for.
    pub typed: Vec<(AtomId, AtomId)>,
}

/// What a link says of the links in it.
enum Wrap {
    /// It declares variables and has a body, then anything.
    Query,
    /// All that it holds must be there.
    All,
    /// Another query, which no query here can ask.
    OtherQuery,
    /// In a query something that no query here can ask; else a link as any.
    Other,
    /// It is a clause itself.
    None,
}

fn wrap(name: &str) -> Wrap {
    match name {
        "MeetLink" | "GetLink" | "SatisfactionLink" | "QueryLink" | "BindLink" => Wrap::Query,
        "PresentLink" | "AndLink" => Wrap::All,
        "DualLink" | "JoinLink" | "MinimalJoinLink" | "MaximalJoinLink" => Wrap::OtherQuery,
        "AbsentLink" | "NotLink" | "OrLink" | "ChoiceLink" | "AlwaysLink" | "GroupLink" => {
            Wrap::Other
        }
        // These are computed, not found.
        "EqualLink" | "IdenticalLink" | "ExclusiveLink" | "GreaterThanLink" | "LessThanLink"
        | "SequentialAndLink" | "SequentialOrLink" => Wrap::Other,
        _ => Wrap::None,
    }
}

/// The clauses of a pattern: its roots, without what they are wrapped in.
pub(super) fn unwrapped<S: AtomStore>(pattern: &S) -> Result<Unwrapped, Error> {
    if pattern.atoms().any(|atom| type_name(pattern, atom) == "GlobNode") {
        let fault = "a GlobNode stands for any number of atoms, which no query here finds; \
                     a VariableNode stands for one";
        return Err(Error::Parameter(fault.into()));
    }
    let mut out = Unwrapped::default();
    for root in pattern.atoms().filter(|&atom| pattern.incoming(atom).len() == 0) {
        let name = type_name(pattern, root);
        match wrap(name) {
            Wrap::Query => query(pattern, root, &mut out)?,
            Wrap::OtherQuery => return Err(not_asked(name)),
            Wrap::All if name == "PresentLink" || joins_clauses(pattern, root) => {
                out.clauses.extend(pattern.outgoing(root));
            }
            // Outside of a query, others are links as any.
            _ => out.clauses.push(root),
        }
    }
    match out.clauses.iter().any(|&clause| pattern.name(clause).is_some()) {
        true => Err(Error::Parameter("a clause of a query is a link".into())),
        false => Ok(out),
    }
}

fn type_name<S: AtomStore>(pattern: &S, atom: AtomId) -> &str {
    &pattern.types()[pattern.type_of(atom).index()].name
}

/// Whether an `AndLink` is about links with variables in each, as in a query: else it is one of the
/// links that are looked for.
fn joins_clauses<S: AtomStore>(pattern: &S, and: AtomId) -> bool {
    let is_open = |atom: AtomId| {
        let (mut open, mut seen) = (vec![atom], vec![false; pattern.atom_count()]);
        while let Some(atom) = open.pop() {
            if type_name(pattern, atom) == "VariableNode" {
                return true;
            }
            if !std::mem::replace(&mut seen[atom.index()], true) {
                open.extend(pattern.outgoing(atom));
            }
        }
        false
    };
    pattern.outgoing(and).len() > 0
        && pattern.outgoing(and).all(|held| pattern.name(held).is_none() && is_open(held))
}

fn query<S: AtomStore>(pattern: &S, query: AtomId, out: &mut Unwrapped) -> Result<(), Error> {
    let members: Vec<AtomId> = pattern.outgoing(query).collect();
    let declares = |name: &str| {
        matches!(name, "VariableList" | "VariableSet" | "TypedVariableLink" | "VariableNode")
    };
    let body = match members[..] {
        [first, body, ..] if declares(type_name(pattern, first)) => {
            declaration(pattern, first, out)?;
            body
        }
        [body, ..] => body,
        [] => return Ok(()),
    };
    // What is in a body may be wrapped again.
    let mut open = vec![body];
    while let Some(atom) = open.pop() {
        let name = type_name(pattern, atom);
        match wrap(name) {
            Wrap::All if name == "PresentLink" => out.clauses.extend(pattern.outgoing(atom)),
            Wrap::All => {
                let held: Vec<AtomId> = pattern.outgoing(atom).collect();
                open.extend(held.into_iter().rev());
            }
            Wrap::None if is_grounded(pattern, atom) => {
                return Err(not_asked("link with a program in it"));
            }
            Wrap::None => out.clauses.push(atom),
            Wrap::Query | Wrap::OtherQuery | Wrap::Other => return Err(not_asked(name)),
        }
    }
    Ok(())
}

#[cold]
fn not_asked(name: &str) -> Error {
    Error::Parameter(format!("expected links that must all be there, found a {name}"))
}

/// Whether a link is what a program makes of other atoms.
fn is_grounded<S: AtomStore>(pattern: &S, link: AtomId) -> bool {
    let program = pattern.outgoing(link).next();
    program.is_some_and(|atom| type_name(pattern, atom).starts_with("Grounded"))
}

fn declaration<S: AtomStore>(pattern: &S, of: AtomId, out: &mut Unwrapped) -> Result<(), Error> {
    let members: Vec<AtomId> = match type_name(pattern, of) {
        "VariableList" | "VariableSet" => pattern.outgoing(of).collect(),
        _ => vec![of],
    };
    for member in members {
        let held: Vec<AtomId> = pattern.outgoing(member).collect();
        match (type_name(pattern, member), &held[..]) {
            ("VariableNode", _) => (),
            ("TypedVariableLink", &[variable, of]) if type_name(pattern, of) == "TypeNode" => {
                out.typed.push((variable, of));
            }
            (name, _) => {
                let fault = format!("expected variables, or ones of a TypeNode, found a {name}");
                return Err(Error::Parameter(fault));
            }
        }
    }
    Ok(())
}
