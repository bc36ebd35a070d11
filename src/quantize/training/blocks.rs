//! All layers, one after another: the memory of one, and the text before it.

use serde::{Deserialize, Serialize};

use crate::gguf::Format;
use crate::model::{Gain, Layer, LayerPlace, Map, Model, Stepwise};
use crate::progress::{Amount, Progress};
use crate::quantize::encoded::{Encoded, Encodings, with_encodings};
use crate::quantize::search::SearchError;
use crate::work::Work;

use super::examples::Examples;
use super::layer::{Training, train_layer};
use super::parts::{beginning, name, part_names, parts};

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
    /// Where finished layers are kept.
    pub work: &'b Work,
    /// Hears how far it is.
    pub progress: &'b dyn Progress,
}

/// How training one layer went.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TrainedBlock {
    /// Counted from 0.
    pub layer: usize,
    /// The squared error of what the layer gives, as a share of its square, on held-out text,
    /// before.
    pub before: f64,
    /// And after.
    pub after: f64,
}

/// Trains the layers of a quantized model, whose tensors are `encodings`; those of them that are
/// matrices of layers in block formats, and the norms of these layers, are returned trained, in the
/// place of what they were. A layer that is no better for it stays what it was.
pub fn train_blocks(
    context: &BlockTraining,
    encodings: &Encodings,
) -> Result<(Encodings, Vec<TrainedBlock>), SearchError> {
    let &BlockTraining { model, learn, held_out, training, progress, .. } = context;
    let sequences = [learn, held_out].concat();
    let lengths: Vec<usize> = sequences.iter().map(|tokens| tokens.len()).collect();
    let of_layer = lengths[..learn.len()].iter().sum::<usize>() * training.passes;
    progress.start("training", Amount::Tokens((of_layer * model.shape.layers) as u64));

    let quantized = with_encodings(model, encodings);
    let mut full_stream = Stepwise::start(model, &sequences)?;
    let mut stream = Stepwise::start(&quantized, &sequences)?;
    let (mut trained, mut records) = (encodings.clone(), Vec::new());
    for (number, full) in model.weights.layers.iter().enumerate() {
        full_stream.advance(full)?;
        let mut layer: Layer = quantized.weights.layers[number].clone();
        let parts = parts(encodings, number);
        let mut advanced = 0;
        if !parts.is_empty() {
            let examples = Examples {
                width: model.shape.width,
                lengths: &lengths,
                inputs: stream.stream(),
                targets: full_stream.stream(),
                learnt: learn.len(),
            };
            let block = Block { context, number, full, start: &layer, parts: &parts, examples };
            let (record, learnt) = block.learnt(&mut |tokens| {
                advanced += tokens;
                progress.advance(tokens as u64);
            })?;
            if record.after < record.before {
                trained.extend(learnt);
            }
            records.push(record);
        }
        progress.advance((of_layer - advanced) as u64);
        let names = part_names(number);
        for (name, encoded) in names.filter_map(|name| trained.get_key_value(&name)) {
            layer.replace(name, encoded.format, &encoded.bytes);
        }
        stream.advance(&layer)?;
    }
    progress.finish();
    Ok((trained, records))
}

/// One layer to train.
struct Block<'b, 'a> {
    context: &'b BlockTraining<'b, 'a>,
    number: usize,
    full: &'b Layer<'a>,
    /// As the quantized model has it.
    start: &'b Layer<'b>,
    parts: &'b [(Map, &'b Encoded)],
    examples: Examples<'b>,
}

impl Block<'_, '_> {
    /// The layer, trained now or by an earlier run.
    fn learnt(
        &self,
        on_tokens: &mut dyn FnMut(usize),
    ) -> Result<(TrainedBlock, Encodings), SearchError> {
        let mut made = None;
        let record = self.context.work.remember(&format!("trained-{}", self.number), || {
            let (record, encodings) = self.train(on_tokens)?;
            made = Some(encodings);
            Ok::<_, SearchError>(record)
        })?;
        match made.or_else(|| self.kept()) {
            Some(encodings) => Ok((record, encodings)),
            None => self.train(on_tokens),
        }
    }

    fn train(
        &self,
        on_tokens: &mut dyn FnMut(usize),
    ) -> Result<(TrainedBlock, Encodings), SearchError> {
        let BlockTraining { model, training, work, .. } = *self.context;
        let dense = beginning(self.start, self.full, self.parts);
        let longest = self.examples.lengths.iter().max().copied().unwrap_or(0);
        let place = LayerPlace::new(model, self.number, longest);
        let seed = training.seed.wrapping_add(self.number as u64);
        let training = Training { seed, ..training };
        let layer = train_layer(&place, dense, self.parts, self.examples, training, on_tokens);
        let record = TrainedBlock { layer: self.number, before: layer.before, after: layer.after };
        tracing::info!(layer = self.number, before = layer.before, after = layer.after, "trained");
        let mut contents = layer.contents;
        let encodings = self.entries().into_iter().map(|entry| {
            let bytes = contents.remove(entry.part).unwrap_or_default();
            let bytes =
                work.remember_bytes::<SearchError>(&entry.kept_as, Some(entry.bytes), || {
                    Ok(bytes)
                })?;
            Ok((name(self.number, entry.part), Encoded { format: entry.format, bytes }))
        });
        Ok((record, encodings.collect::<Result<_, SearchError>>()?))
    }

    /// What an earlier run kept, where it is whole.
    fn kept(&self) -> Option<Encodings> {
        let kept = self.entries().into_iter().map(|entry| {
            let bytes = self.context.work.recall_bytes(&entry.kept_as, Some(entry.bytes))?;
            Some((name(self.number, entry.part), Encoded { format: entry.format, bytes }))
        });
        kept.collect()
    }

    /// All that is trained in the layer.
    fn entries(&self) -> Vec<Entry> {
        let entry = |part: &'static str, format: Format, bytes: usize| Entry {
            part,
            format,
            bytes: bytes as u64,
            kept_as: format!("trained-{}-{part}-{format}", self.number),
        };
        let matrix = |&(map, encoded): &(Map, &Encoded)| {
            entry(map.part(), encoded.format, encoded.bytes.len())
        };
        let gains = self.start.gains();
        let gain = |(gain, values): &(Gain, &Vec<f32>)| {
            entry(gain.part(), Format::F32, size_of_val(&values[..]))
        };
        self.parts.iter().map(matrix).chain(gains.iter().map(gain)).collect()
    }
}

/// A trained tensor.
struct Entry {
    /// Its name in the layer.
    part: &'static str,
    format: Format,
    /// Its length.
    bytes: u64,
    /// Its name in the work folder.
    kept_as: String,
}
