//! Lattices between two ends: multiples of a scale, from a minimum on.

use super::Block;
use crate::block::grid::{Levels, SubGrid};
use crate::block::stored::{Range, Stored};

/// What weights have in common that are `scale * code + min`.
struct Spread {
    least: f32,
    most: f32,
    range_of_least: Range,
    range_of_most: Range,
}

impl Spread {
    fn of(stored: Stored, x: &[f32]) -> Spread {
        let least = x.iter().copied().fold(f32::INFINITY, f32::min);
        let most = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let (range_of_least, range_of_most) = (stored.range(least), stored.range(most));
        Spread { least, most, range_of_least, range_of_most }
    }

    /// The scales with which the ends are so many steps apart.
    fn scales(&self, steps: u8) -> Range {
        self.range_of_most.minus(self.range_of_least).times(1.0 / f64::from(steps))
    }

    /// What the least weight was before it was rounded, if all are whole steps of `scale` from it.
    fn start(&self, stored: Stored, x: &[f32], scale: f64) -> Option<Range> {
        x.iter().try_fold(Range::ALL, |range, &x| {
            let steps = ((f64::from(x) - f64::from(self.least)) / scale).round();
            let range = range.and(stored.range(x).plus(-scale * steps));
            (!range.is_empty()).then_some(range)
        })
    }
}

/// The largest code.
fn top(levels: Levels) -> u8 {
    match levels {
        Levels::Even { high, .. } => high as u8,
        Levels::Table(_) => unreachable!("formats with a minimum have even levels"),
    }
}

/// Positive or negative F16, or 0, in a range.
fn halves(range: Range) -> impl Iterator<Item = f32> {
    let zero = (range.low <= 0.0 && range.high >= 0.0).then_some(0.0);
    let below = range.negated().halves().map(|half| -half);
    zero.into_iter().chain(range.halves()).chain(below)
}

/// Blocks with one scale and one minimum.
pub fn one_grid(block: &mut Block) -> bool {
    let (x, stored, top) = (block.x, block.stored, top(block.levels()));
    let spread = Spread::of(stored, x);
    let mut fill = |scale: f32, min: f32| {
        let grid = SubGrid { scale, min };
        block.fill(grid, &[grid])
    };
    if spread.least == spread.most {
        return halves(spread.range_of_least).any(|min| fill(0.0, min));
    }
    (1..=top).rev().any(|steps| {
        spread.scales(steps).halves().any(|scale| {
            let Some(start) = spread.start(stored, x, f64::from(scale)) else { return false };
            // The least weight need not have the least code.
            let mut codes = (0..=top - steps).map(f64::from);
            codes.any(|code| {
                halves(start.plus(-f64::from(scale) * code)).any(|min| fill(scale, min))
            })
        })
    })
}

/// The most that a sub-block's scale or minimum is of its unit.
const MOST: u8 = 63;

/// Super-blocks whose sub-blocks have scales and minimums that are multiples of one each.
pub fn super_block(block: &mut Block) -> bool {
    let (stored, top) = (block.stored, top(block.levels()));
    let subs: Option<Vec<Sub>> = block.subs().map(|x| Sub::of(stored, x, top)).collect();
    let Some(subs) = subs else { return false };
    let Some(first) = subs.iter().filter(|sub| !sub.is_flat()).min_by_key(|sub| sub.scales.len())
    else {
        return with_scales(block, &subs, 0.0, &[0; 8]);
    };
    for range in &first.scales {
        for unit in (1..=MOST).rev().flat_map(|n| range.times(1.0 / f64::from(n)).halves()) {
            let multiples: Option<Vec<u8>> = subs.iter().map(|sub| sub.multiple(unit)).collect();
            if multiples.is_some_and(|multiples| with_scales(block, &subs, unit, &multiples)) {
                return true;
            }
        }
    }
    false
}

/// A sub-block.
struct Sub<'x> {
    x: &'x [f32],
    spread: Spread,
    /// The scales that it may have; none if its weights are all the same.
    scales: Vec<Range>,
}

impl<'x> Sub<'x> {
    /// `None` where its weights are no even steps apart.
    fn of(stored: Stored, x: &'x [f32], top: u8) -> Option<Sub<'x>> {
        let spread = Spread::of(stored, x);
        let mut sub = Sub { x, spread, scales: Vec::new() };
        if !sub.is_flat() {
            let spread = &sub.spread;
            let scales = (1..=top).rev().filter_map(|steps| {
                let range = spread.scales(steps);
                x.iter().try_fold(range, |range, &x| {
                    let apart = f64::from(x) - f64::from(spread.least);
                    let steps = (apart / range.middle()).round();
                    let range = match steps == 0.0 {
                        true => range,
                        false => {
                            let apart = stored.range(x).minus(spread.range_of_least);
                            range.and(apart.times(1.0 / steps))
                        }
                    };
                    let is_start = steps == 0.0 && x != spread.least;
                    (!range.is_empty() && !is_start).then_some(range)
                })
            });
            sub.scales = scales.collect();
        }
        (sub.is_flat() || !sub.scales.is_empty()).then_some(sub)
    }

    fn is_flat(&self) -> bool {
        self.spread.least == self.spread.most
    }

    /// How many units its scale is.
    fn multiple(&self, unit: f32) -> Option<u8> {
        if self.is_flat() {
            return Some(0);
        }
        self.scales.iter().find_map(|range| {
            let times = (range.middle() / f64::from(unit)).round();
            let is_within = (range.low..=range.high).contains(&(times * f64::from(unit)));
            (is_within && (1.0..=f64::from(MOST)).contains(&times)).then_some(times as u8)
        })
    }

    /// What its minimum may be below 0, by the code of its least weight.
    fn minimums(&self, stored: Stored, scale: f32, top: u8) -> Vec<Range> {
        if scale == 0.0 {
            return vec![self.spread.range_of_least.negated()];
        }
        let scale = f64::from(scale);
        let Some(start) = self.spread.start(stored, self.x, scale) else { return Vec::new() };
        let apart = f64::from(self.spread.most) - f64::from(self.spread.least);
        let steps = (apart / scale).round();
        let codes = (0..=top).map(f64::from).take_while(|code| code + steps <= f64::from(top));
        codes.map(|code| start.plus(-scale * code).negated()).collect()
    }
}

/// Finds the minimums of sub-blocks that have these multiples of `unit` as scales.
fn with_scales(block: &mut Block, subs: &[Sub], unit: f32, multiples: &[u8]) -> bool {
    let (stored, top) = (block.stored, top(block.levels()));
    let scales: Vec<f32> = multiples.iter().map(|&n| unit * f32::from(n)).collect();
    let minimums = subs.iter().zip(&scales).map(|(sub, &scale)| sub.minimums(stored, scale, top));
    let minimums: Vec<Vec<Range>> = minimums.collect();
    let of_unit = |range: &Range, unit_of_min: f32| {
        let holds = |n: f64| (range.low..=range.high).contains(&(n * f64::from(unit_of_min)));
        if holds(0.0) {
            return Some(0.0);
        }
        let times = (range.middle() / f64::from(unit_of_min)).round();
        (holds(times) && (0.0..=f64::from(MOST)).contains(&times)).then_some(times as f32)
    };
    let mut fill = |unit_of_min: f32| {
        let grids = minimums.iter().zip(&scales).map(|(minimums, &scale)| {
            let times = minimums.iter().find_map(|range| of_unit(range, unit_of_min))?;
            Some(SubGrid { scale, min: -(unit_of_min * times) })
        });
        let grids: Option<Vec<SubGrid>> = grids.collect();
        let unit = SubGrid { scale: unit, min: unit_of_min };
        grids.is_some_and(|grids| block.fill(unit, &grids))
    };
    if fill(0.0) {
        return true;
    }
    // That of the sub-block with fewest choices is some multiple of the unit.
    let nonzero = minimums.iter().filter(|all| all.iter().all(|m| m.low > 0.0 || m.high < 0.0));
    let Some(first) = nonzero.min_by_key(|all| all.len()) else { return false };
    (1..=MOST).rev().any(|n| {
        let times = 1.0 / f64::from(n);
        first.iter().any(|range| range.times(times).halves().any(&mut fill))
    })
}
