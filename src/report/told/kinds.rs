//! What became of the tensors of each kind, and what is remarkable about them.

use std::collections::BTreeMap;

use crate::model::{InHalf, Kind, Role};
use crate::quantize::{Cost, KeptFrom, TensorCosts};
use crate::report::document::{Note, Part, Section, Table, Tone};
use crate::report::numbers::{bytes, counted};
use crate::report::{Report, TensorReport};

/// Tensors of a kind in a format.
pub struct KindLine {
    /// The kind, without control characters.
    pub kind: String,
    /// How many there are.
    pub tensors: usize,
    /// Their format.
    pub format: &'static str,
    /// Bits per weight.
    pub bits: f64,
    /// Their bytes.
    pub bytes: u64,
    /// The mean of their relative errors, where they were changed and written.
    pub error: Option<f64>,
}

/// A line for each kind and format.
pub fn lines(tensors: &[TensorReport]) -> Vec<KindLine> {
    let mut lines: BTreeMap<(Kind, &'static str), Vec<&TensorReport>> = BTreeMap::new();
    for tensor in tensors {
        lines.entry((Kind::of(&tensor.name), tensor.format)).or_default().push(tensor);
    }
    let line = |((kind, format), tensors): ((Kind, &'static str), Vec<&TensorReport>)| {
        let bytes: u64 = tensors.iter().map(|tensor| tensor.bytes).sum();
        let weights: u64 = tensors.iter().map(|tensor| tensor.shape.iter().product::<u64>()).sum();
        let errors: Vec<f64> = tensors.iter().filter_map(|tensor| tensor.relative_error).collect();
        KindLine {
            kind: kind.to_string().escape_debug().to_string(),
            tensors: tensors.len(),
            format,
            bits: bytes as f64 * 8.0 / weights as f64,
            bytes,
            error: (!errors.is_empty()).then(|| errors.iter().sum::<f64>() / errors.len() as f64),
        }
    };
    lines.into_iter().map(line).collect()
}

/// What is remarkable about tensors, said once for all that share it.
pub fn notes(tensors: &[TensorReport]) -> Vec<String> {
    let mut notes: BTreeMap<&str, usize> = BTreeMap::new();
    for note in tensors.iter().filter_map(|tensor| tensor.note.as_deref()) {
        *notes.entry(note).or_default() += 1;
    }
    notes.into_iter().map(|(note, n)| format!("{}: {note}", counted(n, "tensor"))).collect()
}

/// Formats that tensors are kept from, said once for all that share them: which, and why.
pub fn kept_from(all: &[KeptFrom]) -> Vec<[String; 2]> {
    /// Tensors that are named.
    const NAMED: usize = 3;
    let mut alike: BTreeMap<(&[&str], InHalf), Vec<&KeptFrom>> = BTreeMap::new();
    for one in all {
        alike.entry((&one.formats, one.kept)).or_default().push(one);
    }
    let told = alike.into_iter().map(|((formats, kept), tensors)| {
        let (n, largest) = (tensors.len(), tensors.iter().map(|it| it.largest).fold(0.0, f32::max));
        let mut names: Vec<&str> = tensors.iter().map(|it| it.tensor.as_str()).collect();
        names.truncate(NAMED);
        let more = if n > NAMED { format!(" and {} more", n - NAMED) } else { String::new() };
        [
            format!("not {}: {}{more}", formats.join(", "), names.join(", ")),
            format!(
                "llama.cpp keeps {kept} in F16; {largest:.1e} is too near 65504, where F16 ends, to \
                 be safe from NaN"
            ),
        ]
    });
    told.collect()
}

/// What the tensors of each role would lose in each format.
pub struct RoleCosts {
    /// The formats, the fewest bits first.
    pub formats: Vec<&'static str>,
    /// The predicted KLD of each role in each of them, in nats per token.
    pub roles: Vec<(Role, Vec<Option<f64>>)>,
}

/// What the tensors of each role would lose in each format, as the search predicts it.
pub fn role_costs(report: &Report) -> RoleCosts {
    let costs = report.search.iter().flat_map(|record| &record.sensitivities);
    let mut by_role: BTreeMap<Role, BTreeMap<&str, f64>> = BTreeMap::new();
    let mut bits: BTreeMap<&'static str, f64> = BTreeMap::new();
    for TensorCosts { tensor, formats } in costs {
        let sums = by_role.entry(Role::of(tensor)).or_default();
        for Cost { format, bpw, predicted_kld, .. } in formats {
            *sums.entry(format).or_default() += predicted_kld;
            bits.insert(format, *bpw);
        }
    }
    let mut formats: Vec<(&'static str, f64)> = bits.into_iter().collect();
    formats.sort_by(|a, b| a.1.total_cmp(&b.1));
    let formats: Vec<&'static str> = formats.into_iter().map(|(format, _)| format).collect();
    let row = |sums: BTreeMap<&str, f64>| formats.iter().map(|it| sums.get(it).copied()).collect();
    let roles = by_role.into_iter().map(|(role, sums)| (role, row(sums))).collect();
    RoleCosts { formats, roles }
}

/// Formats by role.
pub fn section(report: &Report) -> Option<Section> {
    let row = |line: KindLine| {
        vec![
            line.kind,
            line.tensors.to_string(),
            line.format.to_string(),
            format!("{:.3}", line.bits),
            bytes(line.bytes),
            line.error.map_or("–".into(), |error| format!("{error:.2e}")),
        ]
    };
    let table = Table::new(["role", "#tensors", "format", "#bits", "#bytes", "#squared error"]);
    let mut parts = vec![Part::Table(table.with(lines(&report.tensors).into_iter().map(row)))];
    let kept_from = kept_from(&report.kept_from).into_iter().map(|[what, why]| {
        let mut letters = what.chars();
        let first = letters.next().map(|c| c.to_ascii_uppercase());
        format!("{}{}; {why}.", first.into_iter().collect::<String>(), letters.as_str())
    });
    let notes = notes(&report.tensors).into_iter().map(|note| note + ".");
    let plain = |text| Note { tone: Tone::Plain, text };
    let notes: Vec<Note> = notes.chain(kept_from).map(plain).collect();
    if !notes.is_empty() {
        parts.push(Part::Notes(notes));
    }
    Section::of("formats", "Formats by role", parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_that_tensors_are_kept_from_are_told_once() {
        let of_layer = |layer: usize, largest| KeptFrom {
            tensor: format!("blk.{layer}.ffn_down.weight"),
            formats: vec!["Q4_1", "Q5_1"],
            kept: InHalf::Sum,
            largest,
        };
        assert!(kept_from(&[]).is_empty());
        let all: Vec<KeptFrom> = (1..6).map(|layer| of_layer(layer, 1e5 * layer as f32)).collect();
        let told = kept_from(&all);
        let names = [1, 2, 3].map(|layer| format!("blk.{layer}.ffn_down.weight")).join(", ");
        assert_eq!(told.len(), 1);
        assert_eq!(told[0][0], format!("not Q4_1, Q5_1: {names} and 2 more"));
        assert!(
            told[0][1].contains("the sum of each 32 of its inputs in F16; 5.0e5 is"),
            "{told:?}"
        );
    }
}
