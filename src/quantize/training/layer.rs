//! Training of one layer.

use std::collections::BTreeMap;

use crate::model::{DenseLayer, Gain, LayerPlace, Map, Tape};
use crate::quantize::encoded::Encoded;

use super::adam::{Moments, Step};
use super::examples::{Batch, Examples};
use super::latent::{Latent, Rates};
use super::loss::relative_loss;
use crate::block::codes::Levels;
use crate::gguf::Format;

/// How layers are trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Training {
    /// How often the text is passed.
    pub passes: usize,
    /// Sequences of one step.
    pub batch: usize,
    /// The first step of the weights of a matrix, in steps of its grid.
    pub weight_rate: f32,
    /// The first step of scales and minimums, as a share of their size.
    pub scale_rate: f32,
    /// The first step of the gains of norms, as a share of their size.
    pub gain_rate: f32,
    /// Decides the order of the sequences.
    pub seed: u64,
}

impl Default for Training {
    fn default() -> Training {
        Training {
            passes: 4,
            batch: 4,
            weight_rate: 5e-3,
            scale_rate: 5e-4,
            gain_rate: 5e-4,
            seed: 0,
        }
    }
}

/// What came of training a layer.
#[derive(Debug, Clone)]
pub struct TrainedLayer {
    /// The trained matrices, in their formats.
    pub matrices: Vec<(Map, Vec<u8>)>,
    /// The gains of the norms that the layer has.
    pub gains: Vec<(Gain, Vec<f32>)>,
    /// Loss on held-out text before.
    pub before: f64,
    /// And after: never more.
    pub after: f64,
}

impl TrainedLayer {
    /// What the file holds, by the name of the tensor in the layer.
    pub fn contents(self) -> BTreeMap<&'static str, Vec<u8>> {
        let matrices = self.matrices.into_iter().map(|(map, bytes)| (map.part(), bytes));
        let bytes = |values: Vec<f32>| values.iter().flat_map(|x| x.to_le_bytes()).collect();
        let gains = self.gains.into_iter().map(|(gain, values)| (gain.part(), bytes(values)));
        matrices.chain(gains).collect()
    }
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
    matrices: Vec<Trained<'t>>,
    gain_moments: [Moments; 6],
    /// As evaluated.
    weights: DenseLayer,
    gradients: DenseLayer,
    tape: Tape,
    batch: Batch,
    /// Of the loss.
    gradient: Vec<f32>,
}

/// One matrix of it.
struct Trained<'t> {
    map: Map,
    start: &'t Encoded,
    latent: Latent,
    /// Rates at the start.
    rates: Rates,
}

/// Trains the matrices `encoded` of a layer whose full-precision weights are `full`, and its norms.
/// `on_step` hears of every step.
pub fn train_layer(
    place: &LayerPlace,
    full: DenseLayer,
    encoded: &[(Map, &Encoded)],
    examples: Examples,
    training: Training,
    on_step: &mut dyn FnMut(Learning),
) -> TrainedLayer {
    let mut trainee = Trainee::new(place, full, encoded, training);
    let before = trainee.held_out_loss(examples, training.batch);
    let mut best = trainee.state(before, before);
    let steps = training.passes * examples.learnt.div_ceil(training.batch);
    let mut number = 0;
    for pass in 0..training.passes {
        let order = examples.order(training.seed ^ ((pass as u64) << 32));
        for sequences in order.chunks(training.batch) {
            number += 1;
            let along = (number as f64 - 0.5) / steps as f64;
            let decay = 0.5 * (1.0 + (std::f64::consts::PI * along).cos());
            examples.gather(sequences, &mut trainee.batch);
            let gain_rate = training.gain_rate;
            let loss = trainee.learn(Step::new(number), decay as f32, gain_rate, examples.width);
            let tokens = trainee.batch.lengths.iter().sum();
            on_step(Learning { tokens, loss, held_out: best.after });
        }
        let loss = trainee.held_out_loss(examples, training.batch);
        tracing::debug!(pass, before, loss, "trained");
        if loss < best.after {
            best = trainee.state(before, loss);
        }
    }
    best
}

impl<'t> Trainee<'t> {
    fn new(
        place: &'t LayerPlace<'t>,
        full: DenseLayer,
        encoded: &[(Map, &'t Encoded)],
        training: Training,
    ) -> Trainee<'t> {
        let trained = |&(map, start): &(Map, &'t Encoded)| {
            let latent = Latent::new(start.format, &start.bytes, &full[map].values);
            let rates = rates(start.format, latent.typical_scale(), training);
            Trained { map, start, latent, rates }
        };
        let matrices: Vec<Trained> = encoded.iter().map(trained).collect();
        let mut trainee = Trainee {
            place,
            matrices,
            gain_moments: Gain::ALL.map(|gain| Moments::new(full[gain].len())),
            gradients: full.zeros(),
            weights: full,
            tape: Tape::default(),
            batch: Batch::default(),
            gradient: Vec::new(),
        };
        trainee.evaluate();
        trainee
    }

    /// Rounds the weights.
    fn evaluate(&mut self) {
        for Trained { map, latent, .. } in &self.matrices {
            latent.evaluate(&mut self.weights[*map].values);
        }
    }

    /// Passes the batch through the layer, and returns the loss.
    fn forward(&mut self, width: usize) -> f64 {
        let Batch { lengths, inputs, targets } = &self.batch;
        let y = self.tape.forward(self.place, &self.weights, inputs, lengths);
        relative_loss(y, targets, width, &mut self.gradient)
    }

    /// One step on the batch, and the loss before it.
    fn learn(&mut self, step: Step, decay: f32, gain_rate: f32, width: usize) -> f64 {
        let loss = self.forward(width);
        self.tape.backward(self.place, &self.weights, &self.gradient, &mut self.gradients);
        for Trained { map, latent, rates, .. } in &mut self.matrices {
            latent.step(step, rates.times(decay), &self.gradients[*map].values);
        }
        for (gain, moments) in Gain::ALL.into_iter().zip(&mut self.gain_moments) {
            let gains = &mut self.weights[gain];
            let rate = gain_rate * decay * root_mean_square(gains);
            step.take(rate, &self.gradients[gain], moments, gains);
        }
        self.evaluate();
        loss
    }

    fn held_out_loss(&mut self, examples: Examples, batch: usize) -> f64 {
        let (mut sum, mut tokens) = (0.0, 0);
        for sequences in examples.held_out().chunks(batch) {
            examples.gather(sequences, &mut self.batch);
            let here: usize = self.batch.lengths.iter().sum();
            sum += self.forward(examples.width) * here as f64;
            tokens += here;
        }
        sum / tokens.max(1) as f64
    }

    fn state(&self, before: f64, after: f64) -> TrainedLayer {
        let matrix = |matrix: &Trained| (matrix.map, matrix.latent.export(&matrix.start.bytes));
        let gains = Gain::ALL.into_iter().map(|gain| (gain, self.weights[gain].clone()));
        TrainedLayer {
            matrices: self.matrices.iter().map(matrix).collect(),
            gains: gains.filter(|(_, values)| !values.is_empty()).collect(),
            before,
            after,
        }
    }
}

/// The first rates of a matrix whose scales are about `scale`.
fn rates(format: Format, scale: f32, training: Training) -> Rates {
    let step = scale * Levels::of(format).spacing();
    Rates {
        weights: training.weight_rate * step,
        scales: training.scale_rate * scale,
        mins: training.scale_rate * step,
    }
}

impl Rates {
    fn times(self, factor: f32) -> Rates {
        let Rates { weights, scales, mins } = self;
        Rates { weights: weights * factor, scales: scales * factor, mins: mins * factor }
    }
}

fn root_mean_square(x: &[f32]) -> f32 {
    let squares: f64 = x.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    (squares / x.len().max(1) as f64).sqrt() as f32
}
