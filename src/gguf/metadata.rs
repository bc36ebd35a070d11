//! The metadata of a file: keys and values in the order of the file.

use std::collections::HashMap;
use std::sync::Arc;

use super::value::Value;

/// An ordered list of keys and values, each key once.
#[derive(Clone, Default)]
pub struct Metadata {
    /// The keys are shared with `places`, so that a long one is in memory once.
    entries: Vec<(Arc<str>, Value)>,
    /// Where each key stands in `entries`.
    places: HashMap<Arc<str>, usize>,
}

impl Metadata {
    /// No keys.
    pub fn new() -> Metadata {
        Metadata::default()
    }

    /// No keys yet, and room for `n`.
    pub(super) fn with_capacity(n: usize) -> Metadata {
        Metadata { entries: Vec::with_capacity(n), places: HashMap::with_capacity(n) }
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.places.get(key).map(|&place| &self.entries[place].1)
    }

    /// Gives `key` this value: where it stands if it is there, else at the end.
    pub fn set(&mut self, key: &str, value: Value) {
        match self.places.get(key) {
            Some(&place) => self.entries[place].1 = value,
            None => {
                let key: Arc<str> = key.into();
                self.places.insert(key.clone(), self.entries.len());
                self.entries.push((key, value));
            }
        }
    }

    /// Takes `key` out. The others keep their order.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let place = self.places.get(key).copied()?;
        let (_, value) = self.entries.remove(place);
        self.index();
        Some(value)
    }

    /// Takes out every key that begins with `prefix`, as in `split.`.
    pub fn remove_prefix(&mut self, prefix: &str) {
        self.entries.retain(|(key, _)| !key.starts_with(prefix));
        self.index();
    }

    /// Keys and values in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(key, value)| (&**key, value))
    }

    fn index(&mut self) {
        self.places.clear();
        let places = self.entries.iter().enumerate().map(|(i, (key, _))| (key.clone(), i));
        self.places.extend(places);
    }
}

impl std::fmt::Debug for Metadata {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// By keys, values and order.
impl PartialEq for Metadata {
    fn eq(&self, other: &Metadata) -> bool {
        self.entries == other.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(metadata: &Metadata) -> Vec<&str> {
        metadata.iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn order_is_kept() {
        let mut metadata = Metadata::new();
        for (i, key) in ["z", "split.no", "a", "split.count", "m"].into_iter().enumerate() {
            metadata.set(key, Value::U64(i as u64));
        }
        metadata.set("a", Value::Bool(true));
        assert_eq!(keys(&metadata), ["z", "split.no", "a", "split.count", "m"]);
        assert_eq!(metadata.get("a"), Some(&Value::Bool(true)));

        assert_eq!(metadata.remove("z"), Some(Value::U64(0)));
        assert_eq!(metadata.remove("z"), None);
        metadata.remove_prefix("split.");
        assert_eq!(keys(&metadata), ["a", "m"]);
        assert_eq!(metadata.get("m"), Some(&Value::U64(4)));
    }
}
