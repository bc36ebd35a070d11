//! Runs at `--effort thorough`: what was quantized is trained.

use std::fs;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use opencog_qat::gguf::{Format, TensorInfo, TensorSpec, Writer};
use predicates::prelude::*;
use serde_json::Value as Json;

use crate::folder::Folder;

/// Little text, and few formats.
const LITTLE: &str = "--batches 1 --batch-size 8 --seq-len 64 --formats Q4_0,Q8_0 --bpw 5";

/// Quantizes `in.gguf` to `out.gguf` and returns the report.
#[track_caller]
fn quantized(folder: &Folder, flags: &str) -> Json {
    folder.run(&format!("{flags} --force --report r.json in.gguf out.gguf")).success();
    serde_json::from_slice(&folder.read("r.json")).unwrap()
}

fn kld(report: &Json) -> f64 {
    report["metrics"]["mean_kld"].as_f64().unwrap()
}

#[test]
#[ignore = "takes longer than ten seconds"]
fn training_lowers_the_loss_at_the_same_size_and_the_summary_says_so() {
    let folder = Folder::with_tiny();
    let flags = "--batches 2 --batch-size 16 --seq-len 128 --formats Q4_0";
    let standard = quantized(&folder, flags);
    let thorough = format!("--effort thorough {flags} --force --report r.json in.gguf out.gguf");
    let summary = predicate::str::contains("  training     KLD 0.")
        .and(predicate::str::contains("error of 4 layers"));
    folder.run(&thorough).success().stdout(summary);
    let thorough: Json = serde_json::from_slice(&folder.read("r.json")).unwrap();
    let sizes = [&standard, &thorough].map(|report| report["metrics"]["tensor_bytes"].clone());
    assert_eq!(sizes[0], sizes[1]);
    let (before, after) = (kld(&standard), kld(&thorough));
    println!("Q4_0: KLD {before:.5} at standard effort, {after:.5} at thorough effort");
    // Little text, little gain: how much more gives is in BENCHMARKS.md.
    assert!(after < before, "{after} for {before}");
    let round = &thorough["search"]["trained"][0];
    let layers = round["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 4, "{round}");
    for (i, layer) in layers.iter().enumerate() {
        assert_eq!((&layer["layer"], &layer["steps"]), (&Json::from(i), &Json::from(4 * 10)));
        assert!(layer["after"].as_f64() < layer["before"].as_f64(), "{layer}");
    }
    let steps = thorough["search"]["steps"].as_array().unwrap();
    let step = steps.last().unwrap();
    assert_eq!((&step["kind"], &step["kept"]), (&Json::from("train"), &Json::from(true)));
    assert_eq!(step["measured_kld"], thorough["search"]["measured_kld"]);
    // What decided is what is in the file.
    let decided = thorough["search"]["measured_kld"].as_f64().unwrap();
    assert!((decided - after).abs() < 1e-9, "{decided} and {after}");
    // Norms have learnt too, and are what they were in the file.
    let (input, output) = (folder.open("in.gguf"), folder.open("out.gguf"));
    let norm = |gguf: &opencog_qat::gguf::Gguf| {
        let norm = gguf.tensor("blk.0.ffn_norm.weight").unwrap();
        (norm.format, gguf.data(norm).to_vec())
    };
    assert_eq!(norm(&output).0, Format::F32);
    assert_ne!(norm(&output).1, norm(&input).1);
    let flags = output.metadata().get("opencog_qat.flags").and_then(|flags| flags.as_str());
    assert!(flags.unwrap().contains("--effort thorough --batches 2 --batch-size 16"));
}

#[test]
#[ignore = "takes longer than ten seconds"]
fn the_allowed_degradation_is_held_in_no_more_bytes() {
    let folder = Folder::with_tiny();
    let flags = "--batches 1 --seq-len 64 --formats Q4_0,IQ4_NL,Q5_1,Q8_0 --accuracy 0.03";
    let standard = quantized(&folder, flags);
    let thorough = quantized(&folder, &format!("--effort thorough {flags}"));
    let bytes = |report: &Json| report["metrics"]["output_bytes"].as_u64().unwrap();
    let (before, after) = (bytes(&standard), bytes(&thorough));
    println!("3 %: {before} bytes at standard effort, {after} at thorough effort");
    println!("{:#}", thorough["search"]["trained"]);
    assert!(after <= before, "{after} for {before}");
    for report in [standard, thorough] {
        assert!(report["metrics"]["degradation"].as_f64().unwrap() <= 0.03);
        assert!(report["search"]["bound_by"].is_null());
    }
}

/// Starts a run to `out.gguf`, and kills it so long after it has kept an entry of this name.
#[track_caller]
fn kill_once_kept(folder: &Folder, flags: &str, entry: &str, later: Duration) {
    let mut run = folder.program(&format!("--quiet {flags}"));
    let mut run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let kept = folder.path("out.gguf.work").join(format!("{entry}.kept"));
    let start = Instant::now();
    while !kept.exists() {
        assert!(start.elapsed() < Duration::from_secs(120), "{entry} never came");
        assert!(run.try_wait().unwrap().is_none(), "it was too fast");
        sleep(Duration::from_millis(1));
    }
    sleep(later);
    run.kill().unwrap();
    run.wait().unwrap();
}

/// What a run to `out.gguf` kept under this name.
fn kept(folder: &Folder, name: &str) -> Json {
    let entry = folder.read(&format!("out.gguf.work/{name}.kept"));
    // A hash follows.
    serde_json::from_slice(&entry[..entry.len() - 32]).unwrap()
}

#[test]
fn bytes_depend_neither_on_threads_nor_on_being_killed() {
    let folder = Folder::with_tiny();
    let flags = format!("--effort thorough {LITTLE} in.gguf");
    folder.run(&format!("--quiet --threads 1 {flags} undisturbed.gguf")).success();
    for layer in 0..3 {
        // Between two layers, and within the next.
        let later = Duration::from_millis(20 * layer);
        let entry = format!("trained-0-{layer}-layer");
        kill_once_kept(&folder, &format!("--threads 2 {flags} out.gguf"), &entry, later);
    }
    folder.run(&format!("--threads 2 {flags} out.gguf")).success();
    assert!(folder.read("out.gguf") == folder.read("undisturbed.gguf"));
    assert!(!folder.path("out.gguf.work").exists());
}

#[test]
#[ignore = "takes longer than ten seconds"]
fn a_second_round_goes_on_too() {
    let folder = Folder::with_tiny();
    // From so little text layers learn next to nothing, so that the first round is far off.
    let text = "--batches 1 --seq-len 32 --formats Q4_0,IQ4_NL,Q5_1,Q8_0";
    let flags = format!("--effort thorough --accuracy 0.01 {text} --report r.json in.gguf");
    folder.run(&format!("{flags} undisturbed.gguf")).success();
    let report: Json = serde_json::from_slice(&folder.read("r.json")).unwrap();
    assert_eq!(report["search"]["trained"].as_array().unwrap().len(), 2, "there are two rounds");
    kill_once_kept(&folder, &format!("{flags} out.gguf"), "trained-1-1-layer", Duration::ZERO);
    folder.run(&format!("{flags} out.gguf")).success();
    assert!(folder.read("out.gguf") == folder.read("undisturbed.gguf"));
}

/// `in.gguf` with its norms in 16 bits, as some files have them.
fn with_f16_norms(folder: &Folder) {
    let gguf = folder.open("in.gguf");
    let is_norm = |tensor: &TensorInfo| tensor.format == Format::F32;
    let spec = |tensor: &TensorInfo| match is_norm(tensor) {
        true => TensorSpec { format: Format::F16, ..tensor.spec() },
        false => tensor.spec(),
    };
    let specs: Vec<TensorSpec> = gguf.tensors().iter().map(spec).collect();
    let name = folder.path("norms.gguf");
    let mut writer = Writer::new(Vec::new(), &name, gguf.metadata(), &specs).unwrap();
    for tensor in gguf.tensors() {
        let data = gguf.data(tensor);
        let float = |bytes: &[u8; 4]| half::f16::from_f32(f32::from_le_bytes(*bytes)).to_le_bytes();
        let halved: Vec<u8> = data.as_chunks().0.iter().flat_map(float).collect();
        writer.tensor_bytes(if is_norm(tensor) { &halved } else { data }).unwrap();
    }
    fs::write(name, writer.finish().unwrap()).unwrap();
}

#[test]
fn norms_that_the_file_does_not_hold_in_32_bits_stay_what_they_were() {
    let folder = Folder::with_tiny();
    with_f16_norms(&folder);
    let flags = format!("--effort thorough {LITTLE} --train-tokens 2000 --report r.json");
    folder.run(&format!("{flags} norms.gguf out.gguf")).success();
    let report: Json = serde_json::from_slice(&folder.read("r.json")).unwrap();
    let layer = &report["search"]["trained"][0]["layers"][0];
    assert!(layer["after"].as_f64() < layer["before"].as_f64(), "{layer}");
    let (input, output) = (folder.open("norms.gguf"), folder.open("out.gguf"));
    for tensor in input.tensors().iter().filter(|tensor| tensor.name.contains("norm")) {
        let now = output.tensor(&tensor.name).unwrap();
        assert_eq!(now.format, Format::F16);
        assert!(output.data(now) == input.data(tensor), "{}", tensor.name);
    }
    let decided = report["search"]["measured_kld"].as_f64().unwrap();
    assert!((decided - kld(&report)).abs() < 1e-9, "what decided is what is in the file");
}

#[test]
fn all_layers_are_trained_together_where_that_is_asked_for() {
    let folder = Folder::with_tiny();
    let report = quantized(&folder, &format!("--effort thorough --train-tokens 3000 {LITTLE}"));
    let search = &report["search"];
    let round = &search["trained"][0];
    let checks = round["end_to_end"].as_array().unwrap();
    println!("{checks:#?}");
    assert_eq!(checks[0]["tokens"], 0);
    assert!((3000..3500).contains(&checks.last().unwrap()["tokens"].as_u64().unwrap()));
    assert!(checks.iter().all(|check| (0.0..0.1).contains(&check["kld"].as_f64().unwrap())));
    assert_eq!(checks.len(), 5, "before, and four times on the way");
    let decided = search["measured_kld"].as_f64().unwrap();
    assert!((decided - kld(&report)).abs() < 1e-9, "what decided is what is in the file");
    let flags = format!("--train-tokens 100 {LITTLE} --force in.gguf out.gguf");
    folder.refused_with(&flags, "--train-tokens 100: is what training takes");
}

#[test]
fn time_limits_training() {
    let folder = Folder::with_tiny();
    let report = quantized(&folder, &format!("--effort thorough --time 1ms {LITTLE}"));
    let round = &report["search"]["trained"][0];
    assert_eq!(round["layers"], Json::Array(vec![]));
    assert_eq!(round["layers_left"], 4);
    assert_eq!(round["trained_kld"], round["untrained_kld"]);
    let flags = format!("--time 1h {LITTLE}");
    folder
        .refused_with(&format!("{flags} in.gguf new.gguf"), "--time 1h: is what training may take");
    let flags = format!("--effort thorough --strategy fixed {LITTLE}");
    folder.refused_with(&format!("{flags} in.gguf new.gguf"), "--strategy fixed: ");
}

#[test]
fn a_run_with_a_time_limit_goes_on_and_counts_what_was_used() {
    let folder = Folder::with_tiny();
    let flags = format!("--effort thorough --time 1h {LITTLE} --report r.json in.gguf out.gguf");
    kill_once_kept(&folder, &flags, "trained-0-1-layer", Duration::ZERO);
    let before = fs::read_to_string(folder.path("out.gguf.work/manifest")).unwrap();
    assert!(before.contains("--time 1h "), "{before}");
    let seconds = |layer: usize| {
        let kept = kept(&folder, &format!("trained-0-{layer}-layer"));
        let number = |value: &Json| value.as_f64().unwrap();
        let (time, steps) = (&kept["time"], &kept["block"]["steps"]);
        number(&time["around"]) + number(&time["step"]) * number(steps)
    };
    let used = seconds(0) + seconds(1);
    folder.run(&flags).success();
    let report: Json = serde_json::from_slice(&folder.read("r.json")).unwrap();
    let round = &report["search"]["trained"][0];
    let all = round["seconds"].as_f64().unwrap();
    assert!(all > used, "{all} s, of them {used} before");
    let steps = |layer: &Json| layer["steps"].as_u64().unwrap();
    let steps: Vec<u64> = round["layers"].as_array().unwrap().iter().map(steps).collect();
    assert_eq!(steps, [steps[0]; 4], "an hour is enough");
}

#[test]
fn what_time_is_enough_for_end_to_end_is_kept() {
    let folder = Folder::with_tiny();
    let flags = format!("--effort thorough --train-tokens 3000 --time 1h {LITTLE}");
    let flags = format!("{flags} --report r.json in.gguf out.gguf");
    kill_once_kept(&folder, &flags, "end-to-end-0-1", Duration::ZERO);
    assert_eq!(kept(&folder, "end-to-end-0-tokens"), 3000, "an hour is enough for all");
    let check = kept(&folder, "end-to-end-0-1");
    folder.run(&flags).success();
    let report: Json = serde_json::from_slice(&folder.read("r.json")).unwrap();
    let round = &report["search"]["trained"][0];
    assert_eq!(round["end_to_end"][1], check["check"], "it went on from there");
    assert!(round["seconds"].as_f64() > check["seconds"].as_f64());
}
