//! Forms that say what is to be done with atoms.

use std::io::Read;

use super::super::builder::Added;
use super::heads::{Command, Head, Heads};
use super::lexer::Token;
use super::reader::{Given, Reader, Stop};
use super::skipped::quoted;

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
                let value = self.value()?;
                let given = self.given(key, value)?;
                self.given.push(given);
            }
            Command::SetValues => self.any_alist()?,
            Command::SetTruth => {
                let given = match self.value_head()? {
                    Head::Truth(kind) => Given::Truth(Some(self.truth(kind)?)),
                    _ => return Err(self.broken("expected a kind of truth values")),
                };
                self.given.push(given);
            }
            Command::SetAttention => {
                let given = match self.value_head()? {
                    Head::Attention => Given::Attention(Some(self.attention()?)),
                    _ => return Err(self.broken("expected `av`")),
                };
                self.given.push(given);
            }
            Command::Define | Command::New => unreachable!("these have forms of their own"),
        }
        self.close()?;
        self.give_all(of);
        Ok(())
    }

    /// All that was read is given to one atom, whatever it had.
    fn give_all(&mut self, of: Added) {
        let mut given = std::mem::take(&mut self.given);
        for given in given.drain(..) {
            self.give(of, false, given);
        }
        self.given = given;
    }

    /// `(` and the word of a value.
    fn value_head(&mut self) -> Result<Head, Stop> {
        // One token after the other: what follows a `)` is no part of this form.
        if self.next()? == Token::Open && self.next()? == Token::Word {
            return Ok(self.heads.find(self.lexer.bytes()));
        }
        Err(Stop::Skip("a command with other arguments than atoms and values".into()))
    }

    /// `(alist ..)`, `((..) ..)` or the latter after a quote.
    fn any_alist(&mut self) -> Result<(), Stop> {
        let mut token = self.next()?;
        if token == Token::Quote {
            token = self.next()?;
        }
        if token != Token::Open {
            return Err(self.unexpected(token, "an association list"));
        }
        match self.next()? {
            Token::Open => self.dotted_alist(),
            Token::Close => Ok(()),
            Token::Word if self.heads.find(self.lexer.bytes()) == Head::Alist => self.alist(),
            token => Err(self.unexpected(token, "alist")),
        }
    }

    /// `(define WORD TYPE)` and `(define WORD ATOM)`; other definitions are passed over.
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
                self.defined(&word, |heads| heads.alias(&word, &of))
            }
            Token::Open => {
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

    /// The end of a definition, which then gives the word its meaning, if it can have one.
    fn defined(&mut self, word: &[u8], give: impl FnOnce(&mut Heads) -> bool) -> Result<(), Stop> {
        if self.next()? == Token::Close && give(&mut self.heads) {
            return Ok(());
        }
        Err(Stop::Skip(format!("(define {} ..)", quoted(word).trim_matches('`'))))
    }
}
