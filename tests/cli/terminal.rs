//! What is told, and where.

use std::io;
use std::process::Command;

use assert_cmd::assert::OutputAssertExt;
use opencog_qat::gguf::Format;
use predicates::prelude::*;

use crate::folder::{Folder, PROGRAM};
use crate::models::Model;

fn small() -> Folder {
    Folder::with(&Model::llama(256, Format::F16))
}

#[test]
fn the_summary_goes_to_standard_output_and_there_is_no_bar_in_a_pipe() {
    let run = Folder::with_tiny().run("--effort fast in.gguf out.gguf").success();
    let has = predicate::str::contains;
    run.stderr(predicate::str::is_empty())
        .stdout(has("in.gguf -> out.gguf").and(has("embedding")).and(has("reduction")));
}

#[test]
fn warnings_go_to_standard_error() {
    let run = small().run("in.gguf out.gguf").success();
    run.stderr(predicate::str::starts_with("warning: formats are chosen by the weights alone"));
}

#[test]
fn quiet_runs_say_nothing_but_warnings() {
    let run = small().run("--quiet --effort fast in.gguf out.gguf").success();
    run.stdout(predicate::str::is_empty()).stderr(predicate::str::is_empty());
    let run = small().run("--quiet in.gguf out.gguf").success();
    let one = predicate::function(|told: &str| told.lines().count() == 1);
    run.stdout(predicate::str::is_empty())
        .stderr(predicate::str::starts_with("warning: formats are chosen by").and(one));
}

#[test]
fn verbose_runs_tell_of_each_tensor() {
    let run = small().run("-v in.gguf out.gguf").success();
    let has = predicate::str::contains;
    run.stderr(has("blk.0.attn_q.weight").and(has("planned"))).stdout(has("in.gguf -> out.gguf"));
}

#[test]
fn very_verbose_runs_tell_of_each_candidate_and_batch() {
    let told = |flags: &str| {
        let run = small().run(&format!("{flags} in.gguf out.gguf")).success();
        String::from_utf8(run.get_output().stderr.clone()).unwrap()
    };
    let (less, more) = (told("-v"), told("-vv"));
    for event in ["sampled", "encoded", "front"] {
        assert!(more.contains(event) && !less.contains(event), "{event}: {more}");
    }
    assert!(less.contains("role=\"attention q\""), "words are told apart: {less}");
}

/// A program whose standard output or error nobody reads any more, as with `| head -1`.
fn unread(mut program: Command, redirect: fn(&mut Command, io::PipeWriter)) -> Option<i32> {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    redirect(&mut program, writer);
    program.output().unwrap().status.code()
}

#[test]
fn closing_standard_output_early_is_no_error() {
    let folder = small();
    for args in ["inspect in.gguf", "in.gguf out.gguf"] {
        let code = unread(folder.program(args), |program, pipe| {
            program.stdout(pipe);
        });
        assert_eq!(code, Some(0), "{args}");
    }
    folder.open("out.gguf");
}

#[test]
fn closing_standard_error_early_changes_no_exit_code() {
    let folder = small();
    let close = |program: &mut Command, pipe| {
        program.stderr(pipe);
    };
    assert_eq!(unread(folder.program("no.gguf out.gguf"), close), Some(1));
    assert_eq!(unread(folder.program("in.gguf a.gguf"), close), Some(0));
    assert_eq!(unread(folder.program("-vv in.gguf b.gguf"), close), Some(0));
    assert_eq!(folder.names(), ["a.gguf", "b.gguf", "in.gguf"]);
}

/// Runs the program on a pseudo-terminal; `None` where there is no `script` to make one.
fn on_terminal(folder: &Folder, args: &str) -> Option<String> {
    let line = format!("{PROGRAM} {args}");
    let mut script = folder.command("script", &["-qec", &line, "/dev/null"]);
    match script.output() {
        Err(_) => {
            println!("skipped: there is no `script` to make a terminal");
            None
        }
        Ok(output) => {
            let run = output.assert().success();
            Some(String::from_utf8_lossy(&run.get_output().stdout).into_owned())
        }
    }
}

#[test]
fn a_terminal_shows_a_progress_bar() {
    let folder = Folder::with_tiny();
    let Some(shown) = on_terminal(&folder, "--effort fast in.gguf out.gguf") else { return };
    assert!(shown.contains("encoding [") && shown.contains("% of 7.35 MB"), "{shown}");
    assert!(shown.contains("in.gguf -> out.gguf"), "{shown}");
    let shown = on_terminal(&folder, "--quiet --effort fast in.gguf quiet.gguf").unwrap();
    assert_eq!(shown.trim(), "");
}
