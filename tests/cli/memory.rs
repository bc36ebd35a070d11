//! Memory that does not grow with the model.

use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::time::Duration;

use opencog_qat::gguf::Format;

use crate::folder::Folder;
use crate::models::Model;

/// Bytes of a tensor of 64 rows of 8192 weights.
const TENSOR: u64 = 64 * 8192 * 2;

/// A folder with a model of so many tensors of zeros, which take no room on the disk.
fn folder_with_tensors(count: u64) -> Folder {
    let folder = Folder::empty();
    let name = |block| format!("blk.{block}.ffn_up.weight");
    let add = |model: Model, i| model.tensor(&name(i), Format::F16, &[8192, 64], vec![]);
    let header = (0..count).fold(Model::empty(), add).header();
    folder.write("in.gguf", &header);
    let file = File::options().write(true).open(folder.path("in.gguf")).unwrap();
    file.set_len(header.len() as u64 + count * TENSOR).unwrap();
    // Once through the page cache: what is there already is mapped around each row that is read.
    fs::read(folder.path("in.gguf")).unwrap();
    folder
}

/// The most kilobytes that a program had in memory at once, pages of mapped files included.
fn peak_memory(mut program: Command) -> u64 {
    let mut child = program.stdout(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        peak = peak.max(number.unwrap_or(0));
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(child.wait().unwrap().success());
    peak
}

#[test]
fn planning_keeps_no_page_of_the_model() {
    let folder = folder_with_tensors(160);
    let plan = "--dry-run --effort fast --threads 2 --bpw 5 in.gguf out.gguf";
    let peak = peak_memory(folder.program(plan));
    println!("{peak} kB for a model of {} kB", 160 * TENSOR / 1024);
    assert!(peak > 0 && peak < 48 << 10, "{peak} kB");
}
