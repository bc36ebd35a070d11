//! The model in the box, written in other ways that llama.cpp reads.

use std::path::Path;

use super::*;
use crate::gguf::{Array, Metadata, Shape, TensorSpec, Value, Writer};
use crate::model::{Model, Session, Untraced, Wanted};

#[test]
fn a_layer_has_one_name() {
    assert_eq!(layer_part("blk.12.attn_q.weight"), Some((12, "attn_q")));
    for other in ["blk.01.attn_q.weight", "blk.+1.attn_q.weight", "blk..attn_q.weight"] {
        assert_eq!(layer_part(other), None, "{other}");
    }
}

/// A model in the making: the one in the box, which a test writes in another way.
struct Rewritten {
    metadata: Metadata,
    tensors: Vec<(TensorSpec, Vec<u8>)>,
}

impl Rewritten {
    fn tiny() -> Rewritten {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tiny.gguf");
        let gguf = Gguf::open(path.as_ref()).unwrap();
        let tensors = gguf.tensors().iter();
        let tensors = tensors.map(|tensor| (tensor.spec(), gguf.data(tensor).to_vec()));
        Rewritten { metadata: gguf.metadata().clone(), tensors: tensors.collect() }
    }

    fn take(&mut self, name: &str) -> (TensorSpec, Vec<u8>) {
        let at = self.tensors.iter().position(|(spec, _)| spec.name == name).expect(name);
        self.tensors.remove(at)
    }

    fn add(&mut self, name: &str, values: &[f32]) {
        let (name, format) = (name.into(), Format::F32);
        let spec = TensorSpec { name, format, shape: Shape::new(&[values.len() as u64]).unwrap() };
        self.tensors.push((spec, values.iter().flat_map(|x| x.to_le_bytes()).collect()));
    }

    fn gguf(&self) -> Gguf {
        let specs: Vec<_> = self.tensors.iter().map(|(spec, _)| spec.clone()).collect();
        let path = Path::new("rewritten");
        let mut writer = Writer::new(Vec::new(), path, &self.metadata, &specs).unwrap();
        self.tensors.iter().for_each(|(_, bytes)| writer.tensor_bytes(bytes).unwrap());
        Gguf::from_bytes("rewritten", writer.finish().unwrap()).unwrap()
    }
}

fn hidden_of(model: &Model) -> Vec<f32> {
    let text: Vec<u32> = (0..20).map(|i| (i * i * 37) % 2048).collect();
    Session::new(model).hidden(&[&text], Wanted::All, &mut Untraced).unwrap()
}

/// What the model in the box makes of a text when it is written otherwise.
fn hidden(rewrite: impl Fn(&mut Rewritten)) -> Result<Vec<f32>, ModelError> {
    let mut rewritten = Rewritten::tiny();
    rewrite(&mut rewritten);
    let gguf = rewritten.gguf();
    Model::of(&gguf).map(|model| hidden_of(&model))
}

/// One matrix of those of queries, keys and values in layer 0.
fn fuse(model: &mut Rewritten) {
    let parts = ["attn_q", "attn_k", "attn_v"];
    let parts = parts.map(|part| model.take(&format!("blk.0.{part}.weight")));
    let rows = parts.iter().map(|(spec, _)| spec.shape.rows() as u64).sum();
    let columns = parts[0].0.shape.row_len() as u64;
    let (name, format) = ("blk.0.attn_qkv.weight".into(), parts[0].0.format);
    let spec = TensorSpec { name, format, shape: Shape::new(&[columns, rows]).unwrap() };
    let bytes = parts.into_iter().flat_map(|(_, bytes)| bytes).collect();
    model.tensors.push((spec, bytes));
}

#[test]
fn trailing_dimensions_of_1_are_absent() {
    let sound = hidden(|_| {}).unwrap();
    for more in [&[1][..], &[1, 1]] {
        let rewritten = hidden(|model| {
            for (spec, _) in &mut model.tensors {
                let dims = [spec.shape.dims(), more].concat();
                spec.shape = Shape::new(&dims[..dims.len().min(4)]).unwrap();
            }
        });
        assert!(rewritten.unwrap() == sound, "{more:?}");
    }
    // Before the last one, they are not, nor are others after it.
    for dims in [&[1, 256][..], &[128, 2], &[128, 1, 2], &[256, 2]] {
        let error = hidden(|model| {
            let (spec, bytes) = model.take("output_norm.weight");
            let shape = Shape::new(dims).unwrap();
            let bytes = bytes.repeat((shape.elements() / spec.shape.elements()) as usize);
            model.tensors.push((TensorSpec { shape, ..spec }, bytes));
        });
        assert!(matches!(error, Err(ModelError::WrongShape { .. })), "{dims:?}: {error:?}");
    }
}

#[test]
fn queries_keys_and_values_may_be_one_matrix() {
    let rows = |model: &Rewritten, part: &str| {
        let name = format!("blk.0.{part}.weight");
        let of = model.tensors.iter().find(|(spec, _)| spec.name == name);
        of.unwrap().0.shape.rows()
    };
    let biases: Vec<(&str, Vec<f32>)> = ["attn_q", "attn_k", "attn_v"]
        .map(|part| (part, vec![0.01; rows(&Rewritten::tiny(), part)]))
        .into();
    let with_biases = |model: &mut Rewritten| {
        biases.iter().for_each(|(part, bias)| model.add(&format!("blk.0.{part}.bias"), bias));
    };
    let plain = hidden(|_| {}).unwrap();
    assert!(hidden(fuse).unwrap() == plain);
    let biased = hidden(with_biases).unwrap();
    assert!(biased != plain);
    let beside = hidden(|model| {
        fuse(model);
        with_biases(model);
    });
    assert!(beside.unwrap() == biased);
    let fused = hidden(|model| {
        fuse(model);
        let all: Vec<f32> = biases.iter().flat_map(|(_, bias)| bias.clone()).collect();
        model.add("blk.0.attn_qkv.bias", &all);
    });
    assert!(fused.unwrap() == biased);
}

#[test]
fn beside_one_matrix_no_other_of_its_parts_is_read() {
    for part in ["attn_q", "attn_k", "attn_v"] {
        let name = format!("blk.0.{part}.weight");
        let both = hidden(|model| {
            let at = model.tensors.iter().position(|(spec, _)| spec.name == name).unwrap();
            let left = model.tensors[at].clone();
            fuse(model);
            model.tensors.push(left);
        });
        let message = both.unwrap_err().to_string();
        assert!(message.contains(&name), "{message}");
    }
}

#[test]
fn one_matrix_is_replaced_as_its_parts_are() {
    let (apart, mut together) = (Rewritten::tiny(), Rewritten::tiny());
    fuse(&mut together);
    let (apart, together) = (apart.gguf(), together.gguf());
    let encoded = |gguf: &Gguf, part: &str| {
        let tensor = gguf.tensor(&format!("blk.0.{part}.weight")).unwrap();
        let mut values = vec![0.0; tensor.elements() as usize];
        block::decode(tensor.format, gguf.data(tensor), &mut values);
        let mut bytes = vec![0; Format::Q5_0.bytes_of(tensor.elements()).unwrap() as usize];
        block::encode(Format::Q5_0, &values, tensor.row_len(), None, &mut bytes);
        bytes
    };
    let parts = ["attn_q", "attn_k", "attn_v"].map(|part| (part, encoded(&apart, part)));
    let mut model = Model::of(&apart).unwrap();
    for (part, bytes) in &parts {
        assert!(model.weights.replace(&format!("blk.0.{part}.weight"), Format::Q5_0, bytes));
    }
    let expected = hidden_of(&model);
    let bytes = encoded(&together, "attn_qkv");
    let mut model = Model::of(&together).unwrap();
    assert!(hidden_of(&model) != expected);
    assert!(model.weights.replace("blk.0.attn_qkv.weight", Format::Q5_0, &bytes));
    assert!(hidden_of(&model) == expected);
}

#[test]
fn scales_of_matrices_count_and_those_of_inputs_do_not() {
    let sound = hidden(|_| {}).unwrap();
    let scaled = |part: &'static str, scale: f32| {
        hidden(move |model| model.add(&format!("blk.0.{part}"), &[scale])).unwrap()
    };
    assert!(scaled("ffn_down.scale", 1.0) == sound);
    assert!(scaled("ffn_down.input_scale", 3.0) == sound);
    // As if the matrix were half as large.
    let halved = hidden(|model| {
        let (spec, bytes) = model.take("blk.0.ffn_down.weight");
        assert_eq!(spec.format, Format::F16);
        let half = |bytes: &[u8; 2]| {
            (half::f16::from_le_bytes(*bytes) / half::f16::from_f32(2.0)).to_le_bytes()
        };
        let bytes = bytes.as_chunks().0.iter().flat_map(half).collect();
        model.tensors.push((spec, bytes));
    });
    let found = scaled("ffn_down.scale", 0.5);
    let differences = found.iter().zip(halved.unwrap()).map(|(a, b)| (a - b).abs());
    let worst = differences.fold(0.0, f32::max);
    assert!(worst < 1e-3 && found != sound, "{worst}");
}

#[test]
fn the_first_layer_speaks_for_all_heads() {
    let sound = hidden(|_| {}).unwrap();
    let heads = |counts: fn(u32, usize) -> Vec<u32>| {
        hidden(move |model| {
            let of = |key| model.metadata.get(key).and_then(Value::as_u64).unwrap();
            let (heads, layers) = (of("llama.attention.head_count"), of("llama.block_count"));
            let counts = Array::U32(counts(heads as u32, layers as usize));
            model.metadata.set("llama.attention.head_count", Value::Array(counts));
        })
    };
    assert!(heads(|heads, layers| vec![heads; layers]).unwrap() == sound);
    let first = heads(|heads, layers| [vec![heads], vec![99; layers - 1]].concat());
    assert!(first.unwrap() == sound);
    assert!(heads(|_, _| vec![]).is_err());
}

#[test]
fn a_tensor_that_nobody_knows_is_refused() {
    let error = hidden(|model| model.add("blk.0.mystery.weight", &[1.0])).unwrap_err();
    assert!(error.to_string().contains("blk.0.mystery.weight"), "{error}");
    // Qwen 3 rerankers have it; no logit depends on it.
    let error = hidden(|model| model.add("cls.output.weight", &[1.0])).unwrap_err();
    assert!(error.to_string().contains("cls.output.weight"), "{error}");
}
