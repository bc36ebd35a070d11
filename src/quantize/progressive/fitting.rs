//! Formats are changed until the smallest model is just within the allowed KLD.

use std::collections::BTreeMap;

use super::Progressive;
use super::allocation::Allocator;
use super::models::{Changed, Reached};
use crate::quantize::error::SearchError;
use crate::quantize::record::StepKind;

/// Rounds that bring the smallest model to the KLD that is allowed, and as many more where it is
/// still above.
const FITTING_ROUNDS: usize = 3;
/// A model within this share below the allowed KLD is as small as it should be.
pub const CLOSE: f64 = 0.04;

impl Progressive<'_, '_, '_> {
    /// Changes formats until the model is as small as the allowed KLD lets it be; where none is
    /// found that loses so little, the one that loses least. What is gained here is bytes, which are
    /// known exactly, and what is allowed is a KLD on this very text: no step waits for a gain in it.
    pub fn fit(&mut self, reached: Reached, allowed: f64) -> Result<Reached, SearchError> {
        let mut tries = Tries { allowed, within: None, above: None };
        tries.add(&self.formats, reached.clone());
        let mut now = reached;
        // How far below the allowed KLD is aimed, as a share: further after each miss.
        let mut margin = 0.5 * CLOSE;
        for round in 0.. {
            let close = now.kld() <= allowed && now.kld() >= allowed * (1.0 - CLOSE);
            let rounds = if tries.within.is_some() { FITTING_ROUNDS } else { 2 * FITTING_ROUNDS };
            if close || round >= rounds {
                break;
            }
            if now.kld() > allowed && round > 0 {
                margin += CLOSE;
            }
            let aimed = allowed * (1.0 - margin);
            let choice = self.formats.allocate_to(
                &BTreeMap::new(),
                1.0,
                tries.cost_for(&self.formats, aimed),
            );
            let predicted = self.expected(&now, &choice);
            let Some(next) = self.changed(&now, choice, predicted)? else { break };
            let Changed { group, reached } = next;
            let encoded = self.formats.chosen(&group, &reached.choice);
            self.log.note(self.step_to(StepKind::Fit, &reached, encoded));
            tries.add(&self.formats, reached.clone());
            now = reached;
        }
        self.log.record.bound_by = tries.within.is_none().then(|| self.formats.bound());
        Ok(tries.within.or(tries.above).unwrap_or(now))
    }
}

/// What was found on the way to the allowed KLD.
pub struct Tries {
    pub allowed: f64,
    /// The smallest model within it.
    pub within: Option<Reached>,
    /// Of those above it, the one that loses least.
    pub above: Option<Reached>,
}

impl Tries {
    pub fn add(&mut self, formats: &Allocator, reached: Reached) {
        let bytes = |reached: &Reached| formats.bytes(&reached.choice).file;
        if reached.kld() > self.allowed {
            let less = |above: &Reached| reached.kld() < above.kld();
            if self.above.as_ref().is_none_or(less) {
                self.above = Some(reached);
            }
        } else if self.within.as_ref().is_none_or(|within| bytes(&reached) < bytes(within)) {
            self.within = Some(reached);
        }
    }

    /// The sum of costs at which this KLD is expected: between two models by a power law, from one
    /// in proportion.
    pub fn cost_for(&self, formats: &Allocator, kld: f64) -> f64 {
        let point = |reached: &Reached| (reached.kld(), formats.sum_elsewhere(&reached.choice));
        let points = [&self.within, &self.above].map(|reached| reached.as_ref().map(point));
        let (low, high) = match points {
            [Some(low), Some(high)] => (low, high),
            [low, high] => {
                let (found, cost) = low.or(high).unwrap_or((kld, kld));
                return if found > 0.0 { cost / found * kld } else { cost };
            }
        };
        let rise = (high.0 / low.0).ln();
        if !(low.0 > 0.0 && low.1 > 0.0 && high.1 > low.1 && rise > 0.0) {
            return low.1;
        }
        low.1 * (high.1 / low.1).powf((kld / low.0).ln() / rise)
    }
}
