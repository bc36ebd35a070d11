//! How fast a model should run on this machine, from what a token takes of each matrix, and what of the
//! machine a speed uses.
//!
//! Speeds are those that llama-bench is asked for: 64 tokens written from nothing, and 512 tokens of
//! a prompt read at once.

use serde::Serialize;

use crate::gguf::{Format, Gguf, TensorSpec};
use crate::model::{PROMPT_TOKENS, PerToken, Phase};
use crate::validate::{Ceilings, Speeds};

use super::cost::Cost;
use super::cpu::{ATTENTION, InstructionSet, LAYER, REFERENCE};

/// What a model takes of a machine for one token.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    matrices: Vec<Matrix>,
    per_token: PerToken,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Matrix {
    format: Format,
    row_len: usize,
    /// Weights that a token meets where it is generated, and in a prompt.
    generation: u64,
    prompt: u64,
}

impl Matrix {
    fn weights(&self, phase: Phase) -> u64 {
        match phase {
            Phase::Generation => self.generation,
            Phase::Prompt => self.prompt,
        }
    }

    fn bytes(&self, phase: Phase) -> f64 {
        self.weights(phase) as f64 * self.format.bpw() / 8.0
    }
}

impl Workload {
    /// Of a model like `gguf` with these tensors.
    pub fn of<'s>(gguf: &Gguf, specs: impl IntoIterator<Item = &'s TensorSpec>) -> Workload {
        let per_token = PerToken::of(gguf);
        let mut matrices = Vec::new();
        for TensorSpec { name, format, shape } in specs {
            let of = |phase| per_token.weights(name, shape, phase);
            let (generation, prompt) = (of(Phase::Generation), of(Phase::Prompt));
            if generation > 0 {
                let row_len = shape.row_len();
                matrices.push(Matrix { format: *format, row_len, generation, prompt });
            }
        }
        Workload { matrices, per_token }
    }

    /// Bytes of weights that are read for a token; those of a prompt share them.
    pub fn bytes(&self, phase: Phase) -> f64 {
        let bytes: f64 = self.matrices.iter().map(|matrix| matrix.bytes(phase)).sum();
        match phase {
            Phase::Generation => bytes,
            Phase::Prompt => bytes / PROMPT_TOKENS as f64,
        }
    }

    /// Operations that are made for a token: two for each weight, and attention.
    pub fn flops(&self, phase: Phase) -> f64 {
        let weights: u64 = self.matrices.iter().map(|matrix| matrix.weights(phase)).sum();
        let attention = if phase == Phase::Prompt { self.per_token.attention } else { 0.0 };
        2.0 * weights as f64 + attention
    }

    /// Tokens a second on a machine with these ceilings, as llama.cpp runs on it.
    pub fn estimate(&self, on: &Ceilings, with: Option<&InstructionSet>) -> Speeds {
        let tokens = |phase| 1e9 / self.nanoseconds(on, with, phase).max(1e-3);
        Speeds { generation: tokens(Phase::Generation), prompt: tokens(Phase::Prompt) }
    }

    /// What a token takes. Rates that were measured on another machine count as much as this one
    /// multiplies faster, but no more bytes are read than it can. Where nothing was measured, tokens
    /// are generated as fast as bytes are read, and prompts as fast as floats are multiplied.
    fn nanoseconds(&self, on: &Ceilings, with: Option<&InstructionSet>, phase: Phase) -> f64 {
        let reading = 1e9 / on.bytes_per_second;
        let computing = |cost: Cost, matrix: &Matrix| {
            let slower = REFERENCE.1 / on.flops_per_second;
            slower * cost.of(matrix.weights(phase), matrix.row_len)
        };
        let of_matrix = |matrix: &Matrix| {
            let read = match phase {
                Phase::Generation => matrix.bytes(phase) * reading,
                Phase::Prompt => matrix.bytes(phase) / PROMPT_TOKENS as f64 * reading,
            };
            let computed = match (with, phase) {
                (Some(set), _) => computing(set.nanoseconds(matrix.format, phase), matrix),
                (None, Phase::Generation) => 0.0,
                (None, Phase::Prompt) => 2e9 * matrix.weights(phase) as f64 / on.flops_per_second,
            };
            read.max(computed)
        };
        let matrices: f64 = self.matrices.iter().map(of_matrix).sum();
        matrices
            + match phase {
                Phase::Generation => self.per_token.layers as f64 * LAYER,
                Phase::Prompt => {
                    self.per_token.attention / ATTENTION * (REFERENCE.1 / on.flops_per_second)
                }
            }
    }
}

/// How much faster one model is than another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SpeedUp {
    /// Tokens a second of the quantized model over those of the input, while one is generated.
    pub generation: f64,
    /// The same while a prompt is read.
    pub prompt: f64,
}

impl SpeedUp {
    /// Of `output` against `input`.
    pub fn of(input: &Speeds, output: &Speeds) -> SpeedUp {
        SpeedUp {
            generation: output.generation / input.generation,
            prompt: output.prompt / input.prompt,
        }
    }
}

/// What a model at work uses of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Utilisation {
    /// Bytes of weights that are read in a second.
    pub bytes_per_second: f64,
    /// The same over what the machine reads at most.
    pub of_bandwidth: f64,
    /// Operations a second: two for each weight that a token meets, and those of attention.
    pub flops_per_second: f64,
    /// The same over what the machine makes at most in products of 32-bit floats. It may be above 1:
    /// quantized weights are multiplied in 8-bit integers.
    pub of_flops: f64,
}

impl Utilisation {
    /// Of a model that runs at `speeds` on a machine with these ceilings.
    pub fn of(work: &Workload, speeds: &Speeds, ceilings: &Ceilings, phase: Phase) -> Utilisation {
        let tokens = speeds.of(phase);
        let bytes_per_second = tokens * work.bytes(phase);
        let flops_per_second = tokens * work.flops(phase);
        Utilisation {
            bytes_per_second,
            of_bandwidth: bytes_per_second / ceilings.bytes_per_second,
            flops_per_second,
            of_flops: flops_per_second / ceilings.flops_per_second,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiny() -> Gguf {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tiny.gguf");
        Gguf::open(path.as_ref()).unwrap()
    }

    /// The model in the box with all its matrices in a format.
    fn in_format(format: Format) -> Workload {
        let gguf = tiny();
        let specs: Vec<TensorSpec> = gguf.tensors().iter().map(|tensor| tensor.spec()).collect();
        let specs = specs.into_iter().map(|spec| match spec.shape.rows() > 1 {
            true => TensorSpec { format, ..spec },
            false => spec,
        });
        Workload::of(&gguf, &specs.collect::<Vec<_>>())
    }

    const SLOW: Ceilings = Ceilings { bytes_per_second: 1e9, flops_per_second: 1e9 };

    #[test]
    fn a_token_takes_all_matrices_and_the_head_only_where_it_is_generated() {
        let work = in_format(Format::F16);
        let layers = 4 * (2 * 256 * 256 + 2 * 128 * 256 + 3 * 768 * 256);
        let head = 2048 * 256;
        assert_eq!(work.bytes(Phase::Generation), 2.0 * f64::from(layers + head));
        assert_eq!(work.bytes(Phase::Prompt), 2.0 * f64::from(layers) / 512.0);
        assert_eq!(work.flops(Phase::Generation), 2.0 * f64::from(layers + head));
        // 4 layers, 8 heads, keys and values of 32, 256 tokens before on the average.
        let attention = f64::from(4 * 2 * 8 * (32 + 32) * 256);
        assert_eq!(work.flops(Phase::Prompt), 2.0 * f64::from(layers) + attention);
    }

    #[test]
    fn without_measured_rates_bytes_and_products_decide() {
        let [half, four] = [Format::F16, Format::Q4_0].map(in_format);
        let speeds = half.estimate(&SLOW, None);
        let nanoseconds = half.bytes(Phase::Generation) + 4.0 * LAYER;
        assert!((speeds.generation * nanoseconds / 1e9 - 1.0).abs() < 1e-9);
        let up = SpeedUp::of(&speeds, &four.estimate(&SLOW, None));
        assert!(up.generation > 3.0 && up.generation < 3.6, "{up:?}");
        assert!((up.prompt - 1.0).abs() < 1e-9, "{up:?}");
    }

    #[test]
    fn rates_count_as_much_as_a_machine_is_faster() {
        let Some(set) = InstructionSet::of_this_machine() else { return };
        let work = in_format(Format::Q8_0);
        let on = |times: f64| {
            let bytes_per_second = 1e15;
            let flops_per_second = REFERENCE.1 * times;
            work.estimate(&Ceilings { bytes_per_second, flops_per_second }, Some(set))
        };
        assert!((on(2.0).prompt / on(1.0).prompt - 2.0).abs() < 1e-9);
        // What a layer takes beside its matrices stays.
        let ratio = on(2.0).generation / on(1.0).generation;
        assert!(ratio > 1.0 && ratio < 2.0, "{ratio}");
    }

    #[test]
    fn what_a_machine_is_used_for_is_told_as_shares_of_its_ceilings() {
        let work = in_format(Format::F16);
        let speeds = Speeds { generation: 100.0, prompt: 50.0 };
        let ceilings = Ceilings { bytes_per_second: 1e10, flops_per_second: 1e11 };
        let used = Utilisation::of(&work, &speeds, &ceilings, Phase::Generation);
        assert_eq!(used.bytes_per_second, 100.0 * work.bytes(Phase::Generation));
        assert_eq!(used.of_bandwidth, used.bytes_per_second / 1e10);
        assert_eq!(used.of_flops, 100.0 * work.flops(Phase::Generation) / 1e11);
    }
}
