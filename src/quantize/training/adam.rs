//! Adam: steps along the mean gradient, each number's in units of its own gradient's size.

/// How much of the mean gradient is kept from step to step.
const KEEP_MEAN: f32 = 0.9;
/// How much of the mean square is kept.
const KEEP_SQUARE: f32 = 0.99;
/// Below this a gradient counts as none.
const NONE: f32 = 1e-20;

/// One step, the same for all numbers.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// By how much a mean over so few steps falls short.
    mean_scale: f32,
    square_scale: f32,
}

/// What is remembered of the gradients of some numbers.
#[derive(Debug, Clone, Default)]
pub struct Moments {
    /// Mean gradients.
    pub means: Vec<f32>,
    /// Mean squares.
    pub squares: Vec<f32>,
}

impl Moments {
    /// Nothing yet of `n` gradients.
    pub fn new(n: usize) -> Moments {
        Moments { means: vec![0.0; n], squares: vec![0.0; n] }
    }

    /// Shows every number that steps change.
    pub fn visit(&mut self, see: &mut impl FnMut(&mut f32)) {
        self.means.iter_mut().chain(&mut self.squares).for_each(see);
    }
}

impl Step {
    /// Step `number`, counted from 1.
    pub fn new(number: usize) -> Step {
        let short = |keep: f32| (1.0 / (1.0 - f64::from(keep).powi(number as i32))) as f32;
        Step { mean_scale: short(KEEP_MEAN), square_scale: short(KEEP_SQUARE) }
    }

    /// By how much a number moves, with a gradient, what is remembered of it, and a step size.
    #[inline(always)]
    pub fn by(self, rate: f32, gradient: f32, mean: &mut f32, square: &mut f32) -> f32 {
        *mean += (1.0 - KEEP_MEAN) * (gradient - *mean);
        *square += (1.0 - KEEP_SQUARE) * (gradient * gradient - *square);
        -rate * (*mean * self.mean_scale) / ((*square * self.square_scale).sqrt() + NONE)
    }
}

/// How far the middle of step `number` of `steps` lies on the way from 1 to 0, which is half a wave
/// of a cosine.
pub fn cosine_decay(number: usize, steps: usize) -> f32 {
    let along = (number as f64 - 0.5) / steps as f64;
    (0.5 * (1.0 + (std::f64::consts::PI * along).cos())) as f32
}

/// How far step `number` goes, where the first `share` of `steps` go further and further: the first
/// gradients, of which nothing is known yet, would move all numbers alike.
pub fn warm_up(number: usize, steps: usize, share: f64) -> f32 {
    let along = number as f64 / (share * steps as f64).max(1.0);
    along.min(1.0) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_is_the_rate_and_the_minimum_is_found() {
        for (start, gradient, expected) in [(3.0, 1e-6, 2.9), (-1e-3, -5e4, 0.099)] {
            let (mut mean, mut square) = (0.0, 0.0);
            let after = start + Step::new(1).by(0.1, gradient, &mut mean, &mut square);
            assert!((after - expected).abs() < 1e-6, "{after}");
        }
        let (mut x, mut mean, mut square) = (3.0f32, 0.0, 0.0);
        for number in 1..=400 {
            let rate = 0.1 * (1.0 - number as f32 / 400.0);
            x += Step::new(number).by(rate, 2.0 * (x - 1.0), &mut mean, &mut square);
        }
        assert!((x - 1.0).abs() < 1e-2, "{x}");
    }

    #[test]
    fn the_first_tenth_goes_further_and_further() {
        let of = |number| warm_up(number, 40, 0.1);
        assert_eq!([1, 2, 4, 5, 40].map(of), [0.25, 0.5, 1.0, 1.0, 1.0]);
        assert_eq!(warm_up(1, 3, 0.1), 1.0);
    }
}
