//! A floor of speed over one model: what each tensor takes of a token's time, and what all of them
//! may take.

use std::fmt;

use crate::config::Config;
use crate::gguf::{Format, Gguf, Shape, TensorInfo};
use crate::hardware::{Hardware, SpeedFloor, Time};
use crate::model::PerToken;

use super::options::Options;
use super::plan::Plan;
use super::size::Bytes;

/// What the quantized tensors may take: bytes, and of the time of a token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Room {
    /// Of the file and of tensors.
    pub bytes: Bytes,
    /// [`Time::MAX`] where no speed is asked for.
    pub time: Time,
}

impl Room {
    /// Whether both fit.
    pub fn holds(&self, bytes: Bytes, time: Time) -> bool {
        bytes.within(self.bytes) && time <= self.time
    }
}

/// The floor, and what it is counted against.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    floor: SpeedFloor,
    hardware: Hardware,
    per_token: PerToken,
    /// What a token takes if every tensor that may be quantized is Q4_0.
    of_q4_0: Time,
    /// What it takes beside matrices, and in the tensors that stay as they are.
    kept: Time,
    /// What it takes beside matrices.
    overhead: Time,
}

impl Pace {
    /// Of a model whose tensors have these options; `None` where no speed is asked for.
    pub fn of(gguf: &Gguf, config: &Config, options: &[Options]) -> Option<Pace> {
        config.speed.map(|floor| Pace::new(gguf, config.hardware, floor, options))
    }

    /// The same of a floor on a machine.
    pub fn new(gguf: &Gguf, hardware: Hardware, floor: SpeedFloor, options: &[Options]) -> Pace {
        let per_token = PerToken::of(gguf);
        let overhead = hardware.overhead(per_token, floor.phase);
        let mut pace = Pace { floor, hardware, per_token, of_q4_0: 0, kept: overhead, overhead };
        for (tensor, options) in gguf.tensors().iter().zip(options) {
            match options {
                Options::Formats(_) => pace.of_q4_0 += pace.time(tensor, Format::Q4_0),
                Options::Kept(_) => pace.kept += pace.time(tensor, tensor.format),
            }
        }
        pace.of_q4_0 += pace.kept;
        pace
    }

    /// What a token takes in a tensor of this format.
    pub fn time(&self, tensor: &TensorInfo, format: Format) -> Time {
        self.time_of(&tensor.name, &tensor.shape, format)
    }

    fn time_of(&self, name: &str, shape: &Shape, format: Format) -> Time {
        self.hardware.time(self.per_token, name, shape, format, self.floor.phase)
    }

    /// What it may take in all tensors.
    fn limit(&self) -> Time {
        // A hair more, so that 1 allows Q4_0 itself in spite of rounding.
        (self.of_q4_0 as f64 / self.floor.fraction * (1.0 + 1e-12)) as Time
    }

    /// What it may take in those tensors whose formats are chosen.
    pub fn room(&self) -> Time {
        self.limit().saturating_sub(self.kept)
    }

    /// Whether a plan is as fast as asked.
    pub fn allows(&self, plan: &Plan) -> bool {
        self.whole_time(plan) <= self.limit()
    }

    /// The speed of a plan, against that of the model in Q4_0.
    pub fn speed_of(&self, plan: &Plan) -> f64 {
        self.of_q4_0.max(1) as f64 / self.whole_time(plan).max(1) as f64
    }

    fn whole_time(&self, plan: &Plan) -> Time {
        let specs = plan.tensors.iter().map(|tensor| &tensor.spec);
        let matrices = specs.map(|it| self.time_of(&it.name, &it.shape, it.format));
        self.overhead + matrices.sum::<Time>()
    }

    /// Why no plan is, if the fastest takes so long in the tensors whose formats are chosen.
    pub fn unreachable(&self, fastest: Time, allowed: &str) -> String {
        let reachable = self.of_q4_0 as f64 / (self.kept + fastest).max(1) as f64;
        format!(
            "{self}: {:.4} is the fastest that can be had within the other limits and {allowed}; \
             ask for that, or allow faster formats",
            (reachable * 1e4).floor() / 1e4
        )
    }
}

/// The flag.
impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--speed {}", self.floor)
    }
}
