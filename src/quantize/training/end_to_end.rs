//! The whole quantized model at once learns to say what the full-precision model says.
//!
//! The loss is the KL divergence of the next token at temperature 1 on text that the model wrote
//! itself, never the text's own tokens: the aim is the model as it is, not a better one. Of the
//! held-out text the same is measured several times on the way, and the best that was measured is
//! returned.
//!
//! All layers are trained at once, so their latents are in memory, as told in `student.rs`. At each
//! check they are kept in the work folder, as told in `states.rs`.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::model::{Model, ModelError, Session, Untraced, Wanted};
use crate::progress::{Amount, Progress};
use crate::quantize::encoded::{Encoded, Encodings, with_encodings};
use crate::quantize::error::SearchError;
use crate::work::Work;

use super::adam::{Step, cosine_decay, warm_up};
use super::latent_layer::StepLengths;
use super::schedule::Schedule;
use super::states::States;
use super::student::{Lesson, Student};

/// What training works on.
pub struct EndToEnd<'b, 'a> {
    /// In full precision.
    pub model: &'b Model<'a>,
    /// Sequences to learn from.
    pub learn: &'b [&'b [u32]],
    /// Sequences that judge.
    pub held_out: &'b [&'b [u32]],
    /// Tokens to learn from; the text is passed again, in another order, where it has fewer.
    pub tokens: usize,
    /// How the model is trained.
    pub training: EndToEndTraining,
    /// Names what is kept among all that this run trains.
    pub round: usize,
    /// Where the state is kept.
    pub work: &'b Work,
    /// Hears how far it is.
    pub progress: &'b dyn Progress,
}

/// How a model is trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EndToEndTraining {
    /// Sequences of one step.
    pub batch: usize,
    /// How far the longest steps go.
    pub longest: StepLengths,
    /// The share of all steps after which they are longest.
    pub warm_up: f64,
    /// How often held-out text is measured on the way, the end included.
    pub checks: usize,
    /// Decides the order of the sequences.
    pub seed: u64,
}

impl Default for EndToEndTraining {
    fn default() -> EndToEndTraining {
        EndToEndTraining {
            batch: 4,
            longest: StepLengths { weights: 2e-3, scales: 1e-4, gains: 1e-4 },
            warm_up: 0.1,
            checks: 4,
            seed: 0,
        }
    }
}

/// What was measured on held-out text.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Tokens learnt from until then.
    pub tokens: usize,
    /// Mean KL(full precision || quantized) in nats per token.
    pub kld: f64,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct TrainedWhole {
    /// All tensors of the quantized model: the matrices of layers in block formats and all norms as
    /// they were when least was lost, which may be before any was trained.
    pub encodings: Encodings,
    /// What was measured, first before training.
    pub checks: Vec<Check>,
    /// How long it took, over all runs that had a part in it.
    pub seconds: f64,
}

/// What is kept of a check beside the tensors.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Kept {
    check: Check,
    /// From the check before on.
    seconds: f64,
}

/// Trains a quantized model, whose tensors are `encodings`.
pub fn train_end_to_end(
    context: &EndToEnd,
    encodings: &Encodings,
) -> Result<TrainedWhole, SearchError> {
    let &EndToEnd { model, training, round, work, progress, .. } = context;
    let quantized = with_encodings(model, encodings);
    let sequences = [context.learn, context.held_out].concat();
    let longest = sequences.iter().map(|tokens| tokens.len()).max().unwrap_or(0);
    let student = Student::new(model, &quantized, encodings, longest, training.longest);
    let mut run = Run::new(context, student);
    let tokens = run.schedule.tokens(run.schedule.steps);
    progress.start("training end to end", Amount::Tokens(tokens as u64));
    let (mut best, mut checks, mut seconds) = (encodings.clone(), Vec::<Check>::new(), 0.0);
    for number in 0..=training.checks {
        let since = Instant::now();
        let kept = work.remember(&format!("end-to-end-{round}-{number}"), || {
            let check = run.check(number)?;
            Ok::<_, SearchError>(Kept { check, seconds: since.elapsed().as_secs_f64() })
        })?;
        let check = kept.check;
        tracing::info!(tokens = check.tokens, kld = check.kld, "trained end to end");
        if number > 0 && checks.iter().all(|earlier| check.kld < earlier.kld) {
            best.extend(run.encodings(number)?);
        }
        run.checked = check.kld;
        run.tell(check.tokens);
        checks.push(check);
        seconds += kept.seconds;
    }
    States { work, round }.forget(&run.student, training.checks)?;
    progress.finish();
    Ok(TrainedWhole { encodings: best, checks, seconds })
}

/// A student, and how far it is.
struct Run<'b, 'a, 't> {
    context: &'b EndToEnd<'b, 'a>,
    student: Student<'t>,
    /// The check at which it stands.
    at: usize,
    schedule: Schedule,
    full: Session<'b, 'a>,
    /// What the full-precision model makes of each sequence that is learnt from, once it is needed.
    taught: Vec<Option<Vec<f32>>>,
    /// And of each batch of held-out text.
    held_out: Vec<Vec<f32>>,
    /// Tokens that progress has heard of.
    told: usize,
    /// KLD on held-out text, at the last check.
    checked: f64,
}

impl<'b, 'a, 't> Run<'b, 'a, 't> {
    fn new(context: &'b EndToEnd<'b, 'a>, student: Student<'t>) -> Run<'b, 'a, 't> {
        let &EndToEnd { model, learn, tokens, training, .. } = context;
        let lengths = learn.iter().map(|tokens| tokens.len()).collect();
        let schedule = Schedule::new(lengths, tokens, training.batch, training.seed);
        let (full, taught) = (Session::new(model), vec![None; learn.len()]);
        Run {
            context,
            student,
            at: 0,
            schedule,
            full,
            taught,
            held_out: Vec::new(),
            told: 0,
            checked: f64::NAN,
        }
    }

    /// Steps until a check.
    fn steps(&self, check: usize) -> usize {
        self.schedule.steps.saturating_mul(check) / self.context.training.checks.max(1)
    }

    /// Progress hears of the tokens learnt from.
    fn tell(&mut self, tokens: usize) {
        self.context.progress.advance(tokens.saturating_sub(self.told) as u64);
        self.told = self.told.max(tokens);
    }

    /// Measures the student at a check.
    fn check(&mut self, check: usize) -> Result<Check, SearchError> {
        self.go_to(check)?;
        let EndToEnd { held_out, training, .. } = self.context;
        let batches = held_out.chunks(training.batch);
        if self.held_out.is_empty() {
            let hidden = batches.clone().map(|sequences| hidden(&mut self.full, sequences));
            self.held_out = hidden.collect::<Result<_, _>>()?;
        }
        let (mut sum, mut tokens) = (0.0, 0);
        for (sequences, hidden) in batches.zip(&self.held_out) {
            sum += self.student.kl(Lesson { sequences, hidden })?;
            tokens += sequences.iter().map(|tokens| tokens.len()).sum::<usize>();
        }
        Ok(Check {
            tokens: self.schedule.tokens(self.steps(check)),
            kld: sum / tokens.max(1) as f64,
        })
    }

    /// What was trained until a check, now or by an earlier run.
    fn encodings(&mut self, check: usize) -> Result<Encodings, SearchError> {
        let EndToEnd { round, work, .. } = *self.context;
        let kept_as = |name: &str| format!("end-to-end-{round}-{check}-{name}");
        let candidates = self.student.candidates();
        let kept = candidates.iter().map(|(name, &to)| {
            let bytes = work.recall_bytes(&kept_as(name), None)?;
            Some((name.clone(), Encoded::new(to, bytes)))
        });
        if let Some(encodings) = kept.collect() {
            return Ok(encodings);
        }
        self.go_to(check)?;
        let mut encodings = Encodings::new();
        for part in 0..self.student.parts() {
            for (name, bytes) in self.student.contents(part) {
                let bytes =
                    work.remember_bytes::<SearchError>(&kept_as(&name), None, || Ok(bytes))?;
                let to = candidates[&name];
                encodings.insert(name, Encoded::new(to, bytes));
            }
        }
        Ok(encodings)
    }

    /// Brings the student to a check: from the last state that was kept, else by training.
    fn go_to(&mut self, check: usize) -> Result<(), SearchError> {
        let EndToEnd { round, work, .. } = *self.context;
        let states = States { work, round };
        let mut later = (self.at + 1..=check).rev();
        if let Some(kept) = later.find(|&at| states.restore(&mut self.student, at)) {
            self.at = kept;
            // A run that was killed may have left them.
            (1..kept).try_for_each(|earlier| states.forget(&self.student, earlier))?;
        }
        while self.at < check {
            self.train()?;
            states.keep(&mut self.student, self.at)?;
            states.forget(&self.student, self.at - 1)?;
        }
        Ok(())
    }

    /// Trains the student until the next check.
    fn train(&mut self) -> Result<(), SearchError> {
        let (learn, all) = (self.context.learn, self.schedule.steps);
        for index in self.steps(self.at)..self.steps(self.at + 1) {
            let batch = self.schedule.batch(index);
            let sequences: Vec<&[u32]> = batch.iter().map(|&sequence| learn[sequence]).collect();
            let hidden = self.taught(&batch)?;
            let lesson = Lesson { sequences: &sequences, hidden: &hidden };
            let (number, tokens) = (index + 1, sequences.concat().len());
            let warm_up = warm_up(number, all, self.context.training.warm_up);
            let decay = warm_up * cosine_decay(number, all);
            let kl = self.student.learn(lesson, Step::new(number), decay)?;
            let kld = kl / tokens as f64;
            tracing::debug!(number, kld, "step");
            let checked = self.checked;
            self.context.progress.tell(&format!("KLD {kld:.4}, on held-out text {checked:.4}"));
            self.tell(self.schedule.tokens(number));
        }
        self.at += 1;
        Ok(())
    }

    /// What the full-precision model makes of the sequences of a step, each looked at alone, so that
    /// nothing depends on which of them were seen before.
    fn taught(&mut self, batch: &[usize]) -> Result<Vec<f32>, ModelError> {
        let mut together = Vec::new();
        for &sequence in batch {
            let taught = match self.taught[sequence].take() {
                Some(taught) => taught,
                None => hidden(&mut self.full, &[self.context.learn[sequence]])?,
            };
            together.extend_from_slice(&taught);
            self.taught[sequence] = Some(taught);
        }
        Ok(together)
    }
}

/// What the full-precision model makes of sequences.
fn hidden(full: &mut Session, sequences: &[&[u32]]) -> Result<Vec<f32>, ModelError> {
    full.hidden(sequences, Wanted::All, &mut Untraced)
}
