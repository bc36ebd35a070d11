//! What the user asks for, and whether it makes sense.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::block::{can_encode, nominal_bits};
use crate::gguf::Format;
use crate::hardware::{Hardware, Memory, PORTABLE, SpeedFloor};
use crate::validate::{CONTEXT, Target};

/// The fewest tokens that a sequence of calibration text has.
pub(crate) const LEAST_SEQ_LEN: usize = 16;

/// Everything that decides what is written. Where it is the same, so are the bytes, unless training
/// has a limited `time`.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The machine that will run the model.
    pub hardware: Hardware,
    /// Memory of that machine, in GB (10^9 bytes): weights and KV cache must fit; `None` for what
    /// this machine has, see [`Config::memory()`].
    pub memory: Option<f64>,
    /// Tokens of context that must fit; `None` for the model's own, at most 4096.
    pub context: Option<u64>,
    /// Largest allowed degradation, a fraction; `None` for [`Config::ACCURACY`] unless a size is
    /// asked for.
    pub accuracy: Option<f64>,
    /// How fast the model must be, against the same model in Q4_0, where that is asked for.
    pub speed: Option<SpeedFloor>,
    /// Nominal bits of the formats a quantized tensor may have.
    pub bits: BitRange,
    /// What the plan aims at.
    pub goal: Goal,
    /// Only these formats, where given.
    pub formats: Option<Vec<Format>>,
    /// Whether only formats that other programs than llama.cpp decode too ([`PORTABLE`]) may be
    /// chosen.
    pub portable: bool,
    /// How the plan is made.
    pub strategy: Strategy,
    /// How much is spent on it.
    pub effort: Effort,
    /// How much text the model writes to be calibrated and measured on.
    pub calibration: Calibration,
    /// Wall-clock time that training may take; what is learnt in it depends on the machine. `None`
    /// where it may take as long as it does.
    pub time: Option<Duration>,
    /// Tokens that the whole model learns from, end to end, after its layers have learnt one by one;
    /// 0 for none.
    pub train_tokens: usize,
    /// Whether tensors that are quantized already may get fewer bits. They never get more.
    pub allow_requantize: bool,
    /// Where all randomness comes from.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            hardware: Hardware::Cpu,
            memory: None,
            context: None,
            accuracy: None,
            speed: None,
            bits: BitRange { min: 4, max: 8 },
            goal: Goal::default(),
            formats: None,
            portable: false,
            strategy: Strategy::Search,
            effort: Effort::Standard,
            calibration: Calibration::default(),
            time: None,
            train_tokens: 0,
            allow_requantize: false,
            seed: 0,
        }
    }
}

/// The size that the plan must keep to; within it, it loses as little as it can.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Goal {
    /// Memory reduction to reach, against 32-bit floats; `None` for [`Goal::REDUCTION`], as far as
    /// it can be reached and no other size is asked for.
    pub reduction: Option<f64>,
    /// Bytes that the output file may have.
    pub size: Option<u64>,
    /// Bits per weight that the tensors may take on average.
    pub bpw: Option<f64>,
}

impl Goal {
    /// The memory reduction aimed at where nothing else is asked for.
    pub const REDUCTION: f64 = 0.75;

    /// Whether the best model of a size is wanted, not the smallest that is good enough.
    pub fn is_a_size(&self) -> bool {
        self.size.is_some() || self.bpw.is_some()
    }

    /// What asks for the size, as on the command line; empty if nothing does.
    pub(crate) fn flag(&self) -> String {
        let size = self.size.map(|size| format!("--size {size}"));
        size.or(self.bpw.map(|bpw| format!("--bpw {bpw}"))).unwrap_or_default()
    }
}

/// Nominal bits, from `min` to `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BitRange {
    /// Fewest bits.
    pub min: u32,
    /// Most bits.
    pub max: u32,
}

impl BitRange {
    /// Whether a format's nominal bits lie in the range.
    pub fn allows(self, format: Format) -> bool {
        nominal_bits(format).is_some_and(|bits| (self.min..=self.max).contains(&bits))
    }
}

impl FromStr for BitRange {
    type Err = String;

    fn from_str(text: &str) -> Result<BitRange, String> {
        let number = |text: &str| text.trim().parse::<u32>().ok();
        let ends = match text.split_once(':') {
            Some((min, max)) => number(min).zip(number(max)),
            None => number(text).map(|bits| (bits, bits)),
        };
        let (min, max) = ends.ok_or("expected MIN:MAX, 4:8 for example")?;
        Ok(BitRange { min, max })
    }
}

impl fmt::Display for BitRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.min, self.max)
    }
}

/// How formats are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// By error and bytes.
    Search,
    /// The specification's table, exactly.
    Fixed,
}

impl Strategy {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Strategy::Search => "search",
            Strategy::Fixed => "fixed",
        }
    }
}

/// How much is spent on quality.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// Only the weights are looked at.
    Fast,
    /// The model writes text, which shows what of its weights matters and what was lost.
    Standard,
    /// As `Standard`, on more text, and then the quantized weights are trained on it.
    Thorough,
}

/// How much text the model writes: `batches` times `batch_size` sequences of `seq_len` tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Calibration {
    /// Batches; `None` for 6, or 9 where weights are trained on them.
    pub batches: Option<usize>,
    /// Sequences of a batch; `None` for 8, or 16 where weights are trained on them.
    pub batch_size: Option<usize>,
    /// Tokens of a sequence; `None` for 512, or the model's context where that is shorter.
    pub seq_len: Option<usize>,
}

impl Effort {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Effort::Fast => "fast",
            Effort::Standard => "standard",
            Effort::Thorough => "thorough",
        }
    }
}

/// A value that makes no sense, and what would.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{flag} {value}: {expected}")]
pub struct ConfigError {
    /// The flag that holds it.
    pub flag: &'static str,
    /// The value.
    pub value: String,
    /// What would make sense.
    pub expected: Cow<'static, str>,
}

impl Config {
    /// The largest degradation where neither that nor a size is asked for.
    pub const ACCURACY: f64 = 0.02;

    /// The loss that may not be exceeded: search, report and exit code go by it. Who asks for a size,
    /// and for no accuracy, gets the best model of that size.
    pub fn target(&self) -> Option<Target> {
        let sized = self.goal.is_a_size() || self.formats.is_some();
        let degradation = self.accuracy.or((!sized).then_some(Config::ACCURACY));
        degradation.map(Target::of)
    }

    /// The memory that weights and KV cache must fit in. If none is asked for, it is that of this
    /// machine, and what is written depends on it only if it is too small for the best formats.
    pub fn memory(&self) -> Memory {
        match (self.memory, self.hardware) {
            (Some(gb), _) => Memory::Asked(gb),
            (None, Hardware::Cpu) => Memory::of_this_machine(),
            // Nothing is known of a card, or of a TPU, that may be elsewhere.
            (None, Hardware::Gpu | Hardware::Tpu) => Memory::Assumed(Memory::FALLBACK),
        }
    }

    /// Batches of calibration text.
    pub fn batches(&self) -> usize {
        self.calibration.batches.unwrap_or(if self.trains() { 9 } else { 6 })
    }

    /// Sequences of a batch of calibration text.
    pub fn batch_size(&self) -> usize {
        self.calibration.batch_size.unwrap_or(if self.trains() { 16 } else { 8 })
    }

    /// Whether quantized weights are trained.
    pub fn trains(&self) -> bool {
        self.effort == Effort::Thorough
    }

    /// Checks each value on its own and against the others.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let fraction = |x: f64| x > 0.0 && x < 1.0;
        let bits = self.bits;
        if let Some(memory) = self.memory {
            let sensible = memory.is_finite() && memory > 0.0;
            check(sensible, "--memory", memory, "must be more than 0 GB")?;
        }
        check(self.context != Some(0), "--context", 0, "must be at least one token")?;
        if let Some(accuracy) = self.accuracy {
            let expected = "must lie between 0 and 1, both excluded; 0.02 allows 2 %";
            check(fraction(accuracy), "--accuracy", accuracy, expected)?;
        }
        if let Some(speed) = self.speed {
            let expected = "must be more than 0 and no more than 100 times the speed of Q4_0";
            check(speed.is_sensible(), "--speed", speed, expected)?;
        }
        check(
            bits.min <= bits.max,
            "--bits",
            bits,
            "the smaller number comes first, as in --bits 4:9",
        )?;
        let expected = match self.hardware {
            Hardware::Cpu | Hardware::Gpu => {
                "holds no format; there are formats of 4, 5, 6 and 8 bits"
            }
            Hardware::Tpu => {
                "holds no format that a TPU multiplies: int4 and int8, of 4 and 8 bits"
            }
        };
        let holds_any = self.hardware.palette().iter().any(|&format| bits.allows(format));
        check(holds_any, "--bits", bits, expected)?;
        if let Some(reduction) = self.goal.reduction {
            let expected = "must lie between 0 and 1, both excluded; 0.75 is a quarter of 32 bits";
            check(fraction(reduction), "--reduction", reduction, expected)?;
        }
        check(self.goal.size != Some(0), "--size", 0, "must be more than 0 bytes")?;
        if let Some(bpw) = self.goal.bpw {
            let expected = "must be more than 0 bits per weight";
            check(bpw.is_finite() && bpw > 0.0, "--bpw", bpw, expected)?;
        }
        let whole = bits.min <= 4 && bits.max >= 8;
        let expected = "is too narrow for --strategy fixed, whose table has 4, 6 and 8 bits";
        check(self.strategy == Strategy::Search || whole, "--bits", bits, expected)?;
        self.validate_calibration()?;
        self.validate_training()?;
        self.validate_formats()
    }

    fn validate_calibration(&self) -> Result<(), ConfigError> {
        /// More text than any calibration uses: 10 million tokens.
        const MOST: usize = 10_000_000;
        let (batches, batch_size) = (self.batches(), self.batch_size());
        let some = |n: usize, flag| check(n > 0, flag, n, "must be at least 1");
        some(batches, "--batches")?;
        some(batch_size, "--batch-size")?;
        let seq_len = self.calibration.seq_len.unwrap_or(CONTEXT);
        let expected = "must be at least 16 tokens";
        check(seq_len >= LEAST_SEQ_LEN, "--seq-len", seq_len, expected)?;
        let tokens = batches.checked_mul(batch_size).and_then(|n| n.checked_mul(seq_len));
        let few = tokens.is_some_and(|tokens| tokens <= MOST);
        let expected = "with --batch-size and --seq-len makes more than 10 million tokens";
        check(few, "--batches", batches, expected)?;
        let several = batches.saturating_mul(batch_size) >= 2;
        check(several, "--batches", batches, "leaves one sequence; two are needed at least")
    }

    fn validate_training(&self) -> Result<(), ConfigError> {
        let thorough = self.trains();
        if let Some(time) = self.time {
            let expected = "is what training may take: it goes with --effort thorough";
            check(thorough, "--time", in_words(time), expected)?;
            check(!time.is_zero(), "--time", in_words(time), "must be more than no time")?;
        }
        let expected = "is what training takes: it goes with --effort thorough";
        let untrained = self.train_tokens == 0;
        check(thorough || untrained, "--train-tokens", self.train_tokens, expected)?;
        let expected = "is not trained: --effort thorough goes with --strategy search";
        check(!thorough || self.strategy == Strategy::Search, "--strategy", "fixed", expected)
    }

    fn validate_formats(&self) -> Result<(), ConfigError> {
        let Some(formats) = &self.formats else { return Ok(()) };
        check(!formats.is_empty(), "--formats", "", "names no format")?;
        for &format in formats {
            let expected: Cow<str> = match self.hardware {
                Hardware::Cpu | Hardware::Gpu => {
                    let mut written: Vec<Format> = self.of_list().collect();
                    written.sort_by_key(|format| format.id());
                    format!("is not among the formats written here: {}", names(&written, ", "))
                        .into()
                }
                Hardware::Tpu => {
                    "is not among those that hold what a TPU multiplies: Q4_0 (int4) and Q8_0 (int8)"
                        .into()
                }
            };
            check(self.of_list().any(|it| it == format), "--formats", format, expected)?;
            let expected =
                "is not among those that --portable keeps to: Q4_0, Q4_K, Q5_K, Q6_K, Q8_0";
            check(self.offers(format), "--formats", format, expected)?;
            let expected = "is outside --bits";
            check(self.bits.allows(format), "--formats", format, expected)?;
        }
        let expected = "goes with --strategy search; the fixed table names its own formats";
        check(self.strategy == Strategy::Search, "--formats", formats[0], expected)
    }

    /// The formats that may be chosen: those of the hardware, of the bits and of the list.
    pub fn palette(&self) -> Vec<Format> {
        let Some(listed) = &self.formats else { return self.of_bits().collect() };
        let listed = self.of_list().filter(|format| listed.contains(format));
        let mut listed: Vec<Format> = listed.filter(|&format| self.allows(format)).collect();
        listed.sort_by(|a, b| a.bpw().total_cmp(&b.bpw()));
        listed
    }

    /// The formats that `--formats` may list.
    fn of_list(&self) -> impl Iterator<Item = Format> {
        let beside = self.hardware.beside_palette().iter().copied();
        let beside = beside.filter(|&format| can_encode(format));
        self.hardware.palette().iter().copied().chain(beside)
    }

    /// The formats of the hardware and of the bits, by bits per weight: also those that may stand in
    /// for others.
    pub(crate) fn of_bits(&self) -> impl Iterator<Item = Format> {
        let all = self.hardware.palette().iter().copied();
        all.filter(|&format| self.allows(format))
    }

    /// Whether a format is of the bits, and portable enough.
    fn allows(&self, format: Format) -> bool {
        self.bits.allows(format) && self.offers(format)
    }

    /// Whether a format is portable enough.
    pub(crate) fn offers(&self, format: Format) -> bool {
        !self.portable || PORTABLE.contains(&format)
    }

    /// The formats that weights may get which lose nothing in them.
    pub(crate) fn lossless_palette(&self) -> Vec<Format> {
        let beside = self.hardware.beside_palette().iter().copied();
        let beside = beside.filter(|&format| self.formats.is_none() && self.allows(format));
        self.palette().into_iter().chain(beside).collect()
    }

    /// The flag that says which formats may be chosen.
    pub(crate) fn allowed_formats(&self) -> String {
        let portable = if self.portable { "--portable " } else { "" };
        match &self.formats {
            Some(formats) => format!("--formats {}", names(formats, ",")),
            None => format!("{portable}--bits {}", self.bits),
        }
    }
}

fn check(
    holds: bool,
    flag: &'static str,
    value: impl fmt::Display,
    expected: impl Into<Cow<'static, str>>,
) -> Result<(), ConfigError> {
    let expected = expected.into();
    if holds { Ok(()) } else { Err(ConfigError { flag, value: value.to_string(), expected }) }
}

/// As `--time` takes it: `1h30m`.
fn in_words(time: Duration) -> String {
    humantime::format_duration(time).to_string().replace(' ', "")
}

fn names(formats: &[Format], separator: &str) -> String {
    let names: Vec<&str> = formats.iter().map(|format| format.name()).collect();
    names.join(separator)
}

/// The flags that made a file, as they stand in its metadata: what decides the bytes, and no more.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--hardware {}", self.hardware.name())?;
        if let Some(memory) = self.memory {
            write!(f, " --memory {memory}")?;
        }
        if let Some(Target { degradation: accuracy, .. }) = self.target() {
            write!(f, " --accuracy {accuracy}")?;
        }
        if let Some(speed) = self.speed {
            write!(f, " --speed {speed}")?;
        }
        write!(f, " --bits {}", self.bits)?;
        if let Some(context) = self.context {
            write!(f, " --context {context}")?;
        }
        if let Some(reduction) = self.goal.reduction {
            write!(f, " --reduction {reduction}")?;
        }
        if let Some(size) = self.goal.size {
            write!(f, " --size {size}")?;
        }
        if let Some(bpw) = self.goal.bpw {
            write!(f, " --bpw {bpw}")?;
        }
        if let Some(formats) = &self.formats {
            write!(f, " --formats {}", names(formats, ","))?;
        }
        if self.portable {
            write!(f, " --portable")?;
        }
        write!(f, " --strategy {} --effort {}", self.strategy.name(), self.effort.name())?;
        if self.effort != Effort::Fast {
            write!(f, " --batches {} --batch-size {}", self.batches(), self.batch_size())?;
            if let Some(seq_len) = self.calibration.seq_len {
                write!(f, " --seq-len {seq_len}")?;
            }
        }
        if let Some(time) = self.time {
            write!(f, " --time {}", in_words(time))?;
        }
        if self.train_tokens > 0 {
            write!(f, " --train-tokens {}", self.train_tokens)?;
        }
        if self.allow_requantize {
            write!(f, " --allow-requantize")?;
        }
        write!(f, " --seed {}", self.seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut Config)) -> String {
        let mut config = Config::default();
        change(&mut config);
        config.validate().unwrap_err().to_string()
    }

    #[test]
    fn defaults_are_valid() {
        assert_eq!(Config::default().validate(), Ok(()));
    }

    #[test]
    fn flags_tell_of_no_machine() {
        assert!(!Config::default().to_string().contains("--memory"));
        let asked = Config { memory: Some(4.5), ..Config::default() };
        assert!(asked.to_string().contains(" --memory 4.5 "));
    }

    #[test]
    fn flags_tell_of_a_speed_only_if_it_was_asked_for() {
        assert!(!Config::default().to_string().contains("--speed"));
        let asked = Config { speed: "prompt:0.9".parse().ok(), ..Config::default() };
        assert!(asked.to_string().contains(" --speed prompt:0.9 "));
    }

    #[test]
    fn each_bad_value_names_its_flag() {
        assert!(refused(|c| c.memory = Some(0.0)).starts_with("--memory 0:"));
        assert!(refused(|c| c.memory = Some(f64::NAN)).starts_with("--memory NaN:"));
        assert!(refused(|c| c.accuracy = Some(0.0)).starts_with("--accuracy 0:"));
        assert!(refused(|c| c.accuracy = Some(1.0)).starts_with("--accuracy 1:"));
        assert!(refused(|c| c.speed = "0".parse().ok()).starts_with("--speed 0:"));
        assert!(refused(|c| c.speed = "prompt:-1".parse().ok()).starts_with("--speed prompt:-1:"));
        assert!(refused(|c| c.bits = "9:4".parse().unwrap()).starts_with("--bits 9:4:"));
        assert!(refused(|c| c.bits = "2:3".parse().unwrap()).starts_with("--bits 2:3:"));
        assert!(refused(|c| c.goal.reduction = Some(1.5)).starts_with("--reduction 1.5:"));
        assert!(refused(|c| c.goal.size = Some(0)).starts_with("--size 0:"));
        assert!(refused(|c| c.goal.bpw = Some(-1.0)).starts_with("--bpw -1:"));
        assert!(refused(|c| c.calibration.batches = Some(0)).starts_with("--batches 0:"));
        assert!(refused(|c| c.calibration.batch_size = Some(0)).starts_with("--batch-size 0:"));
        assert!(refused(|c| c.calibration.seq_len = Some(15)).starts_with("--seq-len 15:"));
        assert!(refused(|c| c.calibration.seq_len = Some(usize::MAX)).contains("10 million"));
        assert!(refused(|c| c.context = Some(0)).starts_with("--context 0:"));
        assert!(refused(|c| c.formats = Some(vec![])).starts_with("--formats"));
        assert!(refused(|c| c.formats = Some(vec![Format::Q2_K])).starts_with("--formats Q2_K:"));
    }

    #[test]
    fn formats_must_agree_with_bits_and_strategy() {
        let formats = Some(vec![Format::Q8_0]);
        assert!(refused(|c| (c.formats, c.bits.max) = (formats.clone(), 6)).contains("--bits"));
        let fixed = |c: &mut Config| (c.formats, c.strategy) = (formats, Strategy::Fixed);
        assert!(refused(fixed).contains("--strategy"));
    }

    #[test]
    fn a_tpu_has_integers_of_4_and_of_8_bits() {
        let tpu = Config { hardware: Hardware::Tpu, ..Config::default() };
        let of_bits = |bits: &str| Config { bits: bits.parse().unwrap(), ..tpu.clone() };
        for (bits, palette) in [
            ("4:8", &[Format::Q4_0, Format::Q8_0][..]),
            ("6:8", &[Format::Q8_0]),
            ("4:4", &[Format::Q4_0]),
        ] {
            let config = of_bits(bits);
            assert_eq!((config.validate(), config.palette()), (Ok(()), palette.to_vec()), "{bits}");
            let portable = Config { portable: true, ..config };
            assert_eq!(portable.palette(), palette, "all are portable");
        }
        let refused = of_bits("5:6").validate().unwrap_err().to_string();
        assert!(refused.starts_with("--bits 5:6: holds no format that a TPU"), "{refused}");
        let formats = Config { formats: Some(vec![Format::Q4_K]), ..tpu.clone() };
        let refused = formats.validate().unwrap_err().to_string();
        assert!(refused.starts_with("--formats Q4_K: is not among those that hold"), "{refused}");
        let fixed = Config { strategy: Strategy::Fixed, ..tpu };
        assert_eq!(fixed.validate(), Ok(()));
    }

    #[test]
    fn portable_leaves_a_format_of_all_bits() {
        let portable = Config { portable: true, ..Config::default() };
        assert_eq!(portable.validate(), Ok(()));
        assert_eq!(portable.palette(), PORTABLE);
        assert!(portable.to_string().contains(" --portable "));
        let listed = |format| Config { formats: Some(vec![format]), ..portable.clone() };
        assert_eq!(listed(Format::Q4_0).validate(), Ok(()));
        let refused = listed(Format::IQ4_XS).validate().unwrap_err().to_string();
        assert!(refused.starts_with("--formats IQ4_XS: is not among those that --portable"));
    }

    #[test]
    fn time_is_what_training_may_take() {
        let time = Some(Duration::from_secs(5400));
        assert!(refused(|c| c.time = time).starts_with("--time 1h30m: is what training may take"));
        let thorough = Config { time, effort: Effort::Thorough, ..Config::default() };
        assert_eq!(thorough.validate(), Ok(()));
        assert!(thorough.to_string().contains(" --effort thorough --batches 9 --batch-size 16 "));
        assert!(thorough.to_string().contains(" --time 1h30m "));
        let none = Config { time: Some(Duration::ZERO), ..thorough.clone() };
        assert!(none.validate().unwrap_err().to_string().starts_with("--time 0s:"));
        let fixed = Config { strategy: Strategy::Fixed, ..thorough };
        assert!(fixed.validate().unwrap_err().to_string().starts_with("--strategy fixed:"));
    }

    #[test]
    fn bits_are_a_range_or_one_number() {
        assert_eq!("4:8".parse(), Ok(BitRange { min: 4, max: 8 }));
        assert_eq!("6".parse(), Ok(BitRange { min: 6, max: 6 }));
        assert!("four".parse::<BitRange>().is_err());
        assert!("4:".parse::<BitRange>().is_err());
    }
}
