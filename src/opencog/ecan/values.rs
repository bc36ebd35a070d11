//! Attention values of atoms: plain arrays, by the index of the atom.

/// What OpenCog knows of the importance of atoms, a value of each kind for each atom.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AttentionValues {
    /// Short-term importance.
    pub sti: Vec<f64>,
    /// Long-term importance.
    pub lti: Vec<f64>,
    /// Very long-term importance: how many parts of the system want the atom kept. One with 0 may
    /// be forgotten.
    pub vlti: Vec<u32>,
}

impl AttentionValues {
    /// Zero for each of so many atoms.
    pub fn zero(atoms: usize) -> AttentionValues {
        AttentionValues { sti: vec![0.0; atoms], lti: vec![0.0; atoms], vlti: vec![0; atoms] }
    }

    /// The number of atoms.
    pub fn len(&self) -> usize {
        self.sti.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sti.is_empty()
    }
}
