//! Ensembles as text, so that what is measured of programs comes back with them.

use std::io::{self, Write};

use super::ensemble::{Ensemble, Measure, NOTES};
use super::print::{Digits, print};

/// What MOSES writes of a program, in its order (`scored_combo_tree.cc`).
const OF_MOSES: [&str; 5] =
    ["score", "penalized score", "complexity", "complexity penalty", "uniformity penalty"];

impl Ensemble {
    /// Writes the text that [`Ensemble::read`] reads: lines of MOSES,
    /// `SCORE PROGRAM [score=.., complexity=..]`, or, where something else than MOSES does is measured
    /// of all programs, or no score, a table of MOZI.
    ///
    /// # Errors
    /// `out` does not take it.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let is_known = |measure: &Measure| OF_MOSES.contains(&measure.name.as_str());
        let is_whole = |measure: &Measure| !measure.values.iter().any(|value| value.is_nan());
        let is_scored = self.measure("score").is_some() && self.measures.iter().all(is_known);
        let has_notes = !self.demes.is_empty() || !self.behaviors.is_empty();
        let is_table =
            !self.measures.is_empty() && self.measures.iter().all(is_whole) && !has_notes;
        match is_table && !is_scored {
            true => self.write_table(out),
            false => self.write_lines(out),
        }
    }

    fn write_lines(&self, out: &mut impl Write) -> io::Result<()> {
        let place = |name: &str| OF_MOSES.iter().position(|known| *known == name);
        let mut measures: Vec<&Measure> = self.measures.iter().collect();
        measures.sort_by_key(|measure| place(&measure.name).unwrap_or(OF_MOSES.len()));
        for number in 0..self.programs.len() {
            let known = |measure: &&Measure| {
                let value = measure.values[number];
                (!value.is_nan()).then(|| (measure.name.clone(), value))
            };
            let known: Vec<(String, f64)> = measures.iter().filter_map(known).collect();
            if let Some((_, score)) = known.iter().find(|(name, _)| name == "score") {
                write!(out, "{score} ")?;
            }
            write!(out, "{}", self.text(number))?;
            // What is there already is not said again.
            if known.iter().any(|(name, _)| name != "score") {
                let pair = |(name, value): &(String, f64)| format!("{}={value}", in_pair(name));
                let pairs: Vec<String> = known.iter().map(pair).collect();
                write!(out, " [{}]", pairs.join(", "))?;
            }
            let [of_deme, of_behavior] = NOTES;
            if let Some(deme) = self.demes.get(number).filter(|deme| !deme.is_empty()) {
                write!(out, " {of_deme} {deme}")?;
            }
            if let Some(scores) = self.behaviors.get(number).filter(|scores| !scores.is_empty()) {
                let scores: Vec<String> = scores.iter().map(f64::to_string).collect();
                write!(out, " {of_behavior} [{}]", scores.join(" "))?;
            }
            writeln!(out)?;
        }
        Ok(())
    }

    fn write_table(&self, out: &mut impl Write) -> io::Result<()> {
        let names: Vec<&str> = self.measures.iter().map(|measure| measure.name.as_str()).collect();
        writeln!(out, "model,{}", names.join(","))?;
        for number in 0..self.programs.len() {
            write!(out, "{}", self.text(number))?;
            self.measures
                .iter()
                .try_for_each(|measure| write!(out, ",{}", measure.values[number]))?;
            writeln!(out)?;
        }
        Ok(())
    }

    fn text(&self, number: usize) -> String {
        print(&self.programs[number], &self.names, Digits::Shortest)
    }
}

/// A name as it may stand in a pair, which ends with what no name there may have.
fn in_pair(name: &str) -> String {
    name.replace(['=', ',', ']'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        let ensemble = Ensemble::read(text).unwrap();
        let mut out = Vec::new();
        ensemble.write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_of_moses_come_back() {
        let lines = "-2 or($1 !$2)\n\
            -3.5 and($1 $2) [score=-3.5, penalized score=-4, complexity=2]\n\
            -3 and($1 !$2) [score=-3, complexity=2] demeID: 1.2.SS-3 behavioral score: [-1 0]\n\
            -4 $2 demeID: 7\n\
            -5 $1 behavioral score: [-0.5 2]\n\
            1.5\n\
            $1 [complexity=1]\n\
            0 2.5\n\
            -2e-7 +($1 0.1)\n";
        let lines = lines.replace("-2e-7", "-0.0000002");
        assert_eq!(written(&lines), lines);
    }

    #[test]
    fn tables_of_mozi_come_back() {
        for (names, values) in [("complexity,recall_test", "1,0.5"), ("complexity", "1")] {
            let table = format!("model,{names}\nor(and(!$A $B) $C),{values}\n$A,{values}\n");
            assert_eq!(written(&table), table);
        }
    }

    #[test]
    fn odd_names_of_measures_stay_apart() {
        let text = written("model,a]b,c=d\n$1,nan,2\n$2,3,4\n");
        assert_eq!(text, "$1 [c_d=2]\n$2 [a_b=3, c_d=4]\n");
        let again = Ensemble::read(&text).unwrap();
        assert_eq!(
            (again.measure("a_b").unwrap()[1], again.measure("c_d").unwrap()[1]),
            (3.0, 4.0)
        );
    }

    #[test]
    fn measures_that_not_all_programs_have_are_noted_on_lines() {
        let lines = "-1 $1 [score=-1, recall=0.5]\n-2 $2\n";
        assert_eq!(written(lines), lines);
    }
}
