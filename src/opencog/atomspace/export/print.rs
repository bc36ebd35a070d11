//! Atoms and values as the text of FileStorage, in the forms that a reader takes.

use super::super::atom_store::{AtomId, AtomStore};
use super::super::number;
use super::super::types::TypeId;
use super::super::value::{
    ATTENTION_KEY, AttentionValue, TRUTH_KEY, TruthKind, TruthValue, confidence_of_count,
};
use super::super::value_ref::ValueRef;
use super::destination::Target;
use super::size;

/// How many values are written as something else, because the reader takes no other form of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rewritten {
    /// `BoolValue`s as `FloatValue`s of 1 and 0.
    pub bools: u64,
    /// Empty values as `(StringValue )`, which both generations read as an empty one. They stop at any
    /// other empty value, or, at an empty `LinkValue`, never end.
    pub empty: u64,
    /// Values of derived kinds as what they hold, as a `FutureStream` as a `LinkValue`.
    pub derived: u64,
    /// Truth values of other kinds as simple ones, or as ones with a count.
    pub truths: u64,
}

/// What an atom has.
#[derive(Debug, Clone, Copy)]
pub(super) enum Given<'a> {
    Truth(TruthValue),
    Attention(AttentionValue),
    /// A key and a value.
    Other(AtomId, ValueRef<'a>),
}

/// Derived kinds of values that the reader of a generation makes of what they hold.
const DERIVED: [(Target, &[&str]); 2] = [
    (Target::AtomSpace5_0, &["QueueValue"]),
    (Target::AtomSpace2026, &["QueueValue", "UnisetValue"]),
];

/// Writes lines, and counts what it wrote as something else.
pub(super) struct Printer<'a, S> {
    store: &'a S,
    target: Target,
    pub out: Vec<u8>,
    pub rewritten: Rewritten,
}

impl<'a, S: AtomStore> Printer<'a, S> {
    pub fn new(store: &'a S, target: Target) -> Printer<'a, S> {
        Printer { store, target, out: Vec::new(), rewritten: Rewritten::default() }
    }

    /// The lines of an atom and of what it has; how many.
    pub fn lines(&mut self, atom: AtomId, given: &[Given]) -> u64 {
        // In the line of a node, the fast reader takes the quote after such a name for a part of it,
        // and stops at the values that follow. A command holds the node in parentheses of its own.
        let has_no_list = self.store.name(atom).is_some_and(|name| name.ends_with(b"\\"));
        let is_command = |given: &&Given| has_no_list || holds_atom(given);
        let (commands, listed): (Vec<&Given>, Vec<&Given>) = given.iter().partition(is_command);
        let has_list = !listed.is_empty() || commands.is_empty();
        if has_list {
            self.atom_and_list(atom, &listed);
        }
        commands.iter().for_each(|given| self.command(atom, given));
        u64::from(has_list) + commands.len() as u64
    }

    fn atom_and_list(&mut self, atom: AtomId, given: &[&Given]) {
        print_atom(self.store, atom, &mut self.out);
        if !given.is_empty() {
            self.out.pop();
            self.text(" (alist ");
            for given in given {
                self.text("(cons ");
                self.key_and_value(given);
                self.text(")");
            }
            self.text("))");
        }
        self.text("\n");
    }

    fn command(&mut self, atom: AtomId, given: &Given) {
        self.text("(cog-set-value! ");
        print_atom(self.store, atom, &mut self.out);
        self.text(" ");
        self.key_and_value(given);
        self.text(")\n");
    }

    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn key_and_value(&mut self, given: &Given) {
        match given {
            Given::Truth(truth) => {
                self.key(TRUTH_KEY);
                self.truth(truth);
            }
            Given::Attention(attention) => {
                self.key(ATTENTION_KEY);
                self.attention(attention);
            }
            Given::Other(key, value) => {
                print_atom(self.store, *key, &mut self.out);
                self.value(*value);
            }
        }
    }

    fn key(&mut self, name: &[u8]) {
        self.text("(PredicateNode \"");
        self.out.extend_from_slice(name);
        self.text("\")");
    }

    fn numbers(&mut self, of: &str, numbers: impl IntoIterator<Item = f64>) {
        self.text("(");
        self.text(of);
        for number in numbers {
            self.text(" ");
            number::print(&mut self.out, number);
        }
        self.text(")");
    }

    fn truth(&mut self, truth: &TruthValue) {
        let old = self.target == Target::AtomSpace5_0;
        match *truth {
            TruthValue::Indefinite { lower, upper, confidence } if old => {
                // Its own order: the mean, the upper end, the lower one.
                let numbers = [truth.strength(), upper, lower, confidence];
                return self.numbers(TruthKind::Indefinite.name(), numbers);
            }
            TruthValue::EvidenceCount { positive, total } if old => {
                return self.numbers(TruthKind::EvidenceCount.name(), [positive, total]);
            }
            _ => (),
        }
        let (numbers, kind) = as_simple_or_count(truth);
        self.rewritten.truths += u64::from(kind != truth.kind());
        let name = if old { kind.name() } else { "FloatValue" };
        self.numbers(name, numbers.into_iter().take(kind.arity()));
    }

    fn attention(&mut self, &AttentionValue { sti, lti, vlti }: &AttentionValue) {
        self.numbers("AttentionValue", [sti, lti, vlti]);
    }

    fn empty(&mut self, is_itself: bool) {
        self.rewritten.empty += u64::from(!is_itself);
        self.text("(StringValue )");
    }

    /// A value; they do not lie deeper in each other than the stack allows.
    fn value(&mut self, value: ValueRef) {
        let old = self.target == Target::AtomSpace5_0;
        match value {
            ValueRef::Floats(numbers) => match numbers.get(0) {
                None if old => self.empty(false),
                _ => self.numbers("FloatValue", numbers.iter()),
            },
            ValueRef::Strings(texts) => {
                let mut texts = texts.iter().peekable();
                if texts.peek().is_none() {
                    return self.empty(true);
                }
                self.text("(StringValue");
                for text in texts {
                    self.text(" ");
                    print_text(text, &mut self.out);
                }
                self.text(")");
            }
            ValueRef::Bools(bools) => match bools.get(0) {
                None if old => self.empty(false),
                _ => {
                    self.rewritten.bools += u64::from(old);
                    let name = if old { "FloatValue" } else { "BoolValue" };
                    self.numbers(name, bools.iter().map(f64::from));
                }
            },
            ValueRef::Links(values) => match values.iter().next() {
                None => self.empty(false),
                Some(_) => self.links("LinkValue", value),
            },
            ValueRef::Void if old => self.empty(false),
            ValueRef::Void => self.text("(VoidValue)"),
            ValueRef::Atom(atom) => print_atom(self.store, atom, &mut self.out),
            ValueRef::Truth(truth) => {
                // Under another key than its own, numbers alone mean none.
                let is_counted = !old && as_simple_or_count(&truth).1 == truth.kind();
                self.rewritten.truths += u64::from(is_counted);
                self.truth(&truth);
            }
            ValueRef::Attention(attention) => self.attention(&attention),
            ValueRef::Derived(derived) => {
                let is_of = |(target, kinds): &&(Target, &[&str])| {
                    *target == self.target && kinds.contains(&derived.kind())
                };
                let holds_values = matches!(derived.held(), ValueRef::Links(values)
                    if values.iter().next().is_some());
                match holds_values && DERIVED.iter().any(|of| is_of(&of)) {
                    true => self.links(derived.kind(), derived.held()),
                    false => {
                        self.rewritten.derived += 1;
                        self.value(derived.held());
                    }
                }
            }
        }
    }

    /// Values in one, of which there are some.
    fn links(&mut self, name: &str, value: ValueRef) {
        let ValueRef::Links(values) = value else { return };
        self.text("(");
        self.text(name);
        self.text(" ");
        values.iter().for_each(|value| self.value(value));
        self.text(")");
    }
}

/// The numbers of a value that is written as a `FloatValue`; none where it is written as another one.
pub(super) fn numbers_written(value: ValueRef, target: Target) -> Option<Vec<f64>> {
    let old = target == Target::AtomSpace5_0;
    match value {
        ValueRef::Floats(numbers) => Some(numbers.iter().collect()),
        ValueRef::Bools(bools) if old => Some(bools.iter().map(f64::from).collect()),
        ValueRef::Truth(truth) if !old => {
            let (numbers, kind) = as_simple_or_count(&truth);
            Some(numbers[..kind.arity()].to_vec())
        }
        // Those that are written as they are hold other values.
        ValueRef::Derived(derived) => numbers_written(derived.held(), target),
        _ => None,
    }
}

/// Whether a value is an atom or holds one, however deep. The readers do not place such atoms in
/// the AtomSpace if they are in a list, only if they are in a command.
fn holds_atom(given: &Given) -> bool {
    let count = |value: ValueRef| u64::from(matches!(value, ValueRef::Atom(_)));
    matches!(given, Given::Other(_, value) if size::sum_over(*value, &count) > 0)
}

/// The numbers and the kind of the simple truth value, or of the one with a count, that is nearest to
/// a truth value.
fn as_simple_or_count(truth: &TruthValue) -> ([f64; 3], TruthKind) {
    match *truth {
        TruthValue::Simple { .. } | TruthValue::Fuzzy { .. } => {
            (truth.numbers(), TruthKind::Simple)
        }
        TruthValue::Count { .. } | TruthValue::Probabilistic { .. } => {
            (truth.numbers(), TruthKind::Count)
        }
        TruthValue::Indefinite { confidence, .. } => {
            ([truth.strength(), confidence, 0.0], TruthKind::Simple)
        }
        TruthValue::EvidenceCount { total, .. } => {
            let strength = if total == 0.0 { 0.5 } else { truth.strength() };
            ([strength, confidence_of_count(total), 0.0], TruthKind::Simple)
        }
    }
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
                // The blank of an empty link is left: the reader of 2025 needs it.
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
