//! Numbers about values before and after quantization.

use pulp::{Simd, WithSimd};

use crate::simd::Level;

/// The largest magnitude that every block format can store: the largest F16.
pub const LARGEST: f32 = 65504.0;

/// How much was lost, summed over values.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SquaredError {
    /// Sum of `(x - decoded)^2`.
    pub error: f64,
    /// Sum of `x^2`.
    pub norm: f64,
}

impl SquaredError {
    /// The error as a share of the norm; 0 for values that are all 0 and stayed so.
    pub fn relative(self) -> f64 {
        if self.error == 0.0 { 0.0 } else { self.error / self.norm }
    }
}

impl std::ops::AddAssign for SquaredError {
    fn add_assign(&mut self, other: SquaredError) {
        self.error += other.error;
        self.norm += other.norm;
    }
}

/// The squared error of `decoded` against `x`. The sums run in fixed lanes: the same bits anywhere.
pub fn squared_error(x: &[f32], decoded: &[f32]) -> SquaredError {
    struct Sum<'a>(&'a [f32], &'a [f32]);
    impl WithSimd for Sum<'_> {
        type Output = SquaredError;

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> SquaredError {
            let mut sum = SquaredError::default();
            for (x, decoded) in self.0.chunks(1024).zip(self.1.chunks(1024)) {
                let (mut error, mut norm) = ([0.0f32; 16], [0.0f32; 16]);
                for (x, decoded) in x.chunks(16).zip(decoded.chunks(16)) {
                    for (l, (&x, &decoded)) in x.iter().zip(decoded).enumerate() {
                        let e = x - decoded;
                        error[l] += e * e;
                        norm[l] += x * x;
                    }
                }
                sum.error += error.iter().map(|&e| f64::from(e)).sum::<f64>();
                sum.norm += norm.iter().map(|&n| f64::from(n)).sum::<f64>();
            }
            sum
        }
    }
    Level::widest().run(Sum(x, decoded))
}

/// The place of the first value that cannot be stored: NaN, infinite, or beyond [`LARGEST`].
pub fn unstorable(x: &[f32]) -> Option<usize> {
    // As integers, the magnitudes of floats are ordered, with infinity and NaN above all others.
    let magnitude = |x: f32| x.to_bits() & 0x7fff_ffff;
    let limit = LARGEST.to_bits();
    let largest = x.iter().fold(0, |largest, &x| largest.max(magnitude(x)));
    if largest <= limit { None } else { x.iter().position(|&x| magnitude(x) > limit) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_add_up() {
        let x: Vec<f32> = (0..3000).map(|i| i as f32 * 0.25).collect();
        let decoded: Vec<f32> = x.iter().map(|x| x + 0.5).collect();
        let sum = squared_error(&x, &decoded);
        assert_eq!(sum.error, 3000.0 * 0.25);
        let norm: f64 = x.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
        assert!((sum.norm / norm - 1.0).abs() < 1e-6);
    }

    #[test]
    fn what_cannot_be_stored_is_found() {
        for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 65505.0, -1e30] {
            assert_eq!(unstorable(&[0.0, -65504.0, bad, f32::NAN]), Some(2));
        }
        assert_eq!(unstorable(&[0.0, 65504.0, -65504.0, f32::MIN_POSITIVE]), None);
    }
}
