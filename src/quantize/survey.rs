//! One pass of the full-precision model over calibration text: how much each input column matters,
//! and what each tensor loses in each format on the outputs of its own linear map.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::block;
use crate::calibrate::{Gram, GramSums, HEAD, Importance, Place, place};
use crate::gguf::{Format, Gguf, TensorInfo};
use crate::model::{Model, Stepwise};
use crate::progress::{Amount, Progress};

use super::compensate::{Comparison, Compensation, Polish, Regularisation, output_error};
use super::encode::{EncodeError, checked_values};
use super::search::SearchError;
use super::sensitivity::Sensitivity;

/// Rows of a tensor that are looked at: rows lose much alike.
const ROWS: usize = 192;

/// What the pass found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Survey {
    /// The mean square of each column of each input.
    importance: Vec<(Place, Vec<f32>)>,
    /// Of each tensor that has a choice, in each of its formats.
    output_errors: Vec<Vec<FormatError>>,
}

/// The error of a tensor's outputs in a format, as a share of their square.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct FormatError {
    /// Rounded without compensation.
    pub plain: f64,
    /// Rounded as it will be.
    pub least: f64,
}

impl FormatError {
    /// Where there is nothing to compensate.
    fn plain(error: f64) -> FormatError {
        FormatError { plain: error, least: error }
    }
}

impl Survey {
    /// How much each input column matters.
    pub fn importance(&self, tied: bool) -> Importance {
        Importance::new(self.importance.iter().cloned().collect(), tied)
    }

    /// Fills in what was found of these tensors, which are those that were asked about.
    pub fn fill(self, sensitivities: &mut [Sensitivity]) {
        for (sensitivity, errors) in sensitivities.iter_mut().zip(self.output_errors) {
            sensitivity.output_errors = errors.iter().map(|error| error.least).collect();
            sensitivity.plain_errors = errors.iter().map(|error| error.plain).collect();
        }
    }
}

/// Runs the pass.
pub fn survey(
    gguf: &Gguf,
    model: &Model,
    sequences: &[&[u32]],
    sensitivities: &[Sensitivity],
    progress: &dyn Progress,
) -> Result<Survey, SearchError> {
    let tied = model.weights.tied;
    let mut by_place: BTreeMap<Option<Place>, Vec<usize>> = BTreeMap::new();
    for (i, sensitivity) in sensitivities.iter().enumerate() {
        by_place.entry(place(&sensitivity.name, tied)).or_default().push(i);
    }
    let tokens: u64 = sequences.iter().map(|tokens| tokens.len() as u64).sum();
    progress.start("weighing tensors", Amount::Tokens(tokens));
    let layers = model.shape.layers;
    let mut found = Found {
        gguf,
        tied,
        sensitivities,
        by_place,
        importance: Vec::new(),
        output_errors: sensitivities
            .iter()
            .map(|s| vec![FormatError::default(); s.candidates.len()])
            .collect(),
    };
    let mut steps = Stepwise::start(model, sequences)?;
    for layer in &model.weights.layers {
        let (number, mut sums) = (steps.layer(), GramSums::default());
        steps.advance_seen(layer, &mut sums)?;
        for (input, gram) in sums.means() {
            found.see((number, input), &gram)?;
        }
        progress.advance(tokens / layers as u64);
    }
    let mut sums = GramSums::default();
    steps.look_at_head(&mut sums);
    for gram in sums.means().into_values() {
        found.see(HEAD, &gram)?;
    }
    found.see_inputless()?;
    progress.finish();
    Ok(Survey { importance: found.importance, output_errors: found.output_errors })
}

/// What was found so far.
struct Found<'s> {
    gguf: &'s Gguf,
    /// Whether the token embedding is the output head.
    tied: bool,
    sensitivities: &'s [Sensitivity],
    /// The tensors that share an input; those that multiply nothing have none.
    by_place: BTreeMap<Option<Place>, Vec<usize>>,
    importance: Vec<(Place, Vec<f32>)>,
    output_errors: Vec<Vec<FormatError>>,
}

impl Found<'_> {
    fn see(&mut self, place: Place, gram: &Gram) -> Result<(), EncodeError> {
        let compensation = Compensation::new(gram, Regularisation::default(), Polish::default());
        let importance = gram.diagonal();
        let compensates = !(self.tied && place == HEAD);
        for i in self.by_place.get(&Some(place)).cloned().unwrap_or_default() {
            self.output_errors[i] = self.errors(i, |sample| {
                let error = |format| {
                    let (values, mut bytes) = (&sample.values, vec![0; sample.bytes_in(format)]);
                    if !compensates {
                        let importance = Some(&importance[..]);
                        block::encode(format, values, gram.columns, importance, &mut bytes);
                        let decoded = sample.decoded(format, &bytes);
                        return FormatError::plain(output_error(values, &decoded, gram).relative());
                    }
                    let Comparison { plain, compensated } =
                        compensation.encode_best(format, values, &importance, gram, &mut bytes);
                    let (plain, compensated) = (plain.relative(), compensated.relative());
                    FormatError { plain, least: compensated.min(plain) }
                };
                sample.formats().into_par_iter().map(error).collect()
            })?;
        }
        self.importance.push((place, gram.diagonal()));
        Ok(())
    }

    /// Tensors that multiply nothing, as embeddings that are looked up: all their weights matter
    /// alike.
    fn see_inputless(&mut self) -> Result<(), EncodeError> {
        for i in self.by_place.get(&None).cloned().unwrap_or_default() {
            self.output_errors[i] = self.errors(i, |sample| {
                sample
                    .formats()
                    .into_par_iter()
                    .map(|format| {
                        let mut bytes = vec![0; sample.bytes_in(format)];
                        block::encode(format, &sample.values, sample.columns, None, &mut bytes);
                        let decoded = sample.decoded(format, &bytes);
                        FormatError::plain(
                            block::squared_error(&sample.values, &decoded).relative(),
                        )
                    })
                    .collect()
            })?;
        }
        Ok(())
    }

    fn errors(
        &self,
        i: usize,
        errors: impl FnOnce(&Sample) -> Vec<FormatError>,
    ) -> Result<Vec<FormatError>, EncodeError> {
        let sensitivity = &self.sensitivities[i];
        let tensor = &self.gguf.tensors()[sensitivity.tensor];
        let sample = Sample::of(self.gguf, tensor, sensitivity)?;
        let errors = errors(&sample);
        tracing::trace!(tensor = tensor.name, ?errors, "surveyed");
        Ok(errors)
    }
}

/// Some rows of a tensor, evenly spread.
struct Sample<'s> {
    sensitivity: &'s Sensitivity,
    values: Vec<f32>,
    columns: usize,
}

impl<'s> Sample<'s> {
    fn of(
        gguf: &Gguf,
        tensor: &TensorInfo,
        sensitivity: &'s Sensitivity,
    ) -> Result<Sample<'s>, EncodeError> {
        let (rows, columns) = (tensor.rows().min(ROWS), tensor.row_len());
        let mut values = vec![0.0; rows * columns];
        for (i, row) in values.chunks_exact_mut(columns).enumerate() {
            checked_values(gguf, tensor, i * tensor.rows() / rows, row)?;
        }
        Ok(Sample { sensitivity, values, columns })
    }

    fn formats(&self) -> Vec<Format> {
        self.sensitivity.candidates.iter().map(|candidate| candidate.format).collect()
    }

    fn bytes_in(&self, format: Format) -> usize {
        self.values.len() / format.block_len() * format.block_bytes()
    }

    fn decoded(&self, format: Format, bytes: &[u8]) -> Vec<f32> {
        let mut decoded = vec![0.0; self.values.len()];
        block::decode(format, bytes, &mut decoded);
        decoded
    }
}
