//! Programs that are run, and what they took.

#![allow(dead_code, reason = "every bench takes what it needs")]

use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Our program.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_opencog-qat");

/// How long a program takes that must succeed.
pub fn time(command: &mut Command) -> Duration {
    let start = Instant::now();
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?} failed");
    start.elapsed()
}

/// The most that a process held, in kB.
#[derive(Default, Clone, Copy)]
pub struct Peak {
    /// Without the pages of mapped files, which the system takes back when it needs them.
    pub own: u64,
    /// With them.
    pub total: u64,
}

/// Watches a program that must succeed from outside (Linux: `/proc/PID/status`).
pub fn peak_memory(command: &mut Command) -> Peak {
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = Peak::default();
    while child.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let field = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
        };
        peak.own = peak.own.max(field("RssAnon:"));
        peak.total = peak.total.max(field("VmHWM:"));
        sleep(Duration::from_millis(5));
    }
    assert!(child.wait().unwrap().success(), "{command:?} failed");
    peak
}
