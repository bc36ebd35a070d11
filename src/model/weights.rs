//! The weights of a model where they lie, found by their names and checked against its shape.

use std::fmt::Display;

use crate::block;
use crate::gguf::{Format, Gguf, TensorInfo};

use super::activations::Rounding;
use super::backward::Gain;
use super::error::ModelError;
use super::linear::{Linear, Matrix};
use super::shape::ModelShape;

/// The weights of one transformer block.
#[derive(Debug, Clone)]
pub struct Layer<'a> {
    /// Gain of the norm before attention.
    pub attention_norm: Vec<f32>,
    /// Queries.
    pub q: Linear<'a>,
    /// Keys.
    pub k: Linear<'a>,
    /// Values.
    pub v: Linear<'a>,
    /// Whether these three are one matrix in the file, [`FUSED`].
    pub is_fused: bool,
    /// What keys and values are rounded to before queries meet them.
    pub cached: Rounding,
    /// Gain of the norm of each query, and of each key.
    pub qk_norms: Option<(Vec<f32>, Vec<f32>)>,
    /// The projection of what attention gives.
    pub output: Linear<'a>,
    /// Gain of the norm after attention.
    pub attention_post_norm: Option<Vec<f32>>,
    /// Gain of the norm before the feed-forward network.
    pub ffn_norm: Vec<f32>,
    /// The gate.
    pub gate: Linear<'a>,
    /// What is gated.
    pub up: Linear<'a>,
    /// The projection back.
    pub down: Linear<'a>,
    /// Gain of the norm after the feed-forward network.
    pub ffn_post_norm: Option<Vec<f32>>,
}

impl<'a> Layer<'a> {
    /// Puts another encoding in the place of the tensor `name`, where it is a matrix or the gain of
    /// a norm of this block; whether it is.
    ///
    /// # Panics
    /// If there are not as many weights.
    pub fn replace(&mut self, name: &str, format: Format, bytes: &'a [u8]) -> bool {
        let Some((_, part)) = layer_part(name) else { return false };
        if part == FUSED {
            let row_bytes = format.size_of(self.q.weight.columns);
            let mut rest = bytes;
            for Linear { weight, .. } in [&mut self.q, &mut self.k, &mut self.v] {
                let (bytes, after) = rest.split_at(weight.rows * row_bytes);
                weight.replace(format, bytes);
                rest = after;
            }
            return true;
        }
        if let Some(linear) = self.linear_mut(part) {
            linear.weight.replace(format, bytes);
            return true;
        }
        let gain = Gain::ALL.into_iter().find(|gain| gain.part() == part);
        let Some(values) = gain.and_then(|gain| self.gain_mut(gain)) else { return false };
        block::decode(format, bytes, values);
        true
    }

    /// The gains of the norms that the layer has.
    pub fn gains(&self) -> Vec<(Gain, &Vec<f32>)> {
        let gains = Gain::ALL.map(|gain| {
            let values = match gain {
                Gain::Attention => Some(&self.attention_norm),
                Gain::Query => self.qk_norms.as_ref().map(|norms| &norms.0),
                Gain::Key => self.qk_norms.as_ref().map(|norms| &norms.1),
                Gain::AttentionPost => self.attention_post_norm.as_ref(),
                Gain::Ffn => Some(&self.ffn_norm),
                Gain::FfnPost => self.ffn_post_norm.as_ref(),
            };
            values.map(|values| (gain, values))
        });
        gains.into_iter().flatten().collect()
    }

    fn gain_mut(&mut self, gain: Gain) -> Option<&mut Vec<f32>> {
        match gain {
            Gain::Attention => Some(&mut self.attention_norm),
            Gain::Query => self.qk_norms.as_mut().map(|norms| &mut norms.0),
            Gain::Key => self.qk_norms.as_mut().map(|norms| &mut norms.1),
            Gain::AttentionPost => self.attention_post_norm.as_mut(),
            Gain::Ffn => Some(&mut self.ffn_norm),
            Gain::FfnPost => self.ffn_post_norm.as_mut(),
        }
    }

    /// The linear map `part`, named as in the file but without `blk.N.` and `.weight`.
    fn linear_mut(&mut self, part: &str) -> Option<&mut Linear<'a>> {
        Some(match part {
            "attn_q" => &mut self.q,
            "attn_k" => &mut self.k,
            "attn_v" => &mut self.v,
            "attn_output" => &mut self.output,
            "ffn_gate" => &mut self.gate,
            "ffn_up" => &mut self.up,
            "ffn_down" => &mut self.down,
            _ => return None,
        })
    }
}

/// All the weights of a model.
#[derive(Debug, Clone)]
pub struct Weights<'a> {
    /// Token embeddings: vocabulary x width.
    pub embedding: Matrix<'a>,
    /// The transformer blocks, in order.
    pub layers: Vec<Layer<'a>>,
    /// Gain of the last norm.
    pub output_norm: Vec<f32>,
    /// The output head; the token embedding where the file has no other.
    pub head: Linear<'a>,
    /// Whether the head is the token embedding.
    pub tied: bool,
    /// Divisors of the rotary frequencies, one for each pair.
    pub rope_factors: Option<Vec<f32>>,
}

impl<'a> Weights<'a> {
    /// Finds the weights of a model of this shape.
    pub fn of(gguf: &'a Gguf, shape: &ModelShape) -> Result<Weights<'a>, ModelError> {
        let finder = Finder { gguf };
        finder.refuse_unknown(shape)?;
        let width = shape.width;
        let embedding = finder.embedding(width)?;
        let layers =
            (0..shape.layers).map(|layer| finder.layer(shape, layer)).collect::<Result<_, _>>()?;
        let vocabulary = embedding.rows;
        let head = match gguf.tensor("output.weight") {
            Some(_) => finder.linear("output", width, vocabulary)?,
            None => Linear {
                weight: embedding,
                scale: 1.0,
                bias: finder.optional_vector("output.bias", vocabulary)?,
                rounding: Rounding::None,
            },
        };
        Ok(Weights {
            embedding,
            layers,
            tied: gguf.tensor("output.weight").is_none(),
            output_norm: finder.vector("output_norm.weight", width)?,
            head,
            rope_factors: finder.optional_vector("rope_freqs.weight", shape.rotation.dims / 2)?,
        })
    }

    /// Puts another encoding in the place of the tensor `name`, where it is a matrix of the model or
    /// the gain of a norm; whether it is.
    pub fn replace(&mut self, name: &str, format: Format, bytes: &'a [u8]) -> bool {
        let put = |matrix: &mut Matrix<'a>| matrix.replace(format, bytes);
        if name == "token_embd.weight" {
            put(&mut self.embedding);
            if self.tied {
                put(&mut self.head.weight);
            }
            return true;
        }
        if name == "output.weight" && !self.tied {
            put(&mut self.head.weight);
            return true;
        }
        if name == "output_norm.weight" {
            block::decode(format, bytes, &mut self.output_norm);
            return true;
        }
        let layer = layer_part(name).and_then(|(layer, _)| self.layers.get_mut(layer));
        layer.is_some_and(|layer| layer.replace(name, format, bytes))
    }

    /// Every linear map.
    fn linears(&mut self) -> impl Iterator<Item = &mut Linear<'a>> {
        let layers = self.layers.iter_mut().flat_map(|layer| {
            let Layer { q, k, v, output, gate, up, down, .. } = layer;
            [q, k, v, output, gate, up, down]
        });
        layers.chain([&mut self.head])
    }

    /// From now on activations are rounded as llama.cpp does on a CPU before it multiplies them
    /// with weights of these formats, and keys and values as it keeps them.
    pub fn round_activations(&mut self) {
        self.layers.iter_mut().for_each(|layer| layer.cached = Rounding::Half);
        for linear in self.linears() {
            linear.rounding = Rounding::for_weights(linear.weight.format);
        }
    }

    /// Tokens in the vocabulary.
    pub fn vocabulary(&self) -> usize {
        self.embedding.rows
    }
}

/// The layer that a weight of a transformer block belongs to, and its name there.
pub fn layer_part(name: &str) -> Option<(usize, &str)> {
    let (layer, part) = name.strip_prefix("blk.")?.split_once('.')?;
    Some((layer_number(layer)?, part.strip_suffix(".weight")?))
}

/// A number as llama.cpp spells it: `01` would be another name of the same layer.
fn layer_number(text: &str) -> Option<usize> {
    let number: usize = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// Finds tensors and checks their shapes.
struct Finder<'a> {
    gguf: &'a Gguf,
}

/// Queries, keys and values in one matrix, as llama.cpp's converter writes them if asked to.
pub const FUSED: &str = "attn_qkv";

/// What the forward pass uses of a transformer block, without `.weight` or `.bias`.
const LAYER_PARTS: [&str; 14] = [
    "attn_norm",
    FUSED,
    "attn_q",
    "attn_k",
    "attn_v",
    "attn_q_norm",
    "attn_k_norm",
    "attn_output",
    "post_attention_norm",
    "ffn_norm",
    "ffn_gate",
    "ffn_up",
    "ffn_down",
    "post_ffw_norm",
];

/// The linear maps, which have a scale and a bias where the file has one.
const MAPS: [&str; 8] =
    [FUSED, "attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"];

impl<'a> Finder<'a> {
    /// A tensor that would be left out of the computation is no detail: the results would be wrong.
    fn refuse_unknown(&self, shape: &ModelShape) -> Result<(), ModelError> {
        const WHOLE: [&str; 5] = [
            "token_embd.weight",
            "output_norm.weight",
            "output.weight",
            "output.bias",
            "rope_freqs.weight",
        ];
        let architecture = shape.architecture;
        let known_part = |part: &str| match part.rsplit_once('.') {
            Some((part @ ("attn_q_norm" | "attn_k_norm"), "weight")) => {
                architecture.qk_norm && LAYER_PARTS.contains(&part)
            }
            Some((part @ ("post_attention_norm" | "post_ffw_norm"), "weight")) => {
                architecture.post_norms && LAYER_PARTS.contains(&part)
            }
            Some((part, "weight")) => LAYER_PARTS.contains(&part),
            // What inputs were multiplied by when weights were quantized, which llama.cpp leaves out.
            Some((part, "bias" | "scale" | "input_scale")) => MAPS.contains(&part),
            _ => false,
        };
        // Beside the one matrix llama.cpp reads no more than the biases of its parts.
        let is_part_of_fused = |part: &str| match part.rsplit_once('.') {
            Some(("attn_q" | "attn_k" | "attn_v", of)) => of != "bias",
            _ => false,
        };
        let known =
            |name: &str| match name.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) {
                // llama.cpp reads no more blocks than the metadata counts.
                Some((layer, part)) => {
                    layer_number(layer).is_some_and(|layer| layer < shape.layers)
                        && known_part(part)
                        && !(is_part_of_fused(part) && self.is_fused(&layer))
                }
                None => WHOLE.contains(&name) || architecture.unused.contains(&name),
            };
        match self.gguf.tensors().iter().find(|tensor| !known(&tensor.name)) {
            None => Ok(()),
            Some(tensor) => {
                let name = &tensor.name;
                let of = architecture.name;
                let what = format!("it does not know what the tensor {name} does in {of}");
                Err(ModelError::Unsupported(what))
            }
        }
    }

    /// Whether queries, keys and values of a layer are one matrix.
    fn is_fused(&self, layer: &dyn Display) -> bool {
        self.gguf.tensor(&format!("blk.{layer}.{FUSED}.weight")).is_some()
    }

    fn layer(&self, shape: &ModelShape, layer: usize) -> Result<Layer<'a>, ModelError> {
        let (width, attention) = (shape.width, &shape.attention);
        let name = |part: &str| format!("blk.{layer}.{part}");
        let linear = |part: &str, inputs, outputs| self.linear(&name(part), inputs, outputs);
        let norm = |part: &str, len| self.vector(&(name(part) + ".weight"), len);
        let ffn = self.tensor(&name("ffn_up.weight"))?.rows();
        let architecture = shape.architecture;
        let qk_norms = match architecture.qk_norm {
            true => Some((
                norm("attn_q_norm", attention.key_len)?,
                norm("attn_k_norm", attention.key_len)?,
            )),
            false => None,
        };
        let post_norm = |part| architecture.post_norms.then(|| norm(part, width)).transpose();
        let [q, k, v] = self.queries_keys_values(shape, layer)?;
        Ok(Layer {
            attention_norm: norm("attn_norm", width)?,
            q,
            k,
            v,
            is_fused: self.is_fused(&layer),
            cached: Rounding::None,
            qk_norms,
            output: linear("attn_output", attention.heads * attention.value_len, width)?,
            attention_post_norm: post_norm("post_attention_norm")?,
            ffn_norm: norm("ffn_norm", width)?,
            gate: linear("ffn_gate", width, ffn)?,
            up: linear("ffn_up", width, ffn)?,
            down: linear("ffn_down", ffn, width)?,
            ffn_post_norm: post_norm("post_ffw_norm")?,
        })
    }

    /// The maps to queries, keys and values, which may be one matrix.
    fn queries_keys_values(
        &self,
        shape: &ModelShape,
        layer: usize,
    ) -> Result<[Linear<'a>; 3], ModelError> {
        let (width, attention) = (shape.width, &shape.attention);
        let (k_len, v_len) = (attention.key_len, attention.value_len);
        let lens = [shape.query_len(), attention.kv_heads * k_len, attention.kv_heads * v_len];
        let parts = ["attn_q", "attn_k", "attn_v"].map(|part| format!("blk.{layer}.{part}"));
        let fused = format!("blk.{layer}.{FUSED}");
        let Some(tensor) = self.gguf.tensor(&format!("{fused}.weight")) else {
            let [q, k, v] = [0, 1, 2].map(|i| self.linear(&parts[i], width, lens[i]));
            return Ok([q?, k?, v?]);
        };
        let all = lens.iter().sum();
        let matrix = self.matrix(tensor, width, all)?;
        let scale = self.scale(&fused)?;
        let bias = self.optional_vector(&format!("{fused}.bias"), all)?;
        let mut first = 0;
        let map = |(name, len): (&String, usize)| {
            let rows = first..first + len;
            first += len;
            let bias = match &bias {
                Some(bias) => Some(bias[rows.clone()].to_vec()),
                // llama.cpp takes them beside the one matrix, too.
                None => self.optional_vector(&format!("{name}.bias"), len)?,
            };
            Ok(Linear { weight: matrix.part(rows), scale, bias, rounding: Rounding::None })
        };
        let maps: Vec<Linear> =
            parts.iter().zip(lens).map(map).collect::<Result<_, ModelError>>()?;
        Ok(maps.try_into().expect("three parts are three maps"))
    }

    fn tensor(&self, name: &str) -> Result<&'a TensorInfo, ModelError> {
        self.gguf.tensor(name).ok_or_else(|| ModelError::MissingTensor(name.into()))
    }

    fn embedding(&self, width: usize) -> Result<Matrix<'a>, ModelError> {
        let tensor = self.tensor("token_embd.weight")?;
        self.matrix(tensor, width, tensor.rows())
    }

    /// The matrix and the bias, if there is one, of the linear map `name`.
    fn linear(&self, name: &str, inputs: usize, outputs: usize) -> Result<Linear<'a>, ModelError> {
        let tensor = self.tensor(&format!("{name}.weight"))?;
        let weight = self.matrix(tensor, inputs, outputs)?;
        let bias = self.optional_vector(&format!("{name}.bias"), outputs)?;
        Ok(Linear { weight, scale: self.scale(name)?, bias, rounding: Rounding::None })
    }

    /// What the outputs of the linear map `name` are multiplied by.
    fn scale(&self, name: &str) -> Result<f32, ModelError> {
        let scale = self.optional_vector(&format!("{name}.scale"), 1)?;
        Ok(scale.map_or(1.0, |scale| scale[0]))
    }

    fn matrix(
        &self,
        tensor: &'a TensorInfo,
        inputs: usize,
        outputs: usize,
    ) -> Result<Matrix<'a>, ModelError> {
        check_shape(tensor, &[inputs, outputs])?;
        check_decodable(tensor)?;
        let bytes = self.gguf.data(tensor);
        Ok(Matrix { format: tensor.format, rows: outputs, columns: inputs, bytes })
    }

    fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>, ModelError> {
        let tensor = self.tensor(name)?;
        check_shape(tensor, &[len])?;
        check_decodable(tensor)?;
        let mut values = vec![0.0; len];
        block::decode(tensor.format, self.gguf.data(tensor), &mut values);
        Ok(values)
    }

    fn optional_vector(&self, name: &str, len: usize) -> Result<Option<Vec<f32>>, ModelError> {
        self.gguf.tensor(name).map(|_| self.vector(name, len)).transpose()
    }
}

/// Whether the tensor has these dimensions. llama.cpp takes dimensions of 1 after the last one as
/// absent, and so do we.
fn check_shape(tensor: &TensorInfo, expected: &[usize]) -> Result<(), ModelError> {
    let found = tensor.shape;
    let dim = |i: usize| found.dims().get(i).copied().unwrap_or(1);
    let asked = |i: usize| expected.get(i).map_or(1, |&dim| dim as u64);
    if (0..found.dims().len().max(expected.len())).all(|i| dim(i) == asked(i)) {
        return Ok(());
    }
    let expected: Vec<String> = expected.iter().map(usize::to_string).collect();
    Err(ModelError::WrongShape {
        tensor: tensor.name.clone(),
        expected: expected.join(" x "),
        found: found.to_string(),
    })
}

fn check_decodable(tensor: &TensorInfo) -> Result<(), ModelError> {
    if block::can_decode(tensor.format) {
        return Ok(());
    }
    Err(ModelError::Undecodable { tensor: tensor.name.clone(), format: tensor.format })
}

#[cfg(test)]
mod tests;
