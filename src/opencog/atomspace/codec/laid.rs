//! Levels laid by a rule: evenly, or evenly in the logarithm of the count.

use super::column::MAX_LEVELS;
use super::quantity::odds;

/// Evenly from 0 to 1, both among them.
pub(super) fn uniform() -> Vec<f64> {
    let steps = MAX_LEVELS - 1;
    (0..=steps).map(|i| i as f64 / steps as f64).collect()
}

/// The specification's plain 8 bits: i / 255.
pub(super) fn plain_uniform() -> Vec<f64> {
    (0..=255).map(|i| f64::from(i) / 255.0).collect()
}

/// For confidences: 0, 1, and levels whose counts go from the least to the greatest between them in
/// equal ratios.
pub(super) fn log_count(confidences: &[f64]) -> Vec<f64> {
    let between = confidences.iter().copied().filter(|&c| 0.0 < c && c < 1.0);
    let ends = between.fold(None, |ends: Option<(f64, f64)>, c| {
        Some(ends.map_or((c, c), |(low, high)| (low.min(c), high.max(c))))
    });
    let Some((low, high)) = ends else { return vec![0.0, 1.0] };
    let steps = MAX_LEVELS - 3;
    let [first, last] = [low, high].map(|c| odds(c).ln());
    let level = |i: usize| {
        let odds = (first + (last - first) * i as f64 / steps as f64).exp();
        (odds / (1.0 + odds)).clamp(low, high)
    };
    let mut levels = vec![0.0, low];
    levels.extend((1..steps).map(level));
    levels.extend([high, 1.0]);
    levels.dedup();
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_levels_have_both_ends() {
        let levels = uniform();
        assert_eq!((levels.len(), levels[0], levels[253]), (MAX_LEVELS, 0.0, 1.0));
        assert_eq!(plain_uniform()[51], 0.2);
    }

    #[test]
    fn counts_go_in_equal_ratios() {
        let confidences = [1.0 / 801.0, 0.0, 0.5, 1.0, 8000.0 / 8800.0, -3.0];
        let levels = log_count(&confidences);
        assert_eq!(levels.len(), MAX_LEVELS);
        assert_eq!((levels[1], levels[252]), (1.0 / 801.0, 8000.0 / 8800.0));
        let step = (8000f64.ln()) / 251.0;
        for pair in levels[1..253].windows(2) {
            assert!((odds(pair[1]).ln() - odds(pair[0]).ln() - step).abs() < 1e-9);
        }
        assert_eq!(log_count(&[0.0, 1.0]), [0.0, 1.0]);
        assert_eq!(log_count(&[0.5, 0.5]), [0.0, 0.5, 1.0]);
    }
}
