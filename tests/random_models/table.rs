//! The models. What llama.cpp makes of each key is told in `reference.rs`.

use opencog_qat::gguf::Format;

use super::Key::{Flag, Int, Layers, Real, Text};
use super::{Key, Variant, Vocabulary};

const GPT2: Vocabulary = Vocabulary::Bpe { pre: "gpt-2", bos: false };
const LLAMA3: Vocabulary = Vocabulary::Bpe { pre: "llama-bpe", bos: true };
const QWEN: Vocabulary = Vocabulary::Bpe { pre: "qwen2", bos: false };

const EPS_5: (&str, Key) = ("attention.layer_norm_rms_epsilon", Real(1e-5));
const EPS_6: (&str, Key) = ("attention.layer_norm_rms_epsilon", Real(1e-6));

const LLAMA: Variant = Variant {
    name: "",
    architecture: "llama",
    vocabulary: GPT2,
    matrices: &[Format::F32],
    layers: 3,
    width: 96,
    heads: 6,
    kv_heads: 2,
    head: 16,
    ff: 160,
    tied: false,
    biases: &[],
    rope_freqs: false,
    keys: &[EPS_5],
};

const QWEN2: Variant = Variant {
    architecture: "qwen2",
    vocabulary: QWEN,
    width: 128,
    heads: 4,
    head: 32,
    biases: &["attn_q", "attn_k", "attn_v"],
    keys: &[EPS_6, ("rope.freq_base", Real(1_000_000.0))],
    ..LLAMA
};

const QWEN3: Variant = Variant {
    architecture: "qwen3",
    vocabulary: QWEN,
    width: 96,
    heads: 4,
    head: 32,
    keys: &[EPS_6, ("rope.freq_base", Real(1_000_000.0))],
    ..LLAMA
};

/// Seven layers: five local ones, a global one, a local one.
const GEMMA3: Variant = Variant {
    architecture: "gemma3",
    vocabulary: Vocabulary::Spm,
    layers: 7,
    width: 64,
    heads: 4,
    kv_heads: 1,
    head: 32,
    ff: 128,
    tied: true,
    keys: &[EPS_6, ("rope.freq_base", Real(1_000_000.0)), WINDOW],
    ..LLAMA
};

const WINDOW: (&str, Key) = ("attention.sliding_window", Int(16));

/// Every model, each once.
pub const VARIANTS: &[Variant] = &[
    // SmolLM2's proportions.
    Variant {
        name: "llama-gqa-tied",
        matrices: &[Format::F16],
        width: 144,
        heads: 9,
        kv_heads: 3,
        tied: true,
        keys: &[EPS_5, ("rope.freq_base", Real(100_000.0)), ("rope.dimension_count", Int(16))],
        ..LLAMA
    },
    // All biases that this architecture may have; as many key heads as heads; an epsilon that
    // shows.
    Variant {
        name: "llama-untied-bias",
        kv_heads: 6,
        biases: &["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"],
        keys: &[("attention.layer_norm_rms_epsilon", Real(0.1))],
        ..LLAMA
    },
    Variant {
        name: "llama-rope-linear",
        keys: &[
            EPS_5,
            ("rope.scaling.type", Text("linear")),
            ("rope.scaling.factor", Real(4.0)),
            // Also without yarn, queries and keys are multiplied by it.
            ("rope.scaling.attn_factor", Real(1.1)),
        ],
        ..LLAMA
    },
    // The key of old files; what is not said to be anything else is linear.
    Variant {
        name: "llama-rope-scale-linear",
        keys: &[EPS_5, ("rope.scale_linear", Real(2.5))],
        ..LLAMA
    },
    // Nothing is scaled.
    Variant {
        name: "llama-rope-none",
        keys: &[EPS_5, ("rope.scaling.type", Text("none")), ("rope.scaling.factor", Real(4.0))],
        ..LLAMA
    },
    Variant {
        name: "llama-rope-yarn",
        head: 32,
        keys: &[
            EPS_5,
            ("rope.scaling.type", Text("yarn")),
            ("rope.scaling.factor", Real(4.0)),
            ("rope.scaling.original_context_length", Int(32)),
            ("rope.scaling.attn_factor", Real(0.9)),
            // Not read for any architecture here.
            ("rope.scaling.yarn_beta_fast", Real(4.0)),
            ("rope.scaling.yarn_beta_slow", Real(2.0)),
            ("rope.scaling.yarn_log_multiplier", Real(0.5)),
        ],
        ..LLAMA
    },
    // Llama 3.1.
    Variant {
        name: "llama-rope-freqs",
        vocabulary: LLAMA3,
        matrices: &[Format::F16],
        rope_freqs: true,
        keys: &[EPS_5, ("rope.freq_base", Real(500_000.0))],
        ..LLAMA
    },
    // Mistral Nemo: heads that together are not as wide as the model.
    Variant {
        name: "llama-mistral",
        vocabulary: Vocabulary::Spm,
        width: 80,
        heads: 4,
        head: 16,
        keys: &[EPS_5, ("rope.dimension_count", Int(16)), ("rope.freq_base", Real(1_000_000.0))],
        ..LLAMA
    },
    Variant {
        name: "llama-quantized",
        matrices: &[Format::Q8_0, Format::Q4_0, Format::F16],
        ..LLAMA
    },
    Variant { name: "llama-bf16", matrices: &[Format::BF16], ..LLAMA },
    Variant { name: "qwen2-bias-tied", matrices: &[Format::F16], tied: true, ..QWEN2 },
    Variant { name: "qwen2-untied", biases: &["attn_q", "attn_k", "attn_v", "output"], ..QWEN2 },
    // As Qwen2.5 is given long contexts.
    Variant {
        name: "qwen2-yarn",
        keys: &[
            EPS_6,
            ("rope.scaling.type", Text("yarn")),
            ("rope.scaling.factor", Real(4.0)),
            ("rope.scaling.original_context_length", Int(1024)),
        ],
        ..QWEN2
    },
    Variant { name: "qwen3-untied", ..QWEN3 },
    // Qwen3 itself has no biases, but what is made of it may have.
    Variant { name: "qwen3-bias", biases: &["attn_q", "attn_k", "attn_v"], ..QWEN3 },
    Variant { name: "qwen3-tied", matrices: &[Format::F16], tied: true, ..QWEN3 },
    // Local layers turn by the default base, 10000.
    Variant { name: "gemma3-swa", ..GEMMA3 },
    Variant { name: "gemma3-swa-f16", matrices: &[Format::F16], ..GEMMA3 },
    Variant {
        name: "gemma3-swa-base",
        keys: &[
            EPS_6,
            WINDOW,
            ("rope.freq_base", Real(1_000_000.0)),
            ("rope.freq_base_swa", Real(500.0)),
        ],
        ..GEMMA3
    },
    // Gemma 3 4B and larger: only the global layers are scaled.
    Variant {
        name: "gemma3-swa-linear",
        keys: &[
            EPS_6,
            WINDOW,
            ("rope.freq_base", Real(50_000.0)),
            ("rope.scaling.type", Text("linear")),
            ("rope.scaling.factor", Real(8.0)),
        ],
        ..GEMMA3
    },
    // Local layers have no part in it, but for the factor.
    Variant {
        name: "gemma3-swa-yarn",
        keys: &[
            EPS_6,
            WINDOW,
            ("rope.freq_base", Real(50_000.0)),
            ("rope.scaling.type", Text("yarn")),
            ("rope.scaling.factor", Real(4.0)),
            ("rope.scaling.original_context_length", Int(1024)),
            ("rope.scaling.attn_factor", Real(1.2)),
        ],
        ..GEMMA3
    },
    Variant {
        name: "gemma3-swa-pattern",
        layers: 4,
        keys: &[EPS_6, WINDOW, ("attention.sliding_window_pattern", Int(2))],
        ..GEMMA3
    },
    Variant {
        name: "gemma3-swa-list",
        layers: 4,
        keys: &[
            EPS_6,
            WINDOW,
            ("attention.sliding_window_pattern", Layers(&[false, true, true, false])),
        ],
        ..GEMMA3
    },
    Variant {
        name: "gemma3-softcap",
        keys: &[EPS_6, WINDOW, ("final_logit_softcapping", Real(4.0))],
        ..GEMMA3
    },
    // No window: every layer is global, and has the base of the global ones.
    Variant {
        name: "gemma3-dense",
        tied: false,
        keys: &[EPS_6, ("rope.freq_base", Real(100_000.0)), ("rope.freq_base_swa", Real(500.0))],
        ..GEMMA3
    },
    // 62 layers make it Gemma 3 27B, whose attention is scaled by width / heads.
    Variant {
        name: "gemma3-62-layers",
        layers: 62,
        width: 32,
        heads: 4,
        kv_heads: 2,
        head: 16,
        ff: 32,
        ..GEMMA3
    },
    // Local and global layers by turns; scores and logits are bent.
    Variant {
        name: "gemma2",
        architecture: "gemma2",
        layers: 4,
        keys: &[
            EPS_6,
            WINDOW,
            ("attn_logit_softcapping", Real(1.5)),
            ("final_logit_softcapping", Real(6.0)),
            ("rope.freq_base_swa", Real(500.0)),
        ],
        ..GEMMA3
    },
    // 46 layers make it Gemma 2 27B, whose attention is scaled by width / heads; caps of its own.
    Variant {
        name: "gemma2-46-layers",
        architecture: "gemma2",
        layers: 46,
        width: 32,
        heads: 4,
        kv_heads: 2,
        head: 16,
        ff: 32,
        keys: &[EPS_6],
        ..GEMMA3
    },
    Variant { name: "olmo2", architecture: "olmo2", ..LLAMA },
    // OLMo 3: local layers are not scaled.
    Variant {
        name: "olmo2-swa-yarn",
        architecture: "olmo2",
        layers: 5,
        keys: &[
            EPS_6,
            WINDOW,
            ("rope.freq_base", Real(50_000.0)),
            ("rope.scaling.type", Text("yarn")),
            ("rope.scaling.factor", Real(8.0)),
            ("rope.scaling.original_context_length", Int(64)),
            ("rope.scaling.attn_factor", Real(1.2)),
        ],
        ..LLAMA
    },
    // The fourth layer does not turn.
    Variant {
        name: "smollm3",
        architecture: "smollm3",
        layers: 5,
        tied: true,
        keys: &[EPS_6, ("rope.freq_base", Real(50_000.0))],
        ..LLAMA
    },
    Variant {
        name: "granite",
        architecture: "granite",
        biases: &["attn_output", "ffn_down"],
        keys: &[
            EPS_5,
            ("embedding_scale", Real(3.0)),
            ("residual_scale", Real(0.4)),
            ("attention.scale", Real(0.1)),
            ("logit_scale", Real(4.0)),
        ],
        ..LLAMA
    },
    Variant {
        name: "granite-unturned",
        architecture: "granite",
        keys: &[EPS_5, ("logit_scale", Real(2.0)), ("rope.scaling.finetuned", Flag(false))],
        ..LLAMA
    },
    Variant {
        name: "mistral3",
        architecture: "mistral3",
        head: 32,
        keys: &[
            EPS_5,
            ("attention.temperature_scale", Real(0.5)),
            ("rope.scaling.type", Text("yarn")),
            ("rope.scaling.factor", Real(16.0)),
            ("rope.scaling.original_context_length", Int(32)),
            ("rope.scaling.yarn_beta_fast", Real(0.5)),
            ("rope.scaling.yarn_beta_slow", Real(0.1)),
            ("rope.scaling.yarn_log_multiplier", Real(0.5)),
        ],
        ..LLAMA
    },
    // llama.cpp refuses a vocabulary without Phi's tokens if the name has `phi3` in it.
    Variant {
        name: "phi-fused",
        architecture: "phi3",
        keys: &[
            EPS_5,
            ("rope.scaling.attn_factor", Real(1.2)),
            ("rope.scaling.original_context_length", Int(512)),
            ("attention.sliding_window", Int(16)),
        ],
        ..LLAMA
    },
    // Half of each head turns.
    Variant {
        name: "glm4",
        architecture: "glm4",
        biases: &["attn_q", "attn_k", "attn_v"],
        head: 16,
        keys: &[EPS_5, ("rope.dimension_count", Int(8))],
        ..LLAMA
    },
    Variant {
        name: "exaone4",
        architecture: "exaone4",
        tied: true,
        keys: &[EPS_5, ("rope.freq_base", Real(50_000.0))],
        ..LLAMA
    },
    // 64 layers make it the 32B: local layers turn, global ones do not.
    Variant {
        name: "exaone4-64-layers",
        architecture: "exaone4",
        layers: 64,
        width: 32,
        heads: 2,
        kv_heads: 1,
        head: 16,
        ff: 32,
        keys: &[EPS_5, WINDOW],
        ..LLAMA
    },
    Variant {
        name: "seed_oss",
        architecture: "seed_oss",
        biases: &["attn_q", "attn_k", "attn_v"],
        keys: &[EPS_6, ("rope.freq_base", Real(50_000.0))],
        ..LLAMA
    },
    Variant {
        name: "ernie4_5",
        architecture: "ernie4_5",
        matrices: &[Format::F16],
        tied: true,
        keys: &[EPS_5, ("rope.freq_base", Real(500_000.0))],
        ..LLAMA
    },
];
