//! Numbers as AtomSpace text has them.

use super::hexadecimal;

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
            _ if digit < 10 && count < PLAIN_DIGITS => {
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
const PLAIN_DIGITS: usize = 15;

/// Those that floats have.
const POWERS_OF_TEN: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// The shortest text that [`parse`] reads back as the same number. One that is too small for all its
/// bits is written in all its digits, since C refuses what it must round there.
pub(super) fn print(out: &mut Vec<u8>, number: f64) {
    use std::io::Write;
    let size = number.abs();
    let plain = size == 0.0 || (1e-5..1e16).contains(&size) || !size.is_finite();
    // writing to a vector cannot fail
    let _ = match () {
        () if number.is_nan() && number.is_sign_negative() => write!(out, "-NaN"),
        () if number.is_subnormal() => write!(out, "{}", all_digits(number)),
        () if plain => write!(out, "{number}"),
        () => write!(out, "{number:e}"),
    };
}

/// The most digits that a number below the smallest of full precision has.
const PRINTED_DIGITS: usize = 767;

fn all_digits(number: f64) -> String {
    let text = format!("{number:.PRINTED_DIGITS$e}");
    let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
    format!("{}e{power}", digits.trim_end_matches('0').trim_end_matches('.'))
}

/// The name of a `NumberNode` in its one spelling: `0.50` is `0.5`, `[1, 2]` is `1 2`. None where it
/// has that spelling already or AtomSpace takes it for no numbers.
pub(super) fn normal_name(name: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(name.len());
    for number in numbers_of_name(name)? {
        if !out.is_empty() {
            out.push(b' ');
        }
        print(&mut out, number);
    }
    (out != name).then_some(out)
}

/// The numbers that AtomSpace takes the name of a `NumberNode` for; none where it refuses it
/// (`NumberNode.cc`, `to_vector`).
pub(super) fn numbers_of_name(name: &[u8]) -> Option<Vec<f64>> {
    let name = name.strip_prefix(b"#(").or(name.strip_prefix(b"[")).unwrap_or(name);
    let is_blank = |byte: &u8| b", \t\r\n".contains(byte);
    let mut rest = name.trim_ascii();
    let mut numbers = Vec::new();
    while let Some(begin) = rest.iter().position(|byte| !is_blank(byte)) {
        rest = &rest[begin..];
        let end = rest.iter().position(|byte| b", \t".contains(byte)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        numbers.push(match word[0] {
            b'f' | b'F' => 0.0,
            b't' | b'T' => 1.0,
            _ => leading_number(word)?,
        });
    }
    Some(numbers)
}

/// The number that a word begins with, as C reads it; none where there is none, or it is too large
/// or too small for all its bits.
fn leading_number(word: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(word).ok()?;
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if let Some(read) = hexadecimal::leading(unsigned.as_bytes()) {
        let number = if text.starts_with('-') { -read.number } else { read.number };
        return (!read.is_out_of_range).then_some(number);
    }
    let lower = unsigned.to_ascii_lowercase();
    let named = ["infinity", "inf", "nan"].into_iter().find(|name| lower.starts_with(name));
    let end = text.len() - unsigned.len() + named.map_or_else(|| decimal_len(unsigned), str::len);
    let number: f64 = text[..end].parse().ok()?;
    let is_rounded = (number.is_subnormal() || number == 0.0)
        && number.abs() < f64::MIN_POSITIVE
        && significant(&text[..end]) != significant(&all_digits(number));
    let is_far = number.is_infinite() && named.is_none();
    (!is_far && !is_rounded).then_some(number)
}

/// How many bytes of a text are a decimal number.
fn decimal_len(text: &str) -> usize {
    let digits = |from: usize| text[from..].bytes().take_while(u8::is_ascii_digit).count();
    let mut end = digits(0);
    if text[end..].starts_with('.') {
        end += 1 + digits(end + 1);
    }
    if text[end..].starts_with(['e', 'E']) {
        let sign = usize::from(text[end + 1..].starts_with(['+', '-']));
        let power = digits(end + 1 + sign);
        if power > 0 {
            end += 1 + sign + power;
        }
    }
    end
}

/// The digits of a decimal number from the first that is not 0 to the last, and the power of ten of
/// the first; nothing for 0.
fn significant(text: &str) -> (String, i64) {
    let text = text.trim_start_matches(['+', '-']).to_ascii_lowercase();
    let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
    let whole = digits.find('.').unwrap_or(digits.len()) as i64;
    let all: String = digits.chars().filter(char::is_ascii_digit).collect();
    let zeros = (all.len() - all.trim_start_matches('0').len()) as i64;
    let first = all.trim_matches('0').to_owned();
    // A power beyond that makes 0 or infinity of any text that there is.
    let power = power.parse::<i64>().unwrap_or(i64::MAX / 4);
    if first.is_empty() { (first, 0) } else { (first, power + whole - zeros) }
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
        for (name, normal) in [
            ("[1, 2.50]", "1 2.5"),
            ("#(1 2)", "1 2"),
            ("0.1, 0.2", "0.1 0.2"),
            ("true f", "1 0"),
            ("1abc", "1"),
            ("+3", "3"),
            ("1e3", "1000"),
            ("-Infinity", "-inf"),
            ("0x10", "16"),
            ("[-0X1P4, 0x.8]", "-16 0.5"),
            ("0xg", "0"),
        ] {
            assert_eq!(normal_name(name.as_bytes()).unwrap(), normal.as_bytes(), "{name}");
        }
    }

    #[test]
    fn what_c_refuses_is_no_number() {
        for name in ["1e400", "-1e400", "1e-400", "5e-324", "1e-310", "e5", "-", "one", "0x1p1024"]
        {
            assert_eq!(numbers_of_name(name.as_bytes()), None, "{name}");
            assert_eq!(normal_name(name.as_bytes()), None, "{name}");
        }
        for number in [5e-324, -1e-310, f64::MIN_POSITIVE / 2.0] {
            assert_eq!(numbers_of_name(printed(number).as_bytes()), Some(vec![number]));
        }
        assert_eq!(numbers_of_name(b"0 0e-999 -0.0 2.2250738585072014e-308").unwrap().len(), 4);
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
            prop_assert_eq!(back.is_sign_negative(), number.is_sign_negative());
        }
    }
}
