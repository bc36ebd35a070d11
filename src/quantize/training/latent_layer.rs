//! A layer while it is trained: its matrices as latents, and the gains of its norms.

use std::collections::BTreeMap;

use crate::block::codes::Levels;
use crate::gguf::Format;
use crate::model::{DenseLayer, Gain, Map};
use crate::quantize::candidate::Candidate;
use crate::quantize::encoded::Encoded;

use super::adam::Step;
use super::gains::LatentGains;
use super::latent::{Latent, Rates};

/// The trained parts of a layer.
#[derive(Debug)]
pub struct LatentLayer<'t> {
    matrices: Vec<LatentMatrix<'t>>,
    /// Of the norms that the layer has, with what the file calls them.
    gains: Vec<(Gain, &'static str, LatentGains)>,
}

/// One of its matrices.
#[derive(Debug)]
struct LatentMatrix<'t> {
    map: Map,
    start: &'t Encoded,
    latent: Latent,
    /// At most.
    rates: Rates,
}

/// How far steps go at most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepLengths {
    /// Those of the weights of a matrix, in steps of its grid.
    pub weights: f32,
    /// Those of scales, as a share of the root mean square of the matrix's, and of minimums, as one of
    /// a grid step of such a scale.
    pub scales: f32,
    /// Those of the gains of norms, each as a share of its size.
    pub gains: f32,
}

impl<'t> LatentLayer<'t> {
    /// Starts from encodings of matrices, whose weights in full precision are among `weights`, and
    /// from the gains there.
    pub fn new(
        weights: &DenseLayer,
        encoded: &[(Map, &'t Encoded)],
        longest: StepLengths,
    ) -> LatentLayer<'t> {
        let matrix = |&(map, start): &(Map, &'t Encoded)| {
            let Encoded { format, shared, ref bytes, .. } = *start;
            let latent = Latent::new(format, shared, bytes, &weights[map].values);
            let rates = rates(start.format, latent.typical_scale(), longest);
            LatentMatrix { map, start, latent, rates }
        };
        let gain = |(gain, values): (Gain, &Vec<f32>)| {
            Some((gain, weights.gain_name(gain)?, LatentGains::new(values, longest.gains)))
        };
        LatentLayer {
            matrices: encoded.iter().map(matrix).collect(),
            gains: weights.gains().filter_map(gain).collect(),
        }
    }

    /// What the file will hold of these parts, widened, in their places among `weights`.
    pub fn evaluate(&self, weights: &mut DenseLayer) {
        for LatentMatrix { map, latent, .. } in &self.matrices {
            latent.evaluate(&mut weights[*map].values);
        }
        for (gain, _, gains) in &self.gains {
            weights[*gain].copy_from_slice(gains.values());
        }
    }

    /// One step along the gradients of what was evaluated; it goes `decay` times as far as the
    /// longest one.
    pub fn step(&mut self, step: Step, decay: f32, gradients: &DenseLayer) {
        for LatentMatrix { map, latent, rates, .. } in &mut self.matrices {
            latent.step(step, rates.times(decay), &gradients[*map].values);
        }
        for (gain, _, gains) in &mut self.gains {
            gains.step(step, decay, &gradients[*gain]);
        }
    }

    /// What the file will hold, by the name of the tensor in the layer.
    pub fn contents(&self) -> BTreeMap<&'static str, Vec<u8>> {
        let matrices = self.matrices.iter();
        let matrices =
            matrices.map(|matrix| (matrix.map.name(), matrix.latent.export(&matrix.start.bytes)));
        let gains = self.gains.iter().map(|(_, name, gains)| (*name, gains.bytes()));
        matrices.chain(gains).collect()
    }

    /// What each of the [contents](Self::contents) is encoded in.
    pub fn candidates(&self) -> BTreeMap<&'static str, Candidate> {
        let matrices = self.matrices.iter();
        let matrices = matrices.map(|matrix| (matrix.map.name(), matrix.start.candidate()));
        let single = Candidate::encoded(Format::F32);
        matrices.chain(self.gains.iter().map(|(_, name, _)| (*name, single))).collect()
    }

    /// Shows every number that steps change.
    pub fn visit(&mut self, see: &mut impl FnMut(&mut f32)) {
        self.matrices.iter_mut().for_each(|matrix| matrix.latent.visit(see));
        self.gains.iter_mut().for_each(|(_, _, gains)| gains.visit(see));
    }
}

/// The highest rates of a matrix whose scales are about `scale`.
fn rates(format: Format, scale: f32, longest: StepLengths) -> Rates {
    let step = scale * Levels::of(format).spacing();
    Rates {
        weights: longest.weights * step,
        scales: longest.scales * scale,
        mins: longest.scales * step,
    }
}

impl Rates {
    fn times(self, factor: f32) -> Rates {
        let Rates { weights, scales, mins } = self;
        Rates { weights: weights * factor, scales: scales * factor, mins: mins * factor }
    }
}
