//! A matrix in a block format while it is trained: full-precision weights that are rounded to the
//! grids of their blocks in every step, and grids that learn as well.
//!
//! What is evaluated is always what the file can hold: the scales are rounded to F16, or to
//! multiples of their super-block's unit, before the weights are rounded to them. Gradients pass
//! rounding as if it were not there (straight through). A scale that blocks share is one number,
//! and has the sum of their gradients.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::block::SharedScale;
use crate::block::codes::{
    Levels, SubGrid, codes, grids, has_min, nearest_grid, set_codes, set_grid, sub_len, unit,
};
use crate::gguf::Format;
use crate::simd::Level;

use super::adam::{Moments, Step};

/// A matrix that is trained.
#[derive(Debug, Clone)]
pub struct Latent {
    form: Form,
    /// What is rounded.
    weights: Vec<f32>,
    moments: Moments,
    /// The grids of all runs of weights that have one.
    grids: Vec<LatentGrid>,
    /// The units of all blocks, which stay.
    units: Vec<SubGrid>,
}

/// What the blocks of a matrix are.
#[derive(Debug, Clone, Copy)]
struct Form {
    format: Format,
    shared: Option<SharedScale>,
    levels: Levels,
}

/// The grid of a sub-block, or of blocks that share a scale.
#[derive(Debug, Clone, Copy, Default)]
struct LatentGrid {
    /// What the file holds.
    held: SubGrid,
    /// What is learnt.
    wanted: SubGrid,
    means: SubGrid,
    squares: SubGrid,
}

/// How far a step goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// Of weights.
    pub weights: f32,
    /// Of scales.
    pub scales: f32,
    /// Of minimums.
    pub mins: f32,
}

/// Weights that one task takes at a time: whole blocks of every format.
const TASK: usize = 16 << 10;

impl Form {
    fn of(format: Format, shared: Option<SharedScale>) -> Form {
        let levels = shared.map_or_else(|| Levels::of(format), SharedScale::levels);
        Form { format, shared, levels }
    }

    /// Weights that have one grid.
    fn run(self) -> usize {
        self.shared.map_or_else(|| sub_len(self.format), SharedScale::columns)
    }

    /// Weights that one task takes at a time: about [`TASK`], and whole runs, so that no sum of
    /// gradients depends on who adds it up.
    fn task(self) -> usize {
        let run = self.run();
        (TASK / run).max(1) * run
    }

    /// The grid nearest to `wanted` that can be held.
    #[inline(always)]
    fn nearest(self, unit: SubGrid, wanted: SubGrid) -> SubGrid {
        match self.shared {
            Some(shared) => SubGrid { scale: shared.round(wanted.scale), min: 0.0 },
            None => nearest_grid(self.format, unit, wanted),
        }
    }
}

impl Latent {
    /// Starts from an encoding, whose blocks share what is `shared`, and from full-precision
    /// weights. Where these would be rounded to other codes than the encoding has, they are moved
    /// to where they are not: what is evaluated first is the encoding.
    pub fn new(
        format: Format,
        shared: Option<SharedScale>,
        encoded: &[u8],
        full: &[f32],
    ) -> Latent {
        let (len, sub) = (format.block_len(), sub_len(format));
        let form = Form::of(format, shared);
        let levels = form.levels;
        let mut weights = full.to_vec();
        let blocks = encoded.par_chunks_exact(format.block_bytes());
        let opened: Vec<(SubGrid, Vec<SubGrid>)> = weights
            .par_chunks_exact_mut(len)
            .zip(blocks)
            .map(|(weights, block)| {
                let mut of_subs = vec![SubGrid::default(); len / sub];
                let mut of_weights = vec![0; len];
                grids(format, block, &mut of_subs);
                codes(format, block, &mut of_weights);
                for (i, (weight, &code)) in weights.iter_mut().zip(&of_weights).enumerate() {
                    *weight = rounded_to(levels, of_subs[i / sub], code, *weight);
                }
                (unit(format, block), of_subs)
            })
            .collect();
        let latent = |held: SubGrid| LatentGrid { held, wanted: held, ..LatentGrid::default() };
        let grids = opened.iter().flat_map(|(_, grids)| grids).step_by(form.run() / sub);
        Latent {
            form,
            moments: Moments::new(weights.len()),
            weights,
            grids: grids.copied().map(latent).collect(),
            units: opened.iter().map(|(unit, _)| *unit).collect(),
        }
    }

    /// The root mean square of the scales.
    pub fn typical_scale(&self) -> f32 {
        let squares = self.grids.iter().map(|grid| f64::from(grid.held.scale).powi(2));
        (squares.sum::<f64>() / self.grids.len().max(1) as f64).sqrt() as f32
    }

    /// The weights as the file will hold them.
    pub fn evaluate(&self, out: &mut [f32]) {
        let (form, task) = (self.form, self.form.task());
        let tasks = out.par_chunks_mut(task).zip(self.weights.par_chunks(task));
        tasks.zip(self.grids.par_chunks(task / form.run())).for_each(|((out, weights), grids)| {
            let evaluate = Evaluate { form, weights, grids, out };
            match sub_len(form.format) {
                16 => Level::widest().run(BySubs::<_, 16>(evaluate)),
                32 => Level::widest().run(BySubs::<_, 32>(evaluate)),
                other => unreachable!("sub-blocks of {other} weights"),
            }
        });
    }

    /// One step along the gradients of what was evaluated.
    pub fn step(&mut self, step: Step, rates: Rates, gradients: &[f32]) {
        let (form, task) = (self.form, self.form.task());
        let Moments { means, squares } = &mut self.moments;
        let weights = self.weights.par_chunks_mut(task).zip(gradients.par_chunks(task));
        let moments = means.par_chunks_mut(task).zip(squares.par_chunks_mut(task));
        let units = self.units.par_chunks(task / form.format.block_len());
        let grids = self.grids.par_chunks_mut(task / form.run()).zip(units);
        weights.zip(moments).zip(grids).for_each(
            |(((weights, gradients), (means, squares)), (grids, units))| {
                let numbers = Numbers { weights, gradients, means, squares };
                let descend = Descend { form, step, rates, numbers, grids, units };
                match sub_len(form.format) {
                    16 => Level::widest().run(BySubs::<_, 16>(descend)),
                    32 => Level::widest().run(BySubs::<_, 32>(descend)),
                    other => unreachable!("sub-blocks of {other} weights"),
                }
            },
        );
    }

    /// Shows every number that steps change.
    pub fn visit(&mut self, see: &mut impl FnMut(&mut f32)) {
        self.weights.iter_mut().for_each(&mut *see);
        self.moments.visit(see);
        for LatentGrid { held, wanted, means, squares } in &mut self.grids {
            for SubGrid { scale, min } in [held, wanted, means, squares] {
                see(scale);
                see(min);
            }
        }
    }

    /// The blocks that hold what is evaluated: `encoded`, of which it was made, with other grids
    /// and codes.
    pub fn export(&self, encoded: &[u8]) -> Vec<u8> {
        let Form { format, levels, .. } = self.form;
        let (len, sub, run) = (format.block_len(), sub_len(format), self.form.run());
        let mut out = encoded.to_vec();
        let blocks = out.par_chunks_exact_mut(format.block_bytes()).enumerate();
        blocks.zip(self.weights.par_chunks_exact(len)).for_each(|((at, block), weights)| {
            let grid = |i: usize| self.grids[(at * len + i) / run].held;
            for k in 0..len / sub {
                set_grid(format, block, k, grid(k * sub));
            }
            let code = |(i, &weight): (usize, &f32)| {
                let mut level = [grid(i).place(weight)];
                levels.round(&mut level);
                levels.code(level[0])
            };
            let codes: Vec<u8> = weights.iter().enumerate().map(code).collect();
            set_codes(format, block, &codes);
        });
        out
    }
}

/// `weight`, or if that would be rounded to another code, the nearest number that is not.
fn rounded_to(levels: Levels, grid: SubGrid, code: u8, weight: f32) -> f32 {
    let (place, level) = (grid.place(weight), levels.at(code));
    let mut nearest = [place];
    levels.round(&mut nearest);
    if nearest[0] == level {
        return weight;
    }
    // Nine tenths of the way to the border.
    let neighbour = levels.next_to(code, place > level);
    grid.scale * (level + 0.45 * (neighbour - level)) + grid.min
}

/// A loop over the sub-blocks of a task, for pulp.
struct BySubs<T, const N: usize>(T);

/// Weights to round.
struct Evaluate<'a> {
    form: Form,
    weights: &'a [f32],
    grids: &'a [LatentGrid],
    out: &'a mut [f32],
}

impl<const N: usize> WithSimd for BySubs<Evaluate<'_>, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Evaluate { form, weights, grids, out } = self.0;
        let (levels, subs_of_grid) = (form.levels, form.run() / N);
        let subs = out.as_chunks_mut::<N>().0.iter_mut().zip(weights.as_chunks::<N>().0);
        for (i, (out, weights)) in subs.enumerate() {
            let held = grids[i / subs_of_grid].held;
            *out = places(held, weights);
            levels.round(out);
            for out in out {
                *out = held.scale * *out + held.min;
            }
        }
    }
}

/// Where weights lie on a grid, in levels.
#[inline(always)]
fn places<const N: usize>(grid: SubGrid, weights: &[f32; N]) -> [f32; N] {
    let inverse = grid.inverse();
    let mut places = *weights;
    for place in &mut places {
        *place = (*place - grid.min) * inverse;
    }
    places
}

/// Weights, and what moves them.
struct Numbers<'a> {
    weights: &'a mut [f32],
    gradients: &'a [f32],
    means: &'a mut [f32],
    squares: &'a mut [f32],
}

/// A step to take.
struct Descend<'a> {
    form: Form,
    step: Step,
    rates: Rates,
    numbers: Numbers<'a>,
    grids: &'a mut [LatentGrid],
    /// Of the blocks.
    units: &'a [SubGrid],
}

impl<const N: usize> WithSimd for BySubs<Descend<'_>, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Descend { form, step, rates, numbers, grids, units } = self.0;
        let (format, levels) = (form.format, form.levels);
        let (subs_of_block, subs_of_grid) = (format.block_len() / N, form.run() / N);
        let anchor = anchor(format);
        let Numbers { weights, gradients, means, squares } = numbers;
        let weights = weights.as_chunks_mut::<N>().0.iter_mut().zip(gradients.as_chunks::<N>().0);
        let moments = means.as_chunks_mut::<N>().0.iter_mut().zip(squares.as_chunks_mut::<N>().0);
        let mut slopes = SubGrid::default();
        for (i, ((weights, gradients), (means, squares))) in weights.zip(moments).enumerate() {
            let grid = &mut grids[i / subs_of_grid];
            let of_sub =
                descend(levels, step, rates, grid.held, weights, gradients, means, squares);
            slopes.scale += of_sub.scale;
            slopes.min += of_sub.min;
            if (i + 1).is_multiple_of(subs_of_grid) {
                grid.descend(step, rates, anchor, slopes);
                grid.hold(form, units[i / subs_of_block]);
                slopes = SubGrid::default();
            }
        }
    }
}

/// The level that stays where it is while a scale grows: 0, or the middle level where a minimum can
/// make it so. From the lowest level the whole grid would move to one side.
pub fn anchor(format: Format) -> f32 {
    match Levels::of(format) {
        Levels::Even { low, high, .. } if has_min(format) => 0.5 * f32::from(low + high),
        _ => 0.0,
    }
}

/// Moves the weights of a sub-block, and returns the gradients of its scale and minimum.
///
/// Inside the grid a weight stands for `scale * round((w - min) / scale) + min`, and rounding has
/// the slope of what it rounds; beyond its ends the outermost level counts, whatever the weight,
/// which therefore is pushed inwards only. On a grid without extent all is the minimum.
#[expect(clippy::too_many_arguments, reason = "columns of one table")]
#[inline(always)]
fn descend<const N: usize>(
    levels: Levels,
    step: Step,
    rates: Rates,
    grid: SubGrid,
    weights: &mut [f32; N],
    gradients: &[f32; N],
    means: &mut [f32; N],
    squares: &mut [f32; N],
) -> SubGrid {
    let (low, high) = levels.borders();
    let outward = if grid.scale < 0.0 { 1.0 } else { -1.0 };
    let places = places(grid, weights);
    let mut nearest = places;
    levels.round(&mut nearest);
    let (mut of_scale, mut of_min) = ([0.0; N], [0.0; N]);
    for i in 0..N {
        let (place, gradient) = (places[i], gradients[i]);
        let above = place > high;
        let below = place < low;
        let inside = !(above | below) & (grid.scale != 0.0);
        of_scale[i] = gradient * (nearest[i] - if inside { place } else { 0.0 });
        of_min[i] = if inside { 0.0 } else { gradient };
        let push = gradient * outward;
        let held_back = (above & (push > 0.0)) | (below & (push < 0.0));
        let gradient = if held_back { 0.0 } else { gradient };
        weights[i] += step.by(rates.weights, gradient, &mut means[i], &mut squares[i]);
    }
    SubGrid { scale: sum(&of_scale), min: sum(&of_min) }
}

/// In fixed lanes, so that it vectorises to the same bits anywhere.
#[inline(always)]
fn sum<const N: usize>(values: &[f32; N]) -> f32 {
    let mut lanes = [0.0; 8];
    for chunk in values.as_chunks::<8>().0 {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value;
        }
    }
    lanes.iter().sum()
}

impl LatentGrid {
    /// Moves what is wanted along its gradients. The scale stretches the grid from its anchor, which
    /// the minimum moves.
    #[inline(always)]
    fn descend(&mut self, step: Step, rates: Rates, anchor: f32, slopes: SubGrid) {
        let LatentGrid { wanted, means, squares, .. } = self;
        let slope = slopes.scale - anchor * slopes.min;
        let scale = step.by(rates.scales, slope, &mut means.scale, &mut squares.scale);
        let min = step.by(rates.mins, slopes.min, &mut means.min, &mut squares.min);
        wanted.scale += scale;
        wanted.min += min - anchor * scale;
    }

    /// Rounds what is wanted to what the file can hold. Beyond the last multiple of a super-block's
    /// unit it stops where the way back is as short as within.
    #[inline(always)]
    fn hold(&mut self, form: Form, unit: SubGrid) {
        let (LatentGrid { held, wanted, .. }, format) = (self, form.format);
        *held = form.nearest(unit, *wanted);
        if sub_len(format) < format.block_len() {
            wanted.scale = within(wanted.scale, held.scale, 0.5 * unit.scale.abs());
            wanted.min = within(wanted.min, held.min, 0.5 * unit.min.abs());
        }
    }
}

/// The number nearest to `x` that is no further than `most` from `from`.
#[inline(always)]
fn within(x: f32, from: f32, most: f32) -> f32 {
    x.max(from - most).min(from + most)
}
