//! Tokens on their way through a model, one layer or a part of one at a time, so that weights may
//! change between the moment their input is seen and the moment the tokens move on.

use std::mem;

use super::error::ModelError;
use super::forward::{Batch, Model, RopeTables, batches};
use super::layer::Layer;
use super::layer_pass::{LayerPass, Workspace};
use super::linear::Linear;
use super::norm::rms_norm;
use super::parts::{Gain, LinearInput, Map};
use super::trace::{Trace, Untraced};

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
    pub fn look(&self, weights: &Layer<Linear>, trace: &mut dyn Trace) {
        let mut see = |input, x: &[f32], columns| trace.see(self.layer, input, x, columns);
        let width = self.model.shape.width;
        match &self.place {
            Place::BeforeAttention => {
                self.normed(weights.gain(Gain::Attention), |x| {
                    see(LinearInput::Attention, x, width)
                });
            }
            Place::Attended(x) => {
                let columns = weights[Map::Output].weight.columns;
                x.iter().for_each(|x| see(LinearInput::AttentionOutput, x, columns));
            }
            Place::BeforeFfn => {
                self.normed(weights.gain(Gain::Ffn), |x| see(LinearInput::Ffn, x, width))
            }
            Place::Gated(x) => {
                let columns = weights[Map::Down].weight.columns;
                x.iter().for_each(|x| see(LinearInput::FfnDown, x, columns));
            }
        }
    }

    /// Passes all tokens through the linear maps that come next, with these weights. Takes the
    /// memory of what lies between two maps, of all tokens.
    pub fn advance_part(&mut self, weights: &Layer<Linear>) -> Result<(), ModelError> {
        let Stepwise { model, rope, workspace, batches, x, layer, place } = self;
        let passes = batches.iter().map(|batch| {
            (pass(model, rope, *layer, weights, batch), batch.values(model.shape.width))
        });
        *place = match mem::take(place) {
            Place::BeforeAttention => {
                let attended = passes.map(|(pass, rows)| {
                    pass.attend(&x[rows], None, workspace, &mut Untraced);
                    mem::take(&mut workspace.attended)
                });
                Place::Attended(attended.collect())
            }
            Place::Attended(attended) => {
                for ((pass, rows), attended) in passes.zip(attended) {
                    workspace.attended = attended;
                    pass.finite_project(&mut x[rows], workspace, &mut Untraced)?;
                }
                Place::BeforeFfn
            }
            Place::BeforeFfn => {
                let gated = passes.map(|(pass, rows)| {
                    pass.widen(&x[rows], workspace, &mut Untraced);
                    mem::take(&mut workspace.gate)
                });
                Place::Gated(gated.collect())
            }
            Place::Gated(gated) => {
                for ((pass, rows), gated) in passes.zip(gated) {
                    workspace.gate = gated;
                    pass.finite_project_back(&mut x[rows], workspace, &mut Untraced)?;
                }
                *layer += 1;
                Place::BeforeAttention
            }
        };
        Ok(())
    }

    /// Passes all tokens through the next layer, with these weights.
    pub fn advance(&mut self, weights: &Layer<Linear>) -> Result<(), ModelError> {
        self.advance_seen(weights, &mut Untraced)
    }

    /// Passes all tokens through the next layer, with these weights, and shows its inputs.
    pub fn advance_seen(
        &mut self,
        weights: &Layer<Linear>,
        trace: &mut dyn Trace,
    ) -> Result<(), ModelError> {
        debug_assert!(matches!(self.place, Place::BeforeAttention), "amid a layer");
        let Stepwise { model, rope, workspace, batches, x, layer, .. } = self;
        for batch in batches.iter() {
            let x = &mut x[batch.values(model.shape.width)];
            let pass = pass(model, rope, *layer, weights, batch);
            pass.attend(x, None, workspace, trace);
            pass.project_and_feed(x, workspace, trace)?;
        }
        self.layer += 1;
        Ok(())
    }

    /// Shows what the output head sees; after the last layer.
    pub fn look_at_head(&self, trace: &mut dyn Trace) {
        let (shape, weights) = (&self.model.shape, &self.model.weights);
        self.normed(Some(&weights.output_norm), |x| {
            trace.see(shape.layers, LinearInput::Head, x, shape.width);
        });
    }

    /// The residual stream, normalised if there is a gain for it, batch by batch.
    fn normed(&self, gain: Option<&[f32]>, mut each: impl FnMut(&[f32])) {
        let shape = &self.model.shape;
        let mut normed = Vec::new();
        for batch in &self.batches {
            let x = &self.x[batch.values(shape.width)];
            let Some(gain) = gain else {
                each(x);
                continue;
            };
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
    weights: &'p Layer<Linear<'w>>,
    batch: &'p Batch,
) -> LayerPass<'p, Linear<'w>> {
    let (shape, rope) = (&model.shape, rope.of(&model.shape, layer));
    let (Batch { spans, positions, .. }, cached) = (batch, model.weights.cached);
    LayerPass { shape, layer, weights, rope, spans, positions, cached }
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

    impl Trace for Seen {
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
        let all = Session::new(&model).hidden(&sequences, Wanted::All, &mut Untraced).unwrap();
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
