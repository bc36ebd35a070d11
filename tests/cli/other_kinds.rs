//! Files that are no models: what they are, and what to do.

use std::fs;

use opencog_qat::gguf::{Format, Value};
use predicates::prelude::*;

use crate::folder::Folder;
use crate::models::Model;
use crate::opencog;

/// Whatever reads a model says of this file what it is, and what to do.
#[track_caller]
fn told(bytes: &[u8], what: &str, to_do: &str) {
    let folder = Folder::with(&Model::llama(256, Format::F16));
    folder.write("odd.gguf", bytes);
    for args in [
        "odd.gguf out.gguf",
        "--effort fast --dry-run odd.gguf out.gguf",
        "inspect odd.gguf",
        "eval odd.gguf in.gguf",
        "eval in.gguf odd.gguf",
    ] {
        let message = folder.refused(args);
        for fragment in ["odd.gguf: it is ", what, to_do] {
            assert!(message.contains(fragment), "{args}: expected `{fragment}` in: {message}");
        }
    }
}

#[test]
fn downloads_that_brought_something_else() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00ff\nsize 1234567\n";
    told(pointer.as_bytes(), "a git-LFS pointer to a file of 1,234,567 bytes", "`git lfs pull`");
    told(b"<!doctype html><html lang=en>", "a web page (HTML)", "download the file itself");
    told(b"", "empty", "was the download complete?");
    told(b"Entry not found", "a text", "`Entry not found`");
}

#[test]
fn models_in_other_formats() {
    let header = br#"{"a.weight":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}}"#;
    let file = [&(header.len() as u64).to_le_bytes(), &header[..], &[0, 0]].concat();
    told(&file, "a safetensors file", "convert_hf_to_gguf.py");
    let zip = [&b"PK\x03\x04"[..], &[0; 22], &[16, 0, 0, 0], b"archive/data.pkl"].concat();
    told(&zip, "a PyTorch checkpoint", "convert_hf_to_gguf.py");
    told(b"\x80\x02}q\0.", "a pickle", "convert_hf_to_gguf.py");
    told(b"lmgg\x00\x7d\0\0", "before GGUF", "convert the model again");
    told(b"\x1f\x8b\x08\0\0\0\0\0", "compressed with gzip", "unpack");
}

#[test]
fn a_folder_of_a_model() {
    let folder = Folder::with(&Model::llama(256, Format::F16));
    fs::create_dir(folder.path("hf")).unwrap();
    folder.write("hf/config.json", b"{}");
    folder.write("hf/model.safetensors", b"");
    for args in ["hf out.gguf", "inspect hf", "eval hf in.gguf"] {
        folder.refused_with(args, "hf: it is a folder with a Hugging Face model");
        folder.refused_with(args, "convert_hf_to_gguf.py");
    }
}

/// A GGUF of another kind is told of where a model is wanted, and can be inspected.
#[track_caller]
fn told_of_gguf(model: &Model, what: &str, to_do: &str) {
    let folder = Folder::with(&Model::llama(256, Format::F16));
    folder.write("odd.gguf", &model.bytes());
    for args in ["odd.gguf out.gguf", "eval odd.gguf in.gguf", "eval in.gguf odd.gguf"] {
        folder.refused_with(args, &format!("odd.gguf: it {what}"));
        folder.refused_with(args, to_do);
    }
    folder.run("inspect odd.gguf").success().stdout(predicate::str::contains("GGUF v3"));
}

#[test]
fn ggufs_that_hold_no_model() {
    let lora = Model::empty()
        .key("general.type", Value::string("adapter"))
        .key("adapter.type", Value::string("lora"))
        .weights("blk.0.attn_q.weight.lora_a", Format::F32, &[64, 8])
        .weights("blk.0.attn_q.weight.lora_b", Format::F32, &[8, 64]);
    told_of_gguf(&lora, "is a LoRA adapter", "llama-export-lora");
    let imatrix = Model::empty()
        .key("general.type", Value::string("imatrix"))
        .weights("blk.0.attn_q.weight.in_sum2", Format::F32, &[64])
        .weights("blk.0.attn_q.weight.counts", Format::F32, &[1]);
    told_of_gguf(&imatrix, "is an importance matrix", "name the model");
    told_of_gguf(&Model::empty(), "holds the vocabulary of a model and no tensor", "--vocab-only");
}

#[test]
fn a_companion_is_no_model() {
    let folder = opencog::with_tiny();
    folder.run("opencog pack kb.scm kb.opencog.gguf").success();
    let expected = "kb.opencog.gguf: it is a companion of OpenCog data, not a model";
    folder.refused_with("kb.opencog.gguf out.gguf", expected);
    folder.refused_with("eval in.gguf kb.opencog.gguf", expected);
}

#[test]
fn a_vision_tower_can_be_quantized() {
    let tower = Model::empty()
        .key("general.architecture", Value::string("clip"))
        .key("general.type", Value::string("mmproj"))
        .weights("v.blk.0.attn_q.weight", Format::F16, &[64, 12]);
    Folder::with(&tower).quantize("");
}
