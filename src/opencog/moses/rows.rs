//! The rows of a table, as they are written.

use std::borrow::Cow;
use std::fmt;

/// A text that is no table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableError {
    /// The line, from 1; 0 where the table as a whole is meant.
    pub line: usize,
    /// What was expected, and what was found.
    pub fault: String,
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.fault),
            line => write!(f, "line {line}: {}", self.fault),
        }
    }
}

impl std::error::Error for TableError {}

/// The line of a row, and its cells.
pub(super) type Row = (usize, Vec<Cow<'static, str>>);

/// The cells of a line, between separators. Blanks around a comma belong to it, where they separate
/// too. A cell may be quoted, and `\` takes the next character as it is.
pub(super) fn cells(line: &str, separators: &[char]) -> Result<Vec<String>, String> {
    let mut cells = Vec::new();
    let mut cell = String::new();
    let mut characters = line.trim().chars().peekable();
    let mut quoted = false;
    while let Some(c) = characters.next() {
        match c {
            '"' => quoted = !quoted,
            '\\' => cell.extend(characters.next()),
            c if separators.contains(&c) && !quoted => {
                let mut commas = usize::from(c == ',');
                while let Some(next) = characters.next_if(|c| separators.contains(c)) {
                    commas += usize::from(next == ',');
                }
                if commas > 1 || cell.is_empty() {
                    return Err("expected a value, found `,`".into());
                }
                cells.push(std::mem::take(&mut cell));
            }
            _ => cell.push(c),
        }
    }
    if quoted {
        return Err("expected a closing quote, found the end of the line".into());
    }
    // A comma may end the last one too.
    match (cell.is_empty(), cells.is_empty()) {
        (true, true) => Err("expected a value, found the end of the line".into()),
        (true, false) => Ok(cells),
        (false, _) => {
            cells.push(cell);
            Ok(cells)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_may_be_quoted() {
        let cells = |line| cells(line, &[',', ' ', '\t']).unwrap();
        assert_eq!(cells("\"a b\",c\\,d , e"), ["a b", "c,d", "e"]);
        assert_eq!(cells("1   2\t3 "), ["1", "2", "3"]);
        assert_eq!(cells("1,2, "), ["1", "2"]);
    }
}
