//! How long operations on a store of atoms take, against another store of the same atoms.
//!
//! One operation takes some nanoseconds, less than a clock can tell. So they are timed in batches of
//! [`BATCH`] on atoms picked at random, queries one by one, and a quantile is one over the batches, of
//! the mean of each. The stores take turns, so that what disturbs the machine disturbs both.

use std::fmt;
use std::hint::black_box;
use std::time::Instant;

use rand::SeedableRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_pcg::Pcg64Mcg;
use serde::Serialize;

use crate::opencog::atomspace::query::{Query, Term, TruthFilter, Variable};
use crate::opencog::atomspace::{AtomId, AtomStore, Kind, ValueRef, twins};

/// Operations that are timed together.
pub const BATCH: usize = 32;

/// Turns that each store gets.
const TURNS: usize = 5;

/// The most matches of a query that is timed: at hubs there are more. One that was cut off there would
/// not be the same work for both stores, as they have their atoms in other orders.
const MATCHES: usize = 1 << 14;

/// How many atoms are tried for each query that has no more matches.
const TRIES: usize = 4;

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// The node of a type and a name.
    ByName,
    /// All that a link holds.
    Outgoing,
    /// All links that hold an atom.
    Incoming,
    /// An atom's truth value.
    Value,
    /// An atom's value under another key.
    ValueByKey,
    /// The matches of two clauses with a variable in common: `(T x $a) (T $b $a)`, where a link
    /// `(T x y)` is there.
    Query,
}

impl Operation {
    /// All of them.
    pub const ALL: [Operation; 6] = [
        Operation::ByName,
        Operation::Outgoing,
        Operation::Incoming,
        Operation::Value,
        Operation::ValueByKey,
        Operation::Query,
    ];

    /// How many are timed together.
    fn batch(self) -> usize {
        match self {
            Operation::Query => 1,
            _ => BATCH,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Operation::ByName => "name look-up",
            Operation::Outgoing => "outgoing",
            Operation::Incoming => "incoming",
            Operation::Value => "truth value",
            Operation::ValueByKey => "value by key",
            Operation::Query => "two-clause query",
        })
    }
}

/// Nanoseconds an operation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Nanoseconds {
    /// In the median batch.
    pub p50: f64,
    /// In the batch that one in a hundred is slower than.
    pub p99: f64,
}

/// An operation on both stores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latency {
    /// What was timed.
    pub operation: Operation,
    /// On the store in question.
    pub store: Nanoseconds,
    /// On the one it is compared with.
    pub reference: Nanoseconds,
}

impl Latency {
    /// How many times as long the store takes, in the median.
    pub fn ratio(&self) -> f64 {
        self.store.p50 / self.reference.p50
    }
}

/// Which atoms are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Batches a turn.
    pub batches: usize,
    /// How many distinct atoms at most: few stay in the cache, however large the store is.
    pub atoms: usize,
    /// What they are picked by.
    pub seed: u64,
}

/// Times every operation on both stores, which have the same atoms: nothing where an atom of `store`
/// is not in the reference, as another one would be timed there. Operations that there are no atoms
/// for are left out.
pub fn latencies(
    store: &impl AtomStore,
    reference: &impl AtomStore,
    sample: &Sample,
) -> Vec<Latency> {
    let Ok(twins) = twins(store, reference) else { return Vec::new() };
    let mut out = Vec::new();
    for operation in Operation::ALL {
        let of_store = picked(store, operation, sample);
        if of_store.is_empty() {
            continue;
        }
        let of_reference: Vec<AtomId> = of_store.iter().map(|atom| twins[atom.index()]).collect();
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            a.extend(times(store, operation, &of_store));
            b.extend(times(reference, operation, &of_reference));
        }
        out.push(Latency { operation, store: quantiles(a), reference: quantiles(b) });
    }
    out
}

/// Atoms to do an operation on, batch after batch.
fn picked(store: &impl AtomStore, operation: Operation, sample: &Sample) -> Vec<AtomId> {
    let mut random = Pcg64Mcg::seed_from_u64(sample.seed);
    let kind = |atom: AtomId| store.types()[store.type_of(atom).index()].kind;
    let mut all: Vec<AtomId> = match operation {
        Operation::ByName => store.atoms().filter(|&atom| kind(atom) == Kind::Node).collect(),
        Operation::Outgoing => store.atoms().filter(|&atom| kind(atom) == Kind::Link).collect(),
        Operation::Incoming => store.atoms().collect(),
        Operation::Value => {
            store.atoms().filter(|&atom| store.truth_value(atom).is_some()).collect()
        }
        Operation::ValueByKey => {
            store.atoms().filter(|&atom| store.values(atom).next().is_some()).collect()
        }
        Operation::Query => store.atoms().filter(|&atom| store.outgoing(atom).len() > 1).collect(),
    };
    let (chosen, _) = all.partial_shuffle(&mut random, sample.atoms);
    let wanted = sample.batches * operation.batch();
    let tried = (0..TRIES * wanted).map_while(|_| chosen.choose(&mut random).copied());
    let is_apt = |&atom: &AtomId| operation != Operation::Query || is_small(store, atom);
    tried.filter(is_apt).take(wanted).collect()
}

/// Mean nanoseconds of each batch.
fn times(store: &impl AtomStore, operation: Operation, atoms: &[AtomId]) -> Vec<f64> {
    let batch = operation.batch();
    match operation {
        Operation::ByName => {
            let keys: Vec<_> = atoms
                .iter()
                .map(|&atom| {
                    (store.type_of(atom), store.name(atom).unwrap_or_default().into_owned())
                })
                .collect();
            timed(batch, &keys, |(of, name)| store.by_name(*of, name).map_or(0, |atom| atom.0))
        }
        Operation::Outgoing => timed(batch, atoms, |&atom| sum(store.outgoing(atom))),
        Operation::Incoming => timed(batch, atoms, |&atom| sum(store.incoming(atom))),
        Operation::Value => timed(batch, atoms, |&atom| {
            store.truth_value(atom).map_or(0, |value| value.confidence().to_bits() as u32)
        }),
        Operation::ValueByKey => {
            let asked: Vec<_> = atoms.iter().map(|&atom| (atom, first_key(store, atom))).collect();
            timed(batch, &asked, |&(atom, key)| {
                key.and_then(|key| store.value(atom, key)).map_or(0, some_of)
            })
        }
        Operation::Query => {
            let queries: Vec<Query> = atoms.iter().map(|&link| query(store, link)).collect();
            let found = |query: &Query| query.matches(store, TruthFilter::Any, MATCHES).len();
            timed(batch, &queries, |query| found(query) as u32)
        }
    }
}

fn timed<T>(batch: usize, items: &[T], act: impl Fn(&T) -> u32) -> Vec<f64> {
    let time = |items: &[T]| {
        let start = Instant::now();
        let sum = items.iter().fold(0u32, |sum, item| sum.wrapping_add(act(item)));
        black_box(sum);
        start.elapsed().as_nanos() as f64 / items.len() as f64
    };
    items.chunks_exact(batch).map(time).collect()
}

fn sum(atoms: impl Iterator<Item = AtomId>) -> u32 {
    atoms.fold(0, |sum, atom| sum.wrapping_add(atom.0))
}

/// A key that any store of the same atoms has first: by its name, as ids differ.
fn first_key(store: &impl AtomStore, atom: AtomId) -> Option<AtomId> {
    let keys = store.values(atom).map(|(key, _)| key);
    keys.min_by_key(|&key| store.name(key).map(|name| name.into_owned()))
}

/// What a program would look at of a value first.
fn some_of(value: ValueRef) -> u32 {
    match value {
        ValueRef::Floats(floats) => floats.get(0).map_or(0, |number| number.to_bits() as u32),
        ValueRef::Strings(strings) => strings.iter().next().map_or(0, |text| text.len() as u32),
        ValueRef::Bools(bools) => bools.get(0).map_or(0, u32::from),
        ValueRef::Links(values) => values.iter().next().map_or(0, some_of),
        ValueRef::Void => 0,
        ValueRef::Atom(atom) => atom.0,
        ValueRef::Truth(truth) => truth.confidence().to_bits() as u32,
        ValueRef::Attention(attention) => attention.sti.to_bits() as u32,
        ValueRef::Derived(derived) => some_of(derived.held()),
    }
}

/// The query that begins at what a link holds first: which links of its type hold `x` and something,
/// and which others hold the same thing. Further members stay as they are.
fn query(store: &impl AtomStore, link: AtomId) -> Query {
    let of = store.type_of(link);
    let clause = |first: Term| {
        let rest = store.outgoing(link).skip(2).map(Term::Atom);
        Term::Link(of, [first, Term::Variable(0)].into_iter().chain(rest).collect())
    };
    let variable = |name: &str| Variable { name: name.into(), of: None };
    Query {
        variables: vec![variable("$a"), variable("$b")],
        clauses: store
            .outgoing(link)
            .take(1)
            .flat_map(|x| [clause(Term::Atom(x)), clause(Term::Variable(1))])
            .collect(),
    }
}

/// Whether the query of a link has few enough matches.
fn is_small(store: &impl AtomStore, link: AtomId) -> bool {
    query(store, link).matches(store, TruthFilter::Any, MATCHES).is_complete
}

fn quantiles(mut times: Vec<f64>) -> Nanoseconds {
    times.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| {
        let place = (share * times.len() as f64) as usize;
        times.get(place.min(times.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
    };
    Nanoseconds { p50: at(0.5), p99: at(0.99) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::opencog::atomspace::{Builder, TruthValue, Value};

    const SAMPLE: Sample = Sample { batches: 20, atoms: 50, seed: 1 };

    /// A ring of members, with a truth value and another value on each link.
    fn ring(len: u32) -> crate::opencog::atomspace::AtomSpace {
        let mut builder = Builder::new();
        let concept = builder.add_type("ConceptNode", Kind::Node).unwrap();
        let member = builder.add_type("MemberLink", Kind::Link).unwrap();
        let nodes: Vec<AtomId> = (0..len)
            .map(|i| builder.add_node(concept, format!("n{i}").as_bytes()).unwrap().atom)
            .collect();
        for i in 0..nodes.len() {
            let pair = [nodes[i], nodes[(i + 1) % nodes.len()]];
            let link = builder.add_link(member, &pair).unwrap().atom;
            builder.set_truth_value(link, Some(TruthValue::DEFAULT));
            builder.set_value(link, nodes[0], Some(Value::Floats(vec![i as f64])));
        }
        builder.finish()
    }

    #[test]
    fn every_operation_is_timed_on_both() {
        let space = ring(100);
        let latencies = latencies(&space, &space, &SAMPLE);
        assert_eq!(latencies.iter().map(|row| row.operation).collect::<Vec<_>>(), Operation::ALL);
        for row in latencies {
            for side in [row.store, row.reference] {
                assert!(side.p50 > 0.0 && side.p50 <= side.p99, "{row:?}");
            }
        }
    }

    #[test]
    fn a_query_finds_what_two_clauses_hold() {
        let mut builder = Builder::new();
        let concept = builder.add_type("ConceptNode", Kind::Node).unwrap();
        let member = builder.add_type("MemberLink", Kind::Link).unwrap();
        let [x, y, z] = [b"x", b"y", b"z"].map(|n| builder.add_node(concept, n).unwrap().atom);
        let link = builder.add_link(member, &[x, y]).unwrap().atom;
        builder.add_link(member, &[z, y]).unwrap();
        builder.add_link(member, &[z, x]).unwrap();
        let space = builder.finish();
        let matches = query(&space, link).matches(&space, TruthFilter::Any, MATCHES);
        assert_eq!(matches.iter().collect::<Vec<_>>(), [[y, x], [y, z]]);
    }

    #[test]
    fn nothing_is_timed_of_what_is_not_there() {
        let space = Builder::new().finish();
        assert_eq!(latencies(&space, &space, &SAMPLE), []);
        assert_eq!(latencies(&ring(5), &ring(4), &SAMPLE), []);
    }

    #[test]
    fn queries_of_hubs_are_not_timed() {
        let mut builder = Builder::new();
        let concept = builder.add_type("ConceptNode", Kind::Node).unwrap();
        let member = builder.add_type("MemberLink", Kind::Link).unwrap();
        let [hub, twig] = [b"hub", b"twi"].map(|n| builder.add_node(concept, n).unwrap().atom);
        let mut add = |i: usize, of| {
            let node = builder.add_node(concept, format!("n{i}").as_bytes()).unwrap().atom;
            builder.add_link(member, &[node, of]).unwrap().atom
        };
        let small = add(0, twig);
        let large = (1..=MATCHES + 1).map(|i| add(i, hub)).last().unwrap();
        let space = builder.finish();
        assert!(is_small(&space, small) && !is_small(&space, large));
        let mostly_hub = Sample { batches: 5, atoms: usize::MAX, seed: 1 };
        assert!(picked(&space, Operation::Query, &mostly_hub).is_empty());
        assert_eq!(picked(&space, Operation::Outgoing, &mostly_hub).len(), 5 * BATCH);
    }

    #[test]
    fn no_more_atoms_are_picked_than_may_be() {
        let picked = picked(&ring(100), Operation::Incoming, &SAMPLE);
        let distinct: std::collections::HashSet<AtomId> = picked.iter().copied().collect();
        assert_eq!(picked.len(), 20 * BATCH);
        assert_eq!(distinct.len(), 50);
    }

    #[test]
    fn quantiles_are_of_the_sorted_times() {
        let times = (0..1000).rev().map(f64::from).collect();
        assert_eq!(quantiles(times), Nanoseconds { p50: 500.0, p99: 990.0 });
    }
}
