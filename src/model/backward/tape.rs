//! One layer on a small batch: what the way forwards leaves behind, and the way back.

use std::mem;

use rayon::prelude::*;

use super::super::activations::Rounding;
use super::super::dense::DenseLayer;
use super::super::forward::{Model, RopeTables};
use super::super::layer_pass::{LayerPass, Placed, Span, Workspace};
use super::super::parts::{Gain, Map};
use super::super::rope::RopeTable;
use super::super::shape::ModelShape;
use super::super::trace::{Computed, Trace};
use super::attention::{Attended, HeadGradients};
use super::gate::gate_backward;
use super::norm::norm_backward;
use super::product::{input_gradient, weight_gradient};

/// Where a layer stands in its model: what its passes have in common, whatever its weights.
#[derive(Debug)]
pub struct LayerPlace<'m> {
    shape: &'m ModelShape,
    layer: usize,
    /// Nothing if the layer does not rotate.
    rope: Option<RopeTable>,
}

impl<'m> LayerPlace<'m> {
    /// Layer `layer` of `model`, for sequences of up to `tokens` tokens.
    pub fn new(model: &'m Model, layer: usize, tokens: usize) -> LayerPlace<'m> {
        let (shape, tables) = (&model.shape, RopeTables::new(model, tokens));
        LayerPlace { shape, layer, rope: tables.of(shape, layer).cloned() }
    }
}

/// What a pass of one batch through a layer leaves behind for the way back. Buffers are kept from
/// batch to batch.
#[derive(Debug, Default)]
pub struct Tape {
    spans: Vec<Span>,
    /// Of each token.
    positions: Vec<usize>,
    workspace: Workspace,
    kept: Kept,
    y: Vec<f32>,
    back: Back,
}

/// What was computed on the way.
#[derive(Debug, Default)]
struct Kept {
    x: Vec<f32>,
    attention_normed: Vec<f32>,
    /// Before they are normalised; nothing of use where they are not.
    raw_q: Vec<f32>,
    raw_k: Vec<f32>,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    attended: Vec<f32>,
    /// Before it is normalised; nothing of use where it is not.
    attention_projected: Vec<f32>,
    /// The residual stream between attention and feed-forward network.
    middle: Vec<f32>,
    ffn_normed: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    gated: Vec<f32>,
    ffn_projected: Vec<f32>,
}

impl Kept {
    fn place(&mut self, what: Computed) -> &mut Vec<f32> {
        match what {
            Computed::Stream => &mut self.x,
            Computed::AttentionNormed => &mut self.attention_normed,
            Computed::RawQueries => &mut self.raw_q,
            Computed::RawKeys => &mut self.raw_k,
            Computed::Queries => &mut self.q,
            Computed::Keys => &mut self.k,
            Computed::Values => &mut self.v,
            Computed::Attended => &mut self.attended,
            Computed::AttentionProjected => &mut self.attention_projected,
            Computed::Middle => &mut self.middle,
            Computed::FfnNormed => &mut self.ffn_normed,
            Computed::Gate => &mut self.gate,
            Computed::Up => &mut self.up,
            Computed::Gated => &mut self.gated,
            Computed::FfnProjected => &mut self.ffn_projected,
        }
    }
}

impl Trace for Kept {
    fn before(&mut self, what: Computed, values: &[f32]) {
        copy(self.place(what), values);
    }

    fn after(&mut self, what: Computed, values: &mut Vec<f32>) {
        mem::swap(self.place(what), values);
    }
}

/// Gradients on the way back.
#[derive(Debug, Default)]
struct Back {
    x: Vec<f32>,
    narrow: Vec<f32>,
    gated: Vec<f32>,
    attended: Vec<f32>,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    heads: Vec<HeadGradients>,
}

impl Tape {
    /// Passes whole sequences, given by their `lengths` in tokens, through the layer. `x` and what
    /// is returned: tokens x width.
    pub fn forward(
        &mut self,
        place_of: &LayerPlace,
        weights: &DenseLayer,
        x: &[f32],
        lengths: &[usize],
    ) -> &[f32] {
        let LayerPlace { shape, layer, ref rope } = *place_of;
        self.lay_out(lengths);
        let Tape { spans, positions, workspace, kept, y, .. } = self;
        copy(y, x);
        let (cached, rope) = (Rounding::None, rope.as_ref());
        let pass = LayerPass { shape, layer, weights, rope, spans, positions, cached };
        pass.through(y, workspace, kept);
        y
    }

    /// From gradients of what [`forward`](Self::forward) returned (tokens x width) to those of its
    /// `x`, which are returned, and of the weights it was given, which `gradients` holds afterwards.
    /// Once for each forward pass.
    pub fn backward(
        &mut self,
        place_of: &LayerPlace,
        weights: &DenseLayer,
        gradient: &[f32],
        gradients: &mut DenseLayer,
    ) -> &[f32] {
        self.backward_to_attention(place_of, weights, gradient, gradients);
        let (Back { x, narrow, q, k, v, .. }, kept) = (&mut self.back, &self.kept);
        let maps =
            [(&weights[Map::Q], &q[..]), (&weights[Map::K], &k[..]), (&weights[Map::V], &v[..])];
        input_gradient(&maps, narrow);
        let epsilon = place_of.shape.norm_epsilon;
        norm_back(&kept.x, weights, Gain::Attention, epsilon, narrow, gradients);
        add(x, narrow);
        x
    }

    /// The gradients of the weights alone, by one matrix product less than
    /// [`backward`](Self::backward) where no gain before attention is 0.
    pub fn backward_weights(
        &mut self,
        place_of: &LayerPlace,
        weights: &DenseLayer,
        gradient: &[f32],
        gradients: &mut DenseLayer,
    ) {
        let Some(gain) = weights.gain(Gain::Attention) else {
            self.backward_to_attention(place_of, weights, gradient, gradients);
            return;
        };
        if gain.contains(&0.0) {
            self.backward(place_of, weights, gradient, gradients);
            return;
        }
        self.backward_to_attention(place_of, weights, gradient, gradients);
        gradients[Gain::Attention] = gain_gradient(weights, gradients);
    }

    /// The way back to queries, keys and values: `gradients` holds those of all weights but the first
    /// norm's.
    fn backward_to_attention(
        &mut self,
        place_of: &LayerPlace,
        weights: &DenseLayer,
        gradient: &[f32],
        gradients: &mut DenseLayer,
    ) {
        let LayerPlace { shape, layer, ref rope } = *place_of;
        let (epsilon, window) = (shape.norm_epsilon, shape.window_of(layer));
        let Back { x, narrow, gated, attended, q, k, v, heads } = &mut self.back;
        let kept = &mut self.kept;
        copy(x, gradient);

        let residual_scale = shape.residual_scale;
        copy_scaled(narrow, gradient, residual_scale);
        norm_back(&kept.ffn_projected, weights, Gain::FfnPost, epsilon, narrow, gradients);
        weight_gradient(narrow, &kept.gated, &mut gradients[Map::Down]);
        gated.resize(kept.gated.len(), 0.0);
        input_gradient(&[(&weights[Map::Down], narrow)], gated);
        gate_backward(shape.activation(), gated, &mut kept.gate, &mut kept.up);
        weight_gradient(&kept.gate, &kept.ffn_normed, &mut gradients[Map::Gate]);
        weight_gradient(&kept.up, &kept.ffn_normed, &mut gradients[Map::Up]);
        let maps = [(&weights[Map::Gate], &kept.gate[..]), (&weights[Map::Up], &kept.up)];
        input_gradient(&maps, narrow);
        norm_back(&kept.middle, weights, Gain::Ffn, epsilon, narrow, gradients);
        add(x, narrow);

        copy_scaled(narrow, x, residual_scale);
        norm_back(
            &kept.attention_projected,
            weights,
            Gain::AttentionPost,
            epsilon,
            narrow,
            gradients,
        );
        weight_gradient(narrow, &kept.attended, &mut gradients[Map::Output]);
        attended.resize(kept.attended.len(), 0.0);
        input_gradient(&[(&weights[Map::Output], narrow)], attended);
        for (out, of) in [(&mut *q, &kept.q), (&mut *k, &kept.k), (&mut *v, &kept.v)] {
            out.resize(of.len(), 0.0);
        }
        let pass = Attended {
            shape: &shape.attention,
            window,
            spans: &self.spans,
            q: &kept.q,
            k: &kept.k,
            v: &kept.v,
            gradient: attended,
        };
        pass.backward(heads, q, k, v);
        for (gain, map, raw, heads) in
            [(Gain::Query, Map::Q, &kept.raw_q, &mut *q), (Gain::Key, Map::K, &kept.raw_k, &mut *k)]
        {
            let placed = Placed {
                rope: rope.as_ref(),
                temperature: shape.temperature.filter(|_| map == Map::Q),
                positions: &self.positions,
                row: weights[map].rows,
                head: shape.attention.key_len,
            };
            placed.place_back(heads);
            norm_back(raw, weights, gain, epsilon, heads, gradients);
        }
        for (map, gradient) in [(Map::Q, &*q), (Map::K, &*k), (Map::V, &*v)] {
            weight_gradient(gradient, &kept.attention_normed, &mut gradients[map]);
        }
    }

    fn lay_out(&mut self, lengths: &[usize]) {
        self.spans.clear();
        self.positions.clear();
        for &len in lengths {
            let start = self.positions.len();
            self.spans.push(Span { rows: start..start + len, first: 0, slot: 0 });
            self.positions.extend(0..len);
        }
    }
}

fn copy(to: &mut Vec<f32>, from: &[f32]) {
    to.clear();
    to.extend_from_slice(from);
}

fn copy_scaled(to: &mut Vec<f32>, from: &[f32], scale: f32) {
    copy(to, from);
    if scale != 1.0 {
        to.iter_mut().for_each(|x| *x *= scale);
    }
}

fn add(to: &mut [f32], more: &[f32]) {
    const TASK: usize = 1 << 14;
    to.par_chunks_mut(TASK).zip(more.par_chunks(TASK)).for_each(|(to, more)| {
        to.iter_mut().zip(more).for_each(|(to, more)| *to += more);
    });
}

/// The way back through a norm, where the layer has it.
fn norm_back(
    x: &[f32],
    weights: &DenseLayer,
    gain: Gain,
    epsilon: f32,
    gradient: &mut [f32],
    gradients: &mut DenseLayer,
) {
    if !weights[gain].is_empty() {
        norm_backward(x, &weights[gain], epsilon, gradient, &mut gradients[gain]);
    }
}

/// The gradient of the gain before attention, by those of the maps that read what it lets through.
///
/// A map `W` of inputs `n = g x` has the gradient `D = sum d n^T` over tokens, with that of its
/// outputs `d`. That of `n` is `W^T d`, so that of `g_j` is `sum x_j (W^T d)_j = sum_o W_oj D_oj / g_j`.
/// No gain may be 0.
fn gain_gradient(weights: &DenseLayer, gradients: &DenseLayer) -> Vec<f32> {
    let gain = &weights[Gain::Attention];
    let mut sums = vec![0.0; gain.len()];
    for map in [Map::Q, Map::K, Map::V] {
        let rows = weights[map].values.chunks_exact(gain.len());
        for (weights, gradients) in rows.zip(gradients[map].values.chunks_exact(gain.len())) {
            for ((sum, weight), gradient) in sums.iter_mut().zip(weights).zip(gradients) {
                *sum += f64::from(*weight) * f64::from(*gradient);
            }
        }
    }
    let of = |(sum, gain): (&f64, &f32)| (sum / f64::from(*gain)) as f32;
    sums.iter().zip(gain).map(of).collect()
}
