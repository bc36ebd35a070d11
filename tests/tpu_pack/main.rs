//! Packs for TPUs, as JAX sees them: `witness.py` loads them, runs the models and compares weights,
//! logits and token ids with ours. Needs a Python with the packages of `requirements.txt` and the
//! test models; `.ci/run` provides them.

#[path = "../random_models/mod.rs"]
mod random_models;
mod snapped;

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use opencog_qat::config::{Config, Effort, Goal};
use opencog_qat::gguf::{Format, Gguf, Metadata, OutputFolder, TensorInfo, Writer};
use opencog_qat::hardware::Hardware;
use opencog_qat::hardware::tpu::{self, Layout};
use opencog_qat::model::{Model, Session, Tokenizer, Untraced, Wanted};
use opencog_qat::progress::Silent;
use opencog_qat::{Job, pipeline};
use random_models::{VARIANTS, Variant, Vocabulary, fetched, vocabulary};
use serde_json::json;
use snapped::{mixed, snapped};
use tempfile::TempDir;

/// Architectures that loaders' models are known for.
const PACKED: [&str; 4] = ["llama", "qwen2", "qwen3", "gemma3"];

/// What no loader's model can do; all others of these architectures must be packed.
const WITHOUT_TWIN: [(&str, &str); 4] = [
    ("llama-rope-freqs", "no rule of Llama 3"),
    ("llama-rope-linear", "multiplied by 1.1"),
    ("qwen2-untied", "output head has a bias"),
    ("gemma3-swa-yarn", "multiplied by 1.2"),
];

#[test]
fn random_models_of_every_architecture() {
    let Some(witness) = Witness::found() else { return };
    for (i, variant) in VARIANTS.iter().enumerate() {
        let gguf = Gguf::from_bytes(variant.name, file(variant)).unwrap();
        let snapped = snapped(&gguf, mixed);
        if !PACKED.contains(&variant.architecture) {
            let found = tpu::check(&gguf).unwrap_err().to_string();
            assert!(found.contains("its architecture is"), "{}: {found}", variant.name);
            continue;
        }
        let without = WITHOUT_TWIN.iter().find(|(name, _)| *name == variant.name);
        if let Some((name, fault)) = without {
            let found = tpu::check(&gguf).unwrap_err().to_string();
            assert!(found.contains(fault), "{name}: {found}");
            continue;
        }
        tpu::check(&gguf).unwrap_or_else(|fault| panic!("{}: {fault}", variant.name));
        let text = vocabulary::text();
        let text: String = text.chars().take(400).collect();
        witness.job(variant.name, &snapped, Layout::ALL[i % 2], &text, 48);
    }
    witness.agrees();
}

/// The model of a variant. Not all characters of the random models' SentencePiece vocabulary are
/// tokens, as those of a real one are, so that they get their other vocabulary, which is smaller.
fn file(variant: &Variant) -> Vec<u8> {
    let gguf = Gguf::from_bytes(variant.name, variant.file()).unwrap();
    let mut metadata = gguf.metadata().clone();
    if variant.vocabulary == Vocabulary::Spm {
        let fault = tpu::check(&gguf).unwrap_err().to_string();
        assert!(fault.contains("no token for"), "{fault}");
        metadata.remove_prefix("tokenizer.");
        Vocabulary::Bpe { pre: "qwen2", bos: true }.describe(&mut metadata);
    }
    written(&gguf, &metadata, |_| None)
}

/// The model with other metadata and other bytes in tensors.
fn written(
    gguf: &Gguf,
    metadata: &Metadata,
    bytes: impl Fn(&TensorInfo) -> Option<Vec<u8>>,
) -> Vec<u8> {
    let specs: Vec<_> = gguf.tensors().iter().map(TensorInfo::spec).collect();
    let mut writer = Writer::new(Vec::new(), Path::new("x"), metadata, &specs).unwrap();
    for tensor in gguf.tensors() {
        let bytes = bytes(tensor).unwrap_or_else(|| gguf.data(tensor).to_vec());
        writer.tensor_bytes(&bytes).unwrap();
    }
    writer.finish().unwrap()
}

/// Llama 3.1 and later: the file has what the loaders compute from four numbers.
#[test]
fn frequencies_of_llama_3() {
    let Some(witness) = Witness::found() else { return };
    let variant = VARIANTS.iter().find(|variant| variant.rope_freqs).unwrap();
    let gguf = Gguf::from_bytes(variant.name, variant.file()).unwrap();
    let divisors = llama_3_divisors(500_000.0, variant.head as usize, 32.0);
    let bytes = written(&gguf, gguf.metadata(), |tensor| {
        let bytes = divisors.iter().flat_map(|divisor| divisor.to_le_bytes()).collect();
        (tensor.name == "rope_freqs.weight").then_some(bytes)
    });
    let snapped = snapped(&Gguf::from_bytes(variant.name, bytes).unwrap(), mixed);
    let text: String = vocabulary::text().chars().take(400).collect();
    let job = witness.job("llama-3", &snapped, Layout::default(), &text, 48);
    let config = fs::read_to_string(job.join("model.tpu/config.json")).unwrap();
    assert!(config.contains("\"llama3\"") && config.contains("\"factor\": 32.0"), "{config}");
    witness.agrees();
}

/// As llama.cpp's converter computes `rope_freqs.weight` (`LlamaModel.generate_extra_tensors`).
fn llama_3_divisors(base: f64, head: usize, factor: f64) -> Vec<f32> {
    let divisor = |pair: usize| {
        let frequency = 1.0 / base.powf((2 * pair) as f64 / head as f64);
        let wave = std::f64::consts::TAU / frequency;
        if wave < 8192.0 / 4.0 {
            1.0
        } else if wave > 8192.0 {
            factor
        } else {
            let smooth = (8192.0 / wave - 1.0) / (4.0 - 1.0);
            1.0 / ((1.0 - smooth) / factor + smooth)
        }
    };
    (0..head / 2).map(|pair| divisor(pair) as f32).collect()
}

#[test]
fn the_model_in_the_box() {
    let Some(witness) = Witness::found() else { return };
    let tiny = Gguf::open(&tiny()).unwrap();
    let snapped: [(&str, Vec<u8>); 3] = [
        ("int8", snapped(&tiny, |_| Format::Q8_0)),
        ("int4", snapped(&tiny, |_| Format::Q4_0)),
        ("mixed", snapped(&tiny, mixed)),
    ];
    for (kind, snapped) in snapped {
        for layout in Layout::ALL {
            let name = format!("tiny {kind} {}", layout.name());
            witness.job(&name, &snapped, layout, &prose(), 256);
        }
    }
    witness.agrees();
}

#[test]
fn smollm2() {
    on_a_real_model("SmolLM2", &fetched::smollm2(), 256);
}

#[test]
fn gemma3() {
    on_a_real_model("Gemma-3", &fetched::cache().join("gemma3-270m-f16.gguf"), 128);
}

fn on_a_real_model(name: &str, model: &Path, tokens: usize) {
    if !fetched::optimized() || !fetched::present(&[model, &fetched::wikitext()]) {
        return;
    }
    let Some(witness) = Witness::found() else { return };
    let snapped = snapped(&Gguf::open(model).unwrap(), mixed);
    let text = fs::read_to_string(fetched::wikitext()).unwrap();
    for layout in Layout::ALL {
        witness.job(&format!("{name} {}", layout.name()), &snapped, layout, &text, tokens);
    }
    witness.agrees();
}

/// What the program itself makes, a mixture of int4 and int8.
#[test]
fn the_pack_of_a_run() {
    let Some(witness) = Witness::found() else { return };
    for layout in Layout::ALL {
        let folder = witness.folder.path().join(format!("run {}", layout.name()));
        fs::create_dir(&folder).unwrap();
        let goal = Goal { bpw: Some(6.0), ..Goal::default() };
        let (hardware, effort) = (Hardware::Tpu, Effort::Fast);
        let config = Config { hardware, effort, goal, ..Config::default() };
        let job = Job { tpu_layout: Some(layout), ..Job::new(tiny(), folder.join("model.gguf")) };
        let report = pipeline::run(&job, &config, &Silent).unwrap();
        assert_eq!(report.pack.unwrap().folder, folder.join("model.tpu"));
        let config = fs::read_to_string(folder.join("model.tpu/config.json")).unwrap();
        assert!(config.contains("int4") || config.contains("mixed-precision"), "{config}");
        witness.describe(&folder, &prose(), 256);
    }
    witness.agrees();
}

/// The witness is worth nothing if it agrees with anything.
#[test]
fn a_wrong_pack_is_noticed() {
    let Some(witness) = Witness::found() else { return };
    let snapped = snapped(&Gguf::open(&tiny()).unwrap(), mixed);
    for (i, layout) in Layout::ALL.into_iter().enumerate() {
        let job = witness.job(&format!("flipped {i}"), &snapped, layout, &prose(), 16);
        flip_a_nibble(&job.join("model.tpu/model.safetensors"));
        let said = witness.asked(&[job]);
        let complaint = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(!said.status.success() && complaint.contains("weights differ"), "{complaint}");
    }
    let job = witness.job("another head", &snapped, Layout::default(), &prose(), 16);
    let config = job.join("model.tpu/config.json");
    let changed = fs::read_to_string(&config).unwrap().replace("10000.0", "20000.0");
    fs::write(&config, changed).unwrap();
    let complaint = String::from_utf8_lossy(&witness.asked(&[job]).stderr).into_owned();
    assert!(complaint.contains("the logits differ"), "{complaint}");
}

/// In the last byte of the last tensor: codes, as they are the narrowest.
fn flip_a_nibble(shard: &Path) {
    let mut file = File::options().read(true).write(true).open(shard).unwrap();
    let mut byte = [0];
    file.seek(SeekFrom::End(-1)).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(SeekFrom::End(-1)).unwrap();
    file.write_all(&[byte[0] ^ 1]).unwrap();
}

fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/tiny.gguf")
}

/// English with numbers, signs, other scripts and spaces in rows.
fn prose() -> String {
    include_str!("../../README.md").to_string()
}

/// The witness and what it is asked about.
struct Witness {
    python: PathBuf,
    folder: TempDir,
}

impl Witness {
    fn found() -> Option<Witness> {
        let python = fetched::cache().join("tpu-venv/bin/python");
        let folder = tempfile::tempdir().unwrap();
        fetched::present(&[&python]).then_some(Witness { python, folder })
    }

    /// A model in a GGUF file, its pack, and what we make of the first `count` tokens of a text.
    fn job(&self, name: &str, gguf: &[u8], layout: Layout, text: &str, count: usize) -> PathBuf {
        let job = self.folder.path().join(name);
        fs::create_dir(&job).unwrap();
        fs::write(job.join("model.gguf"), gguf).unwrap();
        let gguf = Gguf::open(&job.join("model.gguf")).unwrap();
        let target = tpu::pack_of(&job.join("model.gguf"));
        let folder = OutputFolder::create(&target, false, tpu::is_of_pack).unwrap();
        let bytes = tpu::write(&gguf, layout, &folder).unwrap();
        folder.commit().unwrap();
        let files = fs::read_dir(&target).unwrap().map(|file| file.unwrap().metadata().unwrap());
        assert_eq!(files.map(|file| file.len()).sum::<u64>(), bytes, "{name}");
        self.describe(&job, text, count);
        job
    }

    /// Adds to a model and its pack what we make of the first `count` tokens of a text.
    fn describe(&self, job: &Path, text: &str, count: usize) {
        let gguf = Gguf::open(&job.join("model.gguf")).unwrap();
        let tokenizer = Tokenizer::read(gguf.metadata()).unwrap();
        let texts = texts(text, &tokenizer);
        fs::write(job.join("texts.json"), serde_json::to_vec(&texts).unwrap()).unwrap();
        let head: String = text.chars().take(20 * count).collect();
        let mut tokens = tokenizer.encode_document(&head);
        tokens.truncate(count);
        write(&job.join("tokens.u32"), tokens.iter().map(|token| token.to_le_bytes()));
        let logits = logits(&Model::of(&gguf).unwrap(), &tokens);
        write(&job.join("logits.f32"), logits.iter().map(|logit| logit.to_le_bytes()));
    }

    fn asked(&self, jobs: &[PathBuf]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tpu_pack/witness.py");
        let mut command = Command::new(&self.python);
        // No bytecode is left beside the script.
        let asked = command.arg("-B").arg(script).args(jobs).env("JAX_PLATFORMS", "cpu");
        asked.output().unwrap()
    }

    /// Asks about all jobs.
    fn agrees(&self) {
        let mut jobs: Vec<PathBuf> =
            fs::read_dir(self.folder.path()).unwrap().map(|job| job.unwrap().path()).collect();
        jobs.sort();
        assert!(!jobs.is_empty());
        let Output { status, stdout, stderr } = self.asked(&jobs);
        println!("{}", String::from_utf8_lossy(&stdout));
        assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    }
}

/// Texts with the ids that they have: pieces of `text`, others in which special tokens are spelled
/// out, and the same as documents, with what begins and ends them.
fn texts(text: &str, tokenizer: &Tokenizer) -> Vec<serde_json::Value> {
    let vocabulary = tokenizer.vocabulary();
    let end = vocabulary.end().map(|id| vocabulary.text(id));
    let end = end.and_then(|end| std::str::from_utf8(end).ok()).unwrap_or_default();
    let odd = "Tabs\tand  two   three    spaces,\r\n\n\nlines; 1234567 ½ ٣; don't, DON'T, we'LL; \
               naïve café, Ελλάδα, Москва, 東京, 👩‍🚀\u{a0}! (x_1=[2.5e-3]);  ";
    let pieces: Vec<String> = text
        .chars()
        .collect::<Vec<char>>()
        .chunks(1000)
        .take(40)
        .map(|piece| piece.iter().collect())
        .chain([odd.to_string(), format!("{end}Once {end} upon{end}\n"), " ".into(), "a".into()])
        .collect();
    let spelled = |framed: bool| {
        pieces.iter().map(move |text| {
            let ids = tokenizer.encode_with_special(text);
            let (before, after) = match framed {
                true => (vocabulary.leading(), vocabulary.trailing()),
                false => (None, None),
            };
            let ids: Vec<u32> = before.into_iter().chain(ids).chain(after).collect();
            json!({ "text": text, "ids": ids, "framed": framed })
        })
    };
    spelled(false).chain(spelled(true)).collect()
}

/// Tokens x vocabulary, with activations in F32.
fn logits(model: &Model, tokens: &[u32]) -> Vec<f32> {
    let mut session = Session::new(model);
    let hidden = session.hidden(&[tokens], Wanted::All, &mut Untraced).unwrap();
    let mut logits = Vec::new();
    session.logits(&hidden, &mut logits);
    logits
}

fn write<const N: usize>(path: &Path, values: impl Iterator<Item = [u8; N]>) {
    fs::write(path, values.flatten().collect::<Vec<u8>>()).unwrap();
}
