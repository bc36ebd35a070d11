//! One column of truth values: a byte for each, which names a level.

use super::quantity::Quantity;

/// The most levels of a guarded column: a code after the last one stands for an exception, and where
/// columns are stored, another for an atom without a value.
pub const MAX_LEVELS: usize = 254;

/// Values as codes of levels. A code past the last level says that the value is an exception.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// The values that codes stand for, ascending; at most 256.
    pub levels: Vec<f64>,
    /// A code for each value.
    pub codes: Vec<u8>,
    /// Places and values of those that no level comes near enough, in ascending order of places.
    pub exceptions: Vec<(u32, f64)>,
}

impl Column {
    /// Codes each value by the nearest level in the same part of the number line, or as an
    /// exception where that is further than `tolerance` (relative, see [`Quantity::error`]).
    ///
    /// `levels` ascend and are at most [`MAX_LEVELS`].
    pub(super) fn guarded(
        quantity: Quantity,
        levels: Vec<f64>,
        values: &[f64],
        tolerance: f64,
    ) -> Column {
        debug_assert!(levels.len() <= MAX_LEVELS && levels.is_sorted());
        let escape = levels.len() as u8;
        let mut exceptions = Vec::new();
        let mut code = |(place, &value): (usize, &f64)| match nearest(quantity, &levels, value) {
            Some((code, error)) if error <= tolerance => code,
            _ => {
                exceptions.push((place as u32, value));
                escape
            }
        };
        let codes = values.iter().enumerate().map(&mut code).collect();
        Column { levels, codes, exceptions }
    }

    /// The value at a place. NaN where a broken file names an exception that isn't there.
    ///
    /// # Panics
    /// If there are not so many values.
    pub fn get(&self, place: usize) -> f64 {
        self.levels.get(usize::from(self.codes[place])).copied().unwrap_or_else(|| {
            let found = self.exceptions.binary_search_by_key(&place, |&(at, _)| at as usize);
            found.map_or(f64::NAN, |found| self.exceptions[found].1)
        })
    }

    /// All values.
    pub fn decode(&self) -> Vec<f64> {
        (0..self.codes.len()).map(|place| self.get(place)).collect()
    }

    /// Bytes it takes: a code a value, 8 a level, 12 an exception.
    pub fn bytes(&self) -> usize {
        self.codes.len() + 8 * self.levels.len() + 12 * self.exceptions.len()
    }
}

/// The level of the least error in the part that `value` is in, with that error.
///
/// Values of one part in ascending order have levels in ascending order, since the error of the
/// level below grows with the value and that of the level above shrinks. For the same reason what
/// lies between a value and its level is nearer to that level, so that an exception never comes to
/// lie on the wrong side of a coded value.
fn nearest(quantity: Quantity, levels: &[f64], value: f64) -> Option<(u8, f64)> {
    let part = quantity.part(value)?;
    let above = levels.partition_point(|&level| level < value);
    let candidates = above.checked_sub(1).into_iter().chain([above]);
    candidates
        .filter_map(|code| Some((code, *levels.get(code)?)))
        .filter(|&(_, level)| quantity.part(level) == Some(part))
        .map(|(code, level)| (code as u8, quantity.error(value, level)))
        .min_by(|a, b| a.1.total_cmp(&b.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_keeps_to_its_part() {
        let levels = vec![0.0, 0.25, 0.5, 1.0];
        let values = [0.0, -0.0, 1e-6, 0.3, 0.4, 0.98, 0.999, 1.0, 1.1, -0.2, f64::NAN];
        let column = Column::guarded(Quantity::Strength, levels, &values, f64::INFINITY);
        let decoded = column.decode();
        // Nothing but exceptions where a part has no level; 0.4 is relatively nearer to 0.5.
        assert_eq!(decoded[..10], [0.0, 0.0, 0.25, 0.25, 0.5, 0.5, 0.999, 1.0, 1.1, -0.2]);
        assert!(decoded[10].is_nan());
        assert_eq!(column.exceptions.len(), 4);
        assert_eq!(column.bytes(), 11 + 4 * 8 + 4 * 12);
    }

    #[test]
    fn what_no_level_comes_near_is_kept() {
        let levels = vec![0.25, 0.5];
        let column = Column::guarded(Quantity::Strength, levels, &[0.25, 0.26, 0.5, 0.3], 0.05);
        assert_eq!(column.decode(), [0.25, 0.25, 0.5, 0.3]);
        assert_eq!(column.exceptions, [(3, 0.3)]);
    }
}
