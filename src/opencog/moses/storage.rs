//! Ensembles in a companion file.
//!
//! | metadata | type | what |
//! |---|---|---|
//! | `opencog.moses.version` | u32 | 1 |
//! | `opencog.moses.codec` | string | `lattice`, `palette` or `uniform` |
//! | `opencog.moses.arguments` | strings | what stands after the `$`, by index |
//! | `opencog.moses.words` | strings | classes, enumerated values and messages, by index |
//! | `opencog.moses.measures` | strings | what is measured, by index |
//! | `opencog.moses.demes` | strings | the deme of each program, empty for none; absent where none has one |
//!
//! | tensor | type | what |
//! |---|---|---|
//! | `moses.programs` | I8 | the packed programs, one after another |
//! | `moses.ends` | I32 | where each ends |
//! | `moses.levels` | F64 | the levels of the codebook, ascending |
//! | `moses.exact` | F64 | the constants beside the levels |
//! | `moses.measure.0` and on | F64 | a value for each program |
//! | `moses.behaviors` | F64 | the behavioral scores, one program after another |
//! | `moses.behavior_ends` | I32 | where those of each program end; absent where none has any |

use super::codebook::{Codebook, ConstantCodec};
use super::coded::CodedEnsemble;
use super::ensemble::Measure;
use super::names::{ArgumentName, Names};
use super::read::read;
use super::tree::Token;
use crate::gguf::{Array, Value};
use crate::opencog::section::{Companion, Section, SectionError};

const VERSION: u32 = 1;

/// The key of the demes.
const DEMES: &str = "opencog.moses.demes";

impl CodedEnsemble {
    /// What a companion file holds of the ensemble.
    pub fn section(&self) -> Section {
        let strings = |names: Vec<String>| Value::Array(Array::String(names.iter().collect()));
        let arguments = self.names().arguments().iter().map(ArgumentName::to_string).collect();
        let measures = self.measures().iter().map(|measure| measure.name.clone()).collect();
        let mut section = Section::default();
        section.set("opencog.moses.version", Value::U32(VERSION));
        section.set("opencog.moses.codec", Value::string(&self.book().codec().to_string()));
        section.set("opencog.moses.arguments", strings(arguments));
        section.set("opencog.moses.words", strings(self.names().words().to_vec()));
        section.set("opencog.moses.measures", strings(measures));
        section.bytes("moses.programs", self.bytes());
        section.integers("moses.ends", self.ends());
        section.floats("moses.levels", self.book().levels());
        section.floats("moses.exact", self.book().exact());
        for (i, measure) in self.measures().iter().enumerate() {
            section.floats(&format!("moses.measure.{i}"), &measure.values);
        }
        if !self.demes().is_empty() {
            section.set(DEMES, strings(self.demes().to_vec()));
        }
        let mut end = 0;
        let ends = self.behaviors().iter().map(|scores| {
            end += scores.len() as u32;
            end
        });
        section.integers("moses.behavior_ends", &ends.collect::<Vec<u32>>());
        section.floats("moses.behaviors", &self.behaviors().concat());
        section
    }

    /// The ensemble in a companion file; `None` where it has none. All of it is checked.
    pub fn from_companion(companion: &Companion) -> Result<Option<CodedEnsemble>, SectionError> {
        if !companion.has_section("opencog.moses.version", VERSION)? {
            return Ok(None);
        }
        let codec = companion.named::<ConstantCodec>("opencog.moses.codec")?;
        let (levels, exact) = (companion.floats("moses.levels")?, companion.floats("moses.exact")?);
        let book = Codebook::from_parts(codec, levels, exact);
        let book = book.map_err(|fault| SectionError(format!("`moses.levels`: {fault}")))?;
        let measures = companion.strings("opencog.moses.measures")?.into_iter().enumerate();
        let measures = measures.map(|(i, name)| {
            let values = companion.floats(&format!("moses.measure.{i}"))?;
            Ok(Measure { name, values })
        });
        let ensemble = CodedEnsemble::from_parts(
            names(companion)?,
            book,
            companion.bytes("moses.programs")?.to_vec(),
            companion.integers("moses.ends")?,
            measures.collect::<Result<_, _>>()?,
        );
        let ensemble =
            ensemble.map_err(|fault| SectionError(format!("`moses.programs`: {fault}")))?;
        let ensemble = ensemble.with_notes(demes(companion)?, behaviors(companion)?);
        ensemble.map(Some).ok_or_else(|| {
            SectionError("`moses.behavior_ends`: expected one of each program, and a deme".into())
        })
    }
}

/// The deme of each program, each a word.
fn demes(companion: &Companion) -> Result<Vec<String>, SectionError> {
    if companion.get(DEMES).is_none() {
        return Ok(Vec::new());
    }
    let demes = companion.strings(DEMES)?;
    match demes.iter().find(|deme| deme.contains(char::is_whitespace)) {
        None => Ok(demes),
        Some(deme) => Err(SectionError(format!("`{DEMES}`: expected words, found `{deme:.40}`"))),
    }
}

/// The behavioral scores of each program.
fn behaviors(companion: &Companion) -> Result<Vec<Vec<f64>>, SectionError> {
    let (scores, ends) =
        (companion.floats("moses.behaviors")?, companion.integers("moses.behavior_ends")?);
    let mut start = 0;
    let mut next = |end: &u32| {
        let end = *end as usize;
        let of = scores.get(std::mem::replace(&mut start, end)..end)?;
        Some(of.to_vec())
    };
    let behaviors: Option<Vec<Vec<f64>>> = ends.iter().map(&mut next).collect();
    behaviors.filter(|_| start == scores.len()).ok_or_else(|| {
        SectionError("`moses.behavior_ends`: expected ascending ends of `moses.behaviors`".into())
    })
}

/// The names, each of which must be what a reader of programs would take it for.
fn names(companion: &Companion) -> Result<Names, SectionError> {
    let mut names = Names::new();
    for (i, text) in companion.strings("opencog.moses.arguments")?.iter().enumerate() {
        let program = read(&format!("${text}"), &mut names);
        let expected = Token::Argument { argument: i as u32, negated: false };
        if !program.is_ok_and(|program| program.tokens() == [expected])
            || names.arguments().len() != i + 1
        {
            return Err(SectionError(format!(
                "`opencog.moses.arguments`: expected a new name of an argument, found `{text:.40}`"
            )));
        }
    }
    for (i, text) in companion.strings("opencog.moses.words")?.iter().enumerate() {
        let program = read(text, &mut names);
        let expected = Token::Word(i as u32);
        if !program.is_ok_and(|program| program.tokens() == [expected])
            || names.words().len() != i + 1
        {
            return Err(SectionError(format!(
                "`opencog.moses.words`: expected a new word, found `{text:.40}`"
            )));
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::super::coded::Rounding;
    use super::super::ensemble::Ensemble;
    use super::*;
    use crate::gguf::Gguf;
    use crate::opencog::section::write;

    const TEXT: &str = "-2 +(0.1 *(-7.25 $x)) [complexity=3] demeID: 1.2 behavioral score: [-1 -1]\n\
        -3 0<(+(1e-7 $2))\n\
        0 cond(!$b red enum:\"light blue\")\n";

    fn coded() -> CodedEnsemble {
        let ensemble = Ensemble::read(TEXT).unwrap();
        CodedEnsemble::encode(&ensemble, ConstantCodec::Lattice, Rounding::Keep)
    }

    fn load(file: Vec<u8>) -> Result<Option<CodedEnsemble>, SectionError> {
        let gguf = Gguf::from_bytes("x.gguf", file).unwrap();
        CodedEnsemble::from_companion(&Companion::new(&gguf).unwrap())
    }

    fn file(sections: &[Section]) -> Vec<u8> {
        write(Vec::new(), Path::new("x.gguf"), sections).unwrap()
    }

    #[test]
    fn an_ensemble_comes_back() {
        let coded = coded();
        let loaded = load(file(&[coded.section()])).unwrap().unwrap();
        let (decoded, original) = (loaded.decode(), coded.decode());
        assert_eq!(decoded.programs, original.programs);
        assert_eq!(decoded.names, original.names);
        assert_eq!(decoded.measure("score"), original.measure("score"));
        assert_eq!(decoded.demes, ["1.2", "", ""]);
        assert_eq!(decoded.behaviors, [vec![-1.0, -1.0], vec![], vec![]]);
        let complexity = decoded.measure("complexity").unwrap();
        assert!(complexity[0] == 3.0 && complexity[1].is_nan());
        assert_eq!(file(&[loaded.section()]), file(&[coded.section()]));
        assert_eq!(load(file(&[])), Ok(None));
    }

    #[test]
    fn an_empty_ensemble_comes_back() {
        let empty = Ensemble::default();
        let coded = CodedEnsemble::encode(&empty, ConstantCodec::Palette, Rounding::Keep);
        assert_eq!(load(file(&[coded.section()])), Ok(Some(coded)));
    }

    #[test]
    fn what_is_wrong_is_told() {
        let with = |key: &str, value: Value| {
            let mut section = coded().section();
            section.set(key, value);
            load(file(&[section])).unwrap_err().to_string()
        };
        let strings = |text: &str| Value::Array(Array::String([text].into_iter().collect()));
        let fault = with("opencog.moses.version", Value::U32(9));
        assert_eq!(fault, "`opencog.moses.version`: expected 1, found 9");
        let fault = with("opencog.moses.codec", Value::string("gzip"));
        assert!(fault.contains("expected lattice, palette or uniform, found `gzip`"), "{fault}");
        let fault = with("opencog.moses.arguments", strings("x y"));
        assert!(fault.contains("expected a new name of an argument, found `x y`"), "{fault}");
        let fault = with("opencog.moses.arguments", strings("x"));
        assert!(fault.contains("expected an argument below 1"), "{fault}");
        let fault = with("opencog.moses.words", strings("and"));
        assert!(fault.contains("expected a new word, found `and`"), "{fault}");
        let fault = with("opencog.moses.demes", strings("a b"));
        assert!(fault.contains("expected words, found `a b`"), "{fault}");
        let fault = with("opencog.moses.demes", strings("1"));
        assert!(fault.contains("expected one of each program"), "{fault}");
        let mut section = coded().section();
        section.parts.retain(|part| part.name != "moses.behavior_ends");
        section.integers("moses.behavior_ends", &[1, 9, 2]);
        let fault = load(file(&[section])).unwrap_err().to_string();
        assert!(fault.contains("expected ascending ends"), "{fault}");
        let three: Vec<&str> = vec!["score", "complexity", "none"];
        let three = Value::Array(Array::String(three.into_iter().collect()));
        let fault = with("opencog.moses.measures", three);
        assert!(fault.contains("measure 2: expected 3 values, found 0"), "{fault}");
    }

    proptest! {
        #[test]
        fn damaged_files_do_not_panic(at in 0..2000usize, byte in any::<u8>()) {
            let mut file = file(&[coded().section()]);
            let at = at % file.len();
            file[at] = byte;
            if let Ok(gguf) = Gguf::from_bytes("x.gguf", file)
                && let Ok(companion) = Companion::new(&gguf)
                && let Ok(Some(ensemble)) = CodedEnsemble::from_companion(&companion)
            {
                ensemble.decode();
            }
        }
    }
}
