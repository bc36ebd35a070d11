//! Root-mean-square normalisation, backwards.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::super::TOKENS_PER_TASK;
use super::product::add_parts;
use crate::simd::Level;

/// From gradients of normalised rows to those of the rows `x` (in place, in `gradient`) and of the
/// gain. Shapes: `x` and `gradient` rows x `gain.len()`.
pub fn norm_backward(
    x: &[f32],
    gain: &[f32],
    epsilon: f32,
    gradient: &mut [f32],
    gain_gradient: &mut [f32],
) {
    // Heads are short: as many values as a task of tokens has.
    let task = gain.len() * TOKENS_PER_TASK.max((1 << 14) / gain.len());
    let tasks = gradient.par_chunks_mut(task).zip(x.par_chunks(task));
    let parts: Vec<Vec<f32>> = tasks
        .map(|(gradient, x)| {
            let mut part = vec![0.0; gain.len()];
            let rows = gradient.chunks_exact_mut(gain.len()).zip(x.chunks_exact(gain.len()));
            for (gradient, x) in rows {
                Level::widest().run(Row { x, gain, epsilon, gradient, part: &mut part });
            }
            part
        })
        .collect();
    add_parts(&parts, gain_gradient);
}

/// One row; `part` sums gradients of the gain.
struct Row<'a> {
    x: &'a [f32],
    gain: &'a [f32],
    epsilon: f32,
    gradient: &'a mut [f32],
    part: &'a mut [f32],
}

impl WithSimd for Row<'_> {
    type Output = ();

    /// With `y = x * r * gain` and `r = 1 / sqrt(mean(x^2) + epsilon)`, the gradient of `x` is
    /// `r * (g * gain) - x * r^3 * mean(g * gain * x)`.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Row { x, gain, epsilon, gradient, part } = self;
        let (squares, products) = sums(x, gain, gradient);
        let len = x.len() as f64;
        let r = 1.0 / (squares / len + f64::from(epsilon)).sqrt();
        let (r, back) = (r as f32, (r * r * r * products / len) as f32);
        let values = x.iter().zip(gain).zip(gradient).zip(part);
        for (((x, gain), gradient), part) in values {
            *part += *gradient * x * r;
            *gradient = r * *gradient * gain - back * x;
        }
    }
}

/// `sum(x^2)` and `sum(x * gain * gradient)`, in fixed lanes.
#[inline(always)]
fn sums(x: &[f32], gain: &[f32], gradient: &[f32]) -> (f64, f64) {
    let (mut squares, mut products) = ([0.0f32; 16], [0.0f32; 16]);
    let (x_chunks, x_rest) = x.as_chunks::<16>();
    let (gain_chunks, gain_rest) = gain.as_chunks::<16>();
    let (gradient_chunks, gradient_rest) = gradient.as_chunks::<16>();
    for ((x, gain), gradient) in x_chunks.iter().zip(gain_chunks).zip(gradient_chunks) {
        for l in 0..16 {
            squares[l] += x[l] * x[l];
            products[l] += x[l] * gain[l] * gradient[l];
        }
    }
    let sum = |lanes: [f32; 16]| lanes.iter().map(|&lane| f64::from(lane)).sum::<f64>();
    let (mut squares, mut products) = (sum(squares), sum(products));
    for ((&x, &gain), &gradient) in x_rest.iter().zip(gain_rest).zip(gradient_rest) {
        squares += f64::from(x * x);
        products += f64::from(x * gain * gradient);
    }
    (squares, products)
}
