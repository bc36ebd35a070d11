//! The names in programs, kept once for many of them.

use std::collections::HashMap;
use std::fmt;

/// How programs name a column of the table.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ArgumentName {
    /// `$3`: the place among the inputs, from 1.
    Place(u32),
    /// `$petal_width`.
    Label(String),
}

impl ArgumentName {
    /// From what stands after the `$`. `None` for place 0 and for nothing.
    pub fn from_text(text: &str) -> Option<ArgumentName> {
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            let place = text.parse().ok().filter(|place| *place > 0)?;
            return Some(ArgumentName::Place(place));
        }
        Some(ArgumentName::Label(text.into()))
    }
}

/// What stands after the `$`.
impl fmt::Display for ArgumentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ArgumentName::Place(place) => place.fmt(f),
            ArgumentName::Label(label) => f.write_str(label),
        }
    }
}

/// The arguments and words that programs name, each once, in the order in which they came.
#[derive(Debug, Clone, Default)]
pub struct Names {
    arguments: Vec<ArgumentName>,
    words: Vec<String>,
    argument_places: HashMap<ArgumentName, u32>,
    word_places: HashMap<String, u32>,
}

impl Names {
    /// No names.
    pub fn new() -> Names {
        Names::default()
    }

    /// The arguments.
    pub fn arguments(&self) -> &[ArgumentName] {
        &self.arguments
    }

    /// The words as they are written: `Iris-setosa`, `enum:"two words"`, `message:"hello"`.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// The index of an argument, which is added if it is new.
    pub fn argument(&mut self, name: ArgumentName) -> u32 {
        let next = self.arguments.len() as u32;
        let place = *self.argument_places.entry(name.clone()).or_insert(next);
        if place == next {
            self.arguments.push(name);
        }
        place
    }

    /// The index of a word, which is added if it is new.
    pub fn word(&mut self, word: &str) -> u32 {
        if let Some(place) = self.word_places.get(word) {
            return *place;
        }
        let place = self.words.len() as u32;
        self.words.push(word.into());
        self.word_places.insert(word.into(), place);
        place
    }
}

/// By the names and their order.
impl PartialEq for Names {
    fn eq(&self, other: &Names) -> bool {
        self.arguments == other.arguments && self.words == other.words
    }
}

/// The value that a word stands for: without `enum:` and quotes.
pub fn word_value(word: &str) -> &str {
    let Some(value) = word.strip_prefix("enum:") else { return word };
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_kept_once() {
        let mut names = Names::new();
        let label = || ArgumentName::from_text("x1").unwrap();
        assert_eq!(names.argument(label()), 0);
        assert_eq!(names.argument(ArgumentName::Place(1)), 1);
        assert_eq!(names.argument(label()), 0);
        assert_eq!((names.word("a"), names.word("b"), names.word("a")), (0, 1, 0));
        assert_eq!(names.words(), ["a", "b"]);
    }

    #[test]
    fn places_count_from_one() {
        assert_eq!(ArgumentName::from_text("12"), Some(ArgumentName::Place(12)));
        assert_eq!(ArgumentName::from_text("0"), None);
        assert_eq!(ArgumentName::from_text(""), None);
        assert_eq!(ArgumentName::from_text("99999999999"), None, "more than can be counted");
    }

    #[test]
    fn values_of_words() {
        assert_eq!(word_value("Iris-setosa"), "Iris-setosa");
        assert_eq!(word_value("enum:red"), "red");
        assert_eq!(word_value("enum:\"two words\""), "two words");
    }
}
