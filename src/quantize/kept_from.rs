//! Formats that a tensor is kept from, as llama.cpp could not hold what it keeps of its inputs there.

use serde::Serialize;

use crate::gguf::TensorInfo;
use crate::model::{Extremes, InHalf, Overflow, Rounding};

use super::candidate::Candidate;
use super::plan::PlanError;

/// How many times as large as on the calibration text inputs may be before llama.cpp's outputs are
/// not finite, in any format that a tensor may get: other text has larger ones, but outliers of
/// inputs belong to a few columns and tokens, and are much alike from text to text.
pub const MARGIN: f32 = 4.0;

/// Formats that a tensor is kept from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KeptFrom {
    /// The tensor.
    pub tensor: String,
    /// The formats.
    pub formats: Vec<&'static str>,
    /// What llama.cpp keeps in F16, which ends at 65504.
    pub kept: InHalf,
    /// Its largest magnitude on the calibration text.
    pub largest: f32,
}

/// What is left of the formats of a tensor.
pub struct Left {
    pub candidates: Vec<Candidate>,
    pub kept_from: Option<KeptFrom>,
    /// What to tell, where nothing has the whole margin.
    pub warning: Option<String>,
}

/// The candidates that have the [`MARGIN`]; where none has, those whose outputs are finite on the
/// calibration text.
pub fn left(
    tensor: &TensorInfo,
    candidates: &[Candidate],
    inputs: Extremes,
) -> Result<Left, PlanError> {
    let overflow = |candidate: &Candidate, margin| {
        inputs.overflow(Rounding::for_weights(candidate.format), margin)
    };
    let first = candidates.iter().find_map(|it| overflow(it, MARGIN));
    let Some(first) = first else {
        return Ok(Left { candidates: candidates.to_vec(), kept_from: None, warning: None });
    };
    let with = |margin| -> Vec<Candidate> {
        candidates.iter().filter(|it| overflow(it, margin).is_none()).copied().collect()
    };
    let (mut left, name) = (with(MARGIN), &tensor.name);
    let mut warning = None;
    if left.is_empty() {
        left = with(1.0);
        warning = Some(format!(
            "tensor {name} in {}: {first}: inputs less than {MARGIN} times as large would make its \
             outputs NaN; {}",
            names(&left).join(", "),
            first.kept.way_out()
        ));
    }
    let dropped: Vec<Candidate> =
        candidates.iter().filter(|candidate| !left.contains(candidate)).copied().collect();
    let formats = names(&dropped);
    if left.is_empty() {
        return Err(PlanError::Overflow {
            tensor: name.clone(),
            formats: formats.join(", "),
            overflow: first,
        });
    }
    let Overflow { kept, value: largest } = first;
    let kept_from = KeptFrom { tensor: name.clone(), formats, kept, largest };
    let kept_from = (!dropped.is_empty()).then_some(kept_from);
    Ok(Left { candidates: left, kept_from, warning })
}

fn names(candidates: &[Candidate]) -> Vec<&'static str> {
    candidates.iter().map(|candidate| candidate.format.name()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::{Format, Gguf};

    fn tensor() -> TensorInfo {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tiny.gguf");
        Gguf::open(path.as_ref()).unwrap().tensor("blk.1.ffn_down.weight").unwrap().clone()
    }

    /// What is left of these formats for inputs that reach so far.
    fn left_of(formats: &[Format], input: f32, sum: f32) -> Result<Left, PlanError> {
        let candidates: Vec<Candidate> = formats.iter().copied().map(Candidate::encoded).collect();
        left(&tensor(), &candidates, Extremes { input, sum })
    }

    const SOME: [Format; 4] = [Format::Q4_0, Format::Q4_1, Format::Q5_1, Format::Q4_K];

    #[test]
    fn formats_have_four_times_the_room_that_they_need() {
        let all = left_of(&SOME, 1e6, 1.6e4).unwrap();
        assert!(all.candidates.len() == 4 && all.kept_from.is_none() && all.warning.is_none());
        let Left { candidates, kept_from, warning } = left_of(&SOME, 1e6, 1.7e4).unwrap();
        assert_eq!(names(&candidates), ["Q4_0", "Q4_K"]);
        let kept_from = kept_from.unwrap();
        assert_eq!(kept_from.formats, ["Q4_1", "Q5_1"]);
        assert_eq!((kept_from.kept, kept_from.largest), (InHalf::Sum, 1.7e4));
        assert_eq!(warning, None);
        let candidates = left_of(&SOME, 3e6, 0.0).unwrap().candidates;
        assert_eq!(names(&candidates), ["Q4_K"], "scales in F32");
    }

    #[test]
    fn less_room_is_told_where_there_is_no_more() {
        let Left { candidates, kept_from, warning } =
            left_of(&[Format::Q4_1, Format::Q5_1], 1e5, 3e4).unwrap();
        assert_eq!((candidates.len(), kept_from), (2, None));
        let warning = warning.unwrap();
        assert!(warning.contains("blk.1.ffn_down.weight in Q4_1, Q5_1: llama.cpp keeps the sum"));
        let error = left_of(&[Format::Q4_1, Format::Q5_1], 1e5, 3e5).err().unwrap().to_string();
        assert!(error.contains("blk.1.ffn_down.weight in Q4_1, Q5_1: llama.cpp"), "{error}");
        assert!(error.contains("--formats"), "{error}");
    }
}
