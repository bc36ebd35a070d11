//! The gated activation of the feed-forward network.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::architecture::Activation;
use crate::simd::{Level, exp};

/// Values that one thread takes at a time.
const TASK: usize = 16 << 10;

/// `gate = activation(gate) * up`, value by value.
pub fn gate_in_place(activation: Activation, gate: &mut [f32], up: &[f32]) {
    gate.par_chunks_mut(TASK).zip(up.par_chunks(TASK)).for_each(|(gate, up)| match activation {
        Activation::Silu => Level::widest().run(Gate(gate, up, silu)),
        Activation::Gelu => Level::widest().run(Gate(gate, up, gelu)),
    });
}

/// Gate, up, and what the gate goes through.
struct Gate<'a, F>(&'a mut [f32], &'a [f32], F);

impl<F: Fn(f32) -> f32> WithSimd for Gate<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Gate(gate, up, activation) = self;
        for (gate, &up) in gate.iter_mut().zip(up) {
            *gate = activation(*gate) * up;
        }
    }
}

/// `x / (1 + exp(-x))`.
#[inline(always)]
fn silu(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

/// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`, written as a sigmoid.
#[inline(always)]
fn gelu(x: f32) -> f32 {
    const TWICE_SQRT_2_OVER_PI: f32 = 1.595_769;
    x / (1.0 + exp(-TWICE_SQRT_2_OVER_PI * x * (1.0 + 0.044_715 * x * x)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_activations_are_what_they_should_be() {
        for i in -2000..2000 {
            let x = i as f32 * 0.01;
            let wide = f64::from(x);
            let sigmoid = wide / (1.0 + (-wide).exp());
            assert!((f64::from(silu(x)) - sigmoid).abs() < 1e-6 * (1.0 + wide.abs()), "{x}");
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (wide + 0.044715 * wide.powi(3));
            let tanh = 0.5 * wide * (1.0 + inner.tanh());
            assert!((f64::from(gelu(x)) - tanh).abs() < 1e-6 * (1.0 + wide.abs()), "{x}");
        }
        for extreme in [-1e30, -200.0, 200.0, 1e30] {
            assert_eq!(silu(extreme), if extreme > 0.0 { extreme } else { 0.0 });
            assert_eq!(gelu(extreme), if extreme > 0.0 { extreme } else { 0.0 });
        }
    }

    #[test]
    fn the_gate_multiplies() {
        let (mut gate, up) = (vec![1.0, -2.0, 3.0], vec![2.0, 0.5, -1.0]);
        gate_in_place(Activation::Silu, &mut gate, &up);
        assert_eq!(gate, [silu(1.0) * 2.0, silu(-2.0) * 0.5, -silu(3.0)]);
    }
}
