//! What coding changes for those who use the data: which patterns they mine, how long they wait, what
//! they attend to, where evolution goes.
//!
//! All of it is measured on the companion as it was written, opened again, against what was read.
//! Everything random has a fixed seed; how much is measured is bounded, and the report says how.

mod attention;
mod evolution;
mod latency;
mod mining;

use crate::Error;
use crate::opencog::atomspace::twins;
use crate::report::OpenCogReport;

use super::opened::Opened;
use super::read::{Data, Programs};

/// Adds to what is told of a companion what its coding changes. Nothing is of what was kept of
/// another companion: what it was made of is not there.
pub(super) fn validate(
    told: &mut OpenCogReport,
    data: &Data,
    opened: &Opened,
) -> Result<(), Error> {
    if let (Some((space, _)), Some(atoms)) = (&data.atoms, &mut told.atomspace) {
        let packed = opened.whole_space()?;
        atoms.mining = Some(mining::compared(space, &packed));
        atoms.latency = Some(latency::compared(space, &packed));
        if let Some(ecan) = &mut told.ecan
            && let Ok(codec) = ecan.codec.parse()
        {
            let originals = twins(&packed, space)
                .map_err(|atom| opened.fault(format!("atom {} was not read", atom.0)))?;
            ecan.dynamics = Some(attention::dynamics(space, &packed, &originals));
            ecan.recall = Some(attention::recalled(codec));
        }
    }
    if let (Some(metta), Some(atoms)) = (&data.metta, &mut told.atomspace) {
        atoms.latency = Some(latency::compared(&metta.space, &opened.space()?));
    }
    if let (Some(Programs { ensemble, table: Some(table) }), Some(moses)) =
        (&data.programs, &mut told.moses)
        && let Some(coded) = opened.programs()?
    {
        let evolution = evolution::continued(ensemble, &coded, table);
        moses.evolution = Some(evolution.map_err(|error| opened.fault(error))?);
    }
    Ok(())
}
