//! The forward pass of the crate, as the comparisons take it.

use opencog_qat::model::{Model, Session, Untraced, Wanted};

/// The logits of the forward pass for each position.
pub fn forward(model: &Model, tokens: &[u32]) -> Vec<Vec<f64>> {
    let mut session = Session::new(model);
    let hidden = session.hidden(&[tokens], Wanted::All, &mut Untraced).unwrap();
    let mut logits = Vec::new();
    session.logits(&hidden, &mut logits);
    let rows = logits.chunks_exact(model.weights.vocabulary());
    rows.map(|row| row.iter().map(|&logit| f64::from(logit)).collect()).collect()
}
