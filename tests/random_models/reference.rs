//! A forward pass that is slow, in 64 bits, and as llama.cpp's graphs have it, operation by
//! operation (`src/models/ARCHITECTURE.cpp`). The fast one is judged by it.
//!
//! # What llama.cpp does
//!
//! In every architecture a layer is `x += attention(norm(x)); x += feed_forward(norm(x))`. Norms
//! are RMS norms: `x / sqrt(mean(x^2) + eps) * weight`, with eps from
//! `attention.layer_norm_rms_epsilon`, which has no default. A file's weight is the whole factor:
//! for Gemma the converter has added 1.
//!
//! **Sizes.** `attention.head_count_kv` defaults to `attention.head_count`, `attention.key_length`
//! to `embedding_length / head_count`, `rope.dimension_count` to `key_length`, from which it may
//! not differ in a llama or qwen, nor may `attention.value_length`. Heads `g * i .. g * (i + 1)`
//! use key head `i`, where `g` is the number of heads for each. Without `output.weight` the
//! embedding is the head.
//!
//! **Biases.** Queries, keys and values may have them in every architecture; the attention's
//! output, gate, up and down in a llama; the output head in a qwen2. A tensor that is not expected
//! is an error.
//!
//! **Queries and keys** of a qwen3 or gemma3 are normed head by head, after the bias and before
//! they are turned. Scores are multiplied by `1 / sqrt(key_length)`; in a gemma3 of 62 layers (the
//! 27B) by `1 / sqrt(embedding_length / head_count)`, a division of integers.
//!
//! **Turning** (rope): pair `i` of a head of `n` values is turned by `position * base^(-2i / n)`. A
//! llama pairs neighbours, `(2i, 2i + 1)`; qwen and gemma halves, `(i, i + n/2)`. `rope.freq_base`
//! defaults to 10000. `rope_freqs.weight` (of a llama alone) divides the angle of pair `i`, before
//! what follows.
//!
//! **Scaling.** `rope.scaling.type` defaults to linear, `rope.scaling.factor` (else the old key
//! `rope.scale_linear`) to 1; a factor of 0 is 1, and with the type none it is not applied. Linear:
//! the angle is divided by the factor. Yarn: the pair's angle is a mixture, `m` of the whole angle
//! and `1 - m` of the divided one, where `m = 1 - clamp((i - low) / max(0.001, high - low), 0, 1)`,
//! `low = max(0, floor(d(32)))`, `high = min(n - 1, ceil(d(1)))`, and `d(turns) = n * ln(original /
//! (2 pi turns)) / (2 ln(base))` with `original` from `rope.scaling.original_context_length`, by
//! default `context_length`. (The keys for other numbers of turns than 32 and 1, and
//! `yarn_log_multiplier`, are not read for these architectures.) Turned queries and keys are
//! multiplied by `rope.scaling.attn_factor` (1 by default, and applied with any type), with yarn
//! also by `1 + 0.1 ln(factor)` where that is above 1: each of them, so that scores get its square.
//!
//! **Windows** (gemma3 with `attention.sliding_window` above 0): a local layer's query at `p` sees
//! keys at `q <= p` with `p - q < window`. Layer `i` is local unless `i % 6 == 5`;
//! `attention.sliding_window_pattern` gives another number than 6 (0: all local), or a list with
//! one truth value for each layer. Local layers have their own base, `rope.freq_base_swa` (10000 by
//! default, not `rope.freq_base`), and no scaling; but `attn_factor`, and with yarn the mixture of
//! angles that are equal, so nothing more. Without a window all layers are global.
//!
//! **Feed forward**: `down(act(gate(x)) * up(x))`. `act` is SiLU, in Gemma GELU in its tanh form,
//! `0.5 x (1 + tanh(sqrt(2 / pi) x (1 + 0.044715 x^2)))`; the CPU looks it up in a table by `x`
//! rounded to F16, whose values are F16. We compute it.
//!
//! **Gemma 3** also multiplies the embeddings by `sqrt(embedding_length)`, norms what attention and
//! feed forward give before it is added (`post_attention_norm`, `post_ffw_norm`), and with
//! `final_logit_softcapping` c above 0 makes the logits `c tanh(logit / c)`. It has no cap on
//! scores.
//!
//! **The others** are these with changes. A gemma2 has no norm of queries and keys, local layers but
//! for each second one (a window of 4096 by default, turned by the global base unless
//! `rope.freq_base_swa` is given, and scaled as the others), bends scores too
//! (`attn_logit_softcapping`, 50 by default; logits 30 by default), and is scaled by `width / heads`
//! in 46 layers. An olmo2 and an exaone4 have norms only after attention and feed forward; an olmo2
//! norms all queries of a token together, and all keys; its local layers (but for each fourth, if
//! there is a window) are turned without any scaling or gain. An exaone4 of 64 layers has a window
//! (4096 by default) but in each fourth layer, which is not turned. In a smollm3 each fourth layer is
//! not turned, in a granite none is if `rope.scaling.finetuned` is false. A granite multiplies
//! embeddings, what is added to the stream, and scores, and divides logits, by `embedding_scale`,
//! `residual_scale`, `attention.scale` (in the place of the usual one) and `logit_scale`. A mistral3
//! reads `yarn_beta_fast`, `yarn_beta_slow` and `yarn_log_multiplier` (m: the gain of yarn is divided
//! by `1 + 0.1 m ln(factor)`), and multiplies queries, once turned, by `1 + temperature_scale *
//! ln(1 + floor(position / original_context_length))`. A phi3 and a glm4 have gate and up in one
//! tensor, the gate first; a phi3 divides its angles by `rope_factors_short.weight`, or `_long` in a
//! context longer than the original one, and has no window whatever the file says; a glm4 has norms
//! after attention and feed forward too, and turns the first `rope.dimension_count` values of a head.
//! In a seed_oss the norm before the feed forward is called `post_attention_norm`. smollm3, granite,
//! mistral3, glm4 and ernie4_5 turn neighbours, the others halves.
//!
//! **Precision.** Products with F32 matrices are in F32. For an F16 matrix the activations are
//! rounded to F16, for BF16 to BF16, for the block formats to 8 bits a block. Keys and values are
//! kept in F16 unless `-ctk f32 -ctv f32` is given, and flash attention rounds them in any case.

use std::f64::consts::PI;

use opencog_qat::block;
use opencog_qat::gguf::{Array, Gguf, Value};

/// One value for each of a token's channels.
type Row = Vec<f64>;

/// The logits after each of these tokens, which begin at position 0.
pub fn logits(model: &Gguf, tokens: &[u32]) -> Vec<Row> {
    let keys = Keys::of(model);
    let gemma = keys.is(&["gemma2", "gemma3"]);
    let embedding = Linear::of(model, "token_embd");
    let mut stream: Vec<Row> = tokens.iter().map(|&token| embedding.row(token)).collect();
    if gemma {
        let scale = (keys.number("embedding_length").unwrap()).sqrt();
        scale_all(&mut stream, scale);
    }
    scale_all(&mut stream, keys.scalar("embedding_scale"));
    let residual = keys.scalar("residual_scale");
    for layer in 0..keys.integer("block_count").unwrap() {
        let part = |part: &str| format!("blk.{layer}.{part}");
        let before = keys.norm_if_there(&part("attn_norm"), &stream);
        let mut attended = attention(model, &keys, layer, &before);
        if !keys.is(&["seed_oss"]) {
            attended = keys.norm_if_there(&part("post_attention_norm"), &attended);
        }
        scale_all(&mut attended, residual);
        add(&mut stream, &attended);
        let norm = if keys.is(&["seed_oss"]) { "post_attention_norm" } else { "ffn_norm" };
        let before = keys.norm_if_there(&part(norm), &stream);
        let mut fed = feed_forward(model, layer, &before, gemma);
        fed = keys.norm_if_there(&part("post_ffw_norm"), &fed);
        scale_all(&mut fed, residual);
        add(&mut stream, &fed);
    }
    let head = if model.tensor("output.weight").is_some() { "output" } else { "token_embd" };
    let mut logits = Linear::of(model, head).apply(&keys.norm("output_norm", &stream));
    scale_all(&mut logits, 1.0 / keys.scalar("logit_scale"));
    if let Some(cap) = keys.cap("final_logit_softcapping", 30.0) {
        logits.iter_mut().flatten().for_each(|logit| *logit = cap * (*logit / cap).tanh());
    }
    logits
}

fn attention(model: &Gguf, keys: &Keys, layer: usize, x: &[Row]) -> Vec<Row> {
    let heads = keys.integer("attention.head_count").unwrap();
    let kv_heads = keys.integer("attention.head_count_kv").unwrap_or(heads);
    let project = |name| Linear::of(model, &format!("blk.{layer}.{name}")).apply(x);
    let (mut q, mut k, v);
    if model.tensor(&format!("blk.{layer}.attn_qkv.weight")).is_some() {
        let all = project("attn_qkv");
        let len = all[0].len() / (heads + 2 * kv_heads);
        let cut = |from: usize, count: usize| -> Vec<Row> {
            all.iter().map(|row| row[from * len..(from + count) * len].to_vec()).collect()
        };
        (q, k, v) = (cut(0, heads), cut(heads, kv_heads), cut(heads + kv_heads, kv_heads));
    } else {
        (q, k, v) = (project("attn_q"), project("attn_k"), project("attn_v"));
    }
    let len = q[0].len() / heads;
    if model.tensor(&format!("blk.{layer}.attn_q_norm.weight")).is_some() {
        // As many values at a time as the norm has weights: a head, or in an olmo2 all heads.
        norm_heads(model, &format!("blk.{layer}.attn_q_norm"), keys, &mut q);
        norm_heads(model, &format!("blk.{layer}.attn_k_norm"), keys, &mut k);
    }
    if keys.turns(layer) {
        let rope = Rope::of(keys, layer, len);
        for rows in [&mut q, &mut k] {
            for (position, row) in rows.iter_mut().enumerate() {
                row.chunks_mut(len).for_each(|head| rope.turn(position, head));
            }
        }
    }
    if let Some(temperature) = keys.number("attention.temperature_scale") {
        let original = keys.number("rope.scaling.original_context_length");
        let original = original.or_else(|| keys.number("context_length")).unwrap();
        for (position, row) in q.iter_mut().enumerate() {
            let contexts = (position as f64 / original).floor();
            let factor = 1.0 + temperature * (1.0 + contexts).ln();
            row.iter_mut().for_each(|x| *x *= factor);
        }
    }
    let cap = keys.cap("attn_logit_softcapping", 50.0);
    let scale = keys.attention_scale(len);
    let window = if keys.is_local(layer) { keys.window() } else { None };
    let attended = |position: usize| {
        let head = |head: usize| {
            let shared = head / (heads / kv_heads);
            let of = |row: &Row, head: usize| row[head * len..][..len].to_vec();
            let query = of(&q[position], head);
            let first = window.map_or(0, |window| (position + 1).saturating_sub(window));
            let score = |key: usize| {
                let score = scale * dot(&query, &of(&k[key], shared));
                cap.map_or(score, |cap| cap * (score / cap).tanh())
            };
            let scores: Row = (first..=position).map(score).collect();
            let mut sum = vec![0.0; len];
            for (key, share) in (first..).zip(softmax(&scores)) {
                let value = of(&v[key], shared);
                sum.iter_mut().zip(value).for_each(|(sum, value)| *sum += share * value);
            }
            sum
        };
        (0..heads).flat_map(head).collect()
    };
    let attended: Vec<Row> = (0..x.len()).map(attended).collect();
    Linear::of(model, &format!("blk.{layer}.attn_output")).apply(&attended)
}

fn feed_forward(model: &Gguf, layer: usize, x: &[Row], gemma: bool) -> Vec<Row> {
    let linear = |name| Linear::of(model, &format!("blk.{layer}.{name}"));
    let act = if gemma { gelu } else { silu };
    let mut up = linear("ffn_up").apply(x);
    let mut gate = match model.tensor(&format!("blk.{layer}.ffn_gate.weight")) {
        Some(_) => linear("ffn_gate").apply(x),
        // The gate is the first half of up.
        None => {
            let half = up[0].len() / 2;
            up.iter_mut().map(|row| row.drain(..half).collect()).collect()
        }
    };
    let pairs = gate.iter_mut().flatten().zip(up.iter().flatten());
    pairs.for_each(|(gate, up)| *gate = act(*gate) * up);
    linear("ffn_down").apply(&gate)
}

fn silu(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}

fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + ((2.0 / PI).sqrt() * x * (1.0 + 0.044715 * x * x)).tanh())
}

fn norm_heads(model: &Gguf, name: &str, keys: &Keys, rows: &mut [Row]) {
    let weight = vector(model, &format!("{name}.weight")).unwrap();
    for head in rows.iter_mut().flat_map(|row| row.chunks_mut(weight.len())) {
        keys.norm_one(&weight, head);
    }
}

/// How the heads of one layer are turned.
struct Rope {
    /// Radians of each pair at position 1.
    angles: Row,
    /// What queries and keys are multiplied by.
    gain: f64,
    /// Whether pairs are neighbours, or else halves.
    neighbours: bool,
}

impl Rope {
    fn of(keys: &Keys, layer: usize, len: usize) -> Rope {
        let local = keys.is_local(layer);
        let len = keys.integer("rope.dimension_count").unwrap_or(len);
        let global = keys.number("rope.freq_base").unwrap_or(10_000.0);
        let base = match keys.architecture {
            "gemma3" if local => keys.number("rope.freq_base_swa").unwrap_or(10_000.0),
            "gemma2" if local => keys.number("rope.freq_base_swa").unwrap_or(global),
            _ => global,
        };
        let kind = keys.text("rope.scaling.type").unwrap_or("linear");
        let kind = if local && keys.is(&["olmo2"]) { "none" } else { kind };
        let factor = match kind {
            "none" => 1.0,
            _ if local && keys.is(&["gemma3"]) => 1.0,
            _ => keys.factor(),
        };
        let mut gain = keys.number("rope.scaling.attn_factor").unwrap_or(1.0);
        if local && keys.is(&["olmo2"]) {
            gain = 1.0;
        }
        let ramp = if kind == "yarn" { Some(keys.yarn_ramp(base, len)) } else { None };
        if ramp.is_some() {
            let longer = |share: f64| 1.0 + 0.1 * share * factor.ln().max(0.0);
            gain *= longer(1.0) / longer(keys.yarn("log_multiplier", 0.0));
        }
        let name = if keys.is(&["phi3"]) { "rope_factors_short" } else { "rope_freqs" };
        let factors = vector(keys.model, &format!("{name}.weight"));
        let angle = |pair: usize| {
            let whole = base.powf(-2.0 * pair as f64 / len as f64)
                / factors.as_ref().map_or(1.0, |factors| factors[pair]);
            let kept = ramp.as_ref().map_or(0.0, |ramp| ramp(pair));
            kept * whole + (1.0 - kept) * whole / factor
        };
        let angles = (0..len / 2).map(angle).collect();
        let neighbours = keys.is(&["llama", "smollm3", "granite", "mistral3", "glm4", "ernie4_5"]);
        Rope { angles, gain, neighbours }
    }

    fn turn(&self, position: usize, head: &mut [f64]) {
        let half = self.angles.len();
        for (i, angle) in self.angles.iter().enumerate() {
            let (a, b) = if self.neighbours { (2 * i, 2 * i + 1) } else { (i, i + half) };
            let (sin, cos) = (position as f64 * angle).sin_cos();
            let (x, y) = (head[a], head[b]);
            head[a] = self.gain * (x * cos - y * sin);
            head[b] = self.gain * (x * sin + y * cos);
        }
    }
}

/// The metadata, by what it says of this architecture.
struct Keys<'a> {
    model: &'a Gguf,
    architecture: &'a str,
}

impl<'a> Keys<'a> {
    fn of(model: &'a Gguf) -> Keys<'a> {
        let architecture = model.metadata().get("general.architecture").unwrap().as_str().unwrap();
        Keys { model, architecture }
    }

    fn get(&self, key: &str) -> Option<&'a Value> {
        self.model.metadata().get(&format!("{}.{key}", self.architecture))
    }

    fn integer(&self, key: &str) -> Option<usize> {
        self.get(key)?.as_u64().map(|number| number as usize)
    }

    fn number(&self, key: &str) -> Option<f64> {
        let value = self.get(key)?;
        value.as_f64().or_else(|| value.as_u64().map(|number| number as f64))
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        self.get(key)?.as_str()
    }

    /// Whether this is one of these architectures.
    fn is(&self, architectures: &[&str]) -> bool {
        architectures.contains(&self.architecture)
    }

    /// One of a granite's factors.
    fn scalar(&self, key: &str) -> f64 {
        self.number(key).filter(|_| self.is(&["granite"])).unwrap_or(1.0)
    }

    /// A cap, of a gemma2 also where the file has none.
    fn cap(&self, key: &str, default: f64) -> Option<f64> {
        let named = self.number(key).filter(|_| self.is(&["gemma2", "gemma3"]));
        let named = named.or(self.is(&["gemma2"]).then_some(default));
        named.filter(|&cap| cap > 0.0)
    }

    /// Whether queries and keys of a layer are turned.
    fn turns(&self, layer: usize) -> bool {
        match self.architecture {
            "smollm3" => !(layer + 1).is_multiple_of(4),
            "granite" => !matches!(self.get("rope.scaling.finetuned"), Some(Value::Bool(false))),
            "exaone4" => self.window().is_none() || self.is_local(layer),
            _ => true,
        }
    }

    /// What a mistral3 may say of yarn.
    fn yarn(&self, key: &str, default: f64) -> f64 {
        let named = self.number(&format!("rope.scaling.yarn_{key}"));
        named.filter(|_| self.is(&["mistral3"])).unwrap_or(default)
    }

    fn norm_if_there(&self, name: &str, rows: &[Row]) -> Vec<Row> {
        match self.model.tensor(&format!("{name}.weight")) {
            Some(_) => self.norm(name, rows),
            None => rows.to_vec(),
        }
    }

    fn norm(&self, name: &str, rows: &[Row]) -> Vec<Row> {
        let weight = vector(self.model, &format!("{name}.weight")).unwrap();
        let mut rows = rows.to_vec();
        rows.iter_mut().for_each(|row| self.norm_one(&weight, row));
        rows
    }

    fn norm_one(&self, weight: &[f64], x: &mut [f64]) {
        let eps = self.number("attention.layer_norm_rms_epsilon").unwrap();
        let scale = 1.0 / (dot(x, x) / x.len() as f64 + eps).sqrt();
        x.iter_mut().zip(weight).for_each(|(x, weight)| *x *= scale * weight);
    }

    fn attention_scale(&self, len: usize) -> f64 {
        let width = self.integer("embedding_length").unwrap();
        let heads = self.integer("attention.head_count").unwrap();
        if let Some(scale) = self.number("attention.scale").filter(|_| self.is(&["granite"])) {
            return scale;
        }
        let by_width = matches!(
            (self.architecture, self.integer("block_count")),
            ("gemma3", Some(62)) | ("gemma2", Some(46))
        );
        1.0 / (if by_width { width / heads } else { len } as f64).sqrt()
    }

    /// How many keys a local layer sees; `None` where there are no local layers.
    fn window(&self) -> Option<usize> {
        let named = self.integer("attention.sliding_window").filter(|&window| window > 0);
        match self.architecture {
            "gemma3" | "olmo2" => named,
            "gemma2" => named.or(Some(4096)),
            "exaone4" if self.integer("block_count") == Some(64) => named.or(Some(4096)),
            _ => None,
        }
    }

    fn is_local(&self, layer: usize) -> bool {
        let period = match self.get("attention.sliding_window_pattern") {
            Some(Value::Array(Array::Bool(list))) => return self.window().is_some() && list[layer],
            Some(period) => period.as_u64().unwrap() as usize,
            None => match self.architecture {
                "gemma2" => 2,
                "gemma3" => 6,
                _ => 4,
            },
        };
        self.window().is_some() && (period == 0 || layer % period != period - 1)
    }

    fn factor(&self) -> f64 {
        let factor = self.number("rope.scaling.factor");
        let factor = factor.or_else(|| self.number("rope.scale_linear"));
        factor.filter(|&factor| factor != 0.0).unwrap_or(1.0)
    }

    /// The share of the whole angle in that of each pair.
    fn yarn_ramp(&self, base: f64, len: usize) -> impl Fn(usize) -> f64 {
        let original = self.number("rope.scaling.original_context_length");
        let original = original.or_else(|| self.number("context_length")).unwrap();
        let len = len as f64;
        let pair = |turns: f64| len * (original / (2.0 * PI * turns)).ln() / (2.0 * base.ln());
        let low = pair(self.yarn("beta_fast", 32.0)).floor().max(0.0);
        let high = pair(self.yarn("beta_slow", 1.0)).ceil().min(len - 1.0);
        move |i| 1.0 - ((i as f64 - low) / (high - low).max(0.001)).clamp(0.0, 1.0)
    }
}

/// A matrix, and a bias where the file has one.
struct Linear {
    row_len: usize,
    weights: Row,
    bias: Option<Row>,
}

impl Linear {
    fn of(model: &Gguf, name: &str) -> Linear {
        let weight = format!("{name}.weight");
        let row_len = model.tensor(&weight).unwrap_or_else(|| panic!("no {weight}")).row_len();
        let weights = vector(model, &weight).unwrap();
        Linear { row_len, weights, bias: vector(model, &format!("{name}.bias")) }
    }

    fn row(&self, i: u32) -> Row {
        self.weights[i as usize * self.row_len..][..self.row_len].to_vec()
    }

    fn apply(&self, x: &[Row]) -> Vec<Row> {
        let one = |x: &Row| {
            let mut y: Row = self.weights.chunks(self.row_len).map(|row| dot(row, x)).collect();
            if let Some(bias) = &self.bias {
                y.iter_mut().zip(bias).for_each(|(y, bias)| *y += bias);
            }
            y
        };
        x.iter().map(one).collect()
    }
}

/// All values of a tensor.
fn vector(model: &Gguf, name: &str) -> Option<Row> {
    let tensor = model.tensor(name)?;
    let mut values = vec![0.0; tensor.elements() as usize];
    block::decode(tensor.format, model.data(tensor), &mut values);
    Some(values.into_iter().map(f64::from).collect())
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(to: &mut [Row], rows: &[Row]) {
    to.iter_mut().flatten().zip(rows.iter().flatten()).for_each(|(to, x)| *to += x);
}

fn scale_all(rows: &mut [Row], scale: f64) {
    rows.iter_mut().flatten().for_each(|x| *x *= scale);
}

fn softmax(scores: &[f64]) -> Row {
    let greatest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exps: Row = scores.iter().map(|score| (score - greatest).exp()).collect();
    let sum: f64 = exps.iter().sum();
    exps.iter().map(|exp| exp / sum).collect()
}
