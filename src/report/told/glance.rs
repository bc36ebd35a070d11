//! A run at a glance: the numbers that a reader looks for first, targets, warnings, and the recipes
//! of peers beside the model.

use super::evaluation::BY_KLD;
use super::facts::allowed_memory;
use super::pack;
use crate::report::document::{
    Axis, Figure, Mark, Note, Part, Picture, Plot, Point, Section, Series, Table, Tile, Tone, Unit,
};
use crate::report::numbers::{bytes, count, short, significant, with_error};
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
    if let Some(pack) = &report.pack {
        tiles.insert(1, pack::tile(pack));
    }
    tiles.extend(quality(report));
    tiles.extend(
        metrics
            .relative_error
            .map(|error| tile("Error", format!("{error:.3e}"), "of the squared weights".into())),
    );
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
    let (value, error) = match error.map(|error| with_error(kld, error)) {
        Some((value, error)) => (value, format!("± {error} ")),
        None => (significant(kld), String::new()),
    };
    let mut tiles = vec![
        Tile {
            label: "KLD",
            value,
            detail: format!("{error}nats per token, on {measured}"),
            verdict: None,
        },
        Tile {
            label: BY_KLD,
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
    let here: Vec<Point> = point(report, "this model").into_iter().collect();
    let series =
        [of_recipes(recipes), Series { name: "this model".into(), mark: Mark::Star, points: here }];
    let rows = recipes.iter().map(recipe_row);
    (!recipes.is_empty()).then(|| {
        Part::Figure(Figure {
            title: "Beside llama.cpp's recipes",
            caption: format!("Left and below is better. {RECIPES}"),
            picture: Picture::Plot(Plot { x: SIZE, y: KLD, series: series.into() }),
            table: Table::new(COLUMNS)
                .with([model_row(report, "this model")].into_iter().chain(rows)),
            more: Vec::new(),
        })
    })
}

/// What the recipes are.
pub const RECIPES: &str = "Which tensor has which format is as in llama-quantize; each recipe was encoded by this program, \
     with importance, and judged on the same held-out text.";

/// The axes on which models are compared.
pub const SIZE: Axis = Axis { label: "file size", is_log: false, unit: Unit::Bytes };
/// See [`SIZE`].
pub const KLD: Axis = Axis { label: "KLD, nats per token", is_log: true, unit: Unit::Plain };

/// The columns of [`model_row`] and [`recipe_row`].
pub const COLUMNS: [&str; 5] = ["", "#file", "#KLD", "#same top token", "#bits per weight"];

/// Where a model lies, if that was measured.
pub fn point(report: &Report, name: &str) -> Option<Point> {
    Some(Point::named(report.metrics.output_bytes as f64, kld(report)?, name))
}

/// Where recipes lie.
pub fn of_recipes(recipes: &[RecipeReport]) -> Series {
    let point =
        |of: &RecipeReport| Some(Point::named(of.bytes as f64, of.measured?.mean_kld, of.name));
    let points = recipes.iter().filter_map(point).collect();
    Series { name: "llama.cpp's recipes, encoded here".into(), mark: Mark::Square, points }
}

/// What a model is, beside others.
pub fn model_row(report: &Report, name: &str) -> Vec<String> {
    let metrics = &report.metrics;
    let error = super::super::own(&report.evaluations).map(|own| own.statistics.kld.error);
    let kld = kld(report).map_or("–".into(), |kld| kld_and_error(kld, error));
    row(name, (metrics.output_bytes, metrics.bpw), kld, metrics.same_top)
}

/// What a recipe gives.
pub fn recipe_row(of: &RecipeReport) -> Vec<String> {
    let kld = match (of.measured, &of.unmeasured) {
        (Some(losses), _) => kld_and_error(losses.mean_kld, Some(losses.mean_kld_error)),
        (None, reason) => reason.clone().unwrap_or_default(),
    };
    let same_top = of.measured.map(|losses| losses.same_top);
    row(&format!("the recipe of {}", of.name), (of.bytes, of.bpw), kld, same_top)
}

fn row(name: &str, (size, bpw): (u64, f64), kld: String, same_top: Option<f64>) -> Vec<String> {
    let same_top = same_top.map_or("–".into(), |share| format!("{:.1} %", 100.0 * share));
    vec![name.to_string(), bytes(size), kld, same_top, format!("{bpw:.3}")]
}

/// The KLD of a model as measured last.
fn kld(report: &Report) -> Option<f64> {
    report.metrics.mean_kld.or(Some(report.search.as_ref()?.measured_kld))
}

/// A KLD with its standard error, if that is known.
pub fn kld_and_error(kld: f64, error: Option<f64>) -> String {
    match error {
        Some(error) => format!("{kld:.5} ± {error:.5}"),
        None => format!("{kld:.5}"),
    }
}
