//! Candidates side by side: [`LANES`] numbers in as many SIMD registers as the CPU needs for them.

use std::ops::{Add, Div, Mul, Sub};

use pulp::Simd;
use pulp::bytemuck::{bytes_of, cast_slice, cast_slice_mut, pod_read_unaligned};

/// How many candidates are tried at once. The same on every CPU, so that all find the same blocks.
pub const LANES: usize = 16;

/// The narrowest registers, those of NEON, hold four.
const MAX_PARTS: usize = LANES / 4;

/// A number for each lane. `std::array::from_fn` would do, but is not always inlined, and what is
/// not inlined is not compiled for the CPU's vectors.
#[inline(always)]
pub fn by_lane(number: impl Fn(usize) -> f32) -> [f32; LANES] {
    let mut numbers = [0.0; LANES];
    for (l, out) in numbers.iter_mut().enumerate() {
        *out = number(l);
    }
    numbers
}

/// [`LANES`] numbers, one for each candidate.
#[derive(Clone, Copy)]
pub struct Lanes<S: Simd> {
    simd: S,
    /// The first `LANES / S::F32_LANES` hold the numbers; what is never touched costs nothing.
    parts: [S::f32s; MAX_PARTS],
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
        Lanes { simd, parts: [simd.splat_f32s(value); MAX_PARTS] }
    }

    /// One number for each lane.
    #[inline(always)]
    pub fn new(simd: S, values: &[f32; LANES]) -> Self {
        let mut lanes = Lanes::splat(simd, 0.0);
        for (part, values) in lanes.parts.iter_mut().zip(values.chunks_exact(S::F32_LANES)) {
            *part = pod_read_unaligned(cast_slice(values));
        }
        lanes
    }

    /// What runs its operations.
    #[inline(always)]
    pub fn simd(self) -> S {
        self.simd
    }

    /// The numbers.
    #[inline(always)]
    pub fn to_array(self) -> [f32; LANES] {
        let mut values = [0.0; LANES];
        for (part, values) in self.parts.iter().zip(values.chunks_exact_mut(S::F32_LANES)) {
            cast_slice_mut::<f32, u8>(values).copy_from_slice(bytes_of(part));
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

    /// `1 / self`, or 0 where that is 0: a scale of 0 decodes everything to 0.
    #[inline(always)]
    pub fn inverse(mut self) -> Self {
        let (zero, one) = (self.simd.splat_f32s(0.0), self.simd.splat_f32s(1.0));
        for p in 0..LANES / S::F32_LANES {
            let is_zero = self.simd.equal_f32s(self.parts[p], zero);
            let inverse = self.simd.div_f32s(one, self.parts[p]);
            self.parts[p] = self.simd.select_f32s(is_zero, zero, inverse);
        }
        self
    }

    /// `level` where `guide > threshold`, else `self`.
    #[inline(always)]
    pub fn raised_above(mut self, guide: Self, threshold: f32, level: f32) -> Self {
        let (threshold, level) = (self.simd.splat_f32s(threshold), self.simd.splat_f32s(level));
        for p in 0..LANES / S::F32_LANES {
            let above = self.simd.greater_than_f32s(guide.parts[p], threshold);
            self.parts[p] = self.simd.select_f32s(above, level, self.parts[p]);
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

    /// The lanes of the smallest of non-negative numbers in the lower and in the upper half.
    #[inline(always)]
    pub fn lanes_of_least(self) -> [usize; 2] {
        let bits = self.tagged().to_array().map(f32::to_bits);
        let (lower, upper) = bits.split_at(LANES / 2);
        let least = |half: &[u32]| half.iter().fold(u32::MAX, |least, &bits| least.min(bits));
        [least(lower), least(upper)].map(|bits| bits as usize % LANES)
    }

    /// The lowest bits of each number replaced by its lane, so that a minimum finds both: of non-negative floats the bits are ordered as the floats are.
    #[inline(always)]
    fn tagged(mut self) -> Self {
        const TAG: u32 = LANES as u32 - 1;
        let tags: [u32; LANES] = std::array::from_fn(|l| l as u32);
        let mask = self.simd.splat_u32s(!TAG);
        for (part, tags) in self.parts.iter_mut().zip(tags.chunks_exact(S::U32_LANES)) {
            let bits = self.simd.and_u32s(self.simd.transmute_u32s_f32s(*part), mask);
            let tagged = self.simd.or_u32s(bits, pod_read_unaligned(cast_slice(tags)));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::tests::levels;
    use proptest::prelude::*;
    use pulp::WithSimd;

    type Numbers = [f32; LANES];

    /// An operation on three numbers for each lane.
    #[derive(Clone, Copy)]
    enum Operation {
        Add,
        Sub,
        Mul,
        Div,
        MulAdd,
        NegateMulAdd,
        Min,
        Max,
        Ratio,
        RaisedAbove,
        WherePositive,
    }

    use Operation::*;

    const OPERATIONS: [Operation; 11] =
        [Add, Sub, Mul, Div, MulAdd, NegateMulAdd, Min, Max, Ratio, RaisedAbove, WherePositive];

    impl Operation {
        fn on_lanes<S: Simd>(self, a: Lanes<S>, b: Lanes<S>, c: Lanes<S>) -> Lanes<S> {
            match self {
                Add => a + b,
                Sub => a - b,
                Mul => a * b,
                Div => a / b,
                MulAdd => a.mul_add(b, c),
                NegateMulAdd => a.negate_mul_add(b, c),
                Min => a.min(b),
                Max => a.max(b),
                Ratio => a.ratio(b.max(Lanes::splat(b.simd, 0.0))),
                RaisedAbove => a.raised_above(b, 0.5, 3.0),
                WherePositive => a.where_positive(b, c),
            }
        }

        fn on_numbers(self, a: f32, b: f32, c: f32) -> f32 {
            match self {
                Add => a + b,
                Sub => a - b,
                Mul => a * b,
                Div => a / b,
                MulAdd => a.mul_add(b, c),
                NegateMulAdd => (-a).mul_add(b, c),
                Min => a.min(b),
                Max => a.max(b),
                Ratio => a / b.max(f32::MIN_POSITIVE),
                RaisedAbove => [a, 3.0][(b > 0.5) as usize],
                WherePositive => [c, a][(b > 0.0) as usize],
            }
        }
    }

    #[derive(Clone, Copy)]
    struct OnLanes<'a>(Operation, &'a [Numbers; 3]);

    impl WithSimd for OnLanes<'_> {
        type Output = Numbers;

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Numbers {
            let [a, b, c] = self.1.each_ref().map(|numbers| Lanes::new(simd, numbers));
            self.0.on_lanes(a, b, c).to_array()
        }
    }

    /// The same bits, but for the sign of zero and the bits of NaN, which are left open.
    fn same(a: f32, b: f32) -> bool {
        a == b || (a.is_nan() && b.is_nan())
    }

    fn check_operations(numbers: &[Numbers; 3]) {
        let [a, b, c] = numbers;
        for (o, operation) in OPERATIONS.into_iter().enumerate() {
            for level in levels() {
                let lanes = level.run(OnLanes(operation, numbers));
                for l in 0..LANES {
                    let plain = operation.on_numbers(a[l], b[l], c[l]);
                    assert!(
                        same(lanes[l], plain),
                        "operation {o} at {level:?} on {}, {}, {}: {} for {plain}",
                        a[l],
                        b[l],
                        c[l],
                        lanes[l]
                    );
                }
            }
        }
    }

    /// Where arithmetic is apt to go wrong.
    const EDGES: Numbers = [
        0.0,
        -0.0,
        f32::MIN_POSITIVE,
        -f32::MIN_POSITIVE,
        1e-45,
        -1e-45,
        0.5,
        1.0,
        -1.0,
        1.0 + f32::EPSILON,
        12_582_912.0,
        65504.0,
        -65504.0,
        1e30,
        f32::MAX,
        f32::MIN,
    ];

    #[test]
    fn operations_agree_with_plain_ones_at_the_edges() {
        let turned = |by: usize| std::array::from_fn(|l| EDGES[(l + by) % LANES]);
        for (b, c) in (0..LANES).flat_map(|b| (0..LANES).map(move |c| (b, c))) {
            check_operations(&[EDGES, turned(b), turned(c)]);
        }
    }

    fn finite() -> impl Strategy<Value = f32> {
        use prop::num::f32::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
        NORMAL | SUBNORMAL | ZERO | POSITIVE | NEGATIVE
    }

    /// The smallest, the greatest, and the lanes where they are said to be.
    #[derive(Debug, Clone, PartialEq)]
    struct Reduced {
        least: f32,
        greatest: f32,
        lane_of_least: usize,
        lanes_of_least: [usize; 2],
    }

    struct Reduce<'a>(&'a Numbers);

    impl WithSimd for Reduce<'_> {
        type Output = Reduced;

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Reduced {
            let lanes = Lanes::new(simd, self.0);
            Reduced {
                least: lanes.least(),
                greatest: lanes.greatest(),
                lane_of_least: lanes.lane_of_least(),
                lanes_of_least: lanes.lanes_of_least(),
            }
        }
    }

    fn reduced_plainly(numbers: &Numbers) -> Reduced {
        // Numbers that differ in the lowest bits only count as equal.
        let key = |l: &usize| numbers[*l].to_bits() / LANES as u32;
        let half = LANES / 2;
        Reduced {
            least: numbers.iter().copied().fold(f32::INFINITY, f32::min),
            greatest: numbers.iter().copied().fold(f32::NEG_INFINITY, f32::max),
            lane_of_least: (0..LANES).min_by_key(key).unwrap(),
            lanes_of_least: [0..half, half..LANES].map(|half| half.min_by_key(key).unwrap()),
        }
    }

    fn check_reductions(numbers: &Numbers) {
        for level in levels() {
            assert_eq!(level.run(Reduce(numbers)), reduced_plainly(numbers), "{level:?}");
        }
    }

    #[test]
    fn reductions_agree_with_plain_ones_at_the_edges() {
        for number in EDGES.map(f32::abs) {
            check_reductions(&[number; LANES]);
            for l in 0..LANES {
                let mut numbers = [1.0; LANES];
                numbers[l] = number;
                check_reductions(&numbers);
            }
        }
    }

    proptest! {
        #[test]
        fn operations_agree_with_plain_ones(
            numbers in prop::array::uniform3(prop::array::uniform16(finite()))
        ) {
            check_operations(&numbers);
        }

        #[test]
        fn reductions_agree_with_plain_ones(numbers in prop::array::uniform16(finite())) {
            check_reductions(&numbers.map(f32::abs));
        }
    }
}
