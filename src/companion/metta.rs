//! MeTTa on its way to a companion and back.

use std::io::Write;
use std::path::Path;

use crate::Error;
use crate::gguf::Gguf;
use crate::opencog::atomspace;
use crate::opencog::atomspace::companion::{Form, TruthCoding};
use crate::opencog::metta::{Metta, PackedMetta, Tops, Truths};
use crate::opencog::section::{Section, write};
use crate::report::{AtomSpaceReport, MettaReport, SkippedReport, TruthReport};

use super::Request;
use super::code::{Coded, truth_report};
use super::language::Marking;
use super::read::fault;

impl Coded {
    /// Adds the sections of a text. Its truth values are coded only by a codec that is named.
    pub fn metta(&mut self, metta: &Metta, request: &Request) -> Result<(), Error> {
        let path = request.atoms().unwrap_or(Path::new(""));
        let (recoded, truth) =
            code_truth(metta, request.truth).map_err(|error| fault(path, error))?;
        let metta = recoded.as_ref().unwrap_or(metta);
        let sections = metta.sections(request.form);
        let bytes = sections.iter().map(Section::tensor_bytes).sum();
        self.atomspace = Some(AtomSpaceReport {
            truth_values: truth.as_ref().map_or(0, |truth| truth.damage.values),
            truth,
            ..told(metta, request.form, bytes)
        });
        self.sections.extend(sections);
        Ok(())
    }
}

/// What is told of a text whose parts take so many bytes.
pub(super) fn told(metta: &Metta, form: Form, bytes: u64) -> AtomSpaceReport {
    let Metta { space, order, commands } = metta;
    let mut skipped = Vec::new();
    if commands.count > 0 {
        let (kind, lines) = ("!".into(), commands.lines.clone());
        skipped.push(SkippedReport { kind, count: commands.count, lines });
    }
    let open = metta.holds_variables();
    let mut is_seen = vec![false; open.len()];
    let (top, commands) = (order.len(), Some(commands.count));
    let mut of = MettaReport { top, distinct: 0, open: 0, commands };
    for atom in order {
        if !std::mem::replace(&mut is_seen[atom.index()], true) {
            of.distinct += 1;
            of.open += usize::from(open[atom.index()]);
        }
    }
    AtomSpaceReport { metta: Some(of), skipped, ..AtomSpaceReport::of(space, form, bytes) }
}

/// What is told of the atoms at the top of a companion.
pub(super) fn told_of(tops: &Tops) -> MettaReport {
    MettaReport {
        top: tops.len(),
        distinct: tops.distinct().count(),
        open: tops.open().count(),
        commands: None,
    }
}

/// The text with coded truth values, where a codec is named that can code them, and what that
/// changed.
fn code_truth(
    metta: &Metta,
    asked: TruthCoding,
) -> Result<(Option<Metta>, Option<TruthReport>), atomspace::Error> {
    let TruthCoding::Named { codec, tolerance } = asked else { return Ok((None, None)) };
    let truths = Truths::of(metta);
    if truths.values.is_empty() {
        return Ok((None, None));
    }
    let coded = truths.coded(metta, codec, tolerance)?;
    let of_codec = coded.as_ref().map(|(_, coded)| (codec, coded));
    let told = truth_report(&truths.values, asked, of_codec);
    Ok((coded.map(|(metta, _)| metta), Some(told)))
}

/// Writes the atoms of a companion, and before them the line that says that they are MeTTa, if a
/// file of them would else be taken for Scheme; how many there are at the top.
///
/// # Errors
/// `out` does not take it, or the file is broken.
pub(super) fn export(metta: &PackedMetta, out: &mut impl Write) -> Result<u64, atomspace::Error> {
    let mut marking = Marking::new(out);
    let written = metta.export(&mut marking)?;
    let finished = marking.finish();
    finished.map_err(|source| atomspace::Error::Io { doing: "cannot write the text", source })?;
    Ok(written)
}

/// A text as it lies in a companion that is nowhere but in memory: there it is asked.
pub(super) fn in_memory(path: &Path, metta: &Metta) -> Result<Gguf, Error> {
    let file = write(Vec::new(), path, &metta.sections(Form::Mapped))?;
    Ok(Gguf::from_bytes(&path.to_string_lossy(), file)?)
}

/// The atoms of a companion that holds MeTTa.
pub(super) fn packed<'a>(path: &Path, gguf: &'a Gguf) -> Result<PackedMetta<'a>, Error> {
    PackedMetta::of(gguf).map_err(|error| match error {
        crate::gguf::Error::Format { fault, .. } => Error::opencog(path, fault),
        other => other.into(),
    })
}
