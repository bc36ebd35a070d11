//! The operators of combo: how they are spelled, and how many arguments they take.

use std::fmt;

/// An operator of a combo program, numbered as packed programs number it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    /// True where every argument is.
    And,
    /// True where an argument is.
    Or,
    /// True where its argument is false.
    Not,
    /// True.
    True,
    /// False.
    False,
    /// The sum.
    Plus,
    /// The product; a factor of 0 ends it.
    Times,
    /// The quotient of two.
    Divide,
    /// The natural logarithm.
    Log,
    /// The exponential function.
    Exp,
    /// The sine.
    Sin,
    /// Whether its argument is above 0: `0<`.
    Positive,
    /// 1 for true, 0 for false.
    Impulse,
    /// A random number from 0 to 1.
    Rand,
    /// Pairs of a condition and a value, then a value: the first whose condition is true.
    Cond,
    /// A condition and two numbers.
    ContinIf,
    /// Whether two values are the same. MOSES prints it and cannot read it.
    Equal,
    /// A list.
    List,
    /// The first of a list.
    Car,
    /// A list without its first.
    Cdr,
    /// A list with one before it.
    Cons,
    /// A list folded from its end.
    Foldr,
    /// A list folded from its beginning.
    Foldl,
    /// A function of its first arguments.
    Lambda,
    /// A function and its arguments.
    Apply,
    /// The place of a knob that is turned off.
    NullVertex,
    /// A wild card.
    WildCard,
    /// A neural network: its output neurons.
    Network,
}

/// How many arguments an operator takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arity {
    /// This many.
    Exactly(usize),
    /// Any number. Without arguments it is the operator itself, which MOSES folds lists with and
    /// begins a search from.
    Any,
    /// At least this many.
    AtLeast(usize),
    /// Pairs and one more, at least one pair.
    PairsAndOne,
}

/// An operator, how it is written, how else it may be read, and its arity.
type Row = (Operator, &'static str, &'static str, Arity);

/// In the order of the enum, so that an operator is its own index.
const TABLE: [Row; 28] = [
    (Operator::And, "and", "logical_and", Arity::Any),
    (Operator::Or, "or", "logical_or", Arity::Any),
    (Operator::Not, "not", "logical_not", Arity::Exactly(1)),
    (Operator::True, "true", "logical_true", Arity::Exactly(0)),
    (Operator::False, "false", "logical_false", Arity::Exactly(0)),
    (Operator::Plus, "+", "plus", Arity::Any),
    (Operator::Times, "*", "times", Arity::Any),
    (Operator::Divide, "/", "div", Arity::Exactly(2)),
    (Operator::Log, "log", "log", Arity::Exactly(1)),
    (Operator::Exp, "exp", "exp", Arity::Exactly(1)),
    (Operator::Sin, "sin", "sin", Arity::Exactly(1)),
    (Operator::Positive, "0<", "0<", Arity::Exactly(1)),
    (Operator::Impulse, "impulse", "impulse", Arity::Exactly(1)),
    (Operator::Rand, "rand", "rand", Arity::Exactly(0)),
    (Operator::Cond, "cond", "cond", Arity::PairsAndOne),
    (Operator::ContinIf, "contin_if", "contin_boolean_if", Arity::Exactly(3)),
    (Operator::Equal, "equ", "equ", Arity::Exactly(2)),
    (Operator::List, "list", "list", Arity::Any),
    (Operator::Car, "car", "car", Arity::Exactly(1)),
    (Operator::Cdr, "cdr", "cdr", Arity::Exactly(1)),
    (Operator::Cons, "cons", "cons", Arity::Exactly(2)),
    (Operator::Foldr, "foldr", "foldr", Arity::Exactly(3)),
    (Operator::Foldl, "foldl", "foldl", Arity::Exactly(3)),
    (Operator::Lambda, "lambda", "->", Arity::AtLeast(1)),
    (Operator::Apply, "apply", "apply", Arity::AtLeast(1)),
    (Operator::NullVertex, "null_vertex", "null_vertex", Arity::Exactly(0)),
    (Operator::WildCard, "_*_", "_*_", Arity::Exactly(0)),
    (Operator::Network, "ann", "ann", Arity::AtLeast(1)),
];

impl Operator {
    /// All of them, in the order of their numbers.
    pub fn all() -> impl Iterator<Item = Operator> {
        TABLE.iter().map(|row| row.0)
    }

    /// The operator with this number in a packed program.
    pub fn from_id(id: u8) -> Option<Operator> {
        TABLE.get(usize::from(id)).map(|row| row.0)
    }

    /// Its number in a packed program, below 28.
    pub fn id(self) -> u8 {
        self as u8
    }

    /// The operator of this spelling, any that MOSES reads.
    pub fn from_spelling(text: &str) -> Option<Operator> {
        TABLE.iter().find(|row| row.1 == text || row.2 == text).map(|row| row.0)
    }

    /// How it is written.
    pub fn spelling(self) -> &'static str {
        TABLE[self as usize].1
    }

    /// How many arguments it takes.
    pub fn arity(self) -> Arity {
        TABLE[self as usize].3
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.spelling())
    }
}

impl Arity {
    /// Whether so many are right.
    pub fn allows(self, count: usize) -> bool {
        match self {
            Arity::Exactly(n) => count == n,
            Arity::Any => true,
            Arity::AtLeast(n) => count >= n,
            Arity::PairsAndOne => count >= 3 && !count.is_multiple_of(2),
        }
    }
}

impl fmt::Display for Arity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Arity::Exactly(0) => f.write_str("no arguments"),
            Arity::Exactly(1) => f.write_str("1 argument"),
            Arity::Exactly(n) => write!(f, "{n} arguments"),
            Arity::Any => f.write_str("any arguments"),
            Arity::AtLeast(n) => write!(f, "at least {n} argument"),
            Arity::PairsAndOne => f.write_str("an odd number of arguments, at least 3"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_spellings_lead_back() {
        for (i, operator) in Operator::all().enumerate() {
            assert_eq!(usize::from(operator.id()), i);
            assert_eq!(Operator::from_id(i as u8), Some(operator));
            assert_eq!(Operator::from_spelling(TABLE[i].1), Some(operator));
            assert_eq!(Operator::from_spelling(TABLE[i].2), Some(operator));
        }
        assert_eq!(Operator::from_id(28), None);
        assert_eq!(Operator::from_spelling("minus"), None, "combo has none");
    }

    #[test]
    fn cond_ends_with_else() {
        let allowed: Vec<usize> = (0..8).filter(|n| Operator::Cond.arity().allows(*n)).collect();
        assert_eq!(allowed, [3, 5, 7]);
    }
}
