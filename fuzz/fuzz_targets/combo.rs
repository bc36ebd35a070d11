//! `opencog-qat opencog pack --moses` of any programs, and what was packed as text again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use opencog_qat::companion::{self, ExportJob, PackJob, Request};
use opencog_qat_fuzz::{bounded, choice, path_of, put};
use opencog_qat_fuzz_seeds::TABLE;

fuzz_target!(|data: &[u8]| {
    let (choice, programs) = (choice(data), put("best.combo", data));
    let output = path_of("best.opencog.gguf");
    let request = Request {
        moses: Some(programs),
        moses_table: (choice & 256 == 256).then(|| put("train.csv", TABLE.as_bytes())),
        ..Request::default()
    };
    let pack = PackJob { request, output: output.clone(), report: None, force: true };
    let export = ExportJob {
        companion: output,
        output: None,
        moses: Some(path_of("again.combo")),
        target: None,
        modules: Vec::new(),
        types: Vec::new(),
        force: true,
    };
    bounded(data.len(), || {
        if companion::pack(&pack).is_ok() {
            companion::export(&export).expect("what was packed can be read");
        }
    });
});
