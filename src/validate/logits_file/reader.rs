//! From the file to logarithms of probabilities, every length checked.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use super::codes::{Scale, decode};
use super::{LogitsHeader, MAGIC, scored};

/// Why a file of predictions cannot be read. The message does not name the file.
#[derive(Debug, thiserror::Error)]
pub enum LogitsFileError {
    /// The machine: it cannot be opened or read.
    #[error("cannot read the file of log-probabilities")]
    Io(#[from] io::Error),
    /// The file: it is not what llama-perplexity writes, or not all of it.
    #[error("{0}")]
    Format(String),
}

/// Reads what llama-perplexity or [`LogitsWriter`](super::LogitsWriter) wrote, position by position.
#[derive(Debug)]
pub struct LogitsReader<R> {
    read: R,
    header: LogitsHeader,
    tokens: Vec<u32>,
    /// Positions read so far.
    at: u64,
    /// The record of a position.
    record: Vec<u8>,
}

impl LogitsReader<BufReader<File>> {
    /// Opens the file at `path`.
    pub fn open(path: &Path) -> Result<Self, LogitsFileError> {
        // Asked before opening, since opening a named pipe waits for someone to write to it.
        if !path.metadata()?.is_file() {
            return Err(fault("it is no regular file"));
        }
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        LogitsReader::new(BufReader::with_capacity(1 << 20, file), bytes)
    }
}

impl<R: Read> LogitsReader<R> {
    /// Reads the beginning of a file that has so many `bytes` in all: what it declares must be what
    /// it has, so that no count in it makes this program allocate more than its size.
    pub fn new(mut read: R, bytes: u64) -> Result<LogitsReader<R>, LogitsFileError> {
        let mut start = [0; 20];
        if bytes < start.len() as u64 {
            return Err(fault(format!(
                "{bytes} bytes are too few for a file of log-probabilities"
            )));
        }
        read.read_exact(&mut start)?;
        if !start.starts_with(MAGIC) {
            return Err(fault("it does not begin as a file of log-probabilities does"));
        }
        let [_, _, context, vocabulary, chunks] = numbers(&start);
        let header = LogitsHeader { context, vocabulary, chunks };
        check(header, bytes)?;
        let mut tokens = vec![0; 4 * header.tokens() as usize];
        read.read_exact(&mut tokens)?;
        let tokens: Vec<u32> =
            tokens.as_chunks().0.iter().map(|&n| u32::from_le_bytes(n)).collect();
        if let Some(at) = tokens.iter().position(|&token| token >= vocabulary) {
            let token = tokens[at];
            return Err(fault(format!("token {at} is {token}, in a vocabulary of {vocabulary}")));
        }
        let record = vec![0; header.position_bytes() as usize];
        Ok(LogitsReader { read, header, tokens, at: 0, record })
    }

    /// The numbers that the file begins with.
    pub fn header(&self) -> LogitsHeader {
        self.header
    }

    /// The tokens of the text, those of one chunk after another's.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Reads the next position: into `out`, logarithms of probabilities, one for each token of the
    /// vocabulary. What comes back is the token that follows, or `None` at the end.
    ///
    /// # Panics
    /// If `out` is not of the vocabulary's length.
    pub fn position(&mut self, out: &mut [f32]) -> Result<Option<u32>, LogitsFileError> {
        assert_eq!(out.len(), self.header.vocabulary as usize, "the vocabulary");
        if self.at == self.header.positions() {
            return Ok(None);
        }
        self.read.read_exact(&mut self.record)?;
        let (scale, codes) = self.record.split_at(8);
        let [step, min] = numbers(scale).map(f32::from_bits);
        // The likeliest token has a probability of at most 1, give or take rounding.
        let top = step * 65535.0 + min;
        if !(step >= 0.0 && min.is_finite() && top < 0.01) {
            let at = self.at;
            return Err(fault(format!("position {at} has codes from {min} in steps of {step}")));
        }
        decode(codes, Scale { step, min }, out);
        let next = self.next_token();
        self.at += 1;
        Ok(Some(next))
    }

    /// The token after the position that is read next.
    fn next_token(&self) -> u32 {
        let context = self.header.context as usize;
        let scored = scored(context);
        let (chunk, at) = (self.at as usize / scored.len(), self.at as usize % scored.len());
        self.tokens[chunk * context + scored.start + at + 1]
    }
}

/// An error unless the numbers make sense and are those of a file of this size.
fn check(header: LogitsHeader, bytes: u64) -> Result<(), LogitsFileError> {
    let LogitsHeader { context, vocabulary, chunks } = header;
    let declared = format!("{chunks} chunks of {context} tokens, of a vocabulary of {vocabulary}");
    let in_range = |n: u32| i32::try_from(n).is_ok() && n > 0;
    if ![context, vocabulary, chunks].into_iter().all(in_range) || header.positions() == 0 {
        return Err(fault(format!("it declares {declared}, which makes no sense")));
    }
    match header.file_bytes() {
        Some(expected) if expected == bytes => Ok(()),
        Some(expected) => Err(fault(format!(
            "it has {bytes} bytes and should have {expected} for {declared}; was it written to the end?"
        ))),
        None => Err(fault(format!("it declares {declared}, which no file can hold"))),
    }
}

/// Little-endian numbers.
fn numbers<const N: usize>(bytes: &[u8]) -> [u32; N] {
    let mut numbers = [0; N];
    for (number, bytes) in numbers.iter_mut().zip(bytes.as_chunks().0) {
        *number = u32::from_le_bytes(*bytes);
    }
    numbers
}

fn fault(what: impl Into<String>) -> LogitsFileError {
    LogitsFileError::Format(what.into())
}
