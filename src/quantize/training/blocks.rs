//! All layers, one after another: the memory of one, and the text before it.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::gguf::Format;
use crate::model::{Gain, Layer, LayerPlace, Linear, Map, Model, Stepwise};
use crate::progress::{Amount, Progress};
use crate::quantize::candidate::Candidate;
use crate::quantize::encoded::{Encoded, Encodings, with_encodings};
use crate::quantize::error::SearchError;
use crate::work::Work;

use super::examples::Examples;
use super::layer::{Learning, TrainedLayer, Training, train_layer};
use super::parts::{beginning, name, part_names, parts};
use super::readers::channel_weights;
use super::time_budget::{LayerTime, TimeBudget};

/// What training works on.
pub struct BlockTraining<'b, 'a> {
    /// In full precision.
    pub model: &'b Model<'a>,
    /// Sequences to learn from.
    pub learn: &'b [&'b [u32]],
    /// Sequences that judge.
    pub held_out: &'b [&'b [u32]],
    /// How layers are trained.
    pub training: Training,
    /// How long it may take. Where that is too short for all steps, there are fewer; where it is
    /// too short for a few, the last layers stay untrained.
    pub time: Option<Duration>,
    /// Names what is kept among all that this run trains.
    pub round: usize,
    /// Where finished layers are kept.
    pub work: &'b Work,
    /// Hears how far it is.
    pub progress: &'b dyn Progress,
}

/// What came of training.
#[derive(Debug, Clone)]
pub struct Trained {
    /// All tensors of the quantized model, those that were trained in the place of what they were.
    pub encodings: Encodings,
    /// How it went, layer by layer.
    pub blocks: Vec<TrainedBlock>,
    /// Layers that there was no time for.
    pub left: usize,
    /// How long it took, over all runs that had a part in it.
    pub seconds: f64,
    /// Of that, the steps alone.
    pub seconds_of_steps: f64,
}

/// How training one layer went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainedBlock {
    /// Counted from 0.
    pub layer: usize,
    /// How many batches it learnt from.
    pub steps: usize,
    /// Their tokens, which text that is read again has again.
    pub tokens: usize,
    /// The squared error of what the layer gives, as a share of its square, each channel weighted
    /// by what it is to those who read it, on held-out text, before.
    pub before: f64,
    /// And after.
    pub after: f64,
    /// The same error after each pass over the text, the last one perhaps over a part of it.
    pub passes: Vec<f64>,
}

/// Trains the layers of a quantized model, whose tensors are `encodings`: the matrices of layers in
/// block formats among them, and the norms of these layers. A layer that is no better for it stays
/// what it was.
pub fn train_blocks(
    context: &BlockTraining,
    encodings: &Encodings,
) -> Result<Trained, SearchError> {
    let &BlockTraining { model, learn, held_out, training, time, progress, .. } = context;
    let sequences = [learn, held_out].concat();
    let lengths: Vec<usize> = sequences.iter().map(|tokens| tokens.len()).collect();
    let learnt_tokens: usize = lengths[..learn.len()].iter().sum();
    let tokens = learnt_tokens * training.passes;
    let layers = model.shape.layers;
    progress.start("training", Amount::Tokens((tokens * layers) as u64));

    let mut since = Instant::now();
    let mut budget = TimeBudget::new(time);
    let quantized = with_encodings(model, encodings);
    let mut full_stream = Stepwise::start(model, &sequences)?;
    let mut stream = Stepwise::start(&quantized, &sequences)?;
    let mut trained = Trained {
        encodings: encodings.clone(),
        blocks: Vec::new(),
        left: 0,
        seconds: 0.0,
        seconds_of_steps: 0.0,
    };
    for (number, full) in model.weights.layers.iter().enumerate() {
        full_stream.advance(full)?;
        let mut layer = quantized.weights.layers[number].clone();
        let here = parts(encodings, number, &layer);
        let mut advanced = 0;
        if !here.is_empty() {
            let learnt_stream = &full_stream.stream()[..learnt_tokens * model.shape.width];
            let channel_weights = channel_weights(model, number, learnt_stream);
            let examples = Examples {
                channel_weights: &channel_weights,
                lengths: &lengths,
                inputs: stream.stream(),
                targets: full_stream.stream(),
                learnt: learn.len(),
            };
            let block = Block { context, number, full, start: &layer, parts: &here, examples };
            let learnt = block.learnt(budget, since, &mut |step| {
                advanced += step.tokens;
                progress.tell(&format!(
                    "layer {} of {layers}: error {:.3e}, on held-out text {:.3e}",
                    number + 1,
                    step.loss,
                    step.held_out
                ));
                progress.advance(step.tokens as u64);
            })?;
            let Some(Learnt { kept: Kept { block, time }, encodings: of_layer }) = learnt else {
                let is_left = |&layer: &usize| {
                    !parts(encodings, layer, &model.weights.layers[layer]).is_empty()
                };
                trained.left = (number..layers).filter(is_left).count();
                break;
            };
            budget.spend(time, block.steps);
            trained.seconds += time.seconds(block.steps);
            trained.seconds_of_steps += time.step * block.steps as f64;
            if block.after < block.before {
                trained.encodings.extend(of_layer);
            }
            trained.blocks.push(block);
            since = Instant::now();
        }
        progress.advance((tokens - advanced) as u64);
        if number + 1 == layers {
            break;
        }
        for part in part_names(&layer) {
            if let Some(encoded) = trained.encodings.get(&name(number, part)) {
                let is_known = layer.replace(part, encoded.format, &encoded.bytes);
                debug_assert!(is_known, "{part} is a tensor of the layer");
            }
        }
        stream.advance(&layer)?;
    }
    progress.finish();
    Ok(trained)
}

/// One layer to train.
struct Block<'b, 'a> {
    context: &'b BlockTraining<'b, 'a>,
    number: usize,
    full: &'b Layer<Linear<'a>>,
    /// As the quantized model has it.
    start: &'b Layer<Linear<'b>>,
    parts: &'b [(Map, &'b Encoded)],
    examples: Examples<'b>,
}

/// A layer that was trained.
struct Learnt {
    kept: Kept,
    encodings: Encodings,
}

/// What is kept of a layer beside its tensors.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    block: TrainedBlock,
    /// From the end of the layer before on.
    time: LayerTime,
}

impl Block<'_, '_> {
    /// The layer, trained now or by an earlier run; `None` where there was no time for it. What is
    /// done for it began at `since`.
    fn learnt(
        &self,
        budget: TimeBudget,
        since: Instant,
        on_step: &mut dyn FnMut(Learning),
    ) -> Result<Option<Learnt>, SearchError> {
        let BlockTraining { model, training, work, .. } = *self.context;
        let mut made = None;
        let kept = work.remember(&self.kept_as("layer"), || {
            let layers = model.shape.layers - self.number;
            let all = training.steps(self.examples.learnt);
            let mut tried = 0.0;
            let steps = budget.steps(all, layers, || {
                let (start, around) = (Instant::now(), since.elapsed().as_secs_f64());
                let step = self.trial();
                tried = start.elapsed().as_secs_f64();
                // So far the full-precision layer has passed the text; the quantized one will too.
                LayerTime { tried, around: 2.0 * around, step }
            });
            if steps == 0 {
                return Ok(None);
            }
            let mut ends = Vec::new();
            let (block, encodings) = self.train(steps, &mut |learning| {
                ends.push(Instant::now());
                on_step(learning);
            })?;
            made = Some(encodings);
            let step = seconds_of_a_step(&ends);
            let around = since.elapsed().as_secs_f64() - tried - step * steps as f64;
            let time = LayerTime { tried, around, step };
            Ok::<_, SearchError>(Some(Kept { block, time }))
        })?;
        let Some(kept) = kept else { return Ok(None) };
        let encodings = match made.or_else(|| self.recalled(kept.block.steps)) {
            Some(encodings) => encodings,
            None => self.train(kept.block.steps, on_step)?.1,
        };
        Ok(Some(Learnt { kept, encodings }))
    }

    /// Seconds that a step takes, by two of them whose results are dropped.
    fn trial(&self) -> f64 {
        let Examples { lengths, learnt, .. } = self.examples;
        let examples = Examples { lengths: &lengths[..learnt], ..self.examples };
        let mut ends = Vec::new();
        self.train_on(examples, 2, &mut |_| ends.push(Instant::now()));
        seconds_of_a_step(&ends)
    }

    fn train_on(
        &self,
        examples: Examples,
        steps: usize,
        on_step: &mut dyn FnMut(Learning),
    ) -> TrainedLayer {
        let BlockTraining { model, training, .. } = *self.context;
        let dense = beginning(self.start, self.full, self.parts);
        let longest = examples.lengths.iter().max().copied().unwrap_or(0);
        let place = LayerPlace::new(model, self.number, longest);
        let seed = training.seed.wrapping_add(self.number as u64);
        let training = Training { seed, ..training };
        train_layer(&place, dense, self.parts, examples, training, steps, on_step)
    }

    fn train(
        &self,
        steps: usize,
        on_step: &mut dyn FnMut(Learning),
    ) -> Result<(TrainedBlock, Encodings), SearchError> {
        let mut tokens = 0;
        let layer = self.train_on(self.examples, steps, &mut |learning| {
            tokens += learning.tokens;
            on_step(learning);
        });
        let TrainedLayer { before, after, passes, contents: mut trained } = layer;
        let block = TrainedBlock { layer: self.number, steps, tokens, before, after, passes };
        tracing::info!(layer = self.number, steps, before, after, "trained");
        let encodings = self.entries(steps).into_iter().map(|entry| {
            let bytes = trained.remove(entry.part).expect("all parts are trained");
            let work = self.context.work;
            let bytes =
                work.remember_bytes::<SearchError>(&entry.kept_as, Some(entry.bytes), || {
                    Ok(bytes)
                })?;
            Ok((name(self.number, entry.part), Encoded::new(entry.to, bytes)))
        });
        Ok((block, encodings.collect::<Result<_, SearchError>>()?))
    }

    /// What an earlier run kept, where it is whole.
    fn recalled(&self, steps: usize) -> Option<Encodings> {
        let kept = self.entries(steps).into_iter().map(|entry| {
            let bytes = self.context.work.recall_bytes(&entry.kept_as, Some(entry.bytes))?;
            Some((name(self.number, entry.part), Encoded::new(entry.to, bytes)))
        });
        kept.collect()
    }

    /// All that is trained in the layer, in so many steps.
    fn entries(&self, steps: usize) -> Vec<Entry> {
        let entry = |part: &'static str, to: Candidate, bytes: usize| Entry {
            part,
            to,
            bytes: bytes as u64,
            kept_as: self.kept_as(&format!("{part}-{}-{steps}", to.format)),
        };
        let matrix = |&(map, encoded): &(Map, &Encoded)| {
            entry(map.name(), encoded.candidate(), encoded.bytes.len())
        };
        let gain = |(gain, values): (Gain, &Vec<f32>)| {
            let name = self.start.gain_name(gain)?;
            Some(entry(name, Candidate::encoded(Format::F32), size_of_val(&values[..])))
        };
        self.parts.iter().map(matrix).chain(self.start.gains().filter_map(gain)).collect()
    }

    /// The name of something of this layer in the work folder.
    fn kept_as(&self, what: &str) -> String {
        format!("trained-{}-{}-{what}", self.context.round, self.number)
    }
}

/// What a step took, by when steps ended: where there was but one, nothing that is known.
fn seconds_of_a_step(ends: &[Instant]) -> f64 {
    match ends {
        [first, .., last] => last.duration_since(*first).as_secs_f64() / (ends.len() - 1) as f64,
        _ => 0.0,
    }
}

/// A trained tensor.
struct Entry {
    /// Its name in the layer.
    part: &'static str,
    /// What it is encoded in.
    to: Candidate,
    /// Its length.
    bytes: u64,
    /// Its name in the work folder.
    kept_as: String,
}
