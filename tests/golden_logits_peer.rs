//! llama.cpp still says of the random models what the committed golden logits say. Needs
//! llama-perplexity; `.ci/run` provides it. With `OPENCOG_QAT_BLESS=1` what it says becomes golden.

mod random_models;

use std::fs;

use opencog_qat::gguf::Gguf;
use opencog_qat::model::{Model, Tokenizer};
use random_models::fetched;
use random_models::forward::forward;
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

#[test]
fn the_forward_pass_agrees_on_real_models() {
    let Some(tool) = peer::tool() else { return };
    let (text, smollm2) = (fetched::wikitext(), fetched::smollm2());
    let gemma3 = fetched::cache().join("gemma3-270m-f16.gguf");
    if !fetched::optimized() || !fetched::present(&[&text, &smollm2, &gemma3]) {
        return;
    }
    for (model, n_ctx, chunks) in [(&smollm2, 256, 8), (&gemma3, 128, 4)] {
        let question = Question { model, text: &text, n_ctx, chunks };
        let theirs = Golden::parse(&peer::ask(&tool, &question));
        let gguf = Gguf::open(model).unwrap();
        let bos = Tokenizer::read(gguf.metadata()).unwrap().vocabulary().leading();
        let model = Model::of(&gguf).unwrap();
        let agreement = theirs.compare(bos, |tokens| forward(&model, tokens));
        let (kld, same) = (agreement.normalized_kld, agreement.same_top);
        println!(
            "{}, {chunks} chunks of {n_ctx}: KLD {kld:.1e}, same top token {:.2} %",
            model.shape.architecture.name,
            100.0 * same
        );
        assert!(kld < 1e-4 && same >= 0.995, "KLD {kld}, same top {same}");
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
