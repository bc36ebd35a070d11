//! Mining the files that OpenCog projects ship: the numbers of OpenCog's own tests, and that stores
//! that say the same are mined alike.

mod opencog_data;

use opencog_data::read_file;
use opencog_qat::opencog::atomspace::export::{Target, export};
use opencog_qat::opencog::atomspace::query::TruthFilter;
use opencog_qat::opencog::atomspace::read::{ReadOptions, read};
use opencog_qat::opencog::miner::{MinerOptions, mine};
use opencog_qat::validate::opencog::mining::mining_agreement;

#[test]
fn the_ugly_men_who_drink_soda_surprise_as_much_as_upstream_says() {
    let Some((space, _)) = read_file("ugly-male-soda-drinker-corpus.scm") else { return };
    let mined = mine(&space, &MinerOptions { minimum_support: 5, ..MinerOptions::default() });
    let classes = ["man", "soda drinker", "ugly"];
    let text = classes.map(|class| format!("(InheritanceLink $0 (ConceptNode \"{class}\"))"));
    let found = mined.patterns.iter().find(|pattern| pattern.text == text.join(" ")).unwrap();
    let surprise = found.surprise.unwrap();
    println!("{} trees, {} patterns, {surprise:?}", mined.trees, mined.patterns.len());
    assert_eq!((mined.trees, found.support), (60, 5));
    assert!((surprise.nisurp - 0.833).abs() < 1e-3);
    assert!((surprise.nisurp_old - 0.9997).abs() < 1e-4);
    assert!((surprise.jsdsurp - 0.92).abs() < 1e-2);
}

#[test]
fn a_store_with_other_ids_is_mined_alike() {
    for (name, minimum_support, filter) in [
        ("ugly-male-soda-drinker-corpus.scm", 5, TruthFilter::Any),
        ("lojban-dataset.scm", 3, TruthFilter::Any),
        ("qa-knowledge-base.scm", 40, TruthFilter::Any),
        ("sumo-merge.scm", 8, TruthFilter::Any),
        ("sumo-merge.scm", 8, TruthFilter::CountAtLeast(99.0)),
        ("embodiment-corpus-av.scm", 100, TruthFilter::Any),
        ("embodiment-corpus-av.scm", 20, TruthFilter::ProductAtLeast(0.001)),
    ] {
        let Some((space, _)) = read_file(name) else { continue };
        let mut text = Vec::new();
        export(&space, &Target::AtomSpace5_0.into(), &mut text).unwrap();
        let (other, _) = read(&text[..], &ReadOptions::default()).unwrap();
        let options = MinerOptions {
            minimum_support,
            max_conjuncts: 2,
            filter,
            most_groundings: 1 << 16,
            most_patterns: 2000,
            ..MinerOptions::default()
        };
        let agreement = mining_agreement(&space, &other, &options, 10);
        println!("{name}, {filter:?}: {agreement:?}");
        assert!(agreement.is_perfect() && agreement.expected > 0, "{name}: {agreement:?}");
    }
}
