//! What calibration text shows of the inputs of each linear map.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::model::{Extremes, LinearInput, Model, ModelError, Session, Trace, Wanted, layer_part};
use crate::progress::{Amount, Progress};

/// Where an input stands: its layer, and what it is the input of.
pub type Place = (usize, LinearInput);

/// Where the output head's input stands, however many layers there are.
pub const HEAD: Place = (usize::MAX, LinearInput::Head);

/// How much each column of each input matters: the mean of its squares over all tokens; and how
/// large inputs are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Importance {
    inputs: BTreeMap<Place, InputSize>,
    /// Whether the token embedding serves as output head.
    tied: bool,
}

/// How large an input is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct InputSize {
    /// The mean square of each column.
    pub squares: Vec<f32>,
    /// The largest of all.
    pub extremes: Extremes,
}

impl Importance {
    /// The importance of each input column of the tensor `name`; `None` where nothing was seen of
    /// its input. A token embedding that serves as output head has that of the head's input.
    pub fn of(&self, name: &str) -> Option<&[f32]> {
        self.at(place(name, self.tied)?)
    }

    /// The largest inputs of the tensor `name`; `None` as for [`Importance::of`].
    pub fn extremes(&self, name: &str) -> Option<Extremes> {
        self.inputs.get(&place(name, self.tied)?).map(|input| input.extremes)
    }

    /// Of inputs that were seen; `tied` where the token embedding is the output head.
    pub fn new(inputs: BTreeMap<Place, InputSize>, tied: bool) -> Importance {
        Importance { inputs, tied }
    }

    /// The importance of each column of the input at `place`.
    pub fn at(&self, place: Place) -> Option<&[f32]> {
        self.inputs.get(&place).map(|input| input.squares.as_slice())
    }
}

/// What the tensor `name` has for its input; `tied` where the token embedding is the output head.
pub fn place(name: &str, tied: bool) -> Option<Place> {
    match name {
        "output.weight" => return Some(HEAD),
        "token_embd.weight" if tied => return Some(HEAD),
        _ => {}
    }
    let (layer, part) = layer_part(name)?;
    Some((layer, LinearInput::of(part)?))
}

/// The importance of all inputs on these sequences.
pub fn importance(
    model: &Model,
    sequences: &[&[u32]],
    progress: &dyn Progress,
) -> Result<Importance, ModelError> {
    let tokens = sequences.iter().map(|tokens| tokens.len() as u64).sum();
    // All tokens pass each layer before any passes the next.
    let by_layer = tokens / model.shape.layers as u64;
    let mut squares = Squares { inputs: BTreeMap::new(), progress, by_layer };
    progress.start("weighing inputs", Amount::Tokens(tokens));
    Session::new(model).hidden(sequences, Wanted::All, &mut squares)?;
    progress.finish();
    let inputs = squares.inputs.into_iter();
    let input =
        |Seen { sums, tokens, extremes }| InputSize { squares: mean(sums, tokens), extremes };
    let inputs = inputs.map(|(at, seen)| (at, input(seen))).collect();
    Ok(Importance { inputs, tied: model.weights.tied })
}

/// What was seen of an input.
struct Seen {
    /// Of the squares of each column.
    sums: Vec<f64>,
    tokens: u64,
    extremes: Extremes,
}

/// Sums the squares of each column, and counts the tokens.
struct Squares<'p> {
    inputs: BTreeMap<Place, Seen>,
    progress: &'p dyn Progress,
    /// What a layer is worth in tokens.
    by_layer: u64,
}

impl Trace for Squares<'_> {
    fn layer_done(&mut self, _: usize) {
        self.progress.advance(self.by_layer);
    }

    fn see(&mut self, layer: usize, input: LinearInput, x: &[f32], columns: usize) {
        let place = if input == LinearInput::Head { HEAD } else { (layer, input) };
        let none = || Seen { sums: vec![0.0; columns], tokens: 0, extremes: Extremes::default() };
        let seen = self.inputs.entry(place).or_insert_with(none);
        seen.tokens += (x.len() / columns) as u64;
        seen.extremes = seen.extremes.or(Extremes::of(x, columns));
        add_squares(&mut seen.sums, x, columns);
    }
}

/// The means over so many tokens.
pub(super) fn mean(sums: Vec<f64>, tokens: u64) -> Vec<f32> {
    sums.into_iter().map(|sum| (sum / tokens as f64) as f32).collect()
}

/// Adds the squares of each column, summed over parts of the rows that are the same for any number
/// of threads and short enough for F32.
pub(super) fn add_squares(sums: &mut [f64], x: &[f32], columns: usize) {
    const TOKENS: usize = 128;
    let sum = |x: &[f32]| {
        let mut sums = vec![0.0f32; columns];
        for row in x.chunks_exact(columns) {
            sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x * x);
        }
        sums
    };
    let parts: Vec<Vec<f32>> = x.par_chunks(TOKENS * columns).map(sum).collect();
    for part in parts {
        sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += f64::from(part));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::Gguf;
    use crate::progress::Silent;

    fn tiny() -> Gguf {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tiny.gguf");
        Gguf::open(path.as_ref()).unwrap()
    }

    #[test]
    fn each_linear_map_finds_its_input() {
        let gguf = tiny();
        let model = Model::of(&gguf).unwrap();
        let tokens: Vec<u32> = (0..300).map(|i| i * 7 % 1000).collect();
        let importance = importance(&model, &[&tokens[..200], &tokens[200..]], &Silent).unwrap();
        for tensor in gguf.tensors().iter().filter(|tensor| tensor.rows() > 1) {
            let columns = importance.of(&tensor.name).unwrap();
            assert_eq!(columns.len(), tensor.row_len(), "{}", tensor.name);
            assert!(columns.iter().all(|&x| x > 0.0 && x.is_finite()), "{}", tensor.name);
        }
        assert!(importance.of("blk.0.attn_q.weight") == importance.of("blk.0.attn_v.weight"));
        assert_eq!(importance.of("blk.0.attn_norm.weight"), None);
        assert_eq!(importance.of("blk.99.attn_q.weight"), None);
    }

    #[test]
    fn importance_is_the_mean_square() {
        let inputs = BTreeMap::new();
        let mut squares = Squares { inputs, progress: &Silent, by_layer: 0 };
        let x: Vec<f32> = (0..300 * 3).map(|i| (i % 7) as f32).collect();
        squares.see(1, LinearInput::Ffn, &x[..450], 3);
        squares.see(1, LinearInput::Ffn, &x[450..], 3);
        let Seen { sums, tokens, extremes } = &squares.inputs[&(1, LinearInput::Ffn)];
        assert_eq!((*tokens, *extremes), (300, Extremes { input: 6.0, sum: 0.0 }));
        for (column, &sum) in sums.iter().enumerate() {
            let expected: f32 = x.iter().skip(column).step_by(3).map(|x| x * x).sum();
            assert_eq!(sum, f64::from(expected));
        }
    }
}
