//! Small models of random weights that between them use every option of the architectures we run,
//! what llama.cpp says of them, and a slow forward pass that says the same.
//!
//! [`VARIANTS`] lists the models, [`Variant::file`] makes one, [`golden::Golden`] is llama.cpp's
//! verdict on it and [`reference::logits`] ours. A model depends on its row of the table alone: the
//! same bytes on every machine.

#![allow(dead_code, reason = "every test takes what it needs")]

pub mod golden;
pub mod reference;
mod table;
mod tensors;
pub mod vocabulary;

use std::path::Path;

use opencog_qat::gguf::{Array, Format, Metadata, Value, Writer};

pub use table::VARIANTS;
pub use vocabulary::Vocabulary;

/// One model.
pub struct Variant {
    /// Also the stem of its golden file.
    pub name: &'static str,
    pub architecture: &'static str,
    pub vocabulary: Vocabulary,
    /// The formats of the matrices, in turns.
    pub matrices: &'static [Format],
    pub layers: u64,
    pub width: u64,
    pub heads: u64,
    /// Where it equals `heads`, the file has no key for it.
    pub kv_heads: u64,
    /// Length of a head. Where it is `width / heads`, the file has no key for it.
    pub head: u64,
    pub ff: u64,
    /// Whether the embedding is also the output head.
    pub tied: bool,
    /// The tensors that have a bias: `attn_q` is that of every layer, `output` the head's.
    pub biases: &'static [&'static str],
    /// Whether there are `rope_freqs`.
    pub rope_freqs: bool,
    /// More metadata. The architecture's name goes before each.
    pub keys: &'static [(&'static str, Key)],
}

/// A metadata value that a constant may hold.
#[derive(Clone, Copy)]
pub enum Key {
    Int(u32),
    Real(f32),
    Text(&'static str),
    /// One for each layer.
    Layers(&'static [bool]),
}

impl Variant {
    /// The model as a GGUF file.
    pub fn file(&self) -> Vec<u8> {
        self.file_in(self.matrices)
    }

    /// The file from which llama.cpp computes the golden logits. It rounds activations to the
    /// format of the matrix: to 11 bits for F16, 8 for BF16 and the block formats. Ours does not,
    /// so that what is coarser than F16 is widened for it, with the same weights.
    pub fn golden_file(&self) -> Vec<u8> {
        let exact = |&format: &Format| matches!(format, Format::F32 | Format::F16);
        match self.matrices.iter().all(exact) {
            true => self.file(),
            false => tensors::widened(self.file()),
        }
    }

    fn file_in(&self, matrices: &[Format]) -> Vec<u8> {
        let tensors = tensors::of(self, matrices);
        let specs: Vec<_> = tensors.iter().map(|(spec, _)| spec.clone()).collect();
        let path = Path::new(self.name);
        let mut writer = Writer::new(Vec::new(), path, &self.metadata(), &specs).unwrap();
        tensors.iter().for_each(|(_, bytes)| writer.tensor_bytes(bytes).unwrap());
        writer.finish().unwrap()
    }

    fn metadata(&self) -> Metadata {
        let mut metadata = Metadata::new();
        metadata.set("general.architecture", Value::string(self.architecture));
        metadata.set("general.name", Value::string(self.name));
        let mut set = |key: &str, value| {
            metadata.set(&format!("{}.{key}", self.architecture), value);
        };
        for (key, number) in [
            ("block_count", self.layers),
            ("context_length", 256),
            ("embedding_length", self.width),
            ("feed_forward_length", self.ff),
            ("attention.head_count", self.heads),
        ] {
            set(key, Value::U32(number as u32));
        }
        if self.kv_heads != self.heads {
            set("attention.head_count_kv", Value::U32(self.kv_heads as u32));
        }
        if self.head * self.heads != self.width {
            set("attention.key_length", Value::U32(self.head as u32));
            set("attention.value_length", Value::U32(self.head as u32));
        }
        for (key, value) in self.keys {
            set(key, value.value());
        }
        self.vocabulary.describe(&mut metadata);
        metadata
    }

    /// The token with which llama.cpp begins each chunk, whatever stood there.
    pub fn bos(&self) -> Option<u32> {
        self.vocabulary.bos()
    }
}

impl Key {
    fn value(self) -> Value {
        match self {
            Key::Int(number) => Value::U32(number),
            Key::Real(number) => Value::F32(number),
            Key::Text(text) => Value::string(text),
            Key::Layers(layers) => Value::Array(Array::Bool(layers.to_vec())),
        }
    }
}
