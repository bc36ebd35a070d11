//! Rotary positions: pairs of values of a query or key are rotated by angles that grow with the
//! token's position (`ggml_rope_ext`, with its linear and YaRN scaling and its frequency factors).

use super::architecture::RopePairs;

/// How queries and keys are rotated.
#[derive(Debug, Clone, PartialEq)]
pub struct Rotation {
    /// Which values are rotated together.
    pub pairs: RopePairs,
    /// Values of a head that are rotated: the first ones.
    pub dims: usize,
    /// Pair `i` turns `base^(-2i / dims)` radians for each token, before any scaling.
    pub base: f32,
    /// How frequencies are stretched over a longer context.
    pub scaling: RopeScaling,
    /// What rotated values are multiplied by, beside what the scaling asks for.
    pub magnitude: f32,
}

/// How rotary frequencies are stretched over a longer context than the model was first made for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    None,
    /// All are slowed down by a factor.
    Linear {
        /// The factor.
        factor: f32,
    },
    /// YaRN: slow pairs as in linear scaling, fast pairs not at all, a ramp in between.
    Yarn {
        /// By how much the context was lengthened.
        factor: f32,
        /// Tokens of the context before.
        context: usize,
        /// Which pairs are slowed.
        ramp: YarnRamp,
    },
}

/// How YaRN goes from pairs that are not slowed to those that are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct YarnRamp {
    /// Pairs that turn more often than this within the context keep their frequency.
    pub fast: f32,
    /// Pairs that turn less often than this are slowed down by the whole factor.
    pub slow: f32,
    /// How much of the gain for a longer context is taken back: none of it at 0, all at 1.
    pub damping: f32,
}

impl Default for YarnRamp {
    /// llama.cpp's.
    fn default() -> YarnRamp {
        YarnRamp { fast: 32.0, slow: 1.0, damping: 0.0 }
    }
}

impl Rotation {
    /// Radians that each pair turns for each token. `factors`, one for each pair, divide them.
    fn frequencies(&self, factors: Option<&[f32]>) -> Vec<f64> {
        let pair = |i: usize| {
            let frequency = f64::from(self.base).powf(-2.0 * i as f64 / self.dims as f64);
            let frequency = frequency / factors.map_or(1.0, |factors| f64::from(factors[i]));
            self.scaled(frequency, i)
        };
        (0..self.dims / 2).map(pair).collect()
    }

    fn scaled(&self, frequency: f64, pair: usize) -> f64 {
        match self.scaling {
            RopeScaling::None => frequency,
            RopeScaling::Linear { factor } => frequency / f64::from(factor),
            RopeScaling::Yarn { factor, context, ramp } => {
                let slowed = frequency / f64::from(factor);
                let (low, high) = self.ramp_ends(context, ramp);
                let along = ((pair as f64 - low) / (high - low).max(0.001)).clamp(0.0, 1.0);
                slowed * along + frequency * (1.0 - along)
            }
        }
    }

    /// The pairs between which YaRN goes from not slowing to slowing
    /// (`ggml_rope_yarn_corr_dims`).
    fn ramp_ends(&self, context: usize, ramp: YarnRamp) -> (f64, f64) {
        let dims = self.dims as f64;
        let turning = |turns: f32| {
            let length = context as f64 / (f64::from(turns) * 2.0 * std::f64::consts::PI);
            dims * length.ln() / (2.0 * f64::from(self.base).ln())
        };
        (turning(ramp.fast).floor().max(0.0), turning(ramp.slow).ceil().min(dims - 1.0))
    }

    /// What rotated values are multiplied by.
    pub fn gain(&self) -> f64 {
        let scaling = match self.scaling {
            RopeScaling::Yarn { factor, ramp, .. } => {
                let longer = |share: f32| {
                    (1.0 + 0.1 * f64::from(share) * f64::from(factor).ln().max(0.0)).max(1.0)
                };
                longer(1.0) / longer(ramp.damping)
            }
            _ => 1.0,
        };
        scaling * f64::from(self.magnitude)
    }
}

/// Sines and cosines for the positions of a context.
#[derive(Debug, Clone)]
pub struct RopeTable {
    pairs: RopePairs,
    /// Values of a head that are rotated.
    dims: usize,
    /// Shape: positions x pairs.
    cos: Vec<f32>,
    /// Shape: positions x pairs.
    sin: Vec<f32>,
}

impl RopeTable {
    /// For positions 0 to `positions - 1`; `factors`, one for each pair, divide the frequencies.
    pub fn new(rotation: &Rotation, factors: Option<&[f32]>, positions: usize) -> RopeTable {
        let frequencies = rotation.frequencies(factors);
        let gain = rotation.gain();
        let angles = (0..positions)
            .flat_map(|position| frequencies.iter().map(move |f| f * position as f64));
        let (cos, sin) =
            angles.map(|angle| ((angle.cos() * gain) as f32, (angle.sin() * gain) as f32)).unzip();
        RopeTable { pairs: rotation.pairs, dims: rotation.dims, cos, sin }
    }

    /// Positions that it is for.
    pub fn positions(&self) -> usize {
        self.cos.len() / (self.dims / 2).max(1)
    }

    /// Rotates the heads of one token. `heads`: count x `head_len`.
    pub fn rotate(&self, heads: &mut [f32], head_len: usize, position: usize) {
        self.turn(heads, head_len, position, 1.0);
    }

    /// The transpose of [`rotate`](Self::rotate): from gradients of what it gives to gradients of
    /// what it is given.
    pub fn rotate_back(&self, heads: &mut [f32], head_len: usize, position: usize) {
        self.turn(heads, head_len, position, -1.0);
    }

    /// Rotates in the direction of `sign`.
    fn turn(&self, heads: &mut [f32], head_len: usize, position: usize, sign: f32) {
        let half = self.dims / 2;
        let cos = &self.cos[position * half..][..half];
        let sin = &self.sin[position * half..][..half];
        for head in heads.chunks_exact_mut(head_len) {
            match self.pairs {
                RopePairs::Adjacent => {
                    for ((pair, cos), sin) in head.as_chunks_mut().0.iter_mut().zip(cos).zip(sin) {
                        let ([a, b], sin) = (*pair, sign * sin);
                        *pair = [a * cos - b * sin, a * sin + b * cos];
                    }
                }
                RopePairs::Halves => {
                    let (first, second) = head[..self.dims].split_at_mut(half);
                    for (((a, b), cos), sin) in first.iter_mut().zip(second).zip(cos).zip(sin) {
                        let sin = sign * sin;
                        (*a, *b) = (*a * cos - *b * sin, *a * sin + *b * cos);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rotation(pairs: RopePairs, scaling: RopeScaling) -> Rotation {
        Rotation { pairs, dims: 4, base: 100.0, scaling, magnitude: 1.0 }
    }

    fn rotated(rotation: &Rotation, factors: Option<&[f32]>, position: usize) -> Vec<f32> {
        let mut head = vec![1.0, 2.0, 3.0, 4.0, 5.0];
        RopeTable::new(rotation, factors, position + 1).rotate(&mut head, 5, position);
        head
    }

    fn close(a: &[f32], b: &[f32]) {
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5), "{a:?} for {b:?}");
    }

    #[test]
    fn pairs_are_neighbours_or_halves() {
        // Frequencies 1 and 0.1.
        let (c, s, c2, s2) = (3f32.cos(), 3f32.sin(), 0.3f32.cos(), 0.3f32.sin());
        let adjacent = rotated(&rotation(RopePairs::Adjacent, RopeScaling::None), None, 3);
        let expected = [c - 2.0 * s, s + 2.0 * c, 3.0 * c2 - 4.0 * s2, 3.0 * s2 + 4.0 * c2, 5.0];
        close(&adjacent, &expected);
        let halves = rotated(&rotation(RopePairs::Halves, RopeScaling::None), None, 3);
        let expected = [c - 3.0 * s, 2.0 * c2 - 4.0 * s2, s + 3.0 * c, 2.0 * s2 + 4.0 * c2, 5.0];
        close(&halves, &expected);
    }

    #[test]
    fn rotating_back_undoes_a_rotation_and_keeps_its_gain() {
        for pairs in [RopePairs::Adjacent, RopePairs::Halves] {
            let rotation = Rotation { magnitude: 1.5, ..rotation(pairs, RopeScaling::None) };
            let mut head = rotated(&rotation, None, 3);
            RopeTable::new(&rotation, None, 4).rotate_back(&mut head, 5, 3);
            close(&head, &[2.25, 4.5, 6.75, 9.0, 5.0]);
        }
    }

    #[test]
    fn linear_scaling_and_factors_slow_down() {
        let plain = rotation(RopePairs::Halves, RopeScaling::None);
        let slowed = rotation(RopePairs::Halves, RopeScaling::Linear { factor: 2.0 });
        close(&rotated(&slowed, None, 6), &rotated(&plain, None, 3));
        close(&rotated(&plain, Some(&[2.0, 2.0]), 6), &rotated(&plain, None, 3));
    }

    #[test]
    fn yarn_keeps_fast_pairs_and_slows_slow_ones() {
        let ramp = YarnRamp::default();
        let scaling = RopeScaling::Yarn { factor: 4.0, context: 2048, ramp };
        let yarn = Rotation { dims: 64, base: 10_000.0, ..rotation(RopePairs::Halves, scaling) };
        let plain = Rotation { scaling: RopeScaling::None, ..yarn.clone() };
        let (scaled, plain) = (yarn.frequencies(None), plain.frequencies(None));
        assert_eq!(scaled[0], plain[0]);
        assert_eq!(scaled[31], plain[31] / 4.0);
        assert!(scaled.windows(2).all(|pair| pair[0] > pair[1]));
        assert!((yarn.gain() - (1.0 + 0.1 * 4f64.ln())).abs() < 1e-9);
    }
}
