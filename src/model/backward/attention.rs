//! Attention, backwards: the probabilities are computed anew, a block of queries at a time.

use std::ops::Range;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::super::TOKENS_PER_TASK;
use super::super::attention::{Queries, probabilities, skip};
use super::super::layer_pass::Span;
use super::super::matmul::{Product, View, multiply};
use super::super::shape::AttentionShape;
use crate::simd::Level;

/// Queries whose scores are at work at a time.
const QUERIES: usize = 128;

/// What attention saw, and the gradients of what it gave.
#[derive(Clone, Copy)]
pub struct Attended<'a> {
    pub shape: &'a AttentionShape,
    pub window: Option<usize>,
    /// The sequences.
    pub spans: &'a [Span],
    /// Tokens x heads x `key_len`.
    pub q: &'a [f32],
    /// Tokens x key heads x `key_len`.
    pub k: &'a [f32],
    /// Tokens x key heads x `value_len`.
    pub v: &'a [f32],
    /// Tokens x heads x `value_len`.
    pub gradient: &'a [f32],
}

/// Gradients of one query head of one sequence: tokens x `key_len` (queries and keys) or
/// `value_len` (values).
#[derive(Debug, Default)]
pub struct HeadGradients {
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
}

/// Buffers of a thread.
#[derive(Default)]
struct Scratch {
    probabilities: Vec<f32>,
    gradients: Vec<f32>,
    /// How fast scores grow that are bent.
    slopes: Vec<f32>,
}

impl Attended<'_> {
    /// Gradients of queries, keys and values. `heads` is room to work in.
    pub fn backward(
        &self,
        heads: &mut Vec<HeadGradients>,
        q: &mut [f32],
        k: &mut [f32],
        v: &mut [f32],
    ) {
        let AttentionShape { heads: count, kv_heads, key_len, value_len, .. } = *self.shape;
        heads.resize_with(self.spans.len() * count, HeadGradients::default);
        heads.par_iter_mut().enumerate().for_each_init(Scratch::default, |scratch, (i, head)| {
            self.one_head(&self.spans[i / count].rows, i % count, scratch, head);
        });
        for (span, heads) in self.spans.iter().zip(heads.chunks_exact(count)) {
            let rows = &span.rows;
            let group = count / kv_heads;
            let q = &mut q[rows.start * count * key_len..rows.end * count * key_len];
            gather(q, count, key_len, |head| heads[head..head + 1].iter().map(|head| &head.q));
            let k = &mut k[rows.start * kv_heads * key_len..rows.end * kv_heads * key_len];
            let of_group = |head: usize| heads[head * group..(head + 1) * group].iter();
            gather(k, kv_heads, key_len, |head| of_group(head).map(|head| &head.k));
            let v = &mut v[rows.start * kv_heads * value_len..rows.end * kv_heads * value_len];
            gather(v, kv_heads, value_len, |head| of_group(head).map(|head| &head.v));
        }
    }

    fn one_head(
        &self,
        rows: &Range<usize>,
        head: usize,
        scratch: &mut Scratch,
        out: &mut HeadGradients,
    ) {
        let AttentionShape { heads, kv_heads, key_len, value_len, scale, cap } = *self.shape;
        let kv_head = head / (heads / kv_heads);
        let (k_len, v_len) = (kv_heads * key_len, kv_heads * value_len);
        let keys = View::rows(&self.k[rows.start * k_len + kv_head * key_len..], k_len);
        let values = View::rows(&self.v[rows.start * v_len + kv_head * value_len..], v_len);
        let q = &self.q[rows.start * heads * key_len..];
        let gradient = &self.gradient[(rows.start * heads + head) * value_len..];
        let tokens = rows.len();
        out.q.resize(tokens * key_len, 0.0);
        for (values, len) in [(&mut out.k, key_len), (&mut out.v, value_len)] {
            values.clear();
            values.resize(tokens * len, 0.0);
        }
        let Scratch { probabilities: weights, gradients, slopes } = scratch;
        for first in (0..tokens).step_by(QUERIES) {
            let count = QUERIES.min(tokens - first);
            let data = &q[first * heads * key_len..];
            let queries = Queries { data, tokens: count, first };
            let seen = probabilities(self.shape, self.window, queries, head, keys, weights);
            let (low, span) = (seen.start, seen.len());
            let gradient = View::rows(&gradient[first * heads * value_len..], heads * value_len);
            let weights = View::rows(weights, span);

            let product = Product { rows: span, columns: value_len, depth: count };
            let v = &mut out.v[low * value_len..];
            multiply(product, 1.0, weights.transposed(), gradient, v, value_len, true);

            gradients.resize(count * span, 0.0);
            let product = Product { rows: count, columns: span, depth: value_len };
            let values = skip(values, low).transposed();
            multiply(product, 1.0, gradient, values, gradients, span, false);
            for (gradients, weights) in
                gradients.chunks_exact_mut(span).zip(weights.data.chunks_exact(span))
            {
                Level::widest().run(SoftmaxBackward { weights, gradients, scale });
            }
            if let Some(cap) = cap {
                let product = Product { rows: count, columns: span, depth: key_len };
                let left = View::rows(&data[head * key_len..], heads * key_len);
                slopes.resize(count * span, 0.0);
                let keys = skip(keys, low).transposed();
                multiply(product, scale / cap, left, keys, slopes, span, false);
                for (gradient, score) in gradients.iter_mut().zip(&*slopes) {
                    *gradient *= 1.0 - score.tanh().powi(2);
                }
            }

            let gradients = View::rows(gradients, span);
            let product = Product { rows: count, columns: key_len, depth: span };
            let q = &mut out.q[first * key_len..];
            multiply(product, 1.0, gradients, skip(keys, low), q, key_len, false);
            let product = Product { rows: span, columns: key_len, depth: count };
            let queries = View::rows(&data[head * key_len..], heads * key_len);
            let k = &mut out.k[low * key_len..];
            multiply(product, 1.0, gradients.transposed(), queries, k, key_len, true);
        }
    }
}

/// From gradients of the probabilities of one query to those of its scores before they are scaled.
struct SoftmaxBackward<'a> {
    weights: &'a [f32],
    gradients: &'a mut [f32],
    scale: f32,
}

impl WithSimd for SoftmaxBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let SoftmaxBackward { weights, gradients, scale } = self;
        let mut lanes = [0.0f32; 16];
        let (weight_chunks, weight_rest) = weights.as_chunks::<16>();
        let (chunks, rest) = gradients.as_chunks::<16>();
        for (weights, gradients) in weight_chunks.iter().zip(chunks) {
            for l in 0..16 {
                lanes[l] += weights[l] * gradients[l];
            }
        }
        let rest: f32 = weight_rest.iter().zip(rest).map(|(weight, g)| weight * g).sum();
        let mean = lanes.iter().sum::<f32>() + rest;
        for (gradient, weight) in gradients.iter_mut().zip(weights) {
            *gradient = scale * weight * (*gradient - mean);
        }
    }
}

/// Brings gradients that lie head by head to where tokens lie one after another: `out` is tokens x
/// `heads` x `len`, and of each head the sum of what `parts` gives for it.
fn gather<'a, I: Iterator<Item = &'a Vec<f32>>>(
    out: &mut [f32],
    heads: usize,
    len: usize,
    parts: impl Fn(usize) -> I + Sync,
) {
    let row = heads * len;
    out.par_chunks_mut(row * TOKENS_PER_TASK).enumerate().for_each(|(task, rows)| {
        for head in 0..heads {
            for (i, part) in parts(head).enumerate() {
                let part = part[task * TOKENS_PER_TASK * len..].chunks_exact(len);
                for (row, part) in rows.chunks_exact_mut(row).zip(part) {
                    let out = &mut row[head * len..][..len];
                    match i {
                        0 => out.copy_from_slice(part),
                        _ => out.iter_mut().zip(part).for_each(|(out, part)| *out += part),
                    }
                }
            }
        }
    });
}
