//! What a model's outputs tell, on text that it writes itself: what of its weights matters, and
//! what was lost.

use std::path::{Path, PathBuf};

use crate::Error;
use crate::calibrate::{
    CalibrationText, Diversity, Importance, Recipe, generate, importance, seed_source,
};
use crate::config::{Calibration, Config, Effort, LEAST_SEQ_LEN};
use crate::evaluate::{
    NO_LOGITS, context_within, eval_context, evaluation, model_context, own_chunks, text_chunks,
};
use crate::gguf::Gguf;
use crate::model::{Model, ModelError, Tokenizer};
use crate::progress::Progress;
use crate::report::{Activations, Evaluation, TextSource};
use crate::validate::{Chunks, compare};

/// A full-precision model that can be run, and the text that it wrote.
#[derive(Debug)]
pub struct Outputs<'a> {
    model: Model<'a>,
    /// The importance of every input.
    pub importance: Importance,
    /// How varied the text is.
    pub diversity: Diversity,
    /// What losses are measured on.
    texts: Vec<(TextSource, Chunks)>,
}

impl<'a> Outputs<'a> {
    /// Lets the model write, and gathers what its text shows; where that is not asked for or the
    /// model cannot be run, the reason.
    pub fn see(
        gguf: &'a Gguf,
        config: &Config,
        eval_text: Option<&Path>,
        progress: &dyn Progress,
    ) -> Result<Result<Outputs<'a>, String>, Error> {
        if config.effort == Effort::Fast {
            return Ok(Err("--effort fast looks at weights only".into()));
        }
        let model = match Model::of(gguf) {
            Ok(model) => model,
            Err(reason) => return Ok(Err(reason.to_string())),
        };
        let tokenizer = match Tokenizer::read(gguf.metadata()) {
            Ok(tokenizer) => tokenizer,
            Err(reason) => return Ok(Err(reason.to_string())),
        };
        let context = model_context(gguf);
        if let Some(tokens) = context.filter(|&tokens| tokens < LEAST_SEQ_LEN) {
            let least = LEAST_SEQ_LEN;
            let reason =
                format!("its context of {tokens} tokens is too short for text: it needs {least}");
            return Ok(Err(reason));
        }
        let Calibration { batches, batch_size, seq_len } = config.calibration;
        let seq_len = context_within(gguf, "--seq-len", seq_len)?;
        let recipe = Recipe { batches, batch_size, seq_len, context, seed: config.seed };
        let mut texts = Vec::new();
        if let Some(path) = eval_text {
            let chunks = text_chunks(path, &tokenizer, eval_context(gguf), None)?;
            texts.push((TextSource::File(PathBuf::from(path)), chunks));
        }
        Ok(Outputs::write(model, &tokenizer, &recipe, texts, progress)
            .map_err(|reason| reason.to_string()))
    }

    fn write(
        model: Model<'a>,
        tokenizer: &Tokenizer,
        recipe: &Recipe,
        mut texts: Vec<(TextSource, Chunks)>,
        progress: &dyn Progress,
    ) -> Result<Outputs<'a>, ModelError> {
        let CalibrationText { learn, held_out, diversity } =
            generate(&model, &seed_source(tokenizer), recipe, progress)?;
        let learn: Vec<&[u32]> = learn.sequences().iter().map(Vec::as_slice).collect();
        let importance = importance(&model, &learn, progress)?;
        // What is too short to be scored is left out.
        if let Ok(chunks) = own_chunks(held_out.sequences(), recipe.seq_len, tokenizer) {
            texts.insert(0, (TextSource::Own { seed: recipe.seed }, chunks));
        }
        Ok(Outputs { model, importance, diversity, texts })
    }

    /// How far the quantized model at `path` is from the full-precision one at `base`: on held-out
    /// text of its own, then on the evaluation text.
    pub fn measure(
        &self,
        base: &Path,
        path: &Path,
        progress: &dyn Progress,
    ) -> Result<Vec<Evaluation>, Error> {
        let gguf = Gguf::open(path)?;
        let quantized = Model::of(&gguf).map_err(|e| Error::model(path, e))?;
        let measured = self.texts.iter().map(|(source, chunks)| {
            let positions = compare(&self.model, &quantized, chunks, NO_LOGITS, progress)
                .map_err(|e| Error::compare(base, path, e))?;
            Ok(evaluation(chunks, &positions, source.clone(), Activations::Float))
        });
        measured.collect()
    }
}
