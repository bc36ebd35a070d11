//! What a model's outputs tell, on text that it writes itself: what of its weights matters, and
//! what was lost.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::calibrate::{
    CalibrationText, Diversity, HeldOut, Importance, Learn, Recipe, Sequence, generate, importance,
};
use crate::config::{Config, Effort, LEAST_SEQ_LEN};
use crate::evaluate::{
    NO_LOGITS, Tokens, context_within, eval_context, evaluation, model_context, own_chunks,
    text_chunks,
};
use crate::gguf::Gguf;
use crate::model::{Model, ModelError, Vocabulary};
use crate::progress::Progress;
use crate::quantize::{Aim, Found, Judge, Losses, Search, SearchError, Searchable, search_family};
use crate::report::{Activations, Evaluation, TextSource};
use crate::validate::{
    Alignment, Along, Chunks, CompareError, Position, Reference, Statistics, Target, align, compare,
};
use crate::work::{Work, WorkError};

/// Why nothing is measured if the model soon ended each of its texts.
pub const TOO_LITTLE_TEXT: &str = "the model's own texts are too short to be scored";

/// A full-precision model that can be run, and the text that it wrote.
#[derive(Debug)]
pub struct Outputs<'a> {
    model: Model<'a>,
    learn: Learn,
    held_out: HeldOut,
    /// What its tokens stand for.
    vocabulary: Vocabulary,
    /// How varied the text is.
    pub diversity: Diversity,
    /// Why nothing is measured on the evaluation text, if nothing is.
    pub unread: Option<String>,
    /// What losses are measured on.
    texts: Vec<(TextSource, Chunks)>,
    /// What the model makes of its own held-out text, once that was asked.
    reference: OnceCell<Reference>,
}

impl<'a> Outputs<'a> {
    /// Lets the model write; where that is not asked for or the model cannot be run, the reason.
    pub fn see(
        gguf: &'a Gguf,
        config: &Config,
        eval_text: Option<&Path>,
        work: &Work,
        progress: &dyn Progress,
    ) -> Result<Result<Outputs<'a>, String>, Error> {
        if config.effort == Effort::Fast {
            return Ok(Err("--effort fast looks at weights only".into()));
        }
        let model = match Model::of(gguf) {
            Ok(model) => model,
            Err(reason) => return Ok(Err(reason.to_string())),
        };
        let tokens = match Tokens::of(gguf) {
            Ok(tokens) => tokens,
            Err(reason) => return Ok(Err(reason.to_string())),
        };
        let context = model_context(gguf);
        if let Some(tokens) = context.filter(|&tokens| tokens < LEAST_SEQ_LEN) {
            let least = LEAST_SEQ_LEN;
            let reason =
                format!("its context of {tokens} tokens is too short for text: it needs {least}");
            return Ok(Err(reason));
        }
        let (batches, batch_size) = (config.batches(), config.batch_size());
        let seq_len = context_within(gguf, "--seq-len", config.calibration.seq_len)?;
        let recipe = Recipe { batches, batch_size, seq_len, context, seed: config.seed };
        let (mut texts, mut unread) = (Vec::new(), None);
        match eval_text.map(|path| (path, tokens.tokenizer())) {
            None => {}
            Some((path, Ok(tokenizer))) => {
                let chunks = text_chunks(path, tokenizer, eval_context(gguf), None)?;
                texts.push((TextSource::File(PathBuf::from(path)), chunks));
            }
            Some((path, Err(reason))) => {
                let path = path.display();
                unread = Some(format!("--eval-text {path}: nothing is measured on it: {reason}"));
            }
        }
        // What ends a model's writing is as much a result as what it wrote.
        let text: Result<CalibrationText, String> = work.remember("text", || {
            let text = generate(&model, &tokens.seed_source(), &recipe, progress);
            Ok::<_, WorkError>(text.map_err(|reason| reason.to_string()))
        })?;
        Ok(text.map(|CalibrationText { learn, held_out, diversity }| {
            // What is too short to be scored is left out.
            if let Ok(chunks) =
                own_chunks(held_out.sequences(), recipe.seq_len, tokens.vocabulary())
            {
                texts.insert(0, (TextSource::Own { seed: config.seed }, chunks));
            }
            let (reference, vocabulary) = (OnceCell::new(), tokens.vocabulary().clone());
            Outputs { model, learn, held_out, vocabulary, diversity, unread, texts, reference }
        }))
    }

    /// Whether there is enough text of the model's own to measure losses on.
    pub fn has_own_text(&self) -> bool {
        self.texts.iter().any(|(source, _)| source.is_own())
    }

    /// The importance of every input.
    pub fn importance(&self, progress: &dyn Progress) -> Result<Importance, ModelError> {
        importance(&self.model, &slices(self.learn.sequences()), progress)
    }

    /// Searches for the smallest or the best model; if it cannot be judged, the reason.
    pub fn search(
        &self,
        gguf: &'a Gguf,
        config: &Config,
        searchable: &Searchable,
        work: &Work,
        progress: &dyn Progress,
    ) -> Result<Result<Found, String>, SearchError> {
        let aim = match config.target() {
            Some(Target { kld, .. }) if !config.goal.is_a_size() => Aim::Smallest { kld },
            _ => Aim::Best,
        };
        let text = self.text();
        let search = Search { aim, ..self.best(gguf, (config, searchable), &text, work, progress) };
        self.judged(progress, |judge| search.run(judge))
    }

    /// Searches for the best model within the limits of each; if they cannot be judged, the reason.
    pub fn search_family(
        &self,
        gguf: &'a Gguf,
        limits: &[(Config, Searchable)],
        work: &Work,
        progress: &dyn Progress,
    ) -> Result<Result<Vec<Found>, String>, SearchError> {
        let text = self.text();
        let search =
            |(config, searchable)| self.best(gguf, (config, searchable), &text, work, progress);
        let searches: Vec<Search> = limits.iter().map(|(c, s)| search((c, s))).collect();
        self.judged(progress, |judge| search_family(&searches, judge))
    }

    /// The search for the best model within the limits.
    fn best<'s>(
        &'s self,
        gguf: &'a Gguf,
        (config, searchable): (&'s Config, &'s Searchable),
        (learn, held_out): &'s (Vec<&'s [u32]>, Vec<&'s [u32]>),
        work: &'s Work,
        progress: &'s dyn Progress,
    ) -> Search<'s, 'a> {
        let (model, aim) = (&self.model, Aim::Best);
        Search { gguf, model, config, searchable, sequences: learn, held_out, aim, work, progress }
    }

    /// What a search learns from, and what judges layers in training.
    fn text(&self) -> (Vec<&[u32]>, Vec<&[u32]>) {
        (slices(self.learn.sequences()), slices(self.held_out.sequences()))
    }

    /// What a search finds that is judged on held-out text; if it cannot be judged, the reason.
    fn judged<T>(
        &self,
        progress: &dyn Progress,
        search: impl FnOnce(&mut dyn Judge) -> Result<T, SearchError>,
    ) -> Result<Result<T, String>, SearchError> {
        let Some(mut referee) = self.referee(progress) else {
            return Ok(Err(TOO_LITTLE_TEXT.into()));
        };
        match search(&mut referee) {
            Err(SearchError::Model(reason)) if reason.is_overflow() => Ok(Err(reason.to_string())),
            found => found.map(Ok),
        }
    }

    /// How far the quantized model at `path`, as llama.cpp runs it, is from the full-precision one at
    /// `base`: on held-out text of its own, then on the evaluation text; if llama.cpp cannot hold
    /// what one of them computes, the reason. Errors call the model by its `name`, as its path may be
    /// one that only this run knows.
    pub fn measure(
        &self,
        base: &Path,
        path: &Path,
        name: &Path,
        progress: &dyn Progress,
    ) -> Result<Result<Vec<Evaluation>, String>, Error> {
        let gguf = Gguf::open(path)?;
        let mut quantized = Model::of(&gguf).map_err(|e| Error::model(name, e))?;
        quantized.weights.round_activations();
        let mut measured = Vec::new();
        for (source, chunks) in &self.texts {
            let positions = match self.reference.get() {
                Some(reference) if source.is_own() => {
                    reference.compare(&self.model, &quantized, usize::MAX, progress)
                }
                _ => compare(&self.model, &quantized, chunks, NO_LOGITS, progress),
            };
            let positions = match positions {
                Err(CompareError::Model(e)) if e.is_overflow() => return Ok(Err(e.to_string())),
                positions => positions.map_err(|e| Error::compare(base, name, e))?,
            };
            let (source, activations) = (source.clone(), Activations::Rounded);
            let decode = |tokens: &[u32]| self.vocabulary.decode(tokens);
            let along = Along::of(chunks, &positions, decode);
            measured.push(evaluation(chunks, &positions, along, source, activations, &gguf));
        }
        Ok(Ok(measured))
    }

    /// How far the activations of the quantized model at `path`, as llama.cpp runs it, are from those
    /// of the full-precision one on held-out text; if there is none, or if one of them cannot be run
    /// on it, the reason.
    pub fn align(&self, path: &Path) -> Result<Result<Alignment, String>, Error> {
        let Some((_, chunks)) = self.texts.first() else { return Ok(Err(TOO_LITTLE_TEXT.into())) };
        let gguf = Gguf::open(path)?;
        let aligned = Model::of(&gguf).and_then(|mut quantized| {
            quantized.weights.round_activations();
            align(&self.model, &quantized, chunks)
        });
        Ok(aligned.map_err(|reason| reason.to_string()))
    }

    /// The full-precision model.
    pub fn model(&self) -> &Model<'a> {
        &self.model
    }

    /// What a model loses on held-out text of the full-precision model's own, as llama.cpp runs it;
    /// `None` where there is too little of it.
    pub fn losses_of(
        &self,
        model: &Model,
        progress: &dyn Progress,
    ) -> Result<Option<Statistics>, CompareError> {
        let Some(referee) = self.referee(progress) else { return Ok(None) };
        Ok(Some(Statistics::of(&referee.positions(model, usize::MAX)?)))
    }

    /// Who measures models, if there is text enough of the full-precision model's own.
    fn referee<'r>(&'r self, progress: &'r dyn Progress) -> Option<Referee<'r, 'a>> {
        let (_, chunks) = self.texts.iter().find(|(source, _)| source.is_own())?;
        Some(Referee { model: &self.model, chunks, reference: &self.reference, progress })
    }
}

fn slices(sequences: &[Sequence]) -> Vec<&[u32]> {
    sequences.iter().map(Vec::as_slice).collect()
}

/// Measures models on held-out text of the full-precision model's own, as llama.cpp runs them.
struct Referee<'r, 'a> {
    model: &'r Model<'a>,
    chunks: &'r Chunks,
    /// What the full-precision model makes of the text, once it was asked.
    reference: &'r OnceCell<Reference>,
    progress: &'r dyn Progress,
}

impl Referee<'_, '_> {
    /// How far a model is from the full-precision one at each scored position of the first `chunks`.
    fn positions(&self, model: &Model, chunks: usize) -> Result<Vec<Position>, CompareError> {
        let mut model = model.clone();
        model.weights.round_activations();
        self.reference()?.compare(self.model, &model, chunks, self.progress)
    }

    /// What the full-precision model makes of the text: read once.
    fn reference(&self) -> Result<&Reference, ModelError> {
        match self.reference.get() {
            Some(reference) => Ok(reference),
            None => {
                let read = Reference::read(self.model, self.chunks.clone())?;
                Ok(self.reference.get_or_init(|| read))
            }
        }
    }
}

impl Judge for Referee<'_, '_> {
    fn losses(&mut self, model: &Model, chunks: usize) -> Result<Losses, SearchError> {
        let positions = self.positions(model, chunks).map_err(|reason| match reason {
            CompareError::Model(reason) => SearchError::Model(reason),
            reason => SearchError::Measure(Box::new(reason)),
        })?;
        Ok(Losses::new(positions.iter().map(|position| position.kld).collect()))
    }
}
