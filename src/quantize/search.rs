//! The search: the smallest model within a KLD, or the best model within a size. Tensors are
//! quantized in the order of their sensitivity, and what the model has become is measured after
//! each step.

use std::collections::BTreeSet;
use std::error;

use serde::Serialize;

use crate::calibrate::Importance;
use crate::config::Config;
use crate::gguf::Gguf;
use crate::model::{Model, ModelError};
use crate::progress::Progress;
use crate::work::{Work, WorkError};

use super::encode::EncodeError;
use super::encoded::Encodings;
use super::kept_from::KeptFrom;
use super::losses::Losses;
use super::plan::{Plan, PlanError};
use super::progressive::{Progressive, expected_share};
use super::searchable::Searchable;
use super::sensitivity::{Bands, Group, Sensitivity};
use super::survey::{Survey, survey};
use super::training::{Check, TrainedBlock};

/// Tokens at least that are looked at to weigh and to encode tensors, where there are so many.
const LOOKED_AT: usize = 16_384;

/// Measures models on held-out text.
pub trait Judge {
    /// KL(full precision || `model`) in nats at each scored position of the first `chunks` of the
    /// text, in order.
    fn losses(&mut self, model: &Model, chunks: usize) -> Result<Losses, SearchError>;
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

impl Aim {
    /// Whether a model is given up for another: if that loses less by more than chance, or if it
    /// alone is within the KLD that is allowed. That is a mean on this very text, so that what is
    /// within it is so for certain.
    pub(super) fn prefers(self, other: &Losses, present: &Losses) -> bool {
        let within =
            |losses: &Losses| matches!(self, Aim::Smallest { kld } if losses.mean() <= kld);
        within(other) && !within(present) || present.gain_of(other, (1.0, 1.0)).is_real()
    }
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
    /// Text that judges layers while they are trained.
    pub held_out: &'s [&'s [u32]],
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
    /// Formats that tensors are kept from.
    pub kept_from: Vec<KeptFrom>,
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

/// What is known before anything is chosen.
pub(super) struct Known {
    /// How much each input column matters.
    pub importance: Importance,
    /// The limits, and what may become of the tensors whose outputs are finite.
    pub searchable: Searchable,
    /// What the tensors lose in each format.
    pub sensitivities: Vec<Sensitivity>,
}

impl<'s> Search<'s, '_> {
    /// Searches.
    pub fn run(&self, judge: &mut dyn Judge) -> Result<Found, SearchError> {
        let Known { importance, searchable, sensitivities } = self.survey()?;
        let search = Search { searchable: &searchable, ..*self };
        let mut progressive = Progressive::new(&search, &importance, &sensitivities, judge);
        progressive.probe()?;
        let reached = progressive.quantize_by_sensitivity()?;
        let reached = match self.aim {
            Aim::Smallest { kld } if self.trains() => progressive.fit_and_train(reached, kld)?,
            Aim::Smallest { kld } => progressive.fit(reached, kld)?,
            Aim::Best => progressive.exchange(reached)?,
        };
        progressive.finish(reached)
    }

    /// Looks at what tensors lose in each format that they may have.
    pub(super) fn survey(&self) -> Result<Known, SearchError> {
        let bands = Bands::new(self.model.shape.layers);
        let mut sensitivities = self.searchable.sensitivities(self.gguf, bands);
        let known: Survey = self.work.remember("survey", || {
            survey(self.gguf, self.model, self.looked_at(), &sensitivities, self.progress)
        })?;
        let importance = known.importance(self.model.weights.tied);
        known.fill(&mut sensitivities);
        let searchable = self.searchable.finite(self.gguf, self.config, &importance)?;
        if searchable.offers_more_than(self.searchable) {
            // Nothing is known yet of what stands in for formats without room.
            sensitivities = searchable.sensitivities(self.gguf, bands);
            let known: Survey = self.work.remember("survey-of-stand-ins", || {
                let looked_at = self.looked_at();
                survey(self.gguf, self.model, looked_at, &sensitivities, self.progress)
            })?;
            known.fill(&mut sensitivities);
        }
        for sensitivity in &mut sensitivities {
            let tensor = sensitivity.tensor;
            sensitivity.keep_only(|format| searchable.may_have(tensor, format));
        }
        Ok(Known { importance, searchable, sensitivities })
    }

    /// The sequences that are looked at to weigh and to encode tensors.
    pub(super) fn looked_at(&self) -> &'s [&'s [u32]] {
        enough(self.sequences, LOOKED_AT)
    }

    pub(super) fn trains(&self) -> bool {
        self.config.trains()
    }

    /// What is searched for before anything is trained.
    pub(super) fn untrained_aim(&self) -> Aim {
        match self.aim {
            Aim::Smallest { kld } if self.trains() => {
                Aim::Smallest { kld: kld / expected_share(self.config) }
            }
            aim => aim,
        }
    }
}

/// The first sequences, as many as have so many tokens together.
fn enough<'s, 't>(sequences: &'s [&'t [u32]], tokens: usize) -> &'s [&'t [u32]] {
    let mut before = 0;
    let short = |sequence: &&&[u32]| {
        let short = before < tokens;
        before += sequence.len();
        short
    };
    &sequences[..sequences.iter().take_while(short).count()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Effort, Goal};
    use crate::gguf::Format;
    use crate::model::{Layer, Matrix};
    use crate::progress::Silent;
    use crate::quantize::Header;

    /// Says what a test wants to be said of a model.
    struct Saying<F>(F);

    impl<F: FnMut(&Model) -> [f32; 3]> Judge for Saying<F> {
        fn losses(&mut self, model: &Model, _: usize) -> Result<Losses, SearchError> {
            Ok(Losses::new(self.0(model).to_vec()))
        }
    }

    fn tiny() -> Gguf {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tiny.gguf");
        Gguf::open(path.as_ref()).unwrap()
    }

    fn search(config: &Config, aim: Aim, mut judge: impl FnMut() -> f64) -> Found {
        judged(config, aim, &mut Saying(|_: &Model| [judge() as f32; 3]))
    }

    fn judged(config: &Config, aim: Aim, judge: &mut dyn Judge) -> Found {
        let gguf = tiny();
        let model = Model::of(&gguf).unwrap();
        let header = Header { bytes: 100, alignment: 32 };
        let searchable = Searchable::new(&gguf, config, header, 512).unwrap();
        let tokens: Vec<u32> = (0..64).map(|i| i * 29 % 2000).collect();
        let sequences: Vec<&[u32]> = tokens.chunks(8).collect();
        let search = Search {
            gguf: &gguf,
            model: &model,
            config,
            searchable: &searchable,
            sequences: &sequences,
            held_out: &sequences,
            aim,
            work: &Work::Forgetful,
            progress: &Silent,
        };
        search.run(judge).unwrap()
    }

    fn four_or_five_bits() -> Config {
        let formats = Some(vec![Format::Q4_0, Format::Q5_0]);
        Config { formats, ..Config::default() }
    }

    #[test]
    fn whole_sequences_are_looked_at_until_there_are_tokens_enough() {
        let tokens = [0; 10];
        let sequences = [&tokens[..4], &tokens[..4], &tokens[..8], &tokens[..2]];
        let taken = |tokens| enough(&sequences, tokens).len();
        assert_eq!([1, 4, 5, 8, 9, 16, 17, 99].map(taken), [1, 1, 2, 2, 3, 3, 4, 4]);
    }

    #[test]
    fn a_plain_recipe_that_loses_less_is_taken() {
        let goal = Goal { bpw: Some(5.0), ..Goal::default() };
        let config = Config { goal, ..four_or_five_bits() };
        // The recipe is what is measured last.
        let mut kld = 1.0;
        let less = || {
            kld *= 0.9;
            kld
        };
        let Found { plan, record, .. } = search(&config, Aim::Best, less);
        assert_eq!(record.recipe_kld, Some(record.measured_kld));
        let formats_of = |role| {
            let tensors = plan.tensors.iter().filter(|tensor| tensor.role == role);
            let formats = tensors.map(|tensor| tensor.spec.format);
            formats.collect::<std::collections::BTreeSet<_>>().len()
        };
        assert_eq!(formats_of(crate::model::Role::FfnDown), 1);

        let mut kld = 1.0;
        let more = || {
            kld *= 1.1;
            kld
        };
        let Found { plan, encodings, record, .. } = search(&config, Aim::Best, more);
        assert!(record.recipe_kld.unwrap() > record.measured_kld);
        for tensor in plan.tensors.iter().filter(|tensor| tensor.choice.is_encoded()) {
            assert_eq!(encodings[&tensor.spec.name].format, tensor.spec.format);
        }
    }

    /// A little above the KLD that is allowed in tests of noise, at every position.
    const ABOVE: [f32; 3] = [0.0204; 3];
    const ALLOWED: Aim = Aim::Smallest { kld: 0.0202 };
    /// Within it, by less than chance explains.
    const WITHIN: [f32; 3] = [0.0300, 0.0200, 0.0100];

    #[test]
    fn no_noise_keeps_a_model_from_being_within_what_is_allowed() {
        let [above, within] = [ABOVE, WITHIN].map(|klds| Losses::new(klds.to_vec()));
        assert!(!above.gain_of(&within, (1.0, 1.0)).is_real());
        assert!(ALLOWED.prefers(&within, &above) && !ALLOWED.prefers(&above, &within));
        assert!(!Aim::Best.prefers(&within, &above));
        // Both are within, or both above.
        assert!([0.01, 0.03].iter().all(|&kld| !Aim::Smallest { kld }.prefers(&within, &above)));

        let goal = Goal { bpw: Some(5.0), ..Goal::default() };
        let config = Config { goal, ..four_or_five_bits() };
        let mut measured = 0;
        search(&config, ALLOWED, || {
            measured += 1;
            f64::from(ABOVE[0])
        });
        // The recipe is what is measured last.
        let mut left = measured;
        let mut judge = Saying(|_: &Model| {
            left -= 1;
            if left == 0 { WITHIN } else { ABOVE }
        });
        let Found { record, .. } = judged(&config, ALLOWED, &mut judge);
        assert_eq!(record.recipe_kld, Some(record.measured_kld));
        assert!((record.measured_kld - 0.02).abs() < 1e-6, "{}", record.measured_kld);
        assert_eq!(record.bound_by, None);
    }

    #[test]
    fn no_noise_keeps_training_from_being_within_what_is_allowed() {
        let config = Config { effort: Effort::Thorough, ..four_or_five_bits() };
        let untrained = gains(&Model::of(&tiny()).unwrap());
        let mut judge =
            Saying(|model: &Model| if gains(model) == untrained { ABOVE } else { WITHIN });
        let Found { record, .. } = judged(&config, ALLOWED, &mut judge);
        assert!(record.trained.iter().all(|round| round.kept), "{:?}", record.trained);
        assert!((record.measured_kld - 0.02).abs() < 1e-6, "{}", record.measured_kld);
    }

    #[test]
    fn every_tensor_is_quantized_once_in_order_of_sensitivity() {
        let goal = Goal { bpw: Some(5.0), ..Goal::default() };
        let config = Config { goal, ..four_or_five_bits() };
        let Found { record, .. } = search(&config, Aim::Best, || 0.01);
        let steps = record.steps.iter().filter(|step| step.kind == StepKind::Next);
        let mut done: Vec<&str> =
            steps.flat_map(|step| &step.encoded).map(|chosen| chosen.tensor.as_str()).collect();
        let all = done.len();
        assert_eq!(all, record.sensitivities.len());
        done.sort_unstable();
        done.dedup();
        assert_eq!(done.len(), all);
        let cost = |chosen: &Chosen| {
            let costs = record.sensitivities.iter().find(|costs| costs.tensor == chosen.tensor);
            let mut formats = costs.unwrap().formats.iter();
            formats.find(|cost| cost.format == chosen.format).unwrap().predicted_kld
        };
        let first = record.steps[0].encoded.iter().map(cost).fold(0.0, f64::max);
        let second = record.steps[1].encoded.iter().map(cost).fold(0.0, f64::max);
        assert!(first <= second, "{first} and {second}");
    }

    /// Finds that what has fewer bytes loses more, and that training halves it.
    struct ByBytes {
        /// Of norms that have learnt nothing.
        gains: Vec<Vec<f32>>,
    }

    fn gains(model: &Model) -> Vec<Vec<f32>> {
        model.weights.layers.iter().map(|layer| layer.ffn_norm.clone()).collect()
    }

    impl Judge for ByBytes {
        fn losses(&mut self, model: &Model, _: usize) -> Result<Losses, SearchError> {
            let weights = &model.weights;
            let matrices = weights.layers.iter().flat_map(|layer| {
                let Layer { q, k, v, output, gate, up, down, .. } = layer;
                [q, k, v, output, gate, up, down].map(|linear| linear.weight)
            });
            let matrices: Vec<Matrix> = matrices.chain([weights.embedding]).collect();
            let bytes: usize = matrices.iter().map(|matrix| matrix.bytes.len()).sum();
            let all: usize = matrices.iter().map(|matrix| matrix.rows * matrix.columns).sum();
            let bpw = 8.0 * bytes as f64 / all as f64;
            let share = if gains(model) == self.gains { 1.0 } else { 0.5 };
            Ok(Losses::new(vec![(0.06 * (4.5 / bpw).powi(4) * share) as f32; 3]))
        }
    }

    #[test]
    fn what_training_wins_back_is_spent_on_fewer_bytes() {
        let config = Config { effort: Effort::Thorough, ..four_or_five_bits() };
        let gguf = tiny();
        let mut judge = ByBytes { gains: gains(&Model::of(&gguf).unwrap()) };
        let Found { record, .. } = judged(&config, Aim::Smallest { kld: 0.025 }, &mut judge);
        let rounds: Vec<_> = record.trained.iter().map(|round| round.untrained_kld).collect();
        // More than was expected is won back in the first round, so that the second can begin higher.
        assert!(rounds.len() == 2 && rounds[1] > 1.1 * rounds[0], "{:?}", record.trained);
        assert!((0.0225..=0.025).contains(&record.measured_kld), "{}", record.measured_kld);
        assert_eq!(record.bound_by, None);
        let trained = record.steps.iter().filter(|step| step.kind == StepKind::Train);
        assert_eq!(trained.count(), 2);
    }

    #[test]
    fn the_flag_that_allows_no_more_bits_is_named() {
        let bound = |config: &Config| {
            let found = search(config, Aim::Smallest { kld: 0.001 }, || 1.0);
            found.record.bound_by.unwrap()
        };
        assert_eq!(bound(&four_or_five_bits()), "--formats Q4_0,Q5_0");
        let goal = Goal { reduction: Some(0.85), ..Goal::default() };
        assert_eq!(bound(&Config { goal, ..four_or_five_bits() }), "--reduction 0.85");
        let found = search(&four_or_five_bits(), Aim::Smallest { kld: 0.5 }, || 0.01);
        assert_eq!(found.record.bound_by, None);
    }
}
