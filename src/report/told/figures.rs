//! The figures that the specification promises: speed, memory, use of the machine, and how far
//! activations moved, layer by layer.

use crate::hardware::Utilisation;
use crate::report::document::{
    Axis, Fact, Figure, Mark, Note, Part, Picture, Plot, Point, Section, Series, Table, Tone, Unit,
};
use crate::report::numbers::{bytes, short};
use crate::report::{
    AlignmentFigure, HardwareFigure, LargestError, LeftOut, MemoryFigure, RelativeSpeed, Report,
    SpeedFigure, SpeedSource, Worst,
};
use crate::validate::{Ceilings, LayerAlignment, MemoryUse};

/// All of them, a key and its value each.
pub fn facts(report: &Report) -> Vec<Fact> {
    let mut facts = of_machine(report);
    facts.extend(report.figures.alignment.iter().map(alignment));
    facts.extend(left_out(report));
    facts
}

/// What could not be had, with the reasons.
fn left_out(report: &Report) -> Option<Fact> {
    let mut lines: Vec<(String, &str)> = Vec::new();
    for LeftOut { figure, reason } in &report.figures.left_out {
        let figure = figure.replace('_', "-");
        match lines.iter_mut().find(|line| line.1 == reason) {
            Some((figures, _)) => *figures += &format!(", {figure}"),
            None => lines.push((figure, reason)),
        }
    }
    let lines: Vec<String> =
        lines.into_iter().map(|(figures, reason)| format!("{figures}: {reason}")).collect();
    (!lines.is_empty()).then(|| Fact { key: "left out".into(), lines })
}

/// Those of speed, memory and the machine.
fn of_machine(report: &Report) -> Vec<Fact> {
    let figures = &report.figures;
    let mut facts: Vec<Fact> = figures.speed_up.iter().map(speed_up).collect();
    facts.push(against_q4_0(&figures.against_q4_0));
    facts.extend(figures.memory.iter().map(memory));
    facts.extend(figures.hardware.iter().map(hardware));
    facts
}

/// The section of speed, memory and the machine.
pub fn section(report: &Report) -> Option<Section> {
    let left_out = report.figures.left_out.iter().map(|left_out| Note {
        tone: Tone::Plain,
        text: format!("{} is left out: {}", left_out.figure.replace('_', "-"), left_out.reason),
    });
    let notes: Vec<Note> = left_out.collect();
    let mut parts = vec![Part::Facts(of_machine(report))];
    if !notes.is_empty() {
        parts.push(Part::Notes(notes));
    }
    Section::of("figures", "Speed, memory and the machine", parts)
}

/// The section of activations, layer by layer.
pub fn layers(report: &Report) -> Option<Section> {
    let AlignmentFigure { alignment, worst: badly } = report.figures.alignment.as_ref()?;
    let series = |name: &str, mark, of: fn(&LayerAlignment) -> f64| Series {
        name: name.into(),
        mark,
        points: alignment
            .layers
            .iter()
            .map(|layer| {
                Point::new(layer.layer as f64, of(layer), format!("layer {}", layer.layer))
            })
            .collect(),
    };
    let row = |of: &LayerAlignment| {
        let LayerAlignment { layer, mean_drift, deviation_drift, jensen_shannon, cosine, error } =
            *of;
        vec![
            layer.to_string(),
            short(jensen_shannon),
            short(error),
            format!("{cosine:.5}"),
            short(mean_drift),
            short(deviation_drift),
        ]
    };
    let columns = [
        "#layer",
        "#Jensen-Shannon, bits",
        "#squared error",
        "#cosine",
        "#drift of the mean",
        "#drift of the deviation",
    ];
    let figure = Figure {
        title: "Activations by layer",
        caption: format!(
            "The residual stream after each layer against that of the full-precision model, on {} \
             tokens of held-out text: the divergence of its histograms, and its squared error as a \
             share of its square.",
            alignment.tokens
        ),
        picture: Picture::Plot(Plot {
            x: Axis { label: "layer", is_log: false, unit: Unit::Plain },
            y: Axis { label: "divergence in bits, and error", is_log: true, unit: Unit::Plain },
            series: vec![
                series("Jensen-Shannon divergence", Mark::Line, |layer| layer.jensen_shannon),
                series("squared error", Mark::Dashed, |layer| layer.error),
            ],
        }),
        table: Table::new(columns).with(alignment.layers.iter().map(row)),
        more: Vec::new(),
    };
    let named = |worst_of: &Worst| Note { tone: Tone::Plain, text: one_line(worst(worst_of)) };
    let parts = vec![Part::Notes(badly.iter().map(named).collect()), Part::Figure(figure)];
    Section::of("alignment", "Alignment by layer", parts)
}

fn speed_up(speed: &SpeedFigure) -> Fact {
    let SpeedFigure { source, on_target, input, output, ratio } = speed;
    let how = match source {
        SpeedSource::Measured { rounds, spread: Some(spread), .. } => {
            let percent = 100.0 * spread;
            format!("measured by llama-bench, {rounds} runs within {percent:.0} %")
        }
        SpeedSource::Measured { .. } => "measured by llama-bench, in a single run".to_string(),
        SpeedSource::Estimated { .. } => "estimated".to_string(),
    };
    let on = if *on_target { "" } else { " on this machine, which is not the target" };
    let [from, to] = [input, output].map(|it| (tokens(it.generation), tokens(it.prompt)));
    let mut lines = vec![
        format!(
            "{:.2}x in generation, {:.2}x in prompts ({how}{on}):",
            ratio.generation, ratio.prompt
        ),
        format!("{} -> {} and {} -> {} tokens/s", from.0, to.0, from.1, to.1),
    ];
    if let SpeedSource::Estimated { because } = source {
        lines.push(because.clone());
    }
    Fact { key: "speed-up".into(), lines }
}

/// Three digits, as far as there are so many.
fn tokens(per_second: f64) -> String {
    let decimals = if per_second < 10.0 { 2 } else { usize::from(per_second < 100.0) };
    format!("{per_second:.decimals$}")
}

fn against_q4_0(speed: &RelativeSpeed) -> Fact {
    let RelativeSpeed { generation, prompt, asked } = speed;
    let asked = asked.map(|floor| format!(" (--speed {floor})")).unwrap_or_default();
    let told = format!("{generation:.2}x in generation, {prompt:.2}x in prompts, by format{asked}");
    Fact::new("against Q4_0", told)
}

fn memory(memory: &MemoryFigure) -> Fact {
    let MemoryUse { weights, repacked, kv_cache, compute } = memory.bytes;
    let [weights, kv_cache, compute] = [weights, kv_cache, compute].map(bytes);
    let share = 100.0 * memory.utilisation;
    let mut lines = vec![format!(
        "{share:.1} % of the memory: weights {weights}, KV cache {kv_cache}, buffers {compute}"
    )];
    if repacked > 0 {
        let allocated = bytes(memory.allocated);
        lines.push(format!("with AVX2, {allocated} are allocated: {} repacked", bytes(repacked)));
    }
    Fact { key: "utilisation".into(), lines }
}

fn hardware(hardware: &HardwareFigure) -> Fact {
    let Ceilings { bytes_per_second, flops_per_second } = hardware.ceilings;
    let (bandwidth, rate) = (bytes_per_second / 1e9, flops_per_second / 1e9);
    let of = |used: &Utilisation| {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        (percent(used.of_bandwidth), percent(used.of_flops))
    };
    let (generation, prompt) = (of(&hardware.generation), of(&hardware.prompt));
    let lines = vec![
        format!("generation {} of {bandwidth:.1} GB/s,", generation.0),
        format!("{} of {rate:.0} GFLOP/s;", generation.1),
        format!("prompts {} and {}", prompt.0, prompt.1),
    ];
    Fact { key: "hardware".into(), lines }
}

fn alignment(figure: &AlignmentFigure) -> Fact {
    let AlignmentFigure { alignment, worst: badly } = figure;
    let cosines = alignment.layers.iter().map(|layer| layer.cosine);
    let least = cosines.fold(f64::INFINITY, f64::min);
    let first = format!(
        "cosine of the stream {least:.4} or more over {} layers, {} tokens; worst:",
        alignment.layers.len(),
        alignment.tokens
    );
    let lines = [first].into_iter().chain(badly.iter().flat_map(worst)).collect();
    Fact { key: "alignment".into(), lines }
}

fn one_line(lines: Vec<String>) -> String {
    let lines: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
    lines.join("; ")
}

/// What is known of a layer that is badly aligned.
pub fn worst(worst: &Worst) -> Vec<String> {
    let Worst { layer, jensen_shannon, error, error_before, formats, largest, .. } = worst;
    let mut lines = vec![format!(
        "layer {layer}: divergence {jensen_shannon:.2e} bits, error {error:.1e}, {error_before:.1e} \
         before it"
    )];
    if let Some(LargestError { role, format, error, of_outputs, .. }) = largest {
        let what = if *of_outputs { "outputs" } else { "weights" };
        let told = format!("  most by {role} in {format}: {error:.1e} of the square of its {what}");
        lines.push(told);
    }
    if !formats.is_empty() {
        let formats = formats.iter().map(|(format, n)| format!("{format} x {n}"));
        lines.push(format!("  {}", formats.collect::<Vec<_>>().join(", ")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_have_three_digits() {
        assert_eq!([1718.6, 99.96, 35.07, 0.527].map(tokens), ["1719", "100.0", "35.1", "0.53"]);
    }
}
