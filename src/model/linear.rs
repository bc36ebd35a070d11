//! Linear maps: their matrices stay in their file format, mapped, and are widened to F32 a panel at
//! a time.

use std::ops::Range;

use rayon::prelude::*;

use crate::block;
use crate::gguf::Format;

use super::activations::Rounding;
use super::few::{self, FewTokens};
use super::linear_map::LinearMap;
use super::matmul::{Product, View, multiply_into};
use super::overflow::{Extremes, Overflow};

/// A matrix in its file format: `rows` rows (outputs) of `columns` weights (inputs).
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    /// How its values are stored.
    pub format: Format,
    /// Outputs.
    pub rows: usize,
    /// Inputs.
    pub columns: usize,
    /// The rows, one after another.
    pub bytes: &'a [u8],
}

impl<'a> Matrix<'a> {
    /// Widens rows `first..first + out.len() / columns` into `out`.
    pub fn widen(&self, first: usize, out: &mut [f32]) {
        let bytes = self.bytes_of(first..first + out.len() / self.columns);
        block::decode(self.format, bytes, out);
    }

    /// The same, of rows of `depth` values: the weights and, where there are more, the minimums of
    /// their blocks.
    fn widen_to(&self, depth: usize, first: usize, out: &mut [f32]) {
        if depth == self.columns {
            return self.widen(first, out);
        }
        for (row, out) in (first..).zip(out.chunks_exact_mut(depth)) {
            let (weights, minimums) = out.split_at_mut(self.columns);
            self.widen(row, weights);
            let blocks = self.bytes_of(row..row + 1).chunks_exact(self.format.block_bytes());
            for (minimum, block) in minimums.iter_mut().zip(blocks) {
                *minimum = block::codes::unit(self.format, block).min;
            }
        }
    }

    /// Puts another encoding of a matrix of this shape in its place.
    ///
    /// # Panics
    /// If there are not as many weights.
    pub fn replace(&mut self, format: Format, bytes: &'a [u8]) {
        let weights = (self.rows * self.columns) as u64;
        assert_eq!(format.bytes_of(weights), Some(bytes.len() as u64), "{format} lengths");
        (self.format, self.bytes) = (format, bytes);
    }

    /// Some of its rows, as a matrix.
    pub fn part(&self, rows: Range<usize>) -> Matrix<'a> {
        Matrix { rows: rows.len(), bytes: self.bytes_of(rows), ..*self }
    }

    /// The bytes of some rows.
    fn bytes_of(&self, rows: Range<usize>) -> &'a [u8] {
        let row_bytes = self.format.size_of(self.columns);
        &self.bytes[rows.start * row_bytes..rows.end * row_bytes]
    }
}

/// A matrix, and what its outputs are multiplied by and added to.
#[derive(Debug, Clone)]
pub struct Linear<'a> {
    /// The matrix.
    pub weight: Matrix<'a>,
    /// What the file calls the tensor that the matrix lies in, between `blk.N.` and `.weight`.
    pub tensor: &'static str,
    /// Whether there are other maps in that tensor.
    pub is_part: bool,
    /// What all outputs are multiplied by, before the bias is added.
    pub scale: f32,
    /// One number for each output.
    pub bias: Option<Vec<f32>>,
    /// What its inputs are rounded to.
    pub rounding: Rounding,
}

impl Linear<'_> {
    /// `out = scale * x * weight^T + bias`. Shapes: `x` tokens x columns, `out` tokens x rows.
    pub fn apply(&self, x: &[f32], out: &mut [f32]) {
        apply_all(&mut [(self, out)], x);
    }

    /// What llama.cpp cannot hold of these inputs, so that its outputs are not finite.
    pub fn overflow(&self, x: &[f32]) -> Option<Overflow> {
        Extremes::of(x, self.weight.columns).overflow(self.rounding, 1.0)
    }
}

impl LinearMap for Linear<'_> {
    fn rows(&self) -> usize {
        self.weight.rows
    }

    fn columns(&self) -> usize {
        self.weight.columns
    }

    fn apply_all(maps: &mut [(&Self, &mut [f32])], x: &[f32]) {
        apply_all(maps, x);
    }
}

/// `out = scale * x * weight^T + bias` for maps that share their input. Shapes: `x` tokens x columns, each
/// `out` tokens x rows.
pub fn apply_all(maps: &mut [(&Linear, &mut [f32])], x: &[f32]) {
    let (columns, rounding) = (maps[0].0.weight.columns, maps[0].0.rounding);
    if maps.iter().any(|(map, _)| map.rounding != rounding) {
        return maps.chunks_mut(1).for_each(|map| apply_all(map, x));
    }
    let tokens = x.len() / columns;
    if tokens == 0 {
        return;
    }
    let inputs = &*rounding.inputs(x, columns);
    let depth = rounding.depth(columns);
    let few = (tokens <= few::MOST).then(|| FewTokens::of(inputs, depth));
    let rows = if few.is_some() { FEW_ROWS } else { panel_rows(columns) };
    let mut panels = Vec::new();
    for (Linear { weight, .. }, out) in &mut *maps {
        let lens = (weight.columns, x.len(), out.len());
        assert_eq!(lens, (columns, tokens * columns, tokens * weight.rows), "shapes agree");
        let out = Place(out.as_mut_ptr());
        let rows_of = |first| first..weight.rows.min(first + rows);
        let firsts = (0..weight.rows).step_by(rows);
        panels.extend(firsts.map(|first| Panel { weight, depth, rows: rows_of(first), out }));
    }
    panels.into_par_iter().for_each_init(Scratch::default, |scratch, panel| match &few {
        Some(few) => panel.multiply_few(few, tokens, scratch),
        None => panel.multiply(inputs, tokens, scratch),
    });
    for (Linear { weight, scale, bias, .. }, out) in maps {
        if *scale != 1.0 {
            out.par_chunks_mut(weight.rows).for_each(|out| {
                out.iter_mut().for_each(|out| *out *= scale);
            });
        }
        if let Some(bias) = bias {
            out.par_chunks_mut(weight.rows).for_each(|out| {
                out.iter_mut().zip(bias).for_each(|(out, bias)| *out += bias);
            });
        }
    }
}

/// Some rows of a matrix, and the result of which they make as many columns.
struct Panel<'a> {
    weight: &'a Matrix<'a>,
    /// Values of a row of inputs as it is multiplied.
    depth: usize,
    rows: Range<usize>,
    out: Place,
}

/// Buffers of a thread.
#[derive(Default)]
struct Scratch {
    widened: Vec<f32>,
    results: Vec<f32>,
}

impl Panel<'_> {
    fn multiply(&self, x: &[f32], tokens: usize, scratch: &mut Scratch) {
        let (rows, depth) = (self.weight.rows, self.depth);
        let widened = &mut scratch.widened;
        widened.resize(self.rows.len() * depth, 0.0);
        self.weight.widen_to(depth, self.rows.start, widened);
        let product = Product { rows: tokens, columns: self.rows.len(), depth };
        let (left, right) = (View::rows(x, depth), View::rows(widened, depth).transposed());
        let out = self.out.at(self.rows.start);
        // SAFETY: each panel writes its own columns of every row of `out`, which has `tokens` rows
        // of `rows` values; no other panel touches these columns.
        unsafe { multiply_into(product, 1.0, left, right, out, rows, false) }
    }

    fn multiply_few(&self, x: &FewTokens, tokens: usize, scratch: &mut Scratch) {
        let (rows, depth) = (self.weight.rows, self.depth);
        let Scratch { widened, results } = scratch;
        results.resize(self.rows.len() * x.lanes(), 0.0);
        // So few rows at a time that they stay in the first-level cache.
        let firsts = self.rows.clone().step_by(few::ROWS);
        for (first, results) in firsts.zip(results.chunks_mut(few::ROWS * x.lanes())) {
            widened.resize(results.len() / x.lanes() * depth, 0.0);
            self.weight.widen_to(depth, first, widened);
            // The rows after these come from memory while these are multiplied, evenly: to wait
            // for them would take half as long again.
            let next = (first + few::ROWS).min(rows);
            let next = self.weight.bytes_of(next..(next + few::ROWS).min(rows));
            let share = next.len().div_ceil((depth / few::COLUMNS).max(1));
            x.multiply(widened, results, |block| prefetch(next, block * share, share));
        }
        for token in 0..tokens {
            let out = self.out.at(token * rows + self.rows.start);
            // SAFETY: as in `multiply`.
            let out = unsafe { std::slice::from_raw_parts_mut(out, self.rows.len()) };
            for (out, results) in out.iter_mut().zip(results.chunks_exact(x.lanes())) {
                *out = results[token];
            }
        }
    }
}

/// Asks for up to `len` bytes ahead of their use.
#[inline(always)]
fn prefetch(bytes: &[u8], start: usize, len: usize) {
    const LINE: usize = 64;
    #[cfg(target_arch = "x86_64")]
    for line in bytes[start.min(bytes.len())..(start + len).min(bytes.len())].chunks(LINE) {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: this is a hint; it reads nothing, wherever it points.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (bytes, start, len, LINE);
}

/// Where a result is written, by many panels at once: columns of one matrix, disjoint.
#[derive(Clone, Copy)]
struct Place(*mut f32);

impl Place {
    fn at(self, place: usize) -> *mut f32 {
        self.0.wrapping_add(place)
    }
}

// SAFETY: it is an address; `apply_all` sees to it that no two threads write to one place.
unsafe impl Sync for Place {}
// SAFETY: likewise.
unsafe impl Send for Place {}

/// Rows of a panel for few tokens: whole tiles, and enough panels for many threads.
const FEW_ROWS: usize = 6 * few::ROWS;

/// Rows of a panel: their F32 values stay in the second-level cache, and there are enough panels
/// for many threads. It does not depend on the number of threads, nor do the results.
fn panel_rows(columns: usize) -> usize {
    const MOST: usize = 96;
    const WEIGHTS: usize = 160 << 10;
    (WEIGHTS / columns / 16 * 16).clamp(16, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_map_is_the_product_and_the_bias_in_any_format() {
        let (tokens, rows, columns) = (5, 101, 64);
        let weights: Vec<f32> =
            (0..rows * columns).map(|i| ((i * 37) % 101) as f32 - 50.0).collect();
        let x: Vec<f32> = (0..tokens * columns).map(|i| ((i * 13) % 29) as f32 - 14.0).collect();
        for format in [Format::F32, Format::Q8_0, Format::Q4_0] {
            let mut bytes = vec![0; format.bytes_of(weights.len() as u64).unwrap() as usize];
            match format {
                Format::F32 => bytes = weights.iter().flat_map(|w| w.to_le_bytes()).collect(),
                format => block::encode(format, &weights, columns, None, &mut bytes),
            }
            let weight = Matrix { format, rows, columns, bytes: &bytes };
            let mut widened = vec![0.0; rows * columns];
            weight.widen(0, &mut widened);
            let bias: Vec<f32> = (0..rows).map(|i| i as f32).collect();
            let mut out = vec![0.0; tokens * rows];
            let (scale, rounding) = (2.0, Rounding::None);
            Linear { weight, tensor: "", is_part: false, scale, bias: Some(bias), rounding }
                .apply(&x, &mut out);
            for t in 0..tokens {
                for r in 0..rows {
                    let products =
                        (0..columns).map(|c| x[t * columns + c] * widened[r * columns + c]);
                    let expected = 2.0 * products.map(f64::from).sum::<f64>() + r as f64;
                    let found = f64::from(out[t * rows + r]);
                    assert!((found - expected).abs() < 1e-2, "{found} for {expected}");
                }
            }
        }
    }

    #[test]
    fn panels_are_small_and_even() {
        assert_eq!(panel_rows(576), 96);
        assert_eq!(panel_rows(4096), 32);
        assert_eq!(panel_rows(1 << 20), 16);
    }
}
