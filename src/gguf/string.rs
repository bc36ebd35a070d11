//! Strings of metadata.

/// A string as GGUF stores it: any bytes. Tokens of some vocabularies are not UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct GgufString(Vec<u8>);

impl GgufString {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text, where the bytes are UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl From<&str> for GgufString {
    fn from(text: &str) -> GgufString {
        GgufString(text.into())
    }
}

impl From<String> for GgufString {
    fn from(text: String) -> GgufString {
        GgufString(text.into())
    }
}

impl From<Vec<u8>> for GgufString {
    fn from(bytes: Vec<u8>) -> GgufString {
        GgufString(bytes)
    }
}

/// Lossy where the bytes are not UTF-8.
impl std::fmt::Display for GgufString {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&String::from_utf8_lossy(&self.0))
    }
}

/// Appends a string as a file stores it: its length, its bytes.
pub(super) fn encode_string(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend((bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(bytes);
}
