//! What is asked for.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::opencog::atomspace::codec::TOLERANCE;
use crate::opencog::atomspace::companion::{Form, TruthCoding};
use crate::opencog::atomspace::read::TvMerge;
use crate::opencog::ecan::AttentionCodec;
use crate::opencog::moses::ConstantCodec;

/// Which OpenCog data is kept, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// A text of atoms.
    pub atomspace: Option<PathBuf>,
    /// Which value stays where an atom is given one more than once.
    pub tv_merge: TvMerge,
    /// Words that the text uses for types without defining them.
    pub aliases: Vec<(String, String)>,
    /// Type scripts, which declare types of the text beside those of OpenCog's modules.
    pub types: Vec<PathBuf>,
    /// How truth values are kept.
    pub truth: TruthCoding,
    /// How attention values are kept.
    pub attention: AttentionCoding,
    /// A text of MOSES programs.
    pub moses: Option<PathBuf>,
    /// The table that the programs are about: their constants are coded by what that changes on it.
    pub moses_table: Option<PathBuf>,
    /// The column of the table that the programs are to tell, by its place or label; the first
    /// where it isn't said.
    pub moses_target: Option<String>,
    /// The column of what each row of the table weighs, if there is one.
    pub moses_weight: Option<String>,
    /// How the levels of constants are chosen.
    pub moses_constants: ConstantCodec,
    /// Whose data is kept at all.
    pub enabled: Enabled,
    /// The form of the atoms.
    pub form: Form,
    /// Whether it is also measured what coding changes for those who use the data.
    pub validate: bool,
    /// How atoms are sorted that are too many for memory; in memory whatever they are where it isn't
    /// said, and where all that was read is needed to validate.
    pub sorting: Option<Sorting>,
}

/// How atoms are sorted that are too many for memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Sorting {
    /// Bytes that it should not take more than, beside what is packed.
    pub memory: u64,
    /// Where temporary files may be, which have no names there.
    pub folder: PathBuf,
}

/// What a part of a text takes, while it is read and ordered, of what its atoms take.
const SHARE: u64 = 6;

impl Sorting {
    /// Bytes of atoms that are read and ordered at once.
    pub(super) fn part(&self) -> usize {
        usize::try_from(self.memory / SHARE).unwrap_or(usize::MAX)
    }

    /// What is to be said where atoms of so many bytes were read and are ordered at once, for this
    /// reason: nothing if there is memory for that.
    pub(super) fn warning(&self, bytes: usize, reason: &str) -> Option<String> {
        let mb = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
        (bytes >= self.part()).then(|| {
            format!(
                "about {} of memory was taken, beyond the {} that --memory allows: {reason}",
                mb((bytes as u64).saturating_mul(SHARE)),
                mb(self.memory)
            )
        })
    }
}

/// How attention values are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttentionCoding {
    /// As they are.
    Exact,
    /// In 8 bits where a palette loses nothing, else as they are.
    Chosen,
    /// In 8 bits by this codec.
    Named(AttentionCodec),
}

/// Its name on the command line.
impl fmt::Display for AttentionCoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AttentionCoding::Exact => f.write_str("exact"),
            AttentionCoding::Chosen => f.write_str("chosen"),
            AttentionCoding::Named(codec) => codec.fmt(f),
        }
    }
}

/// The rooms of OpenCog data that are worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enabled {
    /// Atoms and their values.
    pub atomspace: bool,
    /// Programs.
    pub moses: bool,
    /// Whether attention values are coded; they are kept as they are where not.
    pub ecan: bool,
}

impl Default for Request {
    /// No data; the codes that lose least.
    fn default() -> Request {
        Request {
            atomspace: None,
            tv_merge: TvMerge::default(),
            aliases: Vec::new(),
            types: Vec::new(),
            truth: TruthCoding::Chosen { tolerance: TOLERANCE },
            attention: AttentionCoding::Chosen,
            moses: None,
            moses_table: None,
            moses_target: None,
            moses_weight: None,
            moses_constants: ConstantCodec::Palette,
            enabled: Enabled { atomspace: true, moses: true, ecan: true },
            form: Form::Mapped,
            validate: false,
            sorting: None,
        }
    }
}

impl Request {
    /// The text of atoms that is read.
    pub(super) fn atoms(&self) -> Option<&Path> {
        self.atomspace.as_deref().filter(|_| self.enabled.atomspace)
    }

    /// The text of programs that is read.
    pub(super) fn programs(&self) -> Option<&Path> {
        self.moses.as_deref().filter(|_| self.enabled.moses)
    }

    /// The table that is read.
    pub(super) fn table(&self) -> Option<&Path> {
        self.programs().and(self.moses_table.as_deref())
    }

    /// All files that are read.
    pub fn inputs(&self) -> impl Iterator<Item = &Path> {
        let data = [self.atoms(), self.programs(), self.table()].into_iter().flatten();
        let scripts = self.atoms().map_or(&[][..], |_| &self.types);
        data.chain(scripts.iter().map(PathBuf::as_path))
    }

    /// The flags that ask for it, each with its value if it takes one; what is the default is left
    /// out.
    pub fn flags(&self) -> Vec<(&'static str, Option<OsString>)> {
        let Request { tv_merge, truth, attention, moses_constants, enabled, .. } = self;
        let default = Request::default();
        let path = |path: &Option<PathBuf>| path.clone().map(PathBuf::into_os_string);
        let text = |text: &Option<String>| text.clone().map(OsString::from);
        let changed = |is: bool, value: String| is.then(|| OsString::from(value));
        let values = [
            ("--atomspace", path(&self.atomspace)),
            ("--tv-merge", changed(*tv_merge != default.tv_merge, tv_merge.name().into())),
            ("--truth", changed(*truth != default.truth, truth.name().into())),
            ("--attention", changed(*attention != default.attention, attention.to_string())),
            ("--moses", path(&self.moses)),
            ("--moses-table", path(&self.moses_table)),
            (
                "--moses-constants",
                changed(*moses_constants != default.moses_constants, moses_constants.to_string()),
            ),
            ("--moses-weight", text(&self.moses_weight)),
            ("--moses-target", text(&self.moses_target)),
        ];
        let switches = [
            ("--at-rest", self.form == Form::AtRest),
            ("--validate", self.validate),
            ("--disable-atomspace", !enabled.atomspace),
            ("--disable-moses", !enabled.moses),
            ("--disable-ecan", !enabled.ecan),
        ];
        let alias = |(word, of): &(String, String)| {
            ("--alias", Some(OsString::from(format!("{word}={of}"))))
        };
        let values = values.into_iter().filter(|(_, value)| value.is_some());
        let switches = switches.into_iter().filter(|(_, is_on)| *is_on);
        values
            .chain(self.aliases.iter().map(alias))
            .chain(switches.map(|(flag, _)| (flag, None)))
            .collect()
    }

    /// How attention values are kept.
    pub(super) fn attention(&self) -> AttentionCoding {
        if self.enabled.ecan { self.attention } else { AttentionCoding::Exact }
    }
}

/// The files, as in `kb.scm, programs.combo`.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.inputs().map(|path| path.display().to_string()).collect();
        f.write_str(&names.join(", "))
    }
}
