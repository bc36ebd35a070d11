//! `opencog-qat opencog stats`, `query` and `pack` of any MeTTa, and what was packed as text again.
#![no_main]

use std::fs;
use std::hint::black_box;

use libfuzzer_sys::fuzz_target;
use opencog_qat::companion::{self, ExportJob, PackJob, QueryJob, Request};
use opencog_qat::opencog::atomspace::companion::Form;
use opencog_qat_fuzz::{bounded, choice, path_of, put};

fuzz_target!(|data: &[u8]| {
    let (choice, text) = (choice(data), put("kb.metta", data));
    let (output, again) = (path_of("kb.opencog.gguf"), path_of("again.metta"));
    let request = Request {
        atomspace: Some(text.clone()),
        form: if choice & 256 == 0 { Form::Mapped } else { Form::AtRest },
        ..Request::default()
    };
    let pack = PackJob { request, output: output.clone(), report: None, force: true };
    let export = |companion, output| ExportJob {
        companion,
        output: Some(output),
        moses: None,
        target: None,
        modules: Vec::new(),
        types: Vec::new(),
        force: true,
    };
    // A line of the text is a pattern as good as any.
    let pattern = String::from_utf8_lossy(data).lines().next().unwrap_or_default().to_string();
    let query = QueryJob {
        file: text.clone(),
        pattern,
        limit: 100,
        aliases: Vec::new(),
        types: Vec::new(),
    };
    bounded(data.len(), || {
        let _ = black_box(companion::stats(&text, &[], &[], None));
        let _ = black_box(companion::query(&query));
        if companion::pack(&pack).is_ok() {
            let once = export(output.clone(), again.clone());
            companion::export(&once).expect("what was packed can be read");
            let request = Request { atomspace: Some(again.clone()), ..pack.request.clone() };
            let second = path_of("second.opencog.gguf");
            let repack = PackJob { request, output: second.clone(), report: None, force: true };
            companion::pack(&repack).expect("what was written can be packed");
            let twice = path_of("twice.metta");
            companion::export(&export(second, twice.clone())).expect("it can be read again");
            assert_eq!(fs::read(&again).unwrap(), fs::read(twice).unwrap());
        }
    });
});
