//! What the model is, how it is run, and how it was made.

use super::pack;
use crate::report::command::as_file;
use crate::report::document::{Fact, FrontMatter, Part, Section, Table};
use crate::report::numbers::count;
use crate::report::{Command, Report, Stage};

/// What a report is titled: the file that was made.
pub fn title(report: &Report) -> String {
    match report.output.file_name() {
        Some(name) => name.to_string_lossy().into_owned(),
        None => report.output.display().to_string(),
    }
}

/// What the file is, in a line.
pub fn lead(report: &Report) -> String {
    let name = match (&report.origin.name, report.input.file_name()) {
        (Some(name), _) => name.clone(),
        (None, Some(name)) => name.to_string_lossy().into_owned(),
        (None, None) => report.input.display().to_string(),
    };
    let architecture = match &report.architecture[..] {
        "" => String::new(),
        name => format!(", {name}"),
    };
    let weights = count(report.metrics.parameters);
    let version = report.version;
    let was = if report.dry_run { "would be quantized" } else { "quantized" };
    format!("{name}{architecture}, {weights} weights, {was} by opencog-qat {version}")
}

/// What a model card says to programs: only what is known.
pub fn front_matter(report: &Report) -> Vec<(&'static str, FrontMatter)> {
    let origin = &report.origin;
    let one = |text: &str| FrontMatter::One(text.to_string());
    let mut head = Vec::new();
    if let Some(repository) = &origin.repository {
        head.push(("base_model", one(repository)));
        head.push(("base_model_relation", one("quantized")));
    }
    head.extend(origin.license.iter().map(|license| ("license", one(license))));
    if !origin.languages.is_empty() {
        head.push(("language", FrontMatter::Many(origin.languages.clone())));
    }
    head.push(("quantized_by", one("opencog-qat")));
    let mut tags = vec!["gguf".to_string(), "quantized".to_string()];
    tags.extend(origin.tags.iter().filter(|tag| *tag != "gguf" && *tag != "quantized").cloned());
    head.push(("tags", FrontMatter::Many(tags)));
    head
}

/// How the model is run.
pub fn use_it(report: &Report) -> Option<Section> {
    if report.dry_run || report.architecture.is_empty() {
        return None;
    }
    let file = as_file(report.output.file_name().unwrap_or(report.output.as_os_str()));
    let context = report.metrics.context.to_string();
    let run = |program| Command::new(program).flag("-m", &file).flag("-c", &context);
    let said = "Any program that reads GGUF runs it; llama.cpp, for example:";
    let mut parts = vec![
        Part::Text(said.into()),
        Part::Command(run("llama-cli").flag("-p", "Once upon a time")),
        Part::Command(run("llama-server")),
    ];
    parts.extend(pack::use_it(report));
    Section::of("use", "How to run it", parts)
}

/// How it was made.
pub fn section(report: &Report) -> Option<Section> {
    let [input, output] = [&report.input, &report.output].map(|path| path.to_string_lossy());
    let origin = &report.origin;
    let mut facts = vec![
        Fact::new("program", format!("opencog-qat {}", report.version)),
        Fact::new("input", input),
        Fact::new("output", output),
        Fact::new("seed", report.seed.to_string()),
    ];
    facts.extend(report.pack.as_ref().map(pack::fact));
    let known = [
        ("SHA-256 of the output", &report.output_sha256),
        ("name", &origin.name),
        ("repository", &origin.repository),
        ("license", &origin.license),
    ];
    facts
        .extend(known.into_iter().filter_map(|(key, value)| Some(Fact::new(key, value.as_ref()?))));
    if let Some(diversity) = &report.diversity {
        let (entropy, distinct) = (diversity.entropy, 100.0 * diversity.distinct_4);
        let told = format!(
            "the model's own: {entropy:.2} nats of entropy a token, {distinct:.0} % of groups of four \
             tokens distinct"
        );
        facts.push(Fact::new("calibration text", told));
    }
    let seconds: f64 = report.stages.iter().map(|stage| stage.seconds).sum();
    let row = |stage: &Stage| {
        let share = if seconds > 0.0 { 100.0 * stage.seconds / seconds } else { 0.0 };
        vec![stage.name.to_string(), format!("{:.2}", stage.seconds), format!("{share:.1} %")]
    };
    let mut rows: Vec<Vec<String>> = report.stages.iter().map(row).collect();
    rows.push(vec!["all".into(), format!("{seconds:.2}"), String::new()]);
    let parts = vec![
        Part::Facts(facts),
        Part::Command(report.command.clone()),
        Part::Table(Table::new(["stage", "#seconds", "#share"]).with(rows)),
    ];
    Section::of("provenance", "How it was made", parts)
}
