//! The codecs by name, and the choice between them.

use std::fmt;
use std::str::FromStr;

use super::Truth;
use super::coded::{Coded, Palette};
use super::column::Column;
use super::damage::Damage;
use super::fit;
use super::laid::{log_count, plain_uniform, uniform};
use super::quantity::Quantity;
use crate::opencog::codec_names::CodecNames;

/// The relative error of strength and of count beyond which a value is kept exactly.
pub const TOLERANCE: f64 = 0.005;

/// A way to code truth values in 8 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// A byte for each pair, up to 256 distinct ones; lossless.
    Palette,
    /// Even levels of strength and of confidence, under guards.
    Uniform,
    /// Even levels of strength, and of the logarithm of the count, under guards.
    LogCount,
    /// For each column its own levels: its values where they are few, else fitted to them; under
    /// guards.
    PerColumn,
    /// The specification's: `round(255 x)` of what is cut off to \[0, 1\], without guards.
    PlainUniform,
}

/// The codecs and their names.
const NAMES: CodecNames<Codec> = CodecNames(&[
    (Codec::Palette, "palette"),
    (Codec::Uniform, "guarded-uniform8"),
    (Codec::LogCount, "logcount8"),
    (Codec::PerColumn, "column8"),
    (Codec::PlainUniform, "uniform8"),
]);

impl Codec {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Codec> {
        NAMES.all()
    }

    /// The name that it is asked for by.
    pub fn name(self) -> &'static str {
        NAMES.name(self)
    }

    /// Codes these values. Guarded codecs keep exactly what would be further off than `tolerance`
    /// (relative, of strength and of count). None where a palette would need more than 256 pairs.
    pub fn encode(self, values: &[Truth], tolerance: f64) -> Option<Coded> {
        self.encode_counted(values, None, tolerance)
    }

    /// The same of values that are each there as often as `times` says.
    ///
    /// # Panics
    /// If there are fewer of these than values.
    pub fn encode_counted(
        self,
        values: &[Truth],
        times: Option<&[usize]>,
        tolerance: f64,
    ) -> Option<Coded> {
        let columns = || Columns { times, ..Columns::of(values, tolerance) };
        Some(match self {
            Codec::Palette => Coded::Palette(Palette::of(values)?),
            Codec::Uniform => columns().uniform(),
            Codec::LogCount => columns().log_count(),
            Codec::PerColumn => columns().per_column(),
            Codec::PlainUniform => columns().plain_uniform(),
        })
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Codec {
    type Err = String;

    fn from_str(name: &str) -> Result<Codec, String> {
        NAMES.find(name)
    }
}

/// What is to be coded, column by column.
struct Columns<'a> {
    strengths: Vec<f64>,
    confidences: Vec<f64>,
    /// How often each is there; none if once.
    times: Option<&'a [usize]>,
    tolerance: f64,
}

impl<'a> Columns<'a> {
    fn of(values: &[Truth], tolerance: f64) -> Columns<'a> {
        Columns {
            strengths: values.iter().map(|value| value.strength).collect(),
            confidences: values.iter().map(|value| value.confidence).collect(),
            times: None,
            tolerance,
        }
    }

    fn uniform(&self) -> Coded {
        self.guarded(uniform(), uniform())
    }

    fn log_count(&self) -> Coded {
        self.guarded(uniform(), log_count(&self.confidences))
    }

    fn per_column(&self) -> Coded {
        let column = |quantity, values| fit::column(quantity, values, self.times, self.tolerance);
        Coded::Columns {
            strength: column(Quantity::Strength, &self.strengths),
            confidence: column(Quantity::Confidence, &self.confidences),
        }
    }

    fn plain_uniform(&self) -> Coded {
        Coded::Columns { strength: plain(&self.strengths), confidence: plain(&self.confidences) }
    }

    fn guarded(&self, strength: Vec<f64>, confidence: Vec<f64>) -> Coded {
        let column = |quantity, levels, values: &[f64]| {
            Column::guarded(quantity, levels, values, self.tolerance)
        };
        Coded::Columns {
            strength: column(Quantity::Strength, strength, &self.strengths),
            confidence: column(Quantity::Confidence, confidence, &self.confidences),
        }
    }
}

/// The specification's code of a column. NaN becomes 0, as a conversion to an integer makes it.
fn plain(values: &[f64]) -> Column {
    let code = |value: &f64| (255.0 * value.clamp(0.0, 1.0)).round() as u8;
    let codes = values.iter().map(code).collect();
    Column { levels: plain_uniform(), codes, exceptions: Vec::new() }
}

/// The best code for these values: the palette where there are at most 256 distinct pairs, for it
/// loses nothing and takes the fewest bytes; else the guarded codec that leaves the fewest values
/// beyond `tolerance` of its levels (they are kept exactly), and of equals the one whose errors of
/// strength and of count are smaller on average.
///
/// What it gave is coded so again: values that a codec loses nothing of are coded by it.
pub fn choose(values: &[Truth], tolerance: f64) -> (Codec, Coded) {
    if let Some(lossless) = lossless(values, tolerance) {
        return lossless;
    }
    let cost = |coded: &Coded| {
        let damage = Damage::between(values, &coded.decode());
        (coded.exceptions(), damage.strength.rms_error + damage.confidence.rms_error)
    };
    let [mut best, others @ ..] = guarded(values, tolerance);
    let mut least = cost(&best.1);
    for other in others {
        let cost = cost(&other.1);
        if cost < least {
            (best, least) = (other, cost);
        }
    }
    lossless(&best.1.decode(), tolerance).unwrap_or(best)
}

fn guarded(values: &[Truth], tolerance: f64) -> [(Codec, Coded); 3] {
    let columns = Columns::of(values, tolerance);
    [
        (Codec::PerColumn, columns.per_column()),
        (Codec::LogCount, columns.log_count()),
        (Codec::Uniform, columns.uniform()),
    ]
}

/// The smallest code that loses nothing.
fn lossless(values: &[Truth], tolerance: f64) -> Option<(Codec, Coded)> {
    if let Some(palette) = Palette::of(values) {
        return Some((Codec::Palette, Coded::Palette(palette)));
    }
    let is_same = |(_, coded): &(Codec, Coded)| {
        values.iter().zip(coded.decode()).all(|(value, coded)| value.bits() == coded.bits())
    };
    let codes = guarded(values, tolerance).into_iter().filter(is_same);
    codes.min_by_key(|(_, coded)| coded.bytes())
}
