//! Hexadecimal numbers as C reads them: `0x1F`, `0x.8`, `0x1p-4`.

/// A number that a text begins with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Leading {
    pub number: f64,
    /// Whether C refuses it: it is larger than any float, or too small for all its bits.
    pub is_out_of_range: bool,
}

/// The hexadecimal number without a sign that a text begins with; none where it begins otherwise.
pub(super) fn leading(text: &[u8]) -> Option<Leading> {
    let [b'0', b'x' | b'X', digits @ ..] = text else { return None };
    let mut read = Digits::default();
    let whole = read.take(digits);
    let rest = &digits[whole..];
    let mut after = whole;
    if let Some(rest) = rest.strip_prefix(b".") {
        let parts = read.take(rest);
        // a point alone is no digit
        if whole + parts > 0 {
            read.exponent = read.exponent.saturating_sub(4 * parts as i64);
            after += 1 + parts;
        }
    }
    if after == 0 {
        return None;
    }
    let power = binary_exponent(&digits[after..]);
    Some(read.scaled(power))
}

/// The exponent `p-4` that a text begins with; 0 where it begins otherwise.
fn binary_exponent(text: &[u8]) -> i64 {
    let [b'p' | b'P', text @ ..] = text else { return 0 };
    let (sign, digits) = match text {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] => (1, digits),
        digits => (1, digits),
    };
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    let add =
        |so_far: i64, byte: &u8| so_far.saturating_mul(10).saturating_add(i64::from(byte - b'0'));
    sign * digits.fold(0, add)
}

/// Digits that were read, as an integer times a power of two.
#[derive(Default)]
struct Digits {
    /// The first ones, up to 60 bits.
    integer: u64,
    /// Whether one behind them is not 0.
    has_more: bool,
    exponent: i64,
}

impl Digits {
    /// Reads on while there are digits; how many there are.
    fn take(&mut self, text: &[u8]) -> usize {
        let mut digits = text.iter().map_while(|&byte| char::from(byte).to_digit(16));
        let mut count = 0;
        for digit in digits.by_ref() {
            count += 1;
            if self.integer >> 56 == 0 {
                self.integer = self.integer << 4 | u64::from(digit);
            } else {
                self.has_more |= digit != 0;
                self.exponent += 4;
            }
        }
        count
    }

    /// The nearest float of this times two to a power, of two as near ones the even.
    fn scaled(&self, power: i64) -> Leading {
        if self.integer == 0 {
            return Leading { number: 0.0, is_out_of_range: false };
        }
        let bits = i64::from(u64::BITS - self.integer.leading_zeros());
        let exponent = self.exponent.saturating_add(power);
        // The highest bit is worth two to this power.
        let highest = exponent.saturating_add(bits - 1);
        if highest >= i64::from(f64::MAX_EXP) {
            return Leading { number: f64::INFINITY, is_out_of_range: true };
        }
        let lowest = i64::from(f64::MIN_EXP - f64::MANTISSA_DIGITS as i32);
        if highest < lowest - 1 {
            return Leading { number: 0.0, is_out_of_range: true };
        }
        // How many bits a float has no room for.
        let kept = i64::from(f64::MANTISSA_DIGITS).min(highest - lowest + 1);
        let dropped = (bits - kept).max(0);
        let (mantissa, is_rounded) = self.rounded(dropped as u32);
        // In two steps, since floats have the parts of a power that they do not have itself.
        let power = exponent + dropped;
        let number = mantissa as f64 * power_of_two(power / 2) * power_of_two(power - power / 2);
        let is_tiny = number < f64::MIN_POSITIVE;
        Leading { number, is_out_of_range: number.is_infinite() || is_tiny && is_rounded }
    }

    /// The integer without its lowest bits, and whether they were not 0.
    fn rounded(&self, dropped: u32) -> (u64, bool) {
        if dropped == 0 {
            return (self.integer, self.has_more);
        }
        let kept = self.integer.checked_shr(dropped).unwrap_or(0);
        let rest = self.integer - kept.checked_shl(dropped).unwrap_or(0);
        let half = 1u64 << (dropped - 1);
        let is_up = rest > half || rest == half && (self.has_more || kept & 1 == 1);
        (kept + u64::from(is_up), rest > 0 || self.has_more)
    }
}

/// Two to a power from -1022 to 1023.
fn power_of_two(power: i64) -> f64 {
    f64::from_bits(((power + 1023) as u64) << (f64::MANTISSA_DIGITS - 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_read_as_c_reads_them() {
        for (text, number) in [
            ("0x10", 16.0),
            ("0XfF", 255.0),
            ("0x1p4", 16.0),
            ("0x1.8P+1z", 3.0),
            ("0x.8", 0.5),
            ("0x.8p-1", 0.25),
            ("0x1.p1", 2.0),
            ("0x1p", 1.0),
            ("0x0p99999999999999999999", 0.0),
            ("0x1fffffffffffff8", 144115188075855864.0),
            ("0x1.00000000000008", 1.0),
            ("0x1.000000000000080000000001", 1.0 + f64::EPSILON),
            ("0x1.fffffffffffffp1023", f64::MAX),
            ("0x1p-1022", f64::MIN_POSITIVE),
            ("0x1p-1074", 5e-324),
            ("0x.0000000000000000000000001p100", 1.0),
        ] {
            let read = Leading { number, is_out_of_range: false };
            assert_eq!(leading(text.as_bytes()), Some(read), "{text}");
        }
        for text in ["10", "0x", "0x.", "0x.p1", "x1", "0xg", ""] {
            assert_eq!(leading(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn what_c_refuses_is_out_of_range() {
        for text in [
            "0x1p1024",
            "0x1.fffffffffffff8p1023",
            "0x1p99999999999999999999",
            "0x1p-1075",
            "0x3p-1075",
            "0x1.8p-1074",
            "0x1p-99999999999999999999",
        ] {
            assert!(leading(text.as_bytes()).unwrap().is_out_of_range, "{text}");
        }
    }

    proptest! {
        #[test]
        fn all_floats_are_read_back(bits: u64) {
            let number = f64::from_bits(bits & !(1 << 63));
            prop_assume!(number.is_finite());
            let fraction = number.to_bits() & ((1 << 52) - 1);
            let (first, power) = match number.to_bits() >> 52 {
                0 => (0, -1022),
                power => (1, power as i64 - 1023),
            };
            let read = leading(format!("0x{first}.{fraction:013x}p{power}").as_bytes()).unwrap();
            prop_assert_eq!(read, Leading { number, is_out_of_range: false });
        }

        #[test]
        fn integers_are_rounded_as_the_language_rounds_them(integer: u128) {
            let read = leading(format!("0x{integer:x}").as_bytes()).unwrap();
            prop_assert_eq!(read.number, integer as f64);
        }
    }
}
