//! Several sizes of one model: a table of all, to choose from.

use crate::report::document::{
    Document, Fact, Figure, Mark, Note, Part, Picture, Plot, Point, Section, Series, Table, Tone,
};
use crate::report::export::Tell;
use crate::report::{FamilyReport, RecipeReport, Report};

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
    let more = if recipes.is_empty() { "" } else { glance::RECIPES };
    let figure = Figure {
        title: "Size and loss",
        caption: format!(
            "Left and below is better. What is lost is measured on held-out text that the \
             full-precision model wrote, the same for all. {more}"
        ),
        picture: Picture::Plot(Plot {
            x: glance::SIZE,
            y: glance::KLD,
            series: of_recipes.into_iter().chain([models]).collect(),
        }),
        table: table(family),
    };
    let note = |text| Note { tone: Tone::Warning, text };
    let notes: Vec<Note> = family.warnings().into_iter().map(note).collect();
    let notes = (!notes.is_empty()).then_some(Part::Notes(notes));
    let parts = [Part::Figure(figure)].into_iter().chain(notes).collect();
    Section::of("sizes", "Which file to take", parts)
}

/// A row for each model, and for each recipe if they were measured.
pub fn table(family: &FamilyReport) -> Table {
    let models = family.members.iter().map(|member| glance::model_row(member, &file(member)));
    Table::new(glance::COLUMNS).with(models.chain(recipes(family).iter().map(glance::recipe_row)))
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
        let mut lines = vec![format!("opencog-qat {}", member.flags)];
        lines.extend(member.output_sha256.iter().map(|hash| format!("SHA-256 {hash}")));
        facts.push(Fact { key: file(member), lines });
    }
    let seconds: f64 = family.seconds();
    let said = format!(
        "One text, one survey and one search for all, in {seconds:.1} s. A run with these flags alone \
         makes a model of the same size that loses as much, but for chance; its bytes are others."
    );
    Section::of("made", "How they were made", vec![Part::Text(said), Part::Facts(facts)])
}

/// The name of a model's file.
fn file(member: &Report) -> String {
    provenance::title(member)
}
