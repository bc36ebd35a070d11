//! Whether two stores say the same.

use super::atom_store::{AtomId, AtomStore};
use super::types::TypeId;

/// What the first store has and the second has not, or has another value for, or the other way
/// round; none where they have the same atoms and the same values, bit by bit. Ids may differ.
pub fn difference(a: &impl AtomStore, b: &impl AtomStore) -> Option<String> {
    let in_b = match twins(a, b) {
        Ok(in_b) => in_b,
        Err(atom) => return Some(format!("only the first has {}", describe(a, atom))),
    };
    if a.atom_count() != b.atom_count() {
        let counts = format!("{} atoms and {}", a.atom_count(), b.atom_count());
        return Some(format!("the stores have {counts}"));
    }
    let differs = |&atom: &AtomId| value_difference(a, b, &in_b, atom);
    let (atom, what) = a.atoms().find_map(|atom| differs(&atom).map(|what| (atom, what)))?;
    Some(format!("{what} of {} differ", describe(a, atom)))
}

/// The same atom in `b` for each atom of `a`.
///
/// # Errors
/// The first atom of `a` that `b` does not have.
pub fn twins(a: &impl AtomStore, b: &impl AtomStore) -> Result<Vec<AtomId>, AtomId> {
    let types: Vec<Option<TypeId>> =
        a.types().iter().map(|of| b.find_type(&of.name, of.kind)).collect();
    let mut in_b: Vec<AtomId> = Vec::with_capacity(a.atom_count());
    for atom in a.atoms() {
        let twin = types[a.type_of(atom).index()].and_then(|of| match a.name(atom) {
            Some(name) => b.by_name(of, &name),
            None => {
                let held: Vec<AtomId> = a.outgoing(atom).map(|held| in_b[held.index()]).collect();
                b.by_outgoing(of, &held)
            }
        });
        in_b.push(twin.ok_or(atom)?);
    }
    Ok(in_b)
}

/// Which values of an atom differ.
fn value_difference(
    a: &impl AtomStore,
    b: &impl AtomStore,
    in_b: &[AtomId],
    atom: AtomId,
) -> Option<&'static str> {
    let same = in_b[atom.index()];
    let truth_bits = |truth: super::value::TruthValue| truth.bits();
    if a.truth_value(atom).map(truth_bits) != b.truth_value(same).map(truth_bits) {
        return Some("the truth values");
    }
    let attention_bits = |attention: super::value::AttentionValue| attention.bits();
    if a.attention_value(atom).map(attention_bits) != b.attention_value(same).map(attention_bits) {
        return Some("the attention values");
    }
    let mut of_a: Vec<_> =
        a.values(atom).map(|(key, value)| (in_b[key.index()], value.to_value())).collect();
    of_a.sort_unstable_by_key(|(key, _)| *key);
    let same_atom = |x: AtomId, y: AtomId| in_b[x.index()] == y;
    let mut of_b = b.values(same);
    let all_same = of_a.iter().all(|(key, value)| {
        let other = of_b.next();
        other.is_some_and(|(k, v)| k == *key && value.is_identical(&v.to_value(), &same_atom))
    });
    (!all_same || of_b.next().is_some()).then_some("the values")
}

fn describe(store: &impl AtomStore, atom: AtomId) -> String {
    let of = &store.types()[store.type_of(atom).index()].name;
    match store.name(atom) {
        Some(name) => format!("({of} \"{}\")", String::from_utf8_lossy(&name).escape_debug()),
        None => format!("a {of} of {} atoms", store.outgoing(atom).len()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::read::{ReadOptions, read};
    use super::*;

    fn told(a: &str, b: &str) -> Option<String> {
        let space = |text: &str| read(text.as_bytes(), &ReadOptions::default()).unwrap().0;
        difference(&space(a), &space(b))
    }

    #[test]
    fn order_of_reading_makes_no_difference() {
        let a = r#"(Set (Concept "a") (Concept "b") (Concept "a")) (Concept "c" (alist
            (cons (Predicate "k") (LinkValue (FloatValue nan) (Concept "b")))
            (cons (Predicate "l") (StringValue "x"))))"#;
        let b = r#"(Concept "c") (Predicate "l") (Predicate "k") (Set (Concept "b") (Concept "a")
            (Concept "a")) (cog-set-values! (Concept "c") (alist (cons (Predicate "l")
            (StringValue "x")) (cons (Predicate "k") (LinkValue (FloatValue nan) (Concept "b")))))"#;
        assert_eq!(told(a, b), None);
    }

    #[test]
    fn each_difference_is_told() {
        for (a, b, part) in [
            ("(Concept \"a\")", "(Predicate \"a\")", "only the first has (ConceptNode \"a\")"),
            ("(Concept \"a\")", "(Concept \"a\") (List)", "1 atoms and 2"),
            ("(List (Set))", "(List (Set) (Set))", "only the first has a ListLink of 1 atoms"),
            ("(List (stv 1 0))", "(List)", "the truth values of a ListLink"),
            ("(List (av 1 0 0))", "(List (av 1 0 1))", "the attention values"),
            ("(List (stv 0 0))", "(List (stv -0 0))", "the truth values"),
            (
                "(cog-set-value! (Concept \"a\") (Concept \"a\") (FloatValue 1 2))",
                "(cog-set-value! (Concept \"a\") (Concept \"a\") (FloatValue 1))",
                "the values of (ConceptNode",
            ),
            (
                "(Concept \"a\")",
                "(cog-set-value! (Concept \"a\") (Concept \"a\") (VoidValue))",
                "the values",
            ),
        ] {
            let told = told(a, b).unwrap();
            assert!(told.contains(part), "{told}");
        }
    }
}
