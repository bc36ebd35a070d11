//! The gated activation, backwards.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::super::architecture::Activation;
use crate::simd::{Level, exp};

/// Values that one thread takes at a time.
const TASK: usize = 16 << 10;

/// From gradients of `activation(gate) * up` to those of `gate` and `up`, which take their places.
pub fn gate_backward(activation: Activation, gradient: &[f32], gate: &mut [f32], up: &mut [f32]) {
    let tasks = gate.par_chunks_mut(TASK).zip(up.par_chunks_mut(TASK));
    tasks.zip(gradient.par_chunks(TASK)).for_each(|((gate, up), gradient)| match activation {
        Activation::Silu => Level::widest().run(Back { gradient, gate, up, activation: silu }),
        Activation::Gelu => Level::widest().run(Back { gradient, gate, up, activation: gelu }),
    });
}

struct Back<'a, F> {
    gradient: &'a [f32],
    gate: &'a mut [f32],
    up: &'a mut [f32],
    /// The activation and its derivative.
    activation: F,
}

impl<F: Fn(f32) -> (f32, f32)> WithSimd for Back<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Back { gradient, gate, up, activation } = self;
        for ((gate, up), gradient) in gate.iter_mut().zip(up).zip(gradient) {
            let (value, slope) = activation(*gate);
            (*gate, *up) = (gradient * *up * slope, gradient * value);
        }
    }
}

/// `x / (1 + exp(-x))`, and its derivative.
#[inline(always)]
fn silu(x: f32) -> (f32, f32) {
    let sigmoid = 1.0 / (1.0 + exp(-x));
    (x * sigmoid, sigmoid * (1.0 + x * (1.0 - sigmoid)))
}

/// GELU by its tanh approximation, written as a sigmoid, and its derivative.
#[inline(always)]
fn gelu(x: f32) -> (f32, f32) {
    const TWICE_SQRT_2_OVER_PI: f32 = 1.595_769;
    let sigmoid = 1.0 / (1.0 + exp(-TWICE_SQRT_2_OVER_PI * x * (1.0 + 0.044_715 * x * x)));
    // Far out the slope is 0 or 1 and its parts infinite.
    let near = x.clamp(-1e3, 1e3);
    let slope = TWICE_SQRT_2_OVER_PI * (1.0 + 3.0 * 0.044_715 * near * near);
    (x * sigmoid, sigmoid * (1.0 + near * (1.0 - sigmoid) * slope))
}
