//! Sparse tables as MOSES reads them (`istreamSparseITable` of its `table_io.cc`): some columns that
//! all rows have, then pairs, `earn, issued : 1, results : 2`. What a row does not name is 0 there.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::rows::{Row, TableError, cells};

/// What stands between a name and its value.
const PAIRED: &str = " : ";
/// A table is sparse where one of so many lines has pairs.
const LOOKED_AT: usize = 20;
/// The most values of a table in full.
const MOST: usize = 100_000_000;

/// A sparse table in full.
#[derive(Debug)]
pub(super) struct Dense {
    /// Of the columns that all rows have, then the names in pairs.
    pub labels: Vec<String>,
    pub rows: Vec<Row>,
    /// How many columns all rows have.
    pub fixed: usize,
}

/// A row as it is written.
struct Sparse {
    line: usize,
    /// What all rows have.
    fixed: Vec<String>,
    pairs: BTreeMap<String, String>,
}

/// Whether a table is sparse.
pub(super) fn is_sparse<'t>(lines: impl Iterator<Item = (usize, &'t str)>) -> bool {
    lines.take(LOOKED_AT).any(|(_, line)| line.contains(PAIRED))
}

/// Reads the lines of a sparse table.
pub(super) fn dense<'t>(
    lines: impl Iterator<Item = (usize, &'t str)>,
) -> Result<Dense, TableError> {
    let split = |(line, text): (usize, &str)| match cells(text, &[',']) {
        Ok(cells) => Ok((line, cells.iter().map(|cell| cell.trim().to_owned()).collect())),
        Err(fault) => Err(TableError { line, fault }),
    };
    let mut rows: Vec<(usize, Vec<String>)> = lines.map(split).collect::<Result<_, _>>()?;
    let has_pairs = |(_, cells): &(usize, Vec<String>)| cells.iter().any(|c| c.contains(PAIRED));
    let labels = match rows.first() {
        Some(first) if !has_pairs(first) => rows.remove(0).1,
        first => {
            let cells = first.map_or(&[][..], |(_, cells)| cells);
            let fixed = cells.iter().take_while(|cell| !cell.contains(PAIRED)).count();
            (1..=fixed).map(|place| format!("column{place}")).collect()
        }
    };
    let sparse = |(line, cells)| Sparse::new(line, cells, labels.len());
    let rows: Vec<Sparse> = rows.into_iter().map(sparse).collect::<Result<_, _>>()?;
    in_full(labels, rows)
}

impl Sparse {
    fn new(line: usize, mut cells: Vec<String>, fixed: usize) -> Result<Sparse, TableError> {
        let pairs = cells.split_off(fixed.min(cells.len()));
        let is_whole = cells.len() == fixed && !cells.iter().any(|cell| cell.contains(PAIRED));
        let pairs: Option<BTreeMap<String, String>> = pairs.iter().map(|cell| pair(cell)).collect();
        match pairs.filter(|_| is_whole) {
            Some(pairs) => Ok(Sparse { line, fixed: cells, pairs }),
            None => {
                let fault = format!("expected {fixed} values, then pairs such as `a : 1`");
                Err(TableError { line, fault })
            }
        }
    }
}

/// The table with a column for each name, after those of these labels.
fn in_full(mut labels: Vec<String>, rows: Vec<Sparse>) -> Result<Dense, TableError> {
    let fixed = labels.len();
    let names: BTreeSet<String> = rows.iter().flat_map(|row| row.pairs.keys().cloned()).collect();
    let (count, width) = (rows.len(), fixed + names.len());
    if count.saturating_mul(width) > MOST {
        let fault = format!(
            "{count} rows of {width} columns, most of them 0, are more than the {MOST} values that \
             are read"
        );
        return Err(TableError { line: 0, fault });
    }
    let row = |mut row: Sparse| {
        let value = |name: &String| row.pairs.remove(name).map_or(Cow::Borrowed("0"), Cow::Owned);
        let values: Vec<Cow<'static, str>> = names.iter().map(value).collect();
        (row.line, row.fixed.into_iter().map(Cow::Owned).chain(values).collect())
    };
    let rows = rows.into_iter().map(row).collect();
    labels.extend(names.iter().cloned());
    Ok(Dense { labels, rows, fixed })
}

fn pair(cell: &str) -> Option<(String, String)> {
    let (name, value) = cell.split_once(PAIRED)?;
    let (name, value) = (name.trim(), value.trim());
    let is_pair = !name.is_empty() && !value.is_empty();
    is_pair.then(|| (name.to_owned(), value.to_owned()))
}
