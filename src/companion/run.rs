//! What is done with OpenCog data alone, each on a page: pack, export, stats.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use crate::Error;
use crate::gguf::OutputFile;
use crate::opencog::atomspace::companion::Form;
use crate::opencog::atomspace::export::{Destination, ExportSummary, Rewritten, Target};
use crate::opencog::atomspace::{self, Declarations};
use crate::report::{AtomSpaceReport, OpenCogReport, ReportFile, SkippedReport, Stats};
use crate::same_file::refuse_same;

use super::language::Language;
use super::opened::Opened;
use super::text::Text;
use super::{Companion, Request, metta, read};

/// What to pack, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct PackJob {
    /// The data.
    pub request: Request,
    /// The companion to write.
    pub output: PathBuf,
    /// Where a report of what was done is written, if anywhere; an existing file is replaced.
    pub report: Option<ReportFile>,
    /// Whether an existing output is replaced.
    pub force: bool,
}

/// Packs OpenCog data into a companion.
///
/// # Errors
/// A file cannot be read, is broken, or cannot be written; nothing is written then.
pub fn pack(job: &PackJob) -> Result<OpenCogReport, Error> {
    let PackJob { request, output, report, force } = job;
    let read: Vec<&Path> = request.inputs().collect();
    refuse_same(&read, std::slice::from_ref(output), report.as_ref().map(ReportFile::path))?;
    OutputFile::check(output, *force)?;
    let begin = |report: &ReportFile| Ok::<_, Error>((report.clone(), report.begin()?));
    let report_file = report.as_ref().map(begin).transpose()?;
    let companion = Companion::pack(request, output, *force)?;
    let told = companion.report.clone();
    let Some((to, mut file)) = report_file else {
        companion.commit()?;
        return Ok(told);
    };
    to.store(&told, &mut file)?;
    companion.commit_before(|| file.commit())?;
    Ok(told)
}

/// What to write as text again, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportJob {
    /// The companion.
    pub companion: PathBuf,
    /// Where the atoms are written as text, if anywhere.
    pub output: Option<PathBuf>,
    /// Where the programs are written, if anywhere.
    pub moses: Option<PathBuf>,
    /// What is to read the atoms; none for what they were read from: MeTTa, or AtomSpace 5.0.
    pub target: Option<ExportTarget>,
    /// The modules that an AtomSpace has loaded.
    pub modules: Vec<String>,
    /// Type scripts, whose types it knows.
    pub types: Vec<PathBuf>,
    /// Whether existing outputs are replaced.
    pub force: bool,
}

/// What is to read the atoms that are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportTarget {
    /// An AtomSpace.
    AtomSpace(Target),
    /// Hyperon: the atoms are those of MeTTa.
    Metta,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Of the atoms of an AtomSpace, where they were asked for.
    pub atoms: Option<ExportSummary>,
    /// Atoms of MeTTa, where they were asked for.
    pub metta: Option<u64>,
    /// Programs, where they were asked for.
    pub programs: Option<usize>,
    /// What is to be said of the name of the text of atoms.
    pub warning: Option<String>,
}

/// The summary, several lines.
impl fmt::Display for Exported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.atoms.map_or(Ok(()), |atoms| write_exported(f, &atoms))?;
        self.metta.map_or(Ok(()), |atoms| writeln!(f, "  lines        {atoms}"))?;
        let mut warnings = self.warning.iter();
        warnings.try_for_each(|warning| writeln!(f, "  warning      {warning}"))?;
        self.programs.map_or(Ok(()), |programs| writeln!(f, "  programs     {programs}"))
    }
}

fn write_exported(f: &mut fmt::Formatter<'_>, atoms: &ExportSummary) -> fmt::Result {
    let ExportSummary { lines, attention, rejected, texts_of_lines, rewritten, no_truths } = atoms;
    let Rewritten { bools, empty, derived, truths } = rewritten;
    writeln!(f, "  lines        {lines}")?;
    let warnings = [
        (
            attention,
            "lines, near the end, have attention values, which only an AtomSpace with the module \
             attention reads (--modules attention, where it is loaded)",
        ),
        (
            rejected,
            "lines, the last ones, have what this AtomSpace does not know or its constructors \
             refuse; --modules names modules that it has loaded",
        ),
        (texts_of_lines, "names and strings have a line feed, which the fast reader takes out"),
        (bools, "BoolValues are written as FloatValues, since this AtomSpace reads no others"),
        (empty, "empty values are written as (StringValue ), the only ones that both readers take"),
        (derived, "streams and other derived values are written as what they hold"),
        (
            truths,
            "truth values are written as simple ones or with a count, or, where they are under other \
             keys than their own, as their numbers: this AtomSpace reads no others",
        ),
        (
            no_truths,
            "values under the key of truth values are none; programs that ask this AtomSpace for \
             the truth value may crash",
        ),
    ];
    let mut found = warnings.iter().filter(|(count, _)| **count > 0);
    found.try_for_each(|(count, what)| writeln!(f, "  warning      {count} {what}"))
}

/// Writes the atoms of a companion as text, its programs, or both.
///
/// # Errors
/// The companion cannot be read or is broken, or a text cannot be written; nothing is then.
pub fn export(job: &ExportJob) -> Result<Exported, Error> {
    let ExportJob { companion, output, moses, .. } = job;
    let outputs: Vec<PathBuf> = output.iter().chain(moses).cloned().collect();
    refuse_same(&[companion], &outputs, None)?;
    if let (Some(output), Some(programs)) = (output, moses) {
        refuse_same(&[output], &[], Some(programs))?;
    }
    let opened = Opened::open(companion)?;
    let atoms = output.as_ref().map(|path| export_atoms(&opened, job, path)).transpose()?;
    let programs = moses.as_ref().map(|path| export_programs(&opened, job, path)).transpose()?;
    let named_otherwise = |path: &PathBuf| {
        let (_, written) = atoms.as_ref()?;
        named_otherwise(path, matches!(written, Written::Metta(_)))
    };
    let exported = Exported {
        warning: output.as_ref().and_then(named_otherwise),
        atoms: atoms.as_ref().and_then(|(_, written)| match written {
            Written::AtomSpace(summary) => Some(*summary),
            Written::Metta(_) => None,
        }),
        metta: atoms.as_ref().and_then(|(_, written)| match written {
            Written::AtomSpace(_) => None,
            Written::Metta(atoms) => Some(*atoms),
        }),
        programs: programs.as_ref().map(|(_, count)| *count),
    };
    atoms.map_or(Ok(()), |(file, _)| file.commit())?;
    programs.map_or(Ok(()), |(file, _)| file.commit())?;
    Ok(exported)
}

/// What was written of atoms.
enum Written {
    AtomSpace(ExportSummary),
    /// So many atoms at the top.
    Metta(u64),
}

/// What is to be said of a text that its name says to be in the other language.
fn named_otherwise(path: &Path, is_metta: bool) -> Option<String> {
    let of = path.extension()?.to_string_lossy().to_ascii_lowercase();
    let (written, other) = match (is_metta, &*of) {
        (false, "metta") => ("AtomSpace text (Scheme)", "scm"),
        (true, "scm" | "scheme") => ("MeTTa", "metta"),
        _ => return None,
    };
    let name = path.display();
    Some(format!(
        "{name} is {written}, which is not what its name says: call it .{other}, or it is refused"
    ))
}

fn export_atoms(
    opened: &Opened,
    job: &ExportJob,
    path: &Path,
) -> Result<(OutputFile, Written), Error> {
    let ExportJob { companion, target, force, .. } = job;
    let metta = opened.metta()?;
    let target = match (*target, &metta) {
        (Some(ExportTarget::Metta), None) => {
            let fault = "its atoms are those of an AtomSpace: --target 5.0 or 2026 writes them";
            return Err(Error::opencog(companion, fault));
        }
        (Some(ExportTarget::AtomSpace(_)), Some(_)) => {
            return Err(Error::opencog(
                companion,
                "its atoms are MeTTa: --target metta writes them",
            ));
        }
        (Some(ExportTarget::AtomSpace(target)), None) => target,
        (Some(ExportTarget::Metta) | None, _) => Target::default(),
    };
    if metta.is_some() && !(job.modules.is_empty() && job.types.is_empty()) {
        let fault =
            "its atoms are MeTTa, of which --modules and --types tell nothing; leave them out";
        return Err(Error::opencog(companion, fault));
    }
    let space = opened.whole_space()?;
    let mut file = BufWriter::new(OutputFile::create(path, *force)?);
    let written = match &metta {
        Some(metta) => metta::export(metta, &mut file).map(Written::Metta),
        None => {
            let types = read::types(&job.types)?.unwrap_or_else(|| Declarations::builtin().clone());
            let to = Destination { target, modules: job.modules.clone(), types };
            atomspace::export::export(&space, &to, &mut file).map(Written::AtomSpace)
        }
    };
    let written = written.map_err(|error| match error {
        atomspace::Error::Io { doing, source } => Error::file(path, doing, source),
        other => Error::opencog(companion, other),
    })?;
    Ok((finished(file, path)?, written))
}

fn export_programs(
    opened: &Opened,
    job: &ExportJob,
    path: &Path,
) -> Result<(OutputFile, usize), Error> {
    let ExportJob { companion, force, .. } = job;
    let Some(coded) = opened.programs()? else {
        return Err(Error::opencog(companion, "it holds no programs; leave --moses out"));
    };
    let ensemble = coded.decode();
    let mut file = BufWriter::new(OutputFile::create(path, *force)?);
    ensemble.write(&mut file).map_err(|e| Error::file(path, "cannot write it", e))?;
    Ok((finished(file, path)?, ensemble.programs.len()))
}

fn finished(file: BufWriter<OutputFile>, path: &Path) -> Result<OutputFile, Error> {
    let file = file.into_inner().map_err(io::IntoInnerError::into_error);
    let file = file.map_err(|e| Error::file(path, "cannot write it", e))?;
    file.sync()?;
    Ok(file)
}

/// What a companion, or a text of atoms, holds. `aliases` are words that a text uses for types
/// without defining them, and these; `types` are type scripts that declare more types of it. It is also written to `report`, where given; an existing file
/// is replaced.
///
/// # Errors
/// The file cannot be read or is broken, or the report cannot be written.
pub fn stats(
    path: &Path,
    aliases: &[(String, String)],
    types: &[PathBuf],
    report: Option<&ReportFile>,
) -> Result<Stats, Error> {
    refuse_same(&[path], &[], report.map(ReportFile::path))?;
    let doing = "cannot open the companion, AtomSpace text or MeTTa";
    File::open(path).map_err(|e| Error::file(path, doing, e))?;
    let begun = report.map(|to| Ok::<_, Error>((to, to.begin()?))).transpose()?;
    let stats = match read::is_gguf(path)? {
        true => companion_stats(path)?,
        false => text_stats(path, aliases, types)?,
    };
    if let Some((to, mut file)) = begun {
        to.store(&stats, &mut file)?;
        file.commit()?;
    }
    Ok(stats)
}

fn text_stats(
    path: &Path,
    aliases: &[(String, String)],
    types: &[PathBuf],
) -> Result<Stats, Error> {
    let text = Text::open(path)?;
    if text.language(!aliases.is_empty())? == Language::Metta {
        read::refuse_words(path, aliases, types)?;
        let atomspace = Some(metta::told(&read::metta(text)?, Form::Mapped, 0));
        return Ok(Stats { atomspace, ..Stats::of(path) });
    }
    let (aliases, types) = (aliases.to_vec(), types.to_vec());
    let request = Request { aliases, types, ..Request::default() };
    let (space, summary) = read::atomspace(text, &request)?;
    let atomspace = AtomSpaceReport {
        values_taken: Some(summary.values_taken),
        values_ignored: Some(summary.values_ignored),
        skipped: SkippedReport::all(&summary.skipped),
        ..AtomSpaceReport::of(&space, Form::Mapped, 0)
    };
    Ok(Stats { atomspace: Some(atomspace), ..Stats::of(path) })
}

fn companion_stats(path: &Path) -> Result<Stats, Error> {
    let opened = Opened::open(path)?;
    let parts = opened.parts().map(|(name, bytes)| (name.to_string(), bytes));
    Ok(Stats {
        atomspace: opened.atomspace()?,
        ecan: opened.ecan()?,
        moses: opened.moses()?,
        bytes: Some(opened.file_bytes()),
        parts: parts.collect(),
        ..Stats::of(path)
    })
}
