//! The exponential function, in a shape that compilers vectorise.

/// `e^x` within 1 unit in the last place; 0 where that is below the smallest normal number
/// (`x < -87.34`), infinity where it is above the largest (`x > 88.72`), NaN of NaN.
///
/// It has no branches and calls nothing, so that a loop over it that runs inside [`Level::run`]
/// becomes vector instructions. Multiplications and additions are rounded separately, which keeps
/// the bits the same on every CPU.
///
/// [`Level::run`]: super::Level::run
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    /// `ln 2` in two parts. The first has so few bits that its product with a power is exact.
    const LN_2: [f32; 2] = [355.0 / 512.0, -2.121_944_4e-4];
    /// The logarithm of the smallest normal number, rounded towards 0.
    const LOW: f32 = -87.336_54;
    /// Anything past the logarithm of the largest number.
    const HIGH: f32 = 89.0;
    /// Added to a number of less than 22 bits, it leaves the nearest integer in the low bits.
    const TO_INTEGER: f32 = 12_582_912.0;

    // Comparisons rather than `clamp`, whose check of its bounds may stay in the loop; NaN passes.
    let inside = if x < LOW { LOW } else { x };
    let inside = if inside > HIGH { HIGH } else { inside };
    // x = power * ln 2 + rest, and e^x = 2^power * e^rest.
    let shifted = inside * std::f32::consts::LOG2_E + TO_INTEGER;
    let power = shifted - TO_INTEGER;
    let rest = inside - power * LN_2[0] - power * LN_2[1];
    // In two factors, as 2^128 is none; the wrapping is for NaN, whose bits are arbitrary here.
    let power = shifted.to_bits().wrapping_sub(TO_INTEGER.to_bits()) as i32;
    let half = power >> 1;
    let result = exp_near_zero(rest) * two_to(half) * two_to(power.wrapping_sub(half));
    if x < LOW { 0.0 } else { result }
}

/// `e^x` for `|x| <= ln 2 / 2`, by the polynomial of Cephes' `expf`.
#[inline(always)]
fn exp_near_zero(x: f32) -> f32 {
    let p = 1.987_569_1e-4;
    let p = p * x + 1.398_199_9e-3;
    let p = p * x + 8.333_452e-3;
    let p = p * x + 4.166_579_6e-2;
    let p = p * x + 1.666_666_5e-1;
    let p = p * x + 0.5;
    p * (x * x) + x + 1.0
}

/// `2^power` for powers of normal numbers.
#[inline(always)]
fn two_to(power: i32) -> f32 {
    f32::from_bits((power.wrapping_add(127) as u32) << 23)
}

#[cfg(test)]
mod tests {
    use pulp::{Simd, WithSimd};

    use super::super::levels;
    use super::*;

    /// The distance from the true value in units in its last place.
    fn error(x: f32) -> f64 {
        let truth = f64::from(x).exp();
        let near = truth as f32;
        let unit = f64::from(f32::from_bits(near.to_bits() + 1)) - f64::from(near);
        (f64::from(exp(x)) - truth).abs() / unit
    }

    #[test]
    fn it_is_within_one_unit_in_the_last_place() {
        let worst = (-8_733_654..=8_872_000).step_by(7).map(|i| error(i as f32 * 1e-5));
        let worst = worst.fold(0.0, f64::max);
        println!("worst error: {worst:.3} units in the last place");
        assert!(worst <= 1.0, "{worst}");
        // Small arguments of every magnitude.
        for power in -149..0 {
            for x in [2f32.powi(power), -(2f32.powi(power)), 1.7 * 2f32.powi(power)] {
                assert!(error(x) <= 1.0, "{x}: {}", error(x));
            }
        }
    }

    #[test]
    fn the_ends_are_those_of_the_function() {
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-0.0), 1.0);
        for low in [f32::NEG_INFINITY, f32::MIN, -1e5, -104.0, -87.4] {
            assert_eq!(exp(low).to_bits(), 0, "{low}");
        }
        for high in [88.73, 89.0, 1e5, f32::MAX, f32::INFINITY] {
            assert_eq!(exp(high), f32::INFINITY, "{high}");
        }
        assert!(exp(88.72).is_finite() && exp(-87.33).is_normal());
        assert!(exp(f32::NAN).is_nan() && exp(-f32::NAN).is_nan());
    }

    #[test]
    fn all_levels_give_the_same_bits() {
        struct Exps<'a>(&'a [f32]);
        impl WithSimd for Exps<'_> {
            type Output = Vec<u32>;

            #[inline(always)]
            fn with_simd<S: Simd>(self, _: S) -> Vec<u32> {
                let mut out = vec![0.0; self.0.len()];
                for (out, &x) in out.iter_mut().zip(self.0) {
                    *out = exp(x);
                }
                out.into_iter().map(f32::to_bits).collect()
            }
        }
        let special = [f32::NEG_INFINITY, f32::INFINITY, 0.0, -0.0, -87.336_54, 88.722_84];
        let x: Vec<f32> = (-20_000..20_000).map(|i| i as f32 * 0.0053).chain(special).collect();
        let expected: Vec<u32> = x.iter().map(|&x| exp(x).to_bits()).collect();
        for level in levels() {
            assert_eq!(level.run(Exps(&x)), expected, "{level:?}");
        }
    }
}
