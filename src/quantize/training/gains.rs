//! The gains of a norm while they are trained. The file holds them in F32, as they are.

use super::adam::{Moments, Step};

/// A gain moves as if it were at least this share of their root mean square, so that small ones can
/// grow and change their sign.
const LEAST: f32 = 0.01;

/// Gains that learn.
#[derive(Debug, Clone)]
pub struct LatentGains {
    values: Vec<f32>,
    moments: Moments,
    /// The longest step of each, as a share of its size.
    longest: f32,
}

impl LatentGains {
    /// Starts from these.
    pub fn new(values: &[f32], longest: f32) -> LatentGains {
        LatentGains { values: values.to_vec(), moments: Moments::new(values.len()), longest }
    }

    /// As they are now.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// One step along their gradients, `decay` times as far as the longest.
    pub fn step(&mut self, step: Step, decay: f32, gradients: &[f32]) {
        let least = LEAST * root_mean_square(&self.values);
        let rate = self.longest * decay;
        let Moments { means, squares } = &mut self.moments;
        let moments = means.iter_mut().zip(squares);
        for ((value, gradient), (mean, square)) in
            self.values.iter_mut().zip(gradients).zip(moments)
        {
            *value += step.by(rate * value.abs().max(least), *gradient, mean, square);
        }
    }

    /// As the file holds them.
    pub fn bytes(&self) -> Vec<u8> {
        self.values.iter().flat_map(|x| x.to_le_bytes()).collect()
    }

    /// Shows every number that steps change.
    pub fn visit(&mut self, see: &mut impl FnMut(&mut f32)) {
        self.values.iter_mut().for_each(&mut *see);
        self.moments.visit(see);
    }
}

fn root_mean_square(x: &[f32]) -> f32 {
    let squares: f64 = x.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    (squares / x.len().max(1) as f64).sqrt() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Gemma has them: some gains are thousands of times as large as others.
    #[test]
    fn each_gain_moves_by_a_share_of_its_own_size() {
        let start = [1000.0, 10.0, 100.0, 0.0];
        let mut gains = LatentGains::new(&start, 1e-2);
        gains.step(Step::new(1), 0.5, &[1.0, -1e-3, 1e3, -1.0]);
        let least = LEAST * root_mean_square(&start);
        for ((after, before), share) in
            gains.values().iter().zip(&start).zip([-1000.0, 10.0, -100.0, least])
        {
            let expected = before + 5e-3 * share;
            assert!((after - expected).abs() < 1e-4 * share.abs(), "{after} for {expected}");
        }
    }
}
