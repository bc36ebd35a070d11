//! How far the activations of each layer are from those of the full-precision model, on text that
//! neither the search nor the training learnt from.
//!
//! What is compared is the residual stream after each layer, at positions that are scored: those
//! before them, the first of all, hold the few huge activations that attention is parked on, beside
//! which nothing else would count.

use serde::Serialize;

use super::{Chunks, scored};
use crate::model::{LinearInput, Model, ModelError, Session, Trace, Wanted};

/// Tokens that are looked at, at most.
const TOKENS: usize = 512;
/// Tokens that are read for them.
const READ: usize = 1024;
/// Values of the full-precision model's streams that are kept in memory, 64 MiB of them.
const VALUES: usize = 16 << 20;
/// Bins of a histogram.
const BINS: usize = 64;

/// How far all layers are from those of the full-precision model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alignment {
    /// Tokens whose streams were compared.
    pub tokens: usize,
    /// Layer by layer.
    pub layers: Vec<LayerAlignment>,
}

/// How far the residual stream after one layer is from that of the full-precision model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LayerAlignment {
    /// The layer, counted from 0.
    pub layer: usize,
    /// Change of the mean activation, in standard deviations of the full-precision model's.
    pub mean_drift: f64,
    /// Change of the standard deviation, as a share of the full-precision model's.
    pub deviation_drift: f64,
    /// Jensen-Shannon divergence of the histograms of activations, in bits: 0 for the same, 1 for
    /// two that share nothing. The 64 bins have equal shares of the full-precision model's
    /// activations.
    pub jensen_shannon: f64,
    /// Cosine between both streams, the mean over tokens.
    pub cosine: f64,
    /// Squared distance of both streams as a share of the square of the full-precision model's.
    pub error: f64,
}

impl Alignment {
    /// The layers that are worst aligned, by the divergence of their histograms, the worst first.
    pub fn worst(&self, count: usize) -> Vec<&LayerAlignment> {
        let mut layers: Vec<&LayerAlignment> = self.layers.iter().collect();
        layers.sort_by(|a, b| b.jensen_shannon.total_cmp(&a.jensen_shannon));
        layers.truncate(count);
        layers
    }
}

/// Lets both models, which have the same shape, read the beginning of a text and compares their
/// streams. Memory is bounded, and the result is the same for any number of threads.
pub fn align(base: &Model, quantized: &Model, chunks: &Chunks) -> Result<Alignment, ModelError> {
    let (context, shape) = (chunks.context(), &base.shape);
    let read = (READ / context).clamp(1, chunks.len());
    let inputs: Vec<Vec<u32>> = (0..read).map(|chunk| chunks.input(chunk)).collect();
    let inputs: Vec<&[u32]> = inputs.iter().map(Vec::as_slice).collect();
    let most = (VALUES / (shape.width * shape.layers)).clamp(1, TOKENS);
    let rows = evenly(read, context, most);

    let mut full = Streams { rows: &rows, layers: Vec::new() };
    Session::new(base).hidden(&inputs, Wanted::All, &mut full)?;
    let mut compared = Compared { full: &full, layers: Vec::new() };
    Session::new(quantized).hidden(&inputs, Wanted::All, &mut compared)?;
    Ok(Alignment { tokens: rows.len(), layers: compared.layers })
}

/// Scored positions of the first chunks, as rows of all their tokens: `most` of them, evenly spread.
fn evenly(chunks: usize, context: usize, most: usize) -> Vec<usize> {
    let of_chunk = |chunk: usize| scored(context).map(move |position| chunk * context + position);
    let all: Vec<usize> = (0..chunks).flat_map(of_chunk).collect();
    let count = most.min(all.len());
    (0..count).map(|i| all[i * all.len() / count]).collect()
}

/// The streams of some tokens.
struct Streams<'r> {
    rows: &'r [usize],
    /// Tokens x width, of each layer.
    layers: Vec<Vec<f32>>,
}

impl Streams<'_> {
    fn of(&self, x: &[f32], width: usize) -> Vec<f32> {
        self.rows.iter().flat_map(|row| &x[row * width..][..width]).copied().collect()
    }
}

impl Trace for Streams<'_> {
    fn see(&mut self, _: usize, _: LinearInput, _: &[f32], _: usize) {}

    fn stream(&mut self, _: usize, x: &[f32], width: usize) {
        let kept = self.of(x, width);
        self.layers.push(kept);
    }
}

/// Compares the streams of another model as they come.
struct Compared<'f, 'r> {
    full: &'f Streams<'r>,
    layers: Vec<LayerAlignment>,
}

impl Trace for Compared<'_, '_> {
    fn see(&mut self, _: usize, _: LinearInput, _: &[f32], _: usize) {}

    fn stream(&mut self, layer: usize, x: &[f32], width: usize) {
        let other = self.full.of(x, width);
        self.layers.push(LayerAlignment::of(layer, &self.full.layers[layer], &other, width));
    }
}

impl LayerAlignment {
    /// Of two streams, tokens x width each. Sums run over values in order: the same for any number
    /// of threads.
    fn of(layer: usize, full: &[f32], other: &[f32], width: usize) -> LayerAlignment {
        let (a, b) = (Moments::of(full), Moments::of(other));
        let tokens = full.chunks_exact(width).zip(other.chunks_exact(width));
        let count = (full.len() / width).max(1) as f64;
        LayerAlignment {
            layer,
            mean_drift: share(b.mean - a.mean, a.deviation),
            deviation_drift: share(b.deviation - a.deviation, a.deviation),
            jensen_shannon: jensen_shannon(&histograms(full, other)),
            cosine: tokens.map(|(a, b)| cosine(a, b)).sum::<f64>() / count,
            error: share(
                squares(full.iter().zip(other).map(|(a, b)| a - b)),
                squares(full.iter().copied()),
            ),
        }
    }
}

/// Mean and standard deviation.
struct Moments {
    mean: f64,
    deviation: f64,
}

impl Moments {
    fn of(values: &[f32]) -> Moments {
        let count = values.len().max(1) as f64;
        let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
        let variance = values.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / count;
        Moments { mean, deviation: variance.sqrt() }
    }
}

fn squares(values: impl Iterator<Item = f32>) -> f64 {
    values.map(|x| f64::from(x) * f64::from(x)).sum()
}

/// `part / whole`; of nothing, 0.
fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// Of zeros with zeros, 1.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot: f64 = a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
    let lengths = (squares(a.iter().copied()) * squares(b.iter().copied())).sqrt();
    if lengths > 0.0 { dot / lengths } else { f64::from(a == b) }
}

/// Shares of both in bins that have equal shares of `full`, as far as its values differ.
fn histograms(full: &[f32], other: &[f32]) -> [[f64; BINS]; 2] {
    let mut sorted = full.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    let edges: Vec<f32> =
        (1..BINS).filter_map(|bin| sorted.get(bin * sorted.len() / BINS)).copied().collect();
    [full, other].map(|values| {
        let mut shares = [0.0; BINS];
        for &value in values {
            shares[edges.partition_point(|&edge| edge <= value)] += 1.0;
        }
        shares.map(|count: f64| share(count, values.len() as f64))
    })
}

/// In bits.
fn jensen_shannon([p, q]: &[[f64; BINS]; 2]) -> f64 {
    let half = |of: &[f64; BINS]| {
        let terms = p.iter().zip(q).zip(of).filter(|(_, share)| **share > 0.0);
        terms.map(|((p, q), share)| 0.5 * share * (2.0 * share / (p + q)).log2()).sum::<f64>()
    };
    // Rounding may leave a hair less than nothing.
    (half(p) + half(q)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block;
    use crate::gguf::{Format, Gguf};

    fn tiny() -> Gguf {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tiny.gguf");
        Gguf::open(path.as_ref()).unwrap()
    }

    fn text() -> Chunks {
        let tokens: Vec<u32> = (0..64 * 40).map(|i| i * 29 % 2000).collect();
        Chunks::new(tokens, 64, None, Some(1)).unwrap()
    }

    #[test]
    fn a_model_is_aligned_with_itself() {
        let gguf = tiny();
        let model = Model::of(&gguf).unwrap();
        let Alignment { tokens, layers } = align(&model, &model, &text()).unwrap();
        assert_eq!((tokens, layers.len()), (16 * 31, 4));
        for (i, layer) in layers.iter().enumerate() {
            assert_eq!(layer.layer, i);
            let LayerAlignment { mean_drift, deviation_drift, jensen_shannon, error, .. } = *layer;
            assert_eq!([mean_drift, deviation_drift, jensen_shannon, error], [0.0; 4]);
            assert!((layer.cosine - 1.0).abs() < 1e-9);
        }
    }

    /// Rounds one tensor of layer 2.
    fn rounded<'m>(
        model: &Model<'m>,
        gguf: &'m Gguf,
        format: Format,
        bytes: &'m mut Vec<u8>,
    ) -> Model<'m> {
        let name = "blk.2.ffn_down.weight";
        let tensor = gguf.tensor(name).unwrap();
        let mut values = vec![0.0; tensor.elements() as usize];
        block::decode(tensor.format, gguf.data(tensor), &mut values);
        *bytes = vec![0; format.bytes_of(tensor.elements()).unwrap() as usize];
        block::encode(format, &values, tensor.row_len(), None, bytes);
        let mut other = model.clone();
        assert!(other.weights.replace(name, format, bytes));
        other
    }

    #[test]
    fn what_is_rounded_moves_its_layer_and_those_after_it() {
        let gguf = tiny();
        let model = Model::of(&gguf).unwrap();
        let (mut four, mut eight) = (Vec::new(), Vec::new());
        let of = |model: &Model| align(&Model::of(&gguf).unwrap(), model, &text()).unwrap();
        let four = of(&rounded(&model, &gguf, Format::Q4_0, &mut four));
        let eight = of(&rounded(&model, &gguf, Format::Q8_0, &mut eight));
        let errors: Vec<f64> = four.layers.iter().map(|layer| layer.error).collect();
        assert_eq!(errors[..2], [0.0; 2]);
        assert!(errors[2] > 0.0 && errors[3] > 0.0, "{errors:?}");
        let [four, eight] = [four, eight].map(|it| it.layers[2]);
        assert!(eight.error < 0.1 * four.error && eight.cosine > four.cosine);
        assert!(four.jensen_shannon > 0.0 && four.jensen_shannon < 0.1);
    }

    #[test]
    fn it_does_not_depend_on_threads() {
        let gguf = tiny();
        let model = Model::of(&gguf).unwrap();
        let mut bytes = Vec::new();
        let other = rounded(&model, &gguf, Format::Q4_0, &mut bytes);
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| align(&model, &other, &text()).unwrap())
        };
        assert_eq!(with(1), with(3));
    }

    #[test]
    fn divergence_is_0_for_the_same_and_1_bit_for_what_shares_nothing() {
        let a: Vec<f32> = (0..640).map(|i| i as f32).collect();
        let far: Vec<f32> = a.iter().map(|x| x + 1e4).collect();
        assert_eq!(jensen_shannon(&histograms(&a, &a)), 0.0);
        // One bin in 64 is shared: the open one at the end.
        let divergence = jensen_shannon(&histograms(&a, &far));
        assert!((0.9..1.0).contains(&divergence), "{divergence}");
        // Two of the 64 bins of a shifted copy fall out at one end, and into the open one at the other.
        let near: Vec<f32> = a.iter().map(|x| x + 20.0).collect();
        let divergence = jensen_shannon(&histograms(&a, &near));
        assert!((0.01..0.1).contains(&divergence), "{divergence}");
    }

    #[test]
    fn drift_is_told_in_the_units_of_the_full_precision_model() {
        let full: Vec<f32> = (0..1000).map(|i| (i % 10) as f32).collect();
        let moved: Vec<f32> = full.iter().map(|x| 1.1 * x + 2.0).collect();
        let found = LayerAlignment::of(7, &full, &moved, 10);
        let deviation = 8.25f64.sqrt();
        assert_eq!(found.layer, 7);
        assert!((found.mean_drift - (0.45 + 2.0) / deviation).abs() < 1e-6, "{found:?}");
        assert!((found.deviation_drift - 0.1).abs() < 1e-6);
        let zeros = LayerAlignment::of(0, &[0.0; 10], &[0.0; 10], 10);
        assert_eq!((zeros.cosine, zeros.error, zeros.jensen_shannon), (1.0, 0.0, 0.0));
    }
}
