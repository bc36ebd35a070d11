//! The dense architectures that the forward pass knows, described by data: a new one is an entry.
//!
//! What each does is read off llama.cpp's graph for it (`src/models/NAME.cpp`).

/// What sets one architecture apart from the others.
///
/// All of them are decoders of RMS norms, rotary positions, grouped-query attention and gated
/// feed-forward networks; a head that is missing is the token embedding. Biases are not listed:
/// where a file has a bias that llama.cpp reads, it is added.
#[derive(Debug, Clone, PartialEq)]
pub struct Architecture {
    /// `general.architecture`.
    pub name: &'static str,
    /// Which values of a head are rotated together.
    pub rope: RopePairs,
    /// What the gate of the feed-forward network goes through.
    pub activation: Activation,
    /// Whether queries and keys are normalised, head by head, before they are rotated.
    pub qk_norm: bool,
    /// Whether what attention and feed-forward network give is normalised before it is added.
    pub post_norms: bool,
    /// Whether token embeddings are multiplied by the square root of their length.
    pub scaled_embedding: bool,
    /// How the sliding window is laid over the layers, where the metadata names one.
    pub window: Option<WindowPattern>,
    /// Layers of models whose queries are scaled by embedding length over heads, not by the length
    /// of a head: Gemma 3 27B, which is told from the others by its depth alone.
    pub scaled_by_width: Option<u64>,
    /// Whether the metadata may cap the logits.
    pub capped_logits: bool,
    /// Tensors that llama.cpp reads where a file has them, and that no logit depends on.
    pub unused: &'static [&'static str],
}

/// Which values of a head a rotary position rotates together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RopePairs {
    /// Each value with its neighbour.
    Adjacent,
    /// Each value of the first half with its like in the second half.
    Halves,
}

/// What the gate of the feed-forward network goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `x / (1 + exp(-x))`.
    Silu,
    /// The Gaussian error linear unit by its tanh approximation.
    Gelu,
}

/// A sliding window that all layers have but each `period`th.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WindowPattern {
    /// The last layer of each period sees everything, where the metadata gives no other pattern.
    pub period: u64,
    /// Base of the rotary frequencies in the layers with a window, where the metadata gives none.
    pub rope_base: f32,
}

/// What most architectures have in common.
const PLAIN: Architecture = Architecture {
    name: "",
    rope: RopePairs::Halves,
    activation: Activation::Silu,
    qk_norm: false,
    post_norms: false,
    scaled_embedding: false,
    window: None,
    scaled_by_width: None,
    capped_logits: false,
    unused: &[],
};

/// Every architecture that the forward pass knows.
pub const ARCHITECTURES: [Architecture; 4] = [
    // Llama, Mistral, SmolLM, TinyLlama. Their converter orders the rows of q and k for pairs.
    Architecture { name: "llama", rope: RopePairs::Adjacent, ..PLAIN },
    Architecture { name: "qwen2", ..PLAIN },
    // Rerankers have a head for scores beside that for tokens.
    Architecture { name: "qwen3", qk_norm: true, unused: &["cls.output.weight"], ..PLAIN },
    Architecture {
        name: "gemma3",
        activation: Activation::Gelu,
        qk_norm: true,
        post_norms: true,
        scaled_embedding: true,
        window: Some(WindowPattern { period: 6, rope_base: 10_000.0 }),
        scaled_by_width: Some(62),
        capped_logits: true,
        ..PLAIN
    },
];

impl Architecture {
    /// The architecture of this name.
    pub fn of(name: &str) -> Option<&'static Architecture> {
        ARCHITECTURES.iter().find(|architecture| architecture.name == name)
    }

    /// The names of all of them, for messages.
    pub fn names() -> String {
        ARCHITECTURES.map(|architecture| architecture.name).join(", ")
    }
}
