//! The sorts of atoms.

use super::super::atomspace::{AtomType, Kind};

/// What the atoms of MeTTa are kept as: nodes of six types, and one type of links. Their names are
/// no names of AtomSpace types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sort {
    /// A word that is nothing else. Names of grounded operations are words too.
    Symbol,
    /// `$x`; the node's name is without the `$`.
    Variable,
    /// An integer of 64 bits, in decimal.
    Integer,
    /// A float of 64 bits, in the fewest digits that tell it.
    Float,
    /// A string; the node's name is what it says, without quotes and escapes.
    Text,
    /// `True` or `False`.
    Bool,
    /// A list of atoms in parentheses: a link.
    Expression,
}

impl Sort {
    /// All of them.
    pub const ALL: [Sort; 7] = [
        Sort::Symbol,
        Sort::Variable,
        Sort::Integer,
        Sort::Float,
        Sort::Text,
        Sort::Bool,
        Sort::Expression,
    ];

    /// The name of the type of nodes or links.
    pub fn name(self) -> &'static str {
        match self {
            Sort::Symbol => "MettaSymbol",
            Sort::Variable => "MettaVariable",
            Sort::Integer => "MettaInteger",
            Sort::Float => "MettaFloat",
            Sort::Text => "MettaString",
            Sort::Bool => "MettaBool",
            Sort::Expression => "MettaExpression",
        }
    }

    /// Whether it is a node or a link.
    pub fn kind(self) -> Kind {
        if self == Sort::Expression { Kind::Link } else { Kind::Node }
    }

    /// The sort that a type of nodes or links is.
    pub fn of(of: &AtomType) -> Option<Sort> {
        Sort::ALL.into_iter().find(|sort| sort.name() == &*of.name && sort.kind() == of.kind)
    }
}
