//! One sequence as it grows, token by token.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::Sequence;
use super::sampler::{OPENING, draw, temperature};
use super::seeds::{SeedKind, SeedSource};
use crate::model::ModelError;

/// The logit of a token that must not come: no sum sees its weight.
const BARRED: f32 = -1e9;

/// A sequence to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Task {
    /// Its number among all.
    pub number: usize,
    /// How many times it was written before, and dropped.
    pub attempt: usize,
    /// Its tokens.
    pub length: usize,
}

/// A sequence at work. What is written depends on its task and the seed alone, not on the rows
/// beside it.
#[derive(Debug)]
pub struct Row {
    /// What it is to become.
    pub task: Task,
    /// Its place in the cache.
    pub slot: usize,
    /// The tokens so far; the last ones may not have been read by the model yet.
    tokens: Sequence,
    /// Tokens that the model has read.
    read: usize,
    random: Pcg64Mcg,
    /// Sampled tokens of the text at work; a sequence may hold several texts.
    sampled: usize,
    /// How many of them come down from a higher temperature.
    opening: usize,
    /// Whether it is the user's turn of a chat.
    user_speaks: bool,
    /// The sum over the sampled tokens, in nats.
    entropy: f64,
    choices: usize,
}

/// A sequence that is written.
#[derive(Debug)]
pub struct Written {
    /// Its tokens.
    pub tokens: Sequence,
    /// The sum of the entropies of the distributions that tokens were sampled from, in nats.
    pub entropy: f64,
    /// How many were sampled.
    pub choices: usize,
}

impl Row {
    /// Begins a sequence.
    pub fn begin(
        task: Task,
        slot: usize,
        seeds: &SeedSource,
        seed: u64,
    ) -> Result<Row, ModelError> {
        let mut row = Row {
            task,
            slot,
            tokens: seeds.always_first.into_iter().collect(),
            read: 0,
            random: generator(seed, task),
            sampled: 0,
            opening: 0,
            user_speaks: false,
            entropy: 0.0,
            choices: 0,
        };
        row.begin_text(seeds)?;
        Ok(row)
    }

    /// Appends the beginning of a new text.
    fn begin_text(&mut self, seeds: &SeedSource) -> Result<(), ModelError> {
        let nothing = "its vocabulary has no token that a text could begin with";
        let (kind, mut tokens) =
            seeds.draw(&mut self.random).ok_or_else(|| ModelError::Unsupported(nothing.into()))?;
        // The token that ended one text may be the one that starts the next.
        if self.tokens.last() == tokens.first() {
            tokens.remove(0);
        }
        self.tokens.append(&mut tokens);
        self.sampled = 0;
        self.opening = self.random.random_range(OPENING);
        self.user_speaks = kind == SeedKind::Chat;
        Ok(())
    }

    /// Whether it has its length.
    pub fn is_done(&self) -> bool {
        self.tokens.len() >= self.task.length
    }

    /// The next token for the model to read.
    pub fn read(&mut self) -> &[u32] {
        self.read += 1;
        &self.tokens[self.read - 1..self.read]
    }

    /// Whether the model has read all there is, so that a token is to be sampled.
    pub fn wants_token(&self) -> bool {
        self.read == self.tokens.len() && !self.is_done()
    }

    /// Appends a token sampled from these logits, which are overwritten. Where it ends the text,
    /// what comes next begins.
    pub fn sample(&mut self, logits: &mut [f32], seeds: &SeedSource) -> Result<(), ModelError> {
        for &token in &seeds.never {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit = BARRED;
            }
        }
        let temperature = temperature(self.sampled, self.opening);
        let drawn =
            draw(logits, temperature, &mut self.random).ok_or(ModelError::LogitsNotFinite)?;
        self.tokens.push(drawn.token);
        self.sampled += 1;
        self.entropy += drawn.entropy;
        self.choices += 1;
        if !seeds.end_tokens.contains(&drawn.token) {
            return Ok(());
        }
        match &seeds.chat {
            Some(chat) if self.user_speaks => {
                self.tokens.extend(&chat.assistant);
                self.user_speaks = false;
                // An answer needs no opening: the question has set the topic.
                self.opening = 0;
                Ok(())
            }
            _ => self.begin_text(seeds),
        }
    }

    /// Tokens that the model did not have to read.
    pub fn unread(&self) -> usize {
        self.task.length.saturating_sub(self.read)
    }

    /// The sequence, at its length.
    pub fn finish(mut self) -> Written {
        self.tokens.truncate(self.task.length);
        Written { tokens: self.tokens, entropy: self.entropy, choices: self.choices }
    }
}

/// The random numbers of one attempt at one sequence.
fn generator(seed: u64, Task { number, attempt, .. }: Task) -> Pcg64Mcg {
    // Multiples of the golden ratio lie far apart in all their bits.
    let stream = 1 + number as u64 + ((attempt as u64) << 32);
    Pcg64Mcg::seed_from_u64(seed.wrapping_add(stream.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

#[cfg(test)]
mod tests {
    use super::super::seeds::Chat;
    use super::*;

    const END: u32 = 7;

    /// Document start 0, chats `1 2`, answers `3 4`, and ends 7; nothing else comes.
    fn seeds() -> SeedSource {
        SeedSource {
            document_start: Some(0),
            text_tokens: vec![9],
            chat: Some(Chat { user: vec![1, 2], assistant: vec![3, 4] }),
            end_tokens: vec![END],
            ..SeedSource::default()
        }
    }

    fn begin(number: usize, seeds: &SeedSource) -> Row {
        Row::begin(Task { number, attempt: 0, length: 40 }, 0, seeds, 5).unwrap()
    }

    /// Reads to the end of what there is and samples `token`.
    fn go_on(row: &mut Row, token: usize, seeds: &SeedSource) {
        while !row.wants_token() {
            row.read();
        }
        let mut logits = [0.0; 10];
        logits[token] = 1000.0;
        row.sample(&mut logits, seeds).unwrap();
    }

    #[test]
    fn an_end_begins_a_new_text() {
        let seeds = SeedSource { chat: None, ..seeds() };
        let mut row = begin(1, &seeds);
        let before = row.tokens.len();
        for token in [5, 6, END as usize] {
            go_on(&mut row, token, &seeds);
        }
        assert_eq!(row.tokens[before..before + 3], [5, 6, END]);
        assert!(matches!(row.tokens[before + 3..], [0] | [0, 9]), "{:?}", row.tokens);
        assert_eq!(row.sampled, 0);
    }

    #[test]
    fn an_end_that_starts_documents_is_not_doubled() {
        let seeds = SeedSource { document_start: Some(END), chat: None, ..seeds() };
        let mut row = begin(1, &seeds);
        let before = row.tokens.len();
        go_on(&mut row, END as usize, &seeds);
        assert!(matches!(row.tokens[before..], [END] | [END, 9]), "{:?}", row.tokens);
        let seeds = SeedSource { always_first: Some(END), ..seeds };
        assert!(matches!(begin(1, &seeds).tokens[..], [END] | [END, 9]));
    }

    #[test]
    fn questions_are_answered() {
        let seeds = seeds();
        let asks = |number: &usize| begin(*number, &seeds).user_speaks;
        let mut row = begin((0..100).find(asks).unwrap(), &seeds);
        go_on(&mut row, 5, &seeds);
        go_on(&mut row, END as usize, &seeds);
        assert_eq!(row.tokens, [1, 2, 5, END, 3, 4]);
        go_on(&mut row, END as usize, &seeds);
        assert_eq!(row.tokens[..7], [1, 2, 5, END, 3, 4, END]);
        assert!(row.tokens.len() > 7, "another text");
    }

    #[test]
    fn barred_tokens_never_come() {
        let seeds = SeedSource { never: vec![4, 5, 6, 99], end_tokens: vec![], ..seeds() };
        let mut row = begin(1, &seeds);
        let seed = row.tokens.len();
        while !row.is_done() {
            go_on(&mut row, 5, &seeds);
        }
        assert!(row.tokens[seed..].iter().all(|token| !seeds.never.contains(token)));
        assert_eq!(row.finish().tokens.len(), 40);
    }

    #[test]
    fn attempts_and_sequences_differ() {
        use rand::Rng;
        let first = |number, attempt| generator(1, Task { number, attempt, length: 1 }).next_u64();
        assert_ne!(first(0, 0), first(1, 0));
        assert_ne!(first(0, 0), first(0, 1));
        assert_ne!(first(0, 1), first(1, 0));
    }
}
