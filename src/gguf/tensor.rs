//! Tensors of a file: name, format, shape, and where the bytes are.

use std::ops::Range;

use super::error::quoted;
use super::format::Format;

/// The most dimensions ggml has.
pub(super) const MAX_DIMS: usize = 4;

/// The most bytes of a tensor's name: ggml keeps 64 with a closing zero.
const MAX_NAME: usize = 63;

/// Lengths of a tensor's dimensions, the row length (ggml's ne0) first.
///
/// Up to four, none of them zero. A tensor of no dimensions is one value, as in ggml.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    count: usize,
    dims: [u64; MAX_DIMS],
}

impl Shape {
    /// The shape with these dimensions, or what is wrong with them.
    pub fn new(dims: &[u64]) -> Result<Shape, String> {
        if dims.len() > MAX_DIMS {
            return Err(format!("has {} dimensions, and {MAX_DIMS} is the most", dims.len()));
        }
        if dims.contains(&0) {
            return Err(format!("has a dimension of length 0 in its shape {dims:?}"));
        }
        let product = dims.iter().try_fold(1u64, |product, &dim| product.checked_mul(dim));
        if product.is_none_or(|product| isize::try_from(product).is_err()) {
            return Err(format!("has more values than can be counted in its shape {dims:?}"));
        }
        let mut shape = Shape { count: dims.len(), dims: [1; MAX_DIMS] };
        shape.dims[..dims.len()].copy_from_slice(dims);
        Ok(shape)
    }

    /// The dimensions as the file has them.
    pub fn dims(&self) -> &[u64] {
        &self.dims[..self.count]
    }

    /// Values of one row.
    pub fn row_len(&self) -> usize {
        self.dims[0] as usize
    }

    /// Rows: the product of the dimensions after the first.
    pub fn rows(&self) -> usize {
        self.dims[1..].iter().product::<u64>() as usize
    }

    /// Values in all.
    pub fn elements(&self) -> u64 {
        self.dims.iter().product()
    }
}

/// As in `[576, 49152]`.
impl std::fmt::Debug for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.dims().fmt(f)
    }
}

/// As in `576 x 49152`.
impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let dims: Vec<String> = self.dims().iter().map(u64::to_string).collect();
        f.pad(&dims.join(" x "))
    }
}

/// A tensor to be written: what the file's table says of it, but for the place of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// Its name, at most 63 bytes.
    pub name: String,
    /// How its values are stored.
    pub format: Format,
    /// Its dimensions, the row length first.
    pub shape: Shape,
}

/// A tensor of an open file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name, unique in the file.
    pub name: String,
    /// How its values are stored.
    pub format: Format,
    /// Its dimensions, the row length first.
    pub shape: Shape,
    /// The shard that holds its bytes.
    pub(super) shard: usize,
    /// Where in that shard, checked to lie inside it.
    pub(super) range: Range<usize>,
}

impl TensorInfo {
    /// Values of one row.
    pub fn row_len(&self) -> usize {
        self.shape.row_len()
    }

    /// Rows: the product of the dimensions after the first.
    pub fn rows(&self) -> usize {
        self.shape.rows()
    }

    /// Values in all.
    pub fn elements(&self) -> u64 {
        self.shape.elements()
    }

    /// Bytes in all.
    pub fn bytes(&self) -> u64 {
        self.range.len() as u64
    }

    /// The dimensions as the file has them.
    pub fn dims(&self) -> &[u64] {
        self.shape.dims()
    }

    /// Where its bytes begin, counted from the beginning of the file (of its shard).
    pub fn offset(&self) -> u64 {
        self.range.start as u64
    }

    /// What to write for an equal tensor.
    pub fn spec(&self) -> TensorSpec {
        TensorSpec { name: self.name.clone(), format: self.format, shape: self.shape }
    }
}

/// What is wrong with a tensor's name, if anything.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    match name.len() {
        0 => Err("the name is empty".into()),
        1..=MAX_NAME => Ok(()),
        len => Err(format!(
            "the name {} has {len} bytes, and {MAX_NAME} is the most that llama.cpp reads",
            quoted(name.as_bytes())
        )),
    }
}

/// The bytes that a tensor takes, or why it can't be stored so.
pub(super) fn checked_bytes(format: Format, shape: &Shape) -> Result<u64, String> {
    if !format.fits(shape.row_len()) {
        return Err(format!(
            "has rows of {} values, and {format} needs a multiple of {}",
            shape.row_len(),
            format.block_len()
        ));
    }
    format
        .bytes_of(shape.elements())
        .filter(|&bytes| isize::try_from(bytes).is_ok())
        .ok_or_else(|| format!("has more bytes than can be counted: {shape} values of {format}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_the_product_of_the_rest() {
        let shape = Shape::new(&[32, 3, 5]).unwrap();
        assert_eq!((shape.row_len(), shape.rows(), shape.elements()), (32, 15, 480));
        assert_eq!(shape.dims(), [32, 3, 5]);
        assert_eq!(shape.to_string(), "32 x 3 x 5");
        let one = Shape::new(&[]).unwrap();
        assert_eq!((one.row_len(), one.rows(), one.elements()), (1, 1, 1));
    }

    #[test]
    fn impossible_shapes_are_refused() {
        let fault = |dims: &[u64]| Shape::new(dims).unwrap_err();
        assert!(fault(&[1; 5]).contains("5 dimensions"));
        assert!(fault(&[4, 0]).contains("length 0"));
        assert!(fault(&[1 << 32, 1 << 31]).contains("more values"));
        assert!(fault(&[u64::MAX, u64::MAX]).contains("more values"));
    }

    #[test]
    fn sizes_are_checked() {
        let shape = Shape::new(&[64, 2]).unwrap();
        assert_eq!(checked_bytes(Format::Q8_0, &shape), Ok(136));
        assert!(checked_bytes(Format::Q4_K, &shape).unwrap_err().contains("multiple of 256"));
        let huge = Shape::new(&[1 << 62]).unwrap();
        assert!(checked_bytes(Format::F64, &huge).unwrap_err().contains("more bytes"));
    }

    #[test]
    fn names_fit_in_ggml() {
        assert!(check_name(&"x".repeat(63)).is_ok());
        assert!(check_name(&"x".repeat(64)).unwrap_err().contains("64 bytes"));
        assert!(check_name("").is_err());
    }
}
