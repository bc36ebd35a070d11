//! Training of what the search found, measured as the search is.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::gguf::{Format, Gguf};
use crate::model::{Role, layer_part};
use crate::quantize::encoded::Encodings;
use crate::quantize::error::SearchError;
use crate::quantize::record::{Step, StepKind, TrainedRound};
use crate::quantize::search::{Search, expected_share};
use crate::quantize::training::{
    BlockTraining, EndToEnd, EndToEndTraining, StepLengths, TokenCost, Trained, TrainedWhole,
    Training, train_blocks, train_end_to_end,
};

use super::Progressive;
use super::fitting::{CLOSE, Tries};
use super::models::{Measured, Reached};

/// Rounds of training, at most.
const ROUNDS: usize = 2;
/// Where training gives a model of a KLD in these shares of the allowed one, formats that are changed
/// afterwards do the rest, and another round is not worth its time.
const NEAR: RangeInclusive<f64> = 0.8..=1.1;

impl Progressive<'_, '_, '_> {
    /// Trains a finished model.
    pub fn train_finished(&mut self, before: Measured) -> Result<Encodings, SearchError> {
        let expected = expected_share(self.search.config) * before.losses.mean();
        let Measured { encodings, losses } = self.train(before, expected)?;
        self.log.record.measured_kld = losses.mean();
        Ok(encodings)
    }

    /// Changes formats and trains until the trained model is as small as the allowed KLD lets it be.
    pub fn fit_and_train(
        &mut self,
        reached: Reached,
        allowed: f64,
    ) -> Result<Reached, SearchError> {
        let mut tries = Tries { allowed, within: None, above: None };
        let mut share = expected_share(self.search.config);
        let mut untrained = self.fit(reached, allowed / share)?;
        for rounds_left in (1..=ROUNDS).rev() {
            let Reached { choice, encodings, losses, .. } = untrained.clone();
            let before = losses.mean();
            let predicted = share * before;
            let Measured { encodings, losses } =
                self.train(Measured { encodings, losses }, predicted)?;
            let kld = losses.mean();
            share = if before > 0.0 { kld / before } else { 1.0 };
            tries.add(&self.formats, Reached { choice, encodings, predicted, losses });
            let used = self.log.record.trained.last().map_or(0.0, |round| round.seconds);
            let is_time = self.time_left().is_none_or(|left| left.as_secs_f64() >= used);
            if NEAR.contains(&(kld / allowed)) || rounds_left == 1 || !is_time {
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

    /// Trains a model, of which this KLD is predicted then: layer by layer, then end to end where that
    /// is asked for. The best of them by what is aimed at is returned, which is the model as it was
    /// if nothing is gained but noise.
    fn train(&mut self, before: Measured, predicted: f64) -> Result<Measured, SearchError> {
        let (time, aim) = (self.time_left(), self.search.aim);
        let by_layers = self.train_blocks(&before.encodings, time)?;
        let left = time.map(|time| time.saturating_sub(Duration::from_secs_f64(by_layers.seconds)));
        let tokens = self.tokens_end_to_end(left, &by_layers)?;
        let tokens_left = self.search.config.train_tokens - tokens;
        let Trained { encodings, blocks: layers, left: layers_left, mut seconds, .. } = by_layers;
        let mut after = self.measured(encodings)?;
        let mut end_to_end = Vec::new();
        if tokens > 0 {
            let best = if aim.prefers(&after.losses, &before.losses) { &after } else { &before };
            let whole = self.train_whole(&best.encodings, tokens)?;
            let trained = self.measured(whole.encodings)?;
            after = after.or_better(trained, aim);
            seconds += whole.seconds;
            end_to_end = whole.checks;
        }
        let (untrained_kld, trained_kld) = (before.losses.mean(), after.losses.mean());
        let kept = aim.prefers(&after.losses, &before.losses);
        let noise = Some(before.losses.gain_of(&after.losses, (1.0, 1.0)).error);
        self.log.rounds += 1;
        self.log.note(Step {
            kind: StepKind::Train,
            encoded: Vec::new(),
            bytes: self.file_bytes(&after.encodings),
            predicted_kld: predicted,
            measured_kld: trained_kld,
            noise,
            kept,
        });
        self.log.record.trained.push(TrainedRound {
            untrained_kld,
            trained_kld,
            kept,
            seconds,
            layers,
            layers_left,
            end_to_end,
            tokens_left,
        });
        Ok(if kept { after } else { before })
    }

    /// Trains layer by layer.
    fn train_blocks(
        &self,
        encodings: &Encodings,
        time: Option<Duration>,
    ) -> Result<Trained, SearchError> {
        let Search { model, config, sequences: learn, held_out, work, progress, .. } = *self.search;
        let training = Training::default();
        let longest = self.step_lengths(training.longest);
        let training = Training { seed: config.seed, longest, ..training };
        let round = self.log.rounds;
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
    ) -> Result<TrainedWhole, SearchError> {
        let Search { model, config, sequences: learn, held_out, work, progress, .. } = *self.search;
        let training = EndToEndTraining::default();
        let longest = self.step_lengths(training.longest);
        let training = EndToEndTraining { seed: config.seed, longest, ..training };
        let round = self.log.rounds;
        train_end_to_end(
            &EndToEnd { model, learn, held_out, tokens, training, round, work, progress },
            encodings,
        )
    }

    /// How far steps go: gains do not learn where the file cannot hold what they would.
    fn step_lengths(&self, longest: StepLengths) -> StepLengths {
        let gains = if norms_are_f32(self.search.gguf) { longest.gains } else { 0.0 };
        StepLengths { gains, ..longest }
    }

    /// A model of encodings that the file can hold.
    fn measured(&mut self, mut encodings: Encodings) -> Result<Measured, SearchError> {
        if !norms_are_f32(self.search.gguf) {
            encodings.retain(|_, encoded| encoded.format != Format::F32);
        }
        Ok(Measured { losses: self.whole_losses(&encodings)?, encodings })
    }

    /// The tokens that the whole model learns from: as many as were asked for, as far as they can be
    /// learnt from in the time that is left, where training layer by layer took so long. Kept, as a
    /// run that goes on would find another time.
    fn tokens_end_to_end(
        &self,
        left: Option<Duration>,
        by_layers: &Trained,
    ) -> Result<usize, SearchError> {
        let asked = self.search.config.train_tokens;
        let Some(left) = left.filter(|_| asked > 0) else { return Ok(asked) };
        let name = format!("end-to-end-{}-tokens", self.log.rounds);
        self.search.work.remember(&name, || Ok(self.affordable(asked, left, by_layers)))
    }

    /// The tokens, of those that are asked for, that can be learnt from end to end in this time; 0
    /// where they would be too few.
    fn affordable(&self, asked: usize, time: Duration, by_layers: &Trained) -> usize {
        /// Fewer do nothing for the model, unless no more are asked for.
        const LEAST_STEPS: usize = 16;
        let Search { model, gguf, sequences, held_out, .. } = *self.search;
        let tokens = |text: &[&[u32]]| text.iter().map(|tokens| tokens.len()).sum::<usize>();
        if by_layers.blocks.is_empty() {
            return 0;
        }
        let learnt: usize = by_layers.blocks.iter().map(|block| block.tokens).sum();
        let of_steps = match by_layers.seconds_of_steps {
            // Of a single step nothing is known.
            0.0 => by_layers.seconds,
            seconds => seconds,
        };
        let seconds = of_steps / learnt as f64 * model.shape.layers as f64;
        let of_layers = gguf.tensors().iter().filter(|tensor| layer_part(&tensor.name).is_some());
        let weights = of_layers.map(|tensor| tensor.elements() as usize).sum();
        let cost = TokenCost::new(weights, model.shape.width * model.weights.vocabulary());
        let EndToEndTraining { checks, batch, .. } = EndToEndTraining::default();
        let affordable = cost.affordable(time, seconds, (checks + 1) * tokens(held_out));
        let least = LEAST_STEPS * batch * tokens(sequences) / sequences.len();
        if affordable < least.min(asked) { 0 } else { affordable.min(asked) }
    }

    /// The time that training may still take, where it is limited.
    fn time_left(&self) -> Option<Duration> {
        let spent: f64 = self.log.record.trained.iter().map(|round| round.seconds).sum();
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
