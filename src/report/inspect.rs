//! The listing of a GGUF file.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use crate::gguf::{Format, Gguf};
use crate::model::Kind;

use super::numbers::bytes;

/// Header, metadata and tensors of a model, one line each.
pub fn inspect(gguf: &Gguf) -> String {
    let mut text = String::new();
    write_listing(&mut text, gguf).expect("writing to a string cannot fail");
    text
}

fn write_listing(out: &mut String, gguf: &Gguf) -> fmt::Result {
    for path in gguf.paths() {
        writeln!(out, "{}", path.display())?;
    }
    let weights: u64 = gguf.tensors().iter().map(|tensor| tensor.elements()).sum();
    let stored: u64 = gguf.tensors().iter().map(|tensor| tensor.bytes()).sum();
    writeln!(
        out,
        "GGUF v{}, {}, alignment {}, {} keys, {} tensors, {weights} weights, {:.3} bits per weight",
        gguf.version(),
        bytes(gguf.file_bytes()),
        gguf.alignment(),
        gguf.metadata().len(),
        gguf.tensors().len(),
        if weights == 0 { 0.0 } else { stored as f64 * 8.0 / weights as f64 },
    )?;

    writeln!(out, "\nmetadata")?;
    let width = gguf.metadata().iter().map(|(key, _)| key.chars().count()).max().unwrap_or(0);
    for (key, value) in gguf.metadata().iter() {
        let key = key.escape_debug().to_string();
        let width = width.min(48);
        writeln!(out, "  {key:<width$}  {:<6} {value}", value.value_type().name())?;
    }

    writeln!(out, "\ntensors")?;
    let width = gguf.tensors().iter().map(|tensor| tensor.name.chars().count()).max().unwrap_or(0);
    let mut formats: BTreeMap<Format, (usize, u64)> = BTreeMap::new();
    for tensor in gguf.tensors() {
        let name = tensor.name.escape_debug().to_string();
        let (format, shape) = (tensor.format, tensor.shape.to_string());
        let kind = Kind::of(&tensor.name).to_string().escape_debug().to_string();
        let size = bytes(tensor.bytes());
        writeln!(out, "  {name:<width$}  {format:<8} {shape:<16} {size:>9}  {kind}")?;
        let total = formats.entry(format).or_default();
        *total = (total.0 + 1, total.1 + tensor.bytes());
    }

    writeln!(out, "\nformats")?;
    for (format, (tensors, total)) in formats {
        writeln!(out, "  {format:<8} {tensors:>5} tensors  {:>9}", bytes(total))?;
    }
    Ok(())
}
