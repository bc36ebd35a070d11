//! Runs that are ended and go on: what was found is kept beside the output, and trusted only where
//! it is whole and of the same run.

use std::fs;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use assert_cmd::assert::OutputAssertExt;
use predicates::prelude::*;

use crate::folder::Folder;

/// A search on as little text as can be, between few formats.
const SEARCH: &str =
    "--batches 1 --batch-size 4 --seq-len 64 --formats Q4_0,Q8_0 --bpw 5 in.gguf out.gguf";
/// Longer than a stage of it takes.
const PATIENCE: Duration = Duration::from_secs(120);

fn start(folder: &Folder) -> Child {
    let mut program = folder.program(&format!("--quiet --threads 1 {SEARCH}"));
    program.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// What the work folder holds so far.
fn kept(folder: &Folder) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder.path("out.gguf.work")) else { return Vec::new() };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".kept")).collect()
}

/// Waits until the run has kept so many entries, or has ended.
#[track_caller]
fn wait_for_entries(folder: &Folder, child: &mut Child, entries: usize) {
    let start = Instant::now();
    while kept(folder).len() < entries && child.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < PATIENCE, "{entries} entries never came");
        sleep(Duration::from_millis(1));
    }
}

/// Ends a run with SIGKILL once it has kept so many entries.
#[track_caller]
fn killed_after(folder: &Folder, entries: usize) {
    let mut child = start(folder);
    wait_for_entries(folder, &mut child, entries);
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success(), "it was faster than {entries} entries");
}

/// What the search makes when nothing ends it.
fn undisturbed() -> Vec<u8> {
    let folder = Folder::with_tiny();
    folder.run(SEARCH).success();
    assert_eq!(folder.names(), ["in.gguf", "out.gguf"]);
    folder.read("out.gguf")
}

#[test]
fn a_run_that_is_killed_again_and_again_ends_with_the_same_bytes() {
    let folder = Folder::with_tiny();
    for kill in 1..=10 {
        // Between two entries at other moments each time, and not only right after one.
        sleep(Duration::from_millis(7 * kill % 31));
        killed_after(&folder, kept(&folder).len() + 1 + kill as usize % 3);
    }
    folder.run(SEARCH).success();
    assert_eq!(folder.names(), ["in.gguf", "out.gguf"], "what it left is removed");
    assert!(folder.read("out.gguf") == undisturbed());
}

#[test]
fn state_that_is_not_whole_is_made_anew() {
    let folder = Folder::with_tiny();
    killed_after(&folder, 12);
    for (i, name) in kept(&folder).into_iter().enumerate() {
        let name = format!("out.gguf.work/{name}");
        let mut bytes = folder.read(&name);
        match i % 3 {
            0 => bytes.truncate(bytes.len() / 2),
            1 => bytes[i] ^= 1,
            _ => {}
        }
        folder.write(&name, &bytes);
    }
    folder.run(SEARCH).success();
    assert!(folder.read("out.gguf") == undisturbed());
}

#[test]
fn the_state_of_another_run_is_refused() {
    let folder = Folder::with_tiny();
    killed_after(&folder, 2);
    let others = ["--seed 7", "--memory 7", "--accuracy 0.5"];
    for flags in others {
        folder.run(&format!("{flags} {SEARCH}")).code(1).stderr(
            predicate::str::contains("out.gguf.work: holds the state of another run")
                .and(predicate::str::contains("--force")),
        );
    }
    // Another model under the same name.
    let model = folder.read("in.gguf");
    let mut changed = model.clone();
    let last = changed.len() - 1;
    changed[last] ^= 1;
    folder.write("in.gguf", &changed);
    folder.run(SEARCH).code(1).stderr(predicate::str::contains("another run"));
    folder.write("in.gguf", &model);
    let entries = kept(&folder).len();
    assert!(entries >= 2, "it was left as it was");
    folder.run(&format!("--force --seed 7 {SEARCH}")).success();
    assert_eq!(folder.names(), ["in.gguf", "out.gguf"]);
}

#[test]
#[ignore = "takes longer than ten seconds"]
fn a_run_that_is_killed_as_it_ends_goes_on_too() {
    let folder = Folder::with_tiny();
    let mut child = start(&folder);
    // The last entry says that all is written: names are given after it.
    let written = folder.path("out.gguf.work/written.kept");
    let start = Instant::now();
    while !written.exists() && !folder.path("out.gguf").exists() {
        assert!(start.elapsed() < PATIENCE && child.try_wait().unwrap().is_none());
    }
    child.kill().unwrap();
    child.wait().unwrap();
    if written.exists() {
        // Wherever it was killed: the model may have had its name already, and all other state may be
        // gone.
        for entry in kept(&folder).iter().filter(|name| **name != "written.kept") {
            fs::remove_file(folder.path(&format!("out.gguf.work/{entry}"))).unwrap();
        }
        folder.write("out.gguf", &undisturbed());
        folder.run(SEARCH).success();
    }
    assert_eq!(folder.names(), ["in.gguf", "out.gguf"]);
    assert!(folder.read("out.gguf") == undisturbed());
}

#[test]
fn two_runs_on_one_output_do_not_meet() {
    let folder = Folder::with_tiny();
    let mut first = start(&folder);
    let begun = Instant::now();
    // Before it has found anything; the manifest is written once the folder is locked.
    let at_work = || fs::read(folder.path("out.gguf.work/manifest")).is_ok_and(|m| !m.is_empty());
    while !at_work() {
        assert!(begun.elapsed() < PATIENCE && first.try_wait().unwrap().is_none());
    }
    let second = folder.run(SEARCH).code(1);
    second.stderr(predicate::str::contains("another run is at work on this output"));
    first.kill().unwrap();
    first.wait().unwrap();
}

#[test]
fn an_interrupted_run_says_where_its_state_is() {
    let folder = Folder::with_tiny();
    let mut child = start(&folder);
    wait_for_entries(&folder, &mut child, 1);
    folder.command("kill", &["-s", "INT", &child.id().to_string()]).assert().success();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("kept in out.gguf.work"), "{message}");
    assert_eq!(folder.names(), ["in.gguf", "out.gguf.work"]);
}
