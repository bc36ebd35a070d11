//! Keys and values of the tokens that sequences have seen so far, kept in F16 as llama.cpp does.

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::attention::KeysValues;
use super::matmul::View;
use super::shape::{AttentionShape, ModelShape};

/// The keys and values of several sequences that grow together, token by token.
#[derive(Debug, Clone)]
pub struct Cache {
    /// Tokens that each sequence may have.
    capacity: usize,
    /// Tokens that each sequence has.
    lengths: Vec<usize>,
    /// For each layer, for each sequence.
    layers: Vec<Vec<Slot>>,
}

/// The keys and values of one sequence in one layer, head by head, so that those of a head lie
/// together.
#[derive(Debug, Clone)]
pub struct Slot {
    /// Shape: heads x capacity x `key_len`.
    keys: Vec<f16>,
    /// Shape: heads x capacity x `value_len`.
    values: Vec<f16>,
}

/// Keys and values of one head, widened.
#[derive(Debug, Default)]
pub struct Widened {
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl Cache {
    /// Room for `sequences` sequences of up to `capacity` tokens.
    pub fn new(shape: &ModelShape, sequences: usize, capacity: usize) -> Cache {
        let AttentionShape { kv_heads, key_len, value_len, .. } = shape.attention;
        let slot = Slot {
            keys: vec![f16::ZERO; kv_heads * capacity * key_len],
            values: vec![f16::ZERO; kv_heads * capacity * value_len],
        };
        Cache {
            capacity,
            lengths: vec![0; sequences],
            layers: vec![vec![slot; sequences]; shape.layers],
        }
    }

    /// Bytes that the keys and values of so many sequences take.
    pub fn bytes(shape: &ModelShape, sequences: usize, capacity: usize) -> usize {
        let AttentionShape { kv_heads, key_len, value_len, .. } = shape.attention;
        shape.layers * sequences * capacity * kv_heads * (key_len + value_len) * size_of::<f16>()
    }

    /// Tokens that each sequence has.
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// Tokens that each sequence may have.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Forgets all tokens of a sequence.
    pub fn clear(&mut self, sequence: usize) {
        self.lengths[sequence] = 0;
    }

    /// What a layer has stored, for each sequence.
    pub(super) fn layer(&mut self, layer: usize) -> &mut [Slot] {
        &mut self.layers[layer]
    }

    /// Counts tokens whose keys and values every layer has stored.
    pub(super) fn grow(&mut self, sequence: usize, tokens: usize) {
        self.lengths[sequence] += tokens;
    }
}

impl Slot {
    /// Stores the keys and values of tokens from position `first` on. Shapes: tokens x heads x
    /// `key_len` and `value_len`.
    pub(super) fn store(&mut self, shape: &AttentionShape, first: usize, k: &[f32], v: &[f32]) {
        let AttentionShape { kv_heads, key_len, value_len, .. } = *shape;
        store_heads(&mut self.keys, kv_heads, key_len, first, k);
        store_heads(&mut self.values, kv_heads, value_len, first, v);
    }

    /// The keys and values of one head for positions 0 to `len - 1`.
    pub(super) fn widen<'a>(
        &self,
        shape: &AttentionShape,
        kv_head: usize,
        len: usize,
        widened: &'a mut Widened,
    ) -> KeysValues<'a> {
        let AttentionShape { kv_heads, key_len, value_len, .. } = *shape;
        widen_head(&self.keys, kv_heads, kv_head, len * key_len, &mut widened.keys);
        widen_head(&self.values, kv_heads, kv_head, len * value_len, &mut widened.values);
        KeysValues {
            keys: View::rows(&widened.keys, key_len),
            values: View::rows(&widened.values, value_len),
        }
    }
}

fn store_heads(stored: &mut [f16], heads: usize, len: usize, first: usize, x: &[f32]) {
    let head_room = stored.len() / heads;
    for (token, x) in x.chunks_exact(heads * len).enumerate() {
        for (head, x) in x.chunks_exact(len).enumerate() {
            let place = head * head_room + (first + token) * len;
            stored[place..place + len].convert_from_f32_slice(x);
        }
    }
}

fn widen_head(stored: &[f16], heads: usize, head: usize, len: usize, out: &mut Vec<f32>) {
    out.resize(len, 0.0);
    stored[head * (stored.len() / heads)..][..len].convert_to_f32_slice(out);
}
