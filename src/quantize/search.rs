//! The search: the smallest model within a KLD, or the best model within a size. Tensors are
//! quantized in the order of their sensitivity, and what the model has become is measured after
//! each step.

use crate::calibrate::Importance;
use crate::config::Config;
use crate::gguf::Gguf;
use crate::model::Model;
use crate::progress::Progress;
use crate::work::Work;

use super::encoded::Encodings;
use super::error::SearchError;
use super::kept_from::KeptFrom;
use super::losses::Losses;
use super::plan::Plan;
use super::record::Record;
use super::searchable::Searchable;
use super::sensitivity::{Bands, Sensitivity};
use super::survey::{Survey, survey};

/// What training layer by layer is expected to leave of the KLD, before any was tried, as it does of
/// SmolLM2's at `--accuracy 0.02`; the first round corrects it.
const EXPECTED_SHARE: f64 = 0.8;
/// And what training end to end leaves of that.
const EXPECTED_END_TO_END: f64 = 0.9;
/// Tokens at least that are looked at to weigh and to encode tensors, where there are so many.
const LOOKED_AT: usize = 16_384;

/// Measures models on held-out text.
pub trait Judge {
    /// KL(full precision || `model`) in nats at each scored position of the first `chunks` of the
    /// text, in order.
    fn losses(&mut self, model: &Model, chunks: usize) -> Result<Losses, SearchError>;
}

/// What is searched for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Aim {
    /// The smallest model of at most this KLD.
    Smallest {
        /// In nats per token.
        kld: f64,
    },
    /// The model of the lowest KLD.
    Best,
}

impl Aim {
    /// Whether a model is given up for another: if that loses less by more than chance, or if it
    /// alone is within the KLD that is allowed. That is a mean on this very text, so that what is
    /// within it is so for certain.
    pub(super) fn prefers(self, other: &Losses, present: &Losses) -> bool {
        let within =
            |losses: &Losses| matches!(self, Aim::Smallest { kld } if losses.mean() <= kld);
        within(other) && !within(present) || present.gain_of(other, (1.0, 1.0)).is_real()
    }
}

/// What a search works on.
pub struct Search<'s, 'a> {
    /// The file.
    pub gguf: &'a Gguf,
    /// Its model, in full precision.
    pub model: &'s Model<'a>,
    /// What the user asks for.
    pub config: &'s Config,
    /// What may become of the tensors, and the limits.
    pub searchable: &'s Searchable,
    /// Text to learn from.
    pub sequences: &'s [&'s [u32]],
    /// Text that judges layers while they are trained.
    pub held_out: &'s [&'s [u32]],
    /// What is searched for.
    pub aim: Aim,
    /// Where the state is kept.
    pub work: &'s Work,
    /// Hears how far it is.
    pub progress: &'s dyn Progress,
}

/// What a search found.
pub struct Found {
    /// The format of every tensor.
    pub plan: Plan,
    /// The tensors in these formats.
    pub encodings: Encodings,
    /// Formats that tensors are kept from.
    pub kept_from: Vec<KeptFrom>,
    /// How it went.
    pub record: Record,
}

/// What is known before anything is chosen.
pub(super) struct Known {
    /// How much each input column matters.
    pub importance: Importance,
    /// The limits, and what may become of the tensors whose outputs are finite.
    pub searchable: Searchable,
    /// What the tensors lose in each format.
    pub sensitivities: Vec<Sensitivity>,
}

impl<'s> Search<'s, '_> {
    /// Looks at what tensors lose in each format that they may have.
    pub(super) fn survey(&self) -> Result<Known, SearchError> {
        let bands = Bands::new(self.model.shape.layers);
        let mut sensitivities = self.searchable.sensitivities(self.gguf, bands);
        let known: Survey = self.work.remember("survey", || {
            survey(self.gguf, self.model, self.looked_at(), &sensitivities, self.progress)
        })?;
        let importance = known.importance(self.model.weights.tied);
        known.fill(&mut sensitivities);
        let searchable = self.searchable.finite(self.gguf, self.config, &importance)?;
        if searchable.offers_more_than(self.searchable) {
            // Nothing is known yet of what stands in for formats without room.
            sensitivities = searchable.sensitivities(self.gguf, bands);
            let known: Survey = self.work.remember("survey-of-stand-ins", || {
                let looked_at = self.looked_at();
                survey(self.gguf, self.model, looked_at, &sensitivities, self.progress)
            })?;
            known.fill(&mut sensitivities);
        }
        for sensitivity in &mut sensitivities {
            let tensor = sensitivity.tensor;
            sensitivity.keep_only(|format| searchable.may_have(tensor, format));
        }
        Ok(Known { importance, searchable, sensitivities })
    }

    /// The sequences that are looked at to weigh and to encode tensors.
    pub(super) fn looked_at(&self) -> &'s [&'s [u32]] {
        enough(self.sequences, LOOKED_AT)
    }

    pub(super) fn trains(&self) -> bool {
        self.config.trains()
    }

    /// What is searched for before anything is trained.
    pub(super) fn untrained_aim(&self) -> Aim {
        match self.aim {
            Aim::Smallest { kld } if self.trains() => {
                Aim::Smallest { kld: kld / expected_share(self.config) }
            }
            aim => aim,
        }
    }
}

/// What training is expected to leave of the KLD, before any was tried.
pub fn expected_share(config: &Config) -> f64 {
    match config.train_tokens {
        0 => EXPECTED_SHARE,
        _ => EXPECTED_SHARE * EXPECTED_END_TO_END,
    }
}

/// The first sequences, as many as have so many tokens together.
fn enough<'s, 't>(sequences: &'s [&'t [u32]], tokens: usize) -> &'s [&'t [u32]] {
    let mut before = 0;
    let short = |sequence: &&&[u32]| {
        let short = before < tokens;
        before += sequence.len();
        short
    };
    &sequences[..sequences.iter().take_while(short).count()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_sequences_are_looked_at_until_there_are_tokens_enough() {
        let tokens = [0; 10];
        let sequences = [&tokens[..4], &tokens[..4], &tokens[..8], &tokens[..2]];
        let taken = |tokens| enough(&sequences, tokens).len();
        assert_eq!([1, 4, 5, 8, 9, 16, 17, 99].map(taken), [1, 1, 2, 2, 3, 3, 4, 4]);
    }
}
