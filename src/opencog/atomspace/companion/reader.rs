//! The parts of an open companion, by name.

use std::path::{Path, PathBuf};

use crate::gguf::{Array, Error, Format, Gguf, Value};
use crate::opencog::atomspace::{AtomType, Kind, TypeId};
use crate::opencog::ecan::AtomAttention;
use crate::opencog::section::{ARCHITECTURE, ARCHITECTURE_KEY, Companion};

use super::groups::GroupSize;
use super::packed::Packed;
use super::section::{key, name};
use super::{Form, VERSION};

/// A companion whose parts are looked up and checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    gguf: &'a Gguf,
}

impl<'a> Reader<'a> {
    /// Checks that the file is a companion with an AtomSpace in this form.
    pub fn new(gguf: &'a Gguf, form: Form) -> Result<Reader<'a>, Error> {
        let reader = Reader { gguf };
        match Reader::of_any_form(gguf)? {
            Some((reader, found)) if found == form => Ok(reader),
            Some((_, found)) => Err(reader.fault(format!(
                "its AtomSpace is in the form `{}`, expected `{}`",
                found.name(),
                form.name()
            ))),
            None => Err(reader.fault("it holds no AtomSpace".into())),
        }
    }

    /// Checks that the file is a companion, and finds the form of its AtomSpace, if it has one.
    pub fn of_any_form(gguf: &'a Gguf) -> Result<Option<(Reader<'a>, Form)>, Error> {
        let reader = Reader { gguf };
        let architecture = reader.text(ARCHITECTURE_KEY).unwrap_or_default();
        if architecture != ARCHITECTURE {
            let what = format!("its architecture is `{architecture}`, expected `{ARCHITECTURE}`");
            return Err(Error::Unsupported { path: reader.path(), what });
        }
        if gguf.metadata().get(key::VERSION).is_none() {
            return Ok(None);
        }
        let version = reader.number(key::VERSION)?;
        if version != u64::from(VERSION) {
            let what = format!("its `{}` is {version}, and only {VERSION} is read", key::VERSION);
            return Err(Error::Unsupported { path: reader.path(), what });
        }
        let forms = [Form::Mapped, Form::AtRest];
        let found = reader.text(key::FORM);
        let form = forms.into_iter().find(|form| Some(form.name()) == found);
        let form = form.ok_or_else(|| {
            reader.fault(format!("`{}`: expected `mapped` or `at rest`", key::FORM))
        })?;
        Ok(Some((reader, form)))
    }

    pub fn path(&self) -> PathBuf {
        self.gguf.paths().next().unwrap_or(Path::new("")).into()
    }

    /// Bytes of the file.
    pub fn file_bytes(&self) -> u64 {
        self.gguf.file_bytes()
    }

    /// An error that the file is to blame for.
    pub fn fault(&self, fault: String) -> Error {
        Error::Format { path: self.path(), fault }
    }

    /// What a check of a part came to.
    pub fn checked<T>(&self, part: &str, value: Option<T>) -> Result<T, Error> {
        value.ok_or_else(|| self.contradiction(part))
    }

    /// An error where a part is not as it must be.
    pub fn check(&self, part: &str, is_so: bool) -> Result<(), Error> {
        self.checked(part, is_so.then_some(()))
    }

    /// The error of a part that contradicts others.
    pub fn contradiction(&self, part: &str) -> Error {
        self.fault(format!("part `{part}` is not what others say of it"))
    }

    /// A number that the metadata must have.
    pub fn number(&self, key: &str) -> Result<u64, Error> {
        let found = self.gguf.metadata().get(key).and_then(Value::as_u64);
        found.ok_or_else(|| self.fault(format!("its metadata has no number `{key}`")))
    }

    /// A text that the metadata may have.
    pub fn text(&self, key: &str) -> Option<&'a str> {
        self.gguf.metadata().get(key).and_then(Value::as_str)
    }

    /// The bytes of a part; nothing where it isn't there.
    pub fn bytes(&self, name: &str) -> &'a [u8] {
        self.gguf.tensor(name).map_or(&[], |tensor| self.gguf.data(tensor))
    }

    /// The floats of a part, `N` of them in a row.
    pub fn rows<const N: usize>(&self, name: &str) -> Result<&'a [[[u8; 8]; N]], Error> {
        let tensor = self.gguf.tensor(name);
        let is_so = tensor.is_none_or(|tensor| tensor.format == Format::F64);
        let (floats, rest) = self.bytes(name).as_chunks();
        let (rows, left) = floats.as_chunks();
        let whole = is_so && rest.is_empty() && left.is_empty();
        self.checked(name, whole.then_some(rows))
    }

    /// `len` packed numbers of up to `max`.
    pub fn packed(&self, name: &str, len: u64, max: u64) -> Result<Packed<'a>, Error> {
        // Numbers of no width take no bytes, but never are there so many.
        let plausible = len <= self.file_bytes().saturating_mul(8);
        let packed = plausible.then(|| Packed::new(self.bytes(name), len, max));
        self.checked(name, packed.flatten())
    }

    /// Where `lists` lists that together are `total` long begin and end: as many numbers, which are
    /// not looked at.
    pub fn bounds(&self, name: &str, lists: u64, total: u64) -> Result<Packed<'a>, Error> {
        self.packed(name, lists.saturating_add(1), total)
    }

    /// The types of atoms.
    pub fn types(&self) -> Result<Vec<AtomType>, Error> {
        let array = |key| self.gguf.metadata().get(key).and_then(Value::as_array);
        let names = array(key::TYPES).and_then(Array::as_strings);
        let kinds = match array(key::TYPE_KINDS) {
            Some(Array::U8(kinds)) => Some(kinds),
            _ => None,
        };
        let fault =
            || self.fault(format!("`{}` and `{}` don't agree", key::TYPES, key::TYPE_KINDS));
        let (names, kinds) = names.zip(kinds).ok_or_else(fault)?;
        if names.len() != kinds.len() || names.len() > usize::from(u16::MAX) + 1 {
            return Err(fault());
        }
        let of = |(name, &kind): (&[u8], &u8)| {
            let (kind, unordered) = match kind {
                0 => (Kind::Node, false),
                1 => (Kind::Link, false),
                2 => (Kind::Link, true),
                _ => return None,
            };
            Some(AtomType { name: std::str::from_utf8(name).ok()?.into(), kind, unordered })
        };
        names.iter().zip(kinds).map(of).collect::<Option<Vec<_>>>().ok_or_else(fault)
    }

    /// Whether ECAN's section has attention values.
    pub fn has_coded_attention(&self) -> bool {
        Companion::new(self.gguf).is_ok_and(|companion| AtomAttention::is_in(&companion))
    }

    /// The attention values that ECAN's section has of so many atoms.
    pub fn coded_attention(&self, atoms: u32) -> Result<Option<AtomAttention>, Error> {
        let companion = Companion::new(self.gguf).map_err(|error| self.fault(error.0))?;
        AtomAttention::from_companion(&companion, atoms).map_err(|error| self.fault(error.0))
    }

    /// The groups of atoms.
    pub fn groups(&self, bytes: &[u8]) -> Result<Vec<GroupSize>, Error> {
        let (numbers, rest) = bytes.as_chunks::<4>();
        let (rows, left) = numbers.as_chunks::<4>();
        let group = |row: &[[u8; 4]; 4]| {
            let [of, height, arity, count] = row.map(u32::from_le_bytes);
            Some(GroupSize { of: TypeId(of.try_into().ok()?), height, arity, count })
        };
        let whole = rest.is_empty() && left.is_empty();
        let groups = rows.iter().map(group).collect::<Option<Vec<_>>>();
        self.checked(name::GROUPS, groups.filter(|_| whole))
    }
}
