//! What is in a document does not change how it is laid out, whatever it is.

use proptest::prelude::*;

use super::{ReportFile, ReportFormat, html, markdown};
use crate::report::Command;
use crate::report::document::*;

/// A document with every kind of part, in which all that may come from a file is `text`.
fn document(text: &str) -> Document {
    let owned = || text.to_string();
    let table = || Table {
        columns: vec![Column { name: owned(), is_number: false }],
        rows: vec![vec![owned()]],
    };
    let point = |x| Point::named(x, x, owned());
    let axis = |unit| Axis { label: "axis", is_log: true, unit };
    let marks =
        [Mark::Line, Mark::Dashed, Mark::Area, Mark::Ring, Mark::Dot, Mark::Square, Mark::Star];
    let series = |mark| Series { name: owned(), mark, points: vec![point(1.0), point(20.0)] };
    let plot = Plot {
        x: axis(Unit::Bytes),
        y: axis(Unit::Plain),
        series: marks.into_iter().map(series).collect(),
    };
    let cell = |value| Some(Cell { value, label: owned() });
    let map = |scale| HeatMap {
        columns: "layer",
        column_names: vec![owned(), owned()],
        rows: vec![(owned(), vec![cell(1.0), None]), (owned(), vec![cell(2.0)])],
        scale,
        legend: owned(),
    };
    let figure = |picture| {
        Part::Figure(Figure {
            title: "Figure",
            caption: owned(),
            picture,
            table: table(),
            more: vec![("More", table())],
        })
    };
    let tones = [Tone::Plain, Tone::Warning, Tone::Missed];
    let tile = |verdict| Tile { label: "label", value: owned(), detail: owned(), verdict };
    let said = vec![("a model", owned(), owned())];
    let parts = vec![
        Part::Tiles([None, Some(true), Some(false)].map(tile).to_vec()),
        Part::Text(owned()),
        Part::Facts(vec![Fact { key: owned(), lines: vec![owned(), owned()] }]),
        Part::Table(table()),
        figure(Picture::Plot(plot)),
        figure(Picture::HeatMap(map(Scale::Steps(vec![(1.0, owned()), (2.0, owned())])))),
        figure(Picture::HeatMap(map(Scale::Log { low: 1.0, high: 2.0 }))),
        Part::Notes(tones.map(|tone| Note { tone, text: owned() }).to_vec()),
        Part::Passages(vec![Passage { heading: owned(), before: owned(), next: owned(), said }]),
        Part::Command(Command::new("x").word(text)),
    ];
    let head = vec![
        ("name", FrontMatter::One(owned())),
        ("tags", FrontMatter::Many(vec![owned(), owned()])),
    ];
    let sections = vec![Section { id: "all", heading: "All", parts }];
    Document { title: owned(), lead: owned(), front_matter: head, sections }
}

/// How often each of these stands in a page.
fn counts(page: &str, signs: &str) -> Vec<usize> {
    signs.chars().map(|sign| page.matches(sign).count()).collect()
}

/// Bars of tables: those that no backslash makes text.
fn bars(page: &str) -> usize {
    page.replace("\\\\", "").replace("\\|", "").matches('|').count()
}

/// A card without its head and without code, in which nothing is markup.
fn prose(card: &str) -> String {
    let body = card.splitn(3, "---\n").nth(2).unwrap();
    let (mut fence, mut prose) = (None, String::new());
    for line in body.lines() {
        match &fence {
            Some(end) if line == end => fence = None,
            Some(_) => {}
            None if line.starts_with("```") => {
                fence = Some(line.trim_end_matches("sh").to_string())
            }
            None => {
                prose += line;
                prose.push('\n');
            }
        }
    }
    prose
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_is_markup(text in prop_oneof![
        any::<String>(),
        "[<>&\"'`|\\\\\\[\\]()*_#\n\r a-z/=:;-]{0,40}",
        Just("<script>alert(1)</script>".to_string()),
        Just("\" onload=\"x".to_string()),
        Just("]]></style></svg><img src=x onerror=y>".to_string()),
        Just("---\n# x\n| a | b |\n```\n".to_string()),
    ]) {
        let (plain, page) = (html(&document("x")), html(&document(&text)));
        prop_assert_eq!(counts(&page, "<>\""), counts(&plain, "<>\""), "{}", text);
        let (plain, card) = (markdown(&document("x")), markdown(&document(&text)));
        prop_assert_eq!(card.lines().count(), plain.lines().count(), "{}", card);
        let (plain, card) = (prose(&plain), prose(&card));
        prop_assert_eq!(counts(&card, "<>"), counts(&plain, "<>"), "{}", card);
        prop_assert_eq!(bars(&card), bars(&plain), "{}", card);
    }
}

#[test]
fn a_page_has_all_that_is_told_and_asks_for_nothing() {
    let page = html(&document("what is told"));
    assert!(page.starts_with("<!doctype html>"));
    assert!(page.contains("default-src 'none'") && page.contains("prefers-color-scheme: dark"));
    for asked in ["<script", "http:", "https:", "url(", "@import", "src=", "<img"] {
        assert!(!page.contains(asked), "{asked}");
    }
    assert_eq!(page.matches("<figure>").count(), 3);
    assert_eq!(page.matches("The numbers").count(), 3, "every picture has its table");
    assert!(page.matches("what is told").count() > 60);
}

#[test]
fn a_card_has_a_head_for_programs_and_tables_for_people() {
    let card = markdown(&document("it's"));
    assert!(
        card.starts_with("---\nname: \"it's\"\ntags:\n- \"it's\"\n- \"it's\"\n---\n\n# it's\n")
    );
    assert!(card.contains("\n## All\n") && card.contains("\n```sh\nx 'it'\\''s'\n```\n"), "{card}");
    assert!(card.contains("| it's |\n| --- |\n| it's |\n"), "{card}");
}

#[test]
fn a_fence_is_longer_than_any_in_the_code() {
    let section = |text: &str| Section {
        id: "x",
        heading: "X",
        parts: vec![Part::Command(Command::new(text))],
    };
    let card =
        |text: &str| markdown(&Document { sections: vec![section(text)], ..Document::default() });
    assert!(card("a ```` b").contains("\n`````sh\n'a ```` b'\n`````"));
}

#[test]
fn the_extension_names_the_format() {
    let format = |path: &str| ReportFile::new(path.into()).map(|file| file.format());
    for (path, expected) in [
        ("a/x.json", ReportFormat::Json),
        ("X.HTML", ReportFormat::Html),
        ("x.htm", ReportFormat::Html),
        ("x.y.md", ReportFormat::Markdown),
    ] {
        assert_eq!(format(path), Ok(expected), "{path}");
    }
    for path in ["x", ".json", "x.txt", "json", "x.html/", "x.json.gz", ""] {
        match path {
            // A folder's name is its own.
            "x.html/" => assert!(format(path).is_ok()),
            path => assert!(format(path).is_err(), "{path}"),
        }
    }
}
