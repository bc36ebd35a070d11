//! Splits text into words, which byte-level vocabularies never merge across.
//!
//! Each way is a regular expression in the model's own files. The functions here find the first
//! word of a text as those expressions do, which is several times faster than a general engine.

use super::character::{self, Kind};
use super::error::TokenizerError;
use super::keys::{PRE, string, unsupported};
use crate::gguf::Metadata;

/// How a vocabulary of bytes was made, by the name in `tokenizer.ggml.pre`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pretokenizer {
    pub(super) split: Split,
    /// A word that is a token is that token, whatever the merges would make of it.
    pub(super) words_are_tokens: bool,
}

/// A way to split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
    Gpt2,
    /// The same, after each `\p{N}` is set apart.
    Gpt2SingleDigits,
    /// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,DIGITS}|`
    /// ` ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
    Gpt4 {
        /// The most digits that are one word.
        digits: usize,
    },
}

impl Pretokenizer {
    /// That of the model, whose vocabulary is one of bytes.
    pub(super) fn read(metadata: &Metadata) -> Result<Pretokenizer, TokenizerError> {
        let named = Pretokenizer::named(string(metadata, PRE)?.unwrap_or(""));
        named.ok_or_else(|| unsupported(metadata))
    }

    /// As llama.cpp's table has it. Names that are not here split otherwise, or not surely so.
    fn named(pre: &str) -> Option<Pretokenizer> {
        let split = match pre {
            "gpt-2" | "phi-2" | "gigachat" | "a.x-4.0" | "mellum" | "exaone4" | "mpt" | "olmo"
            | "jais" | "trillion" | "granite-docling" => Split::Gpt2,
            "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" | "exaone"
            | "minerva-7b" | "mellum2" => Split::Gpt2SingleDigits,
            "llama-bpe" | "llama3" | "llama-v3" | "falcon3" | "falcon-h1" | "pixtral"
            | "midm-2.0" | "lfm2" | "dbrx" | "smaug-bpe" => Split::Gpt4 { digits: 3 },
            "qwen2" | "deepseek-r1-qwen" | "kormo" | "megrez" | "stablelm2" | "hunyuan"
            | "solar-open" | "grok-2" => Split::Gpt4 { digits: 1 },
            _ => return None,
        };
        let like_llama_3 =
            split == Split::Gpt4 { digits: 3 } && !matches!(pre, "dbrx" | "smaug-bpe");
        Some(Pretokenizer { split, words_are_tokens: like_llama_3 })
    }

    /// Calls `word` with each word of `text`, in order.
    pub(super) fn words<'a>(self, text: &'a str, mut word: impl FnMut(&'a str)) {
        match self.split {
            Split::Gpt2 => each(text, gpt2, &mut word),
            Split::Gpt2SingleDigits => {
                each(text, up_to_number, |part| each(part, gpt2, &mut word));
            }
            Split::Gpt4 { digits } => each(text, |rest| gpt4(rest, digits), &mut word),
        }
    }
}

/// Cuts `text` into parts; `first` finds the length of the first part of what remains.
fn each<'a>(text: &'a str, first: impl Fn(&str) -> usize, mut part: impl FnMut(&'a str)) {
    let mut rest = text;
    while !rest.is_empty() {
        let (head, tail) = rest.split_at(first(rest));
        part(head);
        rest = tail;
    }
}

/// A number alone, or all up to the next one.
fn up_to_number(text: &str) -> usize {
    let is_number = |c| character::kind(c) == Kind::Number;
    match text.char_indices().find(|&(_, c)| is_number(c)) {
        Some((0, number)) => number.len_utf8(),
        Some((at, _)) => at,
        None => text.len(),
    }
}

/// The first word by GPT-2's rule.
fn gpt2(text: &str) -> usize {
    if let Some(len) = contraction(text, |byte| byte) {
        return len;
    }
    let space = usize::from(text.starts_with(' '));
    match first_kind(&text[space..]) {
        Some(kind) if kind != Kind::Space => space + run(&text[space..], kind),
        _ => spaces(text),
    }
}

/// The first word by the rule of GPT-4 and those after it, which take up to `digits` digits at once.
fn gpt4(text: &str, digits: usize) -> usize {
    if let Some(len) = contraction(text, |byte| byte.to_ascii_lowercase()) {
        return len;
    }
    let Some(first) = text.chars().next() else { return 0 };
    let kind = character::kind(first);
    if kind == Kind::Number {
        let numbers = text.chars().take_while(|&c| character::kind(c) == Kind::Number);
        return numbers.take(digits).map(char::len_utf8).sum();
    }
    let after = first.len_utf8();
    let line_break = matches!(first, '\r' | '\n');
    if !line_break && (kind == Kind::Letter || first_kind(&text[after..]) == Some(Kind::Letter)) {
        return after + run(&text[after..], Kind::Letter);
    }
    let space = usize::from(first == ' ');
    if first_kind(&text[space..]) == Some(Kind::Other) {
        let end = space + run(&text[space..], Kind::Other);
        let breaks = text[end..].bytes().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        return end + breaks;
    }
    match text[..run(text, Kind::Space)].rfind(['\r', '\n']) {
        Some(last_break) => last_break + 1,
        None => spaces(text),
    }
}

/// The spaces that `text` begins with, but for the last where a word follows, which takes it.
fn spaces(text: &str) -> usize {
    let len = run(text, Kind::Space);
    let last = text[..len].chars().next_back().map_or(0, char::len_utf8);
    if len < text.len() && len > last { len - last } else { len }
}

/// `'s`, `'t`, `'re`, `'ve`, `'m`, `'ll` or `'d`, its letters seen through `fold`.
fn contraction(text: &str, fold: impl Fn(u8) -> u8) -> Option<usize> {
    let rest = text.strip_prefix('\'')?.as_bytes();
    let letter = |i: usize| rest.get(i).map(|&byte| fold(byte));
    match (letter(0)?, letter(1)) {
        (b's' | b't' | b'm' | b'd', _) => Some(2),
        (b'r' | b'v', Some(b'e')) | (b'l', Some(b'l')) => Some(3),
        _ => None,
    }
}

/// The kind of the first character.
fn first_kind(text: &str) -> Option<Kind> {
    text.chars().next().map(character::kind)
}

/// The bytes of the characters of this kind that `text` begins with.
fn run(text: &str, kind: Kind) -> usize {
    let other = |&(_, c): &(usize, char)| character::kind(c) != kind;
    text.char_indices().find(other).map_or(text.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pre: &str, text: &str, expected: &[&str]) {
        let mut words = Vec::new();
        Pretokenizer::named(pre).unwrap().words(text, |word| words.push(word));
        assert_eq!(words, expected, "{pre}");
    }

    #[test]
    fn gpt_2() {
        check(
            "gpt-2",
            "I'm  here'LL 42!\n\n x ",
            &["I", "'m", " ", " here", "'", "LL", " 42", "!", "\n\n", " x", " "],
        );
        check("gpt-2", "a \t\n", &["a", " \t\n"]);
        check("gpt-2", "\u{3000}\u{3000}あ", &["\u{3000}", "\u{3000}", "あ"]);
        check("smollm", " 42a ½", &[" ", "4", "2", "a", " ", "½"]);
    }

    #[test]
    fn gpt_4() {
        check("llama-bpe", "we'VE 1234567 x", &["we", "'VE", " ", "123", "456", "7", " x"]);
        check(
            "llama-bpe",
            "(a) \r\n \n  b!?\n\nc ",
            &["(a", ")", " \r\n \n", " ", " b", "!?\n\n", "c", " "],
        );
        check("qwen2", "12 \u{a0}z'ſ", &["1", "2", " ", "\u{a0}z", "'ſ"]);
        check("qwen2", "  ", &["  "]);
    }

    #[test]
    fn nothing_is_guessed() {
        for pre in ["", "default", "deepseek-llm", "tekken", "gpt-4o"] {
            assert_eq!(Pretokenizer::named(pre), None, "{pre}");
        }
    }
}
