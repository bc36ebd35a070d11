//! The summary that a person reads.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use crate::hardware::Memory;
use crate::model::{InHalf, Kind, Role};
use crate::quantize::{Check, Cost, KeptFrom, TensorCosts, TrainedBlock, TrainedRound};
use crate::validate::Statistics;

use super::figures::write_figures;
use super::opencog::write_opencog;
use super::{Evaluation, Metrics, Report, TensorReport, TextSource};

/// The summary of a run, several lines.
pub fn summary(report: &Report) -> String {
    let mut text = String::new();
    write_summary(&mut text, report).expect("writing to a string cannot fail");
    text
}

fn write_summary(out: &mut String, report: &Report) -> fmt::Result {
    let Metrics { input_bytes, output_bytes, .. } = report.metrics;
    let verb = if report.dry_run { "would become" } else { "->" };
    writeln!(out, "{} {verb} {}", report.input.display(), report.output.display())?;
    writeln!(out)?;
    write_sizes(out, report, input_bytes, output_bytes)?;
    write_figures(out, &report.figures)?;
    writeln!(out)?;
    write_roles(out, &report.tensors)?;
    write_notes(out, &report.tensors)?;
    write_kept_from(out, &report.kept_from)?;
    write_sensitivities(out, report)?;
    if let Some(opencog) = &report.opencog {
        writeln!(out)?;
        write_opencog(out, opencog)?;
    }
    write_stages(out, report)
}

fn write_sizes(out: &mut String, report: &Report, input: u64, output: u64) -> fmt::Result {
    let metrics = &report.metrics;
    let architecture = match report.architecture.as_str() {
        "" => "architecture unknown",
        name => name,
    };
    writeln!(out, "  model        {architecture}, {} weights", count(metrics.parameters))?;
    writeln!(out, "  file         {} -> {}", bytes(input), bytes(output))?;
    writeln!(out, "  bits         {:.3} per weight", metrics.bpw)?;
    writeln!(
        out,
        "  reduction    {:.1} % of 32-bit floats, {:.1} % of the file",
        100.0 * metrics.memory_reduction,
        100.0 * metrics.file_reduction
    )?;
    write_memory(out, metrics, output)?;
    if let Some(error) = metrics.relative_error {
        writeln!(out, "  error        {error:.3e} of the squared weights")?;
    }
    write_degradation(out, report)?;
    write_training(out, report)
}

/// The memory that the model needs, as far as it is known, and that it may take.
fn write_memory(out: &mut String, metrics: &Metrics, output: u64) -> fmt::Result {
    let (gb, of) = match metrics.memory {
        Memory::Asked(gb) => (gb, "as asked for"),
        Memory::ThisMachine(gb) => (gb, "this machine"),
        Memory::Assumed(gb) => (gb, "assumed"),
    };
    match metrics.kv_cache_bytes {
        Some(kv_cache) => {
            let (needed, context) = (bytes(output + kv_cache), metrics.context);
            writeln!(out, "  memory       {needed} with the KV cache of {context} tokens,")?;
        }
        None => writeln!(out, "  memory       {} without the KV cache,", bytes(output))?,
    }
    writeln!(out, "               of {gb:.1} GB ({of})")
}

/// What was lost on outputs, or why nobody knows.
fn write_degradation(out: &mut String, report: &Report) -> fmt::Result {
    if let Some(reason) = &report.unmeasured {
        writeln!(out, "  degradation  not measured: {reason}")?;
        return report.evaluations.iter().try_for_each(|it| write_evaluation(out, it));
    }
    if let ([], Some(search)) = (&report.evaluations[..], &report.search) {
        let kld = search.measured_kld;
        let degradation = 100.0 * (1.0 - (-kld).exp());
        return writeln!(out, "  degradation  {degradation:.2} % in the search: KLD {kld:.5}");
    }
    if report.evaluations.is_empty() {
        return writeln!(out, "  degradation  not measured: nothing was written");
    }
    report.evaluations.iter().try_for_each(|evaluation| write_evaluation(out, evaluation))
}

/// What was lost on a text.
fn write_evaluation(out: &mut String, evaluation: &Evaluation) -> fmt::Result {
    let Statistics { kld, same_top, ppl, ppl_base, .. } = &evaluation.statistics;
    let (degradation, perplexity) = match evaluation.text {
        TextSource::Own { .. } => (evaluation.degradation_of_own_text(), String::new()),
        TextSource::File(_) => {
            let both = format!(", perplexity {:.3} -> {:.3}", ppl_base.value, ppl.value);
            (evaluation.statistics.degradation(), both)
        }
    };
    writeln!(out, "  degradation  {:.2} % on {}:", 100.0 * degradation, evaluation.text)?;
    writeln!(
        out,
        "               KLD {:.5} ± {:.5}, same top token {:.1} %{perplexity}",
        kld.value,
        kld.error,
        100.0 * same_top.value
    )
}

/// What came of each round of training.
fn write_training(out: &mut String, report: &Report) -> fmt::Result {
    report.search.iter().flat_map(|record| &record.trained).try_for_each(|it| write_round(out, it))
}

fn write_round(out: &mut String, round: &TrainedRound) -> fmt::Result {
    let TrainedRound { untrained_kld, trained_kld, kept, seconds, layers, layers_left, .. } = round;
    writeln!(out, "  training     KLD {untrained_kld:.5} -> {trained_kld:.5} in {seconds:.1} s;")?;
    match (layers.len(), layers_left) {
        (0, 0) => writeln!(out, "               no layer has tensors that learn")?,
        (0, _) => writeln!(out, "               there was no time for any layer")?,
        (trained, _) => {
            let s = if trained == 1 { "" } else { "s" };
            let shares = shares_of_errors(layers);
            writeln!(out, "               error of {trained} layer{s} {shares} of what it was")?;
        }
    }
    if !layers.is_empty() && *layers_left > 0 {
        writeln!(out, "               there was no time for {layers_left} more")?;
    }
    if round.tokens_left > 0 {
        let left = round.tokens_left;
        writeln!(out, "               end to end, there was no time for {left} of the tokens")?;
    }
    write_end_to_end(out, &round.end_to_end)?;
    if !kept {
        let how = if trained_kld < untrained_kld { " but for noise" } else { "" };
        writeln!(out, "               no less is lost{how}, so the model stays what it was")?;
    }
    Ok(())
}

/// What training left of the errors of layers, the least and the most of it.
fn shares_of_errors(layers: &[TrainedBlock]) -> String {
    // What was exact before stays so.
    let share = |layer: &TrainedBlock| match layer.before > 0.0 {
        true => 100.0 * layer.after / layer.before,
        false => 100.0,
    };
    let shares = || layers.iter().map(share);
    let (least, most) = (shares().fold(f64::INFINITY, f64::min), shares().fold(0.0, f64::max));
    let [least, most] = [least, most].map(|share| format!("{share:.0}"));
    if least == most { format!("{least} %") } else { format!("{least} to {most} %") }
}

/// One line for what all layers learnt together.
fn write_end_to_end(out: &mut String, checks: &[Check]) -> fmt::Result {
    let best = checks.iter().min_by(|a, b| a.kld.total_cmp(&b.kld));
    let (Some(first), Some(best)) = (checks.first(), best) else { return Ok(()) };
    if best.tokens == 0 {
        return writeln!(out, "               end to end, nothing was gained");
    }
    writeln!(
        out,
        "               end to end, best after {} tokens: KLD on all of the held-out text {:.5} -> {:.5}",
        best.tokens, first.kld, best.kld
    )
}

/// One line for each kind and format: tensors, bits and error.
fn write_roles(out: &mut String, tensors: &[TensorReport]) -> fmt::Result {
    let mut lines: BTreeMap<(Kind, &str), Vec<&TensorReport>> = BTreeMap::new();
    for tensor in tensors {
        lines.entry((Kind::of(&tensor.name), tensor.format)).or_default().push(tensor);
    }
    let shown = |kind: &Kind| kind.to_string().escape_debug().to_string();
    let width = lines.keys().map(|(kind, _)| shown(kind).chars().count());
    let width = width.max().unwrap_or(0).clamp(17, 48);
    writeln!(out, "  {:<width$} tensors  format     bits        bytes    error", "role")?;
    for ((kind, format), tensors) in lines {
        let total: u64 = tensors.iter().map(|tensor| tensor.bytes).sum();
        let weights: u64 = tensors.iter().map(|tensor| tensor.shape.iter().product::<u64>()).sum();
        let bits = total as f64 * 8.0 / weights as f64;
        let errors: Vec<f64> = tensors.iter().filter_map(|tensor| tensor.relative_error).collect();
        let error = match errors.len() {
            0 => "-".to_string(),
            n => format!("{:.2e}", errors.iter().sum::<f64>() / n as f64),
        };
        let (n, total) = (tensors.len(), bytes(total));
        let kind = shown(&kind);
        writeln!(out, "  {kind:<width$} {n:>7}  {format:<8} {bits:>6.3} {total:>12} {error:>8}")?;
    }
    Ok(())
}

/// What is remarkable about tensors, said once for all that share it.
fn write_notes(out: &mut String, tensors: &[TensorReport]) -> fmt::Result {
    let mut notes: BTreeMap<&str, usize> = BTreeMap::new();
    for note in tensors.iter().filter_map(|tensor| tensor.note.as_deref()) {
        *notes.entry(note).or_default() += 1;
    }
    for (i, (note, n)) in notes.into_iter().enumerate() {
        let tensors = if n == 1 { "tensor" } else { "tensors" };
        writeln!(out, "{}  {n} {tensors}: {note}", if i == 0 { "\n" } else { "" })?;
    }
    Ok(())
}

/// Formats that tensors are kept from, said once for all that share them.
fn write_kept_from(out: &mut String, all: &[KeptFrom]) -> fmt::Result {
    /// Tensors that are named.
    const NAMED: usize = 3;
    let mut alike: BTreeMap<(&[&str], InHalf), Vec<&KeptFrom>> = BTreeMap::new();
    for one in all {
        alike.entry((&one.formats, one.kept)).or_default().push(one);
    }
    for (i, ((formats, kept), tensors)) in alike.into_iter().enumerate() {
        let (n, largest) = (tensors.len(), tensors.iter().map(|it| it.largest).fold(0.0, f32::max));
        let mut names: Vec<&str> = tensors.iter().map(|it| it.tensor.as_str()).collect();
        names.truncate(NAMED);
        let more = if n > NAMED { format!(" and {} more", n - NAMED) } else { String::new() };
        let (line, names, formats) =
            (if i == 0 { "\n" } else { "" }, names.join(", "), formats.join(", "));
        writeln!(out, "{line}  not {formats}: {names}{more}")?;
        writeln!(
            out,
            "    llama.cpp keeps {kept} in F16; {largest:.1e} is too near 65504, where F16 ends, to be \
             safe from NaN"
        )?;
    }
    Ok(())
}

/// What the tensors of each role would lose in each format, as the search predicts it.
fn write_sensitivities(out: &mut String, report: &Report) -> fmt::Result {
    let costs = report.search.iter().flat_map(|record| &record.sensitivities);
    let mut by_role: BTreeMap<Role, BTreeMap<&str, f64>> = BTreeMap::new();
    let mut bits: BTreeMap<&str, f64> = BTreeMap::new();
    for TensorCosts { tensor, formats } in costs {
        let sums = by_role.entry(Role::of(tensor)).or_default();
        for Cost { format, bpw, predicted_kld, .. } in formats {
            *sums.entry(format).or_default() += predicted_kld;
            bits.insert(format, *bpw);
        }
    }
    if bits.is_empty() {
        return Ok(());
    }
    let mut formats: Vec<(&str, f64)> = bits.into_iter().collect();
    formats.sort_by(|a, b| a.1.total_cmp(&b.1));
    writeln!(out, "\n  KLD predicted for a role in a format, in thousandths of a nat per token")?;
    write!(out, "  role             ")?;
    formats.iter().try_for_each(|(format, _)| write!(out, " {format:>7}"))?;
    writeln!(out)?;
    for (role, sums) in by_role {
        write!(out, "  {role:<17}")?;
        for (format, _) in &formats {
            match sums.get(format) {
                Some(sum) => write!(out, " {:>7.3}", 1000.0 * sum)?,
                None => write!(out, " {:>7}", "-")?,
            }
        }
        writeln!(out)?;
    }
    Ok(())
}

fn write_stages(out: &mut String, report: &Report) -> fmt::Result {
    let total: f64 = report.stages.iter().map(|stage| stage.seconds).sum();
    let slowest = report.stages.iter().max_by(|a, b| a.seconds.total_cmp(&b.seconds));
    let Some(slowest) = slowest else { return Ok(()) };
    let (name, seconds) = (slowest.name, slowest.seconds);
    writeln!(out, "\n  {total:.2} s, the longest stage: {name}, {seconds:.2} s")
}

/// `91.7 MB`: three or four digits and a decimal unit.
pub(super) fn bytes(bytes: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    let decimals = match unit {
        0 => 0,
        _ if value < 10.0 => 2,
        _ => 1,
    };
    format!("{value:.decimals$} {}", units[unit])
}

/// `135 M`: a count of weights.
fn count(n: u64) -> String {
    match n {
        0..1_000_000 => n.to_string(),
        1_000_000..1_000_000_000 => format!("{:.1} M", n as f64 / 1e6),
        _ => format!("{:.2} G", n as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(91_700_000), "91.7 MB");
        assert_eq!(bytes(999_960), "1.00 MB");
        assert_eq!(bytes(4_213_000_000), "4.21 GB");
        assert_eq!(count(134_515_008), "134.5 M");
    }

    fn layer(before: f64, after: f64) -> TrainedBlock {
        TrainedBlock { layer: 0, steps: 40, tokens: 20_480, before, after }
    }

    fn check(tokens: usize, kld: f64) -> Check {
        Check { tokens, kld }
    }

    /// What is said of a round.
    fn said(layers: Vec<TrainedBlock>, trained_kld: f64, end_to_end: Vec<Check>) -> String {
        let mut out = String::new();
        let round = TrainedRound {
            untrained_kld: 0.03,
            trained_kld,
            kept: trained_kld < 0.03,
            seconds: 2.0,
            layers,
            layers_left: 0,
            end_to_end,
            tokens_left: 0,
        };
        write_round(&mut out, &round).unwrap();
        out
    }

    #[test]
    fn formats_that_tensors_are_kept_from_are_told_once() {
        let kept_from = |layer: usize, largest| KeptFrom {
            tensor: format!("blk.{layer}.ffn_down.weight"),
            formats: vec!["Q4_1", "Q5_1"],
            kept: InHalf::Sum,
            largest,
        };
        let mut out = String::new();
        write_kept_from(&mut out, &[]).unwrap();
        assert_eq!(out, "");
        let all: Vec<KeptFrom> = (1..6).map(|layer| kept_from(layer, 1e5 * layer as f32)).collect();
        write_kept_from(&mut out, &all).unwrap();
        let names = [1, 2, 3].map(|layer| format!("blk.{layer}.ffn_down.weight")).join(", ");
        assert!(out.contains(&format!("not Q4_1, Q5_1: {names} and 2 more\n")), "{out}");
        assert!(out.contains("the sum of each 32 of its inputs in F16; 5.0e5 is"), "{out}");
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
