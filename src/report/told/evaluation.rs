//! What evaluations found, in full.

use crate::report::document::{Fact, Note, Part, Section, Table, Tile, Tone};
use crate::report::evaluation::{differences, percentiles};
use crate::report::numbers::with_error;
use crate::report::{Evaluation, Report};
use crate::validate::Estimate;

/// The section of a run's report.
pub fn of_run(report: &Report) -> Option<Section> {
    (!report.evaluations.is_empty()).then(|| section(&report.evaluations))
}

/// What was compared, in a line.
pub fn lead(evaluation: &Evaluation) -> String {
    let Evaluation { text, chunks, context, statistics, .. } = evaluation;
    let s = if *chunks == 1 { "" } else { "s" };
    let positions = statistics.positions;
    format!("{text}: {chunks} chunk{s} of {context} tokens, {positions} positions scored")
}

/// The numbers that a reader of an evaluation looks for first.
pub fn glance(evaluation: &Evaluation) -> Section {
    let s = &evaluation.statistics;
    let tile = |label, value, detail: &str| Tile {
        label,
        value,
        detail: detail.to_string(),
        verdict: None,
    };
    let (kld, error) = with_error(s.kld.value, s.kld.error);
    let percent = |share: f64, digits: usize| format!("{:.digits$} %", 100.0 * share);
    let tiles = vec![
        tile("KLD", kld, &format!("± {error} nats per token")),
        Tile {
            label: degradation_label(evaluation),
            ..tile("", percent(evaluation.degradation(), 2), "on this text")
        },
        tile("Same top token", percent(s.same_top.value, 1), "of positions, in both models"),
        tile(
            "Perplexity",
            format!("{:.3}", s.ppl.value),
            &format!("{:.3} in full precision", s.ppl_base.value),
        ),
    ];
    Section { id: "glance", heading: "At a glance", parts: vec![Part::Tiles(tiles)] }
}

/// What the degradation is called where it has a tile: one name for each way to reckon it.
fn degradation_label(evaluation: &Evaluation) -> &'static str {
    if evaluation.text.is_own() { BY_KLD } else { "Degradation by perplexities" }
}

/// What the degradation is called that follows from the KLD.
pub const BY_KLD: &str = "Degradation by KLD";

/// All figures of these evaluations, side by side.
pub fn section(evaluations: &[Evaluation]) -> Section {
    let mut parts = Vec::new();
    for evaluation in evaluations {
        let how = evaluation.activations.in_words();
        let told = format!("On {}; activations {how}.", lead(evaluation));
        parts.push(Part::Text(told));
        parts.push(Part::Facts(figures(evaluation)));
        parts.extend(spreads(evaluation).map(Part::Table));
        let notes = differences(evaluation).into_iter();
        let note = |text: String| Note { tone: Tone::Plain, text: text.replace('\n', " ") };
        let notes: Vec<Note> = notes.map(note).collect();
        if !notes.is_empty() {
            parts.push(Part::Notes(notes));
        }
    }
    Section { id: "evaluation", heading: "Evaluation", parts }
}

/// The means and what follows from them, each with its standard error.
fn figures(evaluation: &Evaluation) -> Vec<Fact> {
    let s = &evaluation.statistics;
    let plain = |Estimate { value, error }: Estimate| format!("{value:.6} ± {error:.6}");
    let percent = |Estimate { value, error }: Estimate| {
        format!("{:.3} ± {:.3} %", 100.0 * value, 100.0 * error)
    };
    let share = |value: f64| format!("{:.3} %", 100.0 * value);
    let figures = [
        ("mean KLD", plain(s.kld)),
        ("same top token", percent(s.same_top)),
        ("perplexity, quantized", plain(s.ppl)),
        ("perplexity, full precision", plain(s.ppl_base)),
        ("ratio of perplexities", plain(s.ppl_ratio)),
        ("its logarithm", plain(s.ln_ppl_ratio)),
        ("correlation of log-likelihoods", share(s.correlation)),
        ("mean change of the next token's probability", percent(s.dp)),
        ("its root mean square", percent(s.rms_dp)),
    ];
    let figures = figures.into_iter().map(|(name, value)| Fact::new(name, value));
    let (lost, is) = (evaluation.degradation(), evaluation.degradation_is());
    let shares = [("retention", 1.0 - lost), ("degradation", lost)];
    figures.chain(shares.map(|(name, of)| Fact::new(format!("{name} {is}"), share(of)))).collect()
}

/// The percentiles of KLD and of the next token's probability.
fn spreads(evaluation: &Evaluation) -> Option<Table> {
    let (kld, dp) = (evaluation.statistics.kld_spread?, evaluation.statistics.dp_spread?);
    let rows = percentiles(&kld).into_iter().zip(percentiles(&dp));
    let row = |((name, _, kld), (_, _, dp)): ((&str, _, f32), (_, _, f32))| {
        vec![name.trim().to_string(), format!("{kld:.6}"), format!("{:.3} %", 100.0 * dp)]
    };
    let columns = ["percentile", "#KLD", "#change of the next token's probability"];
    Some(Table::new(columns).with(rows.map(row)))
}
