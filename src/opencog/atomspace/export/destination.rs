//! The AtomSpace that is to read a text: its generation, and what it has loaded.

use std::sync::Arc;

use super::super::declarations::Declarations;

/// A generation of AtomSpace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Target {
    /// With truth values, as until October 2025.
    #[default]
    AtomSpace5_0,
    /// Without: the numbers of a truth value are a `FloatValue`, of which two under its key are read
    /// as a simple one, three as one with a count. Its texts are for `load-file` and for a
    /// `FileStorageNode`, not for Guile's `load`.
    AtomSpace2026,
}

/// The module that knows attention values.
const ATTENTION: &str = "attention";

/// An AtomSpace that is to read a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Destination {
    /// Its generation.
    pub target: Target,
    /// The modules that it has loaded, beside its own types, as in [`Declarations::modules`].
    pub modules: Vec<String>,
    /// The types that modules declare, and the user's own.
    pub types: Arc<Declarations>,
}

impl Destination {
    /// Whether it knows attention values.
    pub(super) fn has_attention(&self) -> bool {
        self.modules.iter().any(|name| name == ATTENTION)
    }
}

/// A stock AtomSpace, without any module.
impl From<Target> for Destination {
    fn from(target: Target) -> Destination {
        Destination { target, modules: Vec::new(), types: Declarations::builtin().clone() }
    }
}
