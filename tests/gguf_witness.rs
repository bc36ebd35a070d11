//! What we write, readers of others read alike: gguf-rs, and gguf-py where it is installed.

mod fetched;

use std::path::Path;
use std::process::Command;

use opencog_qat::gguf::{
    Array, Format, Gguf, Metadata, OutputFile, Shape, Strings, TensorSpec, Value, Writer,
};

/// Keys and values of every type, and what gguf-py calls the type. (Arrays inside arrays are left
/// out: gguf-rs refuses them.)
fn entries() -> Vec<(&'static str, Value, &'static str)> {
    let words: Strings = ["<s>", "", "naïve", "\n"].into_iter().collect();
    vec![
        ("general.architecture", Value::string("llama"), "STRING"),
        ("x.u8", Value::U8(200), "UINT8"),
        ("x.i8", Value::I8(-100), "INT8"),
        ("x.u16", Value::U16(60_000), "UINT16"),
        ("x.i16", Value::I16(-30_000), "INT16"),
        ("x.u32", Value::U32(4_000_000_000), "UINT32"),
        ("x.i32", Value::I32(-2_000_000_000), "INT32"),
        ("x.f32", Value::F32(0.1), "FLOAT32"),
        ("x.bool", Value::Bool(true), "BOOL"),
        ("x.u64", Value::U64(1 << 63), "UINT64"),
        ("x.i64", Value::I64(i64::MIN), "INT64"),
        ("x.f64", Value::F64(f64::MIN_POSITIVE), "FLOAT64"),
        ("a.words", Value::Array(Array::String(words)), "ARRAY STRING"),
        ("a.scores", Value::Array(Array::F32(vec![-1.5, 0.0, 2.0])), "ARRAY FLOAT32"),
        ("a.types", Value::Array(Array::I32(vec![1, -2, 3])), "ARRAY INT32"),
        ("a.flags", Value::Array(Array::Bool(vec![true, false])), "ARRAY BOOL"),
        ("a.bytes", Value::Array(Array::U8(vec![0, 255])), "ARRAY UINT8"),
    ]
}

fn tensors() -> Vec<TensorSpec> {
    let rows: [(&str, Format, &[u64]); 9] = [
        ("token_embd.weight", Format::Q6_K, &[256, 5]),
        ("blk.0.attn_norm.weight", Format::F32, &[7]),
        ("blk.0.attn_q.weight", Format::Q4_K, &[512, 3]),
        ("blk.0.attn_k.weight", Format::IQ4_NL, &[32, 3]),
        ("blk.0.attn_v.weight", Format::IQ4_XS, &[256, 2]),
        ("blk.0.ffn_gate_exps.weight", Format::Q5_1, &[64, 3, 2]),
        ("blk.0.ffn_up_exps.weight", Format::Q8_0, &[32, 1, 2, 3]),
        ("blk.0.ffn_down.weight", Format::F16, &[5, 3]),
        ("output.weight", Format::BF16, &[3, 3]),
    ];
    let spec = |(name, format, dims): (&str, Format, &[u64])| TensorSpec {
        name: name.into(),
        format,
        shape: Shape::new(dims).unwrap(),
    };
    rows.map(spec).into()
}

/// Writes a file with all of the above to `path` and opens it again.
fn write(path: &Path, alignment: Option<u32>) -> Gguf {
    let mut metadata = Metadata::new();
    entries().into_iter().for_each(|(key, value, _)| metadata.set(key, value));
    if let Some(alignment) = alignment {
        metadata.set("general.alignment", Value::U32(alignment));
    }
    let tensors = tensors();
    let file = OutputFile::create(path, false).unwrap();
    let mut writer = Writer::new(file, path, &metadata, &tensors).unwrap();
    for (i, tensor) in tensors.iter().enumerate() {
        let bytes = tensor.format.bytes_of(tensor.shape.elements()).unwrap();
        let bytes: Vec<u8> = (0..bytes).map(|at| (at as usize * 7 + i) as u8 & 0x3f).collect();
        writer.tensor_bytes(&bytes).unwrap();
    }
    writer.finish().unwrap().commit().unwrap();
    Gguf::open(path).unwrap()
}

fn both_alignments(check: impl Fn(&Path, &Gguf)) {
    let folder = tempfile::tempdir().unwrap();
    for alignment in [None, Some(256)] {
        let path = folder.path().join(format!("{alignment:?}.gguf"));
        let gguf = write(&path, alignment);
        check(&path, &gguf);
    }
}

#[test]
fn gguf_rs_reads_it_alike() {
    both_alignments(|path, gguf| {
        let path = path.to_str().unwrap();
        let mut container = gguf_rs::get_gguf_container_array_size(path, u64::MAX).unwrap();
        let model = container.decode().unwrap();
        assert_eq!(model.get_version(), "v3");
        assert_eq!(model.alignment(), gguf.alignment());
        assert_eq!(model.num_kv(), gguf.metadata().len() as u64);
        // It sorts the keys and keeps no types, but the values can be compared as JSON text.
        let value = |key: &str| model.metadata()[key].to_string();
        assert_eq!(value("general.architecture"), r#""llama""#);
        assert_eq!(value("x.u64"), (1u64 << 63).to_string());
        assert_eq!(value("x.i8"), "-100");
        assert_eq!(value("x.bool"), "true");
        assert_eq!(value("a.words"), r#"["<s>","","naïve","\n"]"#);
        assert_eq!(value("a.types"), "[1,-2,3]");

        assert_eq!(model.tensors().len(), gguf.tensors().len());
        for (theirs, ours) in model.tensors().iter().zip(gguf.tensors()) {
            assert_eq!(theirs.name, ours.name);
            assert_eq!(theirs.kind, ours.format.id());
            // It fills the shape up to four dimensions.
            let dims = theirs.n_dimensions as usize;
            assert_eq!(theirs.shape[..dims], *ours.dims());
            assert!(theirs.shape[dims..].iter().all(|&dim| dim == 1));
            assert_eq!(model.data_offset() + theirs.offset, ours.offset());
        }
    });
}

/// Prints each key with its types and the bytes of its value, then each tensor.
const SCRIPT: &str = r#"
import sys
from gguf import GGUFReader
reader = GGUFReader(sys.argv[1])
for field in reader.fields.values():
    if not field.name.startswith("GGUF."):
        value = b"".join(field.parts[i].tobytes() for i in field.data)
        print(field.name, *(t.name for t in field.types), value.hex())
for t in reader.tensors:
    dims = ",".join(str(d) for d in t.shape)
    print(t.name, t.tensor_type.name, dims, t.data_offset, t.n_bytes, t.data.tobytes().hex())
"#;

/// The bytes of a value as they stand in a file, without lengths.
fn raw(value: &Value) -> Vec<u8> {
    match value {
        Value::U8(n) => vec![*n],
        Value::I8(n) => n.to_le_bytes().into(),
        Value::U16(n) => n.to_le_bytes().into(),
        Value::I16(n) => n.to_le_bytes().into(),
        Value::U32(n) => n.to_le_bytes().into(),
        Value::I32(n) => n.to_le_bytes().into(),
        Value::F32(x) => x.to_le_bytes().into(),
        Value::Bool(b) => vec![u8::from(*b)],
        Value::String(s) => s.as_bytes().into(),
        Value::U64(n) => n.to_le_bytes().into(),
        Value::I64(n) => n.to_le_bytes().into(),
        Value::F64(x) => x.to_le_bytes().into(),
        Value::Array(Array::String(strings)) => strings.iter().flatten().copied().collect(),
        Value::Array(Array::F32(a)) => a.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Value::Array(Array::I32(a)) => a.iter().flat_map(|n| n.to_le_bytes()).collect(),
        Value::Array(Array::Bool(a)) => a.iter().map(|&b| u8::from(b)).collect(),
        Value::Array(Array::U8(a)) => a.clone(),
        other => panic!("{other} is not in the file"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the script should print.
fn expected(gguf: &Gguf) -> Vec<String> {
    let types: Vec<(&str, &str)> = entries().iter().map(|entry| (entry.0, entry.2)).collect();
    let type_of = |key: &str| types.iter().find(|row| row.0 == key).map_or("UINT32", |row| row.1);
    let entry = |(key, value)| format!("{key} {} {}", type_of(key), hex(&raw(value)));
    let mut lines: Vec<String> = gguf.metadata().iter().map(entry).collect();
    for tensor in gguf.tensors() {
        let dims: Vec<String> = tensor.dims().iter().map(u64::to_string).collect();
        lines.push(format!(
            "{} {} {} {} {} {}",
            tensor.name,
            tensor.format,
            dims.join(","),
            tensor.offset(),
            tensor.bytes(),
            hex(gguf.data(tensor))
        ));
    }
    lines
}

#[test]
fn gguf_py_reads_it_alike() {
    let python = fetched::python();
    let probe = Command::new(&python).args(["-c", "import gguf"]).output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        return println!("skipped: there is no gguf-py at {}", python.display());
    }
    both_alignments(|path, gguf| {
        let output = Command::new(&python).args(["-c", SCRIPT]).arg(path).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let printed = String::from_utf8(output.stdout).unwrap();
        assert_eq!(printed.lines().collect::<Vec<_>>(), expected(gguf));
    });
}
