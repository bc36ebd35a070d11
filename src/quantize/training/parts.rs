//! What of a layer is trained, and what it is called.

use crate::block::can_encode;
use crate::model::{DenseLayer, Gain, Layer, Linear, Map};
use crate::quantize::encoded::{Encoded, Encodings};

/// The matrices of a layer that can be trained: each in a tensor of its own.
pub fn parts<'e>(
    encodings: &'e Encodings,
    number: usize,
    layer: &Layer<Linear>,
) -> Vec<(Map, &'e Encoded)> {
    let encoded = |map: Map| {
        let encoded = encodings.get(&name(number, map.name()))?;
        (!layer[map].is_part).then_some((map, encoded))
    };
    let trainable =
        |(_, encoded): &(Map, &Encoded)| can_encode(encoded.format) && !encoded.is_exact;
    Map::ALL.into_iter().filter_map(encoded).filter(trainable).collect()
}

/// What the file calls a part of a layer.
pub fn name(layer: usize, part: &str) -> String {
    format!("blk.{layer}.{part}.weight")
}

/// What the file calls the matrices and norms of a layer, between `blk.N.` and `.weight`.
pub fn part_names(layer: &Layer<Linear>) -> Vec<&'static str> {
    let maps = layer.maps().filter(|(_, linear)| !linear.is_part).map(|(map, _)| map.name());
    maps.chain(Gain::ALL.into_iter().filter_map(|gain| layer.gain_name(gain))).collect()
}

/// What training a layer begins with: the matrices that are trained as they are in full precision,
/// all else as the quantized model has it.
pub fn beginning(
    start: &Layer<Linear>,
    full: &Layer<Linear>,
    parts: &[(Map, &Encoded)],
) -> DenseLayer {
    let (mut dense, full) = (DenseLayer::of(start), DenseLayer::of(full));
    for &(map, _) in parts {
        dense[map].values.clone_from(&full[map].values);
    }
    dense
}
