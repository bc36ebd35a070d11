//! What of a layer is trained, and what it is called.

use crate::block::can_encode;
use crate::model::{DenseLayer, Gain, Layer, Linear, Map};
use crate::quantize::encoded::{Encoded, Encodings};

/// The matrices of a layer that can be trained.
pub fn parts(encodings: &Encodings, layer: usize) -> Vec<(Map, &Encoded)> {
    let encoded = |map: Map| encodings.get(&name(layer, map.name())).map(|encoded| (map, encoded));
    let trainable =
        |(_, encoded): &(Map, &Encoded)| can_encode(encoded.format) && !encoded.is_exact;
    Map::ALL.into_iter().filter_map(encoded).filter(trainable).collect()
}

/// What the file calls a part of a layer.
pub fn name(layer: usize, part: &str) -> String {
    format!("blk.{layer}.{part}.weight")
}

/// What the file calls the matrices and norms that a layer may have, between `blk.N.` and `.weight`.
pub fn part_names() -> impl Iterator<Item = &'static str> {
    Map::ALL.map(Map::name).into_iter().chain(Gain::ALL.map(Gain::name))
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
