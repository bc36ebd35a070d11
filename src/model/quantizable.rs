//! Which tensors llama.cpp can run quantized: the rules of its `tensor_allows_quantization`.

use crate::gguf::Shape;

/// Parts of names whose tensors go to operators that take no block formats.
const KEPT_PARTS: [&str; 28] = [
    "_norm.weight",
    "ffn_gate_inp.weight",
    "ffn_gate_tid2eid.weight",
    "altup",
    "laurel",
    "per_layer_model_proj",
    "ssm_conv1d",
    "shortconv.conv.weight",
    "indexer.k_proj.weight",
    "indexer.q_proj.weight",
    "time_mix_first.weight",
    "time_mix_w0.weight",
    "time_mix_w1.weight",
    "time_mix_w2.weight",
    "time_mix_v0.weight",
    "time_mix_v1.weight",
    "time_mix_v2.weight",
    "time_mix_a0.weight",
    "time_mix_a1.weight",
    "time_mix_a2.weight",
    "time_mix_g1.weight",
    "time_mix_g2.weight",
    "time_mix_decay_w1.weight",
    "time_mix_decay_w2.weight",
    "time_mix_lerp_fused.weight",
    "attn_rel_b.weight",
    "a.rvq.codebook",
    "mm.a.code_embd",
];

/// The same, of vision and audio models.
const KEPT_MULTIMODAL: [&str; 7] = [
    ".position_embd",
    "sam.pos_embd",
    "sam.neck.",
    "sam.net_",
    ".rel_pos",
    ".patch_embd",
    ".patch_merger",
];

/// The same, of the architecture glm5-next alone.
const KEPT_GLM5_NEXT: [&str; 13] = [
    "hc_",
    "indexer.attn_q_b",
    "indexer.attn_k",
    "indexer.proj",
    "indexer_compressor_",
    "ssm_f_a",
    "ssm_f_b",
    "ssm_g_a",
    "ssm_g_b",
    "ssm_beta.weight",
    "attn_kv_a_mqa",
    "attn_k_b",
    "attn_v_b",
];

/// Embeddings that are added, not multiplied.
const KEPT_NAMES: [&str; 2] = ["position_embd.weight", "token_types.weight"];

/// Whether the tensor may be stored in a block format at all.
pub fn may_quantize(architecture: &str, name: &str, shape: &Shape) -> bool {
    let holds = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    shape.row_len() > 1
        && shape.rows() > 1
        && name.ends_with("weight")
        && !KEPT_NAMES.contains(&name)
        && !holds(&KEPT_PARTS)
        && !holds(&KEPT_MULTIMODAL)
        && !(architecture == "glm5-next" && holds(&KEPT_GLM5_NEXT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_may_and_what_operators_refuse_may_not() {
        let matrix = Shape::new(&[256, 64]).unwrap();
        let vector = Shape::new(&[256]).unwrap();
        assert!(may_quantize("llama", "blk.0.attn_q.weight", &matrix));
        assert!(may_quantize("llama", "output.weight", &matrix));
        assert!(!may_quantize("llama", "blk.0.attn_norm.weight", &vector));
        assert!(!may_quantize("llama", "blk.0.ffn_gate_inp.weight", &matrix));
        assert!(!may_quantize("mamba", "blk.0.ssm_conv1d.weight", &matrix));
        assert!(!may_quantize("gpt2", "position_embd.weight", &matrix));
        assert!(!may_quantize("llama", "blk.0.attn_q.bias", &matrix));
        assert!(may_quantize("llama", "blk.0.attn_k_b.weight", &matrix));
        assert!(!may_quantize("glm5-next", "blk.0.attn_k_b.weight", &matrix));
    }
}
