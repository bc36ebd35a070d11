//! What the full-precision model says of a text, kept, so that many quantized models can be compared
//! with it.

use super::compare::{CompareError, Predictor, groups, measure, next_tokens, rows_at_a_time};
use super::{Chunks, Position};
use crate::model::{Model, ModelError};
use crate::progress::{Amount, Progress};

/// What the full-precision model made of a text.
#[derive(Debug, Clone)]
pub struct Reference {
    chunks: Chunks,
    /// Hidden states of all scored positions.
    hidden: Vec<f32>,
}

impl Reference {
    /// Lets `base` read the text.
    pub fn read(base: &Model, chunks: Chunks) -> Result<Reference, ModelError> {
        let mut predictor = Predictor::new(base);
        let mut hidden = Vec::new();
        for group in groups(&chunks, chunks.len()) {
            predictor.read(&chunks, &group)?;
            hidden.extend_from_slice(predictor.hidden());
        }
        Ok(Reference { chunks, hidden })
    }

    /// What `base`, which has read the text, and a quantized model of the same shape say at every
    /// scored position of the first `limit` chunks, in order.
    pub fn compare(
        &self,
        base: &Model,
        quantized: &Model,
        limit: usize,
        progress: &dyn Progress,
    ) -> Result<Vec<Position>, CompareError> {
        let mut base = Predictor::having_read(base, &self.hidden);
        let mut other = Predictor::new(quantized);
        let mut positions = Vec::with_capacity(self.chunks.positions());
        let rows = rows_at_a_time(quantized.weights.vocabulary());
        let tokens = |chunks: usize| (chunks * self.chunks.context()) as u64;
        progress.start("measuring", Amount::Tokens(tokens(limit.min(self.chunks.len()))));
        for group in groups(&self.chunks, limit) {
            other.read(&self.chunks, &group)?;
            let (first, next) = (positions.len(), next_tokens(&self.chunks, &group));
            for (block, next) in next.chunks(rows).enumerate() {
                other.predict(block * rows, next.len());
                base.predict(first + block * rows, next.len());
                measure(&self.chunks, &base, &other, next, &mut positions)?;
            }
            progress.advance(tokens(group.len()));
        }
        progress.finish();
        Ok(positions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block;
    use crate::gguf::{Format, Gguf};
    use crate::progress::Silent;
    use crate::validate::{LogitsWriter, compare};

    #[test]
    fn it_finds_what_a_comparison_side_by_side_finds() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tiny.gguf");
        let gguf = Gguf::open(path.as_ref()).unwrap();
        let model = Model::of(&gguf).unwrap();
        let name = "blk.0.ffn_up.weight";
        let tensor = gguf.tensor(name).unwrap();
        let mut values = vec![0.0; tensor.elements() as usize];
        block::decode(tensor.format, gguf.data(tensor), &mut values);
        let mut bytes = vec![0; Format::Q4_0.bytes_of(tensor.elements()).unwrap() as usize];
        block::encode(Format::Q4_0, &values, tensor.row_len(), None, &mut bytes);
        let mut other = model.clone();
        assert!(other.weights.replace(name, Format::Q4_0, &bytes));
        let tokens: Vec<u32> = (0..64 * 80).map(|i| i * 7 % 1000).collect();
        let chunks = Chunks::new(tokens, 64, None, Some(1)).unwrap();
        let none = None::<&mut LogitsWriter<Vec<u8>>>;
        let expected = compare(&model, &other, &chunks, none, &Silent).unwrap();
        let reference = Reference::read(&model, chunks).unwrap();
        let compared = |limit| reference.compare(&model, &other, limit, &Silent).unwrap();
        assert_eq!(compared(usize::MAX), expected);
        assert_eq!(compared(70), expected[..70 * 31]);
        assert!(expected.iter().any(|position| position.kld > 0.0));
    }
}
