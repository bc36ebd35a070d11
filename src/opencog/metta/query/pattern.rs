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
    /// It is a variable, or holds one, or a number that may be several atoms.
    Open,
    /// It is 0 or 0.0, and the companion has both: each is the other.
    Zero,
    /// It is a number that the companion does not have as it is written, but perhaps equal ones.
    Equal,
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
        let finder = Finder::new(of);
        let mut known: Vec<Known> = Vec::with_capacity(atoms);
        for atom in metta.space.atoms() {
            let sort = sorts[metta.space.type_of(atom).index()];
            let found = match metta.space.name(atom) {
                Some(name) => finder.leaf(sort, &name),
                None => {
                    finder.expression(metta.space.outgoing(atom).map(|atom| known[atom.index()]))
                }
            };
            known.push(found);
        }
        // Ids ascend as atoms are read, and variables that hold nothing as they are first written.
        let is_variable =
            |atom: &AtomId| sorts[metta.space.type_of(*atom).index()] == Sort::Variable;
        let variables = metta.space.atoms().filter(is_variable).collect();
        let zeros = finder.zeros;
        Ok(Pattern { metta, sorts, clauses, variables, known, zeros })
    }
}

/// How atoms of a pattern are found in a companion.
struct Finder<'m, 'a> {
    metta: &'m PackedMetta<'a>,
    types: [Option<TypeId>; Sort::ALL.len()],
    zeros: Option<[AtomId; 2]>,
}

/// The two that Hyperon finds for each other, since their bits are the same; those of `-0.0` are not.
const ZEROS: [(Sort, &[u8]); 2] = [(Sort::Integer, b"0"), (Sort::Float, b"0.0")];

impl<'m, 'a> Finder<'m, 'a> {
    fn new(metta: &'m PackedMetta<'a>) -> Finder<'m, 'a> {
        let types = Sort::ALL.map(|sort| metta.space.find_type(sort.name(), sort.kind()));
        let mut finder = Finder { metta, types, zeros: None };
        if let [Some(integer), Some(float)] = ZEROS.map(|(sort, name)| finder.find(sort, name)) {
            finder.zeros = Some([integer, float]);
        }
        finder
    }

    fn find(&self, sort: Sort, name: &[u8]) -> Option<AtomId> {
        self.metta.space.by_name(self.types[sort as usize]?, name)
    }

    /// As in Hyperon, where a leaf is looked for as it is. A number that is nowhere in the space is
    /// compared by value with all that is there: `1` is `1.0` if the space has no `1`.
    fn leaf(&self, sort: Sort, name: &[u8]) -> Known {
        let is_zero = ZEROS.contains(&(sort, name));
        if sort == Sort::Variable {
            return Known::Open;
        }
        if is_zero && self.zeros.is_some() {
            return Known::Zero;
        }
        let other_zero = || {
            let mut zeros = ZEROS.iter().filter(|_| is_zero);
            zeros.find_map(|&(sort, name)| self.find(sort, name))
        };
        match self.find(sort, name).or_else(other_zero) {
            Some(atom) => Known::Atom(atom),
            None if leaf::number_of(sort, name).is_some() => Known::Equal,
            None => Known::Absent,
        }
    }

    fn expression(&self, held: impl Iterator<Item = Known>) -> Known {
        let mut atoms = Vec::new();
        let (mut is_open, mut is_absent) = (false, false);
        for known in held {
            match known {
                Known::Atom(atom) => atoms.push(atom),
                Known::Absent => is_absent = true,
                Known::Open | Known::Zero | Known::Equal => is_open = true,
            }
        }
        if is_open {
            return Known::Open;
        }
        let of = self.types[Sort::Expression as usize].filter(|_| !is_absent);
        let found = of.and_then(|of| self.metta.space.by_outgoing(of, &atoms));
        found.map_or(Known::Absent, Known::Atom)
    }
}

impl Pattern {
    /// Whether a leaf of the pattern is this stored one, where they stand in the same place.
    pub fn is(&self, leaf: AtomId, stored: AtomId, of: &PackedMetta) -> bool {
        match self.known[leaf.index()] {
            Known::Atom(atom) => atom == stored,
            Known::Zero => self.zeros.is_some_and(|zeros| zeros.contains(&stored)),
            Known::Equal => {
                let sort = self.sorts[self.metta.space.type_of(leaf).index()];
                let name = self.metta.space.name(leaf).unwrap_or_default();
                let name_of_stored = of.space.name(stored).unwrap_or_default();
                are_equal((sort, &name), (of.sort(stored), &name_of_stored))
            }
            Known::Absent | Known::Open => false,
        }
    }
}

/// Whether two leaves are the same where a variable stands for both: numbers by their values.
pub(super) fn are_equal(a: (Sort, &[u8]), b: (Sort, &[u8])) -> bool {
    let number = |(sort, name)| leaf::number_of(sort, name);
    let numbers = || Some(Number::equals(number(a)?, number(b)?));
    a == b || numbers().unwrap_or(false)
}
