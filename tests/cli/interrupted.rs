//! Signals: exit code 130, and nothing is left behind.

use std::fs::{self, File};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use assert_cmd::assert::OutputAssertExt;
use opencog_qat::gguf::Format;

use crate::folder::{Folder, PROGRAM};
use crate::models::Model;

/// Longer than any of these takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A folder with a model of `rows` rows of 4096 zeros, which take no room on the disk.
fn folder_with_zeros(rows: u64) -> Folder {
    let folder = Folder::empty();
    let header = Model::empty().tensor("a.weight", Format::F16, &[4096, rows], vec![]).header();
    folder.write("in.gguf", &header);
    let file = File::options().write(true).open(folder.path("in.gguf")).unwrap();
    file.set_len(header.len() as u64 + rows * 4096 * 2).unwrap();
    folder
}

/// Starts a run, on one thread so that the others stay free for the tests.
fn start(folder: &Folder) -> Child {
    let flags = "--quiet --threads 1 --formats Q8_0 --report x.json";
    let mut program = folder.program(&format!("{flags} in.gguf out.gguf"));
    program.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn signal(name: &str, child: &Child) {
    let pid = child.id().to_string();
    Folder::empty().command("kill", &["-s", name, &pid]).assert().success();
}

/// Bytes of the unfinished output, once there is one.
fn unfinished(folder: &Folder) -> Option<u64> {
    let name = folder.names().into_iter().find(|name| name.starts_with(".out.gguf."))?;
    Some(fs::metadata(folder.path(&name)).ok()?.len())
}

#[track_caller]
fn wait_until(what: impl Fn() -> bool) {
    let start = Instant::now();
    while !what() {
        assert!(start.elapsed() < PATIENCE, "it never happened");
        sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_signal_in_the_middle_leaves_nothing() {
    for name in ["INT", "TERM", "HUP"] {
        let folder = folder_with_zeros(1 << 18);
        let mut child = start(&folder);
        wait_until(|| unfinished(&folder).is_some_and(|bytes| bytes > 1 << 20));
        signal(name, &child);
        assert_eq!(child.wait().unwrap().code(), Some(130), "{name}");
        assert_eq!(folder.names(), ["in.gguf"], "{name}");
    }
}

/// As `nohup`, and a shell that starts a program in the background, have it.
#[cfg(target_os = "linux")]
#[test]
fn ignored_signals_stay_ignored() {
    let folder = folder_with_zeros(1 << 14);
    let args = "--quiet --threads 1 --formats Q8_0 in.gguf out.gguf";
    let script = format!("trap '' HUP INT; exec {PROGRAM} {args}");
    let mut child = folder.command("sh", &["-c", &script]).spawn().unwrap();
    wait_until(|| unfinished(&folder).is_some_and(|bytes| bytes > 1 << 20));
    signal("HUP", &child);
    signal("INT", &child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    folder.open("out.gguf");

    let script = format!("trap '' HUP; exec {PROGRAM} --force {args}");
    let mut child = folder.command("sh", &["-c", &script]).spawn().unwrap();
    wait_until(|| unfinished(&folder).is_some_and(|bytes| bytes > 1 << 20));
    signal("TERM", &child);
    assert_eq!(child.wait().unwrap().code(), Some(130), "others are heard");
}

#[test]
fn a_signal_right_after_the_start_leaves_nothing() {
    let folder = folder_with_zeros(1 << 18);
    let mut child = start(&folder);
    wait_until(|| folder.names().len() > 1);
    signal("INT", &child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(folder.names(), ["in.gguf"]);
}

#[test]
fn a_signal_during_the_last_steps_leaves_all_or_nothing() {
    let folder = folder_with_zeros(1 << 12);
    let whole = folder.quantize("--dry-run --formats Q8_0").metrics.output_bytes;
    fs::remove_file(folder.path("report.json")).unwrap();
    for delay in [0, 1, 3, 10, 30] {
        let mut child = start(&folder);
        wait_until(|| unfinished(&folder) == Some(whole) || folder.path("out.gguf").exists());
        sleep(Duration::from_millis(delay));
        if child.try_wait().unwrap().is_none() {
            signal("TERM", &child);
        }
        let code = child.wait().unwrap().code();
        assert!(matches!(code, Some(0 | 130)), "{code:?}");
        assert!(folder.names().iter().all(|name| !name.ends_with(".tmp")), "{:?}", folder.names());
        if folder.path("out.gguf").exists() {
            folder.open("out.gguf");
            fs::remove_file(folder.path("out.gguf")).unwrap();
        } else {
            assert_eq!((code, folder.names()), (Some(130), vec!["in.gguf".into()]));
        }
        let _ = fs::remove_file(folder.path("x.json"));
    }
}
