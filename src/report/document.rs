//! What is told, apart from how it is laid out: a document of sections, in which every picture has
//! its table. All text in it is plain: whoever lays it out escapes it.

use serde::Serialize;

use super::Command;

/// Something that a report is made of: a run, an evaluation, OpenCog data.
pub trait Tell: Serialize {
    /// What is told of it.
    fn document(&self) -> Document;
}

/// What is told of a run, of an evaluation or of OpenCog data.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Document {
    /// What it is about.
    pub title: String,
    /// A line below the title.
    pub lead: String,
    /// What a model card says to programs; empty where this is none.
    pub front_matter: Vec<(&'static str, FrontMatter)>,
    /// The sections, in order.
    pub sections: Vec<Section>,
}

/// A value of a model card's head.
#[derive(Debug, Clone, PartialEq)]
pub enum FrontMatter {
    /// One text.
    One(String),
    /// A list of texts.
    Many(Vec<String>),
}

/// What belongs under one heading.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// Its name in links: letters and hyphens.
    pub id: &'static str,
    /// Its heading.
    pub heading: &'static str,
    /// What stands there, in order.
    pub parts: Vec<Part>,
}

/// A piece of a section.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// What a reader looks for first.
    Tiles(Vec<Tile>),
    /// A paragraph.
    Text(String),
    /// Keys and values.
    Facts(Vec<Fact>),
    /// A table.
    Table(Table),
    /// A picture and its table.
    Figure(Figure),
    /// What the reader should know.
    Notes(Vec<Note>),
    /// Places of a text at which two models differ.
    Passages(Vec<Passage>),
    /// A command for a shell.
    Command(Command),
}

/// A number in large type.
#[derive(Debug, Clone, PartialEq)]
pub struct Tile {
    /// What it is.
    pub label: &'static str,
    /// The number and its unit.
    pub value: String,
    /// What it compares with.
    pub detail: String,
    /// Whether a target was met that was asked for.
    pub verdict: Option<bool>,
}

/// A key and its value, which has a line of its own for each thing that is said.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// The key.
    pub key: String,
    /// The lines of the value.
    pub lines: Vec<String>,
}

/// Rows of cells.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows; each has a cell for each column.
    pub rows: Vec<Vec<String>>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its heading.
    pub name: String,
    /// Whether it holds numbers, which end at the same edge.
    pub is_number: bool,
}

/// A picture, what it shows, and the numbers that it is drawn from.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Its title.
    pub title: &'static str,
    /// What it shows, in a sentence or two: for those who cannot see it, too.
    pub caption: String,
    /// What is drawn.
    pub picture: Picture,
    /// The same numbers.
    pub table: Table,
    /// Those that need tables of their own, each with its name.
    pub more: Vec<(&'static str, Table)>,
}

/// What is drawn.
#[derive(Debug, Clone, PartialEq)]
pub enum Picture {
    /// Points and lines over two axes.
    Plot(Plot),
    /// Cells that are coloured by a number.
    HeatMap(HeatMap),
}

/// Points and lines.
#[derive(Debug, Clone, PartialEq)]
pub struct Plot {
    /// What lies to the right.
    pub x: Axis,
    /// What lies above.
    pub y: Axis,
    /// What is drawn, the first below all others.
    pub series: Vec<Series>,
}

/// An axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// What it shows, with the unit.
    pub label: &'static str,
    /// Whether equal lengths are equal ratios. What is not above 0 is then not drawn.
    pub is_log: bool,
    /// How its numbers are written.
    pub unit: Unit,
}

/// How the numbers of an axis or a scale are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// As numbers.
    Plain,
    /// As bytes, with a decimal unit.
    Bytes,
}

/// Points that belong together.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What they are.
    pub name: String,
    /// How they are drawn.
    pub mark: Mark,
    /// The points.
    pub points: Vec<Point>,
}

/// How a series is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// A line through the points.
    Line,
    /// A thinner, dashed line.
    Dashed,
    /// A filled area below a line.
    Area,
    /// Small rings.
    Ring,
    /// Dots.
    Dot,
    /// Squares.
    Square,
    /// A large dot: what it is all about.
    Star,
}

/// A point.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// To the right.
    pub x: f64,
    /// Above.
    pub y: f64,
    /// What it is; of a point whose series is named only, empty.
    pub label: String,
    /// Whether the label is written beside it, too.
    pub is_named: bool,
}

/// Cells in rows and columns, coloured by a number.
#[derive(Debug, Clone, PartialEq)]
pub struct HeatMap {
    /// What the columns are.
    pub columns: &'static str,
    /// The names of the columns.
    pub column_names: Vec<String>,
    /// Rows: their names, and a cell for each column; a row of a single cell spans them all.
    pub rows: Vec<(String, Vec<Option<Cell>>)>,
    /// How numbers become colours.
    pub scale: Scale,
    /// What the colours stand for.
    pub legend: String,
}

/// A cell of a heat map.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// The number.
    pub value: f64,
    /// What it is.
    pub label: String,
}

/// How numbers become colours.
#[derive(Debug, Clone, PartialEq)]
pub enum Scale {
    /// One colour for each of these numbers, which have names; in order.
    Steps(Vec<(f64, String)>),
    /// Colours between the ends, equal steps for equal ratios.
    Log {
        /// What has the first colour, and all below it.
        low: f64,
        /// What has the last.
        high: f64,
    },
}

/// Something that the reader should know.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    /// How much it matters.
    pub tone: Tone,
    /// A sentence.
    pub text: String,
}

/// How much something matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// It is good to know.
    Plain,
    /// It may need something to be done.
    Warning,
    /// A target was missed.
    Missed,
}

/// A place of a text at which two models differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Passage {
    /// Where it is, and how much they differ.
    pub heading: String,
    /// The text before it.
    pub before: String,
    /// What follows there.
    pub next: String,
    /// What was said: by whom, the token, and what is to be known of it.
    pub said: Vec<(&'static str, String, String)>,
}

impl Document {
    /// The section of this name, if there is one.
    pub fn section(&self, id: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.id == id)
    }
}

impl Section {
    /// A section, if there is anything in it.
    pub fn of(id: &'static str, heading: &'static str, parts: Vec<Part>) -> Option<Section> {
        (!parts.is_empty()).then_some(Section { id, heading, parts })
    }
}

impl Fact {
    /// A fact of one line.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Fact {
        Fact { key: key.into(), lines: vec![value.into()] }
    }
}

impl Table {
    /// An empty table whose columns have these names; those that begin with `#` hold numbers.
    pub fn new<'n>(columns: impl IntoIterator<Item = &'n str>) -> Table {
        let column = |name: &str| match name.strip_prefix('#') {
            Some(name) => Column { name: name.into(), is_number: true },
            None => Column { name: name.into(), is_number: false },
        };
        Table { columns: columns.into_iter().map(column).collect(), rows: Vec::new() }
    }

    /// The table with these rows.
    pub fn with(self, rows: impl IntoIterator<Item = Vec<String>>) -> Table {
        let table = Table { rows: rows.into_iter().collect(), ..self };
        debug_assert!(table.rows.iter().all(|row| row.len() == table.columns.len()));
        table
    }
}

impl Point {
    /// A point that is known by its label when it is pointed at.
    pub fn new(x: f64, y: f64, label: impl Into<String>) -> Point {
        Point { x, y, label: label.into(), is_named: false }
    }

    /// A point with its label written beside it.
    pub fn named(x: f64, y: f64, label: impl Into<String>) -> Point {
        Point { is_named: true, ..Point::new(x, y, label) }
    }
}
