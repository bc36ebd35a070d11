//! How well programs do on a table, by the measures of MOSES.

use super::evaluate::{Answer, Binding, EvaluateError, evaluate};
use super::operator::Operator;
use super::table::{Column, Table};
use super::tree::{Token, Tree};

/// The score of a program that overflows on some row, as no other is as low.
pub const WORST: f64 = f64::NEG_INFINITY;

/// What a good program is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fitness {
    /// Few errors (`-H it`): less the number of wrong rows, or less the sum of squared errors where
    /// the target is a number. Rows count as they weigh.
    Errors,
    /// The share of right rows.
    Accuracy,
    /// Of the rows said to be true, the share that are.
    Precision,
    /// Of the rows that are true, the share said to be.
    Recall,
    /// The harmonic mean of precision and recall.
    F1,
    /// The mean of precision and recall.
    BreakEven,
}

/// A program that has no score.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum ScoreError {
    /// It cannot be evaluated.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// It says something of another type than the target.
    #[error("expected a program of the target's type, {0}")]
    Type(&'static str),
    /// A measure of truth where the target is not true or false.
    #[error("{0:?} needs a target of true and false")]
    NotBoolean(Fitness),
}

/// The score of a program, the higher the better. One that overflows gets [`WORST`].
pub fn score<C: Copy>(
    tree: &Tree<C>,
    table: &Table,
    binding: &Binding,
    fitness: Fitness,
    constant: impl Fn(C) -> f64,
) -> Result<f64, ScoreError> {
    score_answers(&evaluate(tree, binding, constant), table, fitness)
}

/// The score of what a program says of each row.
pub fn score_answers(
    answers: &[Result<Answer, EvaluateError>],
    table: &Table,
    fitness: Fitness,
) -> Result<f64, ScoreError> {
    let mut said = Vec::with_capacity(answers.len());
    for answer in answers {
        match answer {
            Ok(answer) => said.push(*answer),
            Err(EvaluateError::Overflow(_)) => return Ok(WORST),
            Err(error) => return Err((*error).into()),
        }
    }
    match (&table.target, fitness) {
        (Column::Contin(target), Fitness::Errors) => squared_error(&said, target, table),
        (_, Fitness::Errors) => Ok(0.0 - wrong(&said, table)?.iter().sum::<f64>()),
        (Column::Boolean(target), _) => {
            wrong(&said, table)?;
            Ok(Counts::of(&said, target, table).measure(fitness))
        }
        _ => Err(ScoreError::NotBoolean(fitness)),
    }
}

fn squared_error(said: &[Answer], target: &[f64], table: &Table) -> Result<f64, ScoreError> {
    let mut sum = 0.0;
    for (row, (answer, target)) in said.iter().zip(target).enumerate() {
        let Answer::Contin(value) = answer else { return Err(ScoreError::Type("a number")) };
        sum += table.weight(row) * (value - target).powi(2);
    }
    // Numbers that no overflow was told of can still add up to one.
    Ok(if sum.is_finite() { 0.0 - sum } else { WORST })
}

/// What each row weighs if it is wrong, else 0.
fn wrong(said: &[Answer], table: &Table) -> Result<Vec<f64>, ScoreError> {
    let is_right = |row: usize| match (&said[row], &table.target) {
        (Answer::Boolean(said), Column::Boolean(target)) => Ok(*said == target[row]),
        (Answer::Enumerated(said), Column::Enumerated(target)) => Ok(**said == target[row]),
        (_, Column::Boolean(_)) => Err(ScoreError::Type("true or false")),
        (_, Column::Enumerated(_)) => Err(ScoreError::Type("a word")),
        (_, Column::Contin(_)) => Err(ScoreError::Type("a number")),
    };
    let weight = |row| Ok(if is_right(row)? { 0.0 } else { table.weight(row) });
    (0..said.len()).map(weight).collect()
}

/// What rows weigh that are true or not and said to be or not.
#[derive(Default)]
struct Counts {
    true_positive: f64,
    false_positive: f64,
    false_negative: f64,
    true_negative: f64,
}

impl Counts {
    fn of(said: &[Answer], target: &[bool], table: &Table) -> Counts {
        let mut counts = Counts::default();
        for (row, (said, target)) in said.iter().zip(target).enumerate() {
            let count = match (*said == Answer::Boolean(true), target) {
                (true, true) => &mut counts.true_positive,
                (true, false) => &mut counts.false_positive,
                (false, true) => &mut counts.false_negative,
                (false, false) => &mut counts.true_negative,
            };
            *count += table.weight(row);
        }
        counts
    }

    fn measure(&self, fitness: Fitness) -> f64 {
        let share = |part: f64, rest: f64| if part == 0.0 { 0.0 } else { part / (part + rest) };
        let precision = share(self.true_positive, self.false_positive);
        let recall = share(self.true_positive, self.false_negative);
        let wrong = self.false_positive + self.false_negative;
        match fitness {
            Fitness::Errors => 0.0 - wrong,
            Fitness::Accuracy => share(self.true_positive + self.true_negative, wrong),
            Fitness::Precision => precision,
            Fitness::Recall => recall,
            Fitness::F1 => share(2.0 * self.true_positive, wrong),
            Fitness::BreakEven => (precision + recall) / 2.0,
        }
    }
}

/// How complex a program is, as MOSES counts: 1 for each argument, constant and
/// network, and for each `/`, `exp`, `log`, `sin`, `rand`, `equ` and `cond`. A product that begins
/// with the constant 0 is a knob turned off and counts nothing.
pub fn complexity<C: Copy>(tree: &Tree<C>, constant: impl Fn(C) -> f64) -> usize {
    let (tokens, ends) = (tree.tokens(), tree.ends());
    let mut count = 0;
    let mut at = 0;
    while at < tokens.len() {
        let is_off = || {
            let factor = tokens.get(at + 1);
            matches!(factor, Some(Token::Constant(value)) if constant(*value) == 0.0)
        };
        match tokens[at] {
            Token::Operator(Operator::Times, arity) if arity > 0 && is_off() => {
                at = ends[at];
                continue;
            }
            Token::Operator(
                Operator::Divide
                | Operator::Exp
                | Operator::Log
                | Operator::Sin
                | Operator::Rand
                | Operator::Equal
                | Operator::Cond,
                _,
            ) => count += 1,
            Token::Operator(Operator::Network, _) | Token::Neuron { .. } => {
                // Counting stops here, as it does at every leaf.
                count += 1;
                at = ends[at];
                continue;
            }
            Token::Operator(_, _) | Token::Word(_) => {}
            Token::Argument { .. } | Token::Constant(_) | Token::Input(_) => count += 1,
        }
        at += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::super::names::Names;
    use super::super::read::read;
    use super::*;

    fn scored(table: &Table, text: &str, fitness: Fitness) -> Result<f64, ScoreError> {
        let mut names = Names::new();
        let tree = read(text, &mut names).unwrap();
        let binding = Binding::new(&names, table).unwrap();
        score(&tree, table, &binding, fitness, |value| value)
    }

    #[test]
    fn boolean_scores_count_rows() {
        let table = Table::read("t,a,b\n1,1,0\n1,0,0\n0,1,0\n0,0,1\n0,0,0", None, None).unwrap();
        // Says true of rows 1 and 3: one right, one wrong, and misses row 2.
        for (fitness, expected) in [
            (Fitness::Errors, -2.0),
            (Fitness::Accuracy, 0.6),
            (Fitness::Precision, 0.5),
            (Fitness::Recall, 0.5),
            (Fitness::F1, 0.5),
            (Fitness::BreakEven, 0.5),
        ] {
            assert_eq!(scored(&table, "$a", fitness), Ok(expected), "{fitness:?}");
        }
        assert_eq!(scored(&table, "false", Fitness::Precision), Ok(0.0));
        assert_eq!(scored(&table, "1", Fitness::Errors), Err(ScoreError::Type("true or false")));
    }

    #[test]
    fn numbers_are_scored_by_squared_errors() {
        let table = Table::read("t,x\n1.5,1.0\n2.5,2.5", None, None).unwrap();
        assert_eq!(scored(&table, "+($x 1)", Fitness::Errors), Ok(-1.25));
        assert_eq!(scored(&table, "/(1 0)", Fitness::Errors), Ok(WORST));
        let error = scored(&table, "$x", Fitness::F1);
        assert_eq!(error, Err(ScoreError::NotBoolean(Fitness::F1)));
    }

    #[test]
    fn classes_are_right_or_wrong() {
        let table = Table::read("t,x\nred,1.5\nblue,-2\nblue,0.5", None, None).unwrap();
        assert_eq!(scored(&table, "cond(0<($1) red blue)", Fitness::Errors), Ok(-1.0));
    }

    #[test]
    fn rows_count_as_they_weigh() {
        use super::super::table::ColumnChoice;
        let weight = ColumnChoice::Label("w".into());
        let table = Table::read("t,a,w\n1,1,2.5\n0,1,4\n1,0,-1", None, Some(&weight)).unwrap();
        assert_eq!(scored(&table, "$a", Fitness::Errors), Ok(-3.0));
    }

    #[test]
    fn complexity_is_that_of_moses() {
        for (text, expected) in [
            ("or(and(!$AQP3 $ARHGAP18) !$ANKRD46)", 3),
            ("!$ANKRD46", 1),
            ("true", 0),
            ("+(6 *(6 $1))", 3),
            ("+(1 *(0 $1))", 1),
            ("/(1 sin($1))", 4),
            ("cond(0<($1) red blue)", 2),
            ("ann($N1($I2 $I3 0.5 0.5))", 1),
        ] {
            let tree = read(text, &mut Names::new()).unwrap();
            assert_eq!(complexity(&tree, |value| value), expected, "{text}");
        }
    }
}
