//! The form at rest: columns without indexes, each transformed so that neighbours are alike, then
//! compressed.
//!
//! Groups are columns of types, heights (as steps), arities and counts. Names are front-coded: how
//! much each has in common with the one before, and the rest. Outgoing sets are in ascending order,
//! so that their first members are written as steps, and every other member as a step where all
//! before it in the set are those of the set before.

use std::io::Read;

use crate::gguf::{Error, Gguf, Strings};
use crate::opencog::atomspace::value::TruthKind;
use crate::opencog::atomspace::value_bytes;
use crate::opencog::atomspace::{AtomId, AttentionValue, TruthValue, TypeId};
use crate::opencog::section::Part;

use super::columns::{CodedColumn, CodedTruth, Dictionary, TruthColumn, ValueColumn};
use super::groups::{GroupSize, Groups};
use super::reader::Reader;
use super::section::key;
use super::value_view::coded_value;
use super::{Form, Ordered, sequence};

/// zstd's level: past 19 it needs more memory to decompress, and gains little on columns.
const LEVEL: i32 = 19;

/// Members of an outgoing set that have a column of their own; all further ones share the last.
const COLUMNS: usize = 3;

/// What a broken file may make of itself: so many bytes, and so many for each of its own.
const MOST_BYTES: (u64, u64) = (64 << 20, 1024);

/// The parts at rest.
pub(super) fn compress(ordered: &Ordered) -> Vec<Part> {
    let mut out = Compressor { parts: Vec::new() };
    out.groups(&ordered.groups);
    out.names(&ordered.names);
    out.outgoing(ordered);
    out.truth(&ordered.truth);
    out.numbers("attention.codes", &ordered.attention.codes);
    let attention = ordered.attention.distinct.iter();
    out.floats("attention.numbers", attention.flat_map(|av| [av.sti, av.lti, av.vlti]));
    out.values(&ordered.values);
    out.parts
}

struct Compressor {
    parts: Vec<Part>,
}

/// The name of a part at rest.
fn at_rest(part: &str) -> String {
    format!("atomspace.rest.{part}")
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    // It fails only where memory does, or for a level that there isn't.
    zstd::bulk::compress(bytes, LEVEL).expect("zstd compresses whatever it is given")
}

impl Compressor {
    fn bytes(&mut self, part: &str, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.parts.extend(Part::bytes(at_rest(part), compressed(bytes)));
        }
    }

    fn numbers(&mut self, part: &str, numbers: &[u32]) {
        if numbers.iter().all(|&number| number == 0) {
            return;
        }
        let candidates = sequence::encodings(numbers).map(|bytes| compressed(&bytes));
        let best = candidates.min_by_key(Vec::len).unwrap_or_default();
        self.parts.extend(Part::bytes(at_rest(part), best));
    }

    fn floats(&mut self, part: &str, floats: impl Iterator<Item = f64>) {
        self.bytes(part, &floats.flat_map(f64::to_le_bytes).collect::<Vec<u8>>());
    }

    fn strings(&mut self, part: &str, strings: &Strings) {
        let lengths: Vec<u32> = strings.iter().map(|string| string.len() as u32).collect();
        self.numbers(&format!("{part}.lengths"), &lengths);
        self.bytes(
            &format!("{part}.bytes"),
            &strings.iter().flatten().copied().collect::<Vec<_>>(),
        );
    }

    fn groups(&mut self, groups: &[GroupSize]) {
        let column = |of: fn(&GroupSize) -> u32| groups.iter().map(of).collect::<Vec<_>>();
        self.numbers("groups.types", &column(|group| group.of.0.into()));
        // As steps: of deep nesting there is a group for each height.
        let mut before = 0;
        let step = |group: &GroupSize| group.height - std::mem::replace(&mut before, group.height);
        self.numbers("groups.heights", &groups.iter().map(step).collect::<Vec<_>>());
        self.numbers("groups.arities", &column(|group| group.arity));
        self.numbers("groups.counts", &column(|group| group.count));
    }

    fn names(&mut self, names: &Strings) {
        let mut before: &[u8] = &[];
        let mut common = Vec::with_capacity(names.len());
        let mut rests = Strings::default();
        for name in names.iter() {
            let same = before.iter().zip(name).take_while(|(a, b)| a == b).count();
            common.push(same as u32);
            rests.push(&name[same..]);
            before = name;
        }
        self.numbers("names.common", &common);
        self.strings("names.rest", &rests);
    }

    fn outgoing(&mut self, ordered: &Ordered) {
        let mut columns: [Vec<u32>; COLUMNS] = Default::default();
        let mut rest = &ordered.outgoing[..];
        for group in &ordered.groups {
            let arity = group.arity as usize;
            let (sets, after) = rest.split_at(arity * group.count as usize);
            rest = after;
            let mut before = vec![0; arity];
            for set in sets.chunks_exact(arity.max(1)) {
                let mut alike = true;
                for (i, (&member, &last)) in set.iter().zip(&before).enumerate() {
                    let step = if alike { member.wrapping_sub(last) } else { member };
                    columns[i.min(COLUMNS - 1)].push(step);
                    alike &= member == last;
                }
                before.copy_from_slice(set);
            }
        }
        for (i, column) in columns.iter().enumerate() {
            self.numbers(&format!("outgoing.{i}"), column);
        }
    }

    fn truth(&mut self, truth: &TruthColumn) {
        let TruthColumn { exact, coded, .. } = truth;
        self.numbers("truth.codes", &exact.codes);
        let kinds: Vec<u8> = exact.distinct.iter().map(|value| value.kind() as u8).collect();
        self.bytes("truth.kinds", &kinds);
        self.floats("truth.numbers", exact.distinct.iter().flat_map(|value| value.numbers()));
        if let Some(CodedTruth { strength, confidence }) = coded {
            self.levels("strength", strength);
            self.levels("confidence", confidence);
        }
    }

    fn levels(&mut self, column: &str, coded: &CodedColumn) {
        self.floats(&format!("{column}.levels"), coded.levels.iter().copied());
        self.numbers(&format!("{column}.codes"), &coded.codes);
        let atoms: Vec<u32> = coded.exceptions.iter().map(|&(atom, _)| atom).collect();
        self.numbers(&format!("{column}.exceptions"), &atoms);
        let values = coded.exceptions.iter().map(|&(_, value)| value);
        self.floats(&format!("{column}.exception_values"), values);
    }

    fn values(&mut self, values: &ValueColumn) {
        let rows = &values.rows.distinct;
        let column = |of: fn(&(u32, u32)) -> u32| rows.iter().flatten().map(of).collect::<Vec<_>>();
        let lengths: Vec<u32> = rows.iter().map(|row| row.len() as u32).collect();
        self.numbers("values.codes", &values.rows.codes);
        self.numbers("values.rows", &lengths);
        self.numbers("values.keys", &column(|cell| cell.0));
        self.numbers("values.places", &column(|cell| cell.1));
        self.strings("values", &values.values);
    }
}

/// The atoms of an open companion at rest. What it gives makes the same files as what was written.
///
/// # Errors
/// The file is no companion, of another version, holds no AtomSpace in the form at rest, or
/// contradicts itself.
pub fn expand(gguf: &Gguf) -> Result<Ordered, Error> {
    let reader = Reader::new(gguf, Form::AtRest)?;
    let expander = Expander { reader, most: MOST_BYTES.0 + MOST_BYTES.1 * reader.file_bytes() };
    let types = reader.types()?;
    let sizes = expander.groups()?;
    // That no more atoms are said to be there than are is seen when their columns are read.
    let groups =
        Groups::new(&sizes, &types, u32::MAX.into()).map_err(|fault| reader.fault(fault))?;
    let atoms = groups.atoms();
    if reader.number(key::ATOMS)? != u64::from(atoms) {
        return Err(
            reader.fault(format!("its groups have {atoms} atoms, `{}` says otherwise", key::ATOMS))
        );
    }
    let names = expander.names(groups.nodes() as usize)?;
    let outgoing = expander.outgoing(&sizes, &groups)?;
    let (truth, attention) = (expander.truth(atoms)?, expander.attention(atoms)?);
    let values = expander.values(atoms)?;
    Ok(Ordered { types, groups: sizes, names, outgoing, truth, attention, values })
}

struct Expander<'a> {
    reader: Reader<'a>,
    /// The most bytes that a part may become.
    most: u64,
}

impl Expander<'_> {
    fn bytes(&self, part: &str) -> Result<Vec<u8>, Error> {
        let name = at_rest(part);
        let compressed = self.reader.bytes(&name);
        let mut out = Vec::new();
        if compressed.is_empty() {
            return Ok(out);
        }
        let read = zstd::stream::read::Decoder::with_buffer(compressed)
            .and_then(|decoder| decoder.take(self.most).read_to_end(&mut out));
        match read {
            Ok(len) if (len as u64) < self.most => Ok(out),
            Ok(_) => Err(self.reader.fault(format!(
                "part `{name}` becomes more than {} bytes, of a file of {}",
                self.most,
                self.reader.file_bytes()
            ))),
            Err(error) => Err(self.reader.fault(format!("part `{name}`: {error}"))),
        }
    }

    fn checked<T>(&self, part: &str, value: Option<T>) -> Result<T, Error> {
        self.reader.checked(&at_rest(part), value)
    }

    /// Numbers, of which there must be so many; where all are 0, there may be no such part.
    fn numbers(&self, part: &str, count: usize) -> Result<Vec<u32>, Error> {
        let bytes = self.bytes(part)?;
        match bytes.is_empty() {
            true => {
                let room = self.most / size_of::<u32>() as u64;
                self.checked(part, (count as u64 <= room).then(|| vec![0; count]))
            }
            false => self.checked(part, sequence::decode(&bytes, count)),
        }
    }

    /// Numbers, of which none may be above `max`.
    fn numbers_to(&self, part: &str, count: usize, max: usize) -> Result<Vec<u32>, Error> {
        let numbers = self.numbers(part, count)?;
        let sound = numbers.iter().all(|&number| number as usize <= max);
        self.checked(part, sound.then_some(numbers))
    }

    fn rows<const N: usize>(&self, part: &str) -> Result<Vec<[f64; N]>, Error> {
        let bytes = self.bytes(part)?;
        let (floats, rest) = bytes.as_chunks::<8>();
        let (rows, left) = floats.as_chunks::<N>();
        let whole = rest.is_empty() && left.is_empty();
        let rows = || rows.iter().map(|row| row.map(f64::from_le_bytes)).collect();
        self.checked(part, whole.then(rows))
    }

    fn strings(&self, part: &str, count: usize) -> Result<Strings, Error> {
        let bytes = self.bytes(&format!("{part}.bytes"))?;
        let lengths = self.numbers(&format!("{part}.lengths"), count)?;
        let mut rest = &bytes[..];
        let mut out = Strings::with_capacity(count, bytes.len());
        for len in lengths {
            let cut = rest.split_at_checked(len as usize);
            let (string, after) = self.checked(part, cut)?;
            out.push(string);
            rest = after;
        }
        self.checked(part, rest.is_empty().then_some(out))
    }

    fn groups(&self) -> Result<Vec<GroupSize>, Error> {
        let count = self.checked("groups", self.reader.number(key::GROUPS)?.try_into().ok())?;
        let types = self.numbers_to("groups.types", count, u16::MAX.into())?;
        let steps = self.numbers("groups.heights", count)?;
        let arities = self.numbers("groups.arities", count)?;
        let counts = self.numbers("groups.counts", count)?;
        let mut height = 0u32;
        let group = |(((of, step), arity), count)| {
            // Too large ones come out too low, which no order of groups allows.
            height = height.wrapping_add(step);
            GroupSize { of: TypeId(of as u16), height, arity, count }
        };
        Ok(types.into_iter().zip(steps).zip(arities).zip(counts).map(group).collect())
    }

    fn names(&self, nodes: usize) -> Result<Strings, Error> {
        let common = self.numbers("names.common", nodes)?;
        let rests = self.strings("names.rest", nodes)?;
        let mut out = Strings::default();
        let mut name = Vec::new();
        for (common, rest) in common.into_iter().zip(rests.iter()) {
            let common = Some(common as usize).filter(|&common| common <= name.len());
            name.truncate(self.checked("names.common", common)?);
            name.extend_from_slice(rest);
            out.push(&name);
        }
        Ok(out)
    }

    fn outgoing(&self, sizes: &[GroupSize], groups: &Groups) -> Result<Vec<u32>, Error> {
        let mut counts = [0u64; COLUMNS];
        for GroupSize { arity, count, .. } in sizes {
            for (i, column) in counts.iter_mut().enumerate() {
                let more = arity.saturating_sub(i as u32);
                let more = if i == COLUMNS - 1 { more } else { more.min(1) };
                *column += u64::from(more) * u64::from(*count);
            }
        }
        let mut columns: Vec<std::vec::IntoIter<u32>> = Vec::new();
        for (i, count) in counts.into_iter().enumerate() {
            let part = format!("outgoing.{i}");
            columns.push(
                self.numbers(&part, self.checked(&part, count.try_into().ok())?)?.into_iter(),
            );
        }
        let mut out = Vec::with_capacity(counts.iter().sum::<u64>() as usize);
        for group in groups.all() {
            let mut before = vec![0u32; group.arity as usize];
            for _ in group.atoms() {
                let mut alike = true;
                for (i, member) in before.iter_mut().enumerate() {
                    let step = columns[i.min(COLUMNS - 1)].next().unwrap_or_default();
                    let now = if alike { member.wrapping_add(step) } else { step };
                    let sound = now < group.first;
                    self.checked("outgoing", sound.then_some(()))?;
                    alike &= now == *member;
                    *member = now;
                    out.push(now);
                }
            }
        }
        Ok(out)
    }

    fn truth(&self, atoms: u32) -> Result<TruthColumn, Error> {
        let (kinds, numbers) = (self.bytes("truth.kinds")?, self.rows("truth.numbers")?);
        let value = |(&kind, &numbers): (&u8, _)| {
            Some(TruthValue::from_numbers(*TruthKind::ALL.get(usize::from(kind))?, numbers))
        };
        let distinct: Option<Vec<TruthValue>> = kinds.iter().zip(&numbers).map(value).collect();
        let distinct = distinct.filter(|_| kinds.len() == numbers.len());
        let distinct = self.checked("truth.kinds", distinct)?;
        let codes = self.numbers_to("truth.codes", atoms as usize, distinct.len())?;
        let (strength, confidence) =
            (self.levels("strength", atoms)?, self.levels("confidence", atoms)?);
        Ok(TruthColumn {
            codec: self.reader.text(key::TRUTH_CODEC).and_then(|name| name.parse().ok()),
            exact: Dictionary { codes, distinct },
            coded: strength
                .zip(confidence)
                .map(|(strength, confidence)| CodedTruth { strength, confidence }),
        })
    }

    /// None where there is no such column.
    fn levels(&self, column: &str, atoms: u32) -> Result<Option<CodedColumn>, Error> {
        let part = |part: &str| format!("{column}.{part}");
        if self.reader.bytes(&at_rest(&part("codes"))).is_empty() {
            return Ok(None);
        }
        let levels: Vec<[f64; 1]> = self.rows(&part("levels"))?;
        let codes = self.numbers_to(&part("codes"), atoms as usize, levels.len() + 1)?;
        let values: Vec<[f64; 1]> = self.rows(&part("exception_values"))?;
        let last = atoms.saturating_sub(1) as usize;
        let at = self.numbers_to(&part("exceptions"), values.len(), last)?;
        Ok(Some(CodedColumn {
            codes,
            levels: levels.into_iter().flatten().collect(),
            exceptions: at.into_iter().zip(values.into_iter().flatten()).collect(),
        }))
    }

    fn attention(&self, atoms: u32) -> Result<Dictionary<Vec<AttentionValue>>, Error> {
        if let Some(coded) = self.reader.coded_attention(atoms)? {
            let values = (0..atoms).map(|atom| coded_value(&coded, AtomId(atom)));
            return Ok(Dictionary::of(values, |value| value.bits()));
        }
        let rows: Vec<[f64; 3]> = self.rows("attention.numbers")?;
        let codes = self.numbers_to("attention.codes", atoms as usize, rows.len())?;
        let value = |[sti, lti, vlti]: [f64; 3]| AttentionValue { sti, lti, vlti };
        Ok(Dictionary { codes, distinct: rows.into_iter().map(value).collect() })
    }

    fn values(&self, atoms: u32) -> Result<ValueColumn, Error> {
        let number = |key| {
            let number = self.reader.number(key)?;
            // Each takes a byte at least, if not in each column.
            self.checked("values", usize::try_from(number).ok().filter(|_| number < self.most))
        };
        let (rows, cells, count) = (number(key::ROWS)?, number(key::CELLS)?, number(key::VALUES)?);
        // Each row is that of an atom: of millions of empty ones a broken file could tell for free.
        let rows =
            self.checked("values.rows", Some(rows).filter(|&rows| rows <= atoms as usize))?;
        let values = self.strings("values", count)?;
        let sound = values.iter().all(|bytes| value_bytes::is_value(bytes, atoms));
        let values = self.checked("values", sound.then_some(values))?;
        let lengths = self.numbers("values.rows", rows)?;
        let last = atoms.saturating_sub(1) as usize;
        let keys = self.numbers_to("values.keys", cells, last)?;
        let places = self.numbers_to("values.places", cells, count.saturating_sub(1))?;
        let total: u64 = lengths.iter().map(|&len| u64::from(len)).sum();
        let sound = total == cells as u64 && (cells == 0 || count > 0 && atoms > 0);
        self.checked("values.rows", sound.then_some(()))?;
        let mut cells = keys.into_iter().zip(places);
        let distinct =
            lengths.iter().map(|&len| cells.by_ref().take(len as usize).collect()).collect();
        let codes = self.numbers_to("values.codes", atoms as usize, rows)?;
        Ok(ValueColumn { rows: Dictionary { codes, distinct }, values })
    }
}
