//! Size against KLD: what the search predicted and what it measured.

use super::frontier::predicted;
use crate::quantize::{Record, Step, StepKind};
use crate::report::Report;
use crate::report::document::{
    Axis, Figure, Mark, Part, Picture, Plot, Point, Section, Series, Table, Unit,
};
use crate::report::numbers::bytes;

/// The section.
pub fn section(report: &Report) -> Option<Section> {
    let record = report.search.as_ref()?;
    let line = predicted(report);
    let mut parts = vec![Part::Figure(Figure {
        title: "What the search saw",
        caption:
            "Every model that the search made and measured, by the bytes of its file and its KLD. \
                  Rings are models of which some tensors were still in full precision. The dashed \
                  line is what the search predicts from what it knows of each tensor alone. The \
                  square is the plain recipe of this size: one format for all tensors of a role, \
                  rounded without compensation."
                .into(),
        picture: Picture::Plot(Plot {
            x: Axis { label: "file size", is_log: true, unit: Unit::Bytes },
            y: Axis { label: "KLD, nats per token", is_log: true, unit: Unit::Plain },
            series: series(report, record, &line),
        }),
        table: table(record, report.metrics.output_bytes),
        more: predictions(&line).into_iter().collect(),
    })];
    if let Some(flag) = &record.bound_by {
        parts.push(Part::Text(format!("{flag} allows no more bits.")));
    }
    Section::of("search", "Size against loss", parts)
}

/// What the recipe is called that the search has to beat.
const PLAIN_RECIPE: &str = "plain recipe of this size";
/// What the outcome is called.
const THIS_MODEL: &str = "this model";

fn series(report: &Report, record: &Record, line: &[(u64, f64)]) -> Vec<Series> {
    let line = line.iter().map(|&(bytes, kld)| Point::new(bytes as f64, kld, "predicted"));
    let of = |wanted: fn(&Step) -> bool| {
        let steps = record.steps.iter().enumerate().filter(move |(_, step)| wanted(step));
        let point = |(i, step): (usize, &Step)| {
            let label = format!("step {}: {}", i + 1, name(step.kind));
            Point::new(step.bytes as f64, step.measured_kld, label)
        };
        steps.map(point).collect::<Vec<_>>()
    };
    let recipe = record.recipe_kld.zip(record.recipe_bytes);
    let recipe = recipe.map(|(kld, bytes)| Point::new(bytes as f64, kld, PLAIN_RECIPE));
    let (size, kld) = (report.metrics.output_bytes, record.measured_kld);
    let series = |name: &str, mark, points| Series { name: name.into(), mark, points };
    vec![
        series("predicted", Mark::Dashed, line.collect()),
        series("on the way", Mark::Ring, of(|step| step.kind == StepKind::Next)),
        series(
            "formats changed",
            Mark::Dot,
            of(|step| matches!(step.kind, StepKind::Fit | StepKind::Exchange)),
        ),
        series("trained", Mark::Dot, of(|step| step.kind == StepKind::Train)),
        series(PLAIN_RECIPE, Mark::Square, recipe.into_iter().collect()),
        series(THIS_MODEL, Mark::Star, vec![Point::new(size as f64, kld, THIS_MODEL)]),
    ]
}

/// What was done in a step.
fn name(kind: StepKind) -> &'static str {
    match kind {
        StepKind::Next => "the next tensors were quantized",
        StepKind::Fit => "formats changed towards the target",
        StepKind::Exchange => "formats exchanged at equal bytes",
        StepKind::Resize => "formats changed to another size",
        StepKind::Train => "weights trained",
    }
}

/// Every step, and what else has a point of its own: the plain recipe, and what came of it all.
fn table(record: &Record, output_bytes: u64) -> Table {
    let row = |(i, step): (usize, &Step)| {
        vec![
            (i + 1).to_string(),
            name(step.kind).to_string(),
            step.encoded.len().to_string(),
            bytes(step.bytes),
            exactly(step.predicted_kld),
            exactly(step.measured_kld),
            step.noise.map_or("–".into(), exactly),
            if step.kept { "yes" } else { "no" }.to_string(),
        ]
    };
    let columns =
        ["#step", "what", "#tensors", "#file", "#predicted KLD", "#measured KLD", "#noise", "kept"];
    let none = || "–".to_string();
    let other = |what: &str, size, predicted: Option<f64>, kld| {
        let [predicted, kld] = [predicted, Some(kld)].map(|kld| kld.map_or(none(), exactly));
        vec![none(), what.into(), none(), bytes(size), predicted, kld, none(), none()]
    };
    let recipe = record.recipe_bytes.zip(record.recipe_kld);
    let recipe = recipe.map(|(size, kld)| other(PLAIN_RECIPE, size, None, kld));
    let model = other(THIS_MODEL, output_bytes, record.predicted_kld, record.measured_kld);
    let steps = record.steps.iter().enumerate().map(row);
    Table::new(columns).with(steps.chain(recipe).chain([model]))
}

/// The points of the dashed line, if there are any.
fn predictions(line: &[(u64, f64)]) -> Option<(&'static str, Table)> {
    let row = |&(size, kld): &(u64, f64)| vec![bytes(size), exactly(kld)];
    let table = Table::new(["#file", "#predicted KLD"]).with(line.iter().map(row));
    (!line.is_empty()).then_some(("What the search predicts of each size", table))
}

fn exactly(kld: f64) -> String {
    format!("{kld:.5}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_step_has_a_row_too() {
        let record = Record {
            recipe_kld: Some(0.0321),
            recipe_bytes: Some(2_300_000),
            predicted_kld: Some(0.018),
            measured_kld: 0.0203,
            ..Record::default()
        };
        let Table { columns, rows } = table(&record, 2_200_000);
        let recipe = ["–", PLAIN_RECIPE, "–", "2.30 MB", "–", "0.03210", "–", "–"];
        let model = ["–", THIS_MODEL, "–", "2.20 MB", "0.01800", "0.02030", "–", "–"];
        assert_eq!(rows, [recipe, model]);
        assert!(rows.iter().all(|row| row.len() == columns.len()));
        assert_eq!(table(&Record::default(), 1).rows.len(), 1);
    }

    #[test]
    fn each_point_of_the_predicted_line_has_a_row() {
        assert_eq!(predictions(&[]), None);
        let (_, table) = predictions(&[(2_000_000, 0.5), (3_000_000, 0.25)]).unwrap();
        assert_eq!(table.rows, [["2.00 MB", "0.50000"], ["3.00 MB", "0.25000"]]);
    }
}
