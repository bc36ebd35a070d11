//! The grids of blocks: what codes stand for.

use super::search::inverse;

/// The grid of a sub-block: code `q` stands for `scale * level(q) + min`, in F32, first multiplied
/// and then added: the same number as [`super::decode`] gives (but for the sign of a zero).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SubGrid {
    /// From one integer level to the next.
    pub scale: f32,
    /// What level 0 stands for; 0 in formats without a minimum.
    pub min: f32,
}

impl SubGrid {
    /// `1 / scale`; 0 where all levels are the same, and finite where the scale is subnormal.
    #[inline(always)]
    pub fn inverse(self) -> f32 {
        inverse(self.scale).min(f32::MAX)
    }

    /// Where a weight lies, in levels.
    #[inline(always)]
    pub fn place(self, weight: f32) -> f32 {
        (weight - self.min) * self.inverse()
    }
}

/// The levels that codes stand for, in units of the scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Levels {
    /// The integers from `low` to `high`.
    Even {
        /// The lowest.
        low: i16,
        /// The highest.
        high: i16,
        /// The code of level 0.
        zero: i16,
    },
    /// Uneven ones, ascending. A level may stand there twice, if two codes stand for it.
    Table(&'static [f32; 16]),
}

impl Levels {
    /// The integers from `low` to `high`.
    pub(super) const fn even(low: i16, high: i16) -> Levels {
        Levels::Even { low, high, zero: -low }
    }

    /// The level of a code.
    pub fn at(self, code: u8) -> f32 {
        match self {
            Levels::Even { zero, .. } => f32::from(i16::from(code) - zero),
            Levels::Table(levels) => levels[usize::from(code)],
        }
    }

    /// Half a step beyond the outermost levels: what lies further out is clipped.
    pub fn borders(self) -> (f32, f32) {
        match self {
            Levels::Even { low, high, .. } => (f32::from(low) - 0.5, f32::from(high) + 0.5),
            Levels::Table([first, second, .., before, last]) => {
                (1.5 * first - 0.5 * second, 1.5 * last - 0.5 * before)
            }
        }
    }

    /// The mean distance between neighbouring levels.
    pub fn spacing(self) -> f32 {
        match self {
            Levels::Even { .. } => 1.0,
            Levels::Table(levels) => {
                let steps = levels.windows(2).filter(|pair| pair[0] < pair[1]).count();
                (levels[15] - levels[0]) / steps as f32
            }
        }
    }

    /// The level next to that of a code: the next higher one, or the next lower one.
    pub fn next_to(self, code: u8, higher: bool) -> f32 {
        let level = self.at(code);
        let next = |by: u8| if higher { self.at(code + by) } else { self.at(code - by) };
        if next(1) == level { next(2) } else { next(1) }
    }

    /// The code of a level; of two the lower one.
    pub fn code(self, level: f32) -> u8 {
        match self {
            Levels::Even { zero, .. } => (level as i16 + zero) as u8,
            Levels::Table(levels) => levels.iter().filter(|&&other| other < level).count() as u8,
        }
    }

    /// Replaces each number by the level nearest to it. Plain arithmetic, so that it vectorises.
    #[inline(always)]
    pub fn round<const N: usize>(self, x: &mut [f32; N]) {
        /// 1.5 * 2^23: adding it rounds small numbers to integers, ties to even.
        const MAGIC: f32 = 12_582_912.0;
        match self {
            Levels::Even { low, high, .. } => {
                let (low, high) = (f32::from(low), f32::from(high));
                for x in x {
                    let above = if *x > low { *x } else { low };
                    let within = if above < high { above } else { high };
                    *x = (within + MAGIC) - MAGIC;
                }
            }
            Levels::Table(levels) => {
                let mut rounded = [levels[0]; N];
                for pair in levels.windows(2) {
                    let middle = 0.5 * (pair[0] + pair[1]);
                    for (rounded, x) in rounded.iter_mut().zip(x.iter()) {
                        *rounded = if *x > middle { pair[1] } else { *rounded };
                    }
                }
                *x = rounded;
            }
        }
    }
}

/// The multiple of `unit` nearest to `wanted`, from `low` to `high` times.
pub(super) fn multiple(wanted: f32, unit: f32, (low, high): (i32, i32)) -> f32 {
    let times =
        if unit == 0.0 { 0.0 } else { (wanted / unit).round().clamp(low as f32, high as f32) };
    unit * times
}

/// How many times `unit` one of its multiples is.
pub(super) fn times(multiple: f32, unit: f32) -> i32 {
    if unit == 0.0 { 0 } else { (multiple / unit).round() as i32 }
}
