//! llama.cpp still says of the random models what the committed golden logits say. Needs
//! llama-perplexity; `.ci/run` provides it. With `OPENCOG_QAT_BLESS=1` what it says becomes golden.

mod random_models;

use std::fs;

use random_models::golden::Golden;
use random_models::peer::{self, Question};
use random_models::{VARIANTS, Variant, vocabulary};

#[test]
fn llama_cpp_says_what_is_golden() {
    let Some(tool) = peer::tool() else { return };
    let folder = tempfile::tempdir().unwrap();
    let [model, text] = ["model.gguf", "text"].map(|name| folder.path().join(name));
    fs::write(&text, vocabulary::text()).unwrap();
    let bless = std::env::var_os("OPENCOG_QAT_BLESS").is_some_and(|bless| bless == "1");
    for variant in VARIANTS {
        fs::write(&model, variant.golden_file()).unwrap();
        let question = Question { model: &model, text: &text, n_ctx: 64, chunks: 2 };
        let theirs = peer::ask(&tool, &question);
        match bless {
            true => fs::write(Golden::path(variant.name), theirs).unwrap(),
            false => compare(variant, &theirs),
        }
    }
}

/// Bit for bit, or, as another CPU adds up in another order, within what rounding makes.
fn compare(variant: &Variant, theirs: &[u8]) {
    let name = variant.name;
    if fs::read(Golden::path(name)).unwrap() == theirs {
        return;
    }
    let (golden, theirs) = (Golden::of(name), Golden::parse(theirs));
    assert_eq!(golden.chunks, theirs.chunks, "{name}: tokens");
    let (golden, theirs) = (golden.scored.iter().flatten(), theirs.scored.iter().flatten());
    let klds: Vec<f64> = golden
        .zip(theirs)
        .map(|(golden, theirs)| golden.compare(&theirs.log_probs()).normalized_kld)
        .collect();
    let kld = klds.iter().sum::<f64>() / klds.len() as f64;
    println!("{name}: not to the bit what is golden, KLD {kld:.1e}");
    assert!(kld < variant.allowed_kld(), "{name}: KLD {kld}");
}
