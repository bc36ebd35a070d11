//! Tensors that the target's loaders put together, and that therefore get one format.

use std::collections::BTreeMap;

use crate::gguf::{Format, Gguf};
use crate::hardware::Hardware;

use super::error::PlanError;
use super::options::Options;

/// Leaves tensors that are loaded as one only the formats that all of them may have, so that the
/// candidate at a place is the same for all; or says that there is none.
pub fn same_formats(
    gguf: &Gguf,
    hardware: Hardware,
    options: &mut [Options],
) -> Result<(), PlanError> {
    let mut together: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (i, tensor) in gguf.tensors().iter().enumerate() {
        let name = hardware.loaded_as(&tensor.name);
        if name != tensor.name {
            together.entry(name.into_owned()).or_default().push(i);
        }
    }
    for members in together.values() {
        let formats = |i: usize| options[i].candidates().iter().map(|candidate| candidate.format);
        let Some(&first) = members.iter().find(|&&i| formats(i).next().is_some()) else { continue };
        let mut common: Vec<Format> = formats(first).collect();
        for &i in members {
            common.retain(|&format| formats(i).any(|other| other == format));
            if common.is_empty() {
                let name = |i: usize| gguf.tensors()[i].name.clone();
                return Err(PlanError::Apart { tensor: name(first), other: name(i) });
            }
        }
        for &i in members {
            if let Options::Formats(candidates) = &mut options[i] {
                candidates.retain(|candidate| common.contains(&candidate.format));
            }
        }
    }
    Ok(())
}

/// Refuses a tensor that is kept in blocks of which the target knows nothing: on a TPU any, as
/// their scales are not shared as its are.
pub fn refuse_off_grid(
    gguf: &Gguf,
    hardware: Hardware,
    options: &[Options],
) -> Result<(), PlanError> {
    let kept = gguf.tensors().iter().zip(options);
    let mut kept = kept.filter(|(_, options)| matches!(options, Options::Kept(_)));
    match kept.find(|(tensor, _)| hardware == Hardware::Tpu && tensor.format.block_len() > 1) {
        None => Ok(()),
        Some((tensor, _)) => {
            Err(PlanError::OffGrid { tensor: tensor.name.clone(), format: tensor.format })
        }
    }
}
