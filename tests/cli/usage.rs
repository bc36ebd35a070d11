//! Bad usage: exit code 2, and a message that names what is wrong.

use std::ffi::OsStr;

use opencog_qat::gguf::Format;
use predicates::prelude::*;

use crate::folder::{Folder, PROGRAM};
use crate::models::Model;

#[track_caller]
fn misused(args: &str, named: &[&str]) {
    let folder = Folder::empty();
    let assert = folder.run(args).code(2).stdout(predicate::str::is_empty());
    let message = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
    assert!(message.starts_with("error: "), "{message}");
    named.iter().for_each(|name| assert!(message.contains(name), "expected `{name}`: {message}"));
    assert!(folder.names().is_empty());
}

#[test]
fn unknown_flags_are_named() {
    misused("--nonsense in.gguf out.gguf", &["--nonsense"]);
    misused("-x in.gguf out.gguf", &["-x"]);
}

#[cfg(unix)]
#[test]
fn arguments_need_not_be_utf_8() {
    use std::os::unix::ffi::OsStrExt;
    let (folder, name) = (Folder::empty(), OsStr::from_bytes(b"m\xff.gguf"));
    let run = |args: &[&str]| {
        let output = folder.command(PROGRAM, args).arg(name).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, message) = run(&[]);
    assert!(code == Some(2) && message.contains("OUT.gguf"), "{code:?}: {message}");
    let (code, message) = run(&["--hardware=npu"]);
    assert!(code == Some(2) && message.contains("expected cpu, gpu or tpu"), "{code:?}: {message}");
    let (code, message) = run(&["inspect"]);
    assert!(code == Some(1) && message.contains("m\u{fffd}.gguf"), "{code:?}: {message}");
}

#[test]
fn missing_arguments_are_named() {
    misused("", &["MODEL.gguf", "OUT.gguf"]);
    misused("in.gguf", &["OUT.gguf"]);
    misused("inspect", &["FILE"]);
    misused("in.gguf out.gguf third.gguf", &["third.gguf"]);
    misused("in.gguf out.gguf --seed", &["--seed"]);
}

#[test]
fn numbers_that_are_none_are_named() {
    misused("--memory lots in.gguf out.gguf", &["--memory", "lots"]);
    misused("--accuracy 2% in.gguf out.gguf", &["--accuracy", "2%"]);
    misused("--bits four in.gguf out.gguf", &["--bits", "four", "4:8"]);
    misused("--size 12XB in.gguf out.gguf", &["--size", "12XB", "MiB"]);
    misused("--bpw x in.gguf out.gguf", &["--bpw", "x"]);
    misused("--speed fast in.gguf out.gguf", &["--speed", "fast", "prompt:0.9"]);
    misused("--speed decode:0.9 in.gguf out.gguf", &["--speed", "decode is no phase"]);
    misused("--llama-bench no/such in.gguf out.gguf", &["--llama-bench", "no such file"]);
    misused("--seed -1 in.gguf out.gguf", &["-1"]);
    misused("--time soon in.gguf out.gguf", &["--time", "soon"]);
    misused("--time 10 in.gguf out.gguf", &["--time", "10"]);
    misused("--threads two in.gguf out.gguf", &["--threads", "two"]);
    misused("--formats Q4_K,Q9_K in.gguf out.gguf", &["--formats", "Q9_K"]);
}

#[test]
fn values_that_are_none_are_named() {
    misused("--hardware npu in.gguf out.gguf", &["--hardware", "npu", "cpu, gpu or tpu"]);
    misused("--strategy magic in.gguf out.gguf", &["--strategy", "magic", "search"]);
}

#[test]
fn flags_about_opencog_data_are_checked() {
    misused("--moses-table x.csv in.gguf out.gguf", &["--moses-table", "--moses"]);
    misused("--tv-merge odd in.gguf out.gguf", &["--tv-merge", "odd", "first or last"]);
    misused("--truth fp4 in.gguf out.gguf", &["--truth", "fp4", "palette", "uniform8"]);
    misused("--attention fp4 in.gguf out.gguf", &["--attention", "fp4", "geometric"]);
    misused("opencog unpack kb.scm", &["unpack"]);
    misused("opencog pack kb.scm", &["KB.opencog.gguf"]);
    misused(
        "opencog export kb.opencog.gguf out.scm --target 4",
        &["--target", "5.0, 2026 or metta"],
    );
}

#[test]
fn flags_that_exclude_each_other_are_named() {
    misused("--size 1MB --bpw 5 in.gguf out.gguf", &["--size", "--bpw"]);
    misused("--quiet -v in.gguf out.gguf", &["--quiet", "--verbose"]);
}

#[test]
fn values_that_make_no_sense_are_bad_input() {
    let folder = Folder::with(&Model::llama(256, Format::F16));
    for (flag, named) in [
        ("--bits 9:4", "--bits 9:4: "),
        ("--bits 1:3", "--bits 1:3: "),
        ("--accuracy 0", "--accuracy 0: "),
        ("--accuracy 1", "--accuracy 1: "),
        ("--accuracy nan", "--accuracy NaN: "),
        ("--memory 0", "--memory 0: "),
        ("--memory=-1", "--memory -1: "),
        ("--reduction 1", "--reduction 1: "),
        ("--size 0", "--size 0: "),
        ("--bpw 0", "--bpw 0: "),
        ("--context 0", "--context 0: "),
        ("--threads 0", "--threads 0: "),
        ("--threads 1025", "--threads 1025: must lie between 1 and 1024"),
        ("--threads 18446744073709551615", "--threads 18446744073709551615: "),
        ("--formats F16", "--formats F16: "),
        ("--formats Q8_0 --bits 4:6", "--formats Q8_0: "),
        ("--strategy fixed --bits 4:6", "--bits 4:6: "),
        ("--strategy fixed --formats Q4_K", "--formats Q4_K: "),
        ("--time 1h30m", "--time 1h30m: is what training may take"),
        ("--effort thorough --strategy fixed", "--strategy fixed: "),
    ] {
        folder.refused_with(&format!("{flag} in.gguf out.gguf"), named);
    }
}

#[test]
fn help_and_version_go_to_standard_output() {
    let folder = Folder::empty();
    let help = folder.run("--help").success().stderr(predicate::str::is_empty());
    help.stdout(predicate::str::contains("Exit codes:").and(predicate::str::contains("--bpw")));
    folder.run("--version").success().stdout(predicate::str::starts_with("opencog-qat "));
}
