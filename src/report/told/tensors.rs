//! Tensor by tensor: maps of layers and roles, and every tensor of the file.

use std::collections::{BTreeMap, BTreeSet};

use super::kinds::role_costs;
use crate::model::{Kind, layer_part};
use crate::report::document::{
    Cell, Column, Figure, HeatMap, Part, Picture, Scale, Section, Table,
};
use crate::report::numbers::{bytes, short};
use crate::report::{Report, TensorReport};

/// A row of a map: the tensors of a part by their layers, or a tensor outside of layers.
struct Row<'r> {
    name: String,
    tensors: Vec<Option<&'r TensorReport>>,
}

/// Bits and costs, layer by layer.
pub fn layers(report: &Report) -> Option<Section> {
    let (rows, layers) = rows(report);
    if layers == 0 || rows.is_empty() {
        return None;
    }
    let mut parts = vec![Part::Figure(bits(&rows, layers))];
    parts.extend(costs(report, &rows, layers).map(Part::Figure));
    if let Some(table) = by_role(report) {
        let said = "The KLD that the search predicts of all tensors of a role in a format, in \
                    thousandths of a nat per token:";
        parts.extend([Part::Text(said.into()), Part::Table(table)]);
    }
    Section::of("layers", "Layer by layer", parts)
}

/// The matrices of the model, in the order of the file, and the number of layers.
fn rows(report: &Report) -> (Vec<Row<'_>>, usize) {
    let matrices = report.tensors.iter().filter(|it| it.shape.len() > 1 && it.shape[1] > 1);
    let matrices: Vec<&TensorReport> = matrices.collect();
    let layer_of = |tensor: &TensorReport| layer_part(&tensor.name).map(|(layer, _)| layer);
    // A tensor says its layer; that there are as many layers is for the file to say.
    let seen: BTreeSet<usize> = matrices.iter().filter_map(|it| layer_of(it)).collect();
    let places: BTreeMap<usize, usize> = seen.iter().enumerate().map(|(i, &at)| (at, i)).collect();
    let mut rows: Vec<Row> = Vec::new();
    let mut places_of_parts: BTreeMap<&str, usize> = BTreeMap::new();
    for tensor in matrices {
        let kind = Kind::of(&tensor.name).to_string();
        let Some((layer, part)) = layer_part(&tensor.name) else {
            rows.push(Row { name: kind, tensors: vec![Some(tensor)] });
            continue;
        };
        let at = *places_of_parts.entry(part).or_insert_with(|| {
            // Two parts may do the same.
            let taken = rows.iter().any(|row| row.name == kind);
            let name = if taken { part.to_string() } else { kind };
            rows.push(Row { name, tensors: vec![None; seen.len()] });
            rows.len() - 1
        });
        rows[at].tensors[places[&layer]] = Some(tensor);
    }
    rows.sort_by_key(|row| row.tensors.len() == 1 && seen.len() > 1);
    (rows, seen.len())
}

/// A map of rows in which `cell` gives what is known of a tensor.
fn map(
    rows: &[Row],
    layers: usize,
    scale: Scale,
    legend: &str,
    cell: impl Fn(&TensorReport) -> Option<Cell>,
) -> (HeatMap, Table) {
    let of_row = |row: &Row| {
        let cells = row.tensors.iter().map(|tensor| tensor.and_then(&cell));
        (row.name.clone(), cells.collect())
    };
    let rows: Vec<(String, Vec<Option<Cell>>)> = rows.iter().map(of_row).collect();
    let text = |cell: &Option<Cell>| cell.as_ref().map_or("–".into(), |cell| cell.label.clone());
    let line = |layer: usize| {
        let mut line = vec![layer.to_string()];
        // What is no part of a layer stands beside the first.
        line.extend(rows.iter().map(|(_, cells)| cells.get(layer).map_or(String::new(), text)));
        line
    };
    let head = Column { name: "layer".into(), is_number: true };
    let columns = rows.iter().map(|(name, _)| Column { name: name.clone(), is_number: false });
    let columns = std::iter::once(head).chain(columns).collect();
    let table = Table { columns, rows: (0..layers).map(line).collect() };
    let names = (0..layers).map(|layer| layer.to_string()).collect();
    let legend = legend.to_string();
    (HeatMap { columns: "layer", column_names: names, rows, scale, legend }, table)
}

fn bits_of(tensor: &TensorReport) -> f64 {
    tensor.bytes as f64 * 8.0 / tensor.shape.iter().product::<u64>() as f64
}

fn bits(rows: &[Row], layers: usize) -> Figure {
    let mut steps: BTreeMap<String, (f64, BTreeSet<&str>)> = BTreeMap::new();
    for tensor in rows.iter().flat_map(|row| row.tensors.iter().flatten()) {
        let bits = bits_of(tensor);
        let step = steps.entry(format!("{bits:09.4}")).or_insert((bits, BTreeSet::new()));
        step.1.insert(tensor.format);
    }
    let step = |(bits, formats): (f64, BTreeSet<&str>)| {
        let formats = formats.into_iter().collect::<Vec<_>>().join(", ");
        (bits, format!("{formats} ({})", short(bits)))
    };
    let scale = Scale::Steps(steps.into_values().map(step).collect());
    let cell = |tensor: &TensorReport| {
        Some(Cell { value: bits_of(tensor), label: tensor.format.to_string() })
    };
    let (picture, table) = map(rows, layers, scale, "format (bits per weight)", cell);
    Figure {
        title: "Bits",
        caption: "The format of each matrix, by layer and role.".into(),
        picture: Picture::HeatMap(picture),
        table,
        more: Vec::new(),
    }
}

/// What each tensor is predicted to cost in the format that it has.
fn costs(report: &Report, rows: &[Row], layers: usize) -> Option<Figure> {
    let record = report.search.as_ref()?;
    let formats: BTreeMap<&str, &'static str> =
        report.tensors.iter().map(|tensor| (&tensor.name[..], tensor.format)).collect();
    let known: BTreeMap<&str, f64> = record
        .sensitivities
        .iter()
        .filter_map(|costs| {
            let format = formats.get(&costs.tensor[..])?;
            let cost = costs.formats.iter().find(|cost| cost.format == *format)?;
            Some((&costs.tensor[..], cost.predicted_kld))
        })
        .collect();
    let above = || known.values().copied().filter(|&kld| kld > 0.0);
    let high = above().fold(0.0, f64::max);
    // What costs less than a ten-thousandth of the costliest is nothing.
    let low = above().fold(high, f64::min).max(1e-4 * high);
    if high == 0.0 {
        return None;
    }
    let cell = |tensor: &TensorReport| {
        let kld = *known.get(&tensor.name[..])?;
        Some(Cell { value: kld, label: short(kld) })
    };
    let scale = Scale::Log { low, high };
    let (picture, table) = map(rows, layers, scale, "predicted KLD, nats per token", cell);
    Some(Figure {
        title: "Cost",
        caption:
            "The KLD that the search predicts of each matrix in the format that it has, before \
                  training."
                .into(),
        picture: Picture::HeatMap(picture),
        table,
        more: Vec::new(),
    })
}

/// What the tensors of each role would lose in each format.
fn by_role(report: &Report) -> Option<Table> {
    let costs = role_costs(report);
    if costs.formats.is_empty() {
        return None;
    }
    let head = ["role".to_string()].into_iter();
    let columns: Vec<String> =
        head.chain(costs.formats.iter().map(|format| format!("#{format}"))).collect();
    let row = |(role, row): (crate::model::Role, Vec<Option<f64>>)| {
        let mut line = vec![role.to_string()];
        let text = |cost: Option<f64>| cost.map_or("–".into(), |kld| format!("{:.3}", 1e3 * kld));
        line.extend(row.into_iter().map(text));
        line
    };
    let table = Table::new(columns.iter().map(String::as_str));
    Some(table.with(costs.roles.into_iter().map(row)))
}

/// Every tensor.
pub fn every(report: &Report) -> Option<Section> {
    let row = |tensor: &TensorReport| {
        let shape: Vec<String> = tensor.shape.iter().map(u64::to_string).collect();
        vec![
            tensor.name.clone(),
            tensor.kind.clone(),
            shape.join(" × "),
            tensor.from.to_string(),
            tensor.format.to_string(),
            bytes(tensor.bytes),
            tensor.relative_error.map_or("–".into(), |error| format!("{error:.2e}")),
            tensor.note.clone().unwrap_or_default(),
        ]
    };
    let columns = ["tensor", "role", "shape", "from", "to", "#bytes", "#squared error", "note"];
    let table = Table::new(columns).with(report.tensors.iter().map(row));
    Section::of("tensors", "Every tensor", vec![Part::Table(table)])
}
