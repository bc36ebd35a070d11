//! Reports for people: HTML and Markdown, and what they tell that only JSON told before.

use predicates::prelude::*;
use serde_json::Value as Json;

use opencog_qat::gguf::{Gguf, Value, Writer};

use crate::folder::Folder;
use crate::opencog::{json, number, with_tiny};

/// As little text as there can be losses on.
const LITTLE: &str = "--batches 1 --batch-size 4 --seq-len 64";

fn text(folder: &Folder, name: &str) -> String {
    String::from_utf8(folder.read(name)).unwrap()
}

#[test]
fn the_extension_decides_and_others_are_bad_usage() {
    let folder = with_tiny();
    for report in ["x.txt", "x", "x.html.gz"] {
        for command in [
            "--report REPORT in.gguf out.gguf",
            "eval --report REPORT in.gguf in.gguf",
            "opencog pack --report REPORT kb.scm kb.opencog.gguf",
            "opencog stats --report REPORT kb.scm",
        ] {
            let command = command.replace("REPORT", report);
            let expected = predicate::str::contains("ends with .json, .md or .html");
            folder.run(&command).code(2).stderr(expected);
        }
    }
    assert_eq!(folder.names(), ["best.combo", "in.gguf", "kb.scm"]);
}

#[test]
fn a_run_has_a_page_and_a_card_that_say_what_its_json_says() {
    let folder = Folder::with_tiny();
    folder
        .run(&format!("{LITTLE} --formats Q4_K,Q6_K --bpw 5 --report r.json in.gguf out.gguf"))
        .success();
    let report = json(&folder, "r.json");
    let output = number(&report, "/metrics/output_bytes");
    assert_eq!(output, folder.read("out.gguf").len() as f64);
    let bpw = format!("{:.3}", number(&report, "/metrics/bpw"));
    let hash = report["output_sha256"].as_str().unwrap().to_string();
    assert_eq!(hash.len(), 64);
    for name in ["r.html", "r.md"] {
        folder
            .run(&format!(
                "{LITTLE} --formats Q4_K,Q6_K --bpw 5 --force --report {name} in.gguf out.gguf"
            ))
            .success();
        let told = text(&folder, name);
        for part in [&bpw[..], &hash, "out.gguf", "Formats by role", "Size against loss"] {
            assert!(told.contains(part), "{name}: {part}");
        }
        for tensor in report["tensors"].as_array().unwrap() {
            assert!(told.contains(tensor["format"].as_str().unwrap()), "{name}");
        }
    }
    let (page, card) = (text(&folder, "r.html"), text(&folder, "r.md"));
    assert!(page.contains("<svg") && page.contains("Along the text"));
    assert!(!page.contains("http:") && !page.contains("https:") && !page.contains("<script"));
    let head = "---\nlicense: \"mit\"\nlanguage:\n- \"en\"\nquantized_by: \"opencog-qat\"\n\
                tags:\n- \"gguf\"\n- \"quantized\"\n---\n\n# out.gguf\n";
    assert!(card.starts_with(head), "{card}");
    assert!(card.contains("llama-cli -m out.gguf"), "{card}");
}

#[test]
#[ignore = "takes longer than ten seconds"]
fn every_step_of_the_search_has_its_bytes() {
    let folder = Folder::with_tiny();
    let report = folder.path("r.json");
    for flags in ["--bpw 5", "--accuracy 0.03", "--formats Q4_0"] {
        let command = format!("{LITTLE} {flags} --force --report r.json in.gguf out.gguf");
        let code = folder.run(&command).get_output().status.code();
        assert!(matches!(code, Some(0 | 3)), "{flags}");
        let report: Json = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
        let output = number(&report, "/metrics/output_bytes");
        let steps = report["search"]["steps"].as_array().unwrap();
        let mut bytes: Vec<f64> = steps.iter().map(|step| number(step, "/bytes")).collect();
        let next = steps.iter().filter(|step| step["kind"] == "next").count();
        // More of the model is quantized with each of them.
        assert!(bytes[..next].is_sorted_by(|a, b| a > b), "{flags}: {bytes:?}");
        bytes.extend(report["search"]["recipe_bytes"].as_f64());
        assert!(bytes.contains(&output), "{flags}: {output} in {bytes:?}");
    }
}

#[test]
fn positions_that_differ_most_are_shown_in_their_context() {
    let folder = Folder::with_tiny();
    folder.run(&format!("{LITTLE} --bpw 4.5 --report r.json in.gguf out.gguf"));
    let report = json(&folder, "r.json");
    let evaluation = &report["evaluations"][0];
    let stretches = evaluation["along"]["stretches"].as_array().unwrap();
    let positions: f64 = stretches.iter().map(|it| number(it, "/positions")).sum();
    assert_eq!(positions, number(evaluation, "/positions"));
    let sum: f64 =
        stretches.iter().map(|it| number(it, "/mean_kld") * number(it, "/positions")).sum();
    let (mean, most) = (number(evaluation, "/mean_kld"), 1e-6);
    assert!((sum / positions - mean).abs() < most, "{sum} {mean}");
    let worst = &evaluation["along"]["worst"][0];
    assert!(number(worst, "/kld") >= number(evaluation, "/mean_kld"));
    for said in ["full_precision", "quantized", "next"] {
        let probability = number(&worst[said], "/probability");
        assert!((0.0..=1.0).contains(&probability), "{said}: {probability}");
        assert!(worst[said]["token"].is_string());
    }
    let likeliest = number(worst, "/full_precision/probability");
    assert!(likeliest >= number(worst, "/next/probability") - 1e-6);
    assert!(!worst["before"].as_str().unwrap().is_empty());
}

#[test]
#[ignore = "takes longer than ten seconds"]
fn recipes_are_compared_if_that_is_asked_for() {
    let folder = Folder::with_tiny();
    let fast = "--compare-recipes --effort fast in.gguf out.gguf";
    folder.refused_with(fast, "--compare-recipes: needs --effort standard or thorough");
    let flags = format!("{LITTLE} --formats Q4_K,Q6_K --bpw 5 --report r.json");
    folder.run(&format!("{flags} in.gguf plain.gguf")).success();
    assert!(json(&folder, "r.json")["recipes"].is_null());
    folder.run(&format!("{flags} --compare-recipes in.gguf out.gguf")).success();
    assert!(folder.read("plain.gguf") == folder.read("out.gguf"), "to compare changes nothing");
    let report = json(&folder, "r.json");
    let recipes = report["recipes"].as_array().unwrap();
    let names: Vec<&str> = recipes.iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0"]);
    let of = |pointer| recipes.iter().map(|it| number(it, pointer)).collect::<Vec<f64>>();
    let (bytes, klds) = (of("/bytes"), of("/measured/mean_kld"));
    assert!(bytes.is_sorted() && bytes[0] < bytes[3], "{bytes:?}");
    assert!(klds[0] > klds[1] && klds[1] > klds[3] && klds[3] > 0.0, "{klds:?}");
    folder
        .run(&format!(
            "{LITTLE} --formats Q4_K,Q6_K --bpw 5 --compare-recipes --dry-run --report r.md in.gguf other.gguf"
        ))
        .success();
    let card = text(&folder, "r.md");
    assert!(card.contains("the recipe of Q4_K_M") && card.contains("dry run"), "{card}");
}

#[test]
fn evaluations_and_opencog_data_have_pages_too() {
    let folder = with_tiny();
    folder.write("text.txt", "Once upon a <b>time</b> there was a cat. ".repeat(60).as_bytes());
    let eval = "eval -q --context 64 --text text.txt --report";
    for name in ["e.html", "e.md", "e.json"] {
        folder.run(&format!("{eval} {name} in.gguf in.gguf")).success();
    }
    let flat = folder.run("eval -q --json --context 64 --text text.txt in.gguf in.gguf").success();
    let flat: Json = serde_json::from_slice(&flat.get_output().stdout).unwrap();
    let mut told = json(&folder, "e.json");
    for added in ["base", "quantized", "along"] {
        assert!(told.as_object_mut().unwrap().remove(added).is_some(), "{added}");
    }
    assert_eq!(told, flat, "the report has what --json prints");
    assert!(text(&folder, "e.html").contains("positions scored"));
    assert!(text(&folder, "e.md").starts_with("# in.gguf beside in.gguf\n"));

    folder.run("opencog pack -q --report p.html kb.scm kb.opencog.gguf").success();
    folder.run("opencog stats --report s.md kb.opencog.gguf").success();
    folder.run("opencog stats --report s.json kb.scm").success();
    assert!(text(&folder, "p.html").contains("ConceptNode"));
    assert!(text(&folder, "s.md").contains("| ConceptNode | 3 |"), "{}", text(&folder, "s.md"));
    assert_eq!(number(&json(&folder, "s.json"), "/atomspace/links"), 4.0);
    folder.refused_with("eval --report in.html in.html in.gguf", "in.html");
    folder.refused_with("opencog stats --report kb.scm.json no.scm", "no.scm");
}

#[test]
fn names_that_are_markup_stay_names() {
    const MARKUP: &str = "<script>alert(1)</script>|`[x](y)\n";
    let folder = Folder::with_tiny();
    let tiny = folder.open("in.gguf");
    let mut metadata = tiny.metadata().clone();
    for key in ["general.name", "general.license", "general.repo_url", MARKUP] {
        metadata.set(key, Value::string(MARKUP));
    }
    let mut specs: Vec<_> = tiny.tensors().iter().map(|tensor| tensor.spec()).collect();
    let last = tiny.tensors().iter().find(|tensor| tensor.rows() > 1).unwrap();
    specs.push(last.spec());
    specs.last_mut().unwrap().name = format!("v.{MARKUP}.weight");
    let mut writer = Writer::new(Vec::new(), "x".as_ref(), &metadata, &specs).unwrap();
    for tensor in tiny.tensors().iter().chain([last]) {
        writer.tensor_bytes(tiny.data(tensor)).unwrap();
    }
    folder.write("hostile.gguf", &writer.finish().unwrap());
    assert!(Gguf::open(&folder.path("hostile.gguf")).is_ok());
    for name in ["r.html", "r.md"] {
        let report = format!("--report={name}");
        let args = ["--effort", "fast", &report, "--force", "hostile.gguf", "<i>&|.gguf"];
        folder.run_with(&args).success();
        let told = text(&folder, name);
        assert!(told.contains("&lt;script&gt;"), "{name}: {told}");
        let body = told.rsplit("---\n").next().unwrap();
        assert!(!body.contains("<script"), "{name}");
        assert!(!body.contains("|`[") || name == "r.html", "{name}");
    }
}

/// The command under "How it was made", as a shell takes it from a card.
fn command_of(card: &str) -> String {
    let made = card.split("## How it was made").nth(1).unwrap();
    let code = made.split("```sh\n").nth(1).unwrap();
    code.split("\n```").next().unwrap().to_string()
}

#[cfg(unix)]
#[test]
fn the_command_of_a_card_makes_the_same_files_again() {
    let folder = with_tiny();
    let odd = "kb's $HOME\n.scm";
    std::fs::rename(folder.path("kb.scm"), folder.path(odd)).unwrap();
    let flags = "--hardware tpu --effort fast --formats Q8_0 --tpu-layout qwix --disable-moses \
                 --moses best.combo --truth exact --alias e=EvaluationLink --at-rest --context 99";
    let mut args: Vec<&str> = flags.split_whitespace().collect();
    args.extend([
        "--threads",
        "1",
        "--atomspace",
        odd,
        "--report",
        "my card.md",
        "in.gguf",
        "a b.gguf",
    ]);
    folder.run_with(&args).success();
    let card = text(&folder, "my card.md");
    for part in ["| TPU pack |", "a b.tpu, qwix, ", "The folder a b.tpu holds the same weights"] {
        assert!(card.contains(part), "no {part} in {card}");
    }
    let files =
        ["a b.gguf", "a b.opencog.gguf", "a b.tpu/model.safetensors", "a b.tpu/config.json"];
    let before = files.map(|name| folder.read(name));
    let names = folder.names();
    for name in ["a b.gguf", "a b.opencog.gguf", "my card.md"] {
        std::fs::remove_file(folder.path(name)).unwrap();
    }
    std::fs::remove_dir_all(folder.path("a b.tpu")).unwrap();

    let command = command_of(&card);
    let again = format!("opencog-qat() {{ \"$PROGRAM\" \"$@\"; }}; {command}");
    let mut shell = folder.command("bash", &["-c", &again]);
    shell.env("PROGRAM", crate::folder::PROGRAM);
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(folder.names(), names, "{command}");
    assert!(before == files.map(|name| folder.read(name)), "{command}");
    assert_eq!(command_of(&text(&folder, "my card.md")), command, "it leads to itself");
}

#[test]
fn a_target_that_is_missed_names_all_that_is_kept() {
    let folder = Folder::with_tiny();
    let flags =
        "--hardware tpu --bits 4:4 --accuracy 0.0001 --batches 1 --batch-size 2 --seq-len 32";
    let kept = "the model is kept as bt.gguf.below-target, its pack as bt.tpu.below-target\n";
    folder
        .run(&format!("{flags} --report r.html in.gguf bt.gguf"))
        .code(3)
        .stderr(predicate::str::contains(kept));
    let page = text(&folder, "r.html");
    assert!(page.contains("bt.gguf.below-target") && page.contains("bt.tpu.below-target"));
    assert!(page.contains("compressed-tensors") && page.contains("<dt>Error</dt>"));
    // The command is the one that was given: it names no file after what was missed.
    let command = page.split("How it was made</h2>").nth(1).unwrap();
    assert!(command.contains("<span>in.gguf</span> <span>bt.gguf</span></code>"));
}

#[test]
fn every_label_of_degradation_says_what_it_goes_by() {
    let folder = Folder::with_tiny();
    folder.write("text.txt", "Once upon a time there was a cat. ".repeat(60).as_bytes());
    let flags = format!("{LITTLE} --bpw 5 --eval-text text.txt --report r.md");
    let has = |text: &str| predicate::str::contains(text.to_string());
    let said = has("% by KLD on the model's own text").and(has("% by perplexities on text.txt"));
    folder.run(&format!("{flags} in.gguf out.gguf")).success().stdout(said);
    let card = text(&folder, "r.md");
    let value = |label: &str| {
        let row = card.lines().find(|line| line.starts_with(&format!("| {label} | ")));
        row.unwrap_or_else(|| panic!("no {label} in {card}")).split(" | ").nth(1).unwrap()
    };
    let number = |text: &str| text.trim_end_matches(" % |").trim_end_matches(" %").parse::<f64>();
    let (tile, figure) = (value("Degradation by KLD"), value("degradation by KLD"));
    let (tile, figure) = (number(tile).unwrap(), number(figure).unwrap());
    assert!((tile - figure).abs() < 0.0051, "{tile} {figure}");
    value("degradation by perplexities");
    assert_eq!(card.matches("degradation by perplexities").count(), 1, "of the other text only");
    assert!(!card.contains("| Degradation |"));
    // Points of the curve that are no step of the search have rows, too.
    for row in ["| – | plain recipe of this size | – | ", "| – | this model | – | "] {
        assert!(card.contains(row), "no {row} in {card}");
    }
}
