//! The forms at the top of a text, one after the other.

use std::io::Read;

use super::super::atom_store::AtomId;
use super::super::builder::Builder;
use super::super::error::Error;
use super::super::value::{AttentionValue, TruthKind, TruthValue, Value};
use super::atoms::Frame;
use super::heads::{Command, Head, Heads};
use super::lexer::{Lexer, Token};
use super::options::{ReadOptions, ReadSummary, TvMerge};
use super::parts::Parts;
use super::recent::{Recent, RecentTruths};
use super::skipped::quoted;

/// Why a form is not taken.
#[derive(Debug)]
pub(super) enum Stop {
    /// The text is broken.
    Broken(Error),
    /// The form holds something of this kind, which means nothing here.
    Skip(String),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Broken(error)
    }
}

/// What an atom is given.
#[derive(Debug)]
pub(super) enum Given {
    Truth(Option<TruthValue>),
    Attention(Option<AttentionValue>),
    Value(AtomId, Option<Value>),
}

/// What an atom is given once its form is whole.
#[derive(Debug)]
pub(super) struct Assigned {
    pub atom: AtomId,
    pub given: Given,
    /// Whether it is given only if the atom has no such value.
    is_weak: bool,
}

/// Reads forms into a space.
pub(super) struct Reader<'a, R> {
    /// Where parts of the text go, if it is read in parts.
    pub parts: Option<Parts<'a>>,
    pub lexer: Lexer<R>,
    pub builder: &'a mut Builder,
    pub heads: Heads,
    recent: Recent,
    recent_truths: RecentTruths,
    /// The atoms that are open, outermost first, and what they hold and are given so far.
    pub frames: Vec<Frame>,
    pub members: Vec<AtomId>,
    pub given: Vec<Given>,
    /// What the form gives to atoms, until it is seen to be whole.
    pub assigned: Vec<Assigned>,
    /// How deep in values the reader is.
    pub value_depth: usize,
    /// A text without its escapes; the name of a node in parts.
    pub scratch: Vec<u8>,
    pub summary: ReadSummary,
    /// The lines of the states that took the place of others.
    pub replaced: Vec<u64>,
    tv_merge: TvMerge,
    /// A token that was looked at and is read again.
    pushed_back: Option<Token>,
}

impl<'a, R: Read> Reader<'a, R> {
    pub fn new(
        builder: &'a mut Builder,
        source: R,
        options: &ReadOptions,
        parts: Option<Parts<'a>>,
    ) -> Result<Reader<'a, R>, Error> {
        let mut heads = Heads::new(builder.declarations().clone());
        for (word, of) in &options.aliases {
            if !heads.alias(word.as_bytes(), of.as_bytes()) {
                let fault =
                    format!("alias {word}={of}: {of} is no type, or {word} is a word of AtomSpace");
                return Err(Error::Parameter(fault));
            }
        }
        Ok(Reader {
            parts,
            lexer: Lexer::new(source),
            builder,
            heads,
            recent: Recent::default(),
            recent_truths: RecentTruths::default(),
            frames: Vec::new(),
            members: Vec::new(),
            given: Vec::new(),
            assigned: Vec::new(),
            value_depth: 0,
            scratch: Vec::new(),
            summary: ReadSummary::default(),
            replaced: Vec::new(),
            tv_merge: options.tv_merge,
            pushed_back: None,
        })
    }

    /// Reads to the end.
    pub fn run(&mut self) -> Result<ReadSummary, Error> {
        loop {
            let token = self.lexer.next()?;
            for block in self.lexer.take_blocks() {
                self.summary.skipped.add("#! .. !# or #| .. |#, a comment", block.line);
            }
            match token {
                Token::End => return Ok(std::mem::take(&mut self.summary)),
                Token::Open => {
                    self.form()?;
                    if let Some(parts) = &mut self.parts
                        && !self.heads.name_atoms()
                    {
                        parts.end(self.builder)?;
                    }
                }
                // the expression that follows is told of
                Token::Quote => (),
                Token::Word | Token::Text => {
                    let name = format!("the word {}", quoted(self.lexer.bytes()));
                    let line = self.lexer.position().line;
                    self.summary.skipped.add(&name, line);
                }
                Token::Close => unreachable!("the lexer lets nothing close that is not open"),
            }
        }
    }

    /// Reads a form after its `(`, or passes it over.
    fn form(&mut self) -> Result<(), Error> {
        self.lexer.mark();
        let atoms_before = self.builder.atom_count();
        let written_before = self.summary.atoms_written;
        match self.expression() {
            Ok(()) => {
                self.summary.forms += 1;
                if !self.assigned.is_empty() {
                    self.assign();
                }
                if self.builder.replaced_count() != self.replaced.len() {
                    let line = self.lexer.marked().line;
                    self.replaced.resize(self.builder.replaced_count(), line);
                }
                Ok(())
            }
            Err(Stop::Broken(error)) => Err(error),
            Err(Stop::Skip(kind)) => {
                self.pass_over()?;
                let line = self.lexer.marked().line;
                self.summary.skipped.add(&kind, line);
                self.summary.atoms_written = written_before;
                self.forget(atoms_before);
                Ok(())
            }
        }
    }

    fn expression(&mut self) -> Result<(), Stop> {
        match self.next()? {
            Token::Word => match self.head() {
                Head::Atom(typed) => self.atom(typed).map(drop),
                Head::Command(Command::New) => {
                    let typed = self.symbol_type()?;
                    self.atom(typed).map(drop)
                }
                Head::Command(command) => {
                    let done = self.command(command);
                    self.recent.clear();
                    done
                }
                _ => Err(Stop::Skip(format!(
                    "({} ..)",
                    quoted(self.lexer.bytes()).trim_matches('`')
                ))),
            },
            Token::Close => Err(Stop::Skip("()".into())),
            _ => Err(Stop::Skip("(( ..) ..)".into())),
        }
    }

    /// What the last word means as the first of an expression.
    #[inline(always)]
    pub fn head(&mut self) -> Head {
        match self.recent.find(self.lexer.bytes()) {
            Some(head) => head,
            None => self.new_head(),
        }
    }

    #[cold]
    fn new_head(&mut self) -> Head {
        let word = self.lexer.bytes();
        let head = self.heads.find(word);
        self.recent.keep(word, head);
        head
    }

    /// A truth value after its word, as it was read before if it was.
    pub fn truth_again(&mut self, kind: TruthKind) -> Result<TruthValue, Stop> {
        let ahead = self.lexer.ahead();
        if let Some((value, len)) = self.recent_truths.find(kind, ahead) {
            self.lexer.pass_closed(len);
            return Ok(value);
        }
        let (text, from) = (ahead.first_chunk().copied(), self.lexer.passed());
        let value = self.truth(kind)?;
        if let Some(text) = text {
            let len = (self.lexer.passed() - from) as usize;
            self.recent_truths.keep(kind, &text, len, value);
        }
        Ok(value)
    }

    /// The next token; the text must not end here.
    #[inline(always)]
    pub fn next(&mut self) -> Result<Token, Stop> {
        if let Some(token) = self.pushed_back.take() {
            return Ok(token);
        }
        match self.lexer.next()? {
            Token::End => Err(Stop::Broken(self.endless())),
            token => Ok(token),
        }
    }

    /// Lets [`Reader::next`] give the last token again.
    pub fn push_back(&mut self, token: Token) {
        self.pushed_back = Some(token);
    }

    #[cold]
    fn endless(&mut self) -> Error {
        self.lexer.marked().error("the expression that begins here never ends")
    }

    /// The text is broken at the last token.
    #[cold]
    pub fn broken(&mut self, fault: &str) -> Stop {
        Stop::Broken(self.lexer.position().error(fault))
    }

    /// The text is broken at the last token, which is not what was expected.
    #[cold]
    pub fn unexpected(&mut self, token: Token, expected: &str) -> Stop {
        let found = match token {
            Token::Open => "`(`".into(),
            Token::Close => "`)`".into(),
            Token::Text => format!("the text {}", quoted(self.lexer.bytes())),
            Token::Word => quoted(self.lexer.bytes()),
            Token::Quote => "a quote".into(),
            Token::End => "the end of the text".into(),
        };
        self.broken(&format!("expected {expected}, found {found}"))
    }

    /// The next token must close.
    pub fn close(&mut self) -> Result<(), Stop> {
        match self.next()? {
            Token::Close => Ok(()),
            token => Err(self.unexpected(token, "`)`")),
        }
    }

    /// Gives an atom something, once the form is whole: if the atom is nested in another and the first
    /// value stays, only if it has none then.
    pub fn give(&mut self, atom: AtomId, is_nested: bool, given: Given) {
        let is_weak = is_nested && self.tv_merge == TvMerge::FirstNested;
        self.assigned.push(Assigned { atom, given, is_weak });
    }

    fn assign(&mut self) {
        for Assigned { atom, given, is_weak } in self.assigned.drain(..) {
            if is_weak && has(self.builder, atom, &given) {
                self.summary.values_ignored += 1;
                continue;
            }
            self.summary.values_taken += 1;
            if let Some(parts) = &mut self.parts {
                parts.note(atom, &given, is_weak);
            }
            match given {
                Given::Truth(value) => self.builder.set_truth_value(atom, value),
                Given::Attention(value) => self.builder.set_attention_value(atom, value),
                Given::Value(key, value) => self.builder.set_value(atom, key, value),
            }
        }
    }

    /// Takes back what was read since there were so many atoms and so many of them were given things.
    pub fn take_back(&mut self, atoms: usize, assigned: usize) {
        self.assigned.truncate(assigned);
        self.builder.truncate(atoms);
    }

    /// Passes over the rest of the form.
    fn pass_over(&mut self) -> Result<(), Error> {
        self.pushed_back = None;
        while self.lexer.depth() > 0 {
            if self.lexer.next()? == Token::End {
                return Err(self.endless());
            }
        }
        Ok(())
    }

    /// Reads a part of the form that can be missing. One that means nothing here is passed over up to
    /// where `outside` expressions are open, counted, and leaves no trace; none then.
    pub fn optional<T>(
        &mut self,
        outside: usize,
        read: impl FnOnce(&mut Self) -> Result<T, Stop>,
    ) -> Result<Option<T>, Stop> {
        let before = (self.frames.len(), self.members.len(), self.given.len());
        let (assigned, atoms) = (self.assigned.len(), self.builder.atom_count());
        let (written, value_depth) = (self.summary.atoms_written, self.value_depth);
        match read(self) {
            Ok(part) => Ok(Some(part)),
            Err(Stop::Broken(error)) => Err(Stop::Broken(error)),
            Err(Stop::Skip(kind)) => {
                let line = self.lexer.position().line;
                self.pushed_back = None;
                while self.lexer.depth() > outside {
                    if self.lexer.next()? == Token::End {
                        return Err(Stop::Broken(self.endless()));
                    }
                }
                self.summary.skipped.add(&kind, line);
                self.summary.atoms_written = written;
                self.value_depth = value_depth;
                self.frames.truncate(before.0);
                self.members.truncate(before.1);
                self.given.truncate(before.2);
                self.assigned.truncate(assigned);
                self.builder.truncate(atoms);
                Ok(None)
            }
        }
    }

    /// As if the form were not there.
    fn forget(&mut self, atoms_before: usize) {
        self.builder.truncate(atoms_before);
        self.frames.clear();
        self.members.clear();
        self.given.clear();
        self.assigned.clear();
        self.value_depth = 0;
    }
}

/// Whether an atom has a value where it is given one.
fn has(builder: &Builder, atom: AtomId, given: &Given) -> bool {
    match given {
        Given::Truth(_) => builder.has_truth(atom),
        Given::Attention(_) => builder.has_attention(atom),
        Given::Value(key, _) => builder.has_value(atom, *key),
    }
}
