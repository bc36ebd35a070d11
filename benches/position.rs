//! How fast two rows of logits are compared, and one written down for llama-perplexity, for the
//! vocabulary of SmolLM2. One thread.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use opencog_qat::validate::{Position, encode_logits};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

const VOCABULARY: usize = 49_152;

/// Logits of a bell shape, as spread as those of real models, and the same with some noise.
fn rows() -> [Vec<f32>; 2] {
    let mut random = Pcg64Mcg::seed_from_u64(1);
    let mut bell = || (0..12).map(|_| random.random::<f32>()).sum::<f32>() - 6.0;
    let base: Vec<f32> = (0..VOCABULARY).map(|_| 4.0 + 3.5 * bell()).collect();
    let quantized = base.iter().map(|x| x + 0.2 * bell()).collect();
    [base, quantized]
}

fn position(criterion: &mut Criterion) {
    let [base, quantized] = rows();
    criterion.bench_function("position", |bencher| {
        bencher.iter(|| Position::of(black_box(&base), black_box(&quantized), 17).unwrap());
    });
    criterion.bench_function("encode logits", |bencher| {
        bencher.iter(|| encode_logits(black_box(&base)).unwrap());
    });
}

fn short() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1500))
        .without_plots()
}

criterion_group!(name = benches; config = short(); targets = position);
criterion_main!(benches);
