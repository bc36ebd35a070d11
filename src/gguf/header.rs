//! The part of a file before the tensor data: version, metadata, the table of tensors.

use std::path::Path;

use super::cursor::{Cursor, Place};
use super::decode::Decoder;
use super::error::{Error, grouped, quoted};
use super::foreign;
use super::format::Format;
use super::metadata::Metadata;
use super::tensor::{MAX_DIMS, Shape, TensorInfo, check_name, checked_bytes};
use super::value::Value;
use super::value_type::ValueType;
use super::{ALIGNMENT_KEY, DEFAULT_ALIGNMENT};

/// The most metadata keys read or written. Models have some dozens; each key costs more memory than
/// file, so that their number must be bounded.
pub(super) const MAX_KEYS: u64 = 1 << 16;

/// The most bytes of a key, by GGUF's specification.
pub(super) const MAX_KEY: usize = 65_535;

/// The most tensors, over all shards. The largest models have some thousands.
pub(super) const MAX_TENSORS: u64 = 1 << 17;

/// The fewest bytes of a key with its value: a length, a byte, a type, a byte.
const MIN_KEY_VALUE: u64 = 8 + 1 + 4 + 1;

/// The fewest bytes of a tensor's entry: a length, a byte, no dimensions, a type, an offset.
const MIN_TENSOR: u64 = 8 + 1 + 4 + 4 + 8;

/// What the first part of a file says, but for its tensors.
pub(super) struct Header {
    pub version: u32,
    pub alignment: u64,
    pub metadata: Metadata,
}

/// Reads the header of a file (shard number `shard` of the model) and appends its tensors, each of
/// which is checked to lie inside the file.
pub(super) fn parse(
    path: &Path,
    bytes: &[u8],
    shard: usize,
    tensors: &mut Vec<TensorInfo>,
) -> Result<Header, Error> {
    let mut cursor = Cursor::new(path, bytes);
    let version = version(&mut cursor, bytes)?;
    let tensor_count = cursor.u64()?;
    let key_count = cursor.u64()?;
    let metadata = metadata(&mut cursor, key_count)?;
    let alignment = alignment(&metadata).map_err(|fault| Error::format(path, fault))?;

    cursor.place = Place::Header;
    cursor.need_items(tensor_count, MIN_TENSOR, "tensors")?;
    if tensors.len() as u64 + tensor_count > MAX_TENSORS {
        let limit = grouped(MAX_TENSORS);
        return Err(Error::unsupported(path, format!("it has more than {limit} tensors")));
    }
    tensors.reserve_exact(tensor_count as usize);
    let first = tensors.len();
    for i in 0..tensor_count {
        tensors.push(tensor(&mut cursor, i, shard, alignment)?);
    }
    let data = (cursor.at() as u64).checked_next_multiple_of(alignment);
    for tensor in &mut tensors[first..] {
        place(path, tensor, data, bytes.len())?;
    }
    refuse_overlap(path, &tensors[first..])?;
    Ok(Header { version, alignment, metadata })
}

fn version(cursor: &mut Cursor, bytes: &[u8]) -> Result<u32, Error> {
    let path = cursor.path;
    if bytes.is_empty() {
        return Err(Error::format(path, "it is empty; was the download complete?"));
    }
    let magic = cursor.take(4)?;
    let big_endian = || {
        let what = "it is a big-endian GGUF; convert it with gguf-py's gguf-convert-endian";
        Error::unsupported(path, what)
    };
    match magic {
        b"GGUF" => {}
        b"FUGG" => return Err(big_endian()),
        other => {
            let fault = || format!("it begins with {}, expected `GGUF`", quoted(other));
            return Err(match foreign::described(path, bytes) {
                Some(what) => Error::unsupported(path, what),
                None => Error::format(path, fault()),
            });
        }
    }
    match cursor.u32()? {
        version @ (2 | 3) => Ok(version),
        0 => Err(Error::format(path, "its version is 0, expected 2 or 3")),
        1 => {
            let what = "its version is 1, and only 2 and 3 are read; \
                        convert the model again from its source";
            Err(Error::unsupported(path, what))
        }
        // A small number with its bytes swapped.
        version if version & 0xffff == 0 => Err(big_endian()),
        version => {
            let what = format!("its version is {version}, and only 2 and 3 are read");
            Err(Error::unsupported(path, what))
        }
    }
}

fn metadata(cursor: &mut Cursor, count: u64) -> Result<Metadata, Error> {
    cursor.need_items(count, MIN_KEY_VALUE, "metadata keys")?;
    if count > MAX_KEYS {
        let limit = grouped(MAX_KEYS);
        return Err(Error::unsupported(
            cursor.path,
            format!("it has more than {limit} metadata keys"),
        ));
    }
    let mut metadata = Metadata::with_capacity(count as usize);
    let mut decoder = Decoder::new();
    for i in 0..count {
        cursor.place = Place::Key(i);
        let key = cursor.text()?;
        check_key(key).map_err(|fault| cursor.fault(&fault))?;
        if metadata.get(key).is_some() {
            let key = quoted(key.as_bytes());
            return Err(cursor.fault(&format!("the key {key} stands twice")));
        }
        cursor.place = Place::Value(key);
        metadata.set(key, decoder.value(cursor)?);
    }
    Ok(metadata)
}

/// What is wrong with a metadata key, if anything.
pub(super) fn check_key(key: &str) -> Result<(), String> {
    match key.len() {
        0 => Err("the key is empty".into()),
        1..=MAX_KEY => Ok(()),
        len => Err(format!("the key has {len} bytes, and {MAX_KEY} is the most")),
    }
}

/// The alignment that `general.alignment` asks for, in bytes, or what is wrong with it.
pub fn alignment(metadata: &Metadata) -> Result<u64, String> {
    match metadata.get(ALIGNMENT_KEY) {
        None => Ok(DEFAULT_ALIGNMENT),
        Some(Value::U32(alignment)) if alignment.is_power_of_two() => Ok((*alignment).into()),
        Some(Value::U32(alignment)) => {
            Err(format!("`general.alignment` is {alignment}, expected a power of two"))
        }
        Some(other) => Err(format!(
            "`general.alignment` is of type {}, expected {}",
            other.value_type(),
            ValueType::U32
        )),
    }
}

/// One entry of the table. Its range begins at its offset in the data section until [`place`].
fn tensor(cursor: &mut Cursor, i: u64, shard: usize, alignment: u64) -> Result<TensorInfo, Error> {
    cursor.place = Place::TensorName(i);
    let name = cursor.text()?;
    check_name(name).map_err(|fault| cursor.fault(&fault))?;
    cursor.place = Place::Tensor(name);

    let count = cursor.u32()? as usize;
    let mut dims = [0; MAX_DIMS];
    let Some(dims) = dims.get_mut(..count) else {
        return Err(cursor.fault(&format!("has {count} dimensions, and {MAX_DIMS} is the most")));
    };
    for dim in dims.iter_mut() {
        *dim = cursor.u64()?;
    }
    let format = format(cursor, name)?;
    let offset = cursor.u64()?;

    let shape = Shape::new(dims).map_err(|fault| cursor.fault(&fault))?;
    let bytes = checked_bytes(format, &shape).map_err(|fault| cursor.fault(&fault))?;
    if !offset.is_multiple_of(alignment) {
        let fault =
            format!("its offset {} is no multiple of the alignment {alignment}", grouped(offset));
        return Err(cursor.fault(&fault));
    }
    let end = offset.checked_add(bytes).and_then(|end| usize::try_from(end).ok());
    let Some(end) = end else {
        let fault = format!("its offset {} lies past the end of any file", grouped(offset));
        return Err(cursor.fault(&fault));
    };
    let range = offset as usize..end;
    Ok(TensorInfo { name: name.into(), format, shape, shard, range })
}

fn format(cursor: &mut Cursor, name: &str) -> Result<Format, Error> {
    let id = cursor.u32()?;
    Format::from_id(id).ok_or_else(|| {
        let name = quoted(name.as_bytes());
        let what = match removed_type(id) {
            Some(old) => format!(
                "tensor {name} is of type {id} ({old}), which ggml has removed; \
                 convert the model again from its source"
            ),
            None => format!("tensor {name} is of type {id}, which this program doesn't know"),
        };
        Error::unsupported(cursor.path, what)
    })
}

/// The name of a type that ggml once had.
fn removed_type(id: u32) -> Option<&'static str> {
    match id {
        4 => Some("Q4_2"),
        5 => Some("Q4_3"),
        31 => Some("Q4_0_4_4"),
        32 => Some("Q4_0_4_8"),
        33 => Some("Q4_0_8_8"),
        36 => Some("IQ4_NL_4_4"),
        37 => Some("IQ4_NL_4_8"),
        38 => Some("IQ4_NL_8_8"),
        _ => None,
    }
}

/// Moves a tensor's range to where its bytes lie in the file, whose data section begins at `data`.
fn place(
    path: &Path,
    tensor: &mut TensorInfo,
    data: Option<u64>,
    file_len: usize,
) -> Result<(), Error> {
    let shift = |at: usize| usize::try_from(data?.checked_add(at as u64)?).ok();
    let range = shift(tensor.range.start).zip(shift(tensor.range.end));
    if let Some((start, end)) = range.filter(|&(_, end)| end <= file_len) {
        tensor.range = start..end;
        return Ok(());
    }
    let place = range.map_or("past the end of any file".into(), |(start, end)| {
        format!("at bytes {} to {}", grouped(start as u64), grouped(end as u64))
    });
    let fault = format!(
        "tensor {} ({}, {} bytes) should lie {place}, but the file ends at byte {}; \
         was the download complete?",
        quoted(tensor.name.as_bytes()),
        tensor.format,
        grouped(tensor.bytes()),
        grouped(file_len as u64)
    );
    Err(Error::format(path, fault))
}

fn refuse_overlap(path: &Path, tensors: &[TensorInfo]) -> Result<(), Error> {
    let mut order: Vec<u32> = (0..tensors.len() as u32).collect();
    order.sort_unstable_by_key(|&i| tensors[i as usize].range.start);
    for pair in order.windows(2) {
        let [a, b] = [&tensors[pair[0] as usize], &tensors[pair[1] as usize]];
        if b.range.start < a.range.end {
            let fault = format!(
                "tensor {} ends at byte {}, and tensor {} begins at byte {}: they overlap",
                quoted(a.name.as_bytes()),
                grouped(a.range.end as u64),
                quoted(b.name.as_bytes()),
                grouped(b.range.start as u64)
            );
            return Err(Error::format(path, fault));
        }
    }
    Ok(())
}
