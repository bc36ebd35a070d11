//! Attention values in a companion file.
//!
//! | metadata | type | what |
//! |---|---|---|
//! | `opencog.ecan.version` | u32 | 1 |
//! | `opencog.ecan.codec` | string | `palette`, `geometric` or `uniform` |
//!
//! | tensor | type | what |
//! |---|---|---|
//! | `ecan.sti.codes`, `ecan.lti.codes`, `ecan.vlti.codes` | I8 | a code for each atom, in the order of the atoms |
//! | `ecan.sti.levels`, `ecan.lti.levels`, `ecan.vlti.levels` | F64 | what codes stand for, ascending |

use super::codes::{AttentionCodec, CodedAttention, Column, ColumnError};
use crate::gguf::Value;
use crate::opencog::section::{Companion, Section, SectionError};

const VERSION: u32 = 1;

pub(super) const VERSION_KEY: &str = "opencog.ecan.version";

impl CodedAttention {
    /// What a companion file holds of the values.
    pub fn section(&self) -> Section {
        let mut section = Section::default();
        section.set(VERSION_KEY, Value::U32(VERSION));
        section.set("opencog.ecan.codec", Value::string(&self.codec.to_string()));
        for (name, column) in [("sti", &self.sti), ("lti", &self.lti), ("vlti", &self.vlti)] {
            section.bytes(&format!("ecan.{name}.codes"), column.codes());
            section.floats(&format!("ecan.{name}.levels"), column.levels());
        }
        section
    }

    /// The values in a companion file; `None` where it has none. All of them are checked.
    pub fn from_companion(companion: &Companion) -> Result<Option<CodedAttention>, SectionError> {
        if !companion.has_section(VERSION_KEY, VERSION)? {
            return Ok(None);
        }
        let codec = companion.named::<AttentionCodec>("opencog.ecan.codec")?;
        let [sti, lti, vlti] = ["sti", "lti", "vlti"].map(|name| column(companion, name));
        let (sti, lti, vlti) = (sti?, lti?, vlti?);
        if sti.len() != lti.len() || sti.len() != vlti.len() {
            return Err(SectionError(format!(
                "`ecan.sti.codes`, `ecan.lti.codes`, `ecan.vlti.codes`: expected as many, found {}, {} and {}",
                sti.len(),
                lti.len(),
                vlti.len()
            )));
        }
        let is_count =
            |level: &&f64| level.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(*level);
        if let Some(level) = vlti.levels().iter().find(|level| !is_count(level)) {
            let fault = ColumnError::Fraction(level.to_string());
            return Err(SectionError(format!("`ecan.vlti.levels`: {fault}")));
        }
        Ok(Some(CodedAttention { codec, sti, lti, vlti }))
    }
}

fn column(companion: &Companion, name: &str) -> Result<Column, SectionError> {
    let levels = companion.floats(&format!("ecan.{name}.levels"))?;
    let codes = companion.bytes(&format!("ecan.{name}.codes"))?.to_vec();
    Column::from_parts(levels, codes)
        .map_err(|fault| SectionError(format!("`ecan.{name}.codes`: {fault}")))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::super::values::AttentionValues;
    use super::*;
    use crate::gguf::Gguf;
    use crate::opencog::section::write;

    fn coded() -> CodedAttention {
        let values = AttentionValues {
            sti: vec![-25.0, 0.0, 977.5],
            lti: vec![0.0, 1.0, 0.0],
            vlti: vec![0, 1, 3],
        };
        CodedAttention::encode(AttentionCodec::Palette, &values)
    }

    fn load(file: Vec<u8>) -> Result<Option<CodedAttention>, SectionError> {
        let gguf = Gguf::from_bytes("x.gguf", file).unwrap();
        CodedAttention::from_companion(&Companion::new(&gguf).unwrap())
    }

    fn file(sections: &[Section]) -> Vec<u8> {
        write(Vec::new(), Path::new("x.gguf"), sections).unwrap()
    }

    #[test]
    fn values_come_back() {
        let coded = coded();
        assert_eq!(load(file(&[coded.section()])), Ok(Some(coded)));
        let none = CodedAttention::encode(AttentionCodec::Geometric, &AttentionValues::zero(0));
        let loaded = load(file(&[none.section()])).unwrap().unwrap();
        assert_eq!(loaded.decode(), AttentionValues::zero(0));
        assert_eq!(load(file(&[])), Ok(None));
    }

    #[test]
    fn what_is_wrong_is_told() {
        let mut coded = coded();
        coded.vlti = Column::encode(AttentionCodec::Palette, &[0.0, 0.5, 1.0]);
        let fault = load(file(&[coded.section()])).unwrap_err().to_string();
        assert_eq!(fault, "`ecan.vlti.levels`: expected counts, found 0.5");
        coded.lti = Column::encode(AttentionCodec::Palette, &[0.0]);
        let fault = load(file(&[coded.section()])).unwrap_err().to_string();
        assert!(fault.ends_with("expected as many, found 3, 1 and 3"), "{fault}");
    }

    proptest! {
        #[test]
        fn damaged_files_do_not_panic(at in 0..2000usize, byte in any::<u8>()) {
            let mut file = file(&[coded().section()]);
            let at = at % file.len();
            file[at] = byte;
            if let Ok(gguf) = Gguf::from_bytes("x.gguf", file)
                && let Ok(companion) = Companion::new(&gguf)
                && let Ok(Some(attention)) = CodedAttention::from_companion(&companion)
            {
                attention.decode();
            }
        }
    }
}
