//! The pack for a TPU: a folder with the model that a GGUF file holds, as JAX and PyTorch programs
//! load it.
//!
//! The weights are those of the GGUF file, bit for bit once both are decoded, as every row of Q8_0
//! and every tile of Q4_0 has one scale. One thing is not to the last bit: loaders of Gemma add one
//! to the gain of a norm, and to a gain below 1/2 no number need add up (`modules` says how near).
//! [`Layout`] tells names, types and shapes. No layout asks for padding to the tiles of the device:
//! the compilers of the loaders pad, and a shape of `config.json` must be the model's own.

mod config;
mod error;
mod layout;
mod modules;
mod quantization;
mod rotary;
mod rows;
mod shards;
mod tokenizer;

pub use error::PackError;
pub use layout::Layout;

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::gguf::{Gguf, OutputFolder};
use crate::model::Model;
use layout::Part;
use modules::{Module, Weight};
use quantization::{Quantized, quantization_config};
use rows::Grid;
use tokenizer::TokenizerFiles;

/// The file with what the loaders' model is.
const CONFIG: &str = "config.json";
const GENERATION: &str = "generation_config.json";
const TOKENIZER: &str = "tokenizer.json";
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
const SPECIAL_TOKENS: &str = "special_tokens_map.json";

/// What stands for the layout of no pack.
pub const NO_PACK: &str = "none";

/// Where the pack of a model is: `kb.tpu` beside `kb.gguf`.
pub fn pack_of(model: &Path) -> PathBuf {
    model.with_extension("tpu")
}

/// Whether a pack can have a file of this name.
pub fn is_of_pack(name: &OsStr) -> bool {
    const NAMES: [&str; 6] =
        [CONFIG, GENERATION, TOKENIZER, TOKENIZER_CONFIG, SPECIAL_TOKENS, shards::INDEX];
    name.to_str().is_some_and(|name| NAMES.contains(&name) || shards::is_shard(name))
}

/// Checks, before a model is quantized, whether there will be a pack of it.
pub fn check(gguf: &Gguf) -> Result<(), PackError> {
    let model = Model::of(gguf)?;
    let tokenizer = TokenizerFiles::read(gguf.metadata())?;
    let (_, biases) = modules::modules(&model)?;
    config::config(gguf.metadata(), &model, tokenizer.vocabulary(), biases).map(drop)
}

/// Fills `folder` with the pack of a model whose matrices are in Q8_0 with one scale a row, in Q4_0
/// with one scale a tile of 128 columns (64 or 32 if 128 does not divide them), or in F32, F16 or
/// BF16; its bytes.
pub fn write(gguf: &Gguf, layout: Layout, folder: &OutputFolder) -> Result<u64, PackError> {
    let model = Model::of(gguf)?;
    let tokenizer = TokenizerFiles::read(gguf.metadata())?;
    let (modules, biases) = modules::modules(&model)?;
    let mut config = config::config(gguf.metadata(), &model, tokenizer.vocabulary(), biases)?;
    let (mut parts, mut quantized): (Vec<Part>, Vec<Quantized>) = (Vec::new(), Vec::new());
    for module in &modules {
        let grid = grid(module)?;
        parts.extend(layout.parts(module, grid));
        quantized.extend(as_packed(module, grid, layout));
    }
    if let Some(quantization) = quantization_config(layout, &quantized) {
        config.insert("quantization_config".into(), quantization);
    }
    let json = |name: &str, value: &Value| {
        folder.add(name, |out| {
            serde_json::to_writer_pretty(&mut *out, value)?;
            out.write_all(b"\n")
        })
    };
    let bytes = [
        json(CONFIG, &Value::Object(config))?,
        json(GENERATION, &config::generation_config(gguf.metadata(), tokenizer.vocabulary()))?,
        json(TOKENIZER_CONFIG, &tokenizer.config())?,
        json(SPECIAL_TOKENS, &Value::Object(tokenizer.special_tokens()))?,
        folder.add(TOKENIZER, |out| tokenizer.write(out))?,
        shards::write(folder, parts, layout.framework())?,
    ];
    Ok(bytes.iter().sum())
}

fn grid(module: &Module) -> Result<Grid, PackError> {
    match &module.weight {
        Weight::Embedding(rows) | Weight::Head(rows) | Weight::Linear(rows) => {
            rows.grid(&module.name)
        }
        Weight::Norm(_) => Ok(Grid::Floats),
    }
}

/// What is to be told of a module with a matrix.
fn as_packed(module: &Module, grid: Grid, layout: Layout) -> Option<Quantized> {
    let (is_linear, grid) = match (&module.weight, layout) {
        (Weight::Norm(_), _) => return None,
        (Weight::Embedding(_), Layout::CompressedTensors) => (false, Grid::Floats),
        (Weight::Head(_), Layout::CompressedTensors) => (true, Grid::Floats),
        (Weight::Embedding(_), Layout::Qwix) => (false, grid),
        (Weight::Head(_) | Weight::Linear(_), _) => (true, grid),
    };
    Some(Quantized { module: module.name.clone(), grid, is_linear })
}
