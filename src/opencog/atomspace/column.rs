//! A value of some atoms, of which there are few distinct ones.

use rustc_hash::FxHashMap;

use super::atom_store::AtomId;

/// For each atom none or one of the distinct values.
#[derive(Debug, Clone)]
pub(super) struct Column<T> {
    /// 0 for none, or 1 + the place in `distinct`; atoms past the end have none.
    code: Vec<u32>,
    distinct: Vec<T>,
    /// The bits of the value that was given last, and its code.
    last: ([u64; 4], u32),
    by_bits: FxHashMap<[u64; 4], u32>,
}

impl<T> Default for Column<T> {
    fn default() -> Self {
        Column {
            code: Vec::new(),
            distinct: Vec::new(),
            last: ([0; 4], 0),
            by_bits: FxHashMap::default(),
        }
    }
}

impl<T: Copy> Column<T> {
    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        // What is distinct is there twice, and a table of it is up to half empty.
        let distinct = 3 * (size_of::<T>() + size_of::<[u64; 4]>());
        self.code.len() * size_of::<u32>() + self.distinct.len() * distinct
    }

    pub fn get(&self, atom: AtomId) -> Option<T> {
        let code = *self.code.get(atom.index())?;
        Some(self.distinct[code.checked_sub(1)? as usize])
    }

    /// Gives an atom a value that these bits tell from others.
    pub fn set(&mut self, atom: AtomId, value: T, bits: [u64; 4]) {
        let code = self.code_of(value, bits);
        if self.code.len() <= atom.index() {
            self.code.resize(atom.index() + 1, 0);
        }
        self.code[atom.index()] = code;
    }

    fn code_of(&mut self, value: T, bits: [u64; 4]) -> u32 {
        if self.last.1 > 0 && self.last.0 == bits {
            return self.last.1;
        }
        let distinct = &mut self.distinct;
        let code = *self.by_bits.entry(bits).or_insert_with(|| {
            distinct.push(value);
            distinct.len() as u32 // there are fewer than atoms, of which there are less than 2^32
        });
        self.last = (bits, code);
        code
    }

    pub fn clear(&mut self, atom: AtomId) {
        if let Some(code) = self.code.get_mut(atom.index()) {
            *code = 0;
        }
    }
}
