//! The tensors of a model: names, shapes, random weights.
//!
//! Their scales make the model behave somewhat like a trained one: attention that prefers some
//! positions, logits of a standard deviation of about 2.5, so that the likeliest token has a
//! probability of some 0.1 to 0.5.

use half::{bf16, f16};
use opencog_qat::block;
use opencog_qat::gguf::{Format, Gguf, Shape, TensorSpec, Writer};
use rand::Rng;
use rand_pcg::Pcg64Mcg;
use std::path::Path;

use super::Variant;

/// A tensor and its bytes.
type Tensor = (TensorSpec, Vec<u8>);

/// All tensors of a model.
pub fn of(variant: &Variant) -> Vec<Tensor> {
    let mut making = Making { variant, tensors: Vec::new(), made: 0 };
    let (width, ff, vocabulary) = (variant.width, variant.ff, variant.vocabulary.len());
    making.matrix("", "token_embd", width, vocabulary);
    making.vector("", "output_norm", width);
    if !variant.tied {
        making.matrix("", "output", width, vocabulary);
    }
    if variant.biases.contains(&"output") {
        making.bias("", "output", vocabulary);
    }
    if variant.rope_freqs {
        making.rope_freqs();
    }
    if variant.architecture == "phi3" {
        making.long_rope();
    }
    let (queries, keys) = (variant.heads * variant.head, variant.kv_heads * variant.head);
    let is = |names: &[&str]| names.contains(&variant.architecture);
    for block in 0..variant.layers {
        let prefix = format!("blk.{block}.");
        if !is(&["olmo2", "exaone4"]) {
            making.vector(&prefix, "attn_norm", width);
        }
        if is(&["phi3"]) {
            making.linear(&prefix, "attn_qkv", width, queries + 2 * keys);
        } else {
            making.linear(&prefix, "attn_q", width, queries);
            making.linear(&prefix, "attn_k", width, keys);
            making.linear(&prefix, "attn_v", width, keys);
        }
        making.linear(&prefix, "attn_output", queries, width);
        if is(&["qwen3", "gemma3", "exaone4"]) {
            making.vector(&prefix, "attn_q_norm", variant.head);
            making.vector(&prefix, "attn_k_norm", variant.head);
        }
        if is(&["olmo2"]) {
            making.vector(&prefix, "attn_q_norm", queries);
            making.vector(&prefix, "attn_k_norm", keys);
        }
        if !is(&["olmo2", "exaone4", "seed_oss"]) {
            making.vector(&prefix, "ffn_norm", width);
        }
        if is(&["phi3", "glm4"]) {
            making.linear(&prefix, "ffn_up", width, 2 * ff);
        } else {
            making.linear(&prefix, "ffn_gate", width, ff);
            making.linear(&prefix, "ffn_up", width, ff);
        }
        making.linear(&prefix, "ffn_down", ff, width);
        if is(&["gemma3", "gemma2", "glm4", "olmo2", "exaone4", "seed_oss"]) {
            making.vector(&prefix, "post_attention_norm", width);
        }
        if is(&["gemma3", "gemma2", "glm4", "olmo2", "exaone4"]) {
            making.vector(&prefix, "post_ffw_norm", width);
        }
    }
    making.tensors
}

/// The same model, every tensor in F32.
pub fn widened(file: Vec<u8>) -> Vec<u8> {
    let model = Gguf::from_bytes("to widen", file).unwrap();
    let wide = |spec: TensorSpec| TensorSpec { format: Format::F32, ..spec };
    let specs: Vec<_> = model.tensors().iter().map(|tensor| wide(tensor.spec())).collect();
    let mut writer = Writer::new(Vec::new(), Path::new("wide"), model.metadata(), &specs).unwrap();
    for tensor in model.tensors() {
        let mut values = vec![0.0f32; tensor.elements() as usize];
        block::decode(tensor.format, model.data(tensor), &mut values);
        writer.tensor_bytes(&stored(Format::F32, &values)).unwrap();
    }
    writer.finish().unwrap()
}

struct Making<'a> {
    variant: &'a Variant,
    tensors: Vec<Tensor>,
    /// Matrices so far.
    made: usize,
}

impl Making<'_> {
    fn linear(&mut self, prefix: &str, part: &str, row_len: u64, rows: u64) {
        self.matrix(prefix, part, row_len, rows);
        if self.variant.biases.contains(&part) {
            self.bias(prefix, part, rows);
        }
    }

    fn matrix(&mut self, prefix: &str, part: &str, row_len: u64, rows: u64) {
        let gain = match part {
            // Granite's logits are divided.
            "output" if self.variant.architecture == "granite" => 8.0,
            // Gemma's are multiplied by the root of the width: its last norm makes the logits
            // large.
            "token_embd" | "output" if self.variant.architecture.starts_with("gemma") => 1.0,
            "token_embd" | "output" => 2.5,
            "attn_q" | "attn_k" | "ffn_gate" => 1.5,
            _ => 1.0,
        };
        let name = format!("{prefix}{part}.weight");
        let scale = gain / (row_len as f32).sqrt();
        let values = self.random(&name, row_len * rows, 0.0, scale);
        let formats = self.variant.matrices;
        let format = formats[self.made % formats.len()];
        self.made += 1;
        self.push(name, format, &[row_len, rows], &values);
    }

    fn vector(&mut self, prefix: &str, part: &str, len: u64) {
        let mean = match part {
            "attn_q_norm" | "attn_k_norm" => 1.5,
            "output_norm" if self.variant.architecture.starts_with("gemma") => 2.5,
            // So that many layers do not blow up the rounding of the first.
            "post_attention_norm" | "post_ffw_norm" => (8.0 / self.variant.layers as f32).min(1.0),
            _ => 1.0,
        };
        let name = format!("{prefix}{part}.weight");
        let values = self.random(&name, len, mean, 0.3 * mean);
        self.push(name, Format::F32, &[len], &values);
    }

    fn bias(&mut self, prefix: &str, part: &str, len: u64) {
        let name = format!("{prefix}{part}.bias");
        let values = self.random(&name, len, 0.0, 0.5);
        self.push(name, Format::F32, &[len], &values);
    }

    /// As Llama 3.1 has them: fast rotations as they are, slow ones up to eight times slower.
    fn rope_freqs(&mut self) {
        let pairs = self.variant.head / 2;
        let factor = |pair: u64| (16.0 * pair as f32 / pairs as f32 - 4.0).clamp(1.0, 8.0);
        let values: Vec<f32> = (0..pairs).map(factor).collect();
        self.push("rope_freqs.weight".into(), Format::F32, &[pairs], &values);
    }

    /// As Phi has them: short contexts nearly as they are, long ones slowed down.
    fn long_rope(&mut self) {
        let pairs = self.variant.head / 2;
        for (name, most) in [("rope_factors_short", 1.5), ("rope_factors_long", 20.0)] {
            let factor = |pair: u64| 1.0 + (most - 1.0) * pair as f32 / pairs as f32;
            let values: Vec<f32> = (0..pairs).map(factor).collect();
            self.push(format!("{name}.weight"), Format::F32, &[pairs], &values);
        }
    }

    fn push(&mut self, name: String, format: Format, dims: &[u64], values: &[f32]) {
        let spec = TensorSpec { name, format, shape: Shape::new(dims).unwrap() };
        self.tensors.push((spec, stored(format, values)));
    }

    /// Random numbers, about Gaussian, that the names of model and tensor decide.
    fn random(&self, tensor: &str, count: u64, mean: f32, deviation: f32) -> Vec<f32> {
        let seed = self.variant.name.bytes().chain(tensor.bytes()).fold(7, |seed: u128, byte| {
            (seed ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
        });
        let mut rng = Pcg64Mcg::new(seed);
        // 24 bits, centred; by hand, so that no new version of a crate makes other numbers.
        let mut uniform = || (rng.next_u64() >> 40) as f32 / 16_777_216.0 - 0.5;
        let gauss = |_| mean + deviation * 1.75 * (uniform() + uniform() + uniform() + uniform());
        (0..count).map(gauss).collect()
    }
}

/// The bytes of values in a format. The block formats are rounded by hand and not by the crate's
/// own search, so that the golden logits outlive changes of that.
fn stored(format: Format, values: &[f32]) -> Vec<u8> {
    let (blocks, _) = values.as_chunks::<32>();
    match format {
        Format::F32 => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Format::F16 => values.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect(),
        Format::BF16 => values.iter().flat_map(|&x| bf16::from_f32(x).to_le_bytes()).collect(),
        Format::Q8_0 => blocks.iter().flat_map(q8_0).collect(),
        Format::Q4_0 => blocks.iter().flat_map(q4_0).collect(),
        format => panic!("no weights are made in {format}"),
    }
}

fn q8_0(block: &[f32; 32]) -> Vec<u8> {
    let scale = f16::from_f32(largest(block) / 127.0);
    let level = |x: f32| (x / scale.to_f32()).round().clamp(-127.0, 127.0) as i8;
    let mut bytes = scale.to_le_bytes().to_vec();
    bytes.extend(block.map(|x| level(x) as u8));
    bytes
}

fn q4_0(block: &[f32; 32]) -> Vec<u8> {
    let scale = f16::from_f32(largest(block) / 7.5);
    let level = |x: f32| ((x / scale.to_f32()).round() + 8.0).clamp(0.0, 15.0) as u8;
    let mut bytes = scale.to_le_bytes().to_vec();
    bytes.extend((0..16).map(|i| level(block[i]) | level(block[i + 16]) << 4));
    bytes
}

fn largest(block: &[f32; 32]) -> f32 {
    block.iter().fold(0.0, |largest, x| x.abs().max(largest))
}
