//! What each tensor loses in each format, first on the outputs of its own linear map, then, by
//! factors that are measured, on those of the whole model.

use std::collections::BTreeMap;

use crate::gguf::{Format, TensorInfo};
use crate::model::{Role, layer_part};

use super::candidate::Candidate;
use super::record::{Group, Probe};

/// What a tensor loses in the formats that it may get.
#[derive(Debug, Clone, PartialEq)]
pub struct Sensitivity {
    /// The tensor, by its place in the file.
    pub tensor: usize,
    /// Its name.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// Layers that count as one, from 0; the last are the embedding and the output head.
    pub band: usize,
    /// The formats.
    pub candidates: Vec<Candidate>,
    /// In each, as a share of the outputs' square `tr(W G W^T)`: `tr(E G E^T)`, with the error `E` of
    /// the weights `W` and the Gram matrix `G` of their inputs, and what the inputs lose by rounding.
    pub output_errors: Vec<f64>,
    /// The same where weights are rounded without compensation, as they are for probes.
    pub plain_errors: Vec<f64>,
}

impl Sensitivity {
    /// Before anything was looked at.
    pub fn new(at: usize, tensor: &TensorInfo, bands: Bands, candidates: Vec<Candidate>) -> Self {
        Sensitivity {
            tensor: at,
            name: tensor.name.clone(),
            role: Role::of(&tensor.name),
            band: bands.of(&tensor.name),
            output_errors: vec![0.0; candidates.len()],
            plain_errors: vec![0.0; candidates.len()],
            candidates,
        }
    }

    /// Forgets all formats but those that are `wanted`.
    pub fn keep_only(&mut self, wanted: impl Fn(Format) -> bool) {
        let kept: Vec<bool> = self.candidates.iter().map(|it| wanted(it.format)).collect();
        retain(&mut self.candidates, &kept);
        retain(&mut self.output_errors, &kept);
        retain(&mut self.plain_errors, &kept);
    }

    /// The format that probes use: of those with fewest bits, the one that loses least.
    pub fn probe(&self) -> usize {
        let bits = |at: usize| self.candidates[at].format.bpw();
        let order = |&a: &usize, &b: &usize| {
            let errors = self.plain_errors[a].total_cmp(&self.plain_errors[b]);
            bits(a).total_cmp(&bits(b)).then(errors)
        };
        (0..self.candidates.len()).min_by(order).unwrap_or(0)
    }
}

fn retain<T>(values: &mut Vec<T>, kept: &[bool]) {
    let mut kept = kept.iter();
    values.retain(|_| kept.next() == Some(&true));
}

/// How layers are put together whose factors are measured at once, so that a deep model takes no
/// more measurements than a flat one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bands {
    layers: usize,
    bands: usize,
}

impl Bands {
    /// Bands at most.
    const MOST: usize = 10;

    /// Of a model of so many layers.
    pub fn new(layers: usize) -> Bands {
        Bands { layers, bands: layers.min(Self::MOST) }
    }

    fn of(self, name: &str) -> usize {
        match layer_part(name) {
            Some((layer, _)) if layer < self.layers => layer * self.bands / self.layers,
            _ => self.bands,
        }
    }
}

impl Group {
    /// Whether a tensor belongs to it.
    pub fn holds(self, sensitivity: &Sensitivity) -> bool {
        match self {
            Group::Role(role) => sensitivity.role == role,
            Group::Band(band) => sensitivity.band == band,
        }
    }

    /// All that are worth a probe.
    pub fn all(sensitivities: &[Sensitivity]) -> Vec<Group> {
        let mut groups: Vec<Group> =
            sensitivities.iter().flat_map(|s| [Group::Role(s.role), Group::Band(s.band)]).collect();
        groups.sort();
        groups.dedup();
        groups
    }
}

/// What a unit of output error costs in KLD: a factor for each role and for each band, so that the
/// probes come out as they were measured.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Factors(BTreeMap<Group, f64>);

impl Factors {
    /// Fits both kinds of factors by turns (iterative proportional fitting).
    pub fn fit(sensitivities: &[Sensitivity], probes: &[Probe]) -> Factors {
        /// After some dozen turns nothing moves any more.
        const TURNS: usize = 50;
        let mut factors = Factors::default();
        for _ in 0..TURNS {
            for &Probe { group, measured_kld, .. } in probes {
                let members = sensitivities.iter().filter(|s| group.holds(s));
                let cost = |s: &Sensitivity| factors.of(s) * s.plain_errors[s.probe()];
                let predicted: f64 = members.map(cost).sum();
                if predicted > 0.0 && measured_kld > 0.0 {
                    *factors.0.entry(group).or_insert(1.0) *= measured_kld / predicted;
                }
            }
        }
        factors
    }

    /// What a tensor costs in KLD, in nats per token, in the candidate at a place.
    pub fn cost(&self, sensitivity: &Sensitivity, candidate: usize) -> f64 {
        self.of(sensitivity) * sensitivity.output_errors[candidate]
    }

    fn of(&self, sensitivity: &Sensitivity) -> f64 {
        let groups = [Group::Role(sensitivity.role), Group::Band(sensitivity.band)];
        groups.iter().map(|group| self.0.get(group).copied().unwrap_or(1.0)).product()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn sensitivity(name: &str, plain: f64) -> Sensitivity {
        let candidates = [Format::Q8_0, Format::IQ4_NL, Format::Q4_0].map(Candidate::encoded);
        let bands = Bands::new(3);
        Sensitivity {
            tensor: 0,
            name: name.into(),
            role: Role::of(name),
            band: bands.of(name),
            candidates: candidates.to_vec(),
            output_errors: vec![0.01 * plain, 0.5 * plain, 0.8 * plain],
            plain_errors: vec![0.01 * plain, plain, 1.2 * plain],
        }
    }

    #[test]
    fn the_probe_is_the_best_of_the_smallest() {
        assert_eq!(sensitivity("blk.0.ffn_up.weight", 1.0).probe(), 1);
    }

    #[test]
    fn what_is_not_wanted_is_forgotten_with_its_errors() {
        let mut one = sensitivity("blk.0.ffn_up.weight", 1.0);
        one.keep_only(|format| format != Format::IQ4_NL);
        assert_eq!(one.candidates.len(), 2);
        assert_eq!((one.output_errors, one.plain_errors), (vec![0.01, 0.8], vec![0.01, 1.2]));
    }

    #[test]
    fn layers_are_spread_evenly_over_bands() {
        let bands = Bands::new(30);
        let of = |layer: usize| bands.of(&format!("blk.{layer}.ffn_up.weight"));
        assert_eq!((of(0), of(2), of(3), of(29)), (0, 0, 1, 9));
        assert_eq!(bands.of("token_embd.weight"), 10);
        assert_eq!(bands.of("blk.30.ffn_up.weight"), 10, "no such layer");
        assert_eq!(Bands::new(4).of("blk.3.ffn_up.weight"), 3);
    }

    #[test]
    fn factors_give_back_what_was_measured() {
        let names = ["ffn_up", "ffn_down", "attn_q"];
        let truth = |layer: usize, part: usize| [2.0, 0.5, 1.0][layer] * [0.1, 0.3, 0.7][part];
        let mut sensitivities = Vec::new();
        let mut costs = Vec::new();
        for layer in 0..3 {
            for (part, name) in names.iter().enumerate() {
                let plain = 0.01 * (1 + layer + 2 * part) as f64;
                sensitivities.push(sensitivity(&format!("blk.{layer}.{name}.weight"), plain));
                costs.push(truth(layer, part) * plain);
            }
        }
        let measured = |group: Group| {
            let costs = sensitivities.iter().zip(&costs);
            costs.filter(|(s, _)| group.holds(s)).map(|(_, cost)| cost).sum()
        };
        let groups = Group::all(&sensitivities);
        assert_eq!(groups.len(), 6);
        let probes: Vec<Probe> = groups
            .into_iter()
            .map(|group| Probe { group, formats: BTreeSet::new(), measured_kld: measured(group) })
            .collect();
        let factors = Factors::fit(&sensitivities, &probes);
        for (sensitivity, cost) in sensitivities.iter().zip(costs) {
            // Compensated, as it will be: half of what the probe lost.
            let predicted = factors.cost(sensitivity, 1);
            assert!((predicted / (0.5 * cost) - 1.0).abs() < 1e-6, "{predicted} for {cost}");
        }
    }
}
