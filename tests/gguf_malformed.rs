//! Broken files are refused with a message that names the fault; odd but sound ones are read.
//!
//! The faults are made here. Where the folder `../shared/gguf-malformed` is present, its files,
//! made by others, are tried too.

use std::path::{Path, PathBuf};

use opencog_qat::gguf::{Error, Format, Gguf, Value};

/// A key, its value type and the bytes of its value.
type Key<'a> = (&'a str, u32, Vec<u8>);
/// A tensor's name, dimensions, type and offset.
type Tensor<'a> = (&'a str, &'a [u64], u32, u64);

const U32: u32 = 4;
const BOOL: u32 = 7;
const STRING: u32 = 8;
const ARRAY: u32 = 9;

fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

fn array(element_type: u32, count: u64, elements: &[u8]) -> Vec<u8> {
    [&element_type.to_le_bytes()[..], &count.to_le_bytes(), elements].concat()
}

fn counts(version: u32, tensors: u64, keys: u64) -> Vec<u8> {
    let parts = [&b"GGUF"[..], &version.to_le_bytes(), &tensors.to_le_bytes(), &keys.to_le_bytes()];
    parts.concat()
}

/// A file with these parts, right or wrong, and 64 bytes of data.
fn file(keys: &[Key], tensors: &[Tensor]) -> Vec<u8> {
    let mut out = counts(3, tensors.len() as u64, keys.len() as u64);
    for (key, value_type, value) in keys {
        out.extend(string(key));
        out.extend(value_type.to_le_bytes());
        out.extend(value);
    }
    for (name, dims, tensor_type, offset) in tensors {
        out.extend(string(name));
        out.extend((dims.len() as u32).to_le_bytes());
        dims.iter().for_each(|dim| out.extend(dim.to_le_bytes()));
        out.extend(tensor_type.to_le_bytes());
        out.extend(offset.to_le_bytes());
    }
    out.resize(out.len().next_multiple_of(32) + 64, 7);
    out
}

fn fault(bytes: Vec<u8>) -> String {
    let error = Gguf::from_bytes("x.gguf", bytes).expect_err("the file is broken").to_string();
    assert!(error.starts_with("x.gguf: "), "{error}");
    assert!(error.len() < 500, "{error}");
    error
}

fn tensor_fault(tensor: Tensor) -> String {
    fault(file(&[], &[tensor]))
}

fn key_fault(key: &str, value_type: u32, value: Vec<u8>) -> String {
    fault(file(&[(key, value_type, value)], &[]))
}

#[track_caller]
fn assert_names(error: String, fragment: &str) {
    assert!(error.contains(fragment), "expected `{fragment}` in: {error}");
}

#[test]
fn other_files_and_versions() {
    assert_names(fault(b"PK\x03\x04....".into()), "zip archive");
    assert_names(fault(b"FUGG\0\0\0\x03".into()), "big-endian");
    assert_names(fault(b"GGUF\0\0\0\x03".into()), "big-endian");
    assert_names(fault(b"tjgg\x03\0\0\0".into()), "before GGUF");
    assert_names(fault(counts(0, 0, 0)), "version is 0");
    assert_names(fault(counts(1, 0, 0)), "version is 1");
    assert_names(fault(counts(4, 0, 0)), "version is 4");
    for version in [2, 3] {
        let gguf = Gguf::from_bytes("x.gguf", counts(version, 0, 0)).unwrap();
        assert_eq!(gguf.version(), version);
    }
}

#[test]
fn counts_past_the_end() {
    assert_names(fault(counts(3, 1 << 63, 0)), "9,223,372,036,854,775,808 tensors");
    assert_names(fault(counts(3, 0, u64::MAX)), "metadata keys, and 0 bytes remain");
    assert_names(fault(counts(3, 1, 0)), "declares 1 tensors");
}

#[test]
fn metadata() {
    let one = || 1u32.to_le_bytes().to_vec();
    assert_names(key_fault("", U32, one()), "the key is empty");
    assert_names(key_fault(&"k".repeat(65_536), U32, one()), "65536 bytes");
    let twice = file(&[("a", U32, one()), ("a", U32, one())], &[]);
    assert_names(fault(twice), "metadata key 2: the key `a` stands twice");
    assert_names(key_fault("a", 13, one()), "the value of `a`: the value type is 13");
    assert_names(key_fault("a", BOOL, vec![2]), "neither 0 nor 1");
    assert_names(key_fault("a", ARRAY, array(BOOL, 2, &[1, 3])), "neither 0 nor 1");
    assert_names(key_fault("a", STRING, u64::MAX.to_le_bytes().into()), "more bytes");
    assert_names(key_fault("a", STRING, (1u64 << 30).to_le_bytes().into()), "more bytes");
    assert_names(key_fault("a", ARRAY, array(U32, 1 << 62, &[])), "elements of type u32");
    assert_names(key_fault("a", ARRAY, array(STRING, 1 << 61, &[])), "elements of type str");
    let mut not_text = file(&[("ab", U32, one())], &[]);
    not_text[32] = 0xff;
    assert_names(fault(not_text), "not UTF-8");
    for alignment in [0u32, 7, 24] {
        let error = key_fault("general.alignment", U32, alignment.to_le_bytes().into());
        assert_names(error, "expected a power of two");
    }
    assert_names(key_fault("general.alignment", STRING, string("32")), "is of type str");
}

#[test]
fn tensors() {
    assert_names(tensor_fault(("", &[4], 0, 0)), "the name is empty");
    assert_names(tensor_fault((&"n".repeat(64), &[4], 0, 0)), "has 64 bytes, and 63 is the most");
    assert_names(tensor_fault(("t", &[1; 5], 0, 0)), "`t`: has 5 dimensions");
    assert_names(tensor_fault(("t", &[4, 0], 0, 0)), "length 0");
    assert_names(tensor_fault(("t", &[1 << 40, 1 << 40], 0, 0)), "more values than");
    assert_names(tensor_fault(("t", &[1 << 62], 28, 0)), "more bytes than");
    assert_names(tensor_fault(("t", &[33], 8, 0)), "rows of 33 values, and Q8_0 needs");
    assert_names(tensor_fault(("t", &[4], 4, 0)), "tensor `t` is of type 4 (Q4_2), which ggml");
    assert_names(tensor_fault(("t", &[4], 99, 0)), "tensor `t` is of type 99");
    assert_names(tensor_fault(("t", &[4], 0, 8)), "offset 8 is no multiple");
    assert_names(tensor_fault(("t", &[4], 0, 96)), "the file ends at byte 128");
    assert_names(tensor_fault(("t", &[4], 0, u64::MAX - 31)), "past the end of any file");
    let pair = |a: Tensor, b: Tensor| fault(file(&[], &[a, b]));
    assert_names(pair(("t", &[4], 0, 0), ("t", &[4], 0, 32)), "`t` stands twice");
    assert_names(pair(("a", &[4], 0, 32), ("b", &[9], 0, 0)), "they overlap");
}

#[test]
fn odd_but_sound_files_are_read() {
    let tensors: [Tensor; 2] = [("late", &[4], 0, 32), ("scalar", &[], 0, 0)];
    let nested = array(ARRAY, 1, &array(U32, 1, &[7, 0, 0, 0]));
    let gguf = Gguf::from_bytes("x.gguf", file(&[("n", ARRAY, nested)], &tensors)).unwrap();
    assert_eq!(gguf.metadata().get("n").unwrap().to_string(), "[arr; 1]");
    let scalar = gguf.tensor("scalar").unwrap();
    assert_eq!((scalar.elements(), gguf.data(scalar).len()), (1, 4));
    assert_eq!(gguf.data(&gguf.tensors()[0]), [7; 16]);
}

#[test]
fn every_prefix_is_refused() {
    let keys = [
        ("general.name", STRING, string("x")),
        ("a", ARRAY, array(STRING, 2, &[string("p"), string("qr")].concat())),
        ("n", ARRAY, array(ARRAY, 1, &array(U32, 1, &[0; 4]))),
    ];
    let whole = file(&keys, &[("t", &[16], 0, 0)]);
    for len in 0..whole.len() {
        assert_names(fault(whole[..len].into()), "was the download complete?");
    }
    assert!(Gguf::from_bytes("x.gguf", whole).is_ok());
}

#[test]
fn files_that_cannot_be_opened() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Gguf::open(&folder.path().join("no.gguf")).unwrap_err();
    assert!(matches!(missing, Error::Io { .. }), "{missing:?}");
    assert_names(missing.to_string(), "no.gguf: cannot open the model");
    let error = Gguf::open(folder.path()).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
    assert_names(error.to_string(), "it is a folder; name a GGUF file");
}

/// What should come of a file in the folder: a fragment of the message, or that it is read.
fn expected(name: &str) -> Result<(), &'static str> {
    match name {
        "align_0" | "align_7" | "align_24" => Err("expected a power of two"),
        "align_str" => Err("`general.alignment` is of type str"),
        "arr_len_huge_u8" => Err("elements of type u8"),
        "be_ggufpy" => Err("big-endian"),
        "bool_2" => Err("neither 0 nor 1"),
        "dim_overflow" => Err("more values than can be counted"),
        "dim_zero" => Err("a dimension of length 0"),
        "dims_5" => Err("has 5 dimensions"),
        "dup_key" => Err("`general.architecture` stands twice"),
        "nt_huge" => Err("tensors, and"),
        "off_past_eof" => Err("should lie at bytes"),
        "off_unaligned" => Err("is no multiple of the alignment 32"),
        "str_len_1GiB" | "str_len_huge" => Err("more bytes); was the download complete?"),
        "type_04_Q4_2" => Err("is of type 4 (Q4_2), which ggml has removed"),
        // Its 1024 values would take 8192 bytes, and there are 4096.
        "type_27_I64" | "type_28_F64" => Err("8,192 bytes) should lie at bytes 128 to 8,320"),
        "type_99_unknown" => Err("is of type 99"),
        "v1_historic" => Err("its version is 1"),
        "ver_0" => Err("its version is 0"),
        "ver_4" => Err("its version is 4"),
        name if name.starts_with("trunc_") => Err("was the download complete?"),
        "dims_0" | "f32_nan" | "f64_inf" | "ftype_neg" | "ftype_str" | "nested_arr" => Ok(()),
        name if name.starts_with("type_") => Ok(()),
        name => panic!("{name}: say here what should come of it"),
    }
}

#[test]
fn the_shared_folder() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/gguf-malformed");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        return println!("skipped: there is no {}", folder.display());
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_stem().unwrap().to_str().unwrap();
        match (Gguf::open(&path), expected(name)) {
            (Ok(gguf), Ok(())) => {
                println!("{name}: read");
                check_contents(name, &gguf);
            }
            (Err(error), Err(fragment)) => {
                println!("{error}");
                assert_names(error.to_string(), fragment);
            }
            (found, expected) => panic!("{name}: {found:?}, expected {expected:?}"),
        }
    }
}

/// The sound files say in their names what is in them.
fn check_contents(name: &str, gguf: &Gguf) {
    for tensor in gguf.tensors() {
        assert_eq!(gguf.data(tensor).len() as u64, tensor.bytes());
    }
    match name.split('_').collect::<Vec<_>>()[..] {
        ["type", id, ..] => {
            let format = Format::from_id(id.parse().unwrap()).unwrap();
            assert_eq!(gguf.tensors()[0].format, format);
            assert!(name.ends_with(format.name()), "{name}: {format}");
        }
        ["f32", "nan"] => assert!(value(gguf).as_f64().unwrap().is_nan()),
        ["f64", "inf"] => assert_eq!(value(gguf), &Value::F64(f64::INFINITY)),
        ["nested", _] => assert_eq!(value(gguf).to_string(), "[arr; 1]"),
        _ => {}
    }
}

fn value(gguf: &Gguf) -> &Value {
    gguf.metadata().get("x.y").unwrap()
}
