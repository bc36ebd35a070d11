//! Numbers about values before and after quantization.

use pulp::{Simd, WithSimd};

use crate::simd::Level;

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

    /// Whether nothing is left of values that are not all 0: they decode to zeros, or to no better.
    pub fn is_total(self) -> bool {
        self.norm > 0.0 && self.error >= self.norm
    }
}

impl std::ops::AddAssign for SquaredError {
    fn add_assign(&mut self, other: SquaredError) {
        self.error += other.error;
        self.norm += other.norm;
    }
}

/// The squared error of `decoded` against `x`. The sums run in fixed lanes: the same bits anywhere;
/// and in F64, which holds the squares of the smallest and of the largest F32.
pub fn squared_error(x: &[f32], decoded: &[f32]) -> SquaredError {
    struct Sum<'a>(&'a [f32], &'a [f32]);
    impl WithSimd for Sum<'_> {
        type Output = SquaredError;

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> SquaredError {
            let (mut error, mut norm) = ([0.0; 16], [0.0; 16]);
            let mut add = |l: usize, x: f32, decoded: f32| {
                let x = f64::from(x);
                let e = x - f64::from(decoded);
                error[l] += e * e;
                norm[l] += x * x;
            };
            let ((x, x_rest), (decoded, decoded_rest)) = (self.0.as_chunks(), self.1.as_chunks());
            for (x, decoded) in x.iter().zip(decoded) {
                let (x, decoded): (&[f32; 16], &[f32; 16]) = (x, decoded);
                (0..16).for_each(|l| add(l, x[l], decoded[l]));
            }
            for (l, (&x, &decoded)) in x_rest.iter().zip(decoded_rest).enumerate() {
                add(l, x, decoded);
            }
            SquaredError { error: error.iter().sum(), norm: norm.iter().sum() }
        }
    }
    Level::widest().run(Sum(x, decoded))
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
    fn a_total_loss_is_told() {
        let lost = |x: &[f32], decoded: &[f32]| squared_error(x, decoded).is_total();
        assert!(lost(&[1.0, -2.0], &[0.0, 0.0]) && lost(&[1.0, -2.0], &[-1.0, 0.0]));
        assert!(!lost(&[1.0, -2.0], &[0.0, -1.0]) && !lost(&[0.0, 0.0], &[0.0, 0.0]));
    }

    #[test]
    fn tiny_and_huge_values_are_not_lost() {
        for scale in [1e-42, 1e-24, 1.0, 1e24, 3e38] {
            let x = [scale; 1000];
            let sum = squared_error(&x, &[0.75 * scale; 1000]);
            assert!((sum.relative() - 0.0625).abs() < 1e-3, "{scale}: {sum:?}");
            let norm = 1000.0 * f64::from(scale) * f64::from(scale);
            assert!((sum.norm / norm - 1.0).abs() < 1e-12, "{scale}: {sum:?}");
        }
        let (x, sum) = ([3e38], squared_error(&[3e38], &[-3e38]));
        assert!((sum.relative() - 4.0).abs() < 1e-12, "{x:?}: {sum:?}");
    }
}
