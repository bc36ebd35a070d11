//! The tables that MOSES ships, and programs evolved for them.

use std::path::{Path, PathBuf};

use opencog_qat::opencog::moses::{
    Binding, ColumnChoice, Effort, Ensemble, Fitness, Genetics, Lattice, Measure, Names,
    Primitives, Search, Table,
};

/// The most vertices of a program.
const MOST: usize = 40;

/// A table and what it is called.
pub struct Shipped {
    pub name: &'static str,
    pub table: Table,
}

/// Where they are kept.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/opencog-data/moses")
}

/// Those that have numbers in them or as their target, and their targets. Empty where they are
/// missing.
pub fn shipped() -> Vec<Shipped> {
    let label = |name: &str| Some(ColumnChoice::from(name));
    let tables = [
        ("bank.csv", label("Q3")),
        ("predicates.csv", label("pred")),
        ("predicates-1.3.csv", label("pred")),
        ("iris.data", label("class")),
        ("IrisSetosa.data", label("CLASS")),
        ("wine.data", None),
        ("select.csv", None),
    ];
    if !folder().exists() {
        println!("skipped: {} is missing", folder().display());
        return Vec::new();
    }
    let read = |(name, target): (&'static str, Option<ColumnChoice>)| {
        let text = std::fs::read_to_string(folder().join(name)).unwrap();
        let table = Table::read(&text, target.as_ref(), None).unwrap();
        Shipped { name, table }
    };
    tables.into_iter().map(read).collect()
}

/// Programs evolved for a table, and what they are made of.
pub fn evolved(table: &Table, effort: &Effort, seed: u64) -> (Ensemble, Primitives) {
    let mut names = Names::new();
    let primitives = Primitives::of(table, &mut names, MOST).unwrap();
    let binding = Binding::new(&names, table).unwrap();
    let scale = Lattice::default();
    let genetics = Genetics { primitives: &primitives, scale: &scale };
    let search = Search { table, binding: &binding, fitness: Fitness::Errors, genetics };
    let found = search.evolve(&[], effort, seed).unwrap();
    let scores = found.iter().map(|program| program.score).collect();
    let programs = found.into_iter().map(|program| program.tree).collect();
    drop(binding);
    let measures = vec![Measure { name: "score".into(), values: scores }];
    (Ensemble { names, programs, measures, ..Ensemble::default() }, primitives)
}
