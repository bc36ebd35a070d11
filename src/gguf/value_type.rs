//! The types of metadata values.

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
}
