//! A model card, ready to publish: what programs read of it in its head, then sections with tables.
//! Pictures are left out, and their tables where these are long.

use std::fmt::Write;

use super::escape::{markdown as escape, yaml};
use crate::report::document::{
    Column, Document, Fact, Figure, FrontMatter, Note, Part, Passage, Section, Table, Tile, Tone,
};

/// Rows of a table that a card has room for.
const ROWS: usize = 40;

/// The document as Markdown.
pub fn markdown(document: &Document) -> String {
    let mut card = Card(String::new());
    card.front_matter(&document.front_matter);
    card.line(&format!("# {}", escape(&document.title)));
    card.line(&escape(&document.lead));
    document.sections.iter().for_each(|section| card.section(section));
    card.0.trim_end().to_string() + "\n"
}

/// A card that is being written.
struct Card(String);

impl Card {
    /// A block, and the empty line that ends it.
    fn line(&mut self, text: &str) {
        self.format(format_args!("{text}\n\n"));
    }

    fn format(&mut self, text: std::fmt::Arguments) {
        self.0.write_fmt(text).expect("writing to a string cannot fail");
    }

    fn front_matter(&mut self, head: &[(&'static str, FrontMatter)]) {
        if head.is_empty() {
            return;
        }
        self.format(format_args!("---\n"));
        for (key, value) in head {
            match value {
                FrontMatter::One(text) => self.format(format_args!("{key}: {}\n", yaml(text))),
                FrontMatter::Many(texts) => {
                    self.format(format_args!("{key}:\n"));
                    texts.iter().for_each(|text| self.format(format_args!("- {}\n", yaml(text))));
                }
            }
        }
        self.format(format_args!("---\n\n"));
    }

    /// A section, if anything of it is for a card.
    fn section(&mut self, section: &Section) {
        let before = self.0.len();
        self.line(&format!("## {}", section.heading));
        let begun = self.0.len();
        section.parts.iter().for_each(|part| self.part(part));
        if self.0.len() == begun {
            self.0.truncate(before);
        }
    }

    fn part(&mut self, part: &Part) {
        match part {
            Part::Tiles(tiles) => self.tiles(tiles),
            Part::Text(text) => self.line(&escape(text)),
            Part::Facts(facts) => self.facts(facts),
            Part::Table(table) => self.table(table),
            Part::Figure(Figure { title, caption, table, more, .. })
                if table.rows.len() <= ROWS =>
            {
                self.line(&format!("### {title}"));
                self.line(&escape(caption));
                self.table(table);
                for (name, table) in more.iter().filter(|(_, table)| table.rows.len() <= ROWS) {
                    self.line(&format!("{}:", escape(name)));
                    self.table(table);
                }
            }
            Part::Figure(_) => {}
            Part::Notes(notes) => self.notes(notes),
            Part::Passages(passages) => self.passages(passages),
            Part::Command(command) => self.code(&command.to_string()),
        }
    }

    fn tiles(&mut self, tiles: &[Tile]) {
        self.format(format_args!("| | | |\n|---|---:|---|\n"));
        for Tile { label, value, detail, verdict } in tiles {
            let verdict = match verdict {
                None => "",
                Some(true) => ": met",
                Some(false) => ": **missed**",
            };
            let (label, value, detail) = (escape(label), escape(value), escape(detail));
            self.format(format_args!("| {label} | {value} | {detail}{verdict} |\n"));
        }
        self.format(format_args!("\n"));
    }

    fn facts(&mut self, facts: &[Fact]) {
        self.format(format_args!("| | |\n|---|---|\n"));
        for Fact { key, lines } in facts {
            let lines: Vec<String> = lines.iter().map(|line| escape(line)).collect();
            self.format(format_args!("| {} | {} |\n", escape(key), lines.join(" ")));
        }
        self.format(format_args!("\n"));
    }

    fn table(&mut self, table: &Table) {
        if table.rows.len() > ROWS {
            return;
        }
        let row = |cells: &[String]| cells.join(" | ");
        let names: Vec<String> = table.columns.iter().map(|column| escape(&column.name)).collect();
        let edge = |column: &Column| if column.is_number { "---:" } else { "---" }.to_string();
        let edges: Vec<String> = table.columns.iter().map(edge).collect();
        self.format(format_args!("| {} |\n| {} |\n", row(&names), row(&edges)));
        for cells in &table.rows {
            let cells: Vec<String> = cells.iter().map(|cell| escape(cell)).collect();
            self.format(format_args!("| {} |\n", row(&cells)));
        }
        self.format(format_args!("\n"));
    }

    fn notes(&mut self, notes: &[Note]) {
        for Note { tone, text } in notes {
            let name = match tone {
                Tone::Plain => "",
                Tone::Warning => "**Warning.** ",
                Tone::Missed => "**Target missed.** ",
            };
            self.format(format_args!("- {name}{}\n", escape(text)));
        }
        self.format(format_args!("\n"));
    }

    fn passages(&mut self, passages: &[Passage]) {
        self.format(format_args!("| | text | "));
        let said = passages.first().map_or(&[][..], |passage| &passage.said);
        said.iter().for_each(|(by, ..)| self.format(format_args!("{} | ", escape(by))));
        self.format(format_args!("\n|---|---|"));
        said.iter().for_each(|_| self.format(format_args!("---|")));
        self.format(format_args!("\n"));
        for Passage { heading, before, next, said } in passages {
            let (heading, before, next) =
                (escape(heading), escape(&shown(before)), escape(&shown(next)));
            self.format(format_args!("| {heading} | …{before}▸{next} | "));
            for (_, token, about) in said {
                let (token, about) = (escape(&shown(token)), escape(about));
                self.format(format_args!("“{token}” {about} | "));
            }
            self.format(format_args!("\n"));
        }
        self.format(format_args!("\n"));
    }

    /// A block of code, fenced by more backticks than it has in a row.
    fn code(&mut self, code: &str) {
        let longest = code.split(|c| c != '`').map(str::len).max().unwrap_or(0);
        let fence = "`".repeat((longest + 1).max(3));
        self.line(&format!("{fence}sh\n{code}\n{fence}"));
    }
}

/// Text of a model, with signs for what would not be seen.
fn shown(text: &str) -> String {
    text.replace('\n', "↵").replace('\t', "⇥")
}
