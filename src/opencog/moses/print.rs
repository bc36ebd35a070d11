//! Writing programs as MOSES does.

use super::names::Names;
use super::tree::{Program, Token};

/// How many digits a constant is written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digits {
    /// As few as lead back to the same number.
    Shortest,
    /// At most six, as MOSES writes.
    Six,
}

/// The text of a program.
pub fn print(program: &Program, names: &Names, digits: Digits) -> String {
    let mut out = String::new();
    // Where each operator ends whose `)` is to come.
    let (ends, mut open) = (program.ends(), Vec::new());
    for (at, token) in program.tokens().iter().enumerate() {
        out.push_str(&vertex(token, names, digits));
        if token.arity() > 0 {
            out.push('(');
            open.push(ends[at]);
            continue;
        }
        while open.pop_if(|end| *end == at + 1).is_some() {
            out.push(')');
        }
        if !open.is_empty() {
            out.push(' ');
        }
    }
    out
}

fn vertex(token: &Token<f64>, names: &Names, digits: Digits) -> String {
    match *token {
        Token::Operator(operator, _) => operator.to_string(),
        Token::Argument { argument, negated } => {
            let not = if negated { "!" } else { "" };
            format!("{not}${}", names.arguments()[argument as usize])
        }
        Token::Constant(value) => match digits {
            Digits::Shortest => shortest(value),
            Digits::Six => six(value),
        },
        Token::Word(word) => names.words()[word as usize].clone(),
        Token::Neuron { id, .. } => format!("$N{id}"),
        Token::Input(input) => format!("$I{input}"),
    }
}

fn shortest(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || (1e-5..1e17).contains(&size) {
        value.to_string()
    } else {
        format!("{value:e}")
    }
}

/// As C's `%g` and the streams of C++ write it.
fn six(value: f64) -> String {
    let scientific = format!("{value:.5e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..6).contains(&exponent) {
        let decimals = (5 - exponent) as usize;
        return without_zeros(&format!("{value:.decimals$}")).into();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", without_zeros(mantissa), exponent.abs())
}

fn without_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use super::super::read::read;
    use super::*;

    #[test]
    fn programs_of_moses_come_back() {
        for text in [
            "or(and($1 !$2) $3)",
            "and(0<(+(-1.3 $x)) 0<($y) $g)",
            "+(6 *(6 $1))",
            "cond(0<(+(-2.5 $petal_len)) Iris-setosa Iris-virginica)",
            "+(*(0.5 impulse($kw)) 3)",
            "ann($N1($I2 $I3 $I4 0 0 0))",
            "foldr(+ 0 list(1 2))",
            "and",
            "true",
            "enum:\"two words\"",
        ] {
            let mut names = Names::new();
            let program = read(text, &mut names).unwrap();
            assert_eq!(print(&program, &names, Digits::Shortest), text);
            assert_eq!(print(&program, &names, Digits::Six), text);
        }
    }

    #[test]
    fn six_digits_are_those_of_c() {
        for (value, text) in [
            (0.0, "0"),
            (0.1 + 0.2, "0.3"),
            (1.0 / 3.0, "0.333333"),
            (1234567.0, "1.23457e+06"),
            (999999.5, "1e+06"),
            (-0.00001, "-1e-05"),
            (0.000123456789, "0.000123457"),
            (100000.0, "100000"),
            (1e300, "1e+300"),
        ] {
            assert_eq!(six(value), text);
        }
    }

    #[test]
    fn the_shortest_digits_lead_back() {
        for value in [0.1 + 0.2, 1e300, -1e-300, 1e16 + 2.0, 5e-324, -0.0] {
            assert_eq!(shortest(value).parse::<f64>().unwrap().to_bits(), value.to_bits());
        }
        assert_eq!(shortest(1e300), "1e300");
    }
}
