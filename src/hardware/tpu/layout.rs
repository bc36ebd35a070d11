//! The layouts of a pack: which tensors the weight of a module becomes.

use std::io::{self, Write};

use safetensors::Dtype;

use crate::gguf::Format;

use super::modules::{Module, Weight};
use super::rows::{Grid, Rows};

/// How a pack is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// As compressed-tensors has it, which vLLM, MaxText and transformers read. Matrices are
    /// `[out, in]`:
    ///
    /// | grid | tensors |
    /// |---|---|
    /// | int8, a scale a row | `weight` I8 `[out, in]`, `weight_scale` F32 `[out, 1]` |
    /// | int4, a scale a tile | `weight_packed` I32 `[out, in / 8]` (value + 8, the low nibble first), `weight_scale` BF16 `[out, in / tile]`, `weight_shape` I64 `[2]` |
    /// | floats | `weight` |
    ///
    /// That scale is exact; a loader that widens int4 to BF16, as transformers does with
    /// `dequantize=True`, rounds the weights once more.
    ///
    /// Token embeddings and the output head are floats, F32 where the GGUF file has them quantized:
    /// vLLM's back end for TPUs quantizes linear layers alone.
    #[default]
    CompressedTensors,
    /// The leaves of qwix's `QArray`, under the names of flax.nnx. Matrices are `[in, out]`:
    ///
    /// | grid | tensors |
    /// |---|---|
    /// | int8, a scale a row | `kernel.qvalue` I8 `[in, out]`, `kernel.scale` F32 `[1, out]` |
    /// | int4, a scale a tile | `kernel.qvalue` I8 `[in, out]`, `kernel.scale` F32 `[in / tile, out]` |
    /// | floats | `kernel` |
    ///
    /// Token embeddings are `embedding` or its leaves, not transposed: a scale a token, or a token
    /// and tile. Norms have a `scale`. Safetensors have no integers of 4 bits: they stand in bytes,
    /// and `quantization_config` says that they are `int4`.
    Qwix,
}

impl Layout {
    /// All of them.
    pub const ALL: [Layout; 2] = [Layout::CompressedTensors, Layout::Qwix];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Layout::CompressedTensors => "compressed-tensors",
            Layout::Qwix => "qwix",
        }
    }

    /// What the shards say that they were written for.
    pub fn framework(self) -> &'static str {
        match self {
            Layout::CompressedTensors => "pt",
            Layout::Qwix => "flax",
        }
    }

    /// The tensors of a module whose matrix lies on this grid.
    pub fn parts<'m>(self, module: &'m Module, grid: Grid) -> Vec<Part<'m>> {
        let weight = match (self, &module.weight) {
            (_, Weight::Norm(gain)) => vec![self.vector("weight", "scale", gain)],
            (Layout::CompressedTensors, Weight::Embedding(rows) | Weight::Head(rows)) => {
                vec![floats("weight", rows, false)]
            }
            (Layout::CompressedTensors, Weight::Linear(rows)) => compressed(rows, grid),
            (Layout::Qwix, Weight::Embedding(rows)) => qwix("embedding", rows, grid, false),
            (Layout::Qwix, Weight::Head(rows) | Weight::Linear(rows)) => {
                qwix("kernel", rows, grid, true)
            }
        };
        let bias = module.bias.iter().map(|bias| self.vector("bias", "bias", bias));
        weight.into_iter().chain(bias).map(|part| part.of(&module.name)).collect()
    }

    fn vector<'m>(self, compressed: &str, qwix: &str, values: &'m [f32]) -> Part<'m> {
        let name = match self {
            Layout::CompressedTensors => compressed,
            Layout::Qwix => qwix,
        };
        Part::new(name, Dtype::F32, vec![values.len()], Content::Vector(values))
    }
}

/// A tensor of the pack.
#[derive(Debug)]
pub struct Part<'m> {
    /// Its name.
    pub name: String,
    /// What its values are.
    pub dtype: Dtype,
    /// Its dimensions, the last one without gaps in memory.
    pub shape: Vec<usize>,
    content: Content<'m>,
}

/// What its values come from.
#[derive(Debug, Clone, Copy)]
enum Content<'m> {
    Vector(&'m [f32]),
    /// Floats of 16 or 32 bits as the file has them.
    Stored(Rows<'m>),
    /// Weights widened to F32.
    Widened(Rows<'m>),
    Codes(Rows<'m>),
    /// Eight codes in 32 bits.
    Packed(Rows<'m>),
    /// One a tile of so many columns.
    Scales(Rows<'m>, usize),
    Dimensions([usize; 2]),
    /// Columns before rows.
    Transposed(Table<'m>),
}

/// What can stand columns before rows.
#[derive(Debug, Clone, Copy)]
enum Table<'m> {
    Stored(Rows<'m>),
    Codes(Rows<'m>),
    Scales(Rows<'m>, usize),
}

/// The matrix in floats: as they are, or widened if it lies on another grid.
fn floats<'m>(name: &str, rows: &Rows<'m>, transposed: bool) -> Part<'m> {
    let shape = [rows.matrix.rows, rows.matrix.columns];
    let (dtype, content) = match rows.matrix.format {
        Format::F16 => (Dtype::F16, Content::Stored(*rows)),
        Format::BF16 => (Dtype::BF16, Content::Stored(*rows)),
        Format::F32 => (Dtype::F32, Content::Stored(*rows)),
        _ => (Dtype::F32, Content::Widened(*rows)),
    };
    match transposed {
        true => Part::new(name, dtype, swapped(shape), Content::Transposed(Table::Stored(*rows))),
        false => Part::new(name, dtype, shape.into(), content),
    }
}

fn swapped([rows, columns]: [usize; 2]) -> Vec<usize> {
    vec![columns, rows]
}

fn compressed<'m>(rows: &Rows<'m>, grid: Grid) -> Vec<Part<'m>> {
    let [out, columns] = [rows.matrix.rows, rows.matrix.columns];
    let scales = |dtype, tile: usize| {
        let shape = vec![out, columns / tile];
        Part::new("weight_scale", dtype, shape, Content::Scales(*rows, tile))
    };
    match grid {
        Grid::Floats => vec![floats("weight", rows, false)],
        Grid::Row => vec![
            Part::new("weight", Dtype::I8, vec![out, columns], Content::Codes(*rows)),
            scales(Dtype::F32, columns),
        ],
        Grid::Tile(tile) => {
            let dimensions = Content::Dimensions([out, columns]);
            vec![
                Part::new("weight_packed", Dtype::I32, vec![out, columns / 8], {
                    Content::Packed(*rows)
                }),
                scales(Dtype::BF16, tile),
                Part::new("weight_shape", Dtype::I64, vec![2], dimensions),
            ]
        }
    }
}

fn qwix<'m>(name: &str, rows: &Rows<'m>, grid: Grid, transposed: bool) -> Vec<Part<'m>> {
    let tile = match grid {
        Grid::Floats => return vec![floats(name, rows, transposed)],
        Grid::Row => rows.matrix.columns,
        Grid::Tile(tile) => tile,
    };
    let codes = [rows.matrix.rows, rows.matrix.columns];
    let scales = [rows.matrix.rows, rows.matrix.columns / tile];
    let (qvalue, scale) = (format!("{name}.qvalue"), format!("{name}.scale"));
    match transposed {
        true => {
            let [of_codes, of_scales] = [Table::Codes(*rows), Table::Scales(*rows, tile)];
            vec![
                Part::new(&qvalue, Dtype::I8, swapped(codes), Content::Transposed(of_codes)),
                Part::new(&scale, Dtype::F32, swapped(scales), Content::Transposed(of_scales)),
            ]
        }
        false => vec![
            Part::new(&qvalue, Dtype::I8, codes.into(), Content::Codes(*rows)),
            Part::new(&scale, Dtype::F32, scales.into(), Content::Scales(*rows, tile)),
        ],
    }
}

impl<'m> Part<'m> {
    fn new(name: &str, dtype: Dtype, shape: Vec<usize>, content: Content<'m>) -> Part<'m> {
        Part { name: name.into(), dtype, shape, content }
    }

    fn of(self, module: &str) -> Part<'m> {
        Part { name: format!("{module}.{}", self.name), ..self }
    }

    /// Bytes of its values.
    pub fn bytes(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.bitsize() / 8
    }

    /// Writes its values, in the little-endian order of safetensors. At most one row is in memory,
    /// or, where columns stand before rows, the matrix with its codes in a byte each.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        match self.content {
            Content::Vector(values) => {
                values.iter().try_for_each(|value| out.write_all(&value.to_le_bytes()))
            }
            Content::Dimensions(dimensions) => {
                let mut dimensions = dimensions.into_iter();
                dimensions.try_for_each(|length| out.write_all(&(length as i64).to_le_bytes()))
            }
            Content::Stored(rows) => {
                (0..rows.matrix.rows).try_for_each(|row| out.write_all(rows.row(row)))
            }
            Content::Widened(rows) => write_widened(&rows, out),
            Content::Codes(rows) => each_row_of_codes(&rows, |codes| out.write_all(codes)),
            Content::Packed(rows) => each_row_of_codes(&rows, |codes| {
                // The first of two codes is in the low nibble, and the first pair in the low byte.
                let pair = |pair: &[u8; 2]| {
                    let [low, high] = pair.map(|code| code.wrapping_add(8));
                    low & 15 | high << 4
                };
                let packed: Vec<u8> = codes.as_chunks().0.iter().map(pair).collect();
                out.write_all(&packed)
            }),
            Content::Scales(rows, tile) => (0..rows.matrix.rows).try_for_each(|row| {
                rows.scales(row, tile).try_for_each(|scale| match self.dtype {
                    Dtype::BF16 => out.write_all(&bf16(scale)),
                    _ => out.write_all(&scale.to_f32().to_le_bytes()),
                })
            }),
            Content::Transposed(table) => table.write_transposed(out),
        }
    }
}

/// The upper half of F32, which was checked to hold the scale.
fn bf16(scale: half::f16) -> [u8; 2] {
    half::bf16::from_f32(scale.to_f32()).to_le_bytes()
}

fn write_widened(rows: &Rows, out: &mut impl Write) -> io::Result<()> {
    let mut floats = vec![0.0; rows.matrix.columns];
    (0..rows.matrix.rows).try_for_each(|row| {
        rows.widen(row, &mut floats);
        floats.iter().try_for_each(|float| out.write_all(&float.to_le_bytes()))
    })
}

/// The codes of one row after another, as bytes of two's complement.
fn each_row_of_codes(rows: &Rows, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut codes = Vec::with_capacity(rows.matrix.columns);
    (0..rows.matrix.rows).try_for_each(|row| {
        rows.codes(row, &mut codes);
        each(&codes.iter().map(|&code| code as u8).collect::<Vec<u8>>())
    })
}

impl Table<'_> {
    fn write_transposed(self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Table::Stored(rows) => {
                let value = rows.matrix.format.block_bytes();
                transposed(&rows, rows.matrix.columns, value, out, |row, all| {
                    all.extend_from_slice(rows.row(row));
                })
            }
            Table::Codes(rows) => {
                let mut codes = Vec::new();
                transposed(&rows, rows.matrix.columns, 1, out, |row, all| {
                    rows.codes(row, &mut codes);
                    all.extend(codes.iter().map(|&code| code as u8));
                })
            }
            Table::Scales(rows, tile) => {
                transposed(&rows, rows.matrix.columns / tile, 4, out, |row, all| {
                    all.extend(
                        rows.scales(row, tile).flat_map(|scale| scale.to_f32().to_le_bytes()),
                    );
                })
            }
        }
    }
}

/// Writes a table of values of `value` bytes, columns before rows; `row` appends one row of it.
fn transposed(
    rows: &Rows,
    columns: usize,
    value: usize,
    out: &mut impl Write,
    mut row: impl FnMut(usize, &mut Vec<u8>),
) -> io::Result<()> {
    let count = rows.matrix.rows;
    let mut table = Vec::with_capacity(count * columns * value);
    (0..count).for_each(|i| row(i, &mut table));
    let mut line = Vec::with_capacity(count * value);
    (0..columns).try_for_each(|column| {
        line.clear();
        for i in 0..count {
            line.extend_from_slice(&table[(i * columns + column) * value..][..value]);
        }
        out.write_all(&line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware::tpu::rows::Order;
    use crate::model::Matrix;

    /// Two rows of 64: F16 scales of 0.5 and 0.25, and codes that count up.
    fn blocks(format: Format) -> Vec<u8> {
        let codes = format.block_bytes() - 2;
        let block = |block: usize| {
            let scale = half::f16::from_f32(0.5 / (1 + block / 2) as f32);
            let codes = (0..codes).map(move |i| ((block % 2 * codes + i) * 7) as u8);
            scale.to_le_bytes().into_iter().chain(codes)
        };
        (0..4).flat_map(block).collect()
    }

    fn module(format: Format, bytes: &[u8]) -> Module<'_> {
        let matrix = Matrix { format, rows: 2, columns: 64, bytes };
        let weight = Weight::Linear(Rows { matrix, order: Order::AsStored });
        Module { name: "x".into(), weight, bias: Some(vec![1.0, 2.0]) }
    }

    fn written(part: &Part) -> Vec<u8> {
        let mut out = Vec::new();
        part.write(&mut out).unwrap();
        assert_eq!(out.len(), part.bytes(), "{}", part.name);
        out
    }

    fn described(parts: &[Part]) -> Vec<String> {
        parts
            .iter()
            .map(|part| format!("{} {:?} {:?}", part.name, part.dtype, part.shape))
            .collect()
    }

    #[test]
    fn compressed_tensors() {
        let bytes = blocks(Format::Q8_0);
        let module_8 = module(Format::Q8_0, &bytes);
        let parts = Layout::CompressedTensors.parts(&module_8, Grid::Row);
        assert_eq!(
            described(&parts),
            ["x.weight I8 [2, 64]", "x.weight_scale F32 [2, 1]", "x.bias F32 [2]"]
        );
        assert_eq!(written(&parts[0])[..3], [0, 7, 14]);
        assert_eq!(written(&parts[1]), [0.5f32, 0.25].map(f32::to_le_bytes).concat());

        let bytes = blocks(Format::Q4_0);
        let module_4 = module(Format::Q4_0, &bytes);
        let parts = Layout::CompressedTensors.parts(&module_4, Grid::Tile(64));
        assert_eq!(
            described(&parts),
            [
                "x.weight_packed I32 [2, 8]",
                "x.weight_scale BF16 [2, 1]",
                "x.weight_shape I64 [2]",
                "x.bias F32 [2]"
            ]
        );
        // Codes 0, 7, 14 (low nibbles 0, 7, 14), stored with 8 added already.
        assert_eq!(written(&parts[0])[..2], [0x70, 0x5e]);
        assert_eq!(written(&parts[1]), [0x00, 0x3f, 0x80, 0x3e]);
        assert_eq!(written(&parts[2]), [2i64, 64].map(i64::to_le_bytes).concat());
    }

    #[test]
    fn qwix_has_columns_first() {
        let bytes = blocks(Format::Q4_0);
        let module = module(Format::Q4_0, &bytes);
        let parts = Layout::Qwix.parts(&module, Grid::Tile(64));
        assert_eq!(
            described(&parts),
            ["x.kernel.qvalue I8 [64, 2]", "x.kernel.scale F32 [1, 2]", "x.bias F32 [2]"]
        );
        let qvalue = written(&parts[0]);
        let rows = Rows {
            matrix: Matrix { format: Format::Q4_0, rows: 2, columns: 64, bytes: &bytes },
            order: Order::AsStored,
        };
        let mut codes = Vec::new();
        for row in 0..2 {
            rows.codes(row, &mut codes);
            assert!((0..64).all(|column| qvalue[2 * column + row] as i8 == codes[column]));
        }
        assert_eq!(written(&parts[1]), [0.5f32, 0.25].map(f32::to_le_bytes).concat());
    }

    #[test]
    fn floats_stay_as_they_are() {
        let bytes: Vec<u8> = (0..=255).collect();
        let matrix = Matrix { format: Format::F16, rows: 2, columns: 64, bytes: &bytes };
        let rows = Rows { matrix, order: Order::AsStored };
        let module = Module { name: "x".into(), weight: Weight::Linear(rows), bias: None };
        let parts = Layout::CompressedTensors.parts(&module, Grid::Floats);
        assert_eq!(described(&parts), ["x.weight F16 [2, 64]"]);
        assert_eq!(written(&parts[0]), bytes);
        let parts = Layout::Qwix.parts(&module, Grid::Floats);
        assert_eq!(described(&parts), ["x.kernel F16 [64, 2]"]);
        assert_eq!(written(&parts[0])[..4], [0, 1, 128, 129]);
    }

    #[test]
    fn embeddings_are_floats_or_a_scale_a_token() {
        let bytes = blocks(Format::Q8_0);
        let matrix = Matrix { format: Format::Q8_0, rows: 2, columns: 64, bytes: &bytes };
        let rows = Rows { matrix, order: Order::AsStored };
        let module = Module { name: "e".into(), weight: Weight::Embedding(rows), bias: None };
        let parts = Layout::CompressedTensors.parts(&module, Grid::Row);
        assert_eq!(described(&parts), ["e.weight F32 [2, 64]"]);
        assert_eq!(written(&parts[0])[4..8], 3.5f32.to_le_bytes());
        let parts = Layout::Qwix.parts(&module, Grid::Row);
        assert_eq!(
            described(&parts),
            ["e.embedding.qvalue I8 [2, 64]", "e.embedding.scale F32 [2, 1]"]
        );
    }
}
