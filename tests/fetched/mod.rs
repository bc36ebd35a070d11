//! What `.ci/run` fetches for tests and benches: peers, models and texts.

#![allow(dead_code, reason = "every test takes what it needs")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where it is kept between runs.
pub fn cache() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
    let default = || home().join(".cache/opencog-qat");
    std::env::var_os("OPENCOG_QAT_CACHE").map_or_else(default, PathBuf::from)
}

/// A tool of llama.cpp.
pub fn llama_cpp(tool: &str) -> PathBuf {
    cache().join("llama.cpp/bin").join(tool)
}

/// A Python with gguf-py.
pub fn python() -> PathBuf {
    cache().join("venv/bin/python")
}

/// The SmolLM2 test model, in F16.
pub fn smollm2() -> PathBuf {
    cache().join("smollm2-135m-f16.gguf")
}

/// A text that no model of ours was trained on.
pub fn wikitext() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/text/wikitext2-valid.txt")
}

/// Whether all of these are there; where one is not, it is named as the reason to skip a test.
pub fn present(needed: &[&Path]) -> bool {
    let missing = needed.iter().find(|path| !path.exists());
    missing.inspect(|path| println!("skipped: {} is missing", path.display())).is_none()
}

/// Whether this is a release build, without which some tests would take too long.
pub fn optimized() -> bool {
    if cfg!(debug_assertions) {
        println!("skipped: needs --release");
    }
    !cfg!(debug_assertions)
}

/// What a tool of llama.cpp says that must succeed, `wanted` and the figure behind it in it. On a busy
/// machine its log often ends before the last lines, though it succeeded: then it is asked again.
pub fn said(tool: &mut Command, wanted: &str) -> String {
    /// As many as make it unlikely that a log is cut each time, though half of them are.
    const TRIES: usize = 6;
    let mut said = String::new();
    for _ in 0..TRIES {
        let output = tool.output().unwrap();
        let streams =
            [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
        said = streams.join("\n");
        assert!(output.status.success(), "{tool:?}:\n{said}");
        if streams.iter().any(|stream| is_whole(stream, wanted)) {
            return said;
        }
    }
    panic!("no {wanted:?} in what {tool:?} said, {TRIES} times, at last:\n{said}")
}

/// Whether a stream has `wanted`, and behind it a figure that something separates from what follows: a
/// log that is cut may end within a number.
pub fn is_whole(stream: &str, wanted: &str) -> bool {
    let figure = stream.split_once(wanted).map(|(_, rest)| rest.trim_start());
    wanted.is_empty()
        || figure.is_some_and(|it| it.contains(|c: char| c.is_whitespace() || c == ','))
}

/// The number behind `name` in what a tool said.
pub fn number_behind(name: &str, said: &str) -> f64 {
    let rest = said.split(name).nth(1).unwrap_or_else(|| panic!("no {name:?} in\n{said}"));
    let number = rest.split_whitespace().next().unwrap_or_default();
    number.parse().unwrap_or_else(|_| panic!("{number:?} behind {name:?}"))
}
