//! How much worse a model is, and the loss in nats that goes with it: converted here and nowhere else.

/// The degradation that goes with a loss of so many nats per token: the mean logarithm of the
/// perplexities' ratio on a text, or the mean KLD, which on text that the full-precision model
/// wrote itself, at temperature 1, is the former in expectation and is known far more exactly.
pub fn degradation_of(nats: f64) -> f64 {
    -(-nats.max(0.0)).exp_m1()
}

/// The loss that may not be exceeded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    /// As a degradation, a fraction of 1.
    pub degradation: f64,
    /// As KLD on text that the full-precision model wrote itself, in nats per token.
    pub kld: f64,
}

impl Target {
    /// Of a degradation, 0 < x < 1.
    pub fn of(degradation: f64) -> Target {
        Target { degradation, kld: -(1.0 - degradation).ln() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_in_nats_is_what_was_asked_for() {
        for degradation in [1e-6, 0.02, 0.5, 0.999] {
            let Target { kld, .. } = Target::of(degradation);
            assert!((degradation_of(kld) / degradation - 1.0).abs() < 1e-9, "{degradation}");
        }
    }
}
