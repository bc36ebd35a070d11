//! One pass of the full-precision model over calibration text: how much each input column matters,
//! and what each tensor loses in each format on the outputs of its own linear map.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::block;
use crate::calibrate::{HEAD, Importance, Input, InputSize, Place, inputs, place};
use crate::gguf::{Gguf, TensorInfo};
use crate::model::{LinearInput, Model, Rounding};
use crate::progress::{Amount, Progress};

use super::candidate::Candidate;
use super::compensate::{
    Comparison, Compensation, OutputError, Polish, Regularisation, output_error,
};
use super::encode::{EncodeError, checked_values, rounded};
use super::error::SearchError;
use super::sensitivity::Sensitivity;

/// Rows of a tensor that are looked at: rows lose much alike.
const ROWS: usize = 96;

/// What the pass found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Survey {
    /// The size of each input.
    inputs: Vec<(Place, InputSize)>,
    /// Of each tensor that has a choice, in each of its formats.
    output_errors: Vec<Vec<FormatError>>,
}

/// The error of a tensor's outputs in a format, as a share of their square: of its weights, and of
/// the inputs, which llama.cpp rounds as the format of the weights has it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct FormatError {
    /// Rounded without compensation.
    pub plain: f64,
    /// Rounded as it will be.
    pub least: f64,
}

impl FormatError {
    /// Of weights, and what inputs add that are rounded for this format.
    fn of(plain: OutputError, compensated: OutputError, of_inputs: f64) -> FormatError {
        let share = |of_weights: OutputError| {
            let error = of_weights.error + of_inputs;
            OutputError { error, ..of_weights }.relative()
        };
        let (plain, compensated) = (share(plain), share(compensated));
        FormatError { plain, least: compensated.min(plain) }
    }

    /// Where there is nothing to compensate.
    fn plain(error: f64) -> FormatError {
        FormatError { plain: error, least: error }
    }
}

impl Survey {
    /// How much each input column matters.
    pub fn importance(&self, tied: bool) -> Importance {
        Importance::new(self.inputs.iter().cloned().collect(), tied)
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
        sensitivities,
        by_place,
        inputs: Vec::new(),
        output_errors: sensitivities
            .iter()
            .map(|s| vec![FormatError::default(); s.candidates.len()])
            .collect(),
    };
    inputs(model, sequences, |layer, inputs| {
        for (of, input) in inputs {
            let place = if of == LinearInput::Head { HEAD } else { (layer, of) };
            found.see(place, &input)?;
        }
        // All tokens pass each layer before any passes the next; the head takes no time.
        progress.advance(if layer < layers { tokens / layers as u64 } else { 0 });
        Ok::<(), SearchError>(())
    })?;
    found.see_inputless()?;
    progress.finish();
    Ok(Survey { inputs: found.inputs, output_errors: found.output_errors })
}

/// What was found so far.
struct Found<'s> {
    gguf: &'s Gguf,
    sensitivities: &'s [Sensitivity],
    /// The tensors that share an input; those that multiply nothing have none.
    by_place: BTreeMap<Option<Place>, Vec<usize>>,
    inputs: Vec<(Place, InputSize)>,
    output_errors: Vec<Vec<FormatError>>,
}

impl Found<'_> {
    fn see(&mut self, place: Place, input: &Input) -> Result<(), EncodeError> {
        let Input { gram, rounding } = input;
        let compensation = Compensation::new(gram, Regularisation::of(gram), Polish::default());
        let importance = gram.diagonal();
        for i in self.by_place.get(&Some(place)).cloned().unwrap_or_default() {
            self.output_errors[i] = self.errors(i, |sample, to| {
                let values = &sample.values;
                let Comparison { plain, compensated } = match to.is_searched() {
                    true => {
                        let mut bytes = vec![0; to.format.size_of(values.len())];
                        compensation.encode_best(to, values, &importance, gram, &mut bytes)
                    }
                    false => {
                        let error = output_error(values, &sample.rounded(to), gram);
                        Comparison { plain: error, compensated: error }
                    }
                };
                let of_inputs = rounding.output_error(Rounding::for_weights(to.format), values);
                FormatError::of(plain, compensated, of_inputs)
            })?;
        }
        let extremes = rounding.extremes;
        self.inputs.push((place, InputSize { squares: importance, extremes }));
        Ok(())
    }

    /// Tensors that multiply nothing, as embeddings that are looked up: all their weights matter
    /// alike.
    fn see_inputless(&mut self) -> Result<(), EncodeError> {
        for i in self.by_place.get(&None).cloned().unwrap_or_default() {
            self.output_errors[i] = self.errors(i, |sample, to| {
                let rounded = sample.rounded(to);
                FormatError::plain(block::squared_error(&sample.values, &rounded).relative())
            })?;
        }
        Ok(())
    }

    /// What `error` finds of a sample of a tensor in each of its formats.
    fn errors(
        &self,
        i: usize,
        error: impl Fn(&Sample, Candidate) -> FormatError + Sync,
    ) -> Result<Vec<FormatError>, EncodeError> {
        let sensitivity = &self.sensitivities[i];
        let tensor = &self.gguf.tensors()[sensitivity.tensor];
        let sample = Sample::of(self.gguf, tensor)?;
        let candidates = sensitivity.candidates.par_iter();
        let errors: Vec<FormatError> =
            candidates.map(|&candidate| error(&sample, candidate)).collect();
        tracing::trace!(tensor = tensor.name, ?errors, "surveyed");
        Ok(errors)
    }
}

/// Some rows of a tensor, evenly spread.
struct Sample<'t> {
    tensor: &'t TensorInfo,
    values: Vec<f32>,
}

impl Sample<'_> {
    fn of<'t>(gguf: &Gguf, tensor: &'t TensorInfo) -> Result<Sample<'t>, EncodeError> {
        let (rows, columns) = (tensor.rows().min(ROWS), tensor.row_len());
        let mut values = vec![0.0; rows * columns];
        for (i, row) in values.chunks_exact_mut(columns).enumerate() {
            checked_values(gguf, tensor, i * tensor.rows() / rows, row)?;
        }
        Ok(Sample { tensor, values })
    }

    /// The values after they were encoded.
    fn rounded(&self, to: Candidate) -> Vec<f32> {
        rounded(self.tensor, to, &self.values, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::gguf::Format;
    use crate::progress::Silent;
    use crate::quantize::{Header, Searchable, sensitivity::Bands};

    #[test]
    fn more_bits_lose_less_and_compensation_never_more() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tiny.gguf");
        let gguf = Gguf::open(path.as_ref()).unwrap();
        let model = Model::of(&gguf).unwrap();
        let formats = Some(vec![Format::Q4_0, Format::Q8_0]);
        let config = Config { formats, ..Config::default() };
        let header = Header { bytes: 100, alignment: 32 };
        let searchable = Searchable::new(&gguf, &config, header, 512).unwrap();
        let mut sensitivities = searchable.sensitivities(&gguf, Bands::new(4));
        let tokens: Vec<u32> = (0..96).map(|i| i * 29 % 2000).collect();
        let found = survey(&gguf, &model, &[&tokens], &sensitivities, &Silent).unwrap();
        let importance = found.importance(model.weights.tied);
        let json = serde_json::to_vec(&found).unwrap();
        assert_eq!(serde_json::from_slice::<Survey>(&json).unwrap(), found, "kept as it is");
        found.fill(&mut sensitivities);
        for sensitivity in &sensitivities {
            let name = &sensitivity.name;
            let of = |format| {
                let at = sensitivity.candidates.iter().position(|c| c.format == format).unwrap();
                (sensitivity.plain_errors[at], sensitivity.output_errors[at])
            };
            let ((plain_4, least_4), (plain_8, least_8)) = (of(Format::Q4_0), of(Format::Q8_0));
            assert!(0.0 < plain_8 && plain_8 < 0.1 * plain_4 && plain_4 < 0.1, "{name}");
            assert!(least_4 <= plain_4 && least_8 <= plain_8, "{name}");
            let columns = gguf.tensor(name).unwrap().row_len();
            assert_eq!(importance.of(name).map(<[f32]>::len), Some(columns), "{name}");
        }
        // What is known of the inputs makes a difference to most.
        let gained = sensitivities.iter().filter(|s| s.output_errors[0] < 0.9 * s.plain_errors[0]);
        assert!(2 * gained.count() > sensitivities.len());
    }
}
