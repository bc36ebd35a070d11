//! A matrix product with nothing around it, to compare ours with.

use gemm::{Parallelism, gemm};

/// `m x k` inputs with the transpose of `n x k` weights, into `m x n` outputs.
pub fn bare((m, n, k): (usize, usize, usize), x: &[f32], w: &[f32], y: &mut [f32], threads: usize) {
    assert!(x.len() >= m * k && y.len() >= m * n && w.len() == n * k);
    // SAFETY: x holds m x k values, w n x k and y m x n, as just checked.
    unsafe {
        gemm(
            m,
            n,
            k,
            y.as_mut_ptr(),
            1,
            n as isize,
            false,
            x.as_ptr(),
            1,
            k as isize,
            w.as_ptr(),
            k as isize,
            1,
            0.0f32,
            1.0f32,
            false,
            false,
            false,
            Parallelism::Rayon(threads),
        );
    }
}
