//! The library instead of the command: quantize a model for a machine with 8 GB, and look at the
//! numbers.
//!
//! `cargo run --release --example quantize [MODEL.gguf OUT.gguf]`

use std::process::ExitCode;

use opencog_qat::{Error, Framework};

fn main() -> ExitCode {
    match quantize() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn quantize() -> Result<(), Error> {
    let mut paths = std::env::args().skip(1);
    let input = paths.next().unwrap_or("examples/tiny.gguf".into());
    let output = paths.next().unwrap_or("tiny-5-bits.gguf".into());

    let mut framework = Framework::cpu(8.0, 0.02);
    framework.config.goal.bpw = Some(5.0);
    let report = framework.run(&input, &output)?;

    let metrics = report.metrics();
    println!("{output}: {} bytes of {}", metrics.output_bytes, metrics.input_bytes);
    println!("{:.3} bits per weight", metrics.bpw);
    println!("{:.1} % less than 32-bit floats", 100.0 * metrics.memory_reduction);
    for tensor in report.tensors.iter().take(3) {
        println!("{}: {} -> {}", tensor.name, tensor.from, tensor.format);
    }
    Ok(())
}
