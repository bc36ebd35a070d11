//! What a reader passed over.

use std::fmt;

/// How many kinds are told apart.
const MOST_KINDS: usize = 64;

/// How many lines of a kind are kept.
const MOST_LINES: usize = 5;

/// The longest name of a kind.
const LONGEST_NAME: usize = 40;

/// What was passed over, by kind, in the order in which each first occurred.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Skipped {
    kinds: Vec<SkippedKind>,
}

/// One kind of what was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedKind {
    /// What it is: `(use-modules ..)`, `the word scm`.
    pub name: String,
    /// How often it was passed over.
    pub count: u64,
    /// The lines where the first ones begin, from 1.
    pub lines: Vec<u64>,
}

impl Skipped {
    /// The kinds.
    pub fn kinds(&self) -> &[SkippedKind] {
        &self.kinds
    }

    /// Whether nothing was passed over.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    pub(super) fn add(&mut self, name: &str, line: u64) {
        self.add_times(name, 1, line);
    }

    /// So many, at the same line.
    pub(super) fn add_times(&mut self, name: &str, times: u64, line: u64) {
        if times == 0 {
            return;
        }
        let known = |name: &str| self.kinds.iter().position(|kind| kind.name == name);
        let name = match self.kinds.len() < MOST_KINDS || known(name).is_some() {
            true => name,
            false => "of more kinds",
        };
        let at = known(name).unwrap_or(self.kinds.len());
        if at == self.kinds.len() {
            self.kinds.push(SkippedKind { name: name.into(), count: 0, lines: Vec::new() });
        }
        let kind = &mut self.kinds[at];
        kind.count += times;
        let room = (MOST_LINES - kind.lines.len()) as u64;
        kind.lines.extend((0..times.min(room)).map(|_| line));
    }
}

/// One line for each kind.
impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, SkippedKind { name, count, lines }) in self.kinds.iter().enumerate() {
            let lines: Vec<String> = lines.iter().map(u64::to_string).collect();
            let more = if lines.len() as u64 == *count { "" } else { ", .." };
            let end = if i > 0 { "\n" } else { "" };
            write!(f, "{end}{count} {name} (line {}{more})", lines.join(", "))?;
        }
        Ok(())
    }
}

/// A word of a file on one line and not too long.
pub(super) fn quoted(word: &[u8]) -> String {
    let text = String::from_utf8_lossy(word).escape_debug().to_string();
    match text.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("`{}..`", &text[..end]),
        None => format!("`{text}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_counted_and_shown() {
        let mut skipped = Skipped::default();
        (1..=7).for_each(|line| skipped.add("(load ..)", line));
        skipped.add("the word `scm`", 9);
        let text = skipped.to_string();
        assert_eq!(text, "7 (load ..) (line 1, 2, 3, 4, 5, ..)\n1 the word `scm` (line 9)");
    }

    #[test]
    fn kinds_do_not_grow_without_end() {
        let mut skipped = Skipped::default();
        (0..1000).for_each(|i| skipped.add(&i.to_string(), i));
        skipped.add("0", 7);
        assert_eq!(skipped.kinds()[0].count, 2);
        assert_eq!(skipped.kinds().len(), MOST_KINDS + 1);
        assert_eq!(skipped.kinds().iter().map(|kind| kind.count).sum::<u64>(), 1001);
        assert!(quoted(&[0xff; 1000]).len() < 200);
    }
}
