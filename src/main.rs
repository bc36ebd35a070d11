//! The `opencog-qat` command: parse, run, map the error to an exit code.

mod signals;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use opencog_qat::cli::{Cli, Command, EvalArgs, Order, Telling};
use opencog_qat::gguf::Gguf;
use opencog_qat::terminal::{Bar, trace_to_stderr};
use opencog_qat::{Report, evaluate, pipeline, report};

/// The exit code of a run that finished and missed a target.
const MISSED: u8 = 3;

fn main() -> ExitCode {
    match run(Cli::parse_or_exit()) {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(mut cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command.take() {
        Some(Command::Inspect { file }) => {
            print(&report::inspect(&Gguf::open(&file)?)).map(|()| ExitCode::SUCCESS)
        }
        Some(Command::Eval(args)) => evaluate(args).map(|()| ExitCode::SUCCESS),
        None => quantize(cli.order()?),
    }
}

fn evaluate(args: EvalArgs) -> anyhow::Result<()> {
    let (json, bar) = (args.json(), Bar::new(args.quiet));
    let job = args.job()?;
    watch_signals()?;
    let evaluation = evaluate::run(&job, &bar)?;
    match json {
        true => print(&(serde_json::to_string_pretty(&evaluation)? + "\n")),
        false => print(&report::evaluation_table(&evaluation)),
    }
}

fn quantize(order: Order) -> anyhow::Result<ExitCode> {
    let Order { job, config, telling } = order;
    trace_to_stderr(telling.verbose);
    watch_signals()?;
    let bar = Bar::new(telling.quiet || telling.verbose > 0);
    let report = pipeline::run(&job, &config, &bar)?;
    tell(&report, &telling)?;
    Ok(match &report.missed {
        None => ExitCode::SUCCESS,
        Some(missed) => {
            let kept = match report.dry_run {
                true => "would be kept",
                false => "is kept",
            };
            let output = report.output.display();
            say(&format!("target missed: {missed}; the model {kept} as {output}"));
            ExitCode::from(MISSED)
        }
    })
}

fn watch_signals() -> anyhow::Result<()> {
    let watched = signals::discard_when_interrupted().and(signals::outlive_file_size_limits());
    watched.context("cannot watch for signals")
}

fn tell(report: &Report, telling: &Telling) -> anyhow::Result<()> {
    if telling.quiet {
        return Ok(());
    }
    for warning in &report.warnings {
        say(&format!("warning: {warning}"));
    }
    match print(&report::summary(report)) {
        // A script's model is there, whoever reads the summary.
        Err(error) if !report.dry_run && !is_broken_pipe(&error) => {
            say(&format!("warning: {error:#}; the model is complete"));
            Ok(())
        }
        printed => printed,
    }
}

fn print(text: &str) -> anyhow::Result<()> {
    let written = io::stdout().lock().write_all(text.as_bytes());
    written.context("cannot write to standard output")
}

/// Prints a line on standard error. Where nobody reads it any more, the exit code still tells.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Whether the reader of our output went away, as `head` does: no failure of ours.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kind = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<io::Error>().map(io::Error::kind)
    };
    error.chain().any(|cause| kind(cause) == Some(io::ErrorKind::BrokenPipe))
}
