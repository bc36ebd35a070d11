//! `tokenizer.json` and the files beside it: the vocabulary as Hugging Face's tokenizers read it.

use std::collections::HashMap;
use std::io::{self, Write};

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::gguf::{Metadata, Strings};
use crate::model::{
    MERGES, SPACE, Spelling, Split, TokenKind, Tokenizer, TokenizerError, Vocabulary,
    context_length,
};

/// A tokenizer that can be written down.
#[derive(Debug)]
pub struct TokenizerFiles {
    tokenizer: Tokenizer,
    merges: Merges,
    unknown: Option<u32>,
    pad: Option<u32>,
    /// Tokens of a text, at most.
    context: Option<u64>,
}

/// What is merged, the first ones first.
#[derive(Debug)]
enum Merges {
    /// As the file lists them: two words with a space between.
    Listed(Strings),
    /// By the ids of both.
    OfTokens(Vec<[u32; 2]>),
}

impl TokenizerFiles {
    /// That of the metadata.
    pub fn read(metadata: &Metadata) -> Result<TokenizerFiles, TokenizerError> {
        let tokenizer = Tokenizer::read(metadata)?;
        let vocabulary = tokenizer.vocabulary();
        if let Some(id) = (0..vocabulary.len()).find(|&id| text(vocabulary, id).is_none()) {
            let fault = format!("has token {id}, which is no UTF-8 and so cannot be in JSON");
            return Err(malformed(fault));
        }
        let merges = match tokenizer.spelling() {
            Spelling::Bytes { .. } => {
                let listed = metadata.get(MERGES).and_then(|value| value.as_array()?.as_strings());
                Merges::Listed(listed.cloned().unwrap_or_default())
            }
            Spelling::Characters { scores, .. } => {
                refuse_lone_characters(vocabulary)?;
                Merges::OfTokens(merges(vocabulary, scores))
            }
        };
        let id = |key| metadata.get(key).and_then(|value| value.as_u64());
        let id = |key| id(key).filter(|&id| id < vocabulary.len().into()).map(|id| id as u32);
        let named = id("tokenizer.ggml.unknown_token_id");
        let unknown = named.or_else(|| {
            (0..vocabulary.len()).find(|&id| vocabulary.kind(id) == TokenKind::Unknown)
        });
        let pad = id("tokenizer.ggml.padding_token_id");
        let context = context_length(metadata);
        Ok(TokenizerFiles { tokenizer, merges, unknown, pad, context })
    }

    /// The tokens.
    pub fn vocabulary(&self) -> &Vocabulary {
        self.tokenizer.vocabulary()
    }

    /// Writes `tokenizer.json`.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let vocabulary = self.vocabulary();
        let (normalizer, pre_tokenizer, decoder) = stages(self.tokenizer.spelling());
        let is_of_characters = matches!(self.merges, Merges::OfTokens(_));
        let file = File {
            version: "1.0",
            truncation: None,
            padding: None,
            added_tokens: added_tokens(vocabulary),
            normalizer,
            pre_tokenizer,
            post_processor: framing(vocabulary),
            decoder,
            model: Bpe {
                r#type: "BPE",
                dropout: None,
                unk_token: self
                    .unknown
                    .filter(|_| is_of_characters)
                    .map(|id| shown(vocabulary, id)),
                continuing_subword_prefix: None,
                end_of_word_suffix: None,
                fuse_unk: is_of_characters,
                byte_fallback: is_of_characters,
                ignore_merges: matches!(
                    self.tokenizer.spelling(),
                    Spelling::Bytes { words_are_tokens: true, .. }
                ),
                vocab: Ids(vocabulary),
                merges: self.merge_pairs(),
            },
        };
        Ok(serde_json::to_writer(out, &file)?)
    }

    fn merge_pairs(&self) -> Vec<[&str; 2]> {
        match &self.merges {
            Merges::Listed(list) => list.iter().filter_map(listed).collect(),
            Merges::OfTokens(pairs) => {
                pairs.iter().map(|pair| pair.map(|id| shown(self.vocabulary(), id))).collect()
            }
        }
    }

    /// `tokenizer_config.json`.
    pub fn config(&self) -> Value {
        let vocabulary = self.vocabulary();
        let mut config = Map::new();
        config.insert("tokenizer_class".into(), json!("PreTrainedTokenizerFast"));
        config.insert("clean_up_tokenization_spaces".into(), json!(false));
        config.insert("add_bos_token".into(), json!(vocabulary.leading().is_some()));
        config.insert("add_eos_token".into(), json!(vocabulary.trailing().is_some()));
        config.insert("model_max_length".into(), json!(self.context));
        config.insert("chat_template".into(), json!(vocabulary.chat_template()));
        config.extend(self.special_tokens());
        config.retain(|_, value| !value.is_null());
        Value::Object(config)
    }

    /// `special_tokens_map.json`: which token has which part.
    pub fn special_tokens(&self) -> Map<String, Value> {
        let vocabulary = self.vocabulary();
        let parts = [
            ("bos_token", vocabulary.begin()),
            ("eos_token", vocabulary.end()),
            ("unk_token", self.unknown),
            ("pad_token", self.pad),
        ];
        let named = parts.into_iter().filter_map(|(part, id)| Some((part, id?)));
        named.map(|(part, id)| (part.to_string(), json!(shown(vocabulary, id)))).collect()
    }
}

fn malformed(fault: String) -> TokenizerError {
    TokenizerError::Malformed { key: "tokenizer.ggml.tokens".into(), fault }
}

/// Characters are merged by their text here, and by their tokens there: one that is no token would
/// never become part of a longer one.
fn refuse_lone_characters(vocabulary: &Vocabulary) -> Result<(), TokenizerError> {
    let mut buffer = [0; 4];
    for id in (0..vocabulary.len()).filter(|&id| vocabulary.kind(id) == TokenKind::Normal) {
        let text = shown(vocabulary, id);
        let alone =
            text.chars().find(|c| vocabulary.id(c.encode_utf8(&mut buffer).as_bytes()).is_none());
        if let Some(character) = alone {
            return Err(malformed(format!(
                "has {text:?}, but no token for {character:?} in it, which Hugging Face's tokenizers \
                 need to make it"
            )));
        }
    }
    Ok(())
}

/// A token as the file spells it; checked to be UTF-8.
fn shown(vocabulary: &Vocabulary, id: u32) -> &str {
    text(vocabulary, id).unwrap_or_default()
}

fn text(vocabulary: &Vocabulary, id: u32) -> Option<&str> {
    std::str::from_utf8(vocabulary.text(id)).ok()
}

/// The two words of a line of the list, whose first space that is not at its begin parts them.
fn listed(line: &[u8]) -> Option<[&str; 2]> {
    let line = std::str::from_utf8(line).ok()?;
    let first = line.chars().next()?.len_utf8();
    let space = first + line[first..].find(' ')?;
    Some([&line[..space], &line[space + 1..]])
}

/// The pairs of tokens that are a token together, that of the highest score first.
fn merges(vocabulary: &Vocabulary, scores: &[f32]) -> Vec<[u32; 2]> {
    let ids: HashMap<&str, u32> =
        (0..vocabulary.len()).map(|id| (shown(vocabulary, id), id)).collect();
    let mut merges = Vec::new();
    for merged in 0..vocabulary.len() {
        let text = shown(vocabulary, merged);
        let halves = text.char_indices().skip(1).map(|(at, _)| text.split_at(at));
        let pairs = halves.filter_map(|(left, right)| Some([*ids.get(left)?, *ids.get(right)?]));
        merges.extend(pairs.map(|pair| (scores[merged as usize], pair)));
    }
    // Stable: of the pairs that make one token, that of the shortest left part comes first.
    merges.sort_by(|a, b| b.0.total_cmp(&a.0));
    merges.into_iter().map(|(_, pair)| pair).collect()
}

#[derive(Serialize)]
struct File<'v> {
    version: &'static str,
    truncation: Option<()>,
    padding: Option<()>,
    added_tokens: Vec<Value>,
    normalizer: Value,
    pre_tokenizer: Value,
    post_processor: Value,
    decoder: Value,
    model: Bpe<'v>,
}

#[derive(Serialize)]
struct Bpe<'v> {
    r#type: &'static str,
    dropout: Option<f32>,
    unk_token: Option<&'v str>,
    continuing_subword_prefix: Option<()>,
    end_of_word_suffix: Option<()>,
    fuse_unk: bool,
    byte_fallback: bool,
    ignore_merges: bool,
    vocab: Ids<'v>,
    merges: Vec<[&'v str; 2]>,
}

/// Each token and its id, in the order of the ids.
struct Ids<'v>(&'v Vocabulary);

impl Serialize for Ids<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len() as usize))?;
        for id in 0..self.0.len() {
            map.serialize_entry(shown(self.0, id), &id)?;
        }
        map.end()
    }
}

/// The tokens at which a text is cut before it is encoded.
fn added_tokens(vocabulary: &Vocabulary) -> Vec<Value> {
    let added = (0..vocabulary.len()).filter_map(|id| {
        let special = match vocabulary.kind(id) {
            TokenKind::Control | TokenKind::Unknown => true,
            TokenKind::UserDefined => false,
            TokenKind::Normal | TokenKind::Unused | TokenKind::Byte => return None,
        };
        Some(json!({
            "id": id,
            "content": shown(vocabulary, id),
            "single_word": false,
            "lstrip": false,
            "rstrip": false,
            "normalized": false,
            "special": special,
        }))
    });
    added.collect()
}

/// Normalizer, pre-tokenizer and decoder.
fn stages(spelling: Spelling) -> (Value, Value, Value) {
    match spelling {
        Spelling::Bytes { split, .. } => {
            let decoder = byte_level(true);
            (Value::Null, pre_tokenizer(split), decoder)
        }
        Spelling::Characters { space_before, .. } => {
            let spaces = json!({
                "type": "Replace", "pattern": { "String": " " }, "content": SPACE,
            });
            let normalizer = match space_before {
                true => {
                    let before = json!({ "type": "Prepend", "prepend": SPACE });
                    json!({ "type": "Sequence", "normalizers": [before, spaces] })
                }
                false => spaces,
            };
            let mut decoders = vec![
                json!({ "type": "Replace", "pattern": { "String": SPACE }, "content": " " }),
                json!({ "type": "ByteFallback" }),
                json!({ "type": "Fuse" }),
            ];
            if space_before {
                decoders.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
            }
            (normalizer, Value::Null, json!({ "type": "Sequence", "decoders": decoders }))
        }
    }
}

fn byte_level(use_regex: bool) -> Value {
    json!({
        "type": "ByteLevel",
        "add_prefix_space": false,
        "trim_offsets": true,
        "use_regex": use_regex,
    })
}

fn pre_tokenizer(split: Split) -> Value {
    let first = match split {
        // The expression of GPT-2 is what `ByteLevel` splits by.
        Split::Gpt2 => return byte_level(true),
        Split::Gpt2SingleDigits => json!({ "type": "Digits", "individual_digits": true }),
        Split::Gpt4 { digits } => {
            let numbers =
                if digits == 1 { r"\p{N}".into() } else { format!(r"\p{{N}}{{1,{digits}}}") };
            let pattern = format!(
                "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{{L}}\\p{{N}}]?\\p{{L}}+|{numbers}| \
                 ?[^\\s\\p{{L}}\\p{{N}}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
            );
            json!({
                "type": "Split",
                "pattern": { "Regex": pattern },
                "behavior": "Isolated",
                "invert": false,
            })
        }
    };
    let then = byte_level(split == Split::Gpt2SingleDigits);
    json!({ "type": "Sequence", "pretokenizers": [first, then] })
}

/// The tokens that the model expects before and after every text.
fn framing(vocabulary: &Vocabulary) -> Value {
    let frame = [vocabulary.leading(), vocabulary.trailing()];
    if frame == [None, None] {
        return Value::Null;
    }
    let around = |sequence: &str, kind: usize| {
        let token = |id: Option<u32>| {
            let token = id.map(|id| shown(vocabulary, id));
            token.map(|id| json!({ "SpecialToken": { "id": id, "type_id": kind } }))
        };
        let text = json!({ "Sequence": { "id": sequence, "type_id": kind } });
        let parts = [token(frame[0]), Some(text), token(frame[1])];
        parts.into_iter().flatten().collect::<Vec<Value>>()
    };
    let special = frame.into_iter().flatten().map(|id| {
        let name = shown(vocabulary, id);
        (name.to_string(), json!({ "id": name, "ids": [id], "tokens": [name] }))
    });
    let both = [around("A", 0), around("B", 1)].concat();
    json!({
        "type": "TemplateProcessing",
        "single": around("A", 0),
        "pair": both,
        "special_tokens": special.collect::<Map<String, Value>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::{self, Array};

    fn metadata(model: &str, tokens: &[&str]) -> Metadata {
        let mut metadata = Metadata::new();
        metadata.set("tokenizer.ggml.model", gguf::Value::string(model));
        let tokens: Strings = tokens.iter().collect();
        metadata.set("tokenizer.ggml.tokens", gguf::Value::Array(Array::String(tokens)));
        metadata
    }

    fn written(metadata: &Metadata) -> (Value, Value) {
        let files = TokenizerFiles::read(metadata).unwrap();
        let mut json = Vec::new();
        files.write(&mut json).unwrap();
        (serde_json::from_slice(&json).unwrap(), files.config())
    }

    #[test]
    fn characters_are_merged_by_score() {
        let tokens = ["<unk>", "<s>", "</s>", SPACE, "a", "b", "ab", "\u{2581}ab", "aa"];
        let mut metadata = metadata("llama", &tokens);
        let scores = vec![0.0, 0.0, 0.0, -9.0, -9.0, -9.0, -2.0, -1.0, -3.0];
        metadata.set("tokenizer.ggml.scores", gguf::Value::Array(Array::F32(scores)));
        let kinds = vec![2, 3, 3, 1, 1, 1, 1, 1, 4];
        metadata.set("tokenizer.ggml.token_type", gguf::Value::Array(Array::I32(kinds)));
        let (json, config) = written(&metadata);
        let expected = json!([["\u{2581}", "ab"], ["a", "b"], ["a", "a"]]);
        assert_eq!(json["model"]["merges"], expected);
        assert_eq!(json["model"]["unk_token"], "<unk>");
        assert_eq!(json["normalizer"]["normalizers"][0]["prepend"], SPACE);
        assert_eq!(json["post_processor"]["single"][0]["SpecialToken"]["id"], "<s>");
        let added: Vec<_> = json["added_tokens"].as_array().unwrap().iter().collect();
        assert_eq!(added.len(), 4);
        assert_eq!((&added[3]["content"], &added[3]["special"]), (&json!("aa"), &json!(false)));
        assert_eq!(config["bos_token"], "<s>");
        assert_eq!(config["add_bos_token"], true);
    }

    #[test]
    fn bytes_are_split_and_merged_as_listed() {
        let mut metadata = metadata("gpt2", &["<|endoftext|>", "a", "b", "ab"]);
        metadata.set("tokenizer.ggml.pre", gguf::Value::string("llama-bpe"));
        let merges: Strings = ["a b"].into_iter().collect();
        metadata.set(MERGES, gguf::Value::Array(Array::String(merges)));
        metadata.set("tokenizer.ggml.add_bos_token", gguf::Value::Bool(false));
        let (json, _) = written(&metadata);
        assert_eq!(json["model"]["merges"], json!([["a", "b"]]));
        assert_eq!(json["model"]["ignore_merges"], true);
        assert_eq!(json["model"]["vocab"]["ab"], 3);
        assert_eq!(json["post_processor"], Value::Null);
        let pattern = json["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"].as_str();
        let expected = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| \
                        ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
        assert_eq!(pattern, Some(expected));
    }

    #[test]
    fn a_vocabulary_of_another_kind_is_refused() {
        let mut other = metadata("gpt2", &["a"]);
        other.set("tokenizer.ggml.pre", gguf::Value::string("tekken"));
        assert!(TokenizerFiles::read(&other).is_err());
        let mut lone = metadata("llama", &["<unk>", "<s>", "</s>", "a", "ab"]);
        let kinds = gguf::Value::Array(Array::I32(vec![2, 3, 3, 1, 1]));
        lone.set("tokenizer.ggml.token_type", kinds);
        let fault = TokenizerFiles::read(&lone).unwrap_err().to_string();
        assert!(fault.contains("no token for 'b'"), "{fault}");
    }
}
