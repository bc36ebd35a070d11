//! The weights of a model where they lie, found by their names and checked against its shape.

use std::fmt::Display;

use crate::block;
use crate::gguf::{Format, Gguf, TensorInfo};

use super::activations::Rounding;
use super::error::ModelError;
use super::layer::Layer;
use super::linear::{Linear, Matrix};
use super::name::{layer_number, layer_part};
use super::parts::{FusedPart, Gain, Map, MapPart, Part};
use super::shape::ModelShape;

impl<'a> Layer<Linear<'a>> {
    /// Puts another encoding in the place of a tensor of the layer, a matrix or the gain of a norm,
    /// which is named as between `blk.N.` and `.weight`; whether there is such a one.
    ///
    /// # Panics
    /// If there are not as many weights.
    #[must_use]
    pub fn replace(&mut self, tensor: &str, format: Format, bytes: &'a [u8]) -> bool {
        let mut rest = bytes;
        let mut is_matrix = false;
        for (_, Linear { weight, .. }) in self.maps_mut().filter(|(_, it)| it.tensor == tensor) {
            let (bytes, after) = rest.split_at(weight.rows * format.size_of(weight.columns));
            weight.replace(format, bytes);
            (rest, is_matrix) = (after, true);
        }
        assert!(!is_matrix || rest.is_empty(), "{format} lengths");
        let Some(gain) = self.gain_named(tensor) else { return is_matrix };
        block::decode(format, bytes, &mut self[gain]);
        true
    }
}

/// All the weights of a model.
#[derive(Debug, Clone)]
pub struct Weights<'a> {
    /// Token embeddings: vocabulary x width.
    pub embedding: Matrix<'a>,
    /// The layers, in order.
    pub layers: Vec<Layer<Linear<'a>>>,
    /// What keys and values are rounded to before queries meet them.
    pub cached: Rounding,
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
        let mut head = match gguf.tensor("output.weight") {
            Some(_) => finder.linear("output", "output", width, vocabulary)?,
            None => Linear {
                weight: embedding,
                tensor: "token_embd",
                is_part: false,
                scale: 1.0,
                bias: finder.optional_vector("output.bias", vocabulary)?,
                rounding: Rounding::None,
            },
        };
        head.scale *= shape.logit_scale;
        Ok(Weights {
            embedding,
            layers,
            cached: Rounding::None,
            tied: gguf.tensor("output.weight").is_none(),
            output_norm: finder.vector("output_norm.weight", width)?,
            head,
            rope_factors: finder.rope_factors(shape)?,
        })
    }

    /// Puts another encoding in the place of the tensor `name`, where it is a matrix of the model or
    /// the gain of a norm; whether it is.
    #[must_use]
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
        let Some((layer, part)) = layer_part(name) else { return false };
        self.layers.get_mut(layer).is_some_and(|layer| layer.replace(part, format, bytes))
    }

    /// Every linear map.
    fn linears(&mut self) -> impl Iterator<Item = &mut Linear<'a>> {
        let layers = self.layers.iter_mut().flat_map(Layer::maps_mut).map(|(_, linear)| linear);
        layers.chain([&mut self.head])
    }

    /// From now on activations are rounded as llama.cpp does on a CPU before it multiplies them
    /// with weights of these formats, and keys and values as it keeps them.
    pub fn round_activations(&mut self) {
        self.cached = Rounding::Half;
        for linear in self.linears() {
            linear.rounding = Rounding::for_weights(linear.weight.format);
        }
    }

    /// Tokens in the vocabulary.
    pub fn vocabulary(&self) -> usize {
        self.embedding.rows
    }
}

/// Finds tensors and checks their shapes.
struct Finder<'a> {
    gguf: &'a Gguf,
}

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
        const LONG_ROPE: [&str; 2] = ["rope_factors_long.weight", "rope_factors_short.weight"];
        let architecture = shape.architecture;
        let known_part = |layer: &str, part: &str| {
            let Some((part, kind)) = part.rsplit_once('.') else { return false };
            match (Part::of(part, architecture), kind) {
                (Some(Part::Gain(_)), "weight") => true,
                // Beside the one matrix llama.cpp reads no more than the biases of its parts.
                (Some(Part::Map(map)), "weight" | "scale" | "input_scale") => {
                    !map.fused(architecture).is_some_and(|fused| self.is_there(&layer, fused))
                }
                // What inputs were multiplied by when weights were quantized, which llama.cpp leaves
                // out, is among them.
                (Some(Part::Fused(_)), "weight" | "scale" | "input_scale") => true,
                (Some(Part::Map(_) | Part::Fused(_)), "bias") => true,
                _ => false,
            }
        };
        let known =
            |name: &str| match name.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) {
                // llama.cpp reads no more blocks than the metadata counts.
                Some((layer, part)) => {
                    layer_number(layer).is_some_and(|layer| layer < shape.layers)
                        && known_part(layer, part)
                }
                None => {
                    WHOLE.contains(&name)
                        || architecture.unused.contains(&name)
                        || architecture.long_rope && LONG_ROPE.contains(&name)
                }
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

    /// Divisors of the rotary frequencies. Of those for short and for long contexts, which llama.cpp
    /// takes if it is given a longer one than the model was first made for, the short ones.
    fn rope_factors(&self, shape: &ModelShape) -> Result<Option<Vec<f32>>, ModelError> {
        let name = match shape.architecture.long_rope {
            true => "rope_factors_short.weight",
            false => "rope_freqs.weight",
        };
        self.optional_vector(name, shape.rotation.dims / 2)
    }

    /// Whether a layer has these maps in one matrix.
    fn is_there(&self, layer: &dyn Display, fused: &FusedPart) -> bool {
        self.gguf.tensor(&format!("blk.{layer}.{}.weight", fused.name)).is_some()
    }

    fn layer(&self, shape: &ModelShape, layer: usize) -> Result<Layer<Linear<'a>>, ModelError> {
        let architecture = shape.architecture;
        let fused = |map: Map| map.fused(architecture).filter(|it| self.is_there(&layer, it));
        let rows = self.tensor(&format!("blk.{layer}.{}.weight", Map::Up.name()))?.rows();
        // Gate and up are as long.
        let inner = if fused(Map::Gate).is_some() { rows / 2 } else { rows };
        let map = |map: Map| match fused(map) {
            None => {
                let MapPart { name, columns, rows, .. } = map.part();
                let name_there = format!("blk.{layer}.{name}");
                self.linear(&name_there, name, columns.of(shape, inner), rows.of(shape, inner))
            }
            Some(fused) => self.part_of(fused, map, shape, layer, inner),
        };
        let gain = |gain: Gain| match gain.name(architecture) {
            Some(name) => {
                let len = gain.part().len.of(shape, inner);
                self.vector(&format!("blk.{layer}.{name}.weight"), len)
            }
            None => Ok(Vec::new()),
        };
        Layer::new(architecture, map, gain)
    }

    /// A map whose rows lie in one matrix with those of others.
    fn part_of(
        &self,
        fused: &'static FusedPart,
        map: Map,
        shape: &ModelShape,
        layer: usize,
        inner: usize,
    ) -> Result<Linear<'a>, ModelError> {
        let name = format!("blk.{layer}.{}", fused.name);
        let rows = |map: &Map| map.part().rows.of(shape, inner);
        let all = fused.maps.iter().map(rows).sum();
        let before: usize = fused.maps.iter().take_while(|other| **other != map).map(rows).sum();
        let here = before..before + rows(&map);
        let columns = map.part().columns.of(shape, inner);
        let matrix = self.matrix(self.tensor(&format!("{name}.weight"))?, columns, all)?;
        let bias = match self.optional_vector(&format!("{name}.bias"), all)? {
            Some(bias) => Some(bias[here.clone()].to_vec()),
            // llama.cpp takes them beside the one matrix, too.
            None => {
                self.optional_vector(&format!("blk.{layer}.{}.bias", map.name()), here.len())?
            }
        };
        Ok(Linear {
            weight: matrix.part(here),
            tensor: fused.name,
            is_part: true,
            scale: self.scale(&name)?,
            bias,
            rounding: Rounding::None,
        })
    }

    fn tensor(&self, name: &str) -> Result<&'a TensorInfo, ModelError> {
        self.gguf.tensor(name).ok_or_else(|| ModelError::MissingTensor(name.into()))
    }

    fn embedding(&self, width: usize) -> Result<Matrix<'a>, ModelError> {
        let tensor = self.tensor("token_embd.weight")?;
        self.matrix(tensor, width, tensor.rows())
    }

    /// The matrix and the bias, if there is one, of the linear map `name`.
    fn linear(
        &self,
        name: &str,
        tensor: &'static str,
        inputs: usize,
        outputs: usize,
    ) -> Result<Linear<'a>, ModelError> {
        let weight = self.matrix(self.tensor(&format!("{name}.weight"))?, inputs, outputs)?;
        let bias = self.optional_vector(&format!("{name}.bias"), outputs)?;
        Ok(Linear {
            weight,
            tensor,
            is_part: false,
            scale: self.scale(name)?,
            bias,
            rounding: Rounding::None,
        })
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
