//! What became of OpenCog data: keys and values for a terminal, and sections for the other formats.

use crate::opencog::atomspace::codec::{Codec, ColumnDamage, Damage};
use crate::opencog::atomspace::query::TruthFilter;
use crate::opencog::miner::MinerOptions;
use crate::report::document::{Fact, Part, Section, Table};
use crate::report::numbers::{bytes, percent};
use crate::report::{
    AtomSpaceReport, DeclinedCodec, DynamicsReport, EcanReport, EvolutionReport, LatencyReport,
    MettaReport, MiningReport, MosesReport, OpenCogReport, RecallReport, Report, SkippedReport,
    Stats, TruthReport,
};
use crate::validate::opencog::attention::AttentionChange;
use crate::validate::opencog::mining::{MiningAgreement, RankAgreement};
use crate::validate::opencog::moses::{Evolutions, FitnessChange};

/// How many types a summary names.
const MOST_TYPES: usize = 12;

/// What is told of a companion on a terminal.
pub fn facts(report: &OpenCogReport) -> Vec<Fact> {
    let OpenCogReport { companion, atomspace, ecan, moses, .. } = report;
    let mut facts = vec![Fact::new("companion", format!("{companion}, {}", bytes(report.bytes)))];
    facts.extend(atomspace.iter().flat_map(atoms));
    facts.extend(ecan.iter().flat_map(attention));
    if let Some(of) = atomspace {
        facts.extend(types(of));
        facts.extend(of.mining.iter().flatten().flat_map(mining));
        facts.extend(latency_lines(of.latency.as_deref().unwrap_or_default()));
    }
    facts.extend(moses.iter().flat_map(programs));
    facts
}

/// About atoms and their values.
pub fn atoms(report: &AtomSpaceReport) -> Vec<Fact> {
    let AtomSpaceReport { atoms, nodes, links, form, .. } = report;
    let mut facts = vec![Fact::new("atoms", format!("{atoms}: {nodes} nodes, {links} links"))];
    facts.extend(report.metta.iter().flat_map(at_the_top));
    let each = report.bytes as f64 / (*atoms).max(1) as f64;
    if report.bytes > 0 {
        let size = format!("{}, {each:.2} bytes an atom, {form}", bytes(report.bytes));
        facts.push(Fact::new("size", size));
    }
    if let (Some(taken), Some(ignored)) = (report.values_taken, report.values_ignored) {
        let left = match ignored {
            0 => String::new(),
            n => format!(", {n} of nested atoms not taken (--tv-merge last takes them)"),
        };
        facts.push(Fact::new("values", format!("{taken}{left}")));
    }
    facts.extend(truth_values(report));
    if report.attention_values > 0 {
        let why = report.attention_uncoded.map(|why| format!(", kept as they are: {why}"));
        let of = format!("of {} atoms{}", report.attention_values, why.unwrap_or_default());
        facts.push(Fact::new("attention", of));
    }
    facts.extend(report.warning.iter().map(|warning| Fact::new("warning", warning.clone())));
    facts
}

/// About the atoms at the top of MeTTa.
fn at_the_top(report: &MettaReport) -> Vec<Fact> {
    let MettaReport { top, distinct, open, commands } = report;
    let at_top = format!("{top} atoms at the top, {distinct} distinct, {open} with variables");
    let mut facts = vec![Fact::new("MeTTa", at_top)];
    if let Some(commands) = commands.filter(|&commands| commands > 0) {
        facts.push(Fact::new("commands", format!("{commands} behind `!`: not run, not kept")));
    }
    facts
}

fn truth_values(report: &AtomSpaceReport) -> Vec<Fact> {
    let n = report.truth_values;
    match &report.truth {
        Some(truth) => {
            let mut facts = coded_truth(truth);
            let others = n.saturating_sub(truth.damage.values);
            if others > 0 {
                let kept = format!("  {others} of other kinds than simple ones are kept exactly");
                facts.push(Fact::new(kept, ""));
            }
            facts
        }
        None if report.bytes == 0 || n == 0 => Vec::new(),
        // A companion made in this run; of a text nothing was kept yet.
        None if report.values_taken.is_some() => {
            let kept = format!("{n}, of other kinds than simple ones: kept exactly");
            vec![Fact::new("truth values", kept)]
        }
        None => vec![Fact::new("truth values", report.truth_codec.clone())],
    }
}

fn coded_truth(truth: &TruthReport) -> Vec<Fact> {
    let TruthReport { codec, instead_of, exceptions, damage, plain_uniform, declined } = truth;
    let Damage { values, distinct_before, .. } = damage;
    let why = instead_of
        .as_ref()
        .map(|asked| format!(", since {asked} cannot tell {distinct_before} distinct ones apart"));
    let why = why.unwrap_or_default();
    let coded = format!("{values}, {distinct_before} distinct, coded with {codec}{why}");
    let kept = match exceptions {
        0 => String::new(),
        n => format!(", {n} numbers kept exactly beside the levels"),
    };
    let mut facts = vec![
        Fact::new("truth values", coded),
        Fact::new(format!("  {codec:<18} "), format!("{}{kept}", changes(damage))),
    ];
    if let Some(DeclinedCodec { codec, bytes, share }) = declined {
        let saved = format!("would lose a little and save {bytes} bytes, {}", percent(*share));
        facts.push(Fact::new(format!("  {codec:<18} "), saved));
    }
    if let Some(plain) = plain_uniform.as_ref().filter(|_| codec != Codec::PlainUniform.name()) {
        facts.push(Fact::new("  plain 8-bit would  ", changes(plain)));
    }
    facts
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

/// The types of atoms, and what was passed over in their text.
pub fn types(report: &AtomSpaceReport) -> Vec<Fact> {
    let AtomSpaceReport { types, .. } = report;
    let named = types.iter().take(MOST_TYPES);
    let mut lines: Vec<String> = named.map(|of| format!("{:>9} {}", of.atoms, of.name)).collect();
    if let Some(rest) = types.get(MOST_TYPES..).filter(|rest| !rest.is_empty()) {
        let atoms: usize = rest.iter().map(|of| of.atoms).sum();
        lines.push(format!("{atoms:>9} of {} other types", rest.len()));
    }
    vec![
        Fact { key: "types".into(), lines },
        Fact { key: "skipped".into(), lines: report.skipped.iter().map(skipped).collect() },
    ]
}

fn skipped(of: &SkippedReport) -> String {
    let SkippedReport { kind, count, lines } = of;
    let named: Vec<String> = lines.iter().map(u64::to_string).collect();
    let more = if lines.len() as u64 == *count { "" } else { ", .." };
    format!("{count} x {kind}, line {}{more}", named.join(", "))
}

/// How attention values are coded, and what that changes.
pub fn attention(report: &EcanReport) -> Vec<Fact> {
    let EcanReport { codec, levels: [sti, lti, vlti], .. } = report;
    let coded = format!("{codec}: {sti} levels of STI, {lti} of LTI, {vlti} of VLTI");
    let mut lines = vec![coded];
    let EcanReport { changed, sti_rank_correlation, sti_error, sti_largest, .. } = report;
    if let (Some(changed), Some(rank), Some(error)) = (changed, sti_rank_correlation, sti_error) {
        lines.push(match changed {
            0 => "changes nothing".into(),
            n => {
                let sum = match *error {
                    0.0 => "sum as it was".into(),
                    error => format!("sum off by {}", percent(error)),
                };
                let largest = percent(sti_largest.unwrap_or(0.0));
                format!("{n} changed, STI by up to {largest}; rank correlation {rank:.5}, {sum}")
            }
        });
    }
    let mut facts = vec![Fact { key: String::new(), lines }];
    facts.extend(report.dynamics.iter().map(dynamics));
    facts.extend(report.recall.iter().map(recall));
    facts
}

/// About attention allocation.
fn dynamics(dynamics: &DynamicsReport) -> Fact {
    let DynamicsReport { cycles, focus, change, by_chance } = dynamics;
    let AttentionChange { first_jaccard, mean_jaccard, least_jaccard, .. } = change;
    let AttentionChange { last_correlation, coding_error, drift, .. } = change;
    let AttentionChange { forgotten_jaccard, links_jaccard, strength_rmse, .. } = change;
    let error = percent(*coding_error);
    let lines = vec![
        format!(
            "{cycles} cycles, focus of {focus}: Jaccard {first_jaccard:.4} at first, \
             {least_jaccard:.4} least, {mean_jaccard:.4} mean (between seeds {by_chance:.4});"
        ),
        format!(
            "rank correlation of STI {last_correlation:.4} at last; STI off by {error} of the funds, \
             drift {drift:.1e};"
        ),
        format!(
            "Jaccard of the forgotten {forgotten_jaccard:.4}, of Hebbian links {links_jaccard:.4}, \
             strengths off by {strength_rmse:.5}"
        ),
    ];
    Fact { key: "attending".into(), lines }
}

/// About recall.
fn recall(recall: &RecallReport) -> Fact {
    let RecallReport { patterns, atoms, cues, uncoded, coded } = recall;
    let value = format!(
        "{patterns} made-up patterns of {atoms} atoms: {coded:.4}, uncoded {uncoded:.4}, cues \
         {cues:.4}"
    );
    Fact::new("recall", value)
}

/// About what was mined.
fn mining(mining: &MiningReport) -> Vec<Fact> {
    let MiningReport { options, trees, too_large, is_complete, top, agreement } = mining;
    let filter = match options.filter {
        TruthFilter::Any => String::new(),
        TruthFilter::ProductAtLeast(least) => {
            format!(" whose strength times confidence is at least {least:.4e}")
        }
        TruthFilter::CountAtLeast(least) => format!(" of a count of at least {least}"),
    };
    let MinerOptions { minimum_support, max_conjuncts, .. } = options;
    let MiningAgreement { expected, precision, recall, support_difference, .. } = agreement;
    let lines = vec![
        format!(
            "{trees} trees{filter}: {expected} patterns of up to {max_conjuncts} clauses and support \
             {minimum_support};"
        ),
        format!(
            "recall {recall:.4}, precision {precision:.4}, support off by at most \
             {support_difference}"
        ),
    ];
    let mut facts = vec![Fact { key: "mining".into(), lines }];
    for (name, ranks) in [("nisurp", &agreement.nisurp), ("jsdsurp", &agreement.jsdsurp)] {
        let RankAgreement { ranked, spearman, top_k, .. } = ranks;
        let spearman = spearman.map_or("no order".into(), |rank| format!("{rank:.4}"));
        let top_k = 100.0 * top_k;
        let value = format!(
            "rank correlation {spearman} of {ranked}, {top_k:.0} % of the {top} most surprising"
        );
        facts.push(Fact::new(format!("  {name:<11}"), value));
    }
    let mut lines = Vec::new();
    if *too_large > 0 {
        lines.push(format!("{too_large} patterns of too many groundings left out"));
    }
    if !is_complete {
        lines.push("a bound ended the search: not all patterns compared".into());
    }
    facts.push(Fact { key: String::new(), lines });
    facts
}

/// A line for each operation.
fn latency_lines(latency: &[LatencyReport]) -> Option<Fact> {
    let line = |of: &LatencyReport| {
        let LatencyReport { operation, companion, unpacked, ratio } = of;
        let [c50, c99, u50, u99] = [companion.p50, companion.p99, unpacked.p50, unpacked.p99];
        format!("  {operation:<16}{c50:>13.1}{c99:>12.1}{u50:>14.1}{u99:>12.1}{ratio:>14.2}")
    };
    let head =
        "latency, ns       companion p50         p99  unpacked p50         p99  ratio of p50";
    let lines: Vec<String> = latency.iter().map(line).collect();
    (!lines.is_empty()).then(|| Fact::new(format!("{head}\n  {}", lines.join("\n  ")), ""))
}

/// About programs.
pub fn programs(report: &MosesReport) -> Vec<Fact> {
    let MosesReport { programs, codec, levels, coded, exact, .. } = report;
    let constants = format!("{coded} in 6 bits, {exact} kept exactly ({codec}, {levels} levels)");
    let mut facts = vec![
        Fact::new("programs", format!("{programs}, {}", bytes(report.bytes))),
        Fact::new("constants", constants),
    ];
    facts.extend(report.fitness.iter().map(|change| fitness(change, report)));
    facts.extend(report.evolution.iter().map(evolution));
    facts
}

fn fitness(change: &FitnessChange, report: &MosesReport) -> Fact {
    let FitnessChange { tau, top_ten, agreement, largest, .. } = change;
    let (top_ten, answers) = (100.0 * top_ten, 100.0 * agreement);
    let mut lines = vec![format!(
        "Kendall's tau {tau:.4}, {top_ten:.0} % of the ten best, {answers:.2} % of answers alike,"
    )];
    if let Some(plain) = report.plain_uniform.filter(|_| report.codec != "uniform") {
        let FitnessChange { tau, agreement, .. } = plain;
        let answers = 100.0 * agreement;
        lines.push(format!("plain 6-bit would have {tau:.4}, {answers:.2} % of answers alike,"));
    }
    lines.push(match *largest {
        0.0 => "scores as they were".into(),
        largest => format!("scores changed by at most {}", percent(largest)),
    });
    Fact { key: "fitness".into(), lines }
}

/// About evolution.
fn evolution(evolution: &EvolutionReport) -> Fact {
    let EvolutionReport { seeds, evaluations, best, shortfall, .. } = evolution;
    let Evolutions { start, uncoded, coded } = best;
    let shortfall = percent(*shortfall);
    let lines = vec![
        format!("{seeds} times {evaluations} programs, from a best score of {start:.6}:"),
        format!("{coded:.6} on codes, {uncoded:.6} on numbers, {shortfall} short"),
    ];
    Fact { key: "evolution".into(), lines }
}

/// OpenCog data in the report of a run.
pub fn of_run(report: &Report) -> Option<Section> {
    let data = report.opencog.as_ref()?;
    Section::of("opencog", "OpenCog data", parts(data))
}

/// The sections of a report of OpenCog data alone.
pub fn sections(report: &OpenCogReport) -> Vec<Section> {
    Section::of("opencog", "OpenCog data", parts(report)).into_iter().collect()
}

/// The section about what a file holds.
pub fn stats(stats: &Stats) -> Option<Section> {
    let Stats { atomspace, ecan, moses, bytes: of_file, parts, .. } = stats;
    let mut told = of_data(atomspace.as_ref(), ecan.as_ref(), moses.as_ref());
    if let Some(of_file) = of_file {
        let row = |name: &str, bytes: u64| vec![name.to_string(), bytes.to_string()];
        let rows = parts.iter().map(|(name, bytes)| row(name, *bytes));
        let rows = rows.chain([row("the file", *of_file)]);
        told.push(Part::Table(Table::new(["tensor", "#bytes"]).with(rows)));
    }
    Section::of("opencog", "OpenCog data", told)
}

fn parts(report: &OpenCogReport) -> Vec<Part> {
    let OpenCogReport { companion, sha256, inputs, .. } = report;
    let file = vec![
        Fact::new("companion", format!("{companion}, {}", bytes(report.bytes))),
        Fact::new("made from", inputs.join(", ")),
        Fact::new("SHA-256", sha256.clone()),
    ];
    let mut parts = vec![Part::Facts(file)];
    parts.extend(of_data(report.atomspace.as_ref(), report.ecan.as_ref(), report.moses.as_ref()));
    parts
}

/// What is told of atoms, attention and programs beside the file that they are in.
pub fn of_data(
    atomspace: Option<&AtomSpaceReport>,
    ecan: Option<&EcanReport>,
    moses: Option<&MosesReport>,
) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut told: Vec<Fact> = atomspace.into_iter().flat_map(atoms).collect();
    told.extend(ecan.into_iter().flat_map(attention));
    told.extend(moses.into_iter().flat_map(programs));
    parts.push(Part::Facts(named(told)));
    if let Some(report) = atomspace {
        let row = |name: &str, atoms: usize| vec![name.to_string(), atoms.to_string()];
        let rows = report.types.iter().map(|of| row(&of.name, of.atoms));
        parts.push(Part::Table(Table::new(["type", "#atoms"]).with(rows)));
        let mut told: Vec<Fact> =
            report.skipped.iter().map(|of| Fact::new("skipped", skipped(of))).collect();
        told.extend(report.mining.iter().flatten().flat_map(mining));
        parts.push(Part::Facts(named(told)));
        parts.extend(report.latency.as_deref().and_then(latency_table).map(Part::Table));
    }
    parts.retain(|part| !matches!(part, Part::Facts(facts) if facts.is_empty()));
    parts
}

/// Facts without the spaces that lay them out on a terminal; what has no key belongs to the fact
/// before.
fn named(facts: Vec<Fact>) -> Vec<Fact> {
    let mut named: Vec<Fact> = Vec::new();
    for Fact { key, mut lines } in facts {
        lines.retain(|line| !line.is_empty());
        match (key.trim(), named.last_mut()) {
            (_, Some(_)) | ("", None) if lines.is_empty() && key.trim().is_empty() => {}
            ("", Some(before)) => before.lines.extend(lines),
            (key, Some(before)) if lines.is_empty() => before.lines.push(key.to_string()),
            (key, _) => named.push(Fact { key: key.to_string(), lines }),
        }
    }
    named
}

fn latency_table(latency: &[LatencyReport]) -> Option<Table> {
    let row = |of: &LatencyReport| {
        let LatencyReport { operation, companion, unpacked, ratio } = of;
        let times = [companion.p50, companion.p99, unpacked.p50, unpacked.p99];
        let mut row = vec![operation.to_string()];
        row.extend(times.map(|time| format!("{time:.1}")));
        row.push(format!("{ratio:.2}"));
        row
    };
    let columns = [
        "operation, ns",
        "#companion, median",
        "#companion, 99 %",
        "#unpacked, median",
        "#unpacked, 99 %",
        "#ratio of medians",
    ];
    (!latency.is_empty()).then(|| Table::new(columns).with(latency.iter().map(row)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::opencog::atomspace::codec::Truth;
    use crate::report::export::text::write_facts;
    use crate::validate::opencog::latency::{Latency, Nanoseconds, Operation};

    fn damage(before: f64, after: f64) -> Damage {
        let truth = |strength| [Truth { strength, confidence: 0.5 }];
        Damage::between(&truth(before), &truth(after))
    }

    fn text(facts: &[Fact]) -> String {
        let mut out = String::new();
        write_facts(&mut out, facts).unwrap();
        out
    }

    #[test]
    fn only_what_is_lost_is_told() {
        assert_eq!(changes(&damage(0.25, 0.25)), "changes nothing");
        assert_eq!(changes(&damage(0.5, 0.501)), "strength off by up to 0.200 %");
        assert_eq!(changes(&damage(0.5, 0.500_000_001)), "strength off by up to 2.0e-7 %");
    }

    #[test]
    fn mining_is_told_with_its_bounds() {
        let ranks = RankAgreement { ranked: 7, spearman: None, top_k: 0.9, difference: 0.5 };
        let agreement = MiningAgreement {
            expected: 12,
            found: 6,
            common: 6,
            precision: 1.0,
            recall: 0.5,
            support_difference: 3,
            nisurp: ranks,
            jsdsurp: RankAgreement { spearman: Some(0.25), ..ranks },
        };
        let filter = TruthFilter::ProductAtLeast(0.25);
        let mut report = MiningReport {
            options: MinerOptions { filter, ..MinerOptions::default() },
            trees: 34,
            too_large: 0,
            is_complete: true,
            top: 10,
            agreement,
        };
        let told = text(&mining(&report));
        for part in
            ["34 trees whose", "2.5000e-1", "recall 0.5000", "no order of 7", "0.2500", "90 %"]
        {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(!told.contains("bound") && !told.contains("left out"));
        (report.too_large, report.is_complete) = (4, false);
        let told = text(&mining(&report));
        assert!(told.contains("4 patterns") && told.contains("a bound ended"), "{told}");
        assert_eq!(named(mining(&report)).len(), 3, "what has no key belongs to what has one");
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["options"]["filter"]["product_at_least"], 0.25);
        assert_eq!(json["agreement"]["jsdsurp"]["spearman"], 0.25);
    }

    #[test]
    fn operations_have_a_line_each() {
        let [store, reference] =
            [(3.0, 4.0), (1.5, 2.0)].map(|(p50, p99)| Nanoseconds { p50, p99 });
        let latency = Latency { operation: Operation::ByName, store, reference };
        let report = LatencyReport::of(&latency);
        assert!(latency_lines(&[]).is_none() && latency_table(&[]).is_none());
        let told =
            text(&latency_lines(std::slice::from_ref(&report)).into_iter().collect::<Vec<_>>());
        let words: Vec<&str> = told.lines().last().unwrap().split_whitespace().collect();
        assert_eq!(words, ["name", "look-up", "3.0", "4.0", "1.5", "2.0", "2.00"]);
        assert!(told.starts_with("  latency, ns       companion p50"), "{told}");
        assert_eq!(serde_json::to_value(&report).unwrap()["operation"], "by_name");
    }
}
