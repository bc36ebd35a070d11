//! Where evolution goes from coded programs.

use std::ops::RangeInclusive;

use crate::opencog::moses::{
    Code, CodedEnsemble, Effort, Ensemble, Fitness, Primitives, Table, Tree,
};
use crate::report::EvolutionReport;
use crate::validate::opencog::moses::{CompareError, Evolutions, continue_evolution};

/// Evolution is random: it goes on this often, and the best of all is told.
const SEEDS: RangeInclusive<u64> = 1..=3;

/// What each may do on small tables.
const EFFORT: Effort = Effort { population: 200, evaluations: 30_000, complexity_ratio: 3.5 };

/// The most rows that the programs of a run are scored on, over all of them.
const MOST_ROWS: usize = 10_000_000;

/// The vertices that a new program may have, unless there is a larger one already.
const VERTICES: usize = 40;

/// Continues the evolution of programs as they were read, and as the companion has them.
pub(super) fn continued(
    programs: &Ensemble,
    coded: &CodedEnsemble,
    table: &Table,
) -> Result<EvolutionReport, CompareError> {
    let mut programs = programs.clone();
    let largest = programs.programs.iter().map(Tree::len).max().unwrap_or(0);
    // Names that the table adds come after those of the programs, which codes go by.
    let primitives = Primitives::of(table, &mut programs.names, largest.max(VERTICES))?;
    let trees: Vec<Tree<Code>> = (0..coded.len()).map(|program| coded.tree(program)).collect();
    let effort = effort(table.rows());
    let (codes, on) = ((&trees[..], coded.book()), (table, Fitness::Errors));
    let mut best = Evolutions::NONE;
    for seed in SEEDS {
        let run = continue_evolution(&programs, codes, &primitives, on, &effort, seed)?;
        best = best.or_better(run);
    }
    Ok(EvolutionReport {
        seeds: SEEDS.count(),
        population: effort.population,
        evaluations: effort.evaluations,
        best,
        shortfall: best.shortfall(table),
    })
}

fn effort(rows: usize) -> Effort {
    Effort { evaluations: (MOST_ROWS / rows.max(1)).clamp(1, EFFORT.evaluations), ..EFFORT }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::opencog::moses::{ConstantCodec, Rounding};

    #[test]
    fn evolution_goes_on_from_what_a_companion_has() {
        let rows: String =
            (0..20).map(|x| format!("{},{x}.5,1\n", 3.0 * f64::from(x) + 1.0)).collect();
        let table = Table::read(&format!("t,x,y\n{rows}"), None, None).unwrap();
        let programs = Ensemble::read("$x\n+($x 0.5)\n*($x 1.25)").unwrap();
        let coded = CodedEnsemble::encode(&programs, ConstantCodec::Palette, Rounding::Keep);
        let told = continued(&programs, &coded, &table).unwrap();
        let Evolutions { start, uncoded, coded } = told.best;
        assert_eq!((told.seeds, told.evaluations), (3, EFFORT.evaluations));
        assert!(start < -1000.0 && uncoded > 0.5 * start && coded > 0.5 * start, "{told:?}");
    }

    #[test]
    fn many_rows_take_no_longer() {
        assert_eq!([0, 150].map(effort), [EFFORT; 2]);
        assert_eq!(effort(MOST_ROWS / 10).evaluations, 10);
        assert_eq!(effort(usize::MAX).evaluations, 1);
    }
}
