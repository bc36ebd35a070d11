//! Every operation against finite differences in F64; `tests/gradients.rs` checks whole layers.

use super::super::architecture::Activation;
use super::super::dense::{DenseMatrix, apply};
use super::super::layer_pass::Span;
use super::super::shape::AttentionShape;
use super::attention::Attended;
use super::gate::gate_backward;
use super::norm_backward;
use super::product::{input_gradient, weight_gradient};

fn numbers(n: usize, salt: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7919 + salt * 131) % 1009) as f32 / 504.5 - 1.0).collect()
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| f64::from(x)).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Along some directions, `gradient` is how `f` changes at `x`.
fn check(what: &str, x: &[f32], gradient: &[f32], f: impl Fn(&[f64]) -> f64) {
    let (x, gradient) = (wide(x), wide(gradient));
    for salt in 0..5 {
        let direction = wide(&numbers(x.len(), 17 + salt));
        let at = |step: f64| -> f64 {
            let moved: Vec<f64> = x.iter().zip(&direction).map(|(x, d)| x + step * d).collect();
            f(&moved)
        };
        let expected = (at(1e-5) - at(-1e-5)) / 2e-5;
        let found = dot(&gradient, &direction);
        let size = dot(&gradient, &gradient).sqrt() * dot(&direction, &direction).sqrt();
        assert!((found - expected).abs() < 1e-5 * size, "{what}: {found} for {expected} ({size})");
    }
}

#[test]
fn norms_go_back() {
    for (rows, len) in [(3, 37), (70, 64)] {
        let (x, gain, c) = (numbers(rows * len, 1), numbers(len, 2), numbers(rows * len, 3));
        let (mut gradient, mut of_gain) = (c.clone(), vec![f32::NAN; len]);
        norm_backward(&x, &gain, 1e-2, &mut gradient, &mut of_gain);
        let f = |x: &[f64], gain: &[f64]| -> f64 {
            let row = |(x, c): (&[f64], &[f64])| {
                let r = 1.0 / (dot(x, x) / len as f64 + f64::from(1e-2f32)).sqrt();
                (0..len).map(|i| x[i] * r * gain[i] * c[i]).sum::<f64>()
            };
            x.chunks(len).zip(wide(&c).chunks(len)).map(row).sum()
        };
        check("x", &x, &gradient, |x| f(x, &wide(&gain)));
        check("gain", &gain, &of_gain, |gain| f(&wide(&x), gain));
    }
}

#[test]
fn gates_go_back() {
    let n = 500;
    let (gate, up) = (numbers(n, 1).iter().map(|x| 4.0 * x).collect::<Vec<_>>(), numbers(n, 2));
    let c = numbers(n, 3);
    let silu = |x: f64| x / (1.0 + (-x).exp());
    let gelu = |x: f64| {
        let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
        0.5 * x * (1.0 + inner.tanh())
    };
    for (activation, f) in
        [(Activation::Silu, &silu as &dyn Fn(f64) -> f64), (Activation::Gelu, &gelu)]
    {
        let (mut of_gate, mut of_up) = (gate.clone(), up.clone());
        gate_backward(activation, &c, &mut of_gate, &mut of_up);
        let sum = |gate: &[f64], up: &[f64]| -> f64 {
            (0..n).map(|i| f(gate[i]) * up[i] * f64::from(c[i])).sum()
        };
        check("gate", &gate, &of_gate, |gate| sum(gate, &wide(&up)));
        check("up", &up, &of_up, |up| sum(&wide(&gate), up));
    }
    for activation in [Activation::Silu, Activation::Gelu] {
        for extreme in [-1e30, -200.0, 200.0, 1e30] {
            let (mut gate, mut up) = (vec![extreme], vec![1.0]);
            gate_backward(activation, &[1.0], &mut gate, &mut up);
            assert_eq!((gate[0], up[0]), if extreme > 0.0 { (1.0, extreme) } else { (0.0, 0.0) });
        }
    }
}

#[test]
fn linear_maps_go_back() {
    // More tokens and rows than a task has.
    let (tokens, rows, columns) = (300, 101, 5);
    let (values, scale, bias) = (numbers(rows * columns, 1), 1.5, numbers(rows, 2));
    let matrix = DenseMatrix { rows, columns, values, scale, bias };
    let (x, c) = (numbers(tokens * columns, 3), numbers(tokens * rows, 4));
    let f = |x: &[f64], w: &[f64], b: &[f64]| -> f64 {
        let output = |t: usize, r: usize| {
            1.5 * dot(&x[t * columns..][..columns], &w[r * columns..][..columns]) + b[r]
        };
        let places = (0..tokens).flat_map(|t| (0..rows).map(move |r| (t, r)));
        places.map(|(t, r)| output(t, r) * f64::from(c[t * rows + r])).sum()
    };
    let (w, b) = (wide(&matrix.values), wide(&matrix.bias));
    let mut y = vec![f32::NAN; tokens * rows];
    apply(&matrix, &x, &mut y);
    assert!((dot(&wide(&y), &wide(&c)) - f(&wide(&x), &w, &b)).abs() < 1e-3);
    let mut of_x = vec![f32::NAN; x.len()];
    // Two maps that share their input.
    input_gradient(&[(&matrix, &c), (&matrix, &c)], &mut of_x);
    of_x.iter_mut().for_each(|x| *x *= 0.5);
    check("x", &x, &of_x, |x| f(x, &w, &b));
    let mut of_matrix = matrix.clone();
    weight_gradient(&c, &x, &mut of_matrix);
    check("weights", &matrix.values, &of_matrix.values, |w| f(&wide(&x), w, &b));
    check("bias", &matrix.bias, &of_matrix.bias, |b| f(&wide(&x), &w, b));
}

/// The sum of what attention gathers, weighted by `c`, by the definition.
fn attention_sum(
    shape: &AttentionShape,
    window: Option<usize>,
    lengths: &[usize],
    [q, k, v, c]: [&[f64]; 4],
) -> f64 {
    let AttentionShape { heads, kv_heads, key_len, value_len, scale, cap } = *shape;
    let bent = |score: f64| match cap.map(f64::from) {
        Some(cap) => cap * (score / cap).tanh(),
        None => score,
    };
    let (mut sum, mut start) = (0.0, 0);
    for &len in lengths {
        for (t, head) in (start..start + len).flat_map(|t| (0..heads).map(move |h| (t, h))) {
            let low = window.map_or(start, |window| start.max((t + 1).saturating_sub(window)));
            let kv_head = head / (heads / kv_heads);
            let query = &q[(t * heads + head) * key_len..][..key_len];
            let c = &c[(t * heads + head) * value_len..][..value_len];
            let (mut total, mut gathered) = (0.0, 0.0);
            for s in low..=t {
                let key = &k[(s * kv_heads + kv_head) * key_len..][..key_len];
                let weight = bent(dot(query, key) * f64::from(scale)).exp();
                total += weight;
                gathered +=
                    weight * dot(c, &v[(s * kv_heads + kv_head) * value_len..][..value_len]);
            }
            sum += gathered / total;
        }
        start += len;
    }
    sum
}

#[test]
fn attention_goes_back() {
    // Longer than a block of queries; more rows than a task has.
    let lengths = [3, 150];
    let tokens = 153;
    for (heads, kv_heads, key_len, value_len, window, cap) in [
        (4, 2, 6, 5, None, None),
        (3, 1, 4, 8, Some(20), None),
        (2, 2, 8, 8, Some(140), None),
        (4, 2, 6, 5, Some(140), Some(0.8)),
    ] {
        let shape = AttentionShape { heads, kv_heads, key_len, value_len, scale: 0.7, cap };
        let q = numbers(tokens * heads * key_len, 1);
        let k = numbers(tokens * kv_heads * key_len, 2);
        let v = numbers(tokens * kv_heads * value_len, 3);
        let c = numbers(tokens * heads * value_len, 4);
        let span = |rows| Span { rows, first: 0, slot: 0 };
        let spans = [span(0..3), span(3..153)];
        let [mut of_q, mut of_k, mut of_v] =
            [&q, &k, &v].map(|values: &Vec<f32>| vec![f32::NAN; values.len()]);
        let pass =
            Attended { shape: &shape, window, spans: &spans, q: &q, k: &k, v: &v, gradient: &c };
        let mut room = Vec::new();
        // The room that another batch left must not matter.
        for _ in 0..2 {
            pass.backward(&mut room, &mut of_q, &mut of_k, &mut of_v);
        }
        let f = |q: &[f64], k: &[f64], v: &[f64]| {
            attention_sum(&shape, window, &lengths, [q, k, v, &wide(&c)])
        };
        check("q", &q, &of_q, |q| f(q, &wide(&k), &wide(&v)));
        check("k", &k, &of_k, |k| f(&wide(&q), k, &wide(&v)));
        check("v", &v, &of_v, |v| f(&wide(&q), &wide(&k), v));
    }
}
