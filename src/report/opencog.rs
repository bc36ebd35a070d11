//! What became of OpenCog data.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::opencog::atomspace::codec::{Codec, Damage};
use crate::opencog::atomspace::companion::{Form, Sorted};
use crate::opencog::atomspace::read::Skipped;
use crate::opencog::atomspace::{AtomId, AtomStore, AtomType, Kind, TypeId};
use crate::opencog::ecan::AtomAttention;
use crate::opencog::moses::CodedEnsemble;
use crate::validate::opencog::moses::FitnessChange;

use super::export::text::write_facts;
use super::told::opencog as told;
use super::validation::{
    DynamicsReport, EvolutionReport, LatencyReport, MiningReport, RecallReport,
};

/// A companion file and what it holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OpenCogReport {
    /// The files that were read; of a companion beside the model, what no other file gives is kept.
    pub inputs: Vec<String>,
    /// The companion that was written, or would be.
    pub companion: String,
    /// Its bytes.
    pub bytes: u64,
    /// Its hash, which the model's metadata has too.
    pub sha256: String,
    /// Its atoms.
    pub atomspace: Option<AtomSpaceReport>,
    /// Its coded attention values.
    pub ecan: Option<EcanReport>,
    /// Its programs.
    pub moses: Option<MosesReport>,
}

/// Atoms of a companion or a text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AtomSpaceReport {
    /// Atoms.
    pub atoms: usize,
    /// Of these, nodes.
    pub nodes: usize,
    /// Of these, links.
    pub links: usize,
    /// Atoms that have a truth value.
    pub truth_values: usize,
    /// Atoms that have an attention value.
    pub attention_values: usize,
    /// Why these were not coded, though that was asked for.
    pub attention_uncoded: Option<&'static str>,
    /// The types that atoms have, the most frequent first.
    pub types: Vec<TypeReport>,
    /// `mapped` or `at rest`.
    pub form: &'static str,
    /// Bytes of the tensors.
    pub bytes: u64,
    /// What the truth values were coded with; `exact` where they are as they were.
    pub truth_codec: String,
    /// What that changed, where they were coded in this run.
    pub truth: Option<TruthReport>,
    /// Values that were given and taken, where a text was read.
    pub values_taken: Option<u64>,
    /// Values of nested atoms that were there already, not taken.
    pub values_ignored: Option<u64>,
    /// What was passed over in the text.
    pub skipped: Vec<SkippedReport>,
    /// What is to be said of the memory that reading the text took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// What is at the top, where the atoms are those of MeTTa.
    pub metta: Option<MettaReport>,
    /// What is mined of all trees, and of those that a filter of truth values lets pass; where it was
    /// asked for.
    pub mining: Option<Vec<MiningReport>>,
    /// How long operations take, where it was asked for.
    pub latency: Option<Vec<LatencyReport>>,
}

/// What of MeTTa is beside its atoms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MettaReport {
    /// Atoms at the top, each counted as often as it is there.
    pub top: usize,
    /// How many of them are distinct.
    pub distinct: usize,
    /// How many of these hold variables.
    pub open: usize,
    /// Commands of a text, which are not run and not kept: no companion tells of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commands: Option<u64>,
}

/// Atoms of a type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TypeReport {
    /// The type.
    pub name: String,
    /// How many atoms are of it.
    pub atoms: usize,
}

/// One kind of what was passed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SkippedReport {
    /// What it is.
    pub kind: String,
    /// How often.
    pub count: u64,
    /// The first lines.
    pub lines: Vec<u64>,
}

/// How simple truth values were coded.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TruthReport {
    /// The codec, or `exact`.
    pub codec: String,
    /// The codec that was asked for, where the values are too many for it.
    pub instead_of: Option<String>,
    /// Strengths and confidences that are kept as they are, beside the levels.
    pub exceptions: usize,
    /// What the codec changed.
    pub damage: Damage,
    /// What the specification's plain 8-bit uniform code would have changed.
    pub plain_uniform: Option<Damage>,
    /// What a lossy codec would have saved, where nothing is lost since that was little.
    pub declined: Option<DeclinedCodec>,
}

/// A lossy codec that was not taken.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeclinedCodec {
    /// The codec.
    pub codec: String,
    /// Bytes that it would have saved.
    pub bytes: u64,
    /// The same as a share of what the atoms take.
    pub share: f64,
}

/// Coded attention values.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EcanReport {
    /// The codec.
    pub codec: String,
    /// Atoms that have attention values.
    pub atoms: usize,
    /// Levels of STI, LTI and VLTI.
    pub levels: [usize; 3],
    /// Atoms of which a value is another now, where they were coded in this run.
    pub changed: Option<usize>,
    /// Spearman's rank correlation of STI before and after.
    pub sti_rank_correlation: Option<f64>,
    /// STI that coding made (above 0) or lost (below), as a share of all there is.
    pub sti_error: Option<f64>,
    /// The largest change of an STI, as a share of it.
    pub sti_largest: Option<f64>,
    /// Where attention goes from them, where it was asked for.
    pub dynamics: Option<DynamicsReport>,
    /// What a memory recalls in their codec, where it was asked for.
    pub recall: Option<RecallReport>,
}

/// Coded programs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MosesReport {
    /// Programs.
    pub programs: usize,
    /// How the levels of constants were chosen.
    pub codec: String,
    /// Levels, of at most 64.
    pub levels: usize,
    /// Constants that are a level, in 6 bits.
    pub coded: usize,
    /// Constants that are kept as they are.
    pub exact: usize,
    /// Bytes of the tensors.
    pub bytes: u64,
    /// What that changed on the table, where one was given.
    pub fitness: Option<FitnessChange>,
    /// What the specification's plain 6-bit uniform code would have changed.
    pub plain_uniform: Option<FitnessChange>,
    /// Where evolution goes from them on that table, where it was asked for.
    pub evolution: Option<EvolutionReport>,
}

impl AtomSpaceReport {
    /// Of the atoms of a store.
    pub(crate) fn of(store: &impl AtomStore, form: Form, bytes: u64) -> AtomSpaceReport {
        let types = store.types().iter().zip(0u16..);
        let types = types.map(|(of, id)| (of, store.by_type(TypeId(id)).len())).collect();
        let has_truth = |atom: &AtomId| store.truth_value(*atom).is_some();
        let has_attention = |atom: &AtomId| store.attention_value(*atom).is_some();
        AtomSpaceReport {
            truth_values: store.atoms().filter(has_truth).count(),
            attention_values: store.atoms().filter(has_attention).count(),
            bytes,
            ..AtomSpaceReport::of_types(types, form)
        }
    }

    /// Of atoms that were sorted, not yet packed.
    pub(crate) fn of_sorted(sorted: &Sorted, form: Form) -> AtomSpaceReport {
        AtomSpaceReport {
            truth_values: sorted.truth_values().count(),
            attention_values: sorted.attention_values(),
            ..AtomSpaceReport::of_types(sorted.types().collect(), form)
        }
    }

    /// Of so many atoms of these types, without values.
    fn of_types(mut counts: Vec<(&AtomType, usize)>, form: Form) -> AtomSpaceReport {
        counts.retain(|(_, atoms)| *atoms > 0);
        let nodes = counts.iter().filter(|(of, _)| of.kind == Kind::Node).map(|of| of.1).sum();
        let atoms: usize = counts.iter().map(|of| of.1).sum();
        let named = |(of, atoms): &(&AtomType, usize)| TypeReport {
            name: of.name.to_string(),
            atoms: *atoms,
        };
        let mut types: Vec<TypeReport> = counts.iter().map(named).collect();
        types.sort_by(|a, b| b.atoms.cmp(&a.atoms).then_with(|| a.name.cmp(&b.name)));
        AtomSpaceReport {
            atoms,
            nodes,
            links: atoms - nodes,
            truth_values: 0,
            attention_uncoded: None,
            attention_values: 0,
            types,
            form: form.name(),
            bytes: 0,
            truth_codec: "exact".into(),
            truth: None,
            values_taken: None,
            values_ignored: None,
            skipped: Vec::new(),
            warning: None,
            metta: None,
            mining: None,
            latency: None,
        }
    }

    /// With the codec that a file names.
    pub(crate) fn with_codec(self, codec: Option<Codec>) -> AtomSpaceReport {
        AtomSpaceReport { truth_codec: codec.map_or("exact", Codec::name).into(), ..self }
    }
}

impl SkippedReport {
    /// All kinds.
    pub(crate) fn all(skipped: &Skipped) -> Vec<SkippedReport> {
        let of = skipped.kinds().iter().map(|kind| SkippedReport {
            kind: kind.name.clone(),
            count: kind.count,
            lines: kind.lines.clone(),
        });
        of.collect()
    }
}

impl EcanReport {
    /// Of coded values.
    pub(crate) fn of(attention: &AtomAttention) -> EcanReport {
        let coded = attention.coded();
        EcanReport {
            codec: coded.codec.to_string(),
            atoms: attention.len(),
            levels: [&coded.sti, &coded.lti, &coded.vlti].map(|column| column.levels().len()),
            changed: None,
            sti_rank_correlation: None,
            sti_error: None,
            sti_largest: None,
            dynamics: None,
            recall: None,
        }
    }
}

impl MosesReport {
    /// Of a coded ensemble.
    pub(crate) fn of(ensemble: &CodedEnsemble, bytes: u64) -> MosesReport {
        let (coded, exact) = ensemble.constants();
        MosesReport {
            programs: ensemble.len(),
            codec: ensemble.book().codec().to_string(),
            levels: ensemble.book().levels().len(),
            coded,
            exact,
            bytes,
            fitness: None,
            plain_uniform: None,
            evolution: None,
        }
    }
}

/// The summary of a companion, several lines.
pub fn opencog_summary(report: &OpenCogReport) -> String {
    let mut text = format!("{} -> {}\n\n", report.inputs.join(", "), report.companion);
    write_facts(&mut text, &told::facts(report)).expect("writing to a string cannot fail");
    text
}

/// What a companion, or a text of atoms, holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stats {
    /// The file.
    #[serde(serialize_with = "super::lossy")]
    pub file: PathBuf,
    /// Its atoms.
    pub atomspace: Option<AtomSpaceReport>,
    /// Its coded attention values.
    pub ecan: Option<EcanReport>,
    /// Its programs.
    pub moses: Option<MosesReport>,
    /// Bytes of the file, if it is a companion.
    pub bytes: Option<u64>,
    /// Names and bytes of its tensors.
    pub parts: Vec<(String, u64)>,
}

impl Stats {
    /// Of a file that nothing is known of yet.
    pub(crate) fn of(file: &Path) -> Stats {
        let (atomspace, ecan, moses, bytes) = (None, None, None, None);
        Stats { file: file.into(), atomspace, ecan, moses, bytes, parts: Vec::new() }
    }
}

/// The listing, several lines.
impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stats { file, atomspace, ecan, moses, bytes, parts } = self;
        let mut told = Vec::new();
        told.extend(atomspace.iter().flat_map(told::atoms));
        told.extend(ecan.iter().flat_map(told::attention));
        told.extend(atomspace.iter().flat_map(told::types));
        told.extend(moses.iter().flat_map(told::programs));
        let mut text = format!("{}\n\n", file.display());
        write_facts(&mut text, &told)?;
        f.write_str(&text)?;
        let Some(bytes) = bytes else { return Ok(()) };
        writeln!(f, "\n  {bytes:>12} bytes of the file, of which")?;
        parts.iter().try_for_each(|(name, bytes)| writeln!(f, "  {bytes:>12} {name}"))
    }
}
