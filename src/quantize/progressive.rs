//! The progressive protocol: tensors are quantized in the order of their sensitivity, the least
//! sensitive first, and what the model has become is measured after each step.

use std::collections::BTreeMap;

use crate::calibrate::Importance;
use crate::model::Role;

use super::encoded::Encodings;
use super::error::SearchError;
use super::losses::Losses;
use super::pass::encode_plainly;
use super::record::{Chosen, Group, Probe, Step, StepKind};
use super::search::{Aim, Found, Judge, Known, Search};
use super::sensitivity::{Factors, Sensitivity};

mod allocation;
mod fitting;
mod log;
mod models;
mod recipe;
mod resize;
#[cfg(test)]
mod tests;
mod trained;

use allocation::Allocator;
use log::Log;
use models::{Changed, Reached};

/// Steps in which the tensors are quantized.
const STEPS: usize = 3;
/// A step that costs so many times what the steps before let expect is planned anew.
const REVISED_ABOVE: f64 = 1.3;
/// Steps that are planned anew, at most.
const REVISIONS: usize = 3;
/// Exchanges at equal bytes that are tried at the end, at most.
const EXCHANGES: usize = 2;
/// By how much the tensors of a role count more in an exchange.
const EMPHASIS: f64 = 1.6;
/// Chunks of held-out text that probes are measured on.
const PROBE_CHUNKS: usize = 4;
/// The same where they are only told, as every tensor can have one format only.
const TOLD_CHUNKS: usize = 1;

/// A search on its way.
pub struct Progressive<'p, 's, 'a> {
    search: &'p Search<'s, 'a>,
    importance: &'p Importance,
    judge: &'p mut dyn Judge,
    /// What tensors cost, and so which formats they get.
    formats: Allocator<'p, 's, 'a>,
    /// How it went so far.
    log: Log,
}

impl Search<'_, '_> {
    /// Searches.
    pub fn run(&self, judge: &mut dyn Judge) -> Result<Found, SearchError> {
        let Known { importance, searchable, sensitivities } = self.survey()?;
        let search = Search { searchable: &searchable, ..*self };
        let mut progressive = Progressive::new(&search, &importance, &sensitivities, judge);
        progressive.probe()?;
        let reached = progressive.quantize_by_sensitivity()?;
        let reached = match self.aim {
            Aim::Smallest { kld } if self.trains() => progressive.fit_and_train(reached, kld)?,
            Aim::Smallest { kld } => progressive.fit(reached, kld)?,
            Aim::Best => progressive.exchange(reached)?,
        };
        progressive.finish(reached)
    }
}

impl<'p, 's, 'a> Progressive<'p, 's, 'a> {
    pub fn new(
        search: &'p Search<'s, 'a>,
        importance: &'p Importance,
        sensitivities: &'p [Sensitivity],
        judge: &'p mut dyn Judge,
    ) -> Self {
        let formats = Allocator::new(search, sensitivities);
        Progressive { search, importance, judge, formats, log: Log::default() }
    }

    /// Measures what groups of tensors cost in their smallest formats, and fits the factors.
    pub fn probe(&mut self) -> Result<(), SearchError> {
        let probes = |s: &Sensitivity| (s.name.clone(), s.candidates[s.probe()]);
        let todo = self.formats.sensitivities.iter().map(probes).collect();
        let encodings = encode_plainly(self.context(), "probe", &todo)?;
        let chunks = if self.formats.is_forced() { TOLD_CHUNKS } else { PROBE_CHUNKS };
        for group in Group::all(self.formats.sensitivities) {
            let members = self.formats.sensitivities.iter().filter(|s| group.holds(s));
            let names: Vec<&str> = members.clone().map(|s| s.name.as_str()).collect();
            let losses = self.losses(&encodings, &|name| names.contains(&name), chunks)?;
            let formats = members.map(|s| s.candidates[s.probe()].format.name()).collect();
            self.log.record.probes.push(Probe { group, formats, measured_kld: losses.mean() });
        }
        self.formats.factors = Factors::fit(self.formats.sensitivities, &self.log.record.probes);
        Ok(())
    }

    /// Quantizes all tensors, the least sensitive first.
    pub fn quantize_by_sensitivity(&mut self) -> Result<Reached, SearchError> {
        let all = self.formats.sensitivities.len();
        // What the model lost so far, of what was predicted for the tensors that are done.
        let mut scale = 1.0;
        let mut choice = self.formats.allocate(&BTreeMap::new(), scale, 0.0);
        let mut encodings = Encodings::new();
        let (mut kld, mut predicted, mut revisions) = (0.0, 0.0, 0);
        let mut losses = Losses::default();
        // Where nothing can be chosen, no step could be planned anew.
        let steps = if self.formats.is_forced() { 1 } else { STEPS };
        for step in 0.. {
            let mut pending: Vec<usize> = (0..all)
                .filter(|&i| !encodings.contains_key(&self.formats.sensitivities[i].name))
                .collect();
            if pending.is_empty() {
                break;
            }
            pending.sort_by(|&a, &b| {
                self.formats.cost(a, choice[a]).total_cmp(&self.formats.cost(b, choice[b]))
            });
            let group = self.formats.next_group(&pending, &choice, steps.saturating_sub(step));
            let done = encodings.len();
            let expected = scale * self.formats.sum(&group, &choice);
            encodings.extend(self.encode(&group, &choice, &encodings)?);
            losses = self.whole_losses(&encodings)?;
            let measured = losses.mean();
            predicted = kld + expected;
            let cost_more = (measured - kld) / expected.max(f64::MIN_POSITIVE);
            // The first step tells how far predictions are off as a whole.
            let revised = done > 0 && cost_more > REVISED_ABOVE && revisions < REVISIONS;
            let anew = revised.then(|| {
                // More bits for these, at the cost of the others.
                revisions += 1;
                group.iter().for_each(|&i| self.formats.weights[i] *= cost_more);
                self.formats.allocate(&BTreeMap::new(), scale, 0.0)
            });
            let stay = |anew: &Vec<usize>| group.iter().all(|&i| anew[i] == choice[i]);
            let kept = anew.as_ref().is_none_or(stay);
            self.log.note(Step {
                kind: StepKind::Next,
                encoded: self.formats.chosen(&group, &choice),
                bytes: self.file_bytes(&encodings),
                predicted_kld: predicted,
                measured_kld: measured,
                noise: None,
                kept,
            });
            if let Some(anew) = anew {
                for i in (0..all).filter(|&i| anew[i] != choice[i]) {
                    encodings.remove(&self.formats.sensitivities[i].name);
                }
                choice = anew;
                kld = match encodings.is_empty() {
                    true => 0.0,
                    false => self.whole_losses(&encodings)?.mean(),
                };
                continue;
            }
            kld = measured;
            let finished: BTreeMap<usize, usize> = (0..all)
                .filter(|&i| encodings.contains_key(&self.formats.sensitivities[i].name))
                .map(|i| (i, choice[i]))
                .collect();
            let raw: f64 = finished.iter().map(|(&i, &at)| self.formats.cost(i, at)).sum();
            if raw > 0.0 {
                scale = kld / raw;
            }
            choice = self.formats.allocate(&finished, scale, kld);
        }
        Ok(Reached { choice, encodings, predicted, losses })
    }

    /// Tries exchanges at equal bytes: more for the tensors of a role, less for all others, the role
    /// that costs most first. They end with the first that gains nothing, or no more than the
    /// standard error of the gain: then what the costliest tensors are predicted to lose is not far
    /// off.
    pub fn exchange(&mut self, reached: Reached) -> Result<Reached, SearchError> {
        let mut roles: BTreeMap<Role, f64> = BTreeMap::new();
        for (i, sensitivity) in self.formats.sensitivities.iter().enumerate() {
            *roles.entry(sensitivity.role).or_default() += self.formats.cost(i, reached.choice[i]);
        }
        let mut roles: Vec<(Role, f64)> = roles.into_iter().collect();
        roles.sort_by(|a, b| b.1.total_cmp(&a.1));
        let mut best = reached;
        for (role, _) in roles.into_iter().take(EXCHANGES) {
            let before = self.formats.emphasis.clone();
            for (emphasis, sensitivity) in
                self.formats.emphasis.iter_mut().zip(self.formats.sensitivities)
            {
                *emphasis *= if sensitivity.role == role { EMPHASIS } else { 1.0 };
            }
            let choice = self.formats.allocate_bytes(&BTreeMap::new());
            let expected = self.expected(&best, &choice);
            let Some(next) = self.changed(&best, choice, expected)? else {
                self.formats.emphasis = before;
                continue;
            };
            let Changed { group, reached } = next;
            let factors =
                (self.formats.judged_by(&best.choice), self.formats.judged_by(&reached.choice));
            let gain = best.losses.gain_of(&reached.losses, factors);
            let encoded = self.formats.chosen(&group, &reached.choice);
            self.log.note(Step {
                noise: Some(gain.error),
                kept: gain.is_real(),
                ..self.step_to(StepKind::Exchange, &reached, encoded)
            });
            if !gain.is_real() {
                self.formats.emphasis = before;
                break;
            }
            best = reached;
        }
        self.log.record.bound_by = Some(self.formats.bound());
        Ok(best)
    }

    /// The KLD to expect of a choice, by that of a model that was measured.
    fn expected(&self, measured: &Reached, choice: &[usize]) -> f64 {
        let raw = self.formats.sum_all(&measured.choice);
        if raw > 0.0 { measured.kld() / raw * self.formats.sum_all(choice) } else { 0.0 }
    }

    /// What was found: the model that was reached, or the plain recipe; trained, if that is asked
    /// for and was not done on the way.
    pub fn finish(&mut self, reached: Reached) -> Result<Found, SearchError> {
        let (plan, measured) = self.against_recipe(reached)?;
        let encodings = match self.search.trains() && self.search.aim == Aim::Best {
            true => self.train_finished(measured)?,
            false => measured.encodings,
        };
        let searchable = self.search.searchable;
        debug_assert!(searchable.allows(&plan), "what was chosen is within the limits");
        let kept_from = searchable.kept_from.clone();
        Ok(Found { plan, encodings, kept_from, record: self.log.take(self.formats.costs()) })
    }

    /// A step to a model that is kept, in which some tensors were encoded.
    fn step_to(&self, kind: StepKind, reached: &Reached, encoded: Vec<Chosen>) -> Step {
        Step {
            kind,
            encoded,
            bytes: self.file_bytes(&reached.encodings),
            predicted_kld: reached.predicted,
            measured_kld: reached.kld(),
            noise: None,
            kept: true,
        }
    }
}
