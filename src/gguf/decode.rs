//! Metadata values from the bytes of a file.
//!
//! Every length is checked against the bytes that remain before room is made for it, and no value
//! takes more memory than it has bytes in the file; only arrays of arrays do, so those are counted.

use super::array::{Array, Strings};
use super::cursor::Cursor;
use super::error::{Error, grouped};
use super::string::GgufString;
use super::value::Value;
use super::value_type::ValueType;

/// How deep arrays may be nested.
pub(super) const MAX_DEPTH: usize = 64;

/// How many arrays inside arrays one file may have: each costs about 50 bytes of memory and only 12
/// of the file. (llama.cpp reads none at all.)
const MAX_NESTED: u64 = 1 << 18;

/// Reads values, and counts over a whole file what has to be bounded.
pub(super) struct Decoder {
    nested_left: u64,
}

impl Decoder {
    pub fn new() -> Decoder {
        Decoder { nested_left: MAX_NESTED }
    }

    /// The type and value at the cursor.
    pub fn value(&mut self, cursor: &mut Cursor) -> Result<Value, Error> {
        let value_type = value_type(cursor)?;
        let fixed = match value_type {
            ValueType::String => return Ok(Value::String(GgufString::from(string(cursor)?))),
            ValueType::Array => return Ok(Value::Array(self.array(cursor, 1)?)),
            _ => cursor.take(value_type.min_bytes())?,
        };
        scalar(value_type, fixed).ok_or_else(|| bad_bool(cursor))
    }

    fn array(&mut self, cursor: &mut Cursor, depth: usize) -> Result<Array, Error> {
        let element_type = value_type(cursor)?;
        let count = cursor.u64()?;
        let items = format!("elements of type {element_type}");
        cursor.need_items(count, element_type.min_bytes(), &items)?;
        match element_type {
            ValueType::String => strings(cursor, count).map(Array::String),
            ValueType::Array => self.nested(cursor, count, depth).map(Array::Array),
            _ => {
                let bytes = cursor.take(count * element_type.min_bytes())?;
                scalars(element_type, bytes).ok_or_else(|| bad_bool(cursor))
            }
        }
    }

    fn nested(
        &mut self,
        cursor: &mut Cursor,
        count: u64,
        depth: usize,
    ) -> Result<Vec<Array>, Error> {
        let place = cursor.place;
        if depth == MAX_DEPTH {
            let what = format!("{place}: arrays are nested deeper than {MAX_DEPTH}");
            return Err(Error::unsupported(cursor.path, what));
        }
        self.nested_left = self.nested_left.checked_sub(count).ok_or_else(|| {
            let limit = grouped(MAX_NESTED);
            let what = format!("{place}: the file has more than {limit} arrays inside arrays");
            Error::unsupported(cursor.path, what)
        })?;
        let mut arrays = Vec::with_capacity(count as usize);
        for _ in 0..count {
            arrays.push(self.array(cursor, depth + 1)?);
        }
        Ok(arrays)
    }
}

fn value_type(cursor: &mut Cursor) -> Result<ValueType, Error> {
    let id = cursor.u32()?;
    ValueType::from_id(id)
        .ok_or_else(|| cursor.fault(&format!("the value type is {id}, expected 0 to 12")))
}

fn bad_bool(cursor: &Cursor) -> Error {
    cursor.fault("a bool is neither 0 nor 1")
}

fn string(cursor: &mut Cursor) -> Result<Vec<u8>, Error> {
    cursor.string().map(<[u8]>::to_vec)
}

/// Strings one after another: measured first, so that exactly their room is made.
fn strings(cursor: &mut Cursor, count: u64) -> Result<Strings, Error> {
    let start = cursor.at();
    for _ in 0..count {
        cursor.string()?;
    }
    let bytes = cursor.at() - start - 8 * count as usize;
    cursor.rewind(start);
    let mut strings = Strings::with_capacity(count as usize, bytes);
    for _ in 0..count {
        strings.push(cursor.string()?);
    }
    Ok(strings)
}

/// All numbers of one type in `bytes`, whose length is a multiple of their size.
macro_rules! numbers {
    ($number:ty, $bytes:expr) => {{
        let (chunks, _) = $bytes.as_chunks::<{ size_of::<$number>() }>();
        chunks.iter().map(|&chunk| <$number>::from_le_bytes(chunk)).collect()
    }};
}

/// Elements of a type of fixed size; `None` where a bool is neither 0 nor 1.
fn scalars(element_type: ValueType, bytes: &[u8]) -> Option<Array> {
    Some(match element_type {
        ValueType::U8 => Array::U8(bytes.to_vec()),
        ValueType::I8 => Array::I8(numbers!(i8, bytes)),
        ValueType::U16 => Array::U16(numbers!(u16, bytes)),
        ValueType::I16 => Array::I16(numbers!(i16, bytes)),
        ValueType::U32 => Array::U32(numbers!(u32, bytes)),
        ValueType::I32 => Array::I32(numbers!(i32, bytes)),
        ValueType::F32 => Array::F32(numbers!(f32, bytes)),
        ValueType::U64 => Array::U64(numbers!(u64, bytes)),
        ValueType::I64 => Array::I64(numbers!(i64, bytes)),
        ValueType::F64 => Array::F64(numbers!(f64, bytes)),
        ValueType::Bool if bytes.iter().all(|&b| b <= 1) => {
            Array::Bool(bytes.iter().map(|&b| b == 1).collect())
        }
        ValueType::Bool | ValueType::String | ValueType::Array => return None,
    })
}

/// One value of a type of fixed size, of which `bytes` is the encoding.
fn scalar(value_type: ValueType, bytes: &[u8]) -> Option<Value> {
    Some(match scalars(value_type, bytes)? {
        Array::U8(a) => Value::U8(*a.first()?),
        Array::I8(a) => Value::I8(*a.first()?),
        Array::U16(a) => Value::U16(*a.first()?),
        Array::I16(a) => Value::I16(*a.first()?),
        Array::U32(a) => Value::U32(*a.first()?),
        Array::I32(a) => Value::I32(*a.first()?),
        Array::F32(a) => Value::F32(*a.first()?),
        Array::Bool(a) => Value::Bool(*a.first()?),
        Array::U64(a) => Value::U64(*a.first()?),
        Array::I64(a) => Value::I64(*a.first()?),
        Array::F64(a) => Value::F64(*a.first()?),
        Array::String(_) | Array::Array(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn decode(bytes: &[u8]) -> Result<Value, Error> {
        Decoder::new().value(&mut Cursor::new(Path::new("x.gguf"), bytes))
    }

    /// `depth` arrays inside one another, the innermost one empty.
    fn nest(depth: usize) -> Value {
        Value::Array((1..depth).fold(Array::U8(vec![]), |inner, _| Array::Array(vec![inner])))
    }

    fn encode(value: &Value) -> Vec<u8> {
        let mut out = value.value_type().id().to_le_bytes().to_vec();
        value.encode(&mut out);
        out
    }

    #[test]
    fn nesting_is_read_up_to_the_limit() {
        assert_eq!(decode(&encode(&nest(MAX_DEPTH))).unwrap(), nest(MAX_DEPTH));
        let error = decode(&encode(&nest(MAX_DEPTH + 1))).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    }

    #[test]
    fn arrays_inside_arrays_are_counted() {
        let many = Array::Array(vec![Array::U8(vec![]); MAX_NESTED as usize + 1]);
        let error = decode(&encode(&Value::Array(many))).unwrap_err();
        assert!(error.to_string().contains("arrays inside arrays"), "{error}");
    }

    #[test]
    fn lengths_are_checked_before_room_is_made() {
        for (element_type, count) in [(0, 1 << 63), (8, u64::MAX), (9, 1 << 40), (12, 1 << 61)] {
            let mut bytes = 9u32.to_le_bytes().to_vec();
            bytes.extend(u32::to_le_bytes(element_type));
            bytes.extend(u64::to_le_bytes(count));
            let error = decode(&bytes).unwrap_err().to_string();
            assert!(error.contains("0 bytes remain"), "{error}");
        }
    }

    #[test]
    fn a_bool_is_0_or_1() {
        assert_eq!(decode(&[7, 0, 0, 0, 1]).unwrap(), Value::Bool(true));
        assert!(decode(&[7, 0, 0, 0, 2]).unwrap_err().to_string().contains("neither 0 nor 1"));
    }

    #[test]
    fn nan_payloads_are_kept() {
        let Value::F32(x) = decode(&[6, 0, 0, 0, 1, 2, 0xa0, 0x7f]).unwrap() else { panic!() };
        assert_eq!(x.to_bits(), 0x7fa0_0201, "a signalling NaN");
    }
}
