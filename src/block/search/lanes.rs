//! Candidates side by side: [`LANES`] numbers in as many SIMD registers as the CPU needs for them.

use std::ops::{Add, Div, Mul, Sub};

use pulp::Simd;

/// How many candidates are tried at once. The same on every CPU, so that all find the same blocks.
pub const LANES: usize = 16;

/// [`LANES`] numbers, one for each candidate.
#[derive(Clone, Copy)]
pub struct Lanes<S: Simd> {
    simd: S,
    /// The first `LANES / S::F32_LANES` hold the numbers; what is never touched costs nothing.
    parts: [S::f32s; LANES],
}

/// Defines an operation lane by lane from the SIMD operation of the same meaning.
macro_rules! lane_by_lane {
    ($(#[$doc:meta])* $vis:vis fn $name:ident = $op:ident($($arg:ident),*)) => {
        $(#[$doc])*
        #[inline(always)]
        $vis fn $name(mut self, $($arg: Self),*) -> Self {
            for p in 0..LANES / S::F32_LANES {
                self.parts[p] = self.simd.$op(self.parts[p], $($arg.parts[p]),*);
            }
            self
        }
    };
}

impl<S: Simd> Lanes<S> {
    /// The same number in each lane.
    #[inline(always)]
    pub fn splat(simd: S, value: f32) -> Self {
        Lanes { simd, parts: [simd.splat_f32s(value); LANES] }
    }

    /// One number for each lane.
    #[inline(always)]
    pub fn new(simd: S, values: &[f32; LANES]) -> Self {
        let mut lanes = Lanes::splat(simd, 0.0);
        for (part, values) in lanes.parts.iter_mut().zip(values.chunks_exact(S::F32_LANES)) {
            *part = simd.partial_load_f32s(values);
        }
        lanes
    }

    /// The numbers.
    #[inline(always)]
    pub fn to_array(self) -> [f32; LANES] {
        let mut values = [0.0; LANES];
        for (part, values) in self.parts.iter().zip(values.chunks_exact_mut(S::F32_LANES)) {
            self.simd.partial_store_f32s(values, *part);
        }
        values
    }

    lane_by_lane! {
        /// `self * factor + addend`, rounded once.
        pub fn mul_add = mul_add_f32s(factor, addend)
    }
    lane_by_lane! {
        /// `addend - self * factor`, rounded once.
        pub fn negate_mul_add = negate_mul_add_f32s(factor, addend)
    }
    lane_by_lane! {
        /// The smaller of each two; neither may be NaN.
        pub fn min = min_f32s(other)
    }
    lane_by_lane! {
        /// The larger of each two; neither may be NaN.
        pub fn max = max_f32s(other)
    }
    lane_by_lane! { fn plus = add_f32s(other) }
    lane_by_lane! { fn minus = sub_f32s(other) }
    lane_by_lane! { fn times = mul_f32s(other) }
    lane_by_lane! { fn over = div_f32s(other) }

    /// `self / divisor`, or 0 where both are 0; the divisor is never negative.
    #[inline(always)]
    pub fn ratio(self, divisor: Self) -> Self {
        self / divisor.max(Lanes::splat(self.simd, f32::MIN_POSITIVE))
    }

    /// `step` where `self > threshold`, else 0.
    #[inline(always)]
    pub fn step_above(mut self, threshold: f32, step: f32) -> Self {
        let (threshold, step, zero) = (
            self.simd.splat_f32s(threshold),
            self.simd.splat_f32s(step),
            self.simd.splat_f32s(0.0),
        );
        for p in 0..LANES / S::F32_LANES {
            let above = self.simd.greater_than_f32s(self.parts[p], threshold);
            self.parts[p] = self.simd.select_f32s(above, step, zero);
        }
        self
    }

    /// `self` where `guide` is above 0, else `other`.
    #[inline(always)]
    pub fn where_positive(mut self, guide: Self, other: Self) -> Self {
        let zero = self.simd.splat_f32s(0.0);
        for p in 0..LANES / S::F32_LANES {
            let positive = self.simd.greater_than_f32s(guide.parts[p], zero);
            self.parts[p] = self.simd.select_f32s(positive, self.parts[p], other.parts[p]);
        }
        self
    }

    /// The smallest number.
    #[inline(always)]
    pub fn least(self) -> f32 {
        let mut least = self.parts[0];
        for p in 1..LANES / S::F32_LANES {
            least = self.simd.min_f32s(least, self.parts[p]);
        }
        self.simd.reduce_min_f32s(least)
    }

    /// The largest number.
    #[inline(always)]
    pub fn greatest(self) -> f32 {
        let mut greatest = self.parts[0];
        for p in 1..LANES / S::F32_LANES {
            greatest = self.simd.max_f32s(greatest, self.parts[p]);
        }
        self.simd.reduce_max_f32s(greatest)
    }

    /// The lane of the smallest of non-negative numbers; the first of (nearly) equal ones.
    #[inline(always)]
    pub fn lane_of_least(self) -> usize {
        self.tagged().least().to_bits() as usize % LANES
    }

    /// The lane of the largest of non-negative numbers; the last of (nearly) equal ones.
    #[inline(always)]
    pub fn lane_of_greatest(self) -> usize {
        self.tagged().greatest().to_bits() as usize % LANES
    }

    /// The lowest bits of each number replaced by its lane, so that a minimum or maximum finds
    /// both: of non-negative floats the bits are ordered as the floats are.
    #[inline(always)]
    fn tagged(mut self) -> Self {
        const TAG: u32 = LANES as u32 - 1;
        let tags: [u32; LANES] = std::array::from_fn(|l| l as u32);
        let mask = self.simd.splat_u32s(!TAG);
        for (part, tags) in self.parts.iter_mut().zip(tags.chunks_exact(S::U32_LANES)) {
            let bits = self.simd.and_u32s(self.simd.transmute_u32s_f32s(*part), mask);
            let tagged = self.simd.or_u32s(bits, self.simd.partial_load_u32s(tags));
            *part = self.simd.transmute_f32s_u32s(tagged);
        }
        self
    }
}

impl<S: Simd> Add for Lanes<S> {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.plus(other)
    }
}

impl<S: Simd> Sub for Lanes<S> {
    type Output = Self;

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.minus(other)
    }
}

impl<S: Simd> Mul for Lanes<S> {
    type Output = Self;

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.times(other)
    }
}

impl<S: Simd> Div for Lanes<S> {
    type Output = Self;

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.over(other)
    }
}
