//! `quantization_config`: which modules are quantized, and how.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::layout::Layout;
use super::rows::Grid;

/// The release of qwix whose arrays are written.
const QWIX: &str = "0.1.8";

/// A module with a matrix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantized {
    /// Its path.
    pub module: String,
    /// The grid of its matrix, as the pack has it.
    pub grid: Grid,
    /// Whether it is a linear map, and not token embeddings.
    pub is_linear: bool,
}

/// The value for this layout; none if nothing is quantized.
pub fn quantization_config(layout: Layout, modules: &[Quantized]) -> Option<Value> {
    let mut groups: BTreeMap<(u8, usize), Vec<&Quantized>> = BTreeMap::new();
    for module in modules {
        let key = match module.grid {
            Grid::Floats => continue,
            Grid::Tile(tile) => (4, tile),
            Grid::Row => (8, 0),
        };
        groups.entry(key).or_default().push(module);
    }
    if groups.is_empty() {
        return None;
    }
    Some(match layout {
        Layout::CompressedTensors => compressed(&groups, modules),
        Layout::Qwix => qwix(&groups),
    })
}

type Groups<'m> = BTreeMap<(u8, usize), Vec<&'m Quantized>>;

fn compressed(groups: &Groups, modules: &[Quantized]) -> Value {
    let formats: Vec<&str> = groups.keys().map(|&(bits, _)| format_of(bits)).collect();
    let format = match formats.iter().all(|format| *format == formats[0]) {
        true => formats[0],
        false => "mixed-precision",
    };
    let groups = groups.iter().enumerate().map(|(i, (&(bits, tile), members))| {
        let (strategy, group_size) = match bits {
            4 => ("group", json!(tile)),
            _ => ("channel", Value::Null),
        };
        let activations = json!({
            "num_bits": 8, "type": "int", "symmetric": true, "strategy": "token", "dynamic": true,
        });
        let group = json!({
            "targets": targets(members, r"re:.*\.layers\.", r"\."),
            "weights": {
                "num_bits": bits,
                "type": "int",
                "symmetric": true,
                "strategy": strategy,
                "group_size": group_size,
                "dynamic": false,
            },
            "input_activations": if bits == 8 { activations } else { Value::Null },
            "output_activations": null,
            "format": format_of(bits),
        });
        (format!("group_{i}"), group)
    });
    let config_groups: serde_json::Map<String, Value> = groups.collect();
    let is_kept = |module: &&Quantized| module.is_linear && module.grid == Grid::Floats;
    let kept = modules.iter().filter(is_kept).map(|module| module.module.as_str());
    // A head that is the token embeddings is no module of the pack, but one of the loaders' model.
    let ignore: Vec<&str> = kept.filter(|name| *name != "lm_head").chain(["lm_head"]).collect();
    json!({
        "quant_method": "compressed-tensors",
        "format": format,
        "quantization_status": "compressed",
        "config_groups": config_groups,
        "ignore": ignore,
        "kv_cache_scheme": null,
    })
}

fn format_of(bits: u8) -> &'static str {
    match bits {
        4 => "pack-quantized",
        _ => "int-quantized",
    }
}

fn qwix(groups: &Groups) -> Value {
    let rules: Vec<Value> = groups
        .iter()
        .flat_map(|(&(bits, tile), members)| {
            let tile = if bits == 4 { json!(tile) } else { Value::Null };
            let paths = targets(members, "model/layers/", "/");
            paths.into_iter().map(move |path| {
                json!({
                    "module_path": path,
                    "weight_qtype": if bits == 4 { "int4" } else { "int8" },
                    "tile_size": tile,
                })
            })
        })
        .collect();
    json!({ "quant_method": "qwix", "version": QWIX, "stored_as": "int8", "rules": rules })
}

/// Regular expressions for these modules: one for all layers that have a projection in this way,
/// `before` the layers' numbers, and `dot` for the dots of paths.
fn targets(members: &[&Quantized], before: &str, dot: &str) -> Vec<String> {
    let mut layers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut others = Vec::new();
    for member in members {
        match member.module.strip_prefix("model.layers.").and_then(|rest| rest.split_once('.')) {
            Some((layer, part)) => layers.entry(part).or_default().push(layer),
            None => others.push(member.module.replace('.', dot)),
        }
    }
    let of_layers = layers.into_iter().map(|(part, layers)| {
        let (numbers, part) = (layers.join("|"), part.replace('.', dot));
        format!("{before}({numbers}){dot}{part}$")
    });
    of_layers.chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(name: &str, grid: Grid) -> Quantized {
        Quantized { module: name.into(), grid, is_linear: !name.contains("embed") }
    }

    fn modules() -> Vec<Quantized> {
        vec![
            module("model.embed_tokens", Grid::Floats),
            module("model.layers.0.self_attn.q_proj", Grid::Row),
            module("model.layers.1.self_attn.q_proj", Grid::Row),
            module("model.layers.0.mlp.up_proj", Grid::Tile(128)),
            module("model.layers.1.mlp.up_proj", Grid::Floats),
            module("lm_head", Grid::Floats),
        ]
    }

    #[test]
    fn groups_name_their_layers() {
        let config = quantization_config(Layout::CompressedTensors, &modules()).unwrap();
        assert_eq!(config["format"], "mixed-precision");
        let [four, eight] = ["group_0", "group_1"].map(|name| &config["config_groups"][name]);
        assert_eq!(four["targets"], json!([r"re:.*\.layers\.(0)\.mlp\.up_proj$"]));
        assert_eq!(four["weights"]["group_size"], 128);
        assert_eq!(four["input_activations"], Value::Null);
        assert_eq!(eight["targets"], json!([r"re:.*\.layers\.(0|1)\.self_attn\.q_proj$"]));
        assert_eq!(eight["input_activations"]["strategy"], "token");
        assert_eq!(config["ignore"], json!(["model.layers.1.mlp.up_proj", "lm_head"]));
        let alone = quantization_config(Layout::CompressedTensors, &modules()[..3]).unwrap();
        assert_eq!(alone["format"], "int-quantized");
    }

    #[test]
    fn qwix_has_rules() {
        let mut modules = modules();
        modules[0].grid = Grid::Row;
        let config = quantization_config(Layout::Qwix, &modules).unwrap();
        assert_eq!(
            config["rules"][0],
            json!({
                "module_path": "model/layers/(0)/mlp/up_proj$",
                "weight_qtype": "int4",
                "tile_size": 128,
            })
        );
        assert_eq!(config["rules"][2]["module_path"], "model/embed_tokens");
    }

    #[test]
    fn nothing_is_said_of_floats() {
        assert_eq!(quantization_config(Layout::Qwix, &modules()[..1]), None);
    }
}
