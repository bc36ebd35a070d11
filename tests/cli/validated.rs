//! What `--validate` tells of packed OpenCog data.

use serde_json::Value as Json;

use crate::folder::Folder;
use crate::opencog::{folder, json, number, with_tiny};

/// Sixty things of some classes each, of confidences that a plain code in 8 bits makes 0, and of an
/// importance beside which that of one more is beyond all measure.
fn things() -> String {
    let mut text = String::from("(Concept \"sun\" (av 30000 1 0))\n");
    for i in 1..=60 {
        let classes = [("animal", 1), ("cat", 2), ("black", 3), ("big", 5)];
        for (class, _) in classes.iter().filter(|(_, every)| i % every == 0) {
            let thing = format!("(Concept \"{i}\" (av {} {i} 0))", i * 37 % 61);
            text += &format!(
                "(Inheritance (stv 1 {}) {thing} (Concept \"{class}\"))\n",
                1e-5 * f64::from(i)
            );
        }
    }
    text
}

/// What packing those things with these flags reports and prints.
fn packed_things(flags: &str) -> (Json, String) {
    let folder = Folder::empty();
    folder.write("things.scm", things().as_bytes());
    let pack = format!("opencog pack --report r.json {flags} things.scm kb.opencog.gguf");
    let shown = folder.run(&pack).success().get_output().stdout.clone();
    (json(&folder, "r.json"), String::from_utf8(shown).unwrap())
}

#[test]
fn nothing_is_validated_unasked() {
    let (report, shown) = packed_things("");
    for field in ["/atomspace/mining", "/atomspace/latency", "/ecan/dynamics", "/ecan/recall"] {
        assert_eq!(report.pointer(field), Some(&Json::Null), "{field}");
    }
    assert!(!shown.contains("mining") && !shown.contains("latency"), "{shown}");
}

#[test]
fn validation_finds_no_change_where_nothing_is_lost() {
    for form in ["", "--at-rest"] {
        let (report, shown) = packed_things(&format!("--validate {form}"));
        let mining = |i: usize, field: &str| {
            number(&report, &format!("/atomspace/mining/{i}/agreement/{field}"))
        };
        assert_eq!(report["atomspace"]["mining"][0]["options"]["filter"], "any");
        assert!(report["atomspace"]["mining"][1]["options"]["filter"]["product_at_least"].is_f64());
        for i in [0, 1] {
            assert_eq!(report["atomspace"]["mining"][i]["is_complete"], true);
            assert!(mining(i, "expected") > 10.0, "{report}");
            for one in ["recall", "precision", "nisurp/top_k", "jsdsurp/top_k"] {
                assert_eq!(mining(i, one), 1.0, "{one} of {i}");
            }
            for zero in ["support_difference", "nisurp/difference", "jsdsurp/difference"] {
                assert_eq!(mining(i, zero), 0.0, "{zero} of {i}");
            }
        }
        let change = |field: &str| number(&report, &format!("/ecan/dynamics/change/{field}"));
        assert_eq!((change("first_jaccard"), change("least_jaccard")), (1.0, 1.0));
        assert!(change("last_correlation") > 1.0 - 1e-9 && change("drift") < 1e-9);
        assert!(number(&report, "/ecan/recall/coded") > number(&report, "/ecan/recall/cues"));
        for part in ["mining", "latency", "attending", "recall"] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }
}

#[test]
fn validation_times_every_operation_on_both_stores() {
    let folder = folder();
    folder.run("opencog pack --validate --report r.json kb.scm kb.opencog.gguf").success();
    let report = json(&folder, "r.json");
    let operations = ["by_name", "outgoing", "incoming", "value", "value_by_key", "query"];
    for (i, operation) in operations.into_iter().enumerate() {
        let row = &report["atomspace"]["latency"][i];
        assert_eq!(row["operation"], operation);
        for side in ["companion", "unpacked"] {
            let [p50, p99] = ["p50", "p99"].map(|q| number(row, &format!("/{side}/{q}")));
            assert!(p50 > 0.0 && p50 <= p99, "{row}");
        }
        let ratio = number(row, "/companion/p50") / number(row, "/unpacked/p50");
        assert!((number(row, "/ratio") - ratio).abs() < 1e-12, "{row}");
    }
}

#[test]
fn validation_finds_what_plain_codes_lose() {
    let (report, shown) = packed_things("--validate --truth uniform8 --attention uniform");
    let recall = |i: usize| number(&report, &format!("/atomspace/mining/{i}/agreement/recall"));
    assert_eq!((recall(0), recall(1)), (1.0, 0.0), "structure is kept, what is filtered by is not");
    assert!(shown.contains("recall 0.0000"), "{shown}");
    assert!(number(&report, "/ecan/dynamics/change/first_jaccard") < 0.5, "{report}");
    assert!(number(&report, "/ecan/dynamics/change/last_correlation") < 0.9, "{report}");
}

#[test]
fn evolution_goes_on_from_what_was_packed() {
    let folder = folder();
    let evolution = |flags: &str| {
        let pack = "opencog pack --force --moses best.combo --report r.json";
        let shown = folder.run(&format!("{pack} {flags} kb.scm kb.opencog.gguf")).success();
        let shown = String::from_utf8(shown.get_output().stdout.clone()).unwrap();
        (json(&folder, "r.json")["moses"]["evolution"].clone(), shown)
    };
    assert!(evolution("--moses-table train.csv").0.is_null());
    assert!(evolution("--validate").0.is_null(), "there is no table");
    let (told, shown) = evolution("--validate --moses-table train.csv");
    assert!(shown.contains("evolution    3 times 30000 programs"), "{shown}");
    let [start, uncoded, coded] =
        ["start", "uncoded", "coded"].map(|score| number(&told, &format!("/best/{score}")));
    assert_eq!(start, -0.3125, "of $x + 0.5");
    assert!(uncoded >= start && coded >= start, "{told}");
}

#[test]
fn what_goes_with_a_model_is_validated_too() {
    let folder = with_tiny();
    folder.write("things.scm", things().as_bytes());
    let flags = "--effort fast --validate --report r.json";
    for mode in ["--dry-run", ""] {
        folder.run(&format!("{mode} {flags} --atomspace things.scm in.gguf out.gguf")).success();
        let report = &json(&folder, "r.json")["opencog"];
        assert_eq!(number(report, "/atomspace/mining/1/agreement/recall"), 1.0);
        assert_eq!(number(report, "/ecan/dynamics/change/least_jaccard"), 1.0);
    }
    // Of what is kept of another companion there is no original.
    std::fs::rename(folder.path("out.opencog.gguf"), folder.path("in.opencog.gguf")).unwrap();
    folder.run(&format!("{flags} in.gguf again.gguf")).success();
    let report = &json(&folder, "r.json")["opencog"];
    assert!(number(report, "/atomspace/atoms") > 100.0);
    assert!(report["atomspace"]["mining"].is_null() && report["ecan"].is_null(), "{report}");
}
