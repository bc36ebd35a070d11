//! The values of metadata, with the types that the file gives them.

use super::array::Array;
use super::error::shortened;

/// The type of a metadata value, numbered as in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// 8 bits, unsigned.
    U8 = 0,
    /// 8 bits, signed.
    I8 = 1,
    /// 16 bits, unsigned.
    U16 = 2,
    /// 16 bits, signed.
    I16 = 3,
    /// 32 bits, unsigned.
    U32 = 4,
    /// 32 bits, signed.
    I32 = 5,
    /// A float of 32 bits.
    F32 = 6,
    /// True or false, in a byte.
    Bool = 7,
    /// A length and bytes.
    String = 8,
    /// Elements of one type, arrays among them.
    Array = 9,
    /// 64 bits, unsigned.
    U64 = 10,
    /// 64 bits, signed.
    I64 = 11,
    /// A float of 64 bits.
    F64 = 12,
}

/// In the order of their ids: the type and its name.
const TYPES: [(ValueType, &str); 13] = [
    (ValueType::U8, "u8"),
    (ValueType::I8, "i8"),
    (ValueType::U16, "u16"),
    (ValueType::I16, "i16"),
    (ValueType::U32, "u32"),
    (ValueType::I32, "i32"),
    (ValueType::F32, "f32"),
    (ValueType::Bool, "bool"),
    (ValueType::String, "str"),
    (ValueType::Array, "arr"),
    (ValueType::U64, "u64"),
    (ValueType::I64, "i64"),
    (ValueType::F64, "f64"),
];

impl ValueType {
    /// The type with this id in the file.
    pub fn from_id(id: u32) -> Option<ValueType> {
        TYPES.get(id as usize).map(|row| row.0)
    }

    /// The id in the file.
    pub const fn id(self) -> u32 {
        self as u32
    }

    /// A short name, as gguf-py prints it in lower case.
    pub const fn name(self) -> &'static str {
        TYPES[self as usize].1
    }

    /// The fewest bytes that a value of this type takes in a file; all of them but for strings
    /// (a length, then bytes) and arrays (element type, length, then elements).
    pub(super) const fn min_bytes(self) -> u64 {
        match self {
            ValueType::U8 | ValueType::I8 | ValueType::Bool => 1,
            ValueType::U16 | ValueType::I16 => 2,
            ValueType::U32 | ValueType::I32 | ValueType::F32 => 4,
            ValueType::U64 | ValueType::I64 | ValueType::F64 | ValueType::String => 8,
            ValueType::Array => 12,
        }
    }
}

impl std::fmt::Display for ValueType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// A string as GGUF stores it: any bytes. Tokens of some vocabularies are not UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct GgufString(Vec<u8>);

impl GgufString {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text, where the bytes are UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl From<&str> for GgufString {
    fn from(text: &str) -> GgufString {
        GgufString(text.into())
    }
}

impl From<String> for GgufString {
    fn from(text: String) -> GgufString {
        GgufString(text.into())
    }
}

impl From<Vec<u8>> for GgufString {
    fn from(bytes: Vec<u8>) -> GgufString {
        GgufString(bytes)
    }
}

/// Lossy where the bytes are not UTF-8.
impl std::fmt::Display for GgufString {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&String::from_utf8_lossy(&self.0))
    }
}

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
            Value::String(s) => 8 + s.0.len() as u64,
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
            Value::String(s) => encode_string(&s.0, out),
            Value::Array(a) => a.encode(out),
            Value::U64(n) => out.extend(n.to_le_bytes()),
            Value::I64(n) => out.extend(n.to_le_bytes()),
            Value::F64(x) => out.extend(x.to_le_bytes()),
        }
    }
}

/// Appends a string as a file stores it: its length, its bytes.
pub(super) fn encode_string(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend((bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(bytes);
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
            Value::String(s) => f.pad(&shortened(&s.0, 60)),
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
    fn ids_lead_back() {
        for (i, (value_type, _)) in TYPES.iter().enumerate() {
            assert_eq!(value_type.id() as usize, i);
            assert_eq!(ValueType::from_id(i as u32), Some(*value_type));
        }
        assert_eq!(ValueType::from_id(13), None);
    }

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
