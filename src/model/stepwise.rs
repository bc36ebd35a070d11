//! Tokens on their way through a model, one layer at a time, so that a layer may change between the
//! moment its inputs are seen and the moment the tokens move on.

use super::error::ModelError;
use super::forward::{Batch, Model, RopeTables, batches};
use super::layer_pass::{LayerPass, LinearInput, Observer, Unobserved, Workspace};
use super::norm::rms_norm;
use super::weights::Layer;

/// Whole sequences before one of the layers.
#[derive(Debug)]
pub struct Stepwise<'m, 'a> {
    model: &'m Model<'a>,
    rope: RopeTables,
    workspace: Workspace,
    batches: Vec<Batch>,
    /// The residual stream: tokens x width.
    x: Vec<f32>,
    layer: usize,
}

impl<'m, 'a> Stepwise<'m, 'a> {
    /// The sequences before the first layer.
    pub fn start(
        model: &'m Model<'a>,
        sequences: &[&[u32]],
    ) -> Result<Stepwise<'m, 'a>, ModelError> {
        let longest = sequences.iter().map(|tokens| tokens.len()).max().unwrap_or(0);
        Ok(Stepwise {
            model,
            rope: RopeTables::new(model, longest.next_power_of_two()),
            workspace: Workspace::default(),
            batches: batches(sequences.iter().map(|tokens| (tokens.len(), 0, 0))),
            x: model.embed(&sequences.concat())?,
            layer: 0,
        })
    }

    /// The layer that comes next.
    pub fn layer(&self) -> usize {
        self.layer
    }

    /// The residual stream before that layer: tokens x width.
    pub fn stream(&self) -> &[f32] {
        &self.x
    }

    /// Shows what the linear maps of the next layer see if it has these weights; the tokens stay.
    pub fn look(&mut self, weights: &Layer, observer: &mut dyn Observer) -> Result<(), ModelError> {
        let Stepwise { model, rope, workspace, batches, x, layer } = self;
        for batch in batches.iter() {
            let mut x = x[batch.values(model.shape.width)].to_vec();
            pass(model, rope, *layer, weights, batch).through(&mut x, workspace, observer)?;
        }
        Ok(())
    }

    /// Passes all tokens through the next layer, with these weights.
    pub fn advance(&mut self, weights: &Layer) -> Result<(), ModelError> {
        self.advance_seen(weights, &mut Unobserved)
    }

    /// Passes all tokens through the next layer, with these weights, and shows its inputs.
    pub fn advance_seen(
        &mut self,
        weights: &Layer,
        observer: &mut dyn Observer,
    ) -> Result<(), ModelError> {
        let Stepwise { model, rope, workspace, batches, x, layer } = self;
        for batch in batches.iter() {
            let x = &mut x[batch.values(model.shape.width)];
            pass(model, rope, *layer, weights, batch).through(x, workspace, observer)?;
        }
        self.layer += 1;
        Ok(())
    }

    /// Shows what the output head sees; after the last layer.
    pub fn look_at_head(&self, observer: &mut dyn Observer) {
        let (shape, weights) = (&self.model.shape, &self.model.weights);
        for batch in &self.batches {
            let x = &self.x[batch.values(shape.width)];
            let mut normed = vec![0.0; x.len()];
            rms_norm(x, &weights.output_norm, shape.norm_epsilon, &mut normed);
            observer.see(shape.layers, LinearInput::Head, &normed, shape.width);
        }
    }
}

fn pass<'p, 'w>(
    model: &'p Model,
    rope: &'p RopeTables,
    layer: usize,
    weights: &'p Layer<'w>,
    batch: &'p Batch,
) -> LayerPass<'p, 'w> {
    let (shape, rope) = (&model.shape, rope.of(&model.shape, layer));
    LayerPass { shape, layer, weights, rope, spans: &batch.spans, positions: &batch.positions }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::Gguf;
    use crate::model::{Session, Wanted};

    /// Keeps what the head sees, and counts what else is shown.
    #[derive(Default)]
    struct Seen {
        head: Vec<f32>,
        inputs: usize,
    }

    impl Observer for Seen {
        fn see(&mut self, _: usize, input: LinearInput, x: &[f32], _: usize) {
            match input {
                LinearInput::Head => self.head.extend(x),
                _ => self.inputs += 1,
            }
        }
    }

    #[test]
    fn layer_by_layer_is_the_same_as_all_at_once() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tiny.gguf");
        let gguf = Gguf::open(path.as_ref()).unwrap();
        let model = Model::of(&gguf).unwrap();
        let tokens: Vec<u32> = (0..300).map(|i| i * 7 % 1000).collect();
        let sequences = [&tokens[..100], &tokens[100..]];
        let all = Session::new(&model).hidden(&sequences, Wanted::All, &mut Unobserved).unwrap();
        let mut steps = Stepwise::start(&model, &sequences).unwrap();
        let mut seen = Seen::default();
        for layer in &model.weights.layers {
            steps.look(layer, &mut seen).unwrap();
            steps.advance(layer).unwrap();
        }
        steps.look_at_head(&mut seen);
        assert_eq!(steps.layer(), model.shape.layers);
        assert_eq!(seen.inputs, 4 * model.shape.layers);
        assert_eq!(seen.head, all);
    }
}
