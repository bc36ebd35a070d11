//! Why a run failed.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

use crate::config::ConfigError;
use crate::gguf::{self, Gguf};
use crate::hardware::tpu::PackError;
use crate::model::{ModelError, TokenizerError};
use crate::quantize::{PlanError, SearchError, StoreError};
use crate::validate::{ChunkError, CompareError};
use crate::work::WorkError;

/// Why a run failed. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value that makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file that cannot be read or written.
    #[error(transparent)]
    Gguf(#[from] gguf::Error),
    /// A sound file that holds no model.
    #[error("{}: {what}", .path.display())]
    NotAModel {
        /// The file.
        path: PathBuf,
        /// What it is, and what to do.
        what: &'static str,
    },
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
    /// A search that ended without a model.
    #[error("{}: {reason}", .input.display())]
    Search {
        /// The model.
        input: PathBuf,
        /// Why.
        #[source]
        reason: SearchError,
    },
    /// A model whose sizes cannot be searched for together.
    #[error(
        "{}: family compares what models lose, and that cannot be measured: {reason}; make each size \
         by a run of its own",
        .input.display()
    )]
    Family {
        /// The model.
        input: PathBuf,
        /// Why.
        reason: String,
    },
    /// The work folder cannot be used.
    #[error(transparent)]
    Work(#[from] WorkError),
    /// A model that cannot be run.
    #[error("{}: {reason}", .path.display())]
    Model {
        /// The model.
        path: PathBuf,
        /// Why.
        reason: ModelError,
    },
    /// A model that cannot be packed for a TPU.
    #[error("{}: {reason}", .path.display())]
    Pack {
        /// The model.
        path: PathBuf,
        /// Why.
        reason: PackError,
    },
    /// A model whose tokenizer cannot be used.
    #[error("{}: {reason}", .path.display())]
    Tokenizer {
        /// The model.
        path: PathBuf,
        /// Why.
        reason: TokenizerError,
    },
    /// A text that nothing can be measured on.
    #[error("{}: {reason}", .path.display())]
    Text {
        /// The text, or the model that wrote it.
        path: PathBuf,
        /// Why.
        reason: ChunkError,
    },
    /// More tokens than the model takes.
    #[error(
        "{flag} {asked}: {} has a context of {context} tokens; ask for at most that many",
        .model.display()
    )]
    BeyondContext {
        /// The model.
        model: PathBuf,
        /// The flag that asks for so many.
        flag: &'static str,
        /// Tokens asked for.
        asked: usize,
        /// Tokens that the model takes.
        context: usize,
    },
    /// Two models that cannot be compared.
    #[error("{} against {}: {reason}", .quantized.display(), .base.display())]
    Compare {
        /// The full-precision model.
        base: PathBuf,
        /// The quantized model.
        quantized: PathBuf,
        /// Why.
        reason: CompareError,
    },
    /// A file beside the models that cannot be read or written.
    #[error("{}: {doing}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What could not be done.
        doing: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// OpenCog data that cannot be used.
    #[error("{}: {fault}", .path.display())]
    OpenCog {
        /// The file.
        path: PathBuf,
        /// Where it is broken, what was expected and what was found.
        fault: String,
    },
    /// The output is the input.
    #[error("{}: is the input {} itself; name another output", .output.display(), .input.display())]
    OutputIsInput {
        /// The model, or the text to measure on.
        input: PathBuf,
        /// The same file, as it was named.
        output: PathBuf,
    },
    /// The report is another file of the run.
    #[error("{}: is {} itself; name another report", .report.display(), .file.display())]
    ReportIsOther {
        /// The report, as it was named.
        report: PathBuf,
        /// The same file: the input, the output or the text.
        file: PathBuf,
    },
    /// The folder for a TPU is another file of the run, or has one in it.
    #[error(
        "{}: the folder for the TPU would be {} itself or hold it; name another output",
        .pack.display(),
        .file.display()
    )]
    PackIsOther {
        /// The folder.
        pack: PathBuf,
        /// The input, the text, an output or the report.
        file: PathBuf,
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
    pub(crate) fn model(path: &Path, reason: ModelError) -> Error {
        Error::Model { path: path.into(), reason }
    }

    /// What went wrong with the folder names it; what went wrong with the model, the input.
    pub(crate) fn pack(path: &Path, reason: PackError) -> Error {
        match reason {
            PackError::Write(error) => Error::Gguf(error),
            reason => Error::Pack { path: path.into(), reason },
        }
    }

    pub(crate) fn tokenizer(path: &Path, reason: TokenizerError) -> Error {
        Error::Tokenizer { path: path.into(), reason }
    }

    pub(crate) fn text(path: &Path, reason: ChunkError) -> Error {
        Error::Text { path: path.into(), reason }
    }

    pub(crate) fn compare(base: &Path, quantized: &Path, reason: CompareError) -> Error {
        Error::Compare { base: base.into(), quantized: quantized.into(), reason }
    }

    pub(crate) fn file(path: &Path, doing: &'static str, source: io::Error) -> Error {
        Error::File { path: path.into(), doing, source }
    }

    pub(crate) fn opencog(path: &Path, fault: impl Display) -> Error {
        Error::OpenCog { path: path.into(), fault: fault.to_string() }
    }

    pub(crate) fn plan(input: &Path, reason: PlanError) -> Error {
        Error::Plan { input: input.into(), reason }
    }

    /// What went wrong with the output names it; what went wrong with weights, the input.
    pub(crate) fn search(input: &Path, reason: SearchError) -> Error {
        match reason {
            SearchError::Work(reason) => Error::Work(reason),
            SearchError::Plan(reason) => Error::plan(input, reason),
            reason => Error::Search { input: input.into(), reason },
        }
    }

    pub(crate) fn store(input: &Path, reason: StoreError) -> Error {
        match reason {
            StoreError::Write(error) => Error::Gguf(error),
            reason => Error::Weights { input: input.into(), reason },
        }
    }

    /// Metadata or tensors of the input that cannot be written again.
    pub(crate) fn output(gguf: &Gguf, what: String) -> Error {
        Error::Gguf(gguf::Error::Unsupported { path: first_path(gguf), what })
    }

    pub(crate) fn beyond_context(
        gguf: &Gguf,
        flag: &'static str,
        asked: usize,
        context: usize,
    ) -> Error {
        Error::BeyondContext { model: first_path(gguf), flag, asked, context }
    }
}

fn first_path(gguf: &Gguf) -> PathBuf {
    gguf.paths().next().unwrap_or(Path::new("")).into()
}
