//! The tokens of a MeTTa text, as Hyperon's parser cuts them, from any source in bounded memory.

use std::io::Read;

use super::super::atomspace::Error;

/// How much of the source is read at a time.
const BLOCK: usize = 1 << 16;

/// A token. Comments and white space are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// `(`
    Open,
    /// `)`
    Close,
    /// Anything up to white space, a parenthesis or `;`.
    Word(&'a [u8]),
    /// What follows a `$`, up to white space or a parenthesis: a `;` is part of it.
    Variable(&'a [u8]),
    /// What stands between quotes, its escapes as they are written.
    Text(&'a [u8]),
}

/// What a byte may be the beginning of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Other,
    Space,
    Open,
    Close,
    Comment,
    /// Of a character beyond ASCII that may be white space.
    PerhapsSpace,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Other; 256];
    classes[b' ' as usize] = Class::Space;
    let mut byte = b'\t';
    while byte <= b'\r' {
        classes[byte as usize] = Class::Space;
        byte += 1;
    }
    classes[b'(' as usize] = Class::Open;
    classes[b')' as usize] = Class::Close;
    classes[b';' as usize] = Class::Comment;
    classes[0xc2] = Class::PerhapsSpace;
    classes[0xe1] = Class::PerhapsSpace;
    classes[0xe2] = Class::PerhapsSpace;
    classes[0xe3] = Class::PerhapsSpace;
    classes
};

/// The length of the white space character that bytes begin with, none where it is another one.
fn space_len(bytes: &[u8]) -> Option<usize> {
    let len = if bytes.first() == Some(&0xc2) { 2 } else { 3 };
    let char = std::str::from_utf8(bytes.get(..len)?).ok()?.chars().next()?;
    char.is_whitespace().then_some(len)
}

/// Cuts a text into tokens.
#[derive(Debug)]
pub(super) struct Tokens<R> {
    source: R,
    buffer: Vec<u8>,
    /// The next byte in the buffer.
    at: usize,
    /// Whether the buffer has the end of the source.
    is_last: bool,
    /// The line of the first byte of the buffer, from 1, and how many bytes of it are gone.
    line: u64,
    column: u64,
}

/// How a scan for the end of a token ended.
enum Scan {
    /// At this place in the buffer.
    End(usize),
    /// At the end of the buffer, which is not that of the source.
    Short,
    /// The source ended first.
    Unclosed,
}

impl<R: Read> Tokens<R> {
    pub fn new(source: R) -> Result<Tokens<R>, Error> {
        let (buffer, is_last) = (Vec::new(), false);
        let mut tokens = Tokens { source, buffer, at: 0, is_last, line: 1, column: 0 };
        tokens.more()?;
        // What some programs begin a text with is no part of it.
        if tokens.buffer.starts_with("\u{feff}".as_bytes()) {
            tokens.at = 3;
        }
        Ok(tokens)
    }

    /// Reads on, forgetting what lies before the next byte.
    fn more(&mut self) -> Result<(), Error> {
        let gone = &self.buffer[..self.at];
        self.line += gone.iter().filter(|&&byte| byte == b'\n').count() as u64;
        self.column = match gone.iter().rposition(|&byte| byte == b'\n') {
            Some(last) => (self.at - last - 1) as u64,
            None => self.column + self.at as u64,
        };
        self.buffer.drain(..self.at);
        self.at = 0;
        // A token of many blocks is looked at a few times, not once for each.
        let wanted = BLOCK.max(self.buffer.len()) as u64;
        let read = self.source.by_ref().take(wanted).read_to_end(&mut self.buffer);
        let read = read.map_err(|source| Error::Io { doing: "cannot read it", source })?;
        self.is_last = (read as u64) < wanted;
        Ok(())
    }

    /// The next token; none at the end.
    pub fn next(&mut self) -> Result<Option<Token<'_>>, Error> {
        loop {
            let Some(&byte) = self.buffer.get(self.at) else {
                if self.is_last {
                    return Ok(None);
                }
                self.more()?;
                continue;
            };
            match CLASSES[usize::from(byte)] {
                Class::Space => self.at += 1,
                Class::Open => {
                    self.at += 1;
                    return Ok(Some(Token::Open));
                }
                Class::Close => {
                    self.at += 1;
                    return Ok(Some(Token::Close));
                }
                Class::Comment => self.skip_comment()?,
                Class::PerhapsSpace if self.has_space()? => (),
                Class::Other | Class::PerhapsSpace => return self.atom(byte).map(Some),
            }
        }
    }

    fn skip_comment(&mut self) -> Result<(), Error> {
        loop {
            let rest = &self.buffer[self.at..];
            if let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
                self.at += end;
                return Ok(());
            }
            self.at = self.buffer.len();
            if self.is_last {
                return Ok(());
            }
            self.more()?;
        }
    }

    /// Passes over a white space character beyond ASCII, if there is one.
    fn has_space(&mut self) -> Result<bool, Error> {
        if self.buffer.len() - self.at < 3 && !self.is_last {
            self.more()?;
        }
        let len = space_len(&self.buffer[self.at..]);
        self.at += len.unwrap_or(0);
        Ok(len.is_some())
    }

    fn atom(&mut self, first: u8) -> Result<Token<'_>, Error> {
        let scan = match first {
            b'"' => text_end,
            b'$' => variable_end,
            _ => word_end,
        };
        let end = loop {
            match scan(&self.buffer, self.at, self.is_last) {
                Scan::End(end) => break end,
                Scan::Short => self.more()?,
                Scan::Unclosed => {
                    return Err(self.fault("expected a closing `\"`, found the end of the text"));
                }
            }
        };
        let token = self.at..end;
        self.at = end;
        let bytes = &self.buffer[token];
        Ok(match first {
            b'"' => Token::Text(&bytes[1..bytes.len() - 1]),
            b'$' => Token::Variable(&bytes[1..]),
            _ => Token::Word(bytes),
        })
    }

    /// An error at the next byte.
    pub fn fault(&self, fault: impl Into<String>) -> Error {
        self.fault_at(0, fault)
    }

    /// An error so many bytes before the next one, as far back as is known.
    pub fn fault_at(&self, back: usize, fault: impl Into<String>) -> Error {
        let before = &self.buffer[..self.at.saturating_sub(back)];
        let lines = before.iter().filter(|&&byte| byte == b'\n').count() as u64;
        let column = match before.iter().rposition(|&byte| byte == b'\n') {
            Some(last) => (before.len() - last) as u64,
            None => self.column + before.len() as u64 + 1,
        };
        Error::Text { line: self.line + lines, column, fault: fault.into() }
    }

    /// The line of the next byte, from 1.
    pub fn line(&self) -> u64 {
        let before = &self.buffer[..self.at];
        self.line + before.iter().filter(|&&byte| byte == b'\n').count() as u64
    }
}

fn word_end(bytes: &[u8], from: usize, is_last: bool) -> Scan {
    end_before(bytes, from, is_last, |class| {
        matches!(class, Class::Space | Class::Open | Class::Close | Class::Comment)
    })
}

fn variable_end(bytes: &[u8], from: usize, is_last: bool) -> Scan {
    end_before(bytes, from, is_last, |class| {
        matches!(class, Class::Space | Class::Open | Class::Close)
    })
}

/// The end before the first byte that `ends` a token, or before white space beyond ASCII.
#[inline(always)]
fn end_before(bytes: &[u8], from: usize, is_last: bool, ends: impl Fn(Class) -> bool) -> Scan {
    let mut at = from;
    while let Some(&byte) = bytes.get(at) {
        let class = CLASSES[usize::from(byte)];
        if ends(class) {
            return Scan::End(at);
        }
        if class == Class::PerhapsSpace {
            if bytes.len() - at < 3 && !is_last {
                return Scan::Short;
            }
            if space_len(&bytes[at..]).is_some() {
                return Scan::End(at);
            }
        }
        at += 1;
    }
    if is_last { Scan::End(at) } else { Scan::Short }
}

fn text_end(bytes: &[u8], from: usize, is_last: bool) -> Scan {
    let mut at = from + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => return Scan::End(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    if is_last { Scan::Unclosed } else { Scan::Short }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A source that gives a byte at a time.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
            let len = 1.min(to.len());
            self.0.read(&mut to[..len])
        }
    }

    fn tokens(text: &str) -> Vec<String> {
        let mut tokens = Tokens::new(Slow(text.as_bytes())).unwrap();
        let mut out = Vec::new();
        while let Some(token) = tokens.next().unwrap() {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            out.push(match token {
                Token::Open => "(".into(),
                Token::Close => ")".into(),
                Token::Word(word) => text(word),
                Token::Variable(name) => format!("${}", text(name)),
                Token::Text(inner) => format!("{:?}", text(inner)),
            });
        }
        out
    }

    #[test]
    fn tokens_are_cut_as_hyperon_cuts_them() {
        assert_eq!(tokens("(a;b)\n c"), ["(", "a", "c"]);
        assert_eq!(tokens("$x;c $y)z"), ["$x;c", "$y", ")", "z"]);
        assert_eq!(tokens("a\"b !foo !(x)"), ["a\"b", "!foo", "!", "(", "x", ")"]);
        assert_eq!(tokens(r#""a;b""q\"(" ()"#), [r#""a;b""#, r#""q\\\"(""#, "(", ")"]);
        assert_eq!(tokens("a\u{a0}b\u{3000}\u{e9}\u{2003}$"), ["a", "b", "\u{e9}", "$"]);
        assert_eq!(tokens("\u{feff}a\u{feff}b \u{2713}"), ["a\u{feff}b", "\u{2713}"]);
        assert_eq!(tokens("; only a comment"), [""; 0]);
    }

    #[test]
    fn faults_tell_line_and_column() {
        let mut tokens = Tokens::new(&b"(a\n  b\n \"c"[..]).unwrap();
        let error = loop {
            match tokens.next() {
                Ok(Some(_)) => (),
                Ok(None) => panic!("the string is not closed"),
                Err(error) => break error.to_string(),
            }
        };
        assert_eq!(error, "line 3, column 2: expected a closing `\"`, found the end of the text");
    }

    #[test]
    fn tokens_may_be_longer_than_a_block() {
        let long = "x".repeat(3 * BLOCK + 1);
        let text = format!("{} ({long} \"{long}\" ;{long}\n ${long})", " ".repeat(BLOCK - 2));
        let mut tokens = Tokens::new(text.as_bytes()).unwrap();
        let mut lens = Vec::new();
        while let Some(token) = tokens.next().unwrap() {
            lens.push(match token {
                Token::Open | Token::Close => 0,
                Token::Word(text) | Token::Variable(text) | Token::Text(text) => text.len(),
            });
        }
        assert_eq!(lens, [0, long.len(), long.len(), long.len(), 0]);
    }

    proptest! {
        #[test]
        fn blocks_make_no_difference(text in "[a-c()\"$;\\\\ \n\u{e9}\u{a0}\u{2003}]{0,60}") {
            let all = |tokens: Result<Tokens<&mut dyn Read>, Error>| {
                let mut tokens = tokens.unwrap();
                let mut out = Vec::new();
                loop {
                    match tokens.next() {
                        Ok(Some(token)) => out.push(format!("{token:?}")),
                        Ok(None) => return out,
                        Err(error) => {
                            out.push(error.to_string());
                            return out;
                        }
                    }
                }
            };
            let (mut whole, mut slow) = (text.as_bytes(), Slow(text.as_bytes()));
            prop_assert_eq!(all(Tokens::new(&mut whole)), all(Tokens::new(&mut slow)));
        }
    }
}
