//! The numbers that shape one model, read from its metadata and checked.

use crate::gguf::{Array, Metadata, Value};

use super::architecture::{
    Activation, Architecture, Cap, Unrotated, WindowPattern, WindowRotation,
};
use super::architecture_name;
use super::error::ModelError;
use super::rope::{RopeScaling, Rotation, YarnRamp};

/// The most layers, heads and so on that are believed: far above any model, far below what would
/// overflow.
const MOST: u64 = 1 << 24;

/// The numbers of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelShape {
    /// What the architecture does.
    pub architecture: &'static Architecture,
    /// Transformer blocks.
    pub layers: usize,
    /// Length of the residual stream.
    pub width: usize,
    /// Attention heads, and their lengths.
    pub attention: AttentionShape,
    /// Added to the mean square in RMS norms.
    pub norm_epsilon: f32,
    /// What token embeddings are multiplied by.
    pub embedding_scale: f32,
    /// What attention and feed-forward network give is multiplied by before it is added.
    pub residual_scale: f32,
    /// What logits are multiplied by.
    pub logit_scale: f32,
    /// Logits are bent to stay below this.
    pub logit_cap: Option<f32>,
    /// Tokens of a sliding window, itself counted, and the layers that have it.
    pub window: Option<Window>,
    /// Rotary positions in the layers that see everything.
    pub rotation: Rotation,
    /// Whether any layer is rotated at all.
    pub is_rotated: bool,
    /// How queries grow with their position.
    pub temperature: Option<Temperature>,
}

/// Queries at later positions are larger, so that attention over long contexts stays sharp: they are
/// multiplied by `1 + scale * ln(1 + floor(position / context))`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Temperature {
    /// How much.
    pub scale: f32,
    /// Tokens of the context that the model was first made for.
    pub context: usize,
}

impl Temperature {
    /// What the queries at a position are multiplied by.
    pub fn at(self, position: usize) -> f32 {
        let contexts = (position / self.context) as f64;
        ((1.0 + contexts).ln() * f64::from(self.scale) + 1.0) as f32
    }
}

/// The heads of one layer's attention.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionShape {
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; each serves `heads / kv_heads` query heads.
    pub kv_heads: usize,
    /// Values of one query or key.
    pub key_len: usize,
    /// Values of one value.
    pub value_len: usize,
    /// What scores are multiplied by.
    pub scale: f32,
    /// Scores are then bent to stay below this.
    pub cap: Option<f32>,
}

/// A sliding window and the layers that have it.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// Tokens that a token sees, itself counted.
    pub tokens: usize,
    /// For each layer, whether it has the window.
    pub layers: Vec<bool>,
    /// Rotary positions in those layers.
    pub rotation: Rotation,
}

impl ModelShape {
    /// The numbers that `metadata` gives.
    pub fn of(metadata: &Metadata) -> Result<ModelShape, ModelError> {
        let name = architecture_name(metadata);
        let architecture =
            Architecture::of(name).ok_or_else(|| ModelError::UnknownArchitecture(name.into()))?;
        let keys = Keys { metadata, prefix: name };
        if keys.optional_count("expert_count")?.is_some_and(|experts| experts > 0) {
            return Err(ModelError::Unsupported("its layers have experts".into()));
        }
        let layers = keys.count("block_count")?;
        let width = keys.count("embedding_length")?;
        let heads = keys.first_count("attention.head_count")?;
        let kv_heads = keys.optional_count("attention.head_count_kv")?.unwrap_or(heads);
        if !heads.is_multiple_of(kv_heads) {
            let what = format!("{heads} attention heads are no multiple of {kv_heads} key heads");
            return Err(ModelError::Unsupported(what));
        }
        let key_len = keys.optional_count("attention.key_length")?.unwrap_or(width / heads);
        let value_len = keys.optional_count("attention.value_length")?.unwrap_or(width / heads);
        let by_width = architecture.scaled_by_width == Some(layers as u64);
        let scaled = if by_width { width / heads } else { key_len };
        let rotation = rotation(&keys, architecture, key_len)?;
        let window = match architecture.window {
            Some(pattern) => window(&keys, pattern, layers, &rotation)?,
            None => None,
        };
        let scale = 1.0 / (scaled as f32).sqrt();
        // Of scalars 0 counts as absent, as to llama.cpp.
        let scalar = |key: &str, default: f32| match architecture.scalars {
            true => {
                let named = keys.optional_number(key)?;
                Ok(named.filter(|&scalar| scalar != 0.0).unwrap_or(default))
            }
            false => Ok(default),
        };
        let width_root = if architecture.scaled_embedding { (width as f32).sqrt() } else { 1.0 };
        let is_rotated =
            !architecture.scalars || keys.optional_flag("rope.scaling.finetuned")?.unwrap_or(true);
        Ok(ModelShape {
            architecture,
            layers,
            width,
            attention: AttentionShape {
                heads,
                kv_heads,
                key_len,
                value_len,
                scale: scalar("attention.scale", scale)?,
                cap: cap(&keys, "attn_logit_softcapping", architecture.score_cap)?,
            },
            norm_epsilon: keys.number("attention.layer_norm_rms_epsilon")?,
            embedding_scale: scalar("embedding_scale", width_root)?,
            residual_scale: scalar("residual_scale", 1.0)?,
            logit_scale: 1.0 / scalar("logit_scale", 1.0)?,
            logit_cap: cap(&keys, "final_logit_softcapping", architecture.logit_cap)?,
            window,
            rotation,
            is_rotated,
            temperature: temperature(&keys, architecture)?,
        })
    }

    /// Values of all queries of a token.
    pub fn query_len(&self) -> usize {
        self.attention.heads * self.attention.key_len
    }

    /// What the gate goes through.
    pub fn activation(&self) -> Activation {
        self.architecture.activation
    }

    /// Tokens that a token of this layer sees, itself counted; `None` for all before it.
    pub fn window_of(&self, layer: usize) -> Option<usize> {
        self.window.as_ref().filter(|window| window.layers[layer]).map(|window| window.tokens)
    }

    /// Whether queries and keys of this layer are rotated.
    pub fn rotates(&self, layer: usize) -> bool {
        self.is_rotated
            && match self.architecture.unrotated {
                Unrotated::None => true,
                Unrotated::Each(period) => !(layer + 1).is_multiple_of(period),
                Unrotated::Global => self.window.is_none() || self.window_of(layer).is_some(),
            }
    }

    /// The rotary positions of this layer.
    pub fn rotation_of(&self, layer: usize) -> &Rotation {
        match &self.window {
            Some(window) if window.layers[layer] => &window.rotation,
            _ => &self.rotation,
        }
    }
}

/// The cap that the metadata names, or the architecture has.
fn cap(keys: &Keys, key: &str, cap: Cap) -> Result<Option<f32>, ModelError> {
    let default = match cap {
        Cap::None => return Ok(None),
        Cap::Named => None,
        Cap::Default(cap) => Some(cap),
    };
    Ok(keys.optional_number(key)?.or(default).filter(|&cap| cap != 0.0))
}

/// How queries grow with their position, if they do.
fn temperature(
    keys: &Keys,
    architecture: &Architecture,
) -> Result<Option<Temperature>, ModelError> {
    let scale = match architecture.tempered {
        true => keys.optional_number("attention.temperature_scale")?.filter(|&it| it != 0.0),
        false => None,
    };
    let Some(scale) = scale else { return Ok(None) };
    Ok(Some(Temperature { scale, context: original_context(keys)? }))
}

/// Tokens of the context that the model was first made for.
fn original_context(keys: &Keys) -> Result<usize, ModelError> {
    match keys.optional_count("rope.scaling.original_context_length")? {
        Some(context) => Ok(context),
        None => keys.count("context_length"),
    }
}

/// The rotary positions of the layers that see everything, as llama.cpp reads them.
fn rotation(
    keys: &Keys,
    architecture: &Architecture,
    key_len: usize,
) -> Result<Rotation, ModelError> {
    let dims = keys.optional_count("rope.dimension_count")?.unwrap_or(key_len);
    if dims > key_len || !dims.is_multiple_of(2) {
        let what = format!("it rotates {dims} values of heads of {key_len}");
        return Err(ModelError::Unsupported(what));
    }
    let factor = match keys.optional_number("rope.scaling.factor")? {
        Some(factor) => Some(factor),
        None => keys.optional_number("rope.scale_linear")?,
    };
    let factor = factor.filter(|&factor| factor != 0.0).unwrap_or(1.0);
    let scaling = match keys.optional_text("rope.scaling.type")?.unwrap_or("linear") {
        "none" => RopeScaling::None,
        "linear" => RopeScaling::Linear { factor },
        // What its factors leave.
        "longrope" if architecture.long_rope => RopeScaling::Linear { factor },
        "yarn" => RopeScaling::Yarn {
            factor,
            context: original_context(keys)?,
            ramp: yarn_ramp(keys, architecture)?,
        },
        other => {
            return Err(ModelError::Unsupported(format!("its rotary positions scale by {other}")));
        }
    };
    let base = keys.optional_number("rope.freq_base")?.unwrap_or(10_000.0);
    let magnitude = keys.optional_number("rope.scaling.attn_factor")?.unwrap_or(1.0);
    Ok(Rotation { pairs: architecture.rope, dims, base, scaling, magnitude })
}

/// How YaRN's ramp and gain are.
fn yarn_ramp(keys: &Keys, architecture: &Architecture) -> Result<YarnRamp, ModelError> {
    let usual = YarnRamp::default();
    if !architecture.tempered {
        return Ok(usual);
    }
    let turns = |key: &str, usual: f32| Ok(keys.optional_number(key)?.unwrap_or(usual));
    Ok(YarnRamp {
        fast: turns("rope.scaling.yarn_beta_fast", usual.fast)?,
        slow: turns("rope.scaling.yarn_beta_slow", usual.slow)?,
        damping: turns("rope.scaling.yarn_log_multiplier", usual.damping)?,
    })
}

/// The sliding window, where there is one.
fn window(
    keys: &Keys,
    pattern: WindowPattern,
    layers: usize,
    rotation: &Rotation,
) -> Result<Option<Window>, ModelError> {
    if pattern.depth.is_some_and(|depth| depth != layers as u64) {
        return Ok(None);
    }
    let named = keys.optional_count("attention.sliding_window")?;
    let Some(tokens) = named.or(pattern.tokens) else { return Ok(None) };
    let by_period = |period: u64| {
        (0..layers as u64).map(|layer| period == 0 || layer % period < period - 1).collect()
    };
    let layers: Vec<bool> = match keys.get("attention.sliding_window_pattern") {
        None => by_period(pattern.period),
        // llama.cpp gives no window to layers past the pattern's end.
        Some(Value::Array(pattern)) => {
            let pattern = flags(pattern)
                .ok_or_else(|| keys.odd("attention.sliding_window_pattern", "a pattern"))?;
            (0..layers).map(|layer| pattern.get(layer).copied().unwrap_or(false)).collect()
        }
        Some(value) => match value.as_u64() {
            Some(period) => by_period(period),
            None => return Err(keys.odd("attention.sliding_window_pattern", "a pattern")),
        },
    };
    let base = keys.optional_number("rope.freq_base_swa")?;
    let rotation = match pattern.rotation {
        WindowRotation::Same => rotation.clone(),
        WindowRotation::Based => {
            Rotation { base: base.unwrap_or(rotation.base), ..rotation.clone() }
        }
        // The context that the other layers see is what scaling stretches.
        WindowRotation::Own(own) => {
            let (base, scaling) = (base.unwrap_or(own), RopeScaling::None);
            Rotation { base, scaling, ..rotation.clone() }
        }
        WindowRotation::Unscaled => {
            Rotation { scaling: RopeScaling::None, magnitude: 1.0, ..rotation.clone() }
        }
    };
    Ok(Some(Window { tokens, layers, rotation }))
}

/// Flags of layers, in the types that llama.cpp reads them in.
fn flags(array: &Array) -> Option<Vec<bool>> {
    match array {
        Array::Bool(flags) => Some(flags.clone()),
        Array::U32(flags) => Some(flags.iter().map(|&flag| flag != 0).collect()),
        Array::I32(flags) => Some(flags.iter().map(|&flag| flag != 0).collect()),
        _ => None,
    }
}

/// The architecture's own keys.
struct Keys<'a> {
    metadata: &'a Metadata,
    prefix: &'a str,
}

impl<'a> Keys<'a> {
    fn get(&self, key: &str) -> Option<&'a Value> {
        self.metadata.get(&format!("{}.{key}", self.prefix))
    }

    fn odd(&self, key: &str, expected: &'static str) -> ModelError {
        let found = self.get(key).map_or("nothing".into(), Value::to_string);
        ModelError::OddKey { key: format!("{}.{key}", self.prefix), expected, found }
    }

    /// A count of at least 1.
    fn count(&self, key: &str) -> Result<usize, ModelError> {
        self.optional_count(key)?.ok_or_else(|| self.odd(key, "a count"))
    }

    /// A count of at least 1; of one that differs from layer to layer, the first layer's, by which
    /// llama.cpp goes in all of them.
    fn first_count(&self, key: &str) -> Result<usize, ModelError> {
        let first = match self.get(key) {
            Some(Value::Array(Array::I32(counts))) => {
                counts.first().and_then(|&count| u64::try_from(count).ok())
            }
            Some(Value::Array(Array::U32(counts))) => counts.first().copied().map(u64::from),
            _ => return self.count(key),
        };
        let sensible = first.filter(|count| (1..=MOST).contains(count));
        sensible.map(|count| count as usize).ok_or_else(|| self.odd(key, "a sensible count"))
    }

    /// A count; of one that differs from layer to layer, the one they share. 0 counts as absent.
    fn optional_count(&self, key: &str) -> Result<Option<usize>, ModelError> {
        let count = match self.get(key) {
            None => return Ok(None),
            Some(Value::Array(Array::I32(counts))) => match counts.as_slice() {
                [first, rest @ ..] if rest.iter().all(|n| n == first) => u64::try_from(*first).ok(),
                _ => return Err(self.odd(key, "one count for all layers")),
            },
            Some(Value::Array(Array::U32(counts))) => match counts.as_slice() {
                [first, rest @ ..] if rest.iter().all(|n| n == first) => Some(u64::from(*first)),
                _ => return Err(self.odd(key, "one count for all layers")),
            },
            Some(value) => value.as_u64(),
        };
        match count {
            Some(0) => Ok(None),
            Some(count) if count <= MOST => Ok(Some(count as usize)),
            _ => Err(self.odd(key, "a sensible count")),
        }
    }

    /// A finite number.
    fn number(&self, key: &str) -> Result<f32, ModelError> {
        self.optional_number(key)?.ok_or_else(|| self.odd(key, "a number"))
    }

    fn optional_number(&self, key: &str) -> Result<Option<f32>, ModelError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match value.as_f64().filter(|number| number.is_finite()) {
            Some(number) => Ok(Some(number as f32)),
            None => Err(self.odd(key, "a finite number")),
        }
    }

    fn optional_flag(&self, key: &str) -> Result<Option<bool>, ModelError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_bool().map(Some).ok_or_else(|| self.odd(key, "true or false"))
    }

    fn optional_text(&self, key: &str) -> Result<Option<&'a str>, ModelError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| self.odd(key, "a text"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(architecture: &str) -> Metadata {
        let mut metadata = Metadata::new();
        metadata.set("general.architecture", Value::string(architecture));
        for (key, value) in [
            ("block_count", Value::U32(7)),
            ("embedding_length", Value::U32(64)),
            ("attention.head_count", Value::U32(4)),
            ("attention.head_count_kv", Value::U32(2)),
            ("attention.layer_norm_rms_epsilon", Value::F32(1e-6)),
        ] {
            metadata.set(&format!("{architecture}.{key}"), value);
        }
        metadata
    }

    #[test]
    fn defaults_are_llama_cpps() {
        let shape = ModelShape::of(&metadata("llama")).unwrap();
        assert_eq!((shape.attention.key_len, shape.attention.scale), (16, 0.25));
        assert_eq!((shape.rotation.dims, shape.rotation.base), (16, 10_000.0));
        assert_eq!(shape.rotation.scaling, RopeScaling::Linear { factor: 1.0 });
        assert_eq!(shape.embedding_scale, 1.0);
    }

    #[test]
    fn gemma3_sees_everything_in_each_sixth_layer() {
        let mut metadata = metadata("gemma3");
        metadata.set("gemma3.attention.sliding_window", Value::U32(32));
        metadata.set("gemma3.rope.freq_base", Value::F32(1e6));
        metadata.set("gemma3.rope.scaling.factor", Value::F32(8.0));
        let shape = ModelShape::of(&metadata).unwrap();
        let windows: Vec<bool> = (0..7).map(|layer| shape.window_of(layer).is_some()).collect();
        assert_eq!(windows, [true, true, true, true, true, false, true]);
        assert_eq!(shape.rotation_of(0).base, 10_000.0);
        assert_eq!(shape.rotation_of(0).scaling, RopeScaling::None);
        assert_eq!(shape.rotation_of(5).base, 1e6);
        assert_eq!(shape.rotation_of(5).scaling, RopeScaling::Linear { factor: 8.0 });
        assert_eq!(shape.embedding_scale, 8.0);
    }

    #[test]
    fn a_pattern_of_windows_may_be_numbers_and_short() {
        let windows = |pattern: Array| {
            let mut metadata = metadata("gemma3");
            metadata.set("gemma3.attention.sliding_window", Value::U32(32));
            metadata.set("gemma3.attention.sliding_window_pattern", Value::Array(pattern));
            let shape = ModelShape::of(&metadata);
            shape.map(|shape| (0..7).map(|layer| shape.window_of(layer).is_some()).collect())
        };
        let expected = vec![true, false, true, false, false, false, false];
        assert_eq!(windows(Array::Bool(vec![true, false, true])), Ok(expected.clone()));
        assert_eq!(windows(Array::I32(vec![1, 0, 1])), Ok(expected.clone()));
        assert_eq!(windows(Array::U32(vec![7, 0, 1, 0, 0, 0, 0, 1])), Ok(expected));
        let all: Result<Vec<bool>, _> = windows(Array::F32(vec![1.0]));
        assert!(all.unwrap_err().to_string().contains("sliding_window_pattern"));
    }

    #[test]
    fn odd_numbers_are_refused_by_name() {
        let refused = |key: &str, value: Value| {
            let mut metadata = metadata("llama");
            metadata.set(&format!("llama.{key}"), value);
            ModelShape::of(&metadata).unwrap_err().to_string()
        };
        assert!(refused("block_count", Value::U32(0)).contains("llama.block_count"));
        assert!(refused("block_count", Value::U64(u64::MAX)).contains("llama.block_count"));
        assert!(refused("attention.head_count_kv", Value::U32(3)).contains("multiple"));
        assert!(refused("attention.layer_norm_rms_epsilon", Value::F32(f32::NAN)).contains("eps"));
        assert!(refused("rope.dimension_count", Value::U32(99)).contains("99"));
        assert!(refused("rope.scaling.type", Value::string("longrope")).contains("longrope"));
        assert!(refused("expert_count", Value::U32(8)).contains("experts"));
        let unknown = ModelShape::of(&metadata("mamba")).unwrap_err().to_string();
        assert!(unknown.contains("mamba") && unknown.contains("qwen3"));
        assert!(ModelShape::of(&Metadata::new()).is_err());
    }
}
