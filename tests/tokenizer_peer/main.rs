//! Our ids against llama.cpp's, token by token, on a megabyte of mixed text and on every character.
//! Needs llama.cpp's source and its `llama-tokenize`, the test models, and the text of `../shared`;
//! `.ci/run` provides them.

#[path = "../fetched/mod.rs"]
mod fetched;
mod text;

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use opencog_qat::gguf::Gguf;
use opencog_qat::model::{Tokenizer, TokenizerError};

/// The vocabularies in llama.cpp's source that are read here. Those of models that this crate can
/// run are among them: SentencePiece, and the pre-tokenizers of the Llama and Qwen families.
const READ: [&str; 10] = [
    "llama-spm",
    "baichuan",
    "phi-3",
    "llama-bpe",
    "qwen2",
    "gpt-2",
    "mpt",
    "starcoder",
    "refact",
    "command-r",
];

/// Those that are refused, since nothing here splits as they do.
const REFUSED: [&str; 9] = [
    "aquila",
    "bert-bge",
    "deepseek-coder",
    "deepseek-llm",
    "falcon",
    "gemma-4",
    "gpt-neox",
    "nomic-bert-moe",
    "qwen35",
];

#[test]
fn a_megabyte_of_mixed_text() {
    let Some(peer) = Peer::found() else { return };
    let text = peer.text(&text::mixed(&peer.prose, &text::sources()));
    println!("{} bytes of mixed text", text.text.len());
    peer.compare_all(&text, &peer.models());
}

/// Byte-level vocabularies only: SentencePiece knows no kinds of characters.
#[test]
fn every_character_of_unicode() {
    let Some(peer) = Peer::found() else { return };
    let text = peer.text(&text::every_character());
    println!("{} bytes, every character among others", text.text.len());
    let kinds = ["gpt-2", "starcoder", "llama-bpe", "qwen2"];
    peer.compare_all(&text, &kinds.map(|name| peer.vocabulary(name)));
}

/// Chat templates spell out control tokens; and a text may begin with a token for that.
#[test]
fn control_tokens_and_the_begin_of_text() {
    let Some(peer) = Peer::found() else { return };
    let mixed = text::mixed(&peer.prose, &text::sources());
    let text = peer.text(&mixed.chars().take(100_000).collect::<String>());
    let mut off = Vec::new();
    for model in peer.models() {
        let tokenizer = read(&model).unwrap();
        let leading = tokenizer.vocabulary().leading();
        let with_special = tokenizer.encode_with_special(&text.text);
        let ours = [leading.as_slice(), &with_special].concat();
        let equal = peer.ids(&model, &text.path, &[]) == ours;
        let ours = tokenizer.encode_document(&text.text);
        let document = peer.ids(&model, &text.path, &["--no-parse-special"]) == ours;
        let found = if equal && document { "the same" } else { "DIFFERENT" };
        println!("  {:<22} begins with {leading:?}: {found}", name(&model));
        if !(equal && document) {
            off.push(model);
        }
    }
    assert!(off.is_empty(), "other ids than llama.cpp's: {off:?}");
}

/// llama.cpp's own tests: short texts, and the ids that are right.
#[test]
fn fixtures_of_llama_cpp() {
    let Some(peer) = Peer::found() else { return };
    let mut count = 0;
    for vocabulary in READ {
        let model = peer.vocabulary(vocabulary);
        let beside = |end: &str| fs::read_to_string(format!("{}{end}", model.display()));
        let (Ok(texts), Ok(ids)) = (beside(".inp"), beside(".out")) else { continue };
        let tokenizer = read(&model).unwrap();
        let texts: Vec<&str> = texts.split("\n__ggml_vocab_test__\n").collect();
        assert!(ids.lines().count() >= texts.len() - 1, "{vocabulary}");
        for (text, ids) in texts.iter().zip(ids.lines()) {
            let ids: Vec<u32> = ids.split_whitespace().map(|id| id.parse().unwrap()).collect();
            assert_eq!(tokenizer.encode(text), ids, "{vocabulary}: {text:?}");
            count += 1;
        }
    }
    println!("{count} fixtures");
    assert!(count > 300);
}

#[test]
fn what_cannot_be_reproduced_is_refused() {
    let Some(peer) = Peer::found() else { return };
    for vocabulary in REFUSED {
        let error = read(&peer.vocabulary(vocabulary)).unwrap_err();
        assert!(matches!(error, TokenizerError::Unsupported { .. }), "{vocabulary}: {error}");
        println!("{vocabulary}: {error}");
    }
}

fn read(model: &Path) -> Result<Tokenizer, TokenizerError> {
    Tokenizer::read(Gguf::open(model).unwrap().metadata())
}

/// The name of a model's file.
fn name(model: &Path) -> String {
    let name = model.file_stem().unwrap().to_string_lossy();
    name.trim_start_matches("ggml-vocab-").to_string()
}

/// How many ids of ours stand where llama.cpp has others. After a difference, the lists are
/// compared again from where they next have the same three ids.
fn mismatches(ours: &[u32], theirs: &[u32]) -> usize {
    let (mut i, mut j, mut count) = (0, 0, 0);
    while i < ours.len() && j < theirs.len() {
        if ours[i] == theirs[j] {
            (i, j) = (i + 1, j + 1);
            continue;
        }
        let next = (1..400).flat_map(|d| (0..=d).map(move |a| (a, d - a))).find(|&(a, b)| {
            let three = |ids: &[u32], at: usize| ids.get(at..at + 3).map(<[u32]>::to_vec);
            three(ours, i + a).is_some_and(|ids| three(theirs, j + b) == Some(ids))
        });
        let Some((a, b)) = next else { break };
        (i, j, count) = (i + a, j + b, count + a.max(b));
    }
    count + (ours.len() - i).max(theirs.len() - j)
}

/// A text, also as a file.
struct Text {
    text: String,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

/// llama.cpp's tokenizer and what it is compared on.
struct Peer {
    tool: PathBuf,
    prose: String,
}

impl Peer {
    /// Where `.ci/run` puts it, or a line that says what is missing.
    fn found() -> Option<Peer> {
        let (tool, prose) = (fetched::llama_cpp("llama-tokenize"), fetched::wikitext());
        let found = fetched::optimized() && fetched::present(&[&tool, &prose]);
        found.then(|| Peer { tool, prose: fs::read_to_string(prose).unwrap() })
    }

    /// A vocabulary that comes with llama.cpp's source.
    fn vocabulary(&self, name: &str) -> PathBuf {
        let folder = fs::read_dir(fetched::cache().join("llama.cpp")).unwrap();
        let models = folder.map(|entry| entry.unwrap().path().join("vendor/llama.cpp/models"));
        let models = models.filter(|models| models.exists()).max().expect("llama.cpp's source");
        models.join(format!("ggml-vocab-{name}.gguf"))
    }

    /// Everything whose tokenizer is read here: the model in the box, the test models that are
    /// there, and vocabularies.
    fn models(&self) -> Vec<PathBuf> {
        let mut models = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/tiny.gguf")];
        for name in ["smollm2-135m-f16.gguf", "gemma3-270m-f16.gguf"] {
            let model = fetched::cache().join(name);
            if model.exists() {
                models.push(model);
            } else {
                println!("skipped: {} is missing", model.display());
            }
        }
        models.extend(READ.map(|name| self.vocabulary(name)));
        models
    }

    fn text(&self, text: &str) -> Text {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        fs::write(&path, text).unwrap();
        Text { text: text.into(), path, _folder: folder }
    }

    /// What llama.cpp makes of a text.
    fn ids(&self, model: &Path, text: &Path, flags: &[&str]) -> Vec<u32> {
        let mut command = Command::new(&self.tool);
        command.args(["--ids", "--no-escape"]).args(flags).arg("-m").arg(model).arg("-f").arg(text);
        let output = command.output().unwrap();
        let failed = || String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "llama-tokenize on {}:\n{}", model.display(), failed());
        let said = String::from_utf8(output.stdout).unwrap();
        let list = said.trim().trim_start_matches('[').trim_end_matches(']');
        list.split(", ").map(|id| id.parse().expect("a list of ids")).collect()
    }

    fn compare_all(&self, text: &Text, models: &[PathBuf]) {
        println!("  vocabulary              tokens  ours of text  mismatches   MB/s  reading ms");
        let mut off = Vec::new();
        for model in models {
            let (tokenizer, reading) = timed(|| read(model).unwrap());
            let (ours, encoding) = timed(|| tokenizer.encode(&text.text));
            let theirs = self.ids(model, &text.path, &["--no-bos", "--no-parse-special"]);
            let mismatches = mismatches(&ours, &theirs);
            println!(
                "  {:<22} {:>7}  {:>12}  {mismatches:>10}  {:>5.2}  {:>10}",
                name(model),
                tokenizer.vocabulary().len(),
                ours.len(),
                text.text.len() as f64 / 1e6 / encoding.as_secs_f64(),
                reading.as_millis(),
            );
            if mismatches > 0 {
                off.push(model);
            }
            if has_every_byte(&tokenizer) {
                let decoded = String::from_utf8(tokenizer.vocabulary().decode(&ours)).unwrap();
                // SentencePiece writes a space as `▁`, and puts one in front.
                let plain = |text: &str| text.replace('▁', " ").trim_start_matches(' ').to_string();
                let same = plain(&decoded) == plain(&text.text);
                assert!(same, "{} does not decode what it encodes", name(model));
            }
        }
        assert!(off.is_empty(), "other ids than llama.cpp's: {off:?}");
    }
}

/// Whether any text can be encoded. Some vocabularies lack bytes that are rare, and what is spelled
/// with them is dropped.
fn has_every_byte(tokenizer: &Tokenizer) -> bool {
    let vocabulary = tokenizer.vocabulary();
    let pieces: HashSet<&[u8]> = (0..vocabulary.len()).map(|id| vocabulary.bytes(id)).collect();
    (0..=255u8).all(|byte| pieces.contains(&[byte][..]))
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let done = work();
    (done, start.elapsed())
}
