//! Causal attention of grouped query heads, a block of queries at a time.

use std::ops::Range;

use super::matmul::{Product, View, multiply};
use super::shape::AttentionShape;
use super::softmax::softmax;

/// Queries of one sequence, one token after another.
#[derive(Debug, Clone, Copy)]
pub struct Queries<'a> {
    /// Shape: tokens x heads x `key_len`.
    pub data: &'a [f32],
    /// Tokens.
    pub tokens: usize,
    /// Position of the first token.
    pub first: usize,
}

/// Keys and values of one head, for positions 0 and on.
#[derive(Debug, Clone, Copy)]
pub struct KeysValues<'a> {
    /// Shape: positions x `key_len`.
    pub keys: View<'a>,
    /// Shape: positions x `value_len`.
    pub values: View<'a>,
}

/// What the query heads of key head `kv_head` gather: the values before each query (and its own),
/// weighted by the softmax of the scores. `out`: tokens x heads x `value_len`, of which the
/// columns of these heads are written. `window`: how many positions a query sees, its own counted.
pub fn attend(
    shape: &AttentionShape,
    window: Option<usize>,
    queries: Queries,
    kv_head: usize,
    context: KeysValues,
    scores: &mut Vec<f32>,
    out: &mut [f32],
) {
    let AttentionShape { heads, kv_heads, value_len, .. } = *shape;
    let group = heads / kv_heads;
    for head in kv_head * group..(kv_head + 1) * group {
        let seen = probabilities(shape, window, queries, head, context.keys, scores);
        let product = Product { rows: queries.tokens, columns: value_len, depth: seen.len() };
        let out = &mut out[head * value_len..];
        let values = skip(context.values, seen.start);
        let stride = heads * value_len;
        multiply(product, 1.0, View::rows(scores, seen.len()), values, out, stride, false);
    }
}

/// The weights that the queries of one head give to keys: queries x keys, row by row; 0 for the
/// keys that a query does not see. Returns the positions of the keys, those that any of them sees.
pub(super) fn probabilities(
    shape: &AttentionShape,
    window: Option<usize>,
    queries: Queries,
    head: usize,
    keys: View,
    scores: &mut Vec<f32>,
) -> Range<usize> {
    let Queries { data, tokens, first } = queries;
    let AttentionShape { heads, key_len, scale, .. } = *shape;
    let end = first + tokens;
    let low = window.map_or(0, |window| (first + 1).saturating_sub(window));
    let span = end - low;
    scores.resize(tokens * span, 0.0);
    let left = View::rows(&data[head * key_len..], heads * key_len);
    let product = Product { rows: tokens, columns: span, depth: key_len };
    multiply(product, scale, left, skip(keys, low).transposed(), scores, span, false);
    if let Some(cap) = shape.cap {
        scores.iter_mut().for_each(|score| *score = cap * (*score / cap).tanh());
    }
    for (row, scores) in scores.chunks_exact_mut(span).enumerate() {
        let seen = first + row + 1 - low;
        let unseen = window.map_or(0, |window| seen.saturating_sub(window));
        scores[..unseen].fill(0.0);
        scores[seen..].fill(0.0);
        softmax(&mut scores[unseen..seen]);
    }
    low..end
}

/// The rows from `first` on.
pub(super) fn skip(view: View<'_>, first: usize) -> View<'_> {
    View { data: &view.data[first * view.row..], ..view }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn numbers(n: usize, salt: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 7919 + salt * 31) % 1009) as f32 / 252.0 - 2.0).collect()
    }

    /// By the definition, in F64, for one query.
    fn naive(
        shape: &AttentionShape,
        query: &[f32],
        keys: &[&[f32]],
        values: &[&[f32]],
    ) -> Vec<f64> {
        let dot = |a: &[f32], b: &[f32]| -> f64 {
            a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
        };
        let bent = |score: f64| match shape.cap.map(f64::from) {
            Some(cap) => cap * (score / cap).tanh(),
            None => score,
        };
        let score = |key: &&[f32]| bent(dot(query, key) * f64::from(shape.scale));
        let weights: Vec<f64> = keys.iter().map(|key| score(key).exp()).collect();
        let total: f64 = weights.iter().sum();
        let value = |i: usize| -> f64 {
            values.iter().zip(&weights).map(|(v, w)| f64::from(v[i]) * w / total).sum()
        };
        (0..shape.value_len).map(value).collect()
    }

    proptest! {
        #[test]
        fn queries_gather_what_they_see(
            kv_heads in 1usize..3,
            group in 1usize..4,
            key_len in 1usize..20,
            value_len in 1usize..20,
            first in 0usize..20,
            tokens in 1usize..40,
            window in proptest::option::of(1usize..30),
            cap in proptest::option::of(0.5f32..3.0),
        ) {
            let heads = kv_heads * group;
            let shape =
                AttentionShape { heads, kv_heads, key_len, value_len, scale: 0.3, cap };
            let end = first + tokens;
            let data = numbers(tokens * heads * key_len, 1);
            let (keys, values) = (
                numbers(end * kv_heads * key_len, 2),
                numbers(end * kv_heads * value_len, 3),
            );
            let mut out = vec![f32::NAN; tokens * heads * value_len];
            for kv_head in 0..kv_heads {
                let context = KeysValues {
                    keys: View::rows(&keys[kv_head * key_len..], kv_heads * key_len),
                    values: View::rows(&values[kv_head * value_len..], kv_heads * value_len),
                };
                let queries = Queries { data: &data, tokens, first };
                attend(&shape, window, queries, kv_head, context, &mut Vec::new(), &mut out);
            }
            for t in 0..tokens {
                let position = first + t;
                let low = window.map_or(0, |window| (position + 1).saturating_sub(window));
                for head in 0..heads {
                    let of = |all: &'_ [f32], p: usize, len: usize| -> Vec<f32> {
                        all[(p * kv_heads + head / group) * len..][..len].to_vec()
                    };
                    let seen: Vec<usize> = (low..=position).collect();
                    let keys: Vec<_> = seen.iter().map(|&p| of(&keys, p, key_len)).collect();
                    let values: Vec<_> = seen.iter().map(|&p| of(&values, p, value_len)).collect();
                    let (keys, values): (Vec<&[f32]>, Vec<&[f32]>) =
                        (keys.iter().map(|k| &k[..]).collect(), values.iter().map(|v| &v[..]).collect());
                    let query = &data[(t * heads + head) * key_len..][..key_len];
                    let expected = naive(&shape, query, &keys, &values);
                    let found = &out[(t * heads + head) * value_len..][..value_len];
                    for (&found, expected) in found.iter().zip(expected) {
                        prop_assert!((f64::from(found) - expected).abs() < 1e-4);
                    }
                }
            }
        }
    }

    #[test]
    fn large_scores_do_not_overflow() {
        let mut x = vec![1e30, -1e30, 1e30];
        softmax(&mut x);
        assert_eq!(x, [0.5, 0.0, 0.5]);
    }
}
