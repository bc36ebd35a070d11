//! Small vocabularies, made here, and the one in the box.

use proptest::prelude::*;

use super::*;
use crate::gguf::{Array, Gguf, Strings, Value};

fn strings<S: AsRef<[u8]>>(strings: impl IntoIterator<Item = S>) -> Value {
    Value::Array(Array::String(Strings::from_iter(strings)))
}

/// The metadata of a tokenizer: its kind, tokens, and kinds of tokens.
fn metadata(model: &str, tokens: &[String], types: &[i32]) -> Metadata {
    let mut metadata = Metadata::new();
    metadata.set("tokenizer.ggml.model", Value::string(model));
    metadata.set("tokenizer.ggml.tokens", strings(tokens));
    metadata.set("tokenizer.ggml.token_type", Value::Array(Array::I32(types.into())));
    metadata
}

/// `<s>`, the 256 letters of the alphabet, and what the merges make of them.
fn bpe(pre: &str, merges: &[&str], more: &[(&str, i32)]) -> Metadata {
    let mut tokens = vec!["<s>".to_string()];
    tokens.extend((0..=255).map(|byte| alphabet::letter(byte).to_string()));
    tokens.extend(merges.iter().map(|merge| merge.replacen(' ', "", 1)));
    let mut types = vec![1; tokens.len()];
    types[0] = 3;
    tokens.extend(more.iter().map(|(text, _)| text.to_string()));
    types.extend(more.iter().map(|(_, kind)| kind));
    let mut metadata = metadata("gpt2", &tokens, &types);
    metadata.set("tokenizer.ggml.pre", Value::string(pre));
    metadata.set("tokenizer.ggml.merges", strings(merges));
    metadata.set("tokenizer.ggml.bos_token_id", Value::U32(0));
    metadata.set("tokenizer.ggml.eos_token_id", Value::U32(0));
    metadata
}

/// `<unk>`, `<s>`, `</s>`, the 256 bytes, and these with their scores.
fn spm(more: &[(&str, f32, i32)]) -> Metadata {
    let mut tokens: Vec<String> = ["<unk>", "<s>", "</s>"].map(String::from).into();
    tokens.extend((0..=255).map(|byte| format!("<0x{byte:02X}>")));
    let mut types = [vec![2, 3, 3], vec![6; 256]].concat();
    let mut scores = vec![0.0; tokens.len()];
    for &(text, score, kind) in more {
        tokens.push(text.into());
        scores.push(score);
        types.push(kind);
    }
    let mut metadata = metadata("llama", &tokens, &types);
    metadata.set("tokenizer.ggml.scores", Value::Array(Array::F32(scores)));
    metadata
}

/// The tokens of a text, as the file spells them.
fn spelled(tokenizer: &Tokenizer, ids: &[u32]) -> String {
    let text = |&id: &u32| String::from_utf8_lossy(tokenizer.vocabulary().text(id)).into_owned();
    ids.iter().map(text).collect::<Vec<_>>().join("|")
}

#[track_caller]
fn check(metadata: &Metadata, text: &str, expected: &str) {
    let tokenizer = Tokenizer::read(metadata).unwrap();
    assert_eq!(spelled(&tokenizer, &tokenizer.encode(text)), expected);
}

#[test]
fn merges_go_by_rank_then_from_the_left() {
    let merges = ["b c", "a b", "a a", "ab c", "Ġ a"];
    let metadata = bpe("gpt-2", &merges, &[]);
    check(&metadata, "abc ab", "a|bc|Ġ|ab");
    check(&metadata, "aaaaa a", "aa|aa|a|Ġa");
}

#[test]
fn a_pair_is_merged_only_where_the_list_has_that_pair() {
    // `abc` is a token, made of `a` and `bc`; from `ab` and `c` it is not.
    let merges = ["a b", "b c", "a bc"];
    check(&bpe("gpt-2", &merges, &[]), "abc", "ab|c");
    // Where whole words come first, it is found.
    check(&bpe("llama-bpe", &merges, &[]), "abc", "abc");
}

#[test]
fn pieces_that_are_no_tokens_fall_apart_into_bytes() {
    let mut metadata = bpe("gpt-2", &["x y"], &[]);
    metadata.set("tokenizer.ggml.merges", strings(["x y", "q z", "Ġ q"]));
    check(&metadata, "xy qz", "xy|Ġ|q|z");
    check(&metadata, " q", "q");
}

#[test]
fn special_tokens_are_text_unless_asked_for() {
    let metadata = bpe("gpt-2", &[], &[("<tag>", 4), ("<|im_end|>", 1), ("<ta", 4)]);
    let tokenizer = Tokenizer::read(&metadata).unwrap();
    let text = "a<tag><s>";
    assert_eq!(spelled(&tokenizer, &tokenizer.encode(text)), "a|<tag>|<|s|>");
    assert_eq!(spelled(&tokenizer, &tokenizer.encode_with_special(text)), "a|<tag>|<s>");
    let turn = tokenizer.vocabulary().id(b"<|im_end|>").unwrap();
    assert_eq!(tokenizer.vocabulary().kind(turn), TokenKind::Control, "by its name");
    assert_eq!(tokenizer.encode_with_special("<|im_end|>"), [turn]);
    assert_eq!(tokenizer.encode("<|im_end|>").len(), 10);
    assert!(tokenizer.vocabulary().ends_generation(turn));
    assert!(!tokenizer.vocabulary().is_text(turn));
    assert!(tokenizer.encode("").is_empty());
}

#[test]
fn characters_are_merged_by_score() {
    let pieces = [
        ("▁a", -1.0, 1),
        ("ab", -2.0, 1),
        ("▁", -9.0, 1),
        ("a", -9.0, 1),
        ("b", -9.0, 1),
        ("▁▁", -5.0, 1),
    ];
    let mut metadata = spm(&pieces);
    check(&metadata, "ab", "▁a|b");
    check(&metadata, "é ab", "▁|<0xC3>|<0xA9>|▁a|b");
    check(&metadata, "  ab", "▁▁|▁a|b");
    metadata.set("tokenizer.ggml.add_space_prefix", Value::Bool(false));
    check(&metadata, "ab", "ab");
}

#[test]
fn a_space_stands_before_all_text_after_a_special_token() {
    let tokenizer = Tokenizer::read(&spm(&[("▁a", -1.0, 1), ("\n\n", 0.0, 4)])).unwrap();
    let ids = tokenizer.encode_with_special("a<s>a\n\na");
    assert_eq!(spelled(&tokenizer, &ids), "▁a|<s>|▁a|\n\n|▁a");
    let ids = tokenizer.encode_document("a");
    assert_eq!(spelled(&tokenizer, &ids), "<s>|▁a");
}

#[test]
fn what_begins_and_ends_a_text() {
    let framing = |metadata: &Metadata| {
        let vocabulary = Vocabulary::read(metadata).unwrap();
        (vocabulary.leading(), vocabulary.trailing())
    };
    assert_eq!(framing(&spm(&[])), (Some(1), None), "the default of SentencePiece");
    assert_eq!(framing(&bpe("gpt-2", &[], &[])), (None, None));
    assert_eq!(framing(&bpe("llama-bpe", &[], &[])), (Some(0), None), "as Llama 3 has it");
    let mut metadata = spm(&[]);
    metadata.set("tokenizer.ggml.add_bos_token", Value::Bool(false));
    metadata.set("tokenizer.ggml.add_eos_token", Value::Bool(true));
    assert_eq!(framing(&metadata), (None, Some(2)));
}

#[test]
fn tokens_stand_for_bytes() {
    let more = [("▁the", 0.0, 1), ("<b>", 0.0, 4), ("\u{1}", 0.0, 1), ("é", 0.0, 1), ("x", 0.0, 5)];
    let vocabulary = Vocabulary::read(&spm(&more)).unwrap();
    let of = |text: &str| vocabulary.id(text.as_bytes()).unwrap();
    assert_eq!(vocabulary.bytes(of("▁the")), b" the");
    assert_eq!(vocabulary.bytes(of("<0xC3>")), b"\xc3");
    assert_eq!(vocabulary.decode(&[of("▁the"), of("<b>"), of("x"), 9999]), b" the<b>");
    let text =
        ["▁the", "é", "<b>", "\u{1}", "<0x41>", "x", "<s>"].map(|t| vocabulary.is_text(of(t)));
    assert_eq!(text, [true, true, false, false, false, false, false]);
    let vocabulary = Vocabulary::read(&bpe("gpt-2", &["Ġ a", "Ċ Ċ"], &[])).unwrap();
    assert_eq!(vocabulary.bytes(257), b" a");
    assert_eq!(vocabulary.decode(&[258, 257]), b"\n\n a");
    assert!(vocabulary.is_text(258) && !vocabulary.is_text(1 + 0xc3) && !vocabulary.is_text(1));
}

/// Recorded from llama-tokenize on the model in the box.
#[test]
fn the_model_in_the_box() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/tiny.gguf");
    let tokenizer = Tokenizer::read(Gguf::open(&path).unwrap().metadata()).unwrap();
    assert_eq!(tokenizer.vocabulary().len(), 2048);
    assert_eq!(tokenizer.vocabulary().leading(), Some(0));
    assert!(tokenizer.vocabulary().ends_generation(0));
    let ids = tokenizer.encode(TRICKY);
    assert_eq!(ids, TINY_IDS);
    assert_eq!(tokenizer.vocabulary().decode(&ids), TRICKY.as_bytes());
}

const TRICKY: &str =
    "And it's  the LORD's\t\t42nd\r\n \n<|endoftext|> naïve Ωμέγα 漢字 👩‍👧 e\u{301}\u{a0}x  ";
const TINY_IDS: &[u32] = &[
    337, 328, 362, 221, 260, 483, 362, 198, 198, 20, 18, 264, 202, 199, 221, 199, 28, 92, 541, 79,
    823, 69, 1524, 92, 30, 288, 65, 128, 108, 306, 221, 139, 103, 139, 121, 139, 256, 139, 112,
    139, 110, 221, 163, 121, 96, 162, 256, 246, 221, 173, 254, 240, 103, 159, 223, 236, 173, 254,
    240, 101, 315, 137, 224, 127, 255, 88, 221, 221,
];

/// A sound tokenizer with one thing made wrong, and what is said of it.
#[test]
fn bad_metadata_is_refused() {
    let i32s = |n: usize| Value::Array(Array::I32(vec![1; n]));
    let cases = [
        ("model", Some(Value::U32(1)), "`tokenizer.ggml.model` is 1, and should be text"),
        ("model", Some(Value::string("bert")), "kind `bert` with pre-tokenizer `gpt-2`"),
        ("model", Some(Value::string("none")), "the model has no tokenizer"),
        ("model", None, "the model has no tokenizer"),
        ("pre", Some(Value::string("default")), "kind `gpt2` with pre-tokenizer `default`"),
        ("pre", Some(Value::Bool(true)), "`tokenizer.ggml.pre` is true"),
        ("pre", None, "pre-tokenizer `none`"),
        ("tokens", None, "the model has no tokenizer"),
        ("tokens", Some(i32s(3)), "is [i32; 3], and should be an array of strings"),
        ("tokens", Some(strings::<&str>([])), "has 0 tokens"),
        ("tokens", Some(strings(["a"; 257])), "the same text for tokens 0 and 1"),
        ("token_type", Some(i32s(3)), "has 3 types for 257 tokens"),
        ("token_type", Some(Value::Array(Array::U8(vec![1; 257]))), "should be an array of i32"),
        ("merges", None, "`tokenizer.ggml.merges` is missing"),
        ("merges", Some(Value::string("a b")), "should be an array of strings"),
        ("eos_token_id", Some(Value::I32(-1)), "should be a number that is not negative"),
        ("eot_token_id", Some(Value::F32(1.0)), "should be a number that is not negative"),
        ("add_bos_token", Some(Value::U8(1)), "should be true or false"),
    ];
    for (key, value, expected) in cases {
        let mut metadata = bpe("gpt-2", &[], &[]);
        let key = format!("tokenizer.ggml.{key}");
        match value {
            Some(value) => metadata.set(&key, value),
            None => drop(metadata.remove(&key)),
        }
        let error = Tokenizer::read(&metadata).expect_err(expected).to_string();
        assert!(error.contains(expected), "expected `{expected}` in: {error}");
    }
}

#[test]
fn bad_scores_are_refused() {
    let scores = |scores| {
        let mut metadata = spm(&[]);
        metadata.set("tokenizer.ggml.scores", Value::Array(scores));
        Tokenizer::read(&metadata).expect_err("bad scores").to_string()
    };
    assert!(scores(Array::F32(vec![0.0; 258])).contains("has 258 scores for 259 tokens"));
    assert!(scores(Array::F64(vec![0.0; 259])).contains("should be an array of f32 or i32"));
    assert!(scores(Array::F32(vec![f32::NAN; 259])).contains("has NaN for token 0"));
}

#[test]
fn a_token_that_texts_begin_with_must_be_there() {
    let mut lone = metadata("llama", &["a".into()], &[1]);
    let error = Tokenizer::read(&lone).unwrap_err().to_string();
    assert!(error.contains("`tokenizer.ggml.bos_token_id` names none"), "{error}");
    lone.set("tokenizer.ggml.bos_token_id", Value::U32(7));
    assert!(Vocabulary::read(&lone).is_err(), "nor is the default there");
    lone.set("tokenizer.ggml.add_bos_token", Value::Bool(false));
    assert!(Vocabulary::read(&lone).is_ok());
}

/// llama.cpp warns of a special token that is not there, and takes its default.
#[test]
fn special_tokens_that_are_not_there_are_those_by_default() {
    let of = |mut metadata: Metadata, id| {
        for key in ["bos", "eos", "unknown", "padding", "eot", "fim_pre"] {
            metadata.set(&format!("tokenizer.ggml.{key}_token_id"), Value::U32(id));
        }
        let tokenizer = Tokenizer::read(&metadata).unwrap();
        (tokenizer.vocabulary().begin(), tokenizer.vocabulary().end())
    };
    for id in [257, 999, u32::MAX] {
        assert_eq!(of(bpe("gpt-2", &[], &[]), id), (Some(11), Some(11)));
        assert_eq!(of(spm(&[]), id.max(259)), (Some(1), Some(2)));
        // A vocabulary with no such token has none that begins texts.
        let mut few = metadata("gpt2", &["a".into()], &[1]);
        few.set("tokenizer.ggml.pre", Value::string("gpt-2"));
        few.set("tokenizer.ggml.merges", strings(["a b"]));
        assert_eq!(of(few, id), (None, None));
    }
}

#[test]
fn types_and_scores_of_more_tokens_than_there_are_do_no_harm() {
    let pieces = [("▁a", -1.0, 1), ("ab", -2.0, 1), ("▁", -9.0, 1), ("a", -9.0, 1), ("b", -9.0, 1)];
    let mut metadata = spm(&pieces);
    let Some(Value::Array(Array::F32(scores))) = metadata.get("tokenizer.ggml.scores").cloned()
    else {
        panic!()
    };
    let Some(Value::Array(Array::I32(types))) = metadata.get("tokenizer.ggml.token_type").cloned()
    else {
        panic!()
    };
    let types = [&types[..], &[3, 99, -1]].concat();
    metadata.set("tokenizer.ggml.token_type", Value::Array(Array::I32(types)));
    let longer = [&scores[..], &[5.0, f32::NAN]].concat();
    metadata.set("tokenizer.ggml.scores", Value::Array(Array::F32(longer)));
    check(&metadata, "ab", "▁a|b");
    let whole = scores.iter().map(|&score| score as i32).collect();
    metadata.set("tokenizer.ggml.scores", Value::Array(Array::I32(whole)));
    check(&metadata, "ab", "▁a|b");
}

#[test]
fn characters_without_a_token_are_the_unknown_one() {
    let tokens = ["<unk>", "<s>", "</s>", "▁", "a"].map(String::from);
    let mut few = metadata("llama", &tokens, &[2, 3, 3, 1, 1]);
    check(&few, "aé", "▁|a|<unk>|<unk>");
    few.set("tokenizer.ggml.token_type", Value::Array(Array::I32(vec![1, 3, 3, 1, 1])));
    check(&few, "aé", "▁|a");
}

/// What text becomes in words that are split otherwise is not known; what its tokens are, is.
#[test]
fn the_vocabulary_of_an_unknown_pre_tokenizer_can_be_read() {
    let read = |pre: &str| {
        let mut metadata = bpe("gpt-2", &["Ġ a"], &[]);
        metadata.remove("tokenizer.ggml.bos_token_id");
        metadata.set("tokenizer.ggml.pre", Value::string(pre));
        assert!(Tokenizer::read(&metadata).is_err(), "{pre}");
        let vocabulary = Vocabulary::read(&metadata).unwrap();
        assert_eq!(vocabulary.bytes(257), b" a");
        (vocabulary.begin(), vocabulary.leading())
    };
    assert_eq!(read("default"), (Some(11), None));
    assert_eq!(read("tekken"), (Some(11), Some(11)), "begins texts");
    assert_eq!(read("glm4"), (None, None), "has none by default");
}

#[test]
fn merges_of_what_is_not_there_do_nothing() {
    let mut metadata = bpe("gpt-2", &["a b"], &[]);
    let of_nothing = (0..300_000).map(|i| match i % 3 {
        0 => format!("x{i} y{i}"),
        1 => format!("▁{i} <{i}>"),
        _ => format!("{i}"),
    });
    let merges = of_nothing.chain(["", " ", "a ", " b", "a  b", "a b"].map(String::from));
    metadata.set("tokenizer.ggml.merges", strings(merges));
    check(&metadata, "ab x0y0", "ab|Ġ|x|0|y|0");
}

/// Any bytes, often such that mean something to a tokenizer.
fn any_text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..6),
        "[abĠ▁ <>|]{0,4}".prop_map(String::into_bytes),
        prop::sample::select(vec!["</s>", "<|end|>", "<|call|>", "<0x41>", "<0xZZ>", "<tool>"])
            .prop_map(|text| text.as_bytes().to_vec()),
    ]
}

proptest! {
    #[test]
    fn any_vocabulary_is_refused_or_used(
        tokens in prop::collection::vec(any_text(), 0..12),
        types in prop::collection::vec(-1..8, 12),
        merges in prop::collection::vec(any_text(), 0..12),
        scores in prop::collection::vec(any::<f32>(), 12),
        byte_level in any::<bool>(),
        begin in 0u32..20,
        text in "\\PC{0,12}|[ab<>|▁ \n]{0,12}|</s>|<\\|end\\|>",
    ) {
        let mut metadata =
            if byte_level { bpe("llama-bpe", &[], &[]) } else { spm(&[]) };
        let old = |key: &str| metadata.get(key).and_then(Value::as_array).cloned();
        let Some(Array::String(old_tokens)) = old("tokenizer.ggml.tokens") else { panic!() };
        let Some(Array::I32(old_types)) = old("tokenizer.ggml.token_type") else { panic!() };
        let all = old_tokens.iter().map(<[u8]>::to_vec).chain(tokens.iter().cloned());
        let count = old_tokens.len() + tokens.len();
        let types = [&old_types[..], &types[..tokens.len()]].concat();
        let scores = [&vec![0.0; old_tokens.len()], &scores[..tokens.len()]].concat();
        metadata.set("tokenizer.ggml.tokens", strings(all));
        metadata.set("tokenizer.ggml.token_type", Value::Array(Array::I32(types)));
        metadata.set("tokenizer.ggml.scores", Value::Array(Array::F32(scores)));
        metadata.set("tokenizer.ggml.merges", strings(merges));
        metadata.set("tokenizer.ggml.bos_token_id", Value::U32(begin));
        if let Ok(tokenizer) = Tokenizer::read(&metadata) {
            let ids = [tokenizer.encode_document(&text), tokenizer.encode_with_special(&text)];
            let vocabulary = tokenizer.vocabulary();
            prop_assert!(ids.concat().iter().all(|&id| (id as usize) < count));
            for id in 0..vocabulary.len() + 1 {
                std::hint::black_box((vocabulary.is_text(id), vocabulary.decode(&[id])));
            }
        }
    }
}
