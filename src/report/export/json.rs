//! For programs: what is known, all of it. The names of the keys are promised.

use std::io::{self, Write};

use serde::Serialize;

/// Writes a report as JSON.
pub fn write_json(report: &impl Serialize, out: &mut impl Write) -> io::Result<()> {
    let json = serde_json::to_string_pretty(report)? + "\n";
    out.write_all(json.as_bytes())
}
