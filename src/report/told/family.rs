//! Several sizes of one model: a table of all, to choose from.

use crate::report::document::Tell;
use crate::report::document::{
    Document, Fact, Figure, Mark, Note, Part, Picture, Plot, Point, Section, Series, Table, Tone,
};
use crate::report::{Evaluation, FamilyReport, RecipeReport, Report};
use crate::validate::Statistics;

use super::{glance, provenance};

impl Tell for FamilyReport {
    fn document(&self) -> Document {
        let first = self.members.first();
        let name = self.folder.file_name().unwrap_or(self.folder.as_os_str());
        Document {
            title: name.to_string_lossy().into_owned(),
            lead: first.map(provenance::lead).unwrap_or_default(),
            front_matter: first.map(provenance::front_matter).unwrap_or_default(),
            sections: [sizes(self), use_it(self), made(self)].into_iter().flatten().collect(),
        }
    }
}

/// The models side by side.
fn sizes(family: &FamilyReport) -> Option<Section> {
    let points = family.members.iter().filter_map(|member| glance::point(member, &file(member)));
    let mut points: Vec<Point> = points.collect();
    points.sort_by(|a, b| a.x.total_cmp(&b.x));
    let recipes = recipes(family);
    let of_recipes = (!recipes.is_empty()).then(|| glance::of_recipes(recipes));
    let models = Series { name: "these models".into(), mark: Mark::Line, points };
    let more = if recipes.is_empty() { String::new() } else { format!(" {}", glance::RECIPES) };
    let text = family.members.iter().find_map(eval_text).map(|text| {
        let Evaluation { text, statistics, .. } = text;
        let perplexity = statistics.ppl_base.value;
        format!(" The evaluation text is {text}; full precision has a perplexity of {perplexity:.3} on it.")
    });
    let text = text.unwrap_or_default();
    let figure = Figure {
        title: "Size and loss",
        caption: format!(
            "Left and below is better. What is lost is measured on held-out text that the \
             full-precision model wrote, the same for all.{more}{text}"
        ),
        picture: Picture::Plot(Plot {
            x: glance::SIZE,
            y: glance::KLD,
            series: of_recipes.into_iter().chain([models]).collect(),
        }),
        table: table(family),
        more: Vec::new(),
    };
    let note = |text| Note { tone: Tone::Warning, text };
    let notes: Vec<Note> = family.warnings().into_iter().map(note).collect();
    let notes = (!notes.is_empty()).then_some(Part::Notes(notes));
    let parts = [Part::Figure(figure)].into_iter().chain(notes).collect();
    Section::of("sizes", "Which file to take", parts)
}

/// The columns that an evaluation text adds.
const OF_TEXT: [&str; 2] = ["#KLD on the evaluation text", "#its perplexity"];

/// A row for each model, and for each recipe if they were measured.
pub fn table(family: &FamilyReport) -> Table {
    let models = family.members.iter().map(|member| {
        let row = glance::model_row(member, &file(member));
        (row, eval_text(member))
    });
    // Recipes are measured on the model's own text only.
    let recipes = recipes(family).iter().map(|recipe| (glance::recipe_row(recipe), None));
    let rows: Vec<(Vec<String>, Option<&Evaluation>)> = models.chain(recipes).collect();
    let is_evaluated = rows.iter().any(|(_, evaluation)| evaluation.is_some());
    let of_text: &[&str] = if is_evaluated { &OF_TEXT } else { &[] };
    let columns = glance::COLUMNS.into_iter().chain(of_text.iter().copied());
    let rows = rows.into_iter().map(|(row, evaluation)| {
        let figures = match evaluation.map(|of| &of.statistics) {
            Some(Statistics { kld, ppl, .. }) => {
                [glance::kld_and_error(kld.value, Some(kld.error)), format!("{:.3}", ppl.value)]
            }
            None => ["–".into(), "–".into()],
        };
        row.into_iter().chain(figures.into_iter().take(of_text.len())).collect()
    });
    Table::new(columns).with(rows)
}

/// What a model loses on the evaluation text, if one was given and could be read.
fn eval_text(member: &Report) -> Option<&Evaluation> {
    member.evaluations.iter().find(|evaluation| !evaluation.text.is_own())
}

/// They are measured once for all.
fn recipes(family: &FamilyReport) -> &[RecipeReport] {
    family.members.iter().find_map(|member| member.recipes.as_deref()).unwrap_or_default()
}

/// How one of them is run.
fn use_it(family: &FamilyReport) -> Option<Section> {
    family.members.first().and_then(provenance::use_it)
}

/// How each was made.
fn made(family: &FamilyReport) -> Option<Section> {
    let mut facts = Vec::new();
    for member in &family.members {
        let hash = member.output_sha256.as_ref();
        facts.extend(hash.map(|hash| Fact::new(file(member), format!("SHA-256 {hash}"))));
    }
    let seconds: f64 = family.seconds();
    let said = format!(
        "One text, one survey and one search for all, in {seconds:.1} s. The same command makes the \
         same models again; a run for one size alone makes one that loses as much, but for chance: \
         its bytes are others."
    );
    let mut parts = vec![Part::Text(said), Part::Command(family.command.clone())];
    if !facts.is_empty() {
        parts.push(Part::Facts(facts));
    }
    Section::of("made", "How they were made", parts)
}

/// The name of a model's file.
fn file(member: &Report) -> String {
    provenance::title(member)
}
