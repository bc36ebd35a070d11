//! `opencog-qat inspect` of any bytes.
#![no_main]

use std::hint::black_box;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use opencog_qat::gguf::Gguf;
use opencog_qat::report;
use opencog_qat_fuzz::{bounded, mutated_gguf};

fuzz_mutator!(|data: &mut [u8], size: usize, most: usize, seed: u32| {
    mutated_gguf(data, size, most, seed)
});

fuzz_target!(|data: &[u8]| {
    bounded(data.len(), || {
        if let Ok(gguf) = Gguf::from_bytes("input.gguf", data.to_vec()) {
            black_box(report::inspect(&gguf));
        }
    });
});
