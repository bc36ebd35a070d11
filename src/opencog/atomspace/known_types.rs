//! The atom types that OpenCog's own modules declare.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::types::Kind;

/// A declared type.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub name: &'static str,
    pub unordered: bool,
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
        known.insert((name, kind), Known { name, unordered });
        // a short name never hides a long one
        known.entry((short, kind)).or_insert(Known { name, unordered });
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
    }
}
