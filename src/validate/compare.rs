//! Two models side by side on a text, chunk by chunk.

use std::borrow::Cow;
use std::io::{self, Write};

use rayon::prelude::*;

use super::{Chunks, LogitsWriter, NotFinite, Position, Side, encode_logits, scored};
use crate::model::{Model, ModelError, Session, Untraced, Wanted};
use crate::progress::{Amount, Progress};

/// Tokens that pass the models together: enough for large matrix products.
const TOKENS: usize = 4096;
/// Logits of one model that are in memory at a time, 32 MiB of them, or those of one position.
const LOGITS: usize = 8 << 20;

/// Why two models could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// One of them cannot be run on the text.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// They do not have the same tokens.
    #[error("the models have {base} and {quantized} tokens: only models of one vocabulary compare")]
    Vocabularies {
        /// Tokens of the full-precision model.
        base: usize,
        /// Tokens of the quantized model.
        quantized: usize,
    },
    /// Logits that are no numbers.
    #[error("chunk {chunk}, position {position}: {fault}")]
    NotFinite {
        /// Counted from 0.
        chunk: usize,
        /// In the chunk, counted from 0.
        position: usize,
        /// Which model, and where in its logits.
        fault: NotFinite,
    },
    /// The file that logits are written to.
    #[error(transparent)]
    Logits(#[from] io::Error),
}

/// What both models say at every scored position of the chunks, in order. The full-precision
/// model's logits also go to `logits`, where given.
pub fn compare<W: Write>(
    base: &Model,
    quantized: &Model,
    chunks: &Chunks,
    mut logits: Option<&mut LogitsWriter<W>>,
    progress: &dyn Progress,
) -> Result<Vec<Position>, CompareError> {
    let vocabulary = base.weights.vocabulary();
    if vocabulary != quantized.weights.vocabulary() {
        let quantized = quantized.weights.vocabulary();
        return Err(CompareError::Vocabularies { base: vocabulary, quantized });
    }
    let mut sides = [base, quantized].map(Predictor::new);
    let mut positions = Vec::with_capacity(chunks.positions());
    progress.start("evaluating", Amount::Tokens((chunks.len() * chunks.context()) as u64));
    for group in groups(chunks, chunks.len()) {
        for side in &mut sides {
            side.read(chunks, &group)?;
        }
        let (next, rows) = (next_tokens(chunks, &group), rows_at_a_time(vocabulary));
        for (block, next) in next.chunks(rows).enumerate() {
            let scored_before = positions.len();
            for side in &mut sides {
                side.predict(block * rows, next.len());
            }
            let [base, quantized] = &sides;
            measure(chunks, base, quantized, next, &mut positions)?;
            if let Some(logits) = &mut logits {
                for record in base.records() {
                    logits.position(
                        &record.map_err(|fault| not_finite(chunks, scored_before, fault))?,
                    )?;
                }
            }
        }
        progress.advance((group.len() * chunks.context()) as u64);
    }
    progress.finish();
    Ok(positions)
}

/// The first `limit` chunks, by those that pass the models together.
pub(super) fn groups(chunks: &Chunks, limit: usize) -> Vec<Vec<usize>> {
    let (together, end) = ((TOKENS / chunks.context()).max(1), chunks.len().min(limit));
    let group = |first: usize| (first..end.min(first + together)).collect();
    (0..end).step_by(together).map(group).collect()
}

/// The tokens that the scored positions of a group of chunks should predict.
pub(super) fn next_tokens(chunks: &Chunks, group: &[usize]) -> Vec<u32> {
    group.iter().flat_map(|&i| chunks.next_tokens(i)).copied().collect()
}

/// Positions whose logits are in memory at a time.
pub(super) fn rows_at_a_time(vocabulary: usize) -> usize {
    (LOGITS / vocabulary).max(1)
}

/// One of the two models at work.
pub(super) struct Predictor<'m, 'a> {
    session: Session<'m, 'a>,
    /// Hidden states of the scored positions of a group of chunks.
    hidden: Cow<'m, [f32]>,
    /// Logits of some of them.
    pub logits: Vec<f32>,
}

impl<'m, 'a> Predictor<'m, 'a> {
    pub fn new(model: &'m Model<'a>) -> Predictor<'m, 'a> {
        Predictor::having_read(model, &[])
    }

    /// One that has these hidden states already.
    pub fn having_read(model: &'m Model<'a>, hidden: &'m [f32]) -> Predictor<'m, 'a> {
        Predictor { session: Session::new(model), hidden: hidden.into(), logits: Vec::new() }
    }

    /// Passes a group of chunks through the layers.
    pub fn read(&mut self, chunks: &Chunks, group: &[usize]) -> Result<(), ModelError> {
        let context = chunks.context();
        let inputs: Vec<Vec<u32>> = group.iter().map(|&i| chunks.input(i)).collect();
        let inputs: Vec<&[u32]> = inputs.iter().map(Vec::as_slice).collect();
        let in_chunk = |i: usize| scored(context).map(move |position| i * context + position);
        let wanted: Vec<usize> = (0..group.len()).flat_map(in_chunk).collect();
        let hidden = self.session.hidden(&inputs, Wanted::Tokens(&wanted), &mut Untraced)?;
        self.hidden = hidden.into();
        Ok(())
    }

    /// What it has read.
    pub fn hidden(&self) -> &[f32] {
        &self.hidden
    }

    /// Computes the logits of `count` scored positions of the group, from `first` on.
    pub fn predict(&mut self, first: usize, count: usize) {
        let width = self.session.model().shape.width;
        let hidden = &self.hidden[first * width..(first + count) * width];
        self.session.logits(hidden, &mut self.logits);
    }

    /// Why logits are not finite, if llama.cpp could not hold the inputs of the output head.
    fn overflow(&self) -> Option<ModelError> {
        let weights = &self.session.model().weights;
        let (format, overflow) = (weights.head.weight.format, weights.head.overflow(&self.hidden)?);
        let tensor = if weights.tied { "token_embd.weight" } else { "output.weight" }.into();
        Some(ModelError::Overflow { tensor, format, overflow })
    }

    /// The logits as llama-perplexity's file has them, position by position.
    fn records(&self) -> Vec<Result<Vec<u8>, NotFinite>> {
        let vocabulary = self.session.model().weights.vocabulary();
        self.logits.par_chunks_exact(vocabulary).map(encode_logits).collect()
    }
}

/// Adds what both models say at the positions that they have predicted, which are the next ones.
pub(super) fn measure(
    chunks: &Chunks,
    base: &Predictor,
    quantized: &Predictor,
    next: &[u32],
    positions: &mut Vec<Position>,
) -> Result<(), CompareError> {
    let vocabulary = base.logits.len() / next.len();
    let base_rows = base.logits.par_chunks_exact(vocabulary);
    let rows = base_rows.zip(quantized.logits.par_chunks_exact(vocabulary));
    let measured: Vec<Result<Position, NotFinite>> = rows
        .zip(next)
        .map(|((base, quantized), &next)| Position::of(base, quantized, next))
        .collect();
    for position in measured {
        positions.push(position.map_err(|fault| {
            let side = if fault.side == Side::Base { base } else { quantized };
            let overflow = side.overflow().map(CompareError::Model);
            overflow.unwrap_or_else(|| not_finite(chunks, positions.len(), fault))
        })?);
    }
    Ok(())
}

/// The error for the scored position `index`, counted over all chunks.
fn not_finite(chunks: &Chunks, index: usize, fault: NotFinite) -> CompareError {
    let (chunk, position) = chunks.place(index);
    CompareError::NotFinite { chunk, position, fault }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::Gguf;
    use crate::progress::Silent;
    use crate::validate::LogitsReader;

    #[test]
    fn a_model_does_not_differ_from_itself() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tiny.gguf");
        let gguf = Gguf::open(path.as_ref()).unwrap();
        let model = Model::of(&gguf).unwrap();
        let tokens = (0..700).map(|i| i * 7 % 1000).collect();
        let chunks = Chunks::new(tokens, 64, None, Some(1)).unwrap();
        let vocabulary = model.weights.vocabulary();
        let mut logits = LogitsWriter::new(Vec::new(), &chunks, vocabulary).unwrap();
        let positions = compare(&model, &model, &chunks, Some(&mut logits), &Silent).unwrap();
        assert_eq!(positions.len(), 10 * 31);
        assert!(positions.iter().all(|p| p.kld == 0.0 && p.same_top && p.nll == p.nll_base));

        // The file holds the same model: its codes are its logits, but for rounding.
        let file = logits.finish().unwrap();
        let mut reader = LogitsReader::new(&file[..], file.len() as u64).unwrap();
        let mut row = vec![0.0; vocabulary];
        let mut compared = 0;
        for position in &positions {
            let next = reader.position(&mut row).unwrap().unwrap();
            let read = Position::of(&row, &row, next).unwrap();
            // Below that, the file does not go.
            if position.nll < 15.0 {
                assert!((read.nll - position.nll).abs() < 0.02, "{read:?} for {position:?}");
                compared += 1;
            }
        }
        assert!(compared > 100, "{compared}");
    }

    #[test]
    fn vocabularies_must_agree() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tiny.gguf");
        let gguf = Gguf::open(path.as_ref()).unwrap();
        let model = Model::of(&gguf).unwrap();
        let mut other = model.clone();
        other.weights.embedding.rows -= 1;
        let chunks = Chunks::new(vec![1; 64], 64, None, None).unwrap();
        let none = None::<&mut LogitsWriter<Vec<u8>>>;
        let error = compare(&model, &other, &chunks, none, &Silent).unwrap_err();
        assert!(error.to_string().contains("one vocabulary"));
    }
}
