//! What tells atoms apart beside name and outgoing set: numbers and types have one spelling, scopes
//! are one atom whatever their variables are called, a key has one state.

use std::hash::Hasher;

use super::atom_store::AtomId;
use super::atoms::Atoms;
use super::declarations::{Declarations, Sort};
use super::types::{AtomType, Kind, TypeId};

/// What a type is to the identity of its atoms and of those that hold them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing else than name or outgoing set.
    Plain,
    /// `NumberNode`: numbers in one spelling.
    Number,
    /// `TypeNode`: the long name of a type.
    TypeName,
    /// `VariableNode`, `GlobNode`.
    Variable,
    /// `VariableList`.
    List,
    /// `VariableSet`.
    Set,
    /// `TypedVariableLink`.
    Typed,
    /// `QuoteLink`.
    Quote,
    /// `UnquoteLink`.
    Unquote,
    /// `LocalQuoteLink`, which quotes what it holds and nothing below.
    LocalQuote,
    /// A link that binds variables.
    Scope,
    /// `StateLink`: one for each first member.
    State,
    /// `GrantLink`: the first one for each first member.
    Grant,
}

impl Role {
    pub fn of(of: &AtomType, all: &Declarations) -> Role {
        match (of.kind, &*of.name) {
            (Kind::Node, "NumberNode") => Role::Number,
            (Kind::Node, "TypeNode") => Role::TypeName,
            (Kind::Node, "VariableNode" | "GlobNode") => Role::Variable,
            (Kind::Link, "VariableList") => Role::List,
            (Kind::Link, "VariableSet") => Role::Set,
            (Kind::Link, "TypedVariableLink") => Role::Typed,
            (Kind::Link, "QuoteLink") => Role::Quote,
            (Kind::Link, "UnquoteLink") => Role::Unquote,
            (Kind::Link, "LocalQuoteLink") => Role::LocalQuote,
            (Kind::Link, "StateLink") => Role::State,
            (Kind::Link, "GrantLink") => Role::Grant,
            (Kind::Link, name) => match all.find(name, Sort::Atom(Kind::Link)) {
                Some(declared) if all.is_a(declared, "ScopeLink") => Role::Scope,
                _ => Role::Plain,
            },
            _ => Role::Plain,
        }
    }
}

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

/// What is left to be looked at, and how deep quotes are.
#[derive(Clone, Copy)]
struct At {
    depth: usize,
    quotes: usize,
}

/// There are too many atoms, or they lie too deep.
struct TooLarge;

impl<'a> Terms<'a> {
    /// A number that all links have which differ from this one in the names of bound variables
    /// only, and no others; none where it is too large for that.
    pub fn fingerprint(&self, of: TypeId, outgoing: &'a [AtomId]) -> Option<u128> {
        let mut out = Vec::new();
        let mut left = MOST_ATOMS;
        let at = At { depth: 0, quotes: 0 };
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
        all.all(|&term| self.free(term, &mut Bound::new(), at, &mut left, &mut found).is_ok())
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

    /// The declaration of variables of a scope, and its terms.
    fn parts(&self, scope: Link<'a>) -> (Option<AtomId>, &'a [AtomId]) {
        match scope.outgoing {
            [first, terms @ ..] => match self.role(*first) {
                Role::Variable if terms.is_empty() => (None, scope.outgoing),
                Role::Variable | Role::List | Role::Set | Role::Typed => (Some(*first), terms),
                _ => (None, scope.outgoing),
            },
            [] => (None, &[]),
        }
    }

    /// The variables that a declaration names, and what it says of the type of each.
    fn declared(&self, declaration: AtomId) -> Vec<(AtomId, Option<AtomId>)> {
        let members: &[AtomId] = match self.role(declaration) {
            Role::List | Role::Set => self.atoms.outgoing(declaration),
            _ => &[declaration],
        };
        let variable = |&member: &AtomId| match self.role(member) {
            Role::Variable => Some((member, None)),
            Role::Typed => match self.atoms.outgoing(member) {
                &[variable, of] => Some((variable, Some(of))),
                _ => None,
            },
            _ => None,
        };
        members.iter().filter_map(variable).collect()
    }

    /// Adds the variables that are free in a term, each once, in the order in which they stand.
    fn free(
        &self,
        term: AtomId,
        bound: &mut Bound,
        at: At,
        left: &mut usize,
        found: &mut Vec<AtomId>,
    ) -> Result<(), TooLarge> {
        spend(left, at)?;
        let role = self.role(term);
        if role == Role::Variable {
            let is_bound = bound.iter().any(|&(variable, _)| variable == term);
            if at.quotes == 0 && !is_bound && !found.contains(&term) {
                found.push(term);
            }
            return Ok(());
        }
        let Some(link) = self.link(term) else { return Ok(()) };
        let outside = bound.len();
        if role == Role::Scope && at.quotes == 0 {
            let (declaration, _) = self.parts(link);
            let declared = declaration.map(|of| self.declared(of)).unwrap_or_default();
            bound.extend(declared.into_iter().map(|(variable, _)| (variable, 0)));
            // Without a declaration, all are bound.
            if declaration.is_none() {
                return Ok(());
            }
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
        let (declaration, terms) = self.parts(scope);
        let mut variables = match declaration {
            Some(declaration) => self.declared(declaration),
            None => {
                let mut found = Vec::new();
                let first = terms.iter().take(1);
                for &term in first {
                    self.free(term, bound, at, left, &mut found)?;
                }
                found.into_iter().map(|variable| (variable, None)).collect()
            }
        };
        let is_ordered = declaration.is_some_and(|of| self.role(of) != Role::Set);
        if !is_ordered {
            self.sort(&mut variables, terms, bound, at, left)?;
        }
        out.extend([b'S', u8::from(is_ordered), u8::from(declaration.is_some())]);
        out.extend(scope.of.0.to_le_bytes());
        out.extend((variables.len() as u32).to_le_bytes());
        let outside = bound.len();
        let mut has_bound = false;
        for (place, (variable, of)) in (outside as u32..).zip(&variables) {
            out.extend(self.type_of(*variable).0.to_le_bytes());
            out.extend(of.map_or(u32::MAX, |of| of.0).to_le_bytes());
            bound.push((*variable, place));
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
        variables: &mut [(AtomId, Option<AtomId>)],
        terms: &[AtomId],
        bound: &mut Bound,
        at: At,
        left: &mut usize,
    ) -> Result<(), TooLarge> {
        let outside = bound.len();
        let mut keys = Vec::with_capacity(variables.len());
        for &(own, of) in &*variables {
            let place = |variable| outside as u32 + u32::from(variable != own);
            bound.extend(variables.iter().map(|&(variable, _)| (variable, place(variable))));
            let mut key = of.map_or(Vec::new(), |of| of.0.to_le_bytes().to_vec());
            let written = terms.iter().try_for_each(|&term| {
                self.term(term, bound, at, left, &mut key)?;
                Ok(())
            });
            bound.truncate(outside);
            written?;
            keys.push((key, (own, of)));
        }
        keys.sort_by(|a, b| a.0.cmp(&b.0));
        for (variable, (_, sorted)) in variables.iter_mut().zip(keys) {
            *variable = sorted;
        }
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
            Some(link) if role == Role::Scope && at.quotes == 0 => {
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
