//! What coding changes in the fitness of programs, and in where evolution goes from them.

use serde::Serialize;

use super::ranking::{kendall_tau, top, top_overlap};
use crate::opencog::moses::{
    ArgumentName, BindError, Binding, Code, Codebook, CodedSearch, Column, Effort, Ensemble,
    EvaluateError, Fitness, Genetics, Lattice, Names, Primitives, ScoreError, Search, Table, Tree,
    WORST, evaluate, score_answers,
};

/// How the fitness of programs changed by coding.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FitnessChange {
    /// Programs compared.
    pub programs: usize,
    /// Kendall's tau-b of their scores before and after.
    pub tau: f64,
    /// The share of the ten best that are still among the ten best.
    pub top_ten: f64,
    /// Whether the best is still the best, or as good as that.
    pub same_best: bool,
    /// The share of rows, over all programs, of which they say the same; numbers within 1e-6 of
    /// their size.
    pub agreement: f64,
    /// The largest change of a score, as a share of the score before.
    pub largest: f64,
}

/// Programs that cannot be compared on a table.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CompareError {
    /// The table does not have their arguments.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A program has no score.
    #[error(transparent)]
    Score(#[from] ScoreError),
    /// A program, by its place from 1, has none because of the column that is its input.
    #[error("program {program}, input `${input}`: {fault}")]
    Input {
        /// Its place, from 1.
        program: usize,
        /// The column.
        input: ArgumentName,
        /// What is wrong.
        fault: ScoreError,
    },
    /// A program, by its place from 1, has no score.
    #[error("program {program}: {fault}")]
    Program {
        /// Its place, from 1.
        program: usize,
        /// What is wrong.
        fault: ScoreError,
    },
}

impl CompareError {
    /// What is wrong with a program, the one at this place.
    fn of_program(place: usize, names: &Names, fault: ScoreError) -> CompareError {
        let program = place + 1;
        let input = match fault {
            ScoreError::Evaluate(EvaluateError::Argument(argument, _)) => {
                names.arguments().get(argument as usize)
            }
            _ => None,
        };
        match input {
            Some(input) => CompareError::Input { program, input: input.clone(), fault },
            None => CompareError::Program { program, fault },
        }
    }
}

/// Compares the fitness of programs before and after coding.
///
/// # Panics
///
/// Where they are not as many.
pub fn fitness_change(
    before: &Ensemble,
    after: &Ensemble,
    table: &Table,
    fitness: Fitness,
) -> Result<FitnessChange, CompareError> {
    assert_eq!(before.programs.len(), after.programs.len(), "the same programs");
    let bindings = [Binding::new(&before.names, table)?, Binding::new(&after.names, table)?];
    let (mut scores, mut agreed) = ([Vec::new(), Vec::new()], 0usize);
    let names = [&before.names, &after.names];
    for (place, (before, after)) in before.programs.iter().zip(&after.programs).enumerate() {
        let said = [before, after];
        let said = [0, 1].map(|i| evaluate(said[i], &bindings[i], |value| value));
        agreed += said[0].iter().zip(&said[1]).filter(|(a, b)| is_same(a, b)).count();
        for ((scores, said), names) in scores.iter_mut().zip(&said).zip(names) {
            let score = score_answers(said, table, fitness);
            scores.push(score.map_err(|fault| CompareError::of_program(place, names, fault))?);
        }
    }
    let [before, after] = &scores;
    let change = |(before, after): (&f64, &f64)| relative_change(*before, *after);
    let best = |scores: &[f64]| top(scores, 1).first().copied();
    Ok(FitnessChange {
        programs: before.len(),
        tau: kendall_tau(before, after),
        top_ten: top_overlap(before, after, 10),
        same_best: best(before) == best(after)
            || best(before).map(|at| after[at]) == best(after).map(|at| after[at]),
        agreement: agreed as f64 / (before.len() * table.rows()).max(1) as f64,
        largest: before.iter().zip(after).map(change).fold(0.0, f64::max),
    })
}

type Said<'a> = Result<crate::opencog::moses::Answer<'a>, crate::opencog::moses::EvaluateError>;

fn is_same(a: &Said, b: &Said) -> bool {
    use crate::opencog::moses::Answer::Contin;
    match (a, b) {
        (Ok(Contin(a)), Ok(Contin(b))) => (a - b).abs() <= 1e-6 * a.abs().max(1e-6) || a == b,
        (Ok(a), Ok(b)) => a == b,
        (Err(_), Err(_)) => true,
        _ => false,
    }
}

/// The change as a share of what was before; of 1 where that was less.
fn relative_change(before: f64, after: f64) -> f64 {
    match (before == WORST, after == WORST) {
        (true, true) => 0.0,
        (false, false) => (after - before).abs() / before.abs().max(1.0),
        _ => f64::INFINITY,
    }
}

/// Where evolution goes from the same programs, coded and not.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Evolutions {
    /// The best score of the programs that both begin with, before coding.
    pub start: f64,
    /// The best score of the evolution of programs with numbers.
    pub uncoded: f64,
    /// The best score of the evolution of coded programs, whose constants stay codes throughout, of
    /// codebooks that go along.
    pub coded: f64,
}

impl Evolutions {
    /// Of no evolution: any is as good.
    pub const NONE: Evolutions = Evolutions { start: WORST, uncoded: WORST, coded: WORST };

    /// The best scores of both, from the same programs with other seeds.
    pub fn or_better(self, other: Evolutions) -> Evolutions {
        Evolutions {
            start: self.start.max(other.start),
            uncoded: self.uncoded.max(other.uncoded),
            coded: self.coded.max(other.coded),
        }
    }

    /// How far the coded best is below the uncoded one; below 0 where it is better. Where the target
    /// is a number, as a share of the uncoded best's squared errors; else as a share of what all
    /// rows weigh, which is the difference of the shares of rows that are right.
    pub fn shortfall(&self, table: &Table) -> f64 {
        let all = match table.target {
            Column::Contin(_) => self.uncoded.abs(),
            Column::Boolean(_) | Column::Enumerated(_) => {
                (0..table.rows()).map(|row| table.weight(row).abs()).sum()
            }
        };
        if self.uncoded == self.coded { 0.0 } else { (self.uncoded - self.coded) / all }
    }
}

/// Continues the evolution of `programs` with numbers, and of `coded`, the same programs coded with
/// `book`, on the codes. Both are given the same effort and seed.
pub fn continue_evolution(
    programs: &Ensemble,
    (coded, book): (&[Tree<Code>], &Codebook),
    primitives: &Primitives,
    (table, fitness): (&Table, Fitness),
    effort: &Effort,
    seed: u64,
) -> Result<Evolutions, CompareError> {
    let binding = &Binding::new(&programs.names, table)?;
    let scale = &Lattice::default();
    let numbers = Search { table, binding, fitness, genetics: Genetics { primitives, scale } };
    let codes = CodedSearch { table, binding, fitness, primitives };
    let still = Effort { evaluations: 0, ..*effort };
    let start = numbers.evolve(&programs.programs, &still, seed)?;
    let uncoded = numbers.evolve(&programs.programs, effort, seed)?;
    let (coded, _) = codes.evolve(coded, book, effort, seed)?;
    let best = |scores: &mut dyn Iterator<Item = f64>| scores.fold(WORST, f64::max);
    Ok(Evolutions {
        start: best(&mut start.iter().map(|program| program.score)),
        uncoded: best(&mut uncoded.iter().map(|program| program.score)),
        coded: best(&mut coded.iter().map(|program| program.score)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::opencog::moses::{CodedEnsemble, ConstantCodec, Rounding};

    const TABLE: &str = "t,x\n1.5,1.0\n2.5,2.5\n4,3.25";

    fn ensemble(text: &str) -> Ensemble {
        Ensemble::read(text).unwrap()
    }

    #[test]
    fn a_swapped_pair_is_seen() {
        let table = Table::read(TABLE, None, None).unwrap();
        let before = ensemble("$x\n+($x 0.5)\n+($x 9)\n/(1 0)");
        let after = ensemble("+($x 1)\n+($x 0.5)\n+($x 9)\n/(1 0)");
        let same = fitness_change(&before, &before, &table, Fitness::Errors).unwrap();
        assert_eq!((same.tau, same.top_ten, same.same_best), (1.0, 1.0, true));
        assert_eq!((same.agreement, same.largest), (1.0, 0.0));
        let changed = fitness_change(&before, &after, &table, Fitness::Errors).unwrap();
        assert_eq!(changed.agreement, 0.75);
        assert!(changed.same_best && changed.largest > 0.1, "{changed:?}");
        let worse = ensemble("$x\n+($x 20)\n+($x 9)\n1");
        let worse = fitness_change(&before, &worse, &table, Fitness::Errors).unwrap();
        assert!(worse.tau < 0.5 && !worse.same_best, "{worse:?}");
        assert_eq!(worse.largest, f64::INFINITY, "an overflow became a number");
    }

    #[test]
    fn evolution_goes_on_from_codes() {
        let table = Table::read(TABLE, None, None).unwrap();
        let mut programs = ensemble("$x\n+($x 0.5)\n*($x 1.25)");
        let primitives = Primitives::of(&table, &mut programs.names, 20).unwrap();
        let coded = CodedEnsemble::encode(&programs, ConstantCodec::Lattice, Rounding::Nearest);
        let trees: Vec<_> = (0..coded.len()).map(|i| coded.tree(i)).collect();
        let effort = Effort { population: 20, evaluations: 500, complexity_ratio: 100.0 };
        let of = (&table, Fitness::Errors);
        let found =
            continue_evolution(&programs, (&trees, coded.book()), &primitives, of, &effort, 1);
        let found = found.unwrap();
        assert_eq!(found.start, -(0.0 + 0.25 + 0.0625));
        assert!(found.uncoded >= found.start && found.coded >= found.start, "{found:?}");
        let found = Evolutions { start: -9.0, uncoded: -4.0, coded: -5.0 };
        assert_eq!(found.shortfall(&table), 0.25);
        let other = Evolutions { start: -9.0, uncoded: -6.0, coded: -4.5 };
        let best = Evolutions::NONE.or_better(found).or_better(other);
        assert_eq!(best, Evolutions { start: -9.0, uncoded: -4.0, coded: -4.5 });
        let classes = Table::read("t,x\n1,1.0\n0,2.5\n1,7\n1,8", None, None).unwrap();
        assert_eq!(found.shortfall(&classes), 0.25, "one row of four");
    }
}
