//! What texts of OpenCog mean, and what is written of them: as much as OpenCog itself makes of it.

use predicates::prelude::*;

use crate::folder::Folder;

/// The lines that are written of a text, and what is told.
fn exported(text: &str, flags: &str) -> (Vec<String>, String) {
    let folder = Folder::empty();
    folder.write("kb.scm", text.as_bytes());
    folder.run("opencog pack -q kb.scm kb.opencog.gguf").success();
    let shown = folder.run(&format!("opencog export {flags} kb.opencog.gguf again.scm")).success();
    let told = String::from_utf8(shown.get_output().stdout.clone()).unwrap();
    let lines = String::from_utf8(folder.read("again.scm")).unwrap();
    (lines.lines().map(str::to_owned).collect(), told)
}

/// How many atoms there are in a text, and the lines of it again.
fn atoms(text: &str) -> (u64, Vec<String>) {
    let folder = Folder::empty();
    folder.write("kb.scm", text.as_bytes());
    folder.run("opencog pack -q --report r.json kb.scm kb.opencog.gguf").success();
    let report = crate::opencog::json(&folder, "r.json");
    (report["atomspace"]["atoms"].as_u64().unwrap(), exported(text, "").0)
}

#[test]
fn a_key_has_the_state_that_was_given_last() {
    let (count, lines) = atoms(
        "(StateLink (ConceptNode \"robot\") (ListLink (ConceptNode \"asleep\")(ConceptNode \"bed\")))
         (StateLink (ConceptNode \"robot\") (ConceptNode \"awake\"))",
    );
    assert_eq!(count, 6);
    let states: Vec<_> = lines.iter().filter(|line| line.contains("StateLink")).collect();
    assert_eq!(states, ["(StateLink (ConceptNode \"robot\")(ConceptNode \"awake\"))"]);
}

#[test]
fn types_of_pln_are_what_they_are_there() {
    let (count, lines) = atoms(
        "(IntensionalSimilarityLink (ConceptNode \"a\") (ConceptNode \"b\") (stv 0.5 0.5))
         (IntensionalSimilarityLink (ConceptNode \"b\") (ConceptNode \"a\") (stv 0.75 0.5))
         (ImplicationScope (VariableNode \"$X\") (ConceptNode \"p\") (ConceptNode \"q\"))
         (ImplicationScopeLink (VariableNode \"$X\") (ConceptNode \"p\") (ConceptNode \"q\"))",
    );
    assert_eq!(count, 7);
    assert!(lines.iter().any(|line| line.contains("(SimpleTruthValue 0.75 0.5)")), "{lines:?}");
}

#[test]
fn scopes_that_differ_in_the_names_of_variables_are_one_atom() {
    let (count, lines) = atoms(
        "(LambdaLink (VariableNode \"$X\") (ListLink (VariableNode \"$X\") (ConceptNode \"a\")))
         (LambdaLink (VariableNode \"$Y\") (ListLink (VariableNode \"$Y\") (ConceptNode \"a\")))",
    );
    assert_eq!((count, lines.len()), (4, 1));
}

#[test]
fn what_is_given_once_or_defined_is_kept() {
    let (_, lines) = atoms(
        "(ListLink (ConceptNode \"parse\") (ConceptNode \"other\"))
         (ParseLink (ConceptNode \"parse\" (stv 1 0.8976)) (ConceptNode \"sentence\"))
         (define none (av 0 0 0)) (ConceptNode \"Networking\" none) (ConceptNode \"kept\")",
    );
    for part in ["(SimpleTruthValue 1 0.8976)", "(AttentionValue 0 0 0)", "(ConceptNode \"kept\")"]
    {
        assert!(lines.iter().any(|line| line.contains(part)), "{part}: {lines:?}");
    }
}

#[test]
fn values_of_other_kinds_are_values() {
    let (count, lines) = atoms(
        "(ConceptNode \"keep\")
         (ListLink (ConceptNode \"z\") (ConceptNode \"a\" (stv 0.5 0.5)
            (alist (cons (PredicateNode \"k\") (QueueValue (ConceptNode \"x\")))
                (cons (PredicateNode \"s\") (FormulaStream (NumberNode \"1\"))))))",
    );
    assert_eq!(count, 8);
    assert!(!lines.iter().any(|line| line.contains("FormulaStreamLink")), "{lines:?}");
    assert!(
        lines.iter().any(|line| line.contains("(QueueValue (ConceptNode \"x\"))")),
        "{lines:?}"
    );
    let folder = Folder::empty();
    folder.write(
        "kb.scm",
        b"(Concept \"a\" (stv 1 1) (alist (cons (Predicate \"k\") (OddValue 1))))",
    );
    let told = "skipped      1 x (OddValue ..) as a value, line 1";
    let shown = folder.run("opencog pack kb.scm kb.opencog.gguf").success();
    shown.stdout(predicate::str::contains(told).and(predicate::str::contains("truth values 1")));
}

#[test]
fn attention_values_are_those_of_the_attention_module() {
    let text = "(ConceptNode \"a\" (av 10 20 1))";
    for target in ["5.0", "2026"] {
        let (lines, told) = exported(text, &format!("--target {target}"));
        assert_eq!(lines[0], "(ConceptNode \"a\")");
        assert!(lines[1].contains("(AttentionValue 10 20 1)"), "{lines:?}");
        assert!(told.contains("1 lines, near the end, have attention values"), "{told}");
        let (lines, told) = exported(text, &format!("--target {target} --modules attention"));
        assert!(lines.len() == 1 && !told.contains("warning"), "{told}");
    }
}

#[test]
fn what_the_reader_stops_at_is_last_or_not_there() {
    let text = "(ConceptNode \"a\" (alist (cons (PredicateNode \"k\") (BoolValue 1))
            (cons (PredicateNode \"e\") (LinkValue))))
         (TypeNode \"ParseNode\")
         (ExecutionOutputLink (GroundedSchemaNode \"scm:f\"))
         (ListLink (ConceptNode \"c\") (ConceptNode \"d\"))";
    let (lines, told) = exported(text, "");
    let last = ["(TypeNode \"ParseNode\")", "(ExecutionOutputLink (GroundedSchemaNode \"scm:f\"))"];
    assert!(lines.ends_with(&last.map(str::to_owned)), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("(FloatValue 1)")), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("BoolValue") || line.contains("(LinkValue )")));
    for part in ["2 lines, the last ones", "1 BoolValues", "1 empty values"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let (lines, told) = exported(text, "--modules lg");
    assert!(lines[lines.len() - 2] != last[0] && told.contains("1 lines, the last ones"), "{told}");
    let folder = Folder::empty();
    folder.run("opencog export --modules plm x.opencog.gguf x.scm").code(2).stderr(
        predicate::str::contains("expected one of").and(predicate::str::contains("attention")),
    );
}

#[test]
fn values_that_hold_atoms_are_given_by_command() {
    let text = "(ConceptNode \"a\" (alist (cons (PredicateNode \"m\") (ConceptNode \"y\"))
            (cons (PredicateNode \"n\") (FloatValue 1))))";
    let command = "(cog-set-value! (ConceptNode \"a\") (PredicateNode \"m\")(ConceptNode \"y\"))";
    for target in ["5.0", "2026"] {
        let (lines, _) = exported(text, &format!("--target {target}"));
        assert!(lines.iter().any(|line| line == command), "{lines:?}");
        assert!(!lines.iter().any(|line| line.contains("(cons (PredicateNode \"m\")")));
        assert_eq!(exported(&lines.join("\n"), &format!("--target {target}")).0, lines);
    }
}

#[test]
fn what_is_not_surely_taken_is_last_and_counted() {
    let text = "(PutLink (VariableList (VariableNode \"$x\") (VariableNode \"$y\"))
            (VariableNode \"$x\") (ConceptNode \"a\"))
         (EqualLink (ConceptNode \"a\") (ConceptNode \"b\"))
         (ListLink (ConceptNode \"c\") (ConceptNode \"d\"))";
    for (target, count) in [("5.0", 1), ("2026", 2)] {
        let (lines, told) = exported(text, &format!("--target {target}"));
        assert!(told.contains(&format!("{count} lines, the last ones")), "{told}");
        let last = &lines[lines.len() - count..];
        assert!(last.iter().any(|line| line.starts_with("(PutLink")), "{lines:?}");
        assert!(!last.iter().any(|line| line.starts_with("(ListLink")), "{lines:?}");
    }
}

#[test]
fn types_of_ones_own_are_declared_by_a_script() {
    let folder = Folder::empty();
    let both =
        "(Twin (Concept \"a\") (Concept \"b\"))\n(TwinLink (Concept \"b\") (Concept \"a\"))\n";
    folder.write("kb.scm", both.as_bytes());
    folder.write("mine.script", b"// mine\nTWIN_LINK <- UNORDERED_LINK\n");
    let has = predicate::str::contains;
    folder.run("opencog stats kb.scm").success().stdout(has("atoms        4"));
    folder.run("opencog stats --types mine.script kb.scm").success().stdout(has("atoms        3"));
    folder.run("opencog pack -q --types mine.script kb.scm kb.opencog.gguf").success();
    let pattern = r#"(Twin (Concept "b") (Variable "$x"))"#;
    let ask = ["opencog", "query", "--types", "mine.script", "kb.opencog.gguf", pattern];
    folder.run_with(&ask).success().stdout("$x\n(ConceptNode \"a\")\n");
    let export = "opencog export --force kb.opencog.gguf again.scm";
    folder.run(export).success().stdout(has("1 lines, the last ones"));
    let export = format!("{export} --types mine.script");
    folder.run(&export).success().stdout(has("warning").not());
    folder.write("bad.script", b"TWIN_LINK <- NO_LINK\n");
    let pack = "opencog pack --force --types bad.script kb.scm kb.opencog.gguf";
    folder.refused_with(pack, "bad.script: line 1: expected a parent of TwinLink");
}

/// A text whose values no 256 levels tell apart.
fn many_values() -> String {
    let atom = |i: u32| {
        let (s, c) = (f64::from(i * i % 2999) / 2999.0, f64::from(i) / (f64::from(i) + 800.0));
        let av = f64::from(i * 7 % 1501) - 300.5;
        format!("(Concept \"{i}\" (stv {s} {c}) (av {av} {} {}))\n(Number {s})\n", i % 700, i % 3)
    };
    (0..3000).map(atom).collect()
}

#[test]
fn what_was_exported_is_packed_to_the_same_bytes() {
    let folder = Folder::empty();
    folder.write("kb.scm", many_values().as_bytes());
    let truths =
        ["chosen", "exact", "palette", "guarded-uniform8", "logcount8", "column8", "uniform8"];
    let attentions = ["chosen", "exact", "palette", "geometric", "uniform", "chosen", "palette"];
    for (truth, attention) in truths.into_iter().zip(attentions) {
        let coding = format!("--truth {truth} --attention {attention}");
        folder.run(&format!("opencog pack -q --force {coding} kb.scm a.opencog.gguf")).success();
        folder.run("opencog export -q --force a.opencog.gguf a.scm").success();
        folder.run(&format!("opencog pack -q --force {coding} a.scm b.opencog.gguf")).success();
        assert!(folder.read("a.opencog.gguf") == folder.read("b.opencog.gguf"), "{coding}");
        folder.run("opencog export -q --force b.opencog.gguf b.scm").success();
        assert!(folder.read("a.scm") == folder.read("b.scm"), "{coding}");
    }
    let programs: String =
        (0..200).map(|i| format!("-1 +({} $x)\n", 1.0 / f64::from(i + 3))).collect();
    folder.write("a.combo", programs.as_bytes());
    for codec in ["palette", "lattice", "uniform"] {
        let pack = |from: &str, to: &str| {
            let flags = format!("--moses {from}.combo --moses-constants {codec}");
            folder.run(&format!("opencog pack -q --force {flags} {to}.opencog.gguf")).success();
        };
        pack("a", "a");
        folder.run("opencog export -q --force --moses b.combo a.opencog.gguf").success();
        pack("b", "b");
        assert!(folder.read("a.opencog.gguf") == folder.read("b.opencog.gguf"), "{codec}");
    }
}

#[test]
fn little_is_not_worth_a_loss() {
    let folder = Folder::empty();
    let truth = |name: &str, count: u32| {
        let atom = |i: u32| {
            let (s, c) = (f64::from(i) / 9000.0 + 0.3, 0.9 - f64::from(i) / 9000.0);
            format!("(List (Concept \"{name}{i}\" (stv {s} {c})))\n")
        };
        folder.write("kb.scm", (0..count).map(atom).collect::<String>().as_bytes());
        folder.run("opencog pack -q --force --report r.json kb.scm a.opencog.gguf").success();
        let truth = crate::opencog::json(&folder, "r.json")["atomspace"]["truth"].clone();
        folder.run("opencog export -q --force a.opencog.gguf a.scm").success();
        folder.run("opencog pack -q --force a.scm b.opencog.gguf").success();
        assert!(folder.read("a.opencog.gguf") == folder.read("b.opencog.gguf"), "{name}");
        truth
    };
    // Where names take the most bytes, values are kept as they are, and what that costs is told.
    let exact = truth(&"long ".repeat(100), 300);
    assert_eq!(
        (&exact["codec"], &exact["damage"]["strength"]["max_error"]),
        (&"exact".into(), &0.0.into())
    );
    let saved = exact["declined"]["bytes"].as_u64().unwrap();
    assert!((1..9000).contains(&saved), "{exact}");
    let lossy = truth("", 3000);
    assert!(lossy["codec"] != "exact" && lossy["declined"].is_null(), "{lossy}");
    assert!(lossy["damage"]["strength"]["max_error"].as_f64().unwrap() > 0.0, "{lossy}");
}

#[test]
fn demes_and_behavioral_scores_come_back() {
    let folder = Folder::empty();
    let line = "-3 and($a !$b) [score=-3, penalized score=-5, complexity=2, complexity penalty=2, \
                uniformity penalty=0] demeID: 1.2.SS-3 behavioral score: [-1 0]\n";
    folder.write("deme.combo", line.as_bytes());
    folder.run("opencog pack -q --moses deme.combo deme.opencog.gguf").success();
    folder.run("opencog export -q --moses again.combo deme.opencog.gguf").success();
    let again = String::from_utf8(folder.read("again.combo")).unwrap();
    for part in ["-3 and($a !$b)", "demeID: 1.2.SS-3", "behavioral score: [-1 0]", "complexity=2"] {
        assert!(again.contains(part), "{again}");
    }
}

#[test]
fn tables_may_be_compressed_or_end_rows_with_commas_and_are_named() {
    let folder = Folder::empty();
    folder.write("best.combo", b"and($a $b)\n");
    let pack = |table: &str| {
        format!("opencog pack --force --moses best.combo --moses-table {table} best.opencog.gguf")
    };
    folder.write("t.csv", b"t,a,b,\n1,1,1,\n0,1,0,\n");
    folder.write("t.ctable", b"t,a,b\n{1:21,0:9},1,1\n{0:3},0,1\n");
    for table in ["t.csv", "t.ctable"] {
        folder.run(&pack(table)).success().stdout(predicate::str::contains("programs     1"));
    }
    folder.write("other.csv", b"t,a,c\n1,1,1\n0,1,0\n");
    folder.refused_with(&pack("other.csv"), "other.csv: ");
    folder.write("numbers.csv", b"t,a,b\n1.5,1,1\n0,1,0\n");
    folder.refused_with(&pack("numbers.csv"), "numbers.csv: ");
}
