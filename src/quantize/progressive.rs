//! The progressive protocol: tensors are quantized in the order of their sensitivity, the least
//! sensitive first, and what the model has become is measured after each step.

use std::collections::BTreeMap;
use std::mem;

use crate::calibrate::{HEAD, Importance, place};
use crate::model::Role;

use super::candidate::Candidate;
use super::encoded::{Encodings, with_some};
use super::error::SearchError;
use super::losses::Losses;
use super::pass::{PassContext, encode_in_passing, encode_plainly};
use super::plan::Plan;
use super::record::{Chosen, Cost, Group, Probe, Record, Step, StepKind, TensorCosts};
use super::search::{Aim, Found, Judge, Known, Search, expected_share};
use super::sensitivity::{Factors, Sensitivity};
use super::size::Bytes;

mod allocation;
mod fitting;
mod resize;
#[cfg(test)]
mod tests;
mod trained;

use allocation::together;

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
/// How much more the output head counts than on the model's own text: there its loss, as a share of
/// what the layers lose, is least like that on other text. On WikiText-2 it is 1.75 times as large
/// for SmolLM2 and 0.73 times for Gemma-3-270M, in Q5_1 each; this is the mean. It counts where
/// formats are allocated; what is measured decides.
const HEAD_ELSEWHERE: f64 = 1.25;
/// Chunks of held-out text that probes are measured on.
const PROBE_CHUNKS: usize = 4;
/// The same where they are only told, as every tensor can have one format only.
const TOLD_CHUNKS: usize = 1;

/// A search on its way.
pub struct Progressive<'p, 's, 'a> {
    search: &'p Search<'s, 'a>,
    importance: &'p Importance,
    sensitivities: &'p [Sensitivity],
    judge: &'p mut dyn Judge,
    factors: Factors,
    /// What the cost of each tensor is multiplied with, from what was found on the way.
    weights: Vec<f64>,
    /// How much more each tensor counts on other text, or once the others are trained.
    elsewhere: Vec<f64>,
    /// How much more each tensor counts where formats are exchanged.
    emphasis: Vec<f64>,
    /// The tensors that get one format together, by their places: most of them alone.
    together: Vec<Vec<usize>>,
    /// Passes, measurements and rounds of training so far, which name them in the work folder.
    passes: usize,
    measurements: usize,
    rounds: usize,
    record: Record,
}

/// A model that was made.
#[derive(Clone)]
pub struct Reached {
    /// The place of each tensor's candidate.
    choice: Vec<usize>,
    encodings: Encodings,
    /// KLD as it was predicted before it was measured, in nats per token.
    predicted: f64,
    /// KLD as measured.
    losses: Losses,
}

impl Reached {
    /// The mean KLD as measured.
    fn kld(&self) -> f64 {
        self.losses.mean()
    }
}

/// A model, and what it loses as measured.
pub struct Measured {
    pub encodings: Encodings,
    pub losses: Losses,
}

impl Measured {
    /// This, or `other` if that is better by what is aimed at.
    fn or_better(self, other: Measured, aim: Aim) -> Measured {
        if aim.prefers(&other.losses, &self.losses) { other } else { self }
    }
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
        Progressive {
            search,
            importance,
            sensitivities,
            judge,
            factors: Factors::default(),
            weights: vec![1.0; sensitivities.len()],
            elsewhere: sensitivities.iter().map(|s| elsewhere(search, s)).collect(),
            emphasis: vec![1.0; sensitivities.len()],
            together: together(search, sensitivities),
            passes: 0,
            measurements: 0,
            rounds: 0,
            record: Record::default(),
        }
    }

    /// Whether every tensor can have one format only.
    fn is_forced(&self) -> bool {
        self.sensitivities.iter().all(|s| s.candidates.len() == 1)
    }

    /// Measures what groups of tensors cost in their smallest formats, and fits the factors.
    pub fn probe(&mut self) -> Result<(), SearchError> {
        let probes = |s: &Sensitivity| (s.name.clone(), s.candidates[s.probe()]);
        let todo = self.sensitivities.iter().map(probes).collect();
        let encodings = encode_plainly(self.context(), "probe", &todo)?;
        let chunks = if self.is_forced() { TOLD_CHUNKS } else { PROBE_CHUNKS };
        for group in Group::all(self.sensitivities) {
            let members = self.sensitivities.iter().filter(|s| group.holds(s));
            let names: Vec<&str> = members.clone().map(|s| s.name.as_str()).collect();
            let losses = self.losses(&encodings, &|name| names.contains(&name), chunks)?;
            let formats = members.map(|s| s.candidates[s.probe()].format.name()).collect();
            self.record.probes.push(Probe { group, formats, measured_kld: losses.mean() });
        }
        self.factors = Factors::fit(self.sensitivities, &self.record.probes);
        Ok(())
    }

    /// Quantizes all tensors, the least sensitive first.
    pub fn quantize_by_sensitivity(&mut self) -> Result<Reached, SearchError> {
        let all = self.sensitivities.len();
        // What the model lost so far, of what was predicted for the tensors that are done.
        let mut scale = 1.0;
        let mut choice = self.allocate(&BTreeMap::new(), scale, 0.0);
        let mut encodings = Encodings::new();
        let (mut kld, mut predicted, mut revisions) = (0.0, 0.0, 0);
        let mut losses = Losses::default();
        // Where nothing can be chosen, no step could be planned anew.
        let steps = if self.is_forced() { 1 } else { STEPS };
        for step in 0.. {
            let mut pending: Vec<usize> = (0..all)
                .filter(|&i| !encodings.contains_key(&self.sensitivities[i].name))
                .collect();
            if pending.is_empty() {
                break;
            }
            pending.sort_by(|&a, &b| self.cost(a, choice[a]).total_cmp(&self.cost(b, choice[b])));
            let group = self.next_group(&pending, &choice, steps.saturating_sub(step));
            let done = encodings.len();
            let expected = scale * self.sum(&group, &choice);
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
                group.iter().for_each(|&i| self.weights[i] *= cost_more);
                self.allocate(&BTreeMap::new(), scale, 0.0)
            });
            let stay = |anew: &Vec<usize>| group.iter().all(|&i| anew[i] == choice[i]);
            let kept = anew.as_ref().is_none_or(stay);
            self.note(Step {
                kind: StepKind::Next,
                encoded: self.chosen(&group, &choice),
                bytes: self.file_bytes(&encodings),
                predicted_kld: predicted,
                measured_kld: measured,
                noise: None,
                kept,
            });
            if let Some(anew) = anew {
                for i in (0..all).filter(|&i| anew[i] != choice[i]) {
                    encodings.remove(&self.sensitivities[i].name);
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
                .filter(|&i| encodings.contains_key(&self.sensitivities[i].name))
                .map(|i| (i, choice[i]))
                .collect();
            let raw: f64 = finished.iter().map(|(&i, &at)| self.cost(i, at)).sum();
            if raw > 0.0 {
                scale = kld / raw;
            }
            choice = self.allocate(&finished, scale, kld);
        }
        Ok(Reached { choice, encodings, predicted, losses })
    }

    /// The least sensitive of the pending tensors, which are in that order: so many that they cost
    /// as much as each of the steps that are left.
    fn next_group(&self, pending: &[usize], choice: &[usize], steps: usize) -> Vec<usize> {
        if steps <= 1 {
            return pending.to_vec();
        }
        let share = self.sum(pending, choice) / steps as f64;
        let mut cost = 0.0;
        let within = |&(place, &i): &(usize, &usize)| {
            cost += self.cost(i, choice[i]);
            place == 0 || cost <= share
        };
        pending.iter().enumerate().take_while(within).map(|(_, &i)| i).collect()
    }

    /// The flag that keeps the tensors from formats that lose less.
    fn bound(&self) -> String {
        let least = |(i, s): (usize, &Sensitivity)| {
            let cost = |&a: &usize, &b: &usize| self.cost(i, a).total_cmp(&self.cost(i, b));
            (0..s.candidates.len()).min_by(cost).unwrap_or(0)
        };
        let choice: Vec<usize> = self.sensitivities.iter().enumerate().map(least).collect();
        let time = choice.iter().enumerate().map(|(i, &at)| self.time(i, at)).sum();
        self.search.searchable.bound(self.search.config, self.bytes(&choice), time)
    }

    /// Tries exchanges at equal bytes: more for the tensors of a role, less for all others, the role
    /// that costs most first. They end with the first that gains nothing, or no more than the
    /// standard error of the gain: then what the costliest tensors are predicted to lose is not far
    /// off.
    pub fn exchange(&mut self, reached: Reached) -> Result<Reached, SearchError> {
        let mut roles: BTreeMap<Role, f64> = BTreeMap::new();
        for (i, sensitivity) in self.sensitivities.iter().enumerate() {
            *roles.entry(sensitivity.role).or_default() += self.cost(i, reached.choice[i]);
        }
        let mut roles: Vec<(Role, f64)> = roles.into_iter().collect();
        roles.sort_by(|a, b| b.1.total_cmp(&a.1));
        let mut best = reached;
        for (role, _) in roles.into_iter().take(EXCHANGES) {
            let before = self.emphasis.clone();
            for (emphasis, sensitivity) in self.emphasis.iter_mut().zip(self.sensitivities) {
                *emphasis *= if sensitivity.role == role { EMPHASIS } else { 1.0 };
            }
            let choice = self.allocate_bytes(&BTreeMap::new());
            let expected = self.expected(&best, &choice);
            let Some(next) = self.changed(&best, choice, expected)? else {
                self.emphasis = before;
                continue;
            };
            let Changed { group, reached } = next;
            let factors = (self.judged_by(&best.choice), self.judged_by(&reached.choice));
            let gain = best.losses.gain_of(&reached.losses, factors);
            let encoded = self.chosen(&group, &reached.choice);
            self.note(Step {
                noise: Some(gain.error),
                kept: gain.is_real(),
                ..self.step_to(StepKind::Exchange, &reached, encoded)
            });
            if !gain.is_real() {
                self.emphasis = before;
                break;
            }
            best = reached;
        }
        self.record.bound_by = Some(self.bound());
        Ok(best)
    }

    /// The KLD to expect of a choice, by that of a model that was measured.
    fn expected(&self, measured: &Reached, choice: &[usize]) -> f64 {
        let raw = self.sum_all(&measured.choice);
        if raw > 0.0 { measured.kld() / raw * self.sum_all(choice) } else { 0.0 }
    }

    /// What the measured KLD of a choice is multiplied with where models of equal bytes are compared:
    /// 1; if they are still to be trained, it is more for what training leaves as it is.
    fn judged_by(&self, choice: &[usize]) -> f64 {
        let raw = self.sum_all(choice);
        let counts = self.search.trains() && raw > 0.0;
        if counts { self.sum_elsewhere(choice) / raw } else { 1.0 }
    }

    /// The plan and its tensors, or those of the plain recipe of the same size, if that is better by
    /// what is aimed at.
    fn against_recipe(&mut self, reached: Reached) -> Result<(Plan, Measured), SearchError> {
        let Search { gguf, config, searchable, .. } = *self.search;
        let plan = searchable.plan(gguf, &self.candidates(&reached.choice));
        self.record.predicted_kld = Some(reached.predicted);
        let Reached { encodings, losses, .. } = reached;
        let found = Measured { encodings, losses };
        self.record.measured_kld = found.losses.mean();
        let (bytes, kept) = (plan.bytes(searchable.alignment()), searchable.kept());
        let room = Bytes { tensors: bytes.tensors - kept.tensors, file: bytes.file - kept.file };
        if !searchable.allows(&plan) {
            // Where hardly anything fits, lines of metadata decide, which are counted by kind.
            return self.by_role();
        }
        let Some(recipe) = searchable.recipe(gguf, config, self.importance, room)? else {
            return Ok((plan, found));
        };
        let plain = self.plainly(&recipe)?;
        if self.search.aim.prefers(&plain.losses, &found.losses) {
            let kld = plain.losses.mean();
            self.record.measured_kld = kld;
            self.record.predicted_kld = None;
            if matches!(self.search.aim, Aim::Smallest { kld: allowed } if kld <= allowed) {
                self.record.bound_by = None;
            }
            return Ok((recipe, plain));
        }
        Ok((plan, found))
    }

    /// The best plan that gives all tensors of a kind the same format, and its tensors.
    fn by_role(&mut self) -> Result<(Plan, Measured), SearchError> {
        let Search { gguf, config, searchable, .. } = *self.search;
        let plan = searchable.best_by_role(gguf, config, self.importance)?;
        let plain = self.plainly(&plan)?;
        self.record.measured_kld = plain.losses.mean();
        self.record.predicted_kld = None;
        Ok((plan, plain))
    }

    /// The tensors of a plan, rounded without compensation, and what the model then loses.
    fn plainly(&mut self, plan: &Plan) -> Result<Measured, SearchError> {
        let encoded = plan
            .tensors
            .iter()
            .filter_map(|tensor| tensor.candidate().map(|to| (tensor.spec.name.clone(), to)));
        let todo = encoded.collect();
        let encodings = encode_plainly(self.context(), "recipe", &todo)?;
        let losses = self.whole_losses(&encodings)?;
        self.record.recipe_kld = Some(losses.mean());
        self.record.recipe_bytes = Some(self.file_bytes(&encodings));
        Ok(Measured { encodings, losses })
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
        Ok(Found { plan, encodings, kept_from, record: self.take_record() })
    }

    /// How it went, since the last time that this was asked.
    fn take_record(&mut self) -> Record {
        let costs = |s: &Sensitivity| TensorCosts {
            tensor: s.name.clone(),
            formats: (0..s.candidates.len())
                .map(|at| Cost {
                    format: s.candidates[at].format.name(),
                    bpw: s.candidates[at].format.bpw(),
                    output_error: s.output_errors[at],
                    predicted_kld: self.factors.cost(s, at),
                })
                .collect(),
        };
        let sensitivities = self.sensitivities.iter().map(costs).collect();
        let probes = self.record.probes.clone();
        let record = mem::replace(&mut self.record, Record { probes, ..Record::default() });
        Record { sensitivities, ..record }
    }

    fn context(&self) -> PassContext<'p, 'a> {
        let Search { gguf, model, work, progress, .. } = *self.search;
        let sequences = self.search.looked_at();
        PassContext { gguf, model, sequences, importance: self.importance, work, progress }
    }

    /// Measures the model with all encodings, on all of the text.
    fn whole_losses(&mut self, encodings: &Encodings) -> Result<Losses, SearchError> {
        self.losses(encodings, &|_| true, usize::MAX)
    }

    /// Measures the model with those of the encodings that are `wanted`.
    fn losses(
        &mut self,
        encodings: &Encodings,
        wanted: &dyn Fn(&str) -> bool,
        chunks: usize,
    ) -> Result<Losses, SearchError> {
        let (judge, model) = (&mut *self.judge, self.search.model);
        let name = format!("kld-{}", self.measurements);
        self.measurements += 1;
        let work = self.search.work;
        work.remember(&name, || judge.losses(&with_some(model, encodings, wanted), chunks))
    }

    /// Encodes some tensors as chosen, on the inputs that the finished ones let through.
    fn encode(
        &mut self,
        group: &[usize],
        choice: &[usize],
        finished: &Encodings,
    ) -> Result<Encodings, SearchError> {
        let todo: BTreeMap<String, Candidate> = group
            .iter()
            .map(|&i| {
                let sensitivity = &self.sensitivities[i];
                (sensitivity.name.clone(), sensitivity.candidates[choice[i]])
            })
            .collect();
        let pass = format!("pass-{}", self.passes);
        self.passes += 1;
        encode_in_passing(self.context(), &pass, finished, &todo)
    }

    /// The model with another choice, of which this KLD is predicted; `None` where it is the same.
    fn changed(
        &mut self,
        from: &Reached,
        choice: Vec<usize>,
        predicted: f64,
    ) -> Result<Option<Changed>, SearchError> {
        let group: Vec<usize> =
            (0..choice.len()).filter(|&i| choice[i] != from.choice[i]).collect();
        if group.is_empty() {
            return Ok(None);
        }
        let mut encodings = from.encodings.clone();
        group.iter().for_each(|&i| drop(encodings.remove(&self.sensitivities[i].name)));
        encodings.extend(self.encode(&group, &choice, &encodings)?);
        let losses = self.whole_losses(&encodings)?;
        let reached = Reached { choice, encodings, predicted, losses };
        Ok(Some(Changed { group, reached }))
    }

    /// Notes a step.
    fn note(&mut self, step: Step) {
        let Step { kind, bytes, predicted_kld, measured_kld, noise, kept, .. } = step;
        let tensors = step.encoded.len();
        tracing::info!(?kind, tensors, bytes, predicted_kld, measured_kld, noise, kept, "step");
        self.record.steps.push(step);
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

    /// The formats that a group has by a choice.
    fn chosen(&self, group: &[usize], choice: &[usize]) -> Vec<Chosen> {
        let chosen = |&i: &usize| {
            let Sensitivity { name, candidates, .. } = &self.sensitivities[i];
            Chosen { tensor: name.clone(), format: candidates[choice[i]].format.name() }
        };
        group.iter().map(chosen).collect()
    }

    /// Bytes of a file with these encodings, all other tensors as in the input.
    fn file_bytes(&self, encodings: &Encodings) -> u64 {
        self.search.searchable.file_bytes(self.search.gguf, encodings)
    }

    fn candidates(&self, choice: &[usize]) -> BTreeMap<&'p str, Candidate> {
        let chosen = self.sensitivities.iter().zip(choice);
        chosen.map(|(s, &at)| (s.name.as_str(), s.candidates[at])).collect()
    }
}

/// How much more a tensor counts than it costs on the model's own text, before training: training
/// layer by layer leaves the output head as it is, and all else with a share of its cost.
fn elsewhere(search: &Search, sensitivity: &Sensitivity) -> f64 {
    let trained = if search.trains() { expected_share(search.config) } else { 1.0 };
    match place(&sensitivity.name, search.model.weights.tied) {
        Some(HEAD) => HEAD_ELSEWHERE / trained,
        _ => 1.0,
    }
}

/// A model after formats were changed.
struct Changed {
    /// The tensors whose formats changed.
    group: Vec<usize>,
    reached: Reached,
}
