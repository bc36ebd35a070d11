//! Disks that are full.

use opencog_qat::gguf::Format;
use predicates::prelude::*;

use assert_cmd::assert::OutputAssertExt;

use crate::folder::{Folder, PROGRAM};
use crate::models::Model;

#[cfg(unix)]
#[test]
fn a_limit_on_file_sizes_is_an_error_and_leaves_nothing() {
    let folder = Folder::with(&Model::llama(1024, Format::F16));
    let limited = format!("ulimit -f 8; exec {PROGRAM} in.gguf out.gguf");
    let run = folder.command("sh", &["-c", &limited]).assert().code(1);
    run.stderr(predicate::str::starts_with("error: out.gguf: cannot write the file of "));
    assert_eq!(folder.names(), ["in.gguf"]);
}

#[cfg(unix)]
#[test]
fn a_search_that_finds_the_disk_full_says_where_its_state_is() {
    let folder = Folder::with_tiny();
    let flags = "--batches 1 --batch-size 4 --seq-len 64 --formats Q4_0,Q8_0 --bpw 5";
    let limited = format!("ulimit -f 4000; exec {PROGRAM} {flags} in.gguf out.gguf");
    let run = folder.command("sh", &["-c", &limited]).assert().code(1);
    run.stderr(predicate::str::contains("out.gguf.work: what was found so far; the same command"));
    assert_eq!(folder.names(), ["in.gguf", "out.gguf.work"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_listing_that_cannot_be_written_is_an_error() {
    let folder = Folder::with(&Model::llama(256, Format::F16));
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let run = folder.program("inspect in.gguf").stdout(full).output().unwrap().assert().code(1);
    run.stderr(predicate::str::starts_with("error: cannot write to standard output: No space"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_summary_that_cannot_be_written_is_a_warning() {
    let folder = Folder::with(&Model::llama(256, Format::F16));
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    let run =
        folder.program("--effort fast in.gguf out.gguf").stdout(full()).output().unwrap().assert();
    run.success().stderr(predicate::str::starts_with("warning: cannot write to standard output"));
    folder.open("out.gguf");
    // A plan that nobody sees is no use.
    let dry =
        folder.program("--effort fast --dry-run in.gguf x.gguf").stdout(full()).output().unwrap();
    dry.assert().code(1).stderr(predicate::str::starts_with("error: cannot write to standard"));
}

/// A disk of its own, where the system lets us make one: in a namespace that ends with the test.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_and_leaves_nothing() {
    let folder = Folder::with(&Model::llama(1024, Format::F16));
    std::fs::create_dir(folder.path("disk")).unwrap();
    let in_disk = |then: &str| {
        let mount = "mount -t tmpfs -o size=16k tmpfs disk";
        let script = format!("{mount} || exit 77; {then}; code=$?; ls -A disk; exit $code");
        let args = ["--mount", "--map-root-user", "sh", "-c", &script];
        folder.command("unshare", &args).output()
    };
    let possible = in_disk("true").is_ok_and(|output| output.status.success());
    if !possible {
        return println!("skipped: no disk can be made here");
    }
    let run = in_disk(&format!("{PROGRAM} in.gguf disk/out.gguf")).unwrap().assert().code(1);
    let told = "error: disk/out.gguf: cannot write the file of .*: No space left on device";
    run.stdout(predicate::str::is_empty()).stderr(predicate::str::is_match(told).unwrap());
    // A report that does not fit, beside a model that does: neither is there.
    let args = "--report disk/x.json in.gguf out.gguf";
    let fill = "head -c 16384 /dev/zero > disk/zeros; rm -f disk/x.json";
    let run = in_disk(&format!("{fill}; {PROGRAM} {args}")).unwrap().assert().code(1);
    run.stderr(predicate::str::starts_with("error: disk/x.json: cannot write"));
    assert_eq!(folder.names(), ["disk", "in.gguf"]);
}
