//! The backward pass of whole layers, of every option of the architectures, against finite
//! differences of the slow forward pass in 64 bits; and its forward pass against the ordinary one.

mod random_models;

use std::collections::BTreeSet;

use opencog_qat::block;
use opencog_qat::gguf::{Format, Gguf, TensorInfo, TensorSpec, Writer};
use opencog_qat::model::{
    DenseLayer, Gain, LayerPlace, Map, Model, Session, Stepwise, Tape, Untraced, Wanted,
    norm_backward,
};
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;
use random_models::{VARIANTS, Variant, reference};

const TOKENS: u32 = 40;

/// Between them they have every option.
const CHECKED: [&str; 19] = [
    "llama-gqa-tied",
    "llama-untied-bias",
    "llama-rope-freqs",
    "llama-rope-yarn",
    "qwen2-bias-tied",
    "qwen3-bias",
    "qwen3-untied",
    "gemma3-swa",
    "gemma3-dense",
    "gemma2",
    "olmo2-swa-yarn",
    "smollm3",
    "granite",
    "mistral3",
    "phi-fused",
    "glm4",
    "exaone4",
    "seed_oss",
    "ernie4_5",
];

#[test]
fn gradients_are_those_of_the_slow_forward_pass() {
    for name in CHECKED {
        let variant = VARIANTS.iter().find(|variant| variant.name == name).unwrap();
        check(variant);
    }
}

/// The same model in F32, after `change` of each tensor.
fn moved(file: &Gguf, change: impl Fn(&TensorInfo, &mut [f32])) -> Gguf {
    let specs: Vec<_> = file
        .tensors()
        .iter()
        .map(|tensor| TensorSpec { format: Format::F32, ..tensor.spec() })
        .collect();
    let mut writer = Writer::new(Vec::new(), "moved".as_ref(), file.metadata(), &specs).unwrap();
    for tensor in file.tensors() {
        let mut values = values(file, tensor);
        change(tensor, &mut values);
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        writer.tensor_bytes(&bytes).unwrap();
    }
    Gguf::from_bytes("moved", writer.finish().unwrap()).unwrap()
}

fn values(file: &Gguf, tensor: &TensorInfo) -> Vec<f32> {
    let mut values = vec![0.0; tensor.elements() as usize];
    block::decode(tensor.format, file.data(tensor), &mut values);
    values
}

fn check(variant: &Variant) {
    let file = Gguf::from_bytes(variant.name, variant.golden_file()).unwrap();
    // A gain of 0 hides a channel from the maps after it, by whose gradients that of a gain is found.
    let file = moved(&file, |tensor, values| {
        if tensor.name == "blk.0.attn_norm.weight" {
            values[3] = 0.0;
        }
    });
    let model = Model::of(&file).unwrap();
    let vocabulary = model.weights.vocabulary();
    let tokens: Vec<u32> = (0..TOKENS).map(|i| (i * i * 7 + 3) % vocabulary as u32).collect();
    let mut rng = Pcg64Mcg::seed_from_u64(1);
    let mut random = |n: usize| -> Vec<f32> {
        (0..n).map(|_| (rng.next_u64() >> 40) as f32 / 8_388_608.0 - 1.0).collect()
    };
    // The loss is a random sum of logits.
    let c = random(tokens.len() * vocabulary);
    let loss = |file: &Gguf| -> f64 {
        let logits = reference::logits(file, &tokens);
        logits.iter().flatten().zip(&c).map(|(logit, &c)| logit * f64::from(c)).sum()
    };

    let (layers, gradients) = by_hand(&model, &tokens, &before_cap(&model, &tokens, &c));
    let mut worst = 0.0f64;
    let parts: BTreeSet<&str> = file.tensors().iter().filter_map(|it| part(&it.name)).collect();
    for part in parts {
        for kind in ["weight", "bias"] {
            let of_part = |name: &str| {
                name.strip_suffix(kind).is_some_and(|name| name.ends_with(&format!(".{part}.")))
            };
            if !file.tensors().iter().any(|tensor| of_part(&tensor.name)) {
                continue;
            }
            let (mut directions, mut found, mut squares) = (Vec::new(), 0.0, 0.0);
            // Steps that F32 holds: what the weights have moved by is what counts.
            let (mut ahead, mut behind) = (Vec::new(), Vec::new());
            for tensor in file.tensors() {
                let values = values(&file, tensor);
                let mut directions_here = vec![0.0; values.len()];
                if of_part(&tensor.name) {
                    directions_here = random(values.len());
                }
                let step = |sign: f32| -> Vec<f32> {
                    values.iter().zip(&directions_here).map(|(x, d)| x + sign * 1e-4 * d).collect()
                };
                ahead.push(step(1.0));
                behind.push(step(-1.0));
                directions.push(directions_here);
            }
            for (i, tensor) in file.tensors().iter().enumerate().filter(|(_, t)| of_part(&t.name)) {
                let layer = tensor.name.split('.').nth(1).unwrap().parse::<usize>().unwrap();
                let has_gate = file.tensor(&format!("blk.{layer}.ffn_gate.weight")).is_some();
                let part = if part == "ffn_up" && !has_gate { "ffn_up+gate" } else { part };
                let gradient = gradient_of(&gradients[layer], part, kind);
                assert_eq!(gradient.len(), directions[i].len(), "{}", tensor.name);
                for (j, &g) in gradient.iter().enumerate() {
                    let moved = f64::from(ahead[i][j]) - f64::from(behind[i][j]);
                    found += f64::from(g) * moved;
                    squares += (f64::from(g) * moved).powi(2);
                }
            }
            let with = |all: &[Vec<f32>]| {
                let at = |tensor: &TensorInfo| {
                    file.tensors().iter().position(|other| other.name == tensor.name).unwrap()
                };
                loss(&moved(&file, |tensor, values| values.copy_from_slice(&all[at(tensor)])))
            };
            let expected = with(&ahead) - with(&behind);
            let error = (found - expected).abs() / squares.sqrt();
            worst = worst.max(error);
            assert!(error < 5e-3, "{} {part}.{kind}: {found} for {expected}", variant.name);
        }
    }
    println!("{}: largest error, against that of a random sum: {worst:.1e}", variant.name);
    assert_eq!(layers, model.shape.layers);
}

/// Gradients of logits before they are bent, from those of logits.
fn before_cap(model: &Model, tokens: &[u32], c: &[f32]) -> Vec<f32> {
    let Some(cap) = model.shape.logit_cap else { return c.to_vec() };
    let mut session = Session::new(model);
    let hidden = session.hidden(&[tokens], Wanted::All, &mut Untraced).unwrap();
    let mut logits = Vec::new();
    session.logits(&hidden, &mut logits);
    c.iter().zip(&logits).map(|(c, logit)| c * (1.0 - (logit / cap).powi(2))).collect()
}

/// What a tensor of a layer is called in it, without `.weight` or `.bias`.
fn part(name: &str) -> Option<&str> {
    Some(name.strip_prefix("blk.")?.split_once('.')?.1.rsplit_once('.')?.0)
}

fn gradient_of(gradients: &DenseLayer, part: &str, kind: &str) -> Vec<f32> {
    let of = |map: Map| match kind {
        "weight" => gradients[map].values.clone(),
        _ => gradients[map].bias.clone(),
    };
    let fused: &[Map] = match part {
        "attn_qkv" => &[Map::Q, Map::K, Map::V],
        // All gradients of gate and up are in one tensor if the layer has no gate of its own.
        "ffn_up+gate" => &[Map::Gate, Map::Up],
        _ => &[],
    };
    if !fused.is_empty() {
        return fused.iter().flat_map(|&map| of(map)).collect();
    }
    if let Some(map) = Map::ALL.into_iter().find(|map| map.name() == part) {
        return of(map);
    }
    let gain = gradients.gain_named(part).unwrap_or_else(|| panic!("{part} is not a part"));
    gradients[gain].clone()
}

/// Of the weights alone, or on the way to the input: the same but for the rounding of one sum.
#[track_caller]
fn assert_alike(alone: &DenseLayer, gradients: &DenseLayer) {
    for map in Map::ALL {
        assert_eq!(alone[map].values, gradients[map].values, "{map:?}");
        assert_eq!(alone[map].bias, gradients[map].bias, "{map:?}");
    }
    for gain in Gain::ALL {
        let largest = gradients[gain].iter().fold(0.0f32, |most, x| most.max(x.abs()));
        for (alone, gradient) in alone[gain].iter().zip(&gradients[gain]) {
            assert!((alone - gradient).abs() <= 1e-4 * largest, "{gain:?}: {alone}, {gradient}");
        }
    }
}

/// The gradients of the weights of each layer, where those of the logits are `c`.
fn by_hand(model: &Model, tokens: &[u32], c: &[f32]) -> (usize, Vec<DenseLayer>) {
    let shape = &model.shape;
    // Two sequences of unlike length would not be what the reference runs: one.
    let lengths = [tokens.len()];
    let mut x = Stepwise::start(model, &[tokens]).unwrap().stream().to_vec();
    let mut passes = Vec::new();
    for (number, layer) in model.weights.layers.iter().enumerate() {
        let place = LayerPlace::new(model, number, tokens.len());
        let (weights, mut tape) = (DenseLayer::of(layer), Tape::default());
        let input = x;
        x = tape.forward(&place, &weights, &input, &lengths).to_vec();
        passes.push((place, weights, tape, input));
    }
    let hidden = Session::new(model).hidden(&[tokens], Wanted::All, &mut Untraced).unwrap();
    let mut normed = x.clone();
    for row in normed.chunks_mut(shape.width) {
        let mean = row.iter().map(|x| x * x).sum::<f32>() / shape.width as f32;
        let scale = 1.0 / (mean + shape.norm_epsilon).sqrt();
        row.iter_mut().zip(&model.weights.output_norm).for_each(|(x, gain)| *x *= scale * gain);
    }
    let largest = hidden.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    for (found, expected) in normed.iter().zip(&hidden) {
        assert!((found - expected).abs() < 1e-5 * largest, "forward: {found} for {expected}");
    }

    let (head, head_scale) = (&model.weights.head.weight, model.weights.head.scale);
    let mut wide = vec![0.0; head.rows * head.columns];
    head.widen(0, &mut wide);
    let mut gradient = vec![0.0; x.len()];
    for (gradient, c) in gradient.chunks_mut(shape.width).zip(c.chunks(head.rows)) {
        for (row, c) in wide.chunks(shape.width).zip(c) {
            gradient.iter_mut().zip(row).for_each(|(g, w)| *g += head_scale * w * c);
        }
    }
    let mut of_gain = vec![0.0; shape.width];
    let gain = &model.weights.output_norm;
    norm_backward(&x, gain, shape.norm_epsilon, &mut gradient, &mut of_gain);
    let mut all = Vec::new();
    for (place, weights, tape, input) in passes.iter_mut().rev() {
        let (mut gradients, mut alone) = (weights.zeros(), weights.zeros());
        let mut again = Tape::default();
        again.forward(place, weights, input, &lengths);
        again.backward_weights(place, weights, &gradient, &mut alone);
        gradient = tape.backward(place, weights, &gradient, &mut gradients).to_vec();
        assert_alike(&alone, &gradients);
        all.insert(0, gradients);
    }
    (passes.len(), all)
}
