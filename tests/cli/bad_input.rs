//! Bad input: a clear error, exit code 1, and nothing written.

use std::fs;
use std::path::Path;
use std::time::Duration;

use assert_cmd::Command;
use opencog_qat::gguf::{Format, Gguf, Value};

use crate::folder::{Folder, PROGRAM};
use crate::models::{Model, weights};

/// A small sound model.
fn sound() -> Model {
    Model::llama(256, Format::F16)
}

/// The file of [`sound`] with `bytes` written over it at `place`, run through the program.
#[track_caller]
fn patched(place: usize, bytes: &[u8], fragment: &str) {
    let mut file = sound().bytes();
    file[place..place + bytes.len()].copy_from_slice(bytes);
    broken(&file, fragment);
}

#[track_caller]
fn broken(file: &[u8], fragment: &str) {
    let folder = Folder::empty();
    folder.write("in.gguf", file);
    folder.refused_with("in.gguf out.gguf", "in.gguf: ");
    folder.refused_with("in.gguf out.gguf", fragment);
    folder.refused_with("inspect in.gguf", fragment);
}

/// The place right after the last `text` in the file of [`sound`].
fn after(text: &str) -> usize {
    let file = sound().bytes();
    let found = file.windows(text.len()).rposition(|window| window == text.as_bytes());
    found.unwrap() + text.len()
}

#[test]
fn truncated_files() {
    let folder = Folder::empty();
    let (file, header) = (sound().bytes(), sound().header().len());
    // Each byte of the header is tried without the program, in `gguf_malformed.rs`.
    let in_header = (0..header).step_by(37);
    let in_data = [header, header + 1, file.len() / 2, file.len() - 33];
    for len in in_header.chain(in_data) {
        folder.write("in.gguf", &file[..len]);
        folder.refused_with("in.gguf out.gguf", "was the download complete?");
    }
}

#[test]
fn an_empty_file_and_one_of_another_kind() {
    broken(b"", "was the download complete?");
    broken(b"PK\x03\x04 and so on, for a zip archive", "expected `GGUF`");
    broken(b"tjgg\x03\0\0\0", "before GGUF");
}

#[test]
fn wrong_magic_and_versions() {
    patched(0, b"GGUX", "expected `GGUF`");
    patched(4, &1u32.to_le_bytes(), "version is 1");
    patched(4, &9u32.to_le_bytes(), "version is 9");
    patched(4, &3u32.to_be_bytes(), "big-endian");
}

#[test]
fn counts_lengths_and_offsets_that_overflow() {
    patched(8, &u64::MAX.to_le_bytes(), "tensors, and");
    patched(16, &(1u64 << 60).to_le_bytes(), "metadata keys, and");
    patched(24, &u64::MAX.to_le_bytes(), "more bytes");
    let entry = after("blk.0.ffn_down.weight");
    patched(entry, &5u32.to_le_bytes(), "5 dimensions");
    patched(entry + 4, &u64::MAX.to_le_bytes(), "more values than can be counted");
    patched(entry + 12, &0u64.to_le_bytes(), "length 0");
    patched(entry + 24, &(u64::MAX - 31).to_le_bytes(), "past the end of any file");
    patched(entry + 24, &(1u64 << 40).to_le_bytes(), "the file ends at byte");
    patched(entry + 24, &3u64.to_le_bytes(), "no multiple of the alignment");
}

#[test]
fn unknown_tensor_types() {
    let place = after("blk.0.ffn_down.weight") + 20;
    patched(place, &99u32.to_le_bytes(), "`blk.0.ffn_down.weight` is of type 99");
}

#[test]
fn keys_and_tensors_that_stand_twice() {
    // Another name of the same length.
    let key = after("general.name") - "general.name".len();
    let twice = sound().key("general.neme", Value::U8(0)).bytes();
    let second = twice.windows(12).position(|window| window == b"general.neme").unwrap();
    let mut file = twice.clone();
    file[second..second + 12].copy_from_slice(&twice[key..key + 12]);
    broken(&file, "the key `general.name` stands twice");
    let name = after("blk.0.attn_q.weight") - "attn_q.weight".len();
    patched(name, b"attn_k", "the tensor `blk.0.attn_k.weight` stands twice");
}

/// A model whose tensor `name`, with rows of `row_len`, holds `value` at `place`.
fn with_value(name: &str, format: Format, row_len: u64, place: usize, value: f32) -> Model {
    let mut values = weights(name, row_len * 64);
    values[place] = value;
    sound().values(name, format, &[row_len, 64], &values)
}

#[test]
fn weights_that_are_no_numbers_are_named() {
    for (format, value, shown) in [
        (Format::F16, f32::NAN, "NaN"),
        (Format::F32, f32::INFINITY, "inf"),
        (Format::BF16, f32::NEG_INFINITY, "-inf"),
    ] {
        // In each of many rows, looked at by the plan or not.
        for row in [0, 31, 63] {
            let model = with_value("blk.1.ffn_up.weight", format, 256, row * 256 + 17, value);
            let expected =
                format!("blk.1.ffn_up.weight holds {shown} in row {row}, column 17; every weight");
            let folder = Folder::with(&model);
            folder.refused_with("in.gguf out.gguf", &expected);
            folder.refused_with("--strategy fixed in.gguf out.gguf", &expected);
        }
    }
}

#[test]
fn weights_that_no_block_can_hold_are_named() {
    let folder = Folder::with(&with_value("blk.1.ffn_up.weight", Format::F32, 256, 258, 1e6));
    let expected = "blk.1.ffn_up.weight holds 1000000 in row 1, column 2; ";
    folder.refused_with("in.gguf out.gguf", expected);
}

#[test]
fn what_is_copied_must_be_numbers_too() {
    for (name, format) in [
        ("blk.1.attn_norm.weight", Format::F32),
        ("blk.1.ffn_gate_inp.weight", Format::F32),
        ("blk.1.odd_rows.weight", Format::BF16),
    ] {
        let folder = Folder::with(&with_value(name, format, 80, 83, f32::NAN));
        let expected = format!("{name} holds NaN in row 1, column 3; every weight");
        folder.refused_with("in.gguf out.gguf", &expected);
        folder.refused_with("--strategy fixed in.gguf out.gguf", &expected);
    }
    // Beyond the reach of blocks, but a number: nothing is wrong with it.
    let model = with_value("blk.1.ffn_gate_inp.weight", Format::F32, 80, 83, 1e30);
    Folder::with(&model).quantize("");
}

#[test]
fn a_missing_shard_is_named() {
    let folder = Folder::empty();
    let shards = sound().shards(3);
    folder.write("m-00001-of-00003.gguf", &shards[0]);
    folder.write("m-00002-of-00003.gguf", &shards[1]);
    folder.refused_with("m-00001-of-00003.gguf out.gguf", "m-00003-of-00003.gguf: cannot open");
    let expected = "it is shard 2 of 3; open m-00001-of-00003.gguf instead";
    folder.refused_with("m-00002-of-00003.gguf out.gguf", expected);
}

#[test]
fn inputs_that_cannot_be_read() {
    let folder = Folder::with(&sound());
    folder.refused_with("no.gguf out.gguf", "no.gguf: cannot open the model: No such file");
    folder.refused_with("inspect no.gguf", "no.gguf: cannot open the model: No such file");
    fs::create_dir(folder.path("folder")).unwrap();
    folder.refused_with("folder out.gguf", "folder: cannot open the model: it is no regular file");
}

#[cfg(unix)]
#[test]
fn a_named_pipe_is_refused_without_waiting_for_it() {
    let folder = Folder::empty();
    assert!(folder.command("mkfifo", &["pipe"]).status().unwrap().success());
    let mut program = Command::from_std(folder.program("pipe out.gguf"));
    program.timeout(Duration::from_secs(20)).assert().code(1);
}

#[cfg(unix)]
#[test]
fn an_input_without_permission_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::with(&sound());
    let path = folder.path("in.gguf");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    let mut program = folder.program("in.gguf out.gguf");
    if fs::File::open(&path).is_ok() {
        // We are root: without these capabilities, permissions hold for us too.
        let args =
            ["--bounding-set=-dac_override,-dac_read_search", PROGRAM, "in.gguf", "out.gguf"];
        program = folder.command("setpriv", &args);
    }
    let Ok(output) = program.output().map(|output| String::from_utf8(output.stderr).unwrap())
    else {
        return println!("skipped: this user may read everything");
    };
    assert!(output.contains("in.gguf: cannot open the model: Permission denied"), "{output}");
    assert_eq!(folder.names(), ["in.gguf"]);
}

#[test]
fn the_output_must_not_be_the_input() {
    let folder = Folder::with(&sound());
    fs::hard_link(folder.path("in.gguf"), folder.path("hard.gguf")).unwrap();
    let mut names = vec!["in.gguf", "./in.gguf", "hard.gguf"];
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("in.gguf", folder.path("soft.gguf")).unwrap();
        names.push("soft.gguf");
    }
    for output in names {
        let expected = format!("{output}: is the input in.gguf itself");
        folder.refused_with(&format!("in.gguf {output}"), &expected);
        folder.refused_with(&format!("--force in.gguf {output}"), &expected);
        folder.refused_with(&format!("--force --dry-run in.gguf {output}"), &expected);
    }
}

#[test]
fn the_output_must_not_be_a_shard_of_the_input() {
    let folder = Folder::empty();
    for (no, shard) in sound().shards(3).iter().enumerate() {
        folder.write(&format!("m-{:05}-of-00003.gguf", no + 1), shard);
    }
    let args = "--force m-00001-of-00003.gguf m-00002-of-00003.gguf";
    folder.refused_with(args, "is the input m-00002-of-00003.gguf itself");
}

#[test]
fn nothing_that_is_read_is_replaced() {
    let folder = Folder::with(&sound());
    folder.write("text.json", b"measured on");
    // The name that a model gets when it misses its target.
    fs::rename(folder.path("in.gguf"), folder.path("m.below-target")).unwrap();
    let expected = "m.below-target: is the input m.below-target itself";
    folder.refused_with("m.below-target m", expected);
    let text = "--force --eval-text text.json m.below-target";
    folder.refused_with(&format!("{text} text.json"), "is the input text.json itself");
    let args = format!("--report text.json {text} out.gguf");
    folder.refused_with(&args, "text.json: is text.json itself; name another report");
}

#[test]
fn a_quantized_model_is_refused_unless_allowed() {
    let folder = Folder::with(&sound());
    folder.quantize("--bits 8:8");
    fs::remove_file(folder.path("report.json")).unwrap();
    let expected = "tensor token_embd.weight is already quantized, to Q8_0";
    folder.refused_with("out.gguf again.gguf", expected);
    folder.run("--allow-requantize out.gguf again.gguf").success();
    let again = folder.open("again.gguf");
    let flags = again.metadata().get("opencog_qat.flags").unwrap().as_str().unwrap();
    assert!(flags.contains("--allow-requantize"), "{flags}");
}

#[test]
fn a_model_with_nothing_to_quantize_is_refused() {
    let folder = Folder::with(&Model::empty().weights("a_norm.weight", Format::F32, &[64]));
    folder.refused_with("in.gguf out.gguf", "no tensor that can be quantized");
    let folder = Folder::with(&Model::empty());
    folder.refused_with("in.gguf out.gguf", "no tensor that can be quantized");
}

/// Files broken by others, where they are present.
#[test]
fn the_shared_folder_never_leaves_anything() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/gguf-malformed");
    let Ok(entries) = fs::read_dir(&shared) else {
        return println!("skipped: there is no {}", shared.display());
    };
    for entry in entries {
        let (path, folder) = (entry.unwrap().path(), Folder::empty());
        let mut program = folder.command(PROGRAM, &["--allow-requantize"]);
        let code = program.arg(&path).arg("out.gguf").output().unwrap().status.code();
        match code {
            Some(0) => drop(Gguf::open(&folder.path("out.gguf")).unwrap()),
            Some(1) => assert!(folder.names().is_empty(), "{}", path.display()),
            code => panic!("{}: {code:?}", path.display()),
        }
    }
}
