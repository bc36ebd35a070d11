//! Sparse tables as MOSES reads them (`istreamSparseITable` of its `table_io.cc`): some columns that
//! all rows have, then pairs, `earn, issued : 1, results : 2`. What a row does not name is 0 there.

use std::collections::{BTreeMap, BTreeSet};

use super::table::{Row, TableError};

/// What stands between a name and its value.
const PAIRED: &str = " : ";

/// A sparse table in full.
#[derive(Debug)]
pub(super) struct Dense {
    /// Of the columns that all rows have, where the file has them, then the names in pairs.
    pub labels: Vec<String>,
    pub rows: Vec<Row>,
    /// How many columns all rows have.
    pub fixed: usize,
}

/// Whether a table is sparse: its first row, or the one after the labels, has pairs.
pub(super) fn is_sparse<'t>(mut lines: impl Iterator<Item = (usize, &'t str)>) -> bool {
    lines.by_ref().take(2).any(|(_, line)| line.contains(PAIRED))
}

/// Reads the lines of a sparse table.
pub(super) fn dense<'t>(
    lines: impl Iterator<Item = (usize, &'t str)>,
) -> Result<Dense, TableError> {
    let mut lines = lines.peekable();
    let header = lines.next_if(|(_, line)| !line.contains(PAIRED));
    let header: Vec<String> = header.map_or(Vec::new(), |(_, line)| cells(line));
    let rows: Vec<(usize, Vec<String>)> = lines.map(|(line, text)| (line, cells(text))).collect();
    let fixed = match (header.len(), rows.first()) {
        (0, Some((_, cells))) => cells.iter().take_while(|cell| !cell.contains(PAIRED)).count(),
        (len, _) => len,
    };
    let split: Vec<(usize, Vec<String>, BTreeMap<String, String>)> = rows
        .into_iter()
        .map(|(line, mut cells)| {
            let pairs = cells.split_off(fixed.min(cells.len()));
            let is_whole = cells.len() == fixed && !cells.iter().any(|cell| cell.contains(PAIRED));
            let pairs: Option<BTreeMap<String, String>> =
                pairs.iter().map(|cell| pair(cell)).collect();
            match pairs.filter(|_| is_whole) {
                Some(pairs) => Ok((line, cells, pairs)),
                None => {
                    let fault = format!("expected {fixed} values, then pairs such as `a : 1`");
                    Err(TableError { line, fault })
                }
            }
        })
        .collect::<Result<_, _>>()?;
    let names: BTreeSet<&String> = split.iter().flat_map(|(_, _, pairs)| pairs.keys()).collect();
    let mut labels = header;
    labels.resize(fixed, String::new());
    labels.extend(names.iter().map(|name| name.to_string()));
    let value = |pairs: &BTreeMap<String, String>, name: &String| {
        pairs.get(name).cloned().unwrap_or_else(|| "0".into())
    };
    let row = |(line, fixed, pairs): &(usize, Vec<String>, BTreeMap<String, String>)| {
        let values = names.iter().map(|name| value(pairs, name));
        (*line, fixed.iter().cloned().chain(values).collect())
    };
    let rows = split.iter().map(row).collect();
    Ok(Dense { labels, rows, fixed })
}

/// What stands between commas.
fn cells(line: &str) -> Vec<String> {
    line.split(',').map(|cell| cell.trim().to_owned()).filter(|cell| !cell.is_empty()).collect()
}

fn pair(cell: &str) -> Option<(String, String)> {
    let (name, value) = cell.split_once(PAIRED)?;
    let (name, value) = (name.trim(), value.trim());
    let is_pair = !name.is_empty() && !value.is_empty();
    is_pair.then(|| (name.to_owned(), value.to_owned()))
}
