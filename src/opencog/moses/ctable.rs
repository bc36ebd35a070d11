//! Compressed tables as MOSES writes them (`ostreamCTable` of its `table_io.cc`): a row stands for all
//! that have the same inputs, and begins with how often each target was, `{1:21,0:9},1,0`.

use super::rows::cells;

/// A target of a compressed row, and how often it was.
pub(super) struct Counted {
    pub target: String,
    pub count: f64,
}

/// Whether a row is a compressed one.
pub(super) fn is_compressed(row: &str) -> bool {
    row.trim_start().starts_with('{')
}

/// The targets of a row that were there at all, and its inputs.
pub(super) fn row(row: &str) -> Result<(Vec<Counted>, Vec<String>), String> {
    let inside = row.trim_start().strip_prefix('{').and_then(|rest| rest.split_once('}'));
    let (targets, inputs) = inside.ok_or("expected `}` after the counts, found none")?;
    let inputs = inputs.trim_start().strip_prefix(',').unwrap_or(inputs);
    let mut counted = Vec::new();
    for pair in targets.split(',') {
        let expected = || format!("expected TARGET:COUNT, found `{pair:.40}`");
        let (target, count) = pair.rsplit_once(':').ok_or_else(expected)?;
        let (target, count) = (target.trim().to_owned(), count.trim().parse::<f64>());
        match count {
            Ok(count) if count >= 0.0 && count.is_finite() && !target.is_empty() => {
                counted.push(Counted { target, count });
            }
            _ => return Err(expected()),
        }
    }
    counted.retain(|counted| counted.count > 0.0);
    Ok((counted, cells(inputs, &[',', ' ', '\t'])?))
}

#[cfg(test)]
mod tests {
    use super::super::table::{Column, Table};

    #[test]
    fn compressed_rows_are_rows_that_weigh() {
        let text = "target,f1,f2\n{1:21,0:9},1,1\n{0:2},0,1\n{1:0,0:1.5},0,0\n";
        let table = Table::read(text, None, None).unwrap();
        assert_eq!(table.labels, ["f1", "f2"]);
        assert_eq!(table.target, Column::Boolean(vec![true, false, false, false]));
        assert_eq!(table.inputs[0], Column::Boolean(vec![true, true, false, false]));
        assert_eq!(table.weights, Some(vec![21.0, 9.0, 2.0, 1.5]));
        let words = Table::read("{high:2,low:1},1\n{low:4},0\n", None, None).unwrap();
        assert_eq!(words.weights, Some(vec![2.0, 1.0, 4.0]));
    }

    #[test]
    fn odd_rows_are_refused_with_their_line() {
        for text in ["{1:2,1", "{1},1", "{1:x},1", "{:1},1", "{1:-1},1", "{},1"] {
            let error = Table::read(&format!("t,x\n{text}\n"), None, None).unwrap_err();
            assert_eq!(error.line, 2, "{text}");
        }
        assert_eq!(Table::read("t,x\n{1:1},1\n1,1\n", None, None).unwrap_err().line, 3);
    }
}
