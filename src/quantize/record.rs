//! How a search went, step by step: what a report tells of it.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::model::Role;

use super::training::{Check, TrainedBlock};

/// How a search went.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Record {
    /// What each tensor costs in each format, as predicted.
    pub sensitivities: Vec<TensorCosts>,
    /// What groups of tensors were measured to cost, all others in full precision.
    pub probes: Vec<Probe>,
    /// What was done, in order.
    pub steps: Vec<Step>,
    /// What training did, round by round.
    pub trained: Vec<TrainedRound>,
    /// KLD of the final plan as it was predicted before the whole was measured.
    pub predicted_kld: Option<f64>,
    /// KLD of the final model on the text that decided.
    pub measured_kld: f64,
    /// KLD of the plain recipe of the same size: the same format for all tensors of a kind,
    /// rounded without compensation.
    pub recipe_kld: Option<f64>,
    /// Bytes of a file with it.
    pub recipe_bytes: Option<u64>,
    /// The flag that allows no more bits: where a size was asked for, and where no model was found
    /// that loses as little as is allowed.
    pub bound_by: Option<String>,
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
    /// Its bits per weight.
    pub bpw: f64,
    /// Error of its outputs, as a share of their square.
    pub output_error: f64,
    /// Predicted KLD, in nats per token.
    pub predicted_kld: f64,
}

/// A group of tensors in the smallest formats, all others in full precision.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Probe {
    /// The tensors.
    pub group: Group,
    /// Their formats.
    pub formats: BTreeSet<&'static str>,
    /// KLD.
    pub measured_kld: f64,
}

/// One step, and what the whole model so far was found to lose.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// What was done.
    pub kind: StepKind,
    /// The tensors that were encoded.
    pub encoded: Vec<Chosen>,
    /// Bytes of a file with the model that was measured: tensors that no step has reached yet are
    /// in the formats of the input.
    pub bytes: u64,
    /// KLD that was predicted.
    pub predicted_kld: f64,
    /// KLD that was measured.
    pub measured_kld: f64,
    /// If the step was to lose less than what was before: the standard error of the difference. No
    /// smaller difference counts, unless it brings the model within the allowed KLD.
    pub noise: Option<f64>,
    /// Whether what it made was kept.
    pub kept: bool,
}

/// One round of training: all layers one after another, and together where that is asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrainedRound {
    /// KLD before.
    pub untrained_kld: f64,
    /// KLD of what lost least after.
    pub trained_kld: f64,
    /// Whether it was kept: if that lost less by more than chance, or was within the allowed KLD and
    /// the model before was not.
    pub kept: bool,
    /// How long it took.
    pub seconds: f64,
    /// The layers that were trained.
    pub layers: Vec<TrainedBlock>,
    /// Layers that there was no time for.
    pub layers_left: usize,
    /// What was measured while all layers were trained together, where they were.
    pub end_to_end: Vec<Check>,
    /// Tokens that they were to learn from, and that there was no time for.
    pub tokens_left: usize,
}

/// A tensor and the format that it got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Chosen {
    /// The tensor.
    pub tensor: String,
    /// The format.
    pub format: &'static str,
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
    /// Formats were changed to make a model of another size of one that was found.
    Resize,
    /// Weights were trained.
    Train,
}

/// Tensors that were probed together: all others in full precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    /// Those of a role.
    Role(Role),
    /// Those of a band of layers.
    Band(usize),
}
