//! How many weights of each tensor one token is multiplied with: what the speed of a model is
//! reckoned from.

use crate::gguf::{Gguf, Shape};

use super::{Role, architecture_name};

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
}

impl PerToken {
    /// Of this file.
    pub fn of(gguf: &Gguf) -> PerToken {
        let count = |key: &str| {
            let key = format!("{}.{key}", architecture_name(gguf.metadata()));
            gguf.metadata().get(&key).and_then(|value| value.as_u64()).filter(|&count| count > 0)
        };
        let all = count("expert_count").unwrap_or(1);
        let used = count("expert_used_count").unwrap_or(all).min(all);
        PerToken { tied: gguf.tensor("output.weight").is_none(), experts: (used, all) }
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
        let dense = PerToken { tied: true, experts: (1, 1) };
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
        let sparse = PerToken { tied: false, experts: (2, 8) };
        let experts = shape(&[64, 32, 8]);
        let of = |name| sparse.weights(name, &experts, Phase::Generation);
        assert_eq!(of("blk.0.ffn_up_exps.weight"), 64 * 32 * 2);
        assert_eq!(of("blk.0.ffn_up_shexp.weight"), 64 * 32 * 8);
    }
}
