//! `--portable`: only formats that other programs than llama.cpp decode too.

use opencog_qat::gguf::Format;

use crate::folder::{Folder, Report};
use crate::models::Model;

/// A model with rows that 256 divides, and rows that it doesn't.
fn mixed() -> Folder {
    let mut model = Model::llama(256, Format::F16);
    for part in ["attn_q", "attn_k", "ffn_up", "ffn_down", "other"] {
        model = model.weights(&format!("blk.1.{part}.weight"), Format::F16, &[96, 12]);
    }
    Folder::with(&model)
}

#[track_caller]
fn check(report: &Report) {
    for tensor in report.quantized().filter(|tensor| tensor.role != "norm") {
        let allowed: &[&str] = match tensor.shape[0] % 256 {
            0 => &["Q4_0", "Q4_K", "Q5_K", "Q6_K", "Q8_0"],
            _ => &["Q4_0", "Q8_0"],
        };
        assert!(allowed.contains(&tensor.format.as_str()), "{}: {}", tensor.name, tensor.format);
    }
    assert!(report.quantized().count() > 8);
}

#[test]
fn all_strategies_and_sizes_keep_to_it() {
    let folder = mixed();
    for flags in [
        "",
        "--bpw 4.6",
        "--bpw 5.5",
        "--bpw 7",
        "--bits 4:4",
        "--strategy fixed",
        "--formats Q4_K,Q6_K",
        "--formats Q5_K",
    ] {
        let report = folder.quantize(&format!("--portable {flags}"));
        assert!(report.flags.contains("--portable"), "{}", report.flags);
        check(&report);
    }
    let others = folder.quantize("--bpw 4.6");
    let portable = |format: &str| ["Q4_0", "Q4_K", "Q5_K", "Q6_K", "Q8_0"].contains(&format);
    assert!(!others.quantized().all(|tensor| portable(&tensor.format)), "it makes a difference");
}

#[test]
fn rows_that_no_portable_format_of_these_bits_fits_are_copied() {
    let report = mixed().quantize("--portable --bits 5:6");
    assert_eq!(report.tensor("blk.1.ffn_up.weight").format, "F16");
    assert_ne!(report.tensor("blk.0.ffn_up.weight").format, "F16");
}

#[test]
fn the_search_keeps_to_it() {
    let folder = Folder::with_tiny();
    let few = "--batches 1 --batch-size 4 --seq-len 64 --bpw 4.8";
    let report = folder.quantize(&format!("--portable --effort standard {few}"));
    check(&report);
}

#[test]
fn what_it_excludes_is_refused() {
    let folder = mixed();
    let expected = "--formats IQ4_NL: is not among those that --portable keeps to";
    folder.refused_with("--portable --formats Q4_K,IQ4_NL in.gguf out.gguf", expected);
    // What is copied as it is must be portable too.
    let norm = Model::llama(256, Format::F16).tensor(
        "blk.1.attn_norm.weight",
        Format::Q5_1,
        &[32],
        vec![0; 24],
    );
    let folder = Folder::with(&norm);
    let expected = "tensor blk.1.attn_norm.weight is kept in Q5_1, which is not among the formats";
    folder.refused_with("--portable in.gguf out.gguf", expected);
}
