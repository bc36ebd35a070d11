//! How far what a layer gives is from what it should give.

use rayon::prelude::*;

/// Tokens of one task.
const TOKENS: usize = 32;

/// The mean over tokens of the squared error as a share of the target's square, both with each
/// channel weighted by `weights`, and its gradient (times the number of tokens) in `gradient`.
/// Shapes: tokens x width.
///
/// A share, because the next layer begins by dividing by the root mean square: what a token's error
/// does depends on how large the token's stream is, and a few tokens have one a hundred times as
/// large as the others.
pub fn relative_loss(y: &[f32], target: &[f32], weights: &[f32], gradient: &mut Vec<f32>) -> f64 {
    let width = weights.len();
    gradient.resize(y.len(), 0.0);
    let task = TOKENS * width;
    let tasks = gradient.par_chunks_mut(task).zip(y.par_chunks(task).zip(target.par_chunks(task)));
    let parts: Vec<f64> = tasks
        .map(|(gradient, (y, target))| {
            let rows = y.chunks_exact(width).zip(target.chunks_exact(width));
            let rows = rows.zip(gradient.chunks_exact_mut(width));
            rows.map(|((y, target), gradient)| of_token(y, target, weights, gradient)).sum()
        })
        .collect();
    parts.iter().sum::<f64>() / (y.len() / width).max(1) as f64
}

fn of_token(y: &[f32], target: &[f32], weights: &[f32], gradient: &mut [f32]) -> f64 {
    let square = |(x, weight): (&f32, &f32)| f64::from(*weight) * f64::from(*x).powi(2);
    let size = target.iter().zip(weights).map(square).sum::<f64>();
    let size = size.max(f64::from(f32::MIN_POSITIVE));
    for ((gradient, y), target) in gradient.iter_mut().zip(y).zip(target) {
        *gradient = y - target;
    }
    let error: f64 = gradient.iter().zip(weights).map(square).sum();
    let scale = (2.0 / size) as f32;
    for (gradient, weight) in gradient.iter_mut().zip(weights) {
        *gradient *= scale * weight;
    }
    error / size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loss_is_the_mean_share_and_its_gradient() {
        let (y, target) = ([1.0, 2.0, 30.0, 0.0], [2.0, 2.0, 0.0, 10.0]);
        let mut gradient = Vec::new();
        let loss = relative_loss(&y, &target, &[1.0, 1.0], &mut gradient);
        assert!((loss - (1.0 / 8.0 + 1000.0 / 100.0) / 2.0).abs() < 1e-12);
        for (found, expected) in gradient.iter().zip([-0.25, 0.0, 0.6, -0.2]) {
            assert!((found - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn a_channel_weighs_in_the_error_and_in_the_size() {
        let (y, target) = ([1.0, 5.0], [2.0, 4.0]);
        let mut gradient = Vec::new();
        let loss = relative_loss(&y, &target, &[3.0, 0.5], &mut gradient);
        assert!((loss - 3.5 / 20.0).abs() < 1e-12);
        for (found, expected) in gradient.iter().zip([-6.0 / 20.0, 1.0 / 20.0]) {
            assert!((found - expected).abs() < 1e-6);
        }
    }
}
