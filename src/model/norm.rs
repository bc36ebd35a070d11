//! Root-mean-square normalisation.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::TOKENS_PER_TASK;
use crate::simd::Level;

/// Divides each row of `x` by its root mean square and multiplies it by `gain`, into `out`.
/// Shapes: `x` and `out` rows x `gain.len()`.
pub fn rms_norm(x: &[f32], gain: &[f32], epsilon: f32, out: &mut [f32]) {
    let task = gain.len() * TOKENS_PER_TASK;
    out.par_chunks_mut(task).zip(x.par_chunks(task)).for_each(|(out, x)| {
        for (out, x) in out.chunks_exact_mut(gain.len()).zip(x.chunks_exact(gain.len())) {
            out.copy_from_slice(x);
            normalise(out, gain, epsilon);
        }
    });
}

/// The same for rows that stand one after another in `x`, in place.
pub fn rms_norm_in_place(x: &mut [f32], gain: &[f32], epsilon: f32) {
    for row in x.chunks_exact_mut(gain.len()) {
        normalise(row, gain, epsilon);
    }
}

/// One row.
fn normalise(row: &mut [f32], gain: &[f32], epsilon: f32) {
    struct Normalise<'a>(&'a mut [f32], &'a [f32], f32);
    impl WithSimd for Normalise<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) {
            let Normalise(row, gain, epsilon) = self;
            let mean = sum_of_squares(row) / row.len() as f64;
            let scale = (1.0 / (mean + f64::from(epsilon)).sqrt()) as f32;
            for (x, &gain) in row.iter_mut().zip(gain) {
                *x *= scale * gain;
            }
        }
    }
    Level::widest().run(Normalise(row, gain, epsilon));
}

/// In fixed lanes, so that it vectorises to the same bits anywhere.
#[inline(always)]
fn sum_of_squares(row: &[f32]) -> f64 {
    let mut lanes = [0.0f32; 16];
    let (chunks, rest) = row.as_chunks::<16>();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += x * x;
        }
    }
    let rest: f64 = rest.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    rest + lanes.iter().map(|&lane| f64::from(lane)).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_end_with_the_gain_as_their_size() {
        let x: Vec<f32> = (0..3 * 37).map(|i| ((i * 29) % 17) as f32 - 8.0).collect();
        let gain: Vec<f32> = (0..37).map(|i| 0.5 + i as f32 * 0.1).collect();
        let mut out = vec![0.0; x.len()];
        rms_norm(&x, &gain, 1e-5, &mut out);
        for (x, out) in x.chunks(37).zip(out.chunks(37)) {
            let mean = x.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / 37.0;
            for ((&x, &gain), &out) in x.iter().zip(&gain).zip(out) {
                let expected = f64::from(x) / (mean + 1e-5).sqrt() * f64::from(gain);
                assert!((expected - f64::from(out)).abs() < 1e-5);
            }
        }
        let mut in_place = x.clone();
        rms_norm_in_place(&mut in_place, &gain, 1e-5);
        assert_eq!(in_place, out);
    }
}
