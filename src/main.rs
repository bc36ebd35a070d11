//! The `opencog-qat` command: parse, run, map the error to an exit code.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use opencog_qat::cli::{Cli, Command, Order, Telling};
use opencog_qat::gguf::{Gguf, discard_unfinished};
use opencog_qat::terminal::{Bar, trace_to_stderr};
use opencog_qat::{Report, pipeline, report};

/// The exit code of a process that SIGINT ended.
const INTERRUPTED: i32 = 130;

fn main() -> ExitCode {
    match run(Cli::parse_or_exit()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut cli: Cli) -> anyhow::Result<()> {
    match cli.command.take() {
        Some(Command::Inspect { file }) => print(&report::inspect(&Gguf::open(&file)?)),
        None => quantize(cli.order()?),
    }
}

fn quantize(order: Order) -> anyhow::Result<()> {
    let Order { job, config, telling } = order;
    trace_to_stderr(telling.verbose);
    discard_when_interrupted()?;
    let bar = Bar::new(telling.quiet || telling.verbose > 0);
    let report = pipeline::run(&job, &config, &bar)?;
    tell(&report, &telling)
}

fn tell(report: &Report, telling: &Telling) -> anyhow::Result<()> {
    if let Some(path) = &telling.report {
        write_json(report, path)?;
    }
    if telling.quiet {
        return Ok(());
    }
    for warning in telling.warnings.iter().chain(&report.warnings) {
        eprintln!("warning: {warning}");
    }
    print(&report::summary(report))
}

fn write_json(report: &Report, path: &Path) -> anyhow::Result<()> {
    let json = serde_json::to_string_pretty(report)? + "\n";
    fs::write(path, json).with_context(|| format!("{}: cannot write the report", path.display()))
}

fn print(text: &str) -> anyhow::Result<()> {
    Ok(io::stdout().lock().write_all(text.as_bytes())?)
}

/// On SIGINT, SIGTERM and SIGHUP: no temporary file stays.
fn discard_when_interrupted() -> anyhow::Result<()> {
    let ended = || {
        discard_unfinished();
        std::process::exit(INTERRUPTED);
    };
    ctrlc::set_handler(ended).context("cannot watch for signals")
}

/// Whether the reader of our output went away, as `head` does: no failure of ours.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kind = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<io::Error>().map(io::Error::kind)
    };
    error.chain().any(|cause| kind(cause) == Some(io::ErrorKind::BrokenPipe))
}
