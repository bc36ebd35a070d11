//! What became of OpenCog data.

use std::fmt::{self, Write};

use serde::Serialize;

use crate::opencog::atomspace::codec::{Codec, ColumnDamage, Damage};
use crate::opencog::atomspace::companion::Form;
use crate::opencog::atomspace::read::Skipped;
use crate::opencog::atomspace::{AtomStore, Kind, TypeId};
use crate::opencog::ecan::AtomAttention;
use crate::opencog::moses::CodedEnsemble;
use crate::validate::opencog::moses::FitnessChange;

use super::text::bytes;
use super::validation::{
    DynamicsReport, EvolutionReport, LatencyReport, MiningReport, RecallReport, write_dynamics,
    write_evolution, write_latency, write_mining, write_recall,
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
    /// What is mined of all trees, and of those that a filter of truth values lets pass; where it was
    /// asked for.
    pub mining: Option<Vec<MiningReport>>,
    /// How long operations take, where it was asked for.
    pub latency: Option<Vec<LatencyReport>>,
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
        let counts = store.types().iter().zip(0u16..);
        let counts = counts.map(|(of, id)| (of, store.by_type(TypeId(id)).len()));
        let counts: Vec<_> = counts.filter(|(_, atoms)| *atoms > 0).collect();
        let nodes = counts.iter().filter(|(of, _)| of.kind == Kind::Node).map(|of| of.1).sum();
        let named = |(of, atoms): &(&crate::opencog::atomspace::AtomType, usize)| TypeReport {
            name: of.name.to_string(),
            atoms: *atoms,
        };
        let mut types: Vec<TypeReport> = counts.iter().map(named).collect();
        types.sort_by(|a, b| b.atoms.cmp(&a.atoms).then_with(|| a.name.cmp(&b.name)));
        AtomSpaceReport {
            atoms: store.atom_count(),
            nodes,
            links: store.atom_count() - nodes,
            truth_values: store.atoms().filter(|&atom| store.truth_value(atom).is_some()).count(),
            attention_uncoded: None,
            attention_values: store
                .atoms()
                .filter(|&atom| store.attention_value(atom).is_some())
                .count(),
            types,
            form: form.name(),
            bytes,
            truth_codec: "exact".into(),
            truth: None,
            values_taken: None,
            values_ignored: None,
            skipped: Vec::new(),
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
    write_opencog(&mut text, report).expect("writing to a string cannot fail");
    text
}

/// The lines of a summary.
pub(crate) fn write_opencog(out: &mut String, report: &OpenCogReport) -> fmt::Result {
    writeln!(out, "  companion    {}, {}", report.companion, bytes(report.bytes))?;
    if let Some(atoms) = &report.atomspace {
        write_atoms(out, atoms)?;
    }
    if let Some(ecan) = &report.ecan {
        write_ecan(out, ecan)?;
    }
    if let Some(atoms) = &report.atomspace {
        write_types(out, atoms)?;
        atoms.mining.iter().flatten().try_for_each(|mining| write_mining(out, mining))?;
        atoms.latency.iter().try_for_each(|latency| write_latency(out, latency))?;
    }
    if let Some(moses) = &report.moses {
        write_moses(out, moses)?;
    }
    Ok(())
}

/// How many types a summary names.
const MOST_TYPES: usize = 12;

/// The lines about atoms and their values.
pub(crate) fn write_atoms(out: &mut String, report: &AtomSpaceReport) -> fmt::Result {
    let AtomSpaceReport { atoms, nodes, links, form, .. } = report;
    writeln!(out, "  atoms        {atoms}: {nodes} nodes, {links} links")?;
    let each = report.bytes as f64 / (*atoms).max(1) as f64;
    if report.bytes > 0 {
        writeln!(out, "  size         {}, {each:.2} bytes an atom, {form}", bytes(report.bytes))?;
    }
    if let (Some(taken), Some(ignored)) = (report.values_taken, report.values_ignored) {
        let left = match ignored {
            0 => String::new(),
            n => format!(", {n} of nested atoms not taken (--tv-merge last takes them)"),
        };
        writeln!(out, "  values       {taken}{left}")?;
    }
    match &report.truth {
        Some(truth) => {
            write_truth(out, truth)?;
            let others = report.truth_values.saturating_sub(truth.damage.values);
            if others > 0 {
                writeln!(out, "    {others} of other kinds than simple ones are kept exactly")?;
            }
        }
        // A companion made in this run; of a text nothing was kept yet.
        None if report.bytes > 0 && report.values_taken.is_some() && report.truth_values > 0 => {
            let n = report.truth_values;
            writeln!(out, "  truth values {n}, of other kinds than simple ones: kept exactly")?
        }
        None if report.bytes > 0 && report.truth_values > 0 => {
            writeln!(out, "  truth values {}", report.truth_codec)?
        }
        None => {}
    }
    match report.attention_values {
        0 => Ok(()),
        n => {
            let why = report.attention_uncoded.map(|why| format!(", kept as they are: {why}"));
            writeln!(out, "  attention    of {n} atoms{}", why.unwrap_or_default())
        }
    }
}

/// The types of atoms, and what was passed over in their text.
pub(crate) fn write_types(out: &mut String, report: &AtomSpaceReport) -> fmt::Result {
    let AtomSpaceReport { types, .. } = report;
    for (i, of) in types.iter().take(MOST_TYPES).enumerate() {
        let head = if i == 0 { "types" } else { "" };
        writeln!(out, "  {head:<12} {:>9} {}", of.atoms, of.name)?;
    }
    if let Some(rest) = types.get(MOST_TYPES..).filter(|rest| !rest.is_empty()) {
        let atoms: usize = rest.iter().map(|of| of.atoms).sum();
        writeln!(out, "  {:<12} {atoms:>9} of {} other types", "", rest.len())?;
    }
    for (i, SkippedReport { kind, count, lines }) in report.skipped.iter().enumerate() {
        let head = if i == 0 { "skipped" } else { "" };
        let named: Vec<String> = lines.iter().map(u64::to_string).collect();
        let more = if lines.len() as u64 == *count { "" } else { ", .." };
        writeln!(out, "  {head:<12} {count} x {kind}, line {}{more}", named.join(", "))?;
    }
    Ok(())
}

fn write_truth(out: &mut String, truth: &TruthReport) -> fmt::Result {
    let TruthReport { codec, instead_of, exceptions, damage, plain_uniform } = truth;
    let why = instead_of.as_ref().map(|asked| {
        format!(", since {asked} cannot tell {} distinct ones apart", damage.distinct_before)
    });
    writeln!(
        out,
        "  truth values {}, {} distinct, coded with {codec}{}",
        damage.values,
        damage.distinct_before,
        why.unwrap_or_default()
    )?;
    let kept = match exceptions {
        0 => String::new(),
        n => format!(", {n} numbers kept exactly beside the levels"),
    };
    writeln!(out, "    {codec:<18} {}{kept}", changes(damage))?;
    if let Some(plain) = plain_uniform.as_ref().filter(|_| codec != Codec::PlainUniform.name()) {
        writeln!(out, "    plain 8-bit would  {}", changes(plain))?;
    }
    Ok(())
}

/// What a code changed, in a line.
fn changes(damage: &Damage) -> String {
    let Damage { strength, confidence, .. } = damage;
    let both = |of: fn(&ColumnDamage) -> usize| of(strength) + of(confidence);
    let counts = [
        (both(|column| column.zeroed), "zeroed"),
        (both(|column| column.raised_to_one), "raised to 1"),
        (both(|column| column.zeros_lost + column.ones_lost), "zeros or ones lost"),
        (both(|column| column.pulled_inside), "pulled into [0, 1]"),
        (damage.defaults_changed, "defaults changed"),
        (both(|column| column.order_broken), "out of order"),
        (damage.branches_changed, "decided otherwise by PLN"),
    ];
    let errors = [(strength.max_error, "strength"), (confidence.max_error, "count")];
    let errors = errors.iter().filter(|(error, _)| *error != 0.0);
    let mut told: Vec<String> =
        errors.map(|(error, of)| format!("{of} off by up to {}", percent(*error))).collect();
    told.extend(counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")));
    match told.is_empty() {
        true => "changes nothing".into(),
        false => told.join(", "),
    }
}

/// A share as `0.125 %`.
pub(super) fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    match percent.abs() {
        size if !size.is_finite() => "infinity".into(),
        size if size == 0.0 || size >= 0.001 => format!("{percent:.3} %"),
        _ => format!("{percent:.1e} %"),
    }
}

/// How attention values are coded.
pub(crate) fn write_ecan(out: &mut String, report: &EcanReport) -> fmt::Result {
    let EcanReport { codec, levels: [sti, lti, vlti], .. } = report;
    writeln!(out, "               {codec}: {sti} levels of STI, {lti} of LTI, {vlti} of VLTI")?;
    let EcanReport { changed, sti_rank_correlation, sti_error, sti_largest, .. } = report;
    if let (Some(changed), Some(rank), Some(error)) = (changed, sti_rank_correlation, sti_error) {
        match changed {
            0 => writeln!(out, "               changes nothing")?,
            n => {
                let sum = match *error {
                    0.0 => "sum as it was".into(),
                    error => format!("sum off by {}", percent(error)),
                };
                writeln!(
                    out,
                    "               {n} changed, STI by up to {}; rank correlation {rank:.5}, {sum}",
                    percent(sti_largest.unwrap_or(0.0))
                )?;
            }
        }
    }
    report.dynamics.iter().try_for_each(|dynamics| write_dynamics(out, dynamics))?;
    report.recall.iter().try_for_each(|recall| write_recall(out, recall))
}

/// The lines about programs.
pub(crate) fn write_moses(out: &mut String, report: &MosesReport) -> fmt::Result {
    let MosesReport { programs, codec, levels, coded, exact, .. } = report;
    writeln!(out, "  programs     {programs}, {}", bytes(report.bytes))?;
    writeln!(
        out,
        "  constants    {coded} in 6 bits, {exact} kept exactly ({codec}, {levels} levels)"
    )?;
    if let Some(FitnessChange { tau, top_ten, agreement, largest, .. }) = &report.fitness {
        writeln!(
            out,
            "  fitness      Kendall's tau {tau:.4}, {:.0} % of the ten best, {:.2} % of answers alike,",
            100.0 * top_ten,
            100.0 * agreement
        )?;
        if let Some(plain) = report.plain_uniform.filter(|_| codec != "uniform") {
            let FitnessChange { tau, agreement, .. } = plain;
            let answers = 100.0 * agreement;
            writeln!(
                out,
                "               plain 6-bit would have {tau:.4}, {answers:.2} % of answers alike,"
            )?;
        }
        match *largest {
            0.0 => writeln!(out, "               scores as they were")?,
            largest => {
                writeln!(out, "               scores changed by at most {}", percent(largest))?;
            }
        }
    }
    report.evolution.iter().try_for_each(|evolution| write_evolution(out, evolution))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::opencog::atomspace::codec::Truth;

    fn damage(before: f64, after: f64) -> Damage {
        let truth = |strength| [Truth { strength, confidence: 0.5 }];
        Damage::between(&truth(before), &truth(after))
    }

    #[test]
    fn only_what_is_lost_is_told() {
        assert_eq!(changes(&damage(0.25, 0.25)), "changes nothing");
        assert_eq!(changes(&damage(0.5, 0.501)), "strength off by up to 0.200 %");
        assert_eq!(changes(&damage(0.5, 0.500_000_001)), "strength off by up to 2.0e-7 %");
    }
}
