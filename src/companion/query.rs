//! Asks a companion, or a text of atoms, for all that matches a pattern.

use std::fmt;
use std::path::PathBuf;

use crate::Error;
use crate::opencog::atomspace::export::print_atom_within;
use crate::opencog::atomspace::query::{Query, TruthFilter};
use crate::opencog::atomspace::{AtomId, AtomStore};
use crate::opencog::metta::PackedMetta;
use crate::opencog::metta::query::Answers;

use super::language::Language;
use super::opened::Opened;
use super::text::Text;
use super::{Request, metta, read};

/// What to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryJob {
    /// A companion, AtomSpace text or MeTTa.
    pub file: PathBuf,
    /// Links that must all be there, as AtomSpace text in which each `VariableNode` stands for any
    /// atom; of MeTTa an atom as `match` takes it.
    pub pattern: String,
    /// The most matches to find.
    pub limit: usize,
    /// Words that a text uses for types without defining them, and these.
    pub aliases: Vec<(String, String)>,
    /// Type scripts that declare more types of a text.
    pub types: Vec<PathBuf>,
}

/// The longest answer, in bytes of text.
const LONGEST: usize = 1 << 26;

/// What a pattern's variables can stand for. As text it has a line of their names, then one for each
/// match, separated by tabs; of a pattern without variables it says `yes` for each match, or `no`. Tabs and line feeds
/// in names are `\t` and `\n` there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The names of the variables.
    pub variables: Vec<String>,
    /// For each match the atoms, as text.
    pub matches: Vec<Vec<String>>,
    /// Whether these are all matches there are.
    pub is_complete: bool,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.variables.is_empty() {
            let lines = if self.matches.is_empty() {
                "no\n".into()
            } else {
                "yes\n".repeat(self.matches.len())
            };
            return f.write_str(&lines);
        }
        writeln!(f, "{}", self.variables.join("\t"))?;
        self.matches.iter().try_for_each(|atoms| writeln!(f, "{}", atoms.join("\t")))
    }
}

/// Asks.
///
/// # Errors
/// The file cannot be read or is broken, the pattern is none, or the answer too long.
pub fn query(job: &QueryJob) -> Result<Answer, Error> {
    if read::is_gguf(&job.file)? {
        return answer_of_companion(&Opened::open(&job.file)?, job);
    }
    let text = Text::open(&job.file)?;
    match text.language(!job.aliases.is_empty())? {
        Language::Metta => {
            let gguf = metta::in_memory(&job.file, &read::metta(text)?)?;
            answer_of_metta(&metta::packed(&job.file, &gguf)?, job)
        }
        Language::Scheme => {
            let (aliases, types) = (job.aliases.clone(), job.types.clone());
            let request = Request { aliases, types, ..Request::default() };
            answer(&read::atomspace(text, &request)?.0, job)
        }
    }
}

/// The answer of a companion, unless a part of it that was read is broken.
fn answer_of_companion(opened: &Opened, job: &QueryJob) -> Result<Answer, Error> {
    let (answer, fault) = match opened.metta()? {
        Some(metta) => (answer_of_metta(&metta, job), metta.space.fault()),
        None => {
            let space = opened.space()?;
            (answer(&space, job), space.fault())
        }
    };
    match fault {
        Some(fault) => Err(fault.into()),
        None => answer,
    }
}

fn answer_of_metta(metta: &PackedMetta, job: &QueryJob) -> Result<Answer, Error> {
    read::refuse_words(&job.file, &job.aliases, &job.types)?;
    let answers = crate::opencog::metta::query::query(metta, &job.pattern, job.limit);
    let Answers { variables, matches, is_complete } =
        answers.map_err(|e| Error::opencog(&job.file, format!("the pattern: {e}")))?;
    Ok(Answer { variables, matches, is_complete })
}

fn answer(store: &impl AtomStore, job: &QueryJob) -> Result<Answer, Error> {
    let query = Query::parse_with(&job.pattern, store, read::types(&job.types)?)
        .map_err(|e| Error::opencog(&job.file, format!("the pattern: {e}")))?;
    let matches = query.matches(store, TruthFilter::Any, job.limit);
    let mut room = LONGEST;
    let mut text = |&atom: &AtomId| {
        let mut text = Vec::new();
        if !print_atom_within(store, atom, room, &mut text) {
            let fault = format!("the answer is longer than {LONGEST} bytes; --limit allows less");
            return Err(Error::opencog(&job.file, fault));
        }
        room -= text.len();
        Ok(in_a_line(&String::from_utf8_lossy(&text)))
    };
    let texts = matches.iter().map(|atoms| atoms.iter().map(&mut text).collect());
    Ok(Answer {
        matches: texts.collect::<Result<_, _>>()?,
        variables: query.variables.iter().map(|variable| in_a_line(&variable.name)).collect(),
        is_complete: matches.is_complete,
    })
}

fn in_a_line(text: &str) -> String {
    text.replace('\t', "\\t").replace('\n', "\\n")
}
