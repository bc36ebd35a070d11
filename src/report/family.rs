//! Several sizes of one model, told of together.

use std::path::PathBuf;

use serde::Serialize;

use super::{Command, Report, Stage};

/// What became of a family. Its fields are the JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FamilyReport {
    /// Version of this layout.
    pub schema: u32,
    /// The program's version.
    pub version: &'static str,
    /// The model that was read (of a split one, the first shard).
    #[serde(serialize_with = "super::lossy")]
    pub input: PathBuf,
    /// The folder that holds all files, or would.
    #[serde(serialize_with = "super::lossy")]
    pub folder: PathBuf,
    /// The command that makes the same files again, for a POSIX shell.
    pub command: Command,
    /// Each model, in the order that was asked for.
    pub members: Vec<Report>,
    /// Seconds of what was done once for all, in order.
    pub stages: Vec<Stage>,
}

impl FamilyReport {
    /// How long all of it took, in seconds.
    pub fn seconds(&self) -> f64 {
        let stages = self.members.iter().flat_map(|member| &member.stages);
        stages.chain(&self.stages).map(|stage| stage.seconds).sum()
    }

    /// What all members should know, each warning once, and those of one alone with its name.
    pub fn warnings(&self) -> Vec<String> {
        let all = |text: &String| self.members.iter().all(|member| member.warnings.contains(text));
        let shared = self.members.first().into_iter().flat_map(|first| &first.warnings);
        let shared = shared.filter(|text| all(text)).cloned();
        let own = self.members.iter().flat_map(|member| {
            let file = member.output.file_name().unwrap_or_default().to_string_lossy();
            let own = member.warnings.iter().filter(|text| !all(text));
            own.map(move |text| format!("{file}: {text}"))
        });
        shared.chain(own).collect()
    }
}
