//! `opencog-qat opencog pack --moses --moses-table` of any table.
#![no_main]

use std::hint::black_box;

use libfuzzer_sys::fuzz_target;
use opencog_qat::companion::{self, PackJob, Request};
use opencog_qat_fuzz::{bounded, choice, path_of, put};

fuzz_target!(|data: &[u8]| {
    let choice = choice(data);
    let column = |name: &str| Some(name.to_string());
    let request = Request {
        moses: Some(put("best.combo", b"-1.5 +(#1 0.5)\n-2 *(#1 1.25)\n")),
        moses_table: Some(put("train.csv", data)),
        moses_target: [None, column("t"), column("2"), column("0")][choice % 4].clone(),
        moses_weight: [None, column("x"), column("3"), column("")][choice / 4 % 4].clone(),
        ..Request::default()
    };
    let output = path_of("best.opencog.gguf");
    let pack = PackJob { request, output, report: None, force: true };
    bounded(data.len(), || {
        let _ = black_box(companion::pack(&pack));
    });
});
