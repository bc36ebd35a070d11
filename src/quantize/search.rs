//! The search: the smallest model within a KLD, or the best model within a size. Tensors are
//! quantized in the order of their sensitivity, and what the model has become is measured after
//! each step.

use std::error;

use serde::Serialize;

use crate::config::Config;
use crate::gguf::Gguf;
use crate::model::{Model, ModelError};
use crate::progress::Progress;
use crate::work::{Work, WorkError};

use super::encode::EncodeError;
use super::encoded::Encodings;
use super::plan::{Plan, PlanError};
use super::progressive::Progressive;
use super::searchable::Searchable;
use super::sensitivity::{Bands, Group};
use super::survey::{Survey, survey};

/// Measures models on held-out text.
pub trait Judge {
    /// Mean KL(full precision || `model`) in nats per token, on the first `chunks` of the text.
    fn kld(&mut self, model: &Model, chunks: usize) -> Result<f64, SearchError>;
}

/// Why a search ended without a model.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// A weight that no format can hold.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// There is no plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The model cannot be run.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The model cannot be measured.
    #[error("{0}")]
    Measure(#[source] Box<dyn error::Error + Send + Sync>),
    /// The work folder.
    #[error(transparent)]
    Work(#[from] WorkError),
}

/// What is searched for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Aim {
    /// The smallest model of at most this KLD.
    Smallest {
        /// In nats per token.
        kld: f64,
    },
    /// The model of the lowest KLD.
    Best,
}

/// What a search works on.
pub struct Search<'s, 'a> {
    /// The file.
    pub gguf: &'a Gguf,
    /// Its model, in full precision.
    pub model: &'s Model<'a>,
    /// What the user asks for.
    pub config: &'s Config,
    /// What may become of the tensors, and the limits.
    pub searchable: &'s Searchable,
    /// Text to learn from.
    pub sequences: &'s [&'s [u32]],
    /// What is searched for.
    pub aim: Aim,
    /// Where the state is kept.
    pub work: &'s Work,
    /// Hears how far it is.
    pub progress: &'s dyn Progress,
}

/// What a search found.
pub struct Found {
    /// The format of every tensor.
    pub plan: Plan,
    /// The tensors in these formats.
    pub encodings: Encodings,
    /// How it went.
    pub record: Record,
}

/// How a search went.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Record {
    /// What each tensor costs in each format, as predicted.
    pub sensitivities: Vec<TensorCosts>,
    /// What groups of tensors were measured to cost, all others in full precision.
    pub probes: Vec<Probe>,
    /// What was done, in order.
    pub steps: Vec<Step>,
    /// KLD of the final plan as it was predicted before the whole was measured.
    pub predicted_kld: Option<f64>,
    /// KLD of the final model on the text that decided.
    pub measured_kld: f64,
    /// KLD of the plain recipe of the same size: the same format for all tensors of a role,
    /// rounded without compensation.
    pub recipe_kld: Option<f64>,
}

/// What a tensor costs in each format.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TensorCosts {
    /// The tensor.
    pub tensor: String,
    /// In each format that it may have.
    pub formats: Vec<Cost>,
}

/// What a tensor costs in a format.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cost {
    /// The format.
    pub format: &'static str,
    /// Error of its outputs, as a share of their square.
    pub output_error: f64,
    /// Predicted KLD, in nats per token.
    pub predicted_kld: f64,
}

/// A group of tensors in the smallest formats, all others in full precision.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Probe {
    /// The tensors.
    pub group: Group,
    /// KLD.
    pub measured_kld: f64,
}

/// One step, and what the whole model so far was found to lose.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// What was done.
    pub kind: StepKind,
    /// Tensors that were encoded.
    pub tensors: usize,
    /// KLD that was predicted.
    pub predicted_kld: f64,
    /// KLD that was measured.
    pub measured_kld: f64,
    /// Whether what it made was kept.
    pub kept: bool,
}

/// What was done in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepKind {
    /// The next tensors in the order of sensitivity were quantized.
    Next,
    /// Formats were changed to come closer to the allowed KLD.
    Fit,
    /// Formats were exchanged at equal bytes.
    Exchange,
}

impl Search<'_, '_> {
    /// Searches.
    pub fn run(&self, judge: &mut dyn Judge) -> Result<Found, SearchError> {
        let bands = Bands::new(self.model.shape.layers);
        let mut sensitivities = self.searchable.sensitivities(self.gguf, bands);
        let survey: Survey = self.work.remember("survey", || {
            survey(self.gguf, self.model, self.sequences, &sensitivities, self.progress)
        })?;
        let importance = survey.importance(self.model.weights.tied);
        survey.fill(&mut sensitivities);

        let mut progressive = Progressive::new(self, &importance, &sensitivities, judge);
        progressive.probe()?;
        let reached = progressive.quantize_by_sensitivity()?;
        let reached = match self.aim {
            Aim::Smallest { kld } => progressive.fit(reached, kld)?,
            Aim::Best => progressive.exchange(reached)?,
        };
        let (plan, encodings) = progressive.against_recipe(reached)?;
        let record = progressive.into_record();
        Ok(Found { plan, encodings, record })
    }
}
