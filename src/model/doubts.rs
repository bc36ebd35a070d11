//! What stock llama.cpp would say against a file that can be quantized all the same.

use crate::gguf::{Format, Gguf, Metadata, TensorInfo};

use super::architecture_name;
use super::role::Role;

/// One sentence for each thing.
pub fn doubts(gguf: &Gguf) -> Vec<String> {
    let mut doubts: Vec<String> = halves(gguf).into_iter().collect();
    if let Some(tokens) = tokens(gguf.metadata()) {
        doubts.extend(special_tokens(gguf.metadata(), tokens));
        doubts.extend(rows(gguf, tokens));
    }
    doubts
}

/// Gains and biases that llama.cpp cannot multiply or add to activations in F32.
fn halves(gguf: &Gguf) -> Option<String> {
    let is_half = |tensor: &&TensorInfo| matches!(tensor.format, Format::F16 | Format::BF16);
    let is_vector =
        |tensor: &&TensorInfo| matches!(Role::of(&tensor.name), Role::Norm | Role::Bias);
    let mut halves = gguf.tensors().iter().filter(is_half).filter(is_vector);
    let TensorInfo { name, format, .. } = halves.next()?;
    let others = match halves.count() {
        0 => String::new(),
        others => format!(" (and {others} more)"),
    };
    Some(format!(
        "{name} is in {format}{others}: stock llama.cpp takes norms and biases in F32 only, and stops \
         at such a file and at the output alike; convert the model again, with these in F32"
    ))
}

/// The tokens for which llama.cpp expects the embedding to have rows.
fn tokens(metadata: &Metadata) -> Option<u64> {
    let text = |key| metadata.get(key).and_then(|value| value.as_str());
    if let Some("none" | "no_vocab") = text("tokenizer.ggml.model") {
        return metadata.get(&format!("{}.vocab_size", architecture_name(metadata)))?.as_u64();
    }
    let tokens = metadata.get("tokenizer.ggml.tokens")?.as_array()?.as_strings()?;
    Some(tokens.len() as u64)
}

/// Special tokens that are not there.
fn special_tokens(metadata: &Metadata, tokens: u64) -> Vec<String> {
    let of_token = |key: &str| key.starts_with("tokenizer.ggml.") && key.ends_with("_token_id");
    let ids = metadata.iter().filter(|(key, _)| of_token(key));
    let ids = ids.filter_map(|(key, value)| Some((key, value.as_u64()?)));
    let outside = ids.filter(|(_, id)| *id >= tokens);
    let doubt = |(key, id)| {
        format!("{key} is {id}, and there are {tokens} tokens: it is ignored, as by llama.cpp")
    };
    outside.map(doubt).collect()
}

/// Embeddings and output heads for another number of tokens.
fn rows(gguf: &Gguf, tokens: u64) -> Vec<String> {
    let tensors = ["token_embd.weight", "output.weight"].into_iter();
    let tensors = tensors.filter_map(|name| gguf.tensor(name));
    let odd = tensors.filter(|tensor| tensor.rows() as u64 != tokens);
    let doubt = |tensor: &TensorInfo| {
        let (name, rows) = (&tensor.name, tensor.rows());
        format!(
            "{name} has {rows} rows, and the vocabulary {tokens} tokens: stock llama.cpp refuses \
             such a file, and will refuse the output too; convert the model again, with as many \
             tokens as rows"
        )
    };
    odd.map(doubt).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::gguf::{Array, Shape, TensorSpec, Value, Writer};

    /// Of a model of 3 tokens whose embedding has so many rows.
    fn doubts_of(rows: u64, keys: &[(&str, Value)]) -> Vec<String> {
        doubts_with(rows, keys, Format::F32)
    }

    /// The same, with a norm and a bias in this format.
    fn doubts_with(rows: u64, keys: &[(&str, Value)], format: Format) -> Vec<String> {
        let mut metadata = Metadata::new();
        metadata.set("general.architecture", Value::string("llama"));
        let tokens = ["a", "b", "c"].iter().collect();
        metadata.set("tokenizer.ggml.tokens", Value::Array(Array::String(tokens)));
        keys.iter().for_each(|(key, value)| metadata.set(key, value.clone()));
        let spec = |name: &str, format, dims: &[u64]| TensorSpec {
            name: name.into(),
            format,
            shape: Shape::new(dims).unwrap(),
        };
        let specs = [
            spec("token_embd.weight", Format::F16, &[2, rows]),
            spec("output_norm.weight", format, &[2]),
            spec("blk.0.attn_q.bias", format, &[2]),
        ];
        let mut writer = Writer::new(Vec::new(), Path::new("x"), &metadata, &specs).unwrap();
        for spec in &specs {
            let bytes = spec.format.bytes_of(spec.shape.elements()).unwrap();
            writer.tensor_bytes(&vec![0; bytes as usize]).unwrap();
        }
        doubts(&Gguf::from_bytes("x", writer.finish().unwrap()).unwrap())
    }

    #[test]
    fn a_sound_model_has_none() {
        assert!(doubts_of(3, &[("tokenizer.ggml.eos_token_id", Value::U32(2))]).is_empty());
        let sized = ("llama.vocab_size", Value::U32(5));
        let none = ("tokenizer.ggml.model", Value::string("none"));
        assert!(doubts_of(5, &[none.clone(), sized.clone()]).is_empty());
        assert_eq!(doubts_of(5, &[sized]).len(), 1, "the tokens count, if there are some");
        assert!(doubts_of(5, &[none]).is_empty(), "nobody knows");
    }

    #[test]
    fn norms_and_biases_in_halves_are_named() {
        for format in [Format::F16, Format::BF16] {
            let [doubt] = &doubts_with(3, &[], format)[..] else { panic!() };
            let expected = format!("output_norm.weight is in {format} (and 1 more): stock");
            assert!(doubt.starts_with(&expected), "{doubt}");
        }
    }

    #[test]
    fn rows_and_special_tokens_that_are_not_there_are_named() {
        let found = doubts_of(4, &[("tokenizer.ggml.padding_token_id", Value::U32(3))]);
        assert!(found[0].starts_with("tokenizer.ggml.padding_token_id is 3, and there are 3"));
        assert!(found[1].starts_with("token_embd.weight has 4 rows, and the vocabulary 3"));
    }
}
