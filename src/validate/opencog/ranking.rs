//! How alike two rankings of the same things are.

/// Kendall's tau-b of two scores of the same things: 1 where all pairs stand in the same order, -1
/// where all are swapped. Pairs that are equal in one of them count for neither. 1 where each has
/// all things equal, 0 where only one has. Scores may be infinite, but no NaN. Takes time in the
/// square of the number of things.
///
/// # Panics
///
/// Where they are not as many.
pub fn kendall_tau(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len(), "scores of the same things");
    let (mut agreement, mut ordered_a, mut ordered_b) = (0i64, 0i64, 0i64);
    for i in 0..a.len() {
        for j in 0..i {
            let (of_a, of_b) = (sign(a[i], a[j]), sign(b[i], b[j]));
            agreement += of_a * of_b;
            ordered_a += of_a.abs();
            ordered_b += of_b.abs();
        }
    }
    match (ordered_a, ordered_b) {
        (0, 0) => 1.0,
        (0, _) | (_, 0) => 0.0,
        _ => agreement as f64 / (ordered_a as f64 * ordered_b as f64).sqrt(),
    }
}

fn sign(a: f64, b: f64) -> i64 {
    a.total_cmp(&b) as i64
}

/// Spearman's rank correlation: that of the ranks, equal values sharing the mean of theirs. 1 where
/// each has all things equal, 0 where only one has.
///
/// # Panics
///
/// Where they are not as many.
pub fn spearman(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len(), "values of the same things");
    let (a, b) = (ranks(a), ranks(b));
    let mean = (a.len() as f64 - 1.0) / 2.0;
    let product = |a: &[f64], b: &[f64]| -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - mean) * (b - mean)).sum()
    };
    let (of_a, of_b) = (product(&a, &a), product(&b, &b));
    match (of_a == 0.0, of_b == 0.0) {
        (true, true) => 1.0,
        (false, false) => product(&a, &b) / (of_a.sqrt() * of_b.sqrt()),
        _ => 0.0,
    }
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    for alike in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let rank = start as f64 + (alike.len() as f64 - 1.0) / 2.0;
        alike.iter().for_each(|at| ranks[*at] = rank);
        start += alike.len();
    }
    ranks
}

/// The `k` highest, highest first, the earlier of equal ones first.
pub fn top(values: &[f64], k: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
    order.truncate(k);
    order
}

/// The share of the `k` highest by `a` that are among the `k` highest by `b`; 1 where there are
/// none.
pub fn top_overlap(a: &[f64], b: &[f64], k: usize) -> f64 {
    let (a, b) = (top(a, k), top(b, k));
    if a.is_empty() {
        return 1.0;
    }
    a.iter().filter(|at| b.contains(at)).count() as f64 / a.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tau_counts_pairs() {
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        close(kendall_tau(&[1.0, 2.0, 3.0], &[10.0, 20.0, 30.0]), 1.0);
        close(kendall_tau(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]), -1.0);
        close(kendall_tau(&[1.0, 2.0, 3.0, 4.0], &[1.0, 2.0, 4.0, 3.0]), 4.0 / 6.0);
        // With ties, as scipy.stats.kendalltau has it.
        close(kendall_tau(&[1.0, 1.0, 2.0], &[1.0, 2.0, 3.0]), 2.0 / 6f64.sqrt());
        close(kendall_tau(&[f64::NEG_INFINITY, 0.0], &[f64::NEG_INFINITY, 1.0]), 1.0);
        close(kendall_tau(&[1.0, 1.0], &[2.0, 2.0]), 1.0);
        close(kendall_tau(&[1.0, 1.0], &[2.0, 3.0]), 0.0);
    }

    #[test]
    fn spearman_shares_ranks() {
        assert_eq!(ranks(&[5.0, 1.0, 5.0, 9.0]), [1.5, 0.0, 1.5, 3.0]);
        assert!((spearman(&[1.0, 2.0, 3.0], &[1.0, 4.0, 9.0]) - 1.0).abs() < 1e-12);
        // 1 - 6 * (1 + 1 + 0 + 0) / (4 * 15)
        let rho = spearman(&[1.0, 2.0, 3.0, 4.0], &[2.0, 1.0, 3.0, 4.0]);
        assert!((rho - 0.8).abs() < 1e-12, "{rho}");
        assert_eq!(spearman(&[1.0, 1.0], &[1.0, 1.0]), 1.0);
    }

    #[test]
    fn the_highest_are_compared() {
        assert_eq!(top(&[1.0, 3.0, 2.0, 3.0], 3), [1, 3, 2]);
        assert_eq!(top_overlap(&[4.0, 3.0, 2.0, 1.0], &[4.0, 1.0, 2.0, 3.0], 2), 0.5);
        assert_eq!(top_overlap(&[], &[], 5), 1.0);
    }
}
