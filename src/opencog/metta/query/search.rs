//! The search for matches: where the atoms that may match a clause are found, and in which order.

use super::super::super::atomspace::{AtomId, AtomStore, Error};
use super::super::packed::PackedMetta;
use super::super::sort::Sort;
use super::Answers;
use super::answer::Row;
use super::pattern::{Known, Pattern};
use super::unify::{Bindings, Term};

/// All matches, at most `most` of them, in at most `longest` bytes.
pub(super) fn search(
    metta: &PackedMetta,
    pattern: &Pattern,
    most: usize,
    longest: usize,
) -> Result<Answers, Error> {
    let bindings = Bindings::new(metta, pattern);
    let name = |&atom: &AtomId| {
        let name = bindings.name(Term::of_pattern(atom));
        format!("${}", String::from_utf8_lossy(&name))
    };
    let variables = pattern.variables.iter().map(name).collect();
    let mut search = Search {
        is_met: vec![false; pattern.clauses.len()],
        answers: Answers { variables, matches: Vec::new(), is_complete: true },
        bindings,
        most,
        left: longest,
    };
    search.next_clause(0, 1)?;
    Ok(search.answers)
}

struct Search<'q, 'a> {
    bindings: Bindings<'q, 'a>,
    is_met: Vec<bool>,
    answers: Answers,
    most: usize,
    /// How many bytes the answers may still take.
    left: usize,
}

/// From where the atoms that may match a clause are found, those apart that hold variables.
enum Start {
    /// All at the top.
    Top,
    /// Upwards from an atom, so many times.
    Atom(AtomId, usize),
    /// There are none.
    Nowhere,
}

impl Search<'_, '_> {
    /// Meets the clause that has the fewest candidates, then the others, when `met` of them are;
    /// there are so many `ways` to what the variables stand for.
    fn next_clause(&mut self, met: usize, ways: usize) -> Result<(), Error> {
        let clauses = &self.bindings.pattern.clauses;
        let open = (0..clauses.len()).filter(|&i| !self.is_met[i]);
        let starts = open.map(|i| (self.start(clauses[i]), i));
        let Some(((_, start), next)) = starts.min_by_key(|((count, _), i)| (*count, *i)) else {
            return self.found(ways);
        };
        let clause = clauses[next];
        let metta = self.bindings.metta;
        self.is_met[next] = true;
        let frame = met as u32 + 1;
        for atom in self.candidates(start) {
            let mark = self.bindings.mark();
            let stored = Term { frame, atom };
            if self.bindings.unify(clause, stored, metta.tops.is_open(atom)) {
                self.next_clause(met + 1, ways.saturating_mul(metta.tops.times(atom)))?;
            }
            self.bindings.rewind(mark);
            if !self.answers.is_complete {
                break;
            }
        }
        self.is_met[next] = false;
        Ok(())
    }

    fn found(&mut self, ways: usize) -> Result<(), Error> {
        let Answers { matches, is_complete, .. } = &mut self.answers;
        let taken = ways.min(self.most - matches.len());
        *is_complete &= taken == ways;
        if taken == 0 {
            return Ok(());
        }
        let row = Row::of(&self.bindings, self.left / taken);
        let (row, bytes) = row.ok_or_else(|| {
            let fault = "the answer is longer than 67108864 bytes; --limit allows less";
            Error::Parameter(fault.into())
        })?;
        self.left -= bytes * taken;
        self.answers.matches.extend(std::iter::repeat_n(row, taken));
        Ok(())
    }

    /// Where to look for a clause, and about how many atoms are looked at.
    fn start(&self, clause: AtomId) -> (usize, Start) {
        let tops = self.bindings.metta.tops;
        let mut best = (tops.len().max(1), Start::Top);
        let mut left = vec![(Term::of_pattern(clause), 0)];
        while let Some((term, depth)) = left.pop() {
            let term = self.bindings.resolve(term);
            match self.known(term) {
                Known::Absent => return (0, Start::Nowhere),
                Known::Atom(atom) => {
                    let count = match depth {
                        0 => 1,
                        _ => 1 + self.bindings.metta.space.incoming(atom).len(),
                    };
                    if count < best.0 {
                        best = (count, Start::Atom(atom, depth));
                    }
                }
                Known::Open | Known::Zero | Known::Equal
                    if self.bindings.sort(term) == Sort::Expression =>
                {
                    let held = self.bindings.held(term);
                    left.extend(held.into_iter().map(|term| (term, depth + 1)));
                }
                Known::Open | Known::Zero | Known::Equal => (),
            }
        }
        best
    }

    /// What the companion has of a term.
    fn known(&self, term: Term) -> Known {
        let Pattern { known, zeros, .. } = self.bindings.pattern;
        if term.frame == 0 {
            return known[term.atom.index()];
        }
        if self.is_fixed(term.atom, zeros) { Known::Atom(term.atom) } else { Known::Open }
    }

    /// Whether a stored atom can be the same as no other one: it holds no variable, and no number
    /// that is two atoms. Of one that holds much that is not asked.
    fn is_fixed(&self, atom: AtomId, zeros: &Option<[AtomId; 2]>) -> bool {
        /// How many atoms are looked at.
        const MOST: usize = 64;
        let metta = self.bindings.metta;
        let mut left = vec![atom];
        for _ in 0..MOST {
            let Some(atom) = left.pop() else { return true };
            match metta.sort(atom) {
                Sort::Variable => return false,
                Sort::Expression => left.extend(metta.space.outgoing(atom)),
                _ if zeros.is_some_and(|zeros| zeros.contains(&atom)) => return false,
                _ => (),
            }
        }
        left.is_empty()
    }

    /// The atoms at the top that may match, ascending.
    fn candidates(&self, start: Start) -> Vec<AtomId> {
        let PackedMetta { space, tops, .. } = self.bindings.metta;
        let closed = match start {
            Start::Top => return tops.distinct().collect(),
            Start::Nowhere => Vec::new(),
            Start::Atom(atom, height) => (0..height).fold(vec![atom], |level, _| {
                let mut up: Vec<_> = level.iter().flat_map(|&atom| space.incoming(atom)).collect();
                up.sort_unstable();
                up.dedup();
                up
            }),
        };
        let mut all: Vec<AtomId> =
            closed.into_iter().filter(|&atom| tops.has(atom)).chain(tops.open()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}
