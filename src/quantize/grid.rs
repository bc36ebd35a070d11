//! Norms on a grid: the specification's 8-bit uniform norms, in the F32 that llama.cpp demands.

/// Moves each value to the nearest of 256 even levels from the smallest value to the largest.
pub fn on_256_levels(values: &mut [f32]) {
    let low = values.iter().copied().fold(f32::INFINITY, f32::min);
    let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let step = (f64::from(high) - f64::from(low)) / 255.0;
    if step > 0.0 {
        for value in values {
            let level = ((f64::from(*value) - f64::from(low)) / step).round_ties_even();
            *value = (f64::from(low) + level * step) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn at_most_256_levels_remain_and_the_ends_stay() {
        let mut values: Vec<f32> = (0..5000).map(|i| (i as f32 * 0.37).sin() * 3.0).collect();
        let before = values.clone();
        on_256_levels(&mut values);
        let levels: BTreeSet<u32> = values.iter().map(|v| v.to_bits()).collect();
        assert!(levels.len() <= 256);
        let range = 6.0 / 255.0 / 2.0 + 1e-6;
        assert!(before.iter().zip(&values).all(|(a, b)| (a - b).abs() <= range));
    }

    #[test]
    fn equal_values_stay() {
        let mut values = [1.5; 7];
        on_256_levels(&mut values);
        assert_eq!(values, [1.5; 7]);
        on_256_levels(&mut []);
    }
}
