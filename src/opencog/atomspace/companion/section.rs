//! What a companion holds of an AtomSpace: metadata, and parts that are GGUF tensors.

use crate::gguf::{Array, Value};
use crate::opencog::atomspace::{AtomType, Kind};
use crate::opencog::section::{Part, Section};

use super::columns::{CodedColumn, Dictionary, TruthColumn};
use super::groups::GroupSize;
use super::ordered::Ordered;
use super::packed::{pack, packed_bytes, width_of};
use super::{Form, VERSION, at_rest, name_index};

/// The keys of the metadata.
pub(super) mod key {
    pub const VERSION: &str = "opencog.atomspace.version";
    pub const FORM: &str = "opencog.atomspace.form";
    pub const ATOMS: &str = "opencog.atomspace.atoms";
    pub const TYPES: &str = "opencog.atomspace.types";
    pub const TYPE_KINDS: &str = "opencog.atomspace.type_kinds";
    /// Of the form at rest: how many groups there are.
    pub const GROUPS: &str = "opencog.atomspace.groups";
    pub const INCOMING: &str = "opencog.atomspace.incoming";
    pub const TRUTH_CODEC: &str = "opencog.atomspace.truth_codec";
    pub const ROWS: &str = "opencog.atomspace.value_rows";
    pub const CELLS: &str = "opencog.atomspace.value_cells";
    pub const VALUES: &str = "opencog.atomspace.values";
}

/// The parts of the mapped form.
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

/// The names of the forms.
impl Form {
    /// As the metadata has it.
    pub fn name(self) -> &'static str {
        match self {
            Form::Mapped => "mapped",
            Form::AtRest => "at rest",
        }
    }
}

/// The groups, four numbers each.
fn groups_part(groups: &[GroupSize]) -> Option<Part> {
    let numbers = |group: &GroupSize| [group.of.0.into(), group.height, group.arity, group.count];
    Part::integers(name::GROUPS, 4, groups.iter().flat_map(numbers))
}

impl Ordered {
    /// What a companion file holds of the AtomSpace in a form.
    pub fn section(&self, form: Form) -> Section {
        let parts = match form {
            Form::Mapped => self.mapped(),
            Form::AtRest => at_rest::compress(self),
        };
        Section { metadata: self.metadata(form), parts }
    }

    fn metadata(&self, form: Form) -> Vec<(String, Value)> {
        let mut metadata = Vec::new();
        let kind = |of: &AtomType| match (of.kind, of.unordered) {
            (Kind::Node, _) => 0u8,
            (Kind::Link, false) => 1,
            (Kind::Link, true) => 2,
        };
        let mut set = |key: &str, value| metadata.push((key.to_string(), value));
        set(key::VERSION, Value::U32(VERSION));
        set(key::FORM, Value::string(form.name()));
        set(key::ATOMS, Value::U32(self.atom_count() as u32));
        let names = self.types.iter().map(|of| of.name.as_bytes()).collect();
        set(key::TYPES, Value::Array(Array::String(names)));
        set(key::TYPE_KINDS, Value::Array(Array::U8(self.types.iter().map(kind).collect())));
        match form {
            Form::Mapped => set(key::INCOMING, Value::U64(self.incoming_count())),
            Form::AtRest => set(key::GROUPS, Value::U64(self.groups.len() as u64)),
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

    fn mapped(&self) -> Vec<Part> {
        let names = &self.names;
        let atoms = self.atom_count() as u64;
        let name_bytes: Vec<u8> = names.iter().flatten().copied().collect();
        let ids = width_of(atoms.saturating_sub(1));
        let starts = self.incoming_starts();
        let held = width_of(starts.last().copied().unwrap_or(0).into());
        let packed = |name: &str, numbers: &[u32], width| {
            Part::bytes(name, pack(numbers.iter().map(|&n| n.into()), width))
        };
        let mut parts = vec![
            groups_part(&self.groups),
            Part::bytes(
                name::NAME_STARTS,
                pack(bounds(names.iter().map(<[u8]>::len)), width_of(name_bytes.len() as u64)),
            ),
            Part::bytes(name::NAMES, name_bytes),
            Part::bytes(name::NAME_INDEX, self.name_index()),
            packed(name::OUTGOING, &self.outgoing, ids),
            packed(name::INCOMING_STARTS, &starts, held),
            Part::bytes(name::INCOMING, self.incoming(starts, ids)),
        ];
        parts.extend(truth_parts(&self.truth));
        let attention = &self.attention;
        parts.push(codes_part(name::ATTENTION, attention));
        let numbers = attention.distinct.iter().flat_map(|av| [av.sti, av.lti, av.vlti]);
        parts.push(Part::floats(format!("{}.numbers", name::ATTENTION), 3, numbers));
        parts.extend(self.value_parts(ids));
        parts.into_iter().flatten().collect()
    }

    fn name_index(&self) -> Vec<u8> {
        let nodes = self.groups.iter().take_while(|group| group.height == 0);
        let types = nodes.flat_map(|group| std::iter::repeat_n(group.of, group.count as usize));
        let nodes: Vec<_> = types.zip(self.names.iter()).collect();
        name_index::build(nodes.into_iter())
    }

    /// The sizes of all incoming sets together.
    fn incoming_count(&self) -> u64 {
        let mut count = 0;
        self.each_member(|_, _| count += 1);
        count
    }

    /// Where each atom's incoming set begins among all, one more at the end.
    fn incoming_starts(&self) -> Vec<u32> {
        let atoms = self.atom_count();
        let mut starts = vec![0u32; atoms + 1];
        self.each_member(|member, _| starts[member as usize + 1] += 1);
        for atom in 0..atoms {
            starts[atom + 1] += starts[atom];
        }
        starts
    }

    /// The incoming sets, packed in this width; they begin at `starts`.
    fn incoming(&self, starts: Vec<u32>, width: usize) -> Vec<u8> {
        let count = starts.last().copied().unwrap_or(0);
        let bytes = packed_bytes(count.into(), width).unwrap_or(0);
        let mut incoming = vec![0; bytes as usize];
        let mut next = starts;
        self.each_member(|member, link| {
            let next = &mut next[member as usize];
            let at = *next as usize * width;
            incoming[at..at + width].copy_from_slice(&link.to_le_bytes()[..width]);
            *next += 1;
        });
        incoming
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
                match *outgoing {
                    [one] => see(one, link),
                    [a, b] if a != b => [a, b].into_iter().for_each(|member| see(member, link)),
                    ref outgoing => {
                        members.clear();
                        members.extend_from_slice(outgoing);
                        members.sort_unstable();
                        members.dedup();
                        members.iter().for_each(|&member| see(member, link));
                    }
                }
            }
            next += group.count;
        }
    }

    fn value_parts(&self, ids: usize) -> Vec<Option<Part>> {
        let named = |part: &str| format!("{}.{part}", name::VALUES);
        let (rows, values) = (&self.values.rows, &self.values.values);
        let cells = || rows.distinct.iter().flatten();
        let count = cells().count() as u64;
        let bytes: Vec<u8> = values.iter().flatten().copied().collect();
        let places = width_of((values.len() as u64).saturating_sub(1));
        vec![
            codes_part(name::VALUES, rows),
            Part::bytes(
                named("row_starts"),
                pack(bounds(rows.distinct.iter().map(Vec::len)), width_of(count)),
            ),
            Part::bytes(named("keys"), pack(cells().map(|cell| cell.0.into()), ids)),
            Part::bytes(named("places"), pack(cells().map(|cell| cell.1.into()), places)),
            Part::bytes(
                named("starts"),
                pack(bounds(values.iter().map(<[u8]>::len)), width_of(bytes.len() as u64)),
            ),
            Part::bytes(named("bytes"), bytes),
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

fn truth_parts(truth: &TruthColumn) -> Vec<Option<Part>> {
    let named = |part: &str| format!("{}.{part}", name::TRUTH);
    let exact = &truth.exact;
    let kinds = exact.distinct.iter().map(|value| value.kind() as u8).collect();
    let numbers = exact.distinct.iter().flat_map(|value| value.numbers());
    let mut parts = vec![
        codes_part(name::TRUTH, exact),
        Part::bytes(named("kinds"), kinds),
        Part::floats(named("numbers"), 3, numbers),
    ];
    if let Some(coded) = &truth.coded {
        parts.extend(coded_parts(name::STRENGTH, &coded.strength));
        parts.extend(coded_parts(name::CONFIDENCE, &coded.confidence));
    }
    parts
}

fn codes_part<T>(name: &str, column: &Dictionary<Vec<T>>) -> Option<Part> {
    let codes = column.codes.iter().map(|&code| code.into());
    let width = width_of(column.distinct.len() as u64);
    Part::bytes(format!("{name}.codes"), pack(codes, width))
}

fn coded_parts(name: &str, column: &CodedColumn) -> Vec<Option<Part>> {
    let CodedColumn { codes, levels, exceptions } = column;
    let ids = width_of((codes.len() as u64).saturating_sub(1));
    let codes = codes.iter().map(|&code| code.into());
    let atoms = exceptions.iter().map(|&(atom, _)| atom.into());
    let floats = exceptions.iter().map(|&(_, value)| value);
    vec![
        Part::bytes(format!("{name}.codes"), pack(codes, width_of(levels.len() as u64 + 1))),
        Part::floats(format!("{name}.levels"), 1, levels.iter().copied()),
        Part::bytes(format!("{name}.exceptions"), pack(atoms, ids)),
        Part::floats(format!("{name}.exception_values"), 1, floats),
    ]
}
