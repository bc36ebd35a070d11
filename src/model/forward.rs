//! The forward pass: from tokens to logits, layer by layer.

use std::ops::Range;

use rayon::prelude::*;

use super::TOKENS_PER_TASK;
use super::attention::{KeysValues, Queries, attend};
use super::cache::{Cache, Slot, Widened};
use super::error::ModelError;
use super::gate::gate_in_place;
use super::matmul::View;
use super::norm::{rms_norm, rms_norm_in_place};
use super::rope::RopeTable;
use super::shape::ModelShape;
use super::single::{Single, attend_single};
use super::weights::{Layer, Linear, Weights, apply_all};
use crate::gguf::Gguf;

/// Tokens that are at work at a time: enough for large matrix products, few enough for the caches.
const TOKENS_AT_WORK: usize = 2048;

/// Queries that one task handles: their scores stay in the second-level cache.
const QUERIES_PER_TASK: usize = 64;

/// A model that can be run. Its weights stay where they lie.
#[derive(Debug, Clone)]
pub struct Model<'a> {
    /// The numbers that shape it.
    pub shape: ModelShape,
    /// Its weights.
    pub weights: Weights<'a>,
}

/// The inputs of linear maps, by the maps that share them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
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

/// Sees the inputs of the linear maps as they are computed.
pub trait Observer {
    /// The input of some linear maps of `layer`: rows of `columns` values, one for each token.
    fn see(&mut self, layer: usize, input: LinearInput, x: &[f32], columns: usize);

    /// All tokens have passed `layer`.
    fn layer_done(&mut self, _layer: usize) {}
}

/// Sees nothing.
#[derive(Debug, Clone, Copy)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn see(&mut self, _: usize, _: LinearInput, _: &[f32], _: usize) {}
}

/// Tokens whose hidden states are wanted after the last layer.
#[derive(Debug, Clone, Copy)]
pub enum Wanted<'a> {
    /// All.
    All,
    /// These, counted over the sequences one after another.
    Tokens(&'a [usize]),
}

/// A model at work: it keeps what the passes have in common from call to call.
#[derive(Debug)]
pub struct Session<'m, 'a> {
    model: &'m Model<'a>,
    rope: RopeTables,
    workspace: Workspace,
}

/// Buffers of the forward pass: fresh ones for each call would cost a tenth of the time.
#[derive(Debug, Default)]
struct Workspace {
    normed: Vec<f32>,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    attended: Vec<f32>,
    projected: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
}

/// The tokens of one sequence.
#[derive(Debug, Clone)]
struct Span {
    /// Among the rows of its batch.
    rows: Range<usize>,
    /// Position of the first.
    first: usize,
    /// The sequence of the cache.
    slot: usize,
}

impl<'a> Model<'a> {
    /// The model in this file.
    pub fn of(gguf: &'a Gguf) -> Result<Model<'a>, ModelError> {
        let shape = ModelShape::of(gguf.metadata())?;
        let weights = Weights::of(gguf, &shape)?;
        Ok(Model { shape, weights })
    }
}

impl<'m, 'a> Session<'m, 'a> {
    /// Puts the model to work.
    pub fn new(model: &'m Model<'a>) -> Session<'m, 'a> {
        let (rope, workspace) = (RopeTables::new(model, 0), Workspace::default());
        Session { model, rope, workspace }
    }

    /// The model.
    pub fn model(&self) -> &'m Model<'a> {
        self.model
    }

    /// The hidden states of whole sequences, normalised for the output head: wanted tokens x width.
    ///
    /// All sequences pass a layer before any passes the next, so that each layer's weights are
    /// needed once; how many tokens are at work at a time is bounded.
    pub fn hidden(
        &mut self,
        sequences: &[&[u32]],
        wanted: Wanted,
        observer: &mut dyn Observer,
    ) -> Result<Vec<f32>, ModelError> {
        let at_start = sequences.iter().map(|tokens| (tokens.len(), 0, 0));
        self.run(&sequences.concat(), &batches(at_start), None, wanted, observer)
    }

    /// Adds `tokens[i]` to sequence `slots[i]` of the cache, and gives the hidden states of the
    /// last of each, normalised for the output head: sequences x width.
    pub fn extend(
        &mut self,
        cache: &mut Cache,
        slots: &[usize],
        tokens: &[&[u32]],
    ) -> Result<Vec<f32>, ModelError> {
        let grown = slots.iter().zip(tokens);
        let spans = grown.map(|(&slot, tokens)| (tokens.len(), cache.lengths()[slot], slot));
        let batches = batches(spans);
        let ends = tokens.iter().scan(0, |end, tokens| {
            *end += tokens.len();
            Some(*end - 1)
        });
        let last: Vec<usize> = ends.collect();
        let wanted = Wanted::Tokens(&last);
        let all = tokens.concat();
        let hidden = self.run(&all, &batches, Some(cache), wanted, &mut Unobserved)?;
        for (&slot, tokens) in slots.iter().zip(tokens) {
            cache.grow(slot, tokens.len());
        }
        Ok(hidden)
    }

    /// Logits of hidden states that are normalised: tokens x vocabulary, into `out`.
    pub fn logits(&self, hidden: &[f32], out: &mut Vec<f32>) {
        let tokens = hidden.len() / self.model.shape.width;
        out.resize(tokens * self.model.weights.vocabulary(), 0.0);
        self.model.weights.head.apply(hidden, out);
        if let Some(cap) = self.model.shape.logit_cap {
            out.par_chunks_mut(1 << 14).for_each(|logits| {
                logits.iter_mut().for_each(|logit| *logit = cap * (*logit / cap).tanh());
            });
        }
    }

    fn run(
        &mut self,
        tokens: &[u32],
        batches: &[Batch],
        mut cache: Option<&mut Cache>,
        wanted: Wanted,
        observer: &mut dyn Observer,
    ) -> Result<Vec<f32>, ModelError> {
        let Session { model, rope, workspace } = self;
        let (model, shape) = (*model, &model.shape);
        let ends = batches.iter().flat_map(|batch| &batch.positions).map(|last| last + 1);
        let end = ends.max().unwrap_or(0);
        if rope.global.positions() < end {
            *rope = RopeTables::new(model, end.next_power_of_two());
        }
        let width = shape.width;
        let mut x = model.embed(tokens)?;
        let mut kept = Vec::new();
        for layer in 0..shape.layers {
            let weights = &model.weights.layers[layer];
            for batch in batches {
                let rope = rope.of(shape, layer);
                let Batch { spans, positions, .. } = batch;
                let pass = LayerPass { model, layer, weights, rope, spans, positions };
                let x = &mut x[batch.rows.start * width..batch.rows.end * width];
                let slots = cache.as_mut().map(|cache| cache.layer(layer));
                pass.attend(x, slots, workspace, observer);
                if let (true, Wanted::Tokens(tokens)) = (layer + 1 == shape.layers, wanted) {
                    let rows = rows_within(tokens, &batch.rows);
                    workspace.attended = gather(&workspace.attended, pass.attended_len(), &rows);
                    let mut x = gather(x, width, &rows);
                    pass.project_and_feed(&mut x, workspace, observer)?;
                    kept.extend(x);
                } else {
                    pass.project_and_feed(x, workspace, observer)?;
                }
            }
            observer.layer_done(layer);
        }
        let last = if let Wanted::Tokens(_) = wanted { kept } else { x };
        let mut hidden = vec![0.0; last.len()];
        rms_norm(&last, &model.weights.output_norm, shape.norm_epsilon, &mut hidden);
        observer.see(shape.layers, LinearInput::Head, &hidden, width);
        observer.layer_done(shape.layers);
        Ok(hidden)
    }
}

/// Sequences that pass a layer together.
#[derive(Debug)]
struct Batch {
    /// Among the rows of all sequences.
    rows: Range<usize>,
    spans: Vec<Span>,
    /// Of each row.
    positions: Vec<usize>,
}

/// Cuts sequences, given by their number of tokens, the position of the first and the slot in the
/// cache, into batches of about [`TOKENS_AT_WORK`].
fn batches(sequences: impl Iterator<Item = (usize, usize, usize)>) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    for (tokens, first, slot) in sequences {
        let end = batches.last().map_or(0, |batch| batch.rows.end);
        match batches.last() {
            Some(batch) if batch.rows.len() + tokens <= TOKENS_AT_WORK => {}
            _ => batches.push(Batch { rows: end..end, spans: Vec::new(), positions: Vec::new() }),
        }
        let Some(batch) = batches.last_mut() else { continue };
        let start = batch.rows.len();
        batch.spans.push(Span { rows: start..start + tokens, first, slot });
        batch.positions.extend(first..first + tokens);
        batch.rows.end += tokens;
    }
    batches
}

/// Those of `tokens` that lie in `rows`, counted from its start.
fn rows_within(tokens: &[usize], rows: &Range<usize>) -> Vec<usize> {
    tokens.iter().filter(|token| rows.contains(token)).map(|token| token - rows.start).collect()
}

impl Model<'_> {
    /// The embeddings of tokens, scaled: tokens x width.
    fn embed(&self, tokens: &[u32]) -> Result<Vec<f32>, ModelError> {
        let (width, vocabulary) = (self.shape.width, self.weights.vocabulary());
        if let Some(&token) = tokens.iter().find(|&&token| token as usize >= vocabulary) {
            return Err(ModelError::UnknownToken { token, vocabulary });
        }
        let mut x = vec![0.0; tokens.len() * width];
        x.par_chunks_mut(width).zip(tokens).for_each(|(x, &token)| {
            self.weights.embedding.widen(token as usize, x);
            x.iter_mut().for_each(|x| *x *= self.shape.embedding_scale);
        });
        Ok(x)
    }
}

/// Sines and cosines of the layers that see everything, and of those with a window.
#[derive(Debug)]
struct RopeTables {
    global: RopeTable,
    local: Option<RopeTable>,
}

impl RopeTables {
    fn new(model: &Model, positions: usize) -> RopeTables {
        let (shape, factors) = (&model.shape, model.weights.rope_factors.as_deref());
        let window = shape.window.as_ref();
        RopeTables {
            global: RopeTable::new(&shape.rotation, factors, positions),
            local: window.map(|window| RopeTable::new(&window.rotation, None, positions)),
        }
    }

    fn of(&self, shape: &ModelShape, layer: usize) -> &RopeTable {
        match &self.local {
            Some(local) if shape.window_of(layer).is_some() => local,
            _ => &self.global,
        }
    }
}

/// One layer on one batch.
struct LayerPass<'m, 'a> {
    model: &'m Model<'a>,
    layer: usize,
    weights: &'m Layer<'a>,
    rope: &'m RopeTable,
    spans: &'m [Span],
    /// Of each token.
    positions: &'m [usize],
}

impl LayerPass<'_, '_> {
    /// Values that attention gives for each token.
    fn attended_len(&self) -> usize {
        let shape = &self.model.shape.attention;
        shape.heads * shape.value_len
    }

    /// From the residual stream `x` to `workspace.attended`.
    fn attend(
        &self,
        x: &[f32],
        slots: Option<&mut [Slot]>,
        workspace: &mut Workspace,
        observer: &mut dyn Observer,
    ) {
        let (shape, weights) = (&self.model.shape, self.weights);
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
        self.place(q, weights.q.weight.rows, norms.map(|norms| &norms.0[..]));
        self.place(k, weights.k.weight.rows, norms.map(|norms| &norms.1[..]));
        resize(attended, tokens * self.attended_len());
        match slots {
            None => self.attend_to_batch(q, k, v, attended),
            Some(slots) => self.attend_to_cache(q, k, v, slots, attended),
        }
        observer.see(self.layer, LinearInput::AttentionOutput, attended, self.attended_len());
    }

    /// Normalises queries or keys head by head, where the architecture does, and rotates them.
    fn place(&self, heads: &mut [f32], row: usize, gain: Option<&[f32]>) {
        let (key_len, epsilon) =
            (self.model.shape.attention.key_len, self.model.shape.norm_epsilon);
        let tasks = heads.par_chunks_mut(row * TOKENS_PER_TASK);
        tasks.zip(self.positions.par_chunks(TOKENS_PER_TASK)).for_each(|(rows, positions)| {
            for (heads, &position) in rows.chunks_exact_mut(row).zip(positions) {
                if let Some(gain) = gain {
                    rms_norm_in_place(heads, gain, epsilon);
                }
                self.rope.rotate(heads, key_len, position);
            }
        });
    }

    /// Each sequence attends to its own tokens in the batch.
    fn attend_to_batch(&self, q: &[f32], k: &[f32], v: &[f32], attended: &mut [f32]) {
        let shape = &self.model.shape.attention;
        let window = self.model.shape.window_of(self.layer);
        let tasks = self.tasks(q, attended);
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

    /// The tokens join their sequences in the cache; each sequence attends to all that it has.
    fn attend_to_cache(
        &self,
        q: &[f32],
        k: &[f32],
        v: &[f32],
        slots: &mut [Slot],
        attended: &mut [f32],
    ) {
        let shape = &self.model.shape.attention;
        let window = self.model.shape.window_of(self.layer);
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
        let tasks = self.tasks(q, attended).into_par_iter();
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

    /// Blocks of queries, each with the rows of `out` that it fills.
    fn tasks<'t>(&'t self, q: &'t [f32], mut out: &'t mut [f32]) -> Vec<Task<'t>> {
        let (q_len, out_len) = (self.model.shape.query_len(), self.attended_len());
        let mut tasks = Vec::new();
        for span in self.spans {
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

    /// From `workspace.attended` back to the residual stream, and the feed-forward network.
    fn project_and_feed(
        &self,
        x: &mut [f32],
        workspace: &mut Workspace,
        observer: &mut dyn Observer,
    ) -> Result<(), ModelError> {
        let (shape, weights) = (&self.model.shape, self.weights);
        let Workspace { normed, attended, projected, gate, up, .. } = workspace;
        let post = weights.attention_post_norm.as_deref();
        add_projected(&weights.output, attended, post, shape.norm_epsilon, projected, x);
        self.check_finite(x, "attention")?;

        resize(normed, x.len());
        rms_norm(x, &weights.ffn_norm, shape.norm_epsilon, normed);
        observer.see(self.layer, LinearInput::Ffn, normed, shape.width);
        let (tokens, inner) = (x.len() / shape.width, weights.up.weight.rows);
        resize(gate, tokens * inner);
        resize(up, tokens * inner);
        apply_all(&mut [(&weights.gate, gate), (&weights.up, up)], normed);
        gate_in_place(shape.activation(), gate, up);
        observer.see(self.layer, LinearInput::FfnDown, gate, inner);
        let post = weights.ffn_post_norm.as_deref();
        add_projected(&weights.down, gate, post, shape.norm_epsilon, projected, x);
        self.check_finite(x, "feed-forward network")
    }

    fn check_finite(&self, x: &[f32], what: &'static str) -> Result<(), ModelError> {
        if x.par_chunks(1 << 14).all(|x| x.iter().all(|x| x.is_finite())) {
            return Ok(());
        }
        Err(ModelError::NotFinite { what, layer: self.layer })
    }
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

/// Some rows of a matrix, each `len` long.
fn gather(x: &[f32], len: usize, rows: &[usize]) -> Vec<f32> {
    rows.iter().flat_map(|row| &x[row * len..][..len]).copied().collect()
}

/// Exactly `len` values, whatever they are; memory is kept.
fn resize(values: &mut Vec<f32>, len: usize) {
    values.resize(len, 0.0);
}
