//! What the output says of itself: the metadata that is not carried over from the input.

use std::collections::BTreeMap;
use std::env;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::companion::{Companion, NAME_KEY, SHA256_KEY};
use crate::config::Config;
use crate::gguf::{
    ALIGNMENT_KEY, Array, Format, Gguf, Metadata, Value, Writer, alignment, header_size,
};
use crate::hardware::Memory;
use crate::model::kv_cache_bytes;
use crate::quantize::{Header, Plan};
use crate::report::OpenCogReport;
use crate::sha256::{self, Hashed, hex};
use crate::simd::Level;
use crate::work::PROGRAM;

/// The version of ggml's block formats (`GGML_QNT_VERSION`).
const QUANTIZATION_VERSION: u32 = 2;

/// The least alignment that is written, in bytes. llama.cpp uses tensors where the mapped file has
/// them, and ends itself at one that doesn't begin at a multiple of this (`TENSOR_ALIGNMENT`).
const LEAST_ALIGNMENT: u32 = 32;

/// The input's metadata with `general.file_type`, `general.quantization_version` and our own
/// `opencog_qat.*` keys set, and without the keys of splits: the output is one file. An alignment
/// that llama.cpp may not load is raised. Where it has a companion of OpenCog data,
/// `opencog.companion.*` have the name and hash of that.
pub fn output_metadata(
    input: &Metadata,
    config: &Config,
    companion: Option<&Companion>,
    plan: &Plan,
) -> Metadata {
    let mut metadata = input.clone();
    metadata.remove_prefix("split.");
    metadata.remove_prefix("opencog_qat.");
    metadata.remove_prefix("opencog.companion.");
    if let Some(Value::U32(..LEAST_ALIGNMENT)) = metadata.get(ALIGNMENT_KEY) {
        metadata.set(ALIGNMENT_KEY, Value::U32(LEAST_ALIGNMENT));
    }
    metadata.set("general.quantization_version", Value::U32(QUANTIZATION_VERSION));
    metadata.set("general.file_type", Value::U32(file_type(plan)));
    metadata.set("opencog_qat.version", Value::string(env!("CARGO_PKG_VERSION")));
    metadata.set("opencog_qat.flags", Value::string(&config.to_string()));
    metadata.set("opencog_qat.plan", Value::Array(Array::String(plan.lines().iter().collect())));
    metadata.set("opencog_qat.seed", seed(config.seed));
    if let Some(companion) = companion {
        metadata.set(NAME_KEY, Value::string(&companion.name()));
        metadata.set(SHA256_KEY, Value::string(&companion.report.sha256));
    }
    metadata
}

/// A seed as metadata: a u32 if it fits in one, since not every reader knows a u64.
fn seed(seed: u64) -> Value {
    u32::try_from(seed).map_or(Value::U64(seed), Value::U32)
}

/// What a run's state belongs to: the program, the flags, the model and the OpenCog data. A program
/// that was built anew may find something else, whatever its version.
pub fn run_description(
    gguf: &Gguf,
    config: &Config,
    context: u64,
    companion: Option<&Companion>,
) -> String {
    let mut hash = Sha256::new();
    hash.update(metadata_hash(gguf.metadata()));
    for tensor in gguf.tensors() {
        hash.update(format!("{:?}", tensor.spec()));
        hash.update(gguf.data(tensor));
        gguf.release(tensor, 0..gguf.data(tensor).len());
    }
    let hash = hex(hash);
    let opencog = companion.map(|companion| {
        let OpenCogReport { inputs, sha256, .. } = &companion.report;
        format!(", OpenCog data of {} with the hash {sha256}", inputs.join(", "))
    });
    let memory = memory_that_binds(gguf, config, context);
    let memory = memory.map(|memory| format!(", within {memory}"));
    let program = env::current_exe().and_then(|program| sha256::of_file(&program));
    format!(
        "{PROGRAM}{} with the hash {}, on a CPU with {}, {config}{}, a model of {} bytes with the \
         hash {hash}{}",
        env!("CARGO_PKG_VERSION"),
        program.as_deref().unwrap_or("unknown"),
        Level::widest().name(),
        memory.unwrap_or_default(),
        gguf.file_bytes(),
        opencog.unwrap_or_default()
    )
}

/// The memory of this machine, if nobody asked for another and it may decide what is written: if
/// it is too small for the model as it is.
fn memory_that_binds(gguf: &Gguf, config: &Config, context: u64) -> Option<Memory> {
    let cache = kv_cache_bytes(gguf.metadata(), gguf.tensors(), context).unwrap_or(0);
    let memory = config.memory();
    let is_small = memory.bytes() < gguf.file_bytes().saturating_add(cache);
    (config.memory.is_none() && is_small).then_some(memory)
}

/// The hash of metadata as a file has it; nothing of what no file can have. It is not kept in
/// memory: the alignment may ask for more padding than there is of the rest.
fn metadata_hash(metadata: &Metadata) -> String {
    let writer = Writer::new(Hashed::default(), Path::new("metadata"), metadata, &[]);
    writer.and_then(Writer::finish).map(|hashed| hex(hashed.hash)).unwrap_or_default()
}

/// The header of an output with these flags, before there is a plan; or why there can be none.
pub fn header(
    gguf: &Gguf,
    config: &Config,
    companion: Option<&Companion>,
) -> Result<Header, String> {
    let specs: Vec<_> = gguf.tensors().iter().map(|tensor| tensor.spec()).collect();
    let metadata = output_metadata(gguf.metadata(), config, companion, &Plan::default());
    Ok(Header { bytes: header_size(&metadata, &specs)?, alignment: alignment(&metadata)? })
}

/// llama.cpp's name for a mix (`llama_ftype`): that of the format that takes most bytes.
fn file_type(plan: &Plan) -> u32 {
    let mut bytes: BTreeMap<Format, u64> = BTreeMap::new();
    for tensor in &plan.tensors {
        let spec = &tensor.spec;
        *bytes.entry(spec.format).or_default() +=
            spec.format.bytes_of(spec.shape.elements()).unwrap_or(0);
    }
    let most = bytes.into_iter().max_by_key(|(_, bytes)| *bytes).map(|(format, _)| format);
    most.map_or(Format::F32.file_type(), Format::file_type)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::{Shape, TensorSpec};

    /// The header's length decides where tensors lie, and the alignment how far from its end.
    #[test]
    fn tensors_lie_where_llama_cpp_can_use_them() {
        let spec = |(name, format, dims): (&str, Format, &[u64])| TensorSpec {
            name: name.into(),
            format,
            shape: Shape::new(dims).unwrap(),
        };
        let specs =
            [("a", Format::F32, &[7][..]), ("b", Format::I8, &[1]), ("c", Format::F16, &[3])];
        let specs = specs.map(spec);
        for (shift, more) in (0..13).flat_map(|shift| (0..64).map(move |more| (shift, more))) {
            let mut input = Metadata::new();
            input.set("general.name", Value::string(&"n".repeat(more)));
            input.set(ALIGNMENT_KEY, Value::U32(1 << shift));
            let metadata = output_metadata(&input, &Config::default(), None, &Plan::default());
            let mut writer = Writer::new(Vec::new(), Path::new("x"), &metadata, &specs).unwrap();
            [28, 1, 6].into_iter().for_each(|n| writer.tensor_bytes(&vec![1; n]).unwrap());
            let gguf = Gguf::from_bytes("x", writer.finish().unwrap()).unwrap();
            let alignment = 32.max(1 << shift);
            assert_eq!(gguf.alignment(), alignment);
            for tensor in gguf.tensors() {
                assert!(tensor.offset().is_multiple_of(alignment), "{shift} {more}");
            }
        }
        let unnamed = output_metadata(&Metadata::new(), &Config::default(), None, &Plan::default());
        assert_eq!(unnamed.get(ALIGNMENT_KEY), None, "32 is what it is without the key");
    }

    #[test]
    fn runs_on_other_metadata_are_other_runs() {
        let described = |base: f32| {
            let mut metadata = Metadata::new();
            metadata.set("general.architecture", Value::string("llama"));
            metadata.set("llama.rope.freq_base", Value::F32(base));
            let writer = Writer::new(Vec::new(), Path::new("a model"), &metadata, &[]).unwrap();
            let gguf = Gguf::from_bytes("a model", writer.finish().unwrap()).unwrap();
            run_description(&gguf, &Config::default(), 4096, None)
        };
        assert_eq!(described(1e4), described(1e4));
        assert_ne!(described(1e4), described(1e5));
    }
}
