//! Values as bytes: a tag, then what the tag says follows. Numbers are little-endian.

use super::atom_store::AtomId;
use super::value::{AttentionValue, TruthKind, TruthValue, Value};
use super::value_ref::{Bools, DerivedRef, Floats, LinksRef, StringsRef, ValueRef};

const FLOATS: u8 = 0;
const STRINGS: u8 = 1;
const BOOLS: u8 = 2;
const LINKS: u8 = 3;
const VOID: u8 = 4;
const ATOM: u8 = 5;
const TRUTH: u8 = 6;
const ATTENTION: u8 = 7;
const DERIVED: u8 = 8;

/// Appends a value, with the ids that its atoms have in the file.
pub(super) fn encode(value: &Value, id: &impl Fn(AtomId) -> AtomId, out: &mut Vec<u8>) {
    match value {
        Value::Floats(floats) => {
            head(FLOATS, floats.len(), out);
            encode_floats(floats, out);
        }
        Value::Strings(strings) => {
            head(STRINGS, strings.len(), out);
            for string in strings {
                out.extend((string.len() as u32).to_le_bytes());
                out.extend(string);
            }
        }
        Value::Bools(bools) => {
            head(BOOLS, bools.len(), out);
            out.extend(bools.iter().map(|&bool| u8::from(bool)));
        }
        Value::Links(values) => {
            head(LINKS, values.len(), out);
            values.iter().for_each(|value| encode(value, id, out));
        }
        Value::Void => out.push(VOID),
        Value::Atom(atom) => {
            out.push(ATOM);
            out.extend(id(*atom).0.to_le_bytes());
        }
        Value::Truth(truth) => {
            out.extend([TRUTH, truth.kind() as u8]);
            encode_floats(&truth.numbers(), out);
        }
        Value::Attention(AttentionValue { sti, lti, vlti }) => {
            out.push(ATTENTION);
            encode_floats(&[*sti, *lti, *vlti], out);
        }
        Value::Derived(kind, held) => {
            head(DERIVED, kind.len(), out);
            out.extend(kind.as_bytes());
            encode(held, id, out);
        }
    }
}

fn head(tag: u8, len: usize, out: &mut Vec<u8>) {
    out.push(tag);
    out.extend((len as u32).to_le_bytes());
}

fn encode_floats(floats: &[f64], out: &mut Vec<u8>) {
    floats.iter().for_each(|float| out.extend(float.to_le_bytes()));
}

/// Whether these bytes are a value, in a store of so many atoms.
pub(super) fn is_value(bytes: &[u8], atoms: u32) -> bool {
    let mut rest = Encoded { left: 1, bytes };
    rest.skip(atoms, 0).is_some() && rest.bytes.is_empty()
}

/// The value that bytes are which [`is_value`] knows as one; any others give none, or another.
#[inline]
pub(super) fn view(bytes: &[u8]) -> Option<ValueRef<'_>> {
    let mut rest = Encoded { left: 1, bytes };
    Some(match rest.byte()? {
        FLOATS => ValueRef::Floats(Floats::Bytes(rest.floats()?)),
        STRINGS => ValueRef::Strings(StringsRef::Bytes(rest.list()?)),
        BOOLS => ValueRef::Bools(Bools::Bytes(rest.string()?)),
        LINKS => ValueRef::Links(LinksRef::Bytes(rest.list()?)),
        VOID => ValueRef::Void,
        ATOM => ValueRef::Atom(AtomId(rest.u32()?)),
        TRUTH => {
            let kind = *TruthKind::ALL.get(usize::from(rest.byte()?))?;
            ValueRef::Truth(TruthValue::from_numbers(kind, rest.three()?))
        }
        ATTENTION => {
            let [sti, lti, vlti] = rest.three()?;
            ValueRef::Attention(AttentionValue { sti, lti, vlti })
        }
        DERIVED => {
            let kind = std::str::from_utf8(rest.string()?).ok()?;
            let is_flat = rest.bytes.first() != Some(&DERIVED);
            ValueRef::Derived(DerivedRef::Bytes(kind, is_flat.then_some(rest.bytes)?))
        }
        _ => return None,
    })
}

/// What is encoded one after another, yet to be read.
#[derive(Debug, Clone, Copy)]
pub struct Encoded<'a> {
    /// How many are left.
    left: usize,
    bytes: &'a [u8],
}

impl<'a> Encoded<'a> {
    /// The next of a list of strings.
    pub(super) fn next_string(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        self.string()
    }

    /// The bytes of the next of a list of values.
    pub(super) fn next_value(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        let bytes = self.bytes;
        self.skip(u32::MAX, 0)?;
        bytes.get(..bytes.len() - self.bytes.len())
    }

    /// Passes the next value, which lies inside of `depth` others; none where there is none.
    fn skip(&mut self, atoms: u32, depth: usize) -> Option<()> {
        match self.byte()? {
            FLOATS => drop(self.floats()?),
            STRINGS => (0..self.length()?).try_for_each(|_| self.string().map(drop))?,
            BOOLS => drop(self.string()?),
            LINKS if depth < Value::DEEPEST => {
                (0..self.length()?).try_for_each(|_| self.skip(atoms, depth + 1))?;
            }
            VOID => {}
            ATOM => drop((self.u32()? < atoms).then_some(())?),
            TRUTH => {
                TruthKind::ALL.get(usize::from(self.byte()?))?;
                self.three()?;
            }
            ATTENTION => drop(self.three()?),
            DERIVED => {
                std::str::from_utf8(self.string()?).ok()?;
                let is_flat = self.bytes.first() != Some(&DERIVED);
                is_flat.then(|| self.skip(atoms, depth))??;
            }
            _ => return None,
        }
        Some(())
    }

    /// As many as a number says, in all that follows.
    #[inline]
    fn list(&mut self) -> Option<Encoded<'a>> {
        let left = self.length()?;
        Some(Encoded { left, bytes: self.bytes })
    }

    #[inline]
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(len)?;
        self.bytes = rest;
        Some(taken)
    }

    #[inline]
    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    #[inline]
    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(*self.take(4)?.first_chunk()?))
    }

    #[inline]
    fn length(&mut self) -> Option<usize> {
        Some(self.u32()? as usize)
    }

    /// As many bytes as a number says.
    #[inline]
    fn string(&mut self) -> Option<&'a [u8]> {
        let len = self.length()?;
        self.take(len)
    }

    /// As many floats as a number says.
    #[inline]
    fn floats(&mut self) -> Option<&'a [[u8; 8]]> {
        let len = self.length()?;
        Some(self.take(len.checked_mul(8)?)?.as_chunks().0)
    }

    fn three(&mut self) -> Option<[f64; 3]> {
        let (floats, _) = self.take(24)?.as_chunks();
        Some([0, 1, 2].map(|i| f64::from_le_bytes(floats[i])))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Values of every kind, on atoms below `atoms`.
    pub fn value(atoms: u32) -> impl Strategy<Value = Value> {
        let truth = (prop::sample::select(TruthKind::ALL.to_vec()), any::<[f64; 3]>());
        let truth = truth.prop_map(|(kind, numbers)| {
            // What doesn't count is 0.
            let mut numbers = numbers;
            numbers[kind.arity()..].fill(0.0);
            TruthValue::from_numbers(kind, numbers)
        });
        let leaf = prop_oneof![
            vec(any::<f64>(), 0..4).prop_map(Value::Floats),
            vec(vec(any::<u8>(), 0..5), 0..3).prop_map(Value::Strings),
            vec(any::<bool>(), 0..5).prop_map(Value::Bools),
            Just(Value::Void),
            (0..atoms).prop_map(|atom| Value::Atom(AtomId(atom))),
            truth.prop_map(Value::Truth),
            any::<[f64; 3]>().prop_map(|[sti, lti, vlti]| Value::Attention(AttentionValue {
                sti,
                lti,
                vlti
            })),
        ];
        let derived = |value: Value| match value {
            Value::Derived(..) => value,
            held => Value::Derived("QueueValue".into(), held.into()),
        };
        leaf.prop_recursive(4, 16, 3, move |inner| {
            let links = vec(inner.clone(), 0..4).prop_map(Value::Links);
            prop_oneof![3 => links, 1 => inner.prop_map(derived)]
        })
    }

    fn bytes_of(value: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        encode(value, &|atom| atom, &mut out);
        out
    }

    /// The value again.
    fn decoded(bytes: &[u8]) -> Option<Value> {
        view(bytes).map(ValueRef::to_value)
    }

    proptest! {
        #[test]
        fn values_come_back(value in value(9)) {
            let bytes = bytes_of(&value);
            prop_assert!(is_value(&bytes, 9));
            for again in [decoded(&bytes).unwrap(), ValueRef::from(&value).to_value()] {
                prop_assert!(again.is_identical(&value, &|a, b| a == b), "{:?}", again);
            }
        }

        #[test]
        fn no_bytes_panic(value in value(9), cut in any::<prop::sample::Index>(), with in any::<u8>()) {
            let mut bytes = bytes_of(&value);
            let at = cut.index(bytes.len());
            prop_assert!(!is_value(&bytes[..at], 9));
            decoded(&bytes[..at]);
            bytes[at] = with;
            is_value(&bytes, 9);
            decoded(&bytes);
        }
    }

    #[test]
    fn depth_and_atoms_are_bounded() {
        let nested =
            |depth: usize| (0..depth).fold(Value::Void, |inner, _| Value::Links(vec![inner]));
        assert!(is_value(&bytes_of(&nested(Value::DEEPEST)), 0));
        assert!(!is_value(&bytes_of(&nested(Value::DEEPEST + 1)), 0));
        assert!(is_value(&bytes_of(&Value::Atom(AtomId(3))), 4));
        assert!(!is_value(&bytes_of(&Value::Atom(AtomId(3))), 3));
        assert!(!is_value(&[FLOATS, 0xff, 0xff, 0xff, 0xff], 3));
        let derived = |held: Value| Value::Derived("QueueValue".into(), held.into());
        assert!(is_value(&bytes_of(&derived(Value::Void)), 3));
        assert!(!is_value(&bytes_of(&derived(derived(Value::Void))), 3));
    }
}
