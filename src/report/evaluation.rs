//! What an evaluation found, as a table and as JSON.

use std::fmt::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::gguf::Format;
use crate::model::Rounding;
use crate::validate::{Along, Estimate, Spread, Statistics, degradation_of};

/// What an evaluation found, and on how much text.
///
/// As JSON it is flat: `schema`, `text` (a path, or `null` for the model's own), `activations`, `context`, `positions`, and each number of
/// [`Statistics`], a mean's uncertainty beside it as `..._error`: `ppl`, `ppl_base`, `correlation`,
/// `ln_ppl_ratio`, `ppl_ratio`, `ppl_difference`, `mean_kld`, `mean_dp`, `rms_dp`, `same_top`; the
/// spreads as `kld_max`, `kld_99_9`, `kld_99`, ..., `kld_median`, ..., `kld_0_1`, `kld_min` and the
/// like of `dp`, absent below 100 positions; `degradation` ([`Evaluation::degradation`]), `degradation_is`
/// (`by KLD` or `by perplexities`) and `retention`, which is the rest of 1; `clipped` positions and
/// `ppl_base_clipped`, which is what llama-perplexity prints for `ppl_base`; `rounding_kld`.
/// Probabilities are fractions of 1; what is not a number is `null`.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// The text.
    pub text: TextSource,
    /// How activations met weights.
    pub activations: Activations,
    /// Chunks of text.
    pub chunks: usize,
    /// Tokens of each.
    pub context: usize,
    /// What was found.
    pub statistics: Statistics,
    /// What llama.cpp's rounding of activations alone amounts to in KLD; `None` where it rounds none
    /// to 8 bits for the quantized model.
    pub rounding_kld: Option<f64>,
    /// Where in the text it was found.
    pub along: Along,
}

/// KLD that rounding activations to 8 bits amounts to, with one scale for each 32 and with one for
/// each 256 (K-quants), in nats per token. It is the order of size only: it depends on the model.
const ROUNDING_KLD: (f64, f64) = (4e-4, 1e-3);

/// What llama.cpp's rounding of activations alone amounts to in KLD for weights of these formats.
pub(crate) fn rounding_kld(formats: impl Iterator<Item = Format>) -> Option<f64> {
    let of = |format| match Rounding::for_weights(format) {
        Rounding::Q8_0 | Rounding::Q8_1 => Some(ROUNDING_KLD.0),
        Rounding::Q8_K => Some(ROUNDING_KLD.1),
        Rounding::None | Rounding::Half | Rounding::Brain => None,
    };
    formats.filter_map(of).max_by(f64::total_cmp)
}

impl Evaluation {
    /// The degradation that a KLD on text of the full-precision model's own amounts to: on text
    /// sampled from it the mean of `ln(PPL(Q) / PPL(base))` is the KLD in expectation, which is
    /// measured with far less noise.
    pub fn degradation_of_own_text(&self) -> f64 {
        degradation_of(self.statistics.kld.value)
    }

    /// The degradation on its text: by the KLD if the text is the full-precision model's own, else
    /// by the perplexities.
    pub fn degradation(&self) -> f64 {
        match self.text.is_own() {
            true => self.degradation_of_own_text(),
            false => self.statistics.degradation(),
        }
    }

    /// What [`Evaluation::degradation`] goes by on this text, as it is told beside it.
    pub fn degradation_is(&self) -> &'static str {
        if self.text.is_own() { "by KLD" } else { "by perplexities" }
    }
}

/// An evaluation, and the models that were compared. Its JSON is that of the evaluation, with
/// `base`, `quantized` and `along` beside it.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct EvaluationReport<'e> {
    /// The full-precision model.
    #[serde(serialize_with = "super::lossy")]
    pub base: &'e Path,
    /// The quantized one.
    #[serde(serialize_with = "super::lossy")]
    pub quantized: &'e Path,
    /// What was found.
    #[serde(flatten, serialize_with = "one_with_along")]
    pub evaluation: &'e Evaluation,
}

/// An evaluation with where in the text the loss is.
#[derive(Serialize)]
struct WithAlong<'e> {
    #[serde(flatten)]
    evaluation: &'e Evaluation,
    along: &'e Along,
}

impl<'e> From<&'e Evaluation> for WithAlong<'e> {
    fn from(evaluation: &'e Evaluation) -> WithAlong<'e> {
        WithAlong { evaluation, along: &evaluation.along }
    }
}

fn one_with_along<S: Serializer>(
    evaluation: &Evaluation,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    WithAlong::from(evaluation).serialize(serializer)
}

pub(super) fn with_along<S: Serializer>(
    evaluations: &[Evaluation],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(evaluations.iter().map(WithAlong::from))
}

/// How activations meet weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activations {
    /// In F32: what is lost is lost by the weights.
    Float,
    /// Rounded to 8 bits before they meet quantized weights, as llama.cpp does on a CPU: what is
    /// lost is what its users see.
    Rounded,
}

impl Activations {
    /// How, in words, and how that compares with llama.cpp.
    pub(super) fn in_words(self) -> &'static str {
        match self {
            Activations::Float => {
                "in 32-bit floats; llama.cpp rounds them to 8 bits for quantized weights"
            }
            Activations::Rounded => "rounded as llama.cpp does, to 8 bits for quantized weights",
        }
    }
}

/// A text that models were compared on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextSource {
    /// A file.
    File(PathBuf),
    /// What the full-precision model wrote from this seed.
    Own {
        /// Where its randomness came from.
        seed: u64,
    },
}

impl TextSource {
    /// Whether the full-precision model wrote it.
    pub fn is_own(&self) -> bool {
        matches!(self, TextSource::Own { .. })
    }
}

impl fmt::Display for TextSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TextSource::File(path) => write!(f, "{}", path.display()),
            TextSource::Own { .. } => f.write_str("the model's own text"),
        }
    }
}

/// Version of the JSON.
const SCHEMA: u32 = 1;

impl Serialize for Evaluation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let s = &self.statistics;
        let mut map = serializer.serialize_map(None)?;
        let file = match &self.text {
            TextSource::File(path) => Some(path.to_string_lossy()),
            TextSource::Own { .. } => None,
        };
        map.serialize_entry("schema", &SCHEMA)?;
        map.serialize_entry("text", &file)?;
        map.serialize_entry("activations", &self.activations)?;
        map.serialize_entry("chunks", &self.chunks)?;
        map.serialize_entry("context", &self.context)?;
        map.serialize_entry("positions", &s.positions)?;
        estimate(&mut map, "ppl", s.ppl)?;
        estimate(&mut map, "ppl_base", s.ppl_base)?;
        map.serialize_entry("correlation", &s.correlation)?;
        estimate(&mut map, "ln_ppl_ratio", s.ln_ppl_ratio)?;
        estimate(&mut map, "ppl_ratio", s.ppl_ratio)?;
        estimate(&mut map, "ppl_difference", s.ppl_difference)?;
        estimate(&mut map, "mean_kld", s.kld)?;
        spread(&mut map, "kld", s.kld_spread)?;
        estimate(&mut map, "mean_dp", s.dp)?;
        spread(&mut map, "dp", s.dp_spread)?;
        estimate(&mut map, "rms_dp", s.rms_dp)?;
        estimate(&mut map, "same_top", s.same_top)?;
        map.serialize_entry("retention", &(1.0 - self.degradation()))?;
        map.serialize_entry("degradation", &self.degradation())?;
        map.serialize_entry("degradation_is", self.degradation_is())?;
        map.serialize_entry("clipped", &s.clipped)?;
        map.serialize_entry("ppl_base_clipped", &s.ppl_base_clipped)?;
        map.serialize_entry("rounding_kld", &self.rounding_kld)?;
        map.end()
    }
}

fn estimate<M: SerializeMap>(map: &mut M, key: &str, estimate: Estimate) -> Result<(), M::Error> {
    map.serialize_entry(key, &estimate.value)?;
    map.serialize_entry(&format!("{key}_error"), &estimate.error)
}

fn spread<M: SerializeMap>(map: &mut M, key: &str, spread: Option<Spread>) -> Result<(), M::Error> {
    for (_, suffix, value) in spread.iter().flat_map(percentiles) {
        map.serialize_entry(&format!("{key}_{suffix}"), &value)?;
    }
    Ok(())
}

/// The percentiles from the largest to the smallest: how llama-perplexity names them, how the JSON
/// does, and their values.
pub(super) fn percentiles(spread: &Spread) -> [(&'static str, &'static str, f32); 13] {
    let Spread { min, below, median, above, max } = *spread;
    [
        ("Maximum", "max", max),
        ("99.9%  ", "99_9", above[4]),
        ("99.0%  ", "99", above[3]),
        ("95.0%  ", "95", above[2]),
        ("90.0%  ", "90", above[1]),
        ("75.0%  ", "75", above[0]),
        ("Median ", "median", median),
        ("25.0%  ", "25", below[4]),
        ("10.0%  ", "10", below[3]),
        (" 5.0%  ", "5", below[2]),
        (" 1.0%  ", "1", below[1]),
        (" 0.1%  ", "0_1", below[0]),
        ("Minimum", "min", min),
    ]
}

/// The table of llama-perplexity, line for line, and then what this program makes of it.
pub fn evaluation_table(evaluation: &Evaluation) -> String {
    let mut text = String::new();
    write_table(&mut text, evaluation).expect("writing to a string cannot fail");
    text
}

fn write_table(out: &mut String, evaluation: &Evaluation) -> fmt::Result {
    let Evaluation { text, activations, chunks, context, statistics, .. } = evaluation;
    let chunks = match chunks {
        1 => "1 chunk".to_string(),
        n => format!("{n} chunks"),
    };
    let positions = statistics.positions;
    writeln!(out, "{text}: {chunks} of {context} tokens, {positions} positions scored")?;
    writeln!(out, "activations {}\n", activations.in_words())?;
    write_perplexity(out, statistics)?;
    write_divergence(out, statistics)?;
    write_probability(out, statistics)?;
    writeln!(out, "====== Degradation {} ======", evaluation.degradation_is())?;
    writeln!(out, "Retention  : {:7.3} %", 100.0 * (1.0 - evaluation.degradation()))?;
    writeln!(out, "Degradation: {:7.3} %", 100.0 * evaluation.degradation())?;
    write_differences(out, evaluation)
}

fn write_differences(out: &mut String, evaluation: &Evaluation) -> fmt::Result {
    let differences = differences(evaluation);
    if differences.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n====== Differences from llama-perplexity ======")?;
    differences.iter().try_for_each(|difference| writeln!(out, "{difference}"))
}

/// Where llama-perplexity says something else, or as good as nothing; each in two lines.
pub(super) fn differences(evaluation: &Evaluation) -> Vec<String> {
    let Statistics { positions, clipped, ppl_base_clipped, kld, .. } = evaluation.statistics;
    let rounding = evaluation.rounding_kld.filter(|&rounding| kld.value < rounding);
    let clipped = (clipped > 0).then(|| {
        format!(
            "Its Mean PPL(base) is {ppl_base_clipped:.6}: at {clipped} of {positions} positions the next \
             token is\nmore than 16 nats less likely than the likeliest, where its file of predictions \
             ends."
        )
    });
    let rounding = rounding.map(|rounding| {
        format!(
            "A KLD below some {rounding} is what rounding of activations alone amounts to there: it \
             tells little of\nthe weights, and the same file differs by a part of that with another \
             micro-batch (-ub)."
        )
    });
    clipped.into_iter().chain(rounding).collect()
}

fn write_perplexity(out: &mut String, s: &Statistics) -> fmt::Result {
    writeln!(out, "====== Perplexity statistics ======")?;
    write_estimate(out, "Mean PPL(Q)", s.ppl)?;
    write_estimate(out, "Mean PPL(base)", s.ppl_base)?;
    writeln!(out, "Cor(ln(PPL(Q)), ln(PPL(base))): {:6.2}%", 100.0 * s.correlation)?;
    write_estimate(out, "Mean ln(PPL(Q)/PPL(base))", s.ln_ppl_ratio)?;
    write_estimate(out, "Mean PPL(Q)/PPL(base)", s.ppl_ratio)?;
    write_estimate(out, "Mean PPL(Q)-PPL(base)", s.ppl_difference)?;
    writeln!(out)
}

fn write_estimate(out: &mut String, name: &str, estimate: Estimate) -> fmt::Result {
    let Estimate { value, error } = estimate;
    writeln!(out, "{name:<30}: {value:10.6} ± {error:10.6}")
}

fn write_divergence(out: &mut String, s: &Statistics) -> fmt::Result {
    writeln!(out, "====== KL divergence statistics ======")?;
    writeln!(out, "Mean    KLD: {:10.6} ± {:10.6}", s.kld.value, s.kld.error)?;
    for (name, _, value) in s.kld_spread.iter().flat_map(percentiles) {
        // Those llama-perplexity gives for probabilities only.
        if !["75.0%  ", "25.0%  "].contains(&name) {
            writeln!(out, "{name} KLD: {value:10.6}")?;
        }
    }
    writeln!(out)
}

fn write_probability(out: &mut String, s: &Statistics) -> fmt::Result {
    let percent = |Estimate { value, error }: Estimate| {
        format!("{:6.3} ± {:5.3} %", 100.0 * value, 100.0 * error)
    };
    writeln!(out, "====== Token probability statistics ======")?;
    writeln!(out, "Mean    Δp: {}", percent(s.dp))?;
    for (name, _, value) in s.dp_spread.iter().flat_map(percentiles) {
        writeln!(out, "{name} Δp: {:6.3}%", 100.0 * value)?;
    }
    writeln!(out, "RMS Δp    : {}", percent(s.rms_dp))?;
    writeln!(out, "Same top p: {}", percent(s.same_top))?;
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::{Likeliest, Position};

    fn evaluation(positions: usize) -> Evaluation {
        let position = |i: usize| {
            let nll_base = 2.0 + (i % 7) as f32 * 0.25;
            let dp = (i % 5) as f32 * 0.01 - 0.02;
            let (nll, kld) = (nll_base + 0.0625, i as f32 * 0.001);
            let nll_base_clipped = nll_base.min(3.4);
            let same_top = !i.is_multiple_of(10);
            let top = Likeliest { token: 0, probability: 1.0 };
            Position { nll, nll_base, nll_base_clipped, kld, dp, same_top, top_base: top, top }
        };
        let positions: Vec<_> = (0..positions).map(position).collect();
        let (text, statistics) = (TextSource::Own { seed: 0 }, Statistics::of(&positions));
        let activations = Activations::Float;
        let rounding_kld = rounding_kld([Format::F32, Format::Q4_K, Format::Q8_0].into_iter());
        let (chunks, context, along) = (1, 512, Along::default());
        Evaluation { text, activations, chunks, context, statistics, rounding_kld, along }
    }

    #[test]
    fn what_llama_perplexity_says_otherwise_is_told_where_it_does() {
        // Of each 7 positions, one is clipped at 3.4.
        let mut one = evaluation(255);
        let table = evaluation_table(&one);
        assert!(table.contains("at 36 of 255 positions the next token"), "{table}");
        assert!(!table.contains("rounding of activations"), "{table}");
        one.statistics.clipped = 0;
        assert!(!evaluation_table(&one).contains("Differences"));
        one.statistics.kld.value = 9e-4;
        assert!(evaluation_table(&one).contains("below some 0.001 is what rounding"));
        one.rounding_kld = rounding_kld([Format::F16, Format::Q8_0].into_iter());
        assert!(!evaluation_table(&one).contains("Differences"));
        assert_eq!(rounding_kld([Format::F16, Format::F32].into_iter()), None);
    }

    #[test]
    fn the_table_reads_as_llama_perplexitys() {
        let table = evaluation_table(&evaluation(255));
        println!("{table}");
        for line in [
            "the model's own text: 1 chunk of 512 tokens, 255 positions scored",
            "====== Perplexity statistics ======",
            "Mean PPL(Q)                   :  16.55",
            "Cor(ln(PPL(Q)), ln(PPL(base))): 100.00%",
            "Mean ln(PPL(Q)/PPL(base))     :   0.062500 ±   0.000000",
            "====== KL divergence statistics ======",
            "Mean    KLD:   0.127000 ±   0.00",
            "Maximum KLD:   0.254000",
            "99.9%   KLD:   0.253746",
            "Median  KLD:   0.127000",
            " 0.1%   KLD:   0.000254",
            "Mean    Δp:  0.000 ± 0.0",
            "75.0%   Δp:  1.000%",
            "Minimum Δp: -2.000%",
            "RMS Δp    :  1.414 ± 0.0",
            "Same top p: 89.804 ± 1.8",
            "====== Degradation by KLD ======",
            "Retention  :  88.073 %",
            "Degradation:  11.927 %",
        ] {
            assert!(table.lines().any(|found| found.starts_with(line)), "no {line:?} in\n{table}");
        }
        assert!(!table.contains("75.0%   KLD"));
    }

    #[test]
    fn the_json_is_flat() {
        let json = serde_json::to_value(evaluation(255)).unwrap();
        let object = json.as_object().unwrap();
        let flat = |value: &serde_json::Value| !value.is_object() && !value.is_array();
        assert!(object.values().all(flat), "{json}");
        for (key, value) in [
            ("schema", 1.0),
            ("chunks", 1.0),
            ("context", 512.0),
            ("positions", 255.0),
            ("mean_kld", 0.127),
            ("kld_max", 0.254),
            ("kld_99_9", 0.253746),
            ("kld_0_1", 0.000254),
            ("ln_ppl_ratio", 0.0625),
            ("ln_ppl_ratio_error", 0.0),
            ("dp_min", -0.02),
            ("same_top", 229.0 / 255.0),
            ("degradation", 1.0 - (-0.127f64).exp()),
            ("retention", (-0.127f64).exp()),
        ] {
            let found = object[key].as_f64().unwrap();
            assert!((found - value).abs() < 1e-6, "{key}: {found}");
        }
        for key in ["ppl", "ppl_base", "ppl_ratio", "ppl_difference", "mean_dp", "rms_dp"] {
            assert!(object.contains_key(key) && object.contains_key(&format!("{key}_error")));
        }
    }

    #[test]
    fn degradation_is_one_number_that_says_what_it_goes_by() {
        let own = evaluation(255);
        let text = TextSource::File("text.txt".into());
        let other = Evaluation { text, ..own.clone() };
        // ln(PPL(Q) / PPL(base)) is 1/16 everywhere, and the mean KLD is 0.127.
        for (evaluation, is, lost) in [
            (own, "by KLD", 1.0 - (-0.127f64).exp()),
            (other, "by perplexities", 1.0 - (-0.0625f64).exp()),
        ] {
            assert!((evaluation.degradation() - lost).abs() < 1e-6);
            let json = serde_json::to_value(&evaluation).unwrap();
            assert_eq!(
                (&json["degradation_is"], json["degradation"].as_f64()),
                (&is.into(), Some(evaluation.degradation()))
            );
            let table = evaluation_table(&evaluation);
            let told = format!(
                "Degradation {is} ======\nRetention  : {:7.3} %\nDegradation: {:7.3} %\n",
                100.0 * (1.0 - lost),
                100.0 * lost
            );
            assert!(table.contains(&told), "{table}");
        }
    }

    #[test]
    fn a_few_positions_have_no_percentiles() {
        let few = evaluation(20);
        let table = evaluation_table(&few);
        assert!(table.contains("Mean    KLD") && !table.contains("Median"), "{table}");
        let json = serde_json::to_string(&few).unwrap();
        assert!(json.contains("mean_kld") && !json.contains("kld_median"), "{json}");
    }
}
