//! Small models made on the spot, and what is broken about them.

use std::path::Path;

use half::{bf16, f16};
use opencog_qat::block;
use opencog_qat::gguf::{Array, Format, Gguf, Metadata, Shape, TensorSpec, Value, Writer};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// A model in the making.
#[derive(Clone)]
pub struct Model {
    metadata: Metadata,
    tensors: Vec<(TensorSpec, Vec<u8>)>,
}

impl Model {
    /// Metadata of several types, and no tensors.
    pub fn empty() -> Model {
        let mut metadata = Metadata::new();
        metadata.set("general.architecture", Value::string("llama"));
        metadata.set("general.name", Value::string("made by a test"));
        metadata.set("general.file_type", Value::U32(1));
        metadata.set("llama.context_length", Value::U32(128));
        metadata.set("llama.rope.freq_base", Value::F32(10_000.0));
        let tokens: Vec<String> = (0..12).map(|token| format!("t{token}")).collect();
        let tokens = Array::String(tokens.iter().map(|token| token.as_bytes()).collect());
        metadata.set("tokenizer.ggml.tokens", Value::Array(tokens));
        Model { metadata, tensors: Vec::new() }
    }

    /// The model of a file.
    pub fn of(gguf: &Gguf) -> Model {
        let tensors = gguf.tensors().iter();
        let tensors = tensors.map(|tensor| (tensor.spec(), gguf.data(tensor).to_vec())).collect();
        Model { metadata: gguf.metadata().clone(), tensors }
    }

    /// The model with other weights in its matrices, stored in another format: `change` has the
    /// name, and tells the format.
    pub fn with_matrices(mut self, change: impl Fn(&str, &mut [f32]) -> Option<Format>) -> Model {
        for (spec, bytes) in &mut self.tensors {
            if spec.shape.rows() == 1 {
                continue;
            }
            let mut values = vec![0.0; spec.shape.elements() as usize];
            block::decode(spec.format, bytes, &mut values);
            if let Some(format) = change(&spec.name, &mut values) {
                (spec.format, *bytes) = (format, stored(format, &values));
            }
        }
        self
    }

    /// One layer of a llama whose rows are all `width` long. Its matrices have twelve rows, no more
    /// than the plan looks at, so that the errors it expects are those that come.
    pub fn llama(width: u64, format: Format) -> Model {
        let mut model = Model::empty()
            .key("llama.block_count", Value::U32(1))
            .key("llama.embedding_length", Value::U32(width as u32))
            .key("llama.attention.head_count", Value::U32(1))
            .weights("token_embd.weight", format, &[width, 12]);
        model = model.weights("output_norm.weight", Format::F32, &[width]);
        model = model.weights("blk.0.attn_norm.weight", Format::F32, &[width]);
        for part in ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"]
        {
            model = model.weights(&format!("blk.0.{part}.weight"), format, &[width, 12]);
        }
        model
    }

    /// Sets a key.
    pub fn key(mut self, key: &str, value: Value) -> Model {
        self.metadata.set(key, value);
        self
    }

    /// Removes the keys that begin so.
    pub fn without(mut self, prefix: &str) -> Model {
        self.metadata.remove_prefix(prefix);
        self
    }

    /// Gives a tensor other dimensions, for as many weights.
    pub fn reshaped(mut self, name: &str, dims: &[u64]) -> Model {
        let tensor = self.tensors.iter_mut().find(|(spec, _)| spec.name == name).expect(name);
        tensor.0.shape = Shape::new(dims).unwrap();
        self
    }

    /// Adds a tensor of these bytes.
    pub fn tensor(mut self, name: &str, format: Format, dims: &[u64], bytes: Vec<u8>) -> Model {
        let spec = TensorSpec { name: name.into(), format, shape: Shape::new(dims).unwrap() };
        self.tensors.push((spec, bytes));
        self
    }

    /// Adds a tensor of these values.
    pub fn values(self, name: &str, format: Format, dims: &[u64], values: &[f32]) -> Model {
        self.tensor(name, format, dims, stored(format, values))
    }

    /// Adds a tensor of random weights, which its name decides.
    pub fn weights(self, name: &str, format: Format, dims: &[u64]) -> Model {
        let values = weights(name, dims.iter().product());
        self.values(name, format, dims, &values)
    }

    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        file(&self.metadata, &self.tensors)
    }

    /// The file up to the bytes of the tensors.
    pub fn header(&self) -> Vec<u8> {
        let specs: Vec<_> = self.tensors.iter().map(|(spec, _)| spec.clone()).collect();
        let mut header = Vec::new();
        Writer::new(&mut header, Path::new("header"), &self.metadata, &specs).unwrap();
        header
    }

    /// The files of the model split in `count`, the first with all metadata.
    pub fn shards(&self, count: usize) -> Vec<Vec<u8>> {
        let pieces = self.tensors.chunks(self.tensors.len().div_ceil(count));
        let shard = |(no, tensors): (usize, &[_])| {
            let mut metadata = if no == 0 { self.metadata.clone() } else { Metadata::new() };
            metadata.set("split.no", Value::U16(no as u16));
            metadata.set("split.count", Value::U16(count as u16));
            metadata.set("split.tensors.count", Value::I32(self.tensors.len() as i32));
            file(&metadata, tensors)
        };
        pieces.enumerate().map(shard).collect()
    }
}

fn file(metadata: &Metadata, tensors: &[(TensorSpec, Vec<u8>)]) -> Vec<u8> {
    let specs: Vec<_> = tensors.iter().map(|(spec, _)| spec.clone()).collect();
    let mut writer = Writer::new(Vec::new(), Path::new("model"), metadata, &specs).unwrap();
    tensors.iter().for_each(|(_, bytes)| writer.tensor_bytes(bytes).unwrap());
    writer.finish().unwrap()
}

/// Random weights, about as trained ones are distributed.
pub fn weights(name: &str, count: u64) -> Vec<f32> {
    let seed = name.bytes().fold(7, |seed: u64, byte| seed.wrapping_mul(131) + u64::from(byte));
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let mut uniform = || rng.random::<f32>() - 0.5;
    (0..count).map(|_| 0.1 * (uniform() + uniform() + uniform())).collect()
}

/// Weights as a file has them.
pub fn stored(format: Format, values: &[f32]) -> Vec<u8> {
    match format {
        Format::F32 => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Format::F16 => values.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect(),
        Format::BF16 => values.iter().flat_map(|&x| bf16::from_f32(x).to_le_bytes()).collect(),
        format => {
            let mut bytes = vec![0; format.size_of(values.len())];
            block::encode(format, values, values.len(), None, &mut bytes);
            bytes
        }
    }
}
