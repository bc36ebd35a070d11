//! How fast formats are: what a machine takes for them against Q4_0, and the floor that a user asks
//! for.

use std::fmt;
use std::str::FromStr;

use crate::gguf::{Format, Shape};
use crate::model::{PerToken, Phase};

use super::cost::Cost;
use super::{Hardware, cpu, gpu};

/// A speed that the quantized model must have, as a fraction of that of the same model with all its
/// matrices in Q4_0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpeedFloor {
    /// What must be so fast.
    pub phase: Phase,
    /// 0.9: nine tokens in the time of ten.
    pub fraction: f64,
}

impl SpeedFloor {
    /// Fractions beyond are no speed of any format.
    const MOST: f64 = 100.0;

    /// Whether it is a speed.
    pub fn is_sensible(&self) -> bool {
        self.fraction > 0.0 && self.fraction <= SpeedFloor::MOST
    }
}

/// `0.9`, `generation:0.9` or `prompt:0.9`.
impl FromStr for SpeedFloor {
    type Err = String;

    fn from_str(text: &str) -> Result<SpeedFloor, String> {
        let (phase, fraction) = match text.split_once(':') {
            None => (Phase::Generation, text),
            Some((name, fraction)) => {
                let phase = Phase::ALL.into_iter().find(|phase| phase.name() == name);
                let phase = phase.ok_or_else(|| format!("{name} is no phase; {EXPECTED}"))?;
                (phase, fraction)
            }
        };
        let fraction = fraction.parse::<f64>().map_err(|_| EXPECTED.to_string())?;
        Ok(SpeedFloor { phase, fraction })
    }
}

const EXPECTED: &str = "expected a fraction of the speed of Q4_0, 0.9 for example, of generation, or \
                        of reading a prompt as in prompt:0.9";

/// As the flag takes it.
impl fmt::Display for SpeedFloor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.phase {
            Phase::Generation => write!(f, "{}", self.fraction),
            Phase::Prompt => write!(f, "prompt:{}", self.fraction),
        }
    }
}

/// Time, in thousandths of what a weight in Q4_0 takes; of whole tensors it is so exact that sums
/// are the same in any order.
pub type Time = u64;

/// Parts of the time that a weight in Q4_0 takes.
const PARTS: f64 = 1000.0;

impl Hardware {
    /// What a weight and a row take, in times of a weight in Q4_0.
    ///
    /// A CPU is held to the slower of the instruction sets that were measured, so that a plan does
    /// not depend on the machine that makes it; a GPU to published figures; a TPU to bytes where it
    /// generates, and to one rate of integer products where it reads a prompt.
    pub fn relative_cost(self, format: Format, phase: Phase) -> Cost {
        let by_weight = |per_weight| Cost { per_weight, per_row: 0.0 };
        match (self, phase) {
            (Hardware::Cpu, _) => cpu::relative_cost(format, phase),
            (Hardware::Gpu, _) => by_weight(gpu::relative_time(format, phase)),
            (Hardware::Tpu, Phase::Generation) => by_weight(format.bpw() / Format::Q4_0.bpw()),
            (Hardware::Tpu, Phase::Prompt) => by_weight(1.0),
        }
    }

    /// What a token takes beside its matrices. On a GPU and on a TPU nothing is known of it.
    pub fn overhead(self, of: PerToken, phase: Phase) -> Time {
        match self {
            Hardware::Cpu => (cpu::relative_overhead(&of, phase) * PARTS).round() as Time,
            Hardware::Gpu | Hardware::Tpu => 0,
        }
    }

    /// What a token takes in a tensor of this format.
    pub fn time(
        self,
        of: PerToken,
        name: &str,
        shape: &Shape,
        format: Format,
        phase: Phase,
    ) -> Time {
        let cost = self.relative_cost(format, phase);
        (cost.of(of.weights(name, shape, phase), shape.row_len()) * PARTS).round() as Time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floors_are_of_generation_unless_they_say_prompt() {
        let of = |text: &str| text.parse::<SpeedFloor>();
        let floor = |phase, fraction| Ok(SpeedFloor { phase, fraction });
        assert_eq!(of("0.9"), floor(Phase::Generation, 0.9));
        assert_eq!(of("generation:0.9"), floor(Phase::Generation, 0.9));
        assert_eq!(of("prompt:0.85"), floor(Phase::Prompt, 0.85));
        for text in ["0.9", "prompt:0.85"] {
            assert_eq!(of(text).unwrap().to_string(), text);
        }
        assert!(of("fast").is_err() && of("decode:1").unwrap_err().contains("no phase"));
        assert!(of("").is_err() && of("prompt:").is_err());
        let sensible = |text| of(text).unwrap().is_sensible();
        assert!(sensible("0.5") && sensible("1.1"));
        assert!(!sensible("0") && !sensible("-1") && !sensible("NaN") && !sensible("inf"));
    }

    #[test]
    fn every_format_takes_a_time_on_every_machine() {
        for hardware in [Hardware::Cpu, Hardware::Gpu, Hardware::Tpu] {
            for phase in Phase::ALL {
                assert_eq!(hardware.relative_cost(Format::Q4_0, phase).per_weight, 1.0);
                let others = [Format::F32, Format::F16, Format::BF16, Format::Q2_K, Format::MXFP4];
                for &format in hardware.palette().iter().chain(&others) {
                    let time = hardware.relative_cost(format, phase).of(1024, 1024) / 1024.0;
                    assert!((0.1..100.0).contains(&time), "{hardware:?} {format} {time}");
                }
            }
            let of = |format| hardware.relative_cost(format, Phase::Generation).per_weight;
            assert!(of(Format::Q8_0) > of(Format::Q4_0), "{hardware:?} generates by bytes");
        }
    }
}
