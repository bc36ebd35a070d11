//! The beta distribution of a probability of which some evidence was seen.

/// Beta(alpha, beta).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Beta {
    alpha: f64,
    beta: f64,
}

/// A probability as OpenCog has it: a strength, and how many observations stand behind it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Evidence {
    pub strength: f64,
    pub count: f64,
}

impl Beta {
    /// After this evidence, from a flat prior.
    pub fn of(evidence: Evidence) -> Beta {
        let positive = evidence.strength * evidence.count;
        Beta { alpha: 1.0 + positive, beta: 1.0 + evidence.count - positive }
    }

    pub fn mean(self) -> f64 {
        self.alpha / (self.alpha + self.beta)
    }

    pub fn variance(self) -> f64 {
        let total = self.alpha + self.beta;
        self.alpha * self.beta / (total * total * (total + 1.0))
    }

    /// The evidence after which the distribution has this mean and variance: its strength is the
    /// mode, its count at least 0.1 (BetaDistribution.cc, `mk_stv`).
    pub fn evidence(mean: f64, variance: f64) -> Evidence {
        let total = mean * (1.0 - mean) / variance - 1.0;
        let (alpha, beta) = (mean * total, (1.0 - mean) * total);
        let strength = match (alpha > 1.0, beta > 1.0) {
            (true, true) => (alpha - 1.0) / (alpha + beta - 2.0),
            (false, true) => 0.0,
            (true, false) => 1.0,
            (false, false) if alpha < 1.0 && beta < 1.0 => mean,
            (false, false) => 1.0,
        };
        Evidence { strength, count: (total - 2.0).max(0.1) }
    }

    /// The probability of at most `x`: the regularized incomplete beta function.
    pub fn cumulative(self, x: f64) -> f64 {
        if x <= 0.0 || x >= 1.0 {
            return if x <= 0.0 { 0.0 } else { 1.0 };
        }
        let Beta { alpha, beta } = self;
        // the continued fraction converges fast on the near side of the mean only
        if x > (alpha + 1.0) / (alpha + beta + 2.0) {
            return 1.0 - Beta { alpha: beta, beta: alpha }.cumulative(1.0 - x);
        }
        let ln_front = ln_gamma(alpha + beta) - ln_gamma(alpha) - ln_gamma(beta)
            + alpha * x.ln()
            + beta * (-x).ln_1p();
        ln_front.exp() / (alpha * continued_fraction(alpha, beta, x))
    }
}

/// The continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz's method.
fn continued_fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    // about the square root of the larger parameter many terms are needed
    let most = 1000.0 + 10.0 * a.max(b).sqrt();
    let away_from_zero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let (mut fraction, mut c, mut d) = (1.0, 1.0, 0.0);
    let mut i = 1.0;
    while i <= most {
        let m = f64::floor(i / 2.0);
        let numerator = match i % 2.0 == 0.0 {
            true => m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m)),
            false => -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0)),
        };
        d = 1.0 / away_from_zero(1.0 + numerator * d);
        c = away_from_zero(1.0 + numerator / c);
        fraction *= c * d;
        if (c * d - 1.0).abs() < 1e-14 {
            break;
        }
        i += 1.0;
    }
    fraction
}

/// The logarithm of the gamma function at x >= 1: Stirling's series (DLMF 5.11.1), shifted to where
/// it is good to the last digits.
fn ln_gamma(x: f64) -> f64 {
    let mut shifted = x;
    let mut ln_product = 0.0;
    while shifted < 15.0 {
        ln_product += shifted.ln();
        shifted += 1.0;
    }
    let inverse = 1.0 / shifted;
    let square = inverse * inverse;
    let series = inverse
        * (1.0 / 12.0
            - square
                * (1.0 / 360.0
                    - square * (1.0 / 1260.0 - square * (1.0 / 1680.0 - square / 1188.0))));
    let half_ln_two_pi = 0.5 * (2.0 * std::f64::consts::PI).ln();
    (shifted - 0.5) * shifted.ln() - shifted + half_ln_two_pi + series - ln_product
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cumulative_probabilities_are_the_known_ones() {
        let at = |alpha, beta, x| Beta { alpha, beta }.cumulative(x);
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-11, "{a} is not {b}");
        near(at(1.0, 1.0, 0.3), 0.3);
        near(at(2.0, 1.0, 0.3), 0.09);
        near(at(1.0, 5.0, 0.2), 1.0 - 0.8f64.powi(5));
        // of 7 throws at least 3 succeed: a binomial sum
        let sum: f64 = [(3, 35.0), (4, 35.0), (5, 21.0), (6, 7.0), (7, 1.0)]
            .map(|(k, ways)| ways * 0.4f64.powi(k) * 0.6f64.powi(7 - k))
            .iter()
            .sum();
        near(at(3.0, 5.0, 0.4), sum);
        near(at(40.5, 40.5, 0.5), 0.5);
        assert!((at(1e6, 1e6, 0.5) - 0.5).abs() < 1e-8);
        assert_eq!((at(3.0, 2.0, 0.0), at(3.0, 2.0, 1.0)), (0.0, 1.0));
    }

    #[test]
    fn logarithms_of_factorials_are_exact() {
        let mut ln_factorial = 0.0;
        for n in 1..40 {
            assert!((ln_gamma(n as f64) - ln_factorial).abs() < 1e-12 * (1.0 + ln_factorial));
            ln_factorial += (n as f64).ln();
        }
    }

    #[test]
    fn moments_give_the_evidence_again() {
        let evidence = Evidence { strength: 0.3, count: 12.0 };
        let beta = Beta::of(evidence);
        let back = Beta::evidence(beta.mean(), beta.variance());
        assert!((back.strength - 0.3).abs() < 1e-12 && (back.count - 12.0).abs() < 1e-9);
    }
}
