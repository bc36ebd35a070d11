//! Rows to encode, and importances: what models hold, and what an encoder may stumble over.

use proptest::prelude::*;
use proptest::sample::select;

/// Values of a generated row: a super-block, or eight blocks of 32.
pub const ROW: usize = 256;

/// A generator of pseudo-random numbers (SplitMix64): a case is named by its seed.
pub struct Random(pub u64);

impl Random {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform from 0 to 1.
    pub fn uniform(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1 << 24) as f32
    }

    /// Nearly Gaussian, of variance 1: a sum of twelve uniform numbers.
    pub fn gaussian(&mut self) -> f32 {
        (0..12).map(|_| self.uniform()).sum::<f32>() - 6.0
    }

    /// Ten to a uniform power.
    fn power(&mut self, low: f32, high: f32) -> f32 {
        10f32.powf(low + (high - low) * self.uniform())
    }

    fn integer(&mut self, low: i32, high: i32) -> f32 {
        (low + (self.bits() % (high - low + 1) as u64) as i32) as f32
    }
}

/// How the values of a row are distributed.
#[derive(Debug, Clone, Copy)]
pub enum Values {
    Gaussian,
    HeavyTailed,
    Constant,
    Zeros,
    SignedZeros,
    Spike,
    Sparse,
    /// Around 1e-7, below what most formats can store.
    Tiny,
    /// F16's subnormal numbers.
    Subnormal,
    /// F32's subnormal numbers.
    Vanishing,
    /// Up to F16's largest number.
    Large,
    Alternating,
    Positive,
    Negative,
    /// Small differences far from zero.
    Offset,
    /// Integers times a scale, as if quantized before.
    Quantized,
    /// One number, its negative, and zero.
    Ternary,
    /// Two to sixteen numbers with even steps, around zero.
    Levels,
    /// Each 32 values distributed in their own way.
    Mixed,
}

pub const VALUES: [Values; 19] = {
    use Values::*;
    [
        Gaussian,
        HeavyTailed,
        Constant,
        Zeros,
        SignedZeros,
        Spike,
        Sparse,
        Tiny,
        Subnormal,
        Vanishing,
        Large,
        Alternating,
        Positive,
        Negative,
        Offset,
        Quantized,
        Ternary,
        Levels,
        Mixed,
    ]
};

impl Values {
    /// `len` values of the magnitude `scale`, where the distribution leaves it open.
    pub fn sample(self, random: &mut Random, scale: f32, len: usize) -> Vec<f32> {
        let place = random.bits() as usize % len;
        let many = |value: &mut dyn FnMut(usize) -> f32| (0..len).map(value).collect();
        match self {
            Values::Gaussian => many(&mut |_| scale * random.gaussian()),
            Values::HeavyTailed => {
                many(&mut |_| scale * random.gaussian() * random.power(-2.0, 1.0))
            }
            Values::Constant => vec![scale * random.gaussian(); len],
            Values::Zeros => vec![0.0; len],
            Values::SignedZeros => many(&mut |_| 0f32.copysign(random.gaussian())),
            Values::Spike => {
                let spike = scale * random.power(1.0, 3.0);
                many(&mut |i| if i == place { -spike } else { scale * random.gaussian() })
            }
            Values::Sparse => many(&mut |_| (random.uniform() < 0.05) as u8 as f32 * scale),
            Values::Tiny => many(&mut |_| 1e-7 * random.gaussian()),
            Values::Subnormal => many(&mut |_| random.integer(-1023, 1023) * 2f32.powi(-24)),
            Values::Vanishing => many(&mut |_| 1e-40 * random.gaussian()),
            Values::Large => many(&mut |_| random.integer(-65504, 65504)),
            Values::Alternating => many(&mut |i| if i % 2 == 0 { scale } else { -scale }),
            Values::Positive => many(&mut |_| scale * random.gaussian().abs()),
            Values::Negative => many(&mut |_| -scale * random.uniform()),
            Values::Offset => many(&mut |_| scale * (1000.0 + 0.01 * random.gaussian())),
            Values::Quantized => {
                let top = [7, 15, 31, 63, 127][random.bits() as usize % 5];
                many(&mut |_| scale * random.integer(-top - 1, top))
            }
            Values::Ternary => many(&mut |_| scale * random.integer(-1, 1)),
            Values::Levels => {
                let top = random.integer(1, 15);
                many(&mut |_| scale * (random.integer(0, top as i32) - 0.5 * top))
            }
            Values::Mixed => (0..len.div_ceil(32)).flat_map(|_| mixed_part(random)).collect(),
        }
    }
}

fn mixed_part(random: &mut Random) -> Vec<f32> {
    // All kinds but the last, which is this one.
    let kind = VALUES[random.bits() as usize % (VALUES.len() - 1)];
    let scale = random.power(-4.0, 1.0);
    kind.sample(random, scale, 32)
}

/// How important the columns of a row are.
#[derive(Debug, Clone, Copy)]
pub enum Columns {
    /// Nothing is known.
    Unweighted,
    /// Activations of about one size.
    Even,
    /// As large as activations of real models differ, and more.
    Uneven,
    /// Some columns were never active.
    SomeZeros,
    Zeros,
    /// Everything hangs on one column.
    One,
    /// Twenty-four orders of magnitude.
    HugeRatios,
}

pub const COLUMNS: [Columns; 7] = {
    use Columns::*;
    [Unweighted, Even, Uneven, SomeZeros, Zeros, One, HugeRatios]
};

impl Columns {
    pub fn sample(self, random: &mut Random, len: usize) -> Option<Vec<f32>> {
        let place = random.bits() as usize % len;
        let many = |value: &mut dyn FnMut(usize) -> f32| Some((0..len).map(value).collect());
        match self {
            Columns::Unweighted => None,
            Columns::Even => many(&mut |_| 0.5 + random.uniform()),
            Columns::Uneven => many(&mut |_| random.power(-2.0, 2.0)),
            Columns::SomeZeros => many(&mut |_| (random.gaussian()).max(0.0)),
            Columns::Zeros => Some(vec![0.0; len]),
            Columns::One => many(&mut |i| (i == place) as u8 as f32 * 1e4),
            Columns::HugeRatios => many(&mut |_| random.power(-30.0, 30.0)),
        }
    }
}

/// A row and its importance, made from a seed.
#[derive(Debug, Clone)]
pub struct Case {
    pub values: Values,
    pub columns: Columns,
    pub scale: f32,
    pub seed: u64,
}

impl Case {
    pub fn sample(&self) -> (Vec<f32>, Option<Vec<f32>>) {
        let mut random = Random(self.seed);
        let row = self.values.sample(&mut random, self.scale, ROW);
        (row, self.columns.sample(&mut random, ROW))
    }
}

/// Every distribution with every importance.
pub fn cases() -> impl Strategy<Value = Case> {
    let scale = (-4f32..1.0).prop_map(|power| 10f32.powf(power));
    (select(&VALUES[..]), select(&COLUMNS[..]), scale, any::<u64>())
        .prop_map(|(values, columns, scale, seed)| Case { values, columns, scale, seed })
}
