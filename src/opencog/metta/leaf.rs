//! The atoms that hold none: what a word or a string of a text is, and how it is written again.

use std::borrow::Cow;
use std::fmt::Write;

use super::sort::Sort;

/// A leaf: its sort, and the name of its node.
pub(super) type Leaf<'a> = (Sort, Cow<'a, [u8]>);

/// What a word is: as in Hyperon's standard library a number, a truth value of logic, or a constant
/// by its name; else a symbol.
///
/// # Errors
/// What was expected and what was found, where Hyperon refuses it.
pub(super) fn word(word: &[u8]) -> Result<Leaf<'_>, String> {
    match word {
        [b'0'..=b'9' | b'+' | b'-', ..] => number(word),
        b"True" | b"False" => Ok((Sort::Bool, Cow::Borrowed(word))),
        b"PI" => Ok(float(std::f64::consts::PI)),
        b"EXP" => Ok(float(std::f64::consts::E)),
        _ => Ok((Sort::Symbol, Cow::Borrowed(text(word)?.as_bytes()))),
    }
}

/// What a variable's name is.
///
/// # Errors
/// It has a `#`, which Hyperon keeps to itself, or is no UTF-8.
pub(super) fn variable(name: &[u8]) -> Result<Leaf<'_>, String> {
    if name.contains(&b'#') {
        let name = String::from_utf8_lossy(name);
        return Err(format!("expected the name of a variable, found `${name}`: `#` is reserved"));
    }
    Ok((Sort::Variable, Cow::Borrowed(text(name)?.as_bytes())))
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|_| {
        format!("expected UTF-8, found `{}`", String::from_utf8_lossy(bytes).escape_debug())
    })
}

/// An integer is `[-+]?[0-9]+`, a float `[-+]?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?` with a point or
/// an exponent. So `1.`, `.5` and `1_000` are symbols.
fn number(word: &[u8]) -> Result<Leaf<'_>, String> {
    let digits = |from: usize| word[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let sign = usize::from(matches!(word[0], b'+' | b'-'));
    let mut end = sign + digits(sign);
    let symbol = || Ok((Sort::Symbol, Cow::Borrowed(text(word)?.as_bytes())));
    if end == sign {
        return symbol();
    }
    if end == word.len() {
        return integer(word, sign);
    }
    if word[end] == b'.' && digits(end + 1) > 0 {
        end += 1 + digits(end + 1);
    }
    if let [b'e' | b'E', rest @ ..] = &word[end..] {
        let sign = usize::from(matches!(rest, [b'+' | b'-', ..]));
        let exponent = digits(end + 1 + sign);
        end += if exponent > 0 { 1 + sign + exponent } else { 0 };
    }
    match end == word.len() {
        true => Ok(float(text(word)?.parse().map_err(|e| format!("expected a number, {e}"))?)),
        false => symbol(),
    }
}

fn integer(word: &[u8], sign: usize) -> Result<Leaf<'_>, String> {
    let is_normal = word[0] != b'+' && (word[sign] != b'0' || word == b"0");
    // Up to 18 digits are less than 2^63.
    if is_normal && word.len() - sign <= 18 {
        return Ok((Sort::Integer, Cow::Borrowed(word)));
    }
    let found = text(word)?;
    let number: i64 = found.parse().map_err(|_| {
        format!("expected an integer of at most 64 bits, as Hyperon reads them, found {found:.60}")
    })?;
    Ok((Sort::Integer, Cow::Owned(number.to_string().into_bytes())))
}

/// The leaf of a float.
pub(super) fn float(number: f64) -> Leaf<'static> {
    (Sort::Float, Cow::Owned(format!("{number:?}").into_bytes()))
}

/// What a string says.
///
/// # Errors
/// It has an escape that Hyperon does not know, or is no UTF-8.
pub(super) fn string(written: &[u8]) -> Result<Leaf<'_>, String> {
    let written = text(written)?;
    if !written.contains('\\') {
        return Ok((Sort::Text, Cow::Borrowed(written.as_bytes())));
    }
    let mut said = String::with_capacity(written.len());
    let mut rest = written;
    while let Some((plain, after)) = rest.split_once('\\') {
        said.push_str(plain);
        let (char, after) = escaped(after).ok_or_else(|| {
            let found: String = after.chars().take(10).collect();
            format!(
                "expected one of the escapes \\\" \\' \\\\ \\n \\r \\t \\x00 to \\x7f \\u{{..}}, \
                 found \\{found}"
            )
        })?;
        said.push(char);
        rest = after;
    }
    said.push_str(rest);
    Ok((Sort::Text, Cow::Owned(said.into_bytes())))
}

/// The character that an escape stands for, and what follows it.
fn escaped(after: &str) -> Option<(char, &str)> {
    let mut chars = after.chars();
    let char = match chars.next()? {
        char @ ('\'' | '"' | '\\') => char,
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'x' => {
            let (high, low) = (chars.next()?.to_digit(16)?, chars.next()?.to_digit(16)?);
            char::from_u32(high << 4 | low).filter(char::is_ascii)?
        }
        'u' => {
            let inner = chars.as_str().strip_prefix('{')?;
            let (inner, after) = inner.split_once('}')?;
            // Hyperon passes over further opening braces.
            let digits: String = inner.chars().filter(|&char| char != '{').collect();
            let is_code = digits.len() <= 8 && digits.bytes().all(|b| b.is_ascii_hexdigit());
            let code = if digits.is_empty() { Some(0) } else { None };
            let code =
                code.or_else(|| u32::from_str_radix(&digits, 16).ok()).filter(|_| is_code)?;
            return Some((char::from_u32(code)?, after));
        }
        _ => return None,
    };
    Some((char, chars.as_str()))
}

/// Writes a leaf as Hyperon prints it; but so that its parser reads the same again what its own
/// printing would not give back: an infinite float, a character 0 in a string.
pub(super) fn print(sort: Sort, name: &[u8], out: &mut Vec<u8>) {
    match sort {
        Sort::Variable => {
            out.push(b'$');
            out.extend_from_slice(name);
        }
        Sort::Float if name == b"inf" => out.extend_from_slice(b"1e999"),
        Sort::Float if name == b"-inf" => out.extend_from_slice(b"-1e999"),
        Sort::Text => print_string(&String::from_utf8_lossy(name), out),
        _ => out.extend_from_slice(name),
    }
}

fn print_string(said: &str, out: &mut Vec<u8>) {
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    if said.bytes().all(is_plain) {
        out.push(b'"');
        out.extend_from_slice(said.as_bytes());
        out.push(b'"');
        return;
    }
    let mut quoted = String::with_capacity(said.len() + 2);
    let mut parts = said.split('\0').peekable();
    quoted.push('"');
    while let Some(part) = parts.next() {
        // `escape_debug` escapes single quotes too, which `{:?}` of a string does not.
        let mut debug = String::new();
        write!(debug, "{part:?}").expect("writing to a string cannot fail");
        quoted.push_str(&debug[1..debug.len() - 1]);
        if parts.peek().is_some() {
            quoted.push_str("\\x00");
        }
    }
    quoted.push('"');
    out.extend_from_slice(quoted.as_bytes());
}

/// The number that a leaf is.
pub(super) fn number_of(sort: Sort, name: &[u8]) -> Option<Number> {
    let name = std::str::from_utf8(name).ok()?;
    match sort {
        Sort::Integer => name.parse().ok().map(Number::Integer),
        Sort::Float => name.parse().ok().map(Number::Float),
        _ => None,
    }
}

/// A number of MeTTa.
#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    Integer(i64),
    Float(f64),
}

impl Number {
    pub fn as_float(self) -> f64 {
        match self {
            Number::Integer(number) => number as f64,
            Number::Float(number) => number,
        }
    }

    /// Whether they are equal, an integer as a float where only one is.
    pub fn equals(self, other: Number) -> bool {
        match (self, other) {
            (Number::Integer(a), Number::Integer(b)) => a == b,
            (a, b) => a.as_float() == b.as_float(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> String {
        let leaf = match text.as_bytes() {
            [b'"', inner @ .., b'"'] => string(inner),
            [b'$', name @ ..] => variable(name),
            name => word(name),
        };
        let (sort, name) = leaf.unwrap_or_else(|fault| panic!("{text}: {fault}"));
        let mut out = Vec::new();
        print(sort, &name, &mut out);
        let name = sort.name().trim_start_matches("Metta");
        format!("{name} {}", String::from_utf8(out).unwrap())
    }

    /// As Hyperon 0.2.10 prints what its runner parses.
    #[test]
    fn words_are_what_hyperon_makes_of_them() {
        for (text, expected) in [
            ("1", "Integer 1"),
            ("+5", "Integer 5"),
            ("-0", "Integer 0"),
            ("007", "Integer 7"),
            ("-9223372036854775808", "Integer -9223372036854775808"),
            ("1.50", "Float 1.5"),
            ("-0.0", "Float -0.0"),
            ("1e3", "Float 1000.0"),
            ("1E-7", "Float 1e-7"),
            ("1e15", "Float 1000000000000000.0"),
            ("1e16", "Float 1e16"),
            ("123456789012345678.0", "Float 1.2345678901234568e17"),
            ("0.00001", "Float 1e-5"),
            ("5e-324", "Float 5e-324"),
            ("PI", "Float 3.141592653589793"),
            ("EXP", "Float 2.718281828459045"),
            ("True", "Bool True"),
            ("true", "Symbol true"),
            ("1.", "Symbol 1."),
            (".5", "Symbol .5"),
            ("1_000", "Symbol 1_000"),
            ("1e", "Symbol 1e"),
            ("--1", "Symbol --1"),
            ("-", "Symbol -"),
            ("inf", "Symbol inf"),
            ("a\"b", "Symbol a\"b"),
            ("$", "Variable $"),
            ("$x;c", "Variable $x;c"),
            (r#""a b""#, r#"String "a b""#),
            (r#""\x41\u{1F600}\u{{41}\'""#, r#"String "A😀A'""#),
            (r#""\n\r\t\"\\""#, r#"String "\n\r\t\"\\""#),
            ("\"\u{1}\u{7f}\"", r#"String "\u{1}\u{7f}""#),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn what_hyperon_prints_and_reads_otherwise_is_written_so_that_it_is_read() {
        assert_eq!(read("1e400"), "Float 1e999");
        assert_eq!(read("-1e400"), "Float -1e999");
        assert_eq!(read(r#""a\x00b""#), r#"String "a\x00b""#);
    }

    #[test]
    fn what_hyperon_refuses_is_refused() {
        let fault = word(b"99999999999999999999").unwrap_err();
        assert!(fault.contains("64 bits") && fault.contains("99999999999999999999"), "{fault}");
        assert!(variable(b"a#b").unwrap_err().contains("`$a#b`"));
        for written in [r"\q", r"\0", r"\xff", r"\x4", r"\u41", r"\u{d800}", r"\u{123456789}"] {
            assert!(string(written.as_bytes()).unwrap_err().contains("escapes"), "{written}");
        }
        assert!(word(b"\xff").unwrap_err().contains("UTF-8"));
    }

    proptest! {
        #[test]
        fn floats_come_back(bits: u64) {
            let number = f64::from_bits(bits);
            prop_assume!(!number.is_nan());
            let (sort, name) = float(number);
            let mut out = Vec::new();
            print(sort, &name, &mut out);
            let (sort, name) = word(&out).unwrap();
            let back = number_of(sort, &name).unwrap();
            prop_assert!(matches!(back, Number::Float(back) if back.to_bits() == bits));
        }

        #[test]
        fn strings_come_back(said: String) {
            let mut out = Vec::new();
            print(Sort::Text, said.as_bytes(), &mut out);
            let (_, back) = string(&out[1..out.len() - 1]).unwrap();
            prop_assert_eq!(&back[..], said.as_bytes());
        }
    }
}
