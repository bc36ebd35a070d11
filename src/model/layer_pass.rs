//! One layer of the forward pass on one batch of tokens.

use std::ops::Range;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::TOKENS_PER_TASK;
use super::activations::Rounding;
use super::attention::{KeysValues, Queries, attend};
use super::cache::{Slot, Widened};
use super::error::ModelError;
use super::gate::gate_in_place;
use super::linear::{Linear, apply_all};
use super::matmul::View;
use super::norm::{rms_norm, rms_norm_in_place};
use super::rope::RopeTable;
use super::shape::{AttentionShape, ModelShape};
use super::single::{Single, attend_single};
use super::weights::{FUSED, Layer};

/// Queries that one task handles: their scores stay in the second-level cache.
const QUERIES_PER_TASK: usize = 64;

/// The inputs of linear maps, by the maps that share them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LinearInput {
    /// Of queries, keys and values.
    Attention,
    /// Of the projection of what attention gives.
    AttentionOutput,
    /// Of gate and up.
    Ffn,
    /// Of the projection back.
    FfnDown,
    /// Of the output head, in the place of a layer after the last one.
    Head,
}

impl LinearInput {
    /// Those of a transformer block, in the order in which they are computed.
    pub const OF_LAYER: [LinearInput; 4] = [
        LinearInput::Attention,
        LinearInput::AttentionOutput,
        LinearInput::Ffn,
        LinearInput::FfnDown,
    ];
}

/// Sees the inputs of the linear maps as they are computed, and what each layer makes of the stream.
pub trait Observer {
    /// The input of some linear maps of `layer`: rows of `columns` values, one for each token.
    fn see(&mut self, layer: usize, input: LinearInput, x: &[f32], columns: usize);

    /// The residual stream of all tokens after `layer`: rows of `width` values. After the last layer
    /// it is whole only if all tokens are wanted.
    fn stream(&mut self, _layer: usize, _x: &[f32], _width: usize) {}

    /// All tokens have passed `layer`.
    fn layer_done(&mut self, _layer: usize) {}
}

/// Sees nothing.
#[derive(Debug, Clone, Copy)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn see(&mut self, _: usize, _: LinearInput, _: &[f32], _: usize) {}
}

/// Buffers of the forward pass: fresh ones for each call would cost a tenth of the time.
#[derive(Debug, Default)]
pub struct Workspace {
    normed: Vec<f32>,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    /// What attention gave: tokens x heads x `value_len`.
    pub attended: Vec<f32>,
    projected: Vec<f32>,
    /// What the feed-forward network has between its maps: tokens x inner.
    pub gate: Vec<f32>,
    up: Vec<f32>,
}

/// The tokens of one sequence.
#[derive(Debug, Clone)]
pub struct Span {
    /// Among the rows of its batch.
    pub rows: Range<usize>,
    /// Position of the first.
    pub first: usize,
    /// The sequence of the cache.
    pub slot: usize,
}

/// One layer on one batch.
pub struct LayerPass<'m, 'a> {
    pub shape: &'m ModelShape,
    pub layer: usize,
    pub weights: &'m Layer<'a>,
    pub rope: &'m RopeTable,
    pub spans: &'m [Span],
    /// Of each token.
    pub positions: &'m [usize],
}

impl LayerPass<'_, '_> {
    /// The whole layer, on sequences that begin here.
    pub fn through(
        &self,
        x: &mut [f32],
        workspace: &mut Workspace,
        observer: &mut dyn Observer,
    ) -> Result<(), ModelError> {
        self.attend(x, None, workspace, observer);
        self.project_and_feed(x, workspace, observer)
    }

    /// Values that attention gives for each token.
    pub fn attended_len(&self) -> usize {
        let shape = &self.shape.attention;
        shape.heads * shape.value_len
    }

    /// From the residual stream `x` to `workspace.attended`.
    pub fn attend(
        &self,
        x: &[f32],
        slots: Option<&mut [Slot]>,
        workspace: &mut Workspace,
        observer: &mut dyn Observer,
    ) {
        let (shape, weights) = (self.shape, self.weights);
        let tokens = x.len() / shape.width;
        let Workspace { normed, q, k, v, attended, .. } = workspace;
        resize(normed, x.len());
        rms_norm(x, &weights.attention_norm, shape.norm_epsilon, normed);
        observer.see(self.layer, LinearInput::Attention, normed, shape.width);
        resize(q, tokens * weights.q.weight.rows);
        resize(k, tokens * weights.k.weight.rows);
        resize(v, tokens * weights.v.weight.rows);
        apply_all(&mut [(&weights.q, q), (&weights.k, k), (&weights.v, v)], normed);
        let norms = weights.qk_norms.as_ref();
        let place = |heads: &mut [f32], row, gain| {
            place(shape, self.rope, self.positions, heads, row, gain);
        };
        place(q, weights.q.weight.rows, norms.map(|norms| &norms.0[..]));
        place(k, weights.k.weight.rows, norms.map(|norms| &norms.1[..]));
        weights.cached.round(k);
        weights.cached.round(v);
        resize(attended, tokens * self.attended_len());
        match slots {
            None => {
                let window = shape.window_of(self.layer);
                attend_to_batch(&shape.attention, window, self.spans, q, k, v, attended);
            }
            Some(slots) => self.attend_to_cache(q, k, v, slots, attended),
        }
        observer.see(self.layer, LinearInput::AttentionOutput, attended, self.attended_len());
    }

    /// The tokens join their sequences in the cache; each sequence attends to all that it has.
    fn attend_to_cache(
        &self,
        q: &[f32],
        k: &[f32],
        v: &[f32],
        slots: &mut [Slot],
        attended: &mut [f32],
    ) {
        let shape = &self.shape.attention;
        let window = self.shape.window_of(self.layer);
        let (k_len, v_len) = (shape.kv_heads * shape.key_len, shape.kv_heads * shape.value_len);
        for Span { rows, first, slot } in self.spans {
            let (k, v) = (
                &k[rows.start * k_len..rows.end * k_len],
                &v[rows.start * v_len..rows.end * v_len],
            );
            slots[*slot].store(shape, *first, k, v);
        }
        let slots = &*slots;
        let buffers = || (Vec::new(), Widened::default(), Single::default());
        let tasks = tasks(shape, self.spans, q, attended).into_par_iter();
        tasks.for_each_init(buffers, |(scores, widened, single), Task { span, queries, out }| {
            let len = queries.first + queries.tokens;
            for kv_head in 0..shape.kv_heads {
                let stored = slots[span.slot].head(shape, kv_head);
                if queries.tokens == 1 {
                    attend_single(shape, window, queries, kv_head, stored, single, out);
                } else {
                    let context = stored.widen(shape, len, widened);
                    attend(shape, window, queries, kv_head, context, scores, out);
                }
            }
        });
    }

    /// From `workspace.attended` back to the residual stream, and the feed-forward network.
    pub fn project_and_feed(
        &self,
        x: &mut [f32],
        workspace: &mut Workspace,
        observer: &mut dyn Observer,
    ) -> Result<(), ModelError> {
        self.project(x, workspace)?;
        self.widen(x, workspace, observer);
        self.project_back(x, workspace)
    }

    /// From `workspace.attended` back to the residual stream.
    pub fn project(&self, x: &mut [f32], workspace: &mut Workspace) -> Result<(), ModelError> {
        let (shape, weights) = (self.shape, self.weights);
        let Workspace { attended, projected, .. } = workspace;
        let post = weights.attention_post_norm.as_deref();
        add_projected(&weights.output, attended, post, shape.norm_epsilon, projected, x);
        is_finite(x).then_some(()).ok_or_else(|| self.why_not_attended(workspace))
    }

    /// From the residual stream `x` to `workspace.gate`.
    pub fn widen(&self, x: &[f32], workspace: &mut Workspace, observer: &mut dyn Observer) {
        let (shape, weights) = (self.shape, self.weights);
        let Workspace { normed, gate, up, .. } = workspace;
        resize(normed, x.len());
        rms_norm(x, &weights.ffn_norm, shape.norm_epsilon, normed);
        observer.see(self.layer, LinearInput::Ffn, normed, shape.width);
        let (tokens, inner) = (x.len() / shape.width, weights.up.weight.rows);
        resize(gate, tokens * inner);
        resize(up, tokens * inner);
        apply_all(&mut [(&weights.gate, gate), (&weights.up, up)], normed);
        gate_in_place(shape.activation(), gate, up);
        observer.see(self.layer, LinearInput::FfnDown, gate, inner);
    }

    /// From `workspace.gate` back to the residual stream.
    pub fn project_back(&self, x: &mut [f32], workspace: &mut Workspace) -> Result<(), ModelError> {
        let (shape, weights) = (self.shape, self.weights);
        let Workspace { gate, projected, .. } = workspace;
        let post = weights.ffn_post_norm.as_deref();
        add_projected(&weights.down, gate, post, shape.norm_epsilon, projected, x);
        is_finite(x).then_some(()).ok_or_else(|| self.why_not_fed(workspace))
    }

    /// Why attention gave NaN or infinity.
    fn why_not_attended(&self, workspace: &Workspace) -> ModelError {
        let Layer { q, k, v, is_fused, output, cached, .. } = self.weights;
        let Workspace { normed, k: keys, v: values, attended, .. } = workspace;
        let layer = self.layer;
        let parts = if *is_fused { [FUSED; 3] } else { ["attn_q", "attn_k", "attn_v"] };
        let maps = [(q, parts[0], normed), (k, parts[1], normed), (v, parts[2], normed)];
        let in_cache = || {
            let lost = *cached != Rounding::None && !(is_finite(keys) && is_finite(values));
            // What was not finite before it was kept is no fault of the cache.
            let held = || [k, v].into_iter().all(|map| is_finite(&applied(map, normed)));
            (lost && held()).then_some(ModelError::CacheOverflow { layer })
        };
        self.overflow(&maps)
            .or_else(in_cache)
            .or_else(|| self.overflow(&[(output, "attn_output", attended)]))
            .unwrap_or(ModelError::NotFinite { what: "attention", layer })
    }

    /// Why the feed-forward network gave NaN or infinity.
    fn why_not_fed(&self, workspace: &Workspace) -> ModelError {
        let Layer { gate, up, down, .. } = self.weights;
        let Workspace { normed, gate: gated, .. } = workspace;
        let maps = [(gate, "ffn_gate", normed), (up, "ffn_up", normed), (down, "ffn_down", gated)];
        let (what, layer) = ("feed-forward network", self.layer);
        self.overflow(&maps).unwrap_or(ModelError::NotFinite { what, layer })
    }

    /// The first of these maps whose inputs are too large for what llama.cpp keeps of them.
    fn overflow(&self, maps: &[(&Linear, &str, &Vec<f32>)]) -> Option<ModelError> {
        maps.iter().find_map(|(linear, part, inputs)| {
            let (format, overflow) = (linear.weight.format, linear.overflow(inputs)?);
            let tensor = format!("blk.{}.{part}.weight", self.layer);
            Some(ModelError::Overflow { tensor, format, overflow })
        })
    }
}

/// What a map makes of rows of inputs.
fn applied(map: &Linear, x: &[f32]) -> Vec<f32> {
    let mut y = vec![0.0; x.len() / map.weight.columns * map.weight.rows];
    apply_all(&mut [(map, &mut y)], x);
    y
}

fn is_finite(x: &[f32]) -> bool {
    x.par_chunks(1 << 14).all(|x| x.iter().all(|x| x.is_finite()))
}

/// Normalises queries or keys head by head, where there is a gain for it, and rotates them. `heads`:
/// rows of `row` values, one for each token.
pub(super) fn place(
    shape: &ModelShape,
    rope: &RopeTable,
    positions: &[usize],
    heads: &mut [f32],
    row: usize,
    gain: Option<&[f32]>,
) {
    let (key_len, epsilon) = (shape.attention.key_len, shape.norm_epsilon);
    let tasks = heads.par_chunks_mut(row * TOKENS_PER_TASK);
    tasks.zip(positions.par_chunks(TOKENS_PER_TASK)).for_each(|(rows, positions)| {
        for (heads, &position) in rows.chunks_exact_mut(row).zip(positions) {
            if let Some(gain) = gain {
                rms_norm_in_place(heads, gain, epsilon);
            }
            rope.rotate(heads, key_len, position);
        }
    });
}

/// Each sequence attends to its own tokens in the batch.
pub(super) fn attend_to_batch(
    shape: &AttentionShape,
    window: Option<usize>,
    spans: &[Span],
    q: &[f32],
    k: &[f32],
    v: &[f32],
    attended: &mut [f32],
) {
    let tasks = tasks(shape, spans, q, attended);
    let (k_len, v_len) = (shape.kv_heads * shape.key_len, shape.kv_heads * shape.value_len);
    tasks.into_par_iter().for_each_init(Vec::new, |scores, Task { span, queries, out }| {
        let (k, v) = (&k[span.rows.start * k_len..], &v[span.rows.start * v_len..]);
        for kv_head in 0..shape.kv_heads {
            let context = KeysValues {
                keys: View::rows(&k[kv_head * shape.key_len..], k_len),
                values: View::rows(&v[kv_head * shape.value_len..], v_len),
            };
            attend(shape, window, queries, kv_head, context, scores, out);
        }
    });
}

/// Blocks of queries, each with the rows of `out` that it fills.
fn tasks<'t>(
    shape: &AttentionShape,
    spans: &'t [Span],
    q: &'t [f32],
    mut out: &'t mut [f32],
) -> Vec<Task<'t>> {
    let (q_len, out_len) = (shape.heads * shape.key_len, shape.heads * shape.value_len);
    let mut tasks = Vec::new();
    for span in spans {
        for start in span.rows.clone().step_by(QUERIES_PER_TASK) {
            let tokens = QUERIES_PER_TASK.min(span.rows.end - start);
            let first = span.first + start - span.rows.start;
            let queries = Queries { data: &q[start * q_len..], tokens, first };
            let (block, rest) = out.split_at_mut(tokens * out_len);
            out = rest;
            tasks.push(Task { span, queries, out: block });
        }
    }
    tasks
}

/// A block of queries of one sequence, and the rows that what they gather goes to.
struct Task<'t> {
    span: &'t Span,
    queries: Queries<'t>,
    out: &'t mut [f32],
}

/// Adds `linear(input)`, normalised where there is a gain for it, to the residual stream `x`.
fn add_projected(
    linear: &Linear,
    input: &[f32],
    gain: Option<&[f32]>,
    epsilon: f32,
    projected: &mut Vec<f32>,
    x: &mut [f32],
) {
    resize(projected, x.len());
    linear.apply(input, projected);
    let row = linear.weight.rows;
    let task = row * TOKENS_PER_TASK;
    x.par_chunks_mut(task).zip(projected.par_chunks_mut(task)).for_each(|(x, projected)| {
        if let Some(gain) = gain {
            rms_norm_in_place(projected, gain, epsilon);
        }
        x.iter_mut().zip(projected).for_each(|(x, projected)| *x += *projected);
    });
}

/// Exactly `len` values, whatever they are; memory is kept.
fn resize(values: &mut Vec<f32>, len: usize) {
    values.resize(len, 0.0);
}
