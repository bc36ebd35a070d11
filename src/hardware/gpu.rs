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
//! kernel adds or saves. Q4_1, Q5_0 and Q5_1, which nobody published, are taken to be as good as
//! Q4_0. Prompts are read at one rate in all formats but IQ4_XS, which takes up to a fifth longer on
//! CUDA: it is not in the palette.

use crate::gguf::Format::{self, *};
use crate::model::Phase;

/// Of Q4_0: bits per weight times tokens a second.
const BASE: f64 = 51.5 * 4.5;

/// Of the formats that figures were published of: the same.
const KERNELS: [(Format, f64); 5] = [
    (IQ4_NL, 51.6 * 4.5),
    (Q4_K, 45.7 * 4.85),
    (Q5_K, 39.8 * 5.69),
    (Q6_K, 33.8 * 6.5625),
    (Q8_0, 29.3 * 8.5),
];

/// How many times as long a weight takes as one in Q4_0.
pub(super) fn relative_time(format: Format, phase: Phase) -> f64 {
    match phase {
        Phase::Generation => {
            let published = KERNELS.iter().find(|kernel| kernel.0 == format);
            let kernel = published.map_or(BASE, |kernel| kernel.1);
            format.bpw() / Q4_0.bpw() * (BASE / kernel)
        }
        Phase::Prompt if format == IQ4_XS => 1.2,
        Phase::Prompt => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware::Hardware;

    #[test]
    fn more_bits_take_longer_and_the_palette_reads_prompts_at_one_rate() {
        let palette = Hardware::Gpu.palette();
        let generation = |format: &Format| relative_time(*format, Phase::Generation);
        for pair in palette.windows(2).filter(|pair| pair[0].bpw() < pair[1].bpw()) {
            assert!(generation(&pair[0]) < generation(&pair[1]), "{pair:?}");
        }
        assert!(palette.iter().all(|&format| relative_time(format, Phase::Prompt) == 1.0));
        assert!(relative_time(Format::IQ4_XS, Phase::Prompt) > 1.0);
    }
}
