//! What a `PutLink` puts, and for which variables (`static_typecheck_arguments` of `PutLink.cc`).

use super::super::super::atom_store::{AtomId, AtomStore};
use super::super::destination::Target;
use super::queries::DECLARATIONS;
use super::variables::Variables;

/// How many lists a set has that is told; many links may put the same large one.
const MOST_LISTS: usize = 4096;

/// Whether a `PutLink` is refused, or may be.
pub(super) fn is_refused<S: AtomStore>(
    variables: &mut Variables<S>,
    put: AtomId,
    target: Target,
) -> bool {
    let members = variables.outgoing(put);
    let (declaration, body, arguments) = match members[..] {
        [body, arguments] => (None, body, arguments),
        [declaration, body, arguments] => (Some(declaration), body, arguments),
        _ => return true,
    };
    let bodies = ["=DefinedSchemaNode", "=DefinedPredicateNode", "=PutLink", "TypeNode"];
    if variables.is_any(body, &bodies) || variables.is_any(body, &["=TypeChoice", "=UnquoteLink"]) {
        return false;
    }
    if variables.is_any(arguments, &["=UnquoteLink"]) {
        return false;
    }
    if !uses_set(variables, declaration, body) {
        return true;
    }
    match declared(variables, declaration, body) {
        Some(declared) => !Put { variables, declared, body, target }.takes(arguments),
        None => true,
    }
}

/// Whether a body has all variables of a `VariableSet`; upstream forgets the others.
fn uses_set<S: AtomStore>(
    variables: &mut Variables<S>,
    declaration: Option<AtomId>,
    body: AtomId,
) -> bool {
    let Some(set) = declaration.filter(|&of| variables.is_any(of, &["VariableSet"])) else {
        return true;
    };
    match (variables.free(set), variables.free(body)) {
        (Some(declared), Some(used)) => declared.iter().all(|one| used.contains(one)),
        _ => false,
    }
}

/// A variable, and its type if it has one.
type Declared = (AtomId, Option<AtomId>);

/// The variables that there are to put something for; none where that is not told.
fn declared<S: AtomStore>(
    variables: &mut Variables<S>,
    declaration: Option<AtomId>,
    body: AtomId,
) -> Option<Vec<Declared>> {
    let is_declaration = |variables: &Variables<S>, atom| {
        variables.is_any(atom, &["VariableNode"]) || variables.is_any(atom, DECLARATIONS)
    };
    match declaration {
        Some(declaration) if !is_declaration(variables, declaration) => None,
        Some(declaration) => Some(declared_by(variables, declaration)),
        None if is_declaration(variables, body) => Some(declared_by(variables, body)),
        None if variables.is_any(body, &["LambdaLink"]) => {
            let members = variables.outgoing(body);
            let &[first, _] = &members[..] else { return None };
            let is_known = is_declaration(variables, first) && !variables.of(body)?.is_quoted;
            is_known.then(|| declared_by(variables, first))
        }
        None => Some(variables.free(body)?.iter().map(|&one| (one, None)).collect()),
    }
}

fn declared_by<S: AtomStore>(variables: &Variables<S>, declaration: AtomId) -> Vec<Declared> {
    let single = |atom: AtomId| match variables.outgoing(atom)[..] {
        [variable, of] => (variable, Some(of)),
        _ => (atom, None),
    };
    match variables.is_any(declaration, &["VariableList", "VariableSet"]) {
        true => variables.outgoing(declaration).into_iter().map(single).collect(),
        false => vec![single(declaration)],
    }
}

struct Put<'a, 'b, S> {
    variables: &'a mut Variables<'b, S>,
    declared: Vec<Declared>,
    body: AtomId,
    target: Target,
}

impl<S: AtomStore> Put<'_, '_, S> {
    fn takes(&mut self, arguments: AtomId) -> bool {
        let is = |put: &Self, atom, of: &[&str]| put.variables.is_any(atom, of);
        let mut given = arguments;
        if is(self, arguments, &["=LambdaLink"]) {
            match self.body_of(arguments) {
                Some(body) if is(self, body, &["=ListLink"]) => given = body,
                Some(body) if self.declared.len() == 1 => {
                    return self.has_type(0, arguments) || self.has_type(0, body);
                }
                Some(_) => (),
                None => return false,
            }
        }
        if self.declared.len() == 1 {
            return self.has_type(0, given)
                || is(self, given, &["=SetLink", "=PutLink", "SatisfyingLink"]);
        }
        if self.declared.is_empty() && is(self, self.body, &["FunctionLink"]) {
            return true;
        }
        if is(self, given, &["=ListLink"]) {
            return self.has_types(given);
        }
        let is_sought = is(self, given, &["SatisfyingLink"]) && self.target == Target::AtomSpace5_0;
        if is_sought || is(self, given, &["=TypeNode", "=TypeChoice"]) {
            return true;
        }
        let sets = self.variables.outgoing(given);
        is(self, given, &["=SetLink"])
            && sets.len() <= MOST_LISTS
            && !self.declared.is_empty()
            && sets.iter().all(|&set| is(self, set, &["=ListLink"]) && self.has_types(set))
    }

    fn body_of(&mut self, lambda: AtomId) -> Option<AtomId> {
        let members = self.variables.outgoing(lambda);
        let is_known = !self.variables.of(lambda)?.is_quoted;
        let body = match members[..] {
            [body] => Some(body),
            [_, body] => Some(body),
            _ => None,
        };
        body.filter(|_| is_known)
    }

    /// Whether a list has an atom of the right type for each variable.
    fn has_types(&self, list: AtomId) -> bool {
        let given = self.variables.outgoing(list);
        given.len() == self.declared.len()
            && given.iter().enumerate().all(|(place, &atom)| self.has_type(place, atom))
    }

    /// Whether an atom is surely of the type of the variable at a place.
    fn has_type(&self, place: usize, atom: AtomId) -> bool {
        let (_, of) = self.declared[place];
        of.is_none_or(|of| self.is_of(atom, of))
    }

    fn is_of(&self, atom: AtomId, of: AtomId) -> bool {
        let variables = &*self.variables;
        let Some(name) = variables.store.name(of) else {
            return variables.is_any(of, &["=TypeChoice"])
                && variables
                    .store
                    .outgoing(of)
                    .any(|one| variables.store.name(one).is_some() && self.is_of(atom, one));
        };
        let Ok(name) = std::str::from_utf8(&name) else { return false };
        match variables.facts(of).name {
            "TypeNode" => variables.facts(atom).name == name,
            "TypeInhNode" => variables.is_any(atom, &[name]),
            _ => false,
        }
    }
}
