//! What tells atoms apart beside name and outgoing set: numbers and types have one spelling, scopes
//! are one atom whatever their variables are called, a key has one state.

use super::declarations::{Declarations, Declared, Sort};
use super::types::{AtomType, Kind};

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
    /// `LambdaLink`: a scope whose variables are those of one that holds nothing else but it.
    Lambda,
    /// `RuleLink`, if it is no query: a scope that forgets what it declares and does not use.
    Rule,
    /// `AnchorNode`, which may stand where a scope declares its variables.
    Anchor,
    /// `StateLink`: one for each first member.
    State,
    /// `GrantLink`: the first one for each first member.
    Grant,
    /// Other `UniqueLink`s, as `DefineLink`: one for each first member, and no second.
    Unique,
}

/// Roles that types derived from these have too, as they are made by the same constructor.
const INHERITED: [(&str, Kind, Role); 8] = [
    ("NumberNode", Kind::Node, Role::Number),
    ("StateLink", Kind::Link, Role::State),
    ("GrantLink", Kind::Link, Role::Grant),
    ("UniqueLink", Kind::Link, Role::Unique),
    ("LambdaLink", Kind::Link, Role::Lambda),
    ("PatternLink", Kind::Link, Role::Scope),
    ("RuleLink", Kind::Link, Role::Rule),
    ("ScopeLink", Kind::Link, Role::Scope),
];

impl Role {
    pub fn of(of: &AtomType, all: &Declarations) -> Role {
        match (of.kind, &*of.name) {
            (Kind::Node, "TypeNode") => Role::TypeName,
            (Kind::Node, "VariableNode" | "GlobNode") => Role::Variable,
            (Kind::Node, "AnchorNode") => Role::Anchor,
            (Kind::Link, "VariableList") => Role::List,
            (Kind::Link, "VariableSet") => Role::Set,
            (Kind::Link, "TypedVariableLink") => Role::Typed,
            (Kind::Link, "QuoteLink") => Role::Quote,
            (Kind::Link, "UnquoteLink") => Role::Unquote,
            (Kind::Link, "LocalQuoteLink") => Role::LocalQuote,
            (kind, name) => match all.find(name, Sort::Atom(kind)) {
                Some(declared) => Role::inherited(declared, kind, all),
                None => Role::Plain,
            },
        }
    }

    fn inherited(declared: &Declared, kind: Kind, all: &Declarations) -> Role {
        let is =
            |&&(ancestor, of, _): &&(&str, Kind, Role)| of == kind && all.is_a(declared, ancestor);
        INHERITED.iter().find(is).map_or(Role::Plain, |&(_, _, role)| role)
    }

    /// Whether links of it bind variables.
    pub fn is_scope(self) -> bool {
        matches!(self, Role::Scope | Role::Lambda | Role::Rule)
    }

    /// Whether there is one link for each first member.
    pub fn is_unique(self) -> bool {
        matches!(self, Role::State | Role::Grant | Role::Unique)
    }
}
