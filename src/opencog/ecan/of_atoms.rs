//! The attention values of those atoms of a store that have one.
//!
//! | tensor | type | what |
//! |---|---|---|
//! | `ecan.atoms` | I8 | a bit for each atom, the lowest of a byte first: whether it has values; absent where the first atoms have, as many as there are codes |

use super::codes::{AttentionCodec, CodedAttention};
use super::storage::VERSION_KEY;
use super::values::AttentionValues;
use crate::opencog::section::{Companion, Section, SectionError};

/// Coded attention values of some atoms of a store.
#[derive(Debug, Clone, PartialEq)]
pub struct AtomAttention {
    /// The atoms, ascending.
    atoms: Vec<u32>,
    /// Their values, in the same order.
    coded: CodedAttention,
}

impl AtomAttention {
    /// Codes the values of these atoms, which are ascending.
    ///
    /// # Panics
    /// Where there are not as many values as atoms.
    pub fn encode(
        codec: AttentionCodec,
        atoms: Vec<u32>,
        values: &AttentionValues,
    ) -> AtomAttention {
        assert_eq!(atoms.len(), values.len(), "a value of each atom");
        AtomAttention { atoms, coded: CodedAttention::encode(codec, values) }
    }

    /// How many atoms have values.
    pub fn len(&self) -> usize {
        self.atoms.len()
    }

    /// Whether none has.
    pub fn is_empty(&self) -> bool {
        self.atoms.is_empty()
    }

    /// The coded values.
    pub fn coded(&self) -> &CodedAttention {
        &self.coded
    }

    /// STI, LTI and VLTI of an atom, if it has them.
    pub fn value(&self, atom: u32) -> Option<(f64, f64, u32)> {
        let place = match self.atoms.get(atom as usize) {
            Some(found) if *found == atom => atom as usize,
            _ => self.atoms.binary_search(&atom).ok()?,
        };
        let CodedAttention { sti, lti, vlti, .. } = &self.coded;
        Some((sti.value(place), lti.value(place), vlti.value(place) as u32))
    }

    /// What a companion file holds of them.
    pub fn section(&self) -> Section {
        let mut section = self.coded.section();
        let count = self.atoms.last().map_or(0, |last| *last as usize + 1);
        if count != self.atoms.len() {
            let mut bits = vec![0u8; count.div_ceil(8)];
            self.atoms.iter().for_each(|atom| bits[*atom as usize / 8] |= 1 << (atom % 8));
            section.bytes("ecan.atoms", &bits);
        }
        section
    }

    /// Whether a companion file has such values.
    pub fn is_in(companion: &Companion) -> bool {
        companion.get(VERSION_KEY).is_some()
    }

    /// The values in a companion file whose AtomSpace has so many atoms; `None` where it has none.
    /// All of them are checked.
    pub fn from_companion(
        companion: &Companion,
        atoms: u32,
    ) -> Result<Option<AtomAttention>, SectionError> {
        let Some(coded) = CodedAttention::from_companion(companion)? else { return Ok(None) };
        let (bits, count) = (companion.bytes("ecan.atoms")?, coded.sti.len());
        let has = |atom: &u32| bits[*atom as usize / 8] >> (atom % 8) & 1 == 1;
        let of: Vec<u32> = match bits.is_empty() {
            true => (0..count as u32).collect(),
            // There are fewer than 2^32 atoms, and no more bits than in the file.
            false => (0..(bits.len() as u64 * 8).min(u32::MAX.into()) as u32).filter(has).collect(),
        };
        if of.len() != count || of.last().is_some_and(|last| *last >= atoms) {
            let fault = format!("`ecan.atoms`: expected {count} of {atoms} atoms, found others");
            return Err(SectionError(fault));
        }
        Ok(Some(AtomAttention { atoms: of, coded }))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::gguf::Gguf;
    use crate::opencog::section::write;

    fn values(count: usize) -> AttentionValues {
        let mut values = AttentionValues::zero(count);
        values.sti.iter_mut().zip(1..).for_each(|(sti, i)| *sti = f64::from(i) / 4.0);
        values
    }

    fn load(section: Section, atoms: u32) -> Result<Option<AtomAttention>, SectionError> {
        let file = write(Vec::new(), Path::new("x.gguf"), &[section]).unwrap();
        let gguf = Gguf::from_bytes("x.gguf", file).unwrap();
        AtomAttention::from_companion(&Companion::new(&gguf).unwrap(), atoms)
    }

    #[test]
    fn some_atoms_have_values() {
        let coded = AtomAttention::encode(AttentionCodec::Palette, vec![0, 2, 9], &values(3));
        let found: Vec<_> = (0..11).map(|atom| coded.value(atom).map(|value| value.0)).collect();
        let expected = |atom| match atom {
            0 => Some(0.25),
            2 => Some(0.5),
            9 => Some(0.75),
            _ => None,
        };
        assert_eq!(found, (0..11).map(expected).collect::<Vec<_>>());
        assert_eq!(load(coded.section(), 10), Ok(Some(coded.clone())));
        let fault = load(coded.section(), 9).unwrap_err().to_string();
        assert!(fault.contains("expected 3 of 9 atoms"), "{fault}");
        let mut section = coded.section();
        section.parts.pop();
        section.bytes("ecan.atoms", &[0b1111]);
        assert!(load(section, 10).is_err());
    }

    #[test]
    fn all_atoms_need_no_list() {
        let coded = AtomAttention::encode(AttentionCodec::Palette, vec![0, 1, 2], &values(3));
        assert!(coded.section().parts.iter().all(|part| part.name != "ecan.atoms"));
        assert_eq!(load(coded.section(), 5), Ok(Some(coded.clone())));
        assert_eq!((coded.value(2), coded.value(3)), (Some((0.75, 0.0, 0)), None));
        assert_eq!(load(Section::default(), 5), Ok(None));
        assert!(load(coded.section(), 2).is_err());
    }
}
