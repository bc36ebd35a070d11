//! What a tensor loses in its new format.

use std::ops::AddAssign;

use crate::block::{SquaredError, squared_error};

/// What rows of a tensor lose.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Lost {
    /// Over all of them.
    pub error: SquaredError,
    /// How many are no better than zeros: their error is as large as their norm, or larger.
    pub rows: usize,
    /// The first of those, counted from 0 over the whole tensor.
    pub first: Option<usize>,
}

impl Lost {
    /// Of whole rows of `columns` values, of which `first_row` is the first, before and after.
    pub fn of(first_row: usize, columns: usize, values: &[f32], decoded: &[f32]) -> Lost {
        let mut lost = Lost::default();
        let rows = values.chunks_exact(columns).zip(decoded.chunks_exact(columns));
        for (row, (values, decoded)) in rows.enumerate() {
            let error = squared_error(values, decoded);
            // Of zeros, error and norm are sums of the same squares in the same order.
            let is_lost = error.is_total();
            let (rows, first) = (usize::from(is_lost), is_lost.then_some(first_row + row));
            lost += Lost { error, rows, first };
        }
        lost
    }
}

impl AddAssign for Lost {
    /// Adds what later rows lose.
    fn add_assign(&mut self, later: Lost) {
        self.error += later.error;
        self.rows += later.rows;
        self.first = self.first.or(later.first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_no_better_than_zeros_are_counted() {
        let before = [1e-9, -3e-9, 2.0, 1.0, 0.0, 0.0, 1.0, -1.0, 1.0, 1.0];
        // Zeros; near; zeros that were zeros; the other way; half.
        let after = [0.0, 0.0, 2.0, 1.1, 0.0, 0.0, -1.0, 1.0, 0.5, 0.5];
        let lost = Lost::of(7, 2, &before, &after);
        assert_eq!((lost.rows, lost.first), (2, Some(7)));
        let mut sum = Lost::of(3, 2, &before[2..6], &after[2..6]);
        assert_eq!((sum.rows, sum.first), (0, None));
        sum += lost;
        sum += Lost::of(12, 2, &before, &after);
        assert_eq!((sum.rows, sum.first), (4, Some(7)));
    }
}
