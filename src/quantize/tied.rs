//! A tied embedding has two uses: tokens are looked up in it, and it is the output head. Its errors
//! cost in both, and compensation, which goes by the inputs of the head, makes good those of one.

use serde::{Deserialize, Serialize};

use crate::calibrate::Gram;

use super::pass::plain;
use super::progressive::PROBE_CHUNKS;
use super::search::{Judge, Search, SearchError};
use super::sensitivity::Sensitivity;

/// Its name in a file.
const EMBEDDING: &str = "token_embd.weight";
/// Looking up is taken to matter no more than so many times as much as the head.
const MOST: f64 = 8.0;

/// What a tied embedding costs in each of its uses, rounded to the fewest bits; all else in full
/// precision.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TiedUses {
    /// KLD where the embedding is rounded for looking up only.
    pub lookup_kld: f64,
    /// KLD where it is rounded as output head only.
    pub head_kld: f64,
}

impl TiedUses {
    /// Measures them; `None` where there is no tied embedding to quantize.
    pub fn measure(
        search: &Search,
        sensitivities: &[Sensitivity],
        judge: &mut dyn Judge,
    ) -> Result<Option<TiedUses>, SearchError> {
        let Search { gguf, model, .. } = *search;
        let embedding = sensitivities.iter().find(|s| s.name == EMBEDDING);
        let Some(embedding) = embedding.filter(|_| model.weights.tied) else { return Ok(None) };
        let format = embedding.candidates[embedding.probe()].format;
        let bytes = plain(gguf, &gguf.tensors()[embedding.tensor], format, None)?;
        let (mut looked_up, mut head) = (model.clone(), model.clone());
        looked_up.weights.embedding.replace(format, &bytes);
        head.weights.head.weight.replace(format, &bytes);
        Ok(Some(TiedUses {
            lookup_kld: judge.kld(&looked_up, PROBE_CHUNKS)?,
            head_kld: judge.kld(&head, PROBE_CHUNKS)?,
        }))
    }

    /// Makes the Gram matrix of the head's inputs that of both uses: an error of a row of weights
    /// costs where its token is looked up in proportion to its squared length, whatever the column.
    pub fn add_to(self, gram: &mut Gram) {
        let TiedUses { lookup_kld, head_kld } = self;
        let share = if head_kld > 0.0 { (lookup_kld / head_kld).clamp(0.0, MOST) } else { 0.0 };
        // The errors that were measured are about as large in all columns.
        gram.lift(share as f32);
    }
}
