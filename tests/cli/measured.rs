//! What is measured on outputs: runs at standard effort, and `eval`.

use std::fs;

use opencog_qat::gguf::{Format, Value};
use predicates::prelude::*;
use serde_json::Value as Json;

use crate::folder::Folder;
use crate::models::Model;

/// As little text as can be calibrated and measured on.
const LITTLE: &str = "--batches 1 --batch-size 4 --seq-len 64";

fn text() -> String {
    let words =
        ["The river ran", "down to the sea,", "and nobody", "asked it why.", "\n\nYes, 42!"];
    (0..400).map(|i| words[i * i % 5].to_string() + " ").collect()
}

fn json(bytes: &[u8]) -> Json {
    serde_json::from_slice(bytes).unwrap()
}

/// `in.gguf`, quantized to `out.gguf`, and `text.txt`.
fn quantized(flags: &str) -> Folder {
    let folder = Folder::with_tiny();
    folder.write("text.txt", text().as_bytes());
    folder.run(&format!("--effort fast {flags} in.gguf out.gguf")).success();
    folder
}

#[test]
fn a_standard_run_tells_what_was_lost() {
    let folder = Folder::with_tiny();
    folder.write("text.txt", text().as_bytes());
    let flags = format!("{LITTLE} --bpw 5 --eval-text text.txt --report r.json");
    let run = folder.run(&format!("{flags} in.gguf out.gguf")).success();
    let has = predicate::str::contains;
    run.stdout(
        has("degradation ")
            .and(has("% by KLD on the model's own text"))
            .and(has("KLD 0.0"))
            .and(has("same top token"))
            .and(has("% by perplexities on text.txt"))
            .and(has("perplexity")),
    );
    let report = json(&folder.read("r.json"));
    let evaluations = report["evaluations"].as_array().unwrap();
    assert_eq!(evaluations.len(), 2, "{report}");
    assert_eq!(evaluations[1]["text"], "text.txt");
    let kld = evaluations[0]["mean_kld"].as_f64().unwrap();
    assert!((1e-4..0.5).contains(&kld), "{kld}");
    assert_eq!(report["metrics"]["mean_kld"].as_f64().unwrap(), kld);
    let degradation = report["metrics"]["degradation"].as_f64().unwrap();
    assert!((degradation - (1.0 - (-kld).exp())).abs() < 1e-12);
    assert!(report["diversity"]["entropy"].as_f64().unwrap() > 0.0);
    assert!(report["unmeasured"].is_null() && report["missed"].is_null());
}

#[test]
fn importance_lowers_the_loss() {
    let folder = quantized("--formats Q4_0");
    let recipe = "--batches 1 --batch-size 16 --seq-len 128";
    folder.run(&format!("--formats Q4_0 {recipe} in.gguf weighted.gguf")).success();
    let kld = |quantized: &str| {
        let eval = format!("eval --context 128 --chunks 16 --seed 5 --json in.gguf {quantized}");
        let run = folder.run(&eval);
        json(&run.success().get_output().stdout)["mean_kld"].as_f64().unwrap()
    };
    let (plain, weighted) = (kld("out.gguf"), kld("weighted.gguf"));
    println!("Q4_0: KLD {plain:.4} without importance, {weighted:.4} with it");
    assert!(weighted < 0.99 * plain, "{weighted} for {plain}");
}

#[test]
#[ignore = "takes longer than ten seconds"]
fn the_bytes_and_figures_of_a_standard_run_do_not_depend_on_threads() {
    let folder = Folder::with_tiny();
    let mut figures = Vec::new();
    for threads in [1, 2, 3] {
        let name = format!("{threads}.gguf");
        let flags = format!("{LITTLE} --bpw 5 --threads {threads} --report r.json");
        folder.run(&format!("{flags} in.gguf {name}")).success();
        assert!(folder.read(&name) == folder.read("1.gguf"), "{threads} threads");
        let report = json(&folder.read("r.json"));
        figures.push((report["evaluations"].clone(), report["figures"]["alignment"].clone()));
        assert_eq!(figures[0], figures[threads - 1], "{threads} threads");
    }
}

#[test]
fn a_missed_target_keeps_the_model_under_another_name() {
    let folder = Folder::with_tiny();
    let flags = format!("{LITTLE} --bits 4:4 --accuracy 0.0001 --report r.json");
    let run = folder.run(&format!("{flags} in.gguf out.gguf")).code(3);
    let has = predicate::str::contains;
    run.stderr(
        has("--accuracy 0.0001")
            .and(has("--bits 4:4 allows no more bits"))
            .and(has("out.gguf.below-target")),
    );
    assert_eq!(folder.names(), ["in.gguf", "out.gguf.below-target", "r.json"]);
    let report = json(&folder.read("r.json"));
    assert_eq!(report["output"], "out.gguf.below-target");
    assert!(report["missed"].as_str().unwrap().contains("--accuracy"));
    // Who asks for a size, and for no accuracy, gets the best model of that size.
    folder.run(&format!("{LITTLE} --bpw 4.5 in.gguf out.gguf")).success();
}

#[test]
fn models_that_cannot_be_run_are_quantized_by_their_weights() {
    let unmeasured = |model: &Model, reason: &str| {
        let folder = Folder::with(model);
        let run = folder.run("--report r.json in.gguf out.gguf").success();
        let has = predicate::str::contains;
        let warning = "warning: formats are chosen by the weights alone, and what was lost is not \
                       measured: ";
        run.stdout(has("degradation  not measured: ").and(has(reason)))
            .stderr(has(warning).and(has(reason)));
        assert!(json(&folder.read("r.json"))["unmeasured"].as_str().unwrap().contains(reason));
        let run = folder.run("--quiet in.gguf quiet.gguf").success();
        run.stdout(predicate::str::is_empty()).stderr(has(warning).and(has(reason)));
    };
    let model = Model::llama(256, Format::F16);
    unmeasured(&model.clone().key("general.architecture", Value::string("mamba")), "mamba");
    unmeasured(&model.without("llama.block"), "llama.block_count");
    // All there but the tokenizer.
    let folder = Folder::with_tiny();
    let bare = Model::of(&folder.open("in.gguf")).without("tokenizer.");
    folder.write("bare.gguf", &bare.bytes());
    let run = folder.run("bare.gguf out.gguf").success();
    run.stdout(
        predicate::str::contains("not measured: ").and(predicate::str::contains("tokenizer")),
    );
    folder.run("eval in.gguf bare.gguf --text in.gguf --chunks 1").success();
    folder.refused_with("eval bare.gguf in.gguf", "bare.gguf: ");
}

#[test]
fn an_accuracy_that_was_asked_for_and_cannot_be_measured_is_missed() {
    let folder = Folder::with(&Model::llama(256, Format::F16).without("llama.block"));
    let has = predicate::str::contains;
    let missed = |flags: &str, reason: &'static str| {
        let run = folder.run(&format!("{flags} --report r.json in.gguf out.gguf")).code(3);
        let told = "target missed: --accuracy 0.1: it could not be measured: ";
        run.stderr(has(told).and(has(reason)).and(has("as out.gguf.below-target")));
        let report = json(&folder.read("r.json"));
        assert!(report["missed"].as_str().unwrap().contains(reason));
        assert!(report["unmeasured"].as_str().unwrap().contains(reason));
    };
    missed("--quiet --accuracy 0.1 --dry-run", "llama.block_count");
    assert_eq!(folder.names(), ["in.gguf", "r.json"]);
    missed("--quiet --accuracy 0.1", "llama.block_count");
    assert_eq!(folder.names(), ["in.gguf", "out.gguf.below-target", "r.json"]);
    missed("--accuracy 0.1 --force", "llama.block_count");
    missed("--accuracy 0.1 --formats Q8_0 --force", "llama.block_count");
    missed("--accuracy 0.1 --effort fast --force", "--effort fast looks at weights only");
    // What nobody asked for is no target.
    folder.run("in.gguf out.gguf").success();
    folder.run("--effort fast in.gguf fast.gguf").success();
    // Nothing is measured of what is not written; it is no fault of the model.
    let tiny = Folder::with_tiny();
    let flags = format!("{LITTLE} --strategy fixed --accuracy 0.9");
    tiny.run(&format!("--dry-run {flags} in.gguf out.gguf")).success();
    tiny.run(&format!("{flags} in.gguf out.gguf")).success();
}

#[test]
fn evaluation_texts_are_looked_at_before_the_work() {
    let folder = Folder::with_tiny();
    folder.write("short.txt", b"Too short.");
    folder.refused_with("--eval-text no.txt in.gguf out.gguf", "no.txt: cannot read the text");
    folder.refused_with("--eval-text short.txt in.gguf out.gguf", "512 are needed");
    folder
        .refused_with("--effort fast --eval-text short.txt in.gguf out.gguf", "--effort standard");
}

#[test]
fn no_text_goes_beyond_the_models_context() {
    let folder = quantized("");
    let beyond = "in.gguf has a context of 512 tokens; ask for at most that many";
    folder.refused_with("--seq-len 513 in.gguf more.gguf", &format!("--seq-len 513: {beyond}"));
    let eval = "eval in.gguf out.gguf --context 513";
    folder.refused_with(eval, &format!("--context 513: {beyond}"));
    folder.refused_with(&format!("{eval} --text text.txt"), &format!("--context 513: {beyond}"));
    // What is not asked for fits the model.
    let number = |tokens: u32| [&[4, 0, 0, 0], &tokens.to_le_bytes()[..]].concat();
    let key = |tokens| [b"llama.context_length", &number(tokens)[..]].concat();
    let with_context = |tokens| replaced(&folder.read("in.gguf"), &key(512), &key(tokens));
    folder.write("short.gguf", &with_context(48));
    let few = "--batches 1 --batch-size 2 --report r.json --eval-text text.txt";
    folder.run(&format!("{few} short.gguf short-out.gguf")).success();
    let report = json(&folder.read("r.json"));
    let contexts = [0, 1].map(|i| report["evaluations"][i]["context"].clone());
    assert_eq!(contexts, [48, 48]);
    folder.run("eval short.gguf out.gguf --chunks 2").success();
    for tokens in [0, 1, 15] {
        folder.write("none.gguf", &with_context(tokens));
        let run = folder.run("--force none.gguf none-out.gguf").success();
        let reason = format!("not measured: its context of {tokens} tokens is too short");
        run.stdout(predicate::str::contains(reason));
    }
    folder.write("none.gguf", &with_context(0));
    folder.refused_with("eval none.gguf out.gguf", "a context of 0 tokens scores nothing");
}

#[test]
fn text_of_little_variety_is_warned_of() {
    let folder = Folder::with_tiny();
    let file = folder.read("in.gguf");
    let norm = {
        let gguf = folder.open("in.gguf");
        let norm = gguf.tensors().iter().find(|tensor| tensor.name == "output_norm.weight");
        gguf.data(norm.unwrap()).to_vec()
    };
    // Logits a thousand times as large: the likeliest token always comes.
    let louder = |bytes: &[u8; 4]| (1000.0 * f32::from_le_bytes(*bytes)).to_le_bytes();
    let louder: Vec<u8> = norm.as_chunks().0.iter().flat_map(louder).collect();
    folder.write("sure.gguf", &replaced(&file, &norm, &louder));
    let run = folder.run(&format!("{LITTLE} --bpw 6 --report r.json sure.gguf out.gguf")).success();
    let warning = "the text that the model wrote has little variety: the mean entropy";
    run.stderr(predicate::str::contains(format!("warning: {warning}")));
    let report = json(&folder.read("r.json"));
    assert!(report["warnings"][0].as_str().unwrap().starts_with(warning), "{report}");
}

/// `file` with `old`, which stands in it once, replaced by `new` of the same length.
fn replaced(file: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let at = file.windows(old.len()).position(|bytes| bytes == old).unwrap();
    [&file[..at], new, &file[at + new.len()..]].concat()
}

#[test]
fn eval_prints_llama_perplexitys_table() {
    let folder = quantized("--bpw 5");
    let has = predicate::str::contains;
    let run =
        folder.run("eval in.gguf out.gguf --text text.txt --context 128 --chunks 3").success();
    run.stdout(
        has("text.txt: 3 chunks of 128 tokens, 189 positions scored")
            .and(has("activations rounded"))
            .and(has("Mean PPL(Q)"))
            .and(has("Mean    KLD:"))
            .and(has("99.9%   KLD:"))
            .and(has("RMS Δp"))
            .and(has("Same top p:")),
    );
    let run = |flags: &str| {
        let run =
            folder.run(&format!("eval in.gguf out.gguf --context 64 --chunks 4 --json {flags}"));
        json(&run.success().get_output().stdout)
    };
    let own = run("");
    assert_eq!((&own["text"], &own["chunks"]), (&Json::Null, &Json::from(4)));
    assert_eq!(own, run("--threads 1"), "one thread");
    assert_ne!(own["mean_kld"], run("--seed 1")["mean_kld"]);
    let float = run("--activations float");
    assert_eq!(float["activations"], "float");
    assert!(float["mean_kld"].as_f64().unwrap() < own["mean_kld"].as_f64().unwrap());
    let same = folder.run("eval in.gguf in.gguf --context 64 --chunks 2 --json").success();
    assert_eq!(json(&same.get_output().stdout)["mean_kld"], 0.0);
}

#[test]
fn eval_keeps_predictions() {
    let folder = quantized("");
    let eval = "eval in.gguf out.gguf --text text.txt --context 64 --chunks 2 --write-logits base";
    folder.run(eval).success();
    let base = folder.read("base");
    assert!(base.starts_with(b"_logits_"));
    let vocabulary = 2048;
    assert_eq!(base.len(), 20 + 4 * 128 + 2 * 31 * (8 + 2 * vocabulary));
    folder.refused_with(eval, "base: it exists already");
    folder.run(&format!("{eval} --force")).success();
    assert!(folder.read("base") == base);
}

#[test]
fn eval_refuses_what_cannot_be_compared() {
    let folder = quantized("");
    folder.write("short.txt", b"Too short.");
    folder.refused_with("eval in.gguf out.gguf --text short.txt", "short.txt: the text has ");
    folder.refused_with("eval in.gguf out.gguf --text no.txt", "no.txt: cannot read the text");
    folder.refused_with("eval in.gguf no.gguf", "no.gguf");
    folder.refused_with("eval in.gguf text.txt", "text.txt");
    folder.refused_with("eval in.gguf out.gguf --chunks 0", "--chunks 0");
    folder.refused_with("eval in.gguf out.gguf --context 2", "--context 2");
    folder.refused_with("eval in.gguf out.gguf --threads 0", "--threads 0");
    folder.refused_with(
        "eval in.gguf out.gguf --write-logits no/base",
        "no: there is no such folder",
    );
    let other = Model::llama(256, Format::F16);
    fs::write(folder.path("other.gguf"), Folder::with(&other).read("in.gguf")).unwrap();
    folder.refused_with("eval in.gguf other.gguf", "other.gguf: ");
}
