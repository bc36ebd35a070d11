//! The gains of a norm while they are trained. The file holds them in F32, as they are.

use super::adam::{Moments, Step};

/// Gains that learn.
#[derive(Debug, Clone)]
pub struct LatentGains {
    values: Vec<f32>,
    moments: Moments,
    /// The first step, as a share of their size.
    first: f32,
}

impl LatentGains {
    /// Starts from these.
    pub fn new(values: &[f32], first: f32) -> LatentGains {
        LatentGains { values: values.to_vec(), moments: Moments::new(values.len()), first }
    }

    /// As they are now.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// One step along their gradients, `decay` times as far as the first one.
    pub fn step(&mut self, step: Step, decay: f32, gradients: &[f32]) {
        let rate = self.first * decay * root_mean_square(&self.values);
        step.take(rate, gradients, &mut self.moments, &mut self.values);
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
