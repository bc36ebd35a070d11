//! A plain twin of ggml's quantizers, value by value, as ggml-quants.c has them at llama.cpp's
//! version in `.ci/run`: what no row of ours may be worse than.
//!
//! `tests/block_witness.rs` compares it with ggml itself.

use half::f16;

use super::Format;

/// What the levels of IQ4_NL are.
const UNEVEN: [f32; 16] = [
    -127.0, -104.0, -83.0, -65.0, -49.0, -35.0, -22.0, -10.0, 1.0, 13.0, 25.0, 38.0, 53.0, 69.0,
    89.0, 113.0,
];
/// Twice the levels of E2M1, in the order of their codes.
const E2M1: [f32; 16] =
    [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 0.0, -1.0, -2.0, -3.0, -4.0, -6.0, -8.0, -12.0];
/// Blocks of smaller values are zeros.
const NEGLIGIBLE: f32 = 1e-15;

/// A row as it decodes after ggml has quantized it.
pub fn quantized(format: Format, x: &[f32], importance: Option<&[f32]>) -> Vec<f32> {
    let mean_square = sum_of_squares(x) / x.len() as f32;
    let block = |k: usize, x: &[f32]| {
        let importance = importance.map(|w| &w[k * x.len()..][..x.len()]);
        let by_importance = |mean_square: f32| importance.map(|w| weights(x, w, mean_square));
        match format {
            Format::Q4_0 => symmetric(x, 8.0, by_importance(mean_square)),
            Format::Q5_0 => symmetric(x, 16.0, by_importance(mean_square)),
            Format::Q8_0 => bytes(x),
            Format::Q4_1 => affine(x, 15.0, by_importance(mean_square)),
            Format::Q5_1 => affine(x, 31.0, by_importance(mean_square)),
            Format::Q4_K => super_affine(x, 15.0, importance),
            Format::Q5_K => super_affine(x, 31.0, importance),
            Format::Q6_K => super_symmetric(x, importance),
            Format::IQ4_NL => uneven(x, importance),
            Format::IQ4_XS => super_uneven(x, importance),
            Format::MXFP4 => e2m1(x),
            format => panic!("{format} is not written"),
        }
    };
    x.chunks(format.block_len()).enumerate().flat_map(|(k, x)| block(k, x)).collect()
}

fn stored(scale: f32) -> f32 {
    f16::from_f32(scale).to_f32()
}

/// The nearest integer; of two the even one.
fn nearest(x: f32) -> f32 {
    x.round_ties_even()
}

fn inverse(x: f32) -> f32 {
    if x == 0.0 { 0.0 } else { 1.0 / x }
}

fn sum_of_squares(x: &[f32]) -> f32 {
    x.iter().fold(0.0, |sum, x| sum + x * x)
}

fn weights(x: &[f32], importance: &[f32], mean_square: f32) -> Vec<f32> {
    x.iter().zip(importance).map(|(x, w)| w * (mean_square + x * x).sqrt()).collect()
}

fn squares(x: &[f32]) -> Vec<f32> {
    x.iter().map(|x| x * x).collect()
}

/// The first value of largest magnitude.
fn peak(x: &[f32]) -> f32 {
    x.iter().fold(0.0, |peak: f32, &x| if x.abs() > peak.abs() { x } else { peak })
}

fn ends(x: &[f32]) -> (f32, f32) {
    x.iter().fold((x[0], x[0]), |(low, high), &x| (low.min(x), high.max(x)))
}

/// `make_qx_quants`: a scale and codes from `-top` to `top - 1`.
fn search_scale(x: &[f32], top: f32, w: &[f32]) -> (f32, Vec<f32>) {
    let peak = peak(x);
    if peak.abs() < NEGLIGIBLE {
        return (0.0, vec![0.0; x.len()]);
    }
    let (mut scale, mut best, mut best_codes) = (0.0, 0.0, vec![0.0; x.len()]);
    for tenths in [0].into_iter().chain(-9..=-1).chain(1..=9) {
        let inverse = -(top + 0.1 * tenths as f32) / peak;
        let codes: Vec<f32> =
            x.iter().map(|x| nearest(inverse * x).clamp(-top, top - 1.0)).collect();
        let (xq, qq) = sums(x, w, &codes);
        if qq > 0.0 && (tenths == 0 || xq * xq > best * qq) {
            scale = xq / qq;
            (best, best_codes) = (scale * xq, codes);
        }
    }
    (scale, best_codes)
}

/// The weighted sums of `x * q` and `q * q`.
fn sums(x: &[f32], w: &[f32], codes: &[f32]) -> (f32, f32) {
    let (mut xq, mut qq) = (0.0, 0.0);
    for ((x, w), q) in x.iter().zip(w).zip(codes) {
        xq += w * x * q;
        qq += w * q * q;
    }
    (xq, qq)
}

fn symmetric(x: &[f32], top: f32, weights: Option<Vec<f32>>) -> Vec<f32> {
    if let Some(weights) = weights {
        let (scale, codes) = search_scale(x, top, &weights);
        return codes.iter().map(|q| stored(scale) * q).collect();
    }
    let scale = peak(x) / -top;
    let inverse = inverse(scale);
    let code = |x: &f32| (x * inverse + (top + 0.5)).floor().min(2.0 * top - 1.0) - top;
    x.iter().map(|x| stored(scale) * code(x)).collect()
}

fn bytes(x: &[f32]) -> Vec<f32> {
    let scale = peak(x).abs() / 127.0;
    let inverse = inverse(scale);
    x.iter().map(|x| stored(scale) * (x * inverse).round()).collect()
}

/// `make_qkx2_quants` and `make_qkx3_quants`: a scale, a minimum of at most 0, and codes up to `top`.
fn search_affine(
    x: &[f32],
    top: f32,
    w: &[f32],
    (first, step, last): (f32, f32, usize),
) -> (f32, f32, Vec<f32>) {
    let (low, high) = ends(x);
    let mut min = low.min(0.0);
    if high <= min {
        return (0.0, min, vec![0.0; x.len()]);
    }
    let (mut sum_w, mut sum_x) = (0.0, 0.0);
    x.iter().zip(w).for_each(|(x, w)| (sum_w, sum_x) = (sum_w + w, sum_x + w * x));
    let codes = |inverse: f32, min: f32| -> Vec<f32> {
        x.iter().map(|x| nearest(inverse * (x - min)).clamp(0.0, top)).collect()
    };
    let error = |scale: f32, min: f32, codes: &[f32]| {
        x.iter().zip(w).zip(codes).fold(0.0, |error, ((x, w), q)| {
            let e = scale * q + min - x;
            error + w * (e * e)
        })
    };
    let inverse = top / (high - min);
    let mut scale = 1.0 / inverse;
    let mut best_codes = codes(inverse, min);
    let mut least = error(scale, min, &best_codes);
    for i in 0..=last {
        // From the minimum found so far on.
        let codes = codes((first + step * i as f32 + top) / (high - min), min);
        let (mut q1, mut qq, mut xq) = (0.0, 0.0, 0.0);
        for ((x, w), q) in x.iter().zip(w).zip(&codes) {
            (q1, qq, xq) = (q1 + w * q, qq + w * q * q, xq + w * q * x);
        }
        let determinant = sum_w * qq - q1 * q1;
        if determinant <= 0.0 {
            continue;
        }
        let mut new_scale = (sum_w * xq - sum_x * q1) / determinant;
        let mut new_min = (qq * sum_x - q1 * xq) / determinant;
        if new_min > 0.0 {
            (new_scale, new_min) = (xq / qq, 0.0);
        }
        let error = error(new_scale, new_min, &codes);
        if error < least {
            (least, scale, min, best_codes) = (error, new_scale, new_min, codes);
        }
    }
    (scale, min, best_codes)
}

/// The grids that are tried with importance.
const BY_IMPORTANCE: (f32, f32, usize) = (-0.9, 0.05, 36);

fn affine(x: &[f32], top: f32, weights: Option<Vec<f32>>) -> Vec<f32> {
    if let Some(weights) = weights {
        let (scale, min, codes) = search_affine(x, top, &weights, BY_IMPORTANCE);
        return codes.iter().map(|q| stored(scale) * q + stored(min)).collect();
    }
    let (low, high) = ends(x);
    let scale = (high - low) / top;
    let inverse = inverse(scale);
    let code = |x: &f32| ((x - low) * inverse + 0.5).floor().min(top);
    x.iter().map(|x| stored(scale) * code(x) + stored(low)).collect()
}

fn super_affine(x: &[f32], top: f32, importance: Option<&[f32]>) -> Vec<f32> {
    let steps = if top == 15.0 { (-1.0, 0.1, 20) } else { (-0.5, 0.1, 15) };
    let mean_square = 2.0 * sum_of_squares(x) / 256.0;
    let (mut scales, mut depths, mut sums) = ([0.0; 8], [0.0; 8], [0.0; 8]);
    for (k, x) in x.chunks(32).enumerate() {
        let root = (sum_of_squares(x) / 32.0).sqrt();
        let (w, steps) = match importance {
            Some(w) => (weights(x, &w[32 * k..], mean_square), BY_IMPORTANCE),
            None => (x.iter().map(|x| root + x.abs()).collect(), steps),
        };
        let (scale, min, _) = search_affine(x, top, &w, steps);
        (scales[k], depths[k], sums[k]) = (scale, -min, w.iter().fold(0.0, |sum, w| sum + w));
    }
    let integers = |x: &[f32; 8]| match importance {
        Some(_) => search_integers(x, &sums),
        None => {
            let largest = peak(x).max(0.0);
            let inverse = if largest > 0.0 { 63.0 / largest } else { 0.0 };
            (largest / 63.0, x.map(|x| nearest(inverse * x).min(63.0)))
        }
    };
    let ((unit, scales), (depth_unit, depths)) = (integers(&scales), integers(&depths));
    let sub = |(k, x): (usize, &[f32])| {
        let (scale, depth) = (stored(unit) * scales[k], stored(depth_unit) * depths[k]);
        let level = |x: &f32| match scale {
            0.0 => 0.0,
            scale => nearest((x + depth) / scale).clamp(0.0, top),
        };
        x.iter().map(|x| scale * level(x) - depth).collect::<Vec<f32>>()
    };
    x.chunks(32).enumerate().flat_map(sub).collect()
}

/// `make_qp_quants`: a unit and integers up to 63.
fn search_integers(x: &[f32; 8], w: &[f32; 8]) -> (f32, [f32; 8]) {
    let largest = x.iter().fold(0.0, |largest: f32, &x| largest.max(x));
    if largest < NEGLIGIBLE {
        return (0.0, [0.0; 8]);
    }
    let codes = |inverse: f32| x.map(|x| nearest(inverse * x).min(63.0));
    let error = |inverse: f32| {
        let scale = 1.0 / inverse;
        x.iter().zip(w).zip(codes(inverse)).fold(0.0, |error, ((x, w), q)| {
            let e = x - scale * q;
            error + w * e * e
        })
    };
    let mut inverse = 63.0 / largest;
    let mut least = error(inverse);
    for tenths in (-4..=4).filter(|&tenths| tenths != 0) {
        let other = (0.1 * tenths as f32 + 63.0) / largest;
        if error(other) < least {
            (least, inverse) = (error(other), other);
        }
    }
    let mut codes = codes(inverse);
    let (mut xq, mut qq) = sums(x, w, &codes);
    for _ in 0..5 {
        let before = codes;
        for i in 0..8 {
            let (rest_xq, rest_qq) = (xq - w[i] * x[i] * codes[i], qq - w[i] * codes[i] * codes[i]);
            if rest_xq <= 0.0 || rest_qq <= 0.0 {
                continue;
            }
            let code = nearest(x[i] * rest_qq / rest_xq).min(63.0);
            let (new_xq, new_qq) = (rest_xq + w[i] * x[i] * code, rest_qq + w[i] * code * code);
            if code != codes[i] && new_xq * new_xq * qq > xq * xq * new_qq {
                (codes[i], xq, qq) = (code, new_xq, new_qq);
            }
        }
        if codes == before {
            break;
        }
    }
    (if qq > 0.0 { xq / qq } else { 0.0 }, codes)
}

fn super_symmetric(x: &[f32], importance: Option<&[f32]>) -> Vec<f32> {
    let scale = |(k, x): (usize, &[f32])| {
        let w = importance.map_or_else(|| squares(x), |w| w[16 * k..][..16].to_vec());
        search_scale(x, 32.0, &w).0
    };
    let scales: Vec<f32> = x.chunks(16).enumerate().map(scale).collect();
    let largest = peak(&scales);
    if largest.abs() < NEGLIGIBLE {
        return vec![0.0; x.len()];
    }
    let inverse = -128.0 / largest;
    let unit = stored(1.0 / inverse);
    let sub = |(x, scale): (&[f32], &f32)| {
        let scale = unit * nearest(inverse * scale).min(127.0);
        let level = |x: &f32| match scale {
            0.0 => 0.0,
            scale => nearest(x / scale).clamp(-32.0, 31.0),
        };
        x.iter().map(|x| scale * level(x)).collect::<Vec<f32>>()
    };
    x.chunks(16).zip(&scales).flat_map(sub).collect()
}

/// The nearest of the uneven levels; of two the upper one.
fn uneven_level(x: f32) -> f32 {
    let above = UNEVEN.windows(2).filter(|pair| x - pair[0] >= pair[1] - x).count();
    UNEVEN[above]
}

fn search_uneven(x: &[f32], w: &[f32]) -> f32 {
    let peak = peak(x);
    if peak.abs() < NEGLIGIBLE {
        return 0.0;
    }
    let turned = 1.0 / (-peak / UNEVEN[0]);
    let others = (-7..=7).map(|i| (i as f32 + UNEVEN[0]) / peak);
    let (mut scale, mut best) = (0.0, 0.0);
    for (i, inverse) in [turned].into_iter().chain(others).enumerate() {
        let (mut xq, mut qq) = (0.0, 0.0);
        for (x, w) in x.iter().zip(w) {
            let q = uneven_level(inverse * x);
            (xq, qq) = (xq + w * q * x, qq + w * q * q);
        }
        if qq > 0.0 && (i == 0 || xq * xq > best * qq) {
            scale = xq / qq;
            best = scale * xq;
        }
    }
    scale
}

fn uneven(x: &[f32], importance: Option<&[f32]>) -> Vec<f32> {
    let mean_square = 2.0 / 32.0 * sum_of_squares(x);
    let w = importance.map_or_else(|| squares(x), |w| weights(x, w, mean_square));
    let scale = search_uneven(x, &w);
    x.iter().map(|x| stored(scale) * uneven_level(inverse(scale) * x)).collect()
}

/// `quantize_row_mxfp4_ref`: one power of two by the largest magnitude, and of two levels the one
/// with the lower code.
fn e2m1(x: &[f32]) -> Vec<f32> {
    let largest = peak(x).abs();
    let exponent = if largest > 0.0 { (largest.log2().floor() - 2.0 + 127.0) as u8 } else { 0 };
    let scale = 2f64.powi(i32::from(exponent) - 128) as f32;
    let nearest = |&x: &f32| {
        E2M1.into_iter().map(|level| level * scale).fold(f32::INFINITY, |best, value| {
            if (value - x).abs() < (best - x).abs() { value } else { best }
        })
    };
    x.iter().map(nearest).collect()
}

fn super_uneven(x: &[f32], importance: Option<&[f32]>) -> Vec<f32> {
    let mean_square = 2.0 / 256.0 * sum_of_squares(x);
    let scale = |(k, x): (usize, &[f32])| {
        let weighted = |w: &[f32]| weights(x, &w[32 * k..], mean_square);
        search_uneven(x, &importance.map_or_else(|| squares(x), weighted))
    };
    let scales: Vec<f32> = x.chunks(32).enumerate().map(scale).collect();
    let unit = -peak(&scales) / 32.0;
    let sub = |(x, scale): (&[f32], &f32)| {
        let integer = nearest(inverse(unit) * scale).clamp(-32.0, 31.0);
        let inverse = inverse(unit * integer);
        let scale = stored(unit) * integer;
        x.iter().map(|x| scale * uneven_level(inverse * x)).collect::<Vec<f32>>()
    };
    x.chunks(32).zip(&scales).flat_map(sub).collect()
}
