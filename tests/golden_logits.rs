//! The committed logits of llama.cpp for small random models: sound in themselves, and what our
//! reference computes.

mod random_models;

use std::collections::HashSet;

use opencog_qat::gguf::{Format, Gguf};
use random_models::golden::{Agreement, Golden};
use random_models::{VARIANTS, Variant, reference};

#[test]
fn golden_logits_are_sound() {
    let mut seen = HashSet::new();
    for variant in VARIANTS {
        let golden = Golden::of(variant.name);
        assert_eq!(golden.n_vocab as u64, variant.vocabulary.len(), "{}", variant.name);
        let in_range = |&token: &u32| (token as usize) < golden.n_vocab;
        assert!(golden.chunks.iter().flatten().all(in_range), "{}: tokens", variant.name);
        let mut codes = Vec::new();
        for row in golden.scored.iter().flatten() {
            let log_probs = row.log_probs();
            let sum: f64 = log_probs.iter().map(|p| p.exp()).sum();
            assert!((sum - 1.0).abs() < 0.01, "{}: probabilities sum to {sum}", variant.name);
            codes.extend_from_slice(&row.codes);
        }
        assert!(seen.insert(codes), "{} has the logits of another model", variant.name);
    }
}

#[test]
fn names_are_unique() {
    let names: HashSet<&str> = VARIANTS.iter().map(|variant| variant.name).collect();
    assert_eq!(names.len(), VARIANTS.len());
}

#[test]
fn reference_computes_the_golden_logits() {
    println!("  model                      KLD  normalized  same top  most steps  likeliest");
    let (mut off, mut same) = (Vec::new(), 0.0);
    for variant in VARIANTS {
        let golden = Golden::of(variant.name);
        let agreement = agreement(variant, &golden);
        let likeliest = mean_greatest(&golden);
        let Agreement { kld, normalized_kld, same_top, steps } = agreement;
        println!(
            "  {:<24} {kld:>9.1e}  {normalized_kld:>10.1e}  {:>7.2}%  {steps:>10.1}  {likeliest:>9.2}",
            variant.name,
            100.0 * same_top,
        );
        same += same_top / VARIANTS.len() as f64;
        if kld.abs() > 1e-4 || normalized_kld > allowed(variant) {
            off.push(variant.name);
        }
    }
    assert!(off.is_empty(), "too far off: {off:?}");
    assert!(same >= 0.995, "the same token is the likeliest in {same} of the positions");
}

/// The KLD that llama.cpp's rounding may make. It rounds activations to F16 where weights are F16,
/// and looks GELU up in a table of F16; else all is in F32, and what is left is that of the codes.
fn allowed(variant: &Variant) -> f64 {
    match (variant.matrices.contains(&Format::F16), variant.architecture == "gemma3") {
        (false, false) => 1e-8,
        (false, true) => 5e-6,
        (true, false) => 2e-5,
        (true, true) => 5e-5,
    }
}

fn agreement(variant: &Variant, golden: &Golden) -> Agreement {
    let model = Gguf::from_bytes(variant.name, variant.file()).unwrap();
    golden.compare(variant.bos(), |tokens| reference::logits(&model, tokens))
}

/// The mean over positions of the log-probability of the likeliest token.
fn mean_greatest(golden: &Golden) -> f64 {
    let greatest = |row: &random_models::golden::Row| {
        row.log_probs().into_iter().fold(f64::NEG_INFINITY, f64::max)
    };
    let rows: Vec<f64> = golden.scored.iter().flatten().map(greatest).collect();
    rows.iter().sum::<f64>() / rows.len() as f64
}
