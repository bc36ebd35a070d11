//! Formats that a tensor is kept from, as llama.cpp could not hold what it keeps of its inputs there.

use serde::Serialize;

use crate::gguf::TensorInfo;
use crate::model::{Extremes, InHalf, Overflow, Rounding};

use super::candidate::{Candidate, How};
use super::error::PlanError;

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
    /// Where nothing has the whole margin.
    pub tight: Option<Tight>,
}

/// A tensor whose formats lack the margin.
#[derive(Debug, Clone, PartialEq)]
pub struct Tight {
    tensor: String,
    formats: Vec<&'static str>,
    overflow: Overflow,
    /// Whether its outputs are not finite even on the calibration text: it is as in the input.
    is_nan: bool,
}

/// The candidates that have the [`MARGIN`], or `others` that have, where no candidate does; where
/// none has, those whose outputs are finite on the calibration text; and of tensors that are
/// quantized already, at least what they are.
pub fn left(
    tensor: &TensorInfo,
    candidates: &[Candidate],
    others: &[Candidate],
    inputs: Extremes,
) -> Result<Left, PlanError> {
    let overflow = |candidate: &Candidate, margin| {
        inputs.overflow(Rounding::for_weights(candidate.format), margin)
    };
    let first = candidates.iter().find_map(|it| overflow(it, MARGIN));
    let Some(first) = first else {
        return Ok(Left { candidates: candidates.to_vec(), kept_from: None, tight: None });
    };
    let with = |margin| {
        [candidates, others].into_iter().find_map(|of| {
            let left = of.iter().filter(|it| overflow(it, margin).is_none());
            let left: Vec<Candidate> = left.copied().collect();
            (!left.is_empty()).then_some(left)
        })
    };
    let copy = || candidates.iter().find(|it| it.how == How::Copied).map(|&copy| vec![copy]);
    let (spacious, finite) = (with(MARGIN), with(1.0));
    let name = &tensor.name;
    let (is_tight, is_nan) = (spacious.is_none(), finite.is_none());
    let Some(left) = spacious.or(finite).or_else(copy) else {
        return Err(PlanError::Overflow {
            tensor: name.clone(),
            formats: names(candidates).join(", "),
            overflow: first,
        });
    };
    let tight = Tight { tensor: name.clone(), formats: names(&left), overflow: first, is_nan };
    let dropped = candidates.iter().filter(|it| left.iter().all(|kept| kept.format != it.format));
    let dropped: Vec<Candidate> = dropped.copied().collect();
    let Overflow { kept, value: largest } = first;
    let kept_from = KeptFrom { tensor: name.clone(), formats: names(&dropped), kept, largest };
    let kept_from = (!dropped.is_empty()).then_some(kept_from);
    Ok(Left { candidates: left, kept_from, tight: is_tight.then_some(tight) })
}

/// What to tell of tensors whose formats lack the margin: of those that are NaN already first.
pub fn tight_warnings(tight: &[Tight]) -> Vec<String> {
    let (nan, tight): (Vec<&Tight>, Vec<&Tight>) = tight.iter().partition(|it| it.is_nan);
    let told = [nan, tight].into_iter().filter_map(|all| {
        let Tight { tensor, formats, overflow, is_nan } = all.first()?;
        let others = match all.len() - 1 {
            0 => String::new(),
            1 => " and 1 other tensor".to_string(),
            n => format!(" and {n} other tensors"),
        };
        let then = match is_nan {
            true => "its outputs are NaN there, as those of the input are".to_string(),
            false => {
                format!("inputs less than {MARGIN} times as large would make its outputs NaN")
            }
        };
        let (formats, way_out) = (formats.join(", "), overflow.kept.way_out());
        Some(format!("tensor {tensor} in {formats}{others}: {overflow}: {then}; {way_out}"))
    });
    told.collect()
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
        left(&tensor(), &candidates, &[], Extremes { input, sum })
    }

    const SOME: [Format; 4] = [Format::Q4_0, Format::Q4_1, Format::Q5_1, Format::Q4_K];

    #[test]
    fn formats_have_four_times_the_room_that_they_need() {
        let all = left_of(&SOME, 1e6, 1.6e4).unwrap();
        assert!(all.candidates.len() == 4 && all.kept_from.is_none() && all.tight.is_none());
        let Left { candidates, kept_from, tight } = left_of(&SOME, 1e6, 1.7e4).unwrap();
        assert_eq!(names(&candidates), ["Q4_0", "Q4_K"]);
        let kept_from = kept_from.unwrap();
        assert_eq!(kept_from.formats, ["Q4_1", "Q5_1"]);
        assert_eq!((kept_from.kept, kept_from.largest), (InHalf::Sum, 1.7e4));
        assert_eq!(tight, None);
        let candidates = left_of(&SOME, 3e6, 0.0).unwrap().candidates;
        assert_eq!(names(&candidates), ["Q4_K"], "scales in F32");
    }

    #[test]
    fn less_room_is_told_where_there_is_no_more() {
        let Left { candidates, kept_from, tight } =
            left_of(&[Format::Q4_1, Format::Q5_1], 1e5, 3e4).unwrap();
        assert_eq!((candidates.len(), kept_from), (2, None));
        let tight = tight.unwrap();
        let warning = |tight: &[Tight]| tight_warnings(tight).concat();
        let told = "blk.1.ffn_down.weight in Q4_1, Q5_1: llama.cpp keeps the sum";
        assert!(warning(std::slice::from_ref(&tight)).contains(told));
        let told = "blk.1.ffn_down.weight in Q4_1, Q5_1 and 2 other tensors: llama.cpp keeps";
        assert!(warning(&[tight.clone(), tight.clone(), tight]).contains(told));
        assert!(tight_warnings(&[]).is_empty());
        let error = left_of(&[Format::Q4_1, Format::Q5_1], 1e5, 3e5).err().unwrap().to_string();
        assert!(error.contains("blk.1.ffn_down.weight in Q4_1, Q5_1: llama.cpp"), "{error}");
        assert!(error.contains("--formats"), "{error}");
    }

    #[test]
    fn others_stand_in_for_a_lattice_without_room_and_a_copy_stays() {
        let fit = crate::block::lattice::Fit::Exact;
        let lattice = [Candidate::by(How::OnLattice(fit), Format::Q5_1)];
        let others = [Format::Q5_1, Format::Q8_0].map(Candidate::encoded);
        let of = |sum, of: &[Candidate], others: &[Candidate]| {
            left(&tensor(), of, others, Extremes { input: 1e5, sum }).unwrap()
        };
        assert_eq!(of(1e4, &lattice, &others).candidates, lattice);
        for sum in [3e4, 3e5] {
            let Left { candidates, kept_from, tight } = of(sum, &lattice, &others);
            assert_eq!((&candidates[..], tight), (&others[1..], None));
            assert_eq!(kept_from.unwrap().formats, ["Q5_1"]);
        }
        let copy = [Candidate::by(How::Copied, Format::Q5_1)];
        let Left { candidates, kept_from, tight } = of(3e5, &copy, &[]);
        assert_eq!((&candidates[..], kept_from), (&copy[..], None));
        assert!(tight_warnings(&[tight.unwrap()])[0].contains("as those of the input are"));
    }
}
