//! What tensors do.

use serde::{Deserialize, Serialize};

/// What a tensor does in the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Token embedding; also the output head where no other is there.
    Embedding,
    /// Projection to the vocabulary.
    OutputHead,
    /// Attention queries.
    AttentionQ,
    /// Attention keys.
    AttentionK,
    /// Attention values.
    AttentionV,
    /// Queries, keys and values in one matrix.
    AttentionQkv,
    /// Projection of the attention's result.
    AttentionOutput,
    /// Gate of the feed-forward network.
    FfnGate,
    /// First projection of the feed-forward network; gate and up in one in some architectures.
    FfnUp,
    /// Second projection of the feed-forward network.
    FfnDown,
    /// Choice of experts.
    Router,
    /// Gain (or bias) of a normalization.
    Norm,
    /// Additive vector.
    Bias,
    /// Anything else.
    Other,
}

impl Role {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Role::Embedding => "embedding",
            Role::OutputHead => "output head",
            Role::AttentionQ => "attention q",
            Role::AttentionK => "attention k",
            Role::AttentionV => "attention v",
            Role::AttentionQkv => "attention qkv",
            Role::AttentionOutput => "attention output",
            Role::FfnGate => "ffn gate",
            Role::FfnUp => "ffn up",
            Role::FfnDown => "ffn down",
            Role::Router => "router",
            Role::Norm => "norm",
            Role::Bias => "bias",
            Role::Other => "other",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}
