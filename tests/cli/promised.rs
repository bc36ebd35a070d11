//! The figures that the specification promises, in the summary and in the report.

use predicates::prelude::*;
use serde_json::Value as Json;

use crate::folder::Folder;

/// As little text as can be calibrated and measured on.
const LITTLE: &str = "--batches 1 --batch-size 4 --seq-len 64 --bpw 5";

#[track_caller]
fn figures(folder: &Folder) -> Json {
    let report: Json = serde_json::from_slice(&folder.read("r.json")).unwrap();
    report["figures"].clone()
}

#[track_caller]
fn number(json: &Json) -> f64 {
    json.as_f64().unwrap_or_else(|| panic!("{json} is no number"))
}

#[test]
fn a_standard_run_tells_all_of_them() {
    let folder = Folder::with_tiny();
    let mut run = folder.program(&format!("{LITTLE} --memory 1 --report r.json in.gguf out.gguf"));
    let run = run.env("PATH", folder.root()).output().unwrap();
    assert!(run.status.success(), "{run:?}");
    let summary = String::from_utf8(run.stdout).unwrap();
    for line in [
        "speed-up ",
        "(estimated)",
        "against Q4_0 ",
        "utilisation ",
        "hardware ",
        "GFLOP/s",
        "alignment ",
    ] {
        assert!(summary.contains(line), "{line}: {summary}");
    }
    let figures = figures(&folder);
    assert_eq!(figures["left_out"], Json::Array(vec![]));
    let speed = &figures["speed_up"];
    assert_eq!(speed["source"]["source"], "estimated");
    assert!(speed["source"]["because"].as_str().unwrap().contains("--llama-bench"));
    for phase in ["generation", "prompt"] {
        let [from, to] = ["input", "output"].map(|of| number(&speed[of][phase]));
        assert!(from > 0.0 && (number(&speed["ratio"][phase]) - to / from).abs() < 1e-12);
        let used = &figures["hardware"][phase];
        let ceilings = &figures["hardware"]["ceilings"];
        let of_bandwidth =
            number(&used["bytes_per_second"]) / number(&ceilings["bytes_per_second"]);
        assert!((number(&used["of_bandwidth"]) - of_bandwidth).abs() < 1e-12);
        assert!(number(&used["of_flops"]) > 0.0);
    }
    let memory = &figures["memory"];
    let parts = ["weights", "kv_cache", "compute"].map(|part| number(&memory[part]));
    let needed: f64 = parts.iter().sum();
    assert_eq!(number(&memory["needed"]), needed);
    assert!((number(&memory["utilisation"]) - needed / 1e9).abs() < 1e-12);
    let layers = figures["alignment"]["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 4);
    for layer in layers {
        assert!((0.9..1.0).contains(&number(&layer["cosine"])), "{layer}");
        assert!((0.0..0.1).contains(&number(&layer["jensen_shannon"])), "{layer}");
        assert!(number(&layer["error"]) > 0.0 && number(&layer["mean_drift"]).abs() < 1.0);
        assert!(number(&layer["deviation_drift"]).abs() < 0.5, "{layer}");
    }
    let worst = figures["alignment"]["worst"].as_array().unwrap();
    assert_eq!(worst.len(), 3);
    assert!(worst[0]["jensen_shannon"].as_f64() >= worst[1]["jensen_shannon"].as_f64());
    assert_eq!(worst[0]["largest"]["of_outputs"], true);
    let formats = worst[0]["formats"].as_object().unwrap();
    let encoded: u64 = formats.values().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(encoded, 7);
}

#[test]
fn what_was_not_looked_at_is_told_with_the_reason() {
    let folder = Folder::with_tiny();
    let reasons = |flags: &str| {
        folder.run(&format!("{flags} --report r.json --force in.gguf out.gguf")).success();
        let figures = figures(&folder);
        let left_out = figures["left_out"].as_array().unwrap().clone();
        let of = |of: &Json, key: &str| of[key].as_str().unwrap().to_string();
        left_out.iter().map(|it| (of(it, "figure"), of(it, "reason"))).collect::<Vec<_>>()
    };
    let fast = reasons("--effort fast");
    let keys: Vec<&str> = fast.iter().map(|(figure, _)| figure.as_str()).collect();
    assert_eq!(keys, ["speed_up", "hardware", "alignment"]);
    assert!(fast[0].1.contains("--llama-bench"), "{fast:?}");
    assert!(fast[2].1.contains("--effort fast looks at weights only"), "{fast:?}");
    let dry = reasons(&format!("{LITTLE} --dry-run"));
    assert!(dry.len() == 3 && dry.iter().all(|(_, it)| it == "nothing was written"), "{dry:?}");
}

#[cfg(unix)]
mod by_llama_bench {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A folder with the model and a program of this name, a shell script.
    fn with(name: &str, script: &str) -> Folder {
        let folder = Folder::with_tiny();
        let path = folder.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\n{script}")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        folder
    }

    /// Says what llama-bench says: of the input 100 and 1000 tokens a second, of others 250 and 1500.
    const SOUND: &str = r#"
case "$*" in *in.gguf*) g=100; p=1000;; *) g=250; p=1500;; esac
echo "$*" >> $(dirname $0)/asked.txt
echo "[{\"backends\": \"CPU\", \"n_prompt\": 512, \"n_gen\": 0, \"avg_ts\": $p},"
echo " {\"backends\": \"CPU\", \"n_prompt\": 0, \"n_gen\": 32, \"avg_ts\": $g}]"
"#;

    #[test]
    fn one_that_is_named_measures_even_at_the_least_effort() {
        let folder = with("bench", SOUND);
        let flags = "--effort fast --threads 2 --llama-bench ./bench --report r.json";
        let has = predicate::str::contains;
        folder.run(&format!("{flags} in.gguf out.gguf")).success().stdout(
            has("2.50x in generation, 1.50x in prompts (measured by llama-bench, 3 runs within 0 %):")
                .and(has("100 -> 250 and 1000 -> 1500 tokens/s")),
        );
        let speed = figures(&folder)["speed_up"].clone();
        assert_eq!(speed["source"]["source"], "measured");
        assert_eq!((&speed["source"]["rounds"], &speed["on_target"]), (&3.into(), &true.into()));
        assert_eq!(number(&speed["ratio"]["generation"]), 2.5);
        let asked = String::from_utf8(folder.read("asked.txt")).unwrap();
        let asked: Vec<&str> = asked.lines().collect();
        assert_eq!(asked.len(), 6, "in turn: {asked:?}");
        assert!(asked.iter().step_by(2).all(|line| line.starts_with("-m in.gguf -p 512 -n 64")));
        assert!(asked[1].contains("-t 2 ") && asked[1].ends_with("-ngl 0 -o json"), "{asked:?}");
    }

    #[test]
    fn the_one_on_the_path_is_found_and_a_gpu_target_is_told_from_this_machine() {
        let folder = with("bin/llama-bench", SOUND);
        let flags = format!("{LITTLE} --hardware gpu --report r.json in.gguf out.gguf");
        let path = format!("{}:/usr/bin:/bin", folder.path("bin").display());
        let run = folder.program(&flags).env("PATH", path).output().unwrap();
        assert!(run.status.success(), "{run:?}");
        let summary = String::from_utf8(run.stdout).unwrap();
        assert!(summary.contains("on this machine, which is not the target"), "{summary}");
        let speed = figures(&folder)["speed_up"].clone();
        assert_eq!(
            (&speed["on_target"], number(&speed["output"]["prompt"])),
            (&false.into(), 1500.0)
        );
    }

    #[test]
    fn one_that_fails_costs_a_warning_and_the_speed_is_estimated() {
        for (script, said) in [
            ("echo 'cannot load the model' >&2; exit 3", "cannot load the model"),
            ("echo not json", "its output is not that of llama-bench"),
            ("kill -9 $$", "failed on"),
        ] {
            let folder = with("bench", script);
            let flags = "--effort fast --llama-bench ./bench --report r.json in.gguf out.gguf";
            folder.run(flags).success().stderr(
                predicate::str::contains("warning: speed is estimated: ./bench: ")
                    .and(predicate::str::contains(said)),
            );
            let source = figures(&folder)["speed_up"]["source"].clone();
            assert_eq!(source["because"], "llama-bench failed");
            assert!(folder.open("out.gguf").tensors().len() > 30);
        }
    }
}
