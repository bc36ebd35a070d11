//! Who reads the residual stream, and how much each channel of it weighs for them.

use rayon::prelude::*;

use crate::model::{Gain, Model};

/// Tokens of one task.
const TOKENS: usize = 512;

/// How much an error in each channel of the residual stream after a layer weighs.
///
/// The later layers and the output head read the stream through norms, which divide it by its root
/// mean square and multiply each channel with a gain. So an error weighs as the square of the gain,
/// as a share of all that the reader sees; all readers count alike. Where gains differ little, as in
/// Llama models, so do these weights; in Gemma models some channels are a thousand times as large as
/// others, and have gains that are as much smaller.
///
/// `stream` is the stream after `layer` in full precision: tokens x width.
pub fn channel_weights(model: &Model, layer: usize, stream: &[f32]) -> Vec<f32> {
    let width = model.shape.width;
    let squares = mean_squares(stream, width);
    let later = model.weights.layers[layer + 1..].iter();
    // Who reads the stream as it is reads all channels alike.
    let as_it_is = vec![1.0; width];
    let mut weights = vec![0.0; width];
    let gains = later.flat_map(|layer| {
        [Gain::Attention, Gain::Ffn].map(|gain| layer.gain(gain).unwrap_or(&as_it_is))
    });
    for gains in gains.chain([&model.weights.output_norm[..]]) {
        let seen =
            gains.iter().zip(&squares).map(|(gain, square)| f64::from(*gain).powi(2) * square);
        let seen: f64 = seen.sum();
        // Reads nothing, so that no error reaches it.
        if seen == 0.0 {
            continue;
        }
        for (weight, gain) in weights.iter_mut().zip(gains) {
            *weight += f64::from(*gain).powi(2) / seen;
        }
    }
    weights.into_iter().map(|weight| weight as f32).collect()
}

/// The mean over tokens of each channel's square, as a share of the token's.
fn mean_squares(stream: &[f32], width: usize) -> Vec<f64> {
    let square = |x: &f32| f64::from(*x).powi(2);
    let tasks = stream.par_chunks(TOKENS * width).map(|tokens| {
        let mut shares = vec![0.0; width];
        for token in tokens.chunks_exact(width) {
            let size = token.iter().map(square).sum::<f64>().max(f64::MIN_POSITIVE);
            shares.iter_mut().zip(token).for_each(|(share, x)| *share += square(x) / size);
        }
        shares
    });
    // In the order of the text, so that any number of threads gives the same.
    let tasks: Vec<Vec<f64>> = tasks.collect();
    let tokens = (stream.len() / width).max(1) as f64;
    let mean = |channel: usize| tasks.iter().map(|shares| shares[channel]).sum::<f64>() / tokens;
    (0..width).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::Gguf;

    fn tiny() -> Gguf {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tiny.gguf");
        Gguf::open(path.as_ref()).unwrap()
    }

    /// A stream whose channels are of these sizes.
    fn stream(sizes: &[f32]) -> Vec<f32> {
        (0..6).flat_map(|t| sizes.iter().map(move |x| if t % 2 == 0 { *x } else { -x })).collect()
    }

    #[test]
    fn after_the_last_layer_only_the_head_reads() {
        let gguf = tiny();
        let mut model = Model::of(&gguf).unwrap();
        let (width, last) = (model.shape.width, model.shape.layers - 1);
        model.weights.output_norm = (0..width).map(|i| if i == 0 { 0.001 } else { 2.0 }).collect();
        let mut sizes = vec![1.0; width];
        sizes[0] = 1000.0;
        let weights = channel_weights(&model, last, &stream(&sizes));
        assert!(
            (weights[0] / weights[1] * 4e6 - 1.0).abs() < 1e-3,
            "{} {}",
            weights[0],
            weights[1]
        );
        // An error of one percent of each channel is one of one percent of what is read.
        let all: f32 = sizes.iter().zip(&weights).map(|(x, weight)| x * x * weight).sum();
        let square: f32 = sizes.iter().map(|x| x * x).sum();
        assert!((all / square - 1.0).abs() < 1e-3, "{all} for {square}");
    }

    #[test]
    fn all_readers_count_alike() {
        let gguf = tiny();
        let mut model = Model::of(&gguf).unwrap();
        let (width, last) = (model.shape.width, model.shape.layers - 1);
        let only = |channel: usize, gain: f32| {
            (0..width).map(|i| if i == channel { gain } else { 0.0 }).collect::<Vec<f32>>()
        };
        model.weights.output_norm = only(0, 1.0);
        model.weights.layers[last][Gain::Attention] = only(1, 50.0);
        model.weights.layers[last][Gain::Ffn] = only(1, 0.02);
        let weights = channel_weights(&model, last - 1, &stream(&vec![3.0; width]));
        assert!((weights[1] / weights[0] - 2.0).abs() < 1e-5, "{} {}", weights[0], weights[1]);
        assert!(weights[2..].iter().all(|weight| *weight == 0.0));
        // One that reads only what is always 0 reads nothing.
        model.weights.layers[last][Gain::Attention] = only(2, 1.0);
        let mut sizes = vec![3.0; width];
        sizes[2] = 0.0;
        let weights = channel_weights(&model, last - 1, &stream(&sizes));
        assert!(weights[1] > 0.0 && weights[2] == 0.0, "{} {}", weights[1], weights[2]);
    }
}
