//! `config.json` and `generation_config.json`: the numbers of the model in the loaders' words.

use serde_json::{Map, Value, json};

use crate::gguf::Metadata;
use crate::model::{Activation, Map as LayerMap, Model, ModelShape, Vocabulary, context_length};

use super::error::PackError;
use super::modules::{HasBiases, Twin};
use super::rotary::rope_scaling;

/// The keys that the loaders' model of the architecture reads; of quantization nothing yet.
pub fn config(
    metadata: &Metadata,
    model: &Model,
    vocabulary: &Vocabulary,
    biases: HasBiases,
) -> Result<Map<String, Value>, PackError> {
    let Model { shape, weights } = model;
    let twin = Twin::of(shape)?;
    let attention = &shape.attention;
    if attention.value_len != attention.key_len {
        let (value, key) = (attention.value_len, attention.key_len);
        return Err(twin.lacks(format!("its values have {value} numbers and its keys {key}")));
    }
    if shape.rotation.dims != attention.key_len {
        let (dims, key) = (shape.rotation.dims, attention.key_len);
        return Err(twin.lacks(format!("it rotates {dims} numbers of its keys of {key}")));
    }
    let ffn = weights.layers.first().map_or(0, |layer| layer[LayerMap::Up].weight.rows);
    if let Some(odd) =
        weights.layers.iter().position(|layer| layer[LayerMap::Up].weight.rows != ffn)
    {
        return Err(twin.lacks(format!("layer {odd} has a feed-forward network of another width")));
    }
    let context = context_length(metadata).unwrap_or(DEFAULT_CONTEXT);
    let activation = match shape.activation() {
        Activation::Silu => "silu",
        Activation::Gelu => "gelu_pytorch_tanh",
    };
    let factors = weights.rope_factors.as_deref();
    let scaling = rope_scaling(&shape.rotation, factors).map_err(|what| twin.lacks(what))?;
    let keys = json!({
        "architectures": [twin.class],
        "model_type": twin.model_type,
        // That of what is not quantized here; loaders may narrow it.
        "torch_dtype": "float32",
        "vocab_size": weights.vocabulary(),
        "hidden_size": shape.width,
        "intermediate_size": ffn,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": attention.heads,
        "num_key_value_heads": attention.kv_heads,
        "head_dim": attention.key_len,
        "max_position_embeddings": context,
        "rms_norm_eps": shortest(shape.norm_epsilon),
        "rope_theta": shape.rotation.base,
        "rope_scaling": scaling,
        "tie_word_embeddings": weights.tied,
        "attention_bias": biases.attention,
        "attention_dropout": 0.0,
        "use_cache": true,
        "bos_token_id": vocabulary.begin(),
        "eos_token_id": ends(vocabulary),
        "pad_token_id": pad(metadata, vocabulary),
    });
    let Value::Object(mut keys) = keys else { unreachable!("it was written as an object") };
    match shape.architecture.name {
        "gemma3" => gemma3(twin, shape, activation, &mut keys)?,
        _ => {
            keys.insert("hidden_act".into(), json!(activation));
            if shape.architecture.name == "llama" {
                keys.insert("mlp_bias".into(), json!(biases.ffn));
            } else {
                keys.insert("use_sliding_window".into(), json!(false));
            }
        }
    }
    Ok(keys)
}

/// The context of a model whose metadata names none: that of the first Llama.
const DEFAULT_CONTEXT: u64 = 2048;

/// What is Gemma's own.
fn gemma3(
    twin: &Twin,
    shape: &ModelShape,
    activation: &str,
    keys: &mut Map<String, Value>,
) -> Result<(), PackError> {
    let window = shape.window.as_ref();
    if let Some(magnitude) = window.map(|window| window.rotation.magnitude).filter(|&m| m != 1.0) {
        let what = format!("queries and keys under a window are multiplied by {magnitude}");
        return Err(twin.lacks(what));
    }
    let kinds: Vec<&str> = (0..shape.layers)
        .map(|layer| match shape.window_of(layer) {
            Some(_) => "sliding_attention",
            None => "full_attention",
        })
        .collect();
    // Scores are multiplied by its inverse root.
    let scale = f64::from(shape.attention.scale);
    let query_scalar = (1.0 / (scale * scale)).round();
    let local_base = window.map_or(10_000.0, |window| window.rotation.base);
    for (key, value) in [
        ("hidden_activation", json!(activation)),
        ("query_pre_attn_scalar", json!(query_scalar as u64)),
        ("sliding_window", json!(window.map_or(4096, |window| window.tokens))),
        ("layer_types", json!(kinds)),
        ("rope_local_base_freq", json!(local_base)),
        ("final_logit_softcapping", json!(shape.logit_cap)),
        ("attn_logit_softcapping", Value::Null),
    ] {
        keys.insert(key.into(), value);
    }
    Ok(())
}

/// The number of fewest digits that is this one in F32: 1e-5, not 9.999999747378752e-6.
fn shortest(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(number.into())
}

/// `generation_config.json`.
pub fn generation_config(metadata: &Metadata, vocabulary: &Vocabulary) -> Value {
    json!({
        "bos_token_id": vocabulary.begin(),
        "eos_token_id": ends(vocabulary),
        "pad_token_id": pad(metadata, vocabulary),
    })
}

/// The tokens that end what the model writes: one, or a list of several.
fn ends(vocabulary: &Vocabulary) -> Value {
    let all: Vec<u32> =
        (0..vocabulary.len()).filter(|&id| vocabulary.ends_generation(id)).collect();
    match (all.as_slice(), vocabulary.end()) {
        ([one], _) => json!(one),
        (all, Some(end)) => {
            // The one that ends a text comes first, as it is what many loaders take for the only one.
            let others = all.iter().copied().filter(|&id| id != end);
            json!(std::iter::once(end).chain(others).collect::<Vec<u32>>())
        }
        (all, None) => json!(all),
    }
}

/// The token that fills up shorter texts.
fn pad(metadata: &Metadata, vocabulary: &Vocabulary) -> Option<u64> {
    let id = metadata.get("tokenizer.ggml.padding_token_id")?.as_u64()?;
    Some(id).filter(|&id| id < vocabulary.len().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epsilons_are_written_as_people_write_them() {
        assert_eq!(json!(shortest(1e-5)).to_string(), "0.00001");
        assert_eq!(json!(shortest(1e-6)).to_string(), "1e-6");
    }
}
