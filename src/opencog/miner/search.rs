//! The search for frequent patterns: clauses first, then conjunctions, one clause at a time.

use rustc_hash::FxHashSet;

use super::super::atomspace::AtomStore;
use super::clauses::{FrequentClause, frequent_clauses, trees};
use super::groundings::{Groundings, Named, Table};
use super::options::MinerOptions;
use super::pattern::{Canonical, Clause, Variable, place, variables_of};
use super::surprisingness::{Surprise, surprise};

/// A frequent pattern.
#[derive(Debug, Clone, PartialEq)]
pub struct MinedPattern {
    /// Its clauses, `$0`, `$1`, .. for variables: the same text for the same pattern in any store.
    pub text: String,
    /// How many clauses it has.
    pub conjuncts: usize,
    /// How many groundings it has.
    pub support: u64,
    /// How surprising it is, if it has two or more clauses and its parts could be counted.
    pub surprise: Option<Surprise>,
}

/// What was mined.
#[derive(Debug, Clone, PartialEq)]
pub struct Mined {
    /// How many trees the data has.
    pub trees: usize,
    /// The frequent patterns, by their text.
    pub patterns: Vec<MinedPattern>,
    /// How many patterns had too many groundings and were left out.
    pub too_large: u64,
    /// Whether all frequent patterns were found, but for those.
    pub is_complete: bool,
}

/// A pattern on the way.
struct Found {
    text: String,
    clauses: Vec<Clause>,
    table: Option<Table>,
    support: u64,
}

/// Finds the frequent patterns of a store. Whatever ids its atoms have, the result is the same.
pub fn mine(store: &impl AtomStore, options: &MinerOptions) -> Mined {
    let trees = trees(store, options.filter);
    let (clauses, mut level) = single(store, frequent_clauses(store, &trees, options));
    let mut search = Search {
        store,
        options,
        groundings: Groundings::new(clauses, options.most_groundings),
        known: FxHashSet::default(),
        lookups: 0,
        too_large: 0,
        is_complete: true,
    };
    let mut all: Vec<Found> = Vec::new();
    for conjuncts in 1..=options.max_conjuncts {
        let room = options.most_patterns.saturating_sub(all.len());
        if level.len() > room {
            search.is_complete = false;
            level.truncate(room);
        }
        let next = match conjuncts < options.max_conjuncts {
            true => search.expand(&level, room - level.len(), conjuncts + 1),
            false => Vec::new(),
        };
        all.extend(std::mem::replace(&mut level, next));
    }
    let mut patterns: Vec<MinedPattern> = Vec::with_capacity(all.len());
    for Found { text, clauses, support, .. } in all {
        let conjuncts = clauses.len();
        let surprise = match conjuncts {
            1 => None,
            _ => surprise(&clauses, trees.len(), &mut search.groundings),
        };
        patterns.push(MinedPattern { text, conjuncts, support, surprise });
    }
    patterns.sort_by(|a, b| a.text.cmp(&b.text));
    let Search { too_large, is_complete, .. } = search;
    Mined { trees: trees.len(), patterns, too_large, is_complete }
}

/// The clauses by their text, and as patterns.
fn single(
    store: &impl AtomStore,
    clauses: Vec<FrequentClause>,
) -> (Vec<FrequentClause>, Vec<Found>) {
    let text =
        |known: &FrequentClause| Canonical::of(store, std::slice::from_ref(&known.clause)).text;
    let mut texts: Vec<(String, FrequentClause)> =
        clauses.into_iter().map(|known| (text(&known), known)).collect();
    texts.sort_by(|a, b| a.0.cmp(&b.0));
    let found = |(text, known): &(String, FrequentClause)| Found {
        text: text.clone(),
        clauses: vec![known.clause.clone()],
        table: Some(Table { variables: known.clause.variables(), rows: known.rows.clone() }),
        support: known.support,
    };
    let level = texts.iter().map(found).collect();
    (texts.into_iter().map(|(_, known)| known).collect(), level)
}

struct Search<'a, S> {
    store: &'a S,
    options: &'a MinerOptions,
    groundings: Groundings,
    known: FxHashSet<String>,
    lookups: u64,
    too_large: u64,
    is_complete: bool,
}

impl<S: AtomStore> Search<'_, S> {
    /// The frequent patterns of one clause more, at most so many.
    fn expand(&mut self, level: &[Found], room: usize, conjuncts: usize) -> Vec<Found> {
        let mut next = Vec::new();
        for found in level {
            let Some(table) = &found.table else { continue };
            for clause in 0..self.groundings.clauses().len() {
                let width = self.groundings.clauses()[clause].clause.variables().len();
                for names in self.namings(table.variables.len(), width) {
                    self.lookups += table.rows().len() as u64;
                    if next.len() == room || self.lookups > self.options.most_lookups {
                        self.is_complete = false;
                        return next;
                    }
                    next.extend(self.joined(found, table, Named { clause, names }, conjuncts));
                }
            }
        }
        next
    }

    /// How the variables of a clause can be named so that it shares one at least with a pattern.
    fn namings(&self, of_pattern: usize, of_clause: usize) -> Vec<Vec<Variable>> {
        let mut namings: Vec<(Vec<Variable>, usize)> = vec![(Vec::new(), of_pattern)];
        for _ in 0..of_clause {
            let longer = namings.iter().flat_map(|(names, used)| {
                let shared = (0..of_pattern as Variable).filter(|name| !names.contains(name));
                let shared = shared.map(|name| (name, *used));
                let new =
                    (*used < self.options.max_variables).then_some((*used as Variable, used + 1));
                shared.chain(new).map(|(name, used)| ([&names[..], &[name]].concat(), used))
            });
            namings = longer.collect();
        }
        let shares =
            |names: &Vec<Variable>| names.iter().any(|&name| usize::from(name) < of_pattern);
        namings.into_iter().map(|(names, _)| names).filter(shares).collect()
    }

    /// The pattern with one clause more, if it is new and frequent.
    fn joined(
        &mut self,
        found: &Found,
        table: &Table,
        named: Named,
        conjuncts: usize,
    ) -> Option<Found> {
        let clause = &self.groundings.clauses()[named.clause].clause;
        let clause = clause.renamed(|variable| named.names[usize::from(variable)]);
        if found.clauses.contains(&clause) {
            return None;
        }
        let support = self.groundings.count(table, &named);
        if support < self.options.minimum_support {
            return None;
        }
        let clauses = [&found.clauses[..], &[clause]].concat();
        let canonical = Canonical::of(self.store, &clauses);
        if !self.known.insert(canonical.text.clone()) {
            return None;
        }
        if support > self.options.most_groundings {
            self.too_large += 1;
            return None;
        }
        let mut table = match conjuncts < self.options.max_conjuncts {
            true => self.groundings.join(table, &named),
            false => None,
        };
        for variable in table.iter_mut().flat_map(|table| &mut table.variables) {
            *variable = place(&canonical.names_before, *variable);
        }
        let clauses = canonical.clauses(&clauses);
        debug_assert!(
            variables_of(clauses.iter())
                .iter()
                .copied()
                .eq(0..canonical.names_before.len() as Variable)
        );
        Some(Found { text: canonical.text, clauses, table, support })
    }
}
