//! Two small vocabularies that llama.cpp loads, and a text for them.

use opencog_qat::gguf::{Array, Metadata, Value};
use rand::Rng;
use rand_pcg::Pcg64Mcg;

/// How text becomes tokens.
#[derive(Clone, Copy, PartialEq)]
pub enum Vocabulary {
    /// GPT-2's kind: the 256 bytes and a few merges. `pre` names how the text is split first.
    Bpe { pre: &'static str, bos: bool },
    /// SentencePiece: pieces with scores, bytes for all else; each text begins with BOS.
    Spm,
}

/// Pieces of more than one letter, the likeliest first. Each is two others joined.
const PIECES: [&str; 28] = [
    "_t", "he", "_a", "in", "re", "on", "_the", "er", "_s", "at", "_w", "en", "_o", "or", "it",
    "is", "an", "es", "ing", "_an", "ed", "_in", "al", "st", "_st", "_re", "ar", "le",
];

const BPE_SPECIALS: [&str; 3] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];

const SPM_SPECIALS: [&str; 4] = ["<pad>", "<eos>", "<bos>", "<unk>"];

/// The numbers of token types in a file.
const NORMAL: i32 = 1;
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const BYTE: i32 = 6;

impl Vocabulary {
    /// The number of tokens.
    pub fn len(self) -> u64 {
        self.tokens().len() as u64
    }

    /// The token that begins a text, where one does.
    pub fn bos(self) -> Option<u32> {
        match self {
            Vocabulary::Bpe { bos, .. } => bos.then_some(0),
            Vocabulary::Spm => Some(2),
        }
    }

    /// Sets the keys of `tokenizer.ggml`.
    pub fn describe(self, metadata: &mut Metadata) {
        let (tokens, types): (Vec<String>, Vec<i32>) = self.tokens().into_iter().unzip();
        let mut set = |key: &str, value| metadata.set(&format!("tokenizer.ggml.{key}"), value);
        match self {
            Vocabulary::Bpe { pre, bos } => {
                set("model", Value::string("gpt2"));
                set("pre", Value::string(pre));
                set("merges", Value::Array(Array::String(merges().into_iter().collect())));
                set("bos_token_id", Value::U32(0));
                set("eos_token_id", Value::U32(2));
                set("add_bos_token", Value::Bool(bos));
            }
            Vocabulary::Spm => {
                // The sooner a piece comes in the list, the likelier it is.
                let scores = (0..tokens.len()).map(|i| -(i as f32)).collect();
                set("model", Value::string("llama"));
                set("scores", Value::Array(Array::F32(scores)));
                set("padding_token_id", Value::U32(0));
                set("eos_token_id", Value::U32(1));
                set("bos_token_id", Value::U32(2));
                set("unknown_token_id", Value::U32(3));
                set("add_bos_token", Value::Bool(true));
                set("add_space_prefix", Value::Bool(false));
            }
        }
        set("tokens", Value::Array(Array::String(tokens.into_iter().collect())));
        set("token_type", Value::Array(Array::I32(types)));
    }

    /// Tokens and their types.
    fn tokens(self) -> Vec<(String, i32)> {
        match self {
            Vocabulary::Bpe { .. } => {
                let special = |token: &str| (token.into(), CONTROL);
                let byte = |byte| (String::from(byte_letter(byte)), NORMAL);
                let piece = |piece: &str| (piece.replace('_', "Ġ"), NORMAL);
                let specials = BPE_SPECIALS.map(special).into_iter();
                specials.chain((0..=255).map(byte)).chain(PIECES.map(piece)).collect()
            }
            Vocabulary::Spm => {
                let special =
                    |token: &str| (token.into(), if token == "<unk>" { UNKNOWN } else { CONTROL });
                let byte = |byte: u8| (format!("<0x{byte:02X}>"), BYTE);
                let piece = |piece: &str| (piece.replace('_', "▁"), NORMAL);
                let letters = "_etaoinshrdlu".chars().map(|letter| piece(&letter.to_string()));
                let specials = SPM_SPECIALS.map(special).into_iter();
                let bytes = (0..=255).map(byte);
                specials.chain(bytes).chain(PIECES.map(piece)).chain(letters).collect()
            }
        }
    }
}

/// Each piece as the two that it joins: the longest known one first, then the rest.
fn merges() -> Vec<String> {
    let known = |part: &str| part.len() == 1 || PIECES.contains(&part);
    let merge = |piece: &str| {
        let split = (1..piece.len()).rev().map(|at| piece.split_at(at));
        let (left, right) = split.into_iter().find(|(a, b)| known(a) && known(b)).unwrap();
        format!("{left} {right}").replace('_', "Ġ")
    };
    PIECES.map(merge).to_vec()
}

/// The letter that stands for a byte in GPT-2's vocabulary: itself where it is printable.
fn byte_letter(byte: u8) -> char {
    let printable = |byte: u8| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    match printable(byte) {
        true => char::from(byte),
        false => {
            let before = (0..byte).filter(|&byte| !printable(byte)).count();
            char::from_u32(256 + before as u32).unwrap()
        }
    }
}

/// A text of 128 tokens and more in either vocabulary: words of random syllables.
pub fn text() -> String {
    const SYLLABLES: [&str; 24] = [
        "the", "in", "re", "on", "er", "at", "an", "st", "al", "qu", "ix", "é", "zo", "ß", "42",
        "K", "ing", "ed", "w", "le", "µ", "by", "P7", "is",
    ];
    const ENDS: [&str; 8] = [" ", " ", " ", " ", " ", ", ", ". ", "\n"];
    let mut rng = Pcg64Mcg::new(2026);
    let mut below = |n: usize| (rng.next_u64() >> 33) as usize % n;
    let mut text = String::new();
    for _ in 0..100 {
        for _ in 0..=below(3) {
            text.push_str(SYLLABLES[below(SYLLABLES.len())]);
        }
        text.push_str(ENDS[below(ENDS.len())]);
    }
    text + "end"
}
