//! OpenCog data: packed, told of, written again, alone and beside a model.

use opencog_qat::gguf::{Gguf, Value};
use opencog_qat::opencog::atomspace::companion::PackedSpace;
use opencog_qat::opencog::atomspace::read::{ReadOptions, read};
use opencog_qat::opencog::atomspace::{AtomSpace, AtomStore, Kind, difference};
use predicates::prelude::*;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use crate::folder::Folder;

/// Nine atoms; one form that means nothing here; truth and attention values.
const ATOMS: &str = r#"(use-modules (opencog))
(Inheritance (stv 0.8 0.000001) (Concept "cat" (av 12.5 3 1)) (Concept "animal" (stv 1 0.9)))
(Inheritance (stv 0.002 0.4) (Concept "dog" (av -7 0 0)) (Concept "animal"))
(Evaluation (Predicate "likes") (List (Concept "dog") (Concept "cat")))
(cog-set-value! (Concept "cat") (Predicate "weight") (FloatValue 4.5 0.25))
"#;

/// What MOSES measured of them comes back too, where it did.
const PROGRAMS: &str = "-1.5 +($x 0.5)\n-2 *($x 1.25) [score=-2, complexity=2]\n$x\n";
const TABLE: &str = "t,x\n1.5,1.0\n2.5,2.5\n4,3.25\n";

pub fn folder() -> Folder {
    let folder = Folder::empty();
    folder.write("kb.scm", ATOMS.as_bytes());
    folder.write("best.combo", PROGRAMS.as_bytes());
    folder.write("train.csv", TABLE.as_bytes());
    folder
}

pub fn with_tiny() -> Folder {
    let folder = Folder::with_tiny();
    folder.write("kb.scm", ATOMS.as_bytes());
    folder.write("best.combo", PROGRAMS.as_bytes());
    folder
}

fn space(text: &[u8]) -> AtomSpace {
    read(text, &ReadOptions::default()).unwrap().0
}

pub fn json(folder: &Folder, name: &str) -> serde_json::Value {
    serde_json::from_slice(&folder.read(name)).unwrap()
}

#[track_caller]
pub fn number(report: &Json, pointer: &str) -> f64 {
    let found = report.pointer(pointer).and_then(Json::as_f64);
    found.unwrap_or_else(|| panic!("no number {pointer}: {report}"))
}

fn text_of(gguf: &Gguf, key: &str) -> Option<String> {
    gguf.metadata().get(key).and_then(Value::as_str).map(str::to_string)
}

#[test]
fn packing_tells_what_it_did() {
    let folder = folder();
    let shown = folder.run(
        "opencog pack --moses best.combo --moses-table train.csv --report r.json kb.scm kb.opencog.gguf",
    );
    let has = predicate::str::contains;
    shown.success().stderr(predicate::str::is_empty()).stdout(
        has("atoms        9: 5 nodes, 4 links")
            .and(has("skipped      1 x (use-modules ..), line 1"))
            .and(has("truth values 3, 3 distinct, coded with palette"))
            .and(has("changes nothing"))
            .and(has("plain 8-bit would"))
            .and(has("1 zeroed"))
            .and(has("attention    of 2 atoms"))
            .and(has("programs     3"))
            .and(has("Kendall's tau 1.0000")),
    );
    let report = json(&folder, "r.json");
    assert_eq!(report["atomspace"]["atoms"], 9);
    assert_eq!(report["atomspace"]["truth"]["damage"]["strength"]["max_error"], 0.0);
    assert_eq!(report["atomspace"]["truth"]["plain_uniform"]["confidence"]["zeroed"], 1);
    assert_eq!(report["ecan"]["atoms"], 2);
    assert_eq!(report["moses"]["fitness"]["tau"], 1.0);
    assert_eq!(report["bytes"], folder.read("kb.opencog.gguf").len());
    let gguf = folder.open("kb.opencog.gguf");
    assert_eq!(text_of(&gguf, "general.architecture").as_deref(), Some("opencog"));
    let packed = PackedSpace::of(&gguf).unwrap();
    assert_eq!(difference(&space(ATOMS.as_bytes()), &packed), None);
    let concept = packed.find_type("ConceptNode", Kind::Node).unwrap();
    let dog = packed.by_name(concept, b"dog").unwrap();
    assert_eq!(packed.attention_value(dog).unwrap().sti, -7.0);
}

#[test]
fn a_companion_is_written_as_text_again() {
    let folder = folder();
    for flags in ["", "--at-rest", "--truth exact --attention uniform"] {
        let pack =
            format!("opencog pack -q --force {flags} --moses best.combo kb.scm kb.opencog.gguf");
        folder.run(&pack).success().stdout(predicate::str::is_empty());
        for target in ["5.0", "2026"] {
            let export = format!(
                "opencog export --force --target {target} --moses again.combo kb.opencog.gguf again.scm"
            );
            folder.run(&export).success().stdout(predicate::str::contains("programs     3"));
            assert_eq!(folder.read("again.combo"), PROGRAMS.as_bytes());
            let again = space(&folder.read("again.scm"));
            let lost = difference(&space(ATOMS.as_bytes()), &again);
            assert_eq!(lost, None, "{flags} {target}");
        }
    }
    folder.refused_with("opencog export kb.opencog.gguf again.scm", "again.scm: it exists already");
    folder.refused_with("opencog export kb.opencog.gguf kb.opencog.gguf", "is the input");
}

#[test]
fn programs_are_packed_alone() {
    let folder = folder();
    let pack = "opencog pack --moses best.combo --moses-table train.csv best.opencog.gguf";
    let shown = folder.run(pack).success();
    shown.stdout(
        predicate::str::contains("best.combo, train.csv -> best.opencog.gguf")
            .and(predicate::str::contains("programs     3"))
            .and(predicate::str::contains("atoms").not()),
    );
    let shown = folder.run("opencog stats best.opencog.gguf").success();
    shown.stdout(predicate::str::contains("programs     3"));
    folder.run("opencog export --moses again.combo best.opencog.gguf").success();
    assert_eq!(folder.read("again.combo"), PROGRAMS.as_bytes());
    let export = "opencog export best.opencog.gguf again.scm";
    folder.refused_with(export, "best.opencog.gguf: it holds no AtomSpace");
    for wrong in ["pack kb.scm", "pack --moses best.combo", "pack", "export best.opencog.gguf"] {
        let shown = folder.run(&format!("opencog {wrong}")).code(2);
        shown.stderr(predicate::str::contains("required"));
    }
}

#[test]
fn patterns_are_matched_in_texts_and_in_companions() {
    let folder = folder();
    folder.run("opencog pack -q kb.scm kb.opencog.gguf").success();
    folder.run("opencog pack -q --at-rest kb.scm rest.opencog.gguf").success();
    let ask = |file: &str, pattern: &str, flags: &[&str]| {
        folder.run_with(&[&["opencog", "query", file, pattern], flags].concat())
    };
    let both = r#"(Inheritance (Variable "$x") (Variable "$y"))
        (List (Variable "$x") (Concept "cat"))"#;
    for file in ["kb.scm", "kb.opencog.gguf", "rest.opencog.gguf"] {
        let found = "$x\t$y\n(ConceptNode \"dog\")\t(ConceptNode \"animal\")\n";
        ask(file, both, &[]).success().stdout(found).stderr("");
        let is = |of: &str| format!(r#"(Inheritance (Concept "{of}") (Concept "animal"))"#);
        ask(file, &is("cat"), &[]).success().stdout("yes\n");
        ask(file, &is("cow"), &[]).success().stdout("no\n");
        let any = r#"(Inheritance (Variable "$x") (Concept "animal"))"#;
        let shown = ask(file, any, &["--limit", "1"]).success();
        shown
            .stdout(predicate::str::contains("$x\n(ConceptNode"))
            .stderr(predicate::str::contains("the first 1 matches; --limit allows more"));
    }
    let wrong = predicate::str::contains("kb.scm: the pattern: ");
    ask("kb.scm", r#"(Inheritance (Concept "cat""#, &[]).code(1).stderr(wrong);
    let node = predicate::str::contains("a clause of a query is a link");
    ask("kb.scm", r#"(Concept "cat")"#, &[]).code(1).stderr(node);
    let missing = predicate::str::contains("no.scm");
    ask("no.scm", both, &[]).code(1).stderr(missing);
    ask("kb.scm", both, &["--limit", "0"]).code(2);
    let refused = |pattern: &str, why: &'static str| {
        ask("kb.scm", pattern, &[]).code(1).stderr(predicate::str::contains(why));
    };
    refused("", "expected links, found none");
    refused(r#"(Inheritance (stv 1 1) (Variable "$x") (Concept "animal"))"#, "found values");
    refused(&format!("(List {})", "(List) ".repeat(1100)), "a query has at most 1000 atoms");
}

#[test]
fn answers_have_a_line_for_each_match_and_an_end() {
    let folder = Folder::empty();
    folder.write("names.scm", b"(List (Concept \"a\tb\nc\") (Concept \"d\"))");
    let pattern = r#"(List (Variable "$x") (Variable "$y"))"#;
    let ask = |file: &str| folder.run_with(&["opencog", "query", file, pattern]);
    let line = "$x\t$y\n(ConceptNode \"a\\tb\\nc\")\t(ConceptNode \"d\")\n";
    ask("names.scm").success().stdout(line);
    // As text it has 2^60 atoms.
    let doubled = |i: u32| format!("(define a{} (List a{i} a{i}))\n", i + 1);
    let text: String = (0..60).map(doubled).collect();
    folder.write("dag.scm", format!("(define a0 (List))\n{text}(Set a60)").as_bytes());
    let long = predicate::str::contains("dag.scm: the answer is longer than");
    ask("dag.scm").code(1).stderr(long);
}

#[test]
fn stats_of_a_text_and_of_companions_agree() {
    let folder = folder();
    folder.run("opencog pack -q --moses best.combo kb.scm kb.opencog.gguf").success();
    folder.run("opencog pack -q --at-rest kb.scm rest.opencog.gguf").success();
    let has = predicate::str::contains;
    for file in ["kb.scm", "kb.opencog.gguf", "rest.opencog.gguf"] {
        let shown = folder.run(&format!("opencog stats {file}")).success();
        shown.stdout(has("atoms        9: 5 nodes, 4 links").and(has("3 ConceptNode")));
    }
    folder.run("opencog stats kb.scm").success().stdout(has("kept exactly").not());
    let shown = folder.run("opencog stats kb.opencog.gguf").success();
    shown.stdout(
        has("truth values palette")
            .and(has("programs     3"))
            .and(has("attention    of 2 atoms"))
            .and(has("atomspace.outgoing")),
    );
    folder.run("opencog stats rest.opencog.gguf").success().stdout(has("at rest"));
}

#[test]
fn words_that_a_text_does_not_define_are_told_to_it() {
    let folder = with_tiny();
    folder.write("words.scm", b"(e (p \"likes\") (List (Concept \"dog\") (Concept \"cat\")))");
    let alias = "--alias e=EvaluationLink,p=Predicate";
    folder.run(&format!("opencog pack {alias} words.scm kb.opencog.gguf")).success().stdout(
        predicate::str::contains("atoms        5").and(predicate::str::contains("skipped").not()),
    );
    folder.run(&format!("--effort fast {alias} --atomspace words.scm in.gguf out.gguf")).success();
    assert!(folder.read("out.opencog.gguf") == folder.read("kb.opencog.gguf"));
    let told = folder.run(&format!("opencog stats {alias} words.scm")).success();
    told.stdout(predicate::str::contains("atoms        5"));
    let pattern = r#"(Evaluation (Predicate "likes") (List (Concept "dog") (Variable "$x")))"#;
    let args =
        ["opencog", "query", "--alias", "e=EvaluationLink,p=Predicate", "words.scm", pattern];
    folder.run_with(&args).success().stdout("$x\n(ConceptNode \"cat\")\n");
    for wrong in ["e", "e=", "=List"] {
        let pack = format!("opencog pack --alias {wrong} words.scm x.opencog.gguf");
        folder.run(&pack).code(2).stderr(predicate::str::contains("expected WORD=TYPE"));
    }
    let pack = "opencog pack --alias e=nothing words.scm x.opencog.gguf";
    folder.refused_with(pack, "nothing is no type");
}

#[test]
fn broken_files_are_refused_with_their_place() {
    let folder = with_tiny();
    folder.write("broken.scm", b"(Concept \"a\")\n(List (Concept \"a\"\n");
    folder
        .refused_with("opencog pack broken.scm kb.opencog.gguf", "broken.scm: line 2, column 1: ");
    folder.refused_with("opencog stats broken.scm", "broken.scm: line 2, column 1: ");
    folder.write("broken.combo", b"$x\n+($x\n");
    let pack = "opencog pack --moses broken.combo kb.scm kb.opencog.gguf";
    folder.refused_with(pack, "broken.combo: line ");
    folder.write("train.csv", b"t,y\n1.5,1.0\n2.5,2.5\n");
    let pack = "opencog pack --moses best.combo --moses-table train.csv kb.scm kb.opencog.gguf";
    folder.refused_with(pack, "train.csv");
    folder.refused_with("opencog pack no.scm kb.opencog.gguf", "no.scm: cannot open it");
    folder.refused_with("opencog export no.gguf out.scm", "no.gguf: cannot open the companion: ");
    folder.refused_with(
        "opencog stats no.gguf",
        "no.gguf: cannot open the companion, AtomSpace text or MeTTa",
    );
    folder.refused_with("opencog stats in.gguf", "expected `opencog`, found `llama`");
    folder.refused_with("opencog export in.gguf out.scm", "expected `opencog`, found `llama`");
    // Before the model is worked on.
    folder.refused_with(
        "--effort fast --size 10 --atomspace broken.scm in.gguf out.gguf",
        "broken.scm: line 2, column 1: ",
    );
}

#[test]
fn a_companion_is_no_text() {
    let folder = folder();
    folder.run("opencog pack kb.scm kb.opencog.gguf").success();
    folder.refused_with("opencog pack kb.opencog.gguf again.gguf", "`opencog export` writes that");
}

#[test]
fn a_text_without_atoms_is_refused() {
    let folder = with_tiny();
    folder.write("empty.scm", b"");
    folder.write("comments.scm", b"; (Concept \"a\")\n\n");
    folder.write("skipped.scm", b"scm\n(use-modules (opencog))\n(load \"kb.scm\")\n(load \"c\")\n");
    let pack = |text: &str| format!("opencog pack {text} none.opencog.gguf");
    folder.refused_with(&pack("empty.scm"), "empty.scm: expected atoms, found none\n");
    folder.refused_with(&pack("comments.scm"), "comments.scm: expected atoms, found none\n");
    let fault = "skipped.scm: expected atoms, found only what was passed over: 1 the word `scm` \
        (line 1); 1 (use-modules ..) (line 2); 2 (load ..) (line 3, 4)\n";
    folder.refused_with(&pack("skipped.scm"), fault);
    folder.refused_with("--effort fast --atomspace skipped.scm in.gguf out.gguf", fault);
    folder.run(&pack("-q --moses best.combo skipped.scm")).success();
    // Programs beside the model are enough too.
    folder.run("opencog pack -q --moses best.combo kb.scm in.opencog.gguf").success();
    folder.run("--effort fast -q --atomspace empty.scm in.gguf out.gguf").success();
}

#[test]
fn an_existing_companion_needs_force() {
    let folder = folder();
    folder.write("kb.opencog.gguf", b"precious");
    folder
        .refused_with("opencog pack kb.scm kb.opencog.gguf", "kb.opencog.gguf: it exists already");
    folder.refused_with("opencog pack --force kb.scm kb.scm", "kb.scm: is the input");
    let report = "opencog pack --force --report kb.json kb.scm kb.json";
    folder.refused_with(report, "name another report");
    folder.run("opencog pack -q --force kb.scm kb.opencog.gguf").success();
    let first = folder.read("kb.opencog.gguf");
    folder.refused_with("opencog pack kb.scm kb.opencog.gguf", "it exists already");
    folder.run("opencog pack -q --force kb.scm kb.opencog.gguf").success();
    assert!(folder.read("kb.opencog.gguf") == first, "the same input gives the same bytes");
}

#[test]
fn a_model_has_its_companion_beside_it() {
    let folder = with_tiny();
    let plain = "--effort fast --bpw 5 in.gguf plain.gguf";
    folder.run(plain).success();
    let flags = "--effort fast --bpw 5 --enable-atomspace --atomspace kb.scm --report r.json";
    folder.run(&format!("--dry-run {flags} in.gguf out.gguf")).success();
    assert!(!folder.path("out.opencog.gguf").exists() && !folder.path("out.gguf").exists());
    let planned = json(&folder, "r.json");
    let shown = folder.run(&format!("{flags} --moses best.combo in.gguf out.gguf")).success();
    shown.stdout(predicate::str::contains("companion    out.opencog.gguf"));

    let (model, companion) = (folder.open("out.gguf"), folder.open("out.opencog.gguf"));
    let hash = Sha256::digest(folder.read("out.opencog.gguf"));
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(text_of(&model, "opencog.companion.name").as_deref(), Some("out.opencog.gguf"));
    assert_eq!(text_of(&model, "opencog.companion.sha256"), Some(hash.clone()));
    let report = json(&folder, "r.json");
    assert_eq!(report["opencog"]["sha256"], hash);
    assert_eq!(report["opencog"]["atomspace"]["atoms"], 9);
    assert_eq!(report["opencog"]["moses"]["programs"], 3);
    assert_eq!(report["metrics"]["output_bytes"], folder.read("out.gguf").len());
    // Names and hashes of all companions are as long, so that a dry run counts rightly.
    assert_eq!(report["metrics"]["output_bytes"], planned["metrics"]["output_bytes"]);
    let packed = PackedSpace::of(&companion).unwrap();
    assert_eq!(difference(&space(ATOMS.as_bytes()), &packed), None);

    let plain = folder.open("plain.gguf");
    assert_eq!(text_of(&plain, "opencog.companion.name"), None);
    assert_eq!(model.tensors().len(), plain.tensors().len());
    for (ours, theirs) in model.tensors().iter().zip(plain.tensors()) {
        assert_eq!(ours.spec(), theirs.spec());
        assert!(model.data(ours) == plain.data(theirs), "{}", ours.name);
    }
}

#[test]
fn a_companion_beside_the_model_is_kept() {
    let folder = with_tiny();
    folder.run("opencog pack -q --moses best.combo kb.scm in.opencog.gguf").success();
    folder.run("--effort fast in.gguf out.gguf").success();
    assert!(folder.read("out.opencog.gguf") == folder.read("in.opencog.gguf"));
    folder.run("--effort fast --disable-moses in.gguf atoms.gguf").success();
    let shown = folder.run("opencog stats atoms.opencog.gguf").success();
    shown.stdout(
        predicate::str::contains("atoms        9").and(predicate::str::contains("moses").not()),
    );
    folder.run("--effort fast --disable-moses --disable-atomspace in.gguf bare.gguf").success();
    assert!(!folder.path("bare.opencog.gguf").exists());
    assert_eq!(text_of(&folder.open("bare.gguf"), "opencog.companion.name"), None);

    folder.write("in.opencog.gguf", b"GGUF, but broken");
    folder.refused("--effort fast in.gguf other.gguf");
}

#[test]
fn a_companion_is_held_against_the_hash_that_the_model_names() {
    let folder = with_tiny();
    folder.run("--effort fast -q --atomspace kb.scm in.gguf out.gguf").success();
    let inspect = |model: &str, state: &str| {
        let has = predicate::str::contains(format!("\ncompanion\n  out.opencog.gguf: {state}"));
        folder.run(&format!("inspect {model}")).success().stdout(has);
    };
    let again = |name: &str, warning: &str| {
        let run = format!("--effort fast --allow-requantize --force {name} again.gguf");
        let has = predicate::str::contains(format!("warning: out.opencog.gguf: {warning}"));
        folder.run(&run).success().stderr(has);
    };
    let silent = |flags: &str| {
        let run = format!("--effort fast --allow-requantize --force {flags} out.gguf again.gguf");
        folder.run(&run).success().stderr(predicate::str::contains("warning: out").not());
    };
    inspect("out.gguf", "as it was");
    silent("");
    let first = folder.read("out.opencog.gguf");
    assert!(folder.read("again.opencog.gguf") == first);
    // By its name in the metadata, too, where the model has another one now.
    std::fs::copy(folder.path("out.gguf"), folder.path("renamed.gguf")).unwrap();
    inspect("renamed.gguf", "as it was");
    folder.run("-q --effort fast --allow-requantize renamed.gguf of-renamed.gguf").success();
    assert!(folder.read("of-renamed.opencog.gguf") == first);

    folder.run("opencog pack -q --force --truth exact --at-rest kb.scm out.opencog.gguf").success();
    inspect("out.gguf", "changed");
    again(
        "out.gguf",
        "changed since the model was written: its hash is another; what it holds now",
    );
    assert!(folder.read("again.opencog.gguf") == folder.read("out.opencog.gguf"));
    silent("--atomspace kb.scm --disable-moses");

    std::fs::remove_file(folder.path("out.opencog.gguf")).unwrap();
    inspect("out.gguf", "missing");
    again("out.gguf", "missing; the model names it, and nothing of it is kept");
    let shown = folder.run("inspect in.gguf").success();
    shown.stdout(predicate::str::contains("companion").not());
}

#[test]
fn disabled_data_is_not_read() {
    let folder = with_tiny();
    folder.write("broken.scm", b"(List");
    let flags = "--effort fast --disable-atomspace --atomspace broken.scm";
    folder.run(&format!("{flags} in.gguf out.gguf")).success();
    assert!(!folder.path("out.opencog.gguf").exists());
    folder.refused(&format!("--force {flags} --enable-atomspace in.gguf out.gguf"));
    // Attention values that are not coded are as they were.
    let flags = "--effort fast --attention uniform --disable-ecan --atomspace kb.scm";
    folder.run(&format!("{flags} in.gguf exact.gguf")).success();
    let companion = folder.open("exact.opencog.gguf");
    assert!(companion.tensor("ecan.sti.codes").is_none());
    assert_eq!(difference(&space(ATOMS.as_bytes()), &PackedSpace::of(&companion).unwrap()), None);
}

#[test]
fn a_companion_in_the_way_is_not_replaced() {
    let folder = with_tiny();
    folder.write("out.opencog.gguf", b"precious");
    let flags = "--effort fast --atomspace kb.scm";
    let run = format!("{flags} in.gguf out.gguf");
    folder.refused_with(&run, "out.opencog.gguf: it exists already");
    folder.refused_with(&format!("--dry-run {run}"), "out.opencog.gguf: it exists already");
    folder.run(&format!("--force {run}")).success();
    let written = folder.read("out.opencog.gguf");
    // What a run left that was ended before it gave the model its name is taken for its own.
    std::fs::remove_file(folder.path("out.gguf")).unwrap();
    folder.run(&run).success();
    assert!(folder.read("out.opencog.gguf") == written);
    folder.refused_with(&format!("{flags} in.gguf in.opencog.gguf/x"), "no such folder");
}

#[test]
fn attention_values_are_coded_where_nothing_is_lost_or_a_code_is_named() {
    let folder = folder();
    let atom = |i: u32| format!("(Concept \"{i}\" (av {}.5 {i} 0))\n", i * i);
    folder.write("many.scm", (0..300).map(atom).collect::<String>().as_bytes());
    let packed = |flags: &str| {
        let shown = folder
            .run(&format!("opencog pack {flags} --force --report r.json many.scm m.opencog.gguf"));
        shown.success();
        let report = json(&folder, "r.json");
        folder.run("opencog export --force m.opencog.gguf again.scm").success();
        let space = space(&folder.read("again.scm"));
        let of = |i: u32| {
            let concept = space.find_type("ConceptNode", Kind::Node).unwrap();
            let atom = space.by_name(concept, i.to_string().as_bytes()).unwrap();
            space.attention_value(atom).unwrap().sti
        };
        let worst = (0..300).map(|i| (of(i) / (f64::from(i * i) + 0.5) - 1.0).abs());
        (report, worst.fold(0.0, f64::max))
    };
    for flags in ["", "--attention exact"] {
        let (report, worst) = packed(flags);
        assert_eq!((&report["ecan"], worst), (&serde_json::Value::Null, 0.0), "{flags}");
    }
    let (report, worst) = packed("--attention geometric");
    // The least, 0.5, becomes 2^-15 of the largest, 299 * 299 + 0.5.
    let least = (299.0 * 299.0 + 0.5) / 32_768.0;
    assert!((worst - (least / 0.5 - 1.0)).abs() < 1e-6, "{worst}");
    assert!((number(&report, "/ecan/sti_largest") - worst).abs() < 1e-9, "{report}");
    let told = predicate::str::contains("more than 256 of a kind are distinct");
    folder.run("opencog pack --force many.scm m.opencog.gguf").success().stdout(told);
}

#[test]
fn odd_attention_values_are_kept_and_told_of() {
    let folder = Folder::empty();
    let text =
        |vlti: &str| format!("(Concept \"a\" (av 1 0 1))\n(Concept \"b\" (av 2 0 {vlti}))\n");
    let attention = |vlti: &str| {
        folder.write("kb.scm", text(vlti).as_bytes());
        let pack = "opencog pack --force --report r.json kb.scm kb.opencog.gguf";
        folder.run(pack).success();
        let report: Json = serde_json::from_slice(&folder.read("r.json")).unwrap();
        (report["atomspace"]["attention_uncoded"].clone(), report["ecan"]["atoms"].clone())
    };
    assert_eq!(attention("-1"), (Json::Null, 2.into()), "as 0");
    let (why, coded) = attention("0.5");
    assert!(why.as_str().unwrap().contains("no count") && coded.is_null());
}

#[test]
fn scheme_that_means_nothing_here_is_passed_over() {
    let folder = Folder::empty();
    let odd = [
        "(define x ((lambda (y) y) 3))",
        "(define x (cog-new-node (quote Concept) \"m\"))",
        "(cog-new-link (quote List) (Concept \"m\"))",
    ];
    folder.write("kb.scm", format!("{}\n(Concept \"zz\")\n", odd.join("\n")).as_bytes());
    let run = folder.run("opencog pack --report r.json kb.scm kb.opencog.gguf").success();
    run.stdout(predicate::str::contains("skipped"));
    let report: Json = serde_json::from_slice(&folder.read("r.json")).unwrap();
    let skipped = report["atomspace"]["skipped"].as_array().unwrap();
    let skipped: u64 = skipped.iter().map(|kind| kind["count"].as_u64().unwrap()).sum();
    assert_eq!((report["atomspace"]["atoms"].as_u64(), skipped), (Some(1), 3));
}

#[test]
fn many_constants_are_packed_and_no_programs_are_refused() {
    let folder = Folder::empty();
    let programs: String = (0..20_000).map(|i| format!("+({}.37 $1)\n", i)).collect();
    folder.write("many.combo", programs.as_bytes());
    folder.run("opencog pack --moses many.combo many.opencog.gguf").success();
    folder.run("opencog export --moses again.combo many.opencog.gguf").success();
    assert_eq!(folder.read("again.combo"), programs.as_bytes());
    folder.write("none.combo", b"");
    folder
        .run("opencog pack --moses none.combo none.opencog.gguf")
        .code(1)
        .stderr(predicate::str::contains("none.combo: expected programs, found none"));
}

#[test]
fn atoms_that_are_too_many_for_memory_make_the_same_companion() {
    let folder = folder();
    let link = |i| {
        let (node, set) = (i * 7 % 3000, i % 50);
        format!(
            "(Member (stv 0.{i} 0.5) (Gene \"g{node}\" (stv 1 0.{node})) (Concept \"s{set}\"))\n\
             (Evaluation (Predicate \"p\") (List (Gene \"g{set}\") (Concept \"s{node}\" (av {i} 0 0))))\n"
        )
    };
    let text: String = (0..4000).map(link).collect();
    folder.write("big.scm", text.as_bytes());
    folder.run("opencog pack --report whole.json big.scm whole.opencog.gguf").success();
    folder
        .run("opencog pack --memory 0.001 --report parts.json big.scm parts.opencog.gguf")
        .success();
    assert!(folder.read("whole.opencog.gguf") == folder.read("parts.opencog.gguf"));
    let told = |name| {
        let mut atoms = json(&folder, name)["atomspace"].clone();
        // Sums over values in another order differ in their last digits.
        for part in ["damage", "plain_uniform"] {
            assert!(atoms["truth"].as_object_mut().unwrap().remove(part).is_some());
        }
        atoms
    };
    assert_eq!(told("whole.json"), told("parts.json"));
    folder.run("opencog pack -q --memory 0.001 --at-rest big.scm rest.opencog.gguf").success();
    folder.run("opencog export -q rest.opencog.gguf rest.scm").success();
    let refused = folder.run("opencog pack --memory 0 big.scm x.opencog.gguf").code(2);
    refused.stderr(predicate::str::contains("a number of GB above 0"));
    let left = folder.names().into_iter().filter(|name| name.starts_with('.')).count();
    assert_eq!(left, 0, "no temporary file stays");
}
