//! What the full-precision model says of a text, kept, so that many quantized models can be compared
//! with it.

use super::compare::{CompareError, Predictor, groups, measure, next_tokens, rows_at_a_time};
use super::{Chunks, Position};
use crate::model::{Model, ModelError};

/// The full-precision model after it has read a text.
pub struct Reference<'m, 'a> {
    base: Predictor<'m, 'a>,
    chunks: Chunks,
    vocabulary: usize,
}

impl<'m, 'a> Reference<'m, 'a> {
    /// Lets `base` read the text.
    pub fn read(base: &'m Model<'a>, chunks: Chunks) -> Result<Reference<'m, 'a>, ModelError> {
        let mut predictor = Predictor::new(base);
        let mut hidden = Vec::new();
        for group in groups(&chunks, chunks.len()) {
            predictor.read(&chunks, &group)?;
            hidden.append(&mut predictor.hidden);
        }
        predictor.hidden = hidden;
        Ok(Reference { base: predictor, chunks, vocabulary: base.weights.vocabulary() })
    }

    /// What both models say at every scored position of the first `limit` chunks, in order. The
    /// models are of the same shape.
    pub fn compare(
        &mut self,
        quantized: &Model,
        limit: usize,
    ) -> Result<Vec<Position>, CompareError> {
        let mut other = Predictor::new(quantized);
        let mut positions = Vec::with_capacity(self.chunks.positions());
        let rows = rows_at_a_time(self.vocabulary);
        for group in groups(&self.chunks, limit) {
            other.read(&self.chunks, &group)?;
            let (first, next) = (positions.len(), next_tokens(&self.chunks, &group));
            for (block, next) in next.chunks(rows).enumerate() {
                other.predict(block * rows, next.len());
                self.base.predict(first + block * rows, next.len());
                measure(&self.chunks, &self.base, &other, next, &mut positions)?;
            }
        }
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
        let mut reference = Reference::read(&model, chunks).unwrap();
        assert_eq!(reference.compare(&other, usize::MAX).unwrap(), expected);
        assert_eq!(reference.compare(&other, 70).unwrap(), expected[..70 * 31]);
        assert!(expected.iter().any(|position| position.kld > 0.0));
    }
}
