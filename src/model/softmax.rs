//! Softmax, and the KL divergence of two rows of logits: the one that trains and the one that judges.
//! Sums over the exponentials of whole rows are where an evaluation spends the time that it does not
//! spend in the model.
//!
//! Exponentials are of F32, sums of F64 in fixed lanes: the same bits on every CPU.

use pulp::{Simd, WithSimd};

use crate::simd::{Level, exp};

/// Logits worked on at a time: buffers of them stay in the fastest cache.
const BLOCK: usize = 256;

/// The ends of a row of logits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Extent {
    /// The largest logit.
    pub high: f32,
    /// The token that has it; of several, the first.
    pub top: usize,
    /// The smallest logit.
    pub low: f32,
}

/// The ends of a row; the place of a logit that is NaN or infinite where there is one.
pub fn extent(row: &[f32]) -> Result<Extent, usize> {
    let [low, high, block] = Level::widest().run(FindEnds(row));
    let (low, high) = (from_ordered(low), from_ordered(high));
    if !low.is_finite() || !high.is_finite() {
        return Err(row.iter().position(|x| !x.is_finite()).unwrap_or(0));
    }
    let start = block as usize * BLOCK;
    let top = row[start..].iter().position(|&x| x == high).map_or(start, |at| start + at);
    Ok(Extent { high, top, low })
}

/// The smallest and largest logit as [ordered](to_ordered) integers, and the block of the latter.
struct FindEnds<'a>(&'a [f32]);

impl WithSimd for FindEnds<'_> {
    type Output = [i32; 3];

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> [i32; 3] {
        let (mut low, mut high, mut at) = (i32::MAX, i32::MIN, 0);
        for (i, block) in self.0.chunks(BLOCK).enumerate() {
            let mut block_high = i32::MIN;
            for &x in block {
                let x = to_ordered(x);
                low = low.min(x);
                block_high = block_high.max(x);
            }
            if block_high > high {
                (high, at) = (block_high, i as i32);
            }
        }
        [low, high, at]
    }
}

/// An integer that orders as the number does, with NaN beyond the infinities. Unlike those of
/// floats, minima and maxima of integers may be taken in any order, and so are vectorised.
#[inline(always)]
fn to_ordered(x: f32) -> i32 {
    // Without the sign of zero, lest -0 and 0 were different maxima.
    flip_negative((x + 0.0).to_bits() as i32)
}

fn from_ordered(x: i32) -> f32 {
    f32::from_bits(flip_negative(x) as u32)
}

#[inline(always)]
fn flip_negative(x: i32) -> i32 {
    x ^ (x >> 31 & i32::MAX)
}

/// Sums over the vocabulary, of a full-precision and a quantized row of logits.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sums {
    /// Sum of `e^(base - base_high)`.
    pub base: f64,
    /// Sum of `e^(quantized - quantized_high)`.
    pub quantized: f64,
    /// Sum of `e^(base - base_high) * (base - quantized)`.
    pub cross: f64,
}

impl Sums {
    /// KL(full precision || quantized) in nats, given the largest logit of each row. What rounding puts
    /// below 0 is left there.
    pub fn kld(&self, base_high: f32, quantized_high: f32) -> f64 {
        // sum p (ln p - ln q) = sum p (base - quantized) + whole - whole_base, and the logarithms
        // apart, since they cancel to the last bit where the rows are the same.
        let shift = f64::from(quantized_high) - f64::from(base_high);
        self.cross / self.base + shift + (self.quantized / self.base).ln()
    }
}

/// The sums over two rows, given the largest logit of each.
pub fn sums(base: &[f32], base_high: f32, quantized: &[f32], quantized_high: f32) -> Sums {
    Level::widest().run(SumPair { base, base_high, quantized, quantized_high })
}

struct SumPair<'a> {
    base: &'a [f32],
    base_high: f32,
    quantized: &'a [f32],
    quantized_high: f32,
}

impl WithSimd for SumPair<'_> {
    type Output = Sums;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Sums {
        let mut sums = [[0.0f64; BLOCK]; 3];
        let (mut p, mut q) = ([0.0f32; BLOCK], [0.0f32; BLOCK]);
        for (base, quantized) in self.base.chunks(BLOCK).zip(self.quantized.chunks(BLOCK)) {
            // Loops of one kind of number each: mixed ones use half of each vector.
            exp_above(base, self.base_high, &mut p);
            exp_above(quantized, self.quantized_high, &mut q);
            add(&p[..base.len()], &mut sums[0]);
            add(&q[..base.len()], &mut sums[1]);
            let cross = sums[2].iter_mut().zip(&p).zip(base.iter().zip(quantized));
            for ((sum, &p), (&base, &quantized)) in cross {
                *sum += f64::from(p) * f64::from(base - quantized);
            }
        }
        let [base, quantized, cross] = sums.map(|sum| sum.iter().sum());
        Sums { base, quantized, cross }
    }
}

/// The sum of `e^(row - high)`.
pub fn exp_sum(row: &[f32], high: f32) -> f64 {
    Level::widest().run(SumOne { row, high })
}

struct SumOne<'a> {
    row: &'a [f32],
    high: f32,
}

impl WithSimd for SumOne<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        let (mut sum, mut p) = ([0.0f64; BLOCK], [0.0f32; BLOCK]);
        for row in self.row.chunks(BLOCK) {
            exp_above(row, self.high, &mut p);
            add(&p[..row.len()], &mut sum);
        }
        sum.iter().sum()
    }
}

/// `e^(row - high)`, of up to [`BLOCK`] logits.
#[inline(always)]
fn exp_above(row: &[f32], high: f32, out: &mut [f32; BLOCK]) {
    for (out, &x) in out.iter_mut().zip(row) {
        *out = exp(x - high);
    }
}

/// Adds each number to the sum of its lane.
#[inline(always)]
fn add(numbers: &[f32], sums: &mut [f64; BLOCK]) {
    for (sum, &x) in sums.iter_mut().zip(numbers) {
        *sum += f64::from(x);
    }
}

/// `exp(x)` over the sum of all `exp(x)`, in place.
pub fn softmax(x: &mut [f32]) {
    struct Softmax<'a>(&'a mut [f32]);
    impl WithSimd for Softmax<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) {
            let most = highest(self.0);
            let (chunks, rest) = self.0.as_chunks_mut::<16>();
            let mut lanes = [0.0f32; 16];
            for chunk in chunks {
                for (lane, x) in lanes.iter_mut().zip(chunk) {
                    *x = exp(*x - most);
                    *lane += *x;
                }
            }
            let mut sum: f32 = lanes.iter().sum();
            for x in rest {
                *x = exp(*x - most);
                sum += *x;
            }
            let scale = 1.0 / sum;
            self.0.iter_mut().for_each(|x| *x *= scale);
        }
    }
    Level::widest().run(Softmax(x));
}

/// The largest number, in lanes, so that it vectorises; NaN is none.
#[inline(always)]
pub fn highest(x: &[f32]) -> f32 {
    let (chunks, rest) = x.as_chunks::<16>();
    let mut lanes = [f32::NEG_INFINITY; 16];
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = if x > *lane { x } else { *lane };
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |most, &x| most.max(x))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::simd::levels;

    #[test]
    fn the_first_of_the_largest_is_on_top() {
        let mut row = vec![-3.0; 1000];
        assert_eq!(extent(&row), Ok(Extent { high: -3.0, top: 0, low: -3.0 }));
        (row[999], row[500], row[501]) = (-7.5, 2.0, 2.0);
        assert_eq!(extent(&row), Ok(Extent { high: 2.0, top: 500, low: -7.5 }));
        assert_eq!(extent(&[-1.0, -0.0, 0.0]), Ok(Extent { high: 0.0, top: 1, low: -1.0 }));
    }

    #[test]
    fn what_is_not_finite_is_found() {
        for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for at in [0, 255, 256, 999] {
                let mut row = vec![0.5; 1000];
                row[at] = bad;
                assert_eq!(extent(&row), Err(at), "{bad}");
            }
        }
    }

    proptest! {
        #[test]
        fn sums_are_those_of_plain_f64(rows in rows()) {
            let (base, quantized) = rows;
            let [high, quantized_high] = [&base, &quantized].map(|row| extent(row).unwrap().high);
            let sums = sums(&base, high, &quantized, quantized_high);
            let naive = |row: &[f32], high: f32| -> f64 {
                row.iter().map(|&x| (f64::from(x) - f64::from(high)).exp()).sum()
            };
            let cross: f64 = base.iter().zip(&quantized).map(|(&x, &y)| {
                (f64::from(x) - f64::from(high)).exp() * (f64::from(x) - f64::from(y))
            }).sum();
            // F32 differences and exponentials: 1e-7 of each part, and they go up to 40.
            prop_assert!((sums.base / naive(&base, high) - 1.0).abs() < 2e-6);
            prop_assert!((sums.quantized / naive(&quantized, quantized_high) - 1.0).abs() < 2e-6);
            prop_assert!((sums.cross - cross).abs() < 2e-6 * 40.0 * sums.base);
            prop_assert_eq!(exp_sum(&base, high), sums.base);
        }

        #[test]
        fn all_levels_give_the_same_bits(rows in rows()) {
            let (base, quantized) = rows;
            let run = |level: Level| {
                let (base, quantized) = (base.as_slice(), quantized.as_slice());
                level.run(SumPair { base, base_high: 20.0, quantized, quantized_high: 19.0 })
            };
            for level in levels() {
                prop_assert_eq!(run(level), run(Level::Portable));
            }
        }
    }

    /// Two rows of one length.
    fn rows() -> impl Strategy<Value = (Vec<f32>, Vec<f32>)> {
        let pair = (-20f32..20.0, -20f32..20.0);
        proptest::collection::vec(pair, 1..700).prop_map(|pairs| pairs.into_iter().unzip())
    }
}
