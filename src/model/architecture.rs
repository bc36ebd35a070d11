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
    /// Where norms stand around attention and feed-forward network.
    pub norms: Norms,
    /// Whether queries and keys are normalised before they are rotated.
    pub qk_norm: QkNorm,
    /// Whether gate and up are one tensor, called up.
    pub fused_gate_up: bool,
    /// Whether token embeddings are multiplied by the square root of their length.
    pub scaled_embedding: bool,
    /// Whether the metadata may scale embeddings, what is added to the stream, scores and logits.
    pub scalars: bool,
    /// How the sliding window is laid over the layers, where there is one.
    pub window: Option<WindowPattern>,
    /// The layers whose queries and keys are not rotated.
    pub unrotated: Unrotated,
    /// Whether the metadata may say how YaRN's ramp and gain are, and how much queries grow with
    /// their position.
    pub tempered: bool,
    /// Whether rotary frequencies may have factors for short contexts and others for long ones.
    pub long_rope: bool,
    /// Layers of models whose queries are scaled by embedding length over heads, not by the length
    /// of a head: Gemma 2 and 3 of 27B, which are told from the others by their depth alone.
    pub scaled_by_width: Option<u64>,
    /// Whether scores are bent before the softmax.
    pub score_cap: Cap,
    /// Whether logits are bent.
    pub logit_cap: Cap,
    /// Tensors that llama.cpp reads where a file has them, and that no logit depends on.
    pub unused: &'static [&'static str],
}

/// Where the norms of a layer stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Norms {
    /// Before attention and before the feed-forward network.
    Before,
    /// The same, with the second one named as if it stood after attention.
    BeforeNamedAfter,
    /// Before and after each.
    Around,
    /// After each.
    After,
}

/// How queries and keys are normalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QkNorm {
    /// Not at all.
    None,
    /// Head by head.
    Heads,
    /// All heads of a token together.
    Whole,
}

/// The layers whose queries and keys are not rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unrotated {
    /// None; all, if the metadata says that rotary positions were not part of the training.
    None,
    /// The last layer of each period of so many.
    Each(usize),
    /// Those that see everything, if others have a window.
    Global,
}

/// Whether values are bent to stay below a cap: `cap * tanh(x / cap)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cap {
    /// Not at all.
    None,
    /// If the metadata names a cap.
    Named,
    /// To that of the metadata, else to this one.
    Default(f32),
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
    /// Tokens of the window where the metadata names none; `None` for no window then.
    pub tokens: Option<usize>,
    /// Models of this depth alone have a window; `None` for all.
    pub depth: Option<u64>,
    /// Rotary positions in the layers with a window.
    pub rotation: WindowRotation,
}

/// Rotary positions in the layers with a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum WindowRotation {
    /// Those of all other layers.
    Same,
    /// Those of all other layers, but for a base of their own if the metadata has one.
    Based,
    /// With this base, if the metadata gives none, and never scaled.
    Own(f32),
    /// With the base of all other layers, not scaled, and without a gain.
    Unscaled,
}

/// What most architectures have in common.
const PLAIN: Architecture = Architecture {
    name: "",
    rope: RopePairs::Halves,
    activation: Activation::Silu,
    norms: Norms::Before,
    qk_norm: QkNorm::None,
    fused_gate_up: false,
    scaled_embedding: false,
    scalars: false,
    window: None,
    unrotated: Unrotated::None,
    tempered: false,
    long_rope: false,
    scaled_by_width: None,
    score_cap: Cap::None,
    logit_cap: Cap::None,
    unused: &[],
};

/// Gemma 3, of which Gemma 2 differs in little.
const GEMMA3: Architecture = Architecture {
    name: "gemma3",
    activation: Activation::Gelu,
    norms: Norms::Around,
    qk_norm: QkNorm::Heads,
    scaled_embedding: true,
    window: Some(WindowPattern {
        period: 6,
        tokens: None,
        depth: None,
        rotation: WindowRotation::Own(10_000.0),
    }),
    scaled_by_width: Some(62),
    logit_cap: Cap::Named,
    ..PLAIN
};

/// Every architecture that the forward pass knows.
pub const ARCHITECTURES: [Architecture; 14] = [
    // Llama, Mistral, SmolLM, TinyLlama. Their converter orders the rows of q and k for pairs.
    Architecture { name: "llama", rope: RopePairs::Adjacent, ..PLAIN },
    Architecture { name: "qwen2", ..PLAIN },
    // Rerankers have a head for scores beside that for tokens.
    Architecture { name: "qwen3", qk_norm: QkNorm::Heads, unused: &["cls.output.weight"], ..PLAIN },
    GEMMA3,
    Architecture {
        name: "gemma2",
        qk_norm: QkNorm::None,
        window: Some(WindowPattern {
            period: 2,
            tokens: Some(4096),
            depth: None,
            rotation: WindowRotation::Based,
        }),
        scaled_by_width: Some(46),
        score_cap: Cap::Default(50.0),
        logit_cap: Cap::Default(30.0),
        ..GEMMA3
    },
    // OLMo 2 and 3.
    Architecture {
        name: "olmo2",
        norms: Norms::After,
        qk_norm: QkNorm::Whole,
        window: Some(WindowPattern {
            period: 4,
            tokens: None,
            depth: None,
            rotation: WindowRotation::Unscaled,
        }),
        ..PLAIN
    },
    Architecture {
        name: "smollm3",
        rope: RopePairs::Adjacent,
        unrotated: Unrotated::Each(4),
        ..PLAIN
    },
    Architecture { name: "granite", rope: RopePairs::Adjacent, scalars: true, ..PLAIN },
    // Ministral 3 and Mistral Large 3.
    Architecture { name: "mistral3", rope: RopePairs::Adjacent, tempered: true, ..PLAIN },
    // Phi-3 and Phi-4. llama.cpp leaves their window out.
    Architecture { name: "phi3", fused_gate_up: true, long_rope: true, ..PLAIN },
    Architecture {
        name: "glm4",
        rope: RopePairs::Adjacent,
        norms: Norms::Around,
        fused_gate_up: true,
        ..PLAIN
    },
    // The 32B alone has a window.
    Architecture {
        name: "exaone4",
        norms: Norms::After,
        qk_norm: QkNorm::Heads,
        window: Some(WindowPattern {
            period: 4,
            tokens: Some(4096),
            depth: Some(64),
            rotation: WindowRotation::Same,
        }),
        unrotated: Unrotated::Global,
        ..PLAIN
    },
    Architecture { name: "seed_oss", norms: Norms::BeforeNamedAfter, ..PLAIN },
    Architecture { name: "ernie4_5", rope: RopePairs::Adjacent, ..PLAIN },
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
