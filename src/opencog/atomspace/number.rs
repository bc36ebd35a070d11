//! Numbers as AtomSpace text has them.

/// A decimal number, or one of C's and Guile's spellings of infinity and not-a-number.
pub(super) fn parse(text: &[u8]) -> Option<f64> {
    plain(text).or_else(|| match text {
        b"+inf.0" => Some(f64::INFINITY),
        b"-inf.0" => Some(f64::NEG_INFINITY),
        b"+nan.0" => Some(f64::NAN),
        _ => std::str::from_utf8(text).ok()?.parse().ok(),
    })
}

/// A number of so few digits that they are an integer which floats have, and of an exponent so small
/// that they have its power of ten as well: product or quotient is rounded once, and rightly.
fn plain(text: &[u8]) -> Option<f64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let (mut integer, mut count, mut point) = (0u64, 0, None);
    let mut exponent = 0;
    for (i, byte) in digits.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        match byte {
            _ if digit < 10 && count < MOST_DIGITS => {
                integer = 10 * integer + u64::from(digit);
                count += 1;
            }
            b'.' if point.is_none() => point = Some(count),
            b'e' => {
                exponent = small_exponent(&digits[i + 1..])?;
                break;
            }
            _ => return None,
        }
    }
    if count == 0 {
        return None;
    }
    exponent -= point.map_or(0, |point| count as i32 - point as i32);
    let power = *POWERS_OF_TEN.get(exponent.unsigned_abs() as usize)?;
    let number = if exponent < 0 { integer as f64 / power } else { integer as f64 * power };
    Some(if digits.len() < text.len() { -number } else { number })
}

/// An exponent of one or two digits.
fn small_exponent(text: &[u8]) -> Option<i32> {
    let (sign, digits) = match text {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] => (1, digits),
        digits => (1, digits),
    };
    let is_small = matches!(digits.len(), 1 | 2) && digits.iter().all(u8::is_ascii_digit);
    let digit = |so_far, byte: &u8| 10 * so_far + i32::from(byte - b'0');
    is_small.then(|| sign * digits.iter().fold(0, digit))
}

/// The most digits of an integer that is below 2^53 whatever they are.
const MOST_DIGITS: usize = 15;

/// Those that floats have.
const POWERS_OF_TEN: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// The shortest text that [`parse`] reads back as the same number.
pub(super) fn print(out: &mut Vec<u8>, number: f64) {
    use std::io::Write;
    let size = number.abs();
    let plain = size == 0.0 || (1e-5..1e16).contains(&size) || !size.is_finite();
    // writing to a vector cannot fail
    let _ = if plain { write!(out, "{number}") } else { write!(out, "{number:e}") };
}

/// The name of a `NumberNode` in its one spelling: `0.50` is `0.5`, `1  2` is `1 2`. None where it
/// has that spelling already or is no number.
pub(super) fn normal_name(name: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(name.len());
    for word in name.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
        if !out.is_empty() {
            out.push(b' ');
        }
        print(&mut out, parse(word)?);
    }
    (!out.is_empty() && out != name).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn printed(number: f64) -> String {
        let mut out = Vec::new();
        print(&mut out, number);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_read_as_files_write_them() {
        for (text, number) in [("1", 1.0), (".5", 0.5), ("1e-05", 1e-5), ("-0.1", -0.1)] {
            assert_eq!(parse(text.as_bytes()), Some(number));
        }
        assert_eq!(parse(b"inf"), Some(f64::INFINITY));
        assert_eq!(parse(b"+inf.0"), Some(f64::INFINITY));
        assert!(parse(b"-nan").unwrap().is_nan());
        assert_eq!(parse(b"1x"), None);
        assert_eq!(parse(b""), None);
    }

    #[test]
    fn names_of_numbers_have_one_spelling() {
        assert_eq!(normal_name(b"0.50").unwrap(), b"0.5");
        assert_eq!(normal_name(b" 1.0  2 3").unwrap(), b"1 2 3");
        assert_eq!(normal_name(b"0.952777803"), None);
        assert_eq!(normal_name(b"many"), None);
        assert_eq!(normal_name(b""), None);
    }

    proptest! {
        #[test]
        fn short_numbers_are_those_of_the_standard_library(
            text in prop_oneof!["-?[0-9]{0,9}[.]?[0-9]{0,9}", "-?[0-9]{0,9}[.]?[0-9]{0,9}e[-+]?[0-9]{0,3}", "[-+.0-9e]{0,6}"],
        ) {
            let expected = text.parse::<f64>().ok().map(f64::to_bits);
            prop_assert_eq!(parse(text.as_bytes()).map(f64::to_bits), expected, "{}", text);
        }

        #[test]
        fn what_is_printed_is_read_back(bits: u64) {
            let number = f64::from_bits(bits);
            let back = parse(printed(number).as_bytes()).unwrap();
            prop_assert!(back.to_bits() == bits || back.is_nan() && number.is_nan());
        }
    }
}
