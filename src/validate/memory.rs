//! What llama.cpp allocates to run a model: weights, the cache of keys and values, and the buffers
//! that it computes in, as its allocator lays them out for one sequence and its usual batches.

use serde::Serialize;

use crate::block;
use crate::gguf::{Gguf, TensorSpec};
use crate::model::{ModelShape, PerToken, Phase, UnknownCache, architecture_name, kv_cache_bytes};

/// Tokens that llama.cpp computes at once (`n_ubatch`).
const UBATCH: u64 = 512;
/// What numbers of cached tokens are multiples of.
const CELLS: u64 = 256;
/// Bytes of a cached number, and of one in a mask of attention: F16.
const HALF: u64 = 2;
/// Bytes of a number that is computed with.
const FLOAT: u64 = 4;
/// Rows of a repacked matrix are a multiple of this.
const REPACKED_ROWS: u64 = 8;

/// Bytes that llama.cpp allocates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MemoryUse {
    /// The tensors, as they are in the file.
    pub weights: u64,
    /// Copies of tensors in another order of blocks, which a CPU with AVX2 multiplies faster. They
    /// take the place of what they are copies of: that is the file's own, which the system may drop
    /// from memory.
    pub repacked: u64,
    /// Keys and values in F16; layers with a sliding window keep that, and one batch.
    pub kv_cache: u64,
    /// Buffers of activations and logits, flash attention being on.
    pub compute: u64,
}

impl MemoryUse {
    /// Of a model that has these tensors in place of those of `gguf`, for `context` tokens, and for a
    /// CPU or not; or why nobody knows.
    pub fn of(
        gguf: &Gguf,
        specs: &[TensorSpec],
        on_cpu: bool,
        context: u64,
    ) -> Result<MemoryUse, UnknownCache> {
        let bytes = |spec: &TensorSpec| spec.format.bytes_of(spec.shape.elements()).unwrap_or(0);
        let per_token = PerToken::of(gguf);
        let is_multiplied =
            |spec: &&TensorSpec| per_token.weights(&spec.name, &spec.shape, Phase::Generation) > 0;
        let repacked = specs.iter().filter(|spec| on_cpu && is_repacked(spec));
        let context = context.saturating_add(CELLS - 1) / CELLS * CELLS;
        Ok(MemoryUse {
            weights: specs.iter().map(bytes).sum(),
            repacked: repacked.filter(is_multiplied).map(bytes).sum(),
            kv_cache: kv_cache(gguf, context)?,
            compute: compute(gguf, specs, context),
        })
    }

    /// Bytes that are needed at least: each weight once.
    pub fn needed(&self) -> u64 {
        self.weights + self.kv_cache + self.compute
    }

    /// Bytes that llama.cpp allocates and maps, as its log counts them: repacked weights twice.
    pub fn allocated(&self) -> u64 {
        self.needed() + self.repacked
    }

    /// What is needed, over the memory of a machine in bytes.
    pub fn utilisation(&self, memory: u64) -> f64 {
        self.needed() as f64 / memory.max(1) as f64
    }
}

/// Whether llama.cpp reorders the blocks of a matrix when it loads it, on x86 with AVX2 (`repack.cpp`
/// of ggml 0.25).
fn is_repacked(spec: &TensorSpec) -> bool {
    let rows = spec.shape.dims().get(1).copied().unwrap_or(1);
    block::is_repacked(spec.format) && rows.is_multiple_of(REPACKED_ROWS)
}

/// Bytes of the cache. Of models whose layers are known, those with a window keep no more than it
/// and a batch.
fn kv_cache(gguf: &Gguf, context: u64) -> Result<u64, UnknownCache> {
    let whole = kv_cache_bytes(gguf.metadata(), gguf.tensors(), context)?;
    let Ok(shape) = ModelShape::of(gguf.metadata()) else { return Ok(whole) };
    if shape.window.is_none() {
        return Ok(whole);
    }
    let cells = (0..shape.layers).map(|layer| cells(&shape, layer, context));
    // Layers are alike but for their windows.
    let all = shape.layers as u128 * u128::from(context);
    let kept: u128 = cells.map(u128::from).sum();
    Ok((u128::from(whole) * kept / all.max(1)) as u64)
}

/// Tokens that a layer keeps.
fn cells(shape: &ModelShape, layer: usize, context: u64) -> u64 {
    let within = |tokens: usize| (tokens as u64 + UBATCH).next_multiple_of(CELLS).min(context);
    shape.window_of(layer).map_or(context, within)
}

/// Bytes of the compute buffers: the most that is alive at a time, either logits or what a layer
/// works with; and the logits that are handed out.
///
/// At the output head, these are the logits of a batch, its last stream and that normalised. In the
/// feed-forward network of a layer they are gate, up and their product, the stream and that
/// normalised; where the network is wider than two streams, two gaps of a stream that the allocator
/// cannot fill; beside that, the masks of attention.
fn compute(gguf: &Gguf, specs: &[TensorSpec], context: u64) -> u64 {
    let count = |key: &str| {
        let key = format!("{}.{key}", architecture_name(gguf.metadata()));
        gguf.metadata().get(&key).and_then(|value| value.as_u64())
    };
    let embedding = specs.iter().find(|spec| spec.name == "token_embd.weight");
    let [width, vocabulary] =
        embedding.map_or([0, 0], |spec| [spec.shape.row_len() as u64, spec.shape.rows() as u64]);
    let width = count("embedding_length").unwrap_or(width);
    let inner = widest(specs, "ffn_up.weight").or(count("feed_forward_length")).unwrap_or(0);
    let rows = |part: &str| widest(specs, part).unwrap_or(0);
    let queries = rows("attn_q.weight").max(rows("attn_qkv.weight"));
    let keys_values = rows("attn_k.weight") + rows("attn_v.weight");

    let tokens = UBATCH.min(context);
    let values = |per_token: u64| per_token.saturating_mul(tokens).saturating_mul(FLOAT);
    let gaps = if inner > 2 * width { 2 * width } else { 0 };
    let feeding = (3 * inner).saturating_add(2 * width + gaps);
    let attending = 2 * width + 2 * queries + keys_values;
    let of_layer = values(feeding.max(attending)).saturating_add(masks(gguf, context, tokens));
    let at_head = values(vocabulary.saturating_add(2 * width));
    at_head.max(of_layer).saturating_add(vocabulary * FLOAT)
}

/// Bytes of the masks that say which tokens see which: one for all tokens, and one for a window.
fn masks(gguf: &Gguf, context: u64, tokens: u64) -> u64 {
    let mask = |cells: u64| cells.saturating_mul(tokens).saturating_mul(HALF);
    let Ok(shape) = ModelShape::of(gguf.metadata()) else { return mask(context) };
    let mut seen: Vec<u64> = (0..shape.layers).map(|i| cells(&shape, i, context)).collect();
    seen.sort_unstable();
    seen.dedup();
    seen.into_iter().map(mask).sum()
}

/// Rows of the widest matrix of this part of a layer.
fn widest(specs: &[TensorSpec], part: &str) -> Option<u64> {
    let of = specs.iter().filter(|spec| spec.name.ends_with(&format!(".{part}")));
    of.map(|spec| spec.shape.rows() as u64).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::Format;

    fn tiny(context: u64) -> MemoryUse {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tiny.gguf");
        let gguf = Gguf::open(path.as_ref()).unwrap();
        let specs: Vec<TensorSpec> = gguf.tensors().iter().map(|tensor| tensor.spec()).collect();
        MemoryUse::of(&gguf, &specs, true, context).unwrap()
    }

    /// What llama-completion of ggml 0.25.3 says of the model in the box, in MiB with two decimals.
    #[test]
    fn the_model_in_the_box_takes_what_llama_cpp_says() {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        for (context, kv_cache, compute) in [(512, 1.0, 7.01), (4096, 8.0, 10.51)] {
            let memory = tiny(context);
            assert_eq!(mib(memory.kv_cache), kv_cache);
            assert!((mib(memory.compute) - compute).abs() < 0.02, "{}", mib(memory.compute));
            assert!((mib(memory.weights) - 7.01).abs() < 0.01, "{}", mib(memory.weights));
            assert_eq!(memory.repacked, 0, "F16 stays as it is");
        }
    }

    #[test]
    fn four_bits_are_repacked_for_a_cpu_where_they_are_multiplied() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tiny.gguf");
        let gguf = Gguf::open(path.as_ref()).unwrap();
        let in_q4_0 = |spec: TensorSpec| match spec.shape.rows() > 1 {
            true => TensorSpec { format: Format::Q4_0, ..spec },
            false => spec,
        };
        let specs: Vec<TensorSpec> =
            gguf.tensors().iter().map(|tensor| in_q4_0(tensor.spec())).collect();
        let on = |on_cpu| MemoryUse::of(&gguf, &specs, on_cpu, 512).unwrap();
        let (cpu, gpu) = (on(true), on(false));
        // All but norms: the embedding is the head, too.
        assert!(cpu.repacked > cpu.weights * 9 / 10 && cpu.repacked < cpu.weights);
        assert_eq!(gpu, MemoryUse { repacked: 0, ..cpu });
        assert_eq!(cpu.utilisation(2 * cpu.needed()), 0.5);
    }
}
