//! What this machine can do at most, by two short measurements of our own: bytes that it reads from
//! memory, and products of 32-bit floats that it sums.

use std::hint::black_box;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rayon::prelude::*;
use serde::Serialize;

use crate::model::{Product, View, multiply};

/// Bytes that are read: more than most caches hold.
const BYTES: usize = 128 << 20;
/// Rows and columns of the matrices that are multiplied: they stay in the second-level cache.
const SIDE: usize = 256;
/// How long each measurement goes on, after what it needs to begin.
const LONG: Duration = Duration::from_millis(60);

/// Ceilings of a machine, all threads at work.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Ceilings {
    /// Bytes a second that are read from memory, one after another.
    pub bytes_per_second: f64,
    /// Operations a second in products of matrices of 32-bit floats: a multiplication and an addition
    /// are two.
    pub flops_per_second: f64,
}

impl Ceilings {
    /// Of this machine, with the threads of the pool that this runs in; measured once.
    pub fn of_this_machine() -> Ceilings {
        static MEASURED: OnceLock<Ceilings> = OnceLock::new();
        *MEASURED.get_or_init(|| Ceilings {
            bytes_per_second: bytes_per_second(),
            flops_per_second: flops_per_second(),
        })
    }
}

/// The best of several passes over memory: other programs only ever take time away.
fn bytes_per_second() -> f64 {
    // Not zeros: the system keeps one page for all of these.
    let memory: Vec<u64> = vec![0x0123_4567_89ab_cdef; BYTES / 8];
    let share = memory.len().div_ceil(rayon::current_num_threads());
    let pass = || {
        let begun = Instant::now();
        let sum = memory.par_chunks(share).map(|part| part.iter().fold(0, |sum, x| sum ^ x));
        black_box(sum.reduce(|| 0, |a: u64, b| a ^ b));
        begun.elapsed()
    };
    BYTES as f64 / fastest(pass).as_secs_f64()
}

/// The same of products, one matrix on each thread.
fn flops_per_second() -> f64 {
    let threads = rayon::current_num_threads();
    let matrix = vec![1.0f32; SIDE * SIDE];
    let mut results = vec![vec![0.0f32; SIDE * SIDE]; threads];
    let product = Product { rows: SIDE, columns: SIDE, depth: SIDE };
    /// Products of each thread in a pass: beside them, it takes no time to wake it.
    const EACH: usize = 16;
    let pass = || {
        let begun = Instant::now();
        results.par_iter_mut().for_each(|result| {
            for _ in 0..EACH {
                let (left, right) = (View::rows(&matrix, SIDE), View::rows(&matrix, SIDE));
                multiply(product, 1.0, left, right.transposed(), result, SIDE, false);
            }
        });
        begun.elapsed()
    };
    let time = fastest(pass).as_secs_f64();
    black_box(&results);
    (threads * EACH * 2 * SIDE.pow(3)) as f64 / time
}

/// The fastest of passes that go on for [`LONG`], after one that warms up.
fn fastest(mut pass: impl FnMut() -> Duration) -> Duration {
    pass();
    let begun = Instant::now();
    let mut best = pass();
    while begun.elapsed() < LONG {
        best = best.min(pass());
    }
    best.max(Duration::from_nanos(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_reads_and_multiplies() {
        let Ceilings { bytes_per_second, flops_per_second } = Ceilings::of_this_machine();
        // From a slow board to a large server.
        assert!((1e8..1e13).contains(&bytes_per_second), "{bytes_per_second:e}");
        assert!((1e8..1e15).contains(&flops_per_second), "{flops_per_second:e}");
    }
}
