//! The weights of a model where they lie: matrices stay in their file format, mapped, and are
//! widened to F32 a panel at a time.

use std::ops::Range;

use rayon::prelude::*;

use crate::block;
use crate::gguf::{Format, Gguf, TensorInfo};

use super::activations::Rounding;
use super::error::ModelError;
use super::few::{self, FewTokens};
use super::matmul::{Product, View, multiply_into};
use super::shape::ModelShape;

/// A matrix in its file format: `rows` rows (outputs) of `columns` weights (inputs).
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    /// How its values are stored.
    pub format: Format,
    /// Outputs.
    pub rows: usize,
    /// Inputs.
    pub columns: usize,
    /// The rows, one after another.
    pub bytes: &'a [u8],
}

impl<'a> Matrix<'a> {
    /// Widens rows `first..first + out.len() / columns` into `out`.
    pub fn widen(&self, first: usize, out: &mut [f32]) {
        let bytes = self.bytes_of(first..first + out.len() / self.columns);
        block::decode(self.format, bytes, out);
    }

    /// The bytes of some rows.
    fn bytes_of(&self, rows: Range<usize>) -> &'a [u8] {
        let row_bytes = self.columns / self.format.block_len() * self.format.block_bytes();
        &self.bytes[rows.start * row_bytes..rows.end * row_bytes]
    }
}

/// A matrix and what is added to its outputs.
#[derive(Debug, Clone)]
pub struct Linear<'a> {
    /// The matrix.
    pub weight: Matrix<'a>,
    /// One number for each output.
    pub bias: Option<Vec<f32>>,
    /// What its inputs are rounded to.
    pub rounding: Rounding,
}

impl Linear<'_> {
    /// `out = x * weight^T + bias`. Shapes: `x` tokens x columns, `out` tokens x rows.
    pub fn apply(&self, x: &[f32], out: &mut [f32]) {
        apply_all(&mut [(self, out)], x);
    }
}

/// `out = x * weight^T + bias` for maps that share their input. Shapes: `x` tokens x columns, each
/// `out` tokens x rows.
pub fn apply_all(maps: &mut [(&Linear, &mut [f32])], x: &[f32]) {
    let (columns, rounding) = (maps[0].0.weight.columns, maps[0].0.rounding);
    if maps.iter().any(|(map, _)| map.rounding != rounding) {
        return maps.chunks_mut(1).for_each(|map| apply_all(map, x));
    }
    let x = &*rounding.rounded(x);
    let tokens = x.len() / columns;
    if tokens == 0 {
        return;
    }
    let few = (tokens <= few::MOST).then(|| FewTokens::of(x, columns));
    let rows = if few.is_some() { FEW_ROWS } else { panel_rows(columns) };
    let mut panels = Vec::new();
    for (Linear { weight, .. }, out) in &mut *maps {
        let lens = (weight.columns, x.len(), out.len());
        assert_eq!(lens, (columns, tokens * columns, tokens * weight.rows), "shapes agree");
        let out = Place(out.as_mut_ptr());
        let rows_of = |first| first..weight.rows.min(first + rows);
        let firsts = (0..weight.rows).step_by(rows);
        panels.extend(firsts.map(|first| Panel { weight, rows: rows_of(first), out }));
    }
    panels.into_par_iter().for_each_init(Scratch::default, |scratch, panel| match &few {
        Some(few) => panel.multiply_few(few, tokens, scratch),
        None => panel.multiply(x, tokens, scratch),
    });
    for (Linear { weight, bias, .. }, out) in maps {
        if let Some(bias) = bias {
            out.par_chunks_mut(weight.rows).for_each(|out| {
                out.iter_mut().zip(bias).for_each(|(out, bias)| *out += bias);
            });
        }
    }
}

/// Some rows of a matrix, and the result of which they make as many columns.
struct Panel<'a> {
    weight: &'a Matrix<'a>,
    rows: Range<usize>,
    out: Place,
}

/// Buffers of a thread.
#[derive(Default)]
struct Scratch {
    widened: Vec<f32>,
    results: Vec<f32>,
}

impl Panel<'_> {
    fn multiply(&self, x: &[f32], tokens: usize, scratch: &mut Scratch) {
        let Matrix { rows, columns, .. } = *self.weight;
        let widened = &mut scratch.widened;
        widened.resize(self.rows.len() * columns, 0.0);
        self.weight.widen(self.rows.start, widened);
        let product = Product { rows: tokens, columns: self.rows.len(), depth: columns };
        let (left, right) = (View::rows(x, columns), View::rows(widened, columns).transposed());
        let out = self.out.at(self.rows.start);
        // SAFETY: each panel writes its own columns of every row of `out`, which has `tokens` rows
        // of `rows` values; no other panel touches these columns.
        unsafe { multiply_into(product, 1.0, left, right, out, rows, false) }
    }

    fn multiply_few(&self, x: &FewTokens, tokens: usize, scratch: &mut Scratch) {
        let Matrix { rows, columns, .. } = *self.weight;
        let Scratch { widened, results } = scratch;
        results.resize(self.rows.len() * x.lanes(), 0.0);
        // So few rows at a time that they stay in the first-level cache.
        let firsts = self.rows.clone().step_by(few::ROWS);
        for (first, results) in firsts.zip(results.chunks_mut(few::ROWS * x.lanes())) {
            widened.resize(results.len() / x.lanes() * columns, 0.0);
            self.weight.widen(first, widened);
            // The rows after these come from memory while these are multiplied, evenly: to wait
            // for them would take half as long again.
            let next = (first + few::ROWS).min(rows);
            let next = self.weight.bytes_of(next..(next + few::ROWS).min(rows));
            let lines_at = |column| column * next.len() / columns;
            x.multiply(widened, results, |column| {
                prefetch(next, lines_at(column)..lines_at(column + few::COLUMNS));
            });
        }
        for token in 0..tokens {
            let out = self.out.at(token * rows + self.rows.start);
            // SAFETY: as in `multiply`.
            let out = unsafe { std::slice::from_raw_parts_mut(out, self.rows.len()) };
            for (out, results) in out.iter_mut().zip(results.chunks_exact(x.lanes())) {
                *out = results[token];
            }
        }
    }
}

/// Asks for bytes ahead of their use.
#[inline(always)]
fn prefetch(bytes: &[u8], range: Range<usize>) {
    const LINE: usize = 64;
    #[cfg(target_arch = "x86_64")]
    for line in bytes[range.start..range.end.min(bytes.len())].chunks(LINE) {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: this is a hint; it reads nothing, wherever it points.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (bytes, range, LINE);
}

/// Where a result is written, by many panels at once: columns of one matrix, disjoint.
#[derive(Clone, Copy)]
struct Place(*mut f32);

impl Place {
    fn at(self, place: usize) -> *mut f32 {
        self.0.wrapping_add(place)
    }
}

// SAFETY: it is an address; `apply_all` sees to it that no two threads write to one place.
unsafe impl Sync for Place {}
// SAFETY: likewise.
unsafe impl Send for Place {}

/// Rows of a panel for few tokens: whole tiles, and enough panels for many threads.
const FEW_ROWS: usize = 6 * few::ROWS;

/// Rows of a panel: their F32 values stay in the second-level cache, and there are enough panels
/// for many threads. It does not depend on the number of threads, nor do the results.
fn panel_rows(columns: usize) -> usize {
    const MOST: usize = 96;
    const WEIGHTS: usize = 160 << 10;
    (WEIGHTS / columns / 16 * 16).clamp(16, MOST)
}

/// The weights of one transformer block.
#[derive(Debug, Clone)]
pub struct Layer<'a> {
    /// Gain of the norm before attention.
    pub attention_norm: Vec<f32>,
    /// Queries.
    pub q: Linear<'a>,
    /// Keys.
    pub k: Linear<'a>,
    /// Values.
    pub v: Linear<'a>,
    /// Gain of the norm of each query, and of each key.
    pub qk_norms: Option<(Vec<f32>, Vec<f32>)>,
    /// The projection of what attention gives.
    pub output: Linear<'a>,
    /// Gain of the norm after attention.
    pub attention_post_norm: Option<Vec<f32>>,
    /// Gain of the norm before the feed-forward network.
    pub ffn_norm: Vec<f32>,
    /// The gate.
    pub gate: Linear<'a>,
    /// What is gated.
    pub up: Linear<'a>,
    /// The projection back.
    pub down: Linear<'a>,
    /// Gain of the norm after the feed-forward network.
    pub ffn_post_norm: Option<Vec<f32>>,
}

/// All the weights of a model.
#[derive(Debug, Clone)]
pub struct Weights<'a> {
    /// Token embeddings: vocabulary x width.
    pub embedding: Matrix<'a>,
    /// The transformer blocks, in order.
    pub layers: Vec<Layer<'a>>,
    /// Gain of the last norm.
    pub output_norm: Vec<f32>,
    /// The output head; the token embedding where the file has no other.
    pub head: Linear<'a>,
    /// Whether the head is the token embedding.
    pub tied: bool,
    /// Divisors of the rotary frequencies, one for each pair.
    pub rope_factors: Option<Vec<f32>>,
}

impl<'a> Weights<'a> {
    /// Finds the weights of a model of this shape.
    pub fn of(gguf: &'a Gguf, shape: &ModelShape) -> Result<Weights<'a>, ModelError> {
        let finder = Finder { gguf };
        finder.refuse_unknown(shape)?;
        let width = shape.width;
        let embedding = finder.embedding(width)?;
        let layers =
            (0..shape.layers).map(|layer| finder.layer(shape, layer)).collect::<Result<_, _>>()?;
        let vocabulary = embedding.rows;
        let head = match gguf.tensor("output.weight") {
            Some(_) => finder.linear("output", width, vocabulary)?,
            None => Linear {
                weight: embedding,
                bias: finder.optional_vector("output.bias", vocabulary)?,
                rounding: Rounding::None,
            },
        };
        Ok(Weights {
            embedding,
            layers,
            tied: gguf.tensor("output.weight").is_none(),
            output_norm: finder.vector("output_norm.weight", width)?,
            head,
            rope_factors: finder.optional_vector("rope_freqs.weight", shape.rotation.dims / 2)?,
        })
    }

    /// Every linear map.
    fn linears(&mut self) -> impl Iterator<Item = &mut Linear<'a>> {
        let layers = self.layers.iter_mut().flat_map(|layer| {
            let Layer { q, k, v, output, gate, up, down, .. } = layer;
            [q, k, v, output, gate, up, down]
        });
        layers.chain([&mut self.head])
    }

    /// From now on activations are rounded as llama.cpp does on a CPU before it multiplies them
    /// with weights of these formats.
    pub fn round_activations(&mut self) {
        for linear in self.linears() {
            linear.rounding = Rounding::for_weights(linear.weight.format);
        }
    }

    /// Tokens in the vocabulary.
    pub fn vocabulary(&self) -> usize {
        self.embedding.rows
    }
}

/// Finds tensors and checks their shapes.
struct Finder<'a> {
    gguf: &'a Gguf,
}

/// What the forward pass uses of a transformer block, without `.weight` or `.bias`.
const LAYER_PARTS: [&str; 13] = [
    "attn_norm",
    "attn_q",
    "attn_k",
    "attn_v",
    "attn_q_norm",
    "attn_k_norm",
    "attn_output",
    "post_attention_norm",
    "ffn_norm",
    "ffn_gate",
    "ffn_up",
    "ffn_down",
    "post_ffw_norm",
];

/// Parts that have a bias where the file has one.
const BIASED_PARTS: [&str; 7] =
    ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"];

impl<'a> Finder<'a> {
    /// A tensor that would be left out of the computation is no detail: the results would be wrong.
    fn refuse_unknown(&self, shape: &ModelShape) -> Result<(), ModelError> {
        const WHOLE: [&str; 5] = [
            "token_embd.weight",
            "output_norm.weight",
            "output.weight",
            "output.bias",
            "rope_freqs.weight",
        ];
        let architecture = shape.architecture;
        let known_part = |part: &str| match part.rsplit_once('.') {
            Some((part @ ("attn_q_norm" | "attn_k_norm"), "weight")) => {
                architecture.qk_norm && LAYER_PARTS.contains(&part)
            }
            Some((part @ ("post_attention_norm" | "post_ffw_norm"), "weight")) => {
                architecture.post_norms && LAYER_PARTS.contains(&part)
            }
            Some((part, "weight")) => LAYER_PARTS.contains(&part),
            Some((part, "bias")) => BIASED_PARTS.contains(&part),
            _ => false,
        };
        let known =
            |name: &str| match name.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) {
                // llama.cpp reads no more blocks than the metadata counts.
                Some((layer, part)) => {
                    layer.parse::<usize>().is_ok_and(|layer| layer < shape.layers)
                        && known_part(part)
                }
                None => WHOLE.contains(&name),
            };
        match self.gguf.tensors().iter().find(|tensor| !known(&tensor.name)) {
            None => Ok(()),
            Some(tensor) => {
                let name = &tensor.name;
                let of = architecture.name;
                let what = format!("it does not know what the tensor {name} does in {of}");
                Err(ModelError::Unsupported(what))
            }
        }
    }

    fn layer(&self, shape: &ModelShape, layer: usize) -> Result<Layer<'a>, ModelError> {
        let (width, attention) = (shape.width, &shape.attention);
        let (q_len, k_len) = (shape.query_len(), attention.kv_heads * attention.key_len);
        let v_len = attention.kv_heads * attention.value_len;
        let name = |part: &str| format!("blk.{layer}.{part}");
        let linear = |part: &str, inputs, outputs| self.linear(&name(part), inputs, outputs);
        let norm = |part: &str, len| self.vector(&(name(part) + ".weight"), len);
        let ffn = self.tensor(&name("ffn_up.weight"))?.rows();
        let architecture = shape.architecture;
        let qk_norms = match architecture.qk_norm {
            true => Some((
                norm("attn_q_norm", attention.key_len)?,
                norm("attn_k_norm", attention.key_len)?,
            )),
            false => None,
        };
        let post_norm = |part| architecture.post_norms.then(|| norm(part, width)).transpose();
        Ok(Layer {
            attention_norm: norm("attn_norm", width)?,
            q: linear("attn_q", width, q_len)?,
            k: linear("attn_k", width, k_len)?,
            v: linear("attn_v", width, v_len)?,
            qk_norms,
            output: linear("attn_output", attention.heads * attention.value_len, width)?,
            attention_post_norm: post_norm("post_attention_norm")?,
            ffn_norm: norm("ffn_norm", width)?,
            gate: linear("ffn_gate", width, ffn)?,
            up: linear("ffn_up", width, ffn)?,
            down: linear("ffn_down", ffn, width)?,
            ffn_post_norm: post_norm("post_ffw_norm")?,
        })
    }

    fn tensor(&self, name: &str) -> Result<&'a TensorInfo, ModelError> {
        self.gguf.tensor(name).ok_or_else(|| ModelError::MissingTensor(name.into()))
    }

    fn embedding(&self, width: usize) -> Result<Matrix<'a>, ModelError> {
        let tensor = self.tensor("token_embd.weight")?;
        self.matrix(tensor, width, tensor.rows())
    }

    /// The matrix and the bias, if there is one, of the linear map `name`.
    fn linear(&self, name: &str, inputs: usize, outputs: usize) -> Result<Linear<'a>, ModelError> {
        let tensor = self.tensor(&format!("{name}.weight"))?;
        let weight = self.matrix(tensor, inputs, outputs)?;
        let bias = self.optional_vector(&format!("{name}.bias"), outputs)?;
        Ok(Linear { weight, bias, rounding: Rounding::None })
    }

    fn matrix(
        &self,
        tensor: &'a TensorInfo,
        inputs: usize,
        outputs: usize,
    ) -> Result<Matrix<'a>, ModelError> {
        check_shape(tensor, &[inputs, outputs])?;
        check_decodable(tensor)?;
        let bytes = self.gguf.data(tensor);
        Ok(Matrix { format: tensor.format, rows: outputs, columns: inputs, bytes })
    }

    fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>, ModelError> {
        let tensor = self.tensor(name)?;
        check_shape(tensor, &[len])?;
        check_decodable(tensor)?;
        let mut values = vec![0.0; len];
        block::decode(tensor.format, self.gguf.data(tensor), &mut values);
        Ok(values)
    }

    fn optional_vector(&self, name: &str, len: usize) -> Result<Option<Vec<f32>>, ModelError> {
        self.gguf.tensor(name).map(|_| self.vector(name, len)).transpose()
    }
}

fn check_shape(tensor: &TensorInfo, expected: &[usize]) -> Result<(), ModelError> {
    let found = tensor.shape;
    let fits = found.row_len() == expected[0]
        && found.rows() == expected.get(1).copied().unwrap_or(1)
        && found.dims().len() <= expected.len();
    if fits {
        return Ok(());
    }
    let expected: Vec<String> = expected.iter().map(usize::to_string).collect();
    Err(ModelError::WrongShape {
        tensor: tensor.name.clone(),
        expected: expected.join(" x "),
        found: found.to_string(),
    })
}

fn check_decodable(tensor: &TensorInfo) -> Result<(), ModelError> {
    if block::can_decode(tensor.format) {
        return Ok(());
    }
    Err(ModelError::Undecodable { tensor: tensor.name.clone(), format: tensor.format })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_map_is_the_product_and_the_bias_in_any_format() {
        let (tokens, rows, columns) = (5, 101, 64);
        let weights: Vec<f32> =
            (0..rows * columns).map(|i| ((i * 37) % 101) as f32 - 50.0).collect();
        let x: Vec<f32> = (0..tokens * columns).map(|i| ((i * 13) % 29) as f32 - 14.0).collect();
        for format in [Format::F32, Format::Q8_0, Format::Q4_0] {
            let mut bytes = vec![0; format.bytes_of(weights.len() as u64).unwrap() as usize];
            match format {
                Format::F32 => bytes = weights.iter().flat_map(|w| w.to_le_bytes()).collect(),
                format => block::encode(format, &weights, columns, None, &mut bytes),
            }
            let weight = Matrix { format, rows, columns, bytes: &bytes };
            let mut widened = vec![0.0; rows * columns];
            weight.widen(0, &mut widened);
            let bias: Vec<f32> = (0..rows).map(|i| i as f32).collect();
            let mut out = vec![0.0; tokens * rows];
            Linear { weight, bias: Some(bias), rounding: Rounding::None }.apply(&x, &mut out);
            for t in 0..tokens {
                for r in 0..rows {
                    let products =
                        (0..columns).map(|c| x[t * columns + c] * widened[r * columns + c]);
                    let expected = products.map(f64::from).sum::<f64>() + r as f64;
                    let found = f64::from(out[t * rows + r]);
                    assert!((found - expected).abs() < 1e-2, "{found} for {expected}");
                }
            }
        }
    }

    #[test]
    fn panels_are_small_and_even() {
        assert_eq!(panel_rows(576), 96);
        assert_eq!(panel_rows(4096), 32);
        assert_eq!(panel_rows(1 << 20), 16);
    }
}
