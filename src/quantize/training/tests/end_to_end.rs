use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::adam::Step;
use super::super::latent_layer::StepLengths;
use super::super::parts::name;
use super::super::student::{Lesson, Student};
use super::super::{Check, EndToEnd, EndToEndTraining, TrainedWhole, train_end_to_end};
use super::{contents, numbers, quantized, text, tiny};
use crate::block;
use crate::block::codes::sub_len;
use crate::gguf::Format;
use crate::model::{Architecture, Gain, Map, Model, Session, Untraced, Wanted};
use crate::progress::{Amount, Progress, Silent};
use crate::quantize::candidate::Candidate;
use crate::quantize::encoded::{Encoded, Encodings, with_encodings};
use crate::quantize::error::SearchError;
use crate::threads;
use crate::work::{Foreign, Work};

const SHORT: EndToEndTraining = EndToEndTraining {
    batch: 2,
    longest: StepLengths { weights: 1e-2, scales: 1e-3, gains: 1e-3 },
    warm_up: 0.0,
    checks: 3,
    seed: 1,
};

fn train(
    training: EndToEndTraining,
    work: &Work,
    progress: &dyn Progress,
) -> (Encodings, Vec<Check>) {
    let model = Model::of(tiny()).unwrap();
    let text = text(12);
    let text: Vec<&[u32]> = text.iter().map(Vec::as_slice).collect();
    let (learn, held_out) = text.split_at(8);
    let tokens = 500;
    let (model, round) = (&model, 0);
    let context = EndToEnd { model, learn, held_out, tokens, training, round, work, progress };
    let TrainedWhole { encodings, checks, .. } = train_end_to_end(&context, &quantized()).unwrap();
    (encodings, checks)
}

#[test]
fn what_the_model_says_comes_nearer_and_any_number_of_threads_gives_the_same() {
    let (trained, checks) = train(SHORT, &Work::Forgetful, &Silent);
    assert_eq!(checks.len(), 4);
    assert_eq!(checks[0].tokens, 0);
    assert!(checks[3].tokens >= 500);
    let (before, after) = (checks[0].kld, checks[3].kld);
    assert!(after < 0.95 * before, "{before} became {after}");

    // What is returned is what was measured.
    let model = Model::of(tiny()).unwrap();
    let quantized = with_encodings(&model, &trained);
    let first = StepLengths { weights: 0.0, scales: 0.0, gains: 0.0 };
    let mut student = Student::new(&model, &quantized, &trained, 64, first);
    let text = text(12);
    let held_out: Vec<&[u32]> = text[8..].iter().map(Vec::as_slice).collect();
    let hidden = Session::new(&model).hidden(&held_out, Wanted::All, &mut Untraced).unwrap();
    let lesson = Lesson { sequences: &held_out, hidden: &hidden };
    let kld = student.kl(lesson).unwrap() / held_out.concat().len() as f64;
    let best = checks.iter().map(|check| check.kld).fold(f64::INFINITY, f64::min);
    assert!((kld - best).abs() < 1e-5 * best, "{kld} for {best}");

    let one = threads::pool(Some(1)).unwrap().install(|| train(SHORT, &Work::Forgetful, &Silent));
    assert_eq!(one.1, checks);
    assert_eq!(contents(&one.0), contents(&trained));
}

#[test]
fn what_is_no_better_stays_what_it_was() {
    let training =
        EndToEndTraining { longest: StepLengths { weights: 50.0, ..SHORT.longest }, ..SHORT };
    let (trained, checks) = train(training, &Work::Forgetful, &Silent);
    assert!(checks[1..].iter().all(|check| check.kld > checks[0].kld));
    assert_eq!(contents(&trained), contents(&quantized()));
}

/// Ends a run, as a kill would, when so many tokens are learnt from.
struct EndAt {
    tokens: u64,
    so_far: AtomicU64,
}

impl Progress for EndAt {
    fn start(&self, _: &'static str, _: Amount) {}

    fn tell(&self, _: &str) {}
    fn advance(&self, more: u64) {
        let so_far = self.so_far.fetch_add(more, Ordering::Relaxed) + more;
        assert!(so_far < self.tokens, "the run is ended");
    }

    fn finish(&self) {}
}

#[test]
fn a_run_that_was_ended_goes_on() {
    let expected = train(SHORT, &Work::Forgetful, &Silent);
    let expected = (contents(&expected.0), expected.1);
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.gguf");
    let kept = folder.path().join("out.gguf.work");
    // What is kept is mapped, and must not be while files are changed.
    let run = |progress: &dyn Progress| {
        let work = Work::beside(&output, "a run", Foreign::Refuse).unwrap();
        let (encodings, checks) = train(SHORT, &work, progress);
        (contents(&encodings), checks)
    };
    let names = || {
        let entries = std::fs::read_dir(&kept).unwrap().map(|entry| entry.unwrap().file_name());
        entries.map(|name| name.into_string().unwrap()).collect::<Vec<_>>()
    };
    let state_of = |check: usize| {
        let start = format!("end-to-end-0-state-{check}-");
        names().iter().filter(|name| name.starts_with(&start)).count()
    };

    let parts = Model::of(tiny()).unwrap().shape.layers + 1;
    let mut first_state = Vec::new();
    for (tokens, check) in [(expected.1[1].tokens + 1, 1), (expected.1[3].tokens, 2)] {
        let progress = EndAt { tokens: tokens as u64, so_far: AtomicU64::new(0) };
        panic::catch_unwind(AssertUnwindSafe(|| run(&progress))).unwrap_err();
        assert_eq!((state_of(check), state_of(check - 1)), (parts, 0));
        if check == 1 {
            let names = names().into_iter().filter(|name| name.contains("-state-"));
            first_state =
                names.map(|name| (std::fs::read(kept.join(&name)).unwrap(), name)).collect();
        }
    }
    // As if it had ended before it removed the state before the last one.
    for (content, name) in first_state {
        std::fs::write(kept.join(name), content).unwrap();
    }
    assert_eq!(run(&Silent), expected);
    assert_eq!((state_of(1), state_of(3)), (0, 0), "they are no longer needed");

    // Something is damaged, and there is no state: all is trained anew.
    let damaged =
        names().into_iter().find(|name| name.contains("end-to-end-0-3-blk.0.ffn")).unwrap();
    std::fs::write(kept.join(damaged), "damaged").unwrap();
    assert_eq!(run(&Silent), expected);
}

/// The numbers that steps change in a layer: of each matrix its weights, their mean gradients, mean
/// squares and the grids; of each norm the gains, their mean gradients and mean squares.
struct Numbers(Vec<f32>);

impl Numbers {
    fn of(student: &mut Student, part: usize) -> Numbers {
        let mut numbers = Vec::new();
        student.visit(part, &mut |x: &mut f32| numbers.push(*x));
        numbers.reverse();
        Numbers(numbers)
    }

    fn next(&mut self, n: usize) -> Vec<f32> {
        let rest = self.0.split_off(self.0.len() - n);
        rest.into_iter().rev().collect()
    }
}

/// The gradient of every tensor, from the mean gradients after one step of no length.
fn gradients(
    student: &mut Student,
    encodings: &Encodings,
    width: usize,
) -> BTreeMap<String, Vec<f32>> {
    let mut gradients = BTreeMap::new();
    let layers = student.parts() - 1;
    for part in 0..=layers {
        let mut numbers = Numbers::of(student, part);
        let mut gradient = |name: String, weights: usize, after: usize| {
            numbers.next(weights);
            let means = numbers.next(weights);
            numbers.next(weights + after);
            gradients.insert(name, means.iter().map(|mean| mean / 0.1).collect());
        };
        if part == layers {
            gradient("output_norm.weight".into(), width, 0);
            continue;
        }
        for map in Map::ALL {
            let name = name(part, map.name());
            let format = encodings[&name].format;
            let weights = encodings[&name].bytes.len() / format.block_bytes() * format.block_len();
            gradient(name, weights, 8 * weights / sub_len(format));
        }
        for gain in [Gain::Attention, Gain::Ffn] {
            let gain = Architecture::of("llama").and_then(|it| gain.name(it));
            gradient(name(part, gain.unwrap()), width, 0);
        }
    }
    gradients
}

#[test]
fn gradients_are_those_of_the_loss() {
    let model = Model::of(tiny()).unwrap();
    let width = model.shape.width;
    let encodings = quantized();
    let quantized = with_encodings(&model, &encodings);
    let text = text(3);
    let sequences: Vec<&[u32]> = text.iter().map(Vec::as_slice).collect();
    let hidden = Session::new(&model).hidden(&sequences, Wanted::All, &mut Untraced).unwrap();
    let lesson = Lesson { sequences: &sequences, hidden: &hidden };
    let still = StepLengths { weights: 0.0, scales: 0.0, gains: 0.0 };
    let mut student = Student::new(&model, &quantized, &encodings, 64, still);
    student.learn(lesson, Step::new(1), 1.0).unwrap();
    let gradients = gradients(&mut student, &encodings, width);

    // What is evaluated, in F32.
    let values = |name: &str| -> Vec<f32> {
        let (format, bytes) = match encodings.get(name) {
            Some(encoded) => (encoded.format, &encoded.bytes[..]),
            None => {
                let tensor = tiny().tensor(name).unwrap();
                (tensor.format, tiny().data(tensor))
            }
        };
        let mut values = vec![0.0; gradients[name].len()];
        block::decode(format, bytes, &mut values);
        values
    };
    let parts = Map::ALL.map(Map::name).into_iter().chain(["attn_norm", "ffn_norm", "output_norm"]);
    for part in parts {
        let of_part = |name: &str| name.ends_with(&format!("{part}.weight"));
        let names: Vec<&String> = gradients.keys().filter(|name| of_part(name)).collect();
        assert!(!names.is_empty(), "{part}");
        let (mut found, mut squares) = (0.0, 0.0);
        let (mut ahead, mut behind) = (Encodings::new(), Encodings::new());
        for (salt, &name) in names.iter().enumerate() {
            let values = values(name);
            let size = values.iter().map(|x| x * x).sum::<f32>() / values.len() as f32;
            // Weights beyond the ends of their grids, which would leave them further behind, have
            // no gradient of their own.
            let directions = numbers(values.len(), salt).into_iter().zip(&gradients[name]);
            let directions = directions.map(|(d, &g)| if g == 0.0 { 0.0 } else { d });
            let steps: Vec<f32> = directions.map(|d| 0.02 * size.sqrt() * d).collect();
            for (to, sign) in [(&mut ahead, 1.0), (&mut behind, -1.0)] {
                let moved = values.iter().zip(&steps).map(|(x, step)| x + sign * step);
                let bytes: Vec<u8> = moved.flat_map(|x| x.to_le_bytes()).collect();
                let bytes = Work::Forgetful.remember_bytes::<SearchError>("", None, || Ok(bytes));
                let encoded = Encoded::new(Candidate::encoded(Format::F32), bytes.unwrap());
                to.insert(name.clone(), encoded);
            }
            for (gradient, step) in gradients[name].iter().zip(&steps) {
                found += 2.0 * f64::from(gradient * step);
                squares += (2.0 * f64::from(gradient * step)).powi(2);
            }
        }
        let loss = |moved: &Encodings| {
            let moved = with_encodings(&quantized, moved);
            let none = Encodings::new();
            Student::new(&model, &moved, &none, 64, still).kl(lesson).unwrap()
        };
        let expected = loss(&ahead) - loss(&behind);
        let error = (found - expected).abs() / squares.sqrt();
        println!("{part}: {found:.3e} for {expected:.3e}, error {error:.1e}");
        assert!(error < 2e-2, "{part}: {found} for {expected}");
    }
}
