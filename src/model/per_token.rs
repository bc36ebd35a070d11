//! How many weights of each tensor one token is multiplied with: what the speed of a model is
//! reckoned from.

use crate::gguf::{Gguf, Shape};

use super::{ModelShape, Role, architecture_name, layer_part};

/// What a model does with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It writes one: every matrix is read for it alone.
    Generation,
    /// It reads one of a prompt, whose tokens share what is read. The output head sees the last of
    /// them only.
    Prompt,
}

impl Phase {
    /// Both.
    pub const ALL: [Phase; 2] = [Phase::Generation, Phase::Prompt];

    /// Its name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Generation => "generation",
            Phase::Prompt => "prompt",
        }
    }
}

/// What of a model a token is multiplied with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PerToken {
    /// Whether the embedding is the output head, too.
    tied: bool,
    /// Experts that see a token, of those that there are; 1 of 1 in dense models.
    experts: (u64, u64),
    /// Layers that it passes.
    pub layers: usize,
    /// Operations of attention for a token of a prompt of [`PROMPT_TOKENS`]; 0 where nobody knows.
    pub attention: f64,
}

/// Tokens of the prompt that speeds are told of.
pub const PROMPT_TOKENS: usize = 512;

impl PerToken {
    /// Of this file.
    pub fn of(gguf: &Gguf) -> PerToken {
        let count = |key: &str| {
            let key = format!("{}.{key}", architecture_name(gguf.metadata()));
            gguf.metadata().get(&key).and_then(|value| value.as_u64()).filter(|&count| count > 0)
        };
        let all = count("expert_count").unwrap_or(1);
        let used = count("expert_used_count").unwrap_or(all).min(all);
        let layers = gguf.tensors().iter().filter_map(|tensor| layer_part(&tensor.name));
        PerToken {
            tied: gguf.tensor("output.weight").is_none(),
            experts: (used, all),
            layers: layers.map(|(layer, _)| layer + 1).max().unwrap_or(0),
            attention: ModelShape::of(gguf.metadata()).map_or(0.0, |shape| attention(&shape)),
        }
    }

    /// Weights of a tensor that one token is multiplied with. Vectors and embeddings that are looked
    /// up count nothing: they take no time beside matrices.
    pub fn weights(&self, name: &str, shape: &Shape, phase: Phase) -> u64 {
        let is_head = match Role::of(name) {
            Role::Norm | Role::Bias => return 0,
            Role::Embedding if !self.tied => return 0,
            Role::Embedding | Role::OutputHead => true,
            _ => false,
        };
        let is_matrix = shape.rows() > 1 && name.ends_with(".weight");
        if !is_matrix || (is_head && phase == Phase::Prompt) || ADDED.contains(&name) {
            return 0;
        }
        let elements = u128::from(shape.elements());
        let (used, all) = if name.contains("_exps.") { self.experts } else { (1, 1) };
        (elements * u128::from(used) / u128::from(all)) as u64
    }
}

/// Operations of attention for a token of a prompt, which sees half of it on the average, or its
/// window.
fn attention(shape: &ModelShape) -> f64 {
    let seen = |layer| {
        let window = shape.window_of(layer).unwrap_or(PROMPT_TOKENS).min(PROMPT_TOKENS) as f64;
        // Tokens before the window is full see half of it on the average.
        window - 0.5 * window * window / PROMPT_TOKENS as f64
    };
    let tokens: f64 = (0..shape.layers).map(seen).sum();
    let of_token = shape.attention.heads * (shape.attention.key_len + shape.attention.value_len);
    2.0 * of_token as f64 * tokens
}

/// Embeddings that are added to others.
const ADDED: [&str; 2] = ["position_embd.weight", "token_types.weight"];

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(dims: &[u64]) -> Shape {
        Shape::new(dims).unwrap()
    }

    #[test]
    fn a_token_meets_matrices_and_the_head_once_it_is_written() {
        let dense = PerToken { tied: true, experts: (1, 1), layers: 1, attention: 0.0 };
        let matrix = shape(&[64, 32]);
        for phase in Phase::ALL {
            assert_eq!(dense.weights("blk.0.ffn_up.weight", &matrix, phase), 2048);
            assert_eq!(dense.weights("blk.0.attn_norm.weight", &shape(&[64]), phase), 0);
            assert_eq!(dense.weights("position_embd.weight", &matrix, phase), 0);
        }
        let embedding = |of: PerToken, phase| of.weights("token_embd.weight", &matrix, phase);
        assert_eq!(embedding(dense, Phase::Generation), 2048);
        assert_eq!(embedding(dense, Phase::Prompt), 0);
        let untied = PerToken { tied: false, ..dense };
        assert_eq!(embedding(untied, Phase::Generation), 0);
        assert_eq!(untied.weights("output.weight", &matrix, Phase::Generation), 2048);
    }

    #[test]
    fn a_token_meets_some_experts() {
        let sparse = PerToken { tied: false, experts: (2, 8), layers: 1, attention: 0.0 };
        let experts = shape(&[64, 32, 8]);
        let of = |name| sparse.weights(name, &experts, Phase::Generation);
        assert_eq!(of("blk.0.ffn_up_exps.weight"), 64 * 32 * 2);
        assert_eq!(of("blk.0.ffn_up_shexp.weight"), 64 * 32 * 8);
    }
}
