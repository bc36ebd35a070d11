//! Many programs and what is measured of them, as MOSES and MOZI write them.

use super::names::Names;
use super::read::{ReadError, Reader};
use super::tree::Program;

/// Programs with common names.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ensemble {
    /// Their names.
    pub names: Names,
    /// The programs, in the order of the file.
    pub programs: Vec<Program>,
    /// What is measured of them.
    pub measures: Vec<Measure>,
    /// The deme that each was found in, as `1.2.SS-3`; empty where the file doesn't tell. None where it
    /// tells of no program.
    pub demes: Vec<String>,
    /// The score of each program on each row; none where the file doesn't tell.
    pub behaviors: Vec<Vec<f64>>,
}

/// A number for each program.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// As in `score`, `complexity`, `accuracy_train`.
    pub name: String,
    /// Of each program; NaN where the file doesn't tell.
    pub values: Vec<f64>,
}

impl Ensemble {
    /// Reads a text of programs:
    ///
    /// - what MOSES writes, `SCORE PROGRAM [score=.., complexity=..]`, with `demeID: ..` and
    ///   `behavioral score: [..]` after it;
    /// - programs alone, which may go on over lines;
    /// - MOZI's tables, which begin with `model,` and the names of the measures.
    ///
    /// Lines that begin with `;`, or with `#` and no digit, are comments.
    pub fn read(text: &str) -> Result<Ensemble, ReadError> {
        let mut ensemble = Ensemble::default();
        if text.trim_start().starts_with("model,") {
            ensemble.read_table(text)?;
        } else {
            ensemble.read_lines(text)?;
        }
        for measure in &mut ensemble.measures {
            measure.values.resize(ensemble.programs.len(), f64::NAN);
        }
        let count = ensemble.programs.len();
        if !ensemble.demes.is_empty() {
            ensemble.demes.resize(count, String::new());
        }
        if !ensemble.behaviors.is_empty() {
            ensemble.behaviors.resize(count, Vec::new());
        }
        Ok(ensemble)
    }

    /// What is measured under this name.
    pub fn measure(&self, name: &str) -> Option<&[f64]> {
        let found = self.measures.iter().find(|measure| measure.name == name);
        found.map(|measure| &measure.values[..])
    }

    fn read_lines(&mut self, text: &str) -> Result<(), ReadError> {
        let mut reader = Reader::new(text);
        loop {
            reader.skip_space();
            let rest = reader.rest();
            let line = rest.lines().next().unwrap_or_default();
            if rest.is_empty() {
                return Ok(());
            }
            if is_comment(line) {
                reader.advance(line.len());
                continue;
            }
            let score = leading_score(line);
            reader.advance(score.map_or(0, |(number, _)| number.len()));
            let program = reader.program(&mut self.names)?;
            self.programs.push(program);
            if let Some((_, score)) = score {
                self.note("score", score);
            }
            let notes = reader.rest().lines().next().unwrap_or_default();
            if !notes.trim().is_empty() && !is_annotation(notes) {
                reader.skip_space();
                return Err(reader.fault("expected the end of the line or `[`".into()));
            }
            for (name, value) in annotations(notes) {
                self.note(name, value);
            }
            let before = self.programs.len() - 1;
            let (deme, behavior) = deme_and_behavior(notes).map_err(|fault| reader.fault(fault))?;
            if let Some(deme) = deme {
                self.demes.resize(before, String::new());
                self.demes.push(deme);
            }
            if let Some(behavior) = behavior {
                self.behaviors.resize(before, Vec::new());
                self.behaviors.push(behavior);
            }
            reader.advance(notes.len());
        }
    }

    fn read_table(&mut self, text: &str) -> Result<(), ReadError> {
        let mut reader = Reader::new(text);
        reader.skip_space();
        let header = reader.rest().lines().next().unwrap_or_default();
        let names: Vec<&str> = header.trim_end().split(',').skip(1).collect();
        reader.advance(header.len());
        loop {
            reader.skip_space();
            if reader.rest().is_empty() {
                return Ok(());
            }
            // A program has a comma in a message only, and a quoted one is read as one word.
            let line = reader.rest().lines().next().unwrap_or_default();
            let cells: Vec<&str> = line.trim_end().rsplitn(names.len() + 1, ',').collect();
            let Some((program, values)) = cells.split_last().filter(|_| cells.len() > names.len())
            else {
                let fault = format!("expected a program and {} values", names.len());
                return Err(reader.fault(fault));
            };
            let mut place = Reader::at(text, reader.offset(), reader.offset() + program.len());
            let tree = place.program(&mut self.names)?;
            place.skip_space();
            if !place.rest().is_empty() {
                return Err(place.fault("expected `,`".into()));
            }
            self.programs.push(tree);
            for (name, value) in names.iter().zip(values.iter().rev()) {
                let number = value.trim().parse().map_err(|_| {
                    reader.fault(format!("expected a number for {name}, found `{value:.40}`"))
                })?;
                self.note(name, number);
            }
            reader.advance(line.len());
        }
    }

    /// Notes a measure of the last program. The first of two values counts.
    fn note(&mut self, name: &str, value: f64) {
        let place = self.measures.iter().position(|measure| measure.name == name);
        let place = place.unwrap_or_else(|| {
            self.measures.push(Measure { name: name.into(), values: Vec::new() });
            self.measures.len() - 1
        });
        let values = &mut self.measures[place].values;
        if values.len() < self.programs.len() {
            values.resize(self.programs.len() - 1, f64::NAN);
            values.push(value);
        }
    }
}

fn is_comment(line: &str) -> bool {
    line.starts_with(';')
        || line.starts_with('#') && !line[1..].starts_with(|c: char| c.is_ascii_digit())
}

/// A number before a program.
fn leading_score(line: &str) -> Option<(&str, f64)> {
    let (number, rest) = line.split_once(char::is_whitespace)?;
    let is_program = !rest.trim().is_empty() && !is_annotation(rest);
    is_program.then(|| number.parse().ok().map(|score| (number, score))).flatten()
}

fn is_annotation(text: &str) -> bool {
    let text = text.trim_start();
    text.starts_with('[') || NOTES.iter().any(|start| text.starts_with(start))
}

/// The pairs of `[score=-2, complexity=3]`, if a line begins with them.
fn annotations(line: &str) -> impl Iterator<Item = (&str, f64)> {
    let inside = line.trim_start().strip_prefix('[').and_then(|rest| rest.split_once(']'));
    inside.map_or("", |(inside, _)| inside).split(',').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        Some((name.trim(), value.trim().parse().ok()?))
    })
}

/// What stands before a deme id, and before a behavioral score.
pub(super) const NOTES: [&str; 2] = ["demeID:", "behavioral score:"];

/// The deme id and the behavioral score of what follows a program.
fn deme_and_behavior(notes: &str) -> Result<(Option<String>, Option<Vec<f64>>), String> {
    let notes = notes.trim_start();
    let mut rest = match notes.starts_with('[') {
        true => notes.split_once(']').map_or("", |(_, rest)| rest).trim_start(),
        false => notes,
    };
    let [of_deme, of_behavior] = NOTES;
    let mut deme = None;
    if let Some(after) = rest.strip_prefix(of_deme).map(str::trim_start) {
        let end = after.find(char::is_whitespace).unwrap_or(after.len());
        deme = Some(after[..end].to_owned());
        rest = after[end..].trim_start();
    }
    let Some(after) = rest.strip_prefix(of_behavior) else { return Ok((deme, None)) };
    let expected = "expected numbers in [ ] after `behavioral score:`";
    let inside = after.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let words = inside.ok_or(expected)?.split([' ', ',', '\t']).filter(|word| !word.is_empty());
    let number = |word: &str| word.parse().map_err(|_| format!("{expected}, found `{word:.40}`"));
    Ok((deme, Some(words.map(number).collect::<Result<_, _>>()?)))
}

#[cfg(test)]
mod tests {
    use super::super::print::{Digits, print};
    use super::*;

    fn texts(ensemble: &Ensemble) -> Vec<String> {
        let text = |program| print(program, &ensemble.names, Digits::Shortest);
        ensemble.programs.iter().map(text).collect()
    }

    #[test]
    fn lines_of_moses_are_read() {
        let text = "# ten best\n\
            -2 or($1 !$2) \n\
            -3.5 and($1 $2) [score=-3.5, penalized score=-4, complexity=2] demeID: 1.2.SS-3\n\
            1.5\n\
            #1\n\
            0 2.5 behavioral score: [0 1]\n";
        let ensemble = Ensemble::read(text).unwrap();
        assert_eq!(texts(&ensemble), ["or($1 !$2)", "and($1 $2)", "1.5", "$1", "2.5"]);
        let score = ensemble.measure("score").unwrap();
        assert_eq!(score[..2], [-2.0, -3.5]);
        assert!(score[2].is_nan() && score[3].is_nan());
        assert_eq!(score[4], 0.0);
        let complexity = ensemble.measure("complexity").unwrap();
        assert!(complexity[0].is_nan());
        assert_eq!((complexity[1], complexity.len()), (2.0, 5));
        assert_eq!(ensemble.measure("penalized score").unwrap()[1], -4.0);
        assert_eq!(ensemble.demes, ["", "1.2.SS-3", "", "", ""]);
        assert_eq!(ensemble.behaviors[4], [0.0, 1.0]);
        assert_eq!((ensemble.behaviors.len(), ensemble.behaviors[0].len()), (5, 0));
        let odd = Ensemble::read("1 $1 behavioral score: [0 x]").unwrap_err().to_string();
        assert!(odd.contains("found `x`"), "{odd}");
    }

    #[test]
    fn tables_of_mozi_are_read() {
        let text = "model,complexity,recall_test\nor(and(!$A $B) $C),3,0.5\n$A,1,0.25\n";
        let ensemble = Ensemble::read(text).unwrap();
        assert_eq!(texts(&ensemble), ["or(and(!$A $B) $C)", "$A"]);
        assert_eq!(ensemble.measure("complexity"), Some(&[3.0, 1.0][..]));
        assert_eq!(ensemble.measure("recall_test"), Some(&[0.5, 0.25][..]));
        assert_eq!(ensemble.names.arguments().len(), 3);
    }

    #[test]
    fn a_program_may_go_on_over_lines() {
        let ensemble = Ensemble::read("ann($N1($I2\n$I3 0.5 0.25))\n").unwrap();
        assert_eq!(texts(&ensemble), ["ann($N1($I2 $I3 0.5 0.25))"]);
    }

    #[test]
    fn errors_tell_the_line_of_the_file() {
        let fault = |text: &str| Ensemble::read(text).unwrap_err().to_string();
        assert_eq!(fault("$1\n-1 foo($2)"), "line 2, column 4: expected an operator, found `foo`");
        assert_eq!(fault("$1 $2"), "line 1, column 4: expected the end of the line or `[`");
        let table = "model,complexity\nor($a $b),3\n";
        assert_eq!(
            fault(&format!("{table}or($a")),
            "line 3, column 1: expected a program and 1 values"
        );
        assert_eq!(
            fault(&format!("{table}or($a),x")),
            "line 3, column 1: expected a number for complexity, found `x`"
        );
        assert_eq!(
            fault(&format!("{table}or($a,3")),
            "line 3, column 6: expected a program, found the end"
        );
    }
}
