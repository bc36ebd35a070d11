//! What was found is held against the plain recipe of the same size.

use super::Progressive;
use super::models::{Measured, Reached};
use crate::quantize::error::SearchError;
use crate::quantize::pass::encode_plainly;
use crate::quantize::plan::Plan;
use crate::quantize::search::{Aim, Search};
use crate::quantize::size::Bytes;

impl Progressive<'_, '_, '_> {
    /// The plan and its tensors, or those of the plain recipe of the same size, if that is better by
    /// what is aimed at.
    pub fn against_recipe(&mut self, reached: Reached) -> Result<(Plan, Measured), SearchError> {
        let Search { gguf, config, searchable, .. } = *self.search;
        let plan = searchable.plan(gguf, &self.formats.candidates(&reached.choice));
        self.log.record.predicted_kld = Some(reached.predicted);
        let Reached { encodings, losses, .. } = reached;
        let found = Measured { encodings, losses };
        self.log.record.measured_kld = found.losses.mean();
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
            self.log.record.measured_kld = kld;
            self.log.record.predicted_kld = None;
            if matches!(self.search.aim, Aim::Smallest { kld: allowed } if kld <= allowed) {
                self.log.record.bound_by = None;
            }
            return Ok((recipe, plain));
        }
        Ok((plan, found))
    }

    /// The best plan that gives all tensors of a kind the same format, and its tensors.
    pub fn by_role(&mut self) -> Result<(Plan, Measured), SearchError> {
        let Search { gguf, config, searchable, .. } = *self.search;
        let plan = searchable.best_by_role(gguf, config, self.importance)?;
        let plain = self.plainly(&plan)?;
        self.log.record.measured_kld = plain.losses.mean();
        self.log.record.predicted_kld = None;
        Ok((plan, plain))
    }

    /// The tensors of a plan, rounded without compensation, and what the model then loses.
    pub fn plainly(&mut self, plan: &Plan) -> Result<Measured, SearchError> {
        let encoded = plan
            .tensors
            .iter()
            .filter_map(|tensor| tensor.candidate().map(|to| (tensor.spec.name.clone(), to)));
        let todo = encoded.collect();
        let encodings = encode_plainly(self.context(), "recipe", &todo)?;
        let losses = self.whole_losses(&encodings)?;
        self.log.record.recipe_kld = Some(losses.mean());
        self.log.record.recipe_bytes = Some(self.file_bytes(&encodings));
        Ok(Measured { encodings, losses })
    }
}
