//! What is written is read back the same, byte for byte.

mod fetched;

use std::io::Write;
use std::path::Path;

use opencog_qat::gguf::{
    Array, Format, Gguf, Metadata, OutputFile, Shape, Strings, TensorSpec, Value, Writer,
    encoded_size,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..9)
}

/// Arrays of every element type; `depth` of them may stand inside one another.
fn arrays(depth: u32) -> impl Strategy<Value = Array> {
    let flat = prop_oneof![
        vec(any::<u8>(), 0..9).prop_map(Array::U8),
        vec(any::<i8>(), 0..9).prop_map(Array::I8),
        vec(any::<u16>(), 0..9).prop_map(Array::U16),
        vec(any::<i16>(), 0..9).prop_map(Array::I16),
        vec(any::<u32>(), 0..9).prop_map(Array::U32),
        vec(any::<i32>(), 0..9).prop_map(Array::I32),
        vec(any::<u32>().prop_map(f32::from_bits), 0..9).prop_map(Array::F32),
        vec(any::<bool>(), 0..9).prop_map(Array::Bool),
        vec(bytes(), 0..9).prop_map(|strings| Array::String(strings.iter().collect())),
        vec(any::<u64>(), 0..9).prop_map(Array::U64),
        vec(any::<i64>(), 0..9).prop_map(Array::I64),
        vec(any::<u64>().prop_map(f64::from_bits), 0..9).prop_map(Array::F64),
    ];
    flat.prop_recursive(depth, 24, 4, |inner| vec(inner, 0..4).prop_map(Array::Array))
}

/// Values of every type, floats of all bit patterns.
fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<u8>().prop_map(Value::U8),
        any::<i8>().prop_map(Value::I8),
        any::<u16>().prop_map(Value::U16),
        any::<i16>().prop_map(Value::I16),
        any::<u32>().prop_map(Value::U32),
        any::<i32>().prop_map(Value::I32),
        any::<u32>().prop_map(|bits| Value::F32(f32::from_bits(bits))),
        any::<bool>().prop_map(Value::Bool),
        bytes().prop_map(|bytes| Value::String(bytes.into())),
        arrays(4).prop_map(Value::Array),
        any::<u64>().prop_map(Value::U64),
        any::<i64>().prop_map(Value::I64),
        any::<u64>().prop_map(|bits| Value::F64(f64::from_bits(bits))),
    ]
}

/// Metadata with up to a dozen keys and, now and then, an alignment.
fn metadatas() -> impl Strategy<Value = Metadata> {
    let keys = vec(("[a-zä.]{1,12}", values()), 0..12);
    (keys, proptest::option::of(0u32..9)).prop_map(|(keys, alignment)| {
        let mut metadata = Metadata::new();
        keys.into_iter().for_each(|(key, value)| metadata.set(&key, value));
        if let Some(shift) = alignment {
            metadata.set("general.alignment", Value::U32(1 << shift));
        }
        metadata
    })
}

/// Tensors of any format whose rows are one or two blocks.
fn tensors() -> impl Strategy<Value = Vec<TensorSpec>> {
    let formats: Vec<Format> = Format::all().collect();
    let tensor = (proptest::sample::select(formats), 1u64..3, vec(1u64..4, 0..4));
    vec(tensor, 0..5).prop_map(|tensors| {
        let spec = |(i, (format, blocks, rest)): (usize, (Format, u64, Vec<u64>))| {
            let dims = [vec![format.block_len() as u64 * blocks], rest].concat();
            TensorSpec { name: format!("t{i}"), format, shape: Shape::new(&dims).unwrap() }
        };
        tensors.into_iter().enumerate().map(spec).collect()
    })
}

fn write(metadata: &Metadata, tensors: &[TensorSpec]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), Path::new("x.gguf"), metadata, tensors).unwrap();
    for (i, tensor) in tensors.iter().enumerate() {
        let bytes = tensor.format.bytes_of(tensor.shape.elements()).unwrap();
        writer.tensor_bytes(&vec![i as u8 + 1; bytes as usize]).unwrap();
    }
    writer.finish().unwrap()
}

/// Writes what was read to `sink`.
fn rewrite<W: Write>(gguf: &Gguf, sink: W) -> W {
    let specs: Vec<TensorSpec> = gguf.tensors().iter().map(|tensor| tensor.spec()).collect();
    let mut writer = Writer::new(sink, Path::new("x.gguf"), gguf.metadata(), &specs).unwrap();
    for tensor in gguf.tensors() {
        for piece in gguf.data(tensor).chunks(1 << 20) {
            writer.tensor_bytes(piece).unwrap();
        }
        gguf.release(tensor, 0..usize::MAX);
    }
    writer.finish().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_metadata_and_tensors_come_back(metadata in metadatas(), tensors in tensors()) {
        let file = write(&metadata, &tensors);
        prop_assert_eq!(file.len() as u64, encoded_size(&metadata, &tensors).unwrap());
        let gguf = Gguf::from_bytes("x.gguf", file.clone()).unwrap();
        // As text, since a NaN does not equal itself; the bytes are compared below.
        prop_assert_eq!(format!("{:?}", gguf.metadata()), format!("{metadata:?}"));
        let specs: Vec<TensorSpec> = gguf.tensors().iter().map(|tensor| tensor.spec()).collect();
        prop_assert_eq!(specs, tensors);
        for (i, tensor) in gguf.tensors().iter().enumerate() {
            prop_assert!(gguf.data(tensor).iter().all(|&byte| byte == i as u8 + 1));
            prop_assert_eq!(gguf.tensor(&tensor.name), Some(tensor));
        }
        prop_assert!(rewrite(&gguf, Vec::new()) == file);
    }
}

/// A shard of a model, as gguf-split makes them.
fn shard(no: u16, count: u16, tensors: i32, name: &str) -> Vec<u8> {
    let mut metadata = Metadata::new();
    metadata.set("general.name", Value::string(&format!("shard {no}")));
    metadata.set("general.alignment", Value::U32(64 << no));
    metadata.set("split.no", Value::U16(no));
    metadata.set("split.count", Value::U16(count));
    metadata.set("split.tensors.count", Value::I32(tensors));
    let shape = Shape::new(&[4]).unwrap();
    write(&metadata, &[TensorSpec { name: name.into(), format: Format::F32, shape }])
}

#[test]
fn shards_are_one_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = |no: usize| folder.path().join(format!("m-{no:05}-of-00003.gguf"));
    let put = |no: usize, bytes: Vec<u8>| std::fs::write(path(no), bytes).unwrap();
    let fault = |no: usize| Gguf::open(&path(no)).unwrap_err().to_string();

    put(1, shard(0, 3, 3, "a"));
    put(2, shard(1, 3, 3, "b"));
    let missing = fault(1);
    assert!(missing.contains("m-00003-of-00003.gguf: cannot open shard 3 of 3"), "{missing}");
    put(3, shard(2, 3, 3, "c"));
    let gguf = Gguf::open(&path(1)).unwrap();
    assert_eq!(gguf.tensors().iter().map(|t| &t.name).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(gguf.metadata().get("general.name"), Some(&Value::string("shard 0")));
    assert_eq!(gguf.alignment(), 64);
    assert!(gguf.paths().eq([1, 2, 3].map(path)));
    let on_disk: u64 = (1..4).map(|no| std::fs::metadata(path(no)).unwrap().len()).sum();
    assert_eq!(gguf.file_bytes(), on_disk);
    for tensor in gguf.tensors() {
        assert_eq!(gguf.data(tensor), [1; 16]);
    }

    assert!(fault(2).contains("shard 2 of 3; open m-00001-of-00003.gguf"), "{}", fault(2));
    put(3, shard(2, 3, 3, "a"));
    assert!(fault(1).contains("00003-of-00003.gguf: the tensor `a` stands twice"), "{}", fault(1));
    put(3, shard(1, 3, 3, "c"));
    assert!(fault(1).contains("`split.no` is 1, expected 2"), "{}", fault(1));
    put(3, shard(2, 3, 3, "c"));
    put(1, shard(0, 3, 4, "a"));
    assert!(fault(1).contains("`split.tensors.count` is 4"), "{}", fault(1));
}

#[test]
fn released_bytes_stay_readable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.gguf");
    let shape = Shape::new(&[1 << 20]).unwrap();
    let spec = |name: &str| TensorSpec { name: name.into(), format: Format::I8, shape };
    std::fs::write(&path, write(&Metadata::new(), &["a", "b"].map(spec))).unwrap();
    let gguf = Gguf::open(&path).unwrap();
    for (i, tensor) in gguf.tensors().iter().enumerate() {
        for range in [0..1 << 20, 1..usize::MAX, 70_000..70_000, usize::MAX..usize::MAX] {
            gguf.release(tensor, range);
            assert!(gguf.data(tensor).iter().all(|&byte| byte == i as u8 + 1));
        }
    }
}

#[test]
fn a_large_vocabulary_is_opened_at_once() {
    let mut metadata = Metadata::new();
    let tokens: Strings = (0..200_000).map(|i| format!("token {i}")).collect();
    metadata.set("tokenizer.ggml.tokens", Value::Array(Array::String(tokens.clone())));
    metadata.set("tokenizer.ggml.scores", Value::Array(Array::F32(vec![0.5; 200_000])));
    let gguf = Gguf::from_bytes("x.gguf", write(&metadata, &[])).unwrap();
    let found = gguf.metadata().get("tokenizer.ggml.tokens").unwrap().as_array().unwrap();
    assert_eq!(found.as_strings(), Some(&tokens));
    assert_eq!(gguf.metadata(), &metadata);
}

#[test]
fn a_real_model_is_rewritten_byte_for_byte() {
    let path = fetched::smollm2();
    if !fetched::present(&[&path]) {
        return;
    }
    let start = std::time::Instant::now();
    let gguf = Gguf::open(&path).unwrap();
    println!("opened in {:?}", start.elapsed());

    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("again.gguf");
    rewrite(&gguf, OutputFile::create(&target, false).unwrap()).commit().unwrap();
    let again = Gguf::open(&target).unwrap();
    assert_eq!(again.file_bytes(), gguf.file_bytes());
    // The tensors' offsets prove the header's length; its bytes are compared with the rest.
    let (old, new) = (std::fs::read(&path).unwrap(), std::fs::read(&target).unwrap());
    assert!(old == new, "the files differ");
}
