//! A command that a reader can give to a shell.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

/// A command for a POSIX shell, quoted. Its JSON is one string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Its words; a flag and its value are one.
    words: Vec<String>,
}

impl Command {
    /// A program without arguments yet.
    pub fn new(program: &str) -> Command {
        Command { words: vec![quoted(program)] }
    }

    /// With one more word.
    pub fn word(mut self, word: impl AsRef<OsStr>) -> Command {
        self.words.push(quoted(word));
        self
    }

    /// With a flag and its value, which may begin with a hyphen.
    pub fn flag(mut self, flag: &str, value: impl AsRef<OsStr>) -> Command {
        let value = value.as_ref();
        let is_like_a_flag = value.as_encoded_bytes().starts_with(b"-");
        let between = if is_like_a_flag { '=' } else { ' ' };
        self.words.push(format!("{flag}{between}{}", quoted(value)));
        self
    }

    /// With a file, which no program takes for a flag.
    pub fn file(self, path: impl AsRef<Path>) -> Command {
        self.word(as_file(path))
    }

    /// Its words, quoted, a flag and its value as one.
    pub fn words(&self) -> &[String] {
        &self.words
    }
}

/// A path that no program takes for a flag.
pub fn as_file(path: impl AsRef<Path>) -> PathBuf {
    let path = path.as_ref();
    match path.as_os_str().as_encoded_bytes().starts_with(b"-") {
        true => Path::new(".").join(path),
        false => path.to_path_buf(),
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words.join(" "))
    }
}

impl Serialize for Command {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A word for a POSIX shell: as it is if nothing in it means anything there. What nobody could read
/// or copy, as control characters and bytes that are no UTF-8, is written as numbers in `$'...'`.
fn quoted(word: impl AsRef<OsStr>) -> String {
    let bytes = word.as_ref().as_encoded_bytes();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    let is_shown = |c: char| c == ' ' || (!c.is_control() && !c.is_whitespace() && !turns(c));
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.is_empty() && text.chars().all(plain) => text.to_string(),
        Ok(text) if text.chars().all(is_shown) => format!("'{}'", text.replace('\'', "'\\''")),
        _ => {
            let mut quoted = String::from("$'");
            for chunk in bytes.utf8_chunks() {
                for c in chunk.valid().chars() {
                    match c {
                        '\'' | '\\' => quoted.extend(['\\', c]),
                        c if is_shown(c) => quoted.push(c),
                        c => octal(&mut quoted, c.encode_utf8(&mut [0; 4]).as_bytes()),
                    }
                }
                octal(&mut quoted, chunk.invalid());
            }
            quoted + "'"
        }
    }
}

/// Whether a character is not seen itself and turns, joins or hides what is beside it.
fn turns(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}')
        || matches!(u32::from(c) & 0xffff, 0xfffe | 0xffff)
}

fn octal(out: &mut String, bytes: &[u8]) {
    bytes.iter().for_each(|byte| out.push_str(&format!("\\{byte:03o}")));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_quoted_if_a_shell_would_change_them() {
        let written = |word: &str| Command::new(word).to_string();
        assert_eq!(written("models/x-1.gguf"), "models/x-1.gguf");
        assert_eq!(written("a b'c"), "'a b'\\''c'");
        assert_eq!(written(""), "''");
        assert_eq!(written("~/$x `y`"), "'~/$x `y`'");
        assert_eq!(written("a\nb'\u{202e}"), "$'a\\012b\\'\\342\\200\\256'");
    }

    #[test]
    fn no_value_and_no_file_is_taken_for_a_flag() {
        let command = Command::new("p").flag("--a", "-b").flag("--c", "d e").file("-x").file("y");
        assert_eq!(command.to_string(), "p --a=-b --c 'd e' ./-x y");
        assert_eq!(command.words().len(), 5);
    }

    #[cfg(unix)]
    #[test]
    fn names_need_not_be_utf_8() {
        use std::os::unix::ffi::OsStrExt;
        assert_eq!(quoted(OsStr::from_bytes(b"a\xff9")), "$'a\\3779'");
    }

    proptest! {
        #[test]
        fn a_shell_reads_the_word_again(word in any::<String>()) {
            let word = word.replace('\0', "");
            prop_assert_eq!(read(&quoted(&word)), word.as_bytes());
            prop_assert!(!quoted(&word).contains(char::is_control));
        }
    }

    /// What a shell makes of one quoted word.
    fn read(quoted: &str) -> Vec<u8> {
        if let Some(inner) = quoted.strip_prefix("$'").and_then(|rest| rest.strip_suffix('\'')) {
            let (mut bytes, mut rest) = (Vec::new(), inner.as_bytes());
            while let [first, after @ ..] = rest {
                (bytes, rest) = match (first, after) {
                    (b'\\', [sign @ (b'\'' | b'\\'), after @ ..]) => {
                        ([bytes, vec![*sign]].concat(), after)
                    }
                    (b'\\', [a, b, c, after @ ..]) => {
                        let byte = (a - b'0') * 64 + (b - b'0') * 8 + (c - b'0');
                        ([bytes, vec![byte]].concat(), after)
                    }
                    _ => ([bytes, vec![*first]].concat(), after),
                };
            }
            return bytes;
        }
        let pieces = quoted.split("'\\''").map(|piece| piece.replace('\'', ""));
        pieces.collect::<Vec<_>>().join("'").into_bytes()
    }
}
