//! The models that are read: GGUF files of other kinds are told apart from them.

use std::path::Path;

use crate::Error;
use crate::gguf::{Gguf, Value};
use crate::opencog::section::{ARCHITECTURE, ARCHITECTURE_KEY};

/// Opens a model to be quantized or run.
///
/// # Errors
/// The file cannot be read, or is a GGUF of another kind: then what it is, and what to do.
pub(crate) fn open_model(path: &Path) -> Result<Gguf, Error> {
    let gguf = Gguf::open(path)?;
    match other_kind(&gguf) {
        Some(what) => Err(Error::NotAModel { path: path.into(), what }),
        None => Ok(gguf),
    }
}

/// What a GGUF is that is no model, and what to do.
fn other_kind(gguf: &Gguf) -> Option<&'static str> {
    let text = |key| gguf.metadata().get(key).and_then(Value::as_str);
    let (kind, architecture) = (text("general.type"), text(ARCHITECTURE_KEY));
    // Of files whose metadata do not tell, the tensors' names do.
    let has = |end: &str| gguf.tensors().iter().any(|tensor| tensor.name.ends_with(end));
    if architecture == Some(ARCHITECTURE) {
        return Some(
            "it is a companion of OpenCog data, not a model; `opencog-qat opencog` reads it: stats, \
             query, export",
        );
    }
    if kind == Some("adapter") || has(".lora_a") {
        return Some(
            "it is a LoRA adapter, not a model; merge it in its base model (llama-export-lora) and \
             quantize that, or quantize the base model and give llama.cpp both (--lora)",
        );
    }
    if kind == Some("imatrix") || has(".in_sum2") {
        return Some(
            "it is an importance matrix of llama-imatrix, not a model; name the model, which the \
             importance is found of here",
        );
    }
    if architecture == Some("controlvector") {
        return Some(
            "it is a control vector, not a model; name the model that it was made for, and give \
             llama.cpp both (--control-vector)",
        );
    }
    let has_vocabulary = gguf.metadata().get("tokenizer.ggml.tokens").is_some();
    (gguf.tensors().is_empty()).then_some(if has_vocabulary {
        "it holds the vocabulary of a model and no tensor (vocabulary-only); convert the model \
         without --vocab-only"
    } else {
        "it holds no tensor, so it is no model; name a GGUF with the weights of one"
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::{Array, Format, Metadata, Shape, TensorSpec, Writer};

    fn kind_of(metadata: &[(&str, Value)], tensors: &[&str]) -> Option<&'static str> {
        let mut all = Metadata::new();
        metadata.iter().for_each(|(key, value)| all.set(key, value.clone()));
        let spec = |name: &&str| TensorSpec {
            name: name.to_string(),
            format: Format::I8,
            shape: Shape::new(&[1]).unwrap(),
        };
        let specs: Vec<TensorSpec> = tensors.iter().map(spec).collect();
        let mut writer = Writer::new(Vec::new(), Path::new("file"), &all, &specs).unwrap();
        specs.iter().for_each(|_| writer.tensor_bytes(&[1]).unwrap());
        other_kind(&Gguf::from_bytes("file", writer.finish().unwrap()).unwrap())
    }

    #[track_caller]
    fn told(metadata: &[(&str, Value)], tensors: &[&str], fragment: &str) {
        let told = kind_of(metadata, tensors).unwrap_or_default();
        assert!(told.contains(fragment), "expected `{fragment}` in: {told}");
    }

    #[test]
    fn other_kinds_are_told() {
        let of_type = |kind| [("general.type", Value::string(kind))];
        let architecture = |name| [("general.architecture", Value::string(name))];
        let weight = ["blk.0.attn_q.weight"];
        told(&of_type("adapter"), &weight, "LoRA adapter");
        told(&architecture("llama"), &["blk.0.attn_q.weight.lora_a"], "LoRA adapter");
        told(&of_type("imatrix"), &weight, "importance matrix");
        told(&[], &["blk.0.attn_q.weight.in_sum2"], "importance matrix");
        told(&architecture("controlvector"), &["direction.1"], "control vector");
        told(&architecture("opencog"), &["atomspace.atoms"], "companion of OpenCog data");
        let tokens = Value::Array(Array::String(["a".as_bytes()].into_iter().collect()));
        told(&[("tokenizer.ggml.tokens", tokens)], &[], "vocabulary-only");
        told(&[], &[], "no tensor");
    }

    #[test]
    fn models_are_models() {
        for kind in ["model", "mmproj"] {
            assert_eq!(kind_of(&[("general.type", Value::string(kind))], &["a.weight"]), None);
        }
        assert_eq!(kind_of(&[], &["a.weight"]), None);
    }
}
