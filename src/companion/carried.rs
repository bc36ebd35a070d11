//! What a companion beside the input model has already: it is kept as it is.

use std::path::{Path, PathBuf};

use crate::Error;
use crate::gguf::Gguf;
use crate::opencog::section::Section;

use super::Request;
use super::code::Coded;
use super::named::{self, State};
use super::opened::Opened;

/// The companion beside the model from which something is to be kept, if there is one.
pub(super) fn beside(model: &Gguf, request: &Request) -> Option<PathBuf> {
    named::beside(model).filter(|_| is_wanted(request))
}

/// What is to be said of the companion that the model names, where something of it is to be kept
/// and it is not as it was. What it holds now is kept all the same: it may have been packed anew.
pub(super) fn doubt(model: &Gguf, request: &Request) -> Option<String> {
    let named = is_wanted(request).then(|| named::named(model)).flatten()?;
    let kept = match named.state {
        State::Changed => "what it holds now is kept",
        State::Missing => "the model names it, and nothing of it is kept",
        State::AsItWas | State::Unreadable(_) => return None,
    };
    Some(format!("{named}; {kept}"))
}

fn is_wanted(Request { enabled, atomspace, moses, .. }: &Request) -> bool {
    enabled.atomspace && atomspace.is_none() || enabled.moses && moses.is_none()
}

/// Adds what is kept of this companion. All of it is checked.
pub(super) fn add(coded: &mut Coded, path: &Path, request: &Request) -> Result<(), Error> {
    let opened = Opened::open(path)?;
    let companion = opened.companion()?;
    let mut keep = |room| coded.sections.push(Section::of_room(companion, room));
    let Request { enabled, .. } = request;
    if enabled.atomspace && request.atomspace.is_none() {
        coded.atomspace = opened.atomspace()?;
        if coded.atomspace.is_some() {
            keep("atomspace");
            keep("metta");
            coded.ecan = opened.ecan()?;
            keep("ecan");
        }
    }
    if enabled.moses && request.moses.is_none() {
        coded.moses = opened.moses()?;
        if coded.moses.is_some() {
            keep("moses");
        }
    }
    coded.sections.retain(|section| !section.metadata.is_empty());
    Ok(())
}
