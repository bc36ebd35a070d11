//! A few rows on their way into blocks.

use std::ops::Range;

use crate::block::codes::{self, Levels, SubGrid};
use crate::block::{self, SharedScale};
use crate::gguf::Format;
use crate::model::{Product, View, multiply};
use crate::quantize::candidate::Candidate;

use super::Polish;
use super::hessian::{Feedback, Hessian};
use super::tile::{
    Descend, FindGridCost, GridCost, Grids, Lanes, ROWS, RoundInTurn, RoundingError, STEP, Square,
    Tile, put, take, transpose, values,
};

/// Rows that are encoded, [`ROWS`] at most.
pub struct Rows<'a> {
    format: Format,
    shared: Option<SharedScale>,
    levels: Levels,
    columns: usize,
    /// Columns whose scales are found at a time: a block, or a tile; or a block where the scale of
    /// a whole row is found before all.
    span: usize,
    /// What they should be.
    target: &'a [f32],
    importance: &'a [f32],
    /// Their blocks. The codes in them are stale until [`Rows::store`].
    bytes: &'a mut [u8],
    /// Target minus what is stored; rows x columns.
    error: Vec<f32>,
    /// For each column.
    chosen: Vec<Lanes>,
    /// For each sub-block of a row.
    grids: Vec<Grids>,
}

impl<'a> Rows<'a> {
    pub fn new(
        Candidate { format, shared, .. }: Candidate,
        target: &'a [f32],
        importance: &'a [f32],
        bytes: &'a mut [u8],
    ) -> Rows<'a> {
        let columns = importance.len();
        let span = match shared {
            Some(SharedScale::Tile(tile)) => tile,
            _ => format.block_len(),
        };
        Rows {
            format,
            shared,
            levels: shared.map_or_else(|| Levels::of(format), SharedScale::levels),
            columns,
            span,
            target,
            importance,
            bytes,
            error: vec![0.0; target.len()],
            chosen: vec![[0.0; ROWS]; columns],
            grids: vec![Grids::ZERO; columns / codes::sub_len(format)],
        }
    }

    fn rows(&self) -> usize {
        self.target.len() / self.columns
    }

    /// The sub-blocks of the columns `first..first + columns`.
    fn subs(&self, first: usize, columns: usize) -> Range<usize> {
        let sub_len = codes::sub_len(self.format);
        first / sub_len..(first + columns) / sub_len
    }

    /// Where the block of a row is that holds sub-block `sub`, and which of its sub-blocks that is.
    fn block(&self, row: usize, sub: usize) -> (Range<usize>, usize) {
        let (len, bytes) = (self.format.block_len(), self.format.block_bytes());
        let in_block = len / codes::sub_len(self.format);
        let block = row * (self.columns / len) + sub / in_block;
        (block * bytes..(block + 1) * bytes, sub % in_block)
    }

    /// Rounds all columns from left to right, each making good what it can of the errors before it.
    /// The scales of a block, or of a tile, are found when all columns left of it are rounded; that
    /// of a row before.
    pub fn round(&mut self, feedback: &Feedback) {
        let (n, len) = (self.columns, self.span);
        let of_row = matches!(self.shared, Some(SharedScale::Row(_)));
        if of_row {
            self.find_grids(0, n, self.target);
        }
        let mut wanted = vec![0.0; self.rows() * len];
        for start in (0..n).step_by(len) {
            let end = start + len;
            for (wanted, target) in wanted.chunks_mut(len).zip(self.target.chunks(n)) {
                wanted.copy_from_slice(&target[start..end]);
            }
            self.make_good(feedback, 0..start, start..end, &mut wanted);
            let range = block::range(self.format);
            wanted.iter_mut().for_each(|x| *x = x.clamp(*range.start(), *range.end()));
            if !of_row {
                self.find_grids(start, len, &wanted);
            }
            for step in (start..end).step_by(STEP) {
                let mut tile = transpose(&wanted, len, step - start);
                if step > start && self.shared.is_none() {
                    self.search_grids(step, &tile);
                }
                self.round_step(feedback, step, &mut tile);
                let rest = step + STEP..end;
                if !rest.is_empty() {
                    let wanted = &mut wanted[rest.start - start..];
                    self.make_good(feedback, step..step + STEP, rest, wanted);
                }
            }
        }
    }

    /// Adds to what columns `to` of a span are wanted to be what makes good the errors of `from`.
    fn make_good(
        &self,
        feedback: &Feedback,
        from: Range<usize>,
        to: Range<usize>,
        wanted: &mut [f32],
    ) {
        if !from.is_empty() {
            let product = Product { rows: self.rows(), columns: to.len(), depth: from.len() };
            let errors = View::rows(&self.error[from.start..], self.columns);
            let feedback = feedback.view(from.start, to.start);
            multiply(product, 1.0, errors, feedback, wanted, self.span, true);
        }
    }

    /// Finds the scales of the `len` columns from `start` on, a block or what shares a scale, in
    /// all rows.
    fn find_grids(&mut self, start: usize, len: usize, wanted: &[f32]) {
        let format = self.format;
        let importance = &self.importance[start..start + len];
        let mut grids = [SubGrid::default(); 16];
        let grids = &mut grids[..format.block_len() / codes::sub_len(format)];
        let subs = self.subs(start, len);
        for (row, wanted) in wanted.chunks(len).enumerate() {
            let (first, _) = self.block(row, subs.start);
            let blocks = first.start..first.start + format.size_of(len);
            let blocks = &mut self.bytes[blocks];
            match self.shared {
                Some(shared) => block::encode_shared(shared, wanted, len, Some(importance), blocks),
                None => block::encode_block(format, wanted, importance, blocks),
            }
            codes::grids(format, &blocks[..format.block_bytes()], grids);
            for (sub, &grid) in subs.clone().zip(grids.iter().cycle()) {
                self.grids[sub].set(row, grid);
            }
        }
    }

    /// Searches the grids of a step of a super-block again, whose columns are not wanted to be any
    /// more what they were when the super-block's units were found.
    fn search_grids(&mut self, step: usize, wanted: &Tile) {
        /// How many units a scale or a minimum may move.
        const REACH: i32 = 3;
        let sub_len = codes::sub_len(self.format);
        let units = self.units(step);
        let directions: &[SubGrid] = match codes::has_min(self.format) {
            true => &[SubGrid { scale: 1.0, min: 0.0 }, SubGrid { scale: 0.0, min: 1.0 }],
            false => &[SubGrid { scale: 1.0, min: 0.0 }],
        };
        for (k, sub) in self.subs(step, STEP).enumerate() {
            let x = &wanted[k * sub_len..][..sub_len];
            let importance = &self.importance[sub * sub_len..][..sub_len];
            let error =
                |grids: &Grids| RoundingError { levels: self.levels, grids, x, importance }.run();
            let mut best = self.grids[sub];
            let mut least = error(&best);
            for direction in directions {
                let from = best;
                for by in (-REACH..=REACH).filter(|&by| by != 0) {
                    let candidate = self.shifted(&from, &units, *direction, by as f32);
                    for (row, error) in error(&candidate).into_iter().enumerate() {
                        if error < least[row] {
                            least[row] = error;
                            best.set(row, candidate.at(row));
                        }
                    }
                }
            }
            self.set_grids(sub, &best);
        }
    }

    /// The units of each row's block that holds column `column`.
    fn units(&self, column: usize) -> [SubGrid; ROWS] {
        let (format, sub) = (self.format, self.subs(column, STEP).start);
        let mut units = [SubGrid::default(); ROWS];
        for (row, unit) in units.iter_mut().enumerate().take(self.rows()) {
            *unit = codes::unit(format, &self.bytes[self.block(row, sub).0]);
        }
        units
    }

    /// Grids some units of the super-block away.
    fn shifted(
        &self,
        grids: &Grids,
        units: &[SubGrid; ROWS],
        direction: SubGrid,
        by: f32,
    ) -> Grids {
        let mut shifted = Grids::ZERO;
        for (row, &unit) in units.iter().enumerate().take(self.rows()) {
            let grid = grids.at(row);
            let wanted = SubGrid {
                scale: grid.scale + by * direction.scale * unit.scale,
                min: grid.min + by * direction.min * unit.min,
            };
            shifted.set(row, codes::nearest_grid(self.format, unit, wanted));
        }
        shifted
    }

    /// Gives a sub-block of all rows its grids.
    fn set_grids(&mut self, sub: usize, grids: &Grids) {
        let format = self.format;
        for row in 0..self.rows() {
            if self.grids[sub].at(row) != grids.at(row) {
                let (block, k) = self.block(row, sub);
                codes::set_grid(format, &mut self.bytes[block], k, grids.at(row));
                self.grids[sub].set(row, grids.at(row));
            }
        }
    }

    fn round_step(&mut self, feedback: &Feedback, step: usize, wanted: &mut Tile) {
        let mut error = [[0.0; ROWS]; STEP];
        let subs = self.subs(step, STEP);
        RoundInTurn {
            levels: self.levels,
            grids: &self.grids[subs],
            sub_len: codes::sub_len(self.format),
            target: &transpose(self.target, self.columns, step),
            wanted,
            feedback: &feedback.square(step),
            chosen: &mut self.chosen[step..step + STEP],
            error: &mut error,
        }
        .run();
        put(&error, &mut self.error, self.columns, step);
    }

    /// Lowers the cost `E H E^T` of each row by moving one scale or one code at a time, all others
    /// staying as they are; by `sweeps` passes over all columns.
    pub fn polish(&mut self, hessian: &Hessian, polish: Polish) {
        let mut gradient = self.gradient(hessian);
        for _ in 0..polish.sweeps {
            let mut any = false;
            for step in (0..self.columns).step_by(STEP) {
                any |= self.polish_step(hessian, polish, step, &mut gradient);
            }
            if !any {
                break;
            }
        }
    }

    /// The errors times the Hessian; rows x columns.
    fn gradient(&self, hessian: &Hessian) -> Vec<f32> {
        let n = self.columns;
        let mut gradient = vec![0.0; self.error.len()];
        let product = Product { rows: self.rows(), columns: n, depth: n };
        let errors = View::rows(&self.error, n);
        multiply(product, hessian.share, errors, hessian.gram_from(0), &mut gradient, n, false);
        for (gradient, error) in gradient.chunks_mut(n).zip(self.error.chunks(n)) {
            for ((gradient, error), extra) in gradient.iter_mut().zip(error).zip(&hessian.extra) {
                *gradient += error * extra;
            }
        }
        gradient
    }

    fn polish_step(
        &mut self,
        hessian: &Hessian,
        polish: Polish,
        step: usize,
        gradient: &mut [f32],
    ) -> bool {
        let (n, sub_len, subs) = (self.columns, codes::sub_len(self.format), self.subs(step, STEP));
        let square = hessian.square(step);
        let mut tile = transpose(gradient, n, step);
        let columns = step..step + STEP;
        let before = values(&self.grids[subs.clone()], sub_len, &self.chosen[columns.clone()]);
        let mut any = false;
        if polish.scales && self.shared.is_none() {
            for sub in subs.clone() {
                any |= self.refit(sub, &square, &mut tile);
            }
        }
        any |= Descend {
            levels: self.levels,
            grids: &self.grids[subs.clone()],
            sub_len,
            gradient: &mut tile,
            hessian: &square,
            chosen: &mut self.chosen[columns.clone()],
        }
        .run();
        if any {
            let after = values(&self.grids[subs], sub_len, &self.chosen[columns]);
            self.moved(hessian, step, &before, &after, gradient);
        }
        any
    }

    /// Takes what the columns of a step moved by into the errors and the gradient.
    fn moved(
        &mut self,
        hessian: &Hessian,
        step: usize,
        before: &Tile,
        after: &Tile,
        gradient: &mut [f32],
    ) {
        let n = self.columns;
        let target = transpose(self.target, n, step);
        let of = |f: &dyn Fn(usize, usize) -> f32| -> Tile {
            std::array::from_fn(|j| std::array::from_fn(|l| f(j, l)))
        };
        put(&of(&|j, l| target[j][l] - after[j][l]), &mut self.error, n, step);
        let mut moves = vec![0.0; self.rows() * STEP];
        put(&of(&|j, l| after[j][l] - before[j][l]), &mut moves, STEP, 0);
        let product = Product { rows: self.rows(), columns: n, depth: STEP };
        let left = View::rows(&moves, STEP);
        multiply(product, -hessian.share, left, hessian.gram_from(step), gradient, n, true);
        for (gradient, moves) in gradient.chunks_mut(n).zip(moves.chunks(STEP)) {
            for (j, by) in moves.iter().enumerate() {
                gradient[step + j] -= by * hessian.extra[step + j];
            }
        }
    }

    /// Moves the grids of a sub-block to where its levels cost least.
    fn refit(&mut self, sub: usize, hessian: &Square, gradient: &mut Tile) -> bool {
        let sub_len = codes::sub_len(self.format);
        let first = sub * sub_len % STEP;
        let columns = sub * sub_len..(sub + 1) * sub_len;
        let chosen = &self.chosen[columns.clone()];
        let cost = FindGridCost { first, gradient, hessian, chosen }.run();
        let units = self.units(sub * sub_len / STEP * STEP);
        let mut best = self.grids[sub];
        for (row, &unit) in units.iter().enumerate().take(self.rows()) {
            let grid = best.at(row);
            best.set(row, best_grid(self.format, unit, grid, &cost, row));
        }
        let old = self.grids[sub];
        if (0..self.rows()).all(|row| old.at(row) == best.at(row)) {
            return false;
        }
        let mut moves = [[0.0; ROWS]; STEP];
        for (moves, levels) in moves.iter_mut().zip(chosen) {
            for (l, by) in moves.iter_mut().enumerate() {
                let (scale, min) = (best.scale[l] - old.scale[l], best.min[l] - old.min[l]);
                *by = scale * levels[l] + min;
            }
        }
        take(gradient, hessian, first, &moves[..sub_len]);
        self.set_grids(sub, &best);
        true
    }

    /// Writes the codes into the blocks.
    pub fn store(self) {
        let (n, len) = (self.columns, self.format.block_len());
        let mut codes = vec![0; len];
        let blocks = self.bytes.chunks_exact_mut(self.format.block_bytes()).enumerate();
        for (i, block) in blocks {
            let (row, start) = (i / (n / len), i % (n / len) * len);
            for (code, chosen) in codes.iter_mut().zip(&self.chosen[start..]) {
                *code = self.levels.code(chosen[row]);
            }
            codes::set_codes(self.format, block, &codes);
        }
    }
}

/// The grid that costs least, of those near the one that would if any could be stored.
fn best_grid(format: Format, unit: SubGrid, old: SubGrid, cost: &GridCost, row: usize) -> SubGrid {
    let (g_scale, g_min) = (cost.g_scale[row], cost.g_min[row]);
    let (ss, sm, mm) = (cost.scale_scale[row], cost.scale_min[row], cost.min_min);
    let change = |grid: SubGrid| {
        let (ds, dm) = (grid.scale - old.scale, grid.min - old.min);
        ds * (ds * ss - 2.0 * g_scale) + dm * (dm * mm - 2.0 * g_min) + 2.0 * ds * dm * sm
    };
    let affine = codes::has_min(format);
    let best_min = |scale: f32| {
        if affine && mm > 0.0 { old.min + (g_min - (scale - old.scale) * sm) / mm } else { old.min }
    };
    let determinant = ss * mm - sm * sm;
    let by = if affine && determinant > 1e-3 * ss * mm {
        (g_scale * mm - g_min * sm) / determinant
    } else {
        g_scale / ss
    };
    // Where all levels are 0, nothing is better than anything else.
    let by = if by.is_finite() { by } else { return old };
    let (mut best, mut least) = (old, 0.0);
    for away in [0.0, -1.0, 1.0] {
        // In super-blocks, the neighbours too; elsewhere scales are fine enough.
        let step = if format.block_len() > STEP { away * unit.scale } else { 0.0 };
        let scale =
            codes::nearest_grid(format, unit, SubGrid { scale: old.scale + by + step, min: 0.0 })
                .scale;
        let grid = codes::nearest_grid(format, unit, SubGrid { scale, min: best_min(scale) });
        let change = change(grid);
        if change < least {
            (best, least) = (grid, change);
        }
    }
    best
}
