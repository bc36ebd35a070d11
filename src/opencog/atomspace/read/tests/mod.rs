//! Texts in all their dialects, and what they say.

mod meaning;

use super::super::atom_store::{AtomId, AtomStore};
use super::super::export::print_atom;
use super::super::types::Kind;
use super::super::value::{AttentionValue, TruthValue, Value};
use super::*;

fn options(tv_merge: TvMerge) -> ReadOptions {
    ReadOptions { tv_merge, ..ReadOptions::default() }
}

fn read_all(text: &str) -> AtomSpace {
    let (space, summary) = read(text.as_bytes(), &ReadOptions::default()).unwrap();
    assert!(summary.skipped.is_empty(), "{}", summary.skipped);
    space
}

fn fault(text: &str) -> String {
    read(text.as_bytes(), &ReadOptions::default()).unwrap_err().to_string()
}

/// The atoms as text, in the order of their ids.
fn atoms(space: &AtomSpace) -> Vec<String> {
    let printed = |atom| {
        let mut out = Vec::new();
        print_atom(space, atom, &mut out);
        String::from_utf8(out).unwrap()
    };
    space.atoms().map(printed).collect()
}

fn concept(space: &AtomSpace, name: &str) -> AtomId {
    let of = space.find_type("ConceptNode", Kind::Node).unwrap();
    space.by_name(of, name.as_bytes()).unwrap()
}

fn simple(strength: f64, confidence: f64) -> Option<TruthValue> {
    Some(TruthValue::Simple { strength, confidence })
}

fn value_of(space: &AtomSpace, name: &str) -> Option<Value> {
    space.values(concept(space, name)).next().map(|(_, value)| value.to_value())
}

#[test]
fn the_printer_s_dumps_are_read() {
    let space = read_all(
        "(EvaluationLink (stv 0.5 0.25) (PredicateNode \"era\" (av -25 1 0)) ; [24]
           (ListLink (ConceptNode \"A\" (stv .5 1e-05)) (ConceptNode \"B\") ; [1][1]
           ) ; [2]
         ) ; [3]",
    );
    let all = r#"(PredicateNode "era")|(ConceptNode "A")|(ConceptNode "B")|(ListLink (ConceptNode "A")(ConceptNode "B"))|(EvaluationLink (PredicateNode "era")(ListLink (ConceptNode "A")(ConceptNode "B")))"#;
    assert_eq!(atoms(&space).join("|"), all);
    assert_eq!(space.truth_value(AtomId(4)), simple(0.5, 0.25));
    assert_eq!(space.truth_value(AtomId(1)), simple(0.5, 1e-5));
    let attention = AttentionValue { sti: -25.0, lti: 1.0, vlti: 0.0 };
    assert_eq!(space.attention_value(AtomId(0)), Some(attention));
}

#[test]
fn both_generations_of_truth_values_are_read() {
    let under = |value: &str| {
        let alist = format!("(cons (Predicate \"*-TruthValueKey-*\") {value})");
        let space = read_all(&format!("(Concept \"a\" (alist {alist}))"));
        assert_eq!(space.values(AtomId(0)).count(), space.atom_count() - 1);
        space.truth_value(AtomId(0))
    };
    assert_eq!(under("(SimpleTruthValue 0.1 0.2)"), simple(0.1, 0.2));
    assert_eq!(under("(FloatValue 0.1 0.2)"), simple(0.1, 0.2));
    let count = TruthValue::Count { strength: 0.1, confidence: -7.5, count: 3.0 };
    assert_eq!(under("(FloatValue 0.1 -7.5 3)"), Some(count));
    assert_eq!(under("(ctv 0.1 -7.5 3)"), Some(count));
    assert_eq!(under("(FloatValue 1)"), None);
    for (text, kind) in [("itv 1 2 3", 2), ("ptv 1 2 3", 3), ("ectv 1 2", 4), ("ftv 1 2", 5)] {
        let space = read_all(&format!("(Concept \"a\" ({text}))"));
        assert_eq!(space.truth_value(AtomId(0)).unwrap().kind() as usize, kind);
    }
}

#[test]
fn under_the_keys_of_truth_and_attention_there_is_one_value() {
    for (key, given) in [
        ("*-TruthValueKey-*", "(cog-set-tv! (Concept \"a\") (stv 0.5 0.25))"),
        ("*-AttentionValueKey-*", "(cog-set-av! (Concept \"a\") (av 1 2 0))"),
    ] {
        let set = |value: &str| {
            format!("(cog-set-value! (Concept \"a\") (Predicate \"{key}\") {value})\n")
        };
        let values = |text: &str| {
            let space = read_all(text);
            let others = space.values(AtomId(0)).count();
            let own = space.truth_value(AtomId(0)).is_some()
                || space.attention_value(AtomId(0)).is_some();
            (others, own)
        };
        assert_eq!(values(&set("(FloatValue 1)")), (1, false), "{key}");
        assert_eq!(values(&(set("(FloatValue 1)") + given)), (0, true), "{key}");
        assert_eq!(values(&(given.to_string() + &set("(FloatValue 1)"))), (1, false), "{key}");
        assert_eq!(values(&(set("(FloatValue 1)") + &set("#f"))), (0, false), "{key}");
    }
}

#[test]
fn values_of_all_kinds_are_read() {
    for (text, value) in [
        ("(FloatValue 1 2.5 -3e-10)", Value::Floats(vec![1.0, 2.5, -3e-10])),
        (r#"(StringValue "x" "q\"q")"#, Value::Strings(vec![b"x".to_vec(), b"q\"q".to_vec()])),
        ("(BoolValue 1 0)", Value::Bools(vec![true, false])),
        ("(BoolValue #xa)", Value::Bools(vec![true, false, true, false])),
        (
            "(LinkValue (VoidValue) (Concept \"a\"))",
            Value::Links(vec![Value::Void, Value::Atom(AtomId(0))]),
        ),
        ("(stv 0 1)", Value::Truth(TruthValue::Simple { strength: 0.0, confidence: 1.0 })),
        ("(Concept \"a\")", Value::Atom(AtomId(0))),
    ] {
        let command = format!("(cog-set-value! (Concept \"a\") (Predicate \"k\") {text})");
        assert_eq!(value_of(&read_all(&command), "a"), Some(value.clone()), "{text}");
        let dotted = format!("(Concept \"a\" (((Predicate \"k\") . {text})))");
        assert_eq!(value_of(&read_all(&dotted), "a"), Some(value), "{text}");
        for erase in ["#f", "'()"] {
            let both =
                format!("{command} (cog-set-value! (Concept \"a\") (Predicate \"k\") {erase})");
            assert_eq!(value_of(&read_all(&both), "a"), None);
        }
    }
}

#[test]
fn commands_are_done() {
    let space = read_all(
        r#"(cog-set-values! (Concept "a") (alist (cons (Predicate "k") (FloatValue 1))))
           (cog-set-tv! (Concept "a") (stv 0.3 0.4))
           (cog-set-av! (Concept "a") (av 1 2 3))
           (cog-new-link 'ListLink (cog-new-node 'ConceptNode "b") (Concept "a"))
           (cog-link 'ListLink (cog-node 'ConceptNode "b") (Concept "a"))"#,
    );
    assert_eq!(space.truth_value(concept(&space, "a")), simple(0.3, 0.4));
    assert_eq!(space.attention_value(concept(&space, "a")).unwrap().vlti, 3.0);
    assert_eq!(value_of(&space, "a"), Some(Value::Floats(vec![1.0])));
    assert_eq!(atoms(&space).last().unwrap(), r#"(ListLink (ConceptNode "b")(ConceptNode "a"))"#);
}

#[test]
fn aliases_come_from_the_file_or_the_caller() {
    let text = r#"(define e Evaluation) (define x (Predicate "expresses"))
        (e x (l (Gene "A") (Type 'Concept) (Number 1.0 2)))"#;
    let mut options = ReadOptions::default();
    let (_, summary) = read(text.as_bytes(), &options).unwrap();
    assert_eq!(summary.skipped.to_string(), "1 (.. (l ..) ..) (line 2)");
    options.aliases.push(("l".into(), "List".into()));
    let (space, summary) = read(text.as_bytes(), &options).unwrap();
    assert!(summary.skipped.is_empty());
    let last = r#"(EvaluationLink (PredicateNode "expresses")(ListLink (GeneNode "A")(TypeNode "ConceptNode")(NumberNode "1 2")))"#;
    assert_eq!(atoms(&space).last().unwrap(), last);
    options.aliases.push(("m".into(), "no-type".into()));
    assert!(read(text.as_bytes(), &options).unwrap_err().to_string().contains("m=no-type"));
}

fn passed(summary: &ReadSummary) -> u64 {
    summary.skipped.kinds().iter().map(|kind| kind.count).sum()
}

#[test]
fn what_is_not_wholly_defined_has_no_meaning() {
    for (text, expected) in [
        ("(define x (Concept \"a\") more) (List x)", ""),
        ("(define x (Concept \"a\") more) (Concept \"b\") (List x)", "(ConceptNode \"b\")"),
        ("(define e Evaluation more) (e (Concept \"b\"))", ""),
    ] {
        let (space, summary) = read(text.as_bytes(), &ReadOptions::default()).unwrap();
        assert_eq!(atoms(&space).join("|"), expected, "{text}");
        assert_eq!(passed(&summary), 2, "{text}");
    }
}

#[test]
fn a_command_that_lacks_something_takes_nothing_of_the_next_form() {
    for text in ["(cog-set-tv! (Concept \"a\"))", "(cog-set-av! (Concept \"a\"))"] {
        let all = format!("{text} (Concept \"b\")");
        let (space, summary) = read(all.as_bytes(), &ReadOptions::default()).unwrap();
        assert_eq!(atoms(&space), ["(ConceptNode \"b\")"], "{text}");
        assert_eq!(passed(&summary), 1);
        assert!(read(text.as_bytes(), &ReadOptions::default()).is_ok());
    }
    assert_eq!(
        fault("(cog-new-node)\n(Concept \"b\")").split(':').next(),
        Some("line 1, column 14")
    );
}

#[test]
fn what_is_skipped_leaves_no_trace_and_is_told() {
    let text = "scm\n(use-modules (opencog))\n#! (Concept \"no\") !#\n(define (f x) \"(\" #\\) x)
(List (Concept \"no\" (stv 0.1 0.1)) (Concept \"a\" (stv 0 0)) (f 1))
(Concept \"a\" (stv 0.5 0.5))\n(List (Concept \"a\" (alist (cons (Predicate \"k\") (OddValue 3)))))
'(quoted) 7 (Concept \"b\" (AtomSpace \"x\"))";
    let (space, summary) = read(text.as_bytes(), &ReadOptions::default()).unwrap();
    let expected = ["(ConceptNode \"a\")", "(ListLink (ConceptNode \"a\"))", "(ConceptNode \"b\")"];
    assert_eq!(atoms(&space), expected);
    assert_eq!(space.truth_value(AtomId(0)), simple(0.5, 0.5));
    let kinds: Vec<_> = summary.skipped.kinds().iter().map(|k| (&*k.name, k.lines[0])).collect();
    let expected = [
        ("the word `scm`", 1),
        ("(use-modules ..)", 2),
        ("#! .. !# or #| .. |#, a comment", 3),
        ("(define ..)", 4),
        ("(.. (f ..) ..)", 5),
        ("(OddValue ..) as a value", 7),
        ("(quoted ..)", 8),
        ("the word `7`", 8),
        ("(AtomSpace ..) of an atom", 8),
    ];
    assert_eq!(kinds, expected);
    assert_eq!((summary.forms, summary.atoms_written, summary.values_taken), (3, 4, 1));
}

#[test]
fn the_rule_for_repeated_values_is_followed() {
    let text = r#"(List (Concept "a" (stv 0.1 0.1)) (Concept "a" (stv 0.2 0.2)))
        (List (Concept "a" (stv 0.3 0.3)) (Concept "b" (stv 0.4 0.4)))
        (Concept "b" (stv 0.5 0.5)) (List (stv 0.6 0.6) (Concept "b" (stv 0.7 0.7)))
        (List (stv 0.8 0.8) (Concept "b"))"#;
    let by = |rule| {
        let (space, summary) = read(text.as_bytes(), &options(rule)).unwrap();
        let strength = |atom| space.truth_value(atom).unwrap().strength();
        let list = space.incoming(concept(&space, "b")).last().unwrap();
        let strengths = ["a", "b"].map(|name| strength(concept(&space, name)));
        (strengths, strength(list), summary.values_taken, summary.values_ignored)
    };
    assert_eq!(by(TvMerge::FirstNested), ([0.1, 0.5], 0.8, 5, 3));
    assert_eq!(by(TvMerge::Last), ([0.3, 0.7], 0.8, 8, 0));
}

#[test]
fn of_two_values_of_a_nested_atom_the_first_stays_whether_it_is_new_or_not() {
    for before in ["", "(Concept \"a\")\n"] {
        for [first, second] in [
            ["(stv 0.1 0.1)", "(stv 0.2 0.2)"],
            ["(stv 0.1 0.1)", "(alist (cons (Predicate \"*-TruthValueKey-*\") (stv 0.2 0.2)))"],
        ] {
            let text = format!("{before}(List (Concept \"a\" {first} {second}))");
            let by = |rule| {
                let (space, summary) = read(text.as_bytes(), &options(rule)).unwrap();
                let value = space.truth_value(concept(&space, "a"));
                (value, summary.values_taken, summary.values_ignored)
            };
            assert_eq!(by(TvMerge::FirstNested), (simple(0.1, 0.1), 1, 1), "{text}");
            assert_eq!(by(TvMerge::Last), (simple(0.2, 0.2), 2, 0), "{text}");
        }
        // At the top, the last one overwrites.
        let space = read_all(&format!("{before}(Concept \"a\" (stv 0.1 0.1) (stv 0.2 0.2))"));
        assert_eq!(space.truth_value(AtomId(0)), simple(0.2, 0.2));
    }
}

#[test]
fn unordered_links_are_one_atom() {
    let space = read_all(
        r#"(And (Concept "b") (Concept "a")) (And (Concept "a") (Concept "b"))
        (List (Concept "a") (Concept "b")) (List (Concept "b") (Concept "a"))"#,
    );
    assert_eq!(space.atom_count(), 5);
}

#[test]
fn depth_costs_no_stack() {
    let depth = 1_000_000;
    let text = "(List ".repeat(depth) + &")".repeat(depth);
    assert_eq!(read_all(&text).atom_count(), depth);
    assert!(fault(&"(List ".repeat(depth)).contains("line 1, column 1: the expression"));
}

#[test]
fn values_lie_in_each_other_to_a_limit() {
    let nested = |depth: usize| {
        let value = "(LinkValue ".repeat(depth) + &")".repeat(depth);
        format!("(cog-set-value! (Concept \"a\") (Predicate \"k\")\n {value})")
    };
    assert!(value_of(&read_all(&nested(Value::DEEPEST)), "a").is_some());
    assert!(fault(&nested(Value::DEEPEST + 1)).starts_with("line 2, column 14"));
    let atoms = "(Concept \"a\" (alist (cons (Concept \"a\") ".repeat(100_000);
    assert!(fault(&atoms).contains("deep"));
}

#[test]
fn broken_text_is_told_with_its_place() {
    for (text, told) in [
        ("(List\n (Concept \"a\")", "line 1, column 1: the expression that begins here never ends"),
        ("\n (Concept \"a", "line 2, column 11: the text that begins here never ends"),
        ("(Concept \"a\"))", "line 1, column 14: a `)` closes nothing"),
        ("(Concept)", "line 1, column 9: expected the name of this Concept"),
        ("(Concept \"a\" (Concept \"b\"))", "line 1, column 27: a node holds no atoms"),
        (
            "(Concept \"a\" \"b\")",
            "line 1, column 14: expected an atom, a value or `)`, found the text `b`",
        ),
        ("(Concept \"a\" (stv 1))", "expected number 2 of the 2 of a SimpleTruthValue, found `)`"),
        (
            "(Concept \"a\" (stv 1 1 1))",
            "expected `)` after 2 numbers of a SimpleTruthValue, found `1`",
        ),
        (
            "(Concept \"a\" (alist (cons (Predicate \"k\"))))",
            "column 42: expected a value, found `)`",
        ),
        ("(Concept \"a\" (alist \"k\"))", "expected (cons KEY VALUE), found the text `k`"),
        ("(cog-set-value! (Concept \"a\"))", "expected an atom, found `)`"),
    ] {
        assert!(fault(text).contains(told), "{text}: {}", fault(text));
    }
}

mod properties {
    use proptest::prelude::*;

    use super::super::super::compare::difference;
    use super::super::super::export::{ExportSummary, Rewritten, Target, export};
    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = read(&bytes[..], &ReadOptions::default());
        }

        #[test]
        fn any_heap_of_words_is_read_or_refused(
            text in r#"(\(|\(|\)|\)| |'|"a"|Concept|List|Set|Number|stv|alist|cons|\.|k|#f|cog-set-value! |define |LinkValue|FloatValue| 0\.5|Predicate|;|\n|av){0,60}"#,
        ) {
            let Ok((space, _)) = read(text.as_bytes(), &ReadOptions::default()) else { return Ok(()) };
            let mut out = Vec::new();
            let written = export(&space, &Target::AtomSpace5_0.into(), &mut out).unwrap();
            let (back, summary) = read(&out[..], &ReadOptions::default()).unwrap();
            prop_assert!(summary.skipped.is_empty());
            prop_assert!(is_same(&space, &back, &written.rewritten));
        }

        #[test]
        fn what_is_exported_is_read_back(atoms in any_atoms()) {
            let text = atoms.concat();
            for target in [Target::AtomSpace5_0, Target::AtomSpace2026] {
                let (space, summary) = read(text.as_bytes(), &ReadOptions::default()).unwrap();
                prop_assert!(summary.skipped.is_empty(), "{}", summary.skipped);
                let (first, written) = generation(&space, target);
                prop_assert!(is_same(&space, &first, &written.rewritten));
                // What was written once is written so again.
                let (second, written) = generation(&first, target);
                prop_assert_eq!(written.rewritten, Rewritten::default());
                prop_assert_eq!(difference(&first, &second), None);
            }
        }
    }

    /// Whether two spaces are the same, but for values that were written as something else.
    fn is_same(a: &AtomSpace, b: &AtomSpace, rewritten: &Rewritten) -> bool {
        let told = difference(a, b);
        told.is_none_or(|told| *rewritten != Rewritten::default() && told.starts_with("the "))
    }

    /// A space as it is read from its own text.
    fn generation(space: &AtomSpace, target: Target) -> (AtomSpace, ExportSummary) {
        let mut out = Vec::new();
        let written = export(space, &target.into(), &mut out).unwrap();
        let (back, summary) = read(&out[..], &ReadOptions::default()).unwrap();
        assert!(summary.skipped.is_empty(), "{}", summary.skipped);
        (back, written)
    }

    fn any_atoms() -> impl Strategy<Value = Vec<String>> {
        let number = prop_oneof![
            any::<f64>()
                .prop_filter("is a number", |x| x.is_finite())
                .prop_map(|x| format!("{x:e}")),
            (0..9u32).prop_map(|x| x.to_string()),
        ];
        let numbers = |n: usize| prop::collection::vec(number.clone(), n).prop_map(|n| n.join(" "));
        let name = r#"([a-c ]|\\"|\\\\|é|;|\(){0,3}"#;
        let truth = prop_oneof![
            numbers(2).prop_map(|n| format!("(stv {n})")),
            numbers(3).prop_map(|n| format!("(ctv {n})")),
            numbers(3).prop_map(|n| format!("(itv {n})")),
            numbers(3).prop_map(|n| format!("(av {n})")),
        ];
        let node = (prop_oneof![Just("Concept"), Just("SemeXNode"), Just("Predicate")], name)
            .prop_map(|(of, name)| format!("({of} \"{name}\")"));
        let flat = prop_oneof![
            numbers(4).prop_map(|n| format!("(FloatValue {n})")),
            name.prop_map(|text| format!("(StringValue \"{text}\" \"\")")),
            Just("(BoolValue 1 0)".to_owned()),
            Just("(BoolValue 1 0 1)".to_owned()),
            Just("(RandomStream 1 0)".to_owned()),
            node.clone(),
            numbers(2).prop_map(|n| format!("(stv {n})")),
        ];
        let value = flat.prop_recursive(3, 8, 3, |inner| {
            prop::collection::vec(inner, 0..3).prop_map(|v| format!("(LinkValue {})", v.concat()))
        });
        let key = prop_oneof![
            8 => node.clone(),
            1 => Just("(Predicate \"*-TruthValueKey-*\")".to_owned()),
            1 => Just("(Predicate \"*-AttentionValueKey-*\")".to_owned()),
        ];
        let pair = (key, value).prop_map(|(k, v)| format!("(alist (cons {k} {v}))"));
        let extra = prop_oneof![3 => Just(String::new()), 1 => truth, 1 => pair];
        let with_extra = (node, extra.clone())
            .prop_map(|(node, extra)| format!("{}{extra})", &node[..node.len() - 1]));
        let atom = with_extra.prop_recursive(4, 16, 3, move |inner| {
            let of = prop_oneof![Just("List"), Just("Set"), Just("WRLink")];
            (of, prop::collection::vec(inner, 0..4), extra.clone())
                .prop_map(|(of, held, extra)| format!("({of} {extra}{})", held.concat()))
        });
        prop::collection::vec(atom, 0..8)
    }
}
