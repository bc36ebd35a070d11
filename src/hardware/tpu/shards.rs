//! The shards of a pack: safetensors files, and the index that says what is where.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use safetensors::tensor::{Metadata, TensorInfo};
use serde_json::json;

use crate::gguf::{Error, OutputFolder};

use super::layout::Part;

/// The most bytes of tensors in a shard, but that a tensor is never split.
const MOST: usize = 5_000_000_000;

/// The index.
pub const INDEX: &str = "model.safetensors.index.json";

/// Adds the shards and their index; the bytes of all.
pub fn write(folder: &OutputFolder, parts: Vec<Part>, framework: &str) -> Result<u64, Error> {
    let shards = fill(parts, MOST);
    let total: usize = shards.iter().flatten().map(Part::bytes).sum();
    let (mut bytes, mut places) = (0, BTreeMap::new());
    for (i, parts) in shards.iter().enumerate() {
        let name = shard_name(i, shards.len());
        bytes += folder.add(&name, |out| write_shard(parts, framework, out))?;
        places.extend(parts.iter().map(|part| (part.name.as_str(), name.clone())));
    }
    let index = json!({ "metadata": { "total_size": total }, "weight_map": places });
    Ok(bytes + folder.add(INDEX, |out| Ok(serde_json::to_writer_pretty(out, &index)?))?)
}

/// One file alone has no number.
fn shard_name(i: usize, count: usize) -> String {
    match count {
        1 => "model.safetensors".into(),
        _ => format!("model-{:05}-of-{count:05}.safetensors", i + 1),
    }
}

/// Whether a file of this name can be a shard.
pub fn is_shard(name: &str) -> bool {
    let number = |text: &str| text.len() >= 5 && text.bytes().all(|digit| digit.is_ascii_digit());
    let numbers = || {
        let (i, count) =
            name.strip_prefix("model-")?.strip_suffix(".safetensors")?.split_once("-of-")?;
        Some(number(i) && number(count))
    };
    name == "model.safetensors" || numbers().unwrap_or(false)
}

/// The parts in shards of at most `most` bytes, in their order.
fn fill(parts: Vec<Part>, most: usize) -> Vec<Vec<Part>> {
    let (mut shards, mut filled) = (vec![Vec::new()], 0);
    for part in parts {
        if filled > 0 && filled + part.bytes() > most {
            shards.push(Vec::new());
            filled = 0;
        }
        filled += part.bytes();
        shards.last_mut().expect("there is one").push(part);
    }
    shards
}

/// The widest values first, so that all are aligned.
fn write_shard(parts: &[Part], framework: &str, out: &mut impl Write) -> io::Result<()> {
    let mut parts: Vec<&Part> = parts.iter().collect();
    parts.sort_by_key(|part| (Reverse(part.dtype), part.name.as_str()));
    let mut end = 0;
    let infos = parts.iter().map(|part| {
        let start = end;
        end += part.bytes();
        let (dtype, shape, data_offsets) = (part.dtype, part.shape.clone(), (start, end));
        (part.name.clone(), TensorInfo { dtype, shape, data_offsets })
    });
    // Loaders ask for it, and refuse a file without.
    let metadata = HashMap::from([("format".to_string(), framework.to_string())]);
    let header = Metadata::new(Some(metadata), infos.collect()).map_err(io::Error::other)?;
    let mut header = serde_json::to_vec(&header)?;
    header.resize(header.len().next_multiple_of(8), b' ');
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    parts.iter().try_for_each(|part| part.write(out))
}

#[cfg(test)]
mod tests {
    use safetensors::SafeTensors;

    use super::*;
    use crate::hardware::tpu::layout::Layout;
    use crate::hardware::tpu::modules::{Module, Weight};
    use crate::hardware::tpu::rows::Grid;

    fn norms(lengths: &[usize]) -> Vec<Module<'static>> {
        let norm = |(i, &len): (usize, &usize)| Module {
            name: format!("norm{i}"),
            weight: Weight::Norm((0..len).map(|j| j as f32).collect()),
            bias: None,
        };
        lengths.iter().enumerate().map(norm).collect()
    }

    #[test]
    fn the_crate_reads_a_shard() {
        let modules = norms(&[3, 5]);
        let parts: Vec<Part> = modules
            .iter()
            .flat_map(|module| Layout::CompressedTensors.parts(module, Grid::Floats))
            .collect();
        let mut bytes = Vec::new();
        write_shard(&parts, "pt", &mut bytes).unwrap();
        let read = SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(read.len(), 2);
        let tensor = read.tensor("norm1.weight").unwrap();
        assert_eq!(tensor.shape(), [5]);
        assert_eq!(tensor.data()[16..], 4f32.to_le_bytes());
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        assert_eq!(metadata.metadata().as_ref().unwrap()["format"], "pt");
    }

    #[test]
    fn shards_are_filled_in_order() {
        let modules = norms(&[1, 2, 9, 1]);
        let parts = modules
            .iter()
            .flat_map(|module| Layout::CompressedTensors.parts(module, Grid::Floats))
            .collect();
        let shards: Vec<usize> = fill(parts, 12).iter().map(Vec::len).collect();
        assert_eq!(shards, [2, 1, 1]);
        assert_eq!(shard_name(1, 3), "model-00002-of-00003.safetensors");
        for name in [shard_name(0, 1), shard_name(1, 3)] {
            assert!(is_shard(&name), "{name}");
        }
        assert!(!is_shard("model-1-of-2.safetensors") && !is_shard("other.safetensors"));
    }
}
