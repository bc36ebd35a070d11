use super::*;
use crate::config::{Config, Effort, Goal};
use crate::gguf::{Format, Gguf};
use crate::model::{Gain, Matrix, Model};
use crate::progress::Silent;
use crate::quantize::{Header, Searchable};
use crate::work::Work;

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
    let mut judge = Saying(|model: &Model| if gains(model) == untrained { ABOVE } else { WITHIN });
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
    model.weights.layers.iter().map(|layer| layer[Gain::Ffn].clone()).collect()
}

impl Judge for ByBytes {
    fn losses(&mut self, model: &Model, _: usize) -> Result<Losses, SearchError> {
        let weights = &model.weights;
        let maps = weights.layers.iter().flat_map(|layer| layer.maps());
        let matrices = maps.map(|(_, linear)| linear.weight);
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
