//! MeTTa: packed, told of, asked, written again, alone and beside a model.

use predicates::prelude::*;

use crate::folder::Folder;
use crate::opencog::{json, number};

/// Seven atoms at the top, one twice; two commands; every sort of atom.
const ATOMS: &str = r#"; a family
(: parent Relation)
(parent Tom Bob) (parent Pam Bob)
!(import! &self more)
(parent Tom Bob)
(= (grandparent $x) (parent (parent $x)))
!(match &self (parent $x Bob) $x)
(age Bob 40 (STV 0.9 0.8)) (note "a;b\n\"q\"" True 1.50 1e3 +7)
"#;

/// The same as it is written again: as Hyperon prints it.
const WRITTEN: &str = r#"(: parent Relation)
(parent Tom Bob)
(parent Pam Bob)
(parent Tom Bob)
(= (grandparent $x) (parent (parent $x)))
(age Bob 40 (STV 0.9 0.8))
(note "a;b\n\"q\"" True 1.5 1000.0 7)
"#;

fn folder() -> Folder {
    let folder = Folder::empty();
    folder.write("kb.metta", ATOMS.as_bytes());
    folder
}

#[test]
fn it_is_packed_and_written_again_in_its_order() {
    let folder = folder();
    for flags in ["", "--at-rest", "--truth exact"] {
        folder.run(&format!("opencog pack -q --force {flags} kb.metta kb.opencog.gguf")).success();
        for target in ["", "--target metta"] {
            let export = format!("opencog export --force {target} kb.opencog.gguf again.metta");
            folder.run(&export).success().stdout(predicate::str::contains("lines        7"));
            assert_eq!(String::from_utf8(folder.read("again.metta")).unwrap(), WRITTEN);
        }
        let mapped = folder.read("kb.opencog.gguf");
        let again = format!("opencog pack -q {flags} --force again.metta again.opencog.gguf");
        folder.run(&again).success();
        // The second text has no commands; of those nothing is kept.
        assert!(mapped == folder.read("again.opencog.gguf"), "{flags}");
    }
}

#[test]
fn what_is_told_counts_the_top_and_the_commands() {
    let folder = folder();
    let has = predicate::str::contains;
    let top = || has("7 atoms at the top, 6 distinct, 1 with variables");
    let told = || top().and(has("commands     2 behind `!`: not run, not kept"));
    let pack = "opencog pack --report r.json kb.metta kb.opencog.gguf";
    folder.run(pack).success().stdout(told().and(has("2 x !, line 4, 7")));
    folder.run("opencog stats kb.metta").success().stdout(told());
    let stats = folder.run("opencog stats kb.opencog.gguf").success();
    stats.stdout(top().and(has("metta.order")).and(has("commands").not()));
    folder.run("opencog pack -q --at-rest kb.metta rest.opencog.gguf").success();
    folder
        .run("opencog stats rest.opencog.gguf")
        .success()
        .stdout(top().and(has("commands").not()));
    let report = json(&folder, "r.json");
    assert_eq!(number(&report, "/atomspace/metta/top"), 7.0);
    assert_eq!(number(&report, "/atomspace/metta/distinct"), 6.0);
    assert_eq!(number(&report, "/atomspace/metta/commands"), 2.0);
}

#[track_caller]
fn answer(folder: &Folder, file: &str, pattern: &str) -> String {
    let output = folder.command(crate::folder::PROGRAM, &["opencog", "query", file, pattern]);
    let output = { output }.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn patterns_are_answered_as_match_does() {
    let folder = folder();
    folder.run("opencog pack -q kb.metta kb.opencog.gguf").success();
    folder.run("opencog pack -q --at-rest kb.metta rest.opencog.gguf").success();
    for file in ["kb.metta", "kb.opencog.gguf", "rest.opencog.gguf"] {
        let answer = |pattern| {
            let text = answer(&folder, file, pattern);
            let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
            lines[1..].sort();
            lines
        };
        assert_eq!(answer("(parent $x Bob)"), ["$x", "Pam", "Tom", "Tom"]);
        assert_eq!(answer("(parent Tom Bob)"), ["yes", "yes"]);
        assert_eq!(answer("(parent Bob Tom)"), ["no"]);
        let both = answer("(, (parent $x $y) (age $y $n $t))");
        let lines =
            ["$x\t$y\t$n\t$t", "Pam\tBob\t40\t(STV 0.9 0.8)", "Tom\tBob\t40\t(STV 0.9 0.8)"];
        assert_eq!(both[..3], lines);
        assert_eq!(answer("(= (grandparent Ann) $r)"), ["$r", "(parent (parent Ann))"]);
        assert_eq!(answer("(note $s $b $f 1000.0 $i)")[1], "\"a;b\\n\\\"q\\\"\"\tTrue\t1.5\t7");
    }
    let limited = "opencog query --limit 2 kb.metta ($r)";
    folder.run(limited).success();
    let error = folder.refused("opencog query kb.metta (a");
    assert!(
        error.contains("kb.metta: the pattern: line 1, column 3: expected 1 more `)`"),
        "{error}"
    );
}

#[test]
fn truth_values_are_coded_only_by_a_codec_that_is_named() {
    let folder = folder();
    let pack = "opencog pack --truth uniform8 kb.metta kb.opencog.gguf";
    let told = predicate::str::contains("truth values 1, 1 distinct, coded with uniform8");
    folder.run(pack).success().stdout(told);
    folder.run("opencog export -q kb.opencog.gguf again.metta").success();
    let again = String::from_utf8(folder.read("again.metta")).unwrap();
    let coded = "(age Bob 40 (STV 0.9019607843137255 0.8))\n";
    assert_eq!(again, WRITTEN.replace("(age Bob 40 (STV 0.9 0.8))\n", coded));
}

#[test]
fn a_text_whose_name_says_the_other_language_is_refused() {
    let folder = folder();
    let scheme = "(Inheritance (stv 1 0.9) (Concept \"cat\") (Concept \"animal\"))\n";
    folder.write("scheme.metta", scheme.as_bytes());
    folder.write("metta.scm", ATOMS.as_bytes());
    folder.write("facts.scm", b"(parent Tom Bob)\n(Inheritance cat animal)\n");
    for (file, wrong, right) in [
        ("scheme.metta", "MeTTa", "AtomSpace text (Scheme)"),
        ("metta.scm", "AtomSpace text (Scheme)", "MeTTa"),
        ("facts.scm", "AtomSpace text (Scheme)", "MeTTa"),
    ] {
        let fault = format!("{file}: by its name it is {wrong}, but what stands in it is {right}");
        folder.refused_with(&format!("opencog pack {file} x.opencog.gguf"), &fault);
        folder.refused_with(&format!("opencog stats {file}"), &fault);
        folder.refused_with(&format!("opencog query {file} (a)"), &fault);
    }
    assert!(!folder.path("x.opencog.gguf").exists());
    // Of another name, what stands in it tells.
    folder.write("kb.txt", ATOMS.as_bytes());
    folder.write("scheme.txt", scheme.as_bytes());
    let has = predicate::str::contains;
    folder.run("opencog stats kb.txt").success().stdout(has("7 atoms at the top"));
    folder.run("opencog stats scheme.txt").success().stdout(has("3: 2 nodes, 1 links"));
}

#[test]
fn what_is_written_of_metta_is_packed_again() {
    let folder = Folder::empty();
    let nodes = "(EvaluationLink (PredicateNode \"eats\") (ListLink (ConceptNode \"Sam\")))\n";
    for (text, again) in [
        // Nothing but the command, which is not kept, says that it is MeTTa.
        (format!("{nodes}!(match &self $x $x)"), format!("; MeTTa\n{nodes}")),
        (
            format!("; MeTTa\n{}", "(Inheritance (stv 1 0.9) (Concept \"a\") (Concept \"b\"))\n"),
            "; MeTTa\n(Inheritance (stv 1 0.9) (Concept \"a\") (Concept \"b\"))\n".into(),
        ),
        ("(Concept \"a\")\n".into(), "(Concept \"a\")\n".into()),
        (
            "(cons 1 (cons 2 nil))\n(define foo 1)\n".into(),
            "(cons 1 (cons 2 nil))\n(define foo 1)\n".into(),
        ),
    ] {
        folder.write("kb.metta", text.as_bytes());
        folder.run("opencog pack -q --force kb.metta kb.opencog.gguf").success();
        folder.run("opencog export -q --force kb.opencog.gguf again.metta").success();
        assert_eq!(String::from_utf8(folder.read("again.metta")).unwrap(), again);
        folder.run("opencog pack -q --force again.metta again.opencog.gguf").success();
        folder.run("opencog export -q --force again.opencog.gguf third.metta").success();
        assert_eq!(folder.read("third.metta"), again.as_bytes());
    }
}

#[test]
#[cfg(unix)]
fn a_pipe_is_what_stands_in_it() {
    let folder = Folder::empty();
    let more = "(note \"a word\")\n".repeat(20_000);
    let metta = format!("(= (f $x) (g $x))\n{more}");
    let scheme = format!("(Concept \"$x\" (stv 1 0.5))\n{}", more.replace("note", "Concept"));
    for (text, told) in [(&metta, "20001 atoms at the top"), (&scheme, "atoms        2")] {
        let has = || predicate::str::contains(told);
        let piped = |args: &str| {
            let args: Vec<&str> = args.split(' ').collect();
            assert_cmd::Command::from_std(folder.command(crate::folder::PROGRAM, &args))
                .write_stdin(text.as_bytes())
                .assert()
                .success()
        };
        piped("opencog stats /dev/stdin").stdout(has());
        piped("opencog pack --force -q /dev/stdin kb.opencog.gguf");
        folder.run("opencog stats kb.opencog.gguf").success().stdout(has());
    }
    let ask = ["opencog", "query", "/dev/stdin", "(= (f $x) $y)"];
    let mut asked = assert_cmd::Command::from_std(folder.command(crate::folder::PROGRAM, &ask));
    asked.write_stdin(metta).assert().success().stdout("$x\t$y\n$x\t(g $x)\n");
}

#[test]
fn what_holds_one_language_is_not_written_as_the_other() {
    let folder = folder();
    folder.write("kb.scm", b"(List (Concept \"a\") (Concept \"b\"))");
    folder.run("opencog pack -q kb.metta metta.opencog.gguf").success();
    folder.run("opencog pack -q kb.scm scheme.opencog.gguf").success();
    folder.refused_with(
        "opencog export --target 5.0 metta.opencog.gguf x",
        "metta.opencog.gguf: its atoms are MeTTa: --target metta writes them",
    );
    folder.refused_with(
        "opencog export --target metta scheme.opencog.gguf x",
        "scheme.opencog.gguf: its atoms are those of an AtomSpace: --target 5.0 or 2026",
    );
    assert!(!folder.path("x").exists());
}

#[test]
fn a_broken_text_is_refused_where_it_is_broken() {
    let folder = Folder::empty();
    for (text, fault) in [
        ("(a b))", "line 1, column 6: expected an atom, found `)`"),
        ("(a\n (b)", "line 2, column 5: expected 1 more `)`"),
        ("(a \"b)", "line 1, column 4: expected a closing `\"`"),
        ("(a \"\\q\")", "line 1, column 4: expected one of the escapes"),
        ("(a $b#1)", "line 1, column 4: expected the name of a variable"),
        ("(a 99999999999999999999)", "line 1, column 4: expected an integer of at most 64 bits"),
        ("; nothing\n", "expected atoms, found none"),
        ("!(a) !(b)", "expected atoms, found only 2 commands (`!`)"),
    ] {
        folder.write("kb.metta", text.as_bytes());
        let fault = format!("kb.metta: {fault}");
        folder.refused_with("opencog pack kb.metta kb.opencog.gguf", &fault);
    }
    let depth = 100_000;
    folder.write("kb.metta", ("(".repeat(depth) + &")".repeat(depth)).as_bytes());
    folder.run("opencog pack -q kb.metta kb.opencog.gguf").success();
    folder.run("opencog export -q kb.opencog.gguf again.metta").success();
    assert_eq!(folder.read("again.metta").len(), 2 * depth + 1);
}

#[test]
fn it_lies_beside_a_model_and_is_kept() {
    let folder = Folder::with_tiny();
    folder.write("kb.metta", ATOMS.as_bytes());
    let quantize = "--effort fast -q --atomspace kb.metta in.gguf out.gguf";
    folder.run(quantize).success();
    folder.run("opencog export -q out.opencog.gguf again.metta").success();
    assert_eq!(String::from_utf8(folder.read("again.metta")).unwrap(), WRITTEN);
    std::fs::rename(folder.path("out.opencog.gguf"), folder.path("in.opencog.gguf")).unwrap();
    folder.run("--effort fast -q --force in.gguf out.gguf").success();
    assert_eq!(folder.read("in.opencog.gguf"), folder.read("out.opencog.gguf"));
    folder.run("--effort fast -q --force --disable-atomspace in.gguf other.gguf").success();
    assert!(!folder.path("other.opencog.gguf").exists());
}

#[test]
fn options_may_stand_between_the_files() {
    let folder = folder();
    folder.run("opencog pack kb.metta --truth exact kb.opencog.gguf -q").success();
    folder.run("opencog pack --force -q kb.metta a.opencog.gguf").success();
    assert!(folder.read("kb.opencog.gguf") == folder.read("a.opencog.gguf"));
    folder.write("a.combo", b"and($a $b)\n");
    folder.run("opencog pack -q --moses a.combo kb.metta --force kb.opencog.gguf").success();
    folder.run("opencog pack -q --force kb.opencog.gguf --moses a.combo").success();
    for pack in ["kb.metta", "kb.metta b.gguf c.gguf", "kb.metta -q b.gguf c.gguf", ""] {
        let misused = folder.run(&format!("opencog pack {pack}")).code(2);
        misused.stderr(predicate::str::contains("KB.opencog.gguf"));
    }
    assert!(!folder.path("b.gguf").exists());
}

#[test]
fn coded_truth_values_are_coded_so_again() {
    let folder = Folder::empty();
    let line = |i: u64| {
        let fraction =
            |x: u64| (x.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11) as f64 / (1u64 << 53) as f64;
        let (s, c) = (fraction(i + 1), fraction(i * 7 + 3));
        format!("(c{i} (STV {s} {c}))\n(k (c{i} (STV {s} {c})))\n")
    };
    let text: String = (0..2000).map(line).collect();
    folder.write("a.metta", text.as_bytes());
    let mut exact = Vec::new();
    for codec in ["chosen", "palette", "guarded-uniform8", "logcount8", "column8", "uniform8"] {
        let pack = |from: &str, to: &str| {
            let pack = format!("opencog pack -q --force --truth {codec} {from} {to}.opencog.gguf");
            folder.run(&pack).success();
            let export = format!("opencog export -q --force {to}.opencog.gguf {to}.metta");
            folder.run(&export).success();
        };
        pack("a.metta", "b");
        pack("b.metta", "c");
        assert!(folder.read("b.metta") == folder.read("c.metta"), "{codec}");
        assert!(folder.read("b.opencog.gguf") == folder.read("c.opencog.gguf"), "{codec}");
        match codec.ends_with('8') {
            true => assert!(folder.read("b.metta") != exact, "{codec}"),
            false => exact = folder.read("b.metta"),
        }
    }
}

#[test]
fn what_means_nothing_for_its_language_is_told() {
    let folder = folder();
    folder.write("mine.script", b"TWIN_LINK <- UNORDERED_LINK\n");
    folder.write("kb.scm", b"(List (Concept \"a\") (Concept \"b\"))");
    folder.run("opencog pack -q kb.metta metta.opencog.gguf").success();
    folder.run("opencog pack -q kb.scm scheme.opencog.gguf").success();
    for flags in ["--modules pln", "--types mine.script"] {
        let export = format!("opencog export {flags} metta.opencog.gguf again.metta");
        folder.refused_with(&export, "its atoms are MeTTa, of which --modules and --types");
    }
    for command in [
        "opencog pack --types mine.script kb.metta x.opencog.gguf",
        "opencog stats --types mine.script kb.metta",
        "opencog query --types mine.script kb.metta (a)",
        "opencog query --alias e=List metta.opencog.gguf (a)",
    ] {
        folder.refused_with(command, "its atoms are MeTTa, of which --alias and --types");
    }
    for (companion, name, warning) in [
        ("metta", "again.scm", "again.scm is MeTTa, which is not what its name says"),
        ("scheme", "again.metta", "again.metta is AtomSpace text (Scheme), which is not what"),
    ] {
        let export = format!("opencog export --force {companion}.opencog.gguf {name}");
        folder.run(&export).success().stdout(predicate::str::contains(warning));
    }
    let export = "opencog export --force metta.opencog.gguf again.metta";
    folder.run(export).success().stdout(predicate::str::contains("warning").not());
}
