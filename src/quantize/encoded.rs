//! Tensors in their new formats, before they are written, and models that run with them.

use std::collections::BTreeMap;

use crate::block::SharedScale;
use crate::gguf::Format;
use crate::model::Model;
use crate::work::Bytes;

use super::candidate::Candidate;

/// A tensor in its new format.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// The format.
    pub format: Format,
    /// What its blocks share.
    pub shared: Option<SharedScale>,
    /// Its blocks, row by row.
    pub bytes: Bytes,
    /// Whether the blocks stand for its weights as they are, so that training leaves them alone.
    pub is_exact: bool,
}

impl Encoded {
    /// A tensor that was encoded as `to` has it.
    pub fn new(to: Candidate, bytes: Bytes) -> Encoded {
        Encoded { format: to.format, shared: to.shared, bytes, is_exact: !to.is_searched() }
    }

    /// How other weights get into such blocks.
    pub fn candidate(&self) -> Candidate {
        Candidate { shared: self.shared, ..Candidate::encoded(self.format) }
    }
}

/// Tensors in their new formats, by name.
pub type Encodings = BTreeMap<String, Encoded>;

/// The model with these tensors in the place of its own.
pub fn with_encodings<'e>(model: &Model<'e>, encodings: &'e Encodings) -> Model<'e> {
    with_some(model, encodings, |_| true)
}

/// The model with those of these tensors in the place of its own that are `wanted`.
pub fn with_some<'e>(
    model: &Model<'e>,
    encodings: &'e Encodings,
    wanted: impl Fn(&str) -> bool,
) -> Model<'e> {
    let mut model = model.clone();
    for (name, encoded) in encodings.iter().filter(|(name, _)| wanted(name)) {
        // A tensor that is no part of the forward pass is in no one's place.
        let _ = model.weights.replace(name, encoded.format, &encoded.bytes);
    }
    model
}
