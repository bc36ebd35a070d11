//! Cuts a text at the special tokens that are spelled out in it.

use std::ops::Range;

use super::tokens::TokenKind;
use super::vocabulary::Vocabulary;
use crate::gguf::Metadata;

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fragment {
    /// Bytes of the text, never none.
    Text(Range<usize>),
    /// A special token that stood there.
    Token(u32),
}

/// The tokens to cut at.
#[derive(Debug)]
pub(super) struct Specials {
    /// The longest first.
    ids: Vec<u32>,
    /// Those that take the white space after them away.
    stripping: Vec<u32>,
}

impl Specials {
    pub(super) fn read(metadata: &Metadata, vocabulary: &Vocabulary) -> Specials {
        let special = [TokenKind::Control, TokenKind::UserDefined, TokenKind::Unknown];
        let mut ids: Vec<u32> =
            (0..vocabulary.len()).filter(|&id| special.contains(&vocabulary.kind(id))).collect();
        ids.sort_by_key(|&id| std::cmp::Reverse(vocabulary.text(id).len()));
        let stripping = if strips(metadata) {
            let keeping: [&[u8]; 3] = [b"<unk>", b"<s>", b"<|endoftext|>"];
            let takes = |id: &u32| !keeping.contains(&vocabulary.text(*id));
            ids.iter().copied().filter(takes).collect()
        } else {
            Vec::new()
        };
        Specials { ids, stripping }
    }

    /// Cuts at special tokens of all kinds.
    pub(super) fn cut(&self, text: &str, vocabulary: &Vocabulary) -> Vec<Fragment> {
        self.cut_at(text, vocabulary, |_| true)
    }

    /// Cuts at those that are text to the user, but one token to the model: runs of spaces, tags.
    pub(super) fn cut_plain(&self, text: &str, vocabulary: &Vocabulary) -> Vec<Fragment> {
        self.cut_at(text, vocabulary, |id| vocabulary.kind(id) == TokenKind::UserDefined)
    }

    fn cut_at(
        &self,
        text: &str,
        vocabulary: &Vocabulary,
        at: impl Fn(u32) -> bool,
    ) -> Vec<Fragment> {
        if text.is_empty() {
            return Vec::new();
        }
        let pairs = Pairs::of(text.as_bytes());
        let mut fragments = vec![Fragment::Text(0..text.len())];
        for &id in self.ids.iter().filter(|&&id| at(id)) {
            let Ok(token) = std::str::from_utf8(vocabulary.text(id)) else { continue };
            if pairs.may_hold(token.as_bytes()) && text.contains(token) {
                let strips = self.stripping.contains(&id);
                fragments = cut_once(text, fragments, token, id, strips);
            }
        }
        fragments
    }
}

/// llama.cpp knows this property of Phi-3's special tokens by the name of the model.
fn strips(metadata: &Metadata) -> bool {
    let name = metadata.get("general.name").and_then(|value| value.as_str()).unwrap_or("");
    let name = name.to_ascii_lowercase();
    name.contains("phi-3") || name.contains("phi3")
}

/// Cuts the fragments of `text` wherever `token` stands in them.
fn cut_once(
    text: &str,
    fragments: Vec<Fragment>,
    token: &str,
    id: u32,
    strips: bool,
) -> Vec<Fragment> {
    let mut cut = Vec::with_capacity(fragments.len());
    for fragment in fragments {
        let Fragment::Text(mut rest) = fragment else {
            cut.push(fragment);
            continue;
        };
        while let Some(found) = text[rest.clone()].find(token) {
            let start = rest.start + found;
            if rest.start < start {
                cut.push(Fragment::Text(rest.start..start));
            }
            cut.push(Fragment::Token(id));
            rest.start = start + token.len();
            if strips {
                let space = |byte: &u8| matches!(byte, b' ' | 0x09..=0x0d);
                rest.start += text.as_bytes()[rest.clone()].iter().take_while(|b| space(b)).count();
            }
        }
        if !rest.is_empty() {
            cut.push(Fragment::Text(rest));
        }
    }
    cut
}

/// Which pairs of bytes stand in a text: most special tokens have one that does not, and need not
/// be looked for.
struct Pairs(Vec<bool>);

impl Pairs {
    fn of(text: &[u8]) -> Pairs {
        let mut seen = vec![false; 1 << 16];
        text.windows(2).for_each(|pair| seen[place(pair)] = true);
        Pairs(seen)
    }

    fn may_hold(&self, token: &[u8]) -> bool {
        token.windows(2).all(|pair| self.0[place(pair)])
    }
}

fn place(pair: &[u8]) -> usize {
    usize::from(pair[0]) << 8 | usize::from(pair[1])
}
