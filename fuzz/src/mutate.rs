//! Mutations of a GGUF. Most of its bytes are weights, of which no branch depends: so one half of the
//! mutations are of the header's bytes, and others take the file apart and write it again with other
//! values, so that container and offsets are sound and what stands in them is not.

use std::path::Path;

use libfuzzer_sys::fuzzer_mutate;
use opencog_qat::gguf::{Array, Format, Gguf, Metadata, Shape, TensorSpec, Value, Writer};

/// Mutates the GGUF in `data[..size]` in place, to at most `most` bytes, and returns how many.
pub fn mutated_gguf(data: &mut [u8], size: usize, most: usize, seed: u32) -> usize {
    let mut dice = Dice(u64::from(seed) << 1 | 1);
    match dice.below(8) {
        0..4 => {
            let changed = Parts::of(&data[..size]).and_then(|mut parts| {
                (0..=dice.below(3)).for_each(|_| parts.change(&mut dice));
                parts.file()
            });
            match changed.filter(|file| file.len() <= most) {
                Some(file) => {
                    data[..file.len()].copy_from_slice(&file);
                    file.len()
                }
                None => fuzzer_mutate(data, size, most),
            }
        }
        4..7 => mutated_header(data, size, most),
        _ => fuzzer_mutate(data, size, most),
    }
}

/// The header, and what lies after it where it was.
fn mutated_header(data: &mut [u8], size: usize, most: usize) -> usize {
    let gguf = Gguf::from_bytes("x", data[..size].to_vec());
    let first = gguf.ok().and_then(|gguf| Some(gguf.tensors().first()?.offset() as usize));
    let header = first.unwrap_or(4096).min(size);
    let mut head = data[..header].to_vec();
    head.resize((header + 64).min(most), 0);
    let room = head.len();
    let len = fuzzer_mutate(&mut head, header, room);
    let rest = data[header..size].to_vec();
    let rest = &rest[..rest.len().min(most - len)];
    data[..len].copy_from_slice(&head[..len]);
    data[len..len + rest.len()].copy_from_slice(rest);
    len + rest.len()
}

/// Numbers that a seed decides (SplitMix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }
}

/// A file taken apart.
struct Parts {
    metadata: Metadata,
    tensors: Vec<(TensorSpec, Vec<u8>)>,
}

/// The most bytes that a mutation gives a tensor.
const MOST: u64 = 1 << 17;

const KEYS: [&str; 24] = [
    "general.architecture",
    "general.alignment",
    "general.type",
    "split.count",
    "llama.block_count",
    "llama.context_length",
    "llama.embedding_length",
    "llama.feed_forward_length",
    "llama.attention.head_count",
    "llama.attention.head_count_kv",
    "llama.attention.key_length",
    "llama.attention.value_length",
    "llama.attention.sliding_window",
    "llama.attention.layer_norm_rms_epsilon",
    "llama.rope.dimension_count",
    "llama.rope.freq_base",
    "llama.rope.scaling.type",
    "llama.rope.scaling.factor",
    "llama.vocab_size",
    "llama.expert_count",
    "tokenizer.ggml.bos_token_id",
    "tokenizer.ggml.eos_token_id",
    "tokenizer.ggml.add_bos_token",
    "tokenizer.chat_template",
];

const NAMES: [&str; 10] = [
    "token_embd.weight",
    "output.weight",
    "output_norm.weight",
    "rope_freqs.weight",
    "blk.0.attn_q.weight",
    "blk.0.attn_q.bias",
    "blk.0.ffn_gate_exps.weight",
    "blk.0.ffn_gate_inp.weight",
    "blk.7.ffn_down.weight",
    "blk.18446744073709551615.attn_k.weight",
];

const TEXTS: [&str; 12] = [
    "", "llama", "qwen2", "qwen3", "gemma3", "clip", "yarn", "linear", "gpt2", "adapter", "\0", "ä",
];

const NUMBERS: [i64; 16] =
    [0, 1, 2, 3, 7, 31, 32, 33, 255, 256, 65_535, 1 << 20, (1 << 31) - 1, 1 << 32, i64::MAX, -1];

const REALS: [f64; 10] =
    [0.0, -0.0, 1.0, -1.0, 1e-45, 1e38, 1e300, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];

impl Parts {
    fn of(file: &[u8]) -> Option<Parts> {
        let gguf = Gguf::from_bytes("x", file.to_vec()).ok()?;
        let tensor = |tensor| (Gguf::data(&gguf, tensor).to_vec(), tensor.spec());
        let tensors = gguf.tensors().iter().map(tensor).map(|(bytes, spec)| (spec, bytes));
        Some(Parts { metadata: gguf.metadata().clone(), tensors: tensors.collect() })
    }

    fn file(&self) -> Option<Vec<u8>> {
        let specs: Vec<TensorSpec> = self.tensors.iter().map(|(spec, _)| spec.clone()).collect();
        let alignment = self.metadata.get("general.alignment").and_then(Value::as_u64);
        if alignment.is_some_and(|bytes| bytes > 4096) {
            return None; // padding alone would fill the file
        }
        let mut writer = Writer::new(Vec::new(), Path::new("x"), &self.metadata, &specs).ok()?;
        self.tensors.iter().try_for_each(|(_, bytes)| writer.tensor_bytes(bytes)).ok()?;
        writer.finish().ok()
    }

    fn change(&mut self, dice: &mut Dice) {
        let Parts { metadata, tensors } = self;
        let keys: Vec<String> = metadata.iter().map(|(key, _)| key.into()).collect();
        match dice.below(10) {
            0..3 if !keys.is_empty() => {
                let key = &keys[dice.below(keys.len())];
                let value = metadata.get(key).map(|value| changed(value, dice));
                metadata.set(key, value.unwrap_or(Value::U8(0)));
            }
            3 => metadata.set(dice.of(&KEYS), scalar(dice)),
            4 if !keys.is_empty() => drop(metadata.remove(&keys[dice.below(keys.len())])),
            5 => {
                let name = dice.of(&NAMES).to_string();
                if let Some(made) = tensor(name, dice.of(&[32, 33, 64, 256]), dice) {
                    tensors.push(made);
                }
            }
            _ if tensors.is_empty() => {}
            6 => drop(tensors.remove(dice.below(tensors.len()))),
            7 => {
                let at = dice.below(tensors.len());
                tensors[at].0.name = dice.of(&NAMES).into();
            }
            8 => {
                let at = dice.below(tensors.len());
                let (name, row) = (tensors[at].0.name.clone(), tensors[at].0.shape.row_len());
                if let Some((spec, mut bytes)) = tensor(name, row as u64, dice) {
                    let common = bytes.len().min(tensors[at].1.len());
                    bytes[..common].copy_from_slice(&tensors[at].1[..common]);
                    tensors[at] = (spec, bytes);
                }
            }
            _ => {
                let at = dice.below(tensors.len());
                fill(&mut tensors[at].1, dice);
            }
        }
    }
}

/// Other weights in a part of a tensor, as bits of F16 or F32.
fn fill(bytes: &mut [u8], dice: &mut Dice) {
    let start = dice.below(bytes.len()) / 4 * 4;
    let len = dice.of(&[4, 64, 1024, usize::MAX]).min(bytes.len() - start);
    let pattern = dice.of(&[
        0u32,
        0x7e00_7e00,
        0x7c00_7c00,
        0x7bff_7bff,
        0x0001_0001,
        0x7f7f_ffff,
        0x0000_0080,
    ]);
    let pattern = pattern.to_le_bytes();
    bytes[start..start + len].iter_mut().zip(pattern.iter().cycle()).for_each(|(b, p)| *b = *p);
}

/// A tensor with rows of about this length, of some format.
fn tensor(name: String, row: u64, dice: &mut Dice) -> Option<(TensorSpec, Vec<u8>)> {
    let formats: Vec<Format> = Format::all().collect();
    let usual = [Format::F32, Format::F16, Format::BF16, Format::Q8_0, Format::Q4_K];
    let format = if dice.below(2) == 0 { dice.of(&usual) } else { dice.of(&formats) };
    let row = match dice.below(4) {
        0 => row,
        1 => row.next_multiple_of(format.block_len() as u64),
        _ => format.block_len() as u64 * (1 + dice.below(3) as u64),
    };
    let rest: Vec<u64> = (0..dice.below(4)).map(|_| dice.of(&[1, 2, 12, 32, 288])).collect();
    let shape = Shape::new(&[vec![row], rest].concat()).ok()?;
    let bytes = format.bytes_of(shape.elements()).filter(|&bytes| bytes <= MOST)?;
    let mut data = vec![0; bytes as usize];
    data.iter_mut().for_each(|byte| *byte = dice.next() as u8 & 0x3f);
    Some((TensorSpec { name, format, shape }, data))
}

fn scalar(dice: &mut Dice) -> Value {
    let number = dice.of(&NUMBERS);
    match dice.below(10) {
        0 => Value::U8(number as u8),
        1 => Value::U16(number as u16),
        2..5 => Value::U32(number as u32),
        5 => Value::I32(number as i32),
        6 => Value::U64(number as u64),
        7 => Value::F32(dice.of(&REALS) as f32),
        8 => Value::Bool(number & 1 == 1),
        _ => Value::string(dice.of(&TEXTS)),
    }
}

/// Another value, most often of the same type.
fn changed(value: &Value, dice: &mut Dice) -> Value {
    if dice.below(6) == 0 {
        return scalar(dice);
    }
    let number = dice.of(&NUMBERS);
    match value {
        Value::U32(_) => Value::U32(number as u32),
        Value::I32(_) => Value::I32(number as i32),
        Value::U64(_) => Value::U64(number as u64),
        Value::F32(_) => Value::F32(dice.of(&REALS) as f32),
        Value::Bool(value) => Value::Bool(!value),
        Value::String(_) => Value::string(dice.of(&TEXTS)),
        Value::Array(array) => Value::Array(changed_array(array, dice)),
        _ => scalar(dice),
    }
}

fn changed_array(array: &Array, dice: &mut Dice) -> Array {
    match array {
        Array::I32(values) => {
            Array::I32(changed_list(values, dice, |dice| dice.of(&NUMBERS) as i32))
        }
        Array::U32(values) => {
            Array::U32(changed_list(values, dice, |dice| dice.of(&NUMBERS) as u32))
        }
        Array::F32(values) => Array::F32(changed_list(values, dice, |dice| dice.of(&REALS) as f32)),
        Array::Bool(values) => Array::Bool(changed_list(values, dice, |dice| dice.below(2) == 1)),
        Array::String(strings) => {
            let strings: Vec<Vec<u8>> = strings.iter().map(<[u8]>::to_vec).collect();
            let changed = changed_list(&strings, dice, |dice| dice.of(&TEXTS).as_bytes().to_vec());
            Array::String(changed.iter().map(Vec::as_slice).collect())
        }
        _ => Array::U32(vec![dice.of(&NUMBERS) as u32; dice.below(5)]),
    }
}

/// The list shortened, lengthened, or with another value in it.
fn changed_list<T: Clone>(list: &[T], dice: &mut Dice, other: impl Fn(&mut Dice) -> T) -> Vec<T> {
    let mut list = list.to_vec();
    match dice.below(4) {
        0 => list.truncate(dice.below(list.len() + 1)),
        1 => list.extend((0..dice.below(4)).map(|_| other(dice)).collect::<Vec<T>>()),
        2 if list.len() > 1 => {
            let (a, b) = (dice.below(list.len()), dice.below(list.len()));
            list[a] = list[b].clone();
        }
        _ if list.is_empty() => list.push(other(dice)),
        _ => {
            let at = dice.below(list.len());
            list[at] = other(dice);
        }
    }
    list
}
