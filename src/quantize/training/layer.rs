//! Training of one layer.

use std::collections::BTreeMap;

use crate::model::{DenseLayer, LayerPlace, Map, Tape};
use crate::quantize::encoded::Encoded;

use super::adam::{Step, cosine_decay};
use super::examples::{Batch, Examples, order};
use super::latent_layer::{LatentLayer, StepLengths};
use super::loss::relative_loss;

/// How layers are trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Training {
    /// How often the text is passed.
    pub passes: usize,
    /// Sequences of one step.
    pub batch: usize,
    /// How far the first step goes, which is the longest.
    pub longest: StepLengths,
    /// Decides the order of the sequences.
    pub seed: u64,
}

impl Default for Training {
    fn default() -> Training {
        Training {
            passes: 4,
            batch: 2,
            longest: StepLengths { weights: 6e-3, scales: 1e-4, gains: 5e-4 },
            seed: 0,
        }
    }
}

impl Training {
    /// All steps of a layer that learns from so many sequences.
    pub fn steps(&self, learnt: usize) -> usize {
        self.passes * learnt.div_ceil(self.batch)
    }
}

/// What came of training a layer.
#[derive(Debug, Clone)]
pub struct TrainedLayer {
    /// What the file will hold, by the name of the tensor in the layer.
    pub contents: BTreeMap<&'static str, Vec<u8>>,
    /// Loss on held-out text before.
    pub before: f64,
    /// And after: never more.
    pub after: f64,
    /// The loss after each pass over the text.
    pub passes: Vec<f64>,
}

/// How far the training of a layer is, after a step.
#[derive(Debug, Clone, Copy)]
pub struct Learning {
    /// Tokens of the step.
    pub tokens: usize,
    /// Loss on them, before it.
    pub loss: f64,
    /// The least loss on held-out text so far.
    pub held_out: f64,
}

/// A layer in training.
struct Trainee<'t> {
    place: &'t LayerPlace<'t>,
    latent: LatentLayer<'t>,
    /// As evaluated.
    weights: DenseLayer,
    gradients: DenseLayer,
    tape: Tape,
    batch: Batch,
    /// Of the loss.
    gradient: Vec<f32>,
}

/// Trains the matrices `encoded` of a layer whose full-precision weights are `full`, and its norms, in
/// so many steps. `on_step` hears of every step.
///
/// What is returned is what lost least on held-out text after any pass. A pass that gains nothing ends
/// nothing: while steps are long the loss often rises, and most is gained when they are short at last.
pub fn train_layer(
    place: &LayerPlace,
    full: DenseLayer,
    encoded: &[(Map, &Encoded)],
    examples: Examples,
    training: Training,
    steps: usize,
    on_step: &mut dyn FnMut(Learning),
) -> TrainedLayer {
    let mut trainee = Trainee::new(place, full, encoded, training);
    let before = trainee.held_out_loss(examples, training.batch);
    let mut best = trainee.state(before, before);
    let (mut number, mut pass, mut passes) = (0, 0, Vec::new());
    while number < steps {
        let order = order(examples.learnt, training.seed, pass);
        for sequences in order.chunks(training.batch).take(steps - number) {
            number += 1;
            examples.gather(sequences, &mut trainee.batch);
            let decay = cosine_decay(number, steps);
            let loss = trainee.learn(Step::new(number), decay, examples.channel_weights);
            let tokens = trainee.batch.lengths.iter().sum();
            on_step(Learning { tokens, loss, held_out: best.after });
        }
        let loss = trainee.held_out_loss(examples, training.batch);
        tracing::debug!(pass, before, loss, "trained");
        passes.push(loss);
        if loss < best.after {
            best = trainee.state(before, loss);
        }
        pass += 1;
    }
    TrainedLayer { passes, ..best }
}

impl<'t> Trainee<'t> {
    fn new(
        place: &'t LayerPlace<'t>,
        full: DenseLayer,
        encoded: &[(Map, &'t Encoded)],
        training: Training,
    ) -> Trainee<'t> {
        let mut trainee = Trainee {
            place,
            latent: LatentLayer::new(&full, encoded, training.longest),
            gradients: full.zeros(),
            weights: full,
            tape: Tape::default(),
            batch: Batch::default(),
            gradient: Vec::new(),
        };
        trainee.latent.evaluate(&mut trainee.weights);
        trainee
    }

    /// Passes the batch through the layer, and returns the loss.
    fn forward(&mut self, channel_weights: &[f32]) -> f64 {
        let Batch { lengths, inputs, targets } = &self.batch;
        let y = self.tape.forward(self.place, &self.weights, inputs, lengths);
        relative_loss(y, targets, channel_weights, &mut self.gradient)
    }

    /// One step on the batch, and the loss before it.
    fn learn(&mut self, step: Step, decay: f32, channel_weights: &[f32]) -> f64 {
        let loss = self.forward(channel_weights);
        let Trainee { place, weights, gradient, gradients, .. } = self;
        self.tape.backward_weights(place, weights, gradient, gradients);
        self.latent.step(step, decay, &self.gradients);
        self.latent.evaluate(&mut self.weights);
        loss
    }

    fn held_out_loss(&mut self, examples: Examples, batch: usize) -> f64 {
        let (mut sum, mut tokens) = (0.0, 0);
        for sequences in examples.held_out().chunks(batch) {
            examples.gather(sequences, &mut self.batch);
            let here: usize = self.batch.lengths.iter().sum();
            sum += self.forward(examples.channel_weights) * here as f64;
            tokens += here;
        }
        sum / tokens.max(1) as f64
    }

    fn state(&self, before: f64, after: f64) -> TrainedLayer {
        TrainedLayer { contents: self.latent.contents(), before, after, passes: Vec::new() }
    }
}
