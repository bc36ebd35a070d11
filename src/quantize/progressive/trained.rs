//! Training of what the search found, measured as the search is.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use crate::gguf::{Format, Gguf};
use crate::model::Role;
use crate::quantize::encoded::Encodings;
use crate::quantize::search::{Search, SearchError, StepKind, TrainedRound};
use crate::quantize::training::{
    BlockTraining, Check, EndToEnd, EndToEndTraining, Trained, TrainedBlock, Training,
    train_blocks, train_end_to_end,
};

use super::fitting::{CLOSE, Tries};
use super::{Progressive, Reached};

/// What training is expected to leave of the KLD, before any was tried, as it does of SmolLM2's at
/// `--accuracy 0.02`; the first round corrects it.
pub const EXPECTED_SHARE: f64 = 0.8;
/// Rounds of training, at most.
const ROUNDS: usize = 2;
/// Where training gives a model of a KLD in these shares of the allowed one, formats that are changed
/// afterwards do the rest, and another round is not worth its time.
const NEAR: RangeInclusive<f64> = 0.8..=1.1;

impl Progressive<'_, '_, '_> {
    /// Trains a finished model.
    pub fn train_finished(&mut self, encodings: Encodings) -> Result<Encodings, SearchError> {
        let kld = self.record.measured_kld;
        let before = Measured { encodings, kld };
        let Measured { encodings, kld } = self.train(before, EXPECTED_SHARE * kld, 1)?;
        self.record.measured_kld = kld;
        Ok(encodings)
    }

    /// Changes formats and trains until the trained model is as small as the allowed KLD lets it be.
    pub fn fit_and_train(
        &mut self,
        reached: Reached,
        allowed: f64,
    ) -> Result<Reached, SearchError> {
        let mut tries = Tries { allowed, within: None, above: None };
        let mut share = EXPECTED_SHARE;
        let mut untrained = self.fit(reached, allowed / share)?;
        for rounds_left in (1..=ROUNDS).rev() {
            let Reached { encodings, kld, .. } = untrained.clone();
            let predicted = share * kld;
            let trained = self.train(Measured { encodings, kld }, predicted, rounds_left)?;
            let Measured { encodings, kld } = trained;
            share = if untrained.kld > 0.0 { kld / untrained.kld } else { 1.0 };
            let choice = untrained.choice.clone();
            tries.add(self, Reached { choice, encodings, predicted, kld });
            if NEAR.contains(&(kld / allowed)) || rounds_left == 1 {
                break;
            }
            // Its training may give a little less.
            let aimed = allowed * (1.0 - 0.5 * CLOSE);
            let next = self.fit(untrained.clone(), aimed / share)?;
            if next.choice == untrained.choice {
                break;
            }
            untrained = next;
        }
        let best = tries.within.or(tries.above).unwrap_or(untrained);
        // What is still missing, or to spare, a few tensors make good.
        self.fit(best, allowed)
    }

    /// Trains a model, of which this KLD is predicted then, and which is left as it is where it
    /// loses more for it. So many rounds share the time that is left.
    fn train(
        &mut self,
        before: Measured,
        predicted: f64,
        rounds: usize,
    ) -> Result<Measured, SearchError> {
        let time = self.time_left().map(|time| time / rounds as u32);
        let Trained { encodings, blocks, seconds } = self.train_blocks(&before.encodings, time)?;
        let mut after = self.measured(encodings)?;
        let (since, mut end_to_end) = (Instant::now(), Vec::new());
        let tokens = self.tokens_within(time, seconds, &blocks);
        if tokens > 0 {
            let best = if after.kld < before.kld { &after } else { &before };
            let (encodings, checks) = self.train_whole(&best.encodings, tokens)?;
            after = self.measured(encodings)?;
            end_to_end = checks;
        }
        let better = after.kld < before.kld;
        self.note(StepKind::Train, (&[], &[]), predicted, after.kld, better);
        self.record.trained.push(TrainedRound {
            untrained_kld: before.kld,
            trained_kld: after.kld,
            seconds: seconds + since.elapsed().as_secs_f64(),
            layers: blocks,
            end_to_end,
        });
        Ok(if better { after } else { before })
    }

    /// Trains layer by layer.
    fn train_blocks(
        &self,
        encodings: &Encodings,
        time: Option<Duration>,
    ) -> Result<Trained, SearchError> {
        let Search { model, config, sequences: learn, held_out, work, progress, .. } = *self.search;
        let training = Training::default();
        let gain_rate = self.gain_rate(training.gain_rate);
        let training = Training { seed: config.seed, gain_rate, ..training };
        let round = self.record.trained.len();
        train_blocks(
            &BlockTraining { model, learn, held_out, training, time, round, work, progress },
            encodings,
        )
    }

    /// Trains all layers together.
    fn train_whole(
        &self,
        encodings: &Encodings,
        tokens: usize,
    ) -> Result<(Encodings, Vec<Check>), SearchError> {
        let Search { model, config, sequences: learn, held_out, work, progress, .. } = *self.search;
        let training = EndToEndTraining::default();
        let gain_rate = self.gain_rate(training.gain_rate);
        let training = EndToEndTraining { seed: config.seed, gain_rate, ..training };
        let round = self.record.trained.len();
        train_end_to_end(
            &EndToEnd { model, learn, held_out, tokens, training, round, work, progress },
            encodings,
        )
    }

    /// The rate of gains, which do not learn where the file cannot hold what they would.
    fn gain_rate(&self, rate: f32) -> f32 {
        if norms_are_f32(self.search.gguf) { rate } else { 0.0 }
    }

    /// A model of encodings that the file can hold.
    fn measured(&mut self, mut encodings: Encodings) -> Result<Measured, SearchError> {
        if !norms_are_f32(self.search.gguf) {
            encodings.retain(|_, encoded| encoded.format != Format::F32);
        }
        Ok(Measured { kld: self.whole_kld(&encodings)?, encodings })
    }

    /// The tokens that the whole model learns from: as many as were asked for, as far as there is
    /// time, where training layer by layer took so long.
    fn tokens_within(
        &self,
        time: Option<Duration>,
        seconds: f64,
        blocks: &[TrainedBlock],
    ) -> usize {
        /// A token costs twice as much end to end: each layer is passed twice on the way there, and
        /// then there are the full-precision model and the output head.
        const DEARER: f64 = 2.0;
        let asked = self.search.config.train_tokens;
        let Some(time) = time else { return asked };
        let text: usize = self.search.sequences.iter().map(|tokens| tokens.len()).sum();
        let passes: usize = blocks.iter().map(|block| block.passes).sum();
        let of_all_layers = (text * passes) as f64 / self.search.model.shape.layers as f64;
        let left = time.as_secs_f64() - seconds;
        if of_all_layers == 0.0 || left <= 0.0 {
            return 0;
        }
        asked.min((left / (DEARER * seconds / of_all_layers)) as usize)
    }

    /// The time that training may still take, where it is limited.
    fn time_left(&self) -> Option<Duration> {
        let spent: f64 = self.record.trained.iter().map(|round| round.seconds).sum();
        let spent = Duration::from_secs_f64(spent);
        self.search.config.time.map(|time| time.saturating_sub(spent))
    }
}

/// Whether the file can hold any gain that a norm learns: llama.cpp takes norms in F32 only, but not
/// every file is made for it.
fn norms_are_f32(gguf: &Gguf) -> bool {
    let mut norms = gguf.tensors().iter().filter(|tensor| Role::of(&tensor.name) == Role::Norm);
    norms.all(|tensor| tensor.format == Format::F32)
}

/// A model, and its KLD as measured.
struct Measured {
    encodings: Encodings,
    kld: f64,
}
