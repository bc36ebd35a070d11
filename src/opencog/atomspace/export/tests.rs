//! What is written, line by line, and that it is read back.

use std::sync::Arc;

use super::super::builder::Builder;
use super::super::compare::difference;
use super::super::declarations::Declarations;
use super::super::read::{ReadOptions, read};
use super::super::space::AtomSpace;
use super::super::types::Kind;
use super::*;

const BOTH: [Target; 2] = [Target::AtomSpace5_0, Target::AtomSpace2026];

fn space(text: &str) -> AtomSpace {
    let (space, summary) = read(text.as_bytes(), &ReadOptions::default()).unwrap();
    assert!(summary.skipped.is_empty(), "{}", summary.skipped);
    space
}

/// The lines for a reader with these modules.
fn lines(text: &str, target: Target, modules: &[&str]) -> (Vec<String>, ExportSummary) {
    let modules = modules.iter().map(|name| name.to_string()).collect();
    let mut out = Vec::new();
    let to = Destination { modules, ..target.into() };
    let written = export(&space(text), &to, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    (text.lines().map(str::to_owned).collect(), written)
}

/// The text, which is read back without a difference.
fn exported(text: &str, target: Target) -> (String, ExportSummary) {
    let space = space(text);
    let mut out = Vec::new();
    let written = export(&space, &target.into(), &mut out).unwrap();
    let (back, summary) = read(&out[..], &ReadOptions::default()).unwrap();
    assert!(summary.skipped.is_empty(), "{}", summary.skipped);
    assert_eq!(difference(&space, &back), None);
    (String::from_utf8(out).unwrap(), written)
}

#[test]
fn lines_are_those_of_filestorage() {
    let text = r#"
        (Inheritance (stv 1 1) (Concept "Kecia") (Concept "soda drinker"))
        (Concept "v" (alist (cons (Predicate "k") (FloatValue 1 2.5 -3e-10))
            (cons (Predicate "s") (StringValue "x" "q\"q"))))
        (Concept "b" (ctv 0.3 0.4 5))
        (Concept "l" (alist (cons (Predicate "m") (LinkValue (FloatValue 1) (StringValue "z")))))
        (Concept "a" (av 10 20 0))"#;
    let lines = r#"(InheritanceLink (ConceptNode "Kecia")(ConceptNode "soda drinker") (alist (cons (PredicateNode "*-TruthValueKey-*")(SimpleTruthValue 1 1))))
(PredicateNode "k")
(PredicateNode "s")
(ConceptNode "v" (alist (cons (PredicateNode "k")(FloatValue 1 2.5 -3e-10))(cons (PredicateNode "s")(StringValue "x" "q\"q"))))
(ConceptNode "b" (alist (cons (PredicateNode "*-TruthValueKey-*")(CountTruthValue 0.3 0.4 5))))
(PredicateNode "m")
(ConceptNode "l" (alist (cons (PredicateNode "m")(LinkValue (FloatValue 1)(StringValue "z")))))
(ConceptNode "a")
(ConceptNode "a" (alist (cons (PredicateNode "*-AttentionValueKey-*")(AttentionValue 10 20 0))))
"#;
    let (out, summary) = exported(text, Target::AtomSpace5_0);
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&out), sorted(lines));
    assert_eq!((summary.lines, summary.rejected, summary.texts_of_lines), (9, 0, 0));
    let (new, _) = exported(text, Target::AtomSpace2026);
    assert!(new.contains("(cons (PredicateNode \"*-TruthValueKey-*\")(FloatValue 0.3 0.4 5))"));
    assert!(!new.contains("TruthValue "));
}

#[test]
fn what_upstream_rejects_comes_last_and_is_counted() {
    let text =
        "(List (Concept \"a\") (SemeXNode \"s\")) (SemeXNode \"b\") (Concept \"c\" (itv 0 1 0.9))
        (Concept \"d\") (Concept \"two\nlines\")
        (Concept \"e\" (alist (cons (Concept \"d\") (LinkValue (StringValue \"f\ng\" \"h\")))
            (cons (SemeXNode \"b\") (FloatValue 1))))";
    let (out, summary) = exported(text, Target::AtomSpace5_0);
    let expected = "(ListLink (ConceptNode \"a\")(SemeXNode \"s\"))\n(SemeXNode \"b\")\n\
        (ConceptNode \"e\" (alist (cons (SemeXNode \"b\")(FloatValue 1))))\n";
    assert!(out.ends_with(expected), "{out}");
    assert_eq!((summary.lines, summary.rejected, summary.texts_of_lines), (7, 3, 2));
}

#[test]
fn types_of_other_modules_are_known_where_these_are_named() {
    let text = "(Gene \"a\") (IntensionalInheritance (Concept \"a\") (Concept \"b\"))
        (Concept \"c\")";
    let count = |modules: &[&str]| lines(text, Target::default(), modules).1.rejected;
    assert_eq!([count(&[]), count(&["ure"]), count(&["ure", "bioscience"])], [2, 1, 0]);
    let (out, _) = lines(text, Target::default(), &[]);
    assert_eq!(out[0], "(ConceptNode \"c\")");
}

#[test]
fn attention_values_are_what_upstreams_code_asks_for() {
    let text = "(List (Concept \"a\" (av 10 20 1) (stv 1 1)) (Concept \"b\"))";
    let av = "(cons (PredicateNode \"*-AttentionValueKey-*\")(AttentionValue 10 20 1))";
    for target in BOTH {
        // A reader without the module stops at these, when it has all else.
        let (out, summary) = lines(text, target, &[]);
        assert_eq!(out[2], format!("(ConceptNode \"a\" (alist {av}))"));
        assert_eq!((summary.lines, summary.attention, summary.rejected), (3, 1, 0));
        let (out, summary) = lines(text, target, &["attention"]);
        assert!(out[0].contains(av) && out[0].contains("*-TruthValueKey-*"), "{out:?}");
        assert_eq!((summary.lines, summary.attention, summary.rejected), (2, 0, 0));
        exported(text, target);
    }
}

#[test]
fn constructors_take_what_comes_first() {
    let refused = |text: &str, target| lines(text, target, &[]).1.rejected > 0;
    for text in [
        "(Type \"ParseNode\")",
        "(Type \"Nonsense\")",
        "(ExecutionOutput (GroundedSchema \"scm:f\"))",
        "(ExecutionOutput (Concept \"f\") (List))",
        "(Number \"many\")",
        "(Number \"1e400\")",
        "(State (Concept \"a\"))",
        "(List (Define (Concept \"a\") (Concept \"b\")))",
        "(Not (List))",
        "(Plus (Concept \"a\"))",
        "(TypedVariable (Concept \"a\") (Type \"Concept\"))",
        "(VariableList (Concept \"a\"))",
        "(Present (Concept \"a\"))",
        "(Meet (Variable \"$x\") (Present (List (Variable \"$y\"))))",
        "(FunctionLink (Concept \"a\"))",
        "(Lambda)",
        "(StreamValueOf (Concept \"a\"))",
        "(SetValue (Concept \"a\"))",
    ] {
        assert!(BOTH.iter().all(|&target| refused(text, target)), "{text}");
    }
    for text in [
        "(Type \"Concept\") (Number \"[1, 2]\") (Number \"\") (Concept \"1e400\")",
        "(ExecutionOutput (GroundedSchema \"scm:f\") (List))",
        "(Not (Concept \"a\")) (And (List)) (Plus (Number 1) (Variable \"$x\"))",
        "(TypedVariable (Variable \"$x\") (Type \"Concept\"))",
        "(Meet (Variable \"$x\") (Present (List (Variable \"$x\"))))",
        "(Define (DefinedSchema \"a\") (Concept \"b\"))",
        "(List) (List (List))",
        "(Evaluation (Predicate \"p\"))",
    ] {
        assert!(!BOTH.iter().any(|&target| refused(text, target)), "{text}");
    }
    let mut builder = Builder::new();
    let [schema, concept] =
        ["DefinedSchema", "Concept"].map(|name| builder.add_type(name, Kind::Node).unwrap());
    let define = builder.add_type("Define", Kind::Link).unwrap();
    let key = builder.add_node(schema, b"a").unwrap().atom;
    for name in [b"b", b"c"] {
        let of = builder.add_node(concept, name).unwrap().atom;
        builder.add_link(define, &[key, of]).unwrap();
    }
    let written = export(&builder.finish(), &Target::default().into(), &mut Vec::new()).unwrap();
    assert_eq!(written.rejected, 1);
    let set = "(SetTV (Predicate \"p\") (Concept \"a\"))";
    assert!(!refused(set, Target::AtomSpace5_0));
    let of_2025 = "(Bind (Variable \"$x\") (List (Variable \"$x\")) (Variable \"$x\"))";
    assert_eq!(BOTH.map(|target| refused(of_2025, target)), [false, true]);
}

#[test]
fn what_is_derived_is_checked_as_what_it_is_derived_from() {
    let mut types = Declarations::default();
    types.add_script("MY_NUM_NODE <- NUMBER_NODE\nMY_STATE_LINK <- STATE_LINK").unwrap();
    let types = Arc::new(types);
    let options = ReadOptions { types: Some(types.clone()), ..ReadOptions::default() };
    let to = Destination { types, ..Target::default().into() };
    let rejected = |text: &str| {
        let space = read(text.as_bytes(), &options).unwrap().0;
        export(&space, &to, &mut Vec::new()).unwrap().rejected
    };
    assert_eq!(rejected("(MyNum \"0.5\") (MyNum \"many\")"), 1);
    let open = "(MyState (Concept \"k\") (Variable \"$x\"))";
    assert_eq!(rejected(&format!("{open} {}", open.replace("$x", "$y"))), 0);
    assert_eq!(rejected("(MyState (Concept \"k\"))"), 1);
}

/// A text of atoms that has one value.
fn with_value(value: &str) -> String {
    format!("(cog-set-value! (Concept \"a\") (Predicate \"k\") {value})")
}

const COMMAND: &str = "(cog-set-value! (ConceptNode \"a\") (PredicateNode \"k\")";

#[test]
fn values_that_hold_atoms_are_given_by_command() {
    let atom = "(ConceptNode \"y\")";
    for value in [
        atom,
        &format!("(LinkValue {atom})"),
        &format!("(LinkValue (FloatValue 1)(LinkValue (StringValue \"z\"){atom}))"),
        &format!("(QueueValue {atom})"),
    ] {
        let text = format!(
            "(List (Concept \"a\" (stv 1 0.5) (alist (cons (Predicate \"k\") {value})
                (cons (Predicate \"n\") (FloatValue 1)))))"
        );
        for target in BOTH {
            let (out, summary) = exported(&text, target);
            assert!(out.lines().any(|line| line == format!("{COMMAND}{value})")), "{out}");
            // The others stay in the line of the atom.
            let other = "(cons (PredicateNode \"n\")(FloatValue 1))))";
            let is_listed =
                |line: &str| line.contains("*-TruthValueKey-*") && line.ends_with(other);
            assert!(out.lines().any(is_listed), "{out}");
            assert_eq!((summary.lines, summary.rejected), (6, 0));
            // Atoms are in the order in which a text has them; all else is the same again.
            let sorted = |text: &str| {
                let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
                lines.sort();
                lines
            };
            assert_eq!(sorted(&exported(&out, target).0), sorted(&out));
        }
    }
}

#[test]
fn each_reader_gets_forms_that_it_takes() {
    let same = |text| (text, text);
    let queue = "(QueueValue (ConceptNode \"a\"))";
    let empty = same("(StringValue )");
    for (value, (old, new), changes) in [
        ("(BoolValue 1 0)", ("(FloatValue 1 0)", "(BoolValue 1 0)"), [1, 0]),
        ("(BoolValue)", ("(StringValue )", "(BoolValue)"), [1, 0]),
        ("(VoidValue)", ("(StringValue )", "(VoidValue)"), [1, 0]),
        ("(FloatValue)", ("(StringValue )", "(FloatValue)"), [1, 0]),
        ("(StringValue)", empty, [0, 0]),
        ("(LinkValue)", empty, [1, 1]),
        ("(LinkValue (LinkValue))", same("(LinkValue (StringValue ))"), [1, 1]),
        (queue, same(queue), [0, 0]),
        ("(QueueValue)", empty, [2, 2]),
        (
            "(UnisetValue (FloatValue 1))",
            ("(LinkValue (FloatValue 1))", "(UnisetValue (FloatValue 1))"),
            [1, 0],
        ),
        ("(FormulaStream (Number 1))", same("(LinkValue (NumberNode \"1\"))"), [1, 1]),
        ("(RandomStream 3)", same("(FloatValue 3)"), [1, 1]),
        (
            "(etv 1 4)",
            ("(EvidenceCountTruthValue 1 4)", "(FloatValue 0.25 0.004975124378109453)"),
            [0, 1],
        ),
        ("(ftv 1 0.5)", ("(SimpleTruthValue 1 0.5)", "(FloatValue 1 0.5)"), [1, 1]),
        ("(ptv 1 0.5 7)", ("(CountTruthValue 1 0.5 7)", "(FloatValue 1 0.5 7)"), [1, 1]),
        ("(itv 0 1 0.9)", ("(IndefiniteTruthValue 0.5 1 0 0.9)", "(FloatValue 0.5 0.9)"), [0, 1]),
        ("(FloatValue inf -inf)", same("(FloatValue inf -inf)"), [0, 0]),
    ] {
        for (i, (target, expected)) in BOTH.into_iter().zip([old, new]).enumerate() {
            let (out, summary) = lines(&with_value(value), target, &[]);
            let of = match expected.contains("Node") {
                true => format!("{COMMAND}{expected})"),
                false => {
                    format!("(ConceptNode \"a\" (alist (cons (PredicateNode \"k\"){expected})))")
                }
            };
            assert!(out.contains(&of), "{out:?}");
            let Rewritten { bools, empty, derived, truths } = summary.rewritten;
            assert_eq!(bools + empty + derived + truths, changes[i], "{value} {target:?}");
            assert_eq!(summary.rejected, 0);
            // What was written once is written so again.
            let again = lines(&out.concat(), target, &[]).0;
            assert!(again.contains(&of), "{again:?}");
        }
    }
}

#[test]
fn places_for_what_queries_find_are_not_written_where_the_reader_makes_them() {
    let query = "(QueryLink (VariableList (VariableNode \"$x\")(TypedVariableLink \
        (VariableNode \"$y\")(TypeNode \"ConceptNode\")))\
        (PresentLink (ListLink (VariableNode \"$x\")(VariableNode \"$y\")))(ConceptNode \"r\"))";
    let typed = "(TypedVariableLink (VariableNode \"$y\")(TypeNode \"ConceptNode\"))";
    let keys =
        [query, "(ConceptNode \"r\")", "(VariableNode \"$x\")", "(VariableNode \"$y\")", typed];
    let places: String = keys.map(|key| format!("(cons {key} (UnisetValue ))")).concat();
    let kept = "(cons (PredicateNode \"k\")(FloatValue 1))";
    let text = format!("{}(alist {places} {kept}))", query.strip_suffix(')').unwrap());
    let (out, summary) = lines(&text, Target::AtomSpace2026, &[]);
    let of = format!("{} (alist {kept}))", query.strip_suffix(')').unwrap());
    assert!(out.contains(&of), "{out:?}");
    assert_eq!((summary.rewritten.empty, summary.rejected), (0, 0));
    // A reader that makes none gets what is nearest to them.
    assert_eq!(lines(&text, Target::AtomSpace5_0, &[]).1.rewritten.empty, 5);
}

#[test]
fn names_that_end_with_a_backslash_get_their_values_by_command() {
    let text = r#"(List (Concept "a\\" (stv 1 0.5)) (Concept "b\\"))"#;
    let (out, _) = exported(text, Target::AtomSpace5_0);
    let command = r#"(cog-set-value! (ConceptNode "a\\") (PredicateNode "*-TruthValueKey-*")(SimpleTruthValue 1 0.5))"#;
    assert!(out.lines().any(|line| line == command), "{out}");
}

#[test]
fn truth_values_that_the_target_cannot_name_are_counted() {
    let text = "(Concept \"a\" (stv 1 1)) (Concept \"b\" (ctv 1 1 1)) (Concept \"c\" (etv 1 2))
        (Concept \"d\" (itv 0 1 0.9) (alist (cons (Concept \"a\") (LinkValue (itv 0 1 1) (stv 1 1)))))
        (Concept \"e\" (alist (cons (Concept \"a\") (stv 1 1)))) (Concept \"f\" (ftv 1 1))";
    let lost = BOTH.map(|target| lines(text, target, &[]).1.rewritten.truths);
    assert_eq!(lost, [1, 6]);
}

#[test]
fn numbers_under_the_key_of_truth_values_are_such_or_told_of() {
    let text = "(define key (Predicate \"*-TruthValueKey-*\"))
        (cog-set-value! (Concept \"a\") key (FloatValue 0.5 0.25))
        (cog-set-value! (Concept \"b\") key (FloatValue 1))";
    let (old, summary) = exported(text, Target::AtomSpace5_0);
    assert!(
        old.contains("(cons (PredicateNode \"*-TruthValueKey-*\")(SimpleTruthValue 0.5 0.25))")
    );
    assert_eq!(summary.no_truths, 1);
    let (new, summary) = exported(text, Target::AtomSpace2026);
    assert!(new.contains("(cons (PredicateNode \"*-TruthValueKey-*\")(FloatValue 0.5 0.25))"));
    assert_eq!(summary.no_truths, 0);
}

#[test]
fn atoms_of_exponential_text_are_refused() {
    let mut text = String::from("(define a0 (List))");
    for i in 0..64 {
        text += &format!("(define a{} (List a{i} a{i}))", i + 1);
    }
    let space = space(&text);
    assert_eq!(space.atom_count(), 65);
    assert!(export(&space, &Target::default().into(), &mut Vec::new()).is_err());
}

#[test]
fn atoms_are_counted_as_often_as_they_are_written() {
    let text = "(define deep (List (List (Concept \"a\"))))
        (cog-set-value! (Concept \"b\") deep (LinkValue deep (LinkValue deep (FloatValue 1))))";
    let space = space(text);
    let mut out = Vec::new();
    export(&space, &Target::default().into(), &mut out).unwrap();
    let parts = out.windows(6).filter(|part| matches!(*part, b"(ListL" | b"(Conce")).count();
    assert_eq!((parts, size::atoms_written(&space)), (1 + 3 * 3 + 3, 13));
}

#[test]
fn depth_costs_no_stack() {
    let depth = 200_000;
    let text = "(List ".repeat(depth) + &")".repeat(depth);
    let (out, _) = exported(&text, Target::default());
    assert_eq!(out.len(), "(ListLink ".len() * depth + depth + 1);
}

#[test]
fn what_is_rewritten_under_the_own_keys_is_written_so_again() {
    for (key, value) in [
        ("*-TruthValueKey-*", "(BoolValue 1 0)"),
        ("*-TruthValueKey-*", "(BoolValue 1 0 1)"),
        ("*-TruthValueKey-*", "(RandomStream 0.5 0.25)"),
        ("*-TruthValueKey-*", "(BoolValue 1)"),
        ("*-TruthValueKey-*", "(LinkValue (BoolValue 1 0))"),
        ("*-AttentionValueKey-*", "(BoolValue 1 0 1)"),
        ("*-AttentionValueKey-*", "(ctv 1 2 3)"),
        ("*-AttentionValueKey-*", "(Float32Value 1 2 3)"),
    ] {
        let pairs = format!(
            "(cons (Predicate \"a\") (FloatValue 1)) (cons (Predicate \"{key}\") {value}) \
             (cons (Predicate \"b\") (FloatValue 1))"
        );
        let text = format!(
            "(cog-set-value! (Concept \"x\") (Predicate \"{key}\") {value})
             (Concept \"y\" (alist {pairs})) (List (Concept \"y\") (Concept \"x\"))"
        );
        for target in BOTH {
            for modules in [&[][..], &["attention"]] {
                let (first, told) = lines(&text, target, modules);
                let (second, again) = lines(&first.join("\n"), target, modules);
                // A companion has its atoms in one order.
                let sorted = |mut lines: Vec<String>| {
                    lines.sort();
                    lines
                };
                assert_eq!(sorted(first), sorted(second), "{key} {value} {target:?}");
                assert_eq!(again.rewritten, Rewritten::default());
                let is_changed = told.rewritten != Rewritten::default();
                let is_bool = value.contains("BoolValue");
                assert!(is_changed || !(is_bool && target == Target::AtomSpace5_0), "{value}");
            }
        }
    }
}
