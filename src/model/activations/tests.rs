//! Against plain twins of ggml's `quantize_row_q8_*` and of its products of integers.

use proptest::prelude::*;

use super::*;
use crate::block::{self, codes};
use crate::model::{Linear, Matrix};

/// A block of activations as ggml has it.
struct Twin {
    /// F32 in Q8_K, and what F16 holds otherwise.
    d: f32,
    /// Of Q8_1.
    s: f32,
    q: Vec<i8>,
}

fn to_half(x: f32) -> f32 {
    f16::from_f32(x).to_f32()
}

/// `quantize_row_q8_0` and `quantize_row_q8_1` for AVX2.
fn quantize_32(x: &[f32]) -> Twin {
    let mut amax = 0.0f32;
    for x in x {
        amax = amax.max(x.abs());
    }
    let d = amax / 127.0;
    let id = if amax != 0.0 { 127.0 / amax } else { 0.0 };
    let q: Vec<i8> = x.iter().map(|x| (x * id).round_ties_even() as i8).collect();
    let sum: i32 = q.iter().map(|&q| i32::from(q)).sum();
    Twin { d: to_half(d), s: to_half(d * sum as f32), q }
}

/// `quantize_row_q8_K_ref`: the largest value becomes -127, whatever its sign.
fn quantize_256(x: &[f32]) -> Twin {
    let (mut amax, mut max) = (0.0, 0.0);
    for &x in x {
        if x.abs() > amax {
            (amax, max) = (x.abs(), x);
        }
    }
    if amax == 0.0 {
        return Twin { d: 0.0, s: 0.0, q: vec![0; x.len()] };
    }
    let iscale = -127.0 / max;
    let q = x.iter().map(|x| (iscale * x).round_ties_even().min(127.0) as i8).collect();
    Twin { d: 1.0 / iscale, s: 0.0, q }
}

/// The block that a rounding makes of these values.
fn twin(rounding: Rounding, x: &[f32]) -> Twin {
    if rounding == Rounding::Q8_K { quantize_256(x) } else { quantize_32(x) }
}

/// The same number, or neither is finite.
fn same(a: f32, b: f32) -> bool {
    a == b || !(a.is_finite() || b.is_finite())
}

fn check_rows(x: &[f32]) {
    for (rounding, len) in [(Rounding::Q8_0, 32), (Rounding::Q8_1, 32), (Rounding::Q8_K, 256)] {
        let rows = rounding.inputs(x, x.len());
        assert_eq!(rows.len(), rounding.depth(x.len()));
        let (values, surplus) = rows.split_at(x.len());
        for (i, (x, values)) in x.chunks(len).zip(values.chunks(len)).enumerate() {
            let Twin { d, s, q } = twin(rounding, x);
            for (&q, &value) in q.iter().zip(values) {
                assert!(same(value, d * f32::from(q)), "{rounding:?}: {value}, not {d} * {q}");
            }
            if let Some(&surplus) = surplus.get(i) {
                let sum: i32 = q.iter().map(|&q| i32::from(q)).sum();
                assert!(same(surplus, s - d * sum as f32), "{surplus}: {s}, {d} * {sum}");
                assert!(same(sums(x).next().map_or(0.0, to_half), s), "{s}");
            }
        }
    }
}

/// Rows of values of all sizes, from subnormal to near the end of F32; some blocks of one sign.
fn rows(columns: usize) -> impl Strategy<Value = Vec<f32>> {
    let row = (-130i32..120, any::<bool>(), proptest::collection::vec(-1.0f32..1.0, columns));
    row.prop_map(|(power, one_sign, x)| {
        let size = 2f32.powi(power / 2) * 2f32.powi(power - power / 2);
        x.into_iter().map(|x| size * if one_sign { x.abs() } else { x }).collect()
    })
}

proptest! {
    #[test]
    fn blocks_are_ggmls(x in rows(512)) {
        check_rows(&x);
    }
}

#[test]
fn blocks_are_ggmls_at_the_edges() {
    let edges = [
        0.0,
        1e-45,
        1e-38,
        3e-37,
        5e-37,
        127.0 * 2f32.powi(-25),
        127.0 * 65504.0,
        127.0 * 65520.0,
        1e30,
        f32::MAX,
    ];
    for edge in edges {
        for rest in [0.0, 0.5, -0.5, 1.0] {
            let mut x = vec![edge * rest; 256];
            for sign in [1.0, -1.0] {
                x[77] = sign * edge;
                check_rows(&x);
            }
        }
    }
}

#[test]
fn what_is_not_finite_stays_so() {
    for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut x = vec![1.0; 256];
        x[3] = odd;
        for rounding in [Rounding::Q8_0, Rounding::Q8_1, Rounding::Q8_K] {
            assert!(!rounding.inputs(&x, 256)[3].is_finite(), "{rounding:?} of {odd}");
        }
    }
}

#[test]
fn rows_need_not_be_whole_tasks() {
    use Rounding::*;
    for rounding in [Half, Brain, Q8_0, Q8_1, Q8_K] {
        let mut x = vec![0.0; 40_000];
        x[39_999] = 2.0;
        rounding.round(&mut x);
        assert!(x[..39_744].iter().all(|&x| x == 0.0));
        assert!((x[39_999] - 2.0).abs() < 2e-3);
    }
    let mut x = vec![1.0 + 1e-4, -3.3];
    None.round(&mut x);
    assert_eq!(x, [1.0 + 1e-4, -3.3]);
}

const FORMATS: [Format; 11] = [
    Format::Q4_0,
    Format::Q4_1,
    Format::Q5_0,
    Format::Q5_1,
    Format::Q8_0,
    Format::IQ4_NL,
    Format::MXFP4,
    Format::Q4_K,
    Format::Q5_K,
    Format::Q6_K,
    Format::IQ4_XS,
];

/// Scale, minimum and levels of each sub-block of a block of weights.
fn opened(format: Format, block: &[u8]) -> Vec<(f32, f32, Vec<i32>)> {
    let sub_len = codes::sub_len(format);
    let mut grids = vec![codes::SubGrid::default(); format.block_len() / sub_len];
    codes::grids(format, block, &mut grids);
    let mut all = vec![0; format.block_len()];
    codes::codes(format, block, &mut all);
    let levels = codes::Levels::of(format);
    let sub = |(grid, all): (&codes::SubGrid, &[u8])| {
        let levels = all.iter().map(|&code| levels.at(code) as i32).collect();
        (grid.scale, grid.min, levels)
    };
    grids.iter().zip(all.chunks(sub_len)).map(sub).collect()
}

/// `ggml_vec_dot_*`: products of integers, summed exactly, times scales; minimums times the sums
/// that the activations keep. With the sum of magnitudes, for the tolerance.
fn dot(format: Format, row: &[u8], x: &[f32]) -> (f64, f64) {
    let rounding = Rounding::for_weights(format);
    let (mut sum, mut magnitude) = (0.0, 0.0);
    let blocks = row.chunks(format.block_bytes()).zip(x.chunks(format.block_len()));
    for (block, x) in blocks {
        let Twin { d, s, q } = twin(rounding, x);
        let mut q = &q[..];
        for (scale, min, levels) in opened(format, block) {
            let (of_sub, rest) = q.split_at(levels.len());
            q = rest;
            let products = levels.iter().zip(of_sub).map(|(w, &q)| w * i32::from(q));
            let integers: i32 = of_sub.iter().map(|&q| i32::from(q)).sum();
            let kept = if rounding == Rounding::Q8_1 { s } else { d * integers as f32 };
            let by_scale = f64::from(scale * d * products.sum::<i32>() as f32);
            let by_min = f64::from(min * kept);
            sum += by_scale + by_min;
            magnitude += by_scale.abs() + by_min.abs();
        }
    }
    (sum, magnitude)
}

/// Rows of weights in a format.
fn encoded(format: Format, weights: &[f32], columns: usize) -> Vec<u8> {
    let mut bytes = vec![0; format.size_of(weights.len())];
    block::encode(format, weights, columns, Option::None, &mut bytes);
    bytes
}

/// Outputs for activations `x` by ours and by the twin, each with the magnitude of its terms.
fn products(format: Format, x: &[f32], columns: usize) -> Vec<(f32, f64, f64)> {
    const ROWS: usize = 20;
    // All of one sign in some blocks, so that minimums are large.
    let weight = |i: usize| ((i * 7919 % 1009) as f32 / 504.5 - 1.0) + ((i / 64) % 3) as f32;
    let weights: Vec<f32> = (0..ROWS * columns).map(weight).collect();
    let bytes = encoded(format, &weights, columns);
    let weight = Matrix { format, rows: ROWS, columns, bytes: &bytes };
    let rounding = Rounding::for_weights(format);
    let tokens = x.len() / columns;
    let mut out = vec![0.0; tokens * ROWS];
    Linear { weight, tensor: "", is_part: false, scale: 1.0, bias: Option::None, rounding }
        .apply(x, &mut out);
    let rows = || bytes.chunks(format.size_of(columns));
    let expected = x.chunks(columns).flat_map(|x| rows().map(move |row| dot(format, row, x)));
    out.iter().zip(expected).map(|(&ours, (sum, magnitude))| (ours, sum, magnitude)).collect()
}

#[test]
fn products_are_those_of_integers() {
    let columns = 512;
    // Few tokens, and as many as go another way.
    for tokens in [3, 70] {
        let x = |i: usize| ((i * 31 % 257) as f32 - 100.0) * (1.0 + (i / 40 % 7) as f32);
        let x: Vec<f32> = (0..tokens * columns).map(x).collect();
        for format in FORMATS {
            for (ours, sum, magnitude) in products(format, &x, columns) {
                let off = (f64::from(ours) - sum).abs();
                assert!(off <= 2e-6 * magnitude, "{format}: {ours} for {sum} of {magnitude}");
            }
        }
    }
}

#[test]
fn sums_beyond_f16_are_not_finite_where_they_are_kept() {
    let columns = 256;
    // 32 times 3e3 is beyond 65504; one of them is not, and a scale is far from it.
    let x = vec![3e3; columns];
    for format in FORMATS {
        let kept = matches!(format, Format::Q4_1 | Format::Q5_1);
        for (ours, theirs, _) in products(format, &x, columns) {
            assert_eq!(ours.is_finite(), !kept, "{format}");
            assert_eq!(theirs.is_finite(), !kept, "{format}, by the twin");
        }
    }
    // Scales beyond F16.
    let x = vec![1e7; columns];
    for format in FORMATS {
        let in_f32 = Rounding::for_weights(format) == Rounding::Q8_K;
        for (ours, theirs, _) in products(format, &x, columns) {
            assert_eq!(ours.is_finite(), in_f32, "{format}");
            assert_eq!(theirs.is_finite(), in_f32, "{format}, by the twin");
        }
    }
}
