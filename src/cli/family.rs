//! The flags of `family`.

use anyhow::bail;
use clap::Args;

use crate::config::{Config, Effort, Goal, Strategy};
use crate::hardware::Hardware;
use crate::pipeline::{FamilyJob, Member};

use super::{Order, QuantizeArgs, Telling, size};

/// What `family` is asked for.
#[derive(Debug, Args)]
pub struct FamilyArgs {
    /// A model of each of these sizes: bytes as --size takes them, or bits per weight: 92MB,4.5bpw
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
        if config.hardware == Hardware::Tpu {
            bail!("--hardware tpu: family writes no packs; make each size by a run of its own");
        }
        let job = FamilyJob::new(job, sizes)?;
        for member in &job.members {
            member.config(&config).validate()?;
        }
        Ok(FamilyOrder { job, config, telling })
    }
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
