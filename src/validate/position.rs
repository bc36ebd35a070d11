//! One scored position: what the full-precision and the quantized model say comes next, and what
//! does.

use std::fmt;

use crate::model::softmax::{Extent, extent, sums};

use super::logits_file::RANGE;

/// How two models differ at one position of a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Position {
    /// Negative log-likelihood of the next token by the quantized model, in nats.
    pub nll: f32,
    /// The same by the full-precision model.
    pub nll_base: f32,
    /// That as llama-perplexity's file of predictions holds it: no token is more than 16 nats less
    /// likely there than the likeliest.
    pub nll_base_clipped: f32,
    /// KL(full precision || quantized), in nats.
    pub kld: f32,
    /// Probability of the next token by the quantized model less that by the full-precision one.
    pub dp: f32,
    /// Whether both find the same token the likeliest.
    pub same_top: bool,
    /// The token that the full-precision model finds the likeliest, and its probability by it.
    pub top_base: Likeliest,
    /// The same of the quantized model.
    pub top: Likeliest,
}

/// The token that a model finds the likeliest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Likeliest {
    /// The token.
    pub token: u32,
    /// Its probability, as a fraction of 1.
    pub probability: f32,
}

/// Which of two models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The full-precision one.
    Base,
    /// The quantized one.
    Quantized,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Base => "full-precision",
            Side::Quantized => "quantized",
        })
    }
}

/// A logit that is no number to compute with.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{value} in the logits of the {side} model, at token {token}")]
pub struct NotFinite {
    /// The model that computed it.
    pub side: Side,
    /// The token that it is the logit of.
    pub token: usize,
    /// NaN or an infinity.
    pub value: f32,
}

impl Position {
    /// Compares two rows of logits, one for each token of the vocabulary, when `next` is the token
    /// that follows. A row may have any constant added to it: logarithms of probabilities do too.
    ///
    /// The KLD is that of llama-perplexity, but exact: over the whole vocabulary and on 32-bit
    /// logits. llama-perplexity leaves out tokens with a `ln p` below -16, has the full-precision
    /// model's logarithms from 16-bit codes, which start 16 below the likeliest token, and so now
    /// and then comes out below 0.
    ///
    /// # Panics
    /// If the rows differ in length, or `next` is not in the vocabulary.
    pub fn of(base: &[f32], quantized: &[f32], next: u32) -> Result<Position, NotFinite> {
        assert_eq!(base.len(), quantized.len(), "one vocabulary");
        let next = next as usize;
        assert!(next < base.len(), "token {next} of {}", base.len());
        let (p, q) = (finite(base, Side::Base)?, finite(quantized, Side::Quantized)?);
        let sums = sums(base, p.high, quantized, q.high);
        // Logarithms of the sums of e^logit.
        let whole_base = f64::from(p.high) + sums.base.ln();
        let whole = f64::from(q.high) + sums.quantized.ln();
        let nll_base = whole_base - f64::from(base[next]);
        let clipped = base[next].max(p.high - RANGE);
        let nll = whole - f64::from(quantized[next]);
        let kld = sums.kld(p.high, q.high);
        Ok(Position {
            nll: nll as f32,
            nll_base: nll_base as f32,
            nll_base_clipped: (whole_base - f64::from(clipped)) as f32,
            // What rounding puts below 0 is no divergence.
            kld: kld.max(0.0) as f32,
            dp: ((-nll).exp() - (-nll_base).exp()) as f32,
            same_top: p.top == q.top,
            // The sums are over the exponentials of what is below the likeliest token's logit.
            top_base: Likeliest { token: p.top as u32, probability: (1.0 / sums.base) as f32 },
            top: Likeliest { token: q.top as u32, probability: (1.0 / sums.quantized) as f32 },
        })
    }
}

fn finite(row: &[f32], side: Side) -> Result<Extent, NotFinite> {
    extent(row).map_err(|token| NotFinite { side, token, value: row[token] })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// By the definitions, in plain F64.
    fn naive(base: &[f32], quantized: &[f32], next: usize) -> [f64; 4] {
        let log_softmax = |row: &[f32]| -> Vec<f64> {
            let high = row.iter().fold(f64::NEG_INFINITY, |high, &x| high.max(f64::from(x)));
            let sum: f64 = row.iter().map(|&x| (f64::from(x) - high).exp()).sum();
            row.iter().map(|&x| f64::from(x) - high - sum.ln()).collect()
        };
        let (p, q) = (log_softmax(base), log_softmax(quantized));
        let kld = p.iter().zip(&q).map(|(p, q)| p.exp() * (p - q)).sum();
        [-q[next], -p[next], kld, q[next].exp() - p[next].exp()]
    }

    fn check(base: &[f32], quantized: &[f32], next: usize) {
        let position = Position::of(base, quantized, next as u32).unwrap();
        let Position { nll, nll_base, kld, dp, .. } = position;
        // Differences of logits are rounded to F32, by half a unit in the last place.
        let differences = base.iter().zip(quantized).map(|(p, q)| f64::from((p - q).abs()));
        let rounding = differences.fold(0.0, f64::max) * f64::from(f32::EPSILON) / 2.0;
        for (ours, truth) in [nll, nll_base, kld, dp].into_iter().zip(naive(base, quantized, next))
        {
            let error = (f64::from(ours) - truth).abs();
            let allowed = 1e-6 + 1e-6 * truth.abs() + rounding;
            assert!(error < allowed, "{position:?}: {truth}");
        }
    }

    /// Logits as a model's: some tens apart, and noise of `size` on them.
    fn rows(len: usize, seed: u64, size: f32) -> (Vec<f32>, Vec<f32>) {
        use rand::{RngExt, SeedableRng};
        let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(seed);
        let mut bell = || (0..12).map(|_| random.random::<f32>()).sum::<f32>() - 6.0;
        let base: Vec<f32> = (0..len).map(|_| 4.0 + 3.5 * bell()).collect();
        let quantized = base.iter().map(|x| x + size * bell()).collect();
        (base, quantized)
    }

    #[test]
    fn two_tokens_by_hand() {
        // 3 : 1 against 1 : 1.
        let position = Position::of(&[3f32.ln(), 0.0], &[5.0, 5.0], 1).unwrap();
        let kld = 0.75 * 1.5f64.ln() + 0.25 * 0.5f64.ln();
        assert!((f64::from(position.kld) - kld).abs() < 1e-7);
        assert!((position.nll - 2f32.ln()).abs() < 1e-7);
        assert!((position.nll_base - 4f32.ln()).abs() < 1e-6);
        assert!((position.dp - 0.25).abs() < 1e-7);
        // Of equals the first is on top.
        assert!(position.same_top);
        assert!(!Position::of(&[0.0, 1.0], &[5.0, 5.0], 1).unwrap().same_top);
    }

    #[test]
    fn it_agrees_with_plain_f64_on_whole_vocabularies() {
        for (seed, size) in [(1, 1e-3), (2, 0.1), (3, 0.5), (4, 2.0)] {
            let (base, quantized) = rows(49_152, seed, size);
            check(&base, &quantized, 17 * seed as usize);
        }
    }

    #[test]
    fn unlikely_tokens_are_clipped_as_in_llama_perplexitys_file() {
        let clipped = |base: f32| {
            let position = Position::of(&[20.0, base], &[20.0, base], 1).unwrap();
            (position.nll_base, position.nll_base_clipped)
        };
        let (nll, coded) = clipped(4.5);
        assert!(nll == coded && (nll - 15.5).abs() < 1e-4, "{nll}");
        let (nll, coded) = clipped(-20.0);
        assert!((nll - 40.0).abs() < 1e-4 && (coded - 16.0).abs() < 1e-4, "{nll} and {coded}");
    }

    #[test]
    fn what_is_not_finite_is_named() {
        let good = [0.0, 1.0, 2.0];
        let error = Position::of(&good, &[0.0, f32::NAN, 1.0], 0).unwrap_err();
        assert_eq!(error.to_string(), "NaN in the logits of the quantized model, at token 1");
        let error = Position::of(&[0.0, 1.0, f32::NEG_INFINITY], &good, 0).unwrap_err();
        assert_eq!((error.side, error.token, error.value), (Side::Base, 2, f32::NEG_INFINITY));
    }

    proptest! {
        #[test]
        fn it_agrees_with_plain_f64(
            pairs in proptest::collection::vec((-30f32..30.0, -30f32..30.0), 1..600),
            next in any::<prop::sample::Index>(),
        ) {
            let (base, quantized): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
            check(&base, &quantized, next.index(base.len()));
        }

        #[test]
        fn a_row_does_not_diverge_from_itself(seed in any::<u64>(), len in 1usize..3000) {
            let (row, _) = rows(len, seed, 0.0);
            let position = Position::of(&row, &row, 0).unwrap();
            prop_assert_eq!((position.kld, position.dp), (0.0, 0.0));
            prop_assert_eq!(position.nll, position.nll_base);
            prop_assert!(position.same_top);
        }

        #[test]
        fn a_shift_changes_nothing(seed in any::<u64>(), shift in -50f32..50.0) {
            let (base, quantized) = rows(2000, seed, 0.3);
            let shifted: Vec<f32> = quantized.iter().map(|x| x + shift).collect();
            let [plain, moved] =
                [&quantized, &shifted].map(|row| Position::of(&base, row, 5).unwrap());
            // Adding the shift itself rounds each logit.
            prop_assert!((plain.kld - moved.kld).abs() < 1e-5, "{plain:?} {moved:?}");
            prop_assert!((plain.nll - moved.nll).abs() < 2e-5, "{plain:?} {moved:?}");
            prop_assert!((plain.dp - moved.dp).abs() < 1e-5, "{plain:?} {moved:?}");
        }
    }
}
