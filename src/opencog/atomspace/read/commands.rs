//! Forms that say what is to be done with atoms.

use std::io::Read;

use super::super::builder::Added;
use super::super::value::Value;
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
                let outside = self.lexer.depth();
                if let Some(value) = self.optional(outside, Self::value)? {
                    let given = self.given(key, value)?;
                    self.given.push(given);
                }
            }
            Command::SetValues => self.any_alist()?,
            Command::SetTruth => {
                let value = self.command_value("a kind of truth values", |value| match value {
                    Value::Truth(truth) => Some(Given::Truth(Some(truth))),
                    _ => None,
                })?;
                self.given.push(value);
            }
            Command::SetAttention => {
                let value = self.command_value("`av`", |value| match value {
                    Value::Attention(attention) => Some(Given::Attention(Some(attention))),
                    _ => None,
                })?;
                self.given.push(value);
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

    /// The value of a command, an expression or the name of one.
    fn command_value(
        &mut self,
        expected: &str,
        given: impl FnOnce(Value) -> Option<Given>,
    ) -> Result<Given, Stop> {
        // One token after the other: what follows a `)` is no part of this form.
        let mut token = self.next()?;
        let is_open = token == Token::Open;
        if is_open {
            token = self.next()?;
        }
        if token != Token::Word {
            return Err(Stop::Skip("a command with other arguments than atoms and values".into()));
        }
        let value = match (self.heads.find(self.lexer.bytes()), is_open) {
            (Head::Defined(defined), false) => Some(self.heads.defined(defined).clone()),
            (head @ (Head::Truth(_) | Head::Attention), true) => Some(self.value_of(head)?),
            _ => None,
        };
        let given = value.and_then(given);
        given.ok_or_else(|| self.broken(&format!("expected {expected}")))
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
                if matches!(
                    head,
                    Head::Truth(_) | Head::Attention | Head::Value(_) | Head::Derived(_)
                ) {
                    let value = self.value_of(head)?;
                    return self.defined(&word, |heads| heads.define(&word, value));
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

    /// The end of a definition, which then gives the word its meaning, if it can have one.
    fn defined(&mut self, word: &[u8], give: impl FnOnce(&mut Heads) -> bool) -> Result<(), Stop> {
        if self.next()? == Token::Close && give(&mut self.heads) {
            return Ok(());
        }
        Err(Stop::Skip(format!("(define {} ..)", quoted(word).trim_matches('`'))))
    }
}
