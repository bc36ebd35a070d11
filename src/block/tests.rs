//! What every format must keep, on all kinds of rows.

mod ggml;
mod inputs;
mod rounding;

pub use crate::simd::levels;
pub use inputs::{COLUMNS, Columns, Random, VALUES, Values};

use proptest::prelude::*;

use super::*;
use inputs::{Case, ROW, cases};
use rounding::round_to_nearest;

fn encodable() -> impl Iterator<Item = Format> {
    Format::all().filter(|&format| can_encode(format))
}

fn bytes_of(format: Format, values: usize) -> usize {
    format.bytes_of(values as u64).unwrap() as usize
}

fn encoded(format: Format, row: &[f32], importance: Option<&[f32]>) -> Vec<u8> {
    let mut bytes = vec![0; bytes_of(format, row.len())];
    encode(format, row, row.len(), importance, &mut bytes);
    bytes
}

fn decoded(format: Format, bytes: &[u8], len: usize) -> Vec<f32> {
    let mut row = vec![0.0; len];
    decode(format, bytes, &mut row);
    row
}

/// The error of `y` against `x`, weighted by `w`.
fn error(x: &[f32], y: &[f32], w: &[f32]) -> f64 {
    let square = |((&x, &y), &w): ((&f32, &f32), &f32)| {
        let e = f64::from(x) - f64::from(y);
        f64::from(w) * e * e
    };
    x.iter().zip(y).zip(w).map(square).sum()
}

/// The row decodes to finite values, and no block of it is worse than plainly rounded.
fn check_blocks(format: Format, case: &Case) -> Result<(), TestCaseError> {
    let (row, importance) = case.sample();
    let row_decoded = decoded(format, &encoded(format, &row, importance.as_deref()), ROW);
    prop_assert!(row_decoded.iter().all(|y| y.is_finite()), "{format}: {row_decoded:?}");
    let w = importance.map_or(vec![1.0; ROW], |importance| raised(&relative(&importance, ROW)));
    let len = format.block_len();
    let blocks = row.chunks(len).zip(row_decoded.chunks(len)).zip(w.chunks(len));
    for (i, ((x, y), w)) in blocks.enumerate() {
        let plain = error(x, &round_to_nearest(format, x), w);
        // What F32 arithmetic leaves open, next to the whole block.
        let slack = 1e-13 * error(x, &vec![0.0; len], w);
        let ours = error(x, y, w);
        prop_assert!(ours <= 1.0001 * plain + slack, "{format}, block {i}: {ours} > {plain}");
    }
    Ok(())
}

#[test]
fn no_block_is_worse_than_plainly_rounded() {
    // Each distribution with each importance, once.
    for (values, columns) in VALUES.iter().flat_map(|v| COLUMNS.iter().map(move |c| (*v, *c))) {
        let case = Case { values, columns, scale: 0.05, seed: 1 };
        for format in encodable() {
            check_blocks(format, &case).unwrap_or_else(|fault| panic!("{case:?}: {fault}"));
        }
    }
}

proptest! {
    #[test]
    fn no_block_is_ever_worse_than_plainly_rounded(case in cases()) {
        for format in encodable() {
            check_blocks(format, &case)?;
        }
    }
}

/// Our row has no larger error than ggml's, as the sum that our search minimises has it.
fn check_against_ggml(format: Format, case: &str, row: &[f32], importance: Option<&[f32]>) {
    let w = importance.map_or(vec![1.0; row.len()], |w| raised(&relative(w, row.len())));
    let ours = decoded(format, &encoded(format, row, importance), row.len());
    let theirs = ggml::quantized(format, row, importance);
    let (ours, theirs) = (error(row, &ours, &w), error(row, &theirs, &w));
    // What F32 arithmetic leaves open, next to the whole row.
    let slack = 1e-13 * error(row, &vec![0.0; row.len()], &w);
    // Of the smallest F32 numbers, ggml takes inverses that overflow.
    let within = theirs.is_nan() || ours <= (1.0 + 1e-6) * theirs + slack;
    assert!(within, "{format}, {case}: {ours} > {theirs}");
}

#[test]
fn no_row_is_worse_than_ggmls() {
    use Columns::*;
    for (values, columns) in
        VALUES.iter().flat_map(|v| [Unweighted, Even, Uneven, SomeZeros].map(|c| (*v, c)))
    {
        for (seed, scale) in [(1, 0.05), (2, 3.0), (3, 2e-5)] {
            let case = Case { values, columns, scale, seed };
            let (row, importance) = case.sample();
            for format in encodable() {
                check_against_ggml(format, &format!("{case:?}"), &row, importance.as_deref());
            }
        }
    }
}

#[test]
fn no_long_row_is_worse_than_ggmls() {
    let kinds = [Values::Gaussian, Values::Quantized, Values::Levels, Values::Positive];
    for (seed, values) in kinds.into_iter().cycle().take(16).enumerate() {
        let row = values.sample(&mut Random(seed as u64), 0.05, 2048);
        for format in encodable() {
            check_against_ggml(format, &format!("{values:?} {seed}"), &row, None);
        }
    }
}

#[test]
fn grids_of_even_levels_are_found() {
    use Format::*;
    let mut random = Random(1);
    let share = |format, x: &[f32]| {
        let y = decoded(format, &encoded(format, x, None), x.len());
        squared_error(x, &y).relative()
    };
    for values in [Values::Ternary, Values::Levels] {
        let x = values.sample(&mut random, 0.03, 2048);
        for format in [Q4_K, Q5_K] {
            assert!(share(format, &x) < 2e-4, "{format}, {values:?}: {}", share(format, &x));
        }
    }
    // The largest level is 4.
    let x: Vec<f32> = (0..256).map(|i| 0.125 * (i * 7 % 9 - 4) as f32).collect();
    assert_eq!(share(Q4_0, &x), 0.0);
}

#[test]
fn tiny_weights_lose_no_more_than_zeros_and_the_grid_of_f16_would() {
    /// F16's smallest number.
    const STEP: f64 = 1.0 / (1 << 24) as f64;
    for format in encodable() {
        let sample = |sd: f32| {
            let x = Values::Gaussian.sample(&mut Random(7), sd, 2048);
            let y = decoded(format, &encoded(format, &x, None), x.len());
            for (x, y) in x.chunks(format.block_len()).zip(y.chunks(format.block_len())) {
                let block = squared_error(x, y);
                assert!(block.error <= block.norm, "{format} at {sd}: {block:?}");
            }
            squared_error(&x, &y).relative()
        };
        let usual = sample(0.05);
        for power in 0..=40 {
            let sd = 1e-3 * 10f32.powf(-0.1 * power as f32);
            // Rounding to multiples of the step leaves a twelfth of its square; IQ4 has none of the
            // even multiples, but rather uneven ones.
            let share =
                if matches!(format, Format::IQ4_NL | Format::IQ4_XS) { 150.0 } else { 0.25 };
            let wanted = 1.6 * usual + share * (STEP / f64::from(sd)).powi(2);
            let lost = sample(sd);
            assert!(lost <= wanted, "{format} at {sd}: {lost} for {wanted}");
        }
    }
}

#[test]
fn values_up_to_the_ends_of_the_range_are_held() {
    for format in encodable() {
        let (low, high) = range(format).into_inner();
        for end in [low, high, 0.4 * high, -0.3 * low.abs(), 99840.0, -65000.0] {
            if !range(format).contains(&end) {
                continue;
            }
            let mut row = Values::Gaussian.sample(&mut Random(8), 0.05, ROW);
            row[100] = end;
            let y = decoded(format, &encoded(format, &row, None), ROW);
            // The other values of the block are next to zero, or a half step off.
            let half = 0.5 * end.abs() / steps(format);
            for (x, y) in row.iter().zip(&y) {
                assert!((x - y).abs() <= half, "{format}: {x} became {y} next to {end}");
            }
        }
        // All over the range, within one step of the coarsest grid.
        let mut random = Random(9);
        let mut between = || {
            let share = random.uniform();
            (1.0 - share) * low + share * high
        };
        let row: Vec<f32> = (0..ROW).map(|_| between()).collect();
        let y = decoded(format, &encoded(format, &row, None), ROW);
        let step = high / steps(format) - low / steps(format);
        for (x, y) in row.iter().zip(&y) {
            assert!((x - y).abs() <= step, "{format}: {x} became {y} of {low} to {high}");
        }
    }
}

/// From zero to the end of the levels.
fn steps(format: Format) -> f32 {
    match format {
        Format::Q4_0 => 8.0,
        Format::Q4_1 | Format::Q4_K => 15.0,
        Format::Q5_0 => 16.0,
        Format::Q5_1 | Format::Q5_K => 31.0,
        Format::Q6_K => 32.0,
        Format::Q8_0 => 127.0,
        // In the widest steps between two of them.
        Format::MXFP4 => 2.5,
        _ => 127.0 / 24.0,
    }
}

/// Encodes as [`encode`] does, at every level of vector instructions.
fn encoded_at_all_levels(format: Format, case: &Case) -> Vec<u8> {
    let (values, importance) = &case.sample();
    let raw = importance.as_ref().map(|importance| relative(importance, ROW));
    let importance = raw.as_deref().map(raised);
    let encoded_at = |level: Level| {
        let mut bytes = vec![0; bytes_of(format, ROW)];
        let importance = importance.as_deref().zip(raw.as_deref());
        let rows = Rows { values, row_len: ROW, importance, reference: true };
        encode_at(level, format, rows, &mut bytes);
        bytes
    };
    let plain = encoded_at(Level::Portable);
    for level in levels() {
        assert_eq!(encoded_at(level), plain, "{format}: {level:?} differs from plain Rust");
    }
    plain
}

/// Decodes as [`decode`] does, at every level.
fn decode_at_all_levels(format: Format, bytes: &[u8]) {
    let len = bytes.len() / format.block_bytes() * format.block_len();
    let decoded_at = |level: Level| {
        let mut row = vec![0.0; len];
        decode_at(level, format, bytes, &mut row);
        // The bits of a NaN are left open.
        row.iter().map(|y| if y.is_nan() { 0 } else { y.to_bits() }).collect::<Vec<u32>>()
    };
    let plain = decoded_at(Level::Portable);
    for level in levels() {
        assert_eq!(decoded_at(level), plain, "{format}: {level:?} differs from plain Rust");
    }
}

fn check_levels(case: &Case) {
    for format in encodable() {
        decode_at_all_levels(format, &encoded_at_all_levels(format, case));
    }
}

#[test]
fn encoders_agree_at_all_levels() {
    for values in VALUES {
        for columns in [Columns::Unweighted, Columns::HugeRatios] {
            check_levels(&Case { values, columns, scale: 0.05, seed: 2 });
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn encoders_agree_at_all_levels_on_any_row(case in cases()) {
        check_levels(&case);
    }

    #[test]
    fn decoders_agree_at_all_levels_on_any_bytes(seed in any::<u64>()) {
        let mut random = Random(seed);
        for format in Format::all().filter(|&format| can_decode(format)) {
            let bytes: Vec<u8> =
                (0..bytes_of(format, 2 * ROW)).map(|_| random.bits() as u8).collect();
            decode_at_all_levels(format, &bytes);
        }
    }
}

/// Six rows of 512 values, and an importance.
fn matrix() -> (Vec<f32>, Vec<f32>) {
    let mut random = Random(3);
    let row = |_| Values::Mixed.sample(&mut random, 1.0, 512);
    let rows: Vec<f32> = (0..6).flat_map(row).collect();
    (rows, Columns::Uneven.sample(&mut Random(4), 512).unwrap())
}

#[test]
fn rows_may_be_encoded_in_any_grouping() {
    let (rows, importance) = matrix();
    for (format, importance) in
        encodable().flat_map(|format| [(format, None), (format, Some(&importance[..]))])
    {
        let in_chunks = |rows_each: usize| {
            let chunk = |rows: &[f32]| {
                let mut bytes = vec![0; bytes_of(format, rows.len())];
                encode(format, rows, 512, importance, &mut bytes);
                bytes
            };
            rows.chunks(512 * rows_each).flat_map(chunk).collect::<Vec<u8>>()
        };
        let whole = in_chunks(6);
        assert_eq!(in_chunks(1), whole, "{format} row by row");
        assert_eq!(in_chunks(4), whole, "{format} in uneven chunks");
    }
}

#[test]
fn even_importance_is_none() {
    let (rows, _) = matrix();
    for format in encodable() {
        let unweighted = encoded(format, &rows, None);
        for importance in [0.0, 1e-30, 0.3, 1.0, 1e30] {
            let weighted = encoded(format, &rows, Some(&vec![importance; rows.len()]));
            assert!(weighted == unweighted, "{format} with importance {importance}");
        }
    }
}

#[test]
fn importance_is_obeyed() {
    // In any format the error moves away from the columns that matter.
    let row = Values::Gaussian.sample(&mut Random(5), 1.0, 4096);
    let importance: Vec<f32> = (0..4096).map(|i| if i % 8 == 0 { 100.0 } else { 1.0 }).collect();
    for format in encodable() {
        let error_with = |w: Option<&[f32]>| {
            let row_decoded = decoded(format, &encoded(format, &row, w), row.len());
            error(&row, &row_decoded, &importance)
        };
        let (without, with) = (error_with(None), error_with(Some(&importance)));
        // Scales that are powers of two leave little to choose from.
        let most = if format == Format::MXFP4 { 0.97 } else { 0.95 };
        assert!(with < most * without, "{format}: {with} against {without}");
    }
}

#[test]
fn what_was_plainly_rounded_before_stays() {
    use Format::*;
    let mut random = Random(6);
    for format in [Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, IQ4_NL, MXFP4] {
        for _ in 0..100 {
            let x = Values::Gaussian.sample(&mut random, 1.0, 32);
            let rounded = round_to_nearest(format, &x);
            let again = decoded(format, &encoded(format, &rounded, None), 32);
            assert_eq!(again, rounded, "{format}");
        }
    }
}

#[test]
fn zeros_stay_zeros() {
    for format in encodable() {
        for zero in [0.0, -0.0] {
            let row = decoded(format, &encoded(format, &[zero; ROW], None), ROW);
            assert!(row.iter().all(|&y| y == 0.0), "{format}");
        }
    }
}
