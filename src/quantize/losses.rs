//! What a model loses, position by position, and whether another loses less by more than chance.
//!
//! Two models that are measured on the same positions differ there by what each of them rounds. The
//! mean of these differences has a standard error, which holds all that is accidental about it: which
//! positions the text has, and how rounded activations happen to fall (of some 1e-4 to 1e-3 nats in
//! the KLD of any model, whatever its weights). A smaller mean KLD is a gain if it is smaller by more
//! than that error; what is below it is noise, for which the search changes nothing.

use serde::{Deserialize, Serialize};

/// KL(full precision || a model) in nats at each scored position of a text.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Losses(Vec<f32>);

/// By how much one model loses less than another, in nats per token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gain {
    /// The mean difference.
    pub mean: f64,
    /// Its standard error; 0 of one position.
    pub error: f64,
}

impl Gain {
    /// Whether it is more than chance explains: more than one standard error.
    pub fn is_real(self) -> bool {
        self.mean > self.error
    }
}

impl Losses {
    /// The losses at positions in order.
    pub fn new(klds: Vec<f32>) -> Losses {
        Losses(klds)
    }

    /// The mean KLD in nats per token; 0 of no positions.
    pub fn mean(&self) -> f64 {
        mean(self.0.iter().map(|&kld| f64::from(kld)))
    }

    /// By how much `other` loses less on the same positions. What each loses is first multiplied by
    /// its factor, `(own, others)`.
    ///
    /// # Panics
    /// If they were not measured on equally many positions.
    pub fn gain_of(&self, other: &Losses, (own, others): (f64, f64)) -> Gain {
        assert_eq!(self.0.len(), other.0.len(), "the same positions");
        let differences = || {
            let pairs = self.0.iter().zip(&other.0);
            pairs.map(|(&a, &b)| own * f64::from(a) - others * f64::from(b))
        };
        let mean_difference = mean(differences());
        let variance = mean(differences().map(|d| (d - mean_difference).powi(2)));
        let error = match self.0.len() {
            0 | 1 => 0.0,
            n => (variance / (n - 1) as f64).sqrt(),
        };
        Gain { mean: mean_difference, error }
    }
}

/// The mean of numbers, summed in their order; 0 of none.
fn mean(numbers: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = numbers.len();
    if n == 0 { 0.0 } else { numbers.sum::<f64>() / n as f64 }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_pcg::Pcg64Mcg;

    use super::*;

    const PLAIN: (f64, f64) = (1.0, 1.0);

    #[test]
    fn gains_and_errors_by_hand() {
        let (a, b) = (Losses::new(vec![0.5, 0.25, 0.75]), Losses::new(vec![0.25, 0.25, 0.25]));
        assert_eq!((a.mean(), b.mean()), (0.5, 0.25));
        let gain = a.gain_of(&b, PLAIN);
        assert_eq!(gain.mean, 0.25);
        // Differences 0.25, 0 and 0.5.
        assert!((gain.error - (0.125f64 / 3.0 / 2.0).sqrt()).abs() < 1e-12);
        assert!(gain.is_real() && !b.gain_of(&a, PLAIN).is_real());
        assert_eq!(a.gain_of(&b, (1.0, 2.0)).mean, 0.0);
        assert!(!a.gain_of(&a, PLAIN).is_real(), "a model gains nothing over itself");
        assert_eq!(Losses::default().gain_of(&Losses::default(), PLAIN).error, 0.0);
    }

    #[test]
    fn what_only_chance_tells_apart_is_seldom_a_gain() {
        let mut random = Pcg64Mcg::seed_from_u64(7);
        let mut losses = |shift: f32| {
            let klds = (0..1000).map(|_| 0.02 * random.random::<f32>().powi(4) - shift);
            Losses::new(klds.collect())
        };
        let mut found = |shift| {
            (0..400).filter(|_| losses(0.0).gain_of(&losses(shift), PLAIN).is_real()).count()
        };
        // A sixth of a normal distribution lies above one standard error.
        let (by_chance, real) = (found(0.0), found(0.001));
        assert!((40..90).contains(&by_chance), "{by_chance}");
        assert!(real > 380, "{real}");
    }
}
