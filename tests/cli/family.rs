//! Several sizes at once.

use predicates::prelude::*;
use serde_json::Value as Json;

use crate::folder::Folder;

const LITTLE: &str = "--batches 1 --batch-size 4 --seq-len 64";

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

#[test]
fn each_size_has_a_file_and_all_have_a_table() {
    let folder = Folder::with_tiny();
    let has = |text: &str| predicate::str::contains(text.to_string());
    let flags = format!("{LITTLE} --formats Q4_0,Q5_0,Q8_0");
    let command = format!("family --sizes 6bpw,2.3MB,4.6bpw {flags} in.gguf out");
    let told = has("in.gguf -> out\n").and(has("  in-2.3MB.gguf   2.30 MB ")).and(has("KLD"));
    folder.run(&command).success().stdout(told);
    // Nothing is left beside it.
    assert_eq!(sorted(folder.names()), ["in.gguf", "out"]);
    let bytes = |file: &str| folder.open(&format!("out/{file}")).file_bytes();
    assert!(bytes("in-2.3MB.gguf") <= 2_300_000);
    assert!(bytes("in-4.6bpw.gguf") < bytes("in-2.3MB.gguf"));
    assert!(bytes("in-2.3MB.gguf") < bytes("in-6bpw.gguf"));

    let json: Json = serde_json::from_slice(&folder.read("out/family.json")).unwrap();
    let members = json["members"].as_array().unwrap();
    let kld = |member: &Json| member["metrics"]["mean_kld"].as_f64().unwrap();
    let klds: Vec<f64> = members.iter().map(kld).collect();
    assert!(klds[0] < klds[1] && klds[1] < klds[2], "in the order asked for: {klds:?}");
    assert!(members[0]["output"].as_str().unwrap().ends_with("out/in-6bpw.gguf"));
    assert!(members[2]["flags"].as_str().unwrap().contains(" --bpw 4.6 "));
    assert_eq!(members[1]["output_sha256"].as_str().unwrap().len(), 64);
    for file in ["out/README.md", "out/family.html"] {
        let text = String::from_utf8(folder.read(file)).unwrap();
        for size in ["6bpw", "2.3MB", "4.6bpw"] {
            assert!(text.contains(&format!("in-{size}.gguf")), "no {size} in {file}");
        }
    }
    // Each is measured as `eval` measures it: they are the files that are told of.
    let eval = "eval --json --context 64 --chunks 2 in.gguf out/in-6bpw.gguf";
    folder.run(eval).success().stdout(has("\"mean_kld\""));

    // It is made once; what is there is kept.
    folder.refused_with(&command, "out: it exists already");
    folder.run(&format!("{command} --force --quiet")).success().stdout("");
    folder.write("out/photo.jpg", b"");
    folder.refused_with(&format!("{command} --force"), "out: it holds `photo.jpg`");
}

#[test]
fn an_evaluation_text_has_columns_and_the_command_is_told() {
    let folder = Folder::with_tiny();
    folder.write("my text.txt", "Once upon a time there was a cat. ".repeat(60).as_bytes());
    let flags =
        "family --sizes 5bpw --formats Q4_0,Q5_0,Q8_0 --batches 1 --batch-size 4 --seq-len 64";
    let mut args: Vec<&str> = flags.split_whitespace().collect();
    args.extend(["--eval-text", "my text.txt", "in.gguf", "out"]);
    let columns = predicate::str::contains("KLD on the evaluation text  its perplexity");
    folder.run_with(&args).success().stdout(columns);
    let json: Json = serde_json::from_slice(&folder.read("out/family.json")).unwrap();
    let of_text = &json["members"][0]["evaluations"][1];
    assert_eq!(of_text["text"], "my text.txt");
    let perplexity = format!("{:.3}", of_text["ppl"].as_f64().unwrap());
    let base = format!("{:.3}", of_text["ppl_base"].as_f64().unwrap());
    let kld = format!("{:.5} ± ", of_text["mean_kld"].as_f64().unwrap());
    let command = json["command"].as_str().unwrap();
    assert!(command.starts_with("opencog-qat family --sizes 5bpw --hardware cpu "), "{command}");
    assert!(command.ends_with(" --eval-text 'my text.txt' in.gguf out"), "{command}");
    let card = String::from_utf8(folder.read("out/README.md")).unwrap();
    assert!(card.contains(&format!("```sh\n{command}\n```")), "{card}");
    let page = String::from_utf8(folder.read("out/family.html")).unwrap();
    for told in [card, page] {
        for figure in [&kld, &perplexity, &base] {
            assert!(told.contains(&figure[..]), "no {figure} in {told}");
        }
    }
}

#[test]
fn a_dry_run_writes_nothing() {
    let folder = Folder::with_tiny();
    let told = predicate::str::contains("in.gguf would become out\n");
    let command = format!("family --sizes 5bpw,6bpw {LITTLE} --dry-run in.gguf out");
    folder.run(&command).success().stdout(told.and(predicate::str::contains("in-5bpw.gguf")));
    assert_eq!(folder.names(), ["in.gguf"]);
}

#[test]
fn what_a_family_cannot_be_is_refused_before_the_work() {
    let folder = Folder::with_tiny();
    let family = |flags: &str| format!("family {flags} {LITTLE} in.gguf out");
    for (flags, fragment) in [
        ("--sizes 5bpw --size 2MB", "--size: family makes a model of each of --sizes"),
        ("--sizes 5bpw --accuracy 0.1", "--accuracy: family makes a model of each of --sizes"),
        ("--sizes 5bpw,5BPW", "--sizes 5BPW: stands in the list twice"),
        ("--sizes 2100kB,2.1MB", "--sizes 2.1MB: stands in the list twice"),
        ("--sizes 5bpw --effort fast", "family searches"),
        ("--sizes 5bpw --hardware tpu", "--hardware tpu: family writes no packs; add --tpu-layout"),
        ("--sizes 5bpw --report r.json", "--report r.json: family writes"),
        ("--sizes 5bpw,0", "--sizes 0: must be more than 0 bytes"),
        ("--sizes 0bpw", "--sizes 0bpw: "),
    ] {
        folder.refused_with(&family(flags), fragment);
    }
    folder.run(&family("--sizes small")).code(2);
    folder.run(&format!("family {LITTLE} in.gguf out")).code(2);
    folder.refused_with(&family("--sizes 5bpw,1kB"), "--size 1000: the smallest file");
    assert_eq!(folder.names(), ["in.gguf"]);
}

#[test]
fn its_help_is_of_what_it_takes() {
    let help = Folder::empty().run("family --help").success();
    let help = String::from_utf8(help.get_output().stdout.clone()).unwrap();
    assert!(help.contains("<FOLDER>") && help.contains("--sizes") && help.contains("--speed"));
    for refused in ["--size ", "--bpw", "--accuracy", "--report", "--atomspace", "OUT.gguf>"] {
        assert!(!help.contains(refused), "{refused} in {help}");
    }
}
