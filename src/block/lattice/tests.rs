use half::{bf16, f16};
use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::*;
use crate::block;

const STORED: [Format; 3] = [Format::F32, Format::F16, Format::BF16];

/// Weights as a file has them.
fn stored(format: Format, x: &[f32]) -> Vec<f32> {
    let stored = Stored::of(format);
    x.iter().map(|&x| stored.round(x)).collect()
}

fn normal(rng: &mut Pcg64Mcg, n: usize) -> Vec<f32> {
    let mut sum = || (0..6).map(|_| rng.random::<f32>() - 0.5).sum::<f32>();
    (0..n).map(|_| 0.03 * sum()).collect()
}

/// Blocks with random codes, and units of the size that weights have.
fn random_blocks(rng: &mut Pcg64Mcg, format: Format, blocks: usize) -> Vec<u8> {
    let mut bytes = vec![0; blocks * format.block_bytes()];
    rng.fill_bytes(&mut bytes);
    let mut unit = |low: f32, high: f32| {
        let size = low * (high / low).powf(rng.random::<f32>());
        f16::from_f32(size).to_le_bytes()
    };
    for block in bytes.chunks_exact_mut(format.block_bytes()) {
        match format {
            Format::MXFP4 => block[0] = 110 + block[0] % 20,
            Format::Q6_K => block[208..210].copy_from_slice(&unit(1e-6, 1e-3)),
            Format::Q4_1 | Format::Q5_1 => {
                // About as far below 0 as above.
                let steps = if format == Format::Q4_1 { 8.0 } else { 16.0 };
                let scale = f16::from_le_bytes(unit(1e-5, 1e-1));
                let min = f16::from_f32(-steps * scale.to_f32());
                block[0..2].copy_from_slice(&scale.to_le_bytes());
                block[2..4].copy_from_slice(&min.to_le_bytes());
            }
            _ => block[0..2].copy_from_slice(&unit(1e-5, 1e-1)),
        }
    }
    bytes
}

fn decoded(format: Format, bytes: &[u8]) -> Vec<f32> {
    let mut x = vec![0.0; bytes.len() / format.block_bytes() * format.block_len()];
    block::decode(format, bytes, &mut x);
    x
}

/// What is found of weights, and what the blocks decode to.
fn found(format: Format, from: Format, x: &[f32]) -> Option<(Fit, Vec<f32>)> {
    let mut bytes = vec![0; format.size_of(x.len())];
    encode(format, from, x, &mut bytes).map(|fit| (fit, stored(from, &decoded(format, &bytes))))
}

/// Whether the lattice of random blocks is found in each precision, and what is encoded is exact.
#[track_caller]
fn assert_found(format: Format, blocks: &[u8]) {
    for from in STORED {
        for block in blocks.chunks_exact(format.block_bytes()) {
            let x = stored(from, &decoded(format, block));
            assert_eq!(found(format, from, &x), Some((Fit::Exact, x)), "{format} in {from}");
        }
    }
}

#[test]
fn what_was_decoded_from_blocks_is_encoded_to_itself() {
    let mut rng = Pcg64Mcg::seed_from_u64(1);
    let has_no_min = |format: &Format| !matches!(format, Format::Q4_K | Format::Q5_K);
    for format in FORMATS.into_iter().filter(has_no_min) {
        assert_found(format, &random_blocks(&mut rng, format, 40));
    }
}

#[test]
fn what_was_encoded_and_decoded_is_encoded_to_itself() {
    let mut rng = Pcg64Mcg::seed_from_u64(2);
    for format in FORMATS.into_iter().filter(|&format| block::can_encode(format)) {
        let x = normal(&mut rng, 40 * 256);
        let mut bytes = vec![0; format.size_of(x.len())];
        block::encode(format, &x, 256, None, &mut bytes);
        assert_found(format, &bytes);
    }
}

#[test]
fn other_weights_lie_on_no_lattice() {
    let mut rng = Pcg64Mcg::seed_from_u64(3);
    for format in FORMATS {
        for from in STORED {
            for scale in [1.0, 1e-3, 1e4] {
                let x: Vec<f32> = normal(&mut rng, 256).iter().map(|x| scale * x).collect();
                assert_eq!(found(format, from, &stored(from, &x)), None, "{format} in {from}");
            }
        }
    }
}

#[test]
fn one_weight_off_the_lattice_is_enough() {
    let mut rng = Pcg64Mcg::seed_from_u64(4);
    for format in [Format::Q4_0, Format::Q5_0, Format::IQ4_NL, Format::Q4_K, Format::Q6_K] {
        let mut x = stored(Format::F16, &decoded(format, &random_blocks(&mut rng, format, 1)));
        x[9] = f16::from_f32(1.02 * x[9] + 1e-4).to_f32();
        assert_eq!(found(format, Format::F16, &x), None, "{format}");
    }
}

#[test]
fn a_scale_that_is_no_f16_is_rounded() {
    let mut rng = Pcg64Mcg::seed_from_u64(5);
    for _ in 0..200 {
        let scale = 0.001 + 0.01 * rng.random::<f32>();
        let x: Vec<f32> = (0..32).map(|_| scale * rng.random_range(-7..=7) as f32).collect();
        for (from, most) in [(Format::F32, 2.4e-7), (Format::BF16, 4e-5)] {
            let mut bytes = vec![0; Format::Q4_0.block_bytes()];
            encode(Format::Q4_0, from, &stored(from, &x), &mut bytes).unwrap();
            // The weights before the file rounded them.
            let error = block::squared_error(&x, &decoded(Format::Q4_0, &bytes)).relative();
            assert!(error < most, "{from}: {error}");
        }
    }
}

#[test]
fn blocks_of_zeros_or_of_one_value_lie_on_lattices() {
    for format in FORMATS {
        for from in STORED {
            let zeros = vec![0.0; format.block_len()];
            assert_eq!(found(format, from, &zeros), Some((Fit::Exact, zeros)), "{format}");
        }
    }
    for format in [Format::Q4_0, Format::Q4_1, Format::Q5_0, Format::Q5_1, Format::Q8_0] {
        for value in [0.5, -3.0, 65504.0, -6.1e-5] {
            let x = vec![bf16::from_f32(value).to_f32().clamp(-65280.0, 65280.0); 32];
            assert_eq!(found(format, Format::BF16, &x), Some((Fit::Exact, x)), "{format}");
        }
    }
}

#[test]
fn what_is_no_number_lies_on_none() {
    for format in FORMATS {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut x = vec![0.25; format.block_len()];
            x[7] = value;
            assert_eq!(found(format, Format::F32, &x), None, "{format}");
        }
    }
}
