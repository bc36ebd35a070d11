use std::path::Path;

use super::super::{BlockTraining, TrainedBlock, Training, train_blocks};
use super::{contents, quantized, text, tiny};
use crate::model::Model;
use crate::progress::Silent;
use crate::quantize::encoded::Encodings;
use crate::threads;
use crate::work::{Foreign, Work};

fn train(training: Training, work: &Work) -> (Encodings, Vec<TrainedBlock>) {
    let model = Model::of(tiny()).unwrap();
    let text = text(12);
    let text: Vec<&[u32]> = text.iter().map(Vec::as_slice).collect();
    let (learn, held_out) = text.split_at(8);
    let context =
        BlockTraining { model: &model, learn, held_out, training, work, progress: &Silent };
    train_blocks(&context, &quantized()).unwrap()
}

const SHORT: Training =
    Training { passes: 2, batch: 2, weight_rate: 1e-2, scale_rate: 1e-3, gain_rate: 1e-3, seed: 1 };

#[test]
fn layers_come_nearer_and_any_number_of_threads_gives_the_same() {
    let (trained, records) = train(SHORT, &Work::Forgetful);
    assert!(!records.is_empty());
    for TrainedBlock { layer, before, after } in &records {
        println!("layer {layer}: {before:.3e} became {after:.3e}");
        assert!(after < before, "layer {layer}: {before} became {after}");
    }
    let one = threads::pool(Some(1)).unwrap().install(|| train(SHORT, &Work::Forgetful));
    assert_eq!(one.1, records);
    assert_eq!(contents(&one.0), contents(&trained));
}

#[test]
fn what_is_no_better_stays_what_it_was() {
    let training = Training { weight_rate: 50.0, ..SHORT };
    let (trained, records) = train(training, &Work::Forgetful);
    assert!(records.iter().all(|record| record.after == record.before));
    assert_eq!(contents(&trained), contents(&quantized()));
}

#[test]
fn a_run_that_was_ended_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.gguf");
    let open = || Work::beside(&output, "a run", Foreign::Refuse).unwrap();
    // What is kept is mapped, and must not be while files are changed.
    let run = || {
        let (encodings, records) = train(SHORT, &open());
        (contents(&encodings), records)
    };
    let all = run();
    let kept = folder.path().join("out.gguf.work");
    let entries = || std::fs::read_dir(&kept).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_string();
    // As if it had ended within layer 1, of which some is written.
    for path in entries() {
        let name = name(&path);
        let done = name.starts_with("trained-0") || name.contains("attn_q");
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
