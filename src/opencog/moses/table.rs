//! Tables as MOSES reads them: values separated by commas, blanks or tabs, or sparse ones.

use std::borrow::Cow;
use std::collections::HashMap;

use super::ctable;
use super::rows::{Row, TableError, cells};
use super::sparse::{Dense, dense, is_sparse};
use super::types::Type;

/// Rows of inputs and of what programs are to say of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The names of the inputs; none where the file has none.
    pub labels: Vec<String>,
    /// The inputs, `$1` first.
    pub inputs: Vec<Column>,
    /// What is to be said.
    pub target: Column,
    /// What each row weighs, where the file tells.
    pub weights: Option<Vec<f64>>,
}

/// The values of one column.
#[derive(Debug, Clone, PartialEq)]
pub enum Column {
    /// `0` and `1`, or `F` and `T`.
    Boolean(Vec<bool>),
    /// Numbers.
    Contin(Vec<f64>),
    /// Words.
    Enumerated(Vec<String>),
}

/// Which column is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnChoice {
    /// By its place, from 1.
    Place(usize),
    /// By its label.
    Label(String),
}

/// As `moses -u` takes it: a place where it is a number, else a label.
impl From<&str> for ColumnChoice {
    fn from(text: &str) -> ColumnChoice {
        text.parse().map_or_else(|_| ColumnChoice::Label(text.into()), ColumnChoice::Place)
    }
}

impl Column {
    /// The type of its values.
    pub fn column_type(&self) -> Type {
        match self {
            Column::Boolean(_) => Type::Boolean,
            Column::Contin(_) => Type::Contin,
            Column::Enumerated(_) => Type::Enumerated,
        }
    }

    /// The number of its values.
    pub fn len(&self) -> usize {
        match self {
            Column::Boolean(values) => values.len(),
            Column::Contin(values) => values.len(),
            Column::Enumerated(values) => values.len(),
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Table {
    /// Reads a table. `target` is the first column where it isn't said, `weight` the column of what
    /// rows weigh, if there is one.
    ///
    /// Lines that begin with `#`, `;` or `!` are comments. The first row holds labels where a word
    /// stands above a column of something else. A column is boolean where all its values are 0, 1,
    /// T, F, t or f, of numbers where all are, and of words where one is not.
    ///
    /// A comma at the end of a row is left out. Rows that begin with counts of targets, as in
    /// `{1:21,0:9},1,0`, are as many rows as there are targets, each of which weighs its count.
    ///
    /// Where rows have pairs as in `earn, issued : 1, results : 2`, what a row does not name is 0;
    /// all columns that are made of pairs have one type.
    pub fn read(
        text: &str,
        target: Option<&ColumnChoice>,
        weight: Option<&ColumnChoice>,
    ) -> Result<Table, TableError> {
        let Cells { labels, rows, kinds, counts } = Cells::read(text)?;
        let width = kinds.len();
        let target = target.map_or(Ok(0), |choice| choice.find(&labels, width))?;
        let weight = weight.map(|choice| choice.find(&labels, width)).transpose()?;
        if weight == Some(target) {
            return Err(whole(
                "expected a target beside the weights, found the same column".into(),
            ));
        }
        check_finite(&rows, &kinds)?;
        let column = |at: usize| column(&rows, at, kinds[at]);
        let is_input = |at: &usize| *at != target && Some(*at) != weight;
        let weights = match weight.map(column) {
            None => None,
            Some(Column::Contin(values)) => Some(values),
            Some(Column::Boolean(values)) => Some(values.into_iter().map(f64::from).collect()),
            Some(Column::Enumerated(values)) => {
                let fault = format!("expected numbers in the weights, found `{:.40}`", values[0]);
                return Err(whole(fault));
            }
        };
        let weights = match (weights, counts) {
            (Some(mut weights), Some(counts)) => {
                weights.iter_mut().zip(counts).for_each(|(weight, count)| *weight *= count);
                Some(weights)
            }
            (weights, counts) => weights.or(counts),
        };
        Ok(Table {
            inputs: (0..width).filter(is_input).map(column).collect(),
            target: column(target),
            labels: match labels {
                Some(labels) => {
                    let inputs = labels.into_iter().enumerate().filter(|(at, _)| is_input(at));
                    inputs.map(|(_, label)| label).collect()
                }
                None => Vec::new(),
            },
            weights,
        })
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.target.len()
    }

    /// The index of the input of this label.
    pub fn input(&self, label: &str) -> Option<usize> {
        self.labels.iter().position(|known| known == label)
    }

    /// What a row weighs: 1 where nothing else is said.
    pub fn weight(&self, row: usize) -> f64 {
        self.weights.as_ref().map_or(1.0, |weights| weights[row])
    }
}

impl ColumnChoice {
    fn find(&self, labels: &Option<Vec<String>>, width: usize) -> Result<usize, TableError> {
        match self {
            ColumnChoice::Place(place) if (1..=width).contains(place) => Ok(place - 1),
            ColumnChoice::Place(place) => {
                let fault = format!("expected a column from 1 to {width}, found {place}");
                Err(whole(fault))
            }
            ColumnChoice::Label(label) => {
                let found = labels.iter().flatten().position(|known| known == label);
                found.ok_or_else(|| whole(format!("expected a column `{label:.40}`, found none")))
            }
        }
    }
}

fn whole(fault: String) -> TableError {
    TableError { line: 0, fault }
}

/// A table as text.
struct Cells {
    labels: Option<Vec<String>>,
    /// One at least, all of the same width, of 2 or more.
    rows: Vec<Row>,
    /// What the columns hold.
    kinds: Vec<Kind>,
    /// How often each row was, where the table is compressed.
    counts: Option<Vec<f64>>,
}

impl Cells {
    fn read(text: &str) -> Result<Cells, TableError> {
        if is_sparse(lines(text)) {
            let Dense { labels, rows, fixed } = dense(lines(text))?;
            let rows = checked(rows)?;
            let mut kinds: Vec<Kind> =
                (0..labels.len()).map(|at| column_kind(&rows, &[at])).collect();
            let paired: Vec<usize> = (fixed..labels.len()).collect();
            kinds[fixed..].fill(column_kind(&rows, &paired));
            return Ok(Cells { labels: Some(labels), rows, kinds, counts: None });
        }
        let (rows, counts) = rows(text)?;
        let mut rows = checked(rows)?;
        // Labels stand above the first counts.
        let has_counts = !counts.is_empty();
        let labels = match has_counts && counts.len() < rows.len() {
            true => Some(rows.remove(0).1.into_iter().map(Cow::into_owned).collect()),
            false if has_counts => None,
            false => take_labels(&mut rows),
        };
        let kinds = (0..rows[0].1.len()).map(|at| column_kind(&rows, &[at])).collect();
        Ok(Cells { labels, rows, kinds, counts: has_counts.then_some(counts) })
    }
}

/// The lines that are no comments, counted from 1.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_row =
        |(_, line): &(usize, &str)| !line.trim().is_empty() && !line.starts_with(['#', ';', '!']);
    (1..).zip(text.lines()).filter(is_row)
}

/// All of the same width, and of a compressed table how often each was.
fn rows(text: &str) -> Result<(Vec<Row>, Vec<f64>), TableError> {
    let mut rows: Vec<Row> = Vec::new();
    let mut counts = Vec::new();
    for (line, content) in lines(text) {
        let at_line = |fault| TableError { line, fault };
        let is_compressed = ctable::is_compressed(content);
        if is_compressed == counts.is_empty() && rows.len() > usize::from(is_compressed) {
            return Err(at_line("expected rows that all begin with counts, or none".into()));
        }
        let separators = [',', ' ', '\t'];
        let (targets, cells) = match is_compressed {
            true => {
                let (targets, cells) = ctable::row(content).map_err(at_line)?;
                (Some(targets), cells)
            }
            false => (None, cells(content, &separators).map_err(at_line)?),
        };
        let width = cells.len() + usize::from(is_compressed);
        let expected = rows.first().map_or(width, |(_, cells)| cells.len());
        if width != expected {
            return Err(at_line(format!("expected {expected} values, found {width}")));
        }
        let mut push = |cells: Vec<String>| {
            rows.push((line, cells.into_iter().map(Cow::Owned).collect()));
        };
        match targets {
            None => push(cells),
            Some(targets) => {
                for ctable::Counted { target, count } in targets {
                    push([&[target], &cells[..]].concat());
                    counts.push(count);
                }
            }
        }
    }
    Ok((rows, counts))
}

/// Refuses a table without rows, or of one column.
fn checked(rows: Vec<Row>) -> Result<Vec<Row>, TableError> {
    match rows.first() {
        None => Err(whole("expected rows, found none".into())),
        Some((line, cells)) if cells.len() < 2 => {
            Err(TableError { line: *line, fault: "expected 2 columns or more, found 1".into() })
        }
        Some(_) => Ok(rows),
    }
}

/// What may be in a column. Of two values, the column may hold what both may.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Boolean,
    Contin,
    Enumerated,
}

fn boolean(cell: &str) -> Option<bool> {
    match cell {
        "1" | "T" | "t" => Some(true),
        "0" | "F" | "f" => Some(false),
        _ => None,
    }
}

/// A number, be it infinite or `nan`: among numbers that is no word.
fn contin(cell: &str) -> Option<f64> {
    cell.parse().ok()
}

fn kind(cell: &str) -> Kind {
    match (boolean(cell), contin(cell)) {
        (Some(_), _) => Kind::Boolean,
        (None, Some(_)) => Kind::Contin,
        (None, None) => Kind::Enumerated,
    }
}

/// What columns hold together. T and F among numbers are words.
fn column_kind(rows: &[Row], columns: &[usize]) -> Kind {
    let cells = || rows.iter().flat_map(|(_, cells)| columns.iter().map(move |&at| &*cells[at]));
    let kind = cells().map(kind).max().unwrap_or(Kind::Boolean);
    let all_numbers = || cells().all(|cell| contin(cell).is_some());
    if kind == Kind::Contin && !all_numbers() { Kind::Enumerated } else { kind }
}

/// Refuses what is not finite in a column of numbers.
fn check_finite(rows: &[Row], kinds: &[Kind]) -> Result<(), TableError> {
    let columns: Vec<usize> = (0..kinds.len()).filter(|&at| kinds[at] == Kind::Contin).collect();
    for (line, cells) in rows {
        let is_odd = |at: &&usize| contin(&cells[**at]).is_none_or(|value| !value.is_finite());
        if let Some(&at) = columns.iter().find(is_odd) {
            let fault = format!("expected a finite number, found `{:.40}`", cells[at]);
            return Err(TableError { line: *line, fault });
        }
    }
    Ok(())
}

/// Takes the first row out where it holds labels.
fn take_labels(rows: &mut Vec<Row>) -> Option<Vec<String>> {
    let (first, rest) = rows.split_first()?;
    let is_word = |at: usize| kind(&first.1[at]) == Kind::Enumerated;
    let is_label = |at: usize| is_word(at) && column_kind(rest, &[at]) != Kind::Enumerated;
    if rest.is_empty() || !(0..first.1.len()).any(is_label) {
        return None;
    }
    Some(rows.remove(0).1.into_iter().map(Cow::into_owned).collect())
}

fn column(rows: &[Row], at: usize, kind: Kind) -> Column {
    let cells = || rows.iter().map(|(_, cells)| &*cells[at]);
    match kind {
        Kind::Boolean => Column::Boolean(cells().filter_map(boolean).collect()),
        Kind::Contin => Column::Contin(cells().filter_map(contin).collect()),
        Kind::Enumerated => Column::Enumerated(cells().map(String::from).collect()),
    }
}

/// Where each label stands, the first of equal ones.
pub(super) fn label_places(table: &Table) -> HashMap<&str, usize> {
    table.labels.iter().enumerate().rev().map(|(at, label)| (label.as_str(), at)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Table, String> {
        Table::read(text, None, None).map_err(|error| error.to_string())
    }

    #[test]
    fn columns_get_the_type_of_their_values() {
        let text = "# a comment\n! another\n\nx\ty\tg\tclass\n2.0\t1\tT\tred\n1\t0\tF\tgreen\n";
        let target = ColumnChoice::Label("class".into());
        let table = Table::read(text, Some(&target), None).unwrap();
        assert_eq!(table.labels, ["x", "y", "g"]);
        assert_eq!(table.inputs[0], Column::Contin(vec![2.0, 1.0]));
        assert_eq!(table.inputs[1], Column::Boolean(vec![true, false]));
        assert_eq!(table.inputs[2], Column::Boolean(vec![true, false]));
        assert_eq!(table.target, Column::Enumerated(vec!["red".into(), "green".into()]));
        assert_eq!((table.input("g"), table.input("class")), (Some(2), None));
    }

    #[test]
    fn a_table_may_have_no_labels() {
        let table = read("class1,14.23, .28\nclass2,13,1").unwrap();
        assert_eq!(table.labels, [""; 0]);
        assert_eq!(table.inputs[1], Column::Contin(vec![0.28, 1.0]));
        assert_eq!(table.rows(), 2);
    }

    #[test]
    fn rows_may_end_with_a_comma() {
        let table = read("t,x,\n1,2.5,\n0,3,\n").unwrap();
        assert_eq!(table, read("t,x\n1,2.5\n0,3\n").unwrap());
        assert_eq!(read("t,x\n1,2,,"), Err("line 2: expected a value, found `,`".into()));
    }

    #[test]
    fn rows_may_weigh() {
        let weight = ColumnChoice::Place(1);
        let target = ColumnChoice::Label("r".into());
        let table = Table::read("wgt a r\n10.1 1 0\n-1 0 1", Some(&target), Some(&weight)).unwrap();
        assert_eq!((table.weight(0), table.weight(1)), (10.1, -1.0));
        assert_eq!(table.labels, ["a"]);
        let error = Table::read("a,b\nx,1", Some(&target), None).unwrap_err().to_string();
        assert_eq!(error, "expected a column `r`, found none");
    }

    #[test]
    fn errors_tell_the_line() {
        assert_eq!(read("a,b\n1,2\n1,2,3"), Err("line 3: expected 2 values, found 3".into()));
        assert_eq!(read("a,b\n1,,2"), Err("line 2: expected a value, found `,`".into()));
        assert_eq!(read("1\n2"), Err("line 1: expected 2 columns or more, found 1".into()));
        assert_eq!(read("#\n"), Err("expected rows, found none".into()));
        let pairs = "expected 1 values, then pairs such as `a : 1`";
        assert_eq!(read("x, a : 1\nx, b"), Err(format!("line 2: {pairs}")));
        assert_eq!(read("t\na : 1, x"), Err(format!("line 2: {pairs}")));
        let odd = Err("line 3: expected a finite number, found `nan`".into());
        assert_eq!(read("t,x\n1.5,2\nnan,3\n2.5,4"), odd);
        assert_eq!(read("t,x\n1.5,2\nnan,inf\n2.5,-inf"), odd);
        assert!(read("t,x\nred,2\nnan,3").is_ok(), "a word among words");
    }

    #[test]
    fn sparse_tables_are_read() {
        let text = "# words\nearn, issued : 1, results : 2\nacq, ending : 1\n";
        let table = read(text).unwrap();
        assert_eq!(table.labels, ["ending", "issued", "results"]);
        assert_eq!(table.target, Column::Enumerated(vec!["earn".into(), "acq".into()]));
        let contin = |values: [f64; 2]| Column::Contin(values.to_vec());
        assert_eq!(table.inputs, [contin([0.0, 1.0]), contin([1.0, 0.0]), contin([2.0, 0.0])]);

        let target = ColumnChoice::Label("b".into());
        let table = "t,x\n0,2.5, b : 1\n1,3, \"a\" : 1";
        let table = Table::read(table, Some(&target), None).unwrap();
        assert_eq!(table.labels, ["t", "x", "a"]);
        assert_eq!(table.target, Column::Boolean(vec![true, false]));
        assert_eq!(table.inputs[1], contin([2.5, 3.0]));

        // A row may have no pairs; names may be quoted.
        let table = read("t,x\n0,1\n0,1\n1,2, \"a, b\" : 1").unwrap();
        assert_eq!(table.labels, ["x", "a, b"]);
        assert_eq!(table.inputs[1], Column::Boolean(vec![false, false, true]));
        // Columns without labels get some, as those of pairs have.
        assert_eq!(read("0,1, a : 1\n1,2").unwrap().labels, ["column2", "a"]);
    }

    #[test]
    fn a_sparse_table_that_would_be_huge_is_refused() {
        let rows: String = (0..15_000).map(|i| format!("1, name{i} : 1\n")).collect();
        let error = read(&rows).unwrap_err();
        assert!(error.contains("15000 rows of 15001 columns"), "{error}");
    }

    #[test]
    fn letters_among_numbers_are_words() {
        let table = read("a,b\n1,T\n0,2.5").unwrap();
        assert_eq!(table.inputs[0], Column::Enumerated(vec!["T".into(), "2.5".into()]));
    }
}
