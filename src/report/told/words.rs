//! KLD along the text, and the places where the models say different things.

use crate::report::document::{
    Axis, Figure, Mark, Part, Passage, Picture, Plot, Point, Section, Series, Table, Unit,
};
use crate::report::numbers::short;
use crate::report::{Evaluation, Report};
use crate::validate::{Said, Stretch, Surprise};

/// The section of a run's report.
pub fn section(report: &Report) -> Option<Section> {
    of(&report.evaluations)
}

/// The section about these evaluations.
pub fn of(evaluations: &[Evaluation]) -> Option<Section> {
    let parts = evaluations.iter().flat_map(|evaluation| {
        let worst = &evaluation.along.worst;
        let passages =
            (!worst.is_empty()).then(|| Part::Passages(worst.iter().map(passage).collect()));
        let said = passages.is_some().then(|| {
            Part::Text(format!(
                "Where they differ most on {}: the text so far, what follows, and what each model \
                 finds the likeliest.",
                evaluation.text
            ))
        });
        along(evaluation).map(Part::Figure).into_iter().chain(said).chain(passages)
    });
    Section::of("words", "Along the text", parts.collect())
}

fn along(evaluation: &Evaluation) -> Option<Figure> {
    let stretches = &evaluation.along.stretches;
    if stretches.len() < 2 {
        return None;
    }
    let middle = |it: &Stretch| it.first as f64 + 0.5 * it.positions as f64;
    let point = |it: &Stretch| {
        let last = it.first + it.positions - 1;
        let label = format!("positions {} to {last}: {}", it.first, short(it.mean_kld));
        Point::new(middle(it), it.mean_kld, label)
    };
    let row = |it: &Stretch| {
        vec![
            it.first.to_string(),
            it.positions.to_string(),
            format!("{:.5}", it.mean_kld),
            format!("{:.5}", it.max_kld),
        ]
    };
    let mean = evaluation.statistics.kld.value;
    let end = stretches.last().map_or(0, |it| it.first + it.positions);
    let ends = [0.0, end as f64].map(|x| Point::new(x, mean, format!("mean: {}", short(mean))));
    Some(Figure {
        title: "KLD along the text",
        caption: format!(
            "The mean KLD of {} positions at a time on {}, in the order of the text. The dashed line \
             is the mean of all.",
            stretches[0].positions, evaluation.text
        ),
        picture: Picture::Plot(Plot {
            x: Axis { label: "scored position", is_log: false, unit: Unit::Plain },
            y: Axis { label: "KLD, nats per token", is_log: false, unit: Unit::Plain },
            series: vec![
                Series {
                    name: "mean KLD".into(),
                    mark: Mark::Area,
                    points: stretches.iter().map(point).collect(),
                },
                Series { name: "mean of all".into(), mark: Mark::Dashed, points: ends.into() },
            ],
        }),
        table: Table::new(["#from position", "#positions", "#mean KLD", "#largest KLD"])
            .with(stretches.iter().map(row)),
        more: Vec::new(),
    })
}

fn passage(of: &Surprise) -> Passage {
    let Surprise { chunk, position, kld, before, next, next_quantized, .. } = of;
    let said = |by, said: &Said| (by, said.token.clone(), probability(said.probability));
    let next_said = format!(
        "{} in full precision, {} quantized",
        probability(next.probability),
        probability(*next_quantized)
    );
    Passage {
        heading: format!("KLD {kld:.3}, chunk {chunk}, position {position}"),
        before: before.clone(),
        next: next.token.clone(),
        said: vec![
            said("full precision", &of.full_precision),
            said("quantized", &of.quantized),
            ("the text", next.token.clone(), next_said),
        ],
    }
}

/// A probability in percent.
fn probability(share: f32) -> String {
    let percent = 100.0 * share;
    match percent {
        0.1.. => format!("{percent:.1} %"),
        0.0 => "0 %".into(),
        _ => format!("{percent:.1e} %"),
    }
}
