//! How much memory the keys and values of a context take while the model runs.

use crate::gguf::{Array, Metadata, Value};

use super::architecture_name;

/// Bytes of one cached key or value: llama.cpp's default is F16.
const CACHE_BYTES: u64 = 2;

/// The longest context the model was made for, in tokens.
pub fn context_length(metadata: &Metadata) -> Option<u64> {
    model_value(metadata, "context_length")?.as_u64()
}

/// Bytes of the keys and values of `context` tokens, or `None` where the metadata does not tell.
pub fn kv_cache_bytes(metadata: &Metadata, context: u64) -> Option<u64> {
    let number = |key: &str| model_value(metadata, key)?.as_u64();
    let layers = number("block_count")?;
    let heads = number("attention.head_count").filter(|&heads| heads > 0);
    let head_len = |key: &str| number(key).or_else(|| Some(number("embedding_length")? / heads?));
    let values =
        head_len("attention.key_length")?.checked_add(head_len("attention.value_length")?)?;
    let kv_heads = match model_value(metadata, "attention.head_count_kv") {
        None => layers.checked_mul(heads?)?,
        Some(Value::Array(by_layer)) => total(by_layer)?,
        Some(value) => layers.checked_mul(value.as_u64()?)?,
    };
    kv_heads.checked_mul(values)?.checked_mul(context)?.checked_mul(CACHE_BYTES)
}

/// The metadata of the architecture's own key, `llama.block_count` for example.
fn model_value<'a>(metadata: &'a Metadata, key: &str) -> Option<&'a Value> {
    metadata.get(&format!("{}.{key}", architecture_name(metadata)))
}

/// The sum of counts that differ from layer to layer.
fn total(counts: &Array) -> Option<u64> {
    match counts {
        Array::U32(counts) => Some(counts.iter().map(|&n| u64::from(n)).sum()),
        Array::I32(counts) => counts.iter().map(|&n| u64::try_from(n).ok()).sum(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn llama() -> Metadata {
        let mut metadata = Metadata::new();
        metadata.set("general.architecture", Value::string("llama"));
        metadata.set("llama.block_count", Value::U32(30));
        metadata.set("llama.embedding_length", Value::U32(576));
        metadata.set("llama.attention.head_count", Value::U32(9));
        metadata.set("llama.attention.head_count_kv", Value::U32(3));
        metadata
    }

    #[test]
    fn smollm2_caches_23040_bytes_a_token() {
        assert_eq!(kv_cache_bytes(&llama(), 1), Some(30 * 3 * (64 + 64) * 2));
    }

    #[test]
    fn heads_may_differ_by_layer() {
        let mut metadata = llama();
        metadata.set("llama.attention.head_count_kv", Value::Array(Array::I32(vec![1, 2])));
        assert_eq!(kv_cache_bytes(&metadata, 10), Some(3 * 128 * 10 * 2));
    }

    #[test]
    fn nothing_is_guessed() {
        assert_eq!(kv_cache_bytes(&Metadata::new(), 1), None);
    }
}
