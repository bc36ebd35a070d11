//! Pictures as inline SVG. Places to the right are shares of the width, so that a picture fills any
//! width while its text stays as large as the rest; what is written outside of the plot lies beyond
//! the ends, where the page leaves room for it.

use std::fmt::Write;

use super::axis::{HEIGHT, Range};
use super::colour::{self, CIVIDIS, VIRIDIS};
use super::escape::html as escape;
use super::labels::label_places;
use crate::report::document::{Cell, HeatMap, Mark, Plot, Point, Scale, Series};
use crate::report::numbers::short;

/// Height of a row of a heat map.
const ROW: f64 = 22.0;
/// Colours that series have, one after another.
const COLOURS: usize = 5;

/// A plot, and its legend, as HTML.
pub fn plot(plot: &Plot, title: &str) -> String {
    let points = || plot.series.iter().flat_map(|series| &series.points);
    let from_zero = plot.series.iter().any(|series| series.mark == Mark::Area);
    let x = Range::of(&plot.x, points().map(|point| point.x), false);
    let y = Range::of(&plot.y, points().map(|point| point.y), from_zero);
    let mut out = format!(
        "<div class=\"plot\"><svg role=\"img\" aria-label=\"{}\" width=\"100%\" height=\"{HEIGHT}\">",
        escape(title)
    );
    axes(&mut out, plot, x, y);
    let place = |point: &Point| Some((x.place(point.x)?, (1.0 - y.place(point.y)?) * HEIGHT));
    let mut lines = Vec::new();
    for (i, series) in plot.series.iter().enumerate() {
        let points: Vec<(f64, f64, &Point)> = series
            .points
            .iter()
            .filter_map(|point| place(point).map(|(x, y)| (x, y, point)))
            .collect();
        draw(&mut out, series.mark, colour_of(i, series.mark), &points);
        if matches!(series.mark, Mark::Line | Mark::Dashed | Mark::Area) {
            lines.push(points.iter().map(|&(x, y, _)| (x, y)).collect());
        }
    }
    let named = points().filter(|point| point.is_named);
    let named = named.filter_map(|point| place(point).map(|(x, y)| (x, y, &point.label[..])));
    labels(&mut out, &named.collect::<Vec<_>>(), &lines);
    out.push_str("</svg></div>");
    legend(&mut out, &plot.series);
    out
}

fn colour_of(series: usize, mark: Mark) -> String {
    match mark {
        Mark::Star => "this".into(),
        Mark::Dashed => "faint".into(),
        _ => format!("s{}", series % COLOURS),
    }
}

fn axes(out: &mut String, plot: &Plot, x: Range, y: Range) {
    for (place, label) in y.ticks() {
        let at = (1.0 - place) * HEIGHT;
        put(out, format_args!("<line class=\"grid\" x2=\"100%\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>"));
        let text = at + 4.0;
        put(out, format_args!("<text class=\"y\" x=\"-8\" y=\"{text:.1}\">{label}</text>"));
    }
    let ticks = x.ticks();
    let many = ticks.len() > 4;
    for (i, (place, label)) in ticks.into_iter().enumerate() {
        let (at, below) = (100.0 * place, HEIGHT + 18.0);
        // On a narrow page there is room for every other.
        let class = if many && i % 2 == 1 { "x minor" } else { "x" };
        put(
            out,
            format_args!(
                "<line class=\"tick\" x1=\"{at:.2}%\" x2=\"{at:.2}%\" y1=\"{HEIGHT}\" y2=\"{}\"/>\
                 <text class=\"{class}\" x=\"{at:.2}%\" y=\"{below}\">{label}</text>",
                HEIGHT + 5.0
            ),
        );
    }
    put(
        out,
        format_args!(
            "<line class=\"axis\" x2=\"100%\" y1=\"{HEIGHT}\" y2=\"{HEIGHT}\"/>\
             <text class=\"title\" x=\"-52\" y=\"-25\">{}</text>\
             <text class=\"title end\" x=\"100%\" y=\"{}\">{}</text>",
            escape(plot.y.label),
            HEIGHT + 38.0,
            escape(plot.x.label)
        ),
    );
}

fn draw(out: &mut String, mark: Mark, colour: String, points: &[(f64, f64, &Point)]) {
    if matches!(mark, Mark::Line | Mark::Dashed | Mark::Area) && points.len() > 1 {
        let mut path = String::new();
        for (i, (x, y, _)) in points.iter().enumerate() {
            let command = if i == 0 { 'M' } else { 'L' };
            put(&mut path, format_args!("{command}{:.1} {y:.1}", 1000.0 * x));
        }
        let (first, last) = (1000.0 * points[0].0, 1000.0 * points[points.len() - 1].0);
        let class = if mark == Mark::Dashed { "dashed" } else { "line" };
        // The path alone is stretched to the width, and its line is not made wider by it.
        put(
            out,
            format_args!(
                "<svg width=\"100%\" height=\"{HEIGHT}\" viewBox=\"0 0 1000 {HEIGHT}\" \
                 preserveAspectRatio=\"none\" class=\"{colour}\">"
            ),
        );
        if mark == Mark::Area {
            let path = format!("{path}L{last:.1} {HEIGHT}L{first:.1} {HEIGHT}Z");
            put(out, format_args!("<path class=\"area\" d=\"{path}\"/>"));
        }
        put(out, format_args!("<path class=\"{class}\" d=\"{path}\"/></svg>"));
    }
    for (x, y, point) in points {
        let shape = match mark {
            // What is pointed at says what it is.
            Mark::Area if points.len() > 1 => "<circle r=\"7\" class=\"hit\"/>",
            Mark::Line if points.len() > 1 => "<circle r=\"3\" class=\"dot\"/>",
            Mark::Dashed => continue,
            Mark::Ring => "<circle r=\"4\" class=\"ring\"/>",
            Mark::Dot | Mark::Line | Mark::Area => "<circle r=\"4.5\" class=\"dot\"/>",
            Mark::Square => "<rect x=\"-5\" y=\"-5\" width=\"10\" height=\"10\" class=\"dot\"/>",
            Mark::Star => "<circle r=\"7\" class=\"dot\"/>",
        };
        let at = 100.0 * x;
        let title = escape(&point.label);
        put(
            out,
            format_args!(
                "<svg x=\"{at:.2}%\" y=\"{y:.1}\" class=\"{colour}\">{shape}<title>{title}</title></svg>"
            ),
        );
    }
}

/// Writes labels beside their points.
fn labels(out: &mut String, points: &[(f64, f64, &str)], lines: &[Vec<(f64, f64)>]) {
    for ((x, y, label), (dx, dy, anchor)) in points.iter().zip(label_places(points, lines)) {
        let (at, label) = (100.0 * x, escape(label));
        put(
            out,
            format_args!(
                "<svg x=\"{at:.2}%\" y=\"{y:.1}\"><text class=\"name\" x=\"{dx}\" y=\"{dy}\" \
                 text-anchor=\"{anchor}\">{label}</text></svg>"
            ),
        );
    }
}

fn legend(out: &mut String, series: &[Series]) {
    let drawn: Vec<(usize, &Series)> =
        series.iter().enumerate().filter(|(_, series)| !series.points.is_empty()).collect();
    if drawn.len() < 2 {
        return;
    }
    out.push_str("<ul class=\"legend\">");
    for (i, series) in drawn {
        let shape = match series.mark {
            Mark::Line | Mark::Area => "<path class=\"line\" d=\"M1 7H19\"/>",
            Mark::Dashed => "<path class=\"dashed\" d=\"M1 7H19\"/>",
            Mark::Ring => "<circle cx=\"10\" cy=\"7\" r=\"4\" class=\"ring\"/>",
            Mark::Dot => "<circle cx=\"10\" cy=\"7\" r=\"4.5\" class=\"dot\"/>",
            Mark::Square => "<rect x=\"5\" y=\"2\" width=\"10\" height=\"10\" class=\"dot\"/>",
            Mark::Star => "<circle cx=\"10\" cy=\"7\" r=\"6\" class=\"dot\"/>",
        };
        let colour = colour_of(i, series.mark);
        put(
            out,
            format_args!(
                "<li><svg width=\"20\" height=\"14\" aria-hidden=\"true\" class=\"{colour}\">{shape}\
                 </svg>{}</li>",
                escape(&series.name)
            ),
        );
    }
    out.push_str("</ul>");
}

/// A heat map, and its legend, as HTML.
pub fn heat_map(map: &HeatMap, title: &str) -> String {
    let (columns, height) = (map.column_names.len(), ROW * map.rows.len() as f64);
    let mut out = format!(
        "<div class=\"map\"><svg role=\"img\" aria-label=\"{}\" width=\"100%\" height=\"{height}\">",
        escape(title)
    );
    for (row, (name, cells)) in map.rows.iter().enumerate() {
        let (top, text) = (ROW * row as f64, ROW * (row as f64 + 0.5) + 4.0);
        let name = escape(&shortened(name));
        put(&mut out, format_args!("<text class=\"y\" x=\"-8\" y=\"{text:.1}\">{name}</text>"));
        let width = 100.0 / cells.len().max(1) as f64;
        for (i, cell) in cells.iter().enumerate() {
            let Some(cell) = cell else { continue };
            let column = match cells.len() {
                1 => String::new(),
                _ => format!("{} {}, ", map.columns, map.column_names[i]),
            };
            put(
                &mut out,
                format_args!(
                    "<rect x=\"{:.3}%\" y=\"{top:.1}\" width=\"{width:.3}%\" height=\"{ROW}\" \
                     fill=\"{}\"><title>{}{name}: {}</title></rect>",
                    width * i as f64,
                    fill(&map.scale, cell),
                    escape(&column),
                    escape(&cell.label)
                ),
            );
        }
    }
    let every = columns.div_ceil(8).max(1);
    for (i, name) in map.column_names.iter().enumerate().step_by(every) {
        let at = 100.0 * (i as f64 + 0.5) / columns as f64;
        let (y, name) = (height + 15.0, escape(name));
        put(&mut out, format_args!("<text class=\"x\" x=\"{at:.2}%\" y=\"{y:.1}\">{name}</text>"));
    }
    put(
        &mut out,
        format_args!(
            "<text class=\"title end\" x=\"100%\" y=\"{:.1}\">{}</text></svg></div>",
            height + 33.0,
            escape(map.columns)
        ),
    );
    scale(&mut out, map);
    out
}

/// A name of a row that fits beside it.
fn shortened(name: &str) -> String {
    /// Characters that there is room for.
    const ROOM: usize = 17;
    match name.chars().count() > ROOM {
        true => name.chars().take(ROOM - 1).chain(['…']).collect(),
        false => name.to_string(),
    }
}

fn fill(scale: &Scale, cell: &Cell) -> String {
    match scale {
        Scale::Steps(steps) => {
            let at = steps.iter().position(|(value, _)| *value >= cell.value - 1e-9).unwrap_or(0);
            step(steps.len(), at)
        }
        Scale::Log { low, high } => match high > low {
            true => colour::at(CIVIDIS, (cell.value.max(*low) / low).ln() / (high / low).ln()),
            false => colour::at(CIVIDIS, 0.5),
        },
    }
}

/// The colour of a step of a scale.
fn step(steps: usize, at: usize) -> String {
    let place = if steps > 1 { at as f64 / (steps - 1) as f64 } else { 0.5 };
    colour::at(VIRIDIS, place)
}

fn scale(out: &mut String, map: &HeatMap) {
    let legend = escape(&map.legend);
    match &map.scale {
        Scale::Steps(steps) => {
            put(out, format_args!("<ul class=\"legend\"><li class=\"of\">{legend}</li>"));
            for (i, (_, name)) in steps.iter().enumerate() {
                let (colour, name) = (step(steps.len(), i), escape(name));
                put(
                    out,
                    format_args!(
                        "<li><svg width=\"14\" height=\"14\" aria-hidden=\"true\">\
                         <rect width=\"14\" height=\"14\" rx=\"2\" fill=\"{colour}\"/></svg>{name}</li>"
                    ),
                );
            }
            out.push_str("</ul>");
        }
        Scale::Log { low, high } => {
            let stops: Vec<String> =
                (0..=10).map(|i| colour::at(CIVIDIS, f64::from(i) / 10.0)).collect();
            put(
                out,
                format_args!(
                    "<ul class=\"legend\"><li class=\"of\">{legend}</li><li>{}<span class=\"ramp\" \
                     style=\"background:linear-gradient(90deg,{})\"></span>{}</li></ul>",
                    short(*low),
                    stops.join(","),
                    short(*high)
                ),
            );
        }
    }
}

/// Appends what is formatted.
fn put(out: &mut String, text: std::fmt::Arguments) {
    out.write_fmt(text).expect("writing to a string cannot fail");
}
