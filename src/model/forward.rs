//! The forward pass: from tokens to logits, layer by layer.

use std::ops::Range;

use rayon::prelude::*;

use super::cache::Cache;
use super::error::ModelError;
use super::layer_pass::{LayerPass, Span, Workspace};
use super::norm::rms_norm;
use super::parts::LinearInput;
use super::rope::RopeTable;
use super::shape::ModelShape;
use super::trace::{Trace, Untraced};
use super::weights::Weights;
use crate::gguf::Gguf;

/// Tokens that are at work at a time: enough for large matrix products, few enough for the caches.
const TOKENS_AT_WORK: usize = 2048;

/// A model that can be run. Its weights stay where they lie.
#[derive(Debug, Clone)]
pub struct Model<'a> {
    /// The numbers that shape it.
    pub shape: ModelShape,
    /// Its weights.
    pub weights: Weights<'a>,
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
        trace: &mut dyn Trace,
    ) -> Result<Vec<f32>, ModelError> {
        let at_start = sequences.iter().map(|tokens| (tokens.len(), 0, 0));
        self.run(&sequences.concat(), &batches(at_start), None, wanted, trace)
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
        let hidden = self.run(&all, &batches, Some(cache), wanted, &mut Untraced)?;
        for (&slot, tokens) in slots.iter().zip(tokens) {
            cache.grow(slot, tokens.len());
        }
        Ok(hidden)
    }

    /// Logits of hidden states that are normalised: tokens x vocabulary, into `out`.
    pub fn logits(&self, hidden: &[f32], out: &mut Vec<f32>) {
        self.model.logits(hidden, out);
    }

    fn run(
        &mut self,
        tokens: &[u32],
        batches: &[Batch],
        mut cache: Option<&mut Cache>,
        wanted: Wanted,
        trace: &mut dyn Trace,
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
                let (Batch { spans, positions, .. }, cached) = (batch, model.weights.cached);
                let pass = LayerPass { shape, layer, weights, rope, spans, positions, cached };
                let x = &mut x[batch.values(width)];
                let slots = cache.as_mut().map(|cache| cache.layer(layer));
                pass.attend(x, slots, workspace, trace);
                if let (true, Wanted::Tokens(tokens)) = (layer + 1 == shape.layers, wanted) {
                    let rows = rows_within(tokens, &batch.rows);
                    workspace.attended = gather(&workspace.attended, pass.attended_len(), &rows);
                    let mut x = gather(x, width, &rows);
                    pass.project_and_feed(&mut x, workspace, trace)?;
                    kept.extend(x);
                } else {
                    pass.project_and_feed(x, workspace, trace)?;
                }
            }
            trace.stream(layer, &x, width);
            trace.layer_done(layer);
        }
        let last = if let Wanted::Tokens(_) = wanted { kept } else { x };
        let mut hidden = vec![0.0; last.len()];
        rms_norm(&last, &model.weights.output_norm, shape.norm_epsilon, &mut hidden);
        trace.see(shape.layers, LinearInput::Head, &hidden, width);
        trace.layer_done(shape.layers);
        Ok(hidden)
    }
}

/// Sequences that pass a layer together.
#[derive(Debug)]
pub(super) struct Batch {
    /// Among the rows of all sequences.
    pub rows: Range<usize>,
    pub spans: Vec<Span>,
    /// Of each row.
    pub positions: Vec<usize>,
}

impl Batch {
    /// Where the values of its rows lie in a matrix of rows of `width`.
    pub fn values(&self, width: usize) -> Range<usize> {
        self.rows.start * width..self.rows.end * width
    }
}

/// Cuts sequences, given by their number of tokens, the position of the first and the slot in the
/// cache, into batches of about [`TOKENS_AT_WORK`].
pub(super) fn batches(sequences: impl Iterator<Item = (usize, usize, usize)>) -> Vec<Batch> {
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
    /// Logits of hidden states that are normalised: tokens x vocabulary, into `out`.
    pub fn logits(&self, hidden: &[f32], out: &mut Vec<f32>) {
        let tokens = hidden.len() / self.shape.width;
        out.resize(tokens * self.weights.vocabulary(), 0.0);
        self.weights.head.apply(hidden, out);
        if let Some(cap) = self.shape.logit_cap {
            out.par_chunks_mut(1 << 14).for_each(|logits| {
                logits.iter_mut().for_each(|logit| *logit = cap * (*logit / cap).tanh());
            });
        }
    }

    /// The embeddings of tokens, scaled: tokens x width.
    pub(super) fn embed(&self, tokens: &[u32]) -> Result<Vec<f32>, ModelError> {
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
pub(super) struct RopeTables {
    global: RopeTable,
    local: Option<RopeTable>,
}

impl RopeTables {
    pub fn new(model: &Model, positions: usize) -> RopeTables {
        let (shape, factors) = (&model.shape, model.weights.rope_factors.as_deref());
        let window = shape.window.as_ref();
        RopeTables {
            global: RopeTable::new(&shape.rotation, factors, positions),
            local: window.map(|window| RopeTable::new(&window.rotation, None, positions)),
        }
    }

    /// The table of a layer, if it rotates.
    pub fn of(&self, shape: &ModelShape, layer: usize) -> Option<&RopeTable> {
        let table = match &self.local {
            Some(local) if shape.window_of(layer).is_some() => local,
            _ => &self.global,
        };
        shape.rotates(layer).then_some(table)
    }
}

/// Some rows of a matrix, each `len` long.
fn gather(x: &[f32], len: usize, rows: &[usize]) -> Vec<f32> {
    rows.iter().flat_map(|row| &x[row * len..][..len]).copied().collect()
}
