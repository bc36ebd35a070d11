//! What kind of character each character is, for splitting text into words.

use std::sync::LazyLock;

use regex_syntax::hir::{Class, HirKind};

/// A kind of character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `\p{L}`
    Letter,
    /// `\p{N}`
    Number,
    /// `\s`
    Space,
    /// All others, the unassigned among them.
    Other,
}

/// The kind of `c`.
pub(super) fn kind(c: char) -> Kind {
    KINDS.get(c as usize).copied().unwrap_or(Kind::Other)
}

/// Of all characters. llama.cpp knows Unicode 15.1: what was assigned later is unassigned to it,
/// and has to be so here.
static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    let mut kinds = vec![Kind::Other; char::MAX as usize + 1];
    mark(&mut kinds, Kind::Letter, r"[\p{L}&&\p{age:15.1}]");
    mark(&mut kinds, Kind::Number, r"[\p{N}&&\p{age:15.1}]");
    mark(&mut kinds, Kind::Space, r"\p{Z}");
    mark(&mut kinds, Kind::Space, r"[\x09-\x0d\x85]");
    kinds
});

fn mark(kinds: &mut [Kind], kind: Kind, class: &str) {
    let class = regex_syntax::parse(class).expect("the classes above are sound");
    let HirKind::Class(Class::Unicode(class)) = class.kind() else { return };
    for range in class.ranges() {
        kinds[range.start() as usize..=range.end() as usize].fill(kind);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_those_of_unicode() {
        let of = |text: &str| text.chars().map(kind).collect::<Vec<_>>();
        assert!(of("aÉжあ漢ʰª").iter().all(|&k| k == Kind::Letter));
        assert!(of("7٣½Ⅳ²").iter().all(|&k| k == Kind::Number));
        assert!(of("!_€\u{301}😀\0\u{feff}\u{200b}").iter().all(|&k| k == Kind::Other));
        let spaces = (0..=0x10_ffff).filter_map(char::from_u32).filter(|c| c.is_whitespace());
        assert!(spaces.clone().all(|c| kind(c) == Kind::Space));
        assert_eq!(KINDS.iter().filter(|&&k| k == Kind::Space).count(), spaces.count());
    }

    #[test]
    fn characters_newer_than_llama_cpp_are_unassigned() {
        assert_eq!(kind('\u{2ebf0}'), Kind::Letter, "of Unicode 15.1");
        assert_eq!(kind('\u{10d40}'), Kind::Other, "a digit of Unicode 16");
        assert_eq!(kind('\u{105c0}'), Kind::Other, "a letter of Unicode 16");
    }
}
