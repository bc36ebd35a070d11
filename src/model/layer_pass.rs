//! One layer on one batch of tokens, forwards: the only forward pass that there is.

use std::ops::Range;

use rayon::prelude::*;

use super::TOKENS_PER_TASK;
use super::activations::Rounding;
use super::attention::{KeysValues, Queries, attend};
use super::cache::{Slot, Widened};
use super::gate::gate_in_place;
use super::layer::Layer;
use super::linear_map::LinearMap;
use super::matmul::View;
use super::norm::{rms_norm, rms_norm_in_place};
use super::parts::{Gain, LinearInput, Map};
use super::rope::RopeTable;
use super::shape::{AttentionShape, ModelShape, Temperature};
use super::single::{Single, attend_single};
use super::trace::{Computed, Trace};

/// Queries that one task handles: their scores stay in the second-level cache.
const QUERIES_PER_TASK: usize = 64;

/// Buffers of the forward pass: fresh ones for each call would cost a tenth of the time.
#[derive(Debug, Default)]
pub struct Workspace {
    pub normed: Vec<f32>,
    q: Vec<f32>,
    pub k: Vec<f32>,
    pub v: Vec<f32>,
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

/// One layer on one batch, whatever holds its weights.
pub struct LayerPass<'m, M> {
    pub shape: &'m ModelShape,
    pub layer: usize,
    pub weights: &'m Layer<M>,
    /// Nothing if the layer does not rotate.
    pub rope: Option<&'m RopeTable>,
    pub spans: &'m [Span],
    /// Of each token.
    pub positions: &'m [usize],
    /// What keys and values are rounded to before queries meet them.
    pub cached: Rounding,
}

impl<M: LinearMap> LayerPass<'_, M> {
    /// The whole layer, on sequences that begin here.
    pub fn through(&self, x: &mut [f32], workspace: &mut Workspace, trace: &mut dyn Trace) {
        self.attend(x, None, workspace, trace);
        self.project(x, workspace, trace);
        self.widen(x, workspace, trace);
        self.project_back(x, workspace, trace);
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
        trace: &mut dyn Trace,
    ) {
        let shape = self.shape;
        let Workspace { normed, q, k, v, attended, .. } = workspace;
        trace.before(Computed::Stream, x);
        self.norm(Gain::Attention, x, normed);
        trace.see(self.layer, LinearInput::Attention, normed, shape.width);
        self.apply(&mut [(Map::Q, q), (Map::K, k), (Map::V, v)], normed);
        trace.after(Computed::AttentionNormed, normed);
        self.place(Gain::Query, Map::Q, q, Computed::RawQueries, trace);
        self.place(Gain::Key, Map::K, k, Computed::RawKeys, trace);
        self.cached.round(k);
        self.cached.round(v);
        let tokens = x.len() / shape.width;
        resize(attended, tokens * self.attended_len());
        match slots {
            None => {
                let window = shape.window_of(self.layer);
                attend_to_batch(&shape.attention, window, self.spans, q, k, v, attended);
            }
            Some(slots) => self.attend_to_cache(q, k, v, slots, attended),
        }
        trace.after(Computed::Queries, q);
        trace.after(Computed::Keys, k);
        trace.after(Computed::Values, v);
        trace.see(self.layer, LinearInput::AttentionOutput, attended, self.attended_len());
    }

    /// Normalises queries or keys, if there is a gain for it, rotates them if the layer does, and
    /// lets queries grow with their position if the model does.
    fn place(&self, gain: Gain, map: Map, heads: &mut [f32], raw: Computed, trace: &mut dyn Trace) {
        let gain = self.weights.gain(gain);
        if gain.is_some() {
            trace.before(raw, heads);
        }
        let placed = Placed {
            rope: self.rope,
            temperature: self.shape.temperature.filter(|_| map == Map::Q),
            positions: self.positions,
            row: self.weights[map].rows(),
            head: self.shape.attention.key_len,
        };
        placed.place(heads, gain, self.shape.norm_epsilon);
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

    /// From `workspace.attended` back to the residual stream.
    pub fn project(&self, x: &mut [f32], workspace: &mut Workspace, trace: &mut dyn Trace) {
        let Workspace { attended, projected, .. } = workspace;
        self.apply(&mut [(Map::Output, projected)], attended);
        trace.after(Computed::Attended, attended);
        self.add(Gain::AttentionPost, projected, x, Computed::AttentionProjected, trace);
    }

    /// From the residual stream `x` to `workspace.gate`.
    pub fn widen(&self, x: &[f32], workspace: &mut Workspace, trace: &mut dyn Trace) {
        let shape = self.shape;
        let Workspace { normed, gate, up, .. } = workspace;
        trace.before(Computed::Middle, x);
        self.norm(Gain::Ffn, x, normed);
        trace.see(self.layer, LinearInput::Ffn, normed, shape.width);
        self.apply(&mut [(Map::Gate, gate), (Map::Up, up)], normed);
        trace.after(Computed::FfnNormed, normed);
        trace.before(Computed::Gate, gate);
        gate_in_place(shape.activation(), gate, up);
        trace.after(Computed::Up, up);
        trace.see(self.layer, LinearInput::FfnDown, gate, self.weights[Map::Up].rows());
    }

    /// From `workspace.gate` back to the residual stream.
    pub fn project_back(&self, x: &mut [f32], workspace: &mut Workspace, trace: &mut dyn Trace) {
        let Workspace { gate, projected, .. } = workspace;
        self.apply(&mut [(Map::Down, projected)], gate);
        trace.after(Computed::Gated, gate);
        self.add(Gain::FfnPost, projected, x, Computed::FfnProjected, trace);
    }

    /// What a norm makes of the stream, if the layer has it.
    fn norm(&self, gain: Gain, x: &[f32], normed: &mut Vec<f32>) {
        resize(normed, x.len());
        match self.weights.gain(gain) {
            Some(gain) => rms_norm(x, gain, self.shape.norm_epsilon, normed),
            None => normed.copy_from_slice(x),
        }
    }

    /// What maps that share their input make of it.
    fn apply(&self, maps: &mut [(Map, &mut Vec<f32>)], x: &[f32]) {
        let tokens = x.len() / self.weights[maps[0].0].columns();
        let mut maps: Vec<(&M, &mut [f32])> = maps
            .iter_mut()
            .map(|(map, out)| {
                let weights = &self.weights[*map];
                resize(out, tokens * weights.rows());
                (weights, &mut out[..])
            })
            .collect();
        M::apply_all(&mut maps, x);
    }

    /// Adds what was projected, normalised if there is a gain for it, to the residual stream `x`.
    fn add(
        &self,
        gain: Gain,
        projected: &mut [f32],
        x: &mut [f32],
        what: Computed,
        trace: &mut dyn Trace,
    ) {
        let (gain, epsilon) = (self.weights.gain(gain), self.shape.norm_epsilon);
        let scale = self.shape.residual_scale;
        if gain.is_some() {
            trace.before(what, projected);
        }
        let task = self.shape.width * TOKENS_PER_TASK;
        x.par_chunks_mut(task).zip(projected.par_chunks_mut(task)).for_each(|(x, projected)| {
            if let Some(gain) = gain {
                rms_norm_in_place(projected, gain, epsilon);
            }
            x.iter_mut().zip(projected).for_each(|(x, projected)| *x += scale * *projected);
        });
    }
}

/// How queries or keys are placed where their tokens stand.
pub(super) struct Placed<'p> {
    pub rope: Option<&'p RopeTable>,
    pub temperature: Option<Temperature>,
    /// Of each token.
    pub positions: &'p [usize],
    /// Values of all heads of a token.
    pub row: usize,
    /// Values of a head.
    pub head: usize,
}

impl Placed<'_> {
    /// Normalises, if there is a gain for it, and places. `heads`: rows of `row` values, one for each
    /// token.
    fn place(&self, heads: &mut [f32], gain: Option<&[f32]>, epsilon: f32) {
        self.each(heads, |heads, position| {
            if let Some(gain) = gain {
                rms_norm_in_place(heads, gain, epsilon);
            }
            if let Some(rope) = self.rope {
                rope.rotate(heads, self.head, position);
            }
            self.warm(heads, position);
        });
    }

    /// From gradients of what was placed to those of what it was before, but for the norm.
    pub fn place_back(&self, heads: &mut [f32]) {
        self.each(heads, |heads, position| {
            self.warm(heads, position);
            if let Some(rope) = self.rope {
                rope.rotate_back(heads, self.head, position);
            }
        });
    }

    fn warm(&self, heads: &mut [f32], position: usize) {
        if let Some(temperature) = self.temperature {
            let factor = temperature.at(position);
            heads.iter_mut().for_each(|x| *x *= factor);
        }
    }

    fn each(&self, heads: &mut [f32], each: impl Fn(&mut [f32], usize) + Sync) {
        let tasks = heads.par_chunks_mut(self.row * TOKENS_PER_TASK);
        tasks.zip(self.positions.par_chunks(TOKENS_PER_TASK)).for_each(|(rows, positions)| {
            let rows = rows.chunks_exact_mut(self.row).zip(positions);
            rows.for_each(|(heads, &position)| each(heads, position));
        });
    }
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

/// Exactly `len` values, whatever they are; memory is kept.
fn resize(values: &mut Vec<f32>, len: usize) {
    values.resize(len, 0.0);
}
