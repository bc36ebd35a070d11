//! How far what a layer gives is from what it should give.

use rayon::prelude::*;

/// Tokens of one task.
const TOKENS: usize = 32;

/// The mean over tokens of the squared error as a share of the target's square, and its gradient
/// (times the number of tokens) in `gradient`. Shapes: tokens x `width`.
///
/// A share, because the next layer begins by dividing by the root mean square: what a token's error
/// does depends on how large the token's stream is, and a few tokens have one a hundred times as
/// large as the others.
pub fn relative_loss(y: &[f32], target: &[f32], width: usize, gradient: &mut Vec<f32>) -> f64 {
    gradient.resize(y.len(), 0.0);
    let task = TOKENS * width;
    let tasks = gradient.par_chunks_mut(task).zip(y.par_chunks(task).zip(target.par_chunks(task)));
    let parts: Vec<f64> = tasks
        .map(|(gradient, (y, target))| {
            let rows = y.chunks_exact(width).zip(target.chunks_exact(width));
            let rows = rows.zip(gradient.chunks_exact_mut(width));
            rows.map(|((y, target), gradient)| of_token(y, target, gradient)).sum()
        })
        .collect();
    parts.iter().sum::<f64>() / (y.len() / width).max(1) as f64
}

fn of_token(y: &[f32], target: &[f32], gradient: &mut [f32]) -> f64 {
    let square = |x: &f32| f64::from(*x) * f64::from(*x);
    let size: f64 = target.iter().map(square).sum::<f64>().max(f64::from(f32::MIN_POSITIVE));
    for ((gradient, y), target) in gradient.iter_mut().zip(y).zip(target) {
        *gradient = y - target;
    }
    let error: f64 = gradient.iter().map(square).sum();
    let scale = (2.0 / size) as f32;
    gradient.iter_mut().for_each(|gradient| *gradient *= scale);
    error / size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loss_is_the_mean_share_and_its_gradient() {
        let (y, target) = ([1.0, 2.0, 30.0, 0.0], [2.0, 2.0, 0.0, 10.0]);
        let mut gradient = Vec::new();
        let loss = relative_loss(&y, &target, 2, &mut gradient);
        assert!((loss - (1.0 / 8.0 + 1000.0 / 100.0) / 2.0).abs() < 1e-12);
        for (found, expected) in gradient.iter().zip([-0.25, 0.0, 0.6, -0.2]) {
            assert!((found - expected).abs() < 1e-6);
        }
    }
}
