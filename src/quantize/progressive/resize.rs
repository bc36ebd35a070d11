//! A model of another size is made of one that was found.

use std::collections::BTreeMap;

use super::Progressive;
use super::models::{Changed, Reached};
use crate::quantize::error::SearchError;
use crate::quantize::record::StepKind;
use crate::quantize::search::Search;

impl<'p, 's, 'a> Progressive<'p, 's, 'a> {
    /// Goes over to a search that differs in its limits only: what was learnt of the tensors stays
    /// known, and only those that get another format are encoded again.
    pub fn resize(
        &mut self,
        search: &'p Search<'s, 'a>,
        from: &Reached,
    ) -> Result<Reached, SearchError> {
        self.search = search;
        self.formats.search = search;
        let choice = self.formats.allocate_bytes(&BTreeMap::new());
        let predicted = self.expected(from, &choice);
        let Some(Changed { group, reached }) = self.changed(from, choice, predicted)? else {
            return Ok(from.clone());
        };
        let encoded = self.formats.chosen(&group, &reached.choice);
        self.log.note(self.step_to(StepKind::Resize, &reached, encoded));
        Ok(reached)
    }

    /// Exchanges formats at equal bytes, as long as that gained something at the size before: if it
    /// does not, what the costliest tensors are predicted to lose is not far off at the next size,
    /// either.
    pub fn exchange_while(
        &mut self,
        gains: &mut bool,
        reached: Reached,
    ) -> Result<Reached, SearchError> {
        if !*gains {
            self.log.record.bound_by = Some(self.formats.bound());
            return Ok(reached);
        }
        let before = reached.choice.clone();
        let better = self.exchange(reached)?;
        *gains = better.choice != before;
        Ok(better)
    }
}
