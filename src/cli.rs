//! The command line: the flags, their help, and what they mean.

mod family;
mod opencog;

pub use family::{FamilyArgs, FamilyOrder};
pub use opencog::{ExportArgs, OpenCogCommand, PackArgs};

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::{BitRange, Calibration, Config, Effort, Goal, Strategy};
use crate::evaluate::EvaluationJob;
use crate::gguf::Format;
use crate::hardware::tpu::{Layout, NO_PACK};
use crate::hardware::{Hardware, SpeedFloor};
use crate::pipeline::Job;
use crate::report::{Activations, ReportFile};
use crate::threads;
use crate::validate::scored;

const AFTER_HELP: &str = "\
Exit codes:
  0    done, and every target that was asked for met
  1    failed; no output was written
  2    bad usage
  3    done, but a target was missed: the model is kept as OUTPUT.below-target
  130  interrupted; no output was written

A run that failed or was interrupted goes on where it was, from OUTPUT.work, when it is given again.

Examples:
  opencog-qat model.gguf out.gguf                    the smallest file that loses at most 2 %
  opencog-qat --size 92MB model.gguf out.gguf        the best file of that size
  opencog-qat --effort thorough model.gguf out.gguf  train what was quantized
  opencog-qat --bpw 5 --dry-run model.gguf out.gguf  only show the plan
  opencog-qat --report card.md model.gguf out.gguf   also write a model card; .html is a page
  opencog-qat eval model.gguf out.gguf               measure what was lost
  opencog-qat inspect out.gguf                       list metadata and tensors
  opencog-qat --atomspace kb.scm model.gguf out.gguf also pack kb.scm, as out.opencog.gguf
  opencog-qat opencog pack kb.scm kb.opencog.gguf    pack OpenCog data alone";

/// Quantize a full-precision GGUF language model to the best mix of 4 to 8 bit formats that stock
/// llama.cpp runs.
#[derive(Debug, Parser)]
#[command(version, after_help = AFTER_HELP, args_conflicts_with_subcommands = true)]
#[command(subcommand_negates_reqs = true)]
pub struct Cli {
    /// What to do instead of quantizing.
    #[command(subcommand)]
    pub command: Option<Command>,

    #[command(flatten)]
    quantize: QuantizeArgs,
}

/// What can be done beside quantizing.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the metadata and tensors of a GGUF file
    Inspect {
        /// The file; of a split model, the first shard
        file: PathBuf,
    },

    /// Measure how far a quantized model is from the full-precision one: perplexity, KL
    /// divergence, likeliest tokens, as llama-perplexity defines them
    ///
    /// The figures are those of llama-perplexity on a CPU, but for two. Its perplexity of the
    /// full-precision model comes from a file that ends 16 nats below the likeliest token, so that
    /// it is too low on unlikely text; here it is exact. And below a KLD of some 4e-4, or 1e-3 with
    /// K-quants, what is measured is how rounded activations happen to fall, there as here: the same
    /// file differs from itself with another micro-batch (-ub). The table tells where either applies.
    /// A model whose activations are beyond what llama.cpp can hold is NaN there, and an error here
    #[command(verbatim_doc_comment)]
    Eval(EvalArgs),

    /// Make several sizes of a model from one text and one search: for people who publish GGUF files
    Family(Box<FamilyArgs>),

    /// Pack OpenCog data (AtomSpace, MeTTa, MOSES, ECAN), write it as text again, or tell what there is
    #[command(subcommand, name = "opencog")]
    OpenCog(OpenCogCommand),
}

/// What `eval` is asked for.
#[derive(Debug, Args)]
pub struct EvalArgs {
    /// The full-precision model; of a split one, the first shard
    #[arg(value_name = "BASE.gguf")]
    base: PathBuf,

    /// The quantized model
    #[arg(value_name = "QUANT.gguf")]
    quantized: PathBuf,

    /// Measure on this text [default: on text that the full-precision model writes]
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,

    /// Chunks of text to measure on, at most [default: all of the text, or 16 of the model's own]
    #[arg(long, value_name = "N")]
    chunks: Option<usize>,

    /// Tokens of a chunk; its second half is scored [default: 512, or the model's context where that
    /// is shorter]
    #[arg(long, value_name = "TOKENS")]
    context: Option<usize>,

    /// How activations meet weights: rounded, as llama.cpp rounds them on a CPU, or float, which
    /// shows the loss by the weights alone
    #[arg(long, default_value = "rounded", value_parser = activations)]
    activations: Activations,

    /// Print JSON instead of the table
    #[arg(long)]
    json: bool,

    /// Also write a report: .html is a page to look at, .md a text, .json for programs, with where
    /// in the text the models differ most; an existing file is replaced
    #[arg(long, value_name = "FILE", value_parser = report_file())]
    report: Option<ReportFile>,

    /// Also write what the full-precision model predicts, as llama-perplexity
    /// --kl-divergence-base does
    #[arg(long, value_name = "FILE")]
    write_logits: Option<PathBuf>,

    /// Replace an existing file of logits
    #[arg(long)]
    force: bool,

    /// Where the randomness of the model's own text comes from
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Threads to work with [default: one for each core]; the result does not depend on it
    #[arg(long, value_name = "N")]
    threads: Option<usize>,

    /// Show no progress
    #[arg(long, short)]
    pub quiet: bool,
}

impl EvalArgs {
    /// Whether the result is printed as JSON.
    pub fn json(&self) -> bool {
        self.json
    }

    /// The job, checked.
    pub fn job(self) -> anyhow::Result<EvaluationJob> {
        if self.chunks == Some(0) {
            bail!("--chunks 0: must be at least 1");
        }
        threads::check(self.threads)?;
        let odd = |context: &usize| scored(*context).is_empty() || *context > MOST_CONTEXT;
        if let Some(context) = self.context.filter(odd) {
            bail!("--context {context}: must lie between 3 and {MOST_CONTEXT} tokens");
        }
        Ok(EvaluationJob {
            base: self.base,
            quantized: self.quantized,
            text: self.text,
            chunks: self.chunks,
            context: self.context,
            activations: self.activations,
            logits: self.write_logits,
            report: self.report,
            force: self.force,
            seed: self.seed,
            threads: self.threads,
        })
    }
}

/// The longest chunk, in tokens: more than any model was made for.
const MOST_CONTEXT: usize = 1 << 20;

#[derive(Debug, Args)]
struct QuantizeArgs {
    /// The full-precision model; of a split one, the first shard
    #[arg(value_name = "MODEL.gguf", required = true)]
    input: Option<PathBuf>,

    /// The file to write
    #[arg(value_name = "OUT.gguf", required = true)]
    output: Option<PathBuf>,

    /// The machine that will run the model: cpu, gpu, or tpu, which multiplies int8 with one scale a
    /// row and int4 with one scale for 128 inputs. For a TPU weights are quantized and trained on these
    /// grids, as Q8_0 and Q4_0 blocks that repeat the scale: llama.cpp runs the file, too, and the
    /// folder OUT.tpu holds the same weights as loaders for TPUs expect them
    #[arg(long, default_value = "cpu", value_parser = hardware, help_heading = "Target")]
    hardware: Hardware,

    /// The folder OUT.tpu that --hardware tpu writes beside OUT.gguf, with the same weights as TPU
    /// programs load them: compressed-tensors, for vLLM, MaxText and transformers; qwix, for JAX
    /// programs with qwix's quantized arrays; none, for no folder [default: compressed-tensors]
    #[arg(long, value_name = "LAYOUT", value_parser = tpu_layout, help_heading = "Target")]
    tpu_layout: Option<TpuLayout>,

    /// Memory of that machine in GB (10^9 bytes): weights and KV cache must fit [default: what this
    /// machine has, or 8 if that cannot be found]
    #[arg(long, value_name = "GB", help_heading = "Target")]
    memory: Option<f64>,

    /// Tokens of context that must fit [default: the model's own, at most 4096]
    #[arg(long, value_name = "TOKENS", help_heading = "Target")]
    context: Option<u64>,

    /// Largest allowed degradation on the model's own text, between 0 and 1, measured at --effort
    /// standard and thorough. If it is asked for and cannot be measured, as at --effort fast, it is
    /// missed: exit code 3 [default: 0.02, unless --size, --bpw or --formats is given]
    #[arg(long, value_name = "FRACTION", help_heading = "Target")]
    accuracy: Option<f64>,

    /// How fast the model must be on that machine, against the same model in Q4_0: 0.9 for nine
    /// tokens in the time that Q4_0 takes to generate ten, prompt:0.9 for reading a prompt so fast.
    /// It is reckoned from the speed of each format: on a CPU as llama-bench measured it, for a GPU
    /// as others published it
    #[arg(long, value_name = "[prompt:]FRACTION", help_heading = "Target")]
    speed: Option<SpeedFloor>,

    /// Nominal bits of the formats a quantized tensor may have
    #[arg(long, value_name = "MIN:MAX", default_value = "4:8", help_heading = "Size")]
    bits: BitRange,

    /// Memory reduction to reach, against 32-bit floats [default: 0.75 unless --size, --bpw or
    /// --formats is given]
    #[arg(long, value_name = "FRACTION", help_heading = "Size")]
    reduction: Option<f64>,

    /// The best file of at most this many bytes: 92000000, 92MB, 1.5GB, 700MiB
    #[arg(long, value_name = "BYTES", value_parser = size, help_heading = "Size")]
    size: Option<u64>,

    /// The best file of at most this many bits per weight, over the quantized tensors
    #[arg(long, value_name = "BITS", conflicts_with = "size", help_heading = "Size")]
    bpw: Option<f64>,

    /// Only these formats, Q4_K,Q6_K for example; where blocks of 256 do not divide the rows, IQ4_NL
    /// stands in for Q4_K and IQ4_XS, Q5_0 for Q5_K, Q5_1 for Q6_K. MXFP4 only if it is named here: it
    /// loses more than IQ4_XS of as many bits, and needs a llama.cpp of August 2025 or later
    #[arg(long, value_name = "LIST", value_delimiter = ',', help_heading = "Plan")]
    formats: Option<Vec<Format>>,

    /// Only formats that programs other than llama.cpp decode too: Q4_0, Q4_K, Q5_K, Q6_K and Q8_0.
    /// Rows that are no multiple of 256 get Q4_0 or Q8_0, whatever the strategy
    #[arg(long, help_heading = "Plan")]
    portable: bool,

    /// How formats are chosen: search by error and bytes, or the fixed table of the specification
    #[arg(long, default_value = "search", value_parser = strategy, help_heading = "Plan")]
    strategy: Strategy,

    /// How much is spent on quality: fast looks at the weights only; standard also has the model
    /// write text, weights errors by what matters on it, and measures what was lost; thorough also
    /// trains the quantized weights, on more such text, to do what the full-precision model does
    #[arg(long, default_value = "standard", value_parser = effort, help_heading = "Plan")]
    effort: Effort,

    /// Batches of text that the model writes at --effort standard and thorough [default: 6, or 9 at
    /// --effort thorough]
    #[arg(long, value_name = "N", help_heading = "Calibration")]
    batches: Option<usize>,

    /// Sequences of a batch [default: 8, or 16 at --effort thorough]
    #[arg(long, value_name = "N", help_heading = "Calibration")]
    batch_size: Option<usize>,

    /// Tokens of a sequence [default: 512, or the model's context where that is shorter]
    #[arg(long, value_name = "TOKENS", help_heading = "Calibration")]
    seq_len: Option<usize>,

    /// Also measure what was lost on this text, which is never used to calibrate
    #[arg(long, value_name = "FILE", help_heading = "Calibration")]
    eval_text: Option<PathBuf>,

    /// Measure with this llama-bench how fast the model is [default: the one on the PATH, if there is
    /// one, but none with --effort fast]; without one, speed is estimated. It takes a minute at most,
    /// unless one run of a model is longer
    #[arg(long, value_name = "PATH", help_heading = "Run")]
    #[arg(value_parser = PathBufValueParser::new().try_map(program))]
    llama_bench: Option<PathBuf>,

    /// Time that training may take at --effort thorough: 90s, 30m, 1h30m. Where it is short, all layers
    /// have fewer steps, and the last ones may stay untrained: the output then depends on the speed of
    /// the machine [default: as long as it takes]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    #[arg(help_heading = "Plan")]
    time: Option<Duration>,

    /// Tokens that the whole model also learns from at --effort thorough, end to end, after its
    /// layers have learnt one by one; it takes 14 bytes of memory for each weight
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Plan")]
    train_tokens: usize,

    /// Let tensors that are quantized already get fewer bits, and lose twice. Without it they stay
    /// as they are, and a model that has no others is refused
    #[arg(long, help_heading = "Plan")]
    allow_requantize: bool,

    /// Where all randomness comes from
    #[arg(long, default_value_t = 0, help_heading = "Plan")]
    seed: u64,

    #[command(flatten)]
    opencog: opencog::ModelArgs,

    /// Also write a report of what was done: .html is a page to look at, .md a model card, .json
    /// for programs; an existing file is replaced
    #[arg(long, value_name = "FILE", value_parser = report_file(), help_heading = "Run")]
    report: Option<ReportFile>,

    /// Also encode and measure llama.cpp's usual recipes (Q4_K_M, Q5_K_M, Q6_K, Q8_0), to compare;
    /// each takes as long as a step of the search. It goes with --effort standard and thorough
    #[arg(long, help_heading = "Run")]
    compare_recipes: bool,

    /// Show the plan and write nothing, after the search and the training; at --effort fast in a
    /// moment, as only some rows of the weights are looked at, so that a weight that is no number may
    /// be found by the real run only
    #[arg(long, help_heading = "Run")]
    dry_run: bool,

    /// Replace an existing output, and the state that another command left beside it
    #[arg(long, help_heading = "Run")]
    force: bool,

    /// Threads to work with [default: one for each core]; the output does not depend on it,
    /// unless there is a --time
    #[arg(long, value_name = "N", help_heading = "Run")]
    threads: Option<usize>,

    /// Print nothing but warnings and errors
    #[arg(long, short, conflicts_with = "verbose", help_heading = "Run")]
    quiet: bool,

    /// Tell of each step on standard error; twice, also of each candidate and each batch
    #[arg(long, short, action = ArgAction::Count, help_heading = "Run")]
    verbose: u8,
}

/// A checked order to quantize.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Which files.
    pub job: Job,
    /// How.
    pub config: Config,
    /// What is told of it.
    pub telling: Telling,
}

/// What is told of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Telling {
    /// Whether the terminal stays empty.
    pub quiet: bool,
    /// How much is traced: 0 to 2.
    pub verbose: u8,
}

impl Cli {
    /// Reads the command line, or ends the process with exit code 2 and a message.
    pub fn parse_or_exit() -> Cli {
        let command = Cli::command().mut_subcommand("family", family::with_own_help);
        let mut again = command.clone();
        let cli = Cli::from_arg_matches(&command.get_matches());
        let cli = cli.unwrap_or_else(|error| error.exit());
        if let Some(Command::OpenCog(OpenCogCommand::Pack(args))) = &cli.command
            && let Some(fault) = args.misuse()
        {
            let opencog = again.find_subcommand_mut("opencog");
            let pack = opencog.and_then(|command| command.find_subcommand_mut("pack"));
            let pack = pack.expect("its arguments were read");
            pack.error(ErrorKind::WrongNumberOfValues, fault).exit();
        }
        cli
    }

    /// The order to quantize, checked.
    pub fn order(self) -> anyhow::Result<Order> {
        self.quantize.order()
    }
}

impl QuantizeArgs {
    /// The order, checked.
    fn order(self) -> anyhow::Result<Order> {
        let args = self;
        let (Some(input), Some(output)) = (args.input, args.output) else {
            bail!("name a model and an output");
        };
        let goal = Goal { reduction: args.reduction, size: args.size, bpw: args.bpw };
        let config = Config {
            hardware: args.hardware,
            memory: args.memory,
            context: args.context,
            accuracy: args.accuracy,
            speed: args.speed,
            bits: args.bits,
            goal,
            formats: args.formats,
            portable: args.portable,
            strategy: args.strategy,
            effort: args.effort,
            calibration: Calibration {
                batches: args.batches,
                batch_size: args.batch_size,
                seq_len: args.seq_len,
            },
            time: args.time,
            train_tokens: args.train_tokens,
            allow_requantize: args.allow_requantize,
            seed: args.seed,
        };
        config.validate()?;
        if let (Some(text), Effort::Fast) = (&args.eval_text, args.effort) {
            let text = text.display();
            bail!(
                "--eval-text {text}: needs --effort standard or thorough; fast looks at weights only"
            );
        }
        if let (true, Effort::Fast) = (args.compare_recipes, args.effort) {
            bail!("--compare-recipes: needs --effort standard or thorough; fast measures nothing");
        }
        if let (Some(layout), false) = (args.tpu_layout, args.hardware == Hardware::Tpu) {
            let name = layout.0.map_or(NO_PACK, Layout::name);
            bail!("--tpu-layout {name}: needs --hardware tpu");
        }
        let (force, dry_run, threads) = (args.force, args.dry_run, args.threads);
        let (eval_text, report) = (args.eval_text, args.report);
        let compare_recipes = args.compare_recipes;
        let opencog = args.opencog.request();
        let tpu_layout = args.tpu_layout.map_or(Some(Layout::default()), |layout| layout.0);
        let llama_bench = args.llama_bench;
        let job = Job {
            input,
            output,
            opencog,
            eval_text,
            llama_bench,
            report,
            compare_recipes,
            tpu_layout,
            force,
            dry_run,
            threads,
        };
        job.validate()?;
        let (quiet, verbose) = (args.quiet, args.verbose);
        Ok(Order { job, config, telling: Telling { quiet, verbose } })
    }
}

/// A file whose extension names a format of reports.
fn report_file() -> impl TypedValueParser<Value = ReportFile> {
    PathBufValueParser::new().try_map(ReportFile::new)
}

fn hardware(name: &str) -> Result<Hardware, String> {
    match name {
        "cpu" => Ok(Hardware::Cpu),
        "gpu" => Ok(Hardware::Gpu),
        "tpu" => Ok(Hardware::Tpu),
        _ => Err("expected cpu, gpu or tpu".into()),
    }
}

/// A program that is there.
fn program(path: PathBuf) -> Result<PathBuf, String> {
    match path.is_file() {
        true => Ok(path),
        false => Err("there is no such file; name the program llama-bench of llama.cpp".into()),
    }
}

/// How the folder for a TPU is laid out, if there is to be one.
#[derive(Debug, Clone, Copy)]
struct TpuLayout(Option<Layout>);

fn tpu_layout(name: &str) -> Result<TpuLayout, String> {
    let layout = Layout::ALL.into_iter().find(|layout| layout.name() == name);
    match layout.is_some() || name == NO_PACK {
        true => Ok(TpuLayout(layout)),
        false => Err("expected compressed-tensors, qwix or none".into()),
    }
}

fn strategy(name: &str) -> Result<Strategy, String> {
    match name {
        "search" => Ok(Strategy::Search),
        "fixed" => Ok(Strategy::Fixed),
        _ => Err("expected search or fixed".into()),
    }
}

fn effort(name: &str) -> Result<Effort, String> {
    match name {
        "fast" => Ok(Effort::Fast),
        "standard" => Ok(Effort::Standard),
        "thorough" => Ok(Effort::Thorough),
        _ => Err("expected fast, standard or thorough".into()),
    }
}

fn activations(name: &str) -> Result<Activations, String> {
    match name {
        "rounded" => Ok(Activations::Rounded),
        "float" => Ok(Activations::Float),
        _ => Err("expected rounded or float".into()),
    }
}

/// Bytes, with a decimal or binary unit.
fn size(text: &str) -> Result<u64, String> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text[number.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "t" | "tb" => 1e12,
        "kib" => f64::from(1 << 10),
        "mib" => f64::from(1 << 20),
        "gib" => f64::from(1 << 30),
        _ => return Err("expected bytes, with a unit such as MB, GB or MiB".into()),
    };
    // Whole bytes exactly, as far as they go.
    if let (Ok(bytes), 1.0) = (number.parse::<u64>(), unit) {
        return Ok(bytes);
    }
    match number.trim().parse::<f64>() {
        Ok(n) if n.is_finite() && (0.0..1e18).contains(&(n * unit)) => Ok((n * unit) as u64),
        _ => Err("expected a number of bytes: 92000000, 92MB, 1.5GB".into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("92000000"), Ok(92_000_000));
        assert_eq!(size("92MB"), Ok(92_000_000));
        assert_eq!(size("1.5g"), Ok(1_500_000_000));
        assert_eq!(size("700MiB"), Ok(700 << 20));
        assert_eq!(size("18446744073709551615"), Ok(u64::MAX));
        assert!(size("-1").is_err() && size("many").is_err() && size("1e30").is_err());
        assert!(size("NaN").is_err() && size("").is_err() && size("1XB").is_err());
    }
}
