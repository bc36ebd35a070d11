//! What the variables of clauses can stand for together, by joining clauses on what they share.

use std::collections::hash_map::Entry;

use rustc_hash::FxHashMap;

use super::super::atomspace::AtomId;
use super::clauses::FrequentClause;
use super::pattern::{Clause, Variable, variables_of};

/// Rows of what some variables stand for.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub variables: Vec<Variable>,
    pub rows: Vec<AtomId>,
}

impl Table {
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[AtomId]> {
        self.rows.chunks_exact(self.variables.len())
    }

    /// How many atoms a variable stands for.
    fn values(&self, column: usize) -> u64 {
        let mut values: Vec<AtomId> = self.rows().map(|row| row[column]).collect();
        values.sort_unstable();
        values.dedup();
        values.len() as u64
    }
}

/// The rows of a clause by what some of its columns have.
type Index = FxHashMap<Box<[AtomId]>, Vec<u32>>;

/// A clause of the data, its variables given other names.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub clause: usize,
    /// The name of each column.
    pub names: Vec<Variable>,
}

/// What is known of clauses that are connected by variables.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// How many groundings they have.
    pub support: u64,
    /// For each variable, in the order of first occurrence, how many atoms it stands for.
    pub values: Vec<u64>,
}

/// The frequent clauses of the data, and what was found out about them.
pub(super) struct Groundings {
    clauses: Vec<FrequentClause>,
    by_clause: FxHashMap<Clause, usize>,
    indexes: FxHashMap<(usize, Vec<usize>), Index>,
    facts: FxHashMap<Vec<Clause>, Option<Facts>>,
    most: u64,
}

impl Groundings {
    /// Tables of more than `most` rows are not made.
    pub fn new(clauses: Vec<FrequentClause>, most: u64) -> Groundings {
        let by_clause = clauses.iter().map(|known| known.clause.clone()).zip(0..).collect();
        let (indexes, facts) = (FxHashMap::default(), FxHashMap::default());
        Groundings { clauses, by_clause, indexes, facts, most }
    }

    pub fn clauses(&self) -> &[FrequentClause] {
        &self.clauses
    }

    /// The table of a clause alone.
    pub fn table(&self, Named { clause, names }: &Named) -> Table {
        Table { variables: names.clone(), rows: self.clauses[*clause].rows.clone() }
    }

    /// How many rows joining a clause would give.
    pub fn count(&mut self, table: &Table, named: &Named) -> u64 {
        let (left, index) = self.index(table, named);
        let mut key = Vec::new();
        let mut count = 0;
        for row in table.rows() {
            key.clear();
            key.extend(left.iter().map(|&column| row[column]));
            count += index.get(&key[..]).map_or(0, Vec::len) as u64;
        }
        count
    }

    /// The rows in which the table and the clause agree; none if there are too many.
    pub fn join(&mut self, table: &Table, named: &Named) -> Option<Table> {
        if self.count(table, named) > self.most {
            return None;
        }
        let is_new = |&&name: &&Variable| !table.variables.contains(&name);
        let new: Vec<usize> =
            (0..named.names.len()).filter(|&column| is_new(&&named.names[column])).collect();
        let mut variables = table.variables.clone();
        variables.extend(new.iter().map(|&column| named.names[column]));
        let width = named.names.len();
        let (left, index) = self.index(table, named);
        let mut key = Vec::new();
        let mut found = Vec::new();
        for row in table.rows() {
            key.clear();
            key.extend(left.iter().map(|&column| row[column]));
            let others = index.get(&key[..]).map_or(&[][..], Vec::as_slice);
            found.extend(others.iter().map(|&other| (row, other as usize * width)));
        }
        let of_clause = &self.clauses[named.clause].rows;
        let mut rows = Vec::with_capacity(found.len() * variables.len());
        for (row, other) in found {
            rows.extend_from_slice(row);
            rows.extend(new.iter().map(|&column| of_clause[other + column]));
        }
        Some(Table { variables, rows })
    }

    /// The columns of the table that the clause shares, and the rows of the clause by these.
    fn index(&mut self, table: &Table, named: &Named) -> (Vec<usize>, &Index) {
        let place = |name| table.variables.iter().position(|&variable| variable == name);
        let shared = named.names.iter().enumerate();
        let shared = shared.filter_map(|(right, &name)| place(name).map(|left| (left, right)));
        let (left, right): (Vec<usize>, Vec<usize>) = shared.unzip();
        let index = match self.indexes.entry((named.clause, right)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let right = &new.key().1;
                let mut index = Index::default();
                let rows = self.clauses[named.clause].rows.chunks_exact(named.names.len());
                for (row, i) in rows.zip(0..) {
                    let key: Box<[AtomId]> = right.iter().map(|&column| row[column]).collect();
                    index.entry(key).or_default().push(i);
                }
                new.insert(index)
            }
        };
        (left, index)
    }

    /// What is known of clauses that are connected; none if they have too many groundings.
    pub fn facts(&mut self, clauses: &[Clause]) -> Option<Facts> {
        let order = variables_of(clauses.iter());
        let name = |variable| super::pattern::place(&order, variable);
        let key: Vec<Clause> = clauses.iter().map(|clause| clause.renamed(name)).collect();
        if let Some(known) = self.facts.get(&key) {
            return known.clone();
        }
        let facts = self.joined(&key).map(|table| {
            let column = |variable| table.variables.iter().position(|&v| v == variable);
            let variables = (0..order.len() as Variable).filter_map(column);
            Facts {
                support: (table.rows.len() / table.variables.len()) as u64,
                values: variables.map(|column| table.values(column)).collect(),
            }
        });
        self.facts.insert(key, facts.clone());
        facts
    }

    fn joined(&mut self, clauses: &[Clause]) -> Option<Table> {
        let (first, others) = clauses.split_first()?;
        let mut table = self.table(&self.named(first)?);
        let mut left: Vec<&Clause> = others.iter().collect();
        while !left.is_empty() {
            // a clause that shares nothing yet would be joined with everything
            let shares = |clause: &&Clause| table.variables.iter().any(|&v| clause.has(v));
            let next = left.remove(left.iter().position(shares).unwrap_or(0));
            let named = self.named(next)?;
            table = self.join(&table, &named)?;
        }
        Some(table)
    }

    fn named(&self, clause: &Clause) -> Option<Named> {
        let names = clause.variables();
        let clause = *self.by_clause.get(&clause.normal())?;
        Some(Named { clause, names })
    }
}
