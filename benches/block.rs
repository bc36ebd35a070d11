//! How fast blocks are encoded, without and with importance, and decoded. One thread; `elem/s` are
//! weights per second.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use opencog_qat::block;
use opencog_qat::gguf::Format;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

const ROWS: usize = 256;
const ROW_LEN: usize = 1536;

/// Weights of a bell shape, as large as those of real models.
fn weights() -> Vec<f32> {
    let mut random = Pcg64Mcg::seed_from_u64(1);
    let mut weight = || 0.05 * ((0..12).map(|_| random.random::<f32>()).sum::<f32>() - 6.0);
    (0..ROWS * ROW_LEN).map(|_| weight()).collect()
}

/// Activations' mean squares, which differ by some orders of magnitude.
fn importance() -> Vec<f32> {
    let mut random = Pcg64Mcg::seed_from_u64(2);
    (0..ROW_LEN).map(|_| 10f32.powf(random.random_range(-2.0..2.0))).collect()
}

fn formats(criterion: &mut Criterion) {
    let (weights, importance) = (weights(), importance());
    for format in Format::all().filter(|&format| block::can_encode(format)) {
        let mut group = criterion.benchmark_group(format.name());
        group.throughput(Throughput::Elements(weights.len() as u64));
        let mut bytes = vec![0; format.bytes_of(weights.len() as u64).unwrap() as usize];
        for (name, importance) in [("encode", None), ("encode weighted", Some(&importance[..]))] {
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    block::encode(format, black_box(&weights), ROW_LEN, importance, &mut bytes);
                });
            });
        }
        let mut decoded = vec![0.0; weights.len()];
        group.bench_function("decode", |bencher| {
            bencher.iter(|| block::decode(format, black_box(&bytes), &mut decoded));
        });
        group.finish();
    }
}

fn short() -> Criterion {
    // Thirty measurements in little more than a minute.
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1500))
        .without_plots()
}

criterion_group!(name = benches; config = short(); targets = formats);
criterion_main!(benches);
