//! The recipes that people quantize with elsewhere: which tensor gets which format by the names of
//! llama.cpp's mixes. Written anew from the rules of its `llama-quant.cpp`, for models that can be
//! run here, which have no experts.

use std::collections::BTreeMap;
use std::fmt;

use crate::gguf::{Format, Gguf, TensorInfo};
use crate::model::{ModelShape, layer_part};

/// A mix of llama.cpp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(non_camel_case_types, reason = "as llama.cpp spells them")]
pub enum PeerRecipe {
    /// 4 bits, and 6 for some of what matters most.
    Q4_K_M,
    /// 5 bits, and 6 for some of what matters most.
    Q5_K_M,
    /// 6 bits.
    Q6_K,
    /// 8 bits.
    Q8_0,
}

impl PeerRecipe {
    /// All, the smallest first.
    pub const ALL: [PeerRecipe; 4] =
        [PeerRecipe::Q4_K_M, PeerRecipe::Q5_K_M, PeerRecipe::Q6_K, PeerRecipe::Q8_0];

    /// What `llama-quantize` calls it.
    pub fn name(self) -> &'static str {
        match self {
            PeerRecipe::Q4_K_M => "Q4_K_M",
            PeerRecipe::Q5_K_M => "Q5_K_M",
            PeerRecipe::Q6_K => "Q6_K",
            PeerRecipe::Q8_0 => "Q8_0",
        }
    }

    /// The format of all tensors that nothing else is said of.
    fn usual(self) -> Format {
        match self {
            PeerRecipe::Q4_K_M => Format::Q4_K,
            PeerRecipe::Q5_K_M => Format::Q5_K,
            PeerRecipe::Q6_K => Format::Q6_K,
            PeerRecipe::Q8_0 => Format::Q8_0,
        }
    }

    fn is_mixed(self) -> bool {
        matches!(self, PeerRecipe::Q4_K_M | PeerRecipe::Q5_K_M)
    }

    /// The formats of the tensors that this recipe encodes, by name. All others stay as they are:
    /// norms, biases and routers, what is quantized already, and what has rows that no block
    /// divides, of which llama.cpp makes F16.
    pub fn formats(self, gguf: &Gguf, shape: &ModelShape) -> BTreeMap<String, Format> {
        let mut tensors: Vec<&TensorInfo> = gguf.tensors().iter().collect();
        let layer = |tensor: &TensorInfo| layer_part(&tensor.name).map(|(layer, _)| layer);
        tensors.sort_by(|a, b| (layer(a), &a.name).cmp(&(layer(b), &b.name)));
        let values = tensors.iter().filter(|tensor| holds_values(&tensor.name)).count();
        let tied = !tensors.iter().any(|tensor| tensor.name == HEAD);
        let (mut value, mut down) = (0, 0);
        let mut formats = BTreeMap::new();
        for tensor in tensors.into_iter().filter(|tensor| is_quantized(tensor)) {
            let name = &tensor.name[..];
            let wanted = if name == HEAD || tied && name == EMBEDDING {
                self.of_head(tensor.row_len())
            } else if holds_values(name) {
                value += 1;
                self.of_values(value - 1, values, shape)
            } else if name.contains("ffn_down") {
                down += 1;
                self.more_bits_if(gets_more_bits(down - 1, shape.layers))
            } else {
                self.usual()
            };
            if let Some(format) = fitting(wanted, tensor.row_len()) {
                formats.insert(tensor.name.clone(), format);
            }
        }
        formats
    }

    fn of_head(self, row_len: usize) -> Format {
        match self.usual() {
            usual if usual == Format::Q8_0 || !usual.fits(row_len) => Format::Q8_0,
            _ => Format::Q6_K,
        }
    }

    /// That of the values (or of queries, keys and values in one) which are the `at`th of `all`.
    fn of_values(self, at: usize, all: usize, shape: &ModelShape) -> Format {
        let format = self.more_bits_if(gets_more_bits(at, all));
        // Models of 80 layers whose heads share their values: these are small there.
        let shared = shape.layers == 80 && shape.attention.heads != shape.attention.kv_heads;
        if shared && format == Format::Q4_K { Format::Q5_K } else { format }
    }

    fn more_bits_if(self, more: bool) -> Format {
        if self.is_mixed() && more { Format::Q6_K } else { self.usual() }
    }
}

impl fmt::Display for PeerRecipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

const HEAD: &str = "output.weight";
const EMBEDDING: &str = "token_embd.weight";

/// Whether a recipe encodes it.
fn is_quantized(tensor: &TensorInfo) -> bool {
    /// Matrices that llama.cpp leaves as they are.
    const KEPT: [&str; 3] = ["_norm.weight", "ffn_gate_inp.weight", "position_embd"];
    let full = matches!(tensor.format, Format::F32 | Format::F16 | Format::BF16);
    let name = &tensor.name;
    full && tensor.dims().len() > 1
        && tensor.rows() > 1
        && name.ends_with("weight")
        && !KEPT.iter().any(|kept| name.contains(kept))
}

fn holds_values(name: &str) -> bool {
    ["attn_v.weight", "attn_qkv.weight", "attn_kv_b.weight"].iter().any(|it| name.contains(it))
}

/// Whether the mixes give a tensor more bits that is the `at`th of `all`: in the first eighth, in
/// the last, and each third between.
fn gets_more_bits(at: usize, all: usize) -> bool {
    let eighth = all / 8;
    at < eighth || at >= 7 * all / 8 || (at - eighth) % 3 == 2
}

/// The format that stands in for one whose blocks do not divide the rows, if any does.
fn fitting(format: Format, row_len: usize) -> Option<Format> {
    let stand_in = match format {
        _ if format.fits(row_len) => format,
        Format::Q4_K => Format::Q5_0,
        Format::Q5_K => Format::Q5_1,
        _ => Format::Q8_0,
    };
    Some(stand_in).filter(|format| format.fits(row_len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_the_last_and_each_third_get_more_bits() {
        let more = |all| (0..all).filter(|&at| gets_more_bits(at, all)).collect::<Vec<_>>();
        assert_eq!(more(16), [0, 1, 4, 7, 10, 13, 14, 15]);
        // As `llama-quantize --dry-run` says of SmolLM2 in Q4_K_M.
        assert_eq!(more(30), [0, 1, 2, 5, 8, 11, 14, 17, 20, 23, 26, 27, 28, 29]);
    }

    #[test]
    fn rows_that_no_super_block_divides_get_smaller_blocks() {
        assert_eq!(fitting(Format::Q4_K, 576), Some(Format::Q5_0));
        assert_eq!(fitting(Format::Q5_K, 576), Some(Format::Q5_1));
        assert_eq!(fitting(Format::Q6_K, 576), Some(Format::Q8_0));
        assert_eq!(fitting(Format::Q6_K, 512), Some(Format::Q6_K));
        assert_eq!(fitting(Format::Q8_0, 48), None);
        assert_eq!(PeerRecipe::Q4_K_M.of_head(576), Format::Q8_0);
        assert_eq!(PeerRecipe::Q4_K_M.of_head(512), Format::Q6_K);
        assert_eq!(PeerRecipe::Q8_0.of_head(512), Format::Q8_0);
    }

    #[test]
    fn norms_stay_and_all_else_is_encoded() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tiny.gguf");
        let gguf = Gguf::open(path.as_ref()).unwrap();
        let model = crate::model::Model::of(&gguf).unwrap();
        for recipe in PeerRecipe::ALL {
            let formats = recipe.formats(&gguf, &model.shape);
            let encoded = gguf.tensors().iter().filter(|tensor| tensor.rows() > 1);
            assert!(encoded.clone().all(|tensor| formats.contains_key(&tensor.name)), "{recipe}");
            assert_eq!(encoded.count(), formats.len(), "{recipe}");
        }
    }
}
