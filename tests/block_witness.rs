//! Our search for scales against ggml's own, row by row: no row of ours may be worse. The witness is
//! ggml's C code as PyPI's libgguf has it, which `.ci/run` installs. Also whether the plain twin of
//! it that the unit tests use agrees with it.

mod fetched;
#[path = "../src/block/tests/ggml.rs"]
mod ggml;

use std::path::{Path, PathBuf};
use std::process::Command;

use opencog_qat::block;
use opencog_qat::gguf::Format;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use rayon::prelude::*;

/// A kind of row, and how to make one of some length.
type Kind = (&'static str, fn(&mut Pcg64Mcg, &mut [f32]));

const KINDS: [Kind; 12] = [
    ("gaussian", |random, row| {
        let scale = power(random, -3.0, 1.0);
        row.fill_with(|| scale * gaussian(random));
    }),
    ("laplace", |random, row| {
        let scale = power(random, -3.0, 1.0);
        row.fill_with(|| scale * random.random::<f32>().ln() * sign(random));
    }),
    ("ternary", |random, row| {
        let scale = power(random, -3.0, 1.0);
        row.fill_with(|| scale * random.random_range(-1..=1) as f32);
    }),
    ("k levels", |random, row| {
        let (scale, top) = (power(random, -3.0, 1.0), random.random_range(1..=16));
        row.fill_with(|| scale * (random.random_range(0..=top) as f32 - 0.5 * top as f32));
    }),
    ("constant", |random, row| row.fill(power(random, -3.0, 1.0) * sign(random))),
    ("lattice", |random, row| {
        let (scale, top) = (power(random, -3.0, 1.0), power(random, 0.3, 2.0).round());
        row.fill_with(|| scale * (gaussian(random) * top / 3.0).round().clamp(-top, top - 1.0));
    }),
    ("sparse", |random, row| {
        let scale = power(random, -3.0, 1.0);
        row.fill_with(|| if random.random_bool(0.05) { scale * gaussian(random) } else { 0.0 });
    }),
    ("offset", |random, row| {
        let (scale, offset) = (power(random, -4.0, 0.0), power(random, -3.0, 1.0) * sign(random));
        row.fill_with(|| offset + scale * gaussian(random));
    }),
    ("alternating", |random, row| {
        let scale = power(random, -3.0, 1.0);
        (0..row.len()).for_each(|i| row[i] = if i % 2 == 0 { scale } else { -scale });
    }),
    ("tiny", |random, row| {
        let scale = power(random, -7.0, -3.0);
        row.fill_with(|| scale * gaussian(random));
    }),
    ("large", |random, row| {
        let scale = power(random, 2.0, 4.5);
        row.fill_with(|| (scale * gaussian(random)).clamp(-65504.0, 65504.0));
    }),
    ("outlier", |random, row| {
        let scale = power(random, -3.0, 1.0);
        row.fill_with(|| scale * gaussian(random));
        let at = random.random_range(0..row.len());
        row[at] *= power(random, 1.0, 3.0);
    }),
];

/// Ten to a uniform power.
fn power(random: &mut Pcg64Mcg, low: f32, high: f32) -> f32 {
    10f32.powf(random.random_range(low..high))
}

fn sign(random: &mut Pcg64Mcg) -> f32 {
    if random.random() { 1.0 } else { -1.0 }
}

/// Nearly Gaussian, of variance 1.
fn gaussian(random: &mut Pcg64Mcg) -> f32 {
    (0..12).map(|_| random.random::<f32>()).sum::<f32>() - 6.0
}

#[test]
fn no_row_is_worse_than_ggmls() {
    let Some(ggml) = Ggml::found() else { return };
    for (rows_each, row_len) in [(1000, 256), (200, 2048)] {
        let mut random = Pcg64Mcg::seed_from_u64(row_len as u64);
        let importance: Vec<f32> = (0..row_len).map(|_| power(&mut random, -2.0, 2.0)).collect();
        for importance in [None, Some(&importance[..])] {
            let weighted =
                if importance.is_some() { "weighted by importance" } else { "all alike" };
            println!(
                "{rows_each} rows of {row_len}, errors {weighted}: ours / ggml's, worst and mean"
            );
            print!("{:<12}", "");
            formats().for_each(|format| print!("{:>16}", format.name()));
            println!();
            for (kind, fill) in KINDS {
                let mut rows = vec![0.0; rows_each * row_len];
                rows.chunks_mut(row_len).for_each(|row| fill(&mut random, row));
                print!("{kind:<12}");
                for format in formats() {
                    let ratios = ggml.ratios(format, &rows, row_len, importance);
                    let worst = ratios.iter().copied().fold(0.0, f64::max);
                    let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
                    print!("{:>16}", format!("{worst:.4} {mean:.4}"));
                    assert!(worst <= 1.0 + 1e-6, "{format}, {kind} of {row_len}, {weighted}");
                }
                println!();
            }
        }
    }
}

#[test]
fn the_plain_twin_of_ggml_agrees_with_it() {
    let Some(ggml) = Ggml::found() else { return };
    let (rows, row_len) = (50, 512);
    let mut random = Pcg64Mcg::seed_from_u64(1);
    let importance: Vec<f32> = (0..row_len).map(|_| power(&mut random, -2.0, 2.0)).collect();
    for (kind, fill) in KINDS {
        let mut values = vec![0.0; rows * row_len];
        values.chunks_mut(row_len).for_each(|row| fill(&mut random, row));
        for (format, importance) in
            formats().flat_map(|format| [(format, None), (format, Some(&importance[..]))])
        {
            let theirs = ggml.decoded(format, &values, row_len, importance);
            let twins = values.chunks(row_len).zip(theirs.chunks(row_len));
            for (x, theirs) in twins {
                let twin = ggml::quantized(format, x, importance);
                assert_eq!(twin, theirs, "{format}, {kind}, {}", importance.is_some());
            }
        }
    }
}

fn formats() -> impl Iterator<Item = Format> {
    Format::all().filter(|&format| block::can_encode(format))
}

fn decoded(format: Format, blocks: &[u8], len: usize) -> Vec<f32> {
    let mut values = vec![0.0; len];
    block::decode(format, blocks, &mut values);
    values
}

/// The squared error of `y`, weighted where `w` is given.
fn error(x: &[f32], y: &[f32], w: Option<&[f32]>) -> f64 {
    let square = |i: usize| {
        let e = f64::from(x[i]) - f64::from(y[i]);
        w.map_or(1.0, |w| f64::from(w[i])) * e * e
    };
    (0..x.len()).map(square).sum()
}

/// A Python with libgguf, and a folder for what goes to it and comes from it.
struct Ggml {
    python: PathBuf,
    folder: tempfile::TempDir,
}

impl Ggml {
    /// As `.ci/run` puts it there, or a line that says what is missing.
    fn found() -> Option<Ggml> {
        let python = fetched::python();
        if !fetched::optimized() || !fetched::present(&[&python]) {
            return None;
        }
        let status = Command::new(&python).args(["-c", "import libgguf"]).status().unwrap();
        if !status.success() {
            println!("skipped: {} has no libgguf", python.display());
            return None;
        }
        Some(Ggml { python, folder: tempfile::tempdir().unwrap() })
    }

    /// Rows as they decode after ggml has quantized them.
    fn decoded(
        &self,
        format: Format,
        rows: &[f32],
        row_len: usize,
        importance: Option<&[f32]>,
    ) -> Vec<f32> {
        let write = |name: &str, values: &[f32]| {
            let path = self.folder.path().join(name);
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ggml_rows.py");
        let out = self.folder.path().join("blocks");
        let mut command = Command::new(&self.python);
        command.arg(script).args([format.id().to_string(), row_len.to_string()]);
        command.args([&write("values", rows), &out]);
        command.args(importance.map(|importance| write("importance", importance)));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        decoded(format, &std::fs::read(out).unwrap(), rows.len())
    }

    /// For each row, our error as a share of ggml's.
    fn ratios(
        &self,
        format: Format,
        rows: &[f32],
        row_len: usize,
        importance: Option<&[f32]>,
    ) -> Vec<f64> {
        let theirs = self.decoded(format, rows, row_len, importance);
        let pairs = rows.par_chunks(row_len).zip(theirs.par_chunks(row_len));
        let ratio = |(x, theirs): (&[f32], &[f32])| {
            let mut blocks = vec![0; format.size_of(row_len)];
            block::encode(format, x, row_len, importance, &mut blocks);
            let ours = error(x, &decoded(format, &blocks, row_len), importance);
            let theirs = error(x, theirs, importance);
            if ours == theirs { 1.0 } else { ours / theirs }
        };
        pairs.map(ratio).collect()
    }
}
