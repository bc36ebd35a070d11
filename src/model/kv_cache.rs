//! How much memory the keys and values of a context take while the model runs.

use crate::gguf::{Array, Metadata, TensorInfo, Value};

use super::architecture::Architecture;
use super::architecture_name;

/// Bytes of one cached key or value: llama.cpp's default is F16.
const CACHE_BYTES: u64 = 2;

/// Bytes of one number of the state that recurrent layers keep in its place.
const STATE_BYTES: u64 = 4;

/// The longest context the model was made for, in tokens.
pub fn context_length(metadata: &Metadata) -> Option<u64> {
    Keys::of(metadata).value("context_length")?.as_u64()
}

/// Why nobody knows how much the keys and values take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownCache {
    /// A key of the metadata, and what is wrong with it.
    #[error("the KV cache cannot be reckoned: {key} {fault}")]
    Key {
        /// The key.
        key: String,
        /// What is wrong with it.
        fault: String,
    },
    /// Metadata that names no architecture, and so has none of its keys.
    #[error("the KV cache cannot be reckoned: general.architecture is missing")]
    NoArchitecture,
    /// More than can be counted.
    #[error(
        "the KV cache of {context} tokens takes more than 2^63 bytes; ask for a smaller --context"
    )]
    TooLarge {
        /// Tokens of context.
        context: u64,
    },
}

/// Bytes of the keys and values of `context` tokens, as llama.cpp reckons them, and of the states
/// that recurrent layers keep. Models without attention keep none, nor do those whose tokens see the
/// ones after them, which are read at once. Whether a model has attention, its metadata or its
/// `tensors` tell.
///
/// Sliding windows are not counted out: this is the most that a context of so many tokens takes.
pub fn kv_cache_bytes(
    metadata: &Metadata,
    tensors: &[TensorInfo],
    context: u64,
) -> Result<u64, UnknownCache> {
    let keys = Keys::of(metadata);
    if keys.architecture.is_empty() {
        return Err(UnknownCache::NoArchitecture);
    }
    let too_large = || UnknownCache::TooLarge { context };
    let values = u128::from(keys.values_of_token(tensors.iter().any(makes_keys))?);
    let bytes = values * u128::from(context) * u128::from(CACHE_BYTES);
    let state = u128::from(keys.state()?) * u128::from(STATE_BYTES);
    // What comes of it is added to the size of a file.
    i64::try_from(bytes + state).map(|bytes| bytes as u64).map_err(|_| too_large())
}

/// Whether a tensor makes the keys of a layer that writes text: those of encoders and of vision
/// towers have another prefix, and their keys are not kept.
fn makes_keys(tensor: &TensorInfo) -> bool {
    let part = tensor.name.strip_prefix("blk.").and_then(|rest| rest.split_once('.'));
    part.is_some_and(|(_, part)| {
        ["attn_k.", "attn_qkv.", "attn_kv_"].iter().any(|keys| part.starts_with(keys))
    })
}

/// The architecture's own keys.
struct Keys<'a> {
    metadata: &'a Metadata,
    architecture: &'a str,
}

impl<'a> Keys<'a> {
    fn of(metadata: &'a Metadata) -> Keys<'a> {
        Keys { metadata, architecture: architecture_name(metadata) }
    }

    fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture)
    }

    fn value(&self, key: &str) -> Option<&'a Value> {
        self.metadata.get(&self.name(key))
    }

    fn odd(&self, key: &str, fault: impl Into<String>) -> UnknownCache {
        UnknownCache::Key { key: self.name(key), fault: fault.into() }
    }

    /// A count below 2^32, as all are that llama.cpp reads.
    fn count(&self, key: &str) -> Result<Option<u64>, UnknownCache> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let count = value.as_u64().filter(|&count| count <= u32::MAX.into());
        count.map(Some).ok_or_else(|| self.odd(key, format!("is {value}, which is no sound count")))
    }

    fn needed(&self, key: &str) -> Result<u64, UnknownCache> {
        self.count(key)?.ok_or_else(|| self.odd(key, "is missing"))
    }

    /// A count for each layer, which is the same for all layers if the metadata gives one number.
    fn counts(&self, key: &str, layers: usize) -> Result<Option<Vec<u64>>, UnknownCache> {
        let Some(Value::Array(array)) = self.value(key) else {
            return Ok(self.count(key)?.map(|count| vec![count; layers]));
        };
        let counts: Option<Vec<u64>> = match array {
            Array::U32(counts) => Some(counts.iter().map(|&n| n.into()).collect()),
            Array::I32(counts) => counts.iter().map(|&n| u64::try_from(n).ok()).collect(),
            _ => None,
        };
        let counts =
            counts.ok_or_else(|| self.odd(key, format!("is {array}, which are no counts")))?;
        match counts.len() == layers {
            true => Ok(Some(counts)),
            false => Err(self.odd(key, format!("has {} counts for {layers} layers", counts.len()))),
        }
    }

    /// Numbers that are cached for each token, over all layers.
    fn values_of_token(&self, makes_keys: bool) -> Result<u64, UnknownCache> {
        let of_attention = ["head_count", "head_count_kv", "key_length"];
        let attends = makes_keys
            || Architecture::of(self.architecture).is_some()
            || of_attention.iter().any(|key| self.value(&format!("attention.{key}")).is_some());
        let looks_ahead = self.value("attention.causal").and_then(Value::as_bool) == Some(false);
        if !attends || looks_ahead {
            return Ok(0);
        }
        const MOST_LAYERS: u64 = 1 << 16;
        let layers = self.needed("block_count")?;
        if layers > MOST_LAYERS {
            return Err(self.odd("block_count", format!("is {layers}, which is no sound count")));
        }
        let heads = self.counts("attention.head_count", layers as usize)?;
        let kv_heads = self.counts("attention.head_count_kv", layers as usize)?;
        let kv_heads = kv_heads.or_else(|| heads.clone());
        let kv_heads = kv_heads.ok_or_else(|| self.odd("attention.head_count", "is missing"))?;
        if kv_heads.iter().all(|&heads| heads == 0) {
            return Ok(0);
        }
        let first = heads.as_ref().and_then(|heads| heads.first().copied());
        let [key, value] = ["key", "value"].map(|of| self.head_len(of, first));
        let (key, value) = (key?, value?);
        Ok(kv_heads.into_iter().fold(0, |sum: u64, heads| {
            sum.saturating_add(heads.saturating_mul(key.saturating_add(value)))
        }))
    }

    /// Numbers of a key or of a value. If the metadata does not tell, the embedding is dealt out
    /// among the heads of the first layer.
    fn head_len(&self, of: &str, heads: Option<u64>) -> Result<u64, UnknownCache> {
        // Latent attention caches keys alone: they hold the values.
        if of == "value" && self.count("attention.value_length_mla")?.is_some_and(|len| len > 0) {
            return Ok(0);
        }
        let len = self.count(&format!("attention.{of}_length"))?;
        let in_windows = self.count(&format!("attention.{of}_length_swa"))?;
        let len = match (len, heads) {
            (Some(0), _) => return Err(self.odd(&format!("attention.{of}_length"), "is 0")),
            (Some(len), _) => len,
            (None, None) => return Err(self.odd("attention.head_count", "is missing")),
            (None, Some(0)) => {
                let fault = format!("is 0, and attention.{of}_length is missing");
                return Err(self.odd("attention.head_count", fault));
            }
            (None, Some(heads)) => self.needed("embedding_length")? / heads,
        };
        Ok(len.max(in_windows.unwrap_or(0)))
    }

    /// Numbers that recurrent layers keep of a sequence, counted as if all layers were recurrent.
    fn state(&self) -> Result<u64, UnknownCache> {
        let count = |key: &str| Ok(self.count(key)?.unwrap_or(0));
        let (inner, of_channel) = (count("ssm.inner_size")?, count("ssm.state_size")?);
        let groups = count("ssm.group_count")?;
        let convolved = count("ssm.conv_kernel")?.saturating_sub(1);
        let wide = inner.saturating_add(groups.saturating_mul(of_channel).saturating_mul(2));
        let ssm = inner.saturating_mul(of_channel).saturating_add(convolved.saturating_mul(wide));
        let shifted = match count("wkv.head_size")? {
            0 => 0,
            head => head.saturating_add(self.count("token_shift_count")?.unwrap_or(2)),
        };
        let short = count("shortconv.l_cache")?.saturating_sub(1);
        let of_width = shifted.saturating_add(short);
        if ssm == 0 && of_width == 0 {
            return Ok(0);
        }
        let width = self.needed("embedding_length")?;
        let of_layer = ssm.saturating_add(of_width.saturating_mul(width));
        Ok(of_layer.saturating_mul(self.needed("block_count")?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::{Format, Gguf, Shape, TensorSpec, Writer};

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
        assert_eq!(kv_cache_bytes(&llama(), &[], 1), Ok(30 * 3 * (64 + 64) * 2));
    }

    /// Bytes of 10 tokens, with these keys of a llama.
    fn bytes(keys: &[(&str, Value)]) -> Result<u64, UnknownCache> {
        let mut metadata = llama();
        for (key, value) in keys {
            metadata.set(&format!("llama.{key}"), value.clone());
        }
        kv_cache_bytes(&metadata, &[], 10)
    }

    fn by_layer(counts: &[i32]) -> Value {
        Value::Array(Array::I32(counts.into()))
    }

    #[test]
    fn heads_may_differ_by_layer() {
        let two = ("block_count", Value::U32(2));
        let kv = ("attention.head_count_kv", by_layer(&[1, 2]));
        assert_eq!(bytes(&[two.clone(), kv.clone()]), Ok(3 * 128 * 10 * 2));
        // The first layer's heads share the embedding, as llama.cpp has it.
        let heads = ("attention.head_count", by_layer(&[9, 18]));
        assert_eq!(bytes(&[two.clone(), kv, heads]), Ok(3 * 128 * 10 * 2));
        let heads = ("attention.head_count", Value::Array(Array::U32(vec![8, 2])));
        let mut metadata = llama();
        metadata.remove("llama.attention.head_count_kv");
        metadata.set("llama.block_count", two.1.clone());
        metadata.set("llama.attention.head_count", heads.1);
        assert_eq!(kv_cache_bytes(&metadata, &[], 10), Ok((8 + 2) * 2 * 72 * 10 * 2));
        // Layers that are not of attention cache nothing.
        let sparse = ("attention.head_count_kv", by_layer(&[0, 3]));
        assert_eq!(bytes(&[two, sparse]), Ok(3 * 128 * 10 * 2));
    }

    #[test]
    fn what_cannot_be_reckoned_is_named() {
        let fault = |key: &str, value: Value| bytes(&[(key, value)]).unwrap_err().to_string();
        let short = fault("attention.head_count_kv", by_layer(&[1, 2]));
        assert!(short.ends_with("llama.attention.head_count_kv has 2 counts for 30 layers"));
        assert!(fault("attention.head_count", by_layer(&[-1; 30])).contains("no counts"));
        let none = fault("attention.head_count", Value::U32(0));
        assert!(none.contains("llama.attention.head_count is 0, and attention.key_length"));
        assert!(fault("attention.key_length", Value::U64(1 << 40)).contains("1099511627776"));
        assert!(fault("block_count", Value::U32(u32::MAX)).contains("4294967295"));
        assert!(fault("block_count", Value::string("many")).contains("many"));
        let mut metadata = llama();
        metadata.remove("llama.block_count");
        assert!(kv_cache_bytes(&metadata, &[], 1).unwrap_err().to_string().contains("is missing"));
        assert_eq!(kv_cache_bytes(&Metadata::new(), &[], 1), Err(UnknownCache::NoArchitecture));
    }

    #[test]
    fn what_is_too_large_to_be_counted_is_refused() {
        let context = u64::MAX;
        let too_large = Err(UnknownCache::TooLarge { context });
        assert_eq!(kv_cache_bytes(&llama(), &[], context), too_large);
        assert!(kv_cache_bytes(&llama(), &[], 1 << 40).is_ok());
    }

    #[test]
    fn models_without_attention_and_encoders_cache_nothing() {
        let mut mamba = Metadata::new();
        mamba.set("general.architecture", Value::string("mamba"));
        assert_eq!(kv_cache_bytes(&mamba, &[], 4096), Ok(0));
        for (key, value) in [
            ("block_count", 24),
            ("embedding_length", 768),
            ("ssm.inner_size", 1536),
            ("ssm.state_size", 16),
            ("ssm.conv_kernel", 4),
        ] {
            mamba.set(&format!("mamba.{key}"), Value::U32(value));
        }
        let state = 24 * (1536 * 16 + 3 * 1536) * 4;
        assert_eq!(kv_cache_bytes(&mamba, &[], 1), Ok(state), "whatever the context");
        assert_eq!(kv_cache_bytes(&mamba, &[], 4096), Ok(state));
        assert_eq!(bytes(&[("attention.causal", Value::Bool(false))]), Ok(0));
    }

    #[test]
    fn latent_attention_caches_no_values() {
        let keys = [
            ("attention.head_count_kv", Value::U32(1)),
            ("attention.key_length", Value::U32(576)),
            ("attention.value_length", Value::U32(512)),
            ("attention.value_length_mla", Value::U32(128)),
        ];
        assert_eq!(bytes(&keys), Ok(30 * 576 * 10 * 2));
        assert_eq!(bytes(&keys[..3]), Ok(30 * (576 + 512) * 10 * 2));
    }

    #[test]
    fn tensors_tell_of_attention_if_the_metadata_do_not() {
        let cache = |tensor: &str| {
            let mut metadata = Metadata::new();
            metadata.set("general.architecture", Value::string("another"));
            let spec = TensorSpec {
                name: tensor.into(),
                format: Format::F32,
                shape: Shape::new(&[1]).unwrap(),
            };
            let mut writer =
                Writer::new(Vec::new(), "a model".as_ref(), &metadata, &[spec]).unwrap();
            writer.tensor_bytes(&[0; 4]).unwrap();
            let gguf = Gguf::from_bytes("a model", writer.finish().unwrap()).unwrap();
            kv_cache_bytes(gguf.metadata(), gguf.tensors(), 10).map_err(|e| e.to_string())
        };
        for name in ["blk.0.attn_k.weight", "blk.3.attn_qkv.weight", "blk.1.attn_kv_a_mqa.weight"] {
            assert!(cache(name).unwrap_err().contains("another.block_count is missing"), "{name}");
        }
        for name in ["v.blk.0.attn_k.weight", "enc.blk.0.attn_k.weight", "blk.0.ssm_in.weight"] {
            assert_eq!(cache(name), Ok(0), "{name}");
        }
    }
}
