//! Why a run failed.

use std::io;
use std::path::{Path, PathBuf};

use crate::config::ConfigError;
use crate::gguf::{self, Gguf};
use crate::quantize::{PlanError, StoreError};

/// Why a run failed. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value that makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file that cannot be read or written.
    #[error(transparent)]
    Gguf(#[from] gguf::Error),
    /// A model that cannot be quantized as asked.
    #[error("{}: {reason}", .input.display())]
    Plan {
        /// The model.
        input: PathBuf,
        /// Why.
        reason: PlanError,
    },
    /// A model whose weights cannot be quantized.
    #[error("{}: {reason}", .input.display())]
    Weights {
        /// The model.
        input: PathBuf,
        /// Which weight, and why.
        reason: StoreError,
    },
    /// The output is the input.
    #[error("{}: is the input {} itself; name another output", .output.display(), .input.display())]
    OutputIsInput {
        /// The model.
        input: PathBuf,
        /// The same file, as it was named.
        output: PathBuf,
    },
    /// The report is a model.
    #[error("{}: is the model {} itself; name another report", .report.display(), .model.display())]
    ReportIsModel {
        /// The report, as it was named.
        report: PathBuf,
        /// The same file: the input or the output.
        model: PathBuf,
    },
    /// The report cannot be written.
    #[error("{}: cannot write the report", .path.display())]
    Report {
        /// The report.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// No threads to work with.
    #[error("cannot start the threads")]
    Threads(#[source] rayon::ThreadPoolBuildError),
}

impl Error {
    pub(crate) fn plan(input: &Path, reason: PlanError) -> Error {
        Error::Plan { input: input.into(), reason }
    }

    /// What went wrong with the output names it; what went wrong with weights, the input.
    pub(crate) fn store(input: &Path, reason: StoreError) -> Error {
        match reason {
            StoreError::Write(error) => Error::Gguf(error),
            reason => Error::Weights { input: input.into(), reason },
        }
    }

    /// Metadata or tensors of the input that cannot be written again.
    pub(crate) fn output(gguf: &Gguf, what: String) -> Error {
        let path = gguf.paths().next().unwrap_or(Path::new("")).into();
        Error::Gguf(gguf::Error::Unsupported { path, what })
    }
}
