//! OpenCog data on its way to a companion file and back: what is asked for, read, coded, written.
//!
//! A companion is packed alone ([`pack`]), or made beside a model that is quantized. [`export`]
//! writes its atoms as text again, [`stats`] tells what there is, [`query`](query()) finds what matches a
//! pattern.

mod carried;
mod code;
mod language;
mod made;
mod metta;
mod named;
mod opened;
mod query;
mod read;
mod request;
mod run;
mod text;
mod validate;

pub(crate) use made::{Companion, Mode};
pub(crate) use named::{NAME_KEY, SHA256_KEY};
pub use named::{Named, State, named};
pub use query::{Answer, QueryJob, query};
pub use request::{AttentionCoding, Enabled, Request, Sorting};
pub use run::{ExportJob, ExportTarget, Exported, PackJob, export, pack, stats};

use std::path::{Path, PathBuf};

/// Where the companion of a model is: `kb.opencog.gguf` beside `kb.gguf`.
pub fn companion_of(model: &Path) -> PathBuf {
    model.with_extension("opencog.gguf")
}
