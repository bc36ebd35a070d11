//! The atoms of a space: what each of them is, without a word between one and the next.

use super::atom_store::AtomId;
use super::error::Error;
use super::types::TypeId;

/// An atom: its type, and where its name lies among the names or what it holds among the members.
/// All of it lies together, since whoever asks for one asks for the others.
#[derive(Debug, Clone, Copy)]
struct Record {
    /// Where the head of a name begins, or what a link holds.
    start: u32,
    of: TypeId,
    /// [`LONG`] where the length does not fit: then it stands before the content.
    len: u16,
}

const LONG: u16 = u16::MAX;

/// Bytes of the head of a name: the node, its type, the length as in a [`Record`]. By it a node is
/// known where its name lies.
const HEAD: usize = 8;

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

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        self.records.len() * size_of::<Record>()
            + self.names.len()
            + self.members.len() * size_of::<AtomId>()
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
        self.name_after(record.start as usize, record.len)
    }

    /// The name after a head that begins here and has this length.
    #[inline]
    fn name_after(&self, head: usize, len: u16) -> &[u8] {
        let rest = &self.names[head + HEAD..];
        match len {
            LONG => long_name(rest),
            len => &rest[..len.into()],
        }
    }

    /// Where the head of a node's name lies, by which [`Atoms::node_if`] knows it.
    pub fn head(&self, node: AtomId) -> u32 {
        self.records[node.index()].start
    }

    /// The node whose name has its head here, if it is of this type and name.
    #[inline(always)]
    pub fn node_if(&self, head: u32, of: TypeId, name: &[u8]) -> Option<AtomId> {
        let head = head as usize;
        let expected = (u32::from(of.0), u32::from(split(name.len()).0));
        let found = u64::from_le_bytes(*self.names.get(head..)?.first_chunk()?);
        let both = (found >> 32) as u32;
        let is = (both & 0xffff, both >> 16) == expected
            && same_bytes(self.name_after(head, expected.1 as u16), name);
        is.then_some(AtomId(found as u32))
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

    pub fn push_node(&mut self, of: TypeId, name: &[u8]) -> Result<AtomId, Error> {
        let (len, long) = split(name.len());
        let bytes = HEAD + size_of::<u32>() + name.len();
        let start = self.names.len();
        let atom = self.push(of, len, start, bytes, "bytes of names")?;
        let head = u64::from(len) << 48 | u64::from(of.0) << 32 | u64::from(atom.0);
        self.names.extend_from_slice(&head.to_le_bytes());
        if let Some(long) = long {
            self.names.extend_from_slice(&long.to_le_bytes());
        }
        self.names.extend_from_slice(name);
        Ok(atom)
    }

    pub fn push_link(&mut self, of: TypeId, outgoing: &[AtomId]) -> Result<AtomId, Error> {
        let (len, long) = split(outgoing.len());
        let start = self.members.len() + usize::from(long.is_some());
        let atom = self.push(of, len, start, outgoing.len(), "members of links")?;
        self.members.extend(long.map(AtomId));
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
        match is_node {
            true => self.names.truncate(start as usize),
            false => self.members.truncate(start as usize - usize::from(len == LONG)),
        }
    }
}

/// A length as a record has it, and the number that stands before the content where it is long.
/// One that is too long for both is refused with its content.
#[inline]
fn split(len: usize) -> (u16, Option<u32>) {
    match len < usize::from(LONG) {
        true => (len as u16, None),
        false => (LONG, Some(len as u32)),
    }
}

#[cold]
fn long_name(rest: &[u8]) -> &[u8] {
    let (len, name) = rest.split_first_chunk().unwrap_or((&[0; 4], &[]));
    &name[..u32::from_le_bytes(*len) as usize]
}

/// Whether bytes are the same: names are too short for a call to compare them.
#[inline(always)]
fn same_bytes(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() || a.len() > 32 {
        return a == b;
    }
    let (words, others) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    match (a.last_chunk::<8>(), b.last_chunk::<8>()) {
        (Some(last), Some(other)) => words.0 == others.0 && last == other,
        _ => a.iter().zip(b).all(|(a, b)| a == b),
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
            let head = atoms.head(node);
            assert_eq!(atoms.node_if(head, of, &name), Some(node));
            assert_eq!(atoms.node_if(head, of, &[&name[..], b"y"].concat()), None);
            assert_eq!(atoms.node_if(head, TypeId(6), &name), None);
        }
        assert_eq!(atoms.name(AtomId(5)).len(), 200_000);
    }
}
