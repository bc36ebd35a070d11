//! What texts mean: as much as AtomSpace makes of them.

use super::*;

#[test]
fn a_value_that_is_given_once_is_kept() {
    let space = read_all(
        r#"(List (Concept "parse") (Concept "other") (Concept "noted" (av 1 0 0)))
        (ParseLink (Concept "parse" (stv 1 0.8976)) (Concept "noted" (stv 0.5 0.5) (av 2 0 0)))
        (List (Concept "parse" (alist (cons (Predicate "k") (FloatValue 1)))))
        (List (Concept "parse" (stv 0 1) (alist (cons (Predicate "k") (FloatValue 2)))))"#,
    );
    let [parse, noted] = ["parse", "noted"].map(|name| concept(&space, name));
    assert_eq!(space.truth_value(parse), simple(1.0, 0.8976));
    assert_eq!(value_of(&space, "parse"), Some(Value::Floats(vec![1.0])));
    assert_eq!(space.truth_value(noted), simple(0.5, 0.5));
    assert_eq!(space.attention_value(noted).unwrap().sti, 1.0);
}

#[test]
fn a_value_of_an_unknown_kind_is_passed_over_alone() {
    for odd in [
        "(OddValue (Concept \"x\") 3)",
        "(OddStream)",
        "(LinkValue (OddStream) (OddValue (OddValue)))",
        "(FloatValue 1 two)",
        "(proc \"(\")",
        "word",
        "'(1 2)",
        "(stv (foo 1) 2)",
        "(QueueValue 1 \"a\")",
    ] {
        let pairs = format!(
            "(cons (Predicate \"k\") (FloatValue 1)) (cons (Predicate \"l\") {odd}) \
             (cons (proc) (FloatValue 1))"
        );
        let text = format!(
            "(List (Concept \"z\") (Concept \"a\" (stv 0.5 0.5) (alist {pairs})))
             (cog-set-value! (Concept \"b\") (Predicate \"k\") {odd})
             (Concept \"c\" (stv high 1)) (Concept \"d\" {odd}) (Concept \"keep\")"
        );
        let (space, summary) = read(text.as_bytes(), &ReadOptions::default()).unwrap();
        assert_eq!(space.truth_value(concept(&space, "a")), simple(0.5, 0.5), "{odd}");
        assert_eq!(value_of(&space, "a"), Some(Value::Floats(vec![1.0])), "{odd}");
        for name in ["b", "c", "keep"] {
            assert_eq!(space.values(concept(&space, name)).count(), 0, "{odd}");
        }
        assert!(passed(&summary) >= 4, "{odd}: {}", summary.skipped);
        assert_eq!(space.find_type("OddValue", Kind::Link), None);
    }
}

#[test]
fn a_link_is_there_without_the_values_that_are_not_known() {
    let list = "(ListLink (ConceptNode \"a\")(ConceptNode \"b\"))";
    for odd in [
        "(GenericTruthValue 1 2)",
        "(WeirdValue (WeirdValue (proc \"(\")) 2)",
        "(FloatStream 1 2)",
        "(FloatValue 1 2)",
        "(QueueValue)",
        "(stv (proc) 1)",
        "odd",
        "known",
    ] {
        let define = "(define odd (OddStream 1)) (define known (StringValue \"s\"))";
        for [first, middle, last] in [[odd, "", ""], ["", odd, ""], ["", "", odd]] {
            let list_with =
                format!("(List {first} (Concept \"a\") {middle} (Concept \"b\") {last} ");
            let text = format!("{define}{list_with}(stv 0.5 0.25)) (Set {list_with}))");
            let (space, summary) = read(text.as_bytes(), &ReadOptions::default()).unwrap();
            assert_eq!(atoms(&space)[2], list, "{text}");
            assert_eq!(atoms(&space)[3], format!("(SetLink {list})"), "{text}");
            assert_eq!(space.truth_value(AtomId(2)), simple(0.5, 0.25), "{text}");
            assert_eq!(passed(&summary), 3, "{text}: {}", summary.skipped);
        }
    }
    // What may be an atom is none that the link is whole without.
    for odd in ["(proc 1)", "word", "'(1 2)"] {
        let text = format!("(List (Concept \"a\") {odd})");
        let (space, _) = read(text.as_bytes(), &ReadOptions::default()).unwrap();
        assert_eq!(space.atom_count(), 0, "{text}");
    }
}

#[test]
fn a_value_is_there_without_what_it_holds_that_is_not_known() {
    let floats = Value::Floats(vec![1.0]);
    for odd in ["(FooValue 3)", "(proc)", "word", "(FloatValue x)", "(LinkValue (FooValue))"] {
        for (kind, is_derived) in [("LinkValue", false), ("QueueValue", true)] {
            for held in [format!("(FloatValue 1) {odd}"), format!("{odd} (FloatValue 1)")] {
                let text =
                    format!("(Concept \"a\" (alist (cons (Predicate \"k\") ({kind} {held}))))");
                let (space, summary) = read(text.as_bytes(), &ReadOptions::default()).unwrap();
                let links = Value::Links(vec![floats.clone()]);
                let expected = match is_derived {
                    true => Value::Derived(kind.into(), links.into()),
                    false => links,
                };
                assert_eq!(value_of(&space, "a"), Some(expected), "{text}");
                assert!(passed(&summary) >= 1);
            }
        }
    }
}

#[test]
fn derived_kinds_of_values_are_known() {
    let link = |held| Value::Links(held);
    for (text, kind, held) in [
        ("(QueueValue (Concept \"a\"))", "QueueValue", link(vec![Value::Atom(AtomId(0))])),
        ("(UnisetValue (VoidValue))", "UnisetValue", link(vec![Value::Void])),
        ("(FormulaStream (Concept \"a\"))", "FormulaStream", link(vec![Value::Atom(AtomId(0))])),
        ("(FutureStream)", "FutureStream", link(vec![])),
        ("(RandomStream 3)", "RandomStream", Value::Floats(vec![3.0])),
        ("(Float32Value 1 2)", "Float32Value", Value::Floats(vec![1.0, 2.0])),
        ("(FlatStream \"x\")", "FlatStream", Value::Strings(vec![b"x".to_vec()])),
    ] {
        let command = format!("(cog-set-value! (Concept \"a\") (Predicate \"k\") {text})");
        let space = read_all(&command);
        assert_eq!(value_of(&space, "a"), Some(Value::Derived(kind.into(), held.into())), "{text}");
        assert_eq!(space.atom_count(), 2, "{text}");
    }
}

#[test]
fn values_are_defined() {
    let space = read_all(
        r#"(define none (av 0 0 0)) (define t (stv 0.5 0.25)) (define also t)
        (define v (LinkValue t (FloatValue 1)))
        (Concept "a" none) (List (Concept "b" also) also) (cog-set-tv! (Concept "c") t)
        (cog-set-av! (Concept "c") none)
        (cog-set-value! (Concept "c") (Predicate "k") v)"#,
    );
    let [a, b, c] = ["a", "b", "c"].map(|name| concept(&space, name));
    assert_eq!(space.attention_value(a), Some(AttentionValue::default()));
    assert_eq!([b, c].map(|atom| space.truth_value(atom)), [simple(0.5, 0.25); 2]);
    assert_eq!(space.attention_value(c), Some(AttentionValue::default()));
    let truth = Value::Truth(simple(0.5, 0.25).unwrap());
    let held = Value::Links(vec![truth, Value::Floats(vec![1.0])]);
    assert_eq!(value_of(&space, "c"), Some(held));
}

#[test]
fn a_key_has_one_state() {
    let states = |text: &str| {
        let (space, _) = read(text.as_bytes(), &ReadOptions::default()).unwrap();
        let states = atoms(&space).into_iter().filter(|atom| atom.contains("StateLink"));
        (states.collect::<Vec<_>>(), space.atom_count())
    };
    let robot = |state: &str| format!("(State (Concept \"robot\") {state})\n");
    let awake = "(StateLink (ConceptNode \"robot\")(ConceptNode \"awake\"))".to_owned();
    let (a, s) = (robot("(Concept \"awake\")"), robot("(List (Concept \"asleep\"))"));
    assert_eq!(states(&(s.clone() + &a)), (vec![awake.clone()], 5));
    assert_eq!(states(&(a.clone() + &s + &a)), (vec![awake.clone()], 5));
    // What held the old state is no more; values move with the rest.
    let held = format!("(Set {s})\n{a}(Concept \"awake\" (stv 0.5 0.5))");
    assert_eq!(states(&held), (vec![awake.clone()], 5));
    let (space, summary) = read(held.as_bytes(), &ReadOptions::default()).unwrap();
    assert_eq!(space.truth_value(concept(&space, "awake")), simple(0.5, 0.5));
    let told = "1 a link that holds a state, which a later one took the place of (line 3)";
    assert_eq!(summary.skipped.to_string(), told);
    let both = format!("{s}{a}{s}{a}");
    assert!(read_all(&both).atom_count() == 5, "what no other atom holds is nothing to be told");
    // An open one is a pattern, and a form that is passed over sets nothing.
    let open = robot("(Variable \"$x\")");
    assert_eq!(states(&(a.clone() + &open)).0.len(), 2);
    let passed = format!("{a}(List {s} (proc))");
    let (space, _) = read(passed.as_bytes(), &ReadOptions::default()).unwrap();
    assert_eq!(atoms(&space).last(), Some(&awake));
    assert_eq!(space.atom_count(), 3);
}

#[test]
fn what_is_gone_with_a_state_is_counted() {
    let (v1, v2) =
        ("(State (Concept \"k\") (Concept \"v1\"))", "\n(State (Concept \"k\") (Concept \"v2\"))");
    let links = "a link that holds a state, which a later one took the place of";
    let values = "a value of or on a state, which a later one took the place of";
    for (before, lost_links, lost_values, taken) in [
        (format!("(List {v1} (Concept \"z\") (stv 0.5 0.5))"), 1, 1, 0),
        (format!("(Set (List {v1} (stv 1 1)) (Concept \"z\" (stv 1 1)))"), 2, 1, 1),
        (format!("(cog-set-value! (Concept \"h\") (Predicate \"k\") {v1})"), 0, 1, 0),
        (format!("(cog-set-value! (Concept \"h\") {v1} (FloatValue 1))"), 0, 1, 0),
        (
            format!(
                "(Concept \"h\" (alist (cons (Predicate \"k\") (LinkValue {v1} (FloatValue 1)))))"
            ),
            0,
            1,
            0,
        ),
        (format!("(cog-set-tv! {v1} (stv 1 1)) (cog-set-av! {v1} (av 1 1 1))"), 0, 2, 0),
    ] {
        let text = format!("{before}{v2}");
        let (space, summary) = read(text.as_bytes(), &ReadOptions::default()).unwrap();
        assert!(atoms(&space).iter().all(|atom| !atom.contains("v1\"))")), "{text}");
        let told = [(lost_links, links), (lost_values, values)];
        let told = told.iter().filter(|(count, _)| *count > 0);
        let told: Vec<String> = told
            .map(|(count, what)| format!("{count} {what} (line {})", ["2"; 2][..*count].join(", ")))
            .collect();
        assert_eq!(summary.skipped.to_string(), told.join("\n"), "{text}");
        assert_eq!(summary.values_taken, taken, "{text}");
        // A form that is passed over takes the place of nothing.
        let text = format!("{before}\n(List {v2} (proc))");
        let (_, summary) = read(text.as_bytes(), &ReadOptions::default()).unwrap();
        assert_eq!(passed(&summary), 1, "{text}: {}", summary.skipped);
    }
}

#[test]
fn the_name_of_a_state_gives_it_again() {
    let define = "(define st (State (Concept \"k\") (Concept \"v1\")))
        (define l (List st (Concept \"z\"))) (State (Concept \"k\") (Concept \"v2\"))";
    let state = |value: &str| format!("(StateLink (ConceptNode \"k\")(ConceptNode \"{value}\"))");
    for (text, held, now) in [
        ("", "", "v2"),
        ("(Set st)", "(SetLink {})", "v1"),
        ("(Set (Set st))", "(SetLink (SetLink {}))", "v1"),
        ("(Set l)", "(SetLink (ListLink {}(ConceptNode \"z\")))", "v1"),
        ("(Set st) (State (Concept \"k\") (Concept \"v2\")) (List st)", "(ListLink {})", "v1"),
        ("(List st (proc))", "", "v2"),
    ] {
        let text = format!("{define} {text}");
        let (space, summary) = read(text.as_bytes(), &ReadOptions::default()).unwrap();
        let all = atoms(&space);
        let states: Vec<_> = all.iter().filter(|atom| atom.starts_with("(State")).collect();
        assert_eq!(states, [&state(now)], "{text}");
        assert!(
            held.is_empty() || all.contains(&held.replace("{}", &state(now))),
            "{text}: {all:?}"
        );
        assert!(all.iter().all(|atom| !atom.contains("v1\"))") || now == "v1"));
        assert!(passed(&summary) >= 1, "the first list holds a state that was replaced");
    }
    // What is named may hold very many atoms, and be named very often.
    let deep = format!("(define d (Set {}st{}))", "(List ".repeat(3000), ")".repeat(3000));
    let again = "(State (Concept \"k\") (Concept \"v2\")) (Set d)".repeat(500);
    let text = format!("{define} {deep} {again}");
    let (space, _) = read(text.as_bytes(), &ReadOptions::default()).unwrap();
    assert!(space.atom_count() < 10);
}

#[test]
fn scopes_are_one_whatever_their_variables_are_called() {
    let count = |a: &str, b: &str| {
        let (one, both) = (read_all(a).atom_count(), read_all(&format!("{a}\n{b}")).atom_count());
        let links = |space: &AtomSpace| atoms(space).len();
        assert_eq!(links(&read_all(a)), one);
        both - one
    };
    for (a, b) in [
        (
            "(Lambda (Variable \"$X\") (List (Variable \"$X\") (Concept \"a\")))",
            "(Lambda (stv 1 1) (Variable \"$Y\") (List (Variable \"$Y\") (Concept \"a\")))",
        ),
        (
            "(Lambda (TypedVariable (Variable \"$X\") (Type \"Concept\")) (Variable \"$X\"))",
            "(Lambda (TypedVariable (Variable \"$Y\") (Type \"ConceptNode\")) (Variable \"$Y\"))",
        ),
        (
            "(Get (List (Variable \"$X\") (Variable \"$Y\")))",
            "(Get (List (Variable \"$Y\") (Variable \"$X\")))",
        ),
        (
            "(Bind (VariableSet (Variable \"$X\") (Variable \"$Y\")) (And (List (Variable \"$X\") (Variable \"$Y\"))))",
            "(Bind (VariableSet (Variable \"$a\") (Variable \"$b\")) (And (List (Variable \"$b\") (Variable \"$a\"))))",
        ),
        (
            "(Lambda (Variable \"$X\") (Lambda (Variable \"$Y\") (List (Variable \"$X\") (Variable \"$Y\"))))",
            "(Lambda (Variable \"$Y\") (Lambda (Variable \"$X\") (List (Variable \"$Y\") (Variable \"$X\"))))",
        ),
    ] {
        assert_eq!(count(a, b), 0, "{b}");
    }
    for (a, b) in [
        (
            "(Lambda (VariableList (Variable \"$X\") (Variable \"$Y\")) (List (Variable \"$X\") (Variable \"$Y\")))",
            "(Lambda (VariableList (Variable \"$X\") (Variable \"$Y\")) (List (Variable \"$Y\") (Variable \"$X\")))",
        ),
        (
            "(Lambda (Variable \"$X\") (List (Variable \"$X\") (Variable \"$free\")))",
            "(Lambda (Variable \"$X\") (List (Variable \"$X\") (Variable \"$other\")))",
        ),
        (
            "(Lambda (Variable \"$X\") (Quote (List (Variable \"$X\"))))",
            "(Lambda (Variable \"$Y\") (Quote (List (Variable \"$Y\"))))",
        ),
        (
            "(Lambda (TypedVariable (Variable \"$X\") (Type \"Concept\")) (Variable \"$X\"))",
            "(Lambda (TypedVariable (Variable \"$Y\") (Type \"Predicate\")) (Variable \"$Y\"))",
        ),
        ("(List (Variable \"$X\"))", "(List (Variable \"$Y\"))"),
    ] {
        assert!(count(a, b) > 0, "{b}");
    }
}

/// Whether AtomSpace takes two texts of an atom for the same one.
fn are_one(a: &str, b: &str) -> bool {
    let count = |of: &str, text: &str| {
        let of = format!("{of}Link");
        atoms(&read_all(text)).iter().filter(|atom| atom.starts_with(&format!("({of} "))).count()
    };
    let of = a.trim_start_matches('(').split(' ').next().unwrap();
    let top = |text: &str| count(of, text);
    let (one, both) = (top(a), top(&format!("{a}\n{b}")));
    assert_eq!(top(b), one, "{b}");
    both == one
}

/// A text in which capitals stand for variables: `X` for `(Variable "$X")`, `G` for a glob.
fn with_variables(text: &str) -> String {
    let word = |word: &str| match word {
        "X" | "Y" | "Z" | "W" => format!("(Variable \"${word}\")"),
        "G" | "H" => format!("(Glob \"${word}\")"),
        word => word.to_owned(),
    };
    let parts = text.split_inclusive(['(', ')', ' ']);
    let with_end = |part: &str| match part.strip_suffix(['(', ')', ' ']) {
        Some(inner) => word(inner) + &part[inner.len()..],
        None => word(part),
    };
    parts.map(with_end).collect()
}

#[test]
fn declarations_of_variables_say_what_upstream_reads_in_them() {
    let any = "(Type \"Atom\")";
    let concept = "(Type \"ConceptNode\")";
    let typed = |of: &str| format!("(Lambda (TypedVariable W {of}) (And W))");
    let one = |a: &str, b: &str| are_one(&with_variables(a), &with_variables(b));
    let lambda = "(Lambda X (And X))";
    for (a, b) in [
        (lambda, "(Lambda (VariableSet Z) (And Z))".to_owned()),
        (lambda, "(Lambda (And X))".into()),
        (lambda, "(Lambda (And Z))".into()),
        (lambda, typed(any)),
        (lambda, typed("(Type \"Value\")")),
        (lambda, typed(&format!("(TypeChoice {any})"))),
        (lambda, typed(&format!("(TypeChoice (TypeChoice {any}))"))),
        (&typed(concept), typed(&format!("(TypeChoice {any} {concept})"))),
        (&typed(concept), typed(&format!("(TypeChoice {concept} {concept} {any})"))),
        (&typed(concept), typed("(TypeChoice (TypeChoice (Type 'Concept)))")),
        (
            &typed("(TypeChoice (Type \"Concept\") (Type \"Predicate\"))"),
            typed("(TypeChoice (Type \"Predicate\") (TypeChoice (Type \"Concept\")))"),
        ),
        ("(Bind X (Present X) (And X))", "(Bind (Present X) (And X))".into()),
        ("(Lambda (VariableSet X Y) (List X Y))", "(Lambda (List X Y))".into()),
        ("(Lambda (VariableSet X Y) (List X Y))", "(Lambda (VariableSet Y X) (List Y X))".into()),
        ("(Lambda (VariableSet X Y) (List X))", "(Lambda Z (List Z))".into()),
        ("(Get Y (Member Y (Concept \"a\")))", "(Get (Member X (Concept \"a\")))".into()),
        ("(Get (Anchor \"a\") (Member Y Y))", "(Get (Member X X))".into()),
        ("(Lambda G (List G))", "(Lambda (TypedVariable H (Type \"Atom\")) (List H))".into()),
        ("(Lambda X (Quote (Unquote X)))", "(Lambda Y (Quote (Unquote Y)))".into()),
        (
            "(Lambda (TypedVariable G (Interval (Number 0) (Number -1))) (List G))",
            "(Lambda (TypedVariable H (Interval (Number 0) (Number -2))) (List H))".into(),
        ),
        (
            "(Rule (VariableList X Y) (List X) (Set X))",
            "(Rule (VariableList Z) (List Z) (Set Z))".into(),
        ),
        ("(ForAll X (Get (Inheritance X Y)))", "(ForAll Z (Get (Inheritance Y X)))".into()),
    ] {
        assert!(one(a, &b) && one(&b, a), "{a} {b}");
    }
    for (a, b) in [
        (lambda, "(Lambda (VariableList Z) (And Z))".to_owned()),
        (lambda, typed(concept)),
        (lambda, typed("(TypeChoice)")),
        (lambda, typed("(TypeInh \"Concept\")")),
        (lambda, typed("(Interval (Number 0) (Number 2))")),
        (lambda, "(Lambda G (And G))".into()),
        (&typed(concept), typed("(TypeChoice (Type \"Concept\") (Type \"Predicate\"))")),
        (&typed(concept), typed("(Signature (Type \"Concept\"))")),
        ("(Lambda (VariableList X Y) (List X Y))", "(Lambda (List X Y))".into()),
        ("(Lambda (VariableList X Y) (List X Y))", "(Lambda (VariableSet X Y) (List X Y))".into()),
        ("(Lambda (VariableList X Y) (List X))", "(Lambda (VariableList X) (List X))".into()),
        ("(Lambda X (List X) (Set X))", "(Lambda X (List X))".into()),
        ("(Lambda X (Unquote X))", "(Lambda Y (Unquote Y))".into()),
        (
            "(Lambda X (Quote (Unquote (Unquote X))))",
            "(Lambda Y (Quote (Unquote (Unquote Y))))".into(),
        ),
        (
            "(Lambda (VariableSet X (TypedVariable Y (Type \"Concept\"))) (List X))",
            "(Lambda (VariableSet X) (List X))".into(),
        ),
        ("(Get (Lambda X (And X)) X)", "(Get (Lambda X (And X)) Y)".into()),
    ] {
        assert!(!one(a, &b) && !one(&b, a), "{a} {b}");
    }
}

#[test]
fn a_scope_in_a_form_that_is_passed_over_is_forgotten() {
    let scope = |of: &str| format!("(Lambda (Variable \"{of}\") (List (Variable \"{of}\")))");
    let other = "(Lambda (Variable \"$z\") (Set (Variable \"$z\")))";
    let text = format!("(Set {} (proc))\n{other}\n{}", scope("$x"), scope("$y"));
    let (space, _) = read(text.as_bytes(), &ReadOptions::default()).unwrap();
    assert_eq!(space.by_type(space.find_type("LambdaLink", Kind::Link).unwrap()).len(), 2);
}

#[test]
fn of_two_definitions_the_first_counts() {
    let text = |second: &str| {
        format!(
            "(Define (DefinedSchema \"f\") (Lambda (Variable \"$x\") (Variable \"$x\")))
            {second} (Concept \"end\")"
        )
    };
    for second in [
        "(Define (DefinedSchema \"f\") (Concept \"b\"))",
        "(List (Concept \"c\") (Define (DefinedSchema \"f\") (Concept \"b\")))",
    ] {
        let text = text(second);
        let (space, summary) = read(text.as_bytes(), &ReadOptions::default()).unwrap();
        assert_eq!(passed(&summary), 1, "{second}");
        let told = summary.skipped.to_string();
        assert!(told.contains("a second (DefineLink ..) of the same"), "{told}");
        assert_eq!(space.atom_count(), 5, "{:?}", atoms(&space));
    }
    // The same once more is no second one; nor is one of another type, or of another key.
    for second in [
        "(Define (DefinedSchema \"f\") (Lambda (Variable \"$y\") (Variable \"$y\")))",
        "(Define (DefinedSchema \"g\") (Concept \"b\"))",
        "(TypedAtom (DefinedSchema \"f\") (Type \"Atom\"))",
    ] {
        let (_, summary) = read(text(second).as_bytes(), &ReadOptions::default()).unwrap();
        assert_eq!(passed(&summary), 0, "{second}");
    }
    // What was passed over defines nothing.
    let again = "(List (Define (DefinedSchema \"h\") (Concept \"b\")) (proc))
        (Define (DefinedSchema \"h\") (Concept \"c\"))";
    let (space, summary) = read(again.as_bytes(), &ReadOptions::default()).unwrap();
    assert_eq!((passed(&summary), space.atom_count()), (1, 3));
}

#[test]
fn types_are_what_those_are_that_they_are_derived_from() {
    let mut types = Declarations::default();
    types
        .add_script(
            "MY_STATE_LINK <- STATE_LINK\nMY_NUM_NODE <- NUMBER_NODE\n\
             MY_LAMBDA_LINK <- LAMBDA_LINK\nMY_DEFINE_LINK <- DEFINE_LINK\nMY_SET_LINK <- SET_LINK",
        )
        .unwrap();
    let options = ReadOptions { types: Some(types.into()), ..ReadOptions::default() };
    let count = |text: &str| read(text.as_bytes(), &options).unwrap().0.atom_count();
    assert_eq!(count("(MyNum \"0.50\") (MyNum \"0.5\") (MyNumNode \".5\")"), 1);
    let states =
        "(MyState (Concept \"k\") (Concept \"a\")) (MyState (Concept \"k\") (Concept \"b\"))";
    assert_eq!(count(states), 4);
    let lambda = |of: &str| format!("(MyLambda (Variable \"{of}\") (List (Variable \"{of}\")))");
    assert_eq!(count(&(lambda("$x") + &lambda("$y"))), 3);
    assert_eq!(count(&states.replace("MyState", "MyDefine")), 3);
    assert_eq!(
        count("(MySet (Concept \"a\") (Concept \"b\")) (MySet (Concept \"b\") (Concept \"a\"))"),
        3
    );
}

#[test]
fn a_scope_that_was_there_is_given_values_and_links() {
    let space = read_all(
        r#"(Lambda (Variable "$X") (List (Variable "$X")))
        (Set (Concept "b") (Lambda (stv 0.5 0.5) (Variable "$Y") (List (Variable "$Y"))))
        (Lambda (Variable "$Z") (List (Variable "$Z")) (alist (cons (Predicate "k") (FloatValue 1))))"#,
    );
    let lambda = space.by_type(space.find_type("LambdaLink", Kind::Link).unwrap()).next().unwrap();
    assert_eq!(space.truth_value(lambda), simple(0.5, 0.5));
    assert_eq!(space.incoming(lambda).len(), 1);
    assert_eq!(space.values(lambda).count(), 1);
}

#[test]
fn deep_and_wide_scopes_are_read() {
    for text in [
        format!("(Lambda (Variable \"$x\") {}{})", "(List ".repeat(5000), ")".repeat(5000)),
        format!("(Lambda (Variable \"$x\") (List {}))", "(Variable \"$x\")".repeat(50_000)),
    ] {
        assert!(read_all(&text).atom_count() > 2);
    }
    // As text, it has 2^60 atoms.
    let doubled = |i: u32| format!("(define a{} (List a{i} a{i}))\n", i + 1);
    let all: String = (0..60).map(doubled).collect();
    let text = format!("(define a0 (Variable \"$x\"))\n{all}(Lambda (Variable \"$x\") a60)");
    assert_eq!(read_all(&text).atom_count(), 62);
}

#[test]
fn names_of_types_and_numbers_have_one_spelling() {
    let space = read_all(
        r#"(Type "Concept") (Type 'ConceptNode) (Type "ConceptNode") (TypeInh "Concept")
        (Number "1e400") (Number "[1, 2]") (Number 1 2) (Type "NoType")"#,
    );
    let names: Vec<String> = atoms(&space);
    let expected = [
        "(TypeNode \"ConceptNode\")",
        "(TypeInhNode \"Concept\")",
        "(NumberNode \"1e400\")",
        "(NumberNode \"1 2\")",
        "(TypeNode \"NoType\")",
    ];
    assert_eq!(names, expected);
}

#[test]
fn unordered_types_of_all_modules_and_the_users_own_are_unordered() {
    let both = |of: &str| {
        format!("({of} (Concept \"a\") (Concept \"b\")) ({of} (Concept \"b\") (Concept \"a\"))")
    };
    for of in ["IntensionalSimilarity", "ExtensionalEquivalenceLink", "LgOr", "Cosense"] {
        assert_eq!(read_all(&both(of)).atom_count(), 3, "{of}");
    }
    let short = "(ImplicationScope (Concept \"p\")) (ImplicationScopeLink (Concept \"p\"))";
    assert_eq!(read_all(short).atom_count(), 2);
    assert_eq!(read_all(&both("Twin")).atom_count(), 4);
    let mut types = Declarations::default();
    types.add_script("TWIN_LINK <- UNORDERED_LINK").unwrap();
    let options = ReadOptions { types: Some(types.into()), ..ReadOptions::default() };
    let text = both("Twin") + "(TwinLink (Concept \"a\") (Concept \"b\"))";
    assert_eq!(read(text.as_bytes(), &options).unwrap().0.atom_count(), 3);
}

#[test]
fn a_commented_expression_is_passed_over() {
    let space = read_all("#;(Concept \"no\") (List #;(Concept \"no\") (Concept \"a\") #;word)");
    assert_eq!(atoms(&space).join("|"), "(ConceptNode \"a\")|(ListLink (ConceptNode \"a\"))");
}

#[test]
fn lists_stand_for_what_they_hold() {
    for (text, value) in [
        ("(FloatValue (list 1 2 3))", Value::Floats(vec![1.0, 2.0, 3.0])),
        ("(FloatValue 1 (list 2 (list)) '(3))", Value::Floats(vec![1.0, 2.0, 3.0])),
        ("(StringValue (list \"a\" \"b\"))", Value::Strings(vec![b"a".to_vec(), b"b".to_vec()])),
        ("(BoolValue (list 1 #f))", Value::Bools(vec![true, false])),
        (
            "(LinkValue (list (FloatValue (list 1)) (FooValue 1) (VoidValue)))",
            Value::Links(vec![Value::Floats(vec![1.0]), Value::Void]),
        ),
        ("(cog-new-value 'FloatValue 1 2)", Value::Floats(vec![1.0, 2.0])),
        ("(cog-new-value 'StringValue (list \"a\"))", Value::Strings(vec![b"a".to_vec()])),
    ] {
        let command = format!("(cog-set-value! (Concept \"a\") (Predicate \"k\") {text})");
        let (space, _) = read(command.as_bytes(), &ReadOptions::default()).unwrap();
        assert_eq!(value_of(&space, "a"), Some(value), "{text}");
    }
    let one = "(ListLink (NumberNode \"1 2 3\")(ConceptNode \"a\"))";
    for text in [
        "(List (Number (list 1 2 3)) (Concept \"a\"))",
        "(List (list (Number 1 2 3) (Concept \"a\")))",
        "(List (list (Number (list 1 2 3))) (list) (list (list (Concept \"a\"))))",
    ] {
        assert_eq!(atoms(&read_all(text)).last().unwrap(), one, "{text}");
    }
    let pairs = "(list (cons (Predicate \"k\") (FloatValue 1)) (stv 0.5 0.5))";
    let space = read_all(&format!("(Concept \"a\" {pairs})"));
    assert_eq!(value_of(&space, "a"), Some(Value::Floats(vec![1.0])));
    assert_eq!(space.truth_value(concept(&space, "a")), simple(0.5, 0.5));
    // A list that is computed is none that could be left out.
    let computed = "(List (cons (Concept \"a\") (list (Concept \"b\"))))";
    let (space, summary) = read(computed.as_bytes(), &ReadOptions::default()).unwrap();
    assert_eq!((space.atom_count(), passed(&summary)), (0, 1));
}

#[test]
fn commands_that_make_values_are_values() {
    let space = read_all(
        "(cog-set-tv! (Concept \"a\") (cog-new-stv 0.5 0.6)) (Concept \"b\" (cog-new-stv 0.5 0.6))
        (define t (cog-new-stv 0.5 0.6)) (List (Concept \"c\" t)) (cog-set-av! (Concept \"c\") (cog-new-av 1 2 3))
        (cog-set-tv! (Concept \"d\") (cog-new-value 'SimpleTruthValue 0.5 0.6))
        (cog-set-tv! (Concept \"e\") (cog-new-ctv 0.5 0.6 7)) (cog-set-tv! (Concept \"f\") (FloatValue 0.5 0.6))
        (cog-new-node \"ConceptNode\" \"g\")",
    );
    for name in ["a", "b", "c", "d", "f"] {
        assert_eq!(space.truth_value(concept(&space, name)), simple(0.5, 0.6), "{name}");
    }
    assert_eq!(space.attention_value(concept(&space, "c")).unwrap().vlti, 3.0);
    assert_eq!(space.truth_value(concept(&space, "e")).unwrap().count(), 7.0);
    assert_eq!(
        space.by_name(space.find_type("ConceptNode", Kind::Node).unwrap(), b"g").map(|_| ()),
        Some(())
    );
}

#[test]
fn a_form_that_only_scheme_can_read_is_passed_over_alone() {
    for (form, is_atom_kept) in [
        ("(SexprAst \"(gunk)\")", false),
        ("(DatalogAst \"a(b).\")", false),
        ("(Similarity \"x\")", false),
        ("(List \"a\")", false),
        ("(Gene (Concept \"a\"))", false),
        ("(define A (Concept \"a\")) (Molecule A A)", false),
        ("(List (Concept \"b\") (Gene (Concept \"a\")))", false),
        ("(cog-set-tv! (Concept \"a\") (f 1))", true),
        ("(cog-set-tv! (Concept \"a\") (GenericTruthValue 1 2))", true),
        ("(cog-set-tv! (Concept \"a\") tv)", true),
        ("(cog-set-tv! (Concept \"a\") (Concept \"b\"))", true),
        ("(cog-set-av! (Concept \"a\") (stv 1 1))", true),
        ("(cog-set-value! (Concept \"a\") (Predicate \"k\") (FloatValue (f 1) 2))", true),
        ("(cog-set-value! (Concept \"a\") (Predicate \"k\") (FloatValue x))", true),
        ("(cog-set-value! (Concept \"a\") (Predicate \"k\") ((f) 1))", true),
        ("(cog-set-value! (Concept \"a\") (Predicate \"k\") \"text\")", true),
        ("(cog-set-value! (Concept \"a\") (Predicate \"k\") (cog-new-value 'NoKind 1))", true),
        ("(cog-set-values! (Concept \"a\") pairs)", false),
        ("(cog-set-values! (Concept \"a\") (f))", false),
        ("(cog-new-node type \"a\")", false),
        ("(cog-new-node 'no-type \"a\")", false),
        ("(Concept \"a\" (alist pair))", true),
        ("(List (Concept \"a\") ''x)", false),
    ] {
        let text = format!("{form}\n(Concept \"keep\")");
        let (space, summary) = read(text.as_bytes(), &ReadOptions::default())
            .unwrap_or_else(|error| panic!("{form}: {error}"));
        let _ = concept(&space, "keep");
        let is_defined = form.starts_with("(define");
        let is_kept = atoms(&space).iter().any(|atom| atom == "(ConceptNode \"a\")");
        assert_eq!(is_kept, is_atom_kept || is_defined, "{form}");
        assert_eq!(passed(&summary), 1, "{form}: {}", summary.skipped);
    }
    let (_, summary) = read(&b"(Similarity \"x\")"[..], &ReadOptions::default()).unwrap();
    assert!(summary.skipped.to_string().contains("--types"), "{}", summary.skipped);
}

#[test]
fn a_name_may_look_like_a_type() {
    let space = read_all(
        "(define A (Concept \"a\")) (define TV (stv 0.5 0.25)) (List A A TV)
         (define Twice List) (Twice A (Odd A))",
    );
    let last = "(ListLink (ConceptNode \"a\")(Odd (ConceptNode \"a\")))";
    assert_eq!(atoms(&space).last().unwrap(), last);
    assert_eq!(space.truth_value(AtomId(1)), simple(0.5, 0.25));
    // One of which there are atoms means these.
    let text = "(Odd (Concept \"a\")) (define Odd (Concept \"b\")) (Odd (Concept \"c\"))";
    let (space, summary) = read(text.as_bytes(), &ReadOptions::default()).unwrap();
    assert_eq!(passed(&summary), 1);
    assert_eq!(space.by_type(space.find_type("Odd", Kind::Link).unwrap()).len(), 2);
}
