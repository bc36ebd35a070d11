//! From logits to the file.

use std::io::{self, Write};

use super::codes::{Scale, encode};
use super::{LogitsHeader, MAGIC};
use crate::model::softmax::extent;
use crate::validate::{Chunks, NotFinite, Side};

/// Writes predictions, position by position, for llama-perplexity to read.
#[derive(Debug)]
pub struct LogitsWriter<W> {
    out: W,
    header: LogitsHeader,
    /// Positions still to be written.
    missing: u64,
}

impl<W: Write> LogitsWriter<W> {
    /// Begins a file about a text. `out` is written to in pieces of a position: it needs no buffer.
    ///
    /// # Panics
    /// If a token is not in the `vocabulary`, or a number does not fit in 31 bits.
    pub fn new(mut out: W, chunks: &Chunks, vocabulary: usize) -> io::Result<LogitsWriter<W>> {
        let number = |n: usize| {
            assert!(i32::try_from(n).is_ok(), "{n} is too large for the file");
            n as u32
        };
        let header = LogitsHeader {
            context: number(chunks.context()),
            vocabulary: number(vocabulary),
            chunks: number(chunks.len()),
        };
        let known = chunks.tokens().iter().all(|&token| token < header.vocabulary);
        assert!(known, "tokens beyond a vocabulary of {vocabulary}");
        let numbers = [header.context, header.vocabulary, header.chunks];
        let numbers = numbers.iter().chain(chunks.tokens());
        let mut bytes = MAGIC.to_vec();
        bytes.extend(numbers.flat_map(|number| number.to_le_bytes()));
        out.write_all(&bytes)?;
        Ok(LogitsWriter { out, header, missing: header.positions() })
    }

    /// Writes the [record](encode_logits) of the next position.
    ///
    /// # Panics
    /// If it is not of the file's vocabulary, or all positions have been written.
    pub fn position(&mut self, record: &[u8]) -> io::Result<()> {
        assert_eq!(record.len() as u64, self.header.position_bytes(), "a record of the vocabulary");
        self.missing = self.missing.checked_sub(1).expect("no more positions than declared");
        self.out.write_all(record)
    }

    /// Ends the file and hands back what it was written to.
    ///
    /// # Panics
    /// If positions are missing.
    pub fn finish(mut self) -> io::Result<W> {
        assert_eq!(self.missing, 0, "positions missing");
        self.out.flush()?;
        Ok(self.out)
    }
}

/// A position's record in the file: `logits`, one for each token of the vocabulary, as codes.
pub fn encode_logits(logits: &[f32]) -> Result<Vec<u8>, NotFinite> {
    let not_finite = |token| NotFinite { side: Side::Base, token, value: logits[token] };
    let extent = extent(logits).map_err(not_finite)?;
    let mut codes = vec![0; logits.len().next_multiple_of(2)];
    let Scale { step, min } = encode(logits, extent, &mut codes[..logits.len()]);
    let mut record = Vec::with_capacity(8 + 2 * codes.len());
    record.extend(step.to_le_bytes());
    record.extend(min.to_le_bytes());
    record.extend(codes.iter().flat_map(|code| code.to_le_bytes()));
    Ok(record)
}
