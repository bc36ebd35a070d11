//! How far what the quantized model says is from what the full-precision model says: the KL divergence
//! over the whole vocabulary, at temperature 1, and its gradient.
//!
//! Logits are in memory for some tokens at a time only.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::model::Model;
use crate::model::softmax::{highest, sums};
use crate::simd::{Level, exp};

/// Logits of one model that are in memory at a time, 32 MiB of them, or those of one token.
const LOGITS: usize = 8 << 20;

/// Two models of one vocabulary, and room for their logits.
#[derive(Debug)]
pub struct Kl<'m> {
    full: &'m Model<'m>,
    quantized: &'m Model<'m>,
    full_logits: Vec<f32>,
    logits: Vec<f32>,
}

impl<'m> Kl<'m> {
    /// Of `quantized` from `full`.
    pub fn new(full: &'m Model<'m>, quantized: &'m Model<'m>) -> Kl<'m> {
        Kl { full, quantized, full_logits: Vec::new(), logits: Vec::new() }
    }

    /// The sum over tokens of KL(full precision || quantized) in nats, where the models have these
    /// hidden states, normalised for the output head: tokens x width.
    pub fn sum(&mut self, full_hidden: &[f32], hidden: &[f32]) -> f64 {
        let values = self.values_at_a_time();
        let slices = full_hidden.chunks(values).zip(hidden.chunks(values));
        slices.map(|(full_hidden, hidden)| self.compare(full_hidden, hidden)).sum()
    }

    /// The [sum](Self::sum), and its gradient by `hidden` in `gradient`.
    pub fn sum_and_gradient(
        &mut self,
        full_hidden: &[f32],
        hidden: &[f32],
        gradient: &mut [f32],
    ) -> f64 {
        let values = self.values_at_a_time();
        let slices = full_hidden.chunks(values).zip(hidden.chunks(values));
        let slices = slices.zip(gradient.chunks_mut(values));
        let slice = |((full_hidden, hidden), gradient): ((&[f32], &[f32]), &mut [f32])| {
            let sum = self.compare(full_hidden, hidden);
            self.quantized.logits_backward(&self.logits, &mut self.full_logits, gradient);
            sum
        };
        slices.map(slice).sum()
    }

    /// Of hidden states that are compared at a time.
    fn values_at_a_time(&self) -> usize {
        (LOGITS / self.full.weights.vocabulary()).max(1) * self.full.shape.width
    }

    /// The sum over these tokens. The gradient of the quantized model's logits is left where the
    /// other's logits were.
    fn compare(&mut self, full_hidden: &[f32], hidden: &[f32]) -> f64 {
        let Kl { full, quantized, full_logits, logits } = self;
        full.logits(full_hidden, full_logits);
        quantized.logits(hidden, logits);
        let vocabulary = full.weights.vocabulary();
        let rows = full_logits.par_chunks_exact_mut(vocabulary);
        let rows = rows.zip(logits.par_chunks_exact(vocabulary));
        let parts: Vec<f64> = rows.map(|(full, quantized)| of_token(full, quantized)).collect();
        parts.iter().sum()
    }
}

/// KL(full precision || quantized) at one token, in nats. The logits of the full-precision model are
/// replaced by the gradient of it by those of the quantized one.
fn of_token(full: &mut [f32], quantized: &[f32]) -> f64 {
    let (full_high, high) = (largest(full), largest(quantized));
    let sums = sums(full, full_high, quantized, high);
    let scales = ((1.0 / sums.base) as f32, (1.0 / sums.quantized) as f32);
    Level::widest().run(Gradient { full, full_high, quantized, high, scales });
    sums.kld(full_high, high)
}

fn largest(logits: &[f32]) -> f32 {
    struct Largest<'a>(&'a [f32]);
    impl WithSimd for Largest<'_> {
        type Output = f32;

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> f32 {
            highest(self.0)
        }
    }
    Level::widest().run(Largest(logits))
}

/// The probabilities of the quantized model less those of the full-precision one, in the place of its
/// logits.
struct Gradient<'a> {
    full: &'a mut [f32],
    full_high: f32,
    quantized: &'a [f32],
    high: f32,
    /// What exponentials of either model are multiplied by.
    scales: (f32, f32),
}

impl WithSimd for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Gradient { full, full_high, quantized, high, scales } = self;
        for (full, quantized) in full.iter_mut().zip(quantized) {
            *full = exp(quantized - high) * scales.1 - exp(*full - full_high) * scales.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::Gguf;

    fn numbers(n: usize, salt: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 7919 + salt * 131) % 1009) as f32 / 504.5 - 1.0).collect()
    }

    /// Log-probabilities by the definition.
    fn log_softmax(logits: &[f64]) -> Vec<f64> {
        let sum: f64 = logits.iter().map(|x| x.exp()).sum();
        logits.iter().map(|x| x - sum.ln()).collect()
    }

    #[test]
    fn one_token_is_the_definition_and_its_gradient() {
        for vocabulary in [5, 256, 1000] {
            let full: Vec<f32> = numbers(vocabulary, 1).iter().map(|x| 9.0 * x).collect();
            let quantized: Vec<f32> =
                numbers(vocabulary, 2).iter().map(|x| 7.0 * x - 3.0).collect();
            let mut gradient = full.clone();
            let kl = of_token(&mut gradient, &quantized);
            let wide = |x: &[f32]| x.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
            let (p, q) = (log_softmax(&wide(&full)), log_softmax(&wide(&quantized)));
            let expected: f64 = p.iter().zip(&q).map(|(p, q)| p.exp() * (p - q)).sum();
            assert!((kl - expected).abs() < 1e-5 * expected, "{kl} for {expected}");
            for ((found, p), q) in gradient.iter().zip(&p).zip(&q) {
                assert!((f64::from(*found) - (q.exp() - p.exp())).abs() < 1e-6);
            }
            let mut same = full.clone();
            let none = of_token(&mut same, &full);
            assert!(none.abs() < 1e-6 && same.iter().all(|x| x.abs() < 1e-7), "{none}");
        }
    }

    /// With a head in its format, with and without a cap on logits; more tokens than one slice has.
    #[test]
    fn hidden_states_get_their_gradients() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tiny.gguf");
        let gguf = Gguf::open(path.as_ref()).unwrap();
        for cap in [None, Some(4.0)] {
            let mut model = Model::of(&gguf).unwrap();
            model.shape.logit_cap = cap;
            let (width, tokens) = (model.shape.width, 9);
            let (full, hidden) = (numbers(tokens * width, 1), numbers(tokens * width, 2));
            let mut kl = Kl::new(&model, &model);
            let mut gradient = vec![f32::NAN; hidden.len()];
            let sum = kl.sum_and_gradient(&full, &hidden, &mut gradient);
            assert_eq!(sum, kl.sum(&full, &hidden));
            let direction = numbers(hidden.len(), 3);
            let mut at = |step: f32| {
                let moved: Vec<f32> =
                    hidden.iter().zip(&direction).map(|(x, d)| x + step * d).collect();
                kl.sum(&full, &moved)
            };
            let expected = (at(1e-2) - at(-1e-2)) / 2e-2;
            let dot = |a: &[f32], b: &[f32]| -> f64 {
                a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
            };
            let found = dot(&gradient, &direction);
            let size = (dot(&gradient, &gradient) * dot(&direction, &direction)).sqrt();
            assert!((found - expected).abs() < 1e-3 * size, "{cap:?}: {found} for {expected}");
        }
    }
}
