//! llama.cpp on a processor: how fast it runs each format, as llama-bench measured it.
//!
//! Measured on an AMD EPYC (Zen 5, two cores of a virtual machine) with llama.cpp of build 0c1e570
//! (ggml 0.25.3), for AVX-512 as `-DGGML_NATIVE=ON` builds it there, and for AVX2 with
//! `-DGGML_NATIVE=OFF -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_BMI2=ON`, by
//!
//! ```text
//! llama-bench -m FILE -p 512 -n 48 -r 1 -t 2 -o jsonl
//! ```
//!
//! on random weights whose matrices are all in one format (llama: 8 layers, width 1024, feed-forward
//! 4096, 16 heads, 8 of keys and values, 8192 tokens; by `llama-quantize --pure`), the medians of
//! three alternating runs. Files of SmolLM2-135M and of Gemma-3-270M, of other shapes, tell what a
//! row and a layer take beside their weights.

use crate::block::is_repacked;
use crate::block::lattice::is_full_precision;
use crate::gguf::Format;
use crate::model::{PerToken, Phase};

use super::cost::Cost;

/// What vector instructions llama.cpp was built for, and how fast it is with them.
#[derive(Debug)]
pub struct InstructionSet {
    /// Its name.
    pub name: &'static str,
    /// By format: 10^9 weights a second while a token is generated, and while a prompt is read.
    rates: [(Format, f64, f64); 13],
}

use Format::*;

static AVX512: InstructionSet = InstructionSet {
    name: "AVX-512",
    rates: [
        (F32, 11.8, 145.5),
        (F16, 24.5, 220.4),
        (BF16, 22.9, 340.5),
        (IQ4_XS, 86.4, 505.5),
        (IQ4_NL, 80.6, 351.1),
        (Q4_0, 79.9, 349.7),
        (Q4_K, 82.0, 285.2),
        (Q4_1, 66.3, 66.2),
        (Q5_0, 59.8, 121.1),
        (Q5_K, 73.7, 518.6),
        (Q5_1, 52.2, 59.3),
        (Q6_K, 78.7, 427.5),
        (Q8_0, 54.2, 166.7),
    ],
};

static AVX2: InstructionSet = InstructionSet {
    name: "AVX2",
    rates: [
        (F32, 12.3, 125.7),
        (F16, 24.2, 133.3),
        (BF16, 23.1, 108.1),
        (IQ4_XS, 79.5, 166.1),
        (IQ4_NL, 72.8, 145.1),
        (Q4_0, 71.4, 144.4),
        (Q4_K, 79.2, 146.2),
        (Q4_1, 73.9, 71.8),
        (Q5_0, 56.7, 79.7),
        (Q5_K, 73.0, 185.9),
        (Q5_1, 55.1, 59.7),
        (Q6_K, 80.6, 184.8),
        (Q8_0, 53.7, 131.1),
    ],
};

/// Bytes a second that were read from memory on that machine, and operations a second that were made
/// in products of 32-bit floats, as the ceilings of any machine are measured.
pub const REFERENCE: (f64, f64) = (4.40e10, 4.476e11);

/// Nanoseconds that a row takes beside its weights while a token is generated: the sum over its
/// lanes, and its part of handing rows to threads.
const ROW: f64 = 11.0;
/// The same of rows that are repacked, which share the sum with seven others.
const REPACKED_ROW: f64 = 2.0;
/// The same of rows of floats.
const ROW_OF_FLOATS: f64 = 10.0;

/// Nanoseconds that a layer takes beside its matrices while a token is generated.
pub const LAYER: f64 = 28_000.0;
/// Operations that attention makes in a nanosecond while a prompt is read.
pub const ATTENTION: f64 = 63.7;

impl InstructionSet {
    /// The widest that this machine has and that was measured.
    pub fn of_this_machine() -> Option<&'static InstructionSet> {
        #[cfg(target_arch = "x86_64")]
        {
            let wide = std::arch::is_x86_feature_detected!("avx512vnni")
                && std::arch::is_x86_feature_detected!("avx512bw");
            if wide {
                return Some(&AVX512);
            }
            if std::arch::is_x86_feature_detected!("avx2") {
                return Some(&AVX2);
            }
        }
        None
    }

    /// Nanoseconds that a weight of this format takes, and a row.
    pub fn nanoseconds(&self, format: Format, phase: Phase) -> Cost {
        let per_weight = match self.rates.iter().find(|rate| rate.0 == format) {
            Some(&(_, generation, prompt)) => match phase {
                Phase::Generation => 1.0 / generation,
                Phase::Prompt => 1.0 / prompt,
            },
            // What was not measured goes by bytes.
            None => self.nanoseconds(Q8_0, phase).per_weight * by_bytes(format, phase),
        };
        let per_row = match phase {
            Phase::Prompt => 0.0,
            Phase::Generation if is_repacked(format) => REPACKED_ROW,
            Phase::Generation if is_full_precision(format) => ROW_OF_FLOATS,
            Phase::Generation => ROW,
        };
        Cost { per_weight, per_row }
    }

    /// The same, in times of what a weight of Q4_0 takes.
    fn relative(&self, format: Format, phase: Phase) -> Cost {
        let unit = self.nanoseconds(Q4_0, phase).per_weight;
        let Cost { per_weight, per_row } = self.nanoseconds(format, phase);
        Cost { per_weight: per_weight / unit, per_row: per_row / unit }
    }
}

/// What a token takes beside its matrices, in times of a weight of Q4_0, with those instructions with
/// which that is less: a floor is held to what formats decide.
pub(super) fn relative_overhead(of: &PerToken, phase: Phase) -> f64 {
    let nanoseconds = match phase {
        Phase::Generation => of.layers as f64 * LAYER,
        Phase::Prompt => of.attention / ATTENTION,
    };
    let units = [&AVX512, &AVX2].map(|set| set.nanoseconds(Q4_0, phase).per_weight);
    nanoseconds / units[0].max(units[1])
}

/// Bytes against those of Q8_0 where they are what takes the time.
fn by_bytes(format: Format, phase: Phase) -> f64 {
    match phase {
        Phase::Generation => format.bpw() / Q8_0.bpw(),
        Phase::Prompt => 1.0,
    }
}

/// What a weight and a row take, in times of a weight of Q4_0, with those instructions with which
/// they take longer.
pub(super) fn relative_cost(format: Format, phase: Phase) -> Cost {
    let [a, b] = [&AVX512, &AVX2].map(|set| set.relative(format, phase));
    Cost { per_weight: a.per_weight.max(b.per_weight), per_row: a.per_row.max(b.per_row) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware::Hardware;

    #[test]
    fn every_format_of_the_palette_was_measured() {
        for set in [&AVX512, &AVX2] {
            for format in Hardware::Cpu.palette() {
                assert!(set.rates.iter().any(|rate| rate.0 == *format), "{} {format}", set.name);
            }
        }
    }

    #[test]
    fn the_slower_instructions_decide() {
        for phase in Phase::ALL {
            for &(format, ..) in &AVX2.rates {
                let held = relative_cost(format, phase).per_weight;
                for set in [&AVX512, &AVX2] {
                    assert!(held >= set.relative(format, phase).per_weight, "{format}");
                }
            }
        }
        // Q5_0 is 1.34 times as slow as Q4_0 with AVX-512, and 1.26 times with AVX2.
        let q5_0 = relative_cost(Q5_0, Phase::Generation).per_weight;
        assert!((q5_0 - 79.9 / 59.8).abs() < 1e-12);
    }

    #[test]
    fn what_was_not_measured_goes_by_bytes() {
        let q2_k = AVX2.nanoseconds(Q2_K, Phase::Generation).per_weight;
        let q8_0 = AVX2.nanoseconds(Q8_0, Phase::Generation).per_weight;
        assert!((q2_k / q8_0 - 2.625 / 8.5).abs() < 1e-12);
    }
}
