//! Arrays of metadata values, stored about as compactly as in the file.
//!
//! A vocabulary has 10^5 strings and a hostile file may have 10^8 bytes in an array, so that no
//! element may cost more in memory than it does on disk (nested arrays apart, whose number the
//! reader caps).

use super::string::encode_string;
use super::value_type::ValueType;

/// An array: elements of one type.
#[derive(Debug, Clone, PartialEq)]
pub enum Array {
    /// Of 8 bits, unsigned.
    U8(Vec<u8>),
    /// Of 8 bits, signed.
    I8(Vec<i8>),
    /// Of 16 bits, unsigned.
    U16(Vec<u16>),
    /// Of 16 bits, signed.
    I16(Vec<i16>),
    /// Of 32 bits, unsigned.
    U32(Vec<u32>),
    /// Of 32 bits, signed.
    I32(Vec<i32>),
    /// Of floats of 32 bits.
    F32(Vec<f32>),
    /// Of true and false, a byte each.
    Bool(Vec<bool>),
    /// Of strings.
    String(Strings),
    /// Of arrays, which may be of different types.
    Array(Vec<Array>),
    /// Of 64 bits, unsigned.
    U64(Vec<u64>),
    /// Of 64 bits, signed.
    I64(Vec<i64>),
    /// Of floats of 64 bits.
    F64(Vec<f64>),
}

/// Appends numbers as a file stores them.
macro_rules! encode_all {
    ($numbers:expr, $out:expr) => {
        for n in $numbers {
            $out.extend_from_slice(&n.to_le_bytes());
        }
    };
}

impl Array {
    /// The type of its elements.
    pub fn element_type(&self) -> ValueType {
        match self {
            Array::U8(_) => ValueType::U8,
            Array::I8(_) => ValueType::I8,
            Array::U16(_) => ValueType::U16,
            Array::I16(_) => ValueType::I16,
            Array::U32(_) => ValueType::U32,
            Array::I32(_) => ValueType::I32,
            Array::F32(_) => ValueType::F32,
            Array::Bool(_) => ValueType::Bool,
            Array::String(_) => ValueType::String,
            Array::Array(_) => ValueType::Array,
            Array::U64(_) => ValueType::U64,
            Array::I64(_) => ValueType::I64,
            Array::F64(_) => ValueType::F64,
        }
    }

    /// The number of its elements.
    pub fn len(&self) -> usize {
        match self {
            Array::U8(a) => a.len(),
            Array::I8(a) => a.len(),
            Array::U16(a) => a.len(),
            Array::I16(a) => a.len(),
            Array::U32(a) => a.len(),
            Array::I32(a) => a.len(),
            Array::F32(a) => a.len(),
            Array::Bool(a) => a.len(),
            Array::String(a) => a.len(),
            Array::Array(a) => a.len(),
            Array::U64(a) => a.len(),
            Array::I64(a) => a.len(),
            Array::F64(a) => a.len(),
        }
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The strings, of an array of strings.
    pub fn as_strings(&self) -> Option<&Strings> {
        match self {
            Array::String(strings) => Some(strings),
            _ => None,
        }
    }

    /// How many arrays stand inside one another: 1 for an array of numbers or strings.
    pub(super) fn depth(&self) -> usize {
        match self {
            Array::Array(inner) => 1 + inner.iter().map(Array::depth).max().unwrap_or(0),
            _ => 1,
        }
    }

    /// Bytes it takes in a file: element type, length, elements.
    pub(super) fn encoded_len(&self) -> u64 {
        let elements = match self {
            Array::String(strings) => 8 * strings.len() as u64 + strings.bytes.len() as u64,
            Array::Array(inner) => inner.iter().map(Array::encoded_len).sum(),
            scalars => scalars.element_type().min_bytes() * scalars.len() as u64,
        };
        12 + elements
    }

    /// Appends it as a file stores it.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.element_type().id().to_le_bytes());
        out.extend((self.len() as u64).to_le_bytes());
        match self {
            Array::U8(a) => out.extend_from_slice(a),
            Array::I8(a) => encode_all!(a, out),
            Array::U16(a) => encode_all!(a, out),
            Array::I16(a) => encode_all!(a, out),
            Array::U32(a) => encode_all!(a, out),
            Array::I32(a) => encode_all!(a, out),
            Array::F32(a) => encode_all!(a, out),
            Array::Bool(a) => out.extend(a.iter().map(|&b| u8::from(b))),
            Array::String(a) => a.iter().for_each(|s| encode_string(s, out)),
            Array::Array(a) => a.iter().for_each(|inner| inner.encode(out)),
            Array::U64(a) => encode_all!(a, out),
            Array::I64(a) => encode_all!(a, out),
            Array::F64(a) => encode_all!(a, out),
        }
    }
}

/// Type and length, as in `[str; 49152]`.
impl std::fmt::Display for Array {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&format!("[{}; {}]", self.element_type(), self.len()))
    }
}

/// Many strings (any bytes, as all GGUF strings) in one buffer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Strings {
    bytes: Vec<u8>,
    /// Where each string ends in `bytes`; it begins where the one before it ends.
    ends: Vec<usize>,
}

impl Strings {
    /// No strings yet, and room for `count` of `bytes` bytes in all.
    pub fn with_capacity(count: usize, bytes: usize) -> Strings {
        Strings { bytes: Vec::with_capacity(bytes), ends: Vec::with_capacity(count) }
    }

    /// Adds a string at the end.
    pub fn push(&mut self, string: &[u8]) {
        self.bytes.extend_from_slice(string);
        self.ends.push(self.bytes.len());
    }

    /// The number of strings.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes of string `i`.
    pub fn get(&self, i: usize) -> Option<&[u8]> {
        let end = *self.ends.get(i)?;
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        Some(&self.bytes[start..end])
    }

    /// The bytes of each string, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| &self.bytes[std::mem::replace(&mut start, end)..end])
    }
}

impl<S: AsRef<[u8]>> FromIterator<S> for Strings {
    fn from_iter<I: IntoIterator<Item = S>>(strings: I) -> Strings {
        let mut out = Strings::default();
        strings.into_iter().for_each(|s| out.push(s.as_ref()));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_found_in_their_buffer() {
        let strings: Strings = ["a", "", "bcd"].into_iter().collect();
        assert_eq!(strings.len(), 3);
        assert_eq!(strings.iter().collect::<Vec<_>>(), [&b"a"[..], b"", b"bcd"]);
        assert_eq!(strings.get(1), Some(&b""[..]));
        assert_eq!(strings.get(2), Some(&b"bcd"[..]));
        assert_eq!(strings.get(3), None);
    }

    #[test]
    fn lengths_are_what_is_encoded() {
        let arrays = [
            Array::U8(vec![1, 2]),
            Array::Bool(vec![true]),
            Array::F64(vec![f64::NAN]),
            Array::String(["x", "yz"].into_iter().collect()),
            Array::Array(vec![Array::I16(vec![-1]), Array::Array(vec![])]),
        ];
        for array in arrays {
            let mut out = Vec::new();
            array.encode(&mut out);
            assert_eq!(out.len() as u64, array.encoded_len(), "{array}");
        }
    }

    #[test]
    fn an_array_prints_its_type_and_length() {
        assert_eq!(Array::String(Strings::default()).to_string(), "[str; 0]");
        assert_eq!(Array::Array(vec![Array::U8(vec![])]).to_string(), "[arr; 1]");
        assert_eq!(Array::Array(vec![Array::U8(vec![])]).depth(), 2);
    }
}
