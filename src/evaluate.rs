//! The `eval` command on one page: two models, a text, and how far they are apart on it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::calibrate::{Recipe, SeedSource, generate, seed_source};
use crate::gguf::{Gguf, OutputFile};
use crate::input::open_model;
use crate::model::{Model, Tokenizer, TokenizerError, Vocabulary, context_length};
use crate::progress::Progress;
use crate::report::{
    Activations, Evaluation, EvaluationReport, ReportFile, TextSource, rounding_kld,
};
use crate::same_file::refuse_same;
use crate::threads;
use crate::validate::{
    Along, CONTEXT, Chunks, CompareError, LogitsWriter, Position, Statistics, compare,
};

/// Chunks of the model's own text where none is given.
const OWN_CHUNKS: usize = 16;

/// What to compare, and on which text.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluationJob {
    /// The full-precision model.
    pub base: PathBuf,
    /// The quantized model.
    pub quantized: PathBuf,
    /// The text; `None` for one that the full-precision model writes.
    pub text: Option<PathBuf>,
    /// Chunks of it, at most.
    pub chunks: Option<usize>,
    /// Tokens of a chunk; `None` for 512, or the model's context where that is shorter.
    pub context: Option<usize>,
    /// How activations meet weights.
    pub activations: Activations,
    /// Where the full-precision model's predictions are kept for llama-perplexity.
    pub logits: Option<PathBuf>,
    /// Where a report of what was found is written, if anywhere; an existing file is replaced.
    pub report: Option<ReportFile>,
    /// Whether an existing file of predictions is replaced.
    pub force: bool,
    /// Where the randomness of the model's own text comes from.
    pub seed: u64,
    /// Threads to work with; `None` for one on each core. The result does not depend on it.
    pub threads: Option<usize>,
}

/// Compares two models.
pub fn run(job: &EvaluationJob, progress: &dyn Progress) -> Result<Evaluation, Error> {
    let Some(to) = &job.report else {
        return threads::pool(job.threads)?.install(|| evaluate(job, progress));
    };
    let (base, quantized) = (&job.base, &job.quantized);
    let read: Vec<&Path> =
        [base, quantized].into_iter().chain(&job.text).map(PathBuf::as_path).collect();
    refuse_same(&read, job.logits.as_slice(), Some(to.path()))?;
    let mut file = to.begin()?;
    let evaluation = threads::pool(job.threads)?.install(|| evaluate(job, progress))?;
    to.store(&EvaluationReport { base, quantized, evaluation: &evaluation }, &mut file)?;
    file.commit()?;
    Ok(evaluation)
}

fn evaluate(job: &EvaluationJob, progress: &dyn Progress) -> Result<Evaluation, Error> {
    let (base, quantized) = (open_model(&job.base)?, open_model(&job.quantized)?);
    let mut base_model = Model::of(&base).map_err(|e| Error::model(&job.base, e))?;
    let mut quantized_model = Model::of(&quantized).map_err(|e| Error::model(&job.quantized, e))?;
    let tokens = Tokens::of(&base).map_err(|e| Error::tokenizer(&job.base, e))?;
    let context = context_within(&base, "--context", job.context)?;
    // Begun before the work, so that a file that cannot be written is known at once.
    let logits =
        job.logits.as_deref().map(|path| OutputFile::create(path, job.force)).transpose()?;

    let (chunks, source) = match &job.text {
        Some(text) => {
            let tokenizer = tokens.tokenizer().map_err(|e| Error::tokenizer(&job.base, e))?;
            let chunks = text_chunks(text, tokenizer, context, job.chunks)?;
            (chunks, TextSource::File(text.clone()))
        }
        None => {
            let count = job.chunks.unwrap_or(OWN_CHUNKS);
            let recipe = Recipe {
                batches: 1,
                batch_size: count,
                seq_len: context,
                context: model_context(&base),
                seed: job.seed,
            };
            let own = generate(&base_model, &tokens.seed_source(), &recipe, progress)
                .map_err(|e| Error::model(&job.base, e))?;
            let sequences = [own.learn.sequences(), own.held_out.sequences()].concat();
            let chunks = own_chunks(&sequences, context, tokens.vocabulary());
            (chunks.map_err(|e| Error::text(&job.base, e))?, TextSource::Own { seed: job.seed })
        }
    };
    if job.activations == Activations::Rounded {
        base_model.weights.round_activations();
        quantized_model.weights.round_activations();
    }
    let positions = match logits {
        None => compare(&base_model, &quantized_model, &chunks, NO_LOGITS, progress),
        Some(file) => keep_logits(&base_model, &quantized_model, &chunks, file, progress)?,
    };
    let positions = positions.map_err(|e| Error::compare(&job.base, &job.quantized, e))?;
    let along = Along::of(&chunks, &positions, |ids| tokens.vocabulary().decode(ids));
    Ok(evaluation(&chunks, &positions, along, source, job.activations, &quantized))
}

/// The tokens of a model. To let it write, a vocabulary is enough; a text that it did not write
/// takes a tokenizer too.
pub(crate) enum Tokens {
    /// With the tokenizer for them.
    WithTokenizer(Tokenizer),
    /// Without, and why.
    Alone(Vocabulary, TokenizerError),
}

impl Tokens {
    /// Those of this file.
    pub fn of(gguf: &Gguf) -> Result<Tokens, TokenizerError> {
        match Tokenizer::read(gguf.metadata()) {
            Ok(tokenizer) => Ok(Tokens::WithTokenizer(tokenizer)),
            Err(reason) => Vocabulary::read(gguf.metadata())
                .map(|vocabulary| Tokens::Alone(vocabulary, reason)),
        }
    }

    /// What they stand for.
    pub fn vocabulary(&self) -> &Vocabulary {
        match self {
            Tokens::WithTokenizer(tokenizer) => tokenizer.vocabulary(),
            Tokens::Alone(vocabulary, _) => vocabulary,
        }
    }

    /// What turns text into them, or why nothing does.
    pub fn tokenizer(&self) -> Result<&Tokenizer, TokenizerError> {
        match self {
            Tokens::WithTokenizer(tokenizer) => Ok(tokenizer),
            Tokens::Alone(_, reason) => Err(reason.clone()),
        }
    }

    /// What texts begin with.
    pub fn seed_source(&self) -> SeedSource {
        seed_source(self.vocabulary(), self.tokenizer().ok())
    }
}

/// The tokens that a model takes, where its metadata tells.
pub(crate) fn model_context(gguf: &Gguf) -> Option<usize> {
    context_length(gguf.metadata()).and_then(|tokens| usize::try_from(tokens).ok())
}

/// The tokens of a piece of text where no number is asked for: [`CONTEXT`], or all that the model
/// takes.
pub(crate) fn eval_context(gguf: &Gguf) -> usize {
    model_context(gguf).map_or(CONTEXT, |context| context.min(CONTEXT))
}

/// The tokens of a piece of text, as asked for by `flag` where they are, but no more than the model
/// takes: what lies beyond its context tells nothing of it.
pub(crate) fn context_within(
    gguf: &Gguf,
    flag: &'static str,
    asked: Option<usize>,
) -> Result<usize, Error> {
    match (model_context(gguf), asked) {
        (Some(context), Some(asked)) if asked > context => {
            Err(Error::beyond_context(gguf, flag, asked, context))
        }
        (_, asked) => Ok(asked.unwrap_or_else(|| eval_context(gguf))),
    }
}

/// No file of predictions.
pub(crate) const NO_LOGITS: Option<&mut LogitsWriter<OutputFile>> = None;

/// What was found at these positions of the quantized model in this file.
pub(crate) fn evaluation(
    chunks: &Chunks,
    positions: &[Position],
    along: Along,
    text: TextSource,
    activations: Activations,
    quantized: &Gguf,
) -> Evaluation {
    let (context, statistics) = (chunks.context(), Statistics::of(positions));
    let matrices = quantized.tensors().iter().filter(|tensor| tensor.rows() > 1);
    let rounding_kld = rounding_kld(matrices.map(|tensor| tensor.format));
    let chunks = chunks.len();
    Evaluation { text, activations, chunks, context, statistics, rounding_kld, along }
}

/// The chunks of a text file.
pub(crate) fn text_chunks(
    path: &Path,
    tokenizer: &Tokenizer,
    context: usize,
    limit: Option<usize>,
) -> Result<Chunks, Error> {
    let unreadable = |source| Error::file(path, "cannot read the text", source);
    let bytes = fs::read(path).map_err(unreadable)?;
    let text = String::from_utf8_lossy(&bytes);
    let tokens = tokenizer.encode_document(&text);
    let bos = tokenizer.vocabulary().leading();
    Chunks::new(tokens, context, limit, bos).map_err(|e| Error::text(path, e))
}

/// The chunks of sequences that a model wrote.
pub(crate) fn own_chunks(
    sequences: &[Vec<u32>],
    context: usize,
    vocabulary: &Vocabulary,
) -> Result<Chunks, crate::validate::ChunkError> {
    Chunks::new(sequences.concat(), context, None, vocabulary.leading())
}

/// Compares, and keeps the full-precision model's predictions in `file`.
fn keep_logits(
    base: &Model,
    quantized: &Model,
    chunks: &Chunks,
    file: OutputFile,
    progress: &dyn Progress,
) -> Result<Result<Vec<Position>, CompareError>, Error> {
    let target = file.target().to_path_buf();
    let unwritable = |source| Error::file(&target, "cannot write the predictions", source);
    let writer = LogitsWriter::new(file, chunks, base.weights.vocabulary());
    let mut writer = writer.map_err(unwritable)?;
    let positions = compare(base, quantized, chunks, Some(&mut writer), progress);
    if positions.is_ok() {
        writer.finish().map_err(unwritable)?.commit()?;
    }
    Ok(match positions {
        Err(CompareError::Logits(source)) => return Err(unwritable(source)),
        positions => positions,
    })
}
