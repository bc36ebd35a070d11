//! The peers' recipes, encoded here and judged as the model is.

use serde::{Deserialize, Serialize};

/// A recipe of llama.cpp, encoded by this program with importance, and what it loses on the text
/// that judges the model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RecipeReport {
    /// What `llama-quantize` calls it.
    pub name: &'static str,
    /// Bytes of a file with it.
    pub bytes: u64,
    /// Bits per weight, over all tensors.
    pub bpw: f64,
    /// What it loses, where that could be measured.
    pub measured: Option<RecipeLosses>,
    /// Why it could not.
    pub unmeasured: Option<String>,
}

/// What a recipe loses on held-out text of the model's own.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RecipeLosses {
    /// Mean KL(full precision || quantized) in nats per token.
    pub mean_kld: f64,
    /// Its standard error.
    pub mean_kld_error: f64,
    /// Share of positions at which both models find the same token the likeliest.
    pub same_top: f64,
}
