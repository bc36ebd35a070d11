//! Which tensor gets which format in llama.cpp's mixes, against `llama-quantize` itself.

mod fetched;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use fetched::{cache, llama_cpp, present, smollm2};
use opencog_qat::gguf::Gguf;
use opencog_qat::model::Model;
use opencog_qat::quantize::PeerRecipe;

/// The formats that `llama-quantize` gives the tensors that it encodes.
fn by_llama_quantize(tool: &Path, model: &Path, recipe: PeerRecipe) -> BTreeMap<String, String> {
    let output =
        Command::new(tool).arg("--dry-run").arg(model).arg(recipe.name()).output().unwrap();
    let said = [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    assert!(output.status.success(), "{}", said.join("\n"));
    // [   7/ 272] blk.0.attn_v.weight - [ 576, 192, 1, 1], type = f16, size = 0.2 MiB -> 0.1 MiB
    // (q8_0)
    let line = |line: &str| {
        let (name, rest) = line.split_once("] ")?.1.split_once(" - [")?;
        let (_, format) = rest.split_once("MiB ->")?.1.split_once('(')?;
        Some((name.trim().to_string(), format.split_once(')')?.0.to_uppercase()))
    };
    said.iter().flat_map(|stream| stream.lines()).filter_map(line).collect()
}

#[test]
fn recipes_are_those_of_llama_quantize() {
    let tool = llama_cpp("llama-quantize");
    let tiny = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tiny.gguf"));
    let gemma = cache().join("gemma3-270m-f16.gguf");
    if !present(&[&tool, &smollm2(), &gemma]) {
        return;
    }
    for path in [tiny, smollm2(), gemma] {
        let gguf = Gguf::open(&path).unwrap();
        let shape = Model::of(&gguf).unwrap().shape;
        for recipe in PeerRecipe::ALL {
            let ours = recipe.formats(&gguf, &shape).into_iter();
            let ours: BTreeMap<String, String> =
                ours.map(|(name, format)| (name, format.name().to_uppercase())).collect();
            let theirs = by_llama_quantize(&tool, &path, recipe);
            assert!(!theirs.is_empty());
            assert_eq!(ours, theirs, "{recipe} of {}", path.display());
        }
    }
}
