//! `--portable` holds for what is not encoded here too.

use crate::config::Config;
use crate::gguf::Gguf;
use crate::hardware::PORTABLE;

use super::error::PlanError;
use super::options::Options;

/// Refuses a tensor that is kept in a block format which is not portable, if the file is to be: who
/// reads it elsewhere may refuse the whole file for that one.
pub(super) fn refuse_unportable(
    gguf: &Gguf,
    options: &[Options],
    config: &Config,
) -> Result<(), PlanError> {
    let kept = gguf.tensors().iter().zip(options);
    let mut kept = kept.filter(|(_, options)| matches!(options, Options::Kept(_)));
    let odd = kept.find(|(tensor, _)| {
        config.portable && tensor.format.block_len() > 1 && !PORTABLE.contains(&tensor.format)
    });
    match odd {
        None => Ok(()),
        Some((tensor, _)) => {
            Err(PlanError::Unportable { tensor: tensor.name.clone(), format: tensor.format })
        }
    }
}
