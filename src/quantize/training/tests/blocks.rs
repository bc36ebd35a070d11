use std::path::Path;
use std::time::Duration;

use serde_json::Value as Json;

use super::super::latent_layer::StepLengths;
use super::super::{BlockTraining, Trained, TrainedBlock, Training, train_blocks};
use super::{contents, quantized, text, tiny};
use crate::model::Model;
use crate::progress::Silent;
use crate::threads;
use crate::work::{Foreign, Work, WorkError};

fn train(training: Training, work: &Work) -> Trained {
    train_within(None, training, work)
}

fn train_within(time: Option<Duration>, training: Training, work: &Work) -> Trained {
    let model = Model::of(tiny()).unwrap();
    let text = text(12);
    let text: Vec<&[u32]> = text.iter().map(Vec::as_slice).collect();
    let (learn, held_out) = text.split_at(8);
    let (model, progress) = (&model, &Silent);
    let context =
        BlockTraining { model, learn, held_out, training, time, round: 0, work, progress };
    train_blocks(&context, &quantized()).unwrap()
}

const SHORT: Training = Training {
    passes: 2,
    batch: 2,
    longest: StepLengths { weights: 1e-2, scales: 1e-3, gains: 1e-3 },
    seed: 1,
};

#[test]
fn layers_come_nearer_and_any_number_of_threads_gives_the_same() {
    let Trained { encodings, blocks, .. } = train(SHORT, &Work::Forgetful);
    assert!(!blocks.is_empty());
    for TrainedBlock { layer, before, after, .. } in &blocks {
        println!("layer {layer}: {before:.3e} became {after:.3e}");
        assert!(after < before, "layer {layer}: {before} became {after}");
    }
    let one = threads::pool(Some(1)).unwrap().install(|| train(SHORT, &Work::Forgetful));
    assert_eq!(one.blocks, blocks);
    assert_eq!(contents(&one.encodings), contents(&encodings));
}

#[test]
fn what_is_no_better_stays_what_it_was() {
    let training = Training { longest: StepLengths { weights: 50.0, ..SHORT.longest }, ..SHORT };
    let Trained { encodings, blocks, .. } = train(training, &Work::Forgetful);
    assert!(blocks.iter().all(|block| block.after == block.before));
    assert_eq!(contents(&encodings), contents(&quantized()));
}

#[test]
fn layers_that_there_is_no_time_for_stay_what_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.gguf");
    let open = || Work::beside(&output, "a run", Foreign::Refuse).unwrap();
    let Trained { encodings, blocks, left, seconds, seconds_of_steps } =
        train_within(Some(Duration::from_nanos(1)), SHORT, &open());
    assert_eq!((blocks, left, seconds, seconds_of_steps), (vec![], 4, 0.0, 0.0));
    assert_eq!(contents(&encodings), contents(&quantized()));
    // What was measured then must be what is found again, whatever time there is.
    assert_eq!(train_within(None, SHORT, &open()).blocks, vec![]);
}

#[test]
fn a_run_that_was_ended_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.gguf");
    let open = || Work::beside(&output, "a run", Foreign::Refuse).unwrap();
    // What is kept is mapped, and must not be while files are changed.
    let run = || {
        let Trained { encodings, blocks, .. } = train(SHORT, &open());
        (contents(&encodings), blocks)
    };
    let all = run();
    let kept = folder.path().join("out.gguf.work");
    let entries = || std::fs::read_dir(&kept).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_string();
    // As if it had ended within layer 1, of which some is written.
    for path in entries() {
        let name = name(&path);
        let done = name.starts_with("trained-0-0") || name.contains("attn_q");
        if name.starts_with("trained-") && !done {
            std::fs::remove_file(path).unwrap();
        }
    }
    assert_eq!(run(), all);
    // All is there, but something is damaged.
    let damaged = entries().find(|path| name(path).contains("ffn_down")).unwrap();
    std::fs::write(damaged, "damaged").unwrap();
    assert_eq!(run(), all);
}

#[test]
fn time_that_an_earlier_run_used_counts() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.gguf");
    let open = || Work::beside(&output, "a run", Foreign::Refuse).unwrap();
    let hour = Duration::from_secs(3600);
    let all = train_within(Some(hour), SHORT, &open()).blocks;
    let steps: Vec<usize> = all.iter().map(|block| block.steps).collect();
    assert_eq!(steps, vec![SHORT.steps(8); all.len()], "an hour is enough");
    // As if an earlier run had taken nearly all of it for the first layer, and had ended then.
    let work = open();
    let mut first: Json = work.recall("trained-0-0-layer").unwrap();
    first["time"]["around"] = Json::from(3599.99);
    for layer in 0..all.len() {
        work.forget(&format!("trained-0-{layer}-layer")).unwrap();
    }
    work.remember::<Json, WorkError>("trained-0-0-layer", || Ok(first)).unwrap();
    drop(work);
    let Trained { blocks, left, seconds, .. } = train_within(Some(hour), SHORT, &open());
    assert_eq!((&blocks[..], left), (&all[..1], all.len() - 1));
    assert!(seconds >= 3599.99, "{seconds}");
}
