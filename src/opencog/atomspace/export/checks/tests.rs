//! What each generation takes: told by the readers of both, built from the sources named in
//! `known_types.tsv`.

use super::super::super::read::{ReadOptions, read};
use super::super::{Target, export};

const OLD: Target = Target::AtomSpace5_0;
const NEW: Target = Target::AtomSpace2026;

/// How many lines of a text come last, because a reader refuses them.
fn refused(text: &str, target: Target) -> u64 {
    let (space, summary) = read(text.as_bytes(), &ReadOptions::default()).unwrap();
    assert!(summary.skipped.is_empty(), "{text}: {}", summary.skipped);
    export(&space, &target.into(), &mut Vec::new()).unwrap().rejected
}

fn takes(text: &str) -> [bool; 2] {
    let text = text.replace("$x", "(Variable \"$x\")").replace("$y", "(Variable \"$y\")");
    [OLD, NEW].map(|target| refused(&text, target) == 0)
}

fn check(expected: [bool; 2], texts: &[&str]) {
    for text in texts {
        assert_eq!(takes(text), expected, "{text}");
    }
}

#[test]
fn puts_are_of_the_right_types() {
    check(
        [false, false],
        &[
            "(Put (TypedVariable $x (Type \"PredicateNode\")) $x (Concept \"a\"))",
            "(Put (VariableList $x $y) $x (Concept \"a\"))",
            "(Put (VariableList $x $y) $x (List $x))",
            "(Put (VariableList $x $y) (List $x $y) (Set $x))",
            "(Put (List $x $y) (Concept \"a\"))",
            "(Put (Concept \"a\") (Concept \"b\"))",
            "(Put (VariableSet $x) (Number 1) $y)",
        ],
    );
    check(
        [true, true],
        &[
            "(Put (TypedVariable $x (Type \"ConceptNode\")) $x (Concept \"a\"))",
            "(Put (TypedVariable $x (TypeInh \"Node\")) $x (Concept \"a\"))",
            "(Put (TypedVariable $x (TypeChoice (Type \"ListLink\") (Type \"ConceptNode\"))) $x
            (Concept \"a\"))",
            "(Put (VariableList $x $y) (List $x $y) (List (Concept \"a\") (Concept \"b\")))",
            "(Put (VariableList $x $y) (List $x $y) (Set (List (Concept \"a\") (Concept \"b\"))))",
            "(Put (List $x) (Concept \"a\"))",
            "(Put (Lambda (VariableList $x $y) (List $x $y)) (List (Number 1) (Number 2)))",
            "(Put (DefinedSchema \"f\") (Concept \"a\"))",
            "(Put (Plus) (List (Number 2) (Number 2)))",
        ],
    );
    check([true, false], &["(Put (VariableList $x $y) (List $x $y) (Dual (Concept \"a\")))"]);
}

#[test]
fn numbers_are_taken_where_numbers_are_asked_for() {
    check(
        [false, false],
        &[
            "(Times $x (GroundedSchema \"scm:f\"))",
            "(Plus (Set (Concept \"a\")) (Number 1))",
            "(Plus (Set (Set (Concept \"a\"))) (Number 1))",
            "(NumericFunctionLink (Number 1))",
        ],
    );
    check(
        [true, true],
        &[
            "(Times $x (Schema \"f\"))",
            "(Plus (Set (Number 1)) (Number 1))",
            "(Plus (Set (Set (Number 1)) $x))",
            "(Set (Concept \"a\"))",
        ],
    );
}

#[test]
fn equations_are_not_plainly_wrong() {
    check(
        [true, false],
        &[
            "(Equal (Concept \"a\") (Concept \"b\"))",
            "(Identical (Concept \"a\") (Concept \"b\"))",
            "(AlphaEqualLink (List $x) (Concept \"a\"))",
            "(Present (List $x) (Concept \"a\"))",
            "(Absent (List $x) (Concept \"a\"))",
            "(Present (List $x) (Lambda $y (List $y)))",
            "(List (Equal (Concept \"a\") (Concept \"b\")))",
        ],
    );
    check(
        [true, true],
        &[
            "(Equal (Concept \"a\") (Concept \"a\"))",
            "(Equal (Concept \"a\") $x)",
            "(Equal (Number 3) (Plus (Number 1) (Number 2)))",
            "(Identical $x (Concept \"b\"))",
            "(Exclusive (Concept \"a\") (Concept \"b\"))",
            "(Present (List $x) $y)",
            "(Absent (List $x))",
            "(Always (List $x) (Concept \"a\"))",
        ],
    );
}

#[test]
fn a_value_with_a_wrong_equation_comes_last() {
    let text = "(cog-set-value! (Concept \"a\") (Predicate \"k\")
        (LinkValue (Equal (Concept \"b\") (Concept \"c\"))))";
    assert_eq!([OLD, NEW].map(|target| refused(text, target)), [0, 2]);
}

#[test]
fn queries_find_all_their_variables() {
    check(
        [false, false],
        &[
            "(Meet $x (Present (List $y (Lambda $x (List $x)))))",
            "(Meet $x (Quote (List $x)))",
            "(Meet $x (Always (List $x)))",
            "(Meet $x (Lambda $x (List $x)))",
            "(Meet $x (Concept \"a\"))",
            "(Meet (Concept \"a\") $x)",
            "(Meet (Lambda $x (Concept \"a\")))",
            "(Meet (Not (Choice (List $x))))",
            "(Meet $x (Absent (List $x) (Set $x)))",
            "(Satisfaction (List $x) (Concept \"a\"))",
            "(PatternLink $x (List $x) (Concept \"a\"))",
            "(Query $x (Present (Set $y)) (List $x))",
            "(Query (VariableSet $x) (Present $y) (Concept \"a\"))",
            "(Meet (VariableSet $x $y) (Present (List (DefinedSchema \"d\") $x)))",
        ],
    );
    check(
        [true, true],
        &[
            "(Meet $x (Present (List $x (Lambda $y (List $y)))))",
            "(Meet $x (GreaterThan $x (Number 1)))",
            "(Meet (VariableList $x $y) (GreaterThan $x $y))",
            "(Meet $x (And (Present (List $x)) (Not (GreaterThan $x (Number 1)))))",
            "(Meet $x (Or (Present (List $x)) (Present (Set $x))))",
            "(Meet $x (Quote (List (Unquote $x))))",
            "(Meet $x (DefinedPredicate \"d\"))",
            "(Meet (Lambda $x (List $x)))",
            "(Meet (Unquote $x) (Concept \"a\"))",
            "(Meet (Concept \"a\"))",
            "(Query $x (Present (Set $y)) (Concept \"a\"))",
            "(Satisfaction (SequentialAnd (DefinedPredicate \"d\") (DefinedPredicate \"e\")))",
        ],
    );
}

#[test]
fn rules_have_the_parts_that_are_asked_for() {
    let rule = "(Rule $x (List $x) (Set $x))";
    for (link, takes) in [
        (format!("(VardeclOf {rule})"), true),
        ("(VardeclOf (Scope $x (List $x)))".into(), false),
        ("(VardeclOf (Concept \"a\"))".into(), false),
        (format!("(ConclusionOf {rule})"), true),
        (format!("(ConclusionOf {rule} (Number 0))"), true),
        (format!("(ConclusionOf {rule} (Number 1))"), false),
        ("(ConclusionOf (Rule $x (List $x)))".into(), false),
        ("(ConclusionOf (Lambda $x (List $x)))".into(), false),
        ("(PremiseOf (Lambda $x (List $x)))".into(), true),
        (format!("(PremiseOf {rule} (Number 0))"), true),
        (format!("(PremiseOf {rule} (Number 1))"), false),
    ] {
        check([takes; 2], &[&link]);
    }
}

#[test]
fn rare_links_have_the_forms_of_their_constructors() {
    check(
        [false, false],
        &[
            "(TypeIntersection (Arrow (Type \"ConceptNode\") (Type \"ConceptNode\")))",
            "(TypeChoice (DefinedType \"t\"))",
            "(TypedVariable $x (DefinedType \"t\"))",
            "(MaximalJoin)",
            "(SexprAst)",
            "(MaximalJoin (Present (List $x)) (List $x))",
            "(CollectionOf (Concept \"a\") (Concept \"b\"))",
            "(CollectionOf (Type \"ConceptNode\") (Concept \"b\"))",
            "(Concatenate (Concept \"a\") (Concept \"b\"))",
            "(SplitLink (Type \"LinkValue\") (Concept \"b\") (Concept \"c\"))",
            "(ValueShimLink)",
            "(Filter (DefinedSchema \"f\") (Concept \"a\"))",
            "(Grant)",
        ],
    );
    check(
        [true, true],
        &[
            "(TypeIntersection (Type \"ConceptNode\") (TypeChoice (Type \"ListLink\")))",
            "(MaximalJoin (Present (List $x)) (Type \"ListLink\"))",
            "(MaximalJoin (VariableList $x) (Present (List $x)))",
            "(CollectionOf (Type \"ListLink\") (Concept \"b\"))",
            "(CollectionOf (Type \"LinkValue\") (Concept \"b\"))",
            "(SplitLink (Concept \"b\"))",
            "(Filter (Rule $x (List $x) (Set $x)) (Concept \"a\"))",
        ],
    );
    check(
        [false, true],
        &[
            "(MaximalJoin (Concept \"a\"))",
            "(MaximalJoin (Present (List $x)) (GreaterThan (Number 1) (Number 2)))",
            "(ExecuteThreaded (Concept \"a\"))",
            "(DatalogAst (Concept \"a\") (Concept \"b\"))",
        ],
    );
    check(
        [true, false],
        &[
            "(PromiseLink (Plus (Number 1)))",
            "(PromiseLink (Type \"FutureStream\") (Plus (Number 1)))",
            "(StringOf (Type \"ConceptNode\") (Concept \"a\"))",
        ],
    );
    for text in [
        "(PromiseLink (Concept \"a\"))",
        "(PromiseLink (Type \"ConceptNode\") (Plus (Number 1)))",
        "(StringOf (Concept \"a\") (Concept \"a\"))",
    ] {
        assert_eq!(refused(text, OLD), 1, "{text}");
    }
    for text in [
        "(SexprColumn (Concept \"a\") (Concept \"b\"))",
        "(DrainLink (Concept \"a\"))",
        "(TriggerLink (Concept \"a\"))",
        "(JsonSplitLink (Concept \"a\") (Concept \"b\"))",
        "(ExclusiveLink)",
    ] {
        assert_eq!(refused(text, NEW), 1, "{text}");
    }
}

#[test]
fn many_scopes_in_each_other_cost_neither_stack_nor_time() {
    let depth = 20_000;
    let open = "(Meet (Variable \"$x\") (List (Variable \"$x\") (Lambda (Variable \"$y\") ";
    let text = open.repeat(depth) + "(Concept \"a\")" + &")))".repeat(depth);
    refused(&text, NEW);
}
