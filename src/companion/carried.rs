//! What a companion beside the input model has already: it is kept as it is.

use std::path::{Path, PathBuf};

use crate::Error;
use crate::opencog::section::Section;

use super::code::Coded;
use super::opened::Opened;
use super::{Request, companion_of};

/// The companion beside the model from which something is to be kept, if there is one.
pub(super) fn beside(model: &Path, request: &Request) -> Option<PathBuf> {
    let Request { enabled, .. } = request;
    let wanted = enabled.atomspace && request.atomspace.is_none()
        || enabled.moses && request.moses.is_none();
    Some(companion_of(model)).filter(|path| wanted && path.exists())
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
