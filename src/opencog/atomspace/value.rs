//! Values that are attached to atoms.

use super::atom_store::AtomId;

/// Evidence that is worth a confidence of 1/2 (SimpleTruthValue.cc, `DEFAULT_K`).
pub const LOOKAHEAD: f64 = 800.0;

/// The name of the `PredicateNode` under which AtomSpace keeps truth values.
pub const TRUTH_KEY: &[u8] = b"*-TruthValueKey-*";

/// The name of the `PredicateNode` under which AtomSpace keeps attention values.
pub const ATTENTION_KEY: &[u8] = b"*-AttentionValueKey-*";

/// The largest confidence that is turned into a count (SimpleTruthValue.cc).
pub(super) const LARGEST_CONFIDENCE: f64 = 0.999_999_8;

/// The kinds of truth values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TruthKind {
    /// `SimpleTruthValue`, `stv`.
    Simple,
    /// `CountTruthValue`, `ctv`.
    Count,
    /// `IndefiniteTruthValue`, `itv`.
    Indefinite,
    /// `ProbabilisticTruthValue`, `ptv`.
    Probabilistic,
    /// `EvidenceCountTruthValue`, `etv`.
    EvidenceCount,
    /// `FuzzyTruthValue`, `ftv`.
    Fuzzy,
}

impl TruthKind {
    /// All kinds; a kind's place here is its number in files of ours.
    pub const ALL: [TruthKind; 6] = [
        TruthKind::Simple,
        TruthKind::Count,
        TruthKind::Indefinite,
        TruthKind::Probabilistic,
        TruthKind::EvidenceCount,
        TruthKind::Fuzzy,
    ];

    /// The long name, as FileStorage writes it.
    pub fn name(self) -> &'static str {
        match self {
            TruthKind::Simple => "SimpleTruthValue",
            TruthKind::Count => "CountTruthValue",
            TruthKind::Indefinite => "IndefiniteTruthValue",
            TruthKind::Probabilistic => "ProbabilisticTruthValue",
            TruthKind::EvidenceCount => "EvidenceCountTruthValue",
            TruthKind::Fuzzy => "FuzzyTruthValue",
        }
    }

    /// How many numbers a truth value of this kind consists of.
    pub fn arity(self) -> usize {
        match self {
            TruthKind::Simple | TruthKind::EvidenceCount | TruthKind::Fuzzy => 2,
            TruthKind::Count | TruthKind::Indefinite | TruthKind::Probabilistic => 3,
        }
    }
}

/// A truth value: its numbers as they were written, neither clamped nor rounded.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs, reason = "the fields are the words of the kind's definition")]
pub enum TruthValue {
    Simple { strength: f64, confidence: f64 },
    Count { strength: f64, confidence: f64, count: f64 },
    Indefinite { lower: f64, upper: f64, confidence: f64 },
    Probabilistic { strength: f64, confidence: f64, count: f64 },
    EvidenceCount { positive: f64, total: f64 },
    Fuzzy { strength: f64, confidence: f64 },
}

impl TruthValue {
    /// What an atom without a truth value has: strength 1 of confidence 0.
    pub const DEFAULT: TruthValue = TruthValue::Simple { strength: 1.0, confidence: 0.0 };

    /// The kind.
    pub fn kind(&self) -> TruthKind {
        match self {
            TruthValue::Simple { .. } => TruthKind::Simple,
            TruthValue::Count { .. } => TruthKind::Count,
            TruthValue::Indefinite { .. } => TruthKind::Indefinite,
            TruthValue::Probabilistic { .. } => TruthKind::Probabilistic,
            TruthValue::EvidenceCount { .. } => TruthKind::EvidenceCount,
            TruthValue::Fuzzy { .. } => TruthKind::Fuzzy,
        }
    }

    /// The numbers in the order of text, of which the first [`TruthKind::arity`] count.
    pub fn numbers(&self) -> [f64; 3] {
        match *self {
            TruthValue::Simple { strength, confidence }
            | TruthValue::Fuzzy { strength, confidence } => [strength, confidence, 0.0],
            TruthValue::Count { strength, confidence, count }
            | TruthValue::Probabilistic { strength, confidence, count } => {
                [strength, confidence, count]
            }
            TruthValue::Indefinite { lower, upper, confidence } => [lower, upper, confidence],
            TruthValue::EvidenceCount { positive, total } => [positive, total, 0.0],
        }
    }

    /// The truth value of this kind whose [`numbers`](Self::numbers) are these.
    pub fn from_numbers(kind: TruthKind, [a, b, c]: [f64; 3]) -> TruthValue {
        match kind {
            TruthKind::Simple => TruthValue::Simple { strength: a, confidence: b },
            TruthKind::Count => TruthValue::Count { strength: a, confidence: b, count: c },
            TruthKind::Indefinite => TruthValue::Indefinite { lower: a, upper: b, confidence: c },
            TruthKind::Probabilistic => {
                TruthValue::Probabilistic { strength: a, confidence: b, count: c }
            }
            TruthKind::EvidenceCount => TruthValue::EvidenceCount { positive: a, total: b },
            TruthKind::Fuzzy => TruthValue::Fuzzy { strength: a, confidence: b },
        }
    }

    /// How true: the strength, the share of positive evidence, or the middle of an interval.
    pub fn strength(&self) -> f64 {
        match *self {
            TruthValue::Simple { strength, .. }
            | TruthValue::Count { strength, .. }
            | TruthValue::Probabilistic { strength, .. }
            | TruthValue::Fuzzy { strength, .. } => strength,
            TruthValue::Indefinite { lower, upper, .. } => (lower + upper) / 2.0,
            TruthValue::EvidenceCount { positive, total } => positive / total,
        }
    }

    /// How sure.
    pub fn confidence(&self) -> f64 {
        match *self {
            TruthValue::Simple { confidence, .. }
            | TruthValue::Count { confidence, .. }
            | TruthValue::Indefinite { confidence, .. }
            | TruthValue::Probabilistic { confidence, .. }
            | TruthValue::Fuzzy { confidence, .. } => confidence,
            TruthValue::EvidenceCount { total, .. } => confidence_of_count(total),
        }
    }

    /// How many observations it stands for.
    pub fn count(&self) -> f64 {
        match *self {
            TruthValue::Count { count, .. } | TruthValue::Probabilistic { count, .. } => count,
            TruthValue::EvidenceCount { total, .. } => total,
            TruthValue::Simple { confidence, .. }
            | TruthValue::Indefinite { confidence, .. }
            | TruthValue::Fuzzy { confidence, .. } => count_of_confidence(confidence),
        }
    }

    /// Whether kind and numbers are the same, bit by bit: not-a-number is itself, 0 is not -0.
    pub fn is_identical(&self, other: &TruthValue) -> bool {
        self.bits() == other.bits()
    }

    pub(super) fn bits(&self) -> [u64; 4] {
        let [a, b, c] = self.numbers().map(f64::to_bits);
        [self.kind() as u64, a, b, c]
    }
}

/// n = 800 c / (1 - c), where a confidence near 1 counts as 0.9999998.
pub fn count_of_confidence(confidence: f64) -> f64 {
    let c = confidence.min(LARGEST_CONFIDENCE);
    LOOKAHEAD * c / (1.0 - c)
}

/// c = n / (n + 800).
pub fn confidence_of_count(count: f64) -> f64 {
    count / (count + LOOKAHEAD)
}

/// How much attention an atom gets.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct AttentionValue {
    /// Short-term importance.
    pub sti: f64,
    /// Long-term importance.
    pub lti: f64,
    /// How many want the atom kept; 0 lets it be forgotten.
    pub vlti: f64,
}

impl AttentionValue {
    /// Whether the numbers are the same, bit by bit.
    pub fn is_identical(&self, other: &AttentionValue) -> bool {
        self.bits() == other.bits()
    }

    pub(super) fn bits(&self) -> [u64; 4] {
        [self.sti.to_bits(), self.lti.to_bits(), self.vlti.to_bits(), 0]
    }
}

/// A value under a key other than those of the truth value and the attention value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `FloatValue`.
    Floats(Vec<f64>),
    /// `StringValue`.
    Strings(Vec<Vec<u8>>),
    /// `BoolValue`.
    Bools(Vec<bool>),
    /// `LinkValue`, at most [`Value::DEEPEST`] of them in each other.
    Links(Vec<Value>),
    /// `VoidValue`.
    Void,
    /// An atom of the same space.
    Atom(AtomId),
    /// A truth value that stands under another key, or in a `LinkValue`.
    Truth(TruthValue),
    /// An attention value that stands under another key, or in a `LinkValue`.
    Attention(AttentionValue),
    /// A value of a kind that is derived from another one, as `QueueValue` from `LinkValue`: the name
    /// of the kind, and what it holds, which is of no derived kind itself.
    Derived(Box<str>, Box<Value>),
}

impl Value {
    /// How many `LinkValue`s may lie in each other.
    pub const DEEPEST: usize = 128;

    /// The truth value that this is under the key of truth values. Since October 2025 one is a
    /// `FloatValue`: two numbers are a simple one, three one with a count.
    pub fn as_truth(&self) -> Option<TruthValue> {
        match self {
            Value::Truth(truth) => Some(*truth),
            Value::Floats(numbers) => match numbers[..] {
                [strength, confidence] => Some(TruthValue::Simple { strength, confidence }),
                [strength, confidence, count] => {
                    Some(TruthValue::Count { strength, confidence, count })
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// The attention value that this is under the key of attention values: one, or three numbers.
    pub fn as_attention(&self) -> Option<AttentionValue> {
        match self {
            Value::Attention(attention) => Some(*attention),
            Value::Floats(numbers) => match numbers[..] {
                [sti, lti, vlti] => Some(AttentionValue { sti, lti, vlti }),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether both say the same, bit by bit, where `same_atom` tells which atoms are the same.
    pub fn is_identical(&self, other: &Value, same_atom: &impl Fn(AtomId, AtomId) -> bool) -> bool {
        match (self, other) {
            (Value::Floats(a), Value::Floats(b)) => {
                a.iter().map(|x| x.to_bits()).eq(b.iter().map(|x| x.to_bits()))
            }
            (Value::Links(a), Value::Links(b)) => {
                let mut pairs = a.iter().zip(b);
                a.len() == b.len() && pairs.all(|(a, b)| a.is_identical(b, same_atom))
            }
            (&Value::Atom(a), &Value::Atom(b)) => same_atom(a, b),
            (Value::Truth(a), Value::Truth(b)) => a.is_identical(b),
            (Value::Attention(a), Value::Attention(b)) => a.is_identical(b),
            (Value::Derived(a, held), Value::Derived(b, other)) => {
                a == b && held.is_identical(other, same_atom)
            }
            (Value::Strings(_) | Value::Bools(_) | Value::Void, _) => self == other,
            _ => false,
        }
    }

    /// The value where atoms have other ids.
    ///
    /// # Errors
    /// What `id` fails with: one of its atoms has none.
    pub(super) fn moved<E>(&self, id: &impl Fn(AtomId) -> Result<AtomId, E>) -> Result<Value, E> {
        Ok(match self {
            Value::Atom(atom) => Value::Atom(id(*atom)?),
            Value::Links(values) => {
                Value::Links(values.iter().map(|value| value.moved(id)).collect::<Result<_, _>>()?)
            }
            Value::Derived(kind, value) => Value::Derived(kind.clone(), value.moved(id)?.into()),
            other => other.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_confidences_are_those_of_upstream() {
        for (n, c) in [(1.0, 0.001_248_44), (10.0, 0.012_345_7), (800.0, 0.5), (8000.0, 0.909_091)]
        {
            assert!((confidence_of_count(n) - c).abs() < 1e-6);
            assert!((count_of_confidence(confidence_of_count(n)) / n - 1.0).abs() < 1e-9);
        }
        assert!((count_of_confidence(1.0) - 3.999_999_2e9).abs() < 1e3);
    }

    #[test]
    fn numbers_make_the_truth_value_again() {
        for kind in TruthKind::ALL {
            let mut numbers = [0.25, 0.5, 3.0];
            numbers[kind.arity()..].fill(0.0);
            let value = TruthValue::from_numbers(kind, numbers);
            assert_eq!((value.kind(), value.numbers()), (kind, numbers));
        }
    }

    #[test]
    fn identity_looks_at_bits() {
        let floats = |x| Value::Floats(vec![x]);
        let same = |a, b| Value::is_identical(&floats(a), &floats(b), &|_, _| false);
        assert!(same(f64::NAN, f64::NAN));
        assert!(!same(0.0, -0.0));
        assert!(!Value::Void.is_identical(&floats(0.0), &|_, _| true));
        let (a, b) = (Value::Atom(AtomId(1)), Value::Atom(AtomId(2)));
        assert!(a.is_identical(&b, &|a, b| a.0 + 1 == b.0));
    }
}
