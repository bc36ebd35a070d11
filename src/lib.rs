//! Quantizes a full-precision GGUF language model to the best mix of 4 to 8 bit formats that stock
//! llama.cpp runs.
//!
//! ```
//! # fn main() -> Result<(), opencog_qat::Error> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let output = folder.path().join("tiny-quantized.gguf");
//! use opencog_qat::Framework;
//!
//! // A machine with 8 GB; a degradation of 2 % is allowed.
//! let framework = Framework::cpu(8.0, 0.02);
//! # // On little text, as this is a test too.
//! # let mut framework = framework;
//! # let calibration = &mut framework.config.calibration;
//! # (calibration.batches, calibration.batch_size, calibration.seq_len) = (Some(1), Some(8), Some(64));
//! let report = framework.run("examples/tiny.gguf", &output)?;
//! let metrics = report.metrics();
//! assert!(metrics.memory_reduction >= 0.75);
//! println!("{:.2} bits per weight", metrics.bpw);
//! # Ok(())
//! # }
//! ```
//!
//! The rooms: [`gguf`] is the container, [`block`] the block formats, [`model`] what a transformer
//! is, [`quantize`] the plan and its execution, [`validate`] how far the result is from the original,
//! [`report`] what is told of it; [`pipeline`] puts them in order. [`opencog`] is what OpenCog's data
//! is, [`companion`] its way to a file beside the model.

pub mod block;
pub mod calibrate;
pub mod cli;
pub mod companion;
pub mod config;
mod error;
pub mod evaluate;
pub mod gguf;
pub mod hardware;
mod input;
pub mod model;
pub mod opencog;
pub mod pipeline;
pub mod progress;
pub mod quantize;
pub mod report;
mod same_file;
mod sha256;
mod simd;
pub mod terminal;
mod threads;
pub mod validate;
pub mod work;

pub use config::Config;
pub use error::Error;
pub use pipeline::Job;
pub use report::Report;

use std::path::Path;

use hardware::Hardware;
use progress::Silent;

/// The programmatic entrance: a target machine, an accuracy, and models to quantize for them.
#[derive(Debug, Clone, PartialEq)]
pub struct Framework {
    /// What is asked for; every flag of the command line has its field here.
    pub config: Config,
}

impl Framework {
    /// For a machine that runs the model on its processor, with `memory` GB (10^9 bytes) for
    /// weights and KV cache, and a largest allowed degradation of `accuracy` (a fraction: 0.02).
    pub fn cpu(memory: f64, accuracy: f64) -> Framework {
        Framework::on(Hardware::Cpu, memory, accuracy)
    }

    /// The same for a machine that runs it on a graphics card with so much memory.
    pub fn gpu(memory: f64, accuracy: f64) -> Framework {
        Framework::on(Hardware::Gpu, memory, accuracy)
    }

    fn on(hardware: Hardware, memory: f64, accuracy: f64) -> Framework {
        let (memory, accuracy) = (Some(memory), Some(accuracy));
        Framework { config: Config { hardware, memory, accuracy, ..Config::default() } }
    }

    /// Quantizes the model `input` to the new file `output`.
    pub fn run(&self, input: impl AsRef<Path>, output: impl AsRef<Path>) -> Result<Report, Error> {
        let job = Job::new(input.as_ref(), output.as_ref());
        pipeline::run(&job, &self.config, &Silent)
    }
}
