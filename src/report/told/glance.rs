//! A run at a glance: the numbers that a reader looks for first, targets, warnings, and the recipes
//! of peers beside the model.

use super::facts::allowed_memory;
use crate::report::document::{
    Axis, Figure, Mark, Note, Part, Picture, Plot, Point, Section, Series, Table, Tile, Tone, Unit,
};
use crate::report::numbers::{bytes, count, short};
use crate::report::{RecipeReport, Report};

/// The section.
pub fn section(report: &Report) -> Option<Section> {
    let mut parts = vec![Part::Tiles(tiles(report))];
    let missed = report.missed.iter().map(|text| Note { tone: Tone::Missed, text: text.clone() });
    let warnings =
        report.warnings.iter().map(|text| Note { tone: Tone::Warning, text: text.clone() });
    let mut notes: Vec<Note> = missed.chain(warnings).collect();
    if report.dry_run {
        let text = "This was a dry run: nothing was written.".into();
        notes.insert(0, Note { tone: Tone::Plain, text });
    }
    // A warning says why, where measuring was asked for.
    let is_said = |reason: &String| report.warnings.iter().any(|it| it.contains(&reason[..]));
    if let Some(reason) = report.unmeasured.as_ref().filter(|reason| !is_said(reason)) {
        let text = format!("What was lost is not measured: {reason}");
        notes.push(Note { tone: Tone::Plain, text });
    }
    if !notes.is_empty() {
        parts.push(Part::Notes(notes));
    }
    parts.extend(report.recipes.as_deref().and_then(|recipes| beside_recipes(report, recipes)));
    Section::of("glance", "At a glance", parts)
}

fn tiles(report: &Report) -> Vec<Tile> {
    let metrics = &report.metrics;
    let tile = |label, value, detail| Tile { label, value, detail, verdict: None };
    let smaller = 100.0 * metrics.file_reduction;
    let mut tiles = vec![
        tile(
            "File",
            bytes(metrics.output_bytes),
            format!("{smaller:.1} % less than {}", bytes(metrics.input_bytes)),
        ),
        tile(
            "Bits per weight",
            format!("{:.3}", metrics.bpw),
            format!("{} weights", count(metrics.parameters)),
        ),
        tile(
            "Memory reduction",
            format!("{:.1} %", 100.0 * metrics.memory_reduction),
            "of the tensors, against 32-bit floats".into(),
        ),
    ];
    tiles.extend(quality(report));
    let (gb, of) = allowed_memory(metrics.memory);
    let cache = metrics.kv_cache_bytes;
    let with = match cache {
        Some(_) => format!("with a KV cache of {} tokens", metrics.context),
        None => "without the KV cache".into(),
    };
    tiles.push(tile(
        "Memory",
        bytes(metrics.output_bytes + cache.unwrap_or(0)),
        format!("{with}; of {gb:.1} GB ({of})"),
    ));
    tiles
}

/// What was lost on the model's own text, as far as it was measured.
fn quality(report: &Report) -> Vec<Tile> {
    let own = super::super::own(&report.evaluations);
    let searched = report.search.as_ref().map(|record| record.measured_kld);
    let (kld, error, degradation, same_top) = match (own, searched) {
        (Some(own), _) => {
            let statistics = &own.statistics;
            let error = Some(statistics.kld.error);
            (statistics.kld.value, error, own.degradation(), Some(statistics.same_top.value))
        }
        (None, Some(kld)) => (kld, None, crate::validate::degradation_of(kld), None),
        (None, None) => return Vec::new(),
    };
    let measured = if own.is_some() { "the model's own text" } else { "text of the search" };
    let allowed = report.allowed_degradation;
    let error = error.map(|error| format!("± {} ", short(error))).unwrap_or_default();
    let mut tiles = vec![
        Tile {
            label: "KLD",
            value: short(kld),
            detail: format!("{error}nats per token, on {measured}"),
            verdict: None,
        },
        Tile {
            label: "Degradation",
            value: format!("{:.2} %", 100.0 * degradation),
            detail: match allowed {
                Some(allowed) => format!("{} % allowed", short(100.0 * allowed)),
                None => "no target: the size was asked for".into(),
            },
            verdict: allowed.map(|_| report.missed.is_none()),
        },
    ];
    tiles.extend(same_top.map(|share| Tile {
        label: "Same top token",
        value: format!("{:.1} %", 100.0 * share),
        detail: "of positions, in both models".into(),
        verdict: None,
    }));
    tiles
}

/// The model among the recipes of llama.cpp.
fn beside_recipes(report: &Report, recipes: &[RecipeReport]) -> Option<Part> {
    let measured = |of: &RecipeReport| of.measured.map(|losses| (of.bytes, losses.mean_kld));
    let points = recipes.iter().filter_map(|of| {
        let (bytes, kld) = measured(of)?;
        Some(Point::named(bytes as f64, kld, of.name))
    });
    let points: Vec<Point> = points.collect();
    let (metrics, own) = (&report.metrics, super::super::own(&report.evaluations));
    let kld = metrics.mean_kld.or(report.search.as_ref().map(|record| record.measured_kld));
    let here = kld.map(|kld| Point::named(metrics.output_bytes as f64, kld, "this model"));
    let row = |name: &str, size: u64, bpw: f64, kld: String, same_top: Option<f64>| {
        vec![
            name.to_string(),
            bytes(size),
            format!("{bpw:.3}"),
            kld,
            same_top.map_or("–".into(), |share| format!("{:.1} %", 100.0 * share)),
        ]
    };
    let error = own.map(|own| own.statistics.kld.error);
    let mut rows = vec![row(
        "this model",
        metrics.output_bytes,
        metrics.bpw,
        kld.map_or("–".into(), |kld| with_error(kld, error)),
        metrics.same_top,
    )];
    rows.extend(recipes.iter().map(|of| {
        let kld = match (of.measured, &of.unmeasured) {
            (Some(losses), _) => with_error(losses.mean_kld, Some(losses.mean_kld_error)),
            (None, reason) => reason.clone().unwrap_or_default(),
        };
        let same_top = of.measured.map(|losses| losses.same_top);
        row(&format!("the recipe of {}", of.name), of.bytes, of.bpw, kld, same_top)
    }));
    let series = [
        Series { name: "llama.cpp's recipes, encoded here".into(), mark: Mark::Square, points },
        Series { name: "this model".into(), mark: Mark::Star, points: here.into_iter().collect() },
    ];
    (!recipes.is_empty()).then(|| {
        Part::Figure(Figure {
            title: "Beside llama.cpp's recipes",
            caption: "Left and below is better. Which tensor has which format is as in \
                      llama-quantize; each recipe was encoded by this program, with importance, and \
                      judged on the same held-out text."
                .into(),
            picture: Picture::Plot(Plot {
                x: Axis { label: "file size", is_log: false, unit: Unit::Bytes },
                y: Axis { label: "KLD, nats per token", is_log: true, unit: Unit::Plain },
                series: series.into(),
            }),
            table: Table::new(["", "#file", "#bits per weight", "#KLD", "#same top token"])
                .with(rows),
        })
    })
}

fn with_error(kld: f64, error: Option<f64>) -> String {
    match error {
        Some(error) => format!("{kld:.5} ± {error:.5}"),
        None => format!("{kld:.5}"),
    }
}
