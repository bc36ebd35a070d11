//! Truth values as coded.

use std::collections::HashMap;

use super::Truth;
use super::column::Column;

/// Truth values in one of the two forms that codecs give.
#[derive(Debug, Clone, PartialEq)]
pub enum Coded {
    /// A byte for each truth value.
    Palette(Palette),
    /// A byte for each strength and one for each confidence.
    Columns {
        /// The strengths.
        strength: Column,
        /// The confidences.
        confidence: Column,
    },
}

/// Distinct pairs and a code for each value.
#[derive(Debug, Clone, PartialEq)]
pub struct Palette {
    /// At most 256, in the order in which they are first met.
    pub pairs: Vec<Truth>,
    /// A code for each value: its place in `pairs`.
    pub codes: Vec<u8>,
}

impl Palette {
    /// The palette of these values; none where more than 256 are distinct. Bits are kept.
    pub fn of(values: &[Truth]) -> Option<Palette> {
        let mut places = HashMap::new();
        let mut pairs = Vec::new();
        let mut code = |value: &Truth| {
            let next = u8::try_from(pairs.len()).ok();
            if let Some(code) = places.get(&value.bits()) {
                return Some(*code);
            }
            places.insert(value.bits(), next?);
            pairs.push(*value);
            next
        };
        let codes = values.iter().map(&mut code).collect::<Option<Vec<u8>>>()?;
        Some(Palette { pairs, codes })
    }
}

impl Coded {
    /// How many truth values there are.
    pub fn len(&self) -> usize {
        match self {
            Coded::Palette(palette) => palette.codes.len(),
            Coded::Columns { strength, .. } => strength.codes.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The truth value at a place.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn get(&self, place: usize) -> Truth {
        match self {
            Coded::Palette(palette) => palette.pairs[usize::from(palette.codes[place])],
            Coded::Columns { strength, confidence } => {
                Truth { strength: strength.get(place), confidence: confidence.get(place) }
            }
        }
    }

    /// All truth values.
    pub fn decode(&self) -> Vec<Truth> {
        (0..self.len()).map(|place| self.get(place)).collect()
    }

    /// Bytes it takes: codes, levels or pairs, and exceptions.
    pub fn bytes(&self) -> usize {
        match self {
            Coded::Palette(palette) => palette.codes.len() + 16 * palette.pairs.len(),
            Coded::Columns { strength, confidence } => strength.bytes() + confidence.bytes(),
        }
    }

    /// Values that are kept exactly, beside the levels.
    pub fn exceptions(&self) -> usize {
        match self {
            Coded::Palette(_) => 0,
            Coded::Columns { strength, confidence } => {
                strength.exceptions.len() + confidence.exceptions.len()
            }
        }
    }
}
