//! What is told: the sections of each report, one file for each thing that they are about. A
//! section is a function that returns one where there is anything to tell; who adds one adds it to
//! the list here.

mod evaluation;
pub mod facts;
pub mod family;
pub mod figures;
mod frontier;
mod glance;
pub mod kinds;
pub mod opencog;
mod pack;
mod provenance;
mod tensors;
mod tradeoff;
mod training;
mod words;

use super::document::{Document, Section, Tell};
use super::{EvaluationReport, OpenCogReport, Report, Stats};

/// The sections of a run's report, in order.
const SECTIONS: [fn(&Report) -> Option<Section>; 13] = [
    glance::section,
    figures::section,
    tradeoff::section,
    kinds::section,
    tensors::layers,
    words::section,
    training::section,
    figures::layers,
    evaluation::of_run,
    opencog::of_run,
    provenance::use_it,
    provenance::section,
    tensors::every,
];

impl Tell for Report {
    fn document(&self) -> Document {
        Document {
            title: provenance::title(self),
            lead: provenance::lead(self),
            front_matter: provenance::front_matter(self),
            sections: SECTIONS.iter().filter_map(|section| section(self)).collect(),
        }
    }
}

impl Tell for EvaluationReport<'_> {
    fn document(&self) -> Document {
        let EvaluationReport { base, quantized, evaluation } = self;
        let sections = [
            Some(evaluation::glance(evaluation)),
            words::of(std::slice::from_ref(evaluation)),
            Some(evaluation::section(std::slice::from_ref(evaluation))),
        ];
        Document {
            title: format!("{} beside {}", quantized.display(), base.display()),
            lead: evaluation::lead(evaluation),
            front_matter: Vec::new(),
            sections: sections.into_iter().flatten().collect(),
        }
    }
}

impl Tell for OpenCogReport {
    fn document(&self) -> Document {
        Document {
            title: self.companion.clone(),
            lead: format!("OpenCog data of {}", self.inputs.join(", ")),
            front_matter: Vec::new(),
            sections: opencog::sections(self),
        }
    }
}

impl Tell for Stats {
    fn document(&self) -> Document {
        Document {
            title: self.file.display().to_string(),
            lead: "what it holds".into(),
            front_matter: Vec::new(),
            sections: opencog::stats(self).into_iter().collect(),
        }
    }
}
