//! A tokenised text cut into the chunks that are evaluated, as llama-perplexity cuts it.

use std::ops::Range;

/// Context of the evaluations that people compare, in tokens.
pub const CONTEXT: usize = 512;

/// Why a text cannot be evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// The text has not even one chunk.
    #[error("the text has {tokens} tokens, and {needed} are needed: one full context")]
    TooShort {
        /// Tokens of the text.
        tokens: usize,
        /// Tokens of one context.
        needed: usize,
    },
    /// A context in which nothing is scored.
    #[error("a context of {context} tokens scores nothing: it needs 3 at least")]
    Context {
        /// Tokens asked for.
        context: usize,
    },
}

/// Chunks of a text, side by side from its beginning; what does not fill a chunk is left out.
///
/// In each the second half is scored: position `i` predicts token `i + 1`, for `i` in
/// [`scored`]`(context)`. So every prediction has at least half a context before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunks {
    tokens: Vec<u32>,
    context: usize,
    bos: Option<u32>,
}

impl Chunks {
    /// Cuts `tokens` into chunks of `context` tokens, at most `limit` of them.
    ///
    /// The text is tokenised as for a model's input: where the vocabulary begins texts with a
    /// special token, it is the first of `tokens`, and is given as `bos` too.
    ///
    /// llama-perplexity wants two full contexts; one will do here.
    pub fn new(
        mut tokens: Vec<u32>,
        context: usize,
        limit: Option<usize>,
        bos: Option<u32>,
    ) -> Result<Chunks, ChunkError> {
        if scored(context).is_empty() {
            return Err(ChunkError::Context { context });
        }
        if tokens.len() < context {
            return Err(ChunkError::TooShort { tokens: tokens.len(), needed: context });
        }
        let chunks = (tokens.len() / context).min(limit.unwrap_or(usize::MAX));
        tokens.truncate(chunks * context);
        Ok(Chunks { tokens, context, bos })
    }

    /// How many there are; 0 where the limit was.
    pub fn len(&self) -> usize {
        self.tokens.len() / self.context
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Tokens of each.
    pub fn context(&self) -> usize {
        self.context
    }

    /// Positions scored in all of them.
    pub fn positions(&self) -> usize {
        self.len() * scored(self.context).len()
    }

    /// The tokens of the text, those of one chunk after another's.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// The tokens that the model sees as chunk `i`: those of the text, but for the first, which
    /// gives way to the token that texts begin with.
    pub fn input(&self, i: usize) -> Vec<u32> {
        let mut input = self.chunk(i).to_vec();
        input[0] = self.bos.unwrap_or(input[0]);
        input
    }

    /// The tokens that the scored positions of chunk `i` should predict.
    pub fn next_tokens(&self, i: usize) -> &[u32] {
        let scored = scored(self.context);
        &self.chunk(i)[scored.start + 1..scored.end + 1]
    }

    /// The chunk of the scored position `index`, counted over all chunks, and its place in it.
    pub fn place(&self, index: usize) -> (usize, usize) {
        let scored = scored(self.context);
        (index / scored.len(), scored.start + index % scored.len())
    }

    /// The last tokens, at most `count`, that the models see before they predict what follows
    /// `position` of chunk `i`, as the text has them; and the token that follows.
    pub fn around(&self, i: usize, position: usize, count: usize) -> (&[u32], u32) {
        let chunk = self.chunk(i);
        (&chunk[(position + 1).saturating_sub(count)..=position], chunk[position + 1])
    }

    fn chunk(&self, i: usize) -> &[u32] {
        &self.tokens[i * self.context..][..self.context]
    }
}

/// The positions of a chunk whose predictions are scored: 256 to 510 of 512.
pub fn scored(context: usize) -> Range<usize> {
    context / 2..context.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(n: u32) -> Vec<u32> {
        (100..100 + n).collect()
    }

    #[test]
    fn chunks_lie_side_by_side() {
        let chunks = Chunks::new(text(1100), 512, None, Some(1)).unwrap();
        assert_eq!((chunks.len(), chunks.positions()), (2, 510));
        assert_eq!(chunks.tokens(), text(1024));
        for i in 0..2 {
            let start = 100 + 512 * i as u32;
            let input = chunks.input(i);
            assert_eq!((input[0], input[1], input[511]), (1, start + 1, start + 511));
            let next = chunks.next_tokens(i);
            assert_eq!((next.len(), next[0], next[254]), (255, start + 257, start + 511));
        }
        let without = Chunks::new(text(1100), 512, None, None).unwrap();
        assert_eq!(without.input(1), text(1100)[512..1024]);
    }

    #[test]
    fn odd_and_small_contexts_score_what_llama_perplexity_scores() {
        for (context, positions) in [(3, 1), (4, 1), (5, 2), (7, 3), (512, 255)] {
            assert_eq!(scored(context).len(), positions);
            assert_eq!(positions, context - 1 - context / 2);
            let chunks = Chunks::new(text(1024), context, Some(2), None).unwrap();
            assert_eq!(chunks.next_tokens(1).len(), positions);
        }
    }

    #[test]
    fn a_limit_limits() {
        let len = |limit| Chunks::new(text(1600), 512, limit, None).unwrap().len();
        assert_eq!([len(Some(0)), len(Some(2)), len(Some(9)), len(None)], [0, 2, 3, 3]);
    }

    #[test]
    fn a_short_text_is_refused_with_numbers() {
        let error = Chunks::new(text(511), 512, None, None).unwrap_err();
        let said = "the text has 511 tokens, and 512 are needed: one full context";
        assert_eq!(error.to_string(), said);
        assert_eq!(Chunks::new(text(512), 512, None, None).unwrap().len(), 1);
        for context in 0..3 {
            let error = Chunks::new(text(9), context, None, None);
            assert_eq!(error, Err(ChunkError::Context { context }));
        }
    }
}
