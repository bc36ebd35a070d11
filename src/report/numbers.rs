//! Numbers as people read them.

/// `91.7 MB`: three or four digits and a decimal unit.
pub fn bytes(bytes: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    let decimals = match unit {
        0 => 0,
        _ if value < 10.0 => 2,
        _ => 1,
    };
    format!("{value:.decimals$} {}", units[unit])
}

/// `135 M`: a count of weights.
pub fn count(n: u64) -> String {
    match n {
        0..1_000_000 => n.to_string(),
        1_000_000..1_000_000_000 => format!("{:.1} M", n as f64 / 1e6),
        _ => format!("{:.2} G", n as f64 / 1e9),
    }
}

/// A share as `0.125 %`.
pub fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    match percent.abs() {
        size if !size.is_finite() => "infinity".into(),
        size if size == 0.0 || size >= 0.001 => format!("{percent:.3} %"),
        _ => format!("{percent:.1e} %"),
    }
}

/// `1 row`, `2 rows`.
pub fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// A positive number of any size in few digits: `0.0123`, `4.5`, `1.2e-7`.
pub fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if !(1e-4..1e6).contains(&size) => {
            let text = format!("{value:.2e}");
            let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
            format!("{}e{power}", digits.trim_end_matches('0').trim_end_matches('.'))
        }
        size => {
            let decimals = (2.0 - size.log10().floor()).clamp(0.0, 7.0) as usize;
            let text = format!("{value:.decimals$}");
            match text.contains('.') {
                true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
                false => text,
            }
        }
    }
}

/// Digits that a figure has which is looked at closely.
const DIGITS: usize = 4;

/// A number in as many digits for any size: `0.02003`, `1.500e-6`.
pub fn significant(value: f64) -> String {
    match decimals(value) {
        Some(decimals) => format!("{value:.decimals$}"),
        None => format!("{value:.*e}", DIGITS - 1),
    }
}

/// A number as [`significant`] writes it, and its standard error to the same place.
pub fn with_error(value: f64, error: f64) -> (String, String) {
    let error = match decimals(value) {
        Some(decimals) => format!("{error:.decimals$}"),
        None => format!("{error:.1e}"),
    };
    (significant(value), error)
}

/// Digits behind the point; `None` of numbers that are too large or too small to be written so.
fn decimals(value: f64) -> Option<usize> {
    if value == 0.0 {
        return Some(DIGITS);
    }
    // The power of ten of what is written, which rounding may have made larger.
    let written = format!("{value:.*e}", DIGITS - 1);
    let power: i32 = written.split_once('e')?.1.parse().ok()?;
    let decimals = DIGITS as i32 - 1 - power;
    (-3..=7).contains(&decimals).then_some(decimals.max(0) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_keep_all_of_their_digits() {
        let shown = [0.02003, 0.02, 0.009_999_6, 1.5e-6, 0.0, 12.3456, 123_456.0].map(significant);
        let expected = ["0.02003", "0.02000", "0.01000", "1.500e-6", "0.0000", "12.35", "123456"];
        assert_eq!(shown, expected);
        let both = |value, error| with_error(value, error);
        assert_eq!(both(0.02003, 0.001_42), ("0.02003".into(), "0.00142".into()));
        assert_eq!(both(1.234e-3, 4.5e-5), ("0.001234".into(), "0.000045".into()));
        assert_eq!(both(2e-7, 3.1e-8), ("2.000e-7".into(), "3.1e-8".into()));
        assert_eq!(significant(f64::NAN), "NaN");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(91_700_000), "91.7 MB");
        assert_eq!(bytes(999_960), "1.00 MB");
        assert_eq!(bytes(4_213_000_000), "4.21 GB");
        assert_eq!(count(134_515_008), "134.5 M");
        let shown = [0.0, 0.012345, 4.5, 1234.0, 1.23e-7, 0.00002, 250.0, 0.0005].map(short);
        let expected = ["0", "0.0123", "4.5", "1234", "1.23e-7", "2e-5", "250", "0.0005"];
        assert_eq!(shown, expected);
    }
}
