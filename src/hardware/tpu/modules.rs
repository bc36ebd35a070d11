//! The modules of the loaders' model (Hugging Face's names), and where their weights lie in a GGUF
//! file.

use crate::model::{Gain, Layer, Linear, Map, Matrix, Model, ModelShape, RopePairs};

use super::error::PackError;
use super::rows::{Order, Rows};

/// What sets the loaders' model of one architecture apart.
#[derive(Debug, Clone, Copy)]
pub struct Twin {
    /// `general.architecture`.
    architecture: &'static str,
    /// Its class.
    pub class: &'static str,
    /// `model_type` in `config.json`.
    pub model_type: &'static str,
    /// The norm after attention and that before the feed-forward network.
    norms: (Option<&'static str>, &'static str),
    /// Whether norms multiply by one more than their weight.
    pub norms_add_one: bool,
    /// Which projections have biases.
    pub attention_biases: Biases,
    /// The same, of the feed-forward network.
    pub ffn_biases: Biases,
}

/// Whether projections have biases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Biases {
    /// None has.
    Never,
    /// Queries, keys and values have.
    Inputs,
    /// All or none have: `config.json` says which.
    Switched,
}

/// Of every architecture that is packed.
const TWINS: [Twin; 4] = [
    Twin {
        architecture: "llama",
        class: "LlamaForCausalLM",
        model_type: "llama",
        norms: (None, "post_attention_layernorm"),
        norms_add_one: false,
        attention_biases: Biases::Switched,
        ffn_biases: Biases::Switched,
    },
    Twin {
        architecture: "qwen2",
        class: "Qwen2ForCausalLM",
        model_type: "qwen2",
        norms: (None, "post_attention_layernorm"),
        norms_add_one: false,
        attention_biases: Biases::Inputs,
        ffn_biases: Biases::Never,
    },
    Twin {
        architecture: "qwen3",
        class: "Qwen3ForCausalLM",
        model_type: "qwen3",
        norms: (None, "post_attention_layernorm"),
        norms_add_one: false,
        attention_biases: Biases::Switched,
        ffn_biases: Biases::Never,
    },
    Twin {
        architecture: "gemma3",
        class: "Gemma3ForCausalLM",
        model_type: "gemma3_text",
        norms: (Some("post_attention_layernorm"), "pre_feedforward_layernorm"),
        norms_add_one: true,
        attention_biases: Biases::Switched,
        ffn_biases: Biases::Never,
    },
];

impl Twin {
    /// That of a model of this shape.
    pub fn of(shape: &ModelShape) -> Result<&'static Twin, PackError> {
        let name = shape.architecture.name;
        let twin = TWINS.iter().find(|twin| twin.architecture == name);
        twin.ok_or_else(|| PackError::NoTwin(format!("its architecture is {name}"), "models"))
    }

    /// An error that says what the twin has no place for.
    pub fn lacks(&self, what: impl Into<String>) -> PackError {
        PackError::NoTwin(what.into(), self.class)
    }
}

/// A module of the loaders' model.
#[derive(Debug)]
pub struct Module<'a> {
    /// Its path, as in `model.layers.0.self_attn.q_proj`.
    pub name: String,
    /// Its weight.
    pub weight: Weight<'a>,
    /// What it adds, if it adds anything.
    pub bias: Option<Vec<f32>>,
}

/// The weight of a module.
#[derive(Debug)]
pub enum Weight<'a> {
    /// Token embeddings.
    Embedding(Rows<'a>),
    /// The output head, if it is not the token embeddings.
    Head(Rows<'a>),
    /// A linear map of a layer.
    Linear(Rows<'a>),
    /// The gain of a norm, as the loaders want it.
    Norm(Vec<f32>),
}

/// Whether the projections of a model have biases, as `config.json` tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HasBiases {
    /// Those of attention.
    pub attention: bool,
    /// Those of the feed-forward network.
    pub ffn: bool,
}

/// The modules of a model in the order of its passes, the output head last.
pub fn modules<'a>(model: &Model<'a>) -> Result<(Vec<Module<'a>>, HasBiases), PackError> {
    let twin = Twin::of(&model.shape)?;
    let weights = &model.weights;
    let has_bias = |map: Map| weights.layers.iter().any(|layer| layer[map].bias.is_some());
    let attention = [Map::Q, Map::K, Map::V, Map::Output].into_iter().any(has_bias);
    let ffn = [Map::Gate, Map::Up, Map::Down].into_iter().any(has_bias);
    let biases = HasBiases {
        attention: twin.attention_biases == Biases::Switched && attention,
        ffn: twin.ffn_biases == Biases::Switched && ffn,
    };
    let writer = Writer { twin, shape: &model.shape, biases };
    let embedding = |matrix: Matrix<'a>| Rows { matrix, order: Order::AsStored };
    let mut modules = vec![Module {
        name: "model.embed_tokens".into(),
        weight: Weight::Embedding(embedding(weights.embedding)),
        bias: None,
    }];
    for (i, layer) in weights.layers.iter().enumerate() {
        writer.layer(i, layer, &mut modules)?;
    }
    modules.push(writer.norm("model.norm".into(), &weights.output_norm));
    if weights.head.bias.is_some() {
        return Err(twin.lacks("its output head has a bias"));
    }
    if !weights.tied {
        writer.refuse_scale("lm_head", &weights.head)?;
        let weight = Weight::Head(embedding(weights.head.weight));
        modules.push(Module { name: "lm_head".into(), weight, bias: None });
    }
    Ok((modules, biases))
}

struct Writer<'m> {
    twin: &'static Twin,
    shape: &'m ModelShape,
    biases: HasBiases,
}

impl Writer<'_> {
    fn layer<'a>(
        &self,
        i: usize,
        layer: &Layer<Linear<'a>>,
        modules: &mut Vec<Module<'a>>,
    ) -> Result<(), PackError> {
        let path = |part: &str| format!("model.layers.{i}.{part}");
        let attention = &self.shape.attention;
        let rotated = match self.shape.rotation.pairs {
            RopePairs::Adjacent => Order::FromPairs(attention.key_len),
            RopePairs::Halves => Order::AsStored,
        };
        let (inputs, output) = match self.twin.attention_biases {
            Biases::Never => (false, false),
            Biases::Inputs => (true, false),
            Biases::Switched => (self.biases.attention, self.biases.attention),
        };
        let ffn = self.biases.ffn;
        modules.push(self.norm(path("input_layernorm"), &layer[Gain::Attention]));
        modules.push(self.linear(path("self_attn.q_proj"), &layer[Map::Q], rotated, inputs)?);
        modules.push(self.linear(path("self_attn.k_proj"), &layer[Map::K], rotated, inputs)?);
        modules.push(self.linear(
            path("self_attn.v_proj"),
            &layer[Map::V],
            Order::AsStored,
            inputs,
        )?);
        if let (Some(q), Some(k)) = (layer.gain(Gain::Query), layer.gain(Gain::Key)) {
            modules.push(self.norm(path("self_attn.q_norm"), q));
            modules.push(self.norm(path("self_attn.k_norm"), k));
        }
        let stored = Order::AsStored;
        modules.push(self.linear(path("self_attn.o_proj"), &layer[Map::Output], stored, output)?);
        let (after_attention, before_ffn) = self.twin.norms;
        if let (Some(name), Some(gain)) = (after_attention, layer.gain(Gain::AttentionPost)) {
            modules.push(self.norm(path(name), gain));
        }
        modules.push(self.norm(path(before_ffn), &layer[Gain::Ffn]));
        modules.push(self.linear(path("mlp.gate_proj"), &layer[Map::Gate], stored, ffn)?);
        modules.push(self.linear(path("mlp.up_proj"), &layer[Map::Up], stored, ffn)?);
        modules.push(self.linear(path("mlp.down_proj"), &layer[Map::Down], stored, ffn)?);
        if let Some(gain) = layer.gain(Gain::FfnPost) {
            modules.push(self.norm(path("post_feedforward_layernorm"), gain));
        }
        Ok(())
    }

    /// Where the twin has a bias and the file none, it is zero.
    fn linear<'a>(
        &self,
        name: String,
        linear: &Linear<'a>,
        order: Order,
        has_bias: bool,
    ) -> Result<Module<'a>, PackError> {
        self.refuse_scale(&name, linear)?;
        if linear.bias.is_some() && !has_bias {
            return Err(self.twin.lacks(format!("{name} has a bias")));
        }
        let rows = linear.weight.rows;
        let bias = has_bias.then(|| match &linear.bias {
            Some(bias) => (0..rows).map(|row| bias[order.place(row)]).collect(),
            None => vec![0.0; rows],
        });
        let weight = Weight::Linear(Rows { matrix: linear.weight, order });
        Ok(Module { name, weight, bias })
    }

    fn refuse_scale(&self, name: &str, linear: &Linear) -> Result<(), PackError> {
        match linear.scale {
            1.0 => Ok(()),
            scale => Err(self.twin.lacks(format!("{name} multiplies its outputs by {scale}"))),
        }
    }

    fn norm<'a>(&self, name: String, gain: &[f32]) -> Module<'a> {
        let gain = match self.twin.norms_add_one {
            true => gain.iter().map(|&gain| one_less(gain)).collect(),
            false => gain.to_vec(),
        };
        Module { name, weight: Weight::Norm(gain), bias: None }
    }
}

/// The number to which one must be added to get `gain`.
///
/// In F32 that sum is `gain` again for every gain of at least 1/2 and below 2^24. Smaller ones, of
/// which a norm has few if any, lie more densely than what can be added to one: theirs is within
/// 2^-24 of the gain from -1 on, and within the spacing of numbers at `gain - 1` below that.
fn one_less(gain: f32) -> f32 {
    (f64::from(gain) - 1.0) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_more_is_the_gain_again() {
        let mut gain = 0.5f32;
        while gain < 1000.0 {
            assert_eq!(1.0 + one_less(gain), gain);
            gain = (gain * 1.0001).next_up();
        }
        for small in [0.3f32, 1e-3, -0.2, 0.0, -0.99] {
            let again = 1.0 + one_less(small);
            assert!((again - small).abs() <= 2f32.powi(-24), "{small} became {again}");
        }
    }

    #[test]
    fn every_twin_is_of_an_architecture_that_runs() {
        for twin in &TWINS {
            assert!(crate::model::Architecture::of(twin.architecture).is_some(), "{}", twin.class);
        }
    }
}
