//! What each tensor does, told from its name (`gguf-py/gguf/constants.py` lists the names).

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
    /// The role of the tensor `name`.
    pub fn of(name: &str) -> Role {
        let Some((stem, kind)) = name.rsplit_once('.') else { return Role::Other };
        if stem.ends_with("_norm") || stem.contains("_norm_") {
            return Role::Norm;
        }
        if kind == "bias" {
            return Role::Bias;
        }
        let part = match stem.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) {
            Some((_, part)) => part,
            None => stem,
        };
        // Experts do what their dense twin does.
        let part = part
            .strip_suffix("_exps")
            .or_else(|| part.strip_suffix("_shexp"))
            .or_else(|| part.strip_suffix("_chexps"))
            .unwrap_or(part);
        match part {
            "token_embd" => Role::Embedding,
            "output" => Role::OutputHead,
            "attn_q" => Role::AttentionQ,
            "attn_k" => Role::AttentionK,
            "attn_v" => Role::AttentionV,
            "attn_qkv" => Role::AttentionQkv,
            "attn_output" => Role::AttentionOutput,
            "ffn_gate" => Role::FfnGate,
            "ffn_up" | "ffn_gate_up" => Role::FfnUp,
            "ffn_down" => Role::FfnDown,
            "ffn_gate_inp" => Role::Router,
            _ => Role::Other,
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_roles() {
        for (name, role) in [
            ("token_embd.weight", Role::Embedding),
            ("token_embd_norm.weight", Role::Norm),
            ("output.weight", Role::OutputHead),
            ("output_norm.weight", Role::Norm),
            ("blk.0.attn_q.weight", Role::AttentionQ),
            ("blk.0.attn_q.bias", Role::Bias),
            ("blk.0.attn_q_norm.weight", Role::Norm),
            ("blk.12.attn_qkv.weight", Role::AttentionQkv),
            ("blk.3.attn_output.weight", Role::AttentionOutput),
            ("blk.3.ffn_gate_exps.weight", Role::FfnGate),
            ("blk.3.ffn_down_shexp.weight", Role::FfnDown),
            ("blk.3.ffn_gate_inp.weight", Role::Router),
            ("blk.3.post_ffw_norm.weight", Role::Norm),
            ("blk.3.ssm_in.weight", Role::Other),
            ("rope_freqs.weight", Role::Other),
            ("nameless", Role::Other),
        ] {
            assert_eq!(Role::of(name), role, "{name}");
        }
    }
}
