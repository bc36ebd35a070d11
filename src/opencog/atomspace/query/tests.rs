use super::super::space::AtomSpace;
use super::*;

fn space(text: &str) -> AtomSpace {
    read(text.as_bytes(), &ReadOptions::default()).unwrap().0
}

/// The names that the variables stand for, each match in parentheses.
fn found(space: &AtomSpace, query: &str, filter: TruthFilter) -> String {
    let query = Query::parse(query, space).unwrap();
    let matches = query.matches(space, filter, 1000);
    assert!(matches.is_complete);
    let name = |atom: &AtomId| match space.name(*atom) {
        Some(name) => String::from_utf8(name.into_owned()).unwrap(),
        None => "link".into(),
    };
    let row = |row: &[AtomId]| format!("({})", row.iter().map(name).collect::<Vec<_>>().join(" "));
    matches.iter().map(row).collect()
}

const KIN: &str = r#"
    (Inheritance (stv 1 0.9) (Concept "Ann") (Concept "woman"))
    (Inheritance (stv 1 0.1) (Concept "Bob") (Concept "man"))
    (Inheritance (stv 0.5 0.9) (Concept "Cid") (Concept "man"))
    (Inheritance (Concept "man") (Concept "human"))
    (Evaluation (Predicate "likes") (List (Concept "Ann") (Concept "Bob")))
    (Evaluation (Predicate "likes") (List (Concept "Bob") (Concept "Ann")))
    (Evaluation (Predicate "likes") (List (Concept "Cid") (Concept "Cid")))
    (Evaluation (Predicate "knows") (List (Concept "Ann") (Concept "Cid")))
    (Similarity (Concept "Ann") (Concept "Bob"))"#;

#[test]
fn variables_are_found() {
    let kin = space(KIN);
    let all = |query: &str| found(&kin, query, TruthFilter::Any);
    let (x, y) = ("(Variable \"$x\")", "(Variable \"$y\")");
    assert_eq!(all(&format!("(Inheritance {x} (Concept \"man\"))")), "(Bob)(Cid)");
    assert_eq!(all(&format!("(Inheritance {x} {y})")), "(Ann woman)(Bob man)(man human)(Cid man)");
    let likes = |a, b| format!("(Evaluation (Predicate \"likes\") (List {a} {b}))");
    assert_eq!(all(&likes(x, x)), "(Cid)");
    assert_eq!(all(&likes(x, y)), "(Ann Bob)(Bob Ann)(Cid Cid)");
    let both = format!("{} (Inheritance {x} (Concept \"man\"))", likes(x, y));
    assert_eq!(all(&both), "(Bob Ann)(Cid Cid)");
    assert_eq!(all(&format!("{} {}", likes(x, y), likes(y, x))), "(Ann Bob)(Bob Ann)(Cid Cid)");
    assert_eq!(
        all(&format!("(Evaluation {y} (List (Concept \"Ann\") {x}))")),
        "(likes Bob)(knows Cid)"
    );
    assert_eq!(all(&format!("(Evaluation (Predicate \"likes\") {x})")), "(link)(link)(link)");
    assert_eq!(all(&format!("(Inheritance {x} (Concept \"nobody\"))")), "");
    assert_eq!(all("(Similarity (Concept \"Bob\") (Concept \"Ann\"))"), "()");
}

#[test]
fn unordered_links_match_in_any_order() {
    let kin = space(KIN);
    let query = "(Similarity (Variable \"$x\") (Variable \"$y\"))";
    assert_eq!(found(&kin, query, TruthFilter::Any), "(Ann Bob)(Bob Ann)");
    let query = "(Similarity (Concept \"Bob\") (Variable \"$y\"))";
    assert_eq!(found(&kin, query, TruthFilter::Any), "(Ann)");
}

#[test]
fn truth_values_filter() {
    let kin = space(KIN);
    let query = "(Inheritance (Variable \"$x\") (Variable \"$y\"))";
    let product = TruthFilter::ProductAtLeast(0.4);
    assert_eq!(found(&kin, query, product), "(Ann woman)(Cid man)");
    assert_eq!(
        found(&kin, query, TruthFilter::CountAtLeast(80.0)),
        "(Ann woman)(Bob man)(Cid man)"
    );
    assert_eq!(found(&kin, query, TruthFilter::CountAtLeast(1000.0)), "(Ann woman)(Cid man)");
}

#[test]
fn variables_may_have_a_type_and_matches_a_limit() {
    let kin = space(KIN);
    let mut query = Query::parse("(Evaluation (Variable \"$p\") (Variable \"$l\"))", &kin).unwrap();
    let some = query.matches(&kin, TruthFilter::Any, 3);
    assert_eq!((some.len(), some.is_complete), (3, false));
    assert!(query.matches(&kin, TruthFilter::Any, 4).is_complete);
    query.variables[1].of = kin.find_type("ConceptNode", super::super::types::Kind::Node);
    assert!(query.matches(&kin, TruthFilter::Any, 3).is_empty());
}

#[test]
fn clauses_may_be_wrapped_as_atomspace_has_them() {
    let space = space(
        r#"(Inheritance (Concept "cat") (Concept "animal"))
        (Inheritance (Predicate "p") (Concept "animal")) (List (Concept "cat") (Concept "x"))
        (And (Concept "cat") (Concept "animal"))"#,
    );
    let both = r#"(Inheritance (Variable "$x") (Concept "animal"))
        (List (Variable "$x") (Variable "$y"))"#;
    let plain = found(&space, both, TruthFilter::Any);
    assert!(plain.contains("cat"));
    for query in [
        format!("(Meet (And {both}))"),
        format!("(Get (VariableList (Variable \"$x\") (Variable \"$y\")) (Present {both}))"),
        format!("(Meet (And (Present {both})))"),
        format!("(Present {both})"),
        format!("(And {both})"),
        format!("(Query (And {both}) (List (Variable \"$y\") (Concept \"z\")))"),
        format!("(Bind (VariableSet (Variable \"$x\") (Variable \"$y\")) (And {both}) (List))"),
    ] {
        assert_eq!(found(&space, &query, TruthFilter::Any), plain, "{query}");
    }
    let is_a = r#"(Inheritance (Variable "$x") (Concept "animal"))"#;
    let typed = |of: &str| {
        let variable = format!("(TypedVariable (Variable \"$x\") (Type \"{of}\"))");
        let query = Query::parse(&format!("(Meet {variable} (Present {is_a}))"), &space).unwrap();
        query.matches(&space, TruthFilter::Any, 9).len()
    };
    assert_eq!([typed("Concept"), typed("Predicate"), typed("Gene")], [1, 1, 0]);
    // An AndLink of the space.
    let and = r#"(And (Variable "$x") (Concept "animal"))"#;
    assert_eq!(Query::parse(and, &space).unwrap().clauses.len(), 1);
    assert_eq!(Query::parse(&format!("(Present {and})"), &space).unwrap().clauses.len(), 1);
    for odd in [
        format!("(Meet (Or {both}))"),
        "(Meet (Variable \"$x\"))".into(),
        "(Meet)".into(),
        format!("(Meet (TypedVariable (Variable \"$x\") (TypeChoice)) {is_a})"),
    ] {
        assert!(Query::parse(&odd, &space).is_err(), "{odd}");
    }
}

#[test]
fn what_is_no_query_is_refused() {
    let kin = space(KIN);
    for text in ["(Concept \"a\")", "(use-modules (x))", "(List"] {
        assert!(Query::parse(text, &kin).is_err());
    }
}

mod properties {
    use proptest::prelude::*;

    use super::super::super::builder::Builder;
    use super::super::super::types::Kind;
    use super::*;

    /// Whether a term is an atom, given what its variables stand for: the plain definition.
    fn is(space: &AtomSpace, term: &Term, atom: AtomId, bound: &[AtomId]) -> bool {
        match term {
            Term::Variable(i) => bound[*i] == atom,
            Term::Atom(wanted) => *wanted == atom,
            Term::Absent => false,
            Term::Link(of, held) => {
                let outgoing: Vec<AtomId> = space.outgoing(atom).collect();
                let same = |order: &[AtomId]| {
                    held.iter().zip(order).all(|(term, &atom)| is(space, term, atom, bound))
                };
                let swapped: Vec<AtomId> = outgoing.iter().rev().copied().collect();
                space.type_of(atom) == *of
                    && outgoing.len() == held.len()
                    && (same(&outgoing) || space.types()[of.index()].unordered && same(&swapped))
            }
        }
    }

    fn by_trying_all(space: &AtomSpace, query: &Query) -> Vec<Vec<AtomId>> {
        let all = || space.atoms();
        let pairs = all().flat_map(|x| all().map(move |y| vec![x, y]));
        let met = |bound: &Vec<AtomId>| {
            let clauses = &mut query.clauses.iter();
            clauses.all(|clause| all().any(|atom| is(space, clause, atom, bound)))
        };
        pairs.filter(met).collect()
    }

    fn leaf() -> impl Strategy<Value = Term> {
        prop_oneof![
            (0..2usize).prop_map(Term::Variable),
            (0..4u32).prop_map(|i| Term::Atom(AtomId(i)))
        ]
    }

    fn link() -> impl Strategy<Value = Term> {
        let inner = || {
            let nested =
                (1..3u16, leaf(), leaf()).prop_map(|(of, a, b)| Term::Link(TypeId(of), vec![a, b]));
            prop_oneof![3 => leaf(), 1 => nested]
        };
        (1..3u16, inner(), inner()).prop_map(|(of, a, b)| Term::Link(TypeId(of), vec![a, b]))
    }

    proptest! {
        #[test]
        fn matches_are_what_trying_all_finds(
            links in prop::collection::vec((1..3u16, 0..20u32, 0..20u32), 1..16),
            clauses in prop::collection::vec(link(), 1..4),
        ) {
            let mut builder = Builder::new();
            let concept = builder.add_type("Concept", Kind::Node).unwrap();
            builder.add_type("List", Kind::Link).unwrap();
            builder.add_type("Set", Kind::Link).unwrap();
            for i in 0..4u8 {
                builder.add_node(concept, &[i]).unwrap();
            }
            for (of, a, b) in links {
                let count = builder.atom_count() as u32;
                builder.add_link(TypeId(of), &[AtomId(a % count), AtomId(b % count)]).unwrap();
            }
            let space = builder.finish();
            // so that each variable is somewhere
            let first = Term::Link(TypeId(1), vec![Term::Variable(0), Term::Variable(1)]);
            let clauses = [vec![first], clauses].concat();
            let variable = |name: &str| Variable { name: name.into(), of: None };
            let query = Query { variables: vec![variable("x"), variable("y")], clauses };
            let matches = query.matches(&space, TruthFilter::Any, usize::MAX);
            let found: Vec<Vec<AtomId>> = matches.iter().map(<[_]>::to_vec).collect();
            prop_assert_eq!(found, by_trying_all(&space, &query));
        }
    }
}

#[test]
fn few_matches_of_large_unordered_links_take_little_time() {
    let held = |node: &str| (0..16).map(|i| format!("({node} \"{i}\")")).collect::<String>();
    let set = space(&format!("(Set {})", held("Concept")));
    // 16! ways, of which one is asked for.
    let query = Query::parse(&format!("(Set {})", held("Variable")), &set).unwrap();
    let matches = query.matches(&set, TruthFilter::Any, 1);
    assert_eq!((matches.len(), matches.is_complete), (1, false));
    // What is known rules all ways out at once, though it comes last.
    let known = held("Variable").replace("(Variable \"15\")", "(Concept \"other\")");
    let both = space(&format!("(Set {}) (Concept \"other\")", held("Concept")));
    let query = Query::parse(&format!("(Set {known})"), &both).unwrap();
    assert!(query.matches(&both, TruthFilter::Any, 1).is_empty());
}

#[test]
fn what_is_not_found_but_computed_is_refused() {
    let store = space("(List (Concept \"a\") (Concept \"b\")) (Not (List (Concept \"a\")))");
    for (pattern, named) in [
        ("(List (Glob \"$x\"))", "GlobNode"),
        ("(Get (List (Concept \"a\") (Glob \"$x\")))", "GlobNode"),
        ("(Dual (List (Concept \"a\") (Concept \"b\")))", "DualLink"),
        ("(MaximalJoin (Concept \"a\"))", "MaximalJoinLink"),
        ("(Meet (Dual (Concept \"a\")))", "DualLink"),
        (
            "(Get (And (List (Variable \"$x\")) (GreaterThan (Variable \"$x\") (Number 1))))",
            "GreaterThan",
        ),
        ("(Get (Not (List (Variable \"$x\"))))", "NotLink"),
        ("(Get (Evaluation (GroundedPredicate \"scm:f\") (Variable \"$x\")))", "program"),
    ] {
        let fault = Query::parse(pattern, &store).unwrap_err().to_string();
        assert!(fault.contains(named), "{pattern}: {fault}");
    }
    // Outside of a query it is a link as any.
    let query = Query::parse("(Not (List (Variable \"$x\")))", &store).unwrap();
    assert_eq!(query.matches(&store, TruthFilter::Any, 10).len(), 1);
}
