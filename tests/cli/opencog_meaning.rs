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
fn scheme_is_read_whatever_its_comments_hold() {
    let (count, lines) = atoms(
        "#| uses $x as a variable, and (the notes \"are long |#
         (ListLink #;(ConceptNode \"dropped\") (ConceptNode \"kept\"))
         (define-public $x (Variable \"$x\")) (List $x)",
    );
    assert_eq!((count, lines.len()), (4, 2));
}

#[test]
fn of_two_definitions_the_first_is_kept_and_the_second_told_of() {
    let folder = Folder::empty();
    let first = "(DefineLink (DefinedSchemaNode \"f\")(ConceptNode \"a\"))\n";
    let second = first.replace("\"a\"", "\"b\"");
    folder.write("kb.scm", format!("{first}{second}").as_bytes());
    let told = predicate::str::contains("a second (DefineLink ..) of the same");
    folder.run("opencog pack kb.scm kb.opencog.gguf").success().stdout(told);
    let has = predicate::str::contains;
    let shown = folder.run("opencog export kb.opencog.gguf again.scm").success();
    shown.stdout(has("warning").not());
    assert_eq!(String::from_utf8(folder.read("again.scm")).unwrap(), first);
}

#[test]
fn numbers_in_base_sixteen_are_numbers() {
    let (count, lines) =
        atoms("(Number \"0x10\") (Number \"16\") (Number \"0x1p4\") (Number \"-0x.8\")");
    assert_eq!(count, 2);
    assert!(lines.contains(&"(NumberNode \"-0.5\")".to_owned()), "{lines:?}");
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

/// A text, packed with these flags; what is told.
fn packed(folder: &Folder, text: &str, flags: &str) -> String {
    folder.write("kb.scm", text.as_bytes());
    let shown = folder.run(&format!("opencog pack --force {flags} kb.scm kb.opencog.gguf"));
    String::from_utf8(shown.success().get_output().stdout.clone()).unwrap()
}

#[test]
fn a_link_is_kept_without_a_value_that_is_not_known() {
    let (_, lines) = atoms(
        "(Inheritance (Concept \"a\") (Concept \"b\") (GenericTruthValue 1 2))
         (List (FloatStream 1 2) (Concept \"c\") (stv 0.5 0.5))
         (Concept \"d\" (alist (cons (Predicate \"k\") (LinkValue (FloatValue 1) (FooValue 3)))))",
    );
    for part in [
        "(InheritanceLink (ConceptNode \"a\")(ConceptNode \"b\"))",
        "(ListLink (ConceptNode \"c\") (alist (cons (PredicateNode \"*-TruthValueKey-*\")(SimpleTruthValue 0.5 0.5))))",
        "(LinkValue (FloatValue 1))",
    ] {
        assert!(lines.iter().any(|line| line.contains(part)), "{part}: {lines:?}");
    }
}

#[test]
fn forms_that_only_scheme_reads_are_passed_over_and_told() {
    let folder = Folder::empty();
    let told = packed(
        &folder,
        "(cog-set-tv! (Concept \"a\") (cog-new-stv 0.5 0.6))
         (cog-set-value! (Concept \"a\") (Predicate \"k\") (FloatValue (list 1 2 3)))
         (Number (list 1 2 3)) (SexprAst \"(gunk)\") (Similarity \"x\") (Gene (Concept \"a\"))",
        "",
    );
    for part in
        ["truth values 1", "(SexprAst ..) with a name", "(Gene ..) that holds atoms", "--types"]
    {
        assert!(told.contains(part), "{part}: {told}");
    }
    folder.run("opencog export -q kb.opencog.gguf again.scm").success();
    let again = String::from_utf8(folder.read("again.scm")).unwrap();
    assert!(again.contains("(FloatValue 1 2 3)") && again.contains("(NumberNode \"1 2 3\")"));
}

#[test]
fn what_is_lost_with_a_state_is_told() {
    let state = |value: &str| format!("(State (Concept \"k\") (Concept \"{value}\"))");
    let text = format!(
        "(List {} (Concept \"z\") (stv .5 .5))\n\
         (cog-set-value! (Concept \"h\") (Predicate \"k\") {})\n{}",
        state("v1"),
        state("v1"),
        state("v2")
    );
    let told = packed(&Folder::empty(), &text, "");
    for part in [
        "values       0",
        "1 x a link that holds a state, which a later one took the place of, line 3",
        "2 x a value of or on a state, which a later one took the place of, line 3",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn little_memory_changes_nothing_and_too_little_is_told() {
    let folder = Folder::empty();
    let nested = "(Concept \"a\")\n(List (Concept \"a\" (stv 0.1 0.1) (stv 0.2 0.2)))\n";
    let state = "(State (Concept \"k\") (Concept \"v\"))\n";
    for (text, is_cut) in [
        (nested.to_owned(), true),
        (format!("(define a (Concept \"a\"))\n{nested}"), false),
        (format!("{nested}{state}"), false),
        (format!("{nested}(Lambda (Variable \"$x\") (List (Variable \"$x\")))\n"), false),
    ] {
        let told = packed(&folder, &text, "");
        assert!(!told.contains("warning"), "{told}");
        let whole = folder.read("kb.opencog.gguf");
        let told = packed(&folder, &text, "--memory 0.00000001");
        assert!(whole == folder.read("kb.opencog.gguf"), "{text}");
        assert_eq!(told.contains("warning"), !is_cut, "{told}");
        assert!(is_cut || told.contains("--memory allows: from the first `define`"), "{told}");
    }
    let told = packed(&folder, nested, "--memory 0.00000001 --validate");
    assert!(told.contains("--validate needs all that was read"), "{told}");
    folder.write("kb.metta", b"(a b)");
    let pack = "opencog pack --memory 0.00000001 kb.metta metta.opencog.gguf";
    folder.run(pack).success().stdout(predicate::str::contains("MeTTa is sorted in memory alone"));
}

#[test]
fn what_no_query_finds_is_refused_by_name() {
    let folder = Folder::empty();
    folder.write("kb.scm", b"(List (Concept \"a\") (Concept \"b\"))");
    for (pattern, named) in
        [("(List (Glob \"$x\"))", "GlobNode"), ("(Dual (List (Concept \"a\")))", "DualLink")]
    {
        let refused = folder.run_with(&["opencog", "query", "kb.scm", pattern]).code(1);
        refused.stderr(predicate::str::contains(named));
    }
}

#[test]
fn modules_are_known_by_the_names_of_their_repositories() {
    let text = "(GeneNode \"g\")\n(ConceptNode \"a\")";
    let (lines, told) = exported(text, "");
    assert!(lines.ends_with(&["(GeneNode \"g\")".to_owned()]) && told.contains("warning"));
    for module in ["agi-bio", "bioscience", "moses,agi-bio"] {
        let (_, told) = exported(text, &format!("--modules {module}"));
        assert!(!told.contains("warning"), "{told}");
    }
}

#[test]
fn what_is_rewritten_is_written_so_again() {
    let text = "(cog-set-value! (Concept \"a\") (Predicate \"*-TruthValueKey-*\") (BoolValue 1 0))
        (cog-set-value! (Concept \"b\") (Predicate \"k\") (BoolValue 1 0))";
    for target in ["5.0", "2026"] {
        let (first, told) = exported(text, &format!("--target {target}"));
        assert_eq!(told.contains("2 BoolValues"), target == "5.0", "{told}");
        let (second, _) = exported(&first.join("\n"), &format!("--target {target}"));
        assert_eq!(first, second);
    }
}

#[test]
fn a_program_that_a_table_does_not_suit_is_named_with_its_column() {
    let folder = Folder::empty();
    folder.write("best.combo", b"and($a $b)\nand($b $a)\nor($c $a)\n");
    folder.write("t.csv", b"t,a,b,c\n1,1,1,0.5\n0,1,0,0.25\n");
    let pack = "opencog pack --moses best.combo --moses-table t.csv best.opencog.gguf";
    folder.refused_with(pack, "t.csv: program 3, input `$c`: expected Boolean");
}

#[test]
fn a_folder_that_is_not_there_is_told_of_once() {
    let folder = Folder::empty();
    folder.write("kb.scm", b"(Concept \"a\")");
    let told = folder.refused("opencog pack kb.scm none/kb.opencog.gguf");
    assert!(told.trim_end().ends_with("create it first"), "{told}");
}
