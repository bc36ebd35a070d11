//! The `opencog-qat` command: parse, run, map the error to an exit code.

mod signals;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use opencog_qat::cli::{Cli, Command, EvalArgs, FamilyOrder, OpenCogCommand, Order, Telling};
use opencog_qat::gguf::Gguf;
use opencog_qat::terminal::{Bar, trace_to_stderr};
use opencog_qat::work::work_folder;
use opencog_qat::{Report, companion, evaluate, pipeline, report};

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
        Some(Command::Inspect { file }) => inspect(&file).map(|()| ExitCode::SUCCESS),
        Some(Command::Eval(args)) => evaluate(args).map(|()| ExitCode::SUCCESS),
        Some(Command::Family(args)) => family(args.order()?).map(|()| ExitCode::SUCCESS),
        Some(Command::OpenCog(command)) => opencog(command).map(|()| ExitCode::SUCCESS),
        None => quantize(cli.order()?),
    }
}

fn inspect(file: &Path) -> anyhow::Result<()> {
    let gguf = Gguf::open(file)?;
    print(&report::inspect(&gguf))?;
    match companion::named(&gguf) {
        Some(named) => print(&format!("\ncompanion\n  {named}\n")),
        None => Ok(()),
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

fn opencog(command: OpenCogCommand) -> anyhow::Result<()> {
    watch_signals()?;
    match command {
        OpenCogCommand::Pack(args) => {
            let quiet = args.quiet;
            let told = companion::pack(&args.job()?)?;
            if quiet {
                Ok(())
            } else {
                print_of_written(&report::opencog_summary(&told), "companion")
            }
        }
        OpenCogCommand::Export(args) => {
            let quiet = args.quiet;
            let exported = companion::export(&args.job())?;
            if quiet { Ok(()) } else { print_of_written(&exported.to_string(), "text") }
        }
        OpenCogCommand::Query(args) => {
            let answer = companion::query(&args.job())?;
            print(&answer.to_string())?;
            if !answer.is_complete {
                say(&format!("the first {} matches; --limit allows more", answer.matches.len()));
            }
            Ok(())
        }
        OpenCogCommand::Stats { file, aliases, report } => print(
            &companion::stats(&file, &aliases.alias, &aliases.types, report.as_ref())?.to_string(),
        ),
    }
}

fn quantize(order: Order) -> anyhow::Result<ExitCode> {
    let Order { job, config, telling } = order;
    trace_to_stderr(telling.verbose);
    watch_signals()?;
    let bar = Bar::new(telling.quiet || telling.verbose > 0);
    let report = pipeline::run(&job, &config, &bar)
        .inspect_err(|error| tell_of_state(error, &job.output))?;
    tell(&report, &telling)?;
    Ok(match &report.missed {
        None => ExitCode::SUCCESS,
        Some(missed) => {
            let kept = match report.dry_run {
                true => "would be kept",
                false => "is kept",
            };
            let output = report.output.display();
            let pack = report.pack.as_ref().map(|pack| pack.folder.display());
            let pack = pack.map(|pack| format!(", its pack as {pack}")).unwrap_or_default();
            say(&format!("target missed: {missed}; the model {kept} as {output}{pack}"));
            ExitCode::from(MISSED)
        }
    })
}

fn family(order: FamilyOrder) -> anyhow::Result<()> {
    let FamilyOrder { job, config, telling } = order;
    trace_to_stderr(telling.verbose);
    watch_signals()?;
    let bar = Bar::new(telling.quiet || telling.verbose > 0);
    let report = pipeline::run_family(&job, &config, &bar)
        .inspect_err(|error| tell_of_state(error, job.folder()))?;
    report.warnings().iter().for_each(|warning| say(&format!("warning: {warning}")));
    if telling.quiet {
        return Ok(());
    }
    print_of_written(&report::family_summary(&report), "family")
}

/// Says where the state of a run is that failed: the disk may be full of it.
fn tell_of_state(error: &opencog_qat::Error, output: &Path) {
    let folder = work_folder(output);
    if !matches!(error, opencog_qat::Error::Work(_)) && folder.is_dir() {
        let folder = folder.display();
        say(&format!("{folder}: what was found so far; the same command goes on from there"));
    }
}

fn watch_signals() -> anyhow::Result<()> {
    let watched = signals::discard_when_interrupted().and(signals::outlive_file_size_limits());
    watched.context("cannot watch for signals")
}

fn tell(report: &Report, telling: &Telling) -> anyhow::Result<()> {
    for warning in &report.warnings {
        say(&format!("warning: {warning}"));
    }
    if telling.quiet {
        return Ok(());
    }
    match report.dry_run {
        true => print(&report::summary(report)),
        false => print_of_written(&report::summary(report), "model"),
    }
}

/// Prints what is told of a file that is there, whoever reads it.
fn print_of_written(text: &str, what: &str) -> anyhow::Result<()> {
    match print(text) {
        Err(error) if !is_broken_pipe(&error) => {
            say(&format!("warning: {error:#}; the {what} is complete"));
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
