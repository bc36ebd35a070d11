//! An associative memory on importance, after OpenCog's Hopfield example: patterns become
//! Hebbian links between the atoms of a grid, and importance that spreads over them recalls a
//! pattern from a part of it.
//!
//! The example's own diffusion is gone from OpenCog; its learning rule is Storkey's, as here.
//! Spreading is that of a Hopfield network: one atom after the other takes what comes over its
//! links for its STI, up to the stimulus.

use std::fmt;

/// A pattern: which atoms of a grid are active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(pub Vec<bool>);

/// A text that holds no patterns of one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternError {
    /// The line, from 1.
    pub line: usize,
    /// What was expected, and what was found.
    pub fault: String,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.fault)
    }
}

impl std::error::Error for PatternError {}

impl Pattern {
    /// Reads square patterns: as many lines as a line has characters, `O` for an active atom, then
    /// an empty line.
    pub fn read_all(text: &str) -> Result<Vec<Pattern>, PatternError> {
        let width = text.lines().next().map_or(0, |line| line.trim_end_matches('\r').len());
        if width == 0 {
            return Err(PatternError { line: 1, fault: "expected a pattern, found none".into() });
        }
        let mut patterns = Vec::new();
        let mut rows: Vec<bool> = Vec::new();
        for (line, row) in (1..).zip(text.lines()) {
            let row = row.trim_end_matches('\r');
            if rows.len() == width * width || row.is_empty() && rows.is_empty() {
                if !row.is_empty() {
                    let fault =
                        format!("expected an empty line after {width} rows, found `{row:.20}`");
                    return Err(PatternError { line, fault });
                }
                if !rows.is_empty() {
                    patterns.push(Pattern(std::mem::take(&mut rows)));
                }
                continue;
            }
            if row.len() != width || !row.is_ascii() {
                let fault = format!("expected {width} characters, found {}", row.len());
                return Err(PatternError { line, fault });
            }
            rows.extend(row.bytes().map(|byte| byte == b'O'));
        }
        if rows.len() == width * width {
            patterns.push(Pattern(rows));
        } else if !rows.is_empty() {
            let fault = format!("expected {width} rows, found the end");
            return Err(PatternError { line: text.lines().count(), fault });
        }
        Ok(patterns)
    }

    /// The share of atoms that are as active as in the other.
    pub fn similarity(&self, other: &Pattern) -> f64 {
        let same = self.0.iter().zip(&other.0).filter(|(a, b)| a == b).count();
        same as f64 / self.0.len().max(1) as f64
    }

    /// STI of the atoms: so much for the active ones, less than nothing by as much for the others.
    fn stimulus(&self, amount: f64) -> Vec<f64> {
        self.0.iter().map(|active| if *active { amount } else { -amount }).collect()
    }
}

/// How importance is kept between cycles: as it is, or through codes.
pub type Keeping<'a> = &'a dyn Fn(&[f64]) -> Vec<f64>;

/// A grid of atoms and the Hebbian links between them: of two that are active together a positive
/// one, of others an inverse one, which is negative here.
#[derive(Debug, Clone, PartialEq)]
pub struct Memory {
    atoms: usize,
    /// By row and column, symmetric.
    strengths: Vec<f64>,
}

/// The STI of an active atom: the example's default stimulus.
const STIMULUS: f64 = 1000.0;
/// How much of the stimulus an atom takes for what comes over its links: links are weak where
/// patterns are small.
const GAIN: f64 = 4.0;

impl Memory {
    /// A memory without links.
    pub fn new(atoms: usize) -> Memory {
        Memory { atoms, strengths: vec![0.0; atoms * atoms] }
    }

    /// The strengths of its links, by row and column.
    pub fn strengths(&self) -> &[f64] {
        &self.strengths
    }

    /// The memory with its links kept so.
    pub fn kept(&self, keep: Keeping) -> Memory {
        Memory { atoms: self.atoms, strengths: keep(&self.strengths) }
    }

    /// Learns a pattern by Storkey's rule, from the STI that it gives to the atoms.
    ///
    /// # Panics
    ///
    /// Where the pattern is not of as many atoms.
    pub fn learn(&mut self, pattern: &Pattern, keep: Keeping) {
        assert_eq!(pattern.0.len(), self.atoms, "a pattern of the same atoms");
        let sti: Vec<f64> =
            keep(&pattern.stimulus(STIMULUS)).iter().map(|sti| sti / STIMULUS).collect();
        let field: Vec<f64> = (0..self.atoms).map(|atom| self.field(atom, &sti)).collect();
        let n = self.atoms as f64;
        for i in 0..self.atoms {
            for j in 0..i {
                // What comes to each from all atoms but the other.
                let strength = self.strengths[i * self.atoms + j];
                let (of_i, of_j) = (field[i] - strength * sti[j], field[j] - strength * sti[i]);
                let change = (sti[i] * sti[j] - sti[i] * of_j - sti[j] * of_i) / n;
                self.strengths[i * self.atoms + j] += change;
                self.strengths[j * self.atoms + i] += change;
            }
        }
    }

    /// What a cue leads to after so many cycles: atoms whose STI is above 0 are active. STI is kept
    /// so after each cycle.
    pub fn recall(&self, cue: &Pattern, cycles: usize, keep: Keeping) -> Pattern {
        let mut sti = keep(&cue.stimulus(STIMULUS));
        for _ in 0..cycles {
            for atom in 0..self.atoms {
                sti[atom] = (GAIN * self.field(atom, &sti)).clamp(-STIMULUS, STIMULUS);
            }
            sti = keep(&sti);
        }
        Pattern(sti.iter().map(|sti| *sti > 0.0).collect())
    }

    /// What comes to an atom over its links.
    fn field(&self, atom: usize, sti: &[f64]) -> f64 {
        let strengths = &self.strengths[atom * self.atoms..][..self.atoms];
        strengths.iter().zip(sti).map(|(strength, sti)| strength * sti).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATTERNS: &str =
        "OOO.\n....\n....\n....\n\n....\n....\nOO..\nOO..\n\n...O\n...O\n..O.\n..O.\n";

    #[test]
    fn patterns_are_read() {
        let patterns = Pattern::read_all(PATTERNS).unwrap();
        assert_eq!(patterns.len(), 3);
        assert_eq!(patterns[0].0.iter().filter(|active| **active).count(), 3);
        assert_eq!(patterns[0].similarity(&patterns[1]), 9.0 / 16.0);
        let blank = Pattern::read_all("  \n  \n\nOO\n  ").unwrap();
        assert_eq!(blank.len(), 2);
        let fault = |text| Pattern::read_all(text).unwrap_err().to_string();
        assert_eq!(
            fault("OO\nO.\nO.\n"),
            "line 3: expected an empty line after 2 rows, found `O.`"
        );
        assert_eq!(fault("OO\nO"), "line 2: expected 2 characters, found 1");
        assert_eq!(fault("OO\n"), "line 1: expected 2 rows, found the end");
        assert_eq!(fault(""), "line 1: expected a pattern, found none");
    }

    #[test]
    fn what_was_learnt_is_recalled_from_a_part() {
        let patterns = Pattern::read_all(PATTERNS).unwrap();
        let as_it_is = |sti: &[f64]| sti.to_vec();
        let mut memory = Memory::new(16);
        patterns.iter().for_each(|pattern| memory.learn(pattern, &as_it_is));
        for pattern in &patterns {
            assert_eq!(memory.recall(pattern, 10, &as_it_is), *pattern, "it is stable");
            let mut cue = pattern.clone();
            let active = cue.0.iter().position(|active| *active).unwrap();
            cue.0[active] = false;
            assert_eq!(memory.recall(&cue, 10, &as_it_is), *pattern);
        }
        let coarse = |sti: &[f64]| sti.iter().map(|_| 1.0).collect::<Vec<f64>>();
        assert_ne!(memory.recall(&patterns[0], 10, &coarse), patterns[0]);
    }
}
