//! What texts begin with.

use rand::RngExt;
use rand_pcg::Pcg64Mcg;

/// The tokens of a vocabulary that texts begin and end with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SeedSource {
    /// Stands at the start of a document: the begin-of-text token, or the end-of-text token where
    /// begin-of-text is part of the chat template.
    pub document_start: Option<u32>,
    /// Tokens that a text may begin with: pieces of words; neither control nor byte tokens, nor
    /// unused ones.
    pub text_tokens: Vec<u32>,
    /// How a chat begins, for models that were tuned to chat.
    pub chat: Option<Chat>,
    /// Tokens that end a text, or a turn of a chat.
    pub end_tokens: Vec<u32>,
    /// What the model expects in front of everything.
    pub always_first: Option<u32>,
    /// Tokens that are never sampled: control and unused ones, other than the end tokens.
    pub never: Vec<u32>,
}

/// The tokens around the turns of a chat.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Chat {
    /// What stands in front of the user's words.
    pub user: Vec<u32>,
    /// What stands between the token that ends them and the model's words.
    pub assistant: Vec<u32>,
}

/// What a text begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeedKind {
    /// The start of a document.
    Document,
    /// The start of a document and one random token.
    Token,
    /// The user's turn of a chat.
    Chat,
}

impl SeedSource {
    /// The beginning of a new text: 50 % document starts, 30 % random tokens, 20 % chats; 60 % and
    /// 40 % where the model knows no chats. `None` where the vocabulary has nothing to begin with.
    pub fn draw(&self, random: &mut Pcg64Mcg) -> Option<(SeedKind, Vec<u32>)> {
        let share: f64 = random.random();
        let kind = match (&self.chat, self.document_start, self.text_tokens.is_empty()) {
            (_, None, true) => return None,
            (_, None, false) => SeedKind::Token,
            (Some(_), Some(_), _) if share < 0.2 => SeedKind::Chat,
            (Some(_), Some(_), false) if share < 0.5 => SeedKind::Token,
            (None, Some(_), false) if share < 0.4 => SeedKind::Token,
            _ => SeedKind::Document,
        };
        let start = self.document_start.into_iter();
        let tokens = match (kind, &self.chat) {
            (SeedKind::Token, _) => start.chain([self.text_token(random)]).collect(),
            (SeedKind::Chat, Some(chat)) => chat.user.clone(),
            _ => start.collect(),
        };
        Some((kind, tokens))
    }

    fn text_token(&self, random: &mut Pcg64Mcg) -> u32 {
        self.text_tokens[random.random_range(0..self.text_tokens.len())]
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn source() -> SeedSource {
        SeedSource {
            document_start: Some(0),
            text_tokens: (10..20).collect(),
            chat: Some(Chat { user: vec![1, 2, 3], assistant: vec![4] }),
            ..SeedSource::default()
        }
    }

    /// How many of 10,000 seeds are documents, tokens and chats.
    fn counts(source: &SeedSource) -> [usize; 3] {
        let mut random = Pcg64Mcg::seed_from_u64(1);
        let mut counts = [0; 3];
        for _ in 0..10_000 {
            let (kind, tokens) = source.draw(&mut random).unwrap();
            counts[kind as usize] += 1;
            match (kind, &tokens[..]) {
                (SeedKind::Document, [0]) | (SeedKind::Chat, [1, 2, 3]) => {}
                (SeedKind::Token, [start @ .., token]) => {
                    assert_eq!(start.first().copied(), source.document_start);
                    assert!(source.text_tokens.contains(token));
                }
                other => panic!("{other:?}"),
            }
        }
        counts
    }

    fn near(counts: [usize; 3], shares: [usize; 3]) {
        let near = |(count, share): (usize, usize)| count.abs_diff(share * 100) < 200;
        assert!(counts.into_iter().zip(shares).all(near), "{counts:?}");
    }

    #[test]
    fn the_shares_are_those_of_the_recipe() {
        near(counts(&source()), [50, 30, 20]);
        near(counts(&SeedSource { chat: None, ..source() }), [60, 40, 0]);
        near(counts(&SeedSource { document_start: None, ..source() }), [0, 100, 0]);
        near(counts(&SeedSource { text_tokens: vec![], ..source() }), [80, 0, 20]);
    }

    #[test]
    fn nothing_comes_of_nothing() {
        assert_eq!(SeedSource::default().draw(&mut Pcg64Mcg::seed_from_u64(1)), None);
    }
}
