//! Evolution on codes whose codebook goes along: levels that few programs use make room for new
//! constants near those in use, so that 64 levels are no bound on what is found.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::codebook::{Code, Codebook, ConstantCodec, LEVELS, by_use};
use super::constant::{Constant, Lattice};
use super::evaluate::Binding;
use super::evolve::{Effort, Scored, Search};
use super::genetic::{Genetics, Primitives};
use super::score::{Fitness, ScoreError};
use super::table::Table;
use super::tree::Tree;

/// Codebooks in turn.
const ROUNDS: usize = 12;
/// Levels that stay what the programs use most; the others are for new constants.
const KEPT: usize = LEVELS / 2;
/// How many new constants are drawn at most for each free level.
const DRAWS: usize = 4;

/// What coded programs are evolved for.
pub struct CodedSearch<'a> {
    /// The rows to do well on.
    pub table: &'a Table,
    /// Where the arguments are found in it.
    pub binding: &'a Binding<'a>,
    /// What is a good program.
    pub fitness: Fitness,
    /// What new programs are made of.
    pub primitives: &'a Primitives,
}

impl CodedSearch<'_> {
    /// Evolves `start`, whose codes are of `book`, as [`Search::evolve`] does, and returns the best
    /// found with the codebook of their codes.
    pub fn evolve(
        &self,
        start: &[Tree<Code>],
        book: &Codebook,
        effort: &Effort,
        seed: u64,
    ) -> Result<(Vec<Scored<Code>>, Codebook), ScoreError> {
        let mut random = Pcg64Mcg::seed_from_u64(seed);
        let (mut trees, mut book) = (start.to_vec(), book.clone());
        let mut found = Vec::new();
        for round in 0..ROUNDS {
            if round > 0 {
                (trees, book) = renewed(&trees, &book, &mut random);
            }
            let left = effort.evaluations * (round + 1) / ROUNDS;
            let evaluations = left - effort.evaluations * round / ROUNDS;
            let effort = Effort { evaluations, ..*effort };
            found = self.on(&book).evolve(&trees, &effort, random.random())?;
            trees = found.iter().map(|scored| scored.tree.clone()).collect();
        }
        Ok((found, book))
    }

    fn on<'b>(&'b self, book: &'b Codebook) -> Search<'b, Code> {
        let CodedSearch { table, binding, fitness, primitives } = *self;
        Search { table, binding, fitness, genetics: Genetics { primitives, scale: book } }
    }
}

/// The same programs with another codebook: of the constants used most, the first program's first,
/// and of new ones some way off from those in use. A constant that is no level any more is kept as
/// it is.
fn renewed(
    trees: &[Tree<Code>],
    book: &Codebook,
    random: &mut Pcg64Mcg,
) -> (Vec<Tree<Code>>, Codebook) {
    let programs: Vec<Tree<f64>> =
        trees.iter().map(|tree| tree.map(|code| book.value(code))).collect();
    let constants: Vec<f64> = programs.iter().flat_map(Tree::constants).collect();
    let best = programs.iter().take(1).flat_map(Tree::constants);
    let mut levels: Vec<f64> = Vec::with_capacity(LEVELS);
    let used = by_use(&constants).into_iter().map(|(value, _)| value);
    for value in best.chain(used) {
        if levels.len() < KEPT && !levels.contains(&value) {
            levels.push(value + 0.0); // -0 and 0 are one level
        }
    }
    let scale = Lattice::default();
    for _ in 0..DRAWS * LEVELS {
        let from = match constants.len() {
            0 => 0.0,
            n => constants[random.random_range(0..n)],
        };
        let new = from.turned(&scale, random) + 0.0;
        // One code stays free, to say that a constant is kept as it is.
        if levels.len() + 1 < LEVELS && !levels.contains(&new) {
            levels.push(new);
        }
    }
    levels.sort_by(f64::total_cmp);
    let mut book = Codebook::from_parts(ConstantCodec::Palette, levels, Vec::new())
        .unwrap_or_else(|fault| unreachable!("{fault}"));
    let trees = programs.iter().map(|tree| tree.map(|value| book.lossless(value))).collect();
    (trees, book)
}

#[cfg(test)]
mod tests {
    use super::super::names::Names;
    use super::*;

    const TABLE: &str = "t,x\n77.25,0\n79.25,2\n80,2.75\n74.25,-3\n78.25,1\n87.25,10";

    #[test]
    fn renewal_changes_no_program_and_makes_room() {
        let mut random = Pcg64Mcg::seed_from_u64(1);
        let mut book = Codebook::new(ConstantCodec::Palette, &[5.0, 0.0]);
        let programs: Vec<Tree<f64>> = (0..80)
            .map(|i| {
                super::super::read(&format!("+($1 {i}.125 -0.0 7)"), &mut Names::new()).unwrap()
            })
            .collect();
        let trees: Vec<Tree<Code>> =
            programs.iter().map(|tree| tree.map(|value| book.lossless(value))).collect();
        let (again, new) = renewed(&trees, &book, &mut random);
        let decoded: Vec<Tree<f64>> =
            again.iter().map(|tree| tree.map(|code| new.value(code))).collect();
        assert_eq!(decoded, programs);
        assert_eq!(new.levels().len(), LEVELS - 1);
        let used =
            |level: &&f64| programs.iter().any(|tree| tree.constants().any(|c| c == **level));
        assert!(new.levels().iter().filter(used).count() < LEVELS - 10, "{:?}", new.levels());
        assert!(new.levels().contains(&7.0), "used most");
    }

    #[test]
    fn a_constant_far_from_all_levels_is_found() {
        let table = Table::read(TABLE, None, None).unwrap();
        let mut names = Names::new();
        let primitives = &Primitives::of(&table, &mut names, 20).unwrap();
        let binding = &Binding::new(&names, &table).unwrap();
        let search = CodedSearch { table: &table, binding, fitness: Fitness::Errors, primitives };
        let levels = (0..LEVELS as u32).map(|i| f64::from(i) / 64.0).collect();
        let book = Codebook::from_parts(ConstantCodec::Palette, levels, vec![]).unwrap();
        let effort = Effort { population: 20, evaluations: 6000, complexity_ratio: 100.0 };
        let (found, book) = search.evolve(&[], &book, &effort, 1).unwrap();
        assert!(found[0].score > -0.1, "{:?} of {:?}", found[0], book.levels());
        let same = search.evolve(&[], &book, &effort, 2).unwrap();
        assert_eq!(same, search.evolve(&[], &book, &effort, 2).unwrap());
    }
}
