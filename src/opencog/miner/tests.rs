use super::super::atomspace::AtomSpace;
use super::super::atomspace::query::{Query, TruthFilter};
use super::super::atomspace::read::{ReadOptions, read};
use super::*;

fn space(text: &str) -> AtomSpace {
    read(text.as_bytes(), &ReadOptions::default()).unwrap().0
}

/// 20 people, of whom 10 are men, 10 ugly and 10 drink soda, 5 all of it, and as many women; nobody
/// else is two of the three. The counts are those of the example that OpenCog's miner ships.
fn people() -> String {
    let mut text = String::new();
    for i in 0..20 {
        let mut is = |what: &str| {
            text += &format!("(Inheritance (stv 1 1) (Concept \"p{i}\") (Concept \"{what}\"))\n");
        };
        is("human");
        is(if i < 10 { "man" } else { "woman" });
        if i < 5 || (10..15).contains(&i) {
            is("ugly");
        }
        if !(5..15).contains(&i) {
            is("soda drinker");
        }
    }
    text
}

fn options(minimum_support: u64) -> MinerOptions {
    MinerOptions { minimum_support, ..MinerOptions::default() }
}

fn pattern<'m>(mined: &'m Mined, text: &str) -> &'m MinedPattern {
    mined
        .patterns
        .iter()
        .find(|pattern| pattern.text == text)
        .unwrap_or_else(|| panic!("no {text}"))
}

fn of(classes: &[&str]) -> String {
    let clause = |class: &&str| format!("(InheritanceLink $0 (ConceptNode \"{class}\"))");
    classes.iter().map(clause).collect::<Vec<_>>().join(" ")
}

#[test]
fn surprisingness_is_that_of_upstream() {
    let mined = mine(&space(&people()), &options(5));
    assert_eq!((mined.trees, mined.too_large, mined.is_complete), (60, 0, true));
    let three = pattern(&mined, &of(&["man", "soda drinker", "ugly"]));
    assert_eq!((three.support, three.conjuncts), (5, 3));
    let surprise = three.surprise.unwrap();
    assert!((surprise.nisurp - 0.833).abs() < 1e-3, "{surprise:?}");
    assert!((surprise.nisurp_old - 0.9997).abs() < 1e-4, "{surprise:?}");
    assert!((surprise.jsdsurp - 0.92).abs() < 1e-2, "{surprise:?}");
    assert!(surprise.isurp < 1e-4 && surprise.isurp_old < 1e-3);
    // of the conjunctions of classes, it is the most surprising one
    let of_classes = mined.patterns.iter().filter(|pattern| {
        pattern.conjuncts == 3 && pattern.text.matches("(InheritanceLink $0 (").count() == 3
    });
    let most =
        of_classes.max_by(|a, b| a.surprise.unwrap().nisurp.total_cmp(&b.surprise.unwrap().nisurp));
    assert_eq!(most.unwrap().text, three.text);
}

#[test]
fn support_is_how_often_the_pattern_matches() {
    let text = people()
        + r#"
        (Inheritance (Concept "man") (Concept "human")) (Inheritance (Concept "x") (Concept "x"))
        (Evaluation (Predicate "likes") (List (Concept "p1") (Concept "p2")))
        (Evaluation (Predicate "likes") (List (Concept "p1") (Concept "p3")))
        (Evaluation (Predicate "likes") (List (Concept "p2") (Concept "p2")))
        (Evaluation (Predicate "likes") (Set (Concept "p1") (Concept "p3")))"#;
    let space = space(&text);
    let mined = mine(&space, &MinerOptions { max_conjuncts: 2, ..options(2) });
    assert!(mined.patterns.len() > 50);
    for pattern in &mined.patterns {
        let mut query = pattern.text.clone();
        for variable in ["$0", "$1", "$2"] {
            query = query.replace(variable, &format!("(VariableNode \"{variable}\")"));
        }
        let matches =
            Query::parse(&query, &space).unwrap().matches(&space, TruthFilter::Any, 100_000);
        assert_eq!(matches.len() as u64, pattern.support, "{}", pattern.text);
    }
    let likes = r#"(EvaluationLink (PredicateNode "likes") (ListLink $0 (ConceptNode "p2")))"#;
    assert_eq!(pattern(&mined, likes).support, 2);
    assert_eq!(pattern(&mined, r#"(EvaluationLink (PredicateNode "likes") $0)"#).support, 4);
}

#[test]
fn ids_make_no_difference() {
    let forward = people();
    let mut lines: Vec<&str> = forward.lines().collect();
    lines.reverse();
    let other = mine(&space(&lines.join("\n")), &options(5));
    assert_eq!(mine(&space(&forward), &options(5)), other);
}

#[test]
fn truth_values_choose_the_data() {
    let text = people().replacen("(stv 1 1)", "(stv 0.5 1)", 30);
    let filter = TruthFilter::ProductAtLeast(0.9);
    assert_eq!(mine(&space(&text), &MinerOptions { filter, ..options(5) }).trees, 30);
    assert_eq!(mine(&space(&text), &options(5)).trees, 60);
}

#[test]
fn limits_are_kept_and_told() {
    let space = space(&people());
    let mined = mine(&space, &MinerOptions { most_groundings: 100, ..options(5) });
    assert!(mined.too_large > 0);
    assert!(mined.patterns.iter().all(|pattern| pattern.support <= 100));
    let mined = mine(&space, &MinerOptions { most_patterns: 12, ..options(5) });
    assert_eq!((mined.patterns.len(), mined.is_complete), (12, false));
    let conjuncts = |most_lookups| {
        let mined = mine(&space, &MinerOptions { most_lookups, ..options(5) });
        let most = mined.patterns.iter().map(|pattern| pattern.conjuncts).max();
        (most, mined.is_complete)
    };
    assert_eq!(conjuncts(0), (Some(1), false));
    assert_eq!(conjuncts(1 << 40), (Some(3), true));
    let mined = mine(&space, &MinerOptions { max_variables: 1, max_conjuncts: 1, ..options(5) });
    assert!(mined.patterns.iter().all(|p| p.conjuncts == 1 && !p.text.contains("$1")));
}

mod properties {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::super::atomspace::query::{Term, Variable as QueryVariable};
    use super::super::super::atomspace::{AtomId, Builder, Kind, TypeId};
    use super::super::abstraction::components;
    use super::super::pattern::{Canonical, Clause, Token, variables_of};
    use super::*;

    const NODES: u32 = 4;

    /// Every clause over three variables and the nodes that has a variable.
    fn all_clauses(link: TypeId) -> Vec<Clause> {
        let variables = (0..3).map(Token::Variable);
        let terms: Vec<Token> =
            variables.chain((0..NODES).map(|i| Token::Atom(AtomId(i)))).collect();
        let pairs = terms.iter().flat_map(|&a| terms.iter().map(move |&b| [a, b]));
        let clauses = pairs.map(|[a, b]| Clause(Box::new([Token::Link(link, 2), a, b])));
        clauses.filter(|clause| !clause.variables().is_empty()).collect()
    }

    fn support(space: &AtomSpace, clauses: &[Clause]) -> u64 {
        let order = variables_of(clauses.iter());
        let term = |token: &Token| match *token {
            Token::Variable(variable) => {
                Term::Variable(order.iter().position(|&v| v == variable).unwrap())
            }
            Token::Atom(atom) => Term::Atom(atom),
            Token::Link(..) => unreachable!("these links hold nodes"),
        };
        let link = |clause: &Clause| match clause.0[0] {
            Token::Link(of, _) => Term::Link(of, clause.0[1..].iter().map(term).collect()),
            _ => unreachable!("a clause is a link"),
        };
        let variables = order.iter().map(|v| QueryVariable { name: v.to_string(), of: None });
        let query =
            Query { variables: variables.collect(), clauses: clauses.iter().map(link).collect() };
        query.matches(space, TruthFilter::Any, usize::MAX).len() as u64
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn all_frequent_patterns_are_found(
            links in prop::collection::vec((0..NODES, 0..NODES), 1..12),
            minimum_support in 2u64..5,
        ) {
            let mut builder = Builder::new();
            let concept = builder.add_type("Concept", Kind::Node).unwrap();
            let link = builder.add_type("Inheritance", Kind::Link).unwrap();
            for i in 0..NODES {
                builder.add_node(concept, &[b'a' + i as u8]).unwrap();
            }
            for (a, b) in links {
                builder.add_link(link, &[AtomId(a), AtomId(b)]).unwrap();
            }
            let space = builder.finish();
            let mut expected = BTreeMap::new();
            let frequent: Vec<Clause> = all_clauses(link)
                .into_iter()
                .filter(|clause| support(&space, std::slice::from_ref(clause)) >= minimum_support)
                .collect();
            for first in &frequent {
                let alone = [first.clone()];
                expected.insert(Canonical::of(&space, &alone).text, support(&space, &alone));
                for second in frequent.iter().filter(|second| *second != first) {
                    let both = [first.clone(), second.clone()];
                    let support = support(&space, &both);
                    if components(&both).len() == 1 && support >= minimum_support {
                        expected.insert(Canonical::of(&space, &both).text, support);
                    }
                }
            }
            let mined = mine(&space, &MinerOptions { max_conjuncts: 2, ..options(minimum_support) });
            let found: BTreeMap<String, u64> =
                mined.patterns.into_iter().map(|pattern| (pattern.text, pattern.support)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
