//! What the summary of a run says first: size, memory, loss and training, a key and its value each.

use super::pack;
use crate::hardware::Memory;
use crate::quantize::{Check, TrainedBlock, TrainedRound};
use crate::report::document::Fact;
use crate::report::numbers::{bytes, count};
use crate::report::{Evaluation, Metrics, Report, TextSource};
use crate::validate::{Statistics, degradation_of};

/// Size, memory, loss and training.
pub fn facts(report: &Report) -> Vec<Fact> {
    let metrics = &report.metrics;
    let architecture = match report.architecture.as_str() {
        "" => "architecture unknown",
        name => name,
    };
    let (input, output) = (bytes(metrics.input_bytes), bytes(metrics.output_bytes));
    let (memory, file) = (100.0 * metrics.memory_reduction, 100.0 * metrics.file_reduction);
    let mut facts = vec![
        Fact::new("model", format!("{architecture}, {} weights", count(metrics.parameters))),
        Fact::new("file", format!("{input} -> {output}")),
        Fact::new("bits", format!("{:.3} per weight", metrics.bpw)),
        Fact::new("reduction", format!("{memory:.1} % of 32-bit floats, {file:.1} % of the file")),
        memory_fact(metrics),
    ];
    if let Some(pack) = &report.pack {
        facts.insert(2, pack::fact(pack));
    }
    if let Some(error) = metrics.relative_error {
        facts.push(Fact::new("error", format!("{error:.3e} of the squared weights")));
    }
    facts.extend(degradation(report));
    facts.extend(report.search.iter().flat_map(|record| &record.trained).map(round));
    facts
}

/// The memory that a model may take, and who says so.
pub fn allowed_memory(memory: Memory) -> (f64, &'static str) {
    match memory {
        Memory::Asked(gb) => (gb, "as asked for"),
        Memory::ThisMachine(gb) => (gb, "this machine"),
        Memory::Assumed(gb) => (gb, "assumed"),
    }
}

/// The memory that the model needs, as far as it is known, and that it may take.
fn memory_fact(metrics: &Metrics) -> Fact {
    let (gb, of) = allowed_memory(metrics.memory);
    let output = metrics.output_bytes;
    let needed = match metrics.kv_cache_bytes {
        Some(kv_cache) => {
            let (needed, context) = (bytes(output + kv_cache), metrics.context);
            format!("{needed} with the KV cache of {context} tokens,")
        }
        None => format!("{} without the KV cache,", bytes(output)),
    };
    Fact { key: "memory".into(), lines: vec![needed, format!("of {gb:.1} GB ({of})")] }
}

/// What was lost on outputs, or why nobody knows.
fn degradation(report: &Report) -> Vec<Fact> {
    let mut facts = Vec::new();
    let fact = |value: String| Fact::new("degradation", value);
    match (&report.unmeasured, &report.search) {
        (Some(reason), _) => facts.push(fact(format!("not measured: {reason}"))),
        (None, Some(search)) if report.evaluations.is_empty() => {
            let kld = search.measured_kld;
            let degradation = 100.0 * degradation_of(kld);
            facts.push(fact(format!("{degradation:.2} % by KLD in the search: {kld:.5}")));
        }
        (None, None) if report.evaluations.is_empty() => {
            facts.push(fact("not measured: nothing was written".into()));
        }
        (None, _) => {}
    }
    facts.extend(report.evaluations.iter().map(lost));
    facts
}

/// What was lost on a text.
fn lost(evaluation: &Evaluation) -> Fact {
    let Statistics { kld, same_top, ppl, ppl_base, .. } = &evaluation.statistics;
    let perplexity = match evaluation.text {
        TextSource::Own { .. } => String::new(),
        TextSource::File(_) => {
            format!(", perplexity {:.3} -> {:.3}", ppl_base.value, ppl.value)
        }
    };
    let degradation = 100.0 * evaluation.degradation();
    let (kld, error, same_top) = (kld.value, kld.error, 100.0 * same_top.value);
    Fact {
        key: "degradation".into(),
        lines: vec![
            format!("{degradation:.2} % {} on {}:", evaluation.degradation_is(), evaluation.text),
            format!("KLD {kld:.5} ± {error:.5}, same top token {same_top:.1} %{perplexity}"),
        ],
    }
}

/// What came of a round of training.
pub fn round(round: &TrainedRound) -> Fact {
    let TrainedRound { untrained_kld, trained_kld, kept, seconds, layers, layers_left, .. } = round;
    let mut lines = vec![format!("KLD {untrained_kld:.5} -> {trained_kld:.5} in {seconds:.1} s;")];
    lines.push(match (layers.len(), layers_left) {
        (0, 0) => "no layer has tensors that learn".into(),
        (0, _) => "there was no time for any layer".into(),
        (trained, _) => {
            let s = if trained == 1 { "" } else { "s" };
            format!("error of {trained} layer{s} {} of what it was", shares_of_errors(layers))
        }
    });
    if !layers.is_empty() && *layers_left > 0 {
        lines.push(format!("there was no time for {layers_left} more"));
    }
    if round.tokens_left > 0 {
        lines
            .push(format!("end to end, there was no time for {} of the tokens", round.tokens_left));
    }
    lines.extend(end_to_end(&round.end_to_end));
    if !kept {
        let how = if trained_kld < untrained_kld { " but for noise" } else { "" };
        lines.push(format!("no less is lost{how}, so the model stays what it was"));
    }
    Fact { key: "training".into(), lines }
}

/// What training left of the error of a layer, as a share of it.
pub fn share_left(layer: &TrainedBlock) -> f64 {
    // What was exact before stays so.
    if layer.before > 0.0 { layer.after / layer.before } else { 1.0 }
}

/// What training left of the errors of layers, the least and the most of it.
fn shares_of_errors(layers: &[TrainedBlock]) -> String {
    let shares = || layers.iter().map(|layer| 100.0 * share_left(layer));
    let (least, most) = (shares().fold(f64::INFINITY, f64::min), shares().fold(0.0, f64::max));
    let [least, most] = [least, most].map(|share| format!("{share:.0}"));
    if least == most { format!("{least} %") } else { format!("{least} to {most} %") }
}

/// One line for what all layers learnt together.
fn end_to_end(checks: &[Check]) -> Option<String> {
    let best = checks.iter().min_by(|a, b| a.kld.total_cmp(&b.kld))?;
    let first = checks.first()?;
    Some(match best.tokens {
        0 => "end to end, nothing was gained".into(),
        tokens => format!(
            "end to end, best after {tokens} tokens: KLD on all of the held-out text {:.5} -> {:.5}",
            first.kld, best.kld
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(before: f64, after: f64) -> TrainedBlock {
        TrainedBlock { layer: 0, steps: 40, tokens: 20_480, before, after, passes: vec![after] }
    }

    fn check(tokens: usize, kld: f64) -> Check {
        Check { tokens, kld }
    }

    /// What is said of a round.
    fn said(layers: Vec<TrainedBlock>, trained_kld: f64, end_to_end: Vec<Check>) -> String {
        let of = TrainedRound {
            untrained_kld: 0.03,
            trained_kld,
            kept: trained_kld < 0.03,
            seconds: 2.0,
            layers,
            layers_left: 0,
            end_to_end,
            tokens_left: 0,
        };
        round(&of).lines.join("\n")
    }

    #[test]
    fn errors_of_layers_are_told_as_shares_of_what_they_were() {
        assert!(said(vec![layer(0.0, 0.0)], 0.02, vec![]).contains("error of 1 layer 100 % of"));
        let two = said(vec![layer(2e-3, 1.5e-3), layer(4e-3, 3.8e-3)], 0.02, vec![]);
        assert!(two.contains("error of 2 layers 75 to 95 % of"), "{two}");
        assert!(!two.contains("stays what it was"), "{two}");
    }

    #[test]
    fn what_gained_nothing_is_told() {
        let gained = said(vec![], 0.04, vec![check(0, 0.042), check(500, 0.041)]);
        assert!(gained.contains("best after 500 tokens: KLD"), "{gained}");
        assert!(gained.contains("the model stays what it was"), "{gained}");
        let lost = said(vec![], 0.04, vec![check(0, 0.041), check(500, 0.042)]);
        assert!(lost.contains("end to end, nothing was gained"), "{lost}");
    }
}
