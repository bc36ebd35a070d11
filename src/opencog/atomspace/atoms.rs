//! The atoms of a space in columns, and the table that finds them by what they are.

use std::hash::Hasher;

use hashbrown::HashTable;
use rustc_hash::FxHasher;

use super::atom_store::AtomId;
use super::error::Error;
use super::types::TypeId;

/// Part of the names or of the members.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    len: u32,
}

impl Span {
    fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.start as usize + self.len as usize
    }
}

/// The atoms by id.
#[derive(Debug, Clone, Default)]
pub(super) struct Atoms {
    types: Vec<TypeId>,
    /// Where a node's name lies in `names`, or what a link holds in `members`.
    spans: Vec<Span>,
    names: Vec<u8>,
    members: Vec<AtomId>,
}

impl Atoms {
    pub fn len(&self) -> usize {
        self.types.len()
    }

    pub fn types(&self) -> &[TypeId] {
        &self.types
    }

    /// The name of an atom that is a node.
    pub fn name(&self, node: AtomId) -> &[u8] {
        &self.names[self.spans[node.index()].range()]
    }

    /// What an atom that is a link holds.
    pub fn outgoing(&self, link: AtomId) -> &[AtomId] {
        &self.members[self.spans[link.index()].range()]
    }

    pub fn push_node(&mut self, of: TypeId, name: &[u8]) -> Result<AtomId, Error> {
        let span = span(self.names.len(), name.len(), "bytes of names")?;
        let atom = self.push(of, span)?;
        self.names.extend_from_slice(name);
        Ok(atom)
    }

    pub fn push_link(&mut self, of: TypeId, outgoing: &[AtomId]) -> Result<AtomId, Error> {
        let span = span(self.members.len(), outgoing.len(), "members of links")?;
        let atom = self.push(of, span)?;
        self.members.extend_from_slice(outgoing);
        Ok(atom)
    }

    fn push(&mut self, of: TypeId, span: Span) -> Result<AtomId, Error> {
        let limit = u64::from(u32::MAX);
        let id = u32::try_from(self.len()).ok().filter(|&id| id < u32::MAX);
        let id = id.ok_or(Error::Limit { what: "atoms", limit })?;
        self.types.push(of);
        self.spans.push(span);
        Ok(AtomId(id))
    }

    /// Takes the last atom out again; `is_node` tells what it is.
    fn pop(&mut self, is_node: bool) {
        self.types.pop();
        let Some(span) = self.spans.pop() else { return };
        match is_node {
            true => self.names.truncate(span.start as usize),
            false => self.members.truncate(span.start as usize),
        }
    }
}

/// The next `len` things after the first `start`, if their numbers suffice.
fn span(start: usize, len: usize, what: &'static str) -> Result<Span, Error> {
    match (u32::try_from(start), u32::try_from(len), u32::try_from(start.saturating_add(len))) {
        (Ok(start), Ok(len), Ok(_)) => Ok(Span { start, len }),
        _ => Err(Error::Limit { what, limit: u64::from(u32::MAX) }),
    }
}

/// What an atom is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Content<'a> {
    Name(&'a [u8]),
    Outgoing(&'a [AtomId]),
}

impl Content<'_> {
    fn hash(self, of: TypeId) -> u32 {
        let mut hasher = FxHasher::default();
        hasher.write_u16(of.0);
        match self {
            Content::Name(name) => hasher.write(name),
            Content::Outgoing(outgoing) => {
                outgoing.iter().for_each(|atom| hasher.write_u32(atom.0))
            }
        }
        let hash = hasher.finish();
        (hash ^ (hash >> 32)) as u32
    }

    fn is_of(self, atoms: &Atoms, atom: AtomId) -> bool {
        match self {
            Content::Name(name) => atoms.name(atom) == name,
            Content::Outgoing(outgoing) => atoms.outgoing(atom) == outgoing,
        }
    }
}

/// An atom in the table. The hash is kept, so that growing and missing touch no atom.
#[derive(Debug, Clone, Copy)]
struct Slot {
    hash: u32,
    atom: AtomId,
}

impl Slot {
    /// For the table, which takes its bucket from the low bits and a tag from the high ones.
    fn spread(hash: u32) -> u64 {
        u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// The atoms by what they are. A type is one of nodes or one of links, so that a name is never
/// compared with an outgoing set.
#[derive(Debug, Clone, Default)]
pub(super) struct AtomTable {
    slots: HashTable<Slot>,
}

impl AtomTable {
    pub fn find(&self, atoms: &Atoms, of: TypeId, content: Content) -> Option<AtomId> {
        self.find_hashed(atoms, of, content, content.hash(of))
    }

    fn find_hashed(
        &self,
        atoms: &Atoms,
        of: TypeId,
        content: Content,
        hash: u32,
    ) -> Option<AtomId> {
        let is = |slot: &Slot| {
            slot.hash == hash
                && atoms.types[slot.atom.index()] == of
                && content.is_of(atoms, slot.atom)
        };
        self.slots.find(Slot::spread(hash), is).map(|slot| slot.atom)
    }

    /// The atom's id, and whether it is new and was put at the end of `atoms`.
    pub fn intern(
        &mut self,
        atoms: &mut Atoms,
        of: TypeId,
        content: Content,
    ) -> Result<(AtomId, bool), Error> {
        let hash = content.hash(of);
        if let Some(atom) = self.find_hashed(atoms, of, content, hash) {
            return Ok((atom, false));
        }
        let atom = match content {
            Content::Name(name) => atoms.push_node(of, name)?,
            Content::Outgoing(outgoing) => atoms.push_link(of, outgoing)?,
        };
        let rehash = |slot: &Slot| Slot::spread(slot.hash);
        self.slots.insert_unique(Slot::spread(hash), Slot { hash, atom }, rehash);
        Ok((atom, true))
    }

    /// Takes an atom out of the table, so that it is found no more.
    pub fn remove(&mut self, atoms: &Atoms, atom: AtomId, is_node: bool) {
        let hash = Slot::spread(content(atoms, atom, is_node).hash(atoms.types[atom.index()]));
        if let Ok(slot) = self.slots.find_entry(hash, |slot| slot.atom == atom) {
            slot.remove();
        }
    }

    /// Puts an atom that was taken out into the table again.
    pub fn insert(&mut self, atoms: &Atoms, atom: AtomId, is_node: bool) {
        let hash = content(atoms, atom, is_node).hash(atoms.types[atom.index()]);
        let rehash = |slot: &Slot| Slot::spread(slot.hash);
        self.slots.insert_unique(Slot::spread(hash), Slot { hash, atom }, rehash);
    }

    /// Takes the last atom out of both again.
    pub fn remove_last(&mut self, atoms: &mut Atoms, is_node: bool) {
        let Some(last) = atoms.len().checked_sub(1) else { return };
        self.remove(atoms, AtomId(last as u32), is_node);
        atoms.pop(is_node);
    }
}

fn content(atoms: &Atoms, atom: AtomId, is_node: bool) -> Content<'_> {
    match is_node {
        true => Content::Name(atoms.name(atom)),
        false => Content::Outgoing(atoms.outgoing(atom)),
    }
}
