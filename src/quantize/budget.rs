//! How many bytes the quantized tensors may take, by what the user asked for.

use std::fmt;

use crate::config::{Config, Goal};
use crate::gguf::{Gguf, TensorInfo};
use crate::hardware::Memory;
use crate::model::kv_cache_bytes;

use super::error::PlanError;
use super::options::{Kept, Options};
use super::pace::Pace;
use super::size::{Bytes, Header};

/// What the limits are counted against, known before any format is chosen.
#[derive(Debug, Clone, Copy)]
pub struct Fixed {
    /// Weights of the whole model.
    pub parameters: u64,
    /// Weights of the tensors whose formats are to be chosen.
    pub quantized_parameters: u64,
    /// The tensors that stay as they are.
    pub kept: Bytes,
    /// Those of them that are quantized already.
    pub already: AlreadyQuantized,
    /// The header, with the flags of the configuration.
    pub header: Header,
    /// Bytes of the KV cache.
    pub kv_cache: u64,
    /// The speed that is asked for, if one is.
    pub pace: Option<Pace>,
}

impl Fixed {
    /// What does not depend on the choice of formats; `kv_cache` in bytes.
    pub fn of(
        gguf: &Gguf,
        config: &Config,
        options: &[Options],
        header: Header,
        kv_cache: u64,
    ) -> Fixed {
        let mut fixed = Fixed {
            parameters: 0,
            quantized_parameters: 0,
            kept: Bytes::default(),
            already: AlreadyQuantized::default(),
            header,
            kv_cache,
            pace: Pace::of(gguf, config, options),
        };
        for (tensor, options) in gguf.tensors().iter().zip(options) {
            fixed.parameters += tensor.elements();
            match options {
                Options::Formats(_) => fixed.quantized_parameters += tensor.elements(),
                Options::Kept(kept) => {
                    fixed.kept += Bytes::of_tensor(tensor.bytes(), header.alignment);
                    if *kept == Kept::AlreadyQuantized {
                        fixed.already.add(tensor);
                    }
                }
            }
        }
        fixed
    }
}

/// Tensors that the input has in block formats, and that stay in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AlreadyQuantized {
    /// How many.
    pub tensors: usize,
    /// Their weights.
    pub weights: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl AlreadyQuantized {
    /// Counts another one.
    pub fn add(&mut self, tensor: &TensorInfo) {
        self.tensors += 1;
        self.weights += tensor.elements();
        self.bytes += tensor.bytes();
    }
}

/// A limit on the bytes of the quantized tensors, and what set it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// What the quantized tensors may take, or add to the file.
    pub bytes: u64,
    /// What set it.
    pub kind: LimitKind,
}

/// What set a limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LimitKind {
    /// `--memory`: bounds the file.
    Memory(Memory),
    /// `--size`, in bytes: bounds the file.
    Size(u64),
    /// `--reduction`, a fraction: bounds the tensors.
    Reduction(f64),
    /// [`Goal::REDUCTION`], which nobody asked for: reached as far as it can be.
    DefaultReduction,
    /// `--bpw`: bounds the tensors.
    Bpw(f64),
}

/// The flag.
impl fmt::Display for LimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LimitKind::Memory(memory) => write!(f, "{memory}"),
            LimitKind::Size(bytes) => write!(f, "--size {bytes}"),
            LimitKind::Reduction(reduction) => write!(f, "--reduction {reduction}"),
            LimitKind::DefaultReduction => write!(f, "the default --reduction {}", Goal::REDUCTION),
            LimitKind::Bpw(bpw) => write!(f, "--bpw {bpw}"),
        }
    }
}

/// Bytes of the KV cache of `context` tokens. If they cannot be reckoned, a limit that they count
/// against is an error if the user asked for it, and is checked without them if nobody did.
pub fn kv_cache(gguf: &Gguf, config: &Config, context: u64) -> Result<u64, PlanError> {
    let reckoned = kv_cache_bytes(gguf.metadata(), gguf.tensors(), context);
    let asked = match (config.memory, config.context) {
        (Some(gb), _) => format!("--memory {gb}"),
        (None, Some(context)) => format!("--context {context}"),
        (None, None) => return Ok(reckoned.unwrap_or(0)),
    };
    reckoned.map_err(|reason| {
        PlanError::Unreachable(format!(
            "{asked}: {reason}; without --memory and --context, no cache is counted"
        ))
    })
}

impl Fixed {
    /// The limits on what the quantized tensors add to the file, the tightest first.
    pub fn file_limits(&self, config: &Config) -> Vec<Limit> {
        let within = |file: u64| self.header.room_in(file).saturating_sub(self.kept.file);
        let memory = config.memory();
        let bytes = within(memory.bytes().saturating_sub(self.kv_cache));
        let memory = Limit { bytes, kind: LimitKind::Memory(memory) };
        let size = |size| Limit { bytes: within(size), kind: LimitKind::Size(size) };
        tightest_first([Some(memory), config.goal.size.map(size)])
    }

    /// The limits on the bytes of the quantized tensors, the tightest first.
    pub fn tensor_limits(&self, config: &Config) -> Vec<Limit> {
        let Goal { reduction, size, bpw } = config.goal;
        let limit = |bytes: f64, kind: LimitKind| {
            // A hair more, so that `--bpw 4.2` allows 4.2 in spite of rounding.
            Limit { bytes: (bytes + 1e-12 * bytes.abs()).max(0.0) as u64, kind }
        };
        let reduced = |reduction: f64, kind| {
            let bytes = (1.0 - reduction) * 4.0 * self.parameters as f64;
            limit(bytes - self.kept.tensors as f64, kind)
        };
        let asked_otherwise = size.is_some() || bpw.is_some() || config.formats.is_some();
        let by_default = reduction.is_none() && !asked_otherwise;
        let default = || reduced(Goal::REDUCTION, LimitKind::DefaultReduction);
        tightest_first([
            reduction.map(|reduction| reduced(reduction, LimitKind::Reduction(reduction))),
            by_default.then(default),
            bpw.map(|bpw| limit(self.at_bpw(bpw), LimitKind::Bpw(bpw))),
        ])
    }

    /// What the quantized tensors may take if all tensors in blocks have so many bits on average.
    fn at_bpw(&self, bpw: f64) -> f64 {
        let weights = self.quantized_parameters + self.already.weights;
        bpw * weights as f64 / 8.0 - self.already.bytes as f64
    }

    /// Why `limit` cannot be met when the quantized tensors take, or add to the file, `smallest`
    /// bytes at least: what was asked for, and the least that can be had.
    pub fn unreachable(&self, config: &Config, limit: Limit, smallest: u64) -> String {
        let reason = self.reason(config, limit, smallest);
        match self.already.tensors {
            0 => reason,
            n => format!(
                "{reason}; of that, {n} tensors are already quantized, and get no fewer bits than \
                 they have unless --allow-requantize is given"
            ),
        }
    }

    fn reason(&self, config: &Config, limit: Limit, smallest: u64) -> String {
        match limit.kind {
            LimitKind::Memory(memory) => {
                let least = self.least_memory(config, smallest);
                let file = self.file(&with_memory(config, least), config, smallest);
                let allow = match memory {
                    Memory::Asked(_) => "allow that much",
                    _ => "allow that much with --memory, for a machine that has it",
                };
                format!(
                    "{memory}: {} GB is the least that can be had, for the smallest file, of \
                     {file} bytes, and the KV cache, of {}; {allow}, fewer --bits or a smaller \
                     --context",
                    gigabytes(least),
                    self.kv_cache
                )
            }
            LimitKind::Size(size) => {
                let file = self.least_size(config, smallest);
                format!("--size {size}: the smallest file that can be made has {file} bytes")
            }
            LimitKind::Reduction(reduction) => self.unreachable_reduction(reduction, smallest),
            LimitKind::DefaultReduction => self.unreachable_reduction(Goal::REDUCTION, smallest),
            LimitKind::Bpw(bpw) => {
                let weights = self.quantized_parameters + self.already.weights;
                let smallest = (smallest + self.already.bytes) as f64 * 8.0 / weights as f64;
                format!("--bpw {bpw}: the least that can be had is {:.4}", round_up(smallest))
            }
        }
    }

    fn unreachable_reduction(&self, asked: f64, smallest: u64) -> String {
        let tensors = self.kept.tensors + smallest;
        let reachable = 1.0 - tensors as f64 / (4.0 * self.parameters as f64);
        let reachable = (reachable * 1e4).floor() / 1e4;
        format!(
            "--reduction {asked}: {reachable:.4} is the most that can be reached, with tensors of \
             {tensors} bytes"
        )
    }

    /// Bytes of the file whose tensors add `smallest`, made with the flags of `with` in place of
    /// those of `config`: they stand in its metadata.
    fn file(&self, with: &Config, config: &Config, smallest: u64) -> u64 {
        let flags = |config: &Config| config.to_string().len() as u64;
        let bytes = self.header.bytes - flags(config) + flags(with);
        let header = Header { bytes, ..self.header };
        header.file_with(self.kept + Bytes { tensors: 0, file: smallest })
    }

    fn least_size(&self, config: &Config, smallest: u64) -> u64 {
        least(1, |size| {
            let goal = Goal { size: Some(size), ..config.goal };
            self.file(&Config { goal, ..config.clone() }, config, smallest)
        })
    }

    /// In bytes.
    fn least_memory(&self, config: &Config, smallest: u64) -> u64 {
        let needed =
            |memory| self.file(&with_memory(config, memory), config, smallest) + self.kv_cache;
        // A rounder number is shorter, and leaves more room in the file.
        let steps = (0..=9).map(|digits| 10u64.pow(digits));
        steps.map(|step| least(step, needed)).min().unwrap_or(u64::MAX)
    }
}

/// The least multiple of `step` that is enough for what it itself makes needed, which is the more
/// the longer it is in decimal.
fn least(step: u64, needed: impl Fn(u64) -> u64) -> u64 {
    let mut n = 0;
    loop {
        let needed = needed(n);
        if needed <= n {
            return n;
        }
        // None between is enough: none is shorter than `n`.
        n = needed.next_multiple_of(step);
    }
}

fn with_memory(config: &Config, bytes: u64) -> Config {
    Config { memory: Some(gigabytes(bytes)), ..config.clone() }
}

fn gigabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e9
}

fn tightest_first<const N: usize>(limits: [Option<Limit>; N]) -> Vec<Limit> {
    let mut limits: Vec<Limit> = limits.into_iter().flatten().collect();
    limits.sort_by_key(|limit| limit.bytes);
    limits
}

/// The next number with four decimals.
fn round_up(x: f64) -> f64 {
    (x * 1e4).ceil() / 1e4
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::{Metadata, Value, Writer};

    const FIXED: Fixed = Fixed {
        parameters: 1_000_000,
        quantized_parameters: 900_000,
        kept: Bytes { tensors: 400_000, file: 400_032 },
        already: AlreadyQuantized { tensors: 0, weights: 0, bytes: 0 },
        header: Header { bytes: 10_003, alignment: 32 },
        kv_cache: 5_000,
        pace: None,
    };

    #[test]
    fn the_tightest_limit_comes_first() {
        let mut config = Config { memory: Some(1e-3), ..Config::default() };
        config.goal.size = Some(900_000);
        let limits = FIXED.file_limits(&config);
        assert_eq!(limits[0], Limit { bytes: 489_965, kind: LimitKind::Size(900_000) });
        // 995,000 less what is no multiple of 32, less header and kept tensors.
        assert_eq!(
            limits[1],
            Limit { bytes: 584_941, kind: LimitKind::Memory(Memory::Asked(1e-3)) }
        );
        assert!(FIXED.tensor_limits(&config).is_empty(), "the default reduction gives way");
    }

    #[test]
    fn the_default_reduction_is_a_limit_where_no_size_is_asked_for() {
        let mut config = Config::default();
        let default = Limit { bytes: 600_000, kind: LimitKind::DefaultReduction };
        assert_eq!(FIXED.tensor_limits(&config), [default]);
        config.goal.bpw = Some(4.5);
        let bpw = Limit { bytes: 506_250, kind: LimitKind::Bpw(4.5) };
        assert_eq!(FIXED.tensor_limits(&config), [bpw]);
    }

    /// The number after `before`.
    fn number(message: &str, before: &str) -> f64 {
        let rest = message.split(before).nth(1).unwrap();
        rest.split_whitespace().next().unwrap().parse().unwrap()
    }

    #[test]
    fn the_size_that_is_named_is_the_least() {
        // Sizes around those where another digit makes a header of another 32 bytes.
        for smallest in (1..200).chain(589_930..590_000).chain(9_589_940..9_590_000) {
            let ask = |size| {
                let goal = Goal { size: Some(size), ..Goal::default() };
                let config = Config { goal, ..Config::default() };
                let flags = config.to_string().len() as u64;
                let header = Header { bytes: 9_900 + flags, alignment: 32 };
                let fixed = Fixed { header, ..FIXED };
                let limit = fixed.file_limits(&config)[0];
                let reachable = smallest <= limit.bytes;
                (reachable, fixed.unreachable(&config, limit, smallest))
            };
            let least = number(&ask(10).1, "the smallest file that can be made has ") as u64;
            assert!(ask(least).0 && !ask(least - 1).0, "{smallest}: {least}");
        }
    }

    #[test]
    fn the_memory_that_is_named_is_the_least() {
        for smallest in (1..300).chain(584_000..584_300).chain(99_584_000..99_584_100) {
            let ask = |bytes: u64| {
                let config = Config { memory: Some(gigabytes(bytes)), ..Config::default() };
                let flags = config.to_string().len() as u64;
                let header = Header { bytes: 9_900 + flags, alignment: 32 };
                let fixed = Fixed { header, ..FIXED };
                let limit = fixed.file_limits(&config)[0];
                (smallest <= limit.bytes, fixed.unreachable(&config, limit, smallest))
            };
            let least = (number(&ask(10).1, "--memory 0.00000001: ") * 1e9).round() as u64;
            assert!(ask(least).0, "{smallest}: {least}");
            (least - 50..least).for_each(|less| assert!(!ask(less).0, "{smallest}: {less}"));
        }
    }

    #[test]
    fn a_cache_that_nobody_knows_is_refused_if_its_limit_was_asked_for() {
        let mut metadata = Metadata::new();
        metadata.set("general.architecture", Value::string("llama"));
        let writer = Writer::new(Vec::new(), "a model".as_ref(), &metadata, &[]).unwrap();
        let gguf = Gguf::from_bytes("a model", writer.finish().unwrap()).unwrap();
        let of = |memory, context| {
            let config = Config { memory, context, ..Config::default() };
            kv_cache(&gguf, &config, 4096).map_err(|reason| reason.to_string())
        };
        assert_eq!(of(None, None), Ok(0));
        let refused = of(Some(4.0), None).unwrap_err();
        assert!(refused.starts_with("--memory 4: the KV cache cannot be reckoned: llama.block"));
        assert!(of(None, Some(512)).unwrap_err().starts_with("--context 512: "));
    }

    #[test]
    fn a_default_that_cannot_be_met_says_what_to_ask_for() {
        let limit = Limit { bytes: 0, kind: LimitKind::Memory(Memory::ThisMachine(16.73)) };
        let message = FIXED.unreachable(&Config::default(), limit, 450_000);
        assert!(
            message.starts_with("the default --memory 16.7 (this machine): 0.000"),
            "{message}"
        );
        assert!(message.contains("allow that much with --memory"), "{message}");
    }

    #[test]
    fn what_is_quantized_already_counts_among_bits_per_weight() {
        let already = AlreadyQuantized { tensors: 2, weights: 100_000, bytes: 50_000 };
        let fixed = Fixed { already, ..FIXED };
        let mut config = Config::default();
        config.goal.bpw = Some(4.8);
        let limit = fixed.tensor_limits(&config)[0];
        assert_eq!(limit, Limit { bytes: 550_000, kind: LimitKind::Bpw(4.8) });
        let message = fixed.unreachable(&config, limit, 575_000);
        assert!(message.contains("is 5.0000; of that, 2 tensors are already"), "{message}");
    }

    #[test]
    fn messages_name_the_least_that_can_be_had() {
        let message =
            |kind| FIXED.unreachable(&Config::default(), Limit { bytes: 0, kind }, 450_000);
        assert!(message(LimitKind::Bpw(2.0)).contains("4.0000"));
        assert!(message(LimitKind::Reduction(0.9)).contains("0.7875"));
    }
}
