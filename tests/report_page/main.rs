//! Report pages in headless Chromium: nothing on the console, no request, nothing that sticks out
//! at 400 and 1600 pixels, also if names and metadata are markup.
//!
//! With `OPENCOG_QAT_SCREENSHOTS=FOLDER` the pictures that it takes are kept there.

#[path = "../fetched/mod.rs"]
mod fetched;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use fetched::{cache, present};
use opencog_qat::gguf::{Gguf, TensorSpec, Value, Writer};

const PROGRAM: &str = env!("CARGO_BIN_EXE_opencog-qat");
const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tiny.gguf");
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/report_page/page.py");

/// Markup in all that a file may name.
const MARKUP: &str = "<script>alert(1)</script><img src=x>\"'&`|[a](b)\n";

/// OpenCog data in which a name and a type are markup, as far as the reader lets them.
const ATOMS: &str = r#"
(Inheritance (stv 0.8 0.000001) (Concept "<b>cat</b>" (av 12.5 3 1)) (Concept "animal" (stv 1 0.9)))
(Inheritance (stv 0.002 0.4) (Concept "dog" (av -7 0 0)) (Concept "animal"))
(Evaluation (Predicate "likes") (List (Concept "dog") (Concept "<b>cat</b>")))
"#;

struct Folder(tempfile::TempDir);

impl Folder {
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs the program; a target may be missed.
    fn run(&self, args: &[&str]) {
        let output = Command::new(PROGRAM).args(args).current_dir(self.0.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(0 | 3)), "{args:?}: {said}");
    }
}

/// tiny.gguf with markup in its name, and in the names of a key and of a tensor that nobody knows.
fn hostile() -> Vec<u8> {
    let tiny = Gguf::open(TINY.as_ref()).unwrap();
    let mut metadata = tiny.metadata().clone();
    for key in ["general.name", "general.license", "general.repo_url", MARKUP] {
        metadata.set(key, Value::string(MARKUP));
    }
    let unknown = |mut spec: TensorSpec| {
        spec.name = format!("v.{MARKUP}.weight").chars().take(60).collect();
        spec
    };
    let specs: Vec<TensorSpec> = tiny.tensors().iter().map(|tensor| tensor.spec()).collect();
    let last = tiny.tensors().iter().find(|tensor| tensor.rows() > 1).unwrap();
    let specs = [specs, vec![unknown(last.spec())]].concat();
    let mut writer = Writer::new(Vec::new(), Path::new("x"), &metadata, &specs).unwrap();
    for tensor in tiny.tensors().iter().chain([last]) {
        writer.tensor_bytes(tiny.data(tensor)).unwrap();
    }
    writer.finish().unwrap()
}

#[test]
fn pages_are_right_in_a_browser() {
    let python = cache().join("browser-venv/bin/python");
    let browsers = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
    let browser = browsers.map(Path::new).into_iter().find(|path| path.exists());
    let Some(browser) = browser else {
        println!("skipped: there is no Chromium");
        return;
    };
    if !present(&[&python]) {
        return;
    }
    let folder = Folder(tempfile::tempdir().unwrap());
    fs::copy(TINY, folder.path("in.gguf")).unwrap();
    fs::write(folder.path("hostile.gguf"), hostile()).unwrap();
    fs::write(folder.path("kb.scm"), ATOMS).unwrap();
    fs::write(folder.path("text.txt"), MARKUP.repeat(40)).unwrap();
    let little = ["--batches", "2", "--batch-size", "8", "--seq-len", "64"];
    let thorough = [
        &little[..],
        &["--effort", "thorough", "--train-tokens", "4000", "--accuracy", "0.02"],
        &["--compare-recipes", "--eval-text", "text.txt", "--atomspace", "kb.scm", "--validate"],
        &["--report", "thorough.html", "in.gguf", "out.gguf"],
    ];
    folder.run(&thorough.concat());
    let dry = ["--dry-run", "--effort", "fast", "--report", "dry.html", "in.gguf", "dry.gguf"];
    folder.run(&dry);
    let standard = ["--bpw", "5", "--report", "hostile.html", "hostile.gguf", "<i>.gguf"];
    folder.run(&[&little[..], &standard].concat());
    let eval = ["eval", "--chunks", "4", "--context", "64", "--report", "eval.html"];
    let made = ["out.gguf", "out.gguf.below-target"].map(|name| folder.path(name));
    fs::copy(made.iter().find(|path| path.exists()).unwrap(), folder.path("<b>.gguf")).unwrap();
    folder.run(&[&eval[..], &["in.gguf", "<b>.gguf"]].concat());
    let pack = ["opencog", "pack", "--report", "pack.html", "kb.scm", "kb.opencog.gguf"];
    folder.run(&pack);
    let stats = ["opencog", "stats", "--report", "stats.html", "kb.opencog.gguf"];
    folder.run(&stats);
    let family =
        ["family", "--sizes", "4.5bpw,5bpw,6bpw,7bpw", "--compare-recipes", "in.gguf", "out"];
    folder.run(&[&family[..1], &little, &["--eval-text", "text.txt"], &family[1..]].concat());
    fs::rename(folder.path("out/family.html"), folder.path("family.html")).unwrap();
    let tpu =
        ["--hardware", "tpu", "--effort", "fast", "--report", "tpu.html", "in.gguf", "t.gguf"];
    folder.run(&tpu);
    let pages = ["thorough", "dry", "hostile", "eval", "pack", "stats", "family", "tpu"];
    let pages = pages.map(|name| folder.path(&format!("{name}.html")));

    let shots = std::env::var_os("OPENCOG_QAT_SCREENSHOTS");
    let mut check = Command::new(python);
    check.arg(PAGE).arg(browser).arg(shots.unwrap_or_else(|| "-".into())).args(&pages);
    let output = check.output().unwrap();
    let said = [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    assert!(output.status.success(), "{}", said.join("\n"));
    assert!(said[0].contains("8 pages opened"), "{}", said[0]);
}
