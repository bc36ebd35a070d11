//! Small sound inputs for each fuzz target: models of one layer, quantized files, OpenCog data.

#[path = "../../../tests/random_models/mod.rs"]
mod random_models;

use std::fs;
use std::path::{Path, PathBuf};

use opencog_qat::Config;
use opencog_qat::companion::{self, PackJob, Request};
use opencog_qat::config::Effort;
use opencog_qat::gguf::Format;
use opencog_qat::pipeline::{self, Job};
use opencog_qat::progress::Silent;
use tempfile::TempDir;

use random_models::{VARIANTS, Variant};

/// Atoms with truth values, attention values and others.
pub const ATOMS: &str = r#"(use-modules (opencog))
(Inheritance (stv 0.8 0.000001) (Concept "cat" (av 12.5 3 1)) (Concept "animal" (stv 1 0.9)))
(Evaluation (Predicate "likes") (List (Concept "dog \" \\ ä") (Variable "$x")))
(cog-set-value! (Concept "cat") (Predicate "weight") (FloatValue 4.5 -0.25 1e300 nan))
(define (cat) (Concept "cat"))
(Member (NumberNode 1.5) (cat) ) ; a comment
(Lambda (VariableList (TypedVariable (Variable "$y") (Type 'ConceptNode))) (And (Variable "$y")))
(StringValue "a" "b") (LinkValue (FloatValue 1 2) (StringValue "c"))
"#;

/// Atoms of MeTTa of all sorts, twice at the top, with variables, and commands.
pub const METTA: &str = r#"(, (Inheritance $a $b) ($r $b animal))
(: cat Animal) (Inheritance cat animal (STV 1 0.9)) (Inheritance cat animal (STV 1 0.9))
(= (f $x) (g $x "a \" \\ \n \x00 \u{1F600} ä")) !(f 1) ; a comment
($r $x animal) $y () (()) True -7 +05 1.50 1e400 -0.0 0 PI sym"bol a;b
"#;

/// Programs with all kinds of constants and operators.
pub const PROGRAMS: &str = "-1.5 +($x 0.5)\n-2 *($y 1.25e-3) [score=-2, complexity=2]\n\
    and(or($p !$q) not($p))\n0 if(0<(+(1 $x)) sin(log(impulse($p))) /($x -7))\n\
    -3 #1\n$x\n[1,2]\n# a comment\n";

/// A table that the programs are about.
pub const TABLE: &str = "t,x,y,p,q\n1.5,1.0,-3,T,F\n2.5,2.5,1e9,0,1\n4,3.25,,true,false\n";

/// A text to measure on.
pub const TEXT: &str = "the stone in the water is old and the rest is on the way to it";

/// The models: an architecture each, one with quantized weights, and one already quantized by us.
pub fn models() -> Vec<(String, Vec<u8>)> {
    let mut models: Vec<_> =
        ["llama-gqa-tied", "llama-rope-yarn", "qwen2-untied", "qwen3-bias", "gemma3-swa"]
            .map(|name| (name.to_string(), small(name, &[Format::F16]).file()))
            .into();
    models.push((
        "llama-mixed".into(),
        small("llama-untied-bias", &[Format::BF16, Format::F32]).file(),
    ));
    models.push(("quantized".into(), quantized(&models[0].1)));
    models
}

/// A model of a variant's kind in some 60 kB.
fn small(name: &str, matrices: &'static [Format]) -> Variant {
    let variant = VARIANTS.iter().find(|variant| variant.name == name).expect("a variant");
    let (width, heads, kv_heads, head) = (32, 2, 1, 16);
    Variant { matrices, layers: 1, width, heads, kv_heads, head, ff: 256, ..*variant }
}

/// What the program makes of a model by its weights alone.
fn quantized(model: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder for files");
    let (input, output) = (put(&folder, "in.gguf", model), folder.path().join("out.gguf"));
    let job = Job { force: true, threads: Some(1), ..Job::new(input, output.clone()) };
    let config = Config { effort: Effort::Fast, ..Config::default() };
    pipeline::run(&job, &config, &Silent).expect("it can be quantized");
    fs::read(output).expect("it was written")
}

/// Companions of the data above: of atoms and of MeTTa, mapped, and at rest.
pub fn companions() -> Vec<(String, Vec<u8>)> {
    use opencog_qat::opencog::atomspace::companion::Form;
    let folder = tempfile::tempdir().expect("a folder for files");
    let metta = put(&folder, "kb.metta", METTA.as_bytes());
    let request = Request {
        atomspace: Some(put(&folder, "kb.scm", ATOMS.as_bytes())),
        moses: Some(put(&folder, "best.combo", b"-1.5 +($x 0.5)\n$x\n")),
        moses_table: Some(put(&folder, "train.csv", b"t,x\n1.5,1.0\n2.5,2.5\n4,3.25\n")),
        ..Request::default()
    };
    let of_metta = Request { atomspace: Some(metta), ..Request::default() };
    let pack = |(name, request, form): (&str, &Request, Form)| {
        let output = folder.path().join(name);
        let request = Request { form, ..request.clone() };
        let job = PackJob { request, output: output.clone(), report: None, force: true };
        companion::pack(&job).expect("it can be packed");
        (name.to_string(), fs::read(output).expect("it was written"))
    };
    [
        ("mapped", &request, Form::Mapped),
        ("at-rest", &request, Form::AtRest),
        ("metta-mapped", &of_metta, Form::Mapped),
        ("metta-at-rest", &of_metta, Form::AtRest),
    ]
    .map(pack)
    .into()
}

/// Writes a file, and says where it is.
fn put(folder: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("a file in the folder");
    path
}

/// Writes the seeds of every target to `corpus/TARGET/`.
pub fn write(corpus: &Path) -> std::io::Result<()> {
    let put = |target: &str, name: &str, bytes: &[u8]| {
        let folder = corpus.join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), bytes)
    };
    for (name, bytes) in models() {
        ["inspect", "plan", "eval"].iter().try_for_each(|target| put(target, &name, &bytes))?;
    }
    for (name, bytes) in companions() {
        ["inspect", "companion"].iter().try_for_each(|target| put(target, &name, &bytes))?;
    }
    let texts =
        [("atomspace", ATOMS), ("metta", METTA), ("combo", PROGRAMS), ("table", TABLE)];
    for (target, text) in texts {
        put(target, "all", text.as_bytes())?;
        // Each line is a seed too: short ones are mutated faster.
        for (i, line) in text.lines().enumerate() {
            put(target, &format!("line-{i}"), line.as_bytes())?;
        }
    }
    put("table", "labels", b"x\ty\n1\t2\n3\t4\n")?;
    put("table", "plain", b"1 2 3\n4 5 6\n")
}
