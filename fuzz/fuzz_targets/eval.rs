//! `opencog-qat eval` of any model against itself, and against a sound one.
#![no_main]

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::OnceLock;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use opencog_qat::evaluate::{self, EvaluationJob};
use opencog_qat::progress::Silent;
use opencog_qat::report::{self, Activations};
use opencog_qat_fuzz::{bounded, choice, mutated_gguf, put};
use opencog_qat_fuzz_seeds::{TEXT, models};

fuzz_mutator!(|data: &mut [u8], size: usize, most: usize, seed: u32| {
    mutated_gguf(data, size, most, seed)
});

/// A sound model, and a text.
fn sound() -> &'static (PathBuf, PathBuf) {
    static SOUND: OnceLock<(PathBuf, PathBuf)> = OnceLock::new();
    SOUND.get_or_init(|| {
        let (_, model) = models().swap_remove(0);
        (put("sound.gguf", &model), put("text.txt", TEXT.as_bytes()))
    })
}

fuzz_target!(|data: &[u8]| {
    let (model, text) = sound();
    let (choice, input) = (choice(data), put("in.gguf", data));
    let (base, quantized) = match choice % 4 {
        0 => (model.clone(), input),
        1 => (input, model.clone()),
        _ => (input.clone(), input),
    };
    let job = EvaluationJob {
        base,
        quantized,
        text: (choice & 4 != 0).then(|| text.clone()),
        chunks: Some(2),
        context: (choice & 8 != 0).then_some(12),
        activations: if choice & 16 == 0 { Activations::Rounded } else { Activations::Float },
        logits: None,
        report: None,
        force: false,
        seed: 0,
        threads: Some(1),
    };
    bounded(0, || {
        if let Ok(evaluation) = evaluate::run(&job, &Silent) {
            black_box(report::evaluation_table(&evaluation));
        }
    });
});
