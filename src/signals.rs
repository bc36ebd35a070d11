//! Signals that end the program, which leave no temporary file, and those that do not.

use std::io::{self, Write};

use opencog_qat::gguf::discard_unfinished;
use opencog_qat::work::{is_finishing, leave_folders};

/// The exit code of a process that SIGINT ended.
const INTERRUPTED: i32 = 130;

/// Ends the process on SIGINT, SIGTERM and SIGHUP: no temporary file stays. A signal that was ignored
/// when the program began, as `nohup` and a shell's background jobs have it, stays ignored.
#[cfg(unix)]
pub fn discard_when_interrupted() -> io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let ignored = ignored();
    let heard = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| !ignored(*signal));
    let mut signals = signal_hook::iterator::Signals::new(heard)?;
    let wait = move || {
        signals.forever().for_each(|_| end());
    };
    std::thread::Builder::new().name("signals".into()).spawn(wait).map(drop)
}

/// Ends the process on Ctrl-C: no temporary file stays.
#[cfg(not(unix))]
pub fn discard_when_interrupted() -> io::Result<()> {
    ctrlc::set_handler(end).map_err(io::Error::other)
}

fn end() {
    if is_finishing() {
        return;
    }
    discard_unfinished();
    for folder in leave_folders() {
        let folder = folder.display();
        // Where nobody reads it any more, the folder still tells.
        let _ = writeln!(
            io::stderr(),
            "\ninterrupted; what was found so far is kept in {folder}, and the same command goes on \
             from there"
        );
    }
    std::process::exit(INTERRUPTED);
}

/// Which signals are ignored. Known on Linux only: elsewhere, none.
#[cfg(unix)]
fn ignored() -> impl Fn(i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    // Signals are counted from 1.
    move |signal| mask >> (signal - 1) & 1 == 1
}

/// A file that outgrows `ulimit -f` is an error like a full disk, where the signal would end the
/// process and leave its temporary file.
#[cfg(unix)]
pub fn outlive_file_size_limits() -> io::Result<()> {
    use std::sync::atomic::AtomicBool;
    /// Not looked at: the write that failed tells of it.
    static OUTGROWN: AtomicBool = AtomicBool::new(false);
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, &OUTGROWN).map(drop)
}

/// There are no such limits here.
#[cfg(not(unix))]
pub fn outlive_file_size_limits() -> io::Result<()> {
    Ok(())
}
