//! Forms that say what is to be done with atoms.

use std::io::Read;

use super::super::atom_store::AtomId;
use super::super::value::Value;
use super::heads::{Command, Head, Heads};
use super::lexer::Token;
use super::reader::{Reader, Stop};
use super::skipped::quoted;
use super::values::Key;

impl<R: Read> Reader<'_, R> {
    /// A command at the top, after its word.
    pub fn command(&mut self, command: Command) -> Result<(), Stop> {
        if command == Command::Define {
            return self.define();
        }
        let of = self.atom_or_name()?;
        match command {
            Command::SetValue => {
                let key = self.key()?;
                let outside = self.lexer.depth();
                if let Some(value) = self.optional(outside, Self::value)? {
                    let given = self.given(key, value)?;
                    self.given.push(given);
                }
            }
            Command::SetValues => self.any_alist()?,
            Command::SetTruth => self.own_value(|value| value.as_truth().is_some(), Key::Truth)?,
            Command::SetAttention => {
                self.own_value(|value| value.as_attention().is_some(), Key::Attention)?;
            }
            Command::Define | Command::New => unreachable!("these have forms of their own"),
        }
        self.close()?;
        self.give_all(of.atom);
        Ok(())
    }

    /// All that was read is given to one atom, whatever it had.
    fn give_all(&mut self, of: AtomId) {
        let mut given = std::mem::take(&mut self.given);
        for given in given.drain(..) {
            self.give(of, false, given);
        }
        self.given = given;
    }

    /// The truth or attention value of a command, an expression or the name of one. The atom is what
    /// it is without one that is not known.
    fn own_value(&mut self, is_own: impl Fn(&Value) -> bool, key: Key) -> Result<(), Stop> {
        let outside = self.lexer.depth();
        match self.next()? {
            // What follows it is no part of this form.
            Token::Close => {
                let what = "a command with other arguments than atoms and values";
                return Err(Stop::Skip(what.into()));
            }
            token => self.push_back(token),
        }
        let value = self.optional(outside, |reader| match reader.value()? {
            Some(value) if !is_own(&value) => {
                Err(Stop::Skip("a command with a value of another kind".into()))
            }
            value => Ok(value),
        })?;
        if let Some(value) = value {
            let given = self.given(key, value)?;
            self.given.push(given);
        }
        Ok(())
    }

    /// `(alist ..)`, `((..) ..)` or the latter after a quote.
    fn any_alist(&mut self) -> Result<(), Stop> {
        let mut token = self.next()?;
        if token == Token::Quote {
            token = self.next()?;
        }
        match token {
            Token::Open => (),
            Token::Word => return Err(Stop::Skip("(cog-set-values! .. WORD)".into())),
            token => return Err(self.unexpected(token, "an association list")),
        }
        match self.next()? {
            Token::Open => self.dotted_alist(),
            Token::Close => Ok(()),
            Token::Word => match self.heads.find(self.lexer.bytes()) {
                Head::Alist | Head::List => self.alist(),
                _ => Err(Stop::Skip("(cog-set-values! .. (..))".into())),
            },
            token => Err(self.unexpected(token, "alist")),
        }
    }

    /// `(define WORD TYPE)`, `(define WORD ATOM)` and `(define WORD VALUE)`; other definitions are
    /// passed over.
    fn define(&mut self) -> Result<(), Stop> {
        let other = || Stop::Skip("(define ..)".into());
        if self.next()? != Token::Word {
            return Err(other());
        }
        let word = self.lexer.bytes().to_vec();
        // What is not whole is passed over, and must not have given the word a meaning.
        match self.next()? {
            Token::Word => {
                let of = self.lexer.bytes().to_vec();
                self.defined(&word, |heads| match heads.find(&of) {
                    Head::Named(atom) => heads.name(&word, atom),
                    Head::Defined(defined) => {
                        let value = heads.defined(defined).clone();
                        heads.define(&word, value)
                    }
                    _ => heads.alias(&word, &of),
                })
            }
            Token::Open => {
                let token = self.next()?;
                let head = match token {
                    Token::Word => self.heads.find(self.lexer.bytes()),
                    _ => Head::Unknown,
                };
                if head.is_value() {
                    return self.define_value(&word, head);
                }
                self.push_back(token);
                let typed = self.type_word().map_err(|stop| match stop {
                    Stop::Skip(_) => other(),
                    broken => broken,
                })?;
                let atom = self.atom(typed)?.atom;
                self.defined(&word, |heads| heads.name(&word, atom))
            }
            _ => Err(other()),
        }
    }

    /// The definition of a value after its head. Where the value is not known, what has it under its
    /// name is what it is without.
    fn define_value(&mut self, word: &[u8], head: Head) -> Result<(), Stop> {
        match self.value_of(head) {
            Ok(value) => self.defined(word, |heads| heads.define(word, value)),
            Err(stop) => {
                self.heads.define_odd(word);
                Err(stop)
            }
        }
    }

    /// The end of a definition, which then gives the word its meaning, if it can have one.
    fn defined(&mut self, word: &[u8], give: impl FnOnce(&mut Heads) -> bool) -> Result<(), Stop> {
        if self.next()? == Token::Close && give(&mut self.heads) {
            return Ok(());
        }
        Err(Stop::Skip(format!("(define {} ..)", quoted(word).trim_matches('`'))))
    }
}
