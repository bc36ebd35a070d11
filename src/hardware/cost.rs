//! What matrices take of time, by their weights and their rows.

/// What matrices take of time, in some unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// For each weight.
    pub per_weight: f64,
    /// For each row beside its weights.
    pub per_row: f64,
}

impl Cost {
    /// Of so many weights in rows of this length.
    pub fn of(self, weights: u64, row_len: usize) -> f64 {
        weights as f64 * (self.per_weight + self.per_row / row_len as f64)
    }
}
