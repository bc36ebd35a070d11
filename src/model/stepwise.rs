//! Tokens on their way through a model, one layer or a part of one at a time, so that weights may
//! change between the moment their input is seen and the moment the tokens move on.

use std::mem;

use super::error::ModelError;
use super::forward::{Batch, Model, RopeTables, batches};
use super::layer_pass::{LayerPass, LinearInput, Observer, Unobserved, Workspace};
use super::norm::rms_norm;
use super::weights::Layer;

/// Whole sequences on their way through the layers.
#[derive(Debug)]
pub struct Stepwise<'m, 'a> {
    model: &'m Model<'a>,
    rope: RopeTables,
    workspace: Workspace,
    batches: Vec<Batch>,
    /// The residual stream: tokens x width.
    x: Vec<f32>,
    layer: usize,
    place: Place,
}

/// Where in a layer the tokens are, with what lies between its maps: for each batch, tokens x
/// columns.
#[derive(Debug, Default)]
enum Place {
    #[default]
    BeforeAttention,
    Attended(Vec<Vec<f32>>),
    BeforeFfn,
    Gated(Vec<Vec<f32>>),
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
            place: Place::default(),
        })
    }

    /// The residual stream before the layer that comes next: tokens x width.
    pub fn stream(&self) -> &[f32] {
        &self.x
    }

    /// Shows the input of the linear maps that come next, in a layer of these weights: of attention
    /// before a layer, then as [`Stepwise::advance_part`] moves on. The tokens stay.
    pub fn look(&self, weights: &Layer, observer: &mut dyn Observer) {
        let Layer { attention_norm, ffn_norm, output, down, .. } = weights;
        let mut see = |input, x: &[f32], columns| observer.see(self.layer, input, x, columns);
        let width = self.model.shape.width;
        match &self.place {
            Place::BeforeAttention => {
                self.normed(attention_norm, |x| see(LinearInput::Attention, x, width));
            }
            Place::Attended(x) => {
                let columns = output.weight.columns;
                x.iter().for_each(|x| see(LinearInput::AttentionOutput, x, columns));
            }
            Place::BeforeFfn => self.normed(ffn_norm, |x| see(LinearInput::Ffn, x, width)),
            Place::Gated(x) => {
                let columns = down.weight.columns;
                x.iter().for_each(|x| see(LinearInput::FfnDown, x, columns));
            }
        }
    }

    /// Passes all tokens through the linear maps that come next, with these weights. Takes the
    /// memory of what lies between two maps, of all tokens.
    pub fn advance_part(&mut self, weights: &Layer) -> Result<(), ModelError> {
        let Stepwise { model, rope, workspace, batches, x, layer, place } = self;
        let passes = batches.iter().map(|batch| {
            (pass(model, rope, *layer, weights, batch), batch.values(model.shape.width))
        });
        *place = match mem::take(place) {
            Place::BeforeAttention => {
                let attended = passes.map(|(pass, rows)| {
                    pass.attend(&x[rows], None, workspace, &mut Unobserved);
                    mem::take(&mut workspace.attended)
                });
                Place::Attended(attended.collect())
            }
            Place::Attended(attended) => {
                for ((pass, rows), attended) in passes.zip(attended) {
                    workspace.attended = attended;
                    pass.project(&mut x[rows], workspace)?;
                }
                Place::BeforeFfn
            }
            Place::BeforeFfn => {
                let gated = passes.map(|(pass, rows)| {
                    pass.widen(&x[rows], workspace, &mut Unobserved);
                    mem::take(&mut workspace.gate)
                });
                Place::Gated(gated.collect())
            }
            Place::Gated(gated) => {
                for ((pass, rows), gated) in passes.zip(gated) {
                    workspace.gate = gated;
                    pass.project_back(&mut x[rows], workspace)?;
                }
                *layer += 1;
                Place::BeforeAttention
            }
        };
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
        debug_assert!(matches!(self.place, Place::BeforeAttention), "amid a layer");
        let Stepwise { model, rope, workspace, batches, x, layer, .. } = self;
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
        self.normed(&weights.output_norm, |x| {
            observer.see(shape.layers, LinearInput::Head, x, shape.width);
        });
    }

    /// The residual stream, normalised, batch by batch.
    fn normed(&self, gain: &[f32], mut each: impl FnMut(&[f32])) {
        let shape = &self.model.shape;
        let mut normed = Vec::new();
        for batch in &self.batches {
            let x = &self.x[batch.values(shape.width)];
            normed.resize(x.len(), 0.0);
            rms_norm(x, gain, shape.norm_epsilon, &mut normed);
            each(&normed);
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
    fn layer_by_layer_and_part_by_part_is_the_same_as_all_at_once() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tiny.gguf");
        let gguf = Gguf::open(path.as_ref()).unwrap();
        let model = Model::of(&gguf).unwrap();
        let tokens: Vec<u32> = (0..300).map(|i| i * 7 % 1000).collect();
        let sequences = [&tokens[..100], &tokens[100..]];
        let all = Session::new(&model).hidden(&sequences, Wanted::All, &mut Unobserved).unwrap();
        let mut steps = Stepwise::start(&model, &sequences).unwrap();
        let mut seen = Seen::default();
        for (number, layer) in model.weights.layers.iter().enumerate() {
            if number % 2 == 0 {
                steps.advance_seen(layer, &mut seen).unwrap();
                continue;
            }
            for _ in LinearInput::OF_LAYER {
                steps.look(layer, &mut seen);
                steps.advance_part(layer).unwrap();
            }
        }
        steps.look_at_head(&mut seen);
        assert_eq!(steps.layer, model.shape.layers);
        assert_eq!(seen.inputs, 4 * model.shape.layers);
        assert_eq!(seen.head, all);
    }
}
