//! `opencog-qat opencog stats`, `query` and `export` of any companion.
#![no_main]

use std::hint::black_box;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use opencog_qat::companion::{self, ExportJob, ExportTarget, QueryJob};
use opencog_qat::opencog::atomspace::export::Target;
use opencog_qat_fuzz::{bounded, choice, mutated_gguf, path_of, put};

fuzz_mutator!(|data: &mut [u8], size: usize, most: usize, seed: u32| {
    mutated_gguf(data, size, most, seed)
});

fuzz_target!(|data: &[u8]| {
    let (choice, file) = (choice(data), put("kb.opencog.gguf", data));
    let [query, query_of_metta] = [
        "(Inheritance (Variable \"$a\") (Variable \"$b\"))",
        "(, (Inheritance $a $b) ($r $b animal))",
    ]
    .map(|pattern| QueryJob {
        file: file.clone(),
        pattern: pattern.into(),
        limit: 100,
        aliases: Vec::new(),
        types: Vec::new(),
    });
    let export = ExportJob {
        companion: file.clone(),
        output: Some(path_of("kb.scm")),
        moses: (choice & 1 == 1).then(|| path_of("best.combo")),
        target: match choice & 6 {
            0 => Some(ExportTarget::AtomSpace(Target::AtomSpace5_0)),
            2 => Some(ExportTarget::AtomSpace(Target::AtomSpace2026)),
            _ => None,
        },
        modules: Vec::new(),
        types: Vec::new(),
        force: true,
    };
    bounded(data.len(), || {
        let _ = black_box(companion::stats(&file, &[], &[], None));
        let _ = black_box(companion::query(&query));
        let _ = black_box(companion::query(&query_of_metta));
        let _ = black_box(companion::export(&export));
    });
});
