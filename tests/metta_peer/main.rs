//! MeTTa, as Hyperon has it: `witness.py` parses the same texts, matches the same patterns and loads
//! the same file. Needs a Python with the package of `requirements.txt`, and the files that OpenCog
//! projects ship; `.ci/run` provides them.

#[path = "../fetched/mod.rs"]
mod fetched;
mod random;
mod texts;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use opencog_qat::companion::{self, ExportJob, PackJob, QueryJob, Request};
use opencog_qat::opencog::atomspace::companion::Form;
use random::Random;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

/// A Python with Hyperon, and a folder for files.
struct Witness {
    python: PathBuf,
    folder: TempDir,
}

impl Witness {
    fn found() -> Option<Witness> {
        let python = fetched::cache().join("metta-venv/bin/python");
        let found = fetched::present(&[&python]);
        found.then(|| Witness { python, folder: tempfile::tempdir().unwrap() })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, what: &str, of: &Path) -> Command {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/metta_peer/witness.py");
        let mut command = Command::new(&self.python);
        command.arg(script).arg(what).arg(of);
        command
    }

    /// What it says of these jobs, of which nothing may differ.
    fn agrees(&self, what: &str, jobs: &[Json]) -> String {
        let file = self.path("jobs.json");
        fs::write(&file, serde_json::to_vec(jobs).unwrap()).unwrap();
        let output = self.command(what, &file).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}\n{errors}");
        print!("{said}");
        said
    }

    /// Texts of many kinds, as files.
    fn texts(&self) -> Vec<PathBuf> {
        let put = |(name, text): (String, Vec<u8>)| {
            let path = self.path(&format!("{name}.metta"));
            fs::write(&path, text).unwrap();
            path
        };
        texts::all().into_iter().map(put).collect()
    }

    /// Packs a text.
    fn packed(&self, text: &Path, form: Form) -> PathBuf {
        let output = text.with_extension("opencog.gguf");
        let request = Request { atomspace: Some(text.into()), form, ..Request::default() };
        let job = PackJob { request, output: output.clone(), report: None, force: true };
        companion::pack(&job).unwrap_or_else(|error| panic!("{error}"));
        output
    }
}

#[test]
fn texts_are_read_and_written_as_hyperon_reads_and_prints_them() {
    let Some(witness) = Witness::found() else { return };
    let texts = witness.texts();
    for form in [Form::Mapped, Form::AtRest] {
        let job = |text: &PathBuf| {
            let (companion, written) = (witness.packed(text, form), text.with_extension("again"));
            let metta = companion::stats(text, &[], &[], None).unwrap().atomspace.unwrap().metta;
            let export = ExportJob {
                companion,
                output: Some(written.clone()),
                moses: None,
                target: None,
                modules: vec![],
                types: vec![],
                force: true,
            };
            companion::export(&export).unwrap();
            json!({ "file": text, "written": written, "commands": metta.unwrap().commands })
        };
        let jobs: Vec<Json> = texts.iter().map(job).collect();
        let said = witness.agrees("texts", &jobs);
        assert_eq!(said.matches(" atoms at the top").count(), texts.len());
    }
    assert!(texts.len() >= 20, "{}", texts.len());
}

#[test]
fn patterns_have_the_answers_that_match_gives() {
    /// For each of the texts.
    const PATTERNS: usize = 12;
    let Some(witness) = Witness::found() else { return };
    let mut random = Random::new(11);
    let job = |text: &PathBuf| {
        let companion = witness.packed(text, Form::Mapped);
        let atoms = texts::at_the_top(&fs::read_to_string(text).unwrap());
        let query = |pattern: String| {
            let file = companion.clone();
            let job = QueryJob {
                file,
                pattern: pattern.clone(),
                limit: 100_000,
                aliases: vec![],
                types: vec![],
            };
            let answer = companion::query(&job).unwrap_or_else(|e| panic!("{pattern}: {e}"));
            assert!(answer.is_complete, "{pattern}");
            let (variables, rows) = (answer.variables, answer.matches);
            json!({ "pattern": pattern, "variables": variables, "rows": rows })
        };
        let queries: Vec<Json> = (0..PATTERNS).map(|_| query(random.pattern(&atoms))).collect();
        json!({ "file": text, "queries": queries })
    };
    let texts = witness.texts();
    // There `&self` is a space, which matches what it holds; here it is a word.
    let has_space = |text: &&PathBuf| fs::read_to_string(text).unwrap().contains("&self");
    let jobs: Vec<Json> = texts.iter().filter(|text| !has_space(text)).map(job).collect();
    let said = witness.agrees("queries", &jobs);
    let answers = said.split_whitespace().nth(2).and_then(|number| number.parse().ok());
    assert!(jobs.len() * PATTERNS >= 200 && answers > Some(500), "{said}");
}

/// Side by side on one file: what Hyperon's runner takes to load it into a space, and the program to
/// read it into a store, and to pack it; its own start, and writing and hashing the companion, included.
#[test]
fn a_text_is_read_in_a_fraction_of_the_time_and_memory_of_hyperons_loader() {
    let (Some(witness), true) = (Witness::found(), fetched::optimized()) else { return };
    let Some(text) = texts::relabelled("reactome_2020-10-20.metta", 60) else { return };
    let (file, companion) = (witness.path("large.metta"), witness.path("large.opencog.gguf"));
    fs::write(&file, &text).unwrap();
    let theirs: Json = {
        let output = witness.command("load", &file).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let theirs = (theirs["seconds"].as_f64().unwrap(), theirs["peak_kib"].as_f64().unwrap());
    println!("hyperon {:.2} s, {:.0} MiB", theirs.0, theirs.1 / 1024.0);
    let ours = |what: &str, files: &[&PathBuf]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_opencog-qat"));
        program.arg("opencog").args(what.split(' ')).args(files);
        let (seconds, peak) = best_of(3, || run(&mut program));
        let times = (theirs.0 / seconds, theirs.1 / peak);
        let peak = peak / 1024.0;
        println!(
            "{what}: {seconds:.3} s, {peak:.0} MiB: {:.1} times as fast, 1/{:.1} of the memory",
            times.0, times.1
        );
        times
    };
    let read = ours("stats", &[&file]);
    let packed = ours("pack -q --force", &[&file, &companion]);
    // What a busy machine still reaches; the figures themselves are printed.
    assert!(read.0 >= 6.0 && read.1 >= 3.5, "{read:?}");
    assert!(packed.0 >= 3.0 && packed.1 >= 2.0, "{packed:?}");
}

#[test]
fn shipped_texts_take_at_most_24_bytes_an_atom() {
    let Some(witness) = Witness::found() else { return };
    for text in witness.texts().iter().filter(|text| fs::metadata(text).unwrap().len() > 50_000) {
        let companion = witness.packed(text, Form::Mapped);
        let atoms = companion::stats(&companion, &[], &[], None).unwrap().atomspace.unwrap();
        let each = atoms.bytes as f64 / atoms.atoms as f64;
        println!("{}: {} atoms, {each:.2} bytes an atom", text.display(), atoms.atoms);
        assert!(each <= 24.0);
    }
}

/// The least time and the most memory of some runs.
fn best_of(runs: usize, mut run: impl FnMut() -> (f64, f64)) -> (f64, f64) {
    (0..runs)
        .map(|_| run())
        .fold((f64::INFINITY, 0.0), |best, now| (best.0.min(now.0), f64::max(best.1, now.1)))
}

/// Runs a program: seconds, and the most KiB that it had in memory at once.
fn run(program: &mut Command) -> (f64, f64) {
    let start = Instant::now();
    let mut child = program.stdout(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0.0;
    while child.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        peak = f64::max(peak, number.unwrap_or(0.0));
        std::thread::sleep(Duration::from_millis(1));
    }
    let seconds = start.elapsed().as_secs_f64();
    assert!(child.wait().unwrap().success());
    (seconds, peak)
}
