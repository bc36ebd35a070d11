//! A whole quantized model while it is trained.
//!
//! In memory are, for every weight, its latent and the two moments of its gradient, and the same of
//! the grids: 13 bytes a weight, or 14; of one batch, the residual stream before each layer; and of
//! one layer at a time its widened weights, their gradients and its activations, which are computed
//! anew on the way back. A layer takes its step as soon as it has its gradients.

use std::collections::BTreeMap;

use crate::gguf::Format;
use crate::model::{
    DenseLayer, LayerPlace, Model, ModelError, Stepwise, Tape, norm_backward, rms_norm,
};
use crate::quantize::candidate::Candidate;
use crate::quantize::encoded::Encodings;

use super::adam::Step;
use super::gains::LatentGains;
use super::kl::Kl;
use super::latent_layer::{LatentLayer, StepLengths};
use super::parts::{beginning, name, parts};

/// The gains of the last norm.
const OUTPUT_NORM: &str = "output_norm.weight";

/// A model whose layers and last norm learn. Its embedding and its output head stay.
#[derive(Debug)]
pub struct Student<'t> {
    /// As it was at the start.
    quantized: &'t Model<'t>,
    places: Vec<LayerPlace<'t>>,
    layers: Vec<LatentLayer<'t>>,
    output_norm: LatentGains,
    kl: Kl<'t>,
    tape: Tape,
}

/// Sequences, and what the full-precision model makes of them.
#[derive(Debug, Clone, Copy)]
pub struct Lesson<'l> {
    /// The sequences.
    pub sequences: &'l [&'l [u32]],
    /// The hidden states of all their tokens, normalised for the output head: tokens x width.
    pub hidden: &'l [f32],
}

impl<'t> Student<'t> {
    /// `model` with `encodings`, which is `quantized`, for sequences of up to `longest` tokens.
    pub fn new(
        model: &'t Model<'t>,
        quantized: &'t Model<'t>,
        encodings: &'t Encodings,
        longest: usize,
        steps: StepLengths,
    ) -> Student<'t> {
        let layer = |(number, full)| {
            let parts = parts(encodings, number, full);
            let weights = beginning(&quantized.weights.layers[number], full, &parts);
            LatentLayer::new(&weights, &parts, steps)
        };
        let places = (0..model.shape.layers).map(|layer| LayerPlace::new(model, layer, longest));
        Student {
            quantized,
            places: places.collect(),
            layers: model.weights.layers.iter().enumerate().map(layer).collect(),
            output_norm: LatentGains::new(&quantized.weights.output_norm, steps.gains),
            kl: Kl::new(model, quantized),
            tape: Tape::default(),
        }
    }

    /// The sum over all tokens of KL(full precision || quantized) in nats.
    pub fn kl(&mut self, lesson: Lesson) -> Result<f64, ModelError> {
        let mut stream = self.embed(lesson)?;
        for layer in 0..self.layers.len() {
            stream = self.pass(layer, &stream, &lesson.lengths());
        }
        Ok(self.kl.sum(lesson.hidden, &self.normed(&stream)))
    }

    /// One step, `decay` times as far as the longest, towards a lower KL divergence on these
    /// sequences; its sum before the step is returned.
    pub fn learn(&mut self, lesson: Lesson, step: Step, decay: f32) -> Result<f64, ModelError> {
        let lengths = lesson.lengths();
        let mut inputs = vec![self.embed(lesson)?];
        for layer in 0..self.layers.len() {
            inputs.push(self.pass(layer, &inputs[layer], &lengths));
        }
        let last = inputs.pop().unwrap_or_default();
        let mut gradient = vec![0.0; last.len()];
        let sum = self.kl.sum_and_gradient(lesson.hidden, &self.normed(&last), &mut gradient);

        let (gain, epsilon) = (self.output_norm.values(), self.quantized.shape.norm_epsilon);
        let mut of_gain = vec![0.0; gain.len()];
        norm_backward(&last, gain, epsilon, &mut gradient, &mut of_gain);
        self.output_norm.step(step, decay, &of_gain);
        for (layer, input) in inputs.iter().enumerate().rev() {
            let weights = self.weights(layer);
            let mut gradients = weights.zeros();
            let place = &self.places[layer];
            self.tape.forward(place, &weights, input, &lengths);
            // The embedding does not learn.
            if layer == 0 {
                self.tape.backward_weights(place, &weights, &gradient, &mut gradients);
            } else {
                let back = self.tape.backward(place, &weights, &gradient, &mut gradients);
                gradient.copy_from_slice(back);
            }
            self.layers[layer].step(step, decay, &gradients);
        }
        Ok(sum)
    }

    /// What all that is trained is encoded in, by the names of the tensors.
    pub fn candidates(&self) -> BTreeMap<String, Candidate> {
        let of_layer = |(number, layer): (usize, &LatentLayer)| {
            let parts = layer.candidates().into_iter();
            parts.map(|(part, to)| (name(number, part), to)).collect::<Vec<_>>()
        };
        let norm = (OUTPUT_NORM.into(), Candidate::encoded(Format::F32));
        self.layers.iter().enumerate().flat_map(of_layer).chain([norm]).collect()
    }

    /// What the file will hold of a layer, or of the last norm, by the names of the tensors.
    pub fn contents(&self, part: usize) -> Vec<(String, Vec<u8>)> {
        let Some(layer) = self.layers.get(part) else {
            return vec![(OUTPUT_NORM.into(), self.output_norm.bytes())];
        };
        let contents = layer.contents().into_iter();
        contents.map(|(name_there, bytes)| (name(part, name_there), bytes)).collect()
    }

    /// What has a state of its own: the layers, and the last norm.
    pub fn parts(&self) -> usize {
        self.layers.len() + 1
    }

    /// Shows every number of a part that steps change.
    pub fn visit(&mut self, part: usize, see: &mut impl FnMut(&mut f32)) {
        match self.layers.get_mut(part) {
            Some(layer) => layer.visit(see),
            None => self.output_norm.visit(see),
        }
    }

    /// The residual stream before the first layer: tokens x width.
    fn embed(&self, lesson: Lesson) -> Result<Vec<f32>, ModelError> {
        Ok(Stepwise::start(self.quantized, lesson.sequences)?.stream().to_vec())
    }

    /// What a layer makes of the residual stream.
    fn pass(&mut self, layer: usize, stream: &[f32], lengths: &[usize]) -> Vec<f32> {
        let weights = self.weights(layer);
        self.tape.forward(&self.places[layer], &weights, stream, lengths).to_vec()
    }

    /// The weights of a layer as the file would hold them.
    fn weights(&self, layer: usize) -> DenseLayer {
        let mut weights = DenseLayer::of(&self.quantized.weights.layers[layer]);
        self.layers[layer].evaluate(&mut weights);
        weights
    }

    /// The residual stream after the last layer, normalised for the output head.
    fn normed(&self, stream: &[f32]) -> Vec<f32> {
        let mut normed = vec![0.0; stream.len()];
        let epsilon = self.quantized.shape.norm_epsilon;
        rms_norm(stream, self.output_norm.values(), epsilon, &mut normed);
        normed
    }
}

impl Lesson<'_> {
    /// Tokens of each sequence.
    fn lengths(&self) -> Vec<usize> {
        self.sequences.iter().map(|tokens| tokens.len()).collect()
    }
}
