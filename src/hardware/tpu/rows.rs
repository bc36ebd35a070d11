//! The rows of a matrix in the order in which the pack has them, and the number grid they lie on.

use half::{bf16, f16};

use crate::block::SharedScale;
use crate::gguf::Format;
use crate::hardware::Hardware;
use crate::model::Matrix;

use super::error::PackError;

/// Weights of a block of Q4_0 and Q8_0.
const BLOCK: usize = 32;

/// A matrix, its rows in the order in which the pack has them.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// As the file has it.
    pub matrix: Matrix<'a>,
    /// What the order is.
    pub order: Order,
}

/// The order of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// That of the file.
    AsStored,
    /// Within each head of so many rows, the first half of the pack's stand at even places in the
    /// file and the second half at odd ones: llama.cpp's converter puts values beside each other that
    /// a rotary position rotates together.
    FromPairs(usize),
}

impl Order {
    /// Where row (or value) `row` of the pack stands in the file.
    pub fn place(self, row: usize) -> usize {
        match self {
            Order::AsStored => row,
            Order::FromPairs(head) => {
                let (head_start, within) = (row / head * head, row % head);
                head_start + within % (head / 2) * 2 + within / (head / 2)
            }
        }
    }
}

/// The grid that the weights of a matrix lie on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grid {
    /// Floats, each by itself.
    Floats,
    /// Integers of 8 bits with one scale a row.
    Row,
    /// Integers of 4 bits with one scale a tile of so many columns.
    Tile(usize),
}

impl<'a> Rows<'a> {
    /// The bytes of row `row` of the pack.
    pub fn row(&self, row: usize) -> &'a [u8] {
        let place = self.order.place(row);
        let bytes = self.matrix.format.size_of(self.matrix.columns);
        &self.matrix.bytes[place * bytes..][..bytes]
    }

    /// Widens row `row` of the pack.
    pub fn widen(&self, row: usize, out: &mut [f32]) {
        self.matrix.widen(self.order.place(row), out);
    }

    /// The grid that they lie on; for messages, `name` says whose rows they are.
    pub fn grid(&self, name: &str) -> Result<Grid, PackError> {
        let columns = self.matrix.columns;
        let format = self.matrix.format;
        if matches!(format, Format::F32 | Format::F16 | Format::BF16) {
            return Ok(Grid::Floats);
        }
        let (grid, tile) = match Hardware::Tpu.shared_scale(format, columns) {
            Some(SharedScale::Row(_)) => (Grid::Row, columns),
            Some(SharedScale::Tile(tile)) => (Grid::Tile(tile), tile),
            None => return Err(PackError::Format { module: name.into(), format }),
        };
        for row in 0..self.matrix.rows {
            self.check_scales(row, tile).map_err(|fault| PackError::Scales {
                module: name.into(),
                row,
                fault,
            })?;
        }
        Ok(grid)
    }

    /// What is wrong with the scales of a row that is to have one for each `tile` columns.
    fn check_scales(&self, row: usize, tile: usize) -> Result<(), String> {
        let blocks: Vec<[u8; 2]> = self.blocks(row).map(|block| [block[0], block[1]]).collect();
        for (at, tile) in blocks.chunks(tile / BLOCK).enumerate() {
            if let Some(block) = tile.iter().position(|scale| *scale != tile[0]) {
                let [first, other] = [tile[0], tile[block]].map(f16::from_le_bytes);
                return Err(format!(
                    "block {block} of tile {at} has the scale {other}, and the first {first}"
                ));
            }
            let scale = f16::from_le_bytes(tile[0]);
            let narrow = self.matrix.format == Format::Q4_0;
            if narrow && bf16::from_f32(scale.to_f32()).to_f32() != scale.to_f32() {
                return Err(format!("tile {at} has the scale {scale}, which is no BF16"));
            }
        }
        Ok(())
    }

    fn blocks(&self, row: usize) -> impl Iterator<Item = &'a [u8]> {
        self.row(row).chunks_exact(self.matrix.format.block_bytes())
    }

    /// The integers of a row of a grid.
    pub fn codes(&self, row: usize, out: &mut Vec<i8>) {
        out.clear();
        for block in self.blocks(row) {
            let codes = &block[2..];
            match self.matrix.format {
                Format::Q4_0 => {
                    out.extend(codes.iter().map(|byte| (byte & 15) as i8 - 8));
                    out.extend(codes.iter().map(|byte| (byte >> 4) as i8 - 8));
                }
                Format::Q8_0 => out.extend(codes.iter().map(|&byte| byte as i8)),
                format => unreachable!("a TPU has no grid of {format}"),
            }
        }
    }

    /// The scales of a row of a grid, one for each `tile` columns.
    pub fn scales(&self, row: usize, tile: usize) -> impl Iterator<Item = f16> {
        let first = self.blocks(row).step_by(tile / BLOCK);
        first.map(|block| f16::from_le_bytes([block[0], block[1]]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block;

    /// Rows of 256 in `format`, the scale of block `i` of row `r` being `scale(r, i)`.
    fn encoded(format: Format, rows: usize, scale: impl Fn(usize, usize) -> f32) -> Vec<u8> {
        let codes = format.block_bytes() - 2;
        let block = |(row, block): (usize, usize)| {
            let codes = (0..codes).map(move |i| (row * 31 + block * 7 + i * 5) as u8);
            f16::from_f32(scale(row, block)).to_le_bytes().into_iter().chain(codes)
        };
        (0..rows).flat_map(|row| (0..8).map(move |i| (row, i))).flat_map(block).collect()
    }

    fn rows(format: Format, bytes: &[u8], order: Order) -> Rows<'_> {
        let matrix =
            Matrix { format, rows: bytes.len() / format.size_of(256), columns: 256, bytes };
        Rows { matrix, order }
    }

    #[test]
    fn codes_and_scales_decode_to_what_the_blocks_hold() {
        for (format, tile) in [(Format::Q8_0, 256), (Format::Q4_0, 128)] {
            let bytes = encoded(format, 3, |row, block| {
                0.5 + row as f32 + (block * 32 / tile) as f32 / 8.0
            });
            let rows = rows(format, &bytes, Order::AsStored);
            assert!(matches!(rows.grid("x"), Ok(Grid::Row | Grid::Tile(128))));
            let (mut codes, mut floats) = (Vec::new(), vec![0.0; 256]);
            for row in 0..3 {
                rows.codes(row, &mut codes);
                block::decode(format, rows.row(row), &mut floats);
                let scales: Vec<f32> = rows.scales(row, tile).map(f16::to_f32).collect();
                assert_eq!(scales.len(), 256 / tile);
                let decoded = codes.iter().enumerate();
                let decoded: Vec<f32> =
                    decoded.map(|(i, &code)| f32::from(code) * scales[i / tile]).collect();
                assert_eq!(decoded, floats, "{format}");
            }
        }
    }

    #[test]
    fn scales_that_are_not_shared_are_refused() {
        let odd = |format, at: usize, scale| {
            let bytes =
                encoded(format, 2, |row, block| if row * 8 + block == at { scale } else { 1.0 });
            rows(format, &bytes, Order::AsStored).grid("q_proj").unwrap_err().to_string()
        };
        let fault = odd(Format::Q8_0, 13, 2.0);
        assert!(fault.contains("q_proj") && fault.contains("row 1"), "{fault}");
        let fault = odd(Format::Q4_0, 5, 2.0);
        assert!(fault.contains("block 1 of tile 1"), "{fault}");
        let bytes = encoded(Format::Q4_0, 1, |_, _| 1.0 + 2f32.powi(-10));
        let fault = rows(Format::Q4_0, &bytes, Order::AsStored).grid("q_proj").unwrap_err();
        assert!(fault.to_string().contains("no BF16"), "{fault}");
        let fault = rows(Format::Q6_K, &[0; 210], Order::AsStored).grid("q_proj").unwrap_err();
        assert!(fault.to_string().contains("Q6_K"), "{fault}");
    }

    #[test]
    fn pairs_are_taken_apart() {
        let order = Order::FromPairs(6);
        let places: Vec<usize> = (0..12).map(|row| order.place(row)).collect();
        assert_eq!(places, [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11]);
        let bytes = encoded(Format::Q8_0, 12, |_, _| 1.0);
        let (stored, taken) = (Order::AsStored, order);
        let [stored, taken] = [stored, taken].map(|order| rows(Format::Q8_0, &bytes, order));
        assert_eq!(taken.row(3), stored.row(1));
    }
}
