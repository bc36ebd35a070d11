//! llama.cpp on a graphics card, through CUDA, Vulkan or Metal.
//!
//! All three back ends have kernels of their own, for single tokens and for many, for every format
//! of the palette (`mmq.cu` and `mmvq.cu`, `ggml-vulkan.cpp`, `ggml-metal.metal`). Which is faster
//! is told here by *published figures of others*, not measured here: tokens a second of one model
//! of 8 G weights on one GPU with unified memory.
//!
//! | file | tokens/s | bits per weight | bits x tokens/s |
//! |---|---|---|---|
//! | Q4_0 | 51.5 | 4.5 | 231.8 |
//! | IQ4_NL | 51.6 | 4.5 | 232.2 |
//! | Q4_K_M, mostly Q4_K | 45.7 | 4.85 | 221.6 |
//! | Q5_K_M, mostly Q5_K | 39.8 | 5.69 | 226.5 |
//! | Q6_K | 33.8 | 6.5625 | 221.8 |
//! | Q8_0 | 29.3 | 8.5 | 249.1 |
//!
//! So generation is bound by bytes, and a format's last column against that of Q4_0 is what its
//! kernel adds or saves. Formats that nobody published are taken to be as good as Q4_0. Prompts are
//! read at one rate in all formats but IQ4_XS, which is "within 20 %" of the rest on CUDA: a fifth
//! is added.

use crate::gguf::Format;
use crate::model::Phase;

/// Of Q4_0: bits per weight times tokens a second.
const BASE: f64 = 51.5 * 4.5;

/// How many times as long a weight takes as one in Q4_0.
pub(super) fn relative_time(format: Format, phase: Phase) -> f64 {
    use Format::*;
    match phase {
        Phase::Generation => {
            let kernel = match format {
                IQ4_NL => 51.6 * 4.5,
                Q4_K => 45.7 * 4.85,
                Q5_K => 39.8 * 5.69,
                Q6_K => 33.8 * 6.5625,
                Q8_0 => 29.3 * 8.5,
                _ => BASE,
            };
            format.bpw() / Q4_0.bpw() * (BASE / kernel)
        }
        Phase::Prompt if format == IQ4_XS => 1.2,
        Phase::Prompt => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_model_takes_what_was_published() {
        // 51.5 tokens a second in Q4_0 are 33.8 in Q6_K and 29.3 in Q8_0.
        for (format, speed) in [(Format::Q6_K, 33.8), (Format::Q8_0, 29.3)] {
            let time = relative_time(format, Phase::Generation);
            assert!((51.5 / time - speed).abs() < 1e-9, "{format}");
        }
    }
}
