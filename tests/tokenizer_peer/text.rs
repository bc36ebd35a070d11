//! The texts that the tokenizers are compared on.

use std::fs;
use std::path::Path;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// Scripts, symbols and corners of Unicode, as ranges of characters.
const RANGES: [(u32, u32); 60] = [
    (0x0020, 0x007e),     // ASCII
    (0x0080, 0x00ff),     // Latin-1 with its control characters
    (0x0100, 0x024f),     // Latin extended
    (0x0250, 0x02ff),     // phonetic letters and modifiers
    (0x0300, 0x036f),     // combining marks alone
    (0x0370, 0x03ff),     // Greek
    (0x0400, 0x052f),     // Cyrillic
    (0x0531, 0x058a),     // Armenian
    (0x0591, 0x05f4),     // Hebrew with points
    (0x0600, 0x06ff),     // Arabic with marks and digits
    (0x0700, 0x07bf),     // Syriac, Thaana
    (0x0900, 0x097f),     // Devanagari
    (0x0980, 0x09fe),     // Bengali
    (0x0b80, 0x0bfa),     // Tamil
    (0x0c00, 0x0c7f),     // Telugu
    (0x0d00, 0x0d7f),     // Malayalam
    (0x0e01, 0x0e5b),     // Thai
    (0x0e81, 0x0edf),     // Lao
    (0x0f00, 0x0fda),     // Tibetan
    (0x1000, 0x109f),     // Myanmar
    (0x10a0, 0x10ff),     // Georgian
    (0x1100, 0x11ff),     // Hangul jamo
    (0x1200, 0x137c),     // Ethiopic with numbers
    (0x13a0, 0x13fd),     // Cherokee
    (0x1780, 0x17f9),     // Khmer
    (0x1800, 0x18aa),     // Mongolian with its separator
    (0x1d00, 0x1dff),     // phonetic extensions, more combining marks
    (0x1e00, 0x1fff),     // Latin additional, Greek extended
    (0x2000, 0x206f),     // spaces, dashes, joiners, directions
    (0x2070, 0x209c),     // superscripts
    (0x20a0, 0x20c1),     // currencies
    (0x20d0, 0x20f0),     // combining marks for symbols
    (0x2100, 0x218b),     // letterlike, fractions, Roman numbers
    (0x2190, 0x23ff),     // arrows, mathematics, technical
    (0x2400, 0x24ff),     // pictures of control characters, circled
    (0x2500, 0x27bf),     // boxes, blocks (the space of SentencePiece among them), dingbats
    (0x2800, 0x28ff),     // Braille
    (0x2c00, 0x2dff),     // Glagolitic, Coptic, Cyrillic marks
    (0x2e80, 0x2fdf),     // radicals
    (0x3000, 0x303f),     // CJK punctuation with the wide space
    (0x3041, 0x30ff),     // kana
    (0x3105, 0x318e),     // Bopomofo, Hangul compatibility
    (0x3200, 0x33ff),     // enclosed CJK
    (0x3400, 0x4dbf),     // CJK extension A
    (0x4e00, 0x9fff),     // CJK
    (0xa000, 0xa4c6),     // Yi
    (0xa640, 0xa7ff),     // more Cyrillic and Latin, modifiers
    (0xac00, 0xd7a3),     // Hangul
    (0xe000, 0xe0ff),     // private use
    (0xf900, 0xfaff),     // CJK compatibility
    (0xfb00, 0xfdff),     // ligatures, Arabic forms, noncharacters
    (0xfe00, 0xfeff),     // variation selectors, byte order mark
    (0xff00, 0xffff),     // full and half width, noncharacters
    (0x10000, 0x103ff),   // Linear B, Gothic
    (0x1d400, 0x1d7ff),   // mathematical letters and digits
    (0x1f000, 0x1f2ff),   // tiles, enclosed letters, flags
    (0x1f300, 0x1faff),   // emoji
    (0x20000, 0x2a6df),   // CJK extension B
    (0xe0001, 0xe01ef),   // tags, more variation selectors
    (0x10fff0, 0x10ffff), // the end
];

const SPACES: [&str; 26] = [
    " ",
    "  ",
    "   ",
    "\t",
    "\t\t",
    "\n",
    "\n\n",
    "\r\n",
    "\r",
    "\r\r\n",
    "\n \n",
    " \n",
    "\n  ",
    "\t \t",
    "\u{b}",
    "\u{c}",
    "\u{85}",
    "\u{a0}",
    "\u{a0} ",
    "\u{1680}",
    "\u{2003}",
    "\u{2009}\n",
    "\u{2028}",
    "\u{202f}",
    "\u{3000}",
    "\u{3000} \u{3000}",
];

const EMOJI: [&str; 12] =
    ["👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇩🇪🇫🇷", "1️⃣", "❤️‍🔥", "🧑🏿‍🚀", "😶‍🌫️", "☺️", "🤦🏼‍♂️", "✅", "🦙"];

const ENGLISH: [&str; 40] = [
    "I'm",
    "you're",
    "we've",
    "THEY'LL",
    "can't",
    "he'd",
    "it's",
    "IT'S",
    "I'M",
    "Y'all",
    "'s",
    "'Tis",
    "o'clock",
    "''",
    "'re're",
    "don''t",
    "it’s",
    "'ſ",
    "'LLama",
    "rock'n'roll",
    "the",
    "quick",
    "Hello",
    "WORLD",
    "camelCase",
    "snake_case",
    "kebab-case",
    "x86_64",
    "3.14159",
    "1,234,567",
    "12345678901234567890",
    "0x1F",
    "½",
    "²³",
    "٣٤٥",
    "Ⅳ",
    "一二三",
    "e\u{301}te\u{301}",
    "naïve",
    "ﬁn",
];

/// What looks like special tokens of some vocabulary; here it is text.
const LOOKALIKES: [&str; 26] = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<s>",
    "</s>",
    "<unk>",
    "<bos>",
    "<eos>",
    "<pad>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<unused7>",
    "<|begin_of_text|>",
    "<|eot_id|>",
    "<0x0A>",
    "<0xFF>",
    "<table>",
    "</code>",
    "<h1>",
    "[INST]",
    "▁",
    "▁▁the",
    "Ġ",
    "Ċ",
    "<fim_prefix>",
    "<|user|>",
];

const CODE: [&str; 14] = [
    "fn f(x: &mut [u8]) -> Option<u32> {\n\treturn x.get(0)?;\n}\n",
    "        if (a[i] != b[j++]) { /* … */ }\r\n",
    "#include <stdio.h>\n\n\n",
    "SELECT * FROM t WHERE a<=>b;--x\n",
    "λx.x→y ⊢ ∀α.α≡α\n",
    "$HOME/.config/**/*.{rs,toml}",
    "!!!!????....,,,,;;;;",
    "==================================================================\n",
    "<div class=\"a\" id='b'>&nbsp;</div>",
    "\\frac{a}{b}\\n\\t\\x00\\u0041",
    "https://example.org/a?b=c&d=%20#e",
    "a@b.c #tag ~user ^caret `tick` |pipe|",
    "++i--;*p=&q;x<<=2;y>>>=3;",
    "____init____(self):\n    '''doc'''\n",
];

/// One megabyte (10^6 bytes) of English prose, code, and what a generator makes of Unicode.
///
/// The same on every run: the parts are cut from files, the rest is drawn from a fixed seed.
pub fn mixed(prose: &str, code: &str) -> String {
    let mut rng = Pcg64Mcg::seed_from_u64(1);
    let mut text = String::new();
    let (mut prose, mut code) = (Pieces::of(prose), Pieces::of(code));
    while text.len() < 1_000_000 {
        text.push_str(prose.next(rng.random_range(1..6000)));
        text.push_str(code.next(rng.random_range(1..3000)));
        let until = text.len() + rng.random_range(1..6000);
        while text.len() < until {
            invent(&mut rng, &mut text);
        }
    }
    text.truncate(boundary(&text, 1_000_000));
    text
}

/// Every character of the planes that have any (and of the others some), each among letters,
/// digits, spaces and marks, so that what a pre-tokenizer takes it for shows.
pub fn every_character() -> String {
    let planes = (0..0x3_2400).chain(0xe_0000..0xe_0200).chain((0xf_0000..0x11_0000).step_by(997));
    let mut text = String::new();
    for c in planes.filter_map(char::from_u32) {
        text.extend(['a', c, ' ', c, '1', c, '\'', c, '!', c, c, ' ', ' ', c, 'b', '\n', c, '\n']);
    }
    text
}

/// The sources of this crate, one after another.
pub fn sources() -> String {
    let mut text = String::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<_> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                folders.push(path);
            } else {
                text.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    text
}

/// Adds one invented thing: a word of some script, spaces, an emoji, a lookalike, code, noise.
fn invent(rng: &mut Pcg64Mcg, text: &mut String) {
    match rng.random_range(0..20) {
        0..7 => word(rng, text),
        7..9 => text.push_str(pick(rng, &SPACES)),
        9..12 => text.push_str(pick(rng, &ENGLISH)),
        12 => text.push_str(pick(rng, &EMOJI)),
        13 => text.push_str(pick(rng, &LOOKALIKES)),
        14 => text.push_str(pick(rng, &CODE)),
        15 => {
            let run =
                pick(rng, &[" ", "\n", "\t", "\r\n", "-", "=", "a", "0", "\u{3000}", "é", "▁"]);
            let longest = if rng.random_bool(0.1) { 200 } else { 20 };
            text.push_str(&run.repeat(rng.random_range(1..longest)));
        }
        16 => (0..rng.random_range(1..25)).for_each(|_| text.push(digit(rng))),
        17 => text.push(char::from(rng.random_range(0..32u8))),
        18 => (0..rng.random_range(1..6)).for_each(|_| {
            let (first, last) = RANGES[rng.random_range(0..RANGES.len())];
            text.extend(char::from_u32(rng.random_range(first..=last)));
        }),
        _ => text.extend(char::from_u32(rng.random_range(0..0x11_0000))),
    }
    if rng.random_bool(0.4) {
        text.push(' ');
    }
}

/// Letters of one script, now and then with a combining mark.
fn word(rng: &mut Pcg64Mcg, text: &mut String) {
    let (first, last) = RANGES[rng.random_range(0..RANGES.len())];
    for _ in 0..rng.random_range(1..12) {
        text.extend(char::from_u32(rng.random_range(first..=last)));
        if rng.random_bool(0.1) {
            text.extend(char::from_u32(rng.random_range(0x300..0x370)));
        }
    }
}

fn digit(rng: &mut Pcg64Mcg) -> char {
    let zero = pick(rng, &["0", "0", "0", "٠", "०", "０", "𝟘"]).chars().next().unwrap();
    char::from_u32(u32::from(zero) + rng.random_range(0..10)).unwrap()
}

fn pick<'a>(rng: &mut Pcg64Mcg, list: &[&'a str]) -> &'a str {
    list[rng.random_range(0..list.len())]
}

/// A text that is handed out in pieces, and from its start again after its end.
struct Pieces<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Pieces<'a> {
    fn of(text: &'a str) -> Pieces<'a> {
        Pieces { text, at: 0 }
    }

    /// The next piece, of about this many bytes.
    fn next(&mut self, bytes: usize) -> &'a str {
        let start = self.at;
        let end = boundary(self.text, (start + bytes).min(self.text.len()));
        self.at = if end == self.text.len() { 0 } else { end };
        &self.text[start..end]
    }
}

/// The start of the character that byte `at` is part of.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}
