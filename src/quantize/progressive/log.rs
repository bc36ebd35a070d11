//! What a search did so far.

use std::mem;

use crate::quantize::record::{Record, Step, TensorCosts};

/// The record of a search, and how many passes, measurements and rounds of training there were, which
/// name them in the work folder.
#[derive(Default)]
pub struct Log {
    pub record: Record,
    passes: usize,
    measurements: usize,
    pub rounds: usize,
}

impl Log {
    /// Notes a step.
    pub fn note(&mut self, step: Step) {
        let Step { kind, bytes, predicted_kld, measured_kld, noise, kept, .. } = step;
        let tensors = step.encoded.len();
        tracing::info!(?kind, tensors, bytes, predicted_kld, measured_kld, noise, kept, "step");
        self.record.steps.push(step);
    }

    /// The name of a pass that encodes tensors.
    pub fn next_pass(&mut self) -> String {
        self.passes += 1;
        format!("pass-{}", self.passes - 1)
    }

    /// The name of a measurement.
    pub fn next_measurement(&mut self) -> String {
        self.measurements += 1;
        format!("kld-{}", self.measurements - 1)
    }

    /// The record since the last time that this was asked; probes stay known.
    pub fn take(&mut self, sensitivities: Vec<TensorCosts>) -> Record {
        let probes = self.record.probes.clone();
        let record = mem::replace(&mut self.record, Record { probes, ..Record::default() });
        Record { sensitivities, ..record }
    }
}
