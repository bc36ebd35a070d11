//! The atoms at the top of a text, as a companion keeps them beside the store of atoms.

use super::super::atomspace::companion::{Form, Ordered, TruthCoding};
use super::super::atomspace::{AtomId, AtomStore};
use super::super::section::{Companion, Section, SectionError};
use super::ids::{self, Ids};
use super::read::Metta;
use super::sort::Sort;
use crate::gguf::Value;

/// The version of the section, under the key `opencog.metta.version`.
pub const VERSION: u32 = 1;

/// The keys of the metadata.
mod key {
    pub const VERSION: &str = "opencog.metta.version";
    /// How many atoms are at the top, each counted as often as it is there.
    pub const ATOMS: &str = "opencog.metta.atoms";
}

/// The parts.
mod name {
    /// The atoms at the top, in order.
    pub const ORDER: &str = "metta.order";
    /// The same at rest.
    pub const ORDER_AT_REST: &str = "metta.rest.order";
    /// A bit for each atom, the lowest of a byte first: whether it is at the top.
    pub const TOP: &str = "metta.top";
    /// Those that are at the top more than once, ascending.
    pub const REPEATED: &str = "metta.repeated";
    /// How often each of these is.
    pub const TIMES: &str = "metta.times";
    /// Those at the top that hold a variable, ascending.
    pub const OPEN: &str = "metta.open";
}

impl Metta {
    /// What a companion file holds of it: the section of the atoms, and that of those at the top.
    /// Nothing of what was passed over: the same atoms are the same bytes.
    pub fn sections(&self, form: Form) -> [Section; 2] {
        let (ordered, places) = Ordered::with_places(&self.space, TruthCoding::Exact);
        let order: Vec<u32> = self.order.iter().map(|atom| places[atom.index()]).collect();
        let atoms = self.space.atom_count();
        let tops = match form {
            Form::AtRest => at_rest(&order, atoms),
            Form::Mapped => {
                let mut open = vec![false; atoms];
                for (atom, is_open) in self.holds_variables().into_iter().enumerate() {
                    open[places[atom] as usize] = is_open;
                }
                mapped(&order, &open)
            }
        };
        [ordered.section(form), with_metadata(tops, order.len())]
    }

    /// Of each atom whether it is a variable or holds one.
    pub fn holds_variables(&self) -> Vec<bool> {
        hold_variables(&self.space)
    }
}

fn with_metadata(mut section: Section, tops: usize) -> Section {
    section.set(key::VERSION, Value::U32(VERSION));
    section.set(key::ATOMS, Value::U64(tops as u64));
    section
}

/// Which atoms of a store are variables or hold one.
fn hold_variables(store: &impl AtomStore) -> Vec<bool> {
    let variable: Vec<bool> =
        store.types().iter().map(|of| Sort::of(of) == Some(Sort::Variable)).collect();
    let mut open: Vec<bool> = Vec::with_capacity(store.atom_count());
    for atom in store.atoms() {
        let is_open = variable[store.type_of(atom).index()]
            || store.outgoing(atom).any(|held| open[held.index()]);
        open.push(is_open);
    }
    open
}

fn at_rest(order: &[u32], atoms: usize) -> Section {
    let mut section = Section::default();
    section.bytes(name::ORDER_AT_REST, &ids::compress(order, atoms));
    section
}

/// The parts that are asked where they lie; `open` tells of each atom whether it holds a variable.
fn mapped(order: &[u32], open: &[bool]) -> Section {
    let atoms = open.len();
    let mut sorted = order.to_vec();
    sorted.sort_unstable();
    let mut top = vec![0u8; atoms.div_ceil(8)];
    let (mut repeated, mut times, mut open_tops) = (Vec::new(), Vec::new(), Vec::new());
    for same in sorted.chunk_by(|a, b| a == b) {
        let atom = same[0];
        top[atom as usize / 8] |= 1 << (atom % 8);
        if same.len() > 1 {
            repeated.push(atom);
            times.push(same.len() as u32);
        }
        if open[atom as usize] {
            open_tops.push(atom);
        }
    }
    let mut section = Section::default();
    section.bytes(name::ORDER, &ids::pack(order, atoms));
    section.bytes(name::TOP, &top);
    section.bytes(name::REPEATED, &ids::pack(&repeated, atoms));
    section.bytes(name::TIMES, &ids::pack(&times, order.len() + 1));
    section.bytes(name::OPEN, &ids::pack(&open_tops, atoms));
    section
}

/// Makes the mapped section of one at rest; `store` has the atoms of the same companion.
///
/// # Errors
/// The section contradicts itself or the atoms.
pub fn expand(companion: &Companion, store: &impl AtomStore) -> Result<Section, SectionError> {
    let (tops, atoms) = (companion.count(key::ATOMS)?, store.atom_count());
    let order = ids::expand(companion.bytes(name::ORDER_AT_REST)?, tops, atoms);
    let order = order.ok_or_else(|| unlike(name::ORDER_AT_REST))?;
    let section = mapped(&order, &hold_variables(store));
    Ok(with_metadata(section, tops))
}

fn unlike(part: &str) -> SectionError {
    SectionError(format!("part `{part}` is not what others say of it"))
}

/// The atoms at the top, where they lie in a file. Whatever its bytes say, nothing here panics.
#[derive(Debug, Clone, Copy)]
pub struct Tops<'a> {
    atoms: u32,
    order: Ids<'a>,
    top: &'a [u8],
    repeated: Ids<'a>,
    times: Ids<'a>,
    open: Ids<'a>,
}

/// Whether a companion holds MeTTa.
///
/// # Errors
/// It is of another version.
pub fn is_in(companion: &Companion) -> Result<bool, SectionError> {
    companion.has_section(key::VERSION, VERSION)
}

impl<'a> Tops<'a> {
    /// The atoms at the top of a companion in the mapped form that has so many atoms.
    ///
    /// # Errors
    /// The section contradicts itself.
    pub fn of(companion: &Companion<'a>, atoms: usize) -> Result<Tops<'a>, SectionError> {
        let ids = |part: &str, below| {
            let bytes = companion.bytes(part)?;
            Ids::new(bytes, below).ok_or_else(|| unlike(part))
        };
        let count = companion.count(key::ATOMS)?;
        let tops = Tops {
            atoms: u32::try_from(atoms).unwrap_or(u32::MAX),
            order: ids(name::ORDER, atoms)?,
            top: companion.bytes(name::TOP)?,
            repeated: ids(name::REPEATED, atoms)?,
            times: ids(name::TIMES, count.saturating_add(1))?,
            open: ids(name::OPEN, atoms)?,
        };
        let checks = [
            (name::ORDER, tops.order.len() == count),
            (name::TOP, tops.top.len() == atoms.div_ceil(8)),
            (name::TIMES, tops.times.len() == tops.repeated.len()),
        ];
        match checks.into_iter().find(|(_, is_sound)| !is_sound) {
            Some((part, _)) => Err(unlike(part)),
            None => Ok(tops),
        }
    }

    /// How many atoms are at the top, each counted as often as it is there.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The atoms at the top, in order; none for what a broken file has in place of one.
    pub fn in_order(&self) -> impl ExactSizeIterator<Item = Option<AtomId>> + use<'a> {
        let atoms = self.atoms;
        self.order.iter().map(move |id| (id < atoms).then_some(AtomId(id)))
    }

    /// Those that hold a variable, ascending.
    pub fn open(&self) -> impl Iterator<Item = AtomId> + use<'a> {
        let atoms = self.atoms;
        self.open.iter().filter(move |&id| id < atoms).map(AtomId)
    }

    /// Those that are there, each once, ascending.
    pub fn distinct(&self) -> impl Iterator<Item = AtomId> + use<'a> {
        let atoms = self.atoms;
        let bits = |(i, &byte): (usize, &u8)| {
            (0..8).filter(move |bit| byte >> bit & 1 == 1).map(move |bit| i as u32 * 8 + bit)
        };
        self.top.iter().enumerate().flat_map(bits).filter(move |&id| id < atoms).map(AtomId)
    }

    /// Whether an atom is at the top.
    pub fn has(&self, atom: AtomId) -> bool {
        self.top.get(atom.index() / 8).is_some_and(|byte| byte >> (atom.0 % 8) & 1 == 1)
    }

    /// Whether an atom that is at the top holds a variable.
    pub fn is_open(&self, atom: AtomId) -> bool {
        self.open.find(atom.0).is_some()
    }

    /// How often an atom is at the top.
    pub fn times(&self, atom: AtomId) -> usize {
        match self.has(atom) {
            false => 0,
            true => self.repeated.find(atom.0).map_or(1, |at| self.times.get(at) as usize),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::section::write;
    use super::super::read;
    use super::*;
    use crate::gguf::Gguf;

    const TEXT: &str = "(a $x) (a b) (a b) 7";

    fn opened(sections: &[Section]) -> Gguf {
        let file = write(Vec::new(), std::path::Path::new("x"), sections).unwrap();
        Gguf::from_bytes("x", file).unwrap()
    }

    #[test]
    fn commands_leave_no_trace() {
        let with = read(format!("!(f) {TEXT} !(g)").as_bytes()).unwrap();
        for form in [Form::Mapped, Form::AtRest] {
            assert_eq!(with.sections(form), read(TEXT.as_bytes()).unwrap().sections(form));
        }
    }

    #[test]
    fn a_file_that_counts_commands_is_read() {
        let metta = read(TEXT.as_bytes()).unwrap();
        for form in [Form::Mapped, Form::AtRest] {
            let mut sections = metta.sections(form);
            let key = "opencog.metta.commands";
            sections[1].set(key, Value::U64(3));
            let gguf = opened(&sections);
            let companion = Companion::new(&gguf).unwrap();
            assert!(is_in(&companion).unwrap());
            let expanded = match form {
                Form::Mapped => None,
                Form::AtRest => Some(expand(&companion, &metta.space).unwrap()),
            };
            let gguf = opened(expanded.as_slice());
            let companion = match form {
                Form::Mapped => companion,
                Form::AtRest => Companion::new(&gguf).unwrap(),
            };
            let tops = Tops::of(&companion, metta.space.atom_count()).unwrap();
            assert_eq!((tops.len(), tops.distinct().count()), (4, 3));
            if form == Form::Mapped {
                assert_eq!(tops.open().count(), 1);
            }
        }
    }
}
