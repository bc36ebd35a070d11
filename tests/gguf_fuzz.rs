//! Mutated files: the reader neither panics nor takes more memory than the file's size and 64 MiB.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::Path;

use opencog_qat::gguf::{Array, Format, Gguf, Metadata, Shape, Strings, TensorSpec, Value, Writer};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Counts the bytes that each thread has allocated, and the most it ever had.
struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(change: isize) {
    LIVE.set(LIVE.get() + change);
    PEAK.set(PEAK.get().max(LIVE.get()));
}

// SAFETY: every call goes to the system's allocator as it came; the counters allocate nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Opens a file, reads all of every tensor and says whether it was accepted. Panics where more
/// memory was used than may be.
fn read(file: Vec<u8>) -> bool {
    let allowed = file.len() as isize + (64 << 20);
    let before = LIVE.get();
    PEAK.set(before);
    let gguf = Gguf::from_bytes("fuzz.gguf", file);
    if let Ok(gguf) = &gguf {
        for tensor in gguf.tensors() {
            let sum: u64 = gguf.data(tensor).iter().map(|&byte| u64::from(byte)).sum();
            std::hint::black_box((sum, tensor.rows(), tensor.row_len()));
        }
    }
    let used = PEAK.get() - before;
    assert!(used <= allowed, "{used} bytes of memory, {allowed} allowed");
    gguf.is_ok()
}

fn write(entries: Vec<(&str, Value)>, tensors: &[(&str, Format, &[u64])]) -> Vec<u8> {
    let mut metadata = Metadata::new();
    entries.into_iter().for_each(|(key, value)| metadata.set(key, value));
    let spec = |&(name, format, dims): &(&str, Format, &[u64])| TensorSpec {
        name: name.to_string(),
        format,
        shape: Shape::new(dims).unwrap(),
    };
    let specs: Vec<TensorSpec> = tensors.iter().map(spec).collect();
    let mut writer = Writer::new(Vec::new(), Path::new("x.gguf"), &metadata, &specs).unwrap();
    for spec in &specs {
        let bytes = spec.format.bytes_of(spec.shape.elements()).unwrap();
        writer.tensor_bytes(&vec![0x5a; bytes as usize]).unwrap();
    }
    writer.finish().unwrap()
}

/// Small sound files that together have every kind of value.
fn seeds() -> Vec<Vec<u8>> {
    let words: Strings = ["a", "bc", "", "def"].into_iter().collect();
    let nested = Array::Array(vec![Array::Array(vec![Array::U8(vec![1])]), Array::I64(vec![-1])]);
    let scalars = vec![
        ("u8", Value::U8(1)),
        ("i8", Value::I8(-1)),
        ("u16", Value::U16(2)),
        ("i16", Value::I16(-2)),
        ("u32", Value::U32(3)),
        ("i32", Value::I32(-3)),
        ("u64", Value::U64(4)),
        ("i64", Value::I64(-4)),
        ("f32", Value::F32(0.5)),
        ("f64", Value::F64(0.25)),
        ("bool", Value::Bool(true)),
    ];
    let arrays = vec![
        ("general.architecture", Value::string("llama")),
        ("tokens", Value::Array(Array::String(words))),
        ("types", Value::Array(Array::I32(vec![1, 2, 3, 4]))),
        ("nested", Value::Array(nested)),
        ("flags", Value::Array(Array::Bool(vec![true, false]))),
    ];
    let split = vec![("split.count", Value::U16(1)), ("general.alignment", Value::U32(64))];
    vec![
        write(scalars, &[]),
        write(arrays, &[("a", Format::F32, &[4, 2])]),
        write(split, &[("a", Format::Q8_0, &[32, 3]), ("b", Format::F16, &[2, 3, 4, 5])]),
        write(
            vec![],
            &[("x", Format::I8, &[7]), ("y", Format::Q4_K, &[256]), ("z", Format::F64, &[])],
        ),
    ]
}

/// One change of a file.
#[derive(Debug, Clone)]
enum Mutation {
    Flip(Index, u8),
    Number32(Index, u32),
    Number64(Index, u64),
    Truncate(Index),
    Insert(Index, Vec<u8>),
    /// Replaces the rest of the file by the rest of another.
    Splice(Index, Index, Index),
}

impl Mutation {
    fn apply(&self, file: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let len = file.len();
        if len == 0 {
            return;
        }
        match self {
            Mutation::Flip(at, bits) => file[at.index(len)] ^= bits,
            Mutation::Number32(at, n) => overwrite(file, at.index(len), &n.to_le_bytes()),
            Mutation::Number64(at, n) => overwrite(file, at.index(len), &n.to_le_bytes()),
            Mutation::Truncate(at) => file.truncate(at.index(len)),
            Mutation::Insert(at, bytes) => {
                file.splice(at.index(len)..at.index(len), bytes.iter().copied());
            }
            Mutation::Splice(at, seed, from) => {
                let other = &seeds[seed.index(seeds.len())];
                file.truncate(at.index(len));
                file.extend_from_slice(&other[from.index(other.len())..]);
            }
        }
    }
}

fn overwrite(file: &mut [u8], at: usize, bytes: &[u8]) {
    file[at..].iter_mut().zip(bytes).for_each(|(byte, &new)| *byte = new);
}

fn mutations() -> impl Strategy<Value = Mutation> {
    let at = any::<Index>;
    // Small numbers stay plausible as types, counts and dimensions; the others are extremes.
    let n32 = prop_oneof![0u32..50, Just(u32::MAX), Just(1 << 31), any::<u32>()];
    let edge = (0u32..64, 0u64..3).prop_map(|(shift, less)| (1u64 << shift).wrapping_sub(less));
    let n64 = prop_oneof![0u64..50, edge, any::<u64>()];
    prop_oneof![
        4 => (at(), 1u8..).prop_map(|(at, bits)| Mutation::Flip(at, bits)),
        3 => (at(), n32).prop_map(|(at, n)| Mutation::Number32(at, n)),
        3 => (at(), n64).prop_map(|(at, n)| Mutation::Number64(at, n)),
        1 => at().prop_map(Mutation::Truncate),
        1 => (at(), vec(any::<u8>(), 1..20)).prop_map(|(at, new)| Mutation::Insert(at, new)),
        1 => (at(), at(), at()).prop_map(|(at, seed, from)| Mutation::Splice(at, seed, from)),
    ]
}

#[test]
fn mutated_files() {
    let seeds = seeds();
    assert!(seeds.iter().all(|seed| read(seed.clone())));
    let config = Config { cases: 20_000, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let accepted = Cell::new(0);
    let strategy = (any::<Index>(), vec(mutations(), 1..4));
    let outcome = TestRunner::new_with_rng(config, rng).run(&strategy, |(seed, mutations)| {
        let mut file = seeds[seed.index(seeds.len())].clone();
        mutations.iter().for_each(|mutation| mutation.apply(&mut file, &seeds));
        accepted.set(accepted.get() + u32::from(read(file)));
        Ok(())
    });
    outcome.unwrap();
    println!("{} of 20000 mutated files were read, the others refused", accepted.get());
    assert!((1_000..19_000).contains(&accepted.get()), "the mutations are too weak or too strong");
}

/// The start of a file and `count` copies of an entry of its metadata or of its tensor table.
fn repeated(tensors: u64, keys: u64, entry: impl Fn(u64) -> Vec<u8>) -> Vec<u8> {
    let mut file = [&b"GGUF"[..], &[3, 0, 0, 0]].concat();
    file.extend([tensors, keys].iter().flat_map(|n| n.to_le_bytes()));
    (0..tensors + keys).for_each(|i| file.extend(entry(i)));
    file.resize(file.len() + 64, 0);
    file
}

/// One key `k` that holds an array of `count` elements, each `element`.
fn one_array(element_type: u32, count: usize, element: &[u8]) -> Vec<u8> {
    let mut entry = [&1u64.to_le_bytes()[..], b"k", &9u32.to_le_bytes()].concat();
    entry.extend(element_type.to_le_bytes());
    entry.extend((count as u64).to_le_bytes());
    entry.extend(element.repeat(count));
    repeated(0, 1, |_| entry.clone())
}

#[test]
fn files_that_are_small_on_disk_and_large_in_memory() {
    let key = |i: u64| {
        let name = format!("{i:x}");
        [&(name.len() as u64).to_le_bytes(), name.as_bytes(), &[0, 0, 0, 0, 1]].concat()
    };
    assert!(read(repeated(0, 1 << 16, key)));
    assert!(!read(repeated(0, (1 << 16) + 1, key)), "more keys than are read");

    let long = |i: u64| {
        let name = format!("{i:065535}");
        [&(name.len() as u64).to_le_bytes(), name.as_bytes(), &[0, 0, 0, 0, 1]].concat()
    };
    assert!(read(repeated(0, 1 << 11, long)));

    // No dimensions, type I8, all at offset 0: refused, but only when all have been read.
    let tensor = |i: u64| {
        let name = format!("{i:x}");
        [&(name.len() as u64).to_le_bytes(), name.as_bytes(), &[0; 4], &[24, 0, 0, 0], &[0; 8]]
            .concat()
    };
    assert!(!read(repeated(1 << 17, 0, tensor)));
    assert!(!read(repeated((1 << 17) + 1, 0, tensor)), "more tensors than are read");

    assert!(read(one_array(0, 1 << 26, &[0])));
    assert!(read(one_array(8, 1 << 22, &[0; 8])), "empty strings");
    assert!(read(one_array(9, 1 << 18, &[0; 12])), "empty arrays");
    assert!(!read(one_array(9, (1 << 18) + 1, &[0; 12])), "more arrays than are read");
}
