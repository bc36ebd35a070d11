//! Terms with bound variables: those that differ in the names of these only are one, as
//! `ScopeLink.cc`, `Variables.cc` and `RuleLink.cc` of AtomSpace have it.

use std::hash::Hasher;

use super::atom_store::AtomId;
use super::atoms::Atoms;
use super::identity::Role;
use super::type_choice::TypeChoice;
use super::types::{AtomType, Kind, TypeId};

/// How many atoms of a scope are looked at, each as often as it is held: of larger ones it counts
/// what their variables are called.
const MOST_ATOMS: usize = 20_000;

/// How deep the atoms of a scope may lie in each other for it not to count.
const DEEPEST: usize = 256;

/// A link that is looked at: its type, and what it holds.
#[derive(Clone, Copy)]
struct Link<'a> {
    of: TypeId,
    outgoing: &'a [AtomId],
}

/// What links say, whatever bound variables are called.
pub(super) struct Terms<'a> {
    pub atoms: &'a Atoms,
    pub roles: &'a [Role],
    pub types: &'a [AtomType],
}

/// Variables that are bound, the innermost last, and what stands for each.
type Bound = Vec<(AtomId, u32)>;

/// A variable, and what is said of its type: nothing if it may be any.
struct Variable {
    atom: AtomId,
    of: Vec<u8>,
}

/// What a scope binds, and in what.
#[derive(Default)]
struct Binding<'a> {
    variables: Vec<Variable>,
    /// Whether their order says something.
    is_ordered: bool,
    /// The types of variables that are declared and in no term, where that tells scopes apart.
    unused: Vec<Vec<u8>>,
    terms: &'a [AtomId],
}

/// What is left to be looked at, and how deep quotes are.
#[derive(Clone, Copy)]
struct At {
    depth: usize,
    quotes: usize,
}

/// There are too many atoms, or they lie too deep.
struct TooLarge;

impl<'a> Terms<'a> {
    /// A number that all scopes have which differ from this one in the names of bound variables
    /// only, and no others; none where it binds none, or is too large for that.
    pub fn fingerprint(&self, of: TypeId, outgoing: &'a [AtomId]) -> Option<u128> {
        let mut out = Vec::new();
        let mut left = MOST_ATOMS;
        let at = At { depth: 0, quotes: 0 };
        if self.has_unquoted(outgoing, &mut left).ok()? {
            return None;
        }
        self.scope(Link { of, outgoing }, &mut Bound::new(), at, &mut left, &mut out).ok()?;
        let half = |seed: u8| {
            let mut hasher = std::hash::DefaultHasher::new();
            hasher.write_u8(seed);
            hasher.write(&out);
            u128::from(hasher.finish())
        };
        Some(half(0) << 64 | half(1))
    }

    /// Whether there is no variable in a link that it does not bind itself; one that is too large
    /// is taken for open.
    pub fn is_closed(&self, outgoing: &[AtomId]) -> bool {
        let (mut found, mut left) = (Vec::new(), MOST_ATOMS);
        let at = At { depth: 0, quotes: 0 };
        let mut all = outgoing.iter();
        all.all(|&term| self.free(term, &mut Vec::new(), at, &mut left, &mut found).is_ok())
            && found.is_empty()
    }

    fn role(&self, atom: AtomId) -> Role {
        self.roles[self.type_of(atom).index()]
    }

    fn type_of(&self, atom: AtomId) -> TypeId {
        self.atoms.type_of(atom)
    }

    fn link(&self, atom: AtomId) -> Option<Link<'a>> {
        let of = self.type_of(atom);
        let is_link = self.types[of.index()].kind == Kind::Link;
        is_link.then(|| Link { of, outgoing: self.atoms.outgoing(atom) })
    }

    /// The variables that a scope binds.
    fn binding(&self, scope: Link<'a>, at: At, left: &mut usize) -> Result<Binding<'a>, TooLarge> {
        spend(left, at)?;
        let Some((&first, rest)) = scope.outgoing.split_first() else {
            return Ok(Binding::default());
        };
        let all = Binding { terms: scope.outgoing, ..Binding::default() };
        match self.role(first) {
            _ if self.has_unquoted(scope.outgoing, left)? => Ok(all),
            Role::Variable if rest.is_empty() => {
                Ok(Binding { variables: self.found(first, at, left)?, ..all })
            }
            Role::Variable | Role::List | Role::Set | Role::Typed => {
                self.declared(scope, first, rest, at, left)
            }
            Role::Anchor => match rest {
                [] => Ok(all),
                [body, ..] => Ok(Binding {
                    variables: self.found(*body, at, left)?,
                    terms: rest,
                    ..Binding::default()
                }),
            },
            Role::Lambda => {
                let Some(lambda) = self.link(first) else { return Ok(all) };
                let inner = At { depth: at.depth + 1, ..at };
                let of_lambda = self.binding(lambda, inner, left)?;
                Ok(Binding { terms: scope.outgoing, ..of_lambda })
            }
            _ => Ok(Binding { variables: self.found(first, at, left)?, ..all }),
        }
    }

    /// The variables of a body without a declaration.
    fn found(&self, body: AtomId, at: At, left: &mut usize) -> Result<Vec<Variable>, TooLarge> {
        let mut found = Vec::new();
        self.free(body, &mut Vec::new(), At { quotes: 0, ..at }, left, &mut found)?;
        Ok(found.into_iter().map(|atom| Variable { atom, of: Vec::new() }).collect())
    }

    /// The variables that the first atom of a scope names, and what it says of the type of each.
    fn declared(
        &self,
        scope: Link<'a>,
        declaration: AtomId,
        terms: &'a [AtomId],
        at: At,
        left: &mut usize,
    ) -> Result<Binding<'a>, TooLarge> {
        let role = self.role(declaration);
        let members: &[AtomId] = match role {
            Role::List | Role::Set => self.atoms.outgoing(declaration),
            _ => &[declaration],
        };
        let mut variables = Vec::new();
        for &member in members {
            variables.extend(self.variable(member, left)?);
        }
        let mut unused = Vec::new();
        let is_rule = self.roles[scope.of.index()] == Role::Rule;
        if is_rule || role == Role::Set {
            let mut used = Vec::new();
            for &term in terms {
                self.free(term, &mut Vec::new(), At { quotes: 0, ..at }, left, &mut used)?;
            }
            let is_unused = |variable: &mut Variable| !used.contains(&variable.atom);
            unused = variables.extract_if(.., is_unused).map(|variable| variable.of).collect();
            unused.retain(|of| !is_rule && !of.is_empty());
            unused.sort_unstable();
        }
        Ok(Binding { variables, is_ordered: role == Role::List, unused, terms })
    }

    /// A variable that a declaration holds, typed or not; none if it holds something else.
    fn variable(&self, member: AtomId, left: &mut usize) -> Result<Option<Variable>, TooLarge> {
        match (self.role(member), self.link(member).map(|typed| typed.outgoing)) {
            (Role::Variable, _) => Ok(Some(Variable { atom: member, of: Vec::new() })),
            (Role::Typed, Some(&[atom, of])) => {
                let is_glob = &*self.types[self.type_of(atom).index()].name == "GlobNode";
                let choice = TypeChoice::read(self.atoms, self.types, of, left).ok_or(TooLarge)?;
                Ok(Some(Variable { atom, of: choice.written(is_glob) }))
            }
            _ => Ok(None),
        }
    }

    /// Whether atoms hold an `UnquoteLink` that undoes no `QuoteLink` in them: their scope is a part
    /// of something quoted, and binds nothing.
    fn has_unquoted(&self, atoms: &[AtomId], left: &mut usize) -> Result<bool, TooLarge> {
        let mut open: Vec<(AtomId, bool)> = atoms.iter().map(|&atom| (atom, false)).collect();
        while let Some((atom, is_quoted)) = open.pop() {
            *left = left.checked_sub(1).ok_or(TooLarge)?;
            let Some(link) = self.link(atom) else { continue };
            let is_quoted = match self.role(atom) {
                Role::Unquote if !is_quoted => return Ok(true),
                Role::Unquote => false,
                role => is_quoted || matches!(role, Role::Quote | Role::LocalQuote),
            };
            open.extend(link.outgoing.iter().map(|&held| (held, is_quoted)));
        }
        Ok(false)
    }

    /// Adds the variables that are free in a term, each once, in the order in which they stand.
    fn free(
        &self,
        term: AtomId,
        bound: &mut Vec<AtomId>,
        at: At,
        left: &mut usize,
        found: &mut Vec<AtomId>,
    ) -> Result<(), TooLarge> {
        spend(left, at)?;
        let role = self.role(term);
        if role == Role::Variable {
            if at.quotes == 0 && !bound.contains(&term) && !found.contains(&term) {
                found.push(term);
            }
            return Ok(());
        }
        let Some(link) = self.link(term) else { return Ok(()) };
        let outside = bound.len();
        if role.is_scope() && at.quotes == 0 {
            let inner = At { depth: at.depth + 1, ..at };
            let binding = self.binding(link, inner, left)?;
            bound.extend(binding.variables.iter().map(|variable| variable.atom));
        }
        let inner = at.inside(role);
        let mut members = link.outgoing.iter();
        let result = members.try_for_each(|&held| self.free(held, bound, inner, left, found));
        bound.truncate(outside);
        result
    }

    /// Writes a scope.
    fn scope(
        &self,
        scope: Link<'a>,
        bound: &mut Bound,
        at: At,
        left: &mut usize,
        out: &mut Vec<u8>,
    ) -> Result<bool, TooLarge> {
        let mut binding = self.binding(scope, at, left)?;
        if !binding.is_ordered {
            self.sort(&mut binding, bound, at, left)?;
        }
        let Binding { variables, is_ordered, unused, terms } = binding;
        out.extend([b'S', u8::from(is_ordered)]);
        out.extend(scope.of.0.to_le_bytes());
        let counts = [variables.len(), unused.len(), terms.len()];
        out.extend(counts.iter().flat_map(|&count| (count as u32).to_le_bytes()));
        out.extend(unused.iter().flatten());
        let outside = bound.len();
        let mut has_bound = false;
        for (place, variable) in (outside as u32..).zip(&variables) {
            out.extend(self.type_of(variable.atom).0.to_le_bytes());
            out.extend((variable.of.len() as u32).to_le_bytes());
            out.extend(&variable.of);
            bound.push((variable.atom, place));
        }
        let terms = terms.iter().try_for_each(|&term| {
            has_bound |= self.term(term, bound, at, left, out)?;
            Ok(())
        });
        bound.truncate(outside);
        terms.map(|()| has_bound)
    }

    /// Brings variables into an order that their names do not matter for: by what the terms are
    /// where one of them is told from all others.
    fn sort(
        &self,
        binding: &mut Binding,
        bound: &mut Bound,
        at: At,
        left: &mut usize,
    ) -> Result<(), TooLarge> {
        let variables = std::mem::take(&mut binding.variables);
        let outside = bound.len();
        let mut keys = Vec::with_capacity(variables.len());
        for own in &variables {
            let place = |of: &Variable| outside as u32 + u32::from(of.atom != own.atom);
            bound.extend(variables.iter().map(|variable| (variable.atom, place(variable))));
            let mut key = own.of.clone();
            let written = binding.terms.iter().try_for_each(|&term| {
                self.term(term, bound, at, left, &mut key)?;
                Ok(())
            });
            bound.truncate(outside);
            written?;
            keys.push(key);
        }
        let mut sorted: Vec<_> = keys.into_iter().zip(variables).collect();
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        binding.variables = sorted.into_iter().map(|(_, variable)| variable).collect();
        Ok(())
    }

    /// Writes a term; whether a bound variable is in it. One without is the atom that it is.
    fn term(
        &self,
        term: AtomId,
        bound: &mut Bound,
        at: At,
        left: &mut usize,
        out: &mut Vec<u8>,
    ) -> Result<bool, TooLarge> {
        spend(left, at)?;
        let begin = out.len();
        let role = self.role(term);
        let place = || bound.iter().rev().find(|(variable, _)| *variable == term);
        let has_bound = match self.link(term) {
            None => match place().filter(|_| role == Role::Variable && at.quotes == 0) {
                Some(&(_, place)) => {
                    out.push(b'V');
                    out.extend(place.to_le_bytes());
                    true
                }
                None => false,
            },
            Some(link) if role.is_scope() && at.quotes == 0 => {
                let inner = At { depth: at.depth + 1, ..at };
                self.scope(link, bound, inner, left, out)?
            }
            Some(link) => self.plain(link, bound, at.inside(role), left, out)?,
        };
        if !has_bound {
            out.truncate(begin);
            out.push(b'A');
            out.extend(term.0.to_le_bytes());
        }
        Ok(has_bound)
    }

    /// Writes a link that binds nothing.
    fn plain(
        &self,
        link: Link<'a>,
        bound: &mut Bound,
        inner: At,
        left: &mut usize,
        out: &mut Vec<u8>,
    ) -> Result<bool, TooLarge> {
        out.push(b'L');
        out.extend(link.of.0.to_le_bytes());
        out.extend((link.outgoing.len() as u32).to_le_bytes());
        let mut members = Vec::with_capacity(link.outgoing.len());
        let mut has_bound = false;
        for &held in link.outgoing {
            let mut member = Vec::new();
            has_bound |= self.term(held, bound, inner, left, &mut member)?;
            members.push(member);
        }
        if self.types[link.of.index()].unordered {
            members.sort_unstable();
        }
        members.iter().for_each(|member| out.extend(member));
        Ok(has_bound)
    }
}

impl At {
    /// Inside of a link of this role.
    fn inside(self, role: Role) -> At {
        let quotes = match role {
            Role::Quote | Role::LocalQuote => self.quotes + 1,
            Role::Unquote => self.quotes.saturating_sub(1),
            _ => self.quotes,
        };
        At { depth: self.depth + 1, quotes }
    }
}

fn spend(left: &mut usize, at: At) -> Result<(), TooLarge> {
    *left = left.checked_sub(1).filter(|_| at.depth <= DEEPEST).ok_or(TooLarge)?;
    Ok(())
}
