//! What runs of blocks must keep, on all kinds of rows.

use half::{bf16, f16};
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::block::decode;
use crate::block::packing::{f16_at, unpack_nibbles};
use crate::block::tests::{COLUMNS, Columns, Random, VALUES, Values, levels};

const ALL: [SharedScale; 5] = [
    SharedScale::Row(256),
    SharedScale::Row(32),
    SharedScale::Tile(128),
    SharedScale::Tile(64),
    SharedScale::Tile(32),
];

fn encoded(shared: SharedScale, x: &[f32], row_len: usize, w: Option<&[f32]>) -> Vec<u8> {
    let mut bytes = vec![0; shared.format().size_of(x.len())];
    encode_shared(shared, x, row_len, w, &mut bytes);
    bytes
}

/// The scale of each run, and the code of each value.
fn opened(shared: SharedScale, bytes: &[u8]) -> (Vec<f32>, Vec<i32>) {
    let (mut scales, mut codes) = (Vec::new(), Vec::new());
    for run in bytes.chunks(shared.format().size_of(shared.columns())) {
        let blocks = run.chunks(shared.format().block_bytes());
        let of_run: Vec<u32> = blocks.clone().map(|block| f16_at(block, 0).to_bits()).collect();
        assert!(of_run.iter().all(|&scale| scale == of_run[0]), "{shared:?}: {of_run:?}");
        scales.push(f32::from_bits(of_run[0]));
        for block in blocks {
            match shared {
                SharedScale::Row(_) => codes.extend(block[2..].iter().map(|&b| i32::from(b as i8))),
                SharedScale::Tile(_) => {
                    let mut of_block = [0; 32];
                    unpack_nibbles(&block[2..], &mut of_block);
                    codes.extend(of_block.map(|code| i32::from(code) - 8));
                }
            }
        }
    }
    (scales, codes)
}

/// The weighted squared error of a run at a scale, with every value at the nearest level.
fn error_at(shared: SharedScale, x: &[f32], w: &[f32], scale: f32) -> f64 {
    let (low, high) = match shared {
        SharedScale::Row(_) => (-127.0, 127.0),
        SharedScale::Tile(_) => (-8.0, 7.0),
    };
    let scale = f64::from(scale);
    let error = |(&x, &w): (&f32, &f32)| {
        let x = f64::from(x);
        let level = if scale == 0.0 { 0.0 } else { (x / scale).round().clamp(low, high) };
        f64::from(w) * (x - scale * level).powi(2)
    };
    x.iter().zip(w).map(error).sum()
}

proptest! {
    #[test]
    fn runs_are_integers_times_one_number_and_never_worse_than_plain_rounding(
        values in select(&VALUES[..]),
        columns in select(&COLUMNS[..]),
        power in -7f32..4.0,
        seed in any::<u64>(),
        shared in select(&ALL[..]),
    ) {
        let mut random = Random(seed);
        let row_len = 256;
        let x: Vec<f32> =
            (0..2).flat_map(|_| values.sample(&mut random, 10f32.powf(power), row_len)).collect();
        let importance = columns.sample(&mut random, row_len);
        let bytes = encoded(shared, &x, row_len, importance.as_deref());
        let (scales, codes) = opened(shared, &bytes);
        let mut decoded = vec![0.0; x.len()];
        decode(shared.format(), &bytes, &mut decoded);
        let weights = importance.as_deref().and_then(column_weights);
        let weights = weights.map_or(vec![1.0; row_len], |(raised, _)| raised);
        let runs = x.chunks(shared.columns()).zip(decoded.chunks(shared.columns()));
        for (i, (x, y)) in runs.enumerate() {
            let scale = scales[i];
            prop_assert_eq!(shared.round(scale), scale);
            prop_assert_eq!(f16::from_f32(scale).to_f32(), scale);
            if let SharedScale::Tile(_) = shared {
                prop_assert_eq!(bf16::from_f32(scale).to_f32(), scale);
            }
            let codes = &codes[i * shared.columns()..][..shared.columns()];
            let least = if let SharedScale::Row(_) = shared { -127 } else { -8 };
            prop_assert!(codes.iter().all(|&code| code >= least));
            for (&code, &y) in codes.iter().zip(y) {
                prop_assert_eq!(scale * code as f32, y);
            }
            if x.iter().all(|&x| x == 0.0) {
                prop_assert!(scale == 0.0 && codes.iter().all(|&code| code == 0));
            }
            let w = &weights[i * shared.columns() % row_len..][..shared.columns()];
            let ours: f64 = x.iter().zip(y).zip(w).map(|((&x, &y), &w)| {
                f64::from(w) * (f64::from(x) - f64::from(y)).powi(2)
            }).sum();
            let peak = x.iter().fold(0f32, |peak, x| peak.max(x.abs()));
            let slack = 1e-12 * error_at(shared, x, w, 0.0);
            for end in if least == -127 { [127.0, -127.0, 127.0] } else { [7.0, 8.0, -8.0] } {
                let plain = error_at(shared, x, w, shared.round(peak / end));
                prop_assert!(ours <= 1.0001 * plain + slack, "{:?}: {} > {}", shared, ours, plain);
            }
        }
    }

    #[test]
    fn all_levels_of_vectors_find_the_same(
        values in select(&VALUES[..]),
        columns in select(&COLUMNS[..]),
        seed in any::<u64>(),
        shared in select(&ALL[..]),
    ) {
        let mut random = Random(seed);
        let row_len = 256;
        let x = values.sample(&mut random, 0.02, row_len);
        let importance = columns.sample(&mut random, row_len);
        let expected = encoded(shared, &x, row_len, importance.as_deref());
        let weights = importance.as_deref().and_then(column_weights);
        let weights = weights.as_ref().map(|(raised, raw)| (&raised[..], &raw[..]));
        for level in levels() {
            let mut bytes = vec![0; expected.len()];
            encode_at(level, Rows { shared, values: &x, row_len, weights }, &mut bytes);
            prop_assert!(bytes == expected, "{:?}", level);
        }
    }
}

/// Gaussian and heavy-tailed rows, as those of models are: how much less than by plain rounding.
#[test]
fn the_search_gains_on_ordinary_rows() {
    let mut random = Random(5);
    // Heavy tails gain from clipping, and uneven columns from clipping what does not count.
    for (values, columns, row, tile) in [
        (Values::Gaussian, Columns::Unweighted, 0.98, 0.72),
        (Values::HeavyTailed, Columns::Unweighted, 0.995, 0.8),
        (Values::Gaussian, Columns::Uneven, 0.87, 0.56),
    ] {
        for (shared, expected) in [(SharedScale::Row(1024), row), (SharedScale::Tile(128), tile)] {
            let (mut ours, mut plain) = (0.0, 0.0);
            for _ in 0..60 {
                let x = values.sample(&mut random, 0.02, 1024);
                let importance = columns.sample(&mut random, 1024);
                let bytes = encoded(shared, &x, 1024, importance.as_deref());
                let (scales, _) = opened(shared, &bytes);
                let w = importance.unwrap_or(vec![1.0; 1024]);
                let n = shared.columns();
                for (i, (x, w)) in x.chunks(n).zip(w.chunks(n)).enumerate() {
                    let peak = x.iter().fold(0f32, |peak, x| peak.max(x.abs()));
                    let end = if let SharedScale::Row(_) = shared { 127.0 } else { 7.0 };
                    ours += error_at(shared, x, w, scales[i]);
                    plain += error_at(shared, x, w, shared.round(peak / end));
                }
            }
            println!("{shared:?} {values:?} {columns:?}: {:.3}", ours / plain);
            assert!(ours <= expected * plain, "{shared:?} {values:?}: {}", ours / plain);
        }
    }
}

/// What a TPU's weights were before comes back as it was.
#[test]
fn weights_of_such_a_grid_come_back() {
    let mut random = Random(11);
    for shared in [SharedScale::Row(256), SharedScale::Tile(128), SharedScale::Tile(64)] {
        let (low, levels) = match shared {
            SharedScale::Row(_) => (-127, 255),
            SharedScale::Tile(_) => (-8, 16),
        };
        for _ in 0..50 {
            let mut x = Vec::new();
            for _ in 0..512 / shared.columns() {
                let scale = shared.round(10f32.powf(-4.0 + 5.0 * random.uniform()));
                let level = |_| low + (random.bits() % levels) as i32;
                x.extend((0..shared.columns()).map(level).map(|level| scale * level as f32));
            }
            let mut decoded = vec![0.0; x.len()];
            decode(shared.format(), &encoded(shared, &x, 256, None), &mut decoded);
            assert_eq!(decoded, x, "{shared:?}");
        }
    }
}

/// The largest numbers that the format holds, the smallest, and none.
#[test]
fn extremes_are_held_as_blocks_hold_them() {
    for shared in [SharedScale::Row(64), SharedScale::Tile(64)] {
        let end = *crate::block::range(shared.format()).end();
        for peak in [end, -end] {
            let mut x = vec![0.0; 64];
            x[40] = peak;
            let mut y = vec![0.0; 64];
            decode(shared.format(), &encoded(shared, &x, 64, None), &mut y);
            assert!((y[40] - peak).abs() <= 0.5 * 65504.0, "{shared:?}: {peak} became {}", y[40]);
        }
        for tiny in [1e-45, -1e-30, 1e-9] {
            let (_, codes) = opened(shared, &encoded(shared, &[tiny; 64], 64, None));
            assert_eq!(codes, [0; 64], "{shared:?}: {tiny}");
        }
        let least = 2f32.powi(-24);
        let mut y = [0.0; 64];
        decode(shared.format(), &encoded(shared, &[least; 64], 64, None), &mut y);
        assert_eq!(y, [least; 64]);
    }
}

#[test]
fn runs_must_fit_rows() {
    assert!(SharedScale::Row(96).fits(96) && SharedScale::Tile(32).fits(96));
    assert!(!SharedScale::Tile(64).fits(96) && !SharedScale::Row(0).fits(96));
    assert!(!SharedScale::Row(48).fits(48), "no whole blocks");
}
