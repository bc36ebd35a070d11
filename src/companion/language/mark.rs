//! The line that says in which language a text is.

use std::io::{self, Write};

use super::signs::Signs;
use super::{HEAD, Language};

/// The line that a text of this language may begin with.
pub(super) fn line(language: Language) -> &'static [u8] {
    match language {
        Language::Scheme => b"; Scheme\n",
        Language::Metta => b"; MeTTa\n",
    }
}

/// The language that the first line of a text names, if it does.
pub(super) fn of(head: &[u8]) -> Option<Language> {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let first = head.split(|&byte| byte == b'\n').next()?.trim_ascii_end();
    let languages = [Language::Scheme, Language::Metta];
    languages.into_iter().find(|&language| first == line(language).trim_ascii_end())
}

/// Lets MeTTa pass on its way to a file; if what it begins with would be taken for Scheme in spite
/// of the file's name, the line that names its language goes before it.
pub(in super::super) struct Marking<W> {
    to: W,
    /// What has not passed yet; none once it is known how the text begins.
    head: Option<Vec<u8>>,
}

impl<W: Write> Marking<W> {
    /// Nothing has passed yet.
    pub fn new(to: W) -> Marking<W> {
        Marking { to, head: Some(Vec::new()) }
    }

    /// Lets pass what is still held back.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(mut self) -> io::Result<()> {
        self.decide()
    }

    fn decide(&mut self) -> io::Result<()> {
        let Some(head) = self.head.take() else { return Ok(()) };
        if Signs::of_head(&head).contradict(Language::Metta) {
            self.to.write_all(line(Language::Metta))?;
        }
        self.to.write_all(&head)
    }
}

impl<W: Write> Write for Marking<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(head) = &mut self.head else { return self.to.write(bytes) };
        head.extend_from_slice(bytes);
        if head.len() >= HEAD {
            self.decide()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
