//! The sizes that a model could have, and the KLD that the search predicts of each, from what it
//! predicts of each tensor in each format.

use std::collections::BTreeMap;

use crate::quantize::{Bytes, Cost, Item, frontier};
use crate::report::Report;

/// Points that are told, at most.
const POINTS: usize = 60;

/// Bytes of the file and the sum of predicted KLDs, the smallest file first: at each, no exchange
/// of bytes between tensors lowers the sum.
pub fn predicted(report: &Report) -> Vec<(u64, f64)> {
    let Some(record) = &report.search else { return Vec::new() };
    let known: BTreeMap<&str, (u64, u64)> = report
        .tensors
        .iter()
        .map(|of| (&of.name[..], (of.shape.iter().product(), of.bytes)))
        .collect();
    let (mut chosen_bytes, mut groups) = (0, Vec::new());
    for costs in &record.sensitivities {
        let Some(&(weights, bytes)) = known.get(&costs.tensor[..]) else { continue };
        let ways = costs.formats.iter().filter(|cost| cost.predicted_kld.is_finite());
        let ways: Vec<Item> = ways.map(|cost| way(weights, cost)).collect();
        if !ways.is_empty() {
            chosen_bytes += bytes;
            groups.push(ways);
        }
    }
    let rest = report.metrics.output_bytes.saturating_sub(chosen_bytes);
    let points = frontier(&groups);
    let every = points.len().div_ceil(POINTS).max(1);
    let last = points.len() - 1;
    let kept = points.iter().enumerate().filter(|(i, _)| i % every == 0 || *i == last);
    let kept = kept.map(|(_, &(bytes, kld))| (rest + bytes, kld));
    kept.filter(|&(_, kld)| kld > 0.0).collect()
}

/// A tensor of so many weights in one format.
fn way(weights: u64, cost: &Cost) -> Item {
    let bytes = (weights as f64 * cost.bpw / 8.0).round() as u64;
    Item { bytes: Bytes { tensors: bytes, file: bytes }, time: 0, cost: cost.predicted_kld }
}
