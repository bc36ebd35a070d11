//! What a search may choose from, tensor by tensor, and the plans that come of its choices.

use std::collections::BTreeMap;

use crate::block::SharedScale;
use crate::calibrate::Importance;
use crate::config::{Config, Strategy};
use crate::gguf::{Format, Gguf, TensorInfo};
use crate::hardware::{Hardware, SpeedFloor, TILE, Time};
use crate::model::{Kind, Phase};

use super::budget::{Fixed, Limit, kv_cache};
use super::candidate::{Candidate, How};
use super::choose::{Chosen, budget, choose, groups};
use super::encoded::{Encoded, Encodings};
use super::error::PlanError;
use super::inspection::{Exactness, Inspection};
use super::kept_from::{KeptFrom, Left, left, tight_warnings};
use super::options::Options;
use super::pace::Pace;
use super::plan::{Plan, Planned};
use super::portable::refuse_unportable;
use super::sensitivity::{Bands, Sensitivity};
use super::size::{Bytes, Header, line_bytes};
use super::together::{refuse_off_grid, same_formats};

/// What may become of each tensor, and the limits.
#[derive(Debug, Clone)]
pub struct Searchable {
    options: Vec<Options>,
    fixed: Fixed,
    /// What the quantized tensors may take, with the lines of metadata about them.
    pub budget: Bytes,
    /// What the lines of metadata about the formats of each role take at most.
    pub lines: Bytes,
    /// What may become of the tensors if those on lattices need not stay there.
    giving_way: Vec<Options>,
    /// The same if nobody looks at lattices, nor keeps to the fixed table.
    given_up: Vec<Options>,
    /// How many tensors lie on the lattice of an allowed format.
    on_lattices: usize,
    /// What to tell of limits that gave way.
    gave_way: Vec<String>,
    /// What else to tell: of lattices, and of formats with little room for inputs.
    told: Vec<String>,
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
        Searchable::seen(gguf, &Inspection::of(gguf, config)?, config, header, context)
    }

    /// The same for each of these flags, which differ in the size that they ask for only: the weights
    /// are looked at once.
    pub fn of_sizes(
        gguf: &Gguf,
        flags: &[(&Config, Header)],
        context: u64,
    ) -> Result<Vec<Searchable>, PlanError> {
        let Some((first, _)) = flags.first() else { return Ok(Vec::new()) };
        let inspection = Inspection::of(gguf, first)?;
        let seen = |&(config, header)| Searchable::seen(gguf, &inspection, config, header, context);
        flags.iter().map(seen).collect()
    }

    /// The same of weights that were looked at.
    fn seen(
        gguf: &Gguf,
        inspection: &Inspection,
        config: &Config,
        header: Header,
        context: u64,
    ) -> Result<Searchable, PlanError> {
        let kv_cache = kv_cache(gguf, config, context)?;
        let options = inspection.options(config, Exactness::Kept)?;
        refuse_unportable(gguf, &options, config)?;
        refuse_off_grid(gguf, config.hardware, &options)?;
        let all = Searchable {
            fixed: Fixed::of(gguf, config, &options, header, kv_cache),
            options: Vec::new(),
            budget: Bytes::default(),
            lines: Bytes::default(),
            giving_way: inspection.options(config, Exactness::GivesWay)?,
            given_up: inspection.options(config, Exactness::GivenUp)?,
            on_lattices: inspection.on_lattices(),
            gave_way: Vec::new(),
            told: inspection.refused_lattices(config).into_iter().collect(),
            kept_from: Vec::new(),
        };
        all.within_limits(gguf, config, options).or_else(|error| {
            let (options, told) = all.give_way(error)?;
            let mut searchable = all.within_limits(gguf, config, options)?;
            searchable.told.push(told);
            Ok(searchable)
        })
    }

    /// What may become of the tensors where they could not be within a limit, and what to tell.
    fn give_way(&self, error: PlanError) -> Result<(Vec<Options>, String), PlanError> {
        match error {
            PlanError::Unreachable(limit) if self.on_lattices > 0 => {
                Ok((self.giving_way.clone(), without_lattices(self.on_lattices, &limit)))
            }
            error => Err(error),
        }
    }

    /// The same with these options.
    fn within_limits(
        &self,
        gguf: &Gguf,
        config: &Config,
        options: Vec<Options>,
    ) -> Result<Searchable, PlanError> {
        let (budget, gave_way) =
            budget(config, &self.fixed, &groups(gguf, config.hardware, &options))?;
        let mut lines: BTreeMap<(Kind, Format), usize> = BTreeMap::new();
        for (tensor, options) in gguf.tensors().iter().zip(&options) {
            let encoded = |candidate: &&Candidate| candidate.how != How::Copied;
            for candidate in options.candidates().iter().filter(encoded) {
                *lines.entry((Kind::of(&tensor.name), candidate.format)).or_default() += 1;
            }
        }
        let lines = lines.into_iter().map(|((kind, format), n)| line_bytes(&kind, format, n)).sum();
        Ok(Searchable { options, budget, lines, gave_way, ..self.clone() })
    }

    /// The same without the formats in which llama.cpp could not hold what it keeps of a tensor's
    /// inputs, where `importance` tells of them, with a margin of four.
    pub fn finite(
        &self,
        gguf: &Gguf,
        config: &Config,
        importance: &Importance,
    ) -> Result<Searchable, PlanError> {
        self.narrowed(gguf, config, importance, self.options.clone()).or_else(|error| {
            let (options, told) = self.give_way(error)?;
            let mut searchable = self.narrowed(gguf, config, importance, options)?;
            if !searchable.told.contains(&told) {
                searchable.told.push(told);
            }
            Ok(searchable)
        })
    }

    /// The same with those of these options that are finite.
    fn narrowed(
        &self,
        gguf: &Gguf,
        config: &Config,
        importance: &Importance,
        mut options: Vec<Options>,
    ) -> Result<Searchable, PlanError> {
        let (mut kept_from, mut tight) = (vec![], vec![]);
        let tensors = gguf.tensors().iter().zip(&mut options).zip(&self.given_up);
        for ((tensor, options), given_up) in tensors {
            let (candidates, inputs) = (options.candidates(), importance.extremes(&tensor.name));
            let Some(inputs) = inputs.filter(|_| !candidates.is_empty()) else { continue };
            let Left { candidates: mut left, kept_from: from, tight: is_tight } =
                left(tensor, candidates, given_up.candidates(), inputs)?;
            if config.strategy == Strategy::Fixed {
                left.truncate(1);
            }
            *options = Options::Formats(left);
            kept_from.extend(from);
            tight.extend(is_tight);
        }
        same_formats(gguf, config.hardware, &mut options)?;
        let narrowed = match options == self.options {
            true => Ok(self.clone()),
            false => self.within_limits(gguf, config, options),
        };
        let mut narrowed = narrowed.map_err(|error| for_room(error, kept_from.len()))?;
        narrowed.told.extend(tight_warnings(&tight));
        Ok(Searchable { kept_from, ..narrowed })
    }

    /// Whether the tensor at a place of the file may have this format.
    pub fn may_have(&self, tensor: usize, format: Format) -> bool {
        self.options[tensor].candidates().iter().any(|candidate| candidate.format == format)
    }

    /// Whether any tensor may have what it may not by `other`.
    pub fn offers_more_than(&self, other: &Searchable) -> bool {
        let known = |(a, b): (&Options, &Options)| {
            a.candidates().iter().all(|candidate| b.candidates().contains(candidate))
        };
        !self.options.iter().zip(&other.options).all(known)
    }

    /// Whether all tensors may have the same as by `other`.
    pub fn offers_the_same_as(&self, other: &Searchable) -> bool {
        self.options == other.options
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

    /// Bytes of a file with these encodings, in which all other tensors are as in the input.
    pub fn file_bytes(&self, gguf: &Gguf, encodings: &Encodings) -> u64 {
        let tensors = gguf.tensors().iter().zip(&self.options);
        let planned = |(tensor, options): (&TensorInfo, &Options)| {
            let candidate = match encodings.get(&tensor.name) {
                None => Candidate::by(How::Copied, tensor.format),
                Some(Encoded { format, .. }) => {
                    let mut candidates = options.candidates().iter().copied();
                    let known = candidates.find(|candidate| candidate.format == *format);
                    known.unwrap_or(Candidate::encoded(*format))
                }
            };
            options.planned(tensor, || candidate)
        };
        let plan = Plan { tensors: tensors.map(planned).collect(), warnings: Vec::new() };
        self.fixed.header.file_with(plan.bytes(self.alignment()))
    }

    /// The plan in which the tensors have the formats that `chosen` has for their names.
    pub fn plan(&self, gguf: &Gguf, chosen: &BTreeMap<&str, Candidate>) -> Plan {
        let tensors = gguf.tensors().iter().zip(&self.options);
        let planned = |(tensor, options): (&TensorInfo, &Options)| {
            options.planned(tensor, || chosen[tensor.name.as_str()])
        };
        self.planned(tensors.map(planned).collect())
    }

    /// The plan for these tensors, with all that is to be told.
    fn planned(&self, tensors: Vec<Planned>) -> Plan {
        let told = self.gave_way.iter().chain(&self.told).cloned();
        let warnings = told.chain(small_tiles(&tensors)).collect();
        Plan { tensors, warnings }
    }

    /// Whether a plan is within the limits.
    pub fn allows(&self, plan: &Plan) -> bool {
        let (all, kept) = (plan.bytes(self.alignment()), self.kept());
        let chosen = Bytes { tensors: all.tensors - kept.tensors, file: all.file - kept.file };
        let is_fast = || self.fixed.pace.is_none_or(|pace| pace.allows(plan));
        chosen.within(self.budget) && is_fast()
    }

    /// How fast a plan is on a machine, against the same model in Q4_0.
    pub fn speed_of(&self, gguf: &Gguf, plan: &Plan, hardware: Hardware, phase: Phase) -> f64 {
        let floor = SpeedFloor { phase, fraction: 1.0 };
        Pace::new(gguf, hardware, floor, &self.options).speed_of(plan)
    }

    /// What the quantized tensors may take of the time of a token, if a speed is asked for.
    pub fn time(&self) -> Time {
        self.fixed.pace.map_or(Time::MAX, |pace| pace.room())
    }

    /// What a token takes in a tensor of this format, if a speed is asked for; else 0.
    pub fn time_of(&self, tensor: &TensorInfo, format: Format) -> Time {
        self.fixed.pace.map_or(0, |pace| pace.time(tensor, format))
    }

    /// The flag that allows the quantized tensors no more bits, where they would take so many bytes,
    /// and so much time, in the best formats.
    pub fn bound(&self, config: &Config, best: Bytes, time: Time) -> String {
        let file = self.fixed.file_limits(config).into_iter().map(|limit| (limit, best.file));
        let tensors =
            self.fixed.tensor_limits(config).into_iter().map(|limit| (limit, best.tensors));
        let excess = |(limit, bytes): &(Limit, u64)| bytes.saturating_sub(limit.bytes);
        let most = file.chain(tensors).max_by_key(excess);
        let share = |(limit, bytes): (Limit, u64)| bytes as f64 / limit.bytes.max(1) as f64;
        let slow = |pace: &Pace| time as f64 / pace.room().max(1) as f64;
        if let Some(pace) = self.fixed.pace.filter(|pace| slow(pace) > 1.0)
            && most.is_none_or(|most| share(most) < slow(&pace))
        {
            return pace.to_string();
        }
        match most {
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
        let groups = groups(gguf, config.hardware, &self.options);
        let chosen = choose(gguf, config, importance, &self.fixed, &groups, bytes)?;
        let planned = |chosen| planned(gguf, config.hardware, &self.options, &chosen);
        Ok(chosen.map(|chosen| self.planned(planned(chosen))))
    }
}

/// Chooses the format of every tensor. `header` is what the file has beside the tensors, with the
/// flags of `config`; `context` the tokens that must fit in memory. Errors are weighted by
/// `importance` where it is known.
pub fn plan(
    gguf: &Gguf,
    config: &Config,
    importance: &Importance,
    header: Header,
    context: u64,
) -> Result<Plan, PlanError> {
    Searchable::new(gguf, config, header, context)?.best_by_role(gguf, config, importance)
}

/// The tensors, each with the format that was chosen for its group.
fn planned(gguf: &Gguf, hardware: Hardware, options: &[Options], chosen: &Chosen) -> Vec<Planned> {
    let planned = |(tensor, options): (&TensorInfo, &Options)| {
        let kind = Kind::of(&hardware.loaded_as(&tensor.name));
        options.planned(tensor, || chosen[&(kind, options.candidates())])
    };
    gguf.tensors().iter().zip(options).map(planned).collect()
}

/// What to tell where a limit leaves no room for formats that lose nothing.
fn without_lattices(tensors: usize, limit: &str) -> String {
    let lie = if tensors == 1 { "tensor lies" } else { "tensors lie" };
    format!(
        "{tensors} {lie} on the lattice of a block format, which holds the weights exactly; some \
         may get fewer bits all the same, as else the limit cannot be met: {limit}"
    )
}

/// What to tell of tensors whose scales are shared by fewer inputs than is usual.
fn small_tiles(tensors: &[Planned]) -> Option<String> {
    let tile = |planned: &Planned| match planned.shared {
        Some(SharedScale::Tile(tile)) if tile < TILE => Some((planned.spec.clone(), tile)),
        _ => None,
    };
    let small: Vec<_> = tensors.iter().filter_map(tile).collect();
    let (spec, tile) = small.first()?;
    let (n, row_len) = (small.len(), spec.shape.row_len());
    let have = if n == 1 { "tensor has" } else { "tensors have" };
    Some(format!(
        "{n} {have} rows that {TILE} does not divide: scales of int4 are shared by fewer inputs \
         there, by {tile} in {}, whose rows have {row_len}",
        spec.name
    ))
}

/// Says of a limit that some tensors may not have all formats.
fn for_room(error: PlanError, tensors: usize) -> PlanError {
    match error {
        PlanError::Unreachable(limit) if tensors > 0 => PlanError::Unreachable(format!(
            "{limit}; tensors that are kept from formats in which llama.cpp could not hold their \
             inputs: {tensors}"
        )),
        error => error,
    }
}
