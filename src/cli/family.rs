//! The flags of `family`.

use anyhow::bail;
use clap::{Args, Command};

use crate::config::{Config, ConfigError, Effort, Goal, Strategy};
use crate::pipeline::{FamilyJob, Member};

use super::{Order, QuantizeArgs, Telling, size};

/// What `family` is asked for.
#[derive(Debug, Args)]
pub struct FamilyArgs {
    /// A model of each of these sizes: bytes, or bits per weight: 92MB,1.5GiB,4.5bpw
    #[arg(long, value_name = "LIST", value_delimiter = ',', required = true, value_parser = member)]
    sizes: Vec<Member>,

    #[command(flatten)]
    quantize: QuantizeArgs,
}

/// A checked order to make a family.
#[derive(Debug, Clone, PartialEq)]
pub struct FamilyOrder {
    /// Which files.
    pub job: FamilyJob,
    /// How.
    pub config: Config,
    /// What is told of it.
    pub telling: Telling,
}

impl FamilyArgs {
    /// The order, checked.
    pub fn order(self) -> anyhow::Result<FamilyOrder> {
        let FamilyArgs { sizes, quantize } = self;
        let Order { job, config, telling } = quantize.order()?;
        let goal = &config.goal;
        let others = [
            ("--size", goal.size.is_some()),
            ("--bpw", goal.bpw.is_some()),
            ("--reduction", goal.reduction.is_some()),
            ("--accuracy", config.accuracy.is_some()),
        ];
        if let Some((flag, _)) = others.into_iter().find(|(_, is_asked)| *is_asked) {
            bail!("{flag}: family makes a model of each of --sizes, whatever it then loses");
        }
        if config.strategy != Strategy::Search || config.effort == Effort::Fast {
            bail!("family searches: it goes with --effort standard or thorough, and no --strategy");
        }
        if job.opencog.inputs().next().is_some() {
            bail!("--atomspace, --moses: family makes models only; opencog pack packs the data");
        }
        if let Some(report) = &job.report {
            let report = report.path().display();
            bail!("--report {report}: family writes README.md, family.html and family.json itself");
        }
        if job.pack(&config).is_some() {
            bail!(
                "--hardware tpu: family writes no packs; add --tpu-layout none, or make each size \
                 by a run of its own"
            );
        }
        let job = FamilyJob::new(job, sizes)?;
        for member in &job.members {
            let of_list =
                |error| ConfigError { flag: "--sizes", value: member.name.clone(), ..error };
            member.config(&config).validate().map_err(of_list)?;
        }
        Ok(FamilyOrder { job, config, telling })
    }
}

/// The subcommand, whose help leaves out the flags that a family refuses.
pub(super) fn with_own_help(command: Command) -> Command {
    const REFUSED: [&str; 6] = ["size", "bpw", "reduction", "accuracy", "strategy", "report"];
    let is_refused = |arg: &&clap::Arg| {
        REFUSED.contains(&arg.get_id().as_str()) || arg.get_help_heading() == Some("OpenCog data")
    };
    let refused: Vec<_> =
        command.get_arguments().filter(is_refused).map(|it| it.get_id().clone()).collect();
    let command = command.mut_arg("output", |arg| {
        arg.value_name("FOLDER")
            .help("The folder to write: the models, README.md, family.html and family.json")
    });
    refused.into_iter().fold(command, |command, id| command.mut_arg(id, |arg| arg.hide(true)))
}

/// One size, as it stands in the list.
fn member(text: &str) -> Result<Member, String> {
    let lower = text.to_ascii_lowercase();
    let goal = match lower.strip_suffix("bpw") {
        Some(bits) => match bits.trim().parse::<f64>() {
            Ok(bpw) => Goal { bpw: Some(bpw), ..Goal::default() },
            Err(_) => return Err("expected bits per weight: 4.5bpw".into()),
        },
        None => Goal { size: Some(size(text)?), ..Goal::default() },
    };
    Ok(Member { name: text.into(), goal })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_bytes_or_bits_per_weight() {
        let goal = |text| member(text).map(|member| (member.goal.size, member.goal.bpw));
        assert_eq!(goal("92MB"), Ok((Some(92_000_000), None)));
        assert_eq!(goal("4.5bpw"), Ok((None, Some(4.5))));
        assert_eq!(goal("5BPW"), Ok((None, Some(5.0))));
        assert!(goal("bpw").is_err() && goal("small").is_err() && goal("").is_err());
    }
}
