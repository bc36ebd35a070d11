//! What a companion consists of: metadata, and sections of bytes that are GGUF tensors.

use std::io::{self, Write};
use std::path::Path;

use crate::gguf::{Array, Error, Format, Metadata, OutputFile, Shape, TensorSpec, Value, Writer};
use crate::opencog::atomspace::{AtomType, Kind};

use super::bits::{pack, width_of};
use super::columns::{CodedColumn, Dictionary, TruthColumn};
use super::groups::GroupSize;
use super::ordered::Ordered;
use super::{ARCHITECTURE, Form, VERSION, at_rest, name_index};

/// Bytes with a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// The tensor's name.
    pub name: String,
    /// What the bytes are: `I8` where they are packed.
    pub format: Format,
    /// The tensor's dimensions.
    pub shape: Shape,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// The keys of the metadata.
pub(super) mod key {
    pub const ARCHITECTURE: &str = "general.architecture";
    pub const VERSION: &str = "opencog.version";
    pub const FORM: &str = "opencog.atomspace.form";
    pub const ATOMS: &str = "opencog.atomspace.atoms";
    pub const TYPES: &str = "opencog.atomspace.types";
    pub const TYPE_KINDS: &str = "opencog.atomspace.type_kinds";
    pub const INCOMING: &str = "opencog.atomspace.incoming";
    pub const TRUTH_CODEC: &str = "opencog.atomspace.truth_codec";
    pub const ROWS: &str = "opencog.atomspace.value_rows";
    pub const CELLS: &str = "opencog.atomspace.value_cells";
    pub const VALUES: &str = "opencog.atomspace.values";
}

/// The sections of the mapped form.
pub(super) mod name {
    pub const GROUPS: &str = "atomspace.groups";
    pub const NAMES: &str = "atomspace.names";
    pub const NAME_STARTS: &str = "atomspace.name_starts";
    pub const NAME_INDEX: &str = "atomspace.name_index";
    pub const OUTGOING: &str = "atomspace.outgoing";
    pub const INCOMING_STARTS: &str = "atomspace.incoming_starts";
    pub const INCOMING: &str = "atomspace.incoming";
    pub const TRUTH: &str = "atomspace.truth";
    pub const STRENGTH: &str = "atomspace.strength";
    pub const CONFIDENCE: &str = "atomspace.confidence";
    pub const ATTENTION: &str = "atomspace.attention";
    pub const VALUES: &str = "atomspace.values";
}

/// The names of the forms under [`key::FORM`].
impl Form {
    pub(super) fn name(self) -> &'static str {
        match self {
            Form::Mapped => "mapped",
            Form::AtRest => "at rest",
        }
    }
}

impl Section {
    /// Bytes as such; none where there are none, since no tensor is empty.
    pub(super) fn bytes(name: impl Into<String>, bytes: Vec<u8>) -> Option<Section> {
        Section::new(name, Format::I8, &[bytes.len() as u64], bytes)
    }

    fn new(
        name: impl Into<String>,
        format: Format,
        dims: &[u64],
        bytes: Vec<u8>,
    ) -> Option<Section> {
        let shape = Shape::new(dims).ok()?;
        Some(Section { name: name.into(), format, shape, bytes })
    }

    /// Floats, `row` of them in a row.
    pub(super) fn floats(
        name: String,
        row: u64,
        floats: impl Iterator<Item = f64>,
    ) -> Option<Section> {
        let bytes: Vec<u8> = floats.flat_map(f64::to_le_bytes).collect();
        Section::new(name, Format::F64, &[row, bytes.len() as u64 / 8 / row], bytes)
    }

    fn spec(&self) -> TensorSpec {
        TensorSpec { name: self.name.clone(), format: self.format, shape: self.shape }
    }
}

/// The groups, four numbers each.
pub(super) fn groups_section(groups: &[GroupSize]) -> Option<Section> {
    let numbers = |group: &GroupSize| [group.of.0.into(), group.height, group.arity, group.count];
    let bytes = groups.iter().flat_map(numbers).flat_map(u32::to_le_bytes).collect();
    Section::new(name::GROUPS, Format::I32, &[4, groups.len() as u64], bytes)
}

impl Ordered {
    /// The metadata of a companion that holds this and nothing else.
    pub fn metadata(&self, form: Form) -> Metadata {
        let mut metadata = Metadata::new();
        let kind = |of: &AtomType| match (of.kind, of.unordered) {
            (Kind::Node, _) => 0u8,
            (Kind::Link, false) => 1,
            (Kind::Link, true) => 2,
        };
        let mut set = |key: &str, value| metadata.set(key, value);
        set(key::ARCHITECTURE, Value::string(ARCHITECTURE));
        set(key::VERSION, Value::U32(VERSION));
        set(key::FORM, Value::string(form.name()));
        set(key::ATOMS, Value::U32(self.atom_count() as u32));
        let names = self.types.iter().map(|of| of.name.as_bytes()).collect();
        set(key::TYPES, Value::Array(Array::String(names)));
        set(key::TYPE_KINDS, Value::Array(Array::U8(self.types.iter().map(kind).collect())));
        if form == Form::Mapped {
            set(key::INCOMING, Value::U64(self.incoming().1.len() as u64));
        }
        let rows = &self.values.rows.distinct;
        set(key::ROWS, Value::U64(rows.len() as u64));
        set(key::CELLS, Value::U64(rows.iter().map(|row| row.len() as u64).sum()));
        set(key::VALUES, Value::U64(self.values.values.len() as u64));
        if let Some(codec) = self.truth.codec {
            set(key::TRUTH_CODEC, Value::string(codec.name()));
        }
        metadata
    }

    /// The sections of a form.
    pub fn sections(&self, form: Form) -> Vec<Section> {
        match form {
            Form::Mapped => self.mapped(),
            Form::AtRest => at_rest::compress(self),
        }
    }

    fn mapped(&self) -> Vec<Section> {
        let names = &self.names;
        let atoms = self.atom_count() as u64;
        let name_bytes: Vec<u8> = names.iter().flatten().copied().collect();
        let ids = width_of(atoms.saturating_sub(1));
        let (starts, incoming) = self.incoming();
        let packed = |name: &str, numbers: &[u32], width| {
            Section::bytes(name, pack(numbers.iter().map(|&n| n.into()), width))
        };
        let mut sections = vec![
            groups_section(&self.groups),
            Section::bytes(
                name::NAME_STARTS,
                pack(bounds(names.iter().map(<[u8]>::len)), width_of(name_bytes.len() as u64)),
            ),
            Section::bytes(name::NAMES, name_bytes),
            Section::bytes(name::NAME_INDEX, self.name_index()),
            packed(name::OUTGOING, &self.outgoing, ids),
            packed(name::INCOMING_STARTS, &starts, width_of(incoming.len() as u64)),
            packed(name::INCOMING, &incoming, ids),
        ];
        sections.extend(truth_sections(&self.truth));
        let attention = &self.attention;
        sections.push(codes_section(name::ATTENTION, attention));
        let numbers = attention.distinct.iter().flat_map(|av| [av.sti, av.lti, av.vlti]);
        sections.push(Section::floats(format!("{}.numbers", name::ATTENTION), 3, numbers));
        sections.extend(self.value_sections(ids));
        sections.into_iter().flatten().collect()
    }

    fn name_index(&self) -> Vec<u8> {
        let nodes = self.groups.iter().take_while(|group| group.height == 0);
        let types = nodes.flat_map(|group| std::iter::repeat_n(group.of, group.count as usize));
        let nodes: Vec<_> = types.zip(self.names.iter()).collect();
        name_index::build(nodes.into_iter())
    }

    /// Where each atom's incoming set begins among all, one more at the end, and these sets.
    fn incoming(&self) -> (Vec<u32>, Vec<u32>) {
        let atoms = self.atom_count();
        let mut starts = vec![0u32; atoms + 1];
        self.each_member(|member, _| starts[member as usize + 1] += 1);
        for atom in 0..atoms {
            starts[atom + 1] += starts[atom];
        }
        let mut next = starts.clone();
        let mut incoming = vec![0; starts[atoms] as usize];
        self.each_member(|member, link| {
            let next = &mut next[member as usize];
            incoming[*next as usize] = link;
            *next += 1;
        });
        (starts, incoming)
    }

    /// Calls `see` with the members of each link and the link, once where it holds one twice.
    fn each_member(&self, mut see: impl FnMut(u32, u32)) {
        let mut rest = &self.outgoing[..];
        let mut next = 0;
        let mut members = Vec::new();
        for group in &self.groups {
            for link in next..next + group.count {
                let (outgoing, after) = rest.split_at(group.arity as usize);
                rest = after;
                members.clear();
                members.extend_from_slice(outgoing);
                members.sort_unstable();
                members.dedup();
                members.iter().for_each(|&member| see(member, link));
            }
            next += group.count;
        }
    }

    fn value_sections(&self, ids: u32) -> Vec<Option<Section>> {
        let named = |part: &str| format!("{}.{part}", name::VALUES);
        let (rows, values) = (&self.values.rows, &self.values.values);
        let cells = || rows.distinct.iter().flatten();
        let count = cells().count() as u64;
        let bytes: Vec<u8> = values.iter().flatten().copied().collect();
        let places = width_of((values.len() as u64).saturating_sub(1));
        vec![
            codes_section(name::VALUES, rows),
            Section::bytes(
                named("row_starts"),
                pack(bounds(rows.distinct.iter().map(Vec::len)), width_of(count)),
            ),
            Section::bytes(named("keys"), pack(cells().map(|cell| cell.0.into()), ids)),
            Section::bytes(named("places"), pack(cells().map(|cell| cell.1.into()), places)),
            Section::bytes(
                named("starts"),
                pack(bounds(values.iter().map(<[u8]>::len)), width_of(bytes.len() as u64)),
            ),
            Section::bytes(named("bytes"), bytes),
        ]
    }
}

/// Where lists of these lengths begin one after another, and where the last ends.
pub(super) fn bounds(lengths: impl Iterator<Item = usize>) -> impl Iterator<Item = u64> {
    let mut end = 0;
    std::iter::once(0).chain(lengths.map(move |len| {
        end += len as u64;
        end
    }))
}

fn truth_sections(truth: &TruthColumn) -> Vec<Option<Section>> {
    let named = |part: &str| format!("{}.{part}", name::TRUTH);
    let exact = &truth.exact;
    let kinds = exact.distinct.iter().map(|value| value.kind() as u8).collect();
    let numbers = exact.distinct.iter().flat_map(|value| value.numbers());
    let mut sections = vec![
        codes_section(name::TRUTH, exact),
        Section::bytes(named("kinds"), kinds),
        Section::floats(named("numbers"), 3, numbers),
    ];
    if let Some(coded) = &truth.coded {
        sections.extend(coded_sections(name::STRENGTH, &coded.strength));
        sections.extend(coded_sections(name::CONFIDENCE, &coded.confidence));
    }
    sections
}

fn codes_section<T>(name: &str, column: &Dictionary<Vec<T>>) -> Option<Section> {
    let codes = column.codes.iter().map(|&code| code.into());
    let width = width_of(max_code(column.distinct.len() as u64));
    Section::bytes(format!("{name}.codes"), pack(codes, width))
}

/// The largest code that there is room for, where so many things are told apart: codes have 8 bits
/// at least, since bytes are read faster than fewer bits.
pub(super) fn max_code(distinct: u64) -> u64 {
    if distinct == 0 { 0 } else { distinct.max(u8::MAX.into()) }
}

fn coded_sections(name: &str, column: &CodedColumn) -> Vec<Option<Section>> {
    let CodedColumn { codes, levels, exceptions } = column;
    let ids = width_of((codes.len() as u64).saturating_sub(1));
    let codes = codes.iter().map(|&code| code.into());
    let atoms = exceptions.iter().map(|&(atom, _)| atom.into());
    let floats = exceptions.iter().map(|&(_, value)| value);
    vec![
        Section::bytes(
            format!("{name}.codes"),
            pack(codes, width_of(max_code(levels.len() as u64 + 1))),
        ),
        Section::floats(format!("{name}.levels"), 1, levels.iter().copied()),
        Section::bytes(format!("{name}.exceptions"), pack(atoms, ids)),
        Section::floats(format!("{name}.exception_values"), 1, floats),
    ]
}

/// Writes a companion of this metadata and these sections, which appears under its name when it is
/// complete. Gives its bytes.
///
/// # Errors
/// As for every GGUF file that is written; nothing is left of it then.
pub fn write(
    path: &Path,
    overwrite: bool,
    metadata: &Metadata,
    sections: &[Section],
) -> Result<u64, Error> {
    let output = OutputFile::create(path, overwrite)?;
    let counted = Counted { sink: output, bytes: 0 };
    let Counted { sink, bytes } = write_to(counted, path, metadata, sections)?;
    sink.commit()?;
    Ok(bytes)
}

/// Writes the same to a sink, which it gives back; `path` names it in messages.
///
/// # Errors
/// The sink's, and what would be no GGUF file.
pub fn write_to<W: Write>(
    sink: W,
    path: &Path,
    metadata: &Metadata,
    sections: &[Section],
) -> Result<W, Error> {
    let specs: Vec<TensorSpec> = sections.iter().map(Section::spec).collect();
    let mut writer = Writer::new(sink, path, metadata, &specs)?;
    for section in sections {
        writer.tensor_bytes(&section.bytes)?;
    }
    writer.finish()
}

/// A sink that counts.
struct Counted<W> {
    sink: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.sink.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}
