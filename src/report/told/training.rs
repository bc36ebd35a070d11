//! What training did: layer by layer, and end to end.

use super::facts;
use crate::quantize::{Check, TrainedBlock, TrainedRound};
use crate::report::Report;
use crate::report::document::{
    Axis, Cell, Figure, HeatMap, Mark, Part, Picture, Plot, Point, Scale, Section, Series, Table,
    Unit,
};
use crate::report::numbers::short;

/// The section.
pub fn section(report: &Report) -> Option<Section> {
    let rounds: Vec<&TrainedRound> =
        report.search.iter().flat_map(|record| &record.trained).collect();
    let parts = rounds.iter().enumerate().flat_map(|(i, round)| {
        let mut told = facts::round(round);
        if rounds.len() > 1 {
            told.key = format!("round {} of {}", i + 1, rounds.len());
        }
        let figures = [before_and_after(round), passes(round), end_to_end(round)];
        let figures = figures.into_iter().flatten().map(Part::Figure);
        std::iter::once(Part::Facts(vec![told])).chain(figures)
    });
    Section::of("training", "Training", parts.collect())
}

/// Each layer's error before training and after.
fn before_and_after(round: &TrainedRound) -> Option<Figure> {
    if round.layers.is_empty() {
        return None;
    }
    let points = |of: fn(&TrainedBlock) -> f64| {
        let point = |it: &TrainedBlock| {
            Point::new(it.layer as f64, of(it), format!("layer {}: {}", it.layer, short(of(it))))
        };
        round.layers.iter().map(point).collect::<Vec<_>>()
    };
    let series = |name: &str, mark, points| Series { name: name.into(), mark, points };
    let row = |it: &TrainedBlock| {
        vec![
            it.layer.to_string(),
            it.steps.to_string(),
            it.tokens.to_string(),
            format!("{:.3e}", it.before),
            format!("{:.3e}", it.after),
            format!("{:.1} %", 100.0 * facts::share_left(it)),
        ]
    };
    Some(Figure {
        title: "Error of each layer",
        caption:
            "The squared error of what each layer gives, as a share of its square, on held-out \
                  text: before it was trained and after."
                .into(),
        picture: Picture::Plot(Plot {
            x: Axis { label: "layer", is_log: false, unit: Unit::Plain },
            y: Axis { label: "relative squared error", is_log: true, unit: Unit::Plain },
            series: vec![
                series("before", Mark::Ring, points(|it| it.before)),
                series("after", Mark::Line, points(|it| it.after)),
            ],
        }),
        table: Table::new(["#layer", "#steps", "#tokens", "#before", "#after", "#left"])
            .with(round.layers.iter().map(row)),
        more: Vec::new(),
    })
}

/// Each layer's error after each pass over the text, as a share of what it was.
fn passes(round: &TrainedRound) -> Option<Figure> {
    let most = round.layers.iter().map(|layer| layer.passes.len()).max().unwrap_or(0);
    let layers = || round.layers.iter().filter(|layer| layer.before > 0.0);
    if most < 2 || layers().next().is_none() {
        return None;
    }
    let share =
        |layer: &TrainedBlock, pass: usize| layer.passes.get(pass).map(|loss| loss / layer.before);
    let cell = |share: f64| Cell { value: share, label: format!("{:.1} %", 100.0 * share) };
    let row = |pass: usize| {
        let cells = layers().map(|layer| share(layer, pass).map(cell)).collect();
        (format!("pass {}", pass + 1), cells)
    };
    let all = || layers().flat_map(|layer| (0..most).filter_map(|pass| share(layer, pass)));
    let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max));
    let columns: Vec<String> = std::iter::once("#layer".to_string())
        .chain((1..=most).map(|pass| format!("#pass {pass}")))
        .collect();
    let line = |layer: &TrainedBlock| {
        let mut line = vec![layer.layer.to_string()];
        let text =
            |share: Option<f64>| share.map_or("–".into(), |it| format!("{:.1} %", 100.0 * it));
        line.extend((0..most).map(|pass| text(share(layer, pass))));
        line
    };
    Some(Figure {
        title: "Learning, pass by pass",
        caption:
            "What is left of each layer's error on held-out text after each pass over the text \
                  that it learns from. The best pass is kept; above 100 % a layer was worse than \
                  before, as it may be while steps are long."
                .into(),
        picture: Picture::HeatMap(HeatMap {
            columns: "layer",
            column_names: layers().map(|layer| layer.layer.to_string()).collect(),
            rows: (0..most).map(row).collect(),
            scale: Scale::Log { low: low.max(1e-6), high: high.max(low).max(2e-6) },
            legend: "share of the error that is left".into(),
        }),
        table: Table::new(columns.iter().map(String::as_str)).with(layers().map(line)),
        more: Vec::new(),
    })
}

/// KLD while all layers learnt together.
fn end_to_end(round: &TrainedRound) -> Option<Figure> {
    let checks = &round.end_to_end;
    if checks.len() < 2 {
        return None;
    }
    let point = |check: &Check| {
        let label = format!("{} tokens: {}", check.tokens, short(check.kld));
        Point::new(check.tokens as f64, check.kld, label)
    };
    let points: Vec<Point> = checks.iter().map(point).collect();
    let row = |check: &Check| vec![check.tokens.to_string(), format!("{:.5}", check.kld)];
    Some(Figure {
        title: "End to end",
        caption: "KLD on held-out text while all layers learn together.".into(),
        picture: Picture::Plot(Plot {
            x: Axis { label: "tokens learnt from", is_log: false, unit: Unit::Plain },
            y: Axis { label: "KLD, nats per token", is_log: false, unit: Unit::Plain },
            series: vec![Series { name: "KLD".into(), mark: Mark::Line, points }],
        }),
        table: Table::new(["#tokens", "#KLD"]).with(checks.iter().map(row)),
        more: Vec::new(),
    })
}
