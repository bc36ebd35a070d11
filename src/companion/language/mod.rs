//! In which of OpenCog's languages a text of atoms is written: Scheme, as AtomSpaces are, or MeTTa.
//!
//! A first line `; MeTTa` or `; Scheme` says it. Else its name tells by `.scm` or `.metta`, and
//! what stands in it must not clearly say otherwise. Of another name, what stands in it tells.

mod mark;
mod pieces;
mod signs;

use std::fmt;
use std::path::Path;

use crate::Error;

pub(super) use mark::Marking;
use signs::Signs;

/// A language of atoms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    /// Of AtomSpaces.
    Scheme,
    /// Of Hyperon.
    Metta,
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Language::Scheme => "AtomSpace text (Scheme)",
            Language::Metta => "MeTTa",
        })
    }
}

/// How much of a text is looked at.
pub(super) const HEAD: usize = 1 << 16;

impl Language {
    /// The language of a text that begins so: with all of it, or at least [`HEAD`] bytes.
    /// `has_aliases` tells that it is Scheme with words of its own.
    ///
    /// # Errors
    /// Its name says one language and what stands in it the other.
    pub fn of(path: &Path, head: &[u8], has_aliases: bool) -> Result<Language, Error> {
        let extension = path.extension().map(|it| it.to_string_lossy().to_ascii_lowercase());
        let by_name = match extension.as_deref() {
            Some("metta") => Some(Language::Metta),
            Some("scm" | "scheme") => Some(Language::Scheme),
            _ if has_aliases => Some(Language::Scheme),
            _ => None,
        };
        if has_aliases && by_name == Some(Language::Scheme) {
            return Ok(Language::Scheme);
        }
        let marked = mark::of(head);
        let Some(language) = by_name else {
            return Ok(marked.unwrap_or_else(|| Signs::of_head(head).language()));
        };
        let is_wrong = match marked {
            Some(marked) => marked != language,
            None => Signs::of_head(head).contradict(language),
        };
        if !is_wrong {
            return Ok(language);
        }
        let (found, extension) = match language {
            Language::Metta => (Language::Scheme, "scm"),
            Language::Scheme => (Language::Metta, "metta"),
        };
        let fault = format!(
            "by its name it is {language}, but what stands in it is {found}: call it .{extension}, \
             or let `{}` be its first line if it is {language}",
            String::from_utf8_lossy(mark::line(language)).trim_end()
        );
        Err(Error::opencog(path, fault))
    }
}

impl Signs {
    /// Those in what a text begins with.
    fn of_head(head: &[u8]) -> Signs {
        Signs::of(&head[..head.len().min(HEAD)], head.len() >= HEAD)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    const METTA: [&str; 7] = [
        "(: Evaluation Type)\n(: \"R-HSA-1\" Reactome)\n(Inheritance \"R-HSA-1\" \"R-HSA-2\")",
        "(parent Tom Bob)\n(parent Pam Bob)",
        "!(import! &self kb)",
        "; a note\n(= (f $x) (g $x))",
        "(Inheritance (Concept $x) (Concept \"animal\"))",
        "(STV 0.9 0.8) (Inheritance cat animal (STV 1 0.9))",
        "!\n(match &self (Concept \"a\") \"a\")",
    ];

    const SCHEME: [&str; 6] = [
        "(use-modules (opencog))\n(Inheritance (stv 1 0.9) (Concept \"cat\") (Concept \"animal\"))",
        "(ConceptNode \"a\")",
        "#! words ( in a block !# (List (Number 1) (Concept \"$x\"))",
        "(define cat (Concept \"cat\"))\n(Inheritance cat cat)",
        "(cog-set-value! (Concept \"a\") (Predicate \"k\") (FloatValue 1 2))",
        "(Lambda (TypedVariable (Variable \"$x\") (Type 'ConceptNode)) (Variable \"$x\"))",
    ];

    #[test]
    fn texts_tell_their_language() {
        for text in METTA {
            let signs = Signs::of(text.as_bytes(), false);
            assert_eq!(signs.language(), Language::Metta, "{text}: {signs:?}");
            assert!(signs.contradict(Language::Scheme), "{text}: {signs:?}");
            assert!(!signs.contradict(Language::Metta), "{text}: {signs:?}");
        }
        for text in SCHEME {
            let signs = Signs::of(text.as_bytes(), false);
            assert_eq!(signs.language(), Language::Scheme, "{text}: {signs:?}");
            assert!(signs.contradict(Language::Metta), "{text}: {signs:?}");
            assert!(!signs.contradict(Language::Scheme), "{text}: {signs:?}");
        }
    }

    #[test]
    fn what_either_may_be_contradicts_neither() {
        for text in ["", "()", "; nothing", "(s (m \"ChEBI:1\") (c \"R-HSA\"))", "(\"a\" \"b\") 5"]
        {
            let signs = Signs::of(text.as_bytes(), false);
            assert_eq!(signs.language(), Language::Scheme);
            assert!(!signs.contradict(Language::Scheme) && !signs.contradict(Language::Metta));
        }
    }

    #[test]
    fn scheme_may_be_written_as_scheme_is() {
        for text in [
            "(ListLink #;(ConceptNode \"dropped\") (ConceptNode \"kept\"))",
            "(Concept #;\"x\" \"b\")",
            "#| uses $x as a variable |#\n(Concept \"a\")",
            "#| (the notes #| (= a $b) |# here \"are long) |#\n(Concept \"a\") (Concept \"b\")",
            "(define-public $x (Variable \"$x\")) (List $x)",
            "(define $x (Variable \"$x\")) (List $x $x $x $x)",
            "(use-modules (opencog) (opencog exec))\n(List $x $y $z)",
            "(load \"variables.scm\")\n(Bind $x (And $x $y) $z)",
            "(define (f $x $y) (List $x $y)) (Concept \"a\")",
            "(List #(1 2))",
            "(List #u8(1 2 3) '(a b c) `(d ,e))",
            "(define open #\\() (define quote #\\\") (define note #\\;) (Concept \"$x\")",
            "(for-each (lambda ($x) (display $x)) (list a b c))",
            "(List #; #| $x |# (= $x) 'Concept)",
            "(begin (display \"a\" port) (newline port))",
            "(Type 'Concept) (List a b)",
            "(Concept \"a\" #:key value)",
        ] {
            let signs = Signs::of(text.as_bytes(), false);
            assert!(!signs.contradict(Language::Scheme), "{text}: {signs:?}");
        }
    }

    #[test]
    fn metta_may_use_any_word() {
        for text in [
            "(Concept \"a\")",
            "(Evaluation (Predicate \"p\") (List (Concept \"a\") (Concept \"b\")))",
            "(cons 1 (cons 2 nil))",
            "(define foo 1)",
            "(define foo 1) (bar foo)",
            "(load \"x\")",
            "(import other)",
            "(stv 0.9 0.8)",
            "(Sentence (Evaluation \"x\" \"y\") (stv 1 .9))",
            "((Inheritance (Concept \"a\") (Concept \"b\")) (stv 1 .9))",
            "(Number 1) (Number \"1\")",
            "(#t #f)",
            "('A 'B 'Concept)",
            "(lambda (x) (list x)) (if a b c)",
            "(SimpleTruthValue 0.5 0.5) (alist a b)",
            "#!/usr/bin/env metta\n(Concept \"a\")",
            "(a #; b\n c)",
            "(a #| b |# c)",
            "(EvaluationLink a b) (= (f $x) (ConceptNode \"a\"))",
        ] {
            let signs = Signs::of(text.as_bytes(), false);
            assert!(!signs.contradict(Language::Metta), "{text}: {signs:?}");
        }
        for text in [
            "(ConceptNode \"a\" (stv 1 0.5))",
            "(Concept \"a\" (stv 1 0.5))",
            "(List (alist (cons (Predicate \"k\") (FloatValue 1))) (Concept \"a\"))",
            "#| a note |#\n(Concept \"a\")",
            "(cog-execute! (Plus (Number 1)))",
        ] {
            let signs = Signs::of(text.as_bytes(), false);
            assert!(signs.contradict(Language::Metta), "{text}: {signs:?}");
        }
    }

    #[test]
    fn facts_of_strings_are_metta() {
        let text = "(hasName \"@I422@\" \"Adalbert\")\n(hasSex \"@I422@\" \"M\")";
        let signs = Signs::of(text.as_bytes(), false);
        assert_eq!(signs.language(), Language::Metta);
        assert!(!signs.contradict(Language::Scheme));
    }

    #[test]
    fn a_command_or_a_module_tells_more_than_many_words() {
        let nodes = "(EvaluationLink (PredicateNode \"p\") (ConceptNode \"a\"))\n".repeat(9);
        let signs = Signs::of(format!("{nodes}!(match &self $x $x)").as_bytes(), false);
        assert_eq!(signs.language(), Language::Metta);
        assert!(signs.contradict(Language::Scheme));
        let words = "(parent tom bob)\n".repeat(9);
        let signs = Signs::of(format!("(use-modules (opencog))\n{words}").as_bytes(), false);
        assert_eq!(signs.language(), Language::Scheme);
        assert!(!signs.contradict(Language::Scheme));
    }

    #[test]
    fn the_first_line_may_say_it() {
        let of = |name: &str, text: &str| Language::of(Path::new(name), text.as_bytes(), false);
        let node = "(ConceptNode \"a\")";
        for mark in ["; MeTTa\n", "\u{feff}; MeTTa \r\n"] {
            let text = format!("{mark}{node}");
            assert_eq!(of("x.metta", &text).unwrap(), Language::Metta);
            assert_eq!(of("x.txt", &text).unwrap(), Language::Metta);
            assert!(
                of("x.scm", &text).unwrap_err().to_string().contains("is MeTTa: call it .metta")
            );
        }
        let facts = "; Scheme\n(parent Tom Bob)";
        assert_eq!(of("x.scm", facts).unwrap(), Language::Scheme);
        assert!(of("x.metta", facts).is_err());
        let fault = of("x.metta", node).unwrap_err().to_string();
        assert!(fault.ends_with("let `; MeTTa` be its first line if it is MeTTa"), "{fault}");
        assert_eq!(of("x.txt", &format!("; notes on MeTTa\n{node}")).unwrap(), Language::Scheme);
    }

    proptest! {
        #[test]
        fn what_is_written_of_metta_is_taken_for_metta(
            text in "(\\(|\\)| |\n|\"x\"|ConceptNode|stv|\\$x|a|1){0,30}",
        ) {
            let mut out = Vec::new();
            let mut marking = Marking::new(&mut out);
            text.bytes().for_each(|byte| marking.write_all(&[byte]).unwrap());
            marking.finish().unwrap();
            prop_assert!(out.ends_with(text.as_bytes()));
            let of = Language::of(Path::new("x.metta"), &out, false);
            prop_assert_eq!(of.unwrap(), Language::Metta);
        }

        #[test]
        fn no_text_panics(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            Signs::of(&bytes, true);
        }
    }
}
