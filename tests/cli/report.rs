//! The report in JSON.

use std::fs;

use opencog_qat::gguf::Format;
use predicates::prelude::*;

use crate::folder::Folder;
use crate::models::Model;

fn small() -> Folder {
    Folder::with(&Model::llama(256, Format::F16))
}

#[test]
fn it_agrees_with_the_file() {
    let folder = Folder::with_tiny();
    let report = folder.quantize("--bpw 5 --seed 3");
    let output = folder.open("out.gguf");
    let told: Vec<_> = report.tensors.iter().map(|t| (&*t.name, &*t.format, t.bytes)).collect();
    let found: Vec<_> =
        output.tensors().iter().map(|t| (&*t.name, t.format.name(), t.bytes())).collect();
    assert_eq!(told, found, "every tensor, in the order of the file");
    let shapes = report.tensors.iter().zip(output.tensors());
    shapes.for_each(|(told, found)| assert_eq!(told.shape, found.dims()));
    let metrics = &report.metrics;
    assert_eq!(metrics.output_bytes, folder.read("out.gguf").len() as u64);
    assert_eq!(metrics.input_bytes, folder.read("in.gguf").len() as u64);
    assert_eq!(metrics.tensor_bytes, report.tensors.iter().map(|tensor| tensor.bytes).sum::<u64>());
    assert_eq!(metrics.parameters, output.tensors().iter().map(|t| t.elements()).sum::<u64>());
    assert_eq!((report.schema, report.seed, report.dry_run), (1, 3, false));
    assert!(report.flags.contains("--bpw 5"), "{}", report.flags);
}

#[test]
fn it_is_written_quietly_and_replaces_an_older_one() {
    let folder = small();
    folder.write("x.json", b"old");
    let flags = "--quiet --effort fast --report x.json";
    let run = folder.run(&format!("{flags} in.gguf out.gguf")).success();
    run.stdout(predicate::str::is_empty()).stderr(predicate::str::is_empty());
    assert!(folder.read("x.json").starts_with(b"{"));
    assert_eq!(folder.names(), ["in.gguf", "out.gguf", "x.json"]);
}

#[test]
fn a_report_that_cannot_be_written_is_refused_before_the_work() {
    let folder = small();
    folder.refused_with("--report no/x.json in.gguf out.gguf", "no: there is no such folder");
    fs::create_dir(folder.path("x.json")).unwrap();
    folder.refused_with("--report x.json in.gguf out.gguf", "x.json: it is a folder");
}

#[test]
fn it_must_not_be_the_model() {
    let folder = small();
    fs::rename(folder.path("in.gguf"), folder.path("in.json")).unwrap();
    for report in ["in.json", "./in.json", "out.json", "././out.json"] {
        let args = format!("--report {report} in.json out.json");
        folder.refused_with(&args, &format!("{report}: is "));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn it_names_models_whose_names_are_not_utf_8() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = small();
    let output = OsStr::from_bytes(b"o\xff.gguf");
    let mut program = folder.program("--report x.json in.gguf");
    assert!(program.arg(output).output().unwrap().status.success());
    let report: serde_json::Value = serde_json::from_slice(&folder.read("x.json")).unwrap();
    assert_eq!(report["output"], "o\u{fffd}.gguf");
    assert!(folder.root().join(output).exists());
}

#[cfg(unix)]
#[test]
fn it_must_not_be_the_model_through_a_link() {
    use std::os::unix::fs::symlink;
    let folder = small();
    fs::create_dir(folder.path("w")).unwrap();
    fs::rename(folder.path("in.gguf"), folder.path("w/in.json")).unwrap();
    symlink("w", folder.path("wl")).unwrap();
    symlink("w/in.json", folder.path("link.json")).unwrap();
    fs::hard_link(folder.path("w/in.json"), folder.path("hard.json")).unwrap();
    for report in ["wl/in.json", "w/../wl/in.json", "link.json", "hard.json"] {
        let args = format!("--report {report} w/in.json w/o.gguf");
        folder.refused_with(&args, &format!("{report}: is w/in.json itself"));
    }
    for (report, output) in [("wl/o.json", "w/o.json"), ("w/o.json", "wl/o.json")] {
        let expected = format!("{report}: is {output} itself");
        folder.refused_with(&format!("--report {report} w/in.json {output}"), &expected);
        // Also where there is one already.
        folder.write("w/o.json", b"precious");
        folder.refused_with(&format!("--force --report {report} w/in.json {output}"), &expected);
        assert_eq!(folder.read("w/o.json"), b"precious");
        fs::remove_file(folder.path("w/o.json")).unwrap();
    }
    assert_eq!(fs::read_dir(folder.path("w")).unwrap().count(), 1);
}

#[test]
fn it_must_not_be_a_shard_of_the_model() {
    let folder = Folder::empty();
    for (no, shard) in Model::llama(256, Format::F16).shards(2).iter().enumerate() {
        folder.write(&format!("m-{:05}-of-00002.gguf", no + 1), shard);
    }
    fs::hard_link(folder.path("m-00002-of-00002.gguf"), folder.path("x.json")).unwrap();
    let args = "--report x.json m-00001-of-00002.gguf out.gguf";
    folder.refused_with(args, "x.json: is m-00002-of-00002.gguf itself");
}

#[test]
fn a_failed_run_leaves_none() {
    let folder = small();
    folder.refused("--report x.json --size 10 in.gguf out.gguf");
    folder.write("x.json", b"of an earlier run");
    folder.refused("--report x.json --size 10 in.gguf out.gguf");
}
