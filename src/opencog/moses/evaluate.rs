//! What programs say of the rows of a table, as MOSES' mixed interpreter has it.

use super::names::{ArgumentName, Names, word_value};
use super::operator::Operator;
use super::table::{Column, Table, label_places};
use super::tree::{Token, Tree};
use super::types::Type;

/// What a program says of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Answer<'a> {
    /// True or false.
    Boolean(bool),
    /// A number.
    Contin(f64),
    /// A word.
    Enumerated(&'a str),
}

/// Why a program says nothing of a row.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum EvaluateError {
    /// A division, logarithm or exponential function left the numbers, where no `0<` caught it.
    #[error("the program overflows: {0}")]
    Overflow(f64),
    /// An operator that stands for itself, or for lists, functions or networks.
    #[error("`{0}` cannot be evaluated on a table")]
    Operator(Operator),
    /// A vertex of a network.
    #[error("a network cannot be evaluated on a table")]
    Network,
    /// A vertex is not of the type that its place asks for.
    #[error("expected {0:?}, found another type")]
    Type(Type),
    /// An argument, by its place among [`Names::arguments`], is not of the type that its place asks
    /// for.
    #[error("expected {1:?}, found a column of another type")]
    Argument(u32, Type),
}

/// An argument of the programs that the table does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the table has no input `${0}`")]
pub struct BindError(pub ArgumentName);

/// The columns that programs name.
#[derive(Debug, Clone)]
pub struct Binding<'a> {
    columns: Vec<&'a Column>,
    words: Vec<&'a str>,
    rows: usize,
}

impl<'a> Binding<'a> {
    /// Finds the arguments of programs in a table: labels by name, places among its inputs.
    pub fn new(names: &'a Names, table: &'a Table) -> Result<Binding<'a>, BindError> {
        let labels = label_places(table);
        let find = |name: &ArgumentName| {
            let place = match name {
                ArgumentName::Place(place) => Some(*place as usize - 1),
                ArgumentName::Label(label) => labels.get(label.as_str()).copied(),
            };
            place.and_then(|place| table.inputs.get(place)).ok_or_else(|| BindError(name.clone()))
        };
        Ok(Binding {
            columns: names.arguments().iter().map(find).collect::<Result<_, _>>()?,
            words: names.words().iter().map(|word| word_value(word)).collect(),
            rows: table.rows(),
        })
    }

    /// The types of the arguments.
    pub fn signature(&self) -> Vec<Type> {
        self.columns.iter().map(|column| column.column_type()).collect()
    }
}

/// What a program says of each row. `constant` is the number that a constant stands for.
pub fn evaluate<'a, C: Copy>(
    tree: &Tree<C>,
    binding: &Binding<'a>,
    constant: impl Fn(C) -> f64,
) -> Vec<Result<Answer<'a>, EvaluateError>> {
    let tree = tree.map(constant);
    let ends = tree.ends();
    let row = |row| Row { tokens: tree.tokens(), ends: &ends, binding, row }.answer(0);
    (0..binding.rows).map(row).collect()
}

/// A program and the row it is asked about.
struct Row<'b, 'a> {
    tokens: &'b [Token<f64>],
    ends: &'b [usize],
    binding: &'b Binding<'a>,
    row: usize,
}

type Outcome<T> = Result<T, EvaluateError>;

impl<'a> Row<'_, 'a> {
    /// Recursive, and no deeper than [`MAX_DEPTH`](super::MAX_DEPTH).
    fn answer(&self, at: usize) -> Outcome<Answer<'a>> {
        match self.tokens[at] {
            Token::Constant(value) => Ok(Answer::Contin(value)),
            Token::Word(word) => Ok(Answer::Enumerated(self.binding.words[word as usize])),
            Token::Argument { argument, negated } => self.argument(argument as usize, negated),
            Token::Neuron { .. } | Token::Input(_) => Err(EvaluateError::Network),
            Token::Operator(operator, 0) if operator.arity().allows(1) => {
                Err(EvaluateError::Operator(operator))
            }
            Token::Operator(operator, arity) => self.operator(operator, at, arity as usize),
        }
    }

    fn argument(&self, argument: usize, negated: bool) -> Outcome<Answer<'a>> {
        match self.binding.columns[argument] {
            Column::Boolean(values) => Ok(Answer::Boolean(values[self.row] != negated)),
            _ if negated => Err(EvaluateError::Argument(argument as u32, Type::Boolean)),
            Column::Contin(values) => Ok(Answer::Contin(values[self.row])),
            Column::Enumerated(values) => Ok(Answer::Enumerated(&values[self.row])),
        }
    }

    fn operator(&self, operator: Operator, at: usize, arity: usize) -> Outcome<Answer<'a>> {
        let first = at + 1;
        let contin = |value| Ok(Answer::Contin(value));
        let boolean = |value| Ok(Answer::Boolean(value));
        match operator {
            Operator::True => boolean(true),
            Operator::False => boolean(false),
            Operator::And => boolean(!self.any(at, arity, false)?),
            Operator::Or => boolean(self.any(at, arity, true)?),
            Operator::Not => boolean(!self.boolean(first)?),
            Operator::Plus => contin(self.sum(at, arity)?),
            Operator::Times => contin(self.product(at, arity)?),
            Operator::Divide => contin(self.quotient(first)?),
            Operator::Log => contin(number(self.contin(first)?.ln())?),
            Operator::Exp => contin(not_infinite(self.contin(first)?.exp())?),
            Operator::Sin => contin(self.contin(first)?.sin()),
            Operator::Rand => contin(uniform(self.row as u64, at as u64)),
            Operator::Positive => boolean(self.is_positive(first)?),
            Operator::Impulse => contin(f64::from(self.boolean(first)?)),
            Operator::Cond | Operator::ContinIf => self.first_true(at, arity),
            Operator::Equal => boolean(self.answer(first)? == self.answer(self.ends[first])?),
            _ => Err(EvaluateError::Operator(operator)),
        }
    }

    /// The vertices of the arguments of vertex `at`.
    fn arguments(&self, at: usize, arity: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(at + 1), |argument| Some(self.ends[*argument])).take(arity)
    }

    /// Whether an argument is `wanted`; those after it are not looked at.
    fn any(&self, at: usize, arity: usize, wanted: bool) -> Outcome<bool> {
        for argument in self.arguments(at, arity) {
            if self.boolean(argument)? == wanted {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn sum(&self, at: usize, arity: usize) -> Outcome<f64> {
        let mut sum = 0.0;
        for argument in self.arguments(at, arity) {
            sum += self.contin(argument)?;
        }
        Ok(sum)
    }

    /// A factor of 0 makes it 0, whatever follows.
    fn product(&self, at: usize, arity: usize) -> Outcome<f64> {
        let mut product = 1.0;
        for argument in self.arguments(at, arity) {
            product *= self.contin(argument)?;
            if product == 0.0 {
                break;
            }
        }
        Ok(product)
    }

    /// 0 over anything is 0.
    fn quotient(&self, first: usize) -> Outcome<f64> {
        let dividend = self.contin(first)?;
        if dividend == 0.0 {
            return Ok(dividend);
        }
        number(dividend / self.contin(self.ends[first])?)
    }

    /// An overflow has a sign too, but for NaN.
    fn is_positive(&self, argument: usize) -> Outcome<bool> {
        match self.contin(argument) {
            Ok(value) | Err(EvaluateError::Overflow(value)) => Ok(value > 0.0),
            Err(error) => Err(error),
        }
    }

    fn first_true(&self, at: usize, arity: usize) -> Outcome<Answer<'a>> {
        let mut argument = at + 1;
        for _ in 0..arity / 2 {
            let value = self.ends[argument];
            if self.boolean(argument)? {
                return self.answer(value);
            }
            argument = self.ends[value];
        }
        self.answer(argument)
    }

    fn boolean(&self, at: usize) -> Outcome<bool> {
        match self.answer(at)? {
            Answer::Boolean(value) => Ok(value),
            _ => Err(self.of_another_type(at, Type::Boolean)),
        }
    }

    fn of_another_type(&self, at: usize, expected: Type) -> EvaluateError {
        match self.tokens[at] {
            Token::Argument { argument, .. } => EvaluateError::Argument(argument, expected),
            _ => EvaluateError::Type(expected),
        }
    }

    fn contin(&self, at: usize) -> Outcome<f64> {
        match self.answer(at)? {
            Answer::Contin(value) => Ok(value),
            _ => Err(self.of_another_type(at, Type::Contin)),
        }
    }
}

fn number(value: f64) -> Outcome<f64> {
    if value.is_finite() { Ok(value) } else { Err(EvaluateError::Overflow(value)) }
}

/// The exponential function of NaN is NaN, which MOSES lets pass.
fn not_infinite(value: f64) -> Outcome<f64> {
    if value.is_infinite() { Err(EvaluateError::Overflow(value)) } else { Ok(value) }
}

/// A number from 0 to 1 that a row and a vertex always draw again, so that scores can be repeated
/// (splitmix64).
fn uniform(row: u64, at: u64) -> f64 {
    let mut z = (row << 32 ^ at).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ z >> 31) >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::super::read::read;
    use super::*;

    /// Of the only row: x = 2, y = 0, b = true, c = red.
    fn answer(text: &str) -> Result<String, EvaluateError> {
        let table = Table::read("t,x,y,b,c\n0,2.0,0.0,1,red\n1,3.5,0.5,0,green", None, None);
        let table = table.unwrap();
        let mut names = Names::new();
        let tree = read(text, &mut names).unwrap();
        let binding = Binding::new(&names, &table).unwrap();
        evaluate(&tree, &binding, |value| value)[0].map(|answer| match answer {
            Answer::Boolean(value) => value.to_string(),
            Answer::Contin(value) => value.to_string(),
            Answer::Enumerated(value) => value.to_string(),
        })
    }

    #[test]
    fn programs_say_what_moses_has_them_say() {
        for (text, expected) in [
            ("+($x 1 *(2 $x))", "7"),
            ("/($x 4)", "0.5"),
            ("/(0 0)", "0"),
            ("*(0 log(-1))", "0"),
            ("exp(0)", "1"),
            ("sin(0)", "0"),
            ("impulse($b)", "1"),
            ("impulse(!$b)", "0"),
            ("0<($y)", "false"),
            ("0<(/(1 $y))", "true"),
            ("0<(/(-1 $y))", "false"),
            ("0<(log(-1))", "false"),
            ("and($b 0<($x))", "true"),
            ("or(!$b not($b))", "false"),
            ("or($b 0<(+(1)) )", "true"),
            ("cond(!$b 1 0<($x) 2 3)", "2"),
            ("cond(!$b red 0<($y) blue green)", "green"),
            ("contin_if($b 5 6)", "5"),
            ("equ($c red)", "true"),
            ("equ($c enum:\"blue\")", "false"),
            ("$3", "true"),
        ] {
            assert_eq!(answer(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_looked_at_cannot_fail() {
        assert_eq!(answer("or($b 0<(log(/(1 0))))").as_deref(), Ok("true"));
        assert_eq!(answer("cond($b 1 log(-1))").as_deref(), Ok("1"));
    }

    #[test]
    fn overflows_and_what_cannot_be_evaluated_are_errors() {
        assert_eq!(answer("+(1 /(1 0))"), Err(EvaluateError::Overflow(f64::INFINITY)));
        assert!(matches!(answer("log(-1)"), Err(EvaluateError::Overflow(x)) if x.is_nan()));
        assert_eq!(answer("exp(1000)"), Err(EvaluateError::Overflow(f64::INFINITY)));
        assert_eq!(answer("car(list(1))"), Err(EvaluateError::Operator(Operator::Car)));
        assert_eq!(answer("and"), Err(EvaluateError::Operator(Operator::And)));
        assert_eq!(answer("not($x)"), Err(EvaluateError::Argument(0, Type::Boolean)));
        assert_eq!(answer("not(+($x 1))"), Err(EvaluateError::Type(Type::Boolean)));
        assert_eq!(answer("ann($N1($I2 1))"), Err(EvaluateError::Operator(Operator::Network)));
    }

    #[test]
    fn random_numbers_can_be_repeated_and_spread() {
        let draws: Vec<f64> = (0..1000).map(|row| uniform(row, 3)).collect();
        let mean = draws.iter().sum::<f64>() / 1000.0;
        assert!((mean - 0.5).abs() < 0.03, "{mean}");
        assert!(draws.iter().all(|x| (0.0..1.0).contains(x)));
        assert_eq!(answer("rand"), answer("rand"));
    }

    #[test]
    fn a_table_must_have_the_arguments() {
        let table = Table::read("t,x\n0,2.0\n1,3.0", None, None).unwrap();
        for (text, missing) in [("$z", "$z"), ("$2", "$2")] {
            let mut names = Names::new();
            read(text, &mut names).unwrap();
            let error = Binding::new(&names, &table).unwrap_err().to_string();
            assert_eq!(error, format!("the table has no input `{missing}`"));
        }
    }
}
