//! MOSES' own files: read, coded, and evolved from.

mod moses_tables;

use moses_tables::{evolved, folder, shipped};
use opencog_qat::opencog::moses::{
    Binding, Code, CodedEnsemble, Column, ConstantCodec, Effort, Ensemble, Fitness, Rounding,
    TOLERANCE, Table, Tree, complexity, score,
};
use opencog_qat::validate::opencog::moses::{Evolutions, continue_evolution, fitness_change};

const EFFORT: Effort = Effort { population: 60, evaluations: 4000, complexity_ratio: 3.5 };

fn coded_trees(coded: &CodedEnsemble) -> Vec<Tree<Code>> {
    (0..coded.len()).map(|program| coded.tree(program)).collect()
}

#[test]
fn tables_have_the_rows_that_moses_reads() {
    let sizes: Vec<_> =
        shipped().iter().map(|of| (of.name, of.table.rows(), of.table.inputs.len())).collect();
    if sizes.is_empty() {
        return;
    }
    let expected = [
        ("bank.csv", 91, 38),
        ("predicates.csv", 29, 3),
        ("predicates-1.3.csv", 56, 3),
        ("iris.data", 150, 4),
        ("IrisSetosa.data", 150, 4),
        ("wine.data", 178, 13),
        ("select.csv", 329, 17),
    ];
    assert_eq!(sizes, expected);
}

#[test]
fn upstream_s_solutions_have_no_errors() {
    for (name, program) in [
        ("predicates.csv", "and(0<(+(-1 $x)) 0<($y) $g)"),
        ("predicates-1.3.csv", "and(0<(+(-1.3 $x)) 0<($y) $g)"),
        ("predicates-1.3.csv", "and(0<(+(-6.5 *(5 $1))) 0<($2) $3)"),
    ] {
        let Some(table) = shipped().into_iter().find(|of| of.name == name) else { return };
        let ensemble = Ensemble::read(program).unwrap();
        let binding = Binding::new(&ensemble.names, &table.table).unwrap();
        let tree = &ensemble.programs[0];
        let score = score(tree, &table.table, &binding, Fitness::Errors, |value| value);
        assert_eq!(score, Ok(0.0), "{program} on {name}");
    }
}

#[test]
fn boolean_ensembles_of_mozi_come_back() {
    for name in ["mozi-test_combo.csv", "mozi-fold_0.csv", "mozi-fold_1.csv", "mozi-fold_2.csv"] {
        let Ok(text) = std::fs::read_to_string(folder().join(name)) else {
            return println!("skipped: {} is missing", folder().join(name).display());
        };
        let ensemble = Ensemble::read(&text).unwrap();
        let told = ensemble.measure("complexity").unwrap();
        for (program, told) in ensemble.programs.iter().zip(told) {
            assert_eq!(complexity(program, |value| value) as f64, *told);
        }
        let coded = CodedEnsemble::encode(&ensemble, ConstantCodec::Lattice, Rounding::Keep);
        assert_eq!(coded.decode(), ensemble);
        let vertices: usize = ensemble.programs.iter().map(Tree::len).sum();
        assert!(coded.bytes().len() < vertices * 5 / 4, "{name}: about a byte a vertex");
    }
}

#[test]
fn networks_come_back() {
    for name in ["xor", "pole1", "pole2", "pole2nv"] {
        let path = folder().join(format!("ann-{name}_tree.combo"));
        let Ok(text) = std::fs::read_to_string(&path) else {
            return println!("skipped: {} is missing", path.display());
        };
        let ensemble = Ensemble::read(&text).unwrap();
        let coded = CodedEnsemble::encode(&ensemble, ConstantCodec::Lattice, Rounding::Keep);
        assert_eq!(coded.decode(), ensemble);
        assert_eq!(coded.constants().1, 0, "{name}: weights of 0 and 0.5 are on the lattice");
    }
}

#[test]
fn six_bits_keep_the_ranking() {
    for of in shipped() {
        let (ensemble, _) = evolved(&of.table, &EFFORT, 1);
        let rounding = Rounding::Calibrated { table: &of.table, tolerance: TOLERANCE };
        let coded = CodedEnsemble::encode(&ensemble, ConstantCodec::Palette, rounding);
        let change = fitness_change(&ensemble, &coded.decode(), &of.table, Fitness::Errors);
        let change = change.unwrap();
        let (levels, kept) = coded.constants();
        println!(
            "{}: tau {:.4} (wanted: 0.99), {kept} of {} constants kept",
            of.name,
            change.tau,
            levels + kept
        );
        assert!(change.tau >= 0.99, "{}: {change:?}", of.name);
    }
}

#[test]
fn evolution_from_codes_reaches_what_that_from_numbers_does() {
    for of in shipped() {
        let (ensemble, primitives) = evolved(&of.table, &EFFORT, 1);
        let rounding = Rounding::Calibrated { table: &of.table, tolerance: TOLERANCE };
        let coded = CodedEnsemble::encode(&ensemble, ConstantCodec::Palette, rounding);
        let codes = (&coded_trees(&coded)[..], coded.book());
        let on = (&of.table, Fitness::Errors);
        let best = |seed| continue_evolution(&ensemble, codes, &primitives, on, &EFFORT, seed);
        let runs: Vec<_> = (1..=3).map(|seed| best(seed).unwrap()).collect();
        let highest =
            |score: fn(&Evolutions) -> f64| runs.iter().map(score).fold(f64::MIN, f64::max);
        let (uncoded, coded) = (highest(|run| run.uncoded), highest(|run| run.coded));
        println!("{}: {uncoded:.3} with numbers, {coded:.3} with codes", of.name);
        let bests = Evolutions { start: runs[0].start, uncoded, coded };
        assert!(bests.shortfall(&of.table) <= 0.02, "{}: {bests:?}", of.name);
    }
}

#[test]
fn a_wrong_target_is_told() {
    let error = Table::read("a,b\n1,2.5\n0,3.5", Some(&"c".into()), None).unwrap_err();
    assert_eq!(error.to_string(), "expected a column `c`, found none");
    let table = Table::read("a,b\n1,2.5\n0,3.5", Some(&"2".into()), None).unwrap();
    assert_eq!(table.target, Column::Contin(vec![2.5, 3.5]));
}
