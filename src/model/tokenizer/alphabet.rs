//! How vocabularies are spelled. Those of bytes have the alphabet of GPT-2: one printable character
//! for each byte. Printable bytes of Latin-1 stand for themselves, the others for U+0100 and on. Those
//! of characters have a sign for the space.

/// What stands for a space in vocabularies of characters.
pub const SPACE: &str = "\u{2581}";

/// The character that stands for `byte`.
pub(super) fn letter(byte: u8) -> char {
    let code = match byte {
        0..=32 => 0x100 + u32::from(byte),
        127..=160 => 0x121 + u32::from(byte) - 127,
        173 => 0x143,
        printable => u32::from(printable),
    };
    char::from_u32(code).unwrap_or_default()
}

/// The byte that `letter` stands for.
fn byte(letter: char) -> Option<u8> {
    match u32::from(letter) {
        code @ 0x100..=0x120 => u8::try_from(code - 0x100).ok(),
        code @ 0x121..=0x142 => u8::try_from(code - 0x121 + 127).ok(),
        0x143 => Some(173),
        code => u8::try_from(code).ok().filter(|&byte| self::letter(byte) == letter),
    }
}

/// The bytes that a word of the alphabet stands for; `None` where it is no such word.
pub(super) fn bytes(word: &[u8]) -> Option<Vec<u8>> {
    std::str::from_utf8(word).ok()?.chars().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_its_letter() {
        let letters: std::collections::HashSet<char> = (0..=255).map(letter).collect();
        assert_eq!(letters.len(), 256);
        assert!((0..=255).all(|b| byte(letter(b)) == Some(b)));
        assert_eq!([b' ', b'\n', b'a', 0xad].map(letter), ['Ġ', 'Ċ', 'a', 'Ń']);
    }

    #[test]
    fn words_stand_for_bytes() {
        assert_eq!(bytes("Ġhé".as_bytes()).as_deref(), Some(&b" h\xe9"[..]));
        assert_eq!(bytes("a b".as_bytes()), None);
        assert_eq!(bytes("▁".as_bytes()), None);
        assert_eq!(bytes(b"\xff"), None);
    }
}
