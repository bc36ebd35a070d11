//! What is looked at once a model is written: how fast it is on this machine, and how far its
//! activations moved.

use std::path::Path;

use crate::config::{Config, Effort};
use crate::gguf::{Gguf, TensorSpec};
use crate::hardware::{Hardware, InstructionSet, Workload};
use crate::model::Phase;
use crate::progress::Progress;
use crate::quantize::{Plan, Searchable};
use crate::report::{RelativeSpeed, SpeedSource, SpeedsSeen};
use crate::validate::{Bench, Benched, Ceilings, Speeds, TimeLimits, on_path};

use super::Job;

/// A model that was written, and what it came of.
pub struct Finished<'f> {
    pub job: &'f Job,
    pub config: &'f Config,
    pub gguf: &'f Gguf,
    pub plan: &'f Plan,
    /// Where it is, under a name that nobody knows yet; `None` in a dry run.
    pub written: Option<&'f Path>,
    pub progress: &'f dyn Progress,
}

impl Finished<'_> {
    /// How fast the plan is on the machine that it is for, against Q4_0.
    pub fn against_q4_0(&self, searchable: &Searchable) -> RelativeSpeed {
        let Finished { config, gguf, plan, .. } = *self;
        let of = |phase| searchable.speed_of(gguf, plan, config.hardware, phase);
        let (generation, prompt) = (of(Phase::Generation), of(Phase::Prompt));
        RelativeSpeed { generation, prompt, asked: config.speed }
    }

    /// Tokens a second on this machine: by llama-bench where it is named or found, else estimated;
    /// or why nobody looked. What it failed of is told as a warning: the model is as good.
    pub fn speeds(&self, warnings: &mut Vec<String>) -> Result<SpeedsSeen, String> {
        let named = self.job.llama_bench.as_deref();
        let Some(written) = self.written else { return Err("nothing was written".into()) };
        if self.config.effort == Effort::Fast && named.is_none() {
            return Err("not looked at with --effort fast, unless --llama-bench is given".into());
        }
        let ceilings = Ceilings::of_this_machine();
        let program = named.map(Path::to_path_buf).or_else(on_path);
        let because = match program.as_deref().map(|program| self.measured(program, written)) {
            Some(Ok((source, [input, output]))) => {
                warnings.extend(unsteady(&source));
                return Ok(SpeedsSeen { source, input, output, ceilings });
            }
            Some(Err(reason)) => {
                warnings.push(format!("speed is estimated: {reason}"));
                "llama-bench failed".into()
            }
            None => "no llama-bench on the PATH; --llama-bench PATH measures it".into(),
        };
        let [input, output] = self.estimated(&ceilings);
        Ok(SpeedsSeen { source: SpeedSource::Estimated { because }, input, output, ceilings })
    }

    fn measured(
        &self,
        program: &Path,
        written: &Path,
    ) -> Result<(SpeedSource, [Speeds; 2]), String> {
        let bench = Bench {
            program,
            threads: rayon::current_num_threads(),
            on_gpu: self.config.hardware == Hardware::Gpu,
            limits: TimeLimits::default(),
        };
        let benched = bench.compare([&self.job.input, written], self.progress);
        let benched = benched.map_err(|reason| reason.to_string())?;
        let Benched { speeds, rounds, spread, backends } = benched;
        let program = program.into();
        Ok((SpeedSource::Measured { program, rounds, spread, backends }, speeds))
    }

    fn estimated(&self, ceilings: &Ceilings) -> [Speeds; 2] {
        let Finished { gguf, plan, .. } = *self;
        let before: Vec<TensorSpec> = gguf.tensors().iter().map(|it| it.spec()).collect();
        let set = InstructionSet::of_this_machine();
        [before, plan.specs()].map(|specs| Workload::of(gguf, &specs).estimate(ceilings, set))
    }
}

/// That speeds are not to be relied on, if they are not.
fn unsteady(source: &SpeedSource) -> Option<String> {
    /// Runs of one model lie so far apart, over the median, on a machine that is busy.
    const BUSY: f64 = 0.25;
    match source {
        SpeedSource::Measured { spread: Some(spread), .. } if *spread > BUSY => Some(format!(
            "speeds were measured on a busy machine: runs of one model lie {:.0} % apart",
            100.0 * spread
        )),
        _ => None,
    }
}
