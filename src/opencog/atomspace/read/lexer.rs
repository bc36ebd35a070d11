//! Tokens of Scheme text from a stream, with the place of each.

use std::io::Read;
use std::ops::Range;

use memchr::{memchr, memchr_iter, memrchr};

use super::super::error::Error;
use super::scan;

/// Bytes that are read at a time.
const CHUNK: usize = 256 * 1024;

/// A token; the bytes of a text or a word are [`Lexer::bytes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Open,
    Close,
    /// Text in double quotes.
    Text,
    /// Any other run of bytes: a name, a number, `.`, `#f`.
    Word,
    /// `'`, `` ` `` or `,` before a word or an expression.
    Quote,
    End,
}

/// A place in the text: line and byte in the line, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub line: u64,
    pub column: u64,
}

impl Position {
    pub fn error(self, fault: impl Into<String>) -> Error {
        Error::Text { line: self.line, column: self.column, fault: fault.into() }
    }
}

/// A text as tokens. It holds the bytes of one token and what was read beyond.
pub(super) struct Lexer<R> {
    source: R,
    buffer: Vec<u8>,
    /// How far the buffer is used up, and filled.
    at: usize,
    end: usize,
    /// Where the last text or word lies in the buffer.
    token: Range<usize>,
    has_escapes: bool,
    /// How many bytes were in the buffer before those that are.
    dropped: u64,
    /// How many `(` are open.
    depth: usize,
    /// Where the last token begins.
    start: usize,
    /// Where the marked token begins, and its place, once that is known.
    mark: usize,
    marked: Option<Position>,
    /// Up to where lines are counted, the line there, and the bytes of it before.
    counted: usize,
    line: u64,
    before: u64,
    /// `#!` and `#|` comments since they were last taken, by where they began.
    blocks: Vec<Position>,
    /// Expressions after `#;` that are yet to be passed over.
    commented: usize,
}

impl<R: Read> Lexer<R> {
    pub fn new(source: R) -> Lexer<R> {
        Lexer {
            source,
            buffer: vec![0; CHUNK],
            at: 0,
            end: 0,
            token: 0..0,
            has_escapes: false,
            dropped: 0,
            depth: 0,
            start: 0,
            mark: 0,
            marked: None,
            counted: 0,
            line: 1,
            before: 0,
            blocks: Vec::new(),
            commented: 0,
        }
    }

    /// What follows, as far as it was read.
    #[inline]
    pub fn ahead(&self) -> &[u8] {
        &self.buffer[self.at..self.end]
    }

    /// How many bytes were passed.
    #[inline]
    pub fn passed(&self) -> u64 {
        self.dropped + self.at as u64
    }

    /// Passes bytes that follow and end with the `)` of the innermost open expression, the last token
    /// then.
    #[inline]
    pub fn pass_closed(&mut self, len: usize) {
        self.at += len;
        self.start = self.at - 1;
        self.depth -= 1;
    }

    /// The bytes of the last text, its escapes still in it, or of the last word.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.token.clone()]
    }

    /// The last text, if there are escapes in it: without them, in `out`.
    #[inline]
    pub fn unescape<'a>(&'a self, out: &'a mut Vec<u8>) -> &'a [u8] {
        if !self.has_escapes {
            return self.bytes();
        }
        out.clear();
        let mut bytes = self.bytes().iter().copied();
        while let Some(byte) = bytes.next() {
            match byte {
                b'\\' => out.extend(bytes.next().map(escaped)),
                _ => out.push(byte),
            }
        }
        out
    }

    /// How many expressions are open.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Where the last token begins.
    pub fn position(&mut self) -> Position {
        self.marked();
        self.count_lines(self.start)
    }

    /// Marks the last token. Its lines are counted only where its place is asked for, or is about
    /// to be forgotten.
    pub fn mark(&mut self) {
        self.mark = self.start;
        self.marked = None;
    }

    /// Where the marked token begins.
    pub fn marked(&mut self) -> Position {
        match self.marked {
            Some(position) => position,
            None => {
                let position = self.count_lines(self.mark);
                *self.marked.insert(position)
            }
        }
    }

    /// The blocks of comment that were passed since the last call.
    pub fn take_blocks(&mut self) -> Vec<Position> {
        std::mem::take(&mut self.blocks)
    }

    /// The next token.
    #[inline(always)]
    pub fn next(&mut self) -> Result<Token, Error> {
        match self.at_hand() {
            Some(token) => Ok(token),
            None => self.beyond(),
        }
    }

    /// The next token where it ends in the buffer and is one of which texts consist; none, and
    /// nothing passed, for the others.
    #[inline(always)]
    fn at_hand(&mut self) -> Option<Token> {
        let rest = &self.buffer[self.at..self.end];
        let space = scan::space(rest);
        let (&first, after) = rest[space..].split_first()?;
        let start = self.at + space;
        let (token, len) = match first {
            b'(' => {
                self.depth += 1;
                (Token::Open, 0)
            }
            b')' => {
                self.depth = self.depth.checked_sub(1)?;
                (Token::Close, 0)
            }
            b'"' => {
                let len = scan::text(after);
                if after.get(len) != Some(&b'"') {
                    return None;
                }
                self.has_escapes = false;
                self.token = start + 1..start + 1 + len;
                (Token::Text, len + 1)
            }
            b';' | b'\'' | b'`' | b',' | b'#' => return None,
            _ => {
                let len = scan::word(after);
                if len == after.len() {
                    return None;
                }
                self.token = start..start + 1 + len;
                (Token::Word, len)
            }
        };
        self.start = start;
        self.at = start + 1 + len;
        Some(token)
    }

    /// The next token, whatever it is.
    #[inline(never)]
    fn beyond(&mut self) -> Result<Token, Error> {
        loop {
            if self.at == self.end {
                self.start = self.at;
                if !self.fill()? {
                    return Ok(Token::End);
                }
            }
            let byte = self.buffer[self.at];
            self.start = self.at;
            match byte {
                byte if scan::is_space(byte) => {
                    self.at += scan::space(&self.buffer[self.at..self.end]);
                }
                b'(' => {
                    self.at += 1;
                    self.depth += 1;
                    return Ok(Token::Open);
                }
                b')' => return self.close(),
                b'"' => return self.text(),
                b';' => self.line_comment()?,
                b'\'' | b'`' | b',' => {
                    self.at += 1;
                    return Ok(Token::Quote);
                }
                b'#' => {
                    if let Some(token) = self.hash()? {
                        return Ok(token);
                    }
                }
                _ => return self.word(),
            }
        }
    }

    fn close(&mut self) -> Result<Token, Error> {
        let Some(depth) = self.depth.checked_sub(1) else {
            return Err(self.position().error("a `)` closes nothing"));
        };
        self.depth = depth;
        self.at += 1;
        Ok(Token::Close)
    }

    /// Reads on, keeping what begins with the last token; false at the end of the text.
    #[cold]
    fn fill(&mut self) -> Result<bool, Error> {
        if self.start > 0 {
            self.marked();
            self.count_lines(self.start);
            self.mark = 0;
            self.dropped += self.start as u64;
            self.buffer.copy_within(self.start..self.end, 0);
            self.at -= self.start;
            self.end -= self.start;
            self.counted -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(2 * self.end, 0);
        }
        loop {
            match self.source.read(&mut self.buffer[self.end..]) {
                Ok(got) => {
                    self.end += got;
                    return Ok(got > 0);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => (),
                Err(source) => return Err(Error::Io { doing: "cannot read the text", source }),
            }
        }
    }

    /// The place of a byte of the buffer, up to which lines are counted then.
    fn count_lines(&mut self, to: usize) -> Position {
        if let Some(new) = self.buffer.get(self.counted..to) {
            self.line += memchr_iter(b'\n', new).count() as u64;
            self.before = match memrchr(b'\n', new) {
                Some(last) => (new.len() - last - 1) as u64,
                None => self.before + new.len() as u64,
            };
            self.counted = to;
        }
        Position { line: self.line, column: self.before + 1 }
    }

    /// The byte this many after the position, if the text goes on so far.
    fn peek(&mut self, ahead: usize) -> Result<Option<u8>, Error> {
        while self.at + ahead >= self.end {
            if !self.fill()? {
                return Ok(None);
            }
        }
        Ok(Some(self.buffer[self.at + ahead]))
    }

    fn word(&mut self) -> Result<Token, Error> {
        loop {
            self.at += scan::word(&self.buffer[self.at..self.end]);
            if self.at < self.end || !self.fill()? {
                break;
            }
        }
        self.token = self.start..self.at;
        Ok(Token::Word)
    }

    fn text(&mut self) -> Result<Token, Error> {
        self.at += 1;
        self.has_escapes = false;
        loop {
            self.at += scan::text(&self.buffer[self.at..self.end]);
            match self.buffer[self.at..self.end].first() {
                Some(b'"') => {
                    self.token = self.start + 1..self.at;
                    self.at += 1;
                    return Ok(Token::Text);
                }
                Some(_) => {
                    self.has_escapes = true;
                    if self.peek(1)?.is_some() {
                        self.at += 2;
                        continue;
                    }
                }
                None => {
                    if self.fill()? {
                        continue;
                    }
                }
            }
            return Err(self.position().error("the text that begins here never ends"));
        }
    }

    fn line_comment(&mut self) -> Result<(), Error> {
        loop {
            let rest = &self.buffer[self.at..self.end];
            if let Some(len) = memchr(b'\n', rest) {
                self.at += len + 1;
                return Ok(());
            }
            self.at = self.end;
            self.start = self.end;
            if !self.fill()? {
                return Ok(());
            }
        }
    }

    /// What begins with `#`: a comment, or a word.
    fn hash(&mut self) -> Result<Option<Token>, Error> {
        match self.peek(1)? {
            Some(b'!') => self.block_comment(b"!#", None),
            Some(b'|') => self.block_comment(b"|#", Some(b"#|")),
            Some(b';') => self.datum_comment(),
            Some(b'\\') => {
                // a character, which may be `(` or `"`
                if self.peek(2)?.is_some() {
                    self.at += 3;
                }
                self.word().map(Some)
            }
            _ => self.word().map(Some),
        }
    }

    /// `#;`, which makes a comment of the next expression.
    fn datum_comment(&mut self) -> Result<Option<Token>, Error> {
        let begin = self.position();
        self.at += 2;
        self.commented += 1;
        if self.commented > 1 {
            // The first one passes over the expressions of all that follow it.
            return Ok(None);
        }
        let none = || begin.error("expected an expression after `#;`, found none");
        while self.commented > 0 {
            match self.next()? {
                Token::Open => {
                    let (left, outside) = (self.commented - 1, self.depth - 1);
                    while self.depth > outside {
                        if self.next()? == Token::End {
                            return Err(none());
                        }
                    }
                    self.commented = left;
                }
                Token::Quote => (),
                Token::Text | Token::Word => self.commented -= 1,
                Token::Close | Token::End => return Err(none()),
            }
        }
        Ok(None)
    }

    fn block_comment(
        &mut self,
        end: &[u8; 2],
        nested: Option<&[u8; 2]>,
    ) -> Result<Option<Token>, Error> {
        let begin = self.position();
        self.at += 2;
        let mut open = 1;
        while open > 0 {
            self.start = self.at;
            let (Some(a), Some(b)) = (self.peek(0)?, self.peek(1)?) else {
                return Err(begin.error("the comment that begins here never ends"));
            };
            let is_end = [a, b] == *end;
            let is_begin = Some(&[a, b]) == nested;
            open = open + usize::from(is_begin) - usize::from(is_end);
            self.at += if is_end || is_begin { 2 } else { 1 };
        }
        self.blocks.push(begin);
        Ok(None)
    }
}

/// What a backslash before this byte means. Writers put one only before `"` and `\`; the others
/// are Guile's, and any other byte is itself.
fn escaped(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        _ => byte,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gives a few bytes at a time.
    struct Dribble<'a>(&'a [u8], usize);

    impl Read for Dribble<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let n = self.1.min(self.0.len()).min(out.len());
            out[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    fn tokens(source: impl Read) -> Result<Vec<(Token, Vec<u8>, Position)>, Error> {
        let mut lexer = Lexer::new(source);
        let (mut out, mut scratch) = (Vec::new(), Vec::new());
        loop {
            let token = lexer.next()?;
            let bytes = match token {
                Token::Text => lexer.unescape(&mut scratch).to_vec(),
                Token::Word => lexer.bytes().to_vec(),
                _ => Vec::new(),
            };
            out.push((token, bytes, lexer.position()));
            if token == Token::End {
                return Ok(out);
            }
        }
    }

    fn words(text: &str) -> Vec<String> {
        let tokens = tokens(text.as_bytes()).unwrap();
        tokens.into_iter().map(|(_, bytes, _)| String::from_utf8(bytes).unwrap()).collect()
    }

    #[test]
    fn comments_of_all_kinds_are_passed() {
        let text = "a ; b\nc #! d ( \n !# e #| f #| g |# \" |# h #f #\\( i";
        assert_eq!(words(text), ["a", "c", "e", "h", "#f", "#\\(", "i", ""]);
    }

    #[test]
    fn a_commented_expression_is_passed() {
        let text = "a #; b c #;(d #;e (f) \"g\") h #;'(i) j #;#; k (l m) n (o #;p) q";
        assert_eq!(words(text), ["a", "c", "h", "j", "n", "", "o", "", "q", ""]);
        for text in ["\n #;", "\n #; #;(a)", "\n(#;)", "\n#;(a"] {
            let error = tokens(text.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with("line 2, column "), "{error}");
        }
        assert!(tokens(("#;".repeat(100_000) + "a").as_bytes()).is_err());
    }

    #[test]
    fn texts_lose_their_escapes() {
        assert_eq!(words(r#""a\"b\\c\q" "\n""#), ["a\"b\\cq", "\n", ""]);
    }

    #[test]
    fn places_are_lines_and_bytes() {
        let places: Vec<_> = tokens(&b"(a\n  \"b\nc\" d)"[..]).unwrap();
        let places: Vec<_> = places.iter().map(|(_, _, at)| (at.line, at.column)).collect();
        assert_eq!(places, [(1, 1), (1, 2), (2, 3), (3, 4), (3, 5), (3, 6)]);
    }

    #[test]
    fn what_never_ends_is_told_with_its_beginning() {
        for text in ["\n (\"abc", "\n #! abc !", "\n #| #| |#", "\n \"\\"] {
            let error = tokens(text.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with("line 2, column "), "{error}");
        }
        assert!(tokens(&b"())"[..]).unwrap_err().to_string().starts_with("line 1, column 3"));
    }

    #[test]
    fn a_token_may_be_longer_than_the_buffer() {
        let long = format!("(\"{}\" b)", "x".repeat(3 * CHUNK + 5));
        assert_eq!(words(&long)[1].len(), 3 * CHUNK + 5);
    }

    proptest! {
        #[test]
        fn how_much_comes_at_a_time_makes_no_difference(
            text in r#"([()"';#!|a\\\n .-]|\\"){0,60}"#,
            step in 1usize..5,
        ) {
            let whole = tokens(text.as_bytes()).map_err(|error| error.to_string());
            let parts = tokens(Dribble(text.as_bytes(), step)).map_err(|error| error.to_string());
            prop_assert_eq!(whole, parts);
        }
    }
}
