//! The command that makes the files of a run again.

use crate::config::Config;
use crate::hardware::Hardware;
use crate::hardware::tpu::{Layout, NO_PACK};
use crate::report::Command;

use super::Job;

/// The command that makes the files of this run again. What changes none of them (`--force`,
/// `--threads`, what is shown meanwhile) is left out.
pub fn of_run(job: &Job, config: &Config) -> Command {
    let command = with_flags(Command::new("opencog-qat"), &config.to_string());
    with_files(command, job, config).file(&job.input).file(&job.output)
}

/// The same of a family, whose members were made with such flags as `member`.
pub fn of_family(job: &Job, member: &Config, sizes: &[&str]) -> Command {
    let size = format!(" {}", member.goal.flag());
    let flags = member.to_string().replacen(&size, "", 1);
    let command = Command::new("opencog-qat").word("family").flag("--sizes", sizes.join(","));
    let command = with_files(with_flags(command, &flags), job, member);
    command.file(&job.input).file(&job.output)
}

/// With the flags of a configuration.
fn with_flags(command: Command, flags: &str) -> Command {
    let flags = flags.split("--").map(str::trim).filter(|flag| !flag.is_empty());
    flags.fold(command, |command, flag| match flag.split_once(' ') {
        Some((name, value)) => command.flag(&format!("--{name}"), value),
        None => command.word(format!("--{flag}")),
    })
}

/// With what a job says of files beside the model, and of what is told of it.
fn with_files(mut command: Command, job: &Job, config: &Config) -> Command {
    if config.hardware == Hardware::Tpu {
        let layout = job.tpu_layout.map_or(NO_PACK, Layout::name);
        command = command.flag("--tpu-layout", layout);
    }
    for (flag, value) in job.opencog.flags() {
        command = match value {
            Some(value) => command.flag(flag, value),
            None => command.word(flag),
        };
    }
    if let Some(text) = &job.eval_text {
        command = command.flag("--eval-text", text);
    }
    if let Some(program) = &job.llama_bench {
        command = command.flag("--llama-bench", program);
    }
    if job.compare_recipes {
        command = command.word("--compare-recipes");
    }
    match &job.report {
        Some(report) => command.flag("--report", report.path()),
        None => command,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::Goal;

    #[test]
    fn a_run_is_told_with_all_that_decides_its_files() {
        let mut job = Job::new("in.gguf", "out dir/o.gguf");
        job.tpu_layout = Some(Layout::Qwix);
        job.opencog.atomspace = Some(PathBuf::from("x.scm"));
        job.opencog.enabled.moses = false;
        (job.force, job.threads) = (true, Some(1));
        let tpu = Config { hardware: Hardware::Tpu, ..Config::default() };
        let told = of_run(&job, &tpu).to_string();
        let flags = " --tpu-layout qwix --atomspace x.scm --disable-moses in.gguf 'out dir/o.gguf'";
        assert!(told.starts_with("opencog-qat --hardware tpu --accuracy 0.02 "), "{told}");
        assert!(told.ends_with(flags), "{told}");
        job.tpu_layout = None;
        let told = of_run(&job, &tpu).to_string();
        assert!(told.contains(" --tpu-layout none "), "{told}");
        let told = of_run(&job, &Config::default()).to_string();
        assert!(!told.contains("--tpu-layout") && !told.contains("--force"), "{told}");
    }

    #[test]
    fn a_family_is_told_with_its_sizes_and_without_that_of_one() {
        let job = Job::new("in.gguf", "out");
        let goal = Goal { bpw: Some(4.5), ..Goal::default() };
        let member = Config { goal, ..Config::default() };
        let told = of_family(&job, &member, &["4.5bpw", "92MB"]).to_string();
        assert!(told.starts_with("opencog-qat family --sizes 4.5bpw,92MB --hardware cpu --bits"));
        assert!(!told.contains("--bpw") && !told.contains("--accuracy"), "{told}");
        assert!(told.ends_with(" --seed 0 in.gguf out"), "{told}");
    }
}
