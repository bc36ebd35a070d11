"""The forward pass in JAX of what `config.json` describes: llama, qwen2, qwen3, gemma3_text.

Written from the models' definitions (Hugging Face's keys and their meaning), in float32.
"""

import math

import jax
import jax.numpy as jnp


def logits(config: dict, weights: dict, tokens) -> jax.Array:
    """Logits [tokens, vocabulary]."""
    gemma = config["model_type"] == "gemma3_text"
    with jax.default_matmul_precision("highest"):
        x = jnp.asarray(weights["model.embed_tokens.weight"][tokens])
        if gemma:
            x = x * jnp.float32(config["hidden_size"] ** 0.5)
        for i in range(config["num_hidden_layers"]):
            x = layer(config, weights, i, x)
        x = norm(config, weights["model.norm.weight"], x)
        tied = config["tie_word_embeddings"]
        assert tied != ("lm_head.weight" in weights), "the head is there or tied"
        head = weights["model.embed_tokens.weight" if tied else "lm_head.weight"]
        out = x @ jnp.asarray(head).T
        cap = config.get("final_logit_softcapping")
        return jnp.tanh(out / cap) * cap if cap else out


def layer(config: dict, weights: dict, i: int, x):
    gemma = config["model_type"] == "gemma3_text"
    weight = lambda name: weights[f"model.layers.{i}.{name}.weight"]
    normed = lambda name, x: norm(config, weight(name), x)

    def linear(name, x):
        x = x @ jnp.asarray(weight(name)).T
        bias = weights.get(f"model.layers.{i}.{name}.bias")
        assert (bias is not None) == has_bias(config, name), f"bias of {name}"
        return x if bias is None else x + bias

    h = normed("input_layernorm", x)
    h = attention(config, weights, i, h, linear, normed)
    x = x + (normed("post_attention_layernorm", h) if gemma else h)
    h = normed("pre_feedforward_layernorm" if gemma else "post_attention_layernorm", x)
    act = config["hidden_activation" if gemma else "hidden_act"]
    act = {"silu": jax.nn.silu, "gelu_pytorch_tanh": lambda x: jax.nn.gelu(x, approximate=True)}[act]
    h = linear("mlp.down_proj", act(linear("mlp.gate_proj", h)) * linear("mlp.up_proj", h))
    return x + (normed("post_feedforward_layernorm", h) if gemma else h)


def has_bias(config: dict, name: str) -> bool:
    part = name.split(".")[-1]
    if name.startswith("mlp"):
        return config.get("mlp_bias", False)
    if config["model_type"] == "qwen2":
        return part != "o_proj"
    return config["attention_bias"]


def norm(config: dict, weight, x):
    gain = 1.0 + weight if config["model_type"] == "gemma3_text" else weight
    mean = jnp.mean(x * x, axis=-1, keepdims=True)
    return x * jax.lax.rsqrt(mean + jnp.float32(config["rms_norm_eps"])) * gain


def attention(config: dict, weights: dict, i: int, h, linear, normed):
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    count, size = h.shape[0], config["head_dim"]
    q = linear("self_attn.q_proj", h).reshape(count, heads, size)
    k = linear("self_attn.k_proj", h).reshape(count, kv_heads, size)
    v = linear("self_attn.v_proj", h).reshape(count, kv_heads, size)
    if config["model_type"] in ("qwen3", "gemma3_text"):
        q, k = normed("self_attn.q_norm", q), normed("self_attn.k_norm", k)
    sliding = config.get("layer_types", ["full_attention"] * (i + 1))[i] == "sliding_attention"
    cos, sin = rotation(config, sliding, count)
    q, k = rotated(q, cos, sin), rotated(k, cos, sin)
    k, v = (jnp.repeat(x, heads // kv_heads, axis=1) for x in (k, v))
    scale = config.get("query_pre_attn_scalar", size) ** -0.5
    scores = jnp.einsum("qhd,khd->hqk", q, k) * jnp.float32(scale)
    at = jnp.arange(count)
    seen = at[None, :] <= at[:, None]
    if sliding:
        seen &= at[None, :] > at[:, None] - config["sliding_window"]
    shares = jax.nn.softmax(jnp.where(seen, scores, -jnp.inf), axis=-1)
    out = jnp.einsum("hqk,khd->qhd", shares, v).reshape(count, heads * size)
    return linear("self_attn.o_proj", out)


def rotated(x, cos, sin):
    """Each value of the first half with its like in the second half."""
    a, b = jnp.split(x, 2, axis=-1)
    return jnp.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)


def rotation(config: dict, sliding: bool, count: int):
    """Cosines and sines [tokens, 1, pairs], computed in doubles by plain Python."""
    size = config["head_dim"]
    base = config["rope_local_base_freq"] if sliding else config["rope_theta"]
    frequencies = [base ** (-2 * pair / size) for pair in range(size // 2)]
    gain, scaling = 1.0, None if sliding else config["rope_scaling"]
    if scaling is not None:
        frequencies, gain = scaled(scaling, frequencies, base, size)
    angles = [[f * at for f in frequencies] for at in range(count)]
    table = lambda of: jnp.asarray([[of(a) * gain for a in row] for row in angles], jnp.float32)
    return table(math.cos)[:, None], table(math.sin)[:, None]


def scaled(scaling: dict, frequencies: list, base: float, size: int):
    """Frequencies and what is multiplied by, after `transformers.modeling_rope_utils`."""
    factor, kind = scaling["factor"], scaling["rope_type"]
    if kind == "linear":
        return [f / factor for f in frequencies], 1.0
    context = scaling["original_max_position_embeddings"]
    if kind == "llama3":
        low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]

        def stretched(f):
            wave = 2 * math.pi / f
            if wave < context / high:
                return f
            if wave > context / low:
                return f / factor
            smooth = (context / wave - low) / (high - low)
            return (1 - smooth) * f / factor + smooth * f

        return [stretched(f) for f in frequencies], 1.0
    assert kind == "yarn", kind
    place = lambda turns: size * math.log(context / (turns * 2 * math.pi)) / (2 * math.log(base))
    low, high = max(math.floor(place(32)), 0), min(math.ceil(place(1)), size - 1)
    slow = [min(max((i - low) / max(high - low, 0.001), 0), 1) for i in range(size // 2)]
    gain = scaling.get("attention_factor", 0.1 * math.log(factor) + 1 if factor > 1 else 1.0)
    return [f / factor * s + f * (1 - s) for f, s in zip(frequencies, slow)], gain
