//! Tensors that loaders put together into one.

use std::borrow::Cow;

/// The tensor that a loader makes of `name` and its neighbours: queries, keys and values of a layer
/// are multiplied as one matrix, gate and up as another, so that they need the same number format.
/// Other tensors stay what they are.
///
/// As vLLM's loader of compressed-tensors has it, which refuses a model with other formats in one
/// of these: <https://github.com/vllm-project/vllm>, `packed_modules_mapping` of its models.
pub fn fused(name: &str) -> Cow<'_, str> {
    let Some((layer, part)) = layer_and_part(name) else { return name.into() };
    match part {
        "attn_q.weight" | "attn_k.weight" | "attn_v.weight" => {
            format!("{layer}.attn_qkv.weight").into()
        }
        _ => match part.strip_prefix("ffn_gate").or_else(|| part.strip_prefix("ffn_up")) {
            // Of experts too; but not the router, which is `ffn_gate_inp`.
            Some(of @ (".weight" | "_exps.weight" | "_shexp.weight" | "_chexps.weight")) => {
                format!("{layer}.ffn_gate_up{of}").into()
            }
            _ => name.into(),
        },
    }
}

/// `blk.3` and `attn_q.weight`.
fn layer_and_part(name: &str) -> Option<(&str, &str)> {
    let number = name.strip_prefix("blk.")?;
    let (number, part) = number.split_once('.')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some((&name[..name.len() - part.len() - 1], part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_multiplied_as_one_matrix_has_one_name() {
        for (name, whole) in [
            ("blk.3.attn_q.weight", "blk.3.attn_qkv.weight"),
            ("blk.3.attn_k.weight", "blk.3.attn_qkv.weight"),
            ("blk.13.attn_v.weight", "blk.13.attn_qkv.weight"),
            ("blk.0.ffn_gate.weight", "blk.0.ffn_gate_up.weight"),
            ("blk.0.ffn_up.weight", "blk.0.ffn_gate_up.weight"),
            ("blk.0.ffn_up_exps.weight", "blk.0.ffn_gate_up_exps.weight"),
            ("blk.0.ffn_gate_shexp.weight", "blk.0.ffn_gate_up_shexp.weight"),
        ] {
            assert_eq!(fused(name), whole);
        }
        for alone in [
            "blk.3.attn_output.weight",
            "blk.3.attn_qkv.weight",
            "blk.3.attn_q.bias",
            "blk.3.attn_q_norm.weight",
            "blk.3.ffn_gate_inp.weight",
            "blk.3.ffn_down.weight",
            "enc.blk.3.attn_q.weight",
            "blk.x.attn_q.weight",
            "token_embd.weight",
            "output.weight",
            "",
        ] {
            assert_eq!(fused(alone), alone);
        }
    }
}
