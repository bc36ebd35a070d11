//! The storage formats of GGUF tensors and their exact sizes.
//!
//! Ids, block lengths and block sizes are those of `ggml.h` and gguf-py's `GGML_QUANT_SIZES`.

/// How the values of one tensor are stored: ggml's tensor types.
///
/// Each variant is named as ggml names it. Values are grouped in blocks of [`Format::block_len`]
/// consecutive values of one row, each taking [`Format::block_bytes`] bytes.
#[expect(non_camel_case_types, reason = "ggml's names")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// Floats of 32 bits.
    F32,
    /// Floats of 16 bits: 5 of exponent.
    F16,
    /// 4 bits in blocks of 32 with a scale.
    Q4_0,
    /// 4 bits in blocks of 32 with a scale and a minimum.
    Q4_1,
    /// 5 bits in blocks of 32 with a scale.
    Q5_0,
    /// 5 bits in blocks of 32 with a scale and a minimum.
    Q5_1,
    /// 8 bits in blocks of 32 with a scale.
    Q8_0,
    /// 8 bits in blocks of 32 with a scale and a sum; for activations.
    Q8_1,
    /// 2 bits in blocks of 256: 16 scales and minima of 4 bits.
    Q2_K,
    /// 3 bits in blocks of 256: 16 scales of 6 bits.
    Q3_K,
    /// 4 bits in blocks of 256: 8 scales and minima of 6 bits.
    Q4_K,
    /// 5 bits in blocks of 256: 8 scales and minima of 6 bits.
    Q5_K,
    /// 6 bits in blocks of 256: 16 scales of 8 bits.
    Q6_K,
    /// 8 bits in blocks of 256 with a scale and sums; for activations.
    Q8_K,
    /// 2.06 bits: eights from a codebook, blocks of 256.
    IQ2_XXS,
    /// 2.31 bits: eights from a larger codebook, blocks of 256.
    IQ2_XS,
    /// 3.06 bits: fours from a codebook, blocks of 256.
    IQ3_XXS,
    /// 1.56 bits: eights from a codebook, blocks of 256.
    IQ1_S,
    /// 4 bits in blocks of 32: 16 uneven levels with a scale.
    IQ4_NL,
    /// 3.44 bits: fours from a larger codebook, blocks of 256.
    IQ3_S,
    /// 2.56 bits: eights from the largest codebook, blocks of 256.
    IQ2_S,
    /// 4 bits in blocks of 256: 16 uneven levels, 8 scales of 6 bits.
    IQ4_XS,
    /// Integers of 8 bits.
    I8,
    /// Integers of 16 bits.
    I16,
    /// Integers of 32 bits.
    I32,
    /// Integers of 64 bits.
    I64,
    /// Floats of 64 bits.
    F64,
    /// 1.75 bits: eights from a codebook, more scales, blocks of 256.
    IQ1_M,
    /// Floats of 16 bits: the upper half of F32.
    BF16,
    /// Three levels in 1.69 bits, blocks of 256.
    TQ1_0,
    /// Three levels in 2.06 bits, blocks of 256.
    TQ2_0,
    /// Floats of 4 bits in blocks of 32 with a power of two.
    MXFP4,
    /// Floats of 4 bits in blocks of 64: 4 scales that are floats of 8 bits.
    NVFP4,
    /// 1 bit in blocks of 128 with a scale.
    Q1_0,
    /// 2 bits in blocks of 64 with a scale.
    Q2_0,
}

/// One line of the table below: format, ggml id, name, values per block, bytes per block, and what
/// `llama_ftype` calls a file that is mostly in it: 0 (F32) if it has no name for it.
type Row = (Format, u32, &'static str, usize, usize, u32);

/// In the order of the enum, so that a variant is its own index.
const TABLE: [Row; 35] = [
    (Format::F32, 0, "F32", 1, 4, 0),
    (Format::F16, 1, "F16", 1, 2, 1),
    (Format::Q4_0, 2, "Q4_0", 32, 18, 2),
    (Format::Q4_1, 3, "Q4_1", 32, 20, 3),
    (Format::Q5_0, 6, "Q5_0", 32, 22, 8),
    (Format::Q5_1, 7, "Q5_1", 32, 24, 9),
    (Format::Q8_0, 8, "Q8_0", 32, 34, 7),
    (Format::Q8_1, 9, "Q8_1", 32, 36, 0),
    (Format::Q2_K, 10, "Q2_K", 256, 84, 10),
    (Format::Q3_K, 11, "Q3_K", 256, 110, 12),
    (Format::Q4_K, 12, "Q4_K", 256, 144, 15),
    (Format::Q5_K, 13, "Q5_K", 256, 176, 17),
    (Format::Q6_K, 14, "Q6_K", 256, 210, 18),
    (Format::Q8_K, 15, "Q8_K", 256, 292, 0),
    (Format::IQ2_XXS, 16, "IQ2_XXS", 256, 66, 19),
    (Format::IQ2_XS, 17, "IQ2_XS", 256, 74, 20),
    (Format::IQ3_XXS, 18, "IQ3_XXS", 256, 98, 23),
    (Format::IQ1_S, 19, "IQ1_S", 256, 50, 24),
    (Format::IQ4_NL, 20, "IQ4_NL", 32, 18, 25),
    (Format::IQ3_S, 21, "IQ3_S", 256, 110, 26),
    (Format::IQ2_S, 22, "IQ2_S", 256, 82, 28),
    (Format::IQ4_XS, 23, "IQ4_XS", 256, 136, 30),
    (Format::I8, 24, "I8", 1, 1, 0),
    (Format::I16, 25, "I16", 1, 2, 0),
    (Format::I32, 26, "I32", 1, 4, 0),
    (Format::I64, 27, "I64", 1, 8, 0),
    (Format::F64, 28, "F64", 1, 8, 0),
    (Format::IQ1_M, 29, "IQ1_M", 256, 56, 31),
    (Format::BF16, 30, "BF16", 1, 2, 32),
    (Format::TQ1_0, 34, "TQ1_0", 256, 54, 36),
    (Format::TQ2_0, 35, "TQ2_0", 256, 66, 37),
    (Format::MXFP4, 39, "MXFP4", 32, 17, 38),
    (Format::NVFP4, 40, "NVFP4", 64, 36, 39),
    (Format::Q1_0, 41, "Q1_0", 128, 18, 40),
    (Format::Q2_0, 42, "Q2_0", 64, 18, 41),
];

impl Format {
    /// Every format this program can name, in the order of their ggml ids.
    pub fn all() -> impl Iterator<Item = Format> {
        TABLE.iter().map(|row| row.0)
    }

    const fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// The format with this ggml id, if there is one.
    pub fn from_id(id: u32) -> Option<Format> {
        TABLE.iter().find(|row| row.1 == id).map(|row| row.0)
    }

    /// The format with this name, in any case.
    pub fn from_name(name: &str) -> Option<Format> {
        TABLE.iter().find(|row| row.2.eq_ignore_ascii_case(name)).map(|row| row.0)
    }

    /// The id that ggml and the file give it.
    pub const fn id(self) -> u32 {
        self.row().1
    }

    /// Its name, as ggml writes it.
    pub const fn name(self) -> &'static str {
        self.row().2
    }

    /// How many values share a block. A row must be a whole number of blocks.
    pub const fn block_len(self) -> usize {
        self.row().3
    }

    /// Bytes of one block.
    pub const fn block_bytes(self) -> usize {
        self.row().4
    }

    /// What `general.file_type` is in a file that is mostly in this format (`llama_ftype`).
    pub const fn file_type(self) -> u32 {
        self.row().5
    }

    /// Bits per weight as stored.
    pub const fn bpw(self) -> f64 {
        (self.block_bytes() * 8) as f64 / self.block_len() as f64
    }

    /// Whether a row of `row_len` values is a whole number of blocks.
    pub const fn fits(self, row_len: usize) -> bool {
        row_len.is_multiple_of(self.block_len())
    }

    /// Bytes of `n` values in memory, which are whole blocks.
    pub const fn size_of(self, n: usize) -> usize {
        n / self.block_len() * self.block_bytes()
    }

    /// Bytes of `n` values, or `None` where `n` is no whole number of blocks or the size overflows.
    pub fn bytes_of(self, n: u64) -> Option<u64> {
        let block_len = self.block_len() as u64;
        let blocks = n.is_multiple_of(block_len).then_some(n / block_len)?;
        blocks.checked_mul(self.block_bytes() as u64)
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Format, String> {
        Format::from_name(name).ok_or_else(|| format!("`{name}` is no GGUF tensor format"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_is_its_own_index() {
        for (i, row) in TABLE.iter().enumerate() {
            assert_eq!(row.0 as usize, i, "{}", row.2);
        }
    }

    #[test]
    fn ids_and_names_lead_back() {
        for format in Format::all() {
            assert_eq!(Format::from_id(format.id()), Some(format));
            assert_eq!(format.name().to_lowercase().parse(), Ok(format));
        }
        assert_eq!(Format::from_id(4), None, "Q4_2 was removed from ggml");
        assert_eq!(Format::from_id(99), None);
    }

    #[test]
    fn file_types_are_llama_cpps() {
        let named = [Format::F32, Format::Q4_0, Format::Q8_0, Format::Q4_K, Format::MXFP4];
        assert_eq!(named.map(Format::file_type), [0, 2, 7, 15, 38]);
        let all: std::collections::BTreeSet<u32> = Format::all().map(Format::file_type).collect();
        // All differ, but for those without a name.
        assert_eq!(all.len(), Format::all().count() - 7);
    }

    #[test]
    fn sizes_are_checked() {
        assert_eq!(Format::Q4_K.bytes_of(512), Some(288));
        assert_eq!(Format::Q4_K.bytes_of(511), None);
        assert_eq!(Format::F64.bytes_of(u64::MAX), None);
        assert_eq!(Format::Q6_K.bpw(), 6.5625);
    }
}
