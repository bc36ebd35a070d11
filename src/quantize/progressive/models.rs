//! Models on the way: encoded and measured.

use std::collections::BTreeMap;

use super::Progressive;
use crate::quantize::candidate::Candidate;
use crate::quantize::encoded::{Encodings, with_some};
use crate::quantize::error::SearchError;
use crate::quantize::losses::Losses;
use crate::quantize::pass::{PassContext, encode_in_passing};
use crate::quantize::search::{Aim, Search};

/// A model that was made.
#[derive(Clone)]
pub struct Reached {
    /// The place of each tensor's candidate.
    pub choice: Vec<usize>,
    pub encodings: Encodings,
    /// KLD as it was predicted before it was measured, in nats per token.
    pub predicted: f64,
    /// KLD as measured.
    pub losses: Losses,
}

impl Reached {
    /// The mean KLD as measured.
    pub fn kld(&self) -> f64 {
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
    pub fn or_better(self, other: Measured, aim: Aim) -> Measured {
        if aim.prefers(&other.losses, &self.losses) { other } else { self }
    }
}

/// A model after formats were changed.
pub struct Changed {
    /// The tensors whose formats changed.
    pub group: Vec<usize>,
    pub reached: Reached,
}

impl<'p, 'a> Progressive<'p, '_, 'a> {
    pub fn context(&self) -> PassContext<'p, 'a> {
        let Search { gguf, model, work, progress, .. } = *self.search;
        let sequences = self.search.looked_at();
        PassContext { gguf, model, sequences, importance: self.importance, work, progress }
    }

    /// Measures the model with all encodings, on all of the text.
    pub fn whole_losses(&mut self, encodings: &Encodings) -> Result<Losses, SearchError> {
        self.losses(encodings, &|_| true, usize::MAX)
    }

    /// Measures the model with those of the encodings that are `wanted`.
    pub fn losses(
        &mut self,
        encodings: &Encodings,
        wanted: &dyn Fn(&str) -> bool,
        chunks: usize,
    ) -> Result<Losses, SearchError> {
        let (judge, model) = (&mut *self.judge, self.search.model);
        let name = self.log.next_measurement();
        let work = self.search.work;
        work.remember(&name, || judge.losses(&with_some(model, encodings, wanted), chunks))
    }

    /// Encodes some tensors as chosen, on the inputs that the finished ones let through.
    pub fn encode(
        &mut self,
        group: &[usize],
        choice: &[usize],
        finished: &Encodings,
    ) -> Result<Encodings, SearchError> {
        let todo: BTreeMap<String, Candidate> = group
            .iter()
            .map(|&i| {
                let sensitivity = &self.formats.sensitivities[i];
                (sensitivity.name.clone(), sensitivity.candidates[choice[i]])
            })
            .collect();
        let pass = self.log.next_pass();
        encode_in_passing(self.context(), &pass, finished, &todo)
    }

    /// The model with another choice, of which this KLD is predicted; `None` where it is the same.
    pub fn changed(
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
        group.iter().for_each(|&i| drop(encodings.remove(&self.formats.sensitivities[i].name)));
        encodings.extend(self.encode(&group, &choice, &encodings)?);
        let losses = self.whole_losses(&encodings)?;
        let reached = Reached { choice, encodings, predicted, losses };
        Ok(Some(Changed { group, reached }))
    }

    /// Bytes of a file with these encodings, all other tensors as in the input.
    pub fn file_bytes(&self, encodings: &Encodings) -> u64 {
        self.search.searchable.file_bytes(self.search.gguf, encodings)
    }
}
