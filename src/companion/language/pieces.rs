//! Cuts a text of either language into pieces, whatever it is.
//!
//! What Scheme makes a comment is passed over: in MeTTa hardly anything begins so.

/// A piece of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Open,
    Close,
    /// A word behind an opening parenthesis.
    Head(&'a [u8]),
    /// Another word.
    Word(&'a [u8]),
    /// What makes data of the expression behind it: `'`, `` ` ``, `#`, `#u8`.
    Quote,
    /// A string.
    Text,
    /// `#! .. !#` or `#| .. |#`
    Block,
    /// `#;` and the expression behind it.
    Dropped,
}

/// The pieces of a text.
pub(super) struct Pieces<'a> {
    rest: &'a [u8],
    /// Whether the text goes on behind what there is of it.
    goes_on: bool,
    /// How many parentheses are open.
    pub depth: usize,
    is_head: bool,
    /// Whether a block of comment began that never ends: what looks like one behind it is none.
    has_endless: bool,
    dropping: Dropping,
}

/// What `#;` makes a comment of.
#[derive(Default)]
struct Dropping {
    /// How many expressions are still to be passed over.
    left: usize,
    /// How many parentheses are open around the one that is being passed over.
    outside: Option<usize>,
    /// Whether a word behind them is the head of a form.
    is_head: bool,
}

impl<'a> Pieces<'a> {
    pub fn of(text: &'a [u8], goes_on: bool) -> Pieces<'a> {
        let dropping = Dropping::default();
        Pieces { rest: text, goes_on, depth: 0, is_head: false, has_endless: false, dropping }
    }

    /// The next piece, be it in a comment that `#;` makes or not.
    fn piece(&mut self) -> Option<Piece<'a>> {
        loop {
            let (&first, after) = self.rest.split_first()?;
            let is_head = std::mem::take(&mut self.is_head);
            let (len, piece) = match first {
                b';' => (end(self.rest, |byte| byte == b'\n'), None),
                b'(' => {
                    self.depth += 1;
                    (1, Some(Piece::Open))
                }
                b')' => {
                    self.depth = self.depth.saturating_sub(1);
                    (1, Some(Piece::Close))
                }
                b'"' => (1 + text_len(after), Some(Piece::Text)),
                b'#' if after.first() == Some(&b';') => (2, Some(Piece::Dropped)),
                b'#' => match self.block_len() {
                    Some(len) => (len, Some(Piece::Block)),
                    None => self.word(is_head),
                },
                byte if byte.is_ascii_whitespace() => (1, None),
                _ => self.word(is_head),
            };
            self.rest = &self.rest[len..];
            self.is_head = match piece {
                None | Some(Piece::Block | Piece::Dropped) => is_head,
                Some(piece) => piece == Piece::Open,
            };
            if piece.is_some() {
                return piece;
            }
        }
    }

    fn word(&self, is_head: bool) -> (usize, Option<Piece<'a>>) {
        let ends = |byte: u8| byte.is_ascii_whitespace() || b"();\"".contains(&byte);
        // a character, which may be a parenthesis
        let character = if self.rest.starts_with(b"#\\") { self.rest.len().min(3) } else { 0 };
        let len = character + end(&self.rest[character..], ends);
        let word = &self.rest[..len];
        let is_quote = self.rest.get(len) == Some(&b'(')
            && (matches!(word, b"'" | b"`" | b"#'") || word[0] == b'#' && character == 0);
        let piece = match (is_quote, is_head) {
            (true, _) => Piece::Quote,
            (_, true) => Piece::Head(word),
            _ => Piece::Word(word),
        };
        (len, Some(piece))
    }

    /// The bytes of the block of comment that begins here; none where none does, or it does not end
    /// though the text does.
    fn block_len(&mut self) -> Option<usize> {
        let whole = self.rest.len();
        let (close, nested): (&[u8], &[u8]) = match self.rest {
            _ if self.has_endless => return None,
            [b'#', b'!', ..] => (b"!#", b""),
            [b'#', b'|', ..] => (b"|#", b"#|"),
            _ => return None,
        };
        let (mut at, mut open) = (2, 1);
        while at + 2 <= whole {
            let two = &self.rest[at..at + 2];
            open = open + usize::from(two == nested) - usize::from(two == close);
            if open == 0 {
                return Some(at + 2);
            }
            at += if two == nested || two == close { 2 } else { 1 };
        }
        self.has_endless = !self.goes_on;
        self.goes_on.then_some(whole)
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        loop {
            let is_head = self.is_head;
            let piece = self.piece()?;
            let Dropping { left, outside, .. } = self.dropping;
            match (piece, outside) {
                (_, Some(outside)) if self.depth > outside => (),
                (Piece::Dropped, _) => {
                    self.dropping.left += 1;
                    if left == 0 {
                        self.dropping.is_head = is_head;
                        return Some(piece);
                    }
                }
                // nothing is left that could be passed over
                (Piece::Close, None) => {
                    self.dropping = Dropping::default();
                    return Some(piece);
                }
                _ if left == 0 => return Some(piece),
                (Piece::Open, _) => self.dropping.outside = Some(self.depth - 1),
                (Piece::Quote | Piece::Block, None) => (),
                _ => {
                    self.dropping.left = left - 1;
                    self.dropping.outside = None;
                    if left == 1 {
                        self.is_head = self.dropping.is_head;
                    }
                }
            }
        }
    }
}

fn end(bytes: &[u8], ends: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|&byte| ends(byte)).unwrap_or(bytes.len())
}

/// The bytes of a string behind its opening quote, with the closing one, as far as it goes.
fn text_len(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += match byte {
            b'"' => return at + 1,
            b'\\' => 2,
            _ => 1,
        };
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::Piece::*;
    use super::*;

    fn pieces(text: &str) -> Vec<Piece<'_>> {
        Pieces::of(text.as_bytes(), false).collect()
    }

    #[test]
    fn comments_of_scheme_are_passed_over() {
        let kept = [Open, Head(b"a"), Word(b"b"), Close];
        let without = |text| -> Vec<Piece> {
            pieces(text).into_iter().filter(|piece| !matches!(piece, Block | Dropped)).collect()
        };
        for text in [
            "(a ; it is (\n b)",
            "(; $x\n a b)",
            "(a #| ( #| \" |# ; |# b)",
            "(#| c |# a b)",
            "#! ( \" !# (a b)",
            "(a #;(c (d \")\") e) b)",
            "(a #;\"c\" b)",
            "(#;c a b)",
            "(#; #; c (d) a b)",
            "(a #;(c #;d e) b)",
            "(a #;'(c) b)",
            "(a #;#(c) b #;'c)",
            "#;(c) (a #;#\\( b)",
            "(a #;#| c |# d b)",
        ] {
            assert_eq!(without(text), kept, "{text}");
        }
        assert_eq!(pieces("#;#;(a)"), [Dropped]);
        assert_eq!(pieces("(#;) a"), [Open, Dropped, Close, Word(b"a")]);
        assert_eq!(pieces(&"#;".repeat(100_000)), [Dropped]);
    }

    #[test]
    fn a_block_that_never_ends_is_none() {
        assert_eq!(pieces("#!/usr/bin/metta\n(a)")[1..], [Open, Head(b"a"), Close]);
        assert_eq!(pieces("#| #| |# a")[0], Word(b"#|"));
        assert_eq!(Pieces::of(b"#| (a", true).collect::<Vec<_>>(), [Block]);
    }

    #[test]
    fn characters_and_quotes_are_words() {
        assert_eq!(pieces("(a #\\( #\\\" b)").len(), 6);
        assert_eq!(
            pieces("(a #(b) '(c) 'd)"),
            [
                Open,
                Head(b"a"),
                Quote,
                Open,
                Head(b"b"),
                Close,
                Quote,
                Open,
                Head(b"c"),
                Close,
                Word(b"'d"),
                Close
            ]
        );
    }
}
