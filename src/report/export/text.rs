//! The summary that a person reads on a terminal. Its columns are laid out by hand; what it says is
//! what the other formats say.

use std::fmt::{self, Write};

use crate::report::Report;
use crate::report::document::Fact;
use crate::report::numbers::bytes;
use crate::report::told::facts::facts;
use crate::report::told::{kinds, opencog};

/// Where values begin behind their keys.
const KEY: usize = 13;

/// The summary of a run, several lines.
pub fn summary(report: &Report) -> String {
    let mut text = String::new();
    write_summary(&mut text, report).expect("writing to a string cannot fail");
    text
}

fn write_summary(out: &mut String, report: &Report) -> fmt::Result {
    let verb = if report.dry_run { "would become" } else { "->" };
    writeln!(out, "{} {verb} {}", report.input.display(), report.output.display())?;
    writeln!(out)?;
    write_facts(out, &facts(report))?;
    writeln!(out)?;
    write_kinds(out, report)?;
    write_notes(out, report)?;
    write_role_costs(out, report)?;
    if let Some(data) = &report.opencog {
        writeln!(out)?;
        write_facts(out, &opencog::facts(data))?;
    }
    write_stages(out, report)
}

/// Keys, and the lines of their values beside them.
pub fn write_facts(out: &mut String, facts: &[Fact]) -> fmt::Result {
    for Fact { key, lines } in facts {
        for (i, line) in lines.iter().enumerate() {
            let key = if i == 0 { key } else { "" };
            writeln!(out, "{}", format!("  {key:<KEY$}{line}").trim_end())?;
        }
    }
    Ok(())
}

/// One line for each kind and format: tensors, bits and error.
fn write_kinds(out: &mut String, report: &Report) -> fmt::Result {
    let lines = kinds::lines(&report.tensors);
    let width = lines.iter().map(|line| line.kind.chars().count());
    let width = width.max().unwrap_or(0).clamp(17, 48);
    writeln!(out, "  {:<width$} tensors  format     bits        bytes    error", "role")?;
    for kinds::KindLine { kind, tensors, format, bits, bytes: total, error } in lines {
        let error = error.map_or("-".into(), |error| format!("{error:.2e}"));
        let total = bytes(total);
        writeln!(
            out,
            "  {kind:<width$} {tensors:>7}  {format:<8} {bits:>6.3} {total:>12} {error:>8}"
        )?;
    }
    Ok(())
}

/// What is remarkable about tensors, and formats that they are kept from.
fn write_notes(out: &mut String, report: &Report) -> fmt::Result {
    for (i, note) in kinds::notes(&report.tensors).into_iter().enumerate() {
        writeln!(out, "{}  {note}", if i == 0 { "\n" } else { "" })?;
    }
    for (i, [what, why]) in kinds::kept_from(&report.kept_from).into_iter().enumerate() {
        writeln!(out, "{}  {what}\n    {why}", if i == 0 { "\n" } else { "" })?;
    }
    Ok(())
}

/// What the tensors of each role would lose in each format, as the search predicts it.
fn write_role_costs(out: &mut String, report: &Report) -> fmt::Result {
    let costs = kinds::role_costs(report);
    if costs.formats.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n  KLD predicted for a role in a format, in thousandths of a nat per token")?;
    write!(out, "  role             ")?;
    costs.formats.iter().try_for_each(|format| write!(out, " {format:>7}"))?;
    writeln!(out)?;
    for (role, row) in costs.roles {
        write!(out, "  {role:<17}")?;
        for cost in row {
            match cost {
                Some(cost) => write!(out, " {:>7.3}", 1000.0 * cost)?,
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
