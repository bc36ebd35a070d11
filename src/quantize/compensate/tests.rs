//! What compensation must keep on all kinds of rows, and what it must gain.

use super::*;
use crate::block::{SharedScale, can_encode};
use crate::gguf::Format;

/// Pseudo-random numbers from -1 to 1.
fn noise(n: usize, seed: u64) -> Vec<f32> {
    use rand::{RngExt, SeedableRng};
    let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(seed);
    (0..n).map(|_| random.random_range(-1.0..1.0)).collect()
}

/// The Gram matrix of tokens in which neighbouring columns have much in common.
pub fn correlated_gram(columns: usize, tokens: usize, seed: u64) -> Gram {
    let raw = noise(tokens * columns, seed);
    let at = |t: usize, c: usize| raw[t * columns + c % columns];
    let x = |t, c: usize| at(t, c) + 0.8 * at(t, c + 1) + 0.6 * at(t, c + 2) + at(t, 0);
    let x: Vec<f32> = (0..tokens * columns).map(|i| x(i / columns, i % columns)).collect();
    let mut values = vec![0.0; columns * columns];
    for token in x.chunks(columns) {
        for (j, row) in values.chunks_mut(columns).enumerate() {
            row.iter_mut().zip(token).for_each(|(sum, x)| *sum += token[j] * x / tokens as f32);
        }
    }
    Gram { columns, values, tokens: tokens as u64 }
}

/// All that rows of so many columns may be encoded in.
fn candidates(columns: usize) -> impl Iterator<Item = Candidate> {
    let formats = Format::all().filter(move |&f| can_encode(f) && f.fits(columns));
    let tile = if columns.is_multiple_of(128) { 128 } else { 32 };
    let shared = [SharedScale::Row(columns), SharedScale::Tile(tile)];
    let shared = shared
        .map(|shared| Candidate { shared: Some(shared), ..Candidate::encoded(shared.format()) });
    formats.map(Candidate::encoded).chain(shared)
}

fn importance(gram: &Gram) -> Vec<f32> {
    gram.values.iter().step_by(gram.columns + 1).copied().collect()
}

fn decoded(to: Candidate, bytes: &[u8], len: usize) -> Vec<f32> {
    let mut out = vec![0.0; len];
    block::decode(to.format, bytes, &mut out);
    out
}

/// What `polish` makes of the rows.
fn encoded(to: Candidate, values: &[f32], gram: &Gram, polish: Polish) -> Vec<u8> {
    let compensation = Compensation::new(gram, Regularisation::of(gram), polish);
    let mut bytes = vec![0; to.format.size_of(values.len())];
    compensation.encode(to, values, &importance(gram), &mut bytes);
    bytes
}

fn plain(to: Candidate, values: &[f32], gram: &Gram) -> Vec<u8> {
    let mut bytes = vec![0; to.format.size_of(values.len())];
    encode_plain(to, values, &importance(gram), &mut bytes);
    bytes
}

fn error(to: Candidate, values: &[f32], bytes: &[u8], gram: &Gram) -> f64 {
    output_error(values, &decoded(to, bytes, values.len()), gram).error
}

#[test]
fn outputs_err_less_than_with_plain_rounding() {
    let n = 512;
    let gram = correlated_gram(n, 2 * n, 3);
    let values = noise(40 * n, 4);
    for to in candidates(n) {
        let before = error(to, &values, &plain(to, &values, &gram), &gram);
        let after = error(to, &values, &encoded(to, &values, &gram, Polish::default()), &gram);
        println!("{to:?}: {:.3}", after / before);
        assert!(after < 0.9 * before, "{to:?}: {after} for {before}");
    }
}

#[test]
fn polishing_never_makes_it_worse() {
    let n = 256;
    let gram = correlated_gram(n, n, 6);
    let values = noise(33 * n, 7);
    // What the polish lowers is the regularised cost.
    let regularisation = Regularisation::of(&gram);
    let hessian = Hessian::of(&gram, regularisation);
    let mut regularised = gram.clone();
    regularised.values.iter_mut().for_each(|g| *g *= hessian.share);
    let diagonal = regularised.values.iter_mut().step_by(n + 1);
    diagonal.zip(&hessian.extra).for_each(|(g, extra)| *g += extra);
    for to in candidates(n) {
        for scales in [false, true] {
            let at = |sweeps| {
                let bytes = encoded(to, &values, &gram, Polish { sweeps, scales });
                error(to, &values, &bytes, &regularised)
            };
            let errors = [0, 1, 2, 4].map(at);
            println!("{to:?}, scales: {scales}: {errors:?}");
            assert!(errors.is_sorted_by(|a, b| *b <= a * 1.00001), "{to:?}: {errors:?}");
            assert!(errors[1] < 0.999 * errors[0], "{to:?}: {errors:?}");
        }
    }
}

#[test]
fn the_bytes_do_not_depend_on_threads() {
    let n = 256;
    let gram = correlated_gram(n, 100, 8);
    let values = noise(70 * n, 9);
    for to in candidates(n) {
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| encoded(to, &values, &gram, Polish::default()))
        };
        assert_eq!(with(1), with(2), "{to:?}");
    }
}

#[test]
fn what_does_not_help_is_not_taken() {
    let n = 64;
    let (gram, values) = (correlated_gram(n, n, 15), noise(8 * n, 16));
    // Inputs of another kind: no column has anything in common with another one.
    let mut other = Gram { columns: n, values: vec![0.0; n * n], tokens: 1 };
    other.values.iter_mut().step_by(n + 1).for_each(|g| *g = 1.0);
    let compensation = Compensation::new(&gram, Regularisation::of(&gram), Polish::default());
    for (judge, gains) in [(&gram, true), (&other, false)] {
        let mut bytes = vec![0; Format::Q4_0.bytes_of(values.len() as u64).unwrap() as usize];
        let importance = importance(&gram);
        let to = Candidate::encoded(Format::Q4_0);
        let found = compensation.encode_best(to, &values, &importance, judge, &mut bytes);
        assert_eq!(found.gains(), gains, "{found:?}");
        let least = found.plain.error.min(found.compensated.error);
        assert_eq!(error(to, &values, &bytes, judge), least);
    }
}

#[test]
fn odd_inputs_give_sound_blocks() {
    for (n, rows) in [(32, 1), (32, 40), (256, 3)] {
        let mut dead = correlated_gram(n, n, 10);
        for i in 0..n * n {
            let (j, k) = (i / n, i % n);
            if j % 5 == 0 || k % 5 == 0 {
                dead.values[i] = 0.0;
            }
        }
        let zero = Gram { columns: n, values: vec![0.0; n * n], tokens: 0 };
        for gram in [correlated_gram(n, 1, 11), dead, zero] {
            for scale in [0.0, 1e-9, 1.0, 65504.0] {
                let values: Vec<f32> = noise(rows * n, 12).iter().map(|x| x * scale).collect();
                for to in candidates(n) {
                    let bytes = encoded(to, &values, &gram, Polish::default());
                    let decoded = decoded(to, &bytes, values.len());
                    assert!(decoded.iter().all(|x| x.is_finite()), "{to:?}, {n}, {scale}");
                    let limit = 2.0 * scale.max(1e-6);
                    assert!(decoded.iter().all(|x| x.abs() <= limit), "{to:?}, {n}, {scale}");
                }
            }
        }
    }
}

#[test]
fn the_output_error_is_that_of_the_output() {
    let (n, rows) = (32, 70);
    let x = noise(n, 13);
    let values = (0..n * n).map(|i| x[i / n] * x[i % n]).collect();
    let gram = Gram { columns: n, values, tokens: 1 };
    let weights = noise(rows * n, 14);
    let decoded: Vec<f32> = weights.iter().map(|w| 0.75 * w).collect();
    let output = |row: &[f32]| row.iter().zip(&x).map(|(w, x)| f64::from(w * x)).sum::<f64>();
    let norm: f64 = weights.chunks(n).map(|row| output(row).powi(2)).sum();
    let found = output_error(&weights, &decoded, &gram);
    assert!((found.norm / norm - 1.0).abs() < 1e-4, "{found:?} for {norm}");
    assert!((found.relative() / 0.0625 - 1.0).abs() < 1e-4, "{found:?}");
}

/// The scale of every block.
fn scales(to: Candidate, bytes: &[u8]) -> Vec<f32> {
    let blocks = bytes.chunks(to.format.block_bytes());
    blocks.map(|block| block::codes::unit(to.format, block).scale).collect()
}

#[test]
fn scales_that_are_shared_stay_so() {
    let n = 256;
    let gram = correlated_gram(n, 2 * n, 17);
    let mut values = noise(37 * n, 18);
    // Rows of unlike sizes, one of zeros.
    values
        .chunks_mut(n)
        .enumerate()
        .for_each(|(i, row)| row.iter_mut().for_each(|x| *x *= i as f32));
    for to in candidates(n).filter(|to| to.shared.is_some()) {
        let shared = to.shared.unwrap();
        for bytes in [plain(to, &values, &gram), encoded(to, &values, &gram, Polish::default())] {
            let scales = scales(to, &bytes);
            for run in scales.chunks(shared.columns() / 32) {
                assert!(run.iter().all(|scale| scale.to_bits() == run[0].to_bits()), "{to:?}");
                assert_eq!(shared.round(run[0]), run[0]);
            }
            let lowest =
                bytes.chunks(34).flat_map(|block| &block[2..]).map(|&byte| byte as i8).min();
            assert!(to.format != Format::Q8_0 || lowest > Some(-128), "{to:?}");
        }
        // The scale of a row is that of the row by itself; those of tiles follow what is wanted.
        let as_plain = scales(to, &plain(to, &values, &gram))
            == scales(to, &encoded(to, &values, &gram, Polish::default()));
        assert_eq!(as_plain, matches!(shared, SharedScale::Row(_)), "{to:?}");
    }
}
