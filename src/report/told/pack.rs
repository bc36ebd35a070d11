//! The folder for a TPU, wherever it is told of.

use crate::model::layer_part;
use crate::report::command::as_file;
use crate::report::document::{Fact, Part, Tile};
use crate::report::numbers::bytes;
use crate::report::{Command, PackReport, Report, TensorReport};

/// Where it is, how it is laid out and how large.
pub fn fact(pack: &PackReport) -> Fact {
    let PackReport { folder, layout, bytes: size } = pack;
    Fact::new("TPU pack", format!("{}, {layout}, {}", folder.display(), bytes(*size)))
}

/// The same at a glance.
pub fn tile(pack: &PackReport) -> Tile {
    let PackReport { folder, layout, bytes: size } = pack;
    Tile {
        label: "TPU pack",
        value: bytes(*size),
        detail: format!("{}, {layout}", folder.display()),
        verdict: None,
    }
}

/// How it is run.
pub fn use_it(report: &Report) -> Vec<Part> {
    let Some(pack) = &report.pack else { return Vec::new() };
    let folder = pack.folder.file_name().unwrap_or(pack.folder.as_os_str());
    let name = folder.to_string_lossy();
    let same = format!("The folder {name} holds the same weights for programs that use a TPU");
    if pack.layout != "compressed-tensors" {
        return vec![Part::Text(format!(
            "{same}, as JAX has them: the leaves of qwix's QArray under the names of flax.nnx, in \
             safetensors."
        ))];
    }
    // Embedding and output head are floats there.
    let is_linear = |tensor: &&TensorReport| layer_part(&tensor.name).is_some();
    let has_int4 = report.tensors.iter().filter(is_linear).any(|tensor| tensor.format == "Q4_0");
    match has_int4 {
        true => vec![Part::Text(format!(
            "{same}, as compressed-tensors has them: transformers and JAX read int4, which vLLM's \
             back end for TPUs does not."
        ))],
        false => vec![
            Part::Text(format!("{same}, as compressed-tensors has them; vLLM, for example:")),
            Part::Command(Command::new("vllm").word("serve").word(as_file(folder))),
        ],
    }
}
