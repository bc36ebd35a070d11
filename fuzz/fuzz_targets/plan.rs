//! `opencog-qat --effort fast --dry-run` of any model.
#![no_main]

use std::hint::black_box;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use opencog_qat::config::{Effort, Strategy};
use opencog_qat::pipeline::{self, Job};
use opencog_qat::progress::Silent;
use opencog_qat::{Config, report};
use opencog_qat_fuzz::{bounded, choice, mutated_gguf, path_of, put};

fuzz_mutator!(|data: &mut [u8], size: usize, most: usize, seed: u32| {
    mutated_gguf(data, size, most, seed)
});

fuzz_target!(|data: &[u8]| {
    let choice = choice(data);
    let job = Job {
        tpu_layout: None,
        dry_run: true,
        threads: Some(1),
        ..Job::new(put("in.gguf", data), path_of("out.gguf"))
    };
    let strategy = if choice & 1 == 1 { Strategy::Fixed } else { Strategy::Search };
    let (portable, allow_requantize) = (choice & 2 != 0, choice & 4 != 0);
    let effort = Effort::Fast;
    let config = Config { effort, strategy, portable, allow_requantize, ..Config::default() };
    bounded(0, || {
        if let Ok(planned) = pipeline::run(&job, &config, &Silent) {
            black_box(report::summary(&planned));
        }
    });
});
