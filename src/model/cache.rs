//! Keys and values of the tokens that sequences have seen so far, kept in F16 as llama.cpp does.

use half::f16;
use half::slice::HalfFloatSliceExt;
use half::vec::HalfBitsVecExt;

use super::attention::KeysValues;
use super::matmul::View;
use super::shape::{AttentionShape, ModelShape};
use crate::simd::widen_halves;

/// Positions whose keys lie together.
pub const BLOCK: usize = 64;

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
    /// Shape: heads x blocks of positions x `key_len` x [`BLOCK`]: position after position, so that
    /// the scores of a query are, like what it gathers, a weighted sum of rows.
    keys: Vec<f16>,
    /// Shape: heads x capacity x `value_len`.
    values: Vec<f16>,
}

/// The keys and values of one head, as they are stored.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    /// Shape: blocks of positions x `key_len` x [`BLOCK`].
    pub keys: &'a [f16],
    /// Shape: capacity x `value_len`.
    pub values: &'a [f16],
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
        // Zeros that the system gives: it need not find the memory before it is used.
        let zeros = |len| vec![0u16; kv_heads * len].reinterpret_into::<f16>();
        let slot = |_| Slot {
            keys: zeros(capacity.next_multiple_of(BLOCK) * key_len),
            values: zeros(capacity * value_len),
        };
        let layer = |_| (0..sequences).map(slot).collect();
        let layers = (0..shape.layers).map(layer).collect();
        Cache { capacity, lengths: vec![0; sequences], layers }
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
        let key_room = self.keys.len() / kv_heads;
        for (position, k) in (first..).zip(k.chunks_exact(kv_heads * key_len)) {
            let (block, place) = (position / BLOCK, position % BLOCK);
            let heads = self.keys.chunks_exact_mut(key_room);
            for (blocks, k) in heads.zip(k.chunks_exact(key_len)) {
                let rows = &mut blocks[block * key_len * BLOCK..][..key_len * BLOCK];
                for (row, k) in rows.chunks_exact_mut(BLOCK).zip(k) {
                    row[place] = f16::from_f32(*k);
                }
            }
        }
        let value_room = self.values.len() / kv_heads;
        for (position, v) in (first..).zip(v.chunks_exact(kv_heads * value_len)) {
            let heads = self.values.chunks_exact_mut(value_room);
            for (rows, v) in heads.zip(v.chunks_exact(value_len)) {
                rows[position * value_len..][..value_len].convert_from_f32_slice(v);
            }
        }
    }

    /// The keys and values of one head.
    pub(super) fn head(&self, shape: &AttentionShape, kv_head: usize) -> Stored<'_> {
        let (keys, values) = (self.keys.len() / shape.kv_heads, self.values.len() / shape.kv_heads);
        Stored {
            keys: &self.keys[kv_head * keys..][..keys],
            values: &self.values[kv_head * values..][..values],
        }
    }
}

impl Stored<'_> {
    /// Those of positions 0 to `len - 1`, widened.
    pub(super) fn widen<'a>(
        &self,
        shape: &AttentionShape,
        len: usize,
        widened: &'a mut Widened,
    ) -> KeysValues<'a> {
        let AttentionShape { key_len, value_len, .. } = *shape;
        let Widened { keys, values } = widened;
        keys.resize(len * key_len, 0.0);
        let blocks = self.keys.chunks_exact(key_len * BLOCK);
        for (first, block) in (0..len).step_by(BLOCK).zip(blocks) {
            for (wide, row) in keys.chunks_exact_mut(len).zip(block.chunks_exact(BLOCK)) {
                let positions = BLOCK.min(len - first);
                widen_halves(&row[..positions], &mut wide[first..first + positions]);
            }
        }
        values.resize(len * value_len, 0.0);
        widen_halves(&self.values[..len * value_len], values);
        KeysValues {
            keys: View::rows(keys, len).transposed(),
            values: View::rows(values, value_len),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Model, Session, Untraced, Wanted};
    use super::*;
    use crate::gguf::Gguf;

    fn logits(session: &Session, hidden: &[f32]) -> Vec<f32> {
        let mut logits = Vec::new();
        session.logits(hidden, &mut logits);
        logits
    }

    #[test]
    fn a_cache_changes_no_more_than_its_rounding() {
        let gguf = Gguf::open("examples/tiny.gguf".as_ref()).unwrap();
        let model = Model::of(&gguf).unwrap();
        let mut session = Session::new(&model);
        let text: Vec<u32> = (0..100).map(|i| (i * i * 37) % 2048).collect();
        let whole = session.hidden(&[&text], Wanted::All, &mut Untraced).unwrap();
        let whole = logits(&session, &whole);
        // Sequence 1 reads all token by token; sequence 2 begins with 30, and so lies ahead.
        let mut cache = Cache::new(&model.shape, 3, text.len());
        let ahead = 30;
        session.extend(&mut cache, &[2], &[&text[..ahead]]).unwrap();
        let mut worst = 0.0f32;
        for at in 0..text.len() {
            let far = (at + ahead).min(text.len() - 1);
            let slots: &[usize] = if at + ahead == far { &[2, 1] } else { &[1] };
            let tokens = [&text[far..far + 1], &text[at..at + 1]];
            let hidden = session.extend(&mut cache, slots, &tokens[2 - slots.len()..]).unwrap();
            let found = logits(&session, &hidden);
            let vocabulary = model.weights.vocabulary();
            let places = &[far, at][2 - slots.len()..];
            for (found, &place) in found.chunks(vocabulary).zip(places) {
                let expected = &whole[place * vocabulary..][..vocabulary];
                let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
                worst = differences.fold(worst, f32::max);
            }
        }
        assert_eq!(cache.lengths(), [0, 100, 100]);
        println!("the largest difference of a logit: {worst}");
        assert!(worst < 0.02, "{worst}");
    }
}
