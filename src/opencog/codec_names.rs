//! The names that codecs are asked for by, and that files have.

/// Each codec of a kind and its name.
#[derive(Debug)]
pub(super) struct CodecNames<T: 'static>(pub &'static [(T, &'static str)]);

impl<T: Copy + PartialEq> CodecNames<T> {
    /// All codecs.
    pub fn all(&self) -> impl Iterator<Item = T> + use<T> {
        self.0.iter().map(|row| row.0)
    }

    /// The name of a codec; nothing for one that the table lacks.
    pub fn name(&self, codec: T) -> &'static str {
        self.0.iter().find(|row| row.0 == codec).map_or("", |row| row.1)
    }

    /// The codec of a name, or what was expected and what was found.
    pub fn find(&self, name: &str) -> Result<T, String> {
        let found = self.0.iter().find(|row| row.1 == name);
        found.map(|row| row.0).ok_or_else(|| {
            let names: Vec<&str> = self.0.iter().map(|row| row.1).collect();
            let (last, others) = names.split_last().unwrap_or((&"none", &[]));
            format!("expected {} or {last}, found `{name:.40}`", others.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        let named = CodecNames(&[(1, "one"), (2, "two"), (3, "three")]);
        assert!(named.all().all(|codec| named.find(named.name(codec)) == Ok(codec)));
        assert_eq!(named.name(4), "");
        assert_eq!(named.find("four"), Err("expected one, two or three, found `four`".into()));
    }
}
