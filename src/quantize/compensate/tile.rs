//! Columns of a few rows, column by column: every loop runs over the rows, side by side in vectors.

use pulp::{Simd, WithSimd};

use crate::block::codes::{Levels, SubGrid};
use crate::simd::Level;

/// Rows that are worked on side by side.
pub const ROWS: usize = 32;
/// Columns that are worked on one by one before all others hear of them.
pub const STEP: usize = 32;

/// One number for each row.
pub type Lanes = [f32; ROWS];
/// `STEP` columns.
pub type Tile = [Lanes; STEP];
/// Numbers for pairs of columns.
pub type Square = [[f32; STEP]; STEP];

/// The grids of one sub-block in all rows.
#[derive(Debug, Clone, Copy)]
pub struct Grids {
    pub scale: Lanes,
    pub min: Lanes,
}

impl Grids {
    pub const ZERO: Grids = Grids { scale: [0.0; ROWS], min: [0.0; ROWS] };

    pub fn set(&mut self, row: usize, grid: SubGrid) {
        (self.scale[row], self.min[row]) = (grid.scale, grid.min);
    }

    pub fn at(&self, row: usize) -> SubGrid {
        SubGrid { scale: self.scale[row], min: self.min[row] }
    }

    /// What the levels stand for.
    #[inline(always)]
    fn values(&self, levels: &Lanes) -> Lanes {
        std::array::from_fn(|l| self.scale[l] * levels[l] + self.min[l])
    }

    /// The levels nearest to `x`.
    #[inline(always)]
    fn round(&self, levels: Levels, x: &Lanes) -> Lanes {
        let mut nearest = std::array::from_fn(|l| {
            // A scale of 0 makes all levels the same.
            let scale = if self.scale[l] == 0.0 { f32::INFINITY } else { self.scale[l] };
            (x[l] - self.min[l]) / scale
        });
        levels.round(&mut nearest);
        nearest
    }
}

/// The `STEP` columns from `column` on of rows of `columns` values, transposed; rows that are not
/// there are 0.
pub fn transpose(rows: &[f32], columns: usize, column: usize) -> Tile {
    let mut tile = [[0.0; ROWS]; STEP];
    for (l, row) in rows.chunks(columns).enumerate() {
        for (lanes, &value) in tile.iter_mut().zip(&row[column..]) {
            lanes[l] = value;
        }
    }
    tile
}

/// The inverse of [`transpose`].
pub fn put(tile: &Tile, rows: &mut [f32], columns: usize, column: usize) {
    for (l, row) in rows.chunks_mut(columns).enumerate() {
        for (lanes, value) in tile.iter().zip(&mut row[column..]) {
            *value = lanes[l];
        }
    }
}

/// Rounds columns one after another; each hears of the errors of those before it.
pub struct RoundInTurn<'a> {
    pub levels: Levels,
    pub grids: &'a [Grids],
    pub sub_len: usize,
    /// What the rows should be.
    pub target: &'a Tile,
    /// What makes good the errors of earlier steps.
    pub wanted: &'a mut Tile,
    pub feedback: &'a Square,
    /// The levels chosen.
    pub chosen: &'a mut [Lanes],
    /// Target minus what was stored.
    pub error: &'a mut Tile,
}

impl RoundInTurn<'_> {
    pub fn run(self) {
        Level::widest().run(self);
    }
}

impl WithSimd for RoundInTurn<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for j in 0..STEP {
            let grids = &self.grids[j / self.sub_len];
            let chosen = grids.round(self.levels, &self.wanted[j]);
            let stored = grids.values(&chosen);
            let error: Lanes = std::array::from_fn(|l| self.target[j][l] - stored[l]);
            for k in j + 1..STEP {
                add(&mut self.wanted[k], self.feedback[j][k], &error);
            }
            self.chosen[j] = chosen;
            self.error[j] = error;
        }
    }
}

#[inline(always)]
fn add(to: &mut Lanes, times: f32, lanes: &Lanes) {
    to.iter_mut().zip(lanes).for_each(|(to, &x)| *to += times * x);
}

/// Moves each column in turn to the level that costs least, all others staying.
pub struct Descend<'a> {
    pub levels: Levels,
    pub grids: &'a [Grids],
    pub sub_len: usize,
    /// The errors times the Hessian; kept up to date within the step.
    pub gradient: &'a mut Tile,
    pub hessian: &'a Square,
    pub chosen: &'a mut [Lanes],
}

impl Descend<'_> {
    /// Whether anything moved.
    pub fn run(self) -> bool {
        Level::widest().run(self)
    }
}

impl WithSimd for Descend<'_> {
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> bool {
        let mut any = false;
        for j in 0..STEP {
            let grids = &self.grids[j / self.sub_len];
            let own = self.hessian[j][j];
            let gradient = self.gradient[j];
            let stored = grids.values(&self.chosen[j]);
            let best: Lanes = std::array::from_fn(|l| stored[l] + gradient[l] / own);
            let nearest = grids.round(self.levels, &best);
            let values = grids.values(&nearest);
            let moves: Lanes = std::array::from_fn(|l| {
                let by = values[l] - stored[l];
                // The cost changes by `by * (own * by - 2 gradient)`; ties stay.
                let falls = by * (own * by - 2.0 * gradient[l]) < 0.0;
                if falls { by } else { 0.0 }
            });
            let mut moved = false;
            for (l, &by) in moves.iter().enumerate() {
                self.chosen[j][l] = if by == 0.0 { self.chosen[j][l] } else { nearest[l] };
                moved |= by != 0.0;
            }
            if moved {
                any = true;
                for k in 0..STEP {
                    add(&mut self.gradient[k], -self.hessian[j][k], &moves);
                }
            }
        }
        any
    }
}

/// What the levels of a step stand for.
pub fn values(grids: &[Grids], sub_len: usize, chosen: &[Lanes]) -> Tile {
    struct Values<'a>(&'a [Grids], usize, &'a [Lanes]);
    impl WithSimd for Values<'_> {
        type Output = Tile;

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> Tile {
            std::array::from_fn(|j| self.0[j / self.1].values(&self.2[j]))
        }
    }
    Level::widest().run(Values(grids, sub_len, chosen))
}

/// The weighted squared error of rounding one sub-block to a grid, for each row.
pub struct RoundingError<'a> {
    pub levels: Levels,
    pub grids: &'a Grids,
    pub x: &'a [Lanes],
    pub importance: &'a [f32],
}

impl RoundingError<'_> {
    pub fn run(self) -> Lanes {
        Level::widest().run(self)
    }
}

impl WithSimd for RoundingError<'_> {
    type Output = Lanes;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Lanes {
        let mut sum = [0.0; ROWS];
        for (x, &weight) in self.x.iter().zip(self.importance) {
            let stored = self.grids.values(&self.grids.round(self.levels, x));
            for (l, sum) in sum.iter_mut().enumerate() {
                let error = x[l] - stored[l];
                *sum += weight * error * error;
            }
        }
        sum
    }
}

/// How the cost changes with the grid of one sub-block, its levels staying: by
/// `-2 (ds g_scale + dm g_min) + ds^2 scale_scale + 2 ds dm scale_min + dm^2 min_min`.
pub struct GridCost {
    pub g_scale: Lanes,
    pub g_min: Lanes,
    pub scale_scale: Lanes,
    pub scale_min: Lanes,
    pub min_min: f32,
}

/// Finds the [`GridCost`] of the sub-block of `chosen.len()` columns from `first` on in its step.
pub struct FindGridCost<'a> {
    pub first: usize,
    pub gradient: &'a Tile,
    pub hessian: &'a Square,
    pub chosen: &'a [Lanes],
}

impl FindGridCost<'_> {
    pub fn run(self) -> GridCost {
        Level::widest().run(self)
    }
}

impl WithSimd for FindGridCost<'_> {
    type Output = GridCost;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> GridCost {
        let zero = [0.0; ROWS];
        let (mut g_scale, mut g_min) = (zero, zero);
        let (mut scale_scale, mut scale_min, mut min_min) = (zero, zero, 0.0);
        for (j, levels) in self.chosen.iter().enumerate() {
            let row = &self.hessian[self.first + j][self.first..][..self.chosen.len()];
            let mut product = zero;
            for (levels, &h) in self.chosen.iter().zip(row) {
                add(&mut product, h, levels);
            }
            let across: f32 = row.iter().sum();
            let gradient = &self.gradient[self.first + j];
            for l in 0..ROWS {
                g_scale[l] += gradient[l] * levels[l];
                g_min[l] += gradient[l];
                scale_scale[l] += product[l] * levels[l];
                scale_min[l] += across * levels[l];
            }
            min_min += across;
        }
        GridCost { g_scale, g_min, scale_scale, scale_min, min_min }
    }
}

/// Takes moves of the columns from `first` on from the gradient of a step.
pub fn take(gradient: &mut Tile, hessian: &Square, first: usize, moves: &[Lanes]) {
    struct Take<'a>(&'a mut Tile, &'a Square, usize, &'a [Lanes]);
    impl WithSimd for Take<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) {
            for (row, moves) in self.1[self.2..].iter().zip(self.3) {
                for (gradient, &h) in self.0.iter_mut().zip(row) {
                    add(gradient, -h, moves);
                }
            }
        }
    }
    Level::widest().run(Take(gradient, hessian, first, moves));
}
