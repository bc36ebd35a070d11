//! The values of metadata, with the types that the file gives them.

use super::array::Array;
use super::error::shortened;
use super::string::{GgufString, encode_string};
use super::value_type::ValueType;

/// A metadata value. Floats keep their bits, NaN payloads included; by `==`, as for floats
/// themselves, a NaN equals nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// 8 bits, unsigned.
    U8(u8),
    /// 8 bits, signed.
    I8(i8),
    /// 16 bits, unsigned.
    U16(u16),
    /// 16 bits, signed.
    I16(i16),
    /// 32 bits, unsigned.
    U32(u32),
    /// 32 bits, signed.
    I32(i32),
    /// A float of 32 bits.
    F32(f32),
    /// True or false.
    Bool(bool),
    /// Text, as a rule; any bytes.
    String(GgufString),
    /// Elements of one type.
    Array(Array),
    /// 64 bits, unsigned.
    U64(u64),
    /// 64 bits, signed.
    I64(i64),
    /// A float of 64 bits.
    F64(f64),
}

impl Value {
    /// A string value.
    pub fn string(text: &str) -> Value {
        Value::String(text.into())
    }

    /// Its type.
    pub fn value_type(&self) -> ValueType {
        match self {
            Value::U8(_) => ValueType::U8,
            Value::I8(_) => ValueType::I8,
            Value::U16(_) => ValueType::U16,
            Value::I16(_) => ValueType::I16,
            Value::U32(_) => ValueType::U32,
            Value::I32(_) => ValueType::I32,
            Value::F32(_) => ValueType::F32,
            Value::Bool(_) => ValueType::Bool,
            Value::String(_) => ValueType::String,
            Value::Array(_) => ValueType::Array,
            Value::U64(_) => ValueType::U64,
            Value::I64(_) => ValueType::I64,
            Value::F64(_) => ValueType::F64,
        }
    }

    /// The number, of an integer of any type that is not negative.
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Value::U8(n) => Some(n.into()),
            Value::U16(n) => Some(n.into()),
            Value::U32(n) => Some(n.into()),
            Value::U64(n) => Some(n),
            Value::I8(n) => n.try_into().ok(),
            Value::I16(n) => n.try_into().ok(),
            Value::I32(n) => n.try_into().ok(),
            Value::I64(n) => n.try_into().ok(),
            _ => None,
        }
    }

    /// The number, of a float of either width.
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Value::F32(x) => Some(x.into()),
            Value::F64(x) => Some(x),
            _ => None,
        }
    }

    /// The truth value.
    pub fn as_bool(&self) -> Option<bool> {
        match *self {
            Value::Bool(b) => Some(b),
            _ => None,
        }
    }

    /// The text, of a string that is UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(s) => s.as_str(),
            _ => None,
        }
    }

    /// The array.
    pub fn as_array(&self) -> Option<&Array> {
        match self {
            Value::Array(a) => Some(a),
            _ => None,
        }
    }

    /// Bytes it takes in a file, its type not counted.
    pub(super) fn encoded_len(&self) -> u64 {
        match self {
            Value::String(s) => 8 + s.as_bytes().len() as u64,
            Value::Array(a) => a.encoded_len(),
            scalar => scalar.value_type().min_bytes(),
        }
    }

    /// Appends it as a file stores it, without its type.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Value::U8(n) => out.push(*n),
            Value::I8(n) => out.extend(n.to_le_bytes()),
            Value::U16(n) => out.extend(n.to_le_bytes()),
            Value::I16(n) => out.extend(n.to_le_bytes()),
            Value::U32(n) => out.extend(n.to_le_bytes()),
            Value::I32(n) => out.extend(n.to_le_bytes()),
            Value::F32(x) => out.extend(x.to_le_bytes()),
            Value::Bool(b) => out.push((*b).into()),
            Value::String(s) => encode_string(s.as_bytes(), out),
            Value::Array(a) => a.encode(out),
            Value::U64(n) => out.extend(n.to_le_bytes()),
            Value::I64(n) => out.extend(n.to_le_bytes()),
            Value::F64(x) => out.extend(x.to_le_bytes()),
        }
    }
}

/// One short line for a person: long strings are cut, arrays show type and length.
impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::U8(n) => n.fmt(f),
            Value::I8(n) => n.fmt(f),
            Value::U16(n) => n.fmt(f),
            Value::I16(n) => n.fmt(f),
            Value::U32(n) => n.fmt(f),
            Value::I32(n) => n.fmt(f),
            Value::F32(x) => x.fmt(f),
            Value::Bool(b) => b.fmt(f),
            Value::String(s) => f.pad(&shortened(s.as_bytes(), 60)),
            Value::Array(a) => a.fmt(f),
            Value::U64(n) => n.fmt(f),
            Value::I64(n) => n.fmt(f),
            Value::F64(x) => x.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_width_are_numbers() {
        assert_eq!(Value::I8(5).as_u64(), Some(5));
        assert_eq!(Value::I64(-1).as_u64(), None);
        assert_eq!(Value::F32(1.5).as_f64(), Some(1.5));
        assert_eq!(Value::F32(1.0).as_u64(), None, "a float is no count");
        assert_eq!(Value::Bool(true).as_bool(), Some(true));
    }

    #[test]
    fn strings_need_not_be_text() {
        let value = Value::String(vec![b'a', 0xff].into());
        assert_eq!(value.as_str(), None);
        assert_eq!(value.to_string(), "a\u{fffd}");
        assert_eq!(Value::string("{% if\n").to_string(), "{% if\\n");
        assert_eq!(Value::string(&"x".repeat(100)).to_string().chars().count(), 61);
    }
}
