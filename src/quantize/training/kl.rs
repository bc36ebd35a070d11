//! How far what the quantized model says is from what the full-precision model says: the KL divergence
//! over the whole vocabulary, at temperature 1, and its gradient.
//!
//! Logits are in memory for some tokens at a time only.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::model::Model;
use crate::simd::{Level, exp};

/// Logits of one model that are in memory at a time, 32 MiB of them, or those of one token.
const LOGITS: usize = 8 << 20;
/// Logits whose sums are of F32; sums of these are of F64.
const BLOCK: usize = 256;

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
        let of_token = |(full, quantized)| Level::widest().run(OfToken { full, quantized });
        let parts: Vec<f64> = rows.map(of_token).collect();
        parts.iter().sum()
    }
}

/// Logits of one token. Those of the full-precision model are replaced by the gradient of the
/// divergence by those of the quantized one.
struct OfToken<'a> {
    full: &'a mut [f32],
    quantized: &'a [f32],
}

impl WithSimd for OfToken<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        let OfToken { full, quantized } = self;
        let (full_high, high) = (highest(full), highest(quantized));
        let (mut p_sum, mut q_sum, mut cross) = (0.0, 0.0, 0.0);
        for (full, quantized) in full.chunks_mut(BLOCK).zip(quantized.chunks(BLOCK)) {
            let sums = of_block(full, full_high, quantized, high);
            p_sum += sums.p;
            q_sum += sums.q;
            cross += sums.cross;
        }
        let (p_scale, q_scale) = ((1.0 / p_sum) as f32, (1.0 / q_sum) as f32);
        for (p, quantized) in full.iter_mut().zip(quantized) {
            *p = exp(quantized - high) * q_scale - *p * p_scale;
        }
        // sum p (ln p - ln q)
        cross / p_sum + f64::from(high) - f64::from(full_high) + (q_sum / p_sum).ln()
    }
}

#[inline(always)]
fn highest(logits: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 16];
    let (chunks, rest) = logits.as_chunks::<16>();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = if x > *lane { x } else { *lane };
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |high, &x| high.max(x))
}

/// Sums over some tokens of the vocabulary.
struct Sums {
    /// Of `p = e^(full - full_high)`.
    p: f64,
    /// Of `e^(quantized - high)`.
    q: f64,
    /// Of `p * (full - quantized)`.
    cross: f64,
}

/// The sums over a block, in fixed lanes; `p` takes the place of `full`.
#[inline(always)]
fn of_block(full: &mut [f32], full_high: f32, quantized: &[f32], high: f32) -> Sums {
    let (mut p_sum, mut q_sum, mut cross) = ([0.0f32; 16], [0.0f32; 16], [0.0f32; 16]);
    let (chunks, rest) = full.as_chunks_mut::<16>();
    let (quantized_chunks, quantized_rest) = quantized.as_chunks::<16>();
    for (full, quantized) in chunks.iter_mut().zip(quantized_chunks) {
        for l in 0..16 {
            let p = exp(full[l] - full_high);
            p_sum[l] += p;
            q_sum[l] += exp(quantized[l] - high);
            cross[l] += p * (full[l] - quantized[l]);
            full[l] = p;
        }
    }
    for (l, (full, quantized)) in rest.iter_mut().zip(quantized_rest).enumerate() {
        let p = exp(*full - full_high);
        p_sum[l] += p;
        q_sum[l] += exp(quantized - high);
        cross[l] += p * (*full - quantized);
        *full = p;
    }
    let sum = |lanes: [f32; 16]| lanes.iter().map(|&x| f64::from(x)).sum();
    Sums { p: sum(p_sum), q: sum(q_sum), cross: sum(cross) }
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
            let kl = Level::widest().run(OfToken { full: &mut gradient, quantized: &quantized });
            let wide = |x: &[f32]| x.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
            let (p, q) = (log_softmax(&wide(&full)), log_softmax(&wide(&quantized)));
            let expected: f64 = p.iter().zip(&q).map(|(p, q)| p.exp() * (p - q)).sum();
            assert!((kl - expected).abs() < 1e-5 * expected, "{kl} for {expected}");
            for ((found, p), q) in gradient.iter().zip(&p).zip(&q) {
                assert!((f64::from(*found) - (q.exp() - p.exp())).abs() < 1e-6);
            }
            let mut same = full.clone();
            let none = Level::widest().run(OfToken { full: &mut same, quantized: &full });
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
