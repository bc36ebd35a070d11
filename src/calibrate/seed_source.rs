//! What a vocabulary has for texts to begin with.

use super::{Chat, SeedSource};
use crate::model::{TokenKind, Tokenizer, Vocabulary};

/// What the turns of a chat are written with.
struct ChatFormat {
    /// Part of every chat template that writes it.
    mark: &'static str,
    /// In front of the user's words.
    user: &'static str,
    /// Between the token that ends them and the model's words.
    assistant: &'static str,
}

/// A Jinja engine for the sake of two strings would be out of proportion: these are the formats
/// that templates of dense models write.
const CHAT_FORMATS: [ChatFormat; 5] = [
    ChatFormat {
        mark: "<|im_start|>",
        user: "<|im_start|>user\n",
        assistant: "\n<|im_start|>assistant\n",
    },
    ChatFormat {
        mark: "<|start_header_id|>",
        user: "<|start_header_id|>user<|end_header_id|>\n\n",
        assistant: "<|start_header_id|>assistant<|end_header_id|>\n\n",
    },
    ChatFormat {
        mark: "<start_of_turn>",
        user: "<start_of_turn>user\n",
        assistant: "\n<start_of_turn>model\n",
    },
    ChatFormat { mark: "[INST]", user: "[INST] ", assistant: "[/INST]" },
    ChatFormat { mark: "<|user|>", user: "<|user|>\n", assistant: "\n<|assistant|>\n" },
];

/// What this vocabulary has for texts to begin with; chats only where there is a tokenizer for the
/// words around their turns.
pub fn seed_source(vocabulary: &Vocabulary, tokenizer: Option<&Tokenizer>) -> SeedSource {
    let chat = tokenizer.and_then(chat);
    let ends = |&id: &u32| vocabulary.ends_generation(id);
    let never = |&id: &u32| {
        use TokenKind::*;
        matches!(vocabulary.kind(id), Unknown | Control | Unused) && !ends(&id)
    };
    let all = 0..vocabulary.len();
    SeedSource {
        document_start: document_start(vocabulary, chat.as_ref()),
        text_tokens: all.clone().filter(|&id| vocabulary.is_text(id)).collect(),
        end_tokens: all.clone().filter(ends).collect(),
        never: all.filter(never).collect(),
        always_first: vocabulary.leading(),
        chat,
    }
}

/// The token that begins texts; where that is a mark of chats (SmolLM2), the one that ends them,
/// which stood between the texts that the model learnt from.
fn document_start(vocabulary: &Vocabulary, chat: Option<&Chat>) -> Option<u32> {
    let in_chats = |id: &u32| chat.is_some_and(|chat| chat.user.contains(id));
    let begin = vocabulary.begin().filter(|id| !in_chats(id));
    begin.or_else(|| vocabulary.id(b"<|endoftext|>")).or(vocabulary.begin())
}

fn chat(tokenizer: &Tokenizer) -> Option<Chat> {
    let template = tokenizer.vocabulary().chat_template()?;
    let format = CHAT_FORMATS.iter().find(|format| template.contains(format.mark))?;
    let user = tokenizer.encode_with_special(format.user);
    let assistant = tokenizer.encode_with_special(format.assistant);
    Some(Chat { user, assistant })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::{Gguf, Metadata, Value};

    fn source(metadata: &Metadata) -> SeedSource {
        let tokenizer = Tokenizer::read(metadata).unwrap();
        seed_source(tokenizer.vocabulary(), Some(&tokenizer))
    }

    #[test]
    fn the_tiny_model_has_documents_and_words() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tiny.gguf");
        let mut metadata = Gguf::open(path.as_ref()).unwrap().metadata().clone();
        let found = source(&metadata);
        assert!(found.document_start.is_some());
        assert!(found.text_tokens.len() > 1000, "{}", found.text_tokens.len());
        assert!(!found.end_tokens.is_empty());
        assert!(found.end_tokens.iter().all(|id| !found.never.contains(id)));
        assert_eq!(found.chat, None);

        let template = "{{ '<|im_start|>' + message['role'] }}";
        metadata.set("tokenizer.chat_template", Value::string(template));
        let chat = source(&metadata).chat.unwrap();
        assert!(!chat.user.is_empty() && !chat.assistant.is_empty());
    }
}
