//! The arguments about OpenCog data.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};

use crate::companion::{
    AttentionCoding, Enabled, ExportJob, ExportTarget, PackJob, QueryJob, Request, Sorting,
};
use crate::gguf::folder_of;
use crate::hardware::Memory;
use crate::opencog::atomspace::Declarations;
use crate::opencog::atomspace::codec::{Codec, TOLERANCE};
use crate::opencog::atomspace::companion::{Form, TruthCoding};
use crate::opencog::atomspace::export::Target;
use crate::opencog::atomspace::read::TvMerge;
use crate::opencog::ecan::AttentionCodec;
use crate::opencog::moses::ConstantCodec;
use crate::report::ReportFile;

const PACK_USAGE: &str = "opencog-qat opencog pack [OPTIONS] [KB.scm] <KB.opencog.gguf>";

const PACK_HELP: &str = "\
Examples:
  opencog-qat opencog pack kb.scm kb.opencog.gguf
  opencog-qat opencog pack kb.metta kb.opencog.gguf
  opencog-qat opencog pack --at-rest --truth exact kb.scm kb.opencog.gguf
  opencog-qat opencog pack --moses best.combo --moses-table train.csv kb.scm kb.opencog.gguf
  opencog-qat opencog pack --validate --report kb.json kb.scm kb.opencog.gguf
  opencog-qat opencog pack --moses best.combo best.opencog.gguf";

const QUERY_HELP: &str = "\
Prints a line of the variables' names, then one for each match: the atoms, separated by tabs (those
in names are \\t, line feeds \\n). Of a pattern without variables it says yes or no. Clauses may
be wrapped in Meet, Get, Query, Bind, Present and And, as AtomSpace has them; in a bare And each
must be a link with a variable, else it is the link that is looked for. What only a program can
answer (Not, Or, Absent, Dual, globs, comparisons) is refused.

Example, who is whatever Kecia is:
  opencog-qat opencog query kb.opencog.gguf '
    (Inheritance (Variable \"$who\") (Variable \"$what\"))
    (Inheritance (Concept \"Kecia\") (Variable \"$what\"))'

Of MeTTa a pattern is an atom, and the matches are those of `match &self`: variables of atoms are
bound too, an atom that is there twice matches twice, (, A B) is of two patterns met together:
  opencog-qat opencog query kb.metta '(, (parent $x Bob) (age $x $years))'";

/// What can be done with OpenCog data alone.
#[derive(Debug, Subcommand)]
pub enum OpenCogCommand {
    /// Pack AtomSpace text or MeTTa, MOSES programs, or both, into a companion file that is queried
    /// where it lies
    #[command(after_help = PACK_HELP, override_usage = PACK_USAGE)]
    Pack(PackArgs),

    /// Write the atoms of a companion as AtomSpace text or MeTTa again, its MOSES programs, or both
    Export(ExportArgs),

    /// Find what the variables of a pattern stand for, in a companion, where it lies, or in a text
    #[command(after_help = QUERY_HELP)]
    Query(QueryArgs),

    /// Tell what a companion, an AtomSpace text or MeTTa holds
    Stats {
        /// The file
        file: PathBuf,

        /// Words of a text
        #[command(flatten)]
        aliases: AliasArgs,

        /// Also write it as a report: .html, .md or .json; an existing file is replaced
        #[arg(long, value_name = "FILE", value_parser = super::report_file())]
        report: Option<ReportFile>,
    },
}

/// What `opencog pack` is asked for.
#[derive(Debug, Args)]
pub struct PackArgs {
    /// AtomSpace text (.scm), or MeTTa (.metta), whose commands (`!`) are not run; of another name,
    /// what stands in it tells; may be left out if there is --moses. Last, the companion to write
    #[arg(value_names = ["KB.scm", "KB.opencog.gguf"], num_args = 1..=2, required = true)]
    files: Vec<PathBuf>,

    #[command(flatten)]
    coding: CodingArgs,

    /// Memory in GB that sorting atoms may take: a text of more is sorted in parts, through temporary
    /// files without names beside the companion [default: half of this machine's]
    #[arg(long, value_name = "GB", value_parser = gigabytes)]
    memory: Option<f64>,

    /// Also write a report of what was done: .html is a page to look at, .md a text, .json for
    /// programs; an existing file is replaced
    #[arg(long, value_name = "FILE", value_parser = super::report_file())]
    report: Option<ReportFile>,

    /// Replace an existing output
    #[arg(long)]
    force: bool,

    /// Print nothing but errors
    #[arg(long, short)]
    pub quiet: bool,
}

/// What `opencog export` is asked for.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The companion
    #[arg(value_name = "KB.opencog.gguf")]
    companion: PathBuf,

    /// The text to write; may be left out where there is --moses
    #[arg(value_name = "OUT.scm", required_unless_present = "moses")]
    output: Option<PathBuf>,

    /// What is to read it: AtomSpace 5.0, with truth values; AtomSpace 2026, where the numbers of a
    /// truth value are a FloatValue under its key; or metta, Hyperon, if the atoms are MeTTa
    /// [default: metta if they are, else 5.0]
    #[arg(long, value_name = "5.0|2026|metta", value_parser = target)]
    target: Option<ExportTarget>,

    /// The modules of OpenCog that it has loaded, such as attention,pln,ure,agi-bio: their types are
    /// written as any others. What a reader without them stops at comes last, and is counted
    #[arg(long, value_name = "MODULES", value_delimiter = ',', value_parser = module)]
    modules: Vec<String>,

    /// A type script of types that it knows beside those of its modules; several with commas, or the
    /// flag again
    #[arg(long, value_name = "FILE.script", value_delimiter = ',')]
    types: Vec<PathBuf>,

    /// Write the MOSES programs of the companion
    #[arg(long, value_name = "OUT.combo")]
    moses: Option<PathBuf>,

    /// Replace existing outputs
    #[arg(long)]
    force: bool,

    /// Print nothing but errors
    #[arg(long, short)]
    pub quiet: bool,
}

/// What `opencog query` is asked for.
#[derive(Debug, Args)]
pub struct QueryArgs {
    /// A companion, AtomSpace text or MeTTa
    #[arg(value_name = "KB.opencog.gguf")]
    file: PathBuf,

    /// Links that must all be there, as AtomSpace text; each VariableNode stands for any atom. Of
    /// MeTTa an atom
    pattern: String,

    /// The most matches to print
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = limit)]
    limit: usize,

    #[command(flatten)]
    aliases: AliasArgs,
}

/// Words that stand for types.
#[derive(Debug, Args)]
pub struct AliasArgs {
    /// A word that the text uses for a type without defining it, as e=EvaluationLink; several with
    /// commas, or the flag again
    #[arg(long, value_name = "WORD=TYPE", value_delimiter = ',', value_parser = alias)]
    #[arg(help_heading = "OpenCog data")]
    pub alias: Vec<(String, String)>,

    /// A type script (atom_types.script) of types that the text has beside those of OpenCog's modules:
    /// FOO_LINK <- UNORDERED_LINK; several with commas, or the flag again
    #[arg(long, value_name = "FILE.script", value_delimiter = ',')]
    #[arg(help_heading = "OpenCog data")]
    pub types: Vec<PathBuf>,
}

/// How OpenCog data is read and coded.
#[derive(Debug, Args)]
pub struct CodingArgs {
    /// Which value stays where an atom is given one more than once: first, where a nested atom's is
    /// taken only if the atom has none yet; or last, as load does
    #[arg(long, value_name = "RULE", default_value = "first", value_parser = tv_merge)]
    #[arg(help_heading = "OpenCog data")]
    tv_merge: TvMerge,

    #[command(flatten)]
    aliases: AliasArgs,

    /// How truth values are kept, of MeTTa `(STV s c)` and `(stv s c)`, which only a codec by name
    /// changes: chosen, which loses nothing where at most 256 are distinct, else at most 0.5 % of a
    /// strength or a count; exact; or by name: palette, guarded-uniform8,
    /// logcount8, column8, uniform8 (plain, without guards)
    #[arg(long, value_name = "CODEC", default_value = "chosen", value_parser = truth)]
    #[arg(help_heading = "OpenCog data")]
    truth: TruthCoding,

    /// How attention values are kept: chosen, in 8 bits where at most 256 of a kind are distinct, so
    /// that nothing is lost, else exact; exact; or in 8 bits by name: palette, geometric, uniform
    #[arg(long, value_name = "CODEC", default_value = "chosen", value_parser = attention)]
    #[arg(help_heading = "OpenCog data")]
    attention: AttentionCoding,

    /// Compress the atoms to be kept or sent: smaller, but not queried in place
    #[arg(long, help_heading = "OpenCog data")]
    at_rest: bool,

    /// MOSES programs, whose constants are kept in 6 bits; without a table only where nothing is lost
    #[arg(long, value_name = "FILE.combo", help_heading = "OpenCog data")]
    moses: Option<PathBuf>,

    /// The table that the programs are about, .csv or a compressed .ctable: constants are coded by what that changes on it
    #[arg(long, value_name = "FILE.csv", requires = "moses", help_heading = "OpenCog data")]
    moses_table: Option<PathBuf>,

    /// How the 64 levels of constants are chosen: palette, of the constants themselves; lattice, the
    /// values that MOSES' own knobs turn to; or uniform, equal steps
    #[arg(long, value_name = "CODEC", default_value = "palette", value_parser = constants)]
    #[arg(requires = "moses", help_heading = "OpenCog data")]
    moses_constants: ConstantCodec,

    /// The column of what each row of the table weighs, by its place from 1 or its label
    #[arg(long, value_name = "COLUMN", requires = "moses_table", help_heading = "OpenCog data")]
    moses_weight: Option<String>,

    /// The column that the programs tell, by its place from 1 or its label [default: the first]
    #[arg(long, value_name = "COLUMN", requires = "moses_table", help_heading = "OpenCog data")]
    moses_target: Option<String>,

    /// Also measure what coding changes for those who use the data: patterns mined, latency,
    /// attention, evolution; seconds to a minute
    #[arg(long, help_heading = "OpenCog data")]
    validate: bool,
}

/// OpenCog data beside a model.
#[derive(Debug, Args)]
pub struct ModelArgs {
    /// AtomSpace text (.scm) or MeTTa (.metta) to pack along with the model, into OUT.opencog.gguf
    /// [default: what is in MODEL.opencog.gguf, where there is one]
    #[arg(long, value_name = "FILE.scm", help_heading = "OpenCog data")]
    atomspace: Option<PathBuf>,

    #[command(flatten)]
    coding: CodingArgs,

    /// Keep atoms [default]
    #[arg(long, overrides_with = "disable_atomspace", help_heading = "OpenCog data")]
    enable_atomspace: bool,

    /// Keep no atoms
    #[arg(long, overrides_with = "enable_atomspace", help_heading = "OpenCog data")]
    disable_atomspace: bool,

    /// Keep MOSES programs [default]
    #[arg(long, overrides_with = "disable_moses", help_heading = "OpenCog data")]
    enable_moses: bool,

    /// Keep no programs
    #[arg(long, overrides_with = "enable_moses", help_heading = "OpenCog data")]
    disable_moses: bool,

    /// Code attention values [default]
    #[arg(long, overrides_with = "disable_ecan", help_heading = "OpenCog data")]
    enable_ecan: bool,

    /// Keep attention values as they are
    #[arg(long, overrides_with = "enable_ecan", help_heading = "OpenCog data")]
    disable_ecan: bool,
}

impl CodingArgs {
    fn request(self, atomspace: Option<PathBuf>) -> Request {
        Request {
            atomspace,
            tv_merge: self.tv_merge,
            aliases: self.aliases.alias,
            types: self.aliases.types,
            truth: self.truth,
            attention: self.attention,
            moses: self.moses,
            moses_table: self.moses_table,
            moses_target: self.moses_target,
            moses_weight: self.moses_weight,
            moses_constants: self.moses_constants,
            form: if self.at_rest { Form::AtRest } else { Form::Mapped },
            validate: self.validate,
            ..Request::default()
        }
    }
}

/// Memory in GB.
fn gigabytes(text: &str) -> Result<f64, String> {
    let gb = text.parse().ok().filter(|gb: &f64| gb.is_finite() && *gb > 0.0);
    gb.ok_or_else(|| "expected a number of GB above 0".into())
}

impl PackArgs {
    /// What is wrong with the files that are named, if something is.
    pub(super) fn misuse(&self) -> Option<String> {
        let without_text = self.coding.moses.is_some();
        match &self.files[..] {
            [_, _] => None,
            [_] if without_text => None,
            [one] => Some(format!(
                "KB.scm and KB.opencog.gguf are required, found only {}; --moses needs no KB.scm",
                one.display()
            )),
            files => Some(format!(
                "expected KB.scm KB.opencog.gguf, found {} files, as the third {}",
                files.len(),
                files.get(2).map(|file| file.display().to_string()).unwrap_or_default()
            )),
        }
    }

    /// The job.
    pub fn job(self) -> anyhow::Result<PackJob> {
        let (mut files, report, force) = (self.files, self.report, self.force);
        let output = files.pop().context("name the companion to write")?;
        let input = files.pop();
        let half = || Memory::of_this_machine().bytes() / 2;
        let memory = self.memory.map_or_else(half, |gb| Memory::Asked(gb).bytes());
        let sorting = Some(Sorting { memory, folder: folder_of(&output).into() });
        let request = Request { sorting, ..self.coding.request(input) };
        Ok(PackJob { request, output, report, force })
    }
}

impl ExportArgs {
    /// The job.
    pub fn job(self) -> ExportJob {
        let ExportArgs { companion, output, moses, target, modules, types, force, .. } = self;
        ExportJob { companion, output, moses, target, modules, types, force }
    }
}

impl QueryArgs {
    /// The job.
    pub fn job(self) -> QueryJob {
        let QueryArgs { file, pattern, limit, aliases } = self;
        QueryJob { file, pattern, limit, aliases: aliases.alias, types: aliases.types }
    }
}

impl ModelArgs {
    /// What is asked for.
    pub(super) fn request(self) -> Request {
        let enabled = Enabled {
            atomspace: self.enable_atomspace || !self.disable_atomspace,
            moses: self.enable_moses || !self.disable_moses,
            ecan: self.enable_ecan || !self.disable_ecan,
        };
        Request { enabled, ..self.coding.request(self.atomspace) }
    }
}

fn limit(number: &str) -> Result<usize, String> {
    number.parse().ok().filter(|&limit| limit > 0).ok_or_else(|| "expected a number from 1".into())
}

fn tv_merge(name: &str) -> Result<TvMerge, String> {
    match name {
        "first" => Ok(TvMerge::FirstNested),
        "last" => Ok(TvMerge::Last),
        _ => Err("expected first or last".into()),
    }
}

fn alias(pair: &str) -> Result<(String, String), String> {
    match pair.split_once('=') {
        Some((word, of)) if !word.is_empty() && !of.is_empty() => Ok((word.into(), of.into())),
        _ => Err("expected WORD=TYPE, such as e=EvaluationLink".into()),
    }
}

/// Repositories of OpenCog, and the module of each that declares its types.
const REPOSITORIES: [(&str, &str); 3] =
    [("agi-bio", "bioscience"), ("moses", "asmoses"), ("lg-atomese", "lg")];

/// A module by its name, or by that of its repository.
fn module(name: &str) -> Result<String, String> {
    let of = REPOSITORIES.iter().find(|(repository, _)| *repository == name);
    let name = of.map_or(name, |(_, module)| module);
    let mut known = Declarations::builtin().modules();
    if known.any(|known| known == name) {
        return Ok(name.into());
    }
    let repositories = REPOSITORIES.iter().map(|(repository, _)| *repository);
    let all: Vec<&str> = Declarations::builtin().modules().chain(repositories).collect();
    Err(format!("expected one of {}", all.join(", ")))
}

fn truth(name: &str) -> Result<TruthCoding, String> {
    let tolerance = TOLERANCE;
    match name {
        "exact" => Ok(TruthCoding::Exact),
        "chosen" => Ok(TruthCoding::Chosen { tolerance }),
        name => {
            let codec: Result<Codec, _> = name.parse();
            let codec = codec.map_err(|_| {
                let names: Vec<&str> = Codec::all().map(Codec::name).collect();
                format!("expected chosen, exact, {}", names.join(", "))
            })?;
            Ok(TruthCoding::Named { codec, tolerance })
        }
    }
}

fn attention(name: &str) -> Result<AttentionCoding, String> {
    match name {
        "exact" => Ok(AttentionCoding::Exact),
        "chosen" => Ok(AttentionCoding::Chosen),
        name => {
            let codec: Result<AttentionCodec, String> = name.parse();
            codec.map(AttentionCoding::Named).map_err(|error| format!("{error}, chosen, exact"))
        }
    }
}

fn constants(name: &str) -> Result<ConstantCodec, String> {
    name.parse()
}

fn target(name: &str) -> Result<ExportTarget, String> {
    match name {
        "5.0" => Ok(ExportTarget::AtomSpace(Target::AtomSpace5_0)),
        "2026" => Ok(ExportTarget::AtomSpace(Target::AtomSpace2026)),
        "metta" => Ok(ExportTarget::Metta),
        _ => Err("expected 5.0, 2026 or metta".into()),
    }
}
