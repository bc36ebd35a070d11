//! Matrix products, all through the `gemm` crate: its kernels stand level with OpenBLAS.
//!
//! Work is cut into pieces that do not depend on the number of threads, and each piece is computed
//! by one thread, so that the same bits come out for any number of them.

use gemm::Parallelism;

/// A matrix in memory: the element in row `r` and column `c` is `data[r * row + c * column]`.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The elements, from the first one on.
    pub data: &'a [f32],
    /// From one row to the next.
    pub row: usize,
    /// From one column to the next.
    pub column: usize,
}

impl<'a> View<'a> {
    /// Rows of `len` values each, one after another.
    pub fn rows(data: &'a [f32], len: usize) -> View<'a> {
        View { data, row: len, column: 1 }
    }

    /// Columns of the matrix as rows.
    pub fn transposed(self) -> View<'a> {
        View { data: self.data, row: self.column, column: self.row }
    }
}

/// A product to compute: a matrix of `rows` x `columns`, sums of `depth` products each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Product {
    /// Rows of the left factor and of the result.
    pub rows: usize,
    /// Columns of the right factor and of the result.
    pub columns: usize,
    /// Columns of the left factor, rows of the right one.
    pub depth: usize,
}

/// `out = scale * left * right`, or `out += ...` where `add`, on this thread. Row `r` of the result
/// begins at `out[r * stride]`.
///
/// # Panics
/// If a slice is too short for the product.
pub fn multiply(
    product: Product,
    scale: f32,
    left: View,
    right: View,
    out: &mut [f32],
    stride: usize,
    add: bool,
) {
    let Product { rows, columns, .. } = product;
    assert!(reach(rows, stride, columns, 1) <= out.len(), "the result has room");
    // SAFETY: all of `out` that the product reaches is ours alone.
    unsafe { multiply_into(product, scale, left, right, out.as_mut_ptr(), stride, add) }
}

/// The number of elements from the first one on that a matrix with these strides reaches over.
fn reach(rows: usize, row: usize, columns: usize, column: usize) -> usize {
    if rows == 0 || columns == 0 { 0 } else { (rows - 1) * row + (columns - 1) * column + 1 }
}

/// [`multiply`] to where `out` points.
///
/// # Safety
/// `columns` elements at every multiple of `stride` from `out` on, `rows` times, must be valid for
/// writes (and hold numbers where `add`), and nothing else may use them meanwhile.
pub(super) unsafe fn multiply_into(
    product: Product,
    scale: f32,
    left: View,
    right: View,
    out: *mut f32,
    stride: usize,
    add: bool,
) {
    let Product { rows, columns, depth } = product;
    assert!(reach(rows, left.row, depth, left.column) <= left.data.len(), "the left factor fits");
    let needed = reach(depth, right.row, columns, right.column);
    assert!(needed <= right.data.len(), "the right factor fits");
    // SAFETY: both factors hold every element that the strides lead to, as just checked; the
    // caller vouches for the result.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            depth,
            out,
            1,
            stride as isize,
            add,
            left.data.as_ptr(),
            left.column as isize,
            left.row as isize,
            right.data.as_ptr(),
            right.column as isize,
            right.row as isize,
            1.0,
            scale,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same by the definition, in F64.
    fn naive(product: Product, scale: f32, left: View, right: View) -> Vec<f64> {
        let Product { rows, columns, depth } = product;
        let at =
            |view: View, r: usize, c: usize| f64::from(view.data[r * view.row + c * view.column]);
        let sum = |r: usize, c: usize| (0..depth).map(|k| at(left, r, k) * at(right, k, c)).sum();
        let places = (0..rows).flat_map(|r| (0..columns).map(move |c| (r, c)));
        places
            .map(|(r, c)| {
                f64::from(scale) * {
                    let s: f64 = sum(r, c);
                    s
                }
            })
            .collect()
    }

    fn numbers(n: usize, salt: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 7919 + salt) % 1009) as f32 / 504.5 - 1.0).collect()
    }

    proptest! {
        #[test]
        fn products_are_sums_of_products(
            rows in 0usize..40,
            columns in 0usize..40,
            depth in 0usize..70,
            gap in 0usize..3,
            transposed in any::<[bool; 2]>(),
            add in any::<bool>(),
        ) {
            let product = Product { rows, columns, depth };
            let (a, b) = (numbers(rows * depth, 1), numbers(depth * columns, 2));
            let left = match transposed[0] {
                false => View::rows(&a, depth),
                true => View::rows(&a, rows).transposed(),
            };
            let right = match transposed[1] {
                false => View::rows(&b, columns),
                true => View::rows(&b, depth).transposed(),
            };
            let stride = columns + gap;
            let before = numbers(rows * stride, 3);
            let mut out = before.clone();
            multiply(product, 0.5, left, right, &mut out, stride, add);
            for (i, expected) in naive(product, 0.5, left, right).into_iter().enumerate() {
                let place = i / columns * stride + i % columns;
                let expected = expected + if add { f64::from(before[place]) } else { 0.0 };
                prop_assert!((f64::from(out[place]) - expected).abs() < 1e-4);
            }
            for (place, (after, before)) in out.iter().zip(&before).enumerate() {
                prop_assert!(place % stride.max(1) < columns || after == before, "a gap is written");
            }
        }
    }

    #[test]
    #[should_panic(expected = "the right factor fits")]
    fn short_factors_are_refused() {
        let product = Product { rows: 2, columns: 3, depth: 4 };
        let (a, b, mut out) = ([0.0; 8], [0.0; 11], [0.0; 6]);
        multiply(product, 1.0, View::rows(&a, 4), View::rows(&b, 3), &mut out, 3, false);
    }
}
