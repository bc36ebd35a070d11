//! The weights of a layer widened to F32; also whatever has one number for each of them, such as
//! their gradients.

use std::ops::{Index, IndexMut};

use super::super::linear::Linear;
use super::super::weights::Layer;

/// The linear maps of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Map {
    /// Queries.
    Q,
    /// Keys.
    K,
    /// Values.
    V,
    /// The projection of what attention gives.
    Output,
    /// The gate.
    Gate,
    /// What is gated.
    Up,
    /// The projection back.
    Down,
}

impl Map {
    /// All of them.
    pub const ALL: [Map; 7] = [Map::Q, Map::K, Map::V, Map::Output, Map::Gate, Map::Up, Map::Down];

    /// Its name in the file, between `blk.N.` and `.weight`.
    pub fn part(self) -> &'static str {
        match self {
            Map::Q => "attn_q",
            Map::K => "attn_k",
            Map::V => "attn_v",
            Map::Output => "attn_output",
            Map::Gate => "ffn_gate",
            Map::Up => "ffn_up",
            Map::Down => "ffn_down",
        }
    }
}

/// The gains of the norms of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gain {
    /// Before attention.
    Attention,
    /// Of each query.
    Query,
    /// Of each key.
    Key,
    /// After attention.
    AttentionPost,
    /// Before the feed-forward network.
    Ffn,
    /// After the feed-forward network.
    FfnPost,
}

impl Gain {
    /// All of them.
    pub const ALL: [Gain; 6] =
        [Gain::Attention, Gain::Query, Gain::Key, Gain::AttentionPost, Gain::Ffn, Gain::FfnPost];

    /// Its name in the file, between `blk.N.` and `.weight`.
    pub fn part(self) -> &'static str {
        match self {
            Gain::Attention => "attn_norm",
            Gain::Query => "attn_q_norm",
            Gain::Key => "attn_k_norm",
            Gain::AttentionPost => "post_attention_norm",
            Gain::Ffn => "ffn_norm",
            Gain::FfnPost => "post_ffw_norm",
        }
    }
}

/// A matrix, and what its outputs are multiplied by and added to.
#[derive(Debug, Clone, PartialEq)]
pub struct DenseMatrix {
    /// Outputs.
    pub rows: usize,
    /// Inputs.
    pub columns: usize,
    /// Rows x columns.
    pub values: Vec<f32>,
    /// What outputs are multiplied by; it does not learn.
    pub scale: f32,
    /// One for each output; empty where there is none.
    pub bias: Vec<f32>,
}

/// One number for each weight of a layer.
#[derive(Debug, Clone, PartialEq)]
pub struct DenseLayer {
    /// In the order of [`Map::ALL`].
    matrices: [DenseMatrix; 7],
    /// In the order of [`Gain::ALL`]; empty where the layer has no such norm.
    gains: [Vec<f32>; 6],
}

impl DenseLayer {
    /// The weights of `layer`.
    pub fn of(layer: &Layer) -> DenseLayer {
        let Layer { q, k, v, output, gate, up, down, .. } = layer;
        let mut gains: [Vec<f32>; 6] = Default::default();
        for (gain, values) in layer.gains() {
            gains[gain as usize].clone_from(values);
        }
        DenseLayer { matrices: [q, k, v, output, gate, up, down].map(DenseMatrix::of), gains }
    }

    /// As many zeros.
    pub fn zeros(&self) -> DenseLayer {
        let zeros = |values: &Vec<f32>| vec![0.0; values.len()];
        DenseLayer {
            matrices: self.matrices.each_ref().map(|matrix| DenseMatrix {
                values: zeros(&matrix.values),
                bias: zeros(&matrix.bias),
                ..*matrix
            }),
            gains: self.gains.each_ref().map(zeros),
        }
    }
}

impl DenseMatrix {
    fn of(linear: &Linear) -> DenseMatrix {
        let weight = &linear.weight;
        let mut values = vec![0.0; weight.rows * weight.columns];
        weight.widen(0, &mut values);
        let bias = linear.bias.clone().unwrap_or_default();
        let scale = linear.scale;
        DenseMatrix { rows: weight.rows, columns: weight.columns, values, scale, bias }
    }
}

impl Index<Map> for DenseLayer {
    type Output = DenseMatrix;

    fn index(&self, map: Map) -> &DenseMatrix {
        &self.matrices[map as usize]
    }
}

impl IndexMut<Map> for DenseLayer {
    fn index_mut(&mut self, map: Map) -> &mut DenseMatrix {
        &mut self.matrices[map as usize]
    }
}

impl Index<Gain> for DenseLayer {
    type Output = Vec<f32>;

    fn index(&self, gain: Gain) -> &Vec<f32> {
        &self.gains[gain as usize]
    }
}

impl IndexMut<Gain> for DenseLayer {
    fn index_mut(&mut self, gain: Gain) -> &mut Vec<f32> {
        &mut self.gains[gain as usize]
    }
}
