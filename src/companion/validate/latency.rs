//! How long operations on a companion take.

use crate::opencog::atomspace::AtomStore;
use crate::report::LatencyReport;
use crate::validate::opencog::latency::{Sample, latencies};

/// Any atoms. At hubs queries take milliseconds, all of them some seconds.
const SAMPLE: Sample = Sample { batches: 200, atoms: usize::MAX, seed: 1 };

/// Every operation, on the companion and on the store that was read.
pub(super) fn compared(original: &impl AtomStore, packed: &impl AtomStore) -> Vec<LatencyReport> {
    latencies(packed, original, &SAMPLE).iter().map(LatencyReport::of).collect()
}
