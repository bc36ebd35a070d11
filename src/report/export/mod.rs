//! How what is told is laid out, one file for each format.

mod axis;
mod colour;
mod escape;
mod html;
mod json;
mod labels;
mod markdown;
mod svg;
#[cfg(test)]
mod tests;
pub mod text;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::document::Tell;
use crate::Error;
use crate::gguf::OutputFile;

pub use html::html;
pub use json::write_json;
pub use markdown::markdown;

/// How a report is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportFormat {
    /// For programs.
    Json,
    /// A model card.
    Markdown,
    /// A page that needs no other file.
    Html,
}

/// A file that a report is written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportFile {
    path: PathBuf,
    format: ReportFormat,
}

impl ReportFile {
    /// The file at `path`, in the format that its extension names; else what to do.
    pub fn new(path: PathBuf) -> Result<ReportFile, String> {
        let extension = path.extension().map(|extension| extension.to_ascii_lowercase());
        let format = match extension.as_ref().and_then(|extension| extension.to_str()) {
            Some("json") => ReportFormat::Json,
            Some("md" | "markdown") => ReportFormat::Markdown,
            Some("html" | "htm") => ReportFormat::Html,
            _ => return Err("expected a name that ends with .json, .md or .html".into()),
        };
        Ok(ReportFile { path, format })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How it is laid out.
    pub fn format(&self) -> ReportFormat {
        self.format
    }

    /// Begins the file, under no name yet; what is there is replaced in the end.
    pub(crate) fn begin(&self) -> Result<OutputFile, Error> {
        Ok(OutputFile::create(&self.path, true)?)
    }

    /// Brings the report to the disk.
    pub(crate) fn store(&self, report: &impl Tell, file: &mut OutputFile) -> Result<(), Error> {
        let written = self.format.write(report, file);
        written.map_err(|source| Error::Report { path: self.path.clone(), source })?;
        Ok(file.sync()?)
    }
}

impl ReportFormat {
    /// Writes a report.
    pub fn write(self, report: &impl Tell, out: &mut impl Write) -> io::Result<()> {
        match self {
            ReportFormat::Json => write_json(report, out),
            ReportFormat::Markdown => out.write_all(markdown(&report.document()).as_bytes()),
            ReportFormat::Html => out.write_all(html(&report.document()).as_bytes()),
        }
    }
}
