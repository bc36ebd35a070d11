//! What a companion file consists of: a section for each room, of metadata and tensors.

use std::fmt::Display;
use std::io::Write;
use std::path::Path;
use std::str::FromStr;

use crate::gguf::{self, Format, Gguf, Metadata, OutputFile, Shape, TensorSpec, Value, Writer};

/// `general.architecture` of a companion file.
pub const ARCHITECTURE: &str = "opencog";

/// The metadata key of the architecture.
pub const ARCHITECTURE_KEY: &str = "general.architecture";

/// Bytes with a name: a tensor of a companion file.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The tensor's name.
    pub name: String,
    /// What the bytes are: `I8` where they are packed.
    pub format: Format,
    /// The tensor's dimensions.
    pub shape: Shape,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Part {
    /// Bytes as such; none where there are none, since no tensor is empty.
    pub fn bytes(name: impl Into<String>, bytes: Vec<u8>) -> Option<Part> {
        Part::new(name, Format::I8, &[bytes.len() as u64], bytes)
    }

    /// 64-bit floats, `row` of them in a row; none where there are none.
    pub fn floats(
        name: impl Into<String>,
        row: u64,
        floats: impl Iterator<Item = f64>,
    ) -> Option<Part> {
        let bytes: Vec<u8> = floats.flat_map(f64::to_le_bytes).collect();
        let rows = bytes.len() as u64 / 8 / row;
        let dims = [row, rows];
        Part::new(name, Format::F64, if row == 1 { &dims[1..] } else { &dims }, bytes)
    }

    /// 32-bit integers without sign, `row` of them in a row; none where there are none.
    pub fn integers(
        name: impl Into<String>,
        row: u64,
        integers: impl Iterator<Item = u32>,
    ) -> Option<Part> {
        let bytes: Vec<u8> = integers.flat_map(u32::to_le_bytes).collect();
        let rows = bytes.len() as u64 / 4 / row;
        let dims = [row, rows];
        Part::new(name, Format::I32, if row == 1 { &dims[1..] } else { &dims }, bytes)
    }

    fn new(name: impl Into<String>, format: Format, dims: &[u64], bytes: Vec<u8>) -> Option<Part> {
        let shape = Shape::new(dims).ok()?;
        Some(Part { name: name.into(), format, shape, bytes })
    }

    fn spec(&self) -> TensorSpec {
        TensorSpec { name: self.name.clone(), format: self.format, shape: self.shape }
    }
}

/// What a room adds to a companion file, in order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Section {
    /// Keys and values.
    pub metadata: Vec<(String, Value)>,
    /// Tensors and their bytes.
    pub parts: Vec<Part>,
}

impl Section {
    /// What a room added to a companion file, as it stands there: the keys that begin with
    /// `opencog.ROOM.`, the tensors that begin with `ROOM.`.
    pub fn of_room(companion: Companion, room: &str) -> Section {
        let (key, name) = (format!("opencog.{room}."), format!("{room}."));
        let gguf = companion.gguf;
        let of_room = gguf.metadata().iter().filter(|(found, _)| found.starts_with(&key));
        let parts = gguf.tensors().iter().filter(|tensor| tensor.name.starts_with(&name));
        Section {
            metadata: of_room.map(|(key, value)| (key.to_string(), value.clone())).collect(),
            parts: parts
                .map(|tensor| Part {
                    name: tensor.name.clone(),
                    format: tensor.format,
                    shape: tensor.shape,
                    bytes: gguf.data(tensor).to_vec(),
                })
                .collect(),
        }
    }

    /// Adds a key.
    pub fn set(&mut self, key: &str, value: Value) {
        self.metadata.push((key.into(), value));
    }

    /// Adds a tensor of one dimension. One without values is left out: GGUF has no such tensors.
    pub fn bytes(&mut self, name: &str, values: &[u8]) {
        self.parts.extend(Part::bytes(name, values.to_vec()));
    }

    /// Adds a tensor of one dimension of 64-bit floats, but none without values.
    pub fn floats(&mut self, name: &str, values: &[f64]) {
        self.parts.extend(Part::floats(name, 1, values.iter().copied()));
    }

    /// Adds a tensor of one dimension of 32-bit integers without sign, but none without values.
    pub fn integers(&mut self, name: &str, values: &[u32]) {
        self.parts.extend(Part::integers(name, 1, values.iter().copied()));
    }

    /// Bytes of its tensors.
    pub fn tensor_bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes.len() as u64).sum()
    }
}

/// Writes a companion file of these sections to `sink`, which it gives back; `path` names it in
/// messages.
///
/// # Errors
/// The sink's, and what would be no GGUF file.
pub fn write<W: Write>(sink: W, path: &Path, sections: &[Section]) -> Result<W, gguf::Error> {
    let mut metadata = Metadata::new();
    metadata.set(ARCHITECTURE_KEY, Value::string(ARCHITECTURE));
    for (key, value) in sections.iter().flat_map(|section| &section.metadata) {
        metadata.set(key, value.clone());
    }
    let parts = || sections.iter().flat_map(|section| &section.parts);
    let specs: Vec<TensorSpec> = parts().map(Part::spec).collect();
    let mut writer = Writer::new(sink, path, &metadata, &specs)?;
    for part in parts() {
        writer.tensor_bytes(&part.bytes)?;
    }
    writer.finish()
}

/// Writes a companion file of these sections, which appears under its name when it is complete.
///
/// # Errors
/// As for every GGUF file that is written; nothing is left of it then.
pub fn save(path: &Path, overwrite: bool, sections: &[Section]) -> Result<(), gguf::Error> {
    write(OutputFile::create(path, overwrite)?, path, sections)?.commit()
}

/// A companion file that does not hold what its keys promise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SectionError(pub String);

/// A companion file as the rooms read it.
#[derive(Debug, Clone, Copy)]
pub struct Companion<'a> {
    gguf: &'a Gguf,
}

impl<'a> Companion<'a> {
    /// The companion file in `gguf`, which must be one.
    pub fn new(gguf: &'a Gguf) -> Result<Companion<'a>, SectionError> {
        let found = gguf.metadata().get(ARCHITECTURE_KEY).and_then(Value::as_str);
        if found == Some(ARCHITECTURE) {
            return Ok(Companion { gguf });
        }
        Err(SectionError(format!(
            "general.architecture: expected `{ARCHITECTURE}`, found {}",
            found.map_or("none".into(), |found| format!("`{found:.40}`"))
        )))
    }

    /// The value of a key, if it is there.
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.gguf.metadata().get(key)
    }

    /// Whether it has a section whose version stands under `key`, which must be `expected`.
    pub fn has_section(&self, key: &str, expected: u32) -> Result<bool, SectionError> {
        if self.get(key).is_none() {
            return Ok(false);
        }
        match self.count(key)? {
            found if found == expected as usize => Ok(true),
            found => Err(SectionError(format!("`{key}`: expected {expected}, found {found}"))),
        }
    }

    /// What the text of a key that must be there is the name of.
    pub fn named<T: FromStr<Err: Display>>(&self, key: &str) -> Result<T, SectionError> {
        self.text(key)?.parse().map_err(|fault| SectionError(format!("`{key}`: {fault}")))
    }

    /// The text of a key that must be there.
    pub fn text(&self, key: &str) -> Result<&'a str, SectionError> {
        self.get(key).and_then(Value::as_str).ok_or_else(|| missing(key, "a string"))
    }

    /// The count of a key that must be there.
    pub fn count(&self, key: &str) -> Result<usize, SectionError> {
        let count = self.get(key).and_then(Value::as_u64);
        count.and_then(|n| n.try_into().ok()).ok_or_else(|| missing(key, "a count"))
    }

    /// The strings of a key that must be there, all of them UTF-8.
    pub fn strings(&self, key: &str) -> Result<Vec<String>, SectionError> {
        let strings = self.get(key).and_then(Value::as_array).and_then(|array| array.as_strings());
        let strings = strings.ok_or_else(|| missing(key, "an array of strings"))?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec());
        strings.iter().map(text).collect::<Result<_, _>>().map_err(|_| missing(key, "UTF-8"))
    }

    /// The bytes of a tensor of I8, none where it isn't there.
    pub fn bytes(&self, name: &str) -> Result<&'a [u8], SectionError> {
        self.data(name, Format::I8)
    }

    /// The values of a tensor of F64, none where it isn't there.
    pub fn floats(&self, name: &str) -> Result<Vec<f64>, SectionError> {
        let chunks = self.data(name, Format::F64)?.as_chunks().0.iter();
        Ok(chunks.map(|bytes| f64::from_le_bytes(*bytes)).collect())
    }

    /// The values of a tensor of I32, none where it isn't there.
    pub fn integers(&self, name: &str) -> Result<Vec<u32>, SectionError> {
        let chunks = self.data(name, Format::I32)?.as_chunks().0.iter();
        Ok(chunks.map(|bytes| u32::from_le_bytes(*bytes)).collect())
    }

    fn data(&self, name: &str, format: Format) -> Result<&'a [u8], SectionError> {
        let Some(tensor) = self.gguf.tensor(name) else { return Ok(&[]) };
        let found = tensor.format;
        if found != format {
            return Err(SectionError(format!("tensor `{name}`: expected {format}, found {found}")));
        }
        Ok(self.gguf.data(tensor))
    }
}

fn missing(key: &str, expected: &str) -> SectionError {
    SectionError(format!("`{key}`: expected {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut section = Section::default();
        section.set("opencog.x.name", Value::string("käse"));
        section.set("opencog.x.count", Value::U64(3));
        section.bytes("x.bytes", &[1, 255]);
        section.floats("x.floats", &[-0.5, 1e300]);
        section.integers("x.integers", &[7, u32::MAX]);
        section.floats("x.empty", &[]);
        let file = write(Vec::new(), Path::new("x.gguf"), &[section]).unwrap();
        let gguf = Gguf::from_bytes("x.gguf", file).unwrap();
        let companion = Companion::new(&gguf).unwrap();
        assert_eq!(companion.text("opencog.x.name"), Ok("käse"));
        assert_eq!(companion.count("opencog.x.count"), Ok(3));
        assert_eq!(companion.bytes("x.bytes"), Ok(&[1, 255][..]));
        assert_eq!(companion.floats("x.floats"), Ok(vec![-0.5, 1e300]));
        assert_eq!(companion.integers("x.integers"), Ok(vec![7, u32::MAX]));
        assert_eq!(companion.floats("x.empty"), Ok(vec![]));
        let error = companion.floats("x.bytes").unwrap_err().to_string();
        assert_eq!(error, "tensor `x.bytes`: expected F64, found I8");
        let error = companion.strings("opencog.x.name").unwrap_err().to_string();
        assert_eq!(error, "`opencog.x.name`: expected an array of strings");
    }

    #[test]
    fn a_language_model_is_no_companion() {
        let mut metadata = Metadata::new();
        metadata.set("general.architecture", Value::string("llama"));
        let file = Writer::new(Vec::new(), Path::new("m.gguf"), &metadata, &[]).unwrap();
        let gguf = Gguf::from_bytes("m.gguf", file.finish().unwrap()).unwrap();
        let error = Companion::new(&gguf).unwrap_err().to_string();
        assert_eq!(error, "general.architecture: expected `opencog`, found `llama`");
    }
}
