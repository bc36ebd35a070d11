//! A page that needs no other file: no script, no font, no picture from elsewhere. Its policy
//! forbids browsers to ask for any.

use std::fmt::Write;

use super::escape::html as escape;
use super::svg;
use crate::report::document::{
    Column, Document, Fact, Figure, Note, Part, Passage, Picture, Section, Table, Tile, Tone,
};

/// How the page looks.
const STYLE: &str = include_str!("page.css");
/// Rows of a table that are shown without being asked for.
const ROWS: usize = 16;
/// Rows of a figure's table that are shown at once.
const FEW_ROWS: usize = 12;

/// The document as a page.
pub fn html(document: &Document) -> String {
    let title = escape(&document.title);
    let mut page = Page(format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'; img-src data:\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <link rel=\"icon\" href=\"data:,\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <header>\n<h1>{title}</h1>\n<p class=\"lead\">{}</p>\n",
        escape(&document.lead)
    ));
    page.contents(&document.sections);
    page.put("</header>\n");
    document.sections.iter().for_each(|section| page.section(section));
    page.put("</main>\n</body>\n</html>\n");
    page.0
}

/// A page that is being written.
struct Page(String);

impl Page {
    fn put(&mut self, text: &str) {
        self.0.push_str(text);
    }

    fn format(&mut self, text: std::fmt::Arguments) {
        self.0.write_fmt(text).expect("writing to a string cannot fail");
    }

    fn contents(&mut self, sections: &[Section]) {
        if sections.len() < 3 {
            return;
        }
        self.put("<nav aria-label=\"Sections\">");
        for Section { id, heading, .. } in sections {
            self.format(format_args!("<a href=\"#{}\">{}</a> ", escape(id), escape(heading)));
        }
        self.put("</nav>\n");
    }

    fn section(&mut self, section: &Section) {
        let (id, heading) = (escape(section.id), escape(section.heading));
        self.format(format_args!("<section id=\"{id}\">\n<h2>{heading}</h2>\n"));
        section.parts.iter().for_each(|part| self.part(part, section.heading));
        self.put("</section>\n");
    }

    fn part(&mut self, part: &Part, heading: &str) {
        match part {
            Part::Tiles(tiles) => self.tiles(tiles),
            Part::Text(text) => self.format(format_args!("<p>{}</p>\n", escape(text))),
            Part::Facts(facts) => self.facts(facts),
            Part::Table(table) if table.rows.len() > ROWS => {
                let rows = table.rows.len();
                self.format(format_args!("<details><summary>{rows} rows</summary>\n"));
                self.table(table, heading);
                self.put("</details>\n");
            }
            Part::Table(table) => self.table(table, heading),
            Part::Figure(figure) => self.figure(figure),
            Part::Notes(notes) => self.notes(notes),
            Part::Passages(passages) => self.passages(passages),
            Part::Command(command) => {
                // Lines break between words only: not within a flag, nor before its value.
                let word = |word: &String| format!("<span>{}</span>", escape(word));
                let words: Vec<String> = command.words().iter().map(word).collect();
                let words = words.join(" ");
                self.format(format_args!("<pre tabindex=\"0\"><code>{words}</code></pre>\n"));
            }
        }
    }

    fn tiles(&mut self, tiles: &[Tile]) {
        self.put("<dl class=\"tiles\">\n");
        for Tile { label, value, detail, verdict } in tiles {
            let (class, said) = match verdict {
                None => ("", ""),
                Some(true) => (" class=\"met\"", "<span class=\"verdict\">met</span>"),
                Some(false) => (" class=\"missed\"", "<span class=\"verdict\">missed</span>"),
            };
            let (label, value, detail) = (escape(label), escape(value), escape(detail));
            self.format(format_args!(
                "<div{class}><dt>{label}{said}</dt><dd class=\"value\">{value}</dd>\
                 <dd class=\"detail\">{detail}</dd></div>\n"
            ));
        }
        self.put("</dl>\n");
    }

    fn facts(&mut self, facts: &[Fact]) {
        self.put("<dl class=\"facts\">\n");
        for Fact { key, lines } in facts {
            let lines: Vec<String> = lines.iter().map(|line| escape(line)).collect();
            let (key, value) = (escape(key), lines.join("<br>"));
            self.format(format_args!("<div><dt>{key}</dt><dd>{value}</dd></div>\n"));
        }
        self.put("</dl>\n");
    }

    /// A table in a box of its own, which scrolls where it is too narrow.
    fn table(&mut self, table: &Table, about: &str) {
        let about = escape(about);
        self.format(format_args!(
            "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"{about}\">\
             <table>\n<thead><tr>"
        ));
        let class = |column: &Column| if column.is_number { " class=\"n\"" } else { "" };
        for column in &table.columns {
            let name = escape(&column.name);
            self.format(format_args!("<th scope=\"col\"{}>{name}</th>", class(column)));
        }
        self.put("</tr></thead>\n<tbody>\n");
        for row in &table.rows {
            self.put("<tr>");
            for (cell, column) in row.iter().zip(&table.columns) {
                self.format(format_args!("<td{}>{}</td>", class(column), escape(cell)));
            }
            self.put("</tr>\n");
        }
        self.put("</tbody></table></div>\n");
    }

    fn figure(&mut self, figure: &Figure) {
        let Figure { title, caption, picture, table, more } = figure;
        let picture = match picture {
            Picture::Plot(plot) => svg::plot(plot, &format!("{title}. {caption}")),
            Picture::HeatMap(map) => svg::heat_map(map, &format!("{title}. {caption}")),
        };
        let (heading, caption) = (escape(title), escape(caption));
        // A short table is shown at once.
        let open = if table.rows.len() <= FEW_ROWS { " open" } else { "" };
        self.format(format_args!(
            "<figure>\n<figcaption><h3>{heading}</h3><p>{caption}</p></figcaption>\n{picture}\n\
             <details{open}><summary>The numbers</summary>\n"
        ));
        self.table(table, title);
        self.put("</details>\n");
        for (name, table) in more {
            let summary = escape(name);
            self.format(format_args!("<details><summary>{summary}</summary>\n"));
            self.table(table, name);
            self.put("</details>\n");
        }
        self.put("</figure>\n");
    }

    fn notes(&mut self, notes: &[Note]) {
        self.put("<ul class=\"notes\">\n");
        for Note { tone, text } in notes {
            let (class, name) = match tone {
                Tone::Plain => ("plain", ""),
                Tone::Warning => ("warning", "<b>Warning.</b> "),
                Tone::Missed => ("missed", "<b>Target missed.</b> "),
            };
            let text = escape(text);
            self.format(format_args!("<li class=\"{class}\">{name}{text}</li>\n"));
        }
        self.put("</ul>\n");
    }

    fn passages(&mut self, passages: &[Passage]) {
        self.put("<ol class=\"passages\">\n");
        for Passage { heading, before, next, said } in passages {
            let (heading, before, next) = (escape(heading), shown(before), shown(next));
            self.format(format_args!(
                "<li><p class=\"where\">{heading}</p><blockquote>…{before}<mark>{next}</mark>\
                 </blockquote><dl>"
            ));
            for (by, token, about) in said {
                let (by, token, about) = (escape(by), shown(token), escape(about));
                self.format(format_args!(
                    "<div><dt>{by}</dt><dd><code>{token}</code> <span>{about}</span></dd></div>"
                ));
            }
            self.put("</dl></li>\n");
        }
        self.put("</ol>\n");
    }
}

/// Text of a model, with signs for what would not be seen.
fn shown(text: &str) -> String {
    escape(&text.replace('\n', "↵").replace('\t', "⇥"))
}
