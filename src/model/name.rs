//! What the names of tensors tell (`gguf-py/gguf/constants.py` lists them).

use super::parts::maps_named;
use super::role::Role;

/// The layer that a weight of a layer belongs to, and its name there.
pub fn layer_part(name: &str) -> Option<(usize, &str)> {
    let (layer, part) = name.strip_prefix("blk.")?.split_once('.')?;
    Some((layer_number(layer)?, part.strip_suffix(".weight")?))
}

/// A number as llama.cpp spells it: `01` would be another name of the same layer.
pub(super) fn layer_number(text: &str) -> Option<usize> {
    let number: usize = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
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
            "ffn_gate_up" => Role::FfnUp,
            "ffn_gate_inp" => Role::Router,
            part => maps_named(part).map_or(Role::Other, |(role, _)| role),
        }
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
