//! Small models of random weights that between them use every option of the architectures we run,
//! what llama.cpp says of them, and a slow forward pass that says the same.
//!
//! [`VARIANTS`] lists the models, [`Variant::file`] makes one, [`golden::Golden`] is llama.cpp's
//! verdict on it and [`reference::logits`] ours:
//!
//! ```ignore
//! let model = Gguf::from_bytes(variant.name, variant.file())?;
//! let golden = Golden::of(variant.name);
//! let agreement = golden.compare(variant.bos(), |tokens| reference::logits(&model, tokens));
//! assert!(agreement.normalized_kld < variant.allowed_kld());
//! ```
//!
//! A model depends on its row of the table alone: the
//! same bytes on every machine.

#![allow(dead_code, reason = "every test takes what it needs")]

#[path = "../fetched/mod.rs"]
pub mod fetched;
pub mod forward;
pub mod golden;
pub mod peer;
pub mod reference;
mod table;
mod tensors;
pub mod vocabulary;

use std::path::Path;

use opencog_qat::gguf::{Array, Format, Metadata, Value, Writer};

pub use table::VARIANTS;
pub use vocabulary::Vocabulary;

/// One model.
#[derive(Clone, Copy)]
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
    Flag(bool),
    /// One for each layer.
    Layers(&'static [bool]),
}

impl Variant {
    /// The model as a GGUF file.
    pub fn file(&self) -> Vec<u8> {
        let tensors = tensors::of(self);
        let specs: Vec<_> = tensors.iter().map(|(spec, _)| spec.clone()).collect();
        let path = Path::new(self.name);
        let mut writer = Writer::new(Vec::new(), path, &self.metadata(), &specs).unwrap();
        tensors.iter().for_each(|(_, bytes)| writer.tensor_bytes(bytes).unwrap());
        writer.finish().unwrap()
    }

    /// The file from which llama.cpp computes the golden logits: a [widened](Variant::is_widened)
    /// model has the same weights in F32.
    pub fn golden_file(&self) -> Vec<u8> {
        if self.is_widened() { tensors::widened(self.file()) } else { self.file() }
    }

    /// Whether llama.cpp gets the model in F32. It rounds activations to the format of the matrix:
    /// to 8 bits for BF16 and the block formats, and that would be all there is to see. F16, with
    /// its 11 bits, is left as it is.
    pub fn is_widened(&self) -> bool {
        !self.matrices.iter().all(|&format| matches!(format, Format::F32 | Format::F16))
    }

    /// The normalized KLD that llama.cpp's own rounding may make. It rounds activations to F16
    /// where weights are F16, and looks GELU up in a table of F16; else all is in F32, and what is
    /// left is the rounding of the golden codes.
    pub fn allowed_kld(&self) -> f64 {
        let f16 = self.matrices.contains(&Format::F16) && !self.is_widened();
        match (f16, self.architecture.starts_with("gemma")) {
            (false, false) => 1e-8,
            (false, true) => 1e-5,
            (true, false) => 2e-5,
            (true, true) => 5e-5,
        }
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
            Key::Flag(flag) => Value::Bool(flag),
            Key::Layers(layers) => Value::Array(Array::Bool(layers.to_vec())),
        }
    }
}
