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
    let mut parts = vec![Part::Figure(Figure {
        title: "What the search saw",
        caption:
            "Every model that the search made and measured, by the bytes of its file and its KLD. \
                  Rings are models of which some tensors were still in full precision. The dashed \
                  line is what the search predicts from what it knows of each tensor alone."
                .into(),
        picture: Picture::Plot(Plot {
            x: Axis { label: "file size", is_log: true, unit: Unit::Bytes },
            y: Axis { label: "KLD, nats per token", is_log: true, unit: Unit::Plain },
            series: series(report, record),
        }),
        table: table(record),
    })];
    if let Some(flag) = &record.bound_by {
        parts.push(Part::Text(format!("{flag} allows no more bits.")));
    }
    Section::of("search", "Size against loss", parts)
}

fn series(report: &Report, record: &Record) -> Vec<Series> {
    let line = predicted(report).into_iter();
    let line = line.map(|(bytes, kld)| Point::new(bytes as f64, kld, "predicted"));
    let of = |wanted: fn(&Step) -> bool| {
        let steps = record.steps.iter().enumerate().filter(move |(_, step)| wanted(step));
        let point = |(i, step): (usize, &Step)| {
            let label = format!("step {}: {}", i + 1, name(step.kind));
            Point::new(step.bytes as f64, step.measured_kld, label)
        };
        steps.map(point).collect::<Vec<_>>()
    };
    let recipe = record.recipe_kld.zip(record.recipe_bytes);
    let recipe = recipe
        .map(|(kld, bytes)| Point::new(bytes as f64, kld, "plain rounding, one format a role"));
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
        series("plain recipe of this size", Mark::Square, recipe.into_iter().collect()),
        series("this model", Mark::Star, vec![Point::new(size as f64, kld, "this model")]),
    ]
}

/// What was done in a step.
fn name(kind: StepKind) -> &'static str {
    match kind {
        StepKind::Next => "the next tensors were quantized",
        StepKind::Fit => "formats changed towards the target",
        StepKind::Exchange => "formats exchanged at equal bytes",
        StepKind::Train => "weights trained",
    }
}

fn table(record: &Record) -> Table {
    let row = |(i, step): (usize, &Step)| {
        vec![
            (i + 1).to_string(),
            name(step.kind).to_string(),
            step.encoded.len().to_string(),
            bytes(step.bytes),
            format!("{:.5}", step.predicted_kld),
            format!("{:.5}", step.measured_kld),
            step.noise.map_or("–".into(), |noise| format!("{noise:.5}")),
            if step.kept { "yes" } else { "no" }.to_string(),
        ]
    };
    let columns =
        ["#step", "what", "#tensors", "#file", "#predicted KLD", "#measured KLD", "#noise", "kept"];
    Table::new(columns).with(record.steps.iter().enumerate().map(row))
}
