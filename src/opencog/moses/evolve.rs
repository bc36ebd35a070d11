//! A small evolution of programs for a table: a population, tournaments, and a climb by turning the
//! constants of every new best.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::constant::Constant;
use super::evaluate::Binding;
use super::genetic::Genetics;
use super::score::{Fitness, ScoreError, complexity, score};
use super::table::Table;
use super::tree::Tree;

/// How long is searched, and for how many programs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effort {
    /// Programs that are kept.
    pub population: usize,
    /// Programs that are scored.
    pub evaluations: usize,
    /// How much complexity costs a point of score: MOSES' `-z`, 3.5 by default.
    pub complexity_ratio: f64,
}

/// A program and how it does.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored<C> {
    /// The program.
    pub tree: Tree<C>,
    /// Its score.
    pub score: f64,
    /// Its complexity.
    pub complexity: usize,
}

/// What is searched for.
pub struct Search<'a, C: Constant> {
    /// The rows to do well on.
    pub table: &'a Table,
    /// Where the arguments are found in it.
    pub binding: &'a Binding<'a>,
    /// What is a good program.
    pub fitness: Fitness,
    /// What makes new ones.
    pub genetics: Genetics<'a, C>,
}

/// Programs that take part in a tournament.
const TOURNAMENT: usize = 3;
/// Scores that differ by no more than this share are alike.
const ALIKE_SHARE: f64 = 1e-3;
/// Programs of a score that are kept, lest what is one program in many guises take every
/// place.
const ALIKE: usize = 5;
/// The share of children by crossover; the others are mutated.
const CROSSOVER: f64 = 0.3;

impl<C: Constant> Search<'_, C> {
    /// Evolves `start`, with new programs where it has fewer than the population, and returns the
    /// best found, the best first: by score less complexity, then by complexity. The same seed
    /// leads to the same programs.
    pub fn evolve(
        &self,
        start: &[Tree<C>],
        effort: &Effort,
        seed: u64,
    ) -> Result<Vec<Scored<C>>, ScoreError> {
        let mut random = Pcg64Mcg::seed_from_u64(seed);
        let mut kept = Kept { programs: Vec::new(), effort };
        for tree in start {
            kept.add(self.scored(tree.clone())?);
        }
        let mut left = effort.evaluations;
        while left > 0 && kept.programs.len() < effort.population.min(left) {
            kept.add(self.scored(self.genetics.random(&mut random))?);
            left -= 1;
        }
        while left > 0 && !kept.programs.is_empty() {
            let child = self.scored(self.child(&kept, &mut random))?;
            left -= 1;
            if kept.add(child) == Some(0) {
                left = self.climb(&mut kept, left)?;
            }
        }
        Ok(kept.programs)
    }

    fn scored(&self, tree: Tree<C>) -> Result<Scored<C>, ScoreError> {
        let value = |constant: C| constant.value(self.genetics.scale);
        let score = score(&tree, self.table, self.binding, self.fitness, value)?;
        let complexity = complexity(&tree, value);
        Ok(Scored { tree, score, complexity })
    }

    fn child(&self, kept: &Kept<C>, random: &mut Pcg64Mcg) -> Tree<C> {
        let mother = kept.winner(random);
        if random.random_bool(CROSSOVER) {
            return self.genetics.crossover(mother, kept.winner(random), random);
        }
        self.genetics.mutated(mother, random)
    }

    /// Turns the constants of the best program for as long as it gets better. Returns how many more
    /// may be scored.
    fn climb(&self, kept: &mut Kept<C>, mut left: usize) -> Result<usize, ScoreError> {
        loop {
            let mut better = false;
            for tree in self.genetics.turned_one(&kept.programs[0].tree) {
                if left == 0 {
                    return Ok(0);
                }
                left -= 1;
                better |= kept.add(self.scored(tree)?) == Some(0);
            }
            if !better {
                return Ok(left);
            }
        }
    }
}

/// The best programs so far, the best first, each once, and few that are alike.
struct Kept<'a, C> {
    programs: Vec<Scored<C>>,
    effort: &'a Effort,
}

impl<C: Constant> Kept<'_, C> {
    /// Lower is better.
    fn rank(&self, program: &Scored<C>) -> (f64, usize) {
        let penalty = program.complexity as f64 / self.effort.complexity_ratio;
        (penalty - program.score, program.complexity)
    }

    fn is_before(&self, a: &Scored<C>, b: &Scored<C>) -> bool {
        let (a, b) = (self.rank(a), self.rank(b));
        a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).is_lt()
    }

    /// Takes a program in, unless it is there, all are better, or enough of such a score are.
    /// Returns its place.
    fn add(&mut self, program: Scored<C>) -> Option<usize> {
        let alike: Vec<usize> = (0..self.programs.len())
            .filter(|at| is_alike(self.programs[*at].score, program.score))
            .collect();
        if alike.iter().any(|at| self.programs[*at].tree == program.tree) {
            return None;
        }
        let place = self.programs.partition_point(|kept| !self.is_before(&program, kept));
        if alike.len() >= ALIKE {
            let last = alike[alike.len() - 1];
            if last < place {
                return None;
            }
            self.programs.remove(last);
        }
        self.programs.insert(place, program);
        self.programs.truncate(self.effort.population);
        (place < self.programs.len()).then_some(place)
    }

    fn winner(&self, random: &mut Pcg64Mcg) -> &Tree<C> {
        let draws = (0..TOURNAMENT).map(|_| random.random_range(0..self.programs.len()));
        &self.programs[draws.min().unwrap_or(0)].tree
    }
}

fn is_alike(a: f64, b: f64) -> bool {
    a == b || (a - b).abs() <= ALIKE_SHARE * a.abs()
}

#[cfg(test)]
mod tests {
    use super::super::constant::Lattice;
    use super::super::genetic::Primitives;
    use super::super::names::Names;
    use super::*;

    const EFFORT: Effort = Effort { population: 30, evaluations: 6000, complexity_ratio: 100.0 };

    fn evolved(text: &str, seed: u64) -> Vec<Scored<f64>> {
        let table = Table::read(text, None, None).unwrap();
        let mut names = Names::new();
        let primitives = Primitives::of(&table, &mut names, 30).unwrap();
        let binding = Binding::new(&names, &table).unwrap();
        let scale = Lattice::default();
        let genetics = Genetics { primitives: &primitives, scale: &scale };
        let search =
            Search { table: &table, binding: &binding, fitness: Fitness::Errors, genetics };
        search.evolve(&[], &EFFORT, seed).unwrap()
    }

    #[test]
    fn exclusive_or_is_found() {
        let best = &evolved("t,a,b\n0,0,0\n1,0,1\n1,1,0\n0,1,1", 1)[0];
        assert_eq!(best.score, 0.0);
        assert!((4..=6).contains(&best.complexity), "{best:?}");
    }

    #[test]
    fn a_line_is_found() {
        let rows: String =
            (0..10).map(|x| format!("{},{x}.5\n", 3.0 * f64::from(x) + 1.0)).collect();
        let best = &evolved(&format!("t,x\n{rows}"), 2)[0];
        assert!(best.score > -0.1, "of some 740 that the mean would leave: {best:?}");
    }

    #[test]
    fn a_seed_leads_to_the_same_programs() {
        let text = "t,a,x\n0.5,0,1.5\n1,1,2.5\n-3,1,0.5";
        assert_eq!(evolved(text, 7), evolved(text, 7));
        assert_ne!(evolved(text, 7), evolved(text, 8));
        let programs = evolved(text, 7);
        assert!((10..=EFFORT.population).contains(&programs.len()), "{}", programs.len());
        let rank = |p: &Scored<f64>| p.complexity as f64 / EFFORT.complexity_ratio - p.score;
        assert!(programs.windows(2).all(|pair| rank(&pair[0]) <= rank(&pair[1])));
    }
}
