//! The sizes that a model could have, and the KLD that the search predicts of each, from what it
//! predicts of each tensor in each format.

use std::collections::BTreeMap;

use crate::report::Report;

/// Points that are told, at most.
const POINTS: usize = 60;

/// One way to store a tensor.
#[derive(Clone, Copy)]
struct Way {
    bytes: f64,
    kld: f64,
}

/// More bytes for a tensor.
struct Gain {
    bytes: f64,
    kld: f64,
}

/// Bytes of the file and the sum of predicted KLDs, the smallest file first: at each, no exchange
/// of bytes between tensors lowers the sum.
pub fn predicted(report: &Report) -> Vec<(u64, f64)> {
    let Some(record) = &report.search else { return Vec::new() };
    let known: BTreeMap<&str, (u64, u64)> = report
        .tensors
        .iter()
        .map(|of| (&of.name[..], (of.shape.iter().product(), of.bytes)))
        .collect();
    let (mut chosen_bytes, mut start, mut gains) = (0, Way { bytes: 0.0, kld: 0.0 }, Vec::new());
    for costs in &record.sensitivities {
        let Some(&(weights, bytes)) = known.get(&costs.tensor[..]) else { continue };
        chosen_bytes += bytes;
        let ways = costs.formats.iter().map(|cost| Way {
            bytes: (weights as f64 * cost.bpw / 8.0).round(),
            kld: cost.predicted_kld,
        });
        let hull = lower_hull(ways.collect());
        let Some(first) = hull.first() else { continue };
        start = Way { bytes: start.bytes + first.bytes, kld: start.kld + first.kld };
        gains.extend(hull.windows(2).map(|pair| Gain {
            bytes: pair[1].bytes - pair[0].bytes,
            kld: pair[0].kld - pair[1].kld,
        }));
    }
    let rest = report.metrics.output_bytes.saturating_sub(chosen_bytes);
    gains.sort_by(|a, b| (b.kld * a.bytes).total_cmp(&(a.kld * b.bytes)));
    let mut now = start;
    let mut points = vec![now];
    for gain in gains {
        now = Way { bytes: now.bytes + gain.bytes, kld: now.kld - gain.kld };
        points.push(now);
    }
    let every = points.len().div_ceil(POINTS).max(1);
    let last = points.len() - 1;
    let kept = points.iter().enumerate().filter(|(i, _)| i % every == 0 || *i == last);
    let kept = kept.map(|(_, way)| (rest + way.bytes as u64, way.kld));
    kept.filter(|&(_, kld)| kld > 0.0).collect()
}

/// The ways of which none is between two others, or above: the fewest bytes first.
fn lower_hull(mut ways: Vec<Way>) -> Vec<Way> {
    ways.retain(|way| way.kld.is_finite());
    ways.sort_by(|a, b| (a.bytes, a.kld).partial_cmp(&(b.bytes, b.kld)).expect("finite"));
    let mut hull: Vec<Way> = Vec::new();
    for way in ways {
        if hull.last().is_some_and(|last| way.kld >= last.kld) {
            continue;
        }
        while let [.., a, b] = hull[..] {
            let keeps =
                (a.kld - b.kld) * (way.bytes - b.bytes) > (b.kld - way.kld) * (b.bytes - a.bytes);
            if keeps {
                break;
            }
            hull.pop();
        }
        hull.push(way);
    }
    hull
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_way_beats_is_no_way() {
        let ways = [(4.0, 8.0), (5.0, 7.0), (6.0, 2.0), (6.5, 3.0), (8.0, 1.0)];
        let ways = ways.map(|(bytes, kld)| Way { bytes, kld });
        let hull: Vec<_> = lower_hull(ways.to_vec()).iter().map(|way| way.bytes).collect();
        assert_eq!(hull, [4.0, 6.0, 8.0]);
        assert!(lower_hull(Vec::new()).is_empty());
    }
}
