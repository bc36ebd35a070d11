//! Codes OpenCog data, and tells what that changed.

use std::path::Path;

use crate::Error;
use crate::opencog::atomspace::codec::{self, Codec, Damage, TOLERANCE, Truth, choose};
use crate::opencog::atomspace::companion::{Ordered, Sorted, TruthCoding};
use crate::opencog::atomspace::read::ReadSummary;
use crate::opencog::atomspace::{AtomSpace, AtomStore, TruthValue};
use crate::opencog::ecan::{AtomAttention, AttentionCodec, AttentionValues};
use crate::opencog::moses::TOLERANCE as MOSES_TOLERANCE;
use crate::opencog::moses::{CodedEnsemble, ConstantCodec, Fitness, Rounding};
use crate::opencog::section::Section;
use crate::report::{
    AtomSpaceReport, DeclinedCodec, EcanReport, MosesReport, SkippedReport, TruthReport,
};
use crate::validate::opencog::moses::fitness_change;
use crate::validate::opencog::ranking::spearman;

use super::read::{Data, Programs};
use super::{AttentionCoding, Request};

/// What a companion is made of, and what is told of it.
#[derive(Debug, Default)]
pub(super) struct Coded {
    pub sections: Vec<Section>,
    pub atomspace: Option<AtomSpaceReport>,
    pub ecan: Option<EcanReport>,
    pub moses: Option<MosesReport>,
}

/// Codes all that was read.
pub(super) fn code(data: &mut Data, request: &Request) -> Result<Coded, Error> {
    let mut coded = Coded::default();
    // What memory hardly has room for is there once.
    if let Some((sorted, summary)) = data.sorted.take() {
        coded.sorted(sorted, &summary, request);
    }
    if let Some((space, summary)) = &data.atoms {
        coded.atoms(space, summary, request);
    }
    if let Some(metta) = &data.metta {
        coded.metta(metta, request)?;
    }
    if let Some(report) = &mut coded.atomspace {
        report.warning = data.warning.take();
    }
    if let Some(programs) = &data.programs {
        coded.programs(programs, request)?;
    }
    Ok(coded)
}

/// The share of the bytes of atoms that a codec must save to be worth a loss.
const WORTH_A_LOSS: f64 = 0.02;

/// Why attention values are not coded.
const NO_CODE: &str = "one of them is not finite, or has a VLTI that is no count";
const TOO_MANY: &str = "more than 256 of a kind are distinct (--attention geometric codes them)";

impl Coded {
    fn atoms(&mut self, space: &AtomSpace, summary: &ReadSummary, request: &Request) {
        let values = space.atoms().filter_map(|atom| space.truth_value(atom));
        let (coding, truth) = code_truth(values, request.truth);
        let report = AtomSpaceReport { truth, ..AtomSpaceReport::of(space, request.form, 0) };
        self.ordered(Ordered::of(space, TruthCoding::Exact), coding, report, summary, request);
    }

    fn sorted(&mut self, sorted: Sorted, summary: &ReadSummary, request: &Request) {
        let (coding, truth) = code_truth(sorted.truth_values(), request.truth);
        let report = AtomSpaceReport::of_sorted(&sorted, request.form);
        self.ordered(
            sorted.ordered(),
            coding,
            AtomSpaceReport { truth, ..report },
            summary,
            request,
        );
    }

    /// Codes truth and attention values, and lays out what is told so far of the atoms.
    fn ordered(
        &mut self,
        mut ordered: Ordered,
        coding: TruthCoding,
        mut report: AtomSpaceReport,
        summary: &ReadSummary,
        request: &Request,
    ) {
        code_if_worth_it(&mut ordered, coding, &mut report.truth, request);
        let codec = match request.attention() {
            AttentionCoding::Exact => None,
            AttentionCoding::Chosen => Some(AttentionCodec::Palette),
            AttentionCoding::Named(codec) => Some(codec),
        };
        let mut why = NO_CODE;
        let attention = codec.and_then(|codec| {
            let (atoms, values) = ordered.attention_values().filter(|found| !found.0.is_empty())?;
            let coded = AtomAttention::encode(codec, atoms, &values);
            if request.attention() == AttentionCoding::Chosen && coded.coded().decode() != values {
                why = TOO_MANY;
                return None;
            }
            Some((coded, values))
        });
        // A palette of whole values takes a byte an atom, one of each number three. It is of the
        // coded values, so that they are coded so again.
        let mut in_one_byte = false;
        if let Some((coded, _)) = &attention {
            ordered.set_attention(coded);
            in_one_byte = codec == Some(AttentionCodec::Palette)
                && ordered.distinct_attention() <= usize::from(u8::MAX);
            if !in_one_byte {
                ordered.take_attention();
            }
        }
        let section = ordered.section(request.form);
        let uncoded = codec.filter(|_| attention.is_none() && ordered.distinct_attention() > 0);
        self.atomspace = Some(AtomSpaceReport {
            attention_uncoded: uncoded.map(|_| why),
            values_taken: Some(summary.values_taken),
            values_ignored: Some(summary.values_ignored),
            skipped: SkippedReport::all(&summary.skipped),
            bytes: section.tensor_bytes(),
            ..report
        });
        self.ecan = attention.as_ref().map(|(coded, values)| ecan_report(coded, values));
        self.sections.push(section);
        if let Some((coded, _)) = attention.filter(|_| !in_one_byte) {
            self.sections.push(coded.section());
        }
    }

    fn programs(&mut self, programs: &Programs, request: &Request) -> Result<(), Error> {
        let of = request.table().or(request.programs()).unwrap_or(Path::new(""));
        let Programs { ensemble, table } = programs;
        let rounding = match (request.moses_constants, table) {
            // The plain code, without guards.
            (ConstantCodec::Uniform, _) => Rounding::Nearest,
            (_, Some(table)) => Rounding::Calibrated { table, tolerance: MOSES_TOLERANCE },
            (_, None) => Rounding::Keep,
        };
        let coded = CodedEnsemble::encode(ensemble, request.moses_constants, rounding);
        let plain = || CodedEnsemble::encode(ensemble, ConstantCodec::Uniform, Rounding::Nearest);
        let change = |coded: &CodedEnsemble, table| {
            fitness_change(ensemble, &coded.decode(), table, Fitness::Errors)
                .map_err(|e| Error::opencog(of, e))
        };
        let section = coded.section();
        self.moses = Some(MosesReport {
            fitness: table.as_ref().map(|table| change(&coded, table)).transpose()?,
            plain_uniform: table.as_ref().map(|table| change(&plain(), table)).transpose()?,
            ..MosesReport::of(&coded, section.tensor_bytes())
        });
        self.sections.push(section);
        Ok(())
    }
}

/// The coding of the simple ones of these truth values, as far as it can be as asked, and what it
/// changes.
fn code_truth(
    values: impl Iterator<Item = TruthValue>,
    asked: TruthCoding,
) -> (TruthCoding, Option<TruthReport>) {
    let simple = |value| match value {
        TruthValue::Simple { strength, confidence } => Some(Truth { strength, confidence }),
        _ => None,
    };
    let values: Vec<Truth> = values.filter_map(simple).collect();
    if values.is_empty() {
        return (TruthCoding::Exact, None);
    }
    let coded = match asked {
        TruthCoding::Exact => None,
        TruthCoding::Chosen { tolerance } => {
            let (codec, coded) = choose(&values, tolerance);
            Some((codec, tolerance, coded))
        }
        TruthCoding::Named { codec, tolerance } => {
            codec.encode(&values, tolerance).map(|coded| (codec, tolerance, coded))
        }
    };
    let codec = coded.as_ref().map(|(codec, _, coded)| (*codec, coded));
    let told = truth_report(&values, asked, codec);
    (if coded.is_some() { asked } else { TruthCoding::Exact }, Some(told))
}

/// What a coding of truth values changes; none for one that keeps them as they are.
pub(super) fn truth_report(
    values: &[Truth],
    asked: TruthCoding,
    coded: Option<(Codec, &codec::Coded)>,
) -> TruthReport {
    let plain = Codec::PlainUniform.encode(values, TOLERANCE);
    let damage = |coded: &codec::Coded| Damage::between(values, &coded.decode());
    TruthReport {
        codec: coded.as_ref().map_or("exact", |(codec, _)| codec.name()).into(),
        // What could not be coded as asked is kept as it is.
        instead_of: match (asked, &coded) {
            (TruthCoding::Named { codec, .. }, None) => Some(codec.name().into()),
            _ => None,
        },
        exceptions: coded.map_or(0, |(_, coded)| coded.exceptions()),
        damage: match coded {
            Some((_, coded)) => damage(coded),
            None => Damage::between(values, values),
        },
        plain_uniform: plain.as_ref().map(damage),
        declined: None,
    }
}

fn ecan_report(coded: &AtomAttention, values: &AttentionValues) -> EcanReport {
    let after = coded.coded().decode();
    let sum = |values: &[f64]| values.iter().sum::<f64>();
    let all: f64 = values.sti.iter().map(|sti| sti.abs()).sum();
    let changed = (0..values.len()).filter(|&i| {
        (values.sti[i], values.lti[i], values.vlti[i])
            != (after.sti[i], after.lti[i], after.vlti[i])
    });
    let largest = values.sti.iter().zip(&after.sti).map(|(before, after)| {
        if before == after { 0.0 } else { ((after - before) / before).abs() }
    });
    EcanReport {
        changed: Some(changed.count()),
        sti_largest: Some(largest.fold(0.0, f64::max)),
        sti_rank_correlation: Some(spearman(&values.sti, &after.sti)),
        sti_error: Some(if all > 0.0 { (sum(&after.sti) - sum(&values.sti)) / all } else { 0.0 }),
        ..EcanReport::of(coded)
    }
}

/// Tells that nothing is lost: the codec would have made `more` bytes of atoms `less`.
fn decline(truth: &mut TruthReport, less: u64, more: u64) {
    let bytes = more.saturating_sub(less);
    truth.declined = Some(DeclinedCodec {
        codec: std::mem::replace(&mut truth.codec, "exact".into()),
        bytes,
        share: bytes as f64 / more.max(1) as f64,
    });
    truth.exceptions = 0;
    truth.damage = truth.damage.undone();
}

/// Codes truth values, unless the codec was chosen, loses something and saves hardly anything.
fn code_if_worth_it(
    ordered: &mut Ordered,
    coding: TruthCoding,
    truth: &mut Option<TruthReport>,
    request: &Request,
) {
    let lossy = truth.as_mut().filter(|truth| truth.damage.is_lossy());
    let (TruthCoding::Chosen { .. }, Some(lossy)) = (request.truth, lossy) else {
        return ordered.code_truth(coding);
    };
    let exact = ordered.truth();
    let bytes = |ordered: &Ordered| ordered.section(request.form).tensor_bytes();
    let more = bytes(ordered);
    ordered.code_truth(coding);
    let less = bytes(ordered);
    if more as f64 <= less as f64 * (1.0 + WORTH_A_LOSS) {
        ordered.set_truth(exact);
        decline(lossy, less, more);
    }
}
