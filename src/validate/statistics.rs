//! Aggregates over scored positions, with the formulas of llama-perplexity.

use super::Position;
use super::degradation::degradation_of;

/// Positions below which there are no percentiles, nor does llama-perplexity print any statistics.
const ENOUGH: usize = 100;

/// A mean and its standard error, or what follows from them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// Its uncertainty, one standard deviation.
    pub error: f64,
}

/// The distribution of a number over positions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The smallest.
    pub min: f32,
    /// The percentiles 0.1, 1, 5, 10 and 25.
    pub below: [f32; 5],
    /// The median.
    pub median: f32,
    /// The percentiles 75, 90, 95, 99 and 99.9.
    pub above: [f32; 5],
    /// The largest.
    pub max: f32,
}

/// What llama-perplexity tells of a quantized model. Logarithms are natural, KLD is in nats,
/// probabilities are fractions of 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Statistics {
    /// Positions looked at.
    pub positions: usize,
    /// Perplexity of the quantized model.
    pub ppl: Estimate,
    /// Perplexity of the full-precision model.
    pub ppl_base: Estimate,
    /// The same as llama-perplexity's file of predictions has it, which is clipped.
    pub ppl_base_clipped: f64,
    /// Positions that are clipped there: whose next token is more than 16 nats less likely than the
    /// likeliest, by the full-precision model.
    pub clipped: usize,
    /// Correlation of the log-likelihoods, -1 to 1; NaN where one of them never changes.
    pub correlation: f64,
    /// Logarithm of the ratio of the perplexities.
    pub ln_ppl_ratio: Estimate,
    /// Perplexity of the quantized model over that of the full-precision one.
    pub ppl_ratio: Estimate,
    /// Perplexity of the quantized model less that of the full-precision one.
    pub ppl_difference: Estimate,
    /// KL(full precision || quantized).
    pub kld: Estimate,
    /// Its distribution; `None` below 100 positions.
    pub kld_spread: Option<Spread>,
    /// Change of the next token's probability.
    pub dp: Estimate,
    /// Its distribution; `None` below 100 positions.
    pub dp_spread: Option<Spread>,
    /// Root mean square of that change.
    pub rms_dp: Estimate,
    /// Share of the positions where both models find the same token the likeliest.
    pub same_top: Estimate,
}

impl Statistics {
    /// The statistics of these positions. Sums run in their order, in F64.
    pub fn of(positions: &[Position]) -> Statistics {
        let n = positions.len();
        let nll = || positions.iter().map(|position| f64::from(position.nll));
        let nll_base = || positions.iter().map(|position| f64::from(position.nll_base));
        let kld = || positions.iter().map(|position| position.kld);
        let dp = || positions.iter().map(|position| position.dp);

        let (ln_ppl, ln_ppl_base) = (Estimate::mean(nll()), Estimate::mean(nll_base()));
        let covariance = covariance(nll(), nll_base());
        let difference = ln_ppl.value - ln_ppl_base.value;
        let ln_ppl_ratio = ln_ppl.minus(ln_ppl_base, difference, covariance);
        let (ppl, ppl_base) = (ln_ppl.exp(), ln_ppl_base.exp());
        let ppl_covariance = ppl.value * ppl_base.value * covariance;
        let difference = ppl.value - ppl_base.value;
        let nll_clipped = positions.iter().map(|position| f64::from(position.nll_base_clipped));
        let is_clipped = |position: &&Position| position.nll_base_clipped < position.nll_base;
        let same = positions.iter().filter(|position| position.same_top).count();
        Statistics {
            positions: n,
            ppl,
            ppl_base,
            ppl_base_clipped: Estimate::mean(nll_clipped).exp().value,
            clipped: positions.iter().filter(is_clipped).count(),
            correlation: covariance / (ln_ppl.error * ln_ppl_base.error),
            ln_ppl_ratio,
            ppl_ratio: ln_ppl_ratio.exp(),
            ppl_difference: ppl.minus(ppl_base, difference, ppl_covariance),
            kld: Estimate::mean(kld().map(f64::from)),
            kld_spread: Spread::of(kld().collect()),
            dp: Estimate::mean(dp().map(f64::from)),
            dp_spread: Spread::of(dp().collect()),
            rms_dp: Estimate::mean(dp().map(|dp| f64::from(dp) * f64::from(dp))).sqrt(),
            same_top: Estimate::share(same, n),
        }
    }

    /// `exp(-max(0, mean ln ratio))`: how much of the full-precision model is left on this text.
    pub fn retention(&self) -> f64 {
        1.0 - self.degradation()
    }

    /// `1 - retention`.
    pub fn degradation(&self) -> f64 {
        degradation_of(self.ln_ppl_ratio.value)
    }
}

impl Estimate {
    /// The mean of numbers, 0 of none. Its error is 0 up to ten of them.
    fn mean(numbers: impl Iterator<Item = f64>) -> Estimate {
        let (mut n, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for x in numbers {
            n += 1.0;
            sum += x;
            squares += x * x;
        }
        if n == 0.0 {
            return Estimate { value: 0.0, error: 0.0 };
        }
        let value = sum / n;
        let variance = squares / n - value * value;
        let error = if variance > 0.0 && n > 10.0 { (variance / (n - 1.0)).sqrt() } else { 0.0 };
        Estimate { value, error }
    }

    /// The share that `some` are of `all`.
    fn share(some: usize, all: usize) -> Estimate {
        let value = if all == 0 { 0.0 } else { some as f64 / all as f64 };
        let error = if all < 2 { 0.0 } else { (value * (1.0 - value) / (all - 1) as f64).sqrt() };
        Estimate { value, error }
    }

    fn exp(self) -> Estimate {
        let value = self.value.exp();
        Estimate { value, error: value * self.error }
    }

    fn sqrt(self) -> Estimate {
        let value = self.value.sqrt();
        Estimate { value, error: if value > 0.0 { 0.5 / value * self.error } else { 0.0 } }
    }

    /// The `value` that is `self` less `other`, where the two go together by `covariance`.
    fn minus(self, other: Estimate, value: f64, covariance: f64) -> Estimate {
        let variance = self.error * self.error + other.error * other.error - 2.0 * covariance;
        // Rounding may put it below 0 where the models are the same.
        Estimate { value, error: variance.max(0.0).sqrt() }
    }
}

/// The covariance of two means; 0 below ten numbers.
fn covariance(x: impl Iterator<Item = f64>, y: impl Iterator<Item = f64>) -> f64 {
    let (mut n, mut sum_x, mut sum_y, mut sum_xy) = (0.0, 0.0, 0.0, 0.0);
    for (x, y) in x.zip(y) {
        n += 1.0;
        sum_x += x;
        sum_y += y;
        sum_xy += x * y;
    }
    if n < 10.0 { 0.0 } else { (sum_xy / n - (sum_x / n) * (sum_y / n)) / (n - 1.0) }
}

impl Spread {
    fn of(mut numbers: Vec<f32>) -> Option<Spread> {
        if numbers.len() < ENOUGH {
            return None;
        }
        numbers.sort_unstable_by(f32::total_cmp);
        let at = |fraction| percentile(&numbers, fraction);
        Some(Spread {
            min: numbers[0],
            below: [0.001, 0.01, 0.05, 0.1, 0.25].map(at),
            median: median(&numbers),
            above: [0.75, 0.9, 0.95, 0.99, 0.999].map(at),
            max: numbers[numbers.len() - 1],
        })
    }
}

/// Between two of the sorted numbers, linearly. In F32, as llama-perplexity does it, so that the
/// figures can be compared: in F64, one between distant numbers would differ in its third digit.
fn percentile(sorted: &[f32], fraction: f32) -> f32 {
    let at = fraction * (sorted.len() - 1) as f32;
    let below = (at as usize).min(sorted.len() - 1);
    let above = (below + 1).min(sorted.len() - 1);
    let rest = at - below as f32;
    (1.0 - rest) * sorted[below] + rest * sorted[above]
}

fn median(sorted: &[f32]) -> f32 {
    let half = sorted.len() / 2;
    match sorted.len().is_multiple_of(2) {
        true => 0.5 * (sorted[half] + sorted[half - 1]),
        false => sorted[half],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::Likeliest;

    /// Positions with nothing regular about them.
    fn positions(n: usize) -> Vec<Position> {
        use rand::{RngExt, SeedableRng};
        let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(n as u64);
        let mut position = |_| {
            let nll_base = 6.0 * random.random::<f32>();
            let nll = nll_base + 0.3 * (random.random::<f32>() - 0.4);
            let kld = random.random::<f32>().powi(6);
            let dp = (-nll).exp() - (-nll_base).exp();
            let same_top = random.random_bool(0.9);
            let top = Likeliest { token: 0, probability: 1.0 };
            let nll_base_clipped = nll_base.min(5.0);
            Position { nll, nll_base, nll_base_clipped, kld, dp, same_top, top_base: top, top }
        };
        (0..n).map(&mut position).collect()
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-9 * (1.0 + a.abs().max(b.abs()))
    }

    #[test]
    fn means_and_errors_are_those_of_the_definitions() {
        let positions = positions(510);
        let s = Statistics::of(&positions);
        let n = positions.len() as f64;
        // In two passes, deviations from the mean, unlike the code.
        let mean = |f: &dyn Fn(&Position) -> f64| positions.iter().map(f).sum::<f64>() / n;
        let error = |f: &dyn Fn(&Position) -> f64| {
            let middle = mean(f);
            (mean(&|p| (f(p) - middle).powi(2)) / (n - 1.0)).sqrt()
        };
        let nll = |p: &Position| f64::from(p.nll);
        let nll_base = |p: &Position| f64::from(p.nll_base);
        let ratio = |p: &Position| f64::from(p.nll) - f64::from(p.nll_base);
        let square = |p: &Position| f64::from(p.dp).powi(2);

        assert!(close(s.ppl.value, mean(&nll).exp()));
        assert!(close(s.ppl.error, mean(&nll).exp() * error(&nll)));
        assert!(close(s.ppl_base.value, mean(&nll_base).exp()));
        assert!(close(s.ln_ppl_ratio.value, mean(&ratio)));
        // The error of a difference of means is that of the mean of the differences.
        assert!(close(s.ln_ppl_ratio.error, error(&ratio)));
        assert!(close(s.ppl_ratio.value, s.ppl.value / s.ppl_base.value));
        assert!(close(s.ppl_ratio.error, s.ppl_ratio.value * error(&ratio)));
        assert!(close(s.ppl_difference.value, s.ppl.value - s.ppl_base.value));
        let scaled = |p: &Position| s.ppl.value * nll(p) - s.ppl_base.value * nll_base(p);
        assert!(close(s.ppl_difference.error, error(&scaled)));
        let (middle, middle_base) = (mean(&nll), mean(&nll_base));
        let together = mean(&|p| (nll(p) - middle) * (nll_base(p) - middle_base)) / (n - 1.0);
        assert!(close(s.correlation, together / (error(&nll) * error(&nll_base))));
        assert!(s.correlation > 0.99 && s.correlation < 1.0);
        let kld = |p: &Position| f64::from(p.kld);
        assert!(close(s.kld.value, mean(&kld)) && close(s.kld.error, error(&kld)));
        let dp = |p: &Position| f64::from(p.dp);
        assert!(close(s.dp.value, mean(&dp)) && close(s.dp.error, error(&dp)));
        assert!(close(s.rms_dp.value.powi(2), mean(&square)));
        assert!(close(s.rms_dp.error, error(&square) / (2.0 * s.rms_dp.value)));
        let same = mean(&|p| f64::from(u8::from(p.same_top)));
        assert!(close(s.same_top.value, same));
        assert!(close(s.same_top.error, (same * (1.0 - same) / (n - 1.0)).sqrt()));
    }

    #[test]
    fn percentiles_lie_between_the_numbers() {
        let mut numbers: Vec<f32> = (0..1001).map(|i| i as f32).collect();
        numbers.reverse();
        let spread = Spread::of(numbers).unwrap();
        let close = |ours: [f32; 5], expected: [f32; 5]| {
            ours.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-3)
        };
        assert_eq!((spread.min, spread.median, spread.max), (0.0, 500.0, 1000.0));
        assert!(close(spread.below, [1.0, 10.0, 50.0, 100.0, 250.0]), "{spread:?}");
        assert!(close(spread.above, [750.0, 900.0, 950.0, 990.0, 999.0]), "{spread:?}");
        // 0.9 * 99 = 89.1: nine parts of the 90th number, one of the 91st.
        let spread = Spread::of((0..100).map(|i| (i * i) as f32).collect()).unwrap();
        assert!((spread.above[1] - (0.9 * 89.0 * 89.0 + 0.1 * 90.0 * 90.0)).abs() < 0.01);
        assert_eq!(spread.median, 0.5 * (49.0 * 49.0 + 50.0 * 50.0));
    }

    #[test]
    fn few_positions_give_no_nonsense() {
        for n in [0, 1, 2, 9, 10, 11, 99] {
            let s = Statistics::of(&positions(n));
            assert!(s.kld_spread.is_none() && s.dp_spread.is_none());
            for estimate in [s.ppl, s.ln_ppl_ratio, s.ppl_difference, s.kld, s.rms_dp, s.same_top] {
                assert!(estimate.value.is_finite() && estimate.error.is_finite(), "{n}: {s:?}");
            }
        }
        assert!(Statistics::of(&positions(100)).kld_spread.is_some());
    }

    #[test]
    fn the_same_model_is_retained() {
        let same = |p: Position| Position { nll: p.nll_base, kld: 0.0, dp: 0.0, ..p };
        let s = Statistics::of(&positions(500).into_iter().map(same).collect::<Vec<_>>());
        assert_eq!((s.retention(), s.degradation()), (1.0, 0.0));
        assert!(s.ppl_ratio.value == 1.0 && s.ppl_ratio.error < 1e-8);
        assert!((s.correlation - 1.0).abs() < 1e-12);
        assert_eq!(s.rms_dp, Estimate { value: 0.0, error: 0.0 });
    }

    #[test]
    fn degradation_follows_from_nats() {
        assert!((degradation_of(-(0.98f64.ln())) - 0.02).abs() < 1e-15);
        // A model that got better by chance has not degraded.
        assert_eq!(degradation_of(-0.1), 0.0);
        assert!((degradation_of(1e-12) / 1e-12 - 1.0).abs() < 1e-9);
    }
}
