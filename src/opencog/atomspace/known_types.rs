//! The atom types that OpenCog's own modules declare.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::export::Target;
use super::types::Kind;

/// A declared type.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub name: &'static str,
    pub unordered: bool,
    /// The only AtomSpace that declares it; none where both do.
    only: Option<Target>,
}

impl Known {
    /// Whether this AtomSpace, with OpenCog's modules, declares it.
    pub fn is_declared_in(&self, target: Target) -> bool {
        self.only.is_none_or(|only| only == target)
    }
}

static KNOWN: LazyLock<HashMap<(&str, Kind), Known>> = LazyLock::new(|| {
    let lines = include_str!("known_types.tsv").lines().filter(|line| !line.starts_with('#'));
    let mut known = HashMap::new();
    for line in lines {
        let mut columns = line.split('\t');
        let mut column = || columns.next().unwrap_or_default();
        let (name, short) = (column(), column());
        let kind = if column() == "node" { Kind::Node } else { Kind::Link };
        let unordered = column() == "unordered";
        let only = match column() {
            "5.0" => Some(Target::AtomSpace5_0),
            "2026" => Some(Target::AtomSpace2026),
            _ => None,
        };
        let of = Known { name, unordered, only };
        known.insert((name, kind), of);
        // a short name never hides a long one
        known.entry((short, kind)).or_insert(of);
    }
    known
});

/// The declared type of this long or short name.
pub(super) fn find(name: &str, kind: Kind) -> Option<Known> {
    KNOWN.get(&(name, kind)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_what_was_declared() {
        let of =
            |kind| KNOWN.iter().filter(move |((name, k), known)| *k == kind && *name == known.name);
        assert_eq!((of(Kind::Node).count(), of(Kind::Link).count()), (82, 221));
        assert_eq!(KNOWN.values().filter(|known| known.name == "VariableSet").count(), 1);
        assert!(find("SimilarityLink", Kind::Link).unwrap().unordered);
        assert!(find("Similarity", Kind::Node).is_none());
        let in_both = |name, kind| {
            let known = find(name, kind).unwrap();
            [Target::AtomSpace5_0, Target::AtomSpace2026].map(|of| known.is_declared_in(of))
        };
        assert_eq!(in_both("ConceptNode", Kind::Node), [true, true]);
        assert_eq!(in_both("BindLink", Kind::Link), [true, false]);
        assert_eq!(in_both("NameNode", Kind::Node), [false, true]);
    }
}
