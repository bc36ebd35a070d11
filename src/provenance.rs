//! What the output says of itself: the metadata that is not carried over from the input.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::Config;
use crate::gguf::{Array, Format, Gguf, Metadata, Strings, TensorInfo, Value};
use crate::model::Role;
use crate::quantize::Plan;

/// The version of ggml's block formats (`GGML_QNT_VERSION`).
const QUANTIZATION_VERSION: u32 = 2;

/// The input's metadata with `general.file_type`, `general.quantization_version` and our own
/// `opencog_qat.*` keys set, and without the keys of splits: the output is one file.
pub fn output_metadata(input: &Metadata, config: &Config, plan: &Plan) -> Metadata {
    let mut metadata = input.clone();
    metadata.remove_prefix("split.");
    metadata.remove_prefix("opencog_qat.");
    metadata.set("general.quantization_version", Value::U32(QUANTIZATION_VERSION));
    metadata.set("general.file_type", Value::U32(file_type(plan)));
    metadata.set("opencog_qat.version", Value::string(env!("CARGO_PKG_VERSION")));
    metadata.set("opencog_qat.flags", Value::string(&config.to_string()));
    metadata.set("opencog_qat.plan", Value::Array(Array::String(plan_lines(plan))));
    metadata.set("opencog_qat.seed", Value::U64(config.seed));
    metadata
}

/// One line for each role and format: `attention q: Q4_K x 30`.
fn plan_lines(plan: &Plan) -> Strings {
    let mut lines = BTreeMap::new();
    for tensor in plan.tensors.iter().filter(|tensor| tensor.choice.is_encoded()) {
        *lines.entry((tensor.role, tensor.spec.format)).or_insert(0) += 1;
    }
    lines.into_iter().map(|((role, format), n)| format!("{role}: {format} x {n}")).collect()
}

/// Bytes that the lines of any plan for this model take at most.
pub fn longest_plan_lines(gguf: &Gguf) -> u64 {
    /// The length that stands before a string, the longest names of a role and a format, a count.
    const LINE: u64 = 8 + "attention output: IQ4_NL x 4294967295".len() as u64;
    let kind = |tensor: &TensorInfo| (Role::of(&tensor.name), tensor.row_len());
    let kinds: BTreeSet<_> = gguf.tensors().iter().map(kind).collect();
    LINE * kinds.len() as u64
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
    match most {
        Some(Format::F16) => 1,
        Some(Format::Q4_0) => 2,
        Some(Format::Q4_1) => 3,
        Some(Format::Q8_0) => 7,
        Some(Format::Q5_0) => 8,
        Some(Format::Q5_1) => 9,
        Some(Format::Q4_K) => 15,
        Some(Format::Q5_K) => 17,
        Some(Format::Q6_K) => 18,
        Some(Format::IQ4_NL) => 25,
        Some(Format::IQ4_XS) => 30,
        Some(Format::BF16) => 32,
        _ => 0,
    }
}
