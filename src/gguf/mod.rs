//! The container: reading and writing GGUF files.
//!
//! Reading: [`Gguf::open`] maps a file (and the other shards of a split one), checks every count,
//! length and offset once, and from then on [`Gguf::data`] cannot fail. Writing: [`Writer`] streams
//! to any sink, [`OutputFile`] is the sink that appears under its name only when it is complete.
//! Metadata keeps its types, its order and its bytes, so that what is read can be written back
//! byte for byte.

mod array;
mod cursor;
mod decode;
mod descriptor;
mod error;
mod folder;
mod foreign;
pub mod format;
mod header;
mod metadata;
mod output;
mod output_folder;
mod read;
mod split;
mod string;
mod tensor;
mod value;
mod value_type;
mod write;

pub use array::{Array, Strings};
pub use error::Error;
pub(crate) use folder::folder_of;
pub use format::Format;
pub use header::alignment;
pub use metadata::Metadata;
pub use output::{OutputFile, discard_unfinished};
pub use output_folder::{Known, OutputFolder};
pub use read::Gguf;
pub use string::GgufString;
pub use tensor::{Shape, TensorInfo, TensorSpec};
pub use value::Value;
pub use value_type::ValueType;
pub use write::{Writer, encoded_size, header_size};

/// The metadata key of the alignment of tensor data.
pub const ALIGNMENT_KEY: &str = "general.alignment";

/// The alignment of tensor data, in bytes, if the metadata names none.
pub const DEFAULT_ALIGNMENT: u64 = 32;
