//! Lattices around 0: multiples of a scale.

use half::f16;

use super::{Block, Fit, nearest};
use crate::block::grid::{Levels, SubGrid};
use crate::block::stored::{Range, Stored};

fn grid(scale: f32) -> SubGrid {
    SubGrid { scale, min: 0.0 }
}

/// Scales with which each weight is a level, as far as the file tells.
#[derive(Clone, Copy)]
struct Scales {
    range: Range,
    /// The one among them, perhaps, that has the largest weight as it stands in the file.
    of_peak: f64,
}

impl Scales {
    /// The F16 among them: first what is no rounded number in the file, then from the middle on.
    fn halves(self) -> Vec<f32> {
        let middle = self.range.middle();
        let off = |half: &f32| (f64::from(*half) - middle).abs();
        let mut all: Vec<f32> = halves(self.range).collect();
        all.sort_by(|a, b| off(a).total_cmp(&off(b)));
        if let Some(at) = all.iter().position(|&x| f64::from(x) == self.of_peak) {
            all[..=at].rotate_right(1);
        }
        all
    }
}

/// All scales with which each weight is a level; `None` of weights that are all 0, which are so
/// with any. A scale may be negative.
fn scales(levels: Levels, stored: Stored, x: &[f32]) -> Option<Vec<Scales>> {
    let peak = x.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap_or(0.0);
    if peak == 0.0 {
        return None;
    }
    let of_peak = |&level: &f64| {
        let first = stored.range(peak).times(1.0 / level);
        let scale = first.middle();
        x.iter()
            .try_fold(first, |range, &x| {
                let level = f64::from(nearest(levels, f64::from(x) / scale));
                let range = match (x == 0.0, level == 0.0) {
                    (true, true) => range,
                    (false, false) => range.and(stored.range(x).times(1.0 / level)),
                    _ => return None,
                };
                (!range.is_empty()).then_some(range)
            })
            .map(|range| Scales { range, of_peak: f64::from(peak) / level })
    };
    Some(peak_levels(levels).iter().filter_map(of_peak).collect())
}

/// The levels that the largest weight may have. Where they are even, the others mirror these.
fn peak_levels(levels: Levels) -> Vec<f64> {
    match levels {
        Levels::Even { low, high, .. } => (1..=high).chain([low]).map(f64::from).collect(),
        Levels::Table(levels) => levels.iter().map(|&level| f64::from(level)).collect(),
    }
}

/// The F16 in a range of positive or of negative numbers.
fn halves(range: Range) -> impl Iterator<Item = f32> {
    let sign = if range.low < 0.0 { -1.0 } else { 1.0 };
    range.times(f64::from(sign)).halves().map(move |half| sign * half)
}

/// Blocks with one scale, of few levels.
pub fn one_scale(block: &mut Block) -> Option<Fit> {
    let Some(found) = scales(block.levels(), block.stored, block.x) else {
        return block.fill(grid(0.0), &[grid(0.0)]).then_some(Fit::Exact);
    };
    for scale in found.iter().flat_map(|scales| scales.halves()) {
        if block.fill(grid(scale), &[grid(scale)]) {
            return Some(Fit::Exact);
        }
    }
    // Uneven levels are no grid that anything but blocks was trained on.
    if matches!(block.levels(), Levels::Table(_)) {
        return None;
    }
    let off = |range: &Range| {
        let scale = range.middle();
        (f16::from_f64(scale).to_f64() / scale - 1.0).abs()
    };
    let ranges = found.iter().map(|scales| scales.range);
    let range = ranges.min_by(|a, b| off(a).total_cmp(&off(b)))?;
    (off(&range) <= 1.0 / 2048.0).then(|| {
        let levels = block.levels();
        let mut codes = [0; 256];
        for (code, &x) in codes.iter_mut().zip(block.x) {
            *code = levels.code(nearest(levels, f64::from(x) / range.middle()));
        }
        let scale = grid(f16::from_f64(range.middle()).to_f32());
        block.write(scale, &[scale], &codes);
        Fit::Near
    })
}

/// Blocks with one scale and so many levels that BF16 does not tell them apart without it.
pub fn eight_bits(block: &mut Block) -> bool {
    let peak = block.x.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap_or(0.0);
    if peak == 0.0 {
        return block.fill(grid(0.0), &[grid(0.0)]);
    }
    let peak = block.stored.range(peak);
    // Nearly always the largest level is used.
    let mut levels = [127, -128].into_iter().chain((1..127).rev()).map(f64::from);
    levels.any(|level| {
        let mut scales = halves(peak.times(1.0 / level));
        scales.any(|scale| block.fill(grid(scale), &[grid(scale)]))
    })
}

/// Super-blocks whose sub-blocks have scales that are `low` to `high` times one.
pub fn super_block(block: &mut Block, (low, high): (i32, i32)) -> bool {
    let (levels, stored) = (block.levels(), block.stored);
    let mut ranges = Vec::new();
    for x in block.subs() {
        let found = scales(levels, stored, x);
        if found.as_ref().is_some_and(Vec::is_empty) {
            return false;
        }
        ranges.push(found.map(|found| found.iter().map(|scales| scales.range).collect::<Vec<_>>()));
    }
    let Some(first) = ranges.iter().flatten().min_by_key(|ranges| ranges.len()) else {
        return block.fill(grid(0.0), &vec![grid(0.0); ranges.len()]);
    };
    let found = |unit: f32| {
        let multiple = |range: &Range| {
            let times = (range.middle() / f64::from(unit)).round();
            let scale = unit * times as f32;
            let is_within = (range.low..=range.high).contains(&f64::from(scale));
            (is_within && (f64::from(low)..=f64::from(high)).contains(&times)).then_some(scale)
        };
        let scale = |ranges: &Option<Vec<Range>>| match ranges {
            None => Some(grid(0.0)),
            Some(ranges) => ranges.iter().find_map(multiple).map(grid),
        };
        ranges.iter().map(scale).collect::<Option<Vec<SubGrid>>>()
    };
    // Nearly always the largest multiple is used, by some sub-block: of this one it is a large one.
    let times = (1..=-low).rev().flat_map(|times| [-times, times]);
    let times = times.filter(|times| (low..=high).contains(times));
    for range in first {
        for unit in times.clone().flat_map(|times| halves(range.times(1.0 / f64::from(times)))) {
            if found(unit).is_some_and(|grids| block.fill(grid(unit), &grids)) {
                return true;
            }
        }
    }
    false
}
