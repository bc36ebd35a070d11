//! What may become of each tensor, by its name, its rows, its weights and what the user allows.

use crate::block;
use crate::block::lattice::{Fit, is_full_precision};
use crate::config::{Config, Strategy};
use crate::gguf::{Format, Gguf, TensorInfo};
use crate::hardware::Hardware;
use crate::model::{Role, architecture_name, may_quantize};

use super::candidate::{Candidate, How};
use super::error::PlanError;
use super::extent::{Extent, first_beyond};
use super::fixed;
use super::lattice::Lattices;
use super::options::{Kept, Options};
use super::together::same_formats;

/// What the weights of a tensor that may be quantized say.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Seen {
    lattices: Lattices,
    /// Where not every format holds them.
    extent: Option<Extent>,
}

/// What may become of the tensors of a file, and what is known of their weights.
#[derive(Debug, Clone)]
pub struct Inspection<'g> {
    gguf: &'g Gguf,
    seen: Vec<Seen>,
}

/// Whether tensors on a lattice stay there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exactness {
    /// They get the format that holds them without loss.
    Kept,
    /// They may also get formats of fewer bits.
    GivesWay,
    /// They get what others get; and what the fixed table has is open to the formats next to it.
    GivenUp,
}

impl<'g> Inspection<'g> {
    /// Looks at the weights.
    pub fn of(gguf: &'g Gguf, config: &Config) -> Result<Inspection<'g>, PlanError> {
        let seen = gguf.tensors().iter().map(|tensor| Seen::of(gguf, tensor, config));
        Ok(Inspection { gguf, seen: seen.collect::<Result<_, _>>()? })
    }

    /// What may become of every tensor; or why there is nothing to do.
    pub fn options(
        &self,
        config: &Config,
        exactness: Exactness,
    ) -> Result<Vec<Options>, PlanError> {
        let tensors = self.gguf.tensors().iter().zip(&self.seen);
        let options = tensors.map(|(tensor, seen)| {
            Asked { gguf: self.gguf, tensor, config, exactness }.options_on_its_grid(seen)
        });
        let mut options: Vec<Options> = options.collect::<Result<_, _>>()?;
        same_formats(self.gguf, config.hardware, &mut options)?;
        if options.iter().any(|options| matches!(options, Options::Formats(_))) {
            return Ok(options);
        }
        let quantized = Options::Kept(Kept::AlreadyQuantized);
        match options.iter().position(|options| *options == quantized) {
            None => Err(PlanError::NothingToQuantize),
            Some(_) if config.allow_requantize => Ok(options),
            Some(first) => {
                let TensorInfo { name, format, .. } = &self.gguf.tensors()[first];
                Err(PlanError::AlreadyQuantized { tensor: name.clone(), format: *format })
            }
        }
    }

    /// How many tensors lie on the lattice of an allowed format.
    pub fn on_lattices(&self) -> usize {
        self.seen.iter().filter(|seen| seen.lattices.allowed.is_some()).count()
    }

    /// What to tell of tensors on lattices of formats that are not allowed.
    pub fn refused_lattices(&self, config: &Config) -> Option<String> {
        let refused = |seen: &&Seen| seen.lattices.allowed.is_none();
        let refused = self.seen.iter().filter(refused).filter_map(|seen| seen.lattices.refused);
        let formats: Vec<Format> = refused.collect();
        let first = formats.first()?;
        let (n, allowed) = (formats.len(), config.allowed_formats());
        let tensors = if n == 1 { "tensor lies" } else { "tensors lie" };
        Some(format!(
            "{n} {tensors} on the lattice of a format, {first} for example, which would hold all \
             weights exactly; {allowed} does not allow it"
        ))
    }
}

impl Seen {
    fn of(gguf: &Gguf, tensor: &TensorInfo, config: &Config) -> Result<Seen, PlanError> {
        let full_precision = is_full_precision(tensor.format);
        let requantized = config.allow_requantize
            && tensor.format.block_len() > 1
            && block::can_decode(tensor.format);
        let looked_at = full_precision || requantized;
        if !looked_at || !may_quantize_in(gguf, tensor) {
            return Ok(Seen::default());
        }
        // The scales of a lattice are those of single blocks, which a TPU has no use for.
        let may_stay = config.strategy == Strategy::Search && config.hardware != Hardware::Tpu;
        let lattices = match full_precision && may_stay {
            true => Lattices::of(gguf, tensor, &config.lossless_palette()),
            false => Lattices::default(),
        };
        Ok(Seen { lattices, extent: Extent::of(gguf, tensor)? })
    }
}

fn may_quantize_in(gguf: &Gguf, tensor: &TensorInfo) -> bool {
    may_quantize(architecture_name(gguf.metadata()), &tensor.name, &tensor.shape)
}

/// One tensor, and what is asked for.
struct Asked<'a> {
    gguf: &'a Gguf,
    tensor: &'a TensorInfo,
    config: &'a Config,
    exactness: Exactness,
}

impl Asked<'_> {
    /// The options, with what blocks share on the hardware.
    fn options_on_its_grid(&self, seen: &Seen) -> Result<Options, PlanError> {
        let mut options = self.options(seen)?;
        if let Options::Formats(candidates) = &mut options {
            for candidate in candidates.iter_mut().filter(|candidate| candidate.is_searched()) {
                let hardware = self.config.hardware;
                candidate.shared = hardware.shared_scale(candidate.format, self.tensor.row_len());
            }
        }
        Ok(options)
    }

    fn options(&self, seen: &Seen) -> Result<Options, PlanError> {
        let Asked { gguf, tensor, config, .. } = *self;
        if !may_quantize_in(gguf, tensor) {
            let on_grid = config.strategy == Strategy::Fixed
                && Role::of(&tensor.name) == Role::Norm
                && tensor.format == Format::F32;
            return Ok(Options::Kept(if on_grid { Kept::OnGrid } else { Kept::Copied }));
        }
        if is_full_precision(tensor.format) {
            return self.of_full_precision(seen);
        }
        if tensor.format.block_len() == 1 {
            return Ok(Options::Kept(Kept::Copied)); // integers, or F64
        }
        if !config.allow_requantize || !block::can_decode(tensor.format) {
            return Ok(Options::Kept(Kept::AlreadyQuantized));
        }
        self.of_blocks(seen)
    }

    fn of_full_precision(&self, seen: &Seen) -> Result<Options, PlanError> {
        let exact = seen.lattices.allowed;
        if let (Some(exact), Exactness::Kept) = (exact, self.exactness) {
            return Ok(Options::Formats(vec![on_lattice(exact)]));
        }
        let mut candidates = self.encodings();
        let Some(exact) = exact else {
            return match candidates.is_empty() {
                true => Ok(Options::Kept(Kept::CopiedForRows)),
                false => self.held(self.with_next(candidates), seen).map(Options::Formats),
            };
        };
        if self.exactness == Exactness::GivesWay {
            candidates.retain(|candidate| candidate.format.bpw() < exact.0.bpw());
        }
        let mut candidates = self.held(candidates, seen).unwrap_or_default();
        if self.exactness == Exactness::GivesWay || candidates.is_empty() {
            candidates.push(on_lattice(exact));
        }
        Ok(Options::Formats(candidates))
    }

    /// Never more bits than it has: fewer, or, if its format is allowed, as it is. Nothing is on a
    /// TPU's grid as it is; there, as many bits do.
    fn of_blocks(&self, seen: &Seen) -> Result<Options, PlanError> {
        let Asked { tensor, config, .. } = *self;
        let mut candidates = self.encodings();
        let is_off_grid = config.hardware == Hardware::Tpu;
        let is_asked_for = config.strategy == Strategy::Search
            && !is_off_grid
            && candidates.iter().any(|candidate| candidate.format == tensor.format);
        candidates.retain(|candidate| {
            let (bits, has) = (candidate.format.bpw(), tensor.format.bpw());
            bits < has || is_off_grid && bits == has
        });
        if candidates.is_empty() {
            return Ok(Options::Kept(Kept::AlreadyQuantized));
        }
        let mut candidates = self.held(candidates, seen)?;
        if is_asked_for {
            candidates.push(Candidate::by(How::Copied, tensor.format));
        }
        Ok(Options::Formats(candidates))
    }

    /// The formats that it may be encoded in, as far as its rows go.
    fn encodings(&self) -> Vec<Candidate> {
        let Asked { tensor, config, .. } = *self;
        let row_len = tensor.row_len();
        if config.strategy == Strategy::Fixed {
            let row = fixed::row(Role::of(&tensor.name), config.hardware, config.portable);
            return fitting([row.format], row_len, |_| row.by_32);
        }
        let asked = config.palette();
        let fits = |format: &Format| format.fits(row_len);
        match asked.iter().any(fits) || config.formats.is_none() {
            true => asked.into_iter().filter(fits).map(Candidate::encoded).collect(),
            false => fitting(asked, row_len, |format| stand_in(config, format)),
        }
    }

    /// What the fixed table has, if it is given up: the formats next to it, first those of at least
    /// as many bits.
    fn with_next(&self, candidates: Vec<Candidate>) -> Vec<Candidate> {
        let Asked { tensor, config, exactness, .. } = *self;
        let (Exactness::GivenUp, Strategy::Fixed, Some(&first)) =
            (exactness, config.strategy, candidates.first())
        else {
            return candidates;
        };
        let asked = match first.how {
            How::InsteadOf(format) => format,
            _ => first.format,
        };
        let bits = first.format.bpw();
        let next = |format: &Format| {
            *format != first.format && config.offers(*format) && format.fits(tensor.row_len())
        };
        let next = config.hardware.palette().iter().copied().filter(next);
        let (more, fewer): (Vec<Format>, Vec<Format>) = next.partition(|it| it.bpw() >= bits);
        let next = more.into_iter().chain(fewer.into_iter().rev());
        let next = next.map(|format| Candidate::by(How::InsteadOf(asked), format));
        [first].into_iter().chain(next).collect()
    }

    /// Those of the candidates that hold all weights. The fixed table has one for each tensor,
    /// which another stands in for.
    fn held(&self, candidates: Vec<Candidate>, seen: &Seen) -> Result<Vec<Candidate>, PlanError> {
        let (Some(extent), Some(last)) = (seen.extent, candidates.last()) else {
            return Ok(candidates);
        };
        let (asked, holds) = (last.format, |format: Format| extent.is_held_by(format));
        let held: Vec<Candidate> =
            candidates.iter().copied().filter(|candidate| holds(candidate.format)).collect();
        if !held.is_empty() {
            return Ok(held);
        }
        let palette = self.config.hardware.palette().iter().copied();
        let able = palette.filter(|&f| self.config.offers(f) && holds(f));
        let able: Vec<Format> = able.filter(|format| format.fits(self.tensor.row_len())).collect();
        let at_least = able.iter().find(|format| format.bpw() >= asked.bpw());
        match (self.config.strategy, at_least.or(able.last())) {
            (Strategy::Fixed, Some(&format)) => {
                Ok(vec![Candidate::by(How::InsteadOf(asked), format)])
            }
            (_, could) => Err(self.beyond(&candidates, extent, could.copied())),
        }
    }

    /// The error for a weight that none of the candidates holds.
    fn beyond(&self, candidates: &[Candidate], extent: Extent, could: Option<Format>) -> PlanError {
        // The side on which a weight is beyond all of them.
        let end = |format: Format| *block::range(format).end();
        let is_above = candidates.iter().all(|it| extent.largest() > end(it.format));
        let reach = |format: &Format| match is_above {
            true => end(*format),
            false => -*block::range(*format).start(),
        };
        let formats = candidates.iter().map(|candidate| candidate.format);
        let widest = formats.max_by(|a, b| reach(a).total_cmp(&reach(b)));
        let weight = widest.and_then(|format| first_beyond(self.gguf, self.tensor, format));
        match weight {
            None => PlanError::NothingToQuantize,
            Some(weight) => {
                PlanError::Beyond { weight, allowed: self.config.allowed_formats(), could }
            }
        }
    }
}

fn on_lattice((format, fit): (Format, Fit)) -> Candidate {
    Candidate::by(How::OnLattice(fit), format)
}

/// Each format, or its stand-in where it does not fit the rows; what fits in no way is left out.
fn fitting(
    formats: impl IntoIterator<Item = Format>,
    row_len: usize,
    stand_in: impl Fn(Format) -> Format,
) -> Vec<Candidate> {
    let candidate = |format: Format| match format.fits(row_len) {
        true => Candidate::encoded(format),
        false => Candidate::by(How::InsteadOf(format), stand_in(format)),
    };
    let fits = |candidate: &Candidate| candidate.format.fits(row_len);
    let mut candidates: Vec<Candidate> = formats.into_iter().map(candidate).filter(fits).collect();
    candidates.dedup_by_key(|candidate| candidate.format);
    candidates
}

/// The block-32 format that stands in for a block-256 one: of the bits allowed, the largest that is
/// no larger, else the smallest.
fn stand_in(config: &Config, format: Format) -> Format {
    let candidates: Vec<Format> = config.of_bits().filter(|f| f.block_len() == 32).collect();
    let no_larger = candidates.iter().filter(|candidate| candidate.bpw() <= format.bpw());
    // The palette is ordered by size, and of equal ones the first loses least.
    let best = no_larger.rev().max_by(|a, b| a.bpw().total_cmp(&b.bpw()));
    best.or(candidates.first()).copied().unwrap_or(format)
}
