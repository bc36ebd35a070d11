//! MXFP4, which is written only if the user names it.

use opencog_qat::gguf::{Format, Value};

use crate::folder::{Folder, Report};
use crate::models::Model;

/// A model whose rows 256 does not divide.
fn folder() -> Folder {
    Folder::with(&Model::llama(96, Format::F16))
}

fn formats(report: &Report) -> Vec<&str> {
    let mut formats: Vec<&str> = report.quantized().map(|tensor| &*tensor.format).collect();
    formats.sort_unstable();
    formats.dedup();
    formats
}

#[test]
fn it_is_written_where_it_is_named() {
    let folder = folder();
    let report = folder.quantize("--formats MXFP4");
    assert_eq!(formats(&report), ["MXFP4"]);
    assert_eq!(report.quantized_bpw(), 4.25);
    let output = folder.open("out.gguf");
    assert_eq!(output.tensor("blk.0.ffn_up.weight").unwrap().format, Format::MXFP4);
    assert_eq!(output.metadata().get("general.file_type"), Some(&Value::U32(38)));
    let report = folder.quantize("--formats Q8_0,MXFP4 --bpw 6");
    assert_eq!(formats(&report), ["MXFP4", "Q8_0"]);
    assert!(report.quantized_bpw() <= 6.0);
}

#[test]
fn it_is_not_chosen_by_itself() {
    for flags in ["", "--hardware gpu", "--bits 4:4", "--bpw 4.6", "--strategy fixed"] {
        let report = folder().quantize(flags);
        assert!(!formats(&report).contains(&"MXFP4"), "{flags}");
    }
}

#[test]
fn it_loses_no_less_than_what_has_more_bits() {
    let folder = folder();
    let [mxfp4, iq4_nl] = ["MXFP4", "IQ4_NL"]
        .map(|format| folder.quantize(&format!("--formats {format}")).planned_error());
    assert!(iq4_nl < mxfp4 && mxfp4 < 3.0 * iq4_nl, "{mxfp4} and {iq4_nl}");
}

#[test]
fn what_has_no_room_for_it_is_refused() {
    let portable = "--formats MXFP4: is not among those that --portable keeps to";
    let tpu = "--formats MXFP4: is not among those that hold what a TPU multiplies";
    let bits = "--formats MXFP4: is outside --bits";
    for (flags, expected) in
        [("--portable", portable), ("--hardware tpu", tpu), ("--bits 5:8", bits)]
    {
        folder().refused_with(&format!("{flags} --formats MXFP4 in.gguf out.gguf"), expected);
    }
    let listed = "--formats Q2_K: is not among the formats written here: Q4_0, Q4_1, Q5_0, Q5_1, \
                  Q8_0, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS, MXFP4";
    folder().refused_with("--formats Q2_K in.gguf out.gguf", listed);
}
