//! What calibration text shows of the inputs of linear maps, one layer at a time.

use std::collections::BTreeMap;

use crate::model::{LinearInput, Model, ModelError, Stepwise, Trace};

use super::gram::{Gram, GramSums};
use super::rounding::{RoundingErrors, RoundingSums};

/// What is known of an input.
#[derive(Debug, Clone)]
pub struct Input {
    /// How its columns go together.
    pub gram: Gram,
    /// What it loses by rounding.
    pub rounding: RoundingErrors,
}

/// Runs the sequences through the model and hands over what each layer's inputs are as soon as all
/// tokens have passed it, so that those of one layer only are in memory. The input of the output
/// head comes last, as if of one layer more.
pub fn inputs<E: From<ModelError>>(
    model: &Model,
    sequences: &[&[u32]],
    mut each: impl FnMut(usize, BTreeMap<LinearInput, Input>) -> Result<(), E>,
) -> Result<(), E> {
    let mut steps = Stepwise::start(model, sequences)?;
    for (layer, weights) in model.weights.layers.iter().enumerate() {
        let mut sums = Sums::default();
        steps.advance_seen(weights, &mut sums)?;
        each(layer, sums.means())?;
    }
    let mut sums = Sums::default();
    steps.look_at_head(&mut sums);
    each(model.shape.layers, sums.means())
}

#[derive(Default)]
struct Sums {
    grams: GramSums,
    rounding: RoundingSums,
}

impl Sums {
    fn means(self) -> BTreeMap<LinearInput, Input> {
        let mut rounding = self.rounding.means();
        let input = |(input, gram)| {
            let rounding = rounding.remove(&input).unwrap_or_default();
            (input, Input { gram, rounding })
        };
        self.grams.means().into_iter().map(input).collect()
    }
}

impl Trace for Sums {
    fn see(&mut self, layer: usize, input: LinearInput, x: &[f32], columns: usize) {
        self.grams.see(layer, input, x, columns);
        self.rounding.see(layer, input, x, columns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrate::importance;
    use crate::gguf::Gguf;
    use crate::progress::Silent;

    #[test]
    fn diagonals_are_importances() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tiny.gguf");
        let gguf = Gguf::open(path.as_ref()).unwrap();
        let model = Model::of(&gguf).unwrap();
        let tokens: Vec<u32> = (0..256).map(|i| i * 11 % 1000).collect();
        let importance = importance(&model, &[&tokens], &Silent).unwrap();
        let mut layers = 0;
        inputs(&model, &[&tokens], |layer, inputs| {
            assert_eq!(layer, layers);
            layers += 1;
            if layer < model.shape.layers {
                assert_eq!(inputs.len(), 4);
                let gram = &inputs[&LinearInput::FfnDown].gram;
                let importance = importance.at((layer, LinearInput::FfnDown)).unwrap();
                for (column, &importance) in importance.iter().enumerate() {
                    let diagonal = gram.values[column * gram.columns + column];
                    assert!((diagonal - importance).abs() <= 1e-4 * importance);
                }
            }
            Ok::<(), ModelError>(())
        })
        .unwrap();
        assert_eq!(layers, model.shape.layers + 1);
    }
}
