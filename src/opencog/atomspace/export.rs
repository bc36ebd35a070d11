//! Writes AtomSpace text as FileStorage does: one line for each atom that nothing holds or that has
//! values, long type names, values in an `alist`.
//!
//! The fast reader of AtomSpace stops at the first line that it does not understand. Lines of which
//! that is known come last, so that it gets as far as it can; [`ExportSummary`] counts them.

use std::io::Write;

use super::atom_store::{AtomId, AtomStore};
use super::error::Error;
use super::known_types;
use super::number;
use super::types::{Kind, TypeId};
use super::value::{ATTENTION_KEY, TRUTH_KEY, TruthKind, TruthValue};
use super::value_ref::ValueRef;

/// Which AtomSpace is to read the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Target {
    /// With truth values, as until October 2025.
    #[default]
    AtomSpace5_0,
    /// Without: the numbers of a truth value are a `FloatValue`, of which two under its key are read
    /// as a simple one, three as one with a count.
    AtomSpace2026,
}

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExportSummary {
    /// Lines, one for each root and each atom with values.
    pub lines: u64,
    /// How many of them, the last ones, the fast reader of the target is known not to take: there is
    /// a type in them that it does not know, or an empty link or a kind of value that it rejects.
    pub rejected: u64,
    /// Names and strings of `StringValue`s with a line feed, which the fast reader takes out of them.
    pub texts_of_lines: u64,
    /// Truth values of which the target cannot say what they are. Under their own key, their numbers
    /// alone mean those of a simple one, or of one with a count; elsewhere no numbers mean a truth value.
    pub kinds_lost: u64,
    /// Values under the key of truth values that are none. The AtomSpace with truth values takes them
    /// in, and a program that then asks for the truth value may crash.
    pub no_truths: u64,
}

/// How many atoms a text may consist of, each counted as often as it is written.
const MOST_WRITTEN: u64 = 1 << 33;

/// Writes all atoms and values of a store.
///
/// # Errors
/// `out` does not take it, or links hold each other in so many ways that the text would be of more
/// than 2^33 atoms.
pub fn export(
    store: &impl AtomStore,
    target: Target,
    out: &mut impl Write,
) -> Result<ExportSummary, Error> {
    check_size(store)?;
    let mut summary = ExportSummary::default();
    let is_rejected = rejected(store, target);
    let mut line = Vec::new();
    for wanted in [false, true] {
        for atom in store.atoms().filter(|atom| is_rejected[atom.index()] == wanted) {
            if store.incoming(atom).len() > 0 && !has_values(store, atom) {
                continue;
            }
            line.clear();
            print_line(store, target, atom, &mut line);
            let written = out.write_all(&line);
            written.map_err(|source| Error::Io { doing: "cannot write the text", source })?;
            summary.lines += 1;
            summary.rejected += u64::from(wanted);
        }
    }
    summary.texts_of_lines = store.atoms().map(|atom| texts_of_lines(store, atom)).sum();
    match target {
        Target::AtomSpace5_0 => summary.no_truths = no_truths(store),
        Target::AtomSpace2026 => {
            summary.kinds_lost = store.atoms().map(|atom| kinds_lost(store, atom)).sum();
        }
    }
    Ok(summary)
}

fn texts_of_lines(store: &impl AtomStore, atom: AtomId) -> u64 {
    let is_of_lines = |text: &[u8]| text.contains(&b'\n');
    let of_value = |value: ValueRef| match value {
        ValueRef::Strings(texts) => texts.iter().filter(|text| is_of_lines(text)).count() as u64,
        _ => 0,
    };
    let of_values = store.values(atom).map(|(_, value)| sum_over(value, &of_value));
    u64::from(store.name(atom).is_some_and(|name| is_of_lines(&name))) + of_values.sum::<u64>()
}

fn kinds_lost(store: &impl AtomStore, atom: AtomId) -> u64 {
    let is_lost = |truth: TruthValue| !matches!(truth.kind(), TruthKind::Simple | TruthKind::Count);
    let of_value = |value: ValueRef| match value {
        ValueRef::Truth(_) => 1,
        _ => 0,
    };
    let of_values = store.values(atom).map(|(_, value)| sum_over(value, &of_value));
    u64::from(store.truth_value(atom).is_some_and(is_lost)) + of_values.sum::<u64>()
}

/// The sum over a value and all that lie in it.
fn sum_over(value: ValueRef, of: &impl Fn(ValueRef) -> u64) -> u64 {
    match value {
        ValueRef::Links(values) => {
            values.iter().map(|value| sum_over(value, of)).fold(0, u64::saturating_add)
        }
        value => of(value),
    }
}

fn no_truths(store: &impl AtomStore) -> u64 {
    let Some(key) = truth_key(store) else { return 0 };
    let is_none = |value: ValueRef| value.to_value().as_truth().is_none();
    store.atoms().filter(|&atom| store.value(atom, key).is_some_and(is_none)).count() as u64
}

/// The key of truth values, where it is an atom: where a value that is none stands under it.
fn truth_key(store: &impl AtomStore) -> Option<AtomId> {
    store.by_name(store.find_type("PredicateNode", Kind::Node)?, TRUTH_KEY)
}

fn has_values(store: &impl AtomStore, atom: AtomId) -> bool {
    store.truth_value(atom).is_some()
        || store.attention_value(atom).is_some()
        || store.values(atom).next().is_some()
}

/// An error if the text would be longer than anything that can be written.
fn check_size(store: &impl AtomStore) -> Result<(), Error> {
    if atoms_written(store) > MOST_WRITTEN {
        let limit = "2^33, each counted as often as it is written";
        return Err(Error::Parameter(format!("as text, this would be more atoms than {limit}")));
    }
    Ok(())
}

/// Of how many atoms the text of each atom consists, those that it holds counted as often as they are
/// written.
pub(super) fn sizes_as_text(store: &impl AtomStore) -> Vec<u64> {
    let mut sizes: Vec<u64> = Vec::with_capacity(store.atom_count());
    for atom in store.atoms() {
        let held = store.outgoing(atom).map(|held| sizes[held.index()]);
        sizes.push(held.fold(1, u64::saturating_add));
    }
    sizes
}

/// How many atoms the text consists of, in the keys and values of atoms too.
fn atoms_written(store: &impl AtomStore) -> u64 {
    let sizes = sizes_as_text(store);
    let line = |atom: AtomId| {
        let of_values = store
            .values(atom)
            .map(|(key, value)| sizes[key.index()].saturating_add(atoms_in(value, &sizes)));
        of_values.fold(sizes[atom.index()], u64::saturating_add)
    };
    let has_line = |atom: &AtomId| store.incoming(*atom).len() == 0 || has_values(store, *atom);
    store.atoms().filter(has_line).map(line).fold(0, u64::saturating_add)
}

/// How many atoms the text of a value consists of, where `sizes` tells it of each atom.
fn atoms_in(value: ValueRef, sizes: &[u64]) -> u64 {
    sum_over(value, &|value| match value {
        ValueRef::Atom(atom) => sizes[atom.index()],
        _ => 0,
    })
}

/// Of which atoms the fast reader is known not to take the line.
fn rejected(store: &impl AtomStore, target: Target) -> Vec<bool> {
    let is_unknown = |of: &super::AtomType| {
        let known = known_types::find(&of.name, of.kind);
        !known.is_some_and(|known| known.is_declared_in(target))
    };
    let unknown: Vec<bool> = store.types().iter().map(is_unknown).collect();
    let mut in_text: Vec<bool> = Vec::with_capacity(store.atom_count());
    for atom in store.atoms() {
        let mut outgoing = store.outgoing(atom);
        let is_empty = outgoing.len() == 0 && store.name(atom).is_none();
        let is_rejected = unknown[store.type_of(atom).index()]
            || is_empty && target == Target::AtomSpace5_0
            || outgoing.any(|held| in_text[held.index()]);
        in_text.push(is_rejected);
    }
    let by_values = |atom: AtomId| {
        let truth = store.truth_value(atom);
        truth.is_some_and(|truth| rejects_truth(target, truth.kind()))
            || store
                .values(atom)
                .any(|(key, value)| in_text[key.index()] || rejects_value(target, value, &in_text))
    };
    store.atoms().map(|atom| in_text[atom.index()] || by_values(atom)).collect()
}

fn rejects_truth(target: Target, kind: TruthKind) -> bool {
    let is_taken = matches!(kind, TruthKind::Simple | TruthKind::Count | TruthKind::EvidenceCount);
    target == Target::AtomSpace5_0 && !is_taken
}

fn rejects_value(target: Target, value: ValueRef, in_text: &[bool]) -> bool {
    use ValueRef::{Atom, Attention, Bools, Floats, Links, Strings, Truth, Void};
    match value {
        Floats(_) | Strings(_) | Bools(_) | Void => false,
        Links(values) => values.iter().any(|value| rejects_value(target, value, in_text)),
        Atom(atom) => in_text[atom.index()],
        Truth(truth) => rejects_truth(target, truth.kind()),
        Attention(_) => true,
    }
}

/// The line of an atom and its values, with the line feed.
fn print_line(store: &impl AtomStore, target: Target, atom: AtomId, out: &mut Vec<u8>) {
    print_atom(store, atom, out);
    if has_values(store, atom) {
        out.pop();
        out.extend_from_slice(b" (alist ");
        print_values(store, target, atom, out);
        out.extend_from_slice(b"))");
    }
    out.push(b'\n');
}

fn print_values(store: &impl AtomStore, target: Target, atom: AtomId, out: &mut Vec<u8>) {
    if let Some(truth) = store.truth_value(atom) {
        print_key(TRUTH_KEY, out);
        print_truth(target, &truth, out);
        out.push(b')');
    }
    if let Some(attention) = store.attention_value(atom) {
        print_key(ATTENTION_KEY, out);
        print_numbers("FloatValue", [attention.sti, attention.lti, attention.vlti], out);
        out.push(b')');
    }
    for (key, value) in store.values(atom) {
        out.extend_from_slice(b"(cons ");
        print_atom(store, key, out);
        print_value(store, target, value, out);
        out.push(b')');
    }
}

fn print_key(name: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"(cons (PredicateNode \"");
    out.extend_from_slice(name);
    out.extend_from_slice(b"\")");
}

/// An atom without its values; how deep it is nested costs no stack.
pub fn print_atom(store: &impl AtomStore, atom: AtomId, out: &mut Vec<u8>) {
    print_atom_within(store, atom, usize::MAX, out);
}

/// An atom without its values, where `out` does not become longer than `most` by it; whether it did
/// not. Links that hold each other in many ways are long.
pub fn print_atom_within(
    store: &impl AtomStore,
    atom: AtomId,
    most: usize,
    out: &mut Vec<u8>,
) -> bool {
    if print_node(store, atom, out) {
        return out.len() <= most;
    }
    open(store, store.type_of(atom), out);
    out.push(b' ');
    let mut links = vec![store.outgoing(atom)];
    while let Some(link) = links.last_mut().filter(|_| out.len() <= most) {
        match link.next() {
            Some(held) if print_node(store, held, out) => (),
            Some(held) => {
                open(store, store.type_of(held), out);
                out.push(b' ');
                links.push(store.outgoing(held));
            }
            None => {
                // an empty link has no blank
                if out.last() == Some(&b' ') {
                    out.pop();
                }
                out.push(b')');
                links.pop();
            }
        }
    }
    out.len() <= most
}

fn open(store: &impl AtomStore, of: TypeId, out: &mut Vec<u8>) {
    out.push(b'(');
    out.extend_from_slice(store.types()[of.index()].name.as_bytes());
}

/// Writes an atom if it is a node; whether it is one.
fn print_node(store: &impl AtomStore, atom: AtomId, out: &mut Vec<u8>) -> bool {
    let Some(name) = store.name(atom) else { return false };
    open(store, store.type_of(atom), out);
    out.push(b' ');
    print_text(&name, out);
    out.push(b')');
    true
}

fn print_text(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

fn print_numbers(of: &str, numbers: impl IntoIterator<Item = f64>, out: &mut Vec<u8>) {
    out.push(b'(');
    out.extend_from_slice(of.as_bytes());
    for number in numbers {
        out.push(b' ');
        number::print(out, number);
    }
    out.push(b')');
}

fn print_truth(target: Target, truth: &TruthValue, out: &mut Vec<u8>) {
    let name = match target {
        Target::AtomSpace5_0 => truth.kind().name(),
        Target::AtomSpace2026 => "FloatValue",
    };
    print_numbers(name, truth.numbers().into_iter().take(truth.kind().arity()), out);
}

/// A value; they do not lie deeper in each other than the stack allows.
fn print_value(store: &impl AtomStore, target: Target, value: ValueRef, out: &mut Vec<u8>) {
    match value {
        ValueRef::Floats(numbers) => print_numbers("FloatValue", numbers.iter(), out),
        ValueRef::Strings(texts) => {
            out.extend_from_slice(b"(StringValue");
            for text in texts.iter() {
                out.push(b' ');
                print_text(text, out);
            }
            out.push(b')');
        }
        ValueRef::Bools(bools) => {
            out.extend_from_slice(b"(BoolValue");
            for bool in bools.iter() {
                out.extend_from_slice(if bool { b" 1" } else { b" 0" });
            }
            out.push(b')');
        }
        ValueRef::Links(values) => {
            out.extend_from_slice(b"(LinkValue ");
            values.iter().for_each(|value| print_value(store, target, value, out));
            out.push(b')');
        }
        ValueRef::Void => out.extend_from_slice(b"(VoidValue)"),
        ValueRef::Atom(atom) => print_atom(store, atom, out),
        ValueRef::Truth(truth) => print_truth(target, &truth, out),
        ValueRef::Attention(attention) => {
            print_numbers("AttentionValue", [attention.sti, attention.lti, attention.vlti], out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::compare::difference;
    use super::super::read::{ReadOptions, read};
    use super::*;

    fn exported(text: &str, target: Target) -> (String, ExportSummary) {
        let (space, summary) = read(text.as_bytes(), &ReadOptions::default()).unwrap();
        assert!(summary.skipped.is_empty(), "{}", summary.skipped);
        let mut out = Vec::new();
        let written = export(&space, target, &mut out).unwrap();
        let (back, summary) = read(&out[..], &ReadOptions::default()).unwrap();
        assert!(summary.skipped.is_empty(), "{}", summary.skipped);
        assert_eq!(difference(&space, &back), None);
        (String::from_utf8(out).unwrap(), written)
    }

    #[test]
    fn lines_are_those_of_filestorage() {
        let text = r#"
            (Inheritance (stv 1 1) (Concept "Kecia") (Concept "soda drinker"))
            (Concept "v" (alist (cons (Predicate "k") (FloatValue 1 2.5 -3e-10))
                (cons (Predicate "s") (StringValue "x" "q\"q"))))
            (Concept "b" (ctv 0.3 0.4 5))
            (Concept "l" (alist (cons (Predicate "m") (LinkValue (FloatValue 1) (StringValue "z")))))
            (Concept "a" (av 10 20 0))"#;
        let lines = r#"(InheritanceLink (ConceptNode "Kecia")(ConceptNode "soda drinker") (alist (cons (PredicateNode "*-TruthValueKey-*")(SimpleTruthValue 1 1))))
(PredicateNode "k")
(PredicateNode "s")
(ConceptNode "v" (alist (cons (PredicateNode "k")(FloatValue 1 2.5 -3e-10))(cons (PredicateNode "s")(StringValue "x" "q\"q"))))
(ConceptNode "b" (alist (cons (PredicateNode "*-TruthValueKey-*")(CountTruthValue 0.3 0.4 5))))
(PredicateNode "m")
(ConceptNode "l" (alist (cons (PredicateNode "m")(LinkValue (FloatValue 1)(StringValue "z")))))
(ConceptNode "a" (alist (cons (PredicateNode "*-AttentionValueKey-*")(FloatValue 10 20 0))))
"#;
        let (out, summary) = exported(text, Target::AtomSpace5_0);
        let sorted = |text: &str| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&out), sorted(lines));
        assert_eq!((summary.lines, summary.rejected, summary.texts_of_lines), (8, 0, 0));
        let (new, _) = exported(text, Target::AtomSpace2026);
        assert!(new.contains("(cons (PredicateNode \"*-TruthValueKey-*\")(FloatValue 0.3 0.4 5))"));
        assert!(!new.contains("TruthValue "));
    }

    #[test]
    fn what_upstream_rejects_comes_last_and_is_counted() {
        let text = "(List (Concept \"a\") (List)) (SemeXNode \"b\") (Concept \"c\" (itv 0 1 0.9))
            (Concept \"d\") (Concept \"two\nlines\")
            (Concept \"e\" (alist (cons (Concept \"d\") (LinkValue (StringValue \"f\ng\" \"h\")))))";
        let (out, summary) = exported(text, Target::AtomSpace5_0);
        assert!(out.starts_with("(ConceptNode \"d\")\n"));
        assert_eq!((summary.lines, summary.rejected, summary.texts_of_lines), (6, 3, 2));
    }

    #[test]
    fn truth_values_that_the_target_cannot_name_are_counted() {
        let text = "(Concept \"a\" (stv 1 1)) (Concept \"b\" (ctv 1 1 1)) (Concept \"c\" (etv 1 2))
            (Concept \"d\" (itv 0 1 0.9) (alist (cons (Concept \"a\") (LinkValue (itv 0 1 1) (stv 1 1)))))
            (Concept \"e\" (alist (cons (Concept \"a\") (stv 1 1))))";
        let (space, _) = read(text.as_bytes(), &ReadOptions::default()).unwrap();
        let lost = |target| export(&space, target, &mut Vec::new()).unwrap().kinds_lost;
        assert_eq!((lost(Target::AtomSpace5_0), lost(Target::AtomSpace2026)), (0, 5));
    }

    #[test]
    fn numbers_under_the_key_of_truth_values_are_such_or_told_of() {
        let text = "(define key (Predicate \"*-TruthValueKey-*\"))
            (cog-set-value! (Concept \"a\") key (FloatValue 0.5 0.25))
            (cog-set-value! (Concept \"b\") key (FloatValue 1))";
        let (old, summary) = exported(text, Target::AtomSpace5_0);
        assert!(
            old.contains("(cons (PredicateNode \"*-TruthValueKey-*\")(SimpleTruthValue 0.5 0.25))")
        );
        assert_eq!(summary.no_truths, 1);
        let (new, summary) = exported(text, Target::AtomSpace2026);
        assert!(new.contains("(cons (PredicateNode \"*-TruthValueKey-*\")(FloatValue 0.5 0.25))"));
        assert_eq!(summary.no_truths, 0);
    }

    #[test]
    fn atoms_of_exponential_text_are_refused() {
        let mut text = String::from("(define a0 (List))");
        for i in 0..64 {
            text += &format!("(define a{} (List a{i} a{i}))", i + 1);
        }
        let (space, _) = read(text.as_bytes(), &ReadOptions::default()).unwrap();
        assert_eq!(space.atom_count(), 65);
        assert!(export(&space, Target::default(), &mut Vec::new()).is_err());
    }

    #[test]
    fn atoms_are_counted_as_often_as_they_are_written() {
        let text = "(define deep (List (List (Concept \"a\"))))
            (cog-set-value! (Concept \"b\") deep (LinkValue deep (LinkValue deep (FloatValue 1))))";
        let (space, _) = read(text.as_bytes(), &ReadOptions::default()).unwrap();
        let mut out = Vec::new();
        export(&space, Target::default(), &mut out).unwrap();
        let parts = out.windows(6).filter(|part| matches!(*part, b"(ListL" | b"(Conce")).count();
        assert_eq!((parts, atoms_written(&space)), (1 + 3 * 3 + 3, 13));
    }

    #[test]
    fn depth_costs_no_stack() {
        let depth = 200_000;
        let text = "(List ".repeat(depth) + &")".repeat(depth);
        let (out, _) = exported(&text, Target::default());
        assert_eq!(out.len(), "(ListLink ".len() * depth - 1 + depth + 1);
    }
}
