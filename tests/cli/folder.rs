//! A folder to run the program in, and what came of the run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use assert_cmd::assert::{Assert, OutputAssertExt};
use opencog_qat::gguf::Gguf;
use predicates::prelude::*;
use serde::Deserialize;

use crate::models::Model;

/// The program.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_opencog-qat");
/// The model in the box.
const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tiny.gguf");

/// A folder of its own for each test.
pub struct Folder(tempfile::TempDir);

impl Folder {
    /// With nothing in it.
    pub fn empty() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    /// With `model` as `in.gguf`.
    pub fn with(model: &Model) -> Folder {
        let folder = Folder::empty();
        folder.write("in.gguf", &model.bytes());
        folder
    }

    /// With the model in the box as `in.gguf`.
    pub fn with_tiny() -> Folder {
        let folder = Folder::empty();
        fs::copy(TINY, folder.path("in.gguf")).unwrap();
        folder
    }

    pub fn root(&self) -> &Path {
        self.0.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    pub fn open(&self, name: &str) -> Gguf {
        Gguf::open(&self.path(name)).unwrap()
    }

    /// What lies in it, sorted.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.root()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Any command, to be run in this folder.
    pub fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).current_dir(self.root());
        command
    }

    /// The program with these arguments, a space between each two.
    pub fn program(&self, args: &str) -> Command {
        self.command(PROGRAM, &args.split_whitespace().collect::<Vec<_>>())
    }

    /// Runs the program with these arguments, which may have spaces in them, to its end.
    pub fn run_with(&self, args: &[&str]) -> Assert {
        self.command(PROGRAM, args).assert()
    }

    /// Runs the program to its end.
    pub fn run(&self, args: &str) -> Assert {
        self.program(args).assert()
    }

    /// Quantizes `in.gguf` to `out.gguf` by the weights alone, unless another effort is asked for,
    /// and returns the report.
    #[track_caller]
    pub fn quantize(&self, flags: &str) -> Report {
        let fast = if flags.contains("--effort") { "" } else { "--effort fast" };
        self.run(&format!("{fast} {flags} --force --report report.json in.gguf out.gguf"))
            .success();
        serde_json::from_slice(&self.read("report.json")).unwrap()
    }

    /// Runs the program, which must fail as bad input fails: exit code 1, a message on standard
    /// error, and the folder as it was.
    #[track_caller]
    pub fn refused(&self, args: &str) -> String {
        let before = self.contents();
        let assert = self.run(args).code(1).stdout(predicate::str::is_empty());
        assert!(self.contents() == before, "something changed: {:?}", self.names());
        let message = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
        assert!(message.starts_with("error: ") && message.lines().count() == 1, "{message}");
        message
    }

    /// As [`Folder::refused`], with a message that contains `fragment`.
    #[track_caller]
    pub fn refused_with(&self, args: &str, fragment: &str) {
        let message = self.refused(args);
        assert!(message.contains(fragment), "expected `{fragment}` in: {message}");
    }

    fn contents(&self) -> Vec<(String, Option<Vec<u8>>)> {
        let read = |name: String| (name.clone(), fs::read(self.path(&name)).ok());
        self.names().into_iter().map(read).collect()
    }
}

/// The report of a run, as far as it is looked at here.
#[derive(Deserialize)]
pub struct Report {
    pub schema: u32,
    pub dry_run: bool,
    pub seed: u64,
    pub flags: String,
    pub metrics: Metrics,
    pub warnings: Vec<String>,
    pub tensors: Vec<Tensor>,
}

#[derive(Deserialize)]
pub struct Metrics {
    pub parameters: u64,
    pub input_bytes: u64,
    pub output_bytes: u64,
    pub tensor_bytes: u64,
    pub kv_cache_bytes: Option<u64>,
    pub memory_reduction: f64,
    pub relative_error: Option<f64>,
}

#[derive(Deserialize)]
pub struct Tensor {
    pub name: String,
    pub role: String,
    pub kind: String,
    pub shape: Vec<u64>,
    pub from: String,
    pub format: String,
    pub bytes: u64,
    pub note: Option<String>,
    pub relative_error: Option<f64>,
    pub lost_rows: usize,
    pub first_lost_row: Option<usize>,
}

impl Tensor {
    pub fn weights(&self) -> u64 {
        self.shape.iter().product()
    }
}

impl Report {
    #[track_caller]
    pub fn tensor(&self, name: &str) -> &Tensor {
        self.tensors.iter().find(|tensor| tensor.name == name).expect(name)
    }

    /// The tensors that lost something: those that were quantized.
    pub fn quantized(&self) -> impl Iterator<Item = &Tensor> {
        self.tensors.iter().filter(|tensor| tensor.relative_error.is_some())
    }

    /// Bits per weight of the quantized tensors.
    pub fn quantized_bpw(&self) -> f64 {
        let sum = |of: fn(&Tensor) -> u64| self.quantized().map(of).sum::<u64>() as f64;
        8.0 * sum(|tensor| tensor.bytes) / sum(Tensor::weights)
    }

    /// What the plan minimises: the relative errors of the tensors, summed.
    pub fn planned_error(&self) -> f64 {
        self.quantized().filter_map(|tensor| tensor.relative_error).sum()
    }
}
