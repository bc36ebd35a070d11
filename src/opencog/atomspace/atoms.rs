//! The atoms of a space: what each of them is, without a word between one and the next.

use super::atom_store::AtomId;
use super::error::Error;
use super::types::TypeId;

/// An atom: its type, and where its name lies among the names or what it holds among the members.
/// All of it lies together, since whoever asks for one asks for the others.
#[derive(Debug, Clone, Copy)]
struct Record {
    start: u32,
    of: TypeId,
    /// [`LONG`] where the length does not fit: then it stands before the content.
    len: u16,
}

const LONG: u16 = u16::MAX;

/// The atoms by id.
#[derive(Debug, Clone, Default)]
pub(super) struct Atoms {
    records: Vec<Record>,
    names: Vec<u8>,
    members: Vec<AtomId>,
}

impl Atoms {
    pub fn len(&self) -> usize {
        self.records.len()
    }

    #[inline]
    pub fn type_of(&self, atom: AtomId) -> TypeId {
        self.records[atom.index()].of
    }

    /// The types of all atoms, by id.
    pub fn types(&self) -> impl ExactSizeIterator<Item = TypeId> + Clone {
        self.records.iter().map(|record| record.of)
    }

    /// The name of an atom that is a node.
    #[inline]
    pub fn name(&self, node: AtomId) -> &[u8] {
        let record = self.records[node.index()];
        let start = record.start as usize;
        let len = match record.len {
            LONG => self.long_name(start),
            len => len.into(),
        };
        &self.names[start..start + len]
    }

    /// What an atom that is a link holds.
    #[inline]
    pub fn outgoing(&self, link: AtomId) -> &[AtomId] {
        let record = self.records[link.index()];
        let start = record.start as usize;
        let len = match record.len {
            LONG => self.members[start - 1].index(),
            len => len.into(),
        };
        &self.members[start..start + len]
    }

    #[cold]
    fn long_name(&self, start: usize) -> usize {
        let len = self.names[..start].last_chunk().copied().map_or(0, u32::from_le_bytes);
        len as usize
    }

    pub fn push_node(&mut self, of: TypeId, name: &[u8]) -> Result<AtomId, Error> {
        let (len, long) = split(name.len());
        if let Some(long) = long {
            self.names.extend_from_slice(&long.to_le_bytes());
        }
        let atom = self.push(of, len, self.names.len(), name.len(), "bytes of names")?;
        self.names.extend_from_slice(name);
        Ok(atom)
    }

    pub fn push_link(&mut self, of: TypeId, outgoing: &[AtomId]) -> Result<AtomId, Error> {
        let (len, long) = split(outgoing.len());
        self.members.extend(long.map(AtomId));
        let atom = self.push(of, len, self.members.len(), outgoing.len(), "members of links")?;
        self.members.extend_from_slice(outgoing);
        Ok(atom)
    }

    /// Adds an atom whose content is about to be put at `start`.
    fn push(
        &mut self,
        of: TypeId,
        len: u16,
        start: usize,
        content: usize,
        what: &'static str,
    ) -> Result<AtomId, Error> {
        let limit = u64::from(u32::MAX);
        let id = u32::try_from(self.len()).ok().filter(|&id| id < u32::MAX);
        let id = id.ok_or(Error::Limit { what: "atoms", limit })?;
        if u32::try_from(start.saturating_add(content)).is_err() {
            return Err(Error::Limit { what, limit });
        }
        self.records.push(Record { start: start as u32, of, len });
        Ok(AtomId(id))
    }

    /// Takes the last atom out again; `is_node` tells what it is.
    pub fn pop(&mut self, is_node: bool) {
        let Some(Record { start, len, .. }) = self.records.pop() else { return };
        let start = start as usize;
        match (is_node, len == LONG) {
            (true, is_long) => self.names.truncate(start - if is_long { 4 } else { 0 }),
            (false, is_long) => self.members.truncate(start - usize::from(is_long)),
        }
    }
}

/// A length as a record has it, and the number that stands before the content where it is long.
/// One that is too long for both is refused with its content.
fn split(len: usize) -> (u16, Option<u32>) {
    match u16::try_from(len) {
        Ok(short) if short != LONG => (short, None),
        _ => (LONG, Some(len as u32)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_contents_come_back_and_go() {
        let mut atoms = Atoms::default();
        let of = TypeId(7);
        for len in [0, 1, 65_534, 65_535, 65_536, 200_000] {
            let before = (atoms.len(), atoms.names.len(), atoms.members.len());
            let name = vec![b'x'; len];
            let members = vec![AtomId(3); len];
            let node = atoms.push_node(of, &name).unwrap();
            let link = atoms.push_link(of, &members).unwrap();
            assert_eq!((atoms.name(node), atoms.outgoing(link)), (&name[..], &members[..]));
            assert_eq!(atoms.type_of(link), of);
            atoms.pop(false);
            atoms.pop(true);
            assert_eq!((atoms.len(), atoms.names.len(), atoms.members.len()), before);
            atoms.push_node(of, &name).unwrap();
        }
        assert_eq!(atoms.name(AtomId(5)).len(), 200_000);
    }
}
