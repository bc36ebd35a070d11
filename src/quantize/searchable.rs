//! What a search may choose from, tensor by tensor, and the plans that come of its choices.

use std::collections::BTreeMap;

use crate::calibrate::Importance;
use crate::config::Config;
use crate::gguf::{Format, Gguf};
use crate::model::Kind;

use super::budget::{Fixed, Limit, kv_cache};
use super::candidate::{Candidate, How};
use super::choose::{budget, choose};
use super::kept_from::{KeptFrom, Left, left};
use super::options::{Exactness, Inspection, Options};
use super::plan::{Plan, PlanError, fixed_part, groups, planned, planned_with};
use super::portable::refuse_unportable;
use super::sensitivity::{Bands, Sensitivity};
use super::size::{Bytes, Header, line_bytes};

/// What may become of each tensor, and the limits.
#[derive(Debug, Clone)]
pub struct Searchable {
    options: Vec<Options>,
    fixed: Fixed,
    /// What the quantized tensors may take, with the lines of metadata about them.
    pub budget: Bytes,
    /// What the lines of metadata about the formats of each role take at most.
    pub lines: Bytes,
    /// What to tell of limits that gave way, and of formats with little room for inputs.
    warnings: Vec<String>,
    /// Formats that tensors are kept from.
    pub kept_from: Vec<KeptFrom>,
}

impl Searchable {
    /// Of this file; or why nothing can be within the limits. `header` is what the file has beside
    /// the tensors, with the flags of `config`; `context` the tokens that must fit in memory.
    pub fn new(
        gguf: &Gguf,
        config: &Config,
        header: Header,
        context: u64,
    ) -> Result<Searchable, PlanError> {
        let kv_cache = kv_cache(gguf, config, context)?;
        let inspection = Inspection::of(gguf, config)?;
        let of = |exactness| {
            let options = inspection.options(config, exactness)?;
            refuse_unportable(gguf, &options, config)?;
            let fixed = fixed_part(gguf, &options, header, kv_cache);
            Searchable::within_limits(gguf, config, options, fixed)
        };
        let mut searchable = match of(Exactness::Kept) {
            Err(PlanError::Unreachable(limit)) if inspection.on_lattices() > 0 => {
                let mut searchable = of(Exactness::GivesWay)?;
                searchable.warnings.push(without_lattices(inspection.on_lattices(), &limit));
                searchable
            }
            searchable => searchable?,
        };
        searchable.warnings.extend(inspection.refused_lattices(config));
        Ok(searchable)
    }

    fn within_limits(
        gguf: &Gguf,
        config: &Config,
        options: Vec<Options>,
        fixed: Fixed,
    ) -> Result<Searchable, PlanError> {
        let (budget, warnings) = budget(config, &fixed, &groups(gguf, &options))?;
        let mut lines: BTreeMap<(Kind, Format), usize> = BTreeMap::new();
        for (tensor, options) in gguf.tensors().iter().zip(&options) {
            let encoded = |candidate: &&Candidate| candidate.how != How::Copied;
            for candidate in options.candidates().iter().filter(encoded) {
                *lines.entry((Kind::of(&tensor.name), candidate.format)).or_default() += 1;
            }
        }
        let lines = lines.into_iter().map(|((kind, format), n)| line_bytes(&kind, format, n)).sum();
        Ok(Searchable { options, fixed, budget, lines, warnings, kept_from: Vec::new() })
    }

    /// The same without the formats in which llama.cpp could not hold what it keeps of a tensor's
    /// inputs, where `importance` tells of them, with a margin of four.
    pub fn finite(
        &self,
        gguf: &Gguf,
        config: &Config,
        importance: &Importance,
    ) -> Result<Searchable, PlanError> {
        let (mut options, mut kept_from, mut tight) = (self.options.clone(), vec![], vec![]);
        for (tensor, options) in gguf.tensors().iter().zip(&mut options) {
            let (candidates, inputs) = (options.candidates(), importance.extremes(&tensor.name));
            let Some(inputs) = inputs.filter(|_| !candidates.is_empty()) else { continue };
            let left: Left = left(tensor, candidates, inputs)?;
            *options = Options::Formats(left.candidates);
            kept_from.extend(left.kept_from);
            tight.extend(left.warning);
        }
        let narrowed = match kept_from.is_empty() {
            true => self.clone(),
            false => Searchable::within_limits(gguf, config, options, self.fixed)?,
        };
        let warnings = narrowed.warnings.iter().cloned().chain(tight).collect();
        Ok(Searchable { kept_from, warnings, ..narrowed })
    }

    /// Whether the tensor at a place of the file may have this format.
    pub fn may_have(&self, tensor: usize, format: Format) -> bool {
        self.options[tensor].candidates().iter().any(|candidate| candidate.format == format)
    }

    /// Whether any tensor is to be encoded, or may be.
    pub fn is_any(&self) -> bool {
        self.options.iter().any(|options| matches!(options, Options::Formats(_)))
    }

    /// Bytes of the file's alignment.
    pub fn alignment(&self) -> u64 {
        self.fixed.header.alignment
    }

    /// What the tensors that are not encoded take.
    pub fn kept(&self) -> Bytes {
        self.fixed.kept
    }

    /// The tensors that have a choice, before anything was looked at.
    pub fn sensitivities(&self, gguf: &Gguf, bands: Bands) -> Vec<Sensitivity> {
        let tensors = gguf.tensors().iter().zip(&self.options).enumerate();
        let encoded = tensors.filter(|(_, (_, options))| !options.candidates().is_empty());
        encoded
            .map(|(at, (tensor, options))| {
                Sensitivity::new(at, tensor, bands, options.candidates().to_vec())
            })
            .collect()
    }

    /// The plan in which the tensors have the formats that `chosen` has for their names.
    pub fn plan(&self, gguf: &Gguf, chosen: &BTreeMap<&str, Candidate>) -> Plan {
        let tensors = gguf.tensors().iter().zip(&self.options);
        let planned =
            |(tensor, options)| planned_with(tensor, options, || chosen[tensor.name.as_str()]);
        Plan { tensors: tensors.map(planned).collect(), warnings: self.warnings.clone() }
    }

    /// Whether a plan is within the limits.
    pub fn allows(&self, plan: &Plan) -> bool {
        let (all, kept) = (plan.bytes(self.alignment()), self.kept());
        let chosen = Bytes { tensors: all.tensors - kept.tensors, file: all.file - kept.file };
        chosen.within(self.budget)
    }

    /// The flag that allows the quantized tensors no more bits, where they would take so many bytes
    /// in the best formats.
    pub fn bound(&self, config: &Config, best: Bytes) -> String {
        let file = self.fixed.file_limits(config).into_iter().map(|limit| (limit, best.file));
        let tensors =
            self.fixed.tensor_limits(config).into_iter().map(|limit| (limit, best.tensors));
        let excess = |(limit, bytes): &(Limit, u64)| bytes.saturating_sub(limit.bytes);
        match file.chain(tensors).max_by_key(excess) {
            Some(most) if excess(&most) > 0 => most.0.kind.to_string(),
            _ => config.allowed_formats(),
        }
    }

    /// The best plan that gives all tensors of a role the same format, within the limits.
    pub fn best_by_role(
        &self,
        gguf: &Gguf,
        config: &Config,
        importance: &Importance,
    ) -> Result<Plan, PlanError> {
        let any = Bytes { tensors: u64::MAX, file: u64::MAX };
        let plan = self.recipe(gguf, config, importance, any)?;
        Ok(plan.expect("what the limits allow is within any number of bytes"))
    }

    /// The plain recipe: the best plan that gives all tensors of a role the same format, within the
    /// limits and within `bytes`; `None` where there is none that small.
    pub fn recipe(
        &self,
        gguf: &Gguf,
        config: &Config,
        importance: &Importance,
        bytes: Bytes,
    ) -> Result<Option<Plan>, PlanError> {
        let groups = groups(gguf, &self.options);
        let chosen = choose(gguf, config, importance, &self.fixed, &groups, bytes)?;
        Ok(chosen.map(|chosen| Plan {
            tensors: planned(gguf, &self.options, &chosen),
            warnings: self.warnings.clone(),
        }))
    }
}

/// What to tell where a limit leaves no room for formats that lose nothing.
fn without_lattices(tensors: usize, limit: &str) -> String {
    let lie = if tensors == 1 { "tensor lies" } else { "tensors lie" };
    format!(
        "{tensors} {lie} on the lattice of a block format, which holds the weights exactly; some \
         may get fewer bits all the same, as else the limit cannot be met: {limit}"
    )
}
