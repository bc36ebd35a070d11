//! `opencog-qat opencog stats` and `pack` of any AtomSpace text, and what was packed as text again.
#![no_main]

use std::hint::black_box;

use libfuzzer_sys::fuzz_target;
use opencog_qat::companion::{self, ExportJob, ExportTarget, PackJob, Request};
use opencog_qat::opencog::atomspace::companion::Form;
use opencog_qat::opencog::atomspace::export::Target;
use opencog_qat_fuzz::{bounded, choice, path_of, put};

fuzz_target!(|data: &[u8]| {
    let (choice, text) = (choice(data), put("kb.scm", data));
    let output = path_of("kb.opencog.gguf");
    let request = Request {
        atomspace: Some(text.clone()),
        form: if choice & 256 == 0 { Form::Mapped } else { Form::AtRest },
        ..Request::default()
    };
    let pack = PackJob { request, output: output.clone(), report: None, force: true };
    let export = ExportJob {
        companion: output,
        output: Some(path_of("again.scm")),
        moses: None,
        target: Some(ExportTarget::AtomSpace(match choice & 512 {
            0 => Target::AtomSpace5_0,
            _ => Target::AtomSpace2026,
        })),
        modules: Vec::new(),
        types: Vec::new(),
        force: true,
    };
    bounded(data.len(), || {
        let _ = black_box(companion::stats(&text, &[], &[], None));
        if companion::pack(&pack).is_ok() {
            companion::export(&export).expect("what was packed can be read");
        }
    });
});
