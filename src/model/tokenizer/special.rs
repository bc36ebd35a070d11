//! Tokens that are special by their names. The metadata seldom says which tokens end a turn, and
//! some models call their control tokens text; llama.cpp goes by the names below, and so do we.

use std::collections::BTreeSet;

use super::error::TokenizerError;
use super::keys::number;
use super::tokens::{TokenKind, Tokens};
use crate::gguf::Metadata;

/// A role of which a model has at most one token.
struct Role {
    /// Under which keys the metadata may name it; the last one counts.
    keys: &'static [&'static str],
    /// What it is called where the metadata does not name it.
    names: &'static [&'static str],
    ends_generation: bool,
}

const ROLES: [Role; 8] = [
    Role {
        keys: &["eot_token_id"],
        names: &[
            "<|eot_id|>",
            "<|im_end|>",
            "<|end|>",
            "<end_of_turn>",
            "<|endoftext|>",
            "<|end_of_text|>",
            "<EOT>",
            "_<EOT>",
            "[EOT]",
            "<｜end▁of▁sentence｜>",
            "<end_of_utterance>",
        ],
        ends_generation: true,
    },
    Role { keys: &["eom_token_id"], names: &["<|eom_id|>"], ends_generation: true },
    Role {
        keys: &["fim_pre_token_id", "prefix_token_id"],
        names: &[
            "<|fim_prefix|>",
            "<fim-prefix>",
            "<fim_prefix>",
            "<｜fim▁begin｜>",
            "<PRE>",
            "▁<PRE>",
            "<|code_prefix|>",
            "<|prefix|>",
        ],
        ends_generation: false,
    },
    Role {
        keys: &["fim_suf_token_id", "suffix_token_id"],
        names: &[
            "<|fim_suffix|>",
            "<fim-suffix>",
            "<fim_suffix>",
            "<｜fim▁hole｜>",
            "<SUF>",
            "▁<SUF>",
            "<|code_suffix|>",
            "<|suffix|>",
        ],
        ends_generation: false,
    },
    Role {
        keys: &["fim_mid_token_id", "middle_token_id"],
        names: &[
            "<|fim_middle|>",
            "<fim-middle>",
            "<fim_middle>",
            "<｜fim▁end｜>",
            "<MID>",
            "▁<MID>",
            "<|code_middle|>",
            "<|middle|>",
        ],
        ends_generation: false,
    },
    Role {
        keys: &["fim_pad_token_id"],
        names: &["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"],
        ends_generation: true,
    },
    Role {
        keys: &["fim_rep_token_id"],
        names: &["<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"],
        ends_generation: true,
    },
    Role { keys: &["fim_sep_token_id"], names: &["<|file_sep|>"], ends_generation: true },
];

/// Every token of these names is a control token and ends generation.
const ENDS: [&str; 22] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<｜end▁of▁sentence｜>",
    "[e~[",
];

/// Tokens that are always shown.
const SHOWN: [&str; 4] = ["<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"];

/// Corrects the kinds of tokens by their names, and says which tokens end generation; `end` does, if
/// there is one.
pub(super) fn read(
    metadata: &Metadata,
    tokens: &mut Tokens,
    end: Option<u32>,
) -> Result<BTreeSet<u32>, TokenizerError> {
    let mut ends = BTreeSet::new();
    for role in &ROLES {
        let token = named_by_key(metadata, tokens, role)?.or_else(|| by_name(tokens, role));
        ends.extend(token.filter(|_| role.ends_generation));
    }
    for name in ENDS {
        if let Some(id) = tokens.id(name.as_bytes()) {
            ends.insert(id);
            tokens.set_kind(id, TokenKind::Control);
        }
    }
    for name in SHOWN {
        if let Some(id) = tokens.id(name.as_bytes()) {
            tokens.set_kind(id, TokenKind::UserDefined);
        }
    }
    ends.extend(end);
    take_back(tokens, &mut ends);
    Ok(ends)
}

fn named_by_key(
    metadata: &Metadata,
    tokens: &Tokens,
    role: &Role,
) -> Result<Option<u32>, TokenizerError> {
    let mut token = None;
    for key in role.keys {
        let id = number(metadata, &format!("tokenizer.ggml.{key}"))?;
        // llama.cpp ignores these where there is no such token.
        let id = id.filter(|&id| id < tokens.len().into()).map(|id| id as u32);
        token = id.or(token);
    }
    Ok(token)
}

/// The token of this role by its name, which is a control token then. Where there are several,
/// llama.cpp takes any; here it is the first.
fn by_name(tokens: &mut Tokens, role: &Role) -> Option<u32> {
    let ids = role.names.iter().filter_map(|name| tokens.id(name.as_bytes()));
    let first = ids.min()?;
    tokens.set_kind(first, TokenKind::Control);
    Some(first)
}

/// Names of the lists above that mean something else beside certain others.
fn take_back(tokens: &mut Tokens, ends: &mut BTreeSet<u32>) {
    let ending = |name: &str| tokens.id(name.as_bytes()).filter(|id| ends.contains(id));
    let call = ending("<|call|>").or(ending("<|calls|>"));
    let end = ending("<|end|>").filter(|_| {
        call.is_some() && (ending("<|return|>").is_some() || ending("<|flush|>").is_some())
    });
    let marker = ending("<|tool_response>").or(ending("<|plamo:eos|>"));
    let s = ending("</s>").filter(|_| marker.is_some());
    for (token, kind) in [(end, TokenKind::UserDefined), (s, TokenKind::Normal)] {
        if let Some(id) = token {
            ends.remove(&id);
            tokens.set_kind(id, kind);
        }
    }
}
