//! The file that is written, and when none is.

use std::fs;

use opencog_qat::gguf::{Format, Gguf, Metadata, Value};
use predicates::prelude::*;

use crate::folder::Folder;
use crate::models::Model;

fn small() -> Folder {
    Folder::with(&Model::llama(256, Format::F16))
}

#[test]
fn metadata_is_carried_over() {
    let folder = Folder::with_tiny();
    folder.quantize("--seed 7 --bpw 5");
    let (input, output) = (folder.open("in.gguf"), folder.open("out.gguf"));
    let ours = |key: &str| {
        key.starts_with("opencog_qat.")
            || ["general.file_type", "general.quantization_version"].contains(&key)
    };
    let others = |metadata: &Metadata| -> Vec<(String, Value)> {
        let kept = metadata.iter().filter(|(key, _)| !ours(key));
        kept.map(|(key, value)| (key.into(), value.clone())).collect()
    };
    assert_eq!(others(input.metadata()), others(output.metadata()), "keys, types, values, order");
    assert_eq!(output.version(), 3);
    let value = |key: &str| output.metadata().get(key).unwrap();
    assert_eq!(value("general.quantization_version"), &Value::U32(2));
    assert_eq!(value("opencog_qat.version"), &Value::string(env!("CARGO_PKG_VERSION")));
    assert_eq!(value("opencog_qat.seed"), &Value::U32(7));
    assert!(value("opencog_qat.flags").as_str().unwrap().contains("--bpw 5"));
    assert!(value("opencog_qat.plan").as_array().is_some_and(|plan| plan.len() >= 8));
    let names = |gguf: &Gguf| -> Vec<_> {
        gguf.tensors().iter().map(|tensor| (tensor.name.clone(), tensor.shape)).collect()
    };
    assert_eq!(names(&input), names(&output));
}

#[test]
fn a_seed_is_a_u64_only_if_it_must_be() {
    let folder = small();
    for (seed, written) in [
        (u64::from(u32::MAX), Value::U32(u32::MAX)),
        (1 << 32, Value::U64(1 << 32)),
        (u64::MAX, Value::U64(u64::MAX)),
    ] {
        let planned = folder.quantize(&format!("--dry-run --seed {seed}"));
        let report = folder.quantize(&format!("--seed {seed}"));
        assert_eq!(report.seed, seed);
        assert_eq!(report.metrics.output_bytes, planned.metrics.output_bytes);
        let output = folder.open("out.gguf");
        assert_eq!(output.metadata().get("opencog_qat.seed"), Some(&written));
        assert_eq!(output.file_bytes(), report.metrics.output_bytes);
        let wide = output.metadata().iter().filter(|(_, value)| matches!(value, Value::U64(_)));
        assert_eq!(wide.count(), usize::from(seed > u64::from(u32::MAX)), "no other u64");
    }
}

#[test]
fn the_file_type_is_that_of_most_bytes() {
    let folder = small();
    for (formats, file_type) in [("Q4_K", 15), ("Q6_K", 18), ("Q8_0", 7), ("IQ4_XS", 30)] {
        folder.quantize(&format!("--formats {formats}"));
        let output = folder.open("out.gguf");
        assert_eq!(output.metadata().get("general.file_type"), Some(&Value::U32(file_type)));
    }
}

#[test]
fn an_existing_output_needs_force() {
    let folder = small();
    folder.write("out.gguf", b"precious");
    folder.refused_with("in.gguf out.gguf", "out.gguf: it exists already");
    folder.run("--force in.gguf out.gguf").success();
    folder.open("out.gguf");
    assert_eq!(folder.names(), ["in.gguf", "out.gguf"]);
}

#[test]
fn an_existing_output_is_refused_before_the_work() {
    let folder = small();
    folder.write("out.gguf", b"precious");
    folder.refused_with("--size 10 in.gguf out.gguf", "it exists already");
}

#[test]
fn a_failed_run_leaves_the_old_output() {
    let folder = small();
    folder.write("out.gguf", b"precious");
    folder.refused_with("--force --size 10 in.gguf out.gguf", "the smallest file");
}

#[cfg(unix)]
#[test]
fn force_replaces_a_link_and_not_what_it_leads_to() {
    let folder = small();
    folder.write("other", b"precious");
    std::os::unix::fs::symlink("other", folder.path("out.gguf")).unwrap();
    folder.refused_with("in.gguf out.gguf", "it exists already");
    folder.run("--force in.gguf out.gguf").success();
    assert_eq!(folder.read("other"), b"precious");
    folder.open("out.gguf");
}

#[cfg(unix)]
#[test]
fn force_replaces_files_only() {
    let folder = small();
    // In a folder of its own, since whoever reads a pipe waits.
    fs::create_dir(folder.path("sub")).unwrap();
    assert!(folder.command("mkfifo", &["sub/pipe.json"]).status().unwrap().success());
    std::os::unix::fs::symlink("/dev/null", folder.path("null.json")).unwrap();
    for special in ["sub/pipe.json", "null.json", "/dev/null"] {
        let expected = format!("{special}: it is a device, a pipe or the like");
        folder.refused_with(&format!("in.gguf {special}"), &expected);
        folder.refused_with(&format!("--force in.gguf {special}"), &expected);
    }
    folder.refused_with("--report sub/pipe.json in.gguf out.gguf", "pipe.json: it is a device");
}

#[test]
fn outputs_that_cannot_be() {
    let folder = small();
    folder.refused_with("in.gguf no/out.gguf", "no: there is no such folder; create it first");
    fs::create_dir(folder.path("folder")).unwrap();
    folder.refused_with("in.gguf folder", "folder: it is a folder");
    folder.refused_with("--force in.gguf folder", "folder: it is a folder");
    folder.refused_with("in.gguf ..", "it is no name for a file");
    for no_name in ["out.gguf/", "out.gguf/.", "out.gguf//"] {
        folder.refused_with(&format!("in.gguf {no_name}"), "it is no name for a file");
    }
    let long = format!("{}.gguf", "o".repeat(300));
    // Before the work: the size is not looked at.
    folder.refused_with(&format!("--size 10 in.gguf {long}"), "there can be no file of this name");
    folder.refused_with(&format!("--report {long}.json in.gguf out.gguf"), "no file of this name");
    folder.refused_with("in.gguf in.gguf/out.gguf", "in.gguf: there is no such folder");
    if cfg!(target_os = "linux") {
        folder.refused_with(
            "in.gguf /proc/out.gguf",
            "/proc: cannot create out.gguf in this folder: ",
        );
    }
}

#[test]
fn the_bytes_do_not_depend_on_threads_nor_on_the_run() {
    let folder = Folder::with_tiny();
    for (name, threads) in [("a", 1), ("b", 2), ("c", 2), ("d", 3)] {
        folder.run(&format!("--effort fast --bpw 5 --threads {threads} in.gguf {name}")).success();
        assert!(folder.read(name) == folder.read("a"), "{threads} threads");
    }
}

#[test]
fn a_dry_run_shows_the_plan_and_writes_nothing() {
    let folder = small();
    let shown = folder.run("--dry-run --bpw 5 in.gguf out.gguf").success();
    shown.stdout(predicate::str::contains("in.gguf would become out.gguf"));
    assert_eq!(folder.names(), ["in.gguf"]);

    let planned = folder.quantize("--dry-run --bpw 5");
    assert!(planned.dry_run && !folder.path("out.gguf").exists());
    let done = folder.quantize("--bpw 5");
    assert_eq!(done.metrics.output_bytes, planned.metrics.output_bytes);
    for (planned, done) in planned.tensors.iter().zip(&done.tensors) {
        assert_eq!((&planned.format, planned.relative_error), (&done.format, None));
    }
}

#[test]
fn a_dry_run_refuses_the_outputs_that_a_real_run_does() {
    let folder = small();
    folder.write("old.gguf", b"precious");
    fs::create_dir(folder.path("folder")).unwrap();
    let mut outputs = vec!["old.gguf", "no/out.gguf", "folder", "in.gguf", "out.gguf/"];
    if cfg!(target_os = "linux") {
        outputs.extend(["/proc/out.gguf", "/dev/null"]);
    }
    for output in outputs {
        let real = folder.refused(&format!("in.gguf {output}"));
        assert_eq!(folder.refused(&format!("--dry-run in.gguf {output}")), real);
    }
    folder.run("--dry-run --force in.gguf old.gguf").success();
    assert_eq!(folder.read("old.gguf"), b"precious");
}

#[test]
fn two_runs_at_once_to_one_output() {
    let folder = Folder::with_tiny();
    let both = |flags: &str| -> Vec<Option<i32>> {
        let start = |_| {
            folder.program(&format!("-q --effort fast {flags} in.gguf out.gguf")).spawn().unwrap()
        };
        let children: Vec<_> = (0..2).map(start).collect();
        let mut codes: Vec<_> =
            children.into_iter().map(|mut child| child.wait().unwrap().code()).collect();
        codes.sort();
        codes
    };
    assert_eq!(both(""), [Some(0), Some(1)], "one comes first");
    let first = folder.read("out.gguf");
    assert_eq!(both("--force"), [Some(0), Some(0)]);
    assert!(folder.read("out.gguf") == first);
    assert_eq!(folder.names(), ["in.gguf", "out.gguf"]);
}

#[test]
fn inspect_lists_metadata_and_tensors() {
    let folder = small();
    let listed = folder.run("inspect in.gguf").success().stderr(predicate::str::is_empty());
    let has = predicate::str::contains;
    listed.stdout(
        has("GGUF v3")
            .and(has("general.architecture"))
            .and(has("blk.0.attn_q.weight"))
            .and(has("256 x 12"))
            .and(has("10 tensors")),
    );
}
