//! Atoms, nested to any depth: what is open is kept in a stack of its own.

use std::io::Read;

use super::super::atom_store::AtomId;
use super::super::builder::Added;
use super::super::number;
use super::super::types::Kind;
use super::super::value::Value;
use super::heads::{Command, Head, Typed};
use super::lexer::Token;
use super::reader::{Given, Reader, Stop};
use super::skipped::quoted;

/// An atom that is open.
#[derive(Debug)]
pub(super) struct Frame {
    typed: Typed,
    /// The node, once its name was read.
    node: Option<Added>,
    /// How many `(list ..)` are open in it.
    lists: u32,
    /// Where what it holds begins in [`Reader::members`], and what it is given in [`Reader::given`].
    members_from: usize,
    given_from: usize,
    /// How many atoms there were, and how many of them were given something.
    atoms_from: usize,
    assigned_from: usize,
}

impl<R: Read> Reader<'_, R> {
    /// Reads an atom after the word that is its type.
    pub fn atom(&mut self, typed: Typed) -> Result<Added, Stop> {
        let outside = self.frames.len();
        self.open(typed);
        loop {
            match self.next()? {
                Token::Close if self.innermost().lists > 0 => self.innermost().lists -= 1,
                Token::Close => {
                    let added = self.complete()?;
                    if self.frames.len() == outside {
                        return Ok(added);
                    }
                    self.members.push(added.atom);
                }
                Token::Open => self.inner()?,
                Token::Text => self.named(Token::Text)?,
                Token::Word => self.word()?,
                Token::Quote => self.quote()?,
                Token::End => unreachable!("an end inside an expression is an error"),
            }
        }
    }

    fn open(&mut self, typed: Typed) {
        self.frames.push(Frame {
            typed,
            node: None,
            lists: 0,
            members_from: self.members.len(),
            given_from: self.given.len(),
            atoms_from: self.builder.atom_count(),
            assigned_from: self.assigned.len(),
        });
    }

    fn innermost(&mut self) -> &mut Frame {
        self.frames.last_mut().expect("an atom is open")
    }

    /// What begins with `(` inside an atom: another one, or what it is given.
    fn inner(&mut self) -> Result<(), Stop> {
        match self.next()? {
            Token::Word => (),
            Token::Open => return self.dotted_alist(),
            Token::Close => return Err(Stop::Skip("(.. () ..)".into())),
            token => return Err(self.unexpected(token, "a type")),
        }
        match self.head() {
            Head::Atom(typed) => return self.inner_atom(typed),
            Head::Command(Command::New) => {
                let typed = self.symbol_type()?;
                self.open(typed);
            }
            Head::Truth(kind) => {
                let outside = self.lexer.depth() - 1;
                let truth = self.optional(outside, |reader| reader.truth_again(kind))?;
                self.given.extend(truth.map(|truth| Given::Truth(Some(truth))));
            }
            Head::Attention => {
                let outside = self.lexer.depth() - 1;
                let attention = self.optional(outside, Self::attention)?;
                self.given.extend(attention.map(|attention| Given::Attention(Some(attention))));
            }
            Head::Alist => self.alist()?,
            Head::List => self.innermost().lists += 1,
            Head::Cons if self.innermost().lists > 0 => self.rest_of_pair()?,
            Head::AtomSpace => self.atom_space()?,
            head => {
                let word = quoted(self.lexer.bytes());
                let stop = Stop::Skip(format!("(.. ({} ..) ..)", word.trim_matches('`')));
                self.no_member(head, self.lexer.depth() - 1, stop)?;
            }
        }
        Ok(())
    }

    /// An atom inside another, after its type. Most are nodes that have nothing but a name, and
    /// never are open.
    #[inline(always)]
    fn inner_atom(&mut self, typed: Typed) -> Result<(), Stop> {
        let token = self.next()?;
        if token != Token::Text {
            self.push_back(token);
            self.open(typed);
            return Ok(());
        }
        let node = self.node(typed, Token::Text)?;
        let token = self.next()?;
        if token == Token::Close {
            self.summary.atoms_written += 1;
            self.members.push(node.atom);
            return Ok(());
        }
        self.push_back(token);
        self.open(typed);
        self.innermost().node = Some(node);
        Ok(())
    }

    /// What means nothing here, inside an atom: a node is what it is without, and so is any atom
    /// without a value.
    fn no_member(&mut self, head: Head, outside: usize, stop: Stop) -> Result<(), Stop> {
        match head.is_value() || self.innermost().node.is_some() {
            true => self.optional(outside, |_| Err::<(), Stop>(stop)).map(drop),
            false => Err(stop),
        }
    }

    /// `(AtomSpace "name")`: the space that an atom is in, which here is the only one.
    fn atom_space(&mut self) -> Result<(), Stop> {
        let line = self.lexer.position().line;
        match self.next()? {
            Token::Text => self.close()?,
            token => return Err(self.unexpected(token, "the name of an AtomSpace")),
        }
        self.summary.skipped.add("(AtomSpace ..) of an atom", line);
        Ok(())
    }

    /// A word inside an atom: an atom that has a name in the file, or a number.
    fn word(&mut self) -> Result<(), Stop> {
        let head = self.heads.find(self.lexer.bytes());
        let Frame { typed, node, .. } = *self.innermost();
        match head {
            Head::Named(atom) if node.is_none() => {
                let atom = self.builder.again(atom)?;
                self.members.push(atom);
            }
            Head::Defined(defined) => match *self.heads.defined(defined) {
                Value::Truth(truth) => self.given.push(Given::Truth(Some(truth))),
                Value::Attention(attention) => self.given.push(Given::Attention(Some(attention))),
                _ => self.no_member(head, self.lexer.depth(), self.odd_word(typed))?,
            },
            _ if node.is_none()
                && matches!(self.heads.type_name(typed), "Number" | "NumberNode")
                && number::parse(self.lexer.bytes()).is_some() =>
            {
                self.numbers_as_name()?;
            }
            _ => self.no_member(head, self.lexer.depth(), self.odd_word(typed))?,
        }
        Ok(())
    }

    /// The last word means nothing in an atom of this type.
    fn odd_word(&self, typed: Typed) -> Stop {
        let word = quoted(self.lexer.bytes());
        Stop::Skip(format!("({} .. {word} ..)", self.heads.type_name(typed)))
    }

    /// `(Number 1 2 3)`.
    fn numbers_as_name(&mut self) -> Result<(), Stop> {
        let mut name = self.lexer.bytes().to_vec();
        loop {
            match self.next()? {
                Token::Word => {
                    name.push(b' ');
                    name.extend_from_slice(self.lexer.bytes());
                }
                token => {
                    self.push_back(token);
                    break;
                }
            }
        }
        let typed = self.innermost().typed;
        let of = self.heads.type_id(typed, Kind::Node, self.builder)?;
        let added = self.builder.add_node(of, &name)?;
        self.innermost().node = Some(added);
        Ok(())
    }

    /// `'Symbol`, a name; or an association list.
    fn quote(&mut self) -> Result<(), Stop> {
        match self.next()? {
            Token::Word => self.named(Token::Word),
            Token::Open => match self.next()? {
                Token::Open => self.dotted_alist(),
                Token::Close => Ok(()),
                _ => {
                    let stop = Stop::Skip("a quoted list in an atom".into());
                    self.no_member(Head::Unknown, self.lexer.depth() - 1, stop)
                }
            },
            Token::Quote => Err(Stop::Skip("a quoted list in an atom".into())),
            token => Err(self.unexpected(token, "a symbol")),
        }
    }

    /// The innermost atom is a node, whose name is the last token.
    fn named(&mut self, token: Token) -> Result<(), Stop> {
        let Frame { typed, node, members_from, .. } = *self.innermost();
        if node.is_some() || self.members.len() > members_from {
            return Err(self.unexpected(token, "an atom, a value or `)`"));
        }
        let added = self.node(typed, token)?;
        self.innermost().node = Some(added);
        Ok(())
    }

    /// The node of this type whose name is the last token.
    #[inline]
    fn node(&mut self, typed: Typed, token: Token) -> Result<Added, Stop> {
        if !self.heads.can_be(typed, Kind::Node) {
            return Err(self.other_kind(typed, "with a name"));
        }
        let of = self.heads.type_id(typed, Kind::Node, self.builder)?;
        let name = match token {
            Token::Text => self.lexer.unescape(&mut self.scratch),
            _ => self.heads.long_name(self.lexer.bytes()),
        };
        Ok(self.builder.add_node(of, name)?)
    }

    /// The innermost atom closes.
    #[inline]
    fn complete(&mut self) -> Result<Added, Stop> {
        let frame = self.frames.pop().expect("an atom is open");
        let Frame { node, members_from, given_from, .. } = frame;
        let added = match node {
            Some(_) if self.members.len() > members_from => {
                return Err(self.broken("a node holds no atoms"));
            }
            Some(node) => node,
            None => self.link(&frame)?,
        };
        self.summary.atoms_written += 1;
        if self.given.len() > given_from {
            self.give_from(given_from, added.atom);
        }
        Ok(added)
    }

    fn link(&mut self, frame: &Frame) -> Result<Added, Stop> {
        let &Frame { typed, members_from, given_from, atoms_from, assigned_from, .. } = frame;
        if !self.heads.can_be(typed, Kind::Link) {
            if self.members.len() > members_from {
                return Err(self.other_kind(typed, "that holds atoms"));
            }
            let fault = format!("expected the name of this {}", self.heads.type_name(typed));
            return Err(self.broken(&fault));
        }
        let of = self.heads.type_id(typed, Kind::Link, self.builder)?;
        if self.builder.is_refused(of, &self.members[members_from..]) {
            let name = &self.builder.types()[of.index()].name;
            return Err(Stop::Skip(format!("a second ({name} ..) of the same")));
        }
        let added = self.builder.add_link(of, &self.members[members_from..])?;
        self.members.truncate(members_from);
        let is_known = !added.is_new && self.builder.may_hold_others(of);
        // Where it was there and holds other atoms, what was read of it is none of the space.
        if is_known && !self.given[given_from..].iter().any(|of| matches!(of, Given::Value(..))) {
            self.take_back(atoms_from, assigned_from);
        }
        Ok(added)
    }

    /// A known type as what it is not: someone else's, of the same name.
    #[cold]
    fn other_kind(&self, typed: Typed, what: &str) -> Stop {
        let name = self.heads.type_name(typed);
        Stop::Skip(format!(
            "({name} ..) {what}, which its type has not; --types tells of other types"
        ))
    }

    fn give_from(&mut self, from: usize, atom: AtomId) {
        let is_nested = !self.frames.is_empty() || self.value_depth > 0;
        let mut given = std::mem::take(&mut self.given);
        for given in given.drain(from..) {
            self.give(atom, is_nested, given);
        }
        self.given = given;
    }

    /// An atom that stands alone: an expression, or a word that the file has for it.
    pub fn atom_or_name(&mut self) -> Result<Added, Stop> {
        let token = self.next()?;
        match token {
            Token::Word => match self.heads.find(self.lexer.bytes()) {
                Head::Named(atom) => Ok(Added { atom, is_new: false }),
                _ => Err(Stop::Skip(format!("(.. {} ..)", quoted(self.lexer.bytes())))),
            },
            Token::Open => {
                let typed = self.type_word()?;
                self.atom(typed)
            }
            token => Err(self.unexpected(token, "an atom")),
        }
    }

    /// The type of an atom after its `(`.
    pub fn type_word(&mut self) -> Result<Typed, Stop> {
        match self.next()? {
            Token::Word => match self.heads.find(self.lexer.bytes()) {
                Head::Atom(typed) => Ok(typed),
                Head::Command(Command::New) => self.symbol_type(),
                _ => {
                    let word = quoted(self.lexer.bytes());
                    Err(Stop::Skip(format!("(.. ({} ..) ..)", word.trim_matches('`'))))
                }
            },
            Token::Open => Err(Stop::Skip("((..) ..)".into())),
            token => Err(self.unexpected(token, "a type")),
        }
    }

    /// `'ConceptNode` after `cog-new-node`.
    pub fn symbol_type(&mut self) -> Result<Typed, Stop> {
        match self.symbol("a quoted type of atoms")? {
            Head::Atom(typed) => Ok(typed),
            _ => {
                let word = quoted(self.lexer.bytes());
                Err(Stop::Skip(format!("(cog-new-.. {word} ..), no type of atoms")))
            }
        }
    }

    /// What a quoted word, or one in a text, means.
    pub fn symbol(&mut self, expected: &str) -> Result<Head, Stop> {
        let mut token = self.next()?;
        match token {
            Token::Quote => token = self.next()?,
            Token::Open | Token::Word => return Err(Stop::Skip("(cog-new-.. (..) ..)".into())),
            _ => (),
        }
        match token {
            Token::Word | Token::Text => Ok(self.heads.find(self.lexer.bytes())),
            token => Err(self.unexpected(token, expected)),
        }
    }
}
