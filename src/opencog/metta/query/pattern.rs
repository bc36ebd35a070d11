//! A pattern: an atom of its own, and what of it a companion has.

use super::super::super::atomspace::{AtomId, AtomStore, Error, TypeId};
use super::super::leaf::{self, Number};
use super::super::packed::PackedMetta;
use super::super::print::sorts;
use super::super::read::{self, Metta};
use super::super::sort::Sort;

/// The most atoms of a pattern.
const MOST_ATOMS: usize = 1000;

/// What a companion has of an atom of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// Just this atom.
    Atom(AtomId),
    /// None: where the pattern has it, only a variable can match.
    Absent,
    /// It holds a variable, or a number that is two atoms.
    Open,
}

/// A pattern that is asked for.
#[derive(Debug)]
pub(super) struct Pattern {
    pub metta: Metta,
    pub sorts: Vec<Sort>,
    /// The atoms that are to be matched, each a pattern.
    pub clauses: Vec<AtomId>,
    /// The variables, in the order in which they are first written.
    pub variables: Vec<AtomId>,
    /// By atom of the pattern.
    pub known: Vec<Known>,
    /// The atoms of the companion that are 0 and 0.0, where both are there: Hyperon takes each for
    /// the other.
    pub zeros: Option<[AtomId; 2]>,
}

impl Pattern {
    pub fn parse(text: &str, of: &PackedMetta) -> Result<Pattern, Error> {
        let fault = |fault: &str| Err(Error::Parameter(fault.into()));
        let metta = read::read(text.as_bytes())?;
        let atoms = metta.space.atom_count();
        if atoms > MOST_ATOMS {
            return fault("a pattern has at most 1000 atoms");
        }
        if metta.commands.count > 0 {
            return fault("a pattern is an atom, found a command (`!`)");
        }
        let [root] = metta.order[..] else {
            let fault = "expected one atom, found {}; several are `(, A B)`";
            return Err(Error::Parameter(fault.replace("{}", &metta.order.len().to_string())));
        };
        let sorts = sorts(metta.space.types()).unwrap_or_default();
        let held: Vec<AtomId> = metta.space.outgoing(root).collect();
        let is_comma = |atom: &AtomId| {
            sorts[metta.space.type_of(*atom).index()] == Sort::Symbol
                && metta.space.name(*atom).as_deref() == Some(b",")
        };
        let clauses = match held.split_first() {
            Some((head, clauses)) if is_comma(head) => clauses.to_vec(),
            _ => vec![root],
        };
        let store = Known::of(of);
        let mut known: Vec<Known> = Vec::with_capacity(atoms);
        for atom in metta.space.atoms() {
            let sort = sorts[metta.space.type_of(atom).index()];
            let found = match metta.space.name(atom) {
                Some(name) => store.leaf(sort, &name),
                None => {
                    store.expression(metta.space.outgoing(atom).map(|atom| known[atom.index()]))
                }
            };
            known.push(found);
        }
        // Ids ascend as atoms are read, and variables that hold nothing as they are first written.
        let is_variable =
            |atom: &AtomId| sorts[metta.space.type_of(*atom).index()] == Sort::Variable;
        let variables = metta.space.atoms().filter(is_variable).collect();
        let zeros = store.zeros;
        Ok(Pattern { metta, sorts, clauses, variables, known, zeros })
    }
}

/// How atoms of a pattern are found in a companion.
struct Finder<'m, 'a> {
    metta: &'m PackedMetta<'a>,
    types: [Option<TypeId>; Sort::ALL.len()],
    zeros: Option<[AtomId; 2]>,
}

impl Known {
    fn of<'m, 'a>(metta: &'m PackedMetta<'a>) -> Finder<'m, 'a> {
        let space = &metta.space;
        let types = Sort::ALL.map(|sort| space.find_type(sort.name(), sort.kind()));
        let mut finder = Finder { metta, types, zeros: None };
        let zero = |(sort, name): (Sort, &[u8])| finder.find(sort, name);
        if let [Some(integer), Some(float)] = ZEROS.map(zero) {
            finder.zeros = Some([integer, float]);
        }
        finder
    }
}

/// The two that Hyperon takes for each other; `-0.0` is another number there.
const ZEROS: [(Sort, &[u8]); 2] = [(Sort::Integer, b"0"), (Sort::Float, b"0.0")];

impl Finder<'_, '_> {
    fn find(&self, sort: Sort, name: &[u8]) -> Option<AtomId> {
        self.metta.space.by_name(self.types[sort as usize]?, name)
    }

    fn leaf(&self, sort: Sort, name: &[u8]) -> Known {
        if sort == Sort::Variable {
            return Known::Open;
        }
        let is_zero = ZEROS.contains(&(sort, name));
        if is_zero && self.zeros.is_some() {
            return Known::Open;
        }
        let mut found = self.find(sort, name);
        if is_zero {
            found = ZEROS.iter().find_map(|&(sort, name)| self.find(sort, name));
        }
        found.map_or(Known::Absent, Known::Atom)
    }

    fn expression(&self, held: impl Iterator<Item = Known>) -> Known {
        let mut atoms = Vec::new();
        let mut whole = Known::Absent;
        let mut is_absent = false;
        for known in held {
            match known {
                Known::Atom(atom) => atoms.push(atom),
                Known::Absent => is_absent = true,
                Known::Open => whole = Known::Open,
            }
        }
        if is_absent || whole == Known::Open {
            return whole;
        }
        let of = self.types[Sort::Expression as usize];
        let found = of.and_then(|of| self.metta.space.by_outgoing(of, &atoms));
        found.map_or(Known::Absent, Known::Atom)
    }
}

/// Whether two leaves are the same where they stand in the same place of a pattern and of an atom.
pub(super) fn are_same(a: (Sort, &[u8]), b: (Sort, &[u8])) -> bool {
    a == b || ZEROS.contains(&a) && ZEROS.contains(&b)
}

/// Whether two leaves are the same where a variable stands for both.
pub(super) fn are_equal(a: (Sort, &[u8]), b: (Sort, &[u8])) -> bool {
    let number = |(sort, name)| leaf::number_of(sort, name);
    let numbers = || Some(Number::equals(number(a)?, number(b)?));
    a == b || numbers().unwrap_or(false)
}
