//! Plain rounding to the nearest level, without a search: what no encoder may be worse than.
//!
//! Scales as ggml's `quantize_row_*_ref` chooses them before it improves on them, all in scalar
//! arithmetic.

use half::f16;

use crate::block::search::Iq4;
use crate::gguf::Format;

/// `x`, one block of `format`, as it decodes after plain rounding.
pub fn round_to_nearest(format: Format, x: &[f32]) -> Vec<f32> {
    match format {
        Format::Q4_0 => symmetric(x, -8, 7),
        Format::Q5_0 => symmetric(x, -16, 15),
        Format::Q8_0 => bytes(x),
        Format::Q4_1 => affine(x, 15.0),
        Format::Q5_1 => affine(x, 31.0),
        Format::IQ4_NL => uneven(x),
        Format::IQ4_XS => super_uneven(x),
        Format::Q4_K => super_affine(x, 15.0),
        Format::Q5_K => super_affine(x, 31.0),
        Format::Q6_K => super_symmetric(x),
        Format::MXFP4 => e2m1(x),
        _ => panic!("{format} is not written"),
    }
}

fn stored(scale: f32) -> f32 {
    f16::from_f32(scale).to_f32()
}

fn quotient(a: f32, b: f32) -> f32 {
    if b == 0.0 { 0.0 } else { a / b }
}

/// The value of largest magnitude; of two such, the negative one.
fn peak(x: &[f32]) -> f32 {
    let (low, high) = range(x);
    if high > -low { high } else { low }
}

/// The first value of largest magnitude.
fn first_peak(x: &[f32]) -> f32 {
    x.iter().fold(0.0, |peak: f32, &x| if x.abs() > peak.abs() { x } else { peak })
}

fn range(x: &[f32]) -> (f32, f32) {
    let bound = |least: (f32, f32), &x: &f32| (least.0.min(x), least.1.max(x));
    x.iter().fold((x[0], x[0]), bound)
}

/// `x` on the integers from `low` to `high` times `scale`.
fn on_integers(x: &[f32], scale: f32, low: i32, high: i32) -> Vec<f32> {
    let level = |&x: &f32| quotient(x, scale).round().clamp(low as f32, high as f32);
    x.iter().map(|x| scale * level(x)).collect()
}

fn on_levels(x: &[f32], scale: f32, levels: &[f32]) -> Vec<f32> {
    let nearest = |&x: &f32| {
        let distance = |level: &f32| (quotient(x, scale) - level).abs();
        let closer = |a: &f32, b: &f32| distance(a).total_cmp(&distance(b));
        scale * levels.iter().copied().min_by(closer).unwrap()
    };
    x.iter().map(nearest).collect()
}

fn on_steps(x: &[f32], scale: f32, min: f32, top: f32) -> Vec<f32> {
    let level = |&x: &f32| quotient(x - min, scale).round().clamp(0.0, top);
    x.iter().map(|x| scale * level(x) + min).collect()
}

fn symmetric(x: &[f32], low: i32, high: i32) -> Vec<f32> {
    on_integers(x, stored(peak(x) / low as f32), low, high)
}

fn bytes(x: &[f32]) -> Vec<f32> {
    on_integers(x, stored(peak(x).abs() / 127.0), -127, 127)
}

fn affine(x: &[f32], top: f32) -> Vec<f32> {
    let (low, high) = range(x);
    on_steps(x, stored((high - low) / top), stored(low), top)
}

fn uneven(x: &[f32]) -> Vec<f32> {
    on_levels(x, stored(peak(x) / -127.0), &Iq4::LEVELS)
}

/// The levels of E2M1 times the largest power of two that is no more than a quarter of the peak, of
/// those that there are.
fn e2m1(x: &[f32]) -> Vec<f32> {
    const LEVELS: [f32; 15] =
        [-6.0, -4.0, -3.0, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];
    let peak = f64::from(peak(x).abs());
    let power = if peak == 0.0 { 0.0 } else { 2f64.powf((peak.log2().floor() - 2.0).max(-127.0)) };
    on_levels(x, power as f32, &LEVELS)
}

fn super_uneven(x: &[f32]) -> Vec<f32> {
    let scales: Vec<f32> = x.chunks(32).map(|x| peak(x) / -127.0).collect();
    let unit = stored(first_peak(&scales) / -32.0);
    let sub = |(x, scale): (&[f32], &f32)| {
        let integer = quotient(*scale, unit).round().clamp(-32.0, 31.0);
        on_levels(x, unit * integer, &Iq4::LEVELS)
    };
    x.chunks(32).zip(&scales).flat_map(sub).collect()
}

fn super_symmetric(x: &[f32]) -> Vec<f32> {
    let scales: Vec<f32> = x.chunks(16).map(|x| peak(x) / -32.0).collect();
    let unit = stored(first_peak(&scales) / -128.0);
    let sub = |(x, scale): (&[f32], &f32)| {
        let integer = quotient(*scale, unit).round().clamp(-128.0, 127.0);
        on_integers(x, unit * integer, -32, 31)
    };
    x.chunks(16).zip(&scales).flat_map(sub).collect()
}

fn super_affine(x: &[f32], top: f32) -> Vec<f32> {
    let ends = |x: &[f32]| {
        let (low, high) = range(x);
        (low.min(0.0), high)
    };
    let subs: Vec<(f32, f32)> = x.chunks(32).map(ends).map(|(l, h)| ((h - l) / top, -l)).collect();
    let largest = subs.iter().fold((0f32, 0f32), |a, b| (a.0.max(b.0), a.1.max(b.1)));
    let units = (stored(largest.0 / 63.0), stored(largest.1 / 63.0));
    let sub = |(x, (scale, depth)): (&[f32], &(f32, f32))| {
        let scale = units.0 * quotient(*scale, units.0).round().clamp(0.0, 63.0);
        let depth = units.1 * quotient(*depth, units.1).round().clamp(0.0, 63.0);
        on_steps(x, scale, -depth, top)
    };
    x.chunks(32).zip(&subs).flat_map(sub).collect()
}
