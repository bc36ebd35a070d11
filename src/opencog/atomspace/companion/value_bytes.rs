//! Values as bytes: a tag, then what the tag says follows. Numbers are little-endian.

use crate::opencog::atomspace::value::TruthKind;
use crate::opencog::atomspace::{AtomId, AttentionValue, TruthValue, Value};

const FLOATS: u8 = 0;
const STRINGS: u8 = 1;
const BOOLS: u8 = 2;
const LINKS: u8 = 3;
const VOID: u8 = 4;
const ATOM: u8 = 5;
const TRUTH: u8 = 6;
const ATTENTION: u8 = 7;

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
    }
}

fn head(tag: u8, len: usize, out: &mut Vec<u8>) {
    out.push(tag);
    out.extend((len as u32).to_le_bytes());
}

fn encode_floats(floats: &[f64], out: &mut Vec<u8>) {
    floats.iter().for_each(|float| out.extend(float.to_le_bytes()));
}

/// The value that these bytes are, in a store of so many atoms; none where they are none.
pub(super) fn decode(bytes: &[u8], atoms: u32) -> Option<Value> {
    let mut rest = Rest { bytes, atoms };
    let value = rest.value(0)?;
    rest.bytes.is_empty().then_some(value)
}

/// Bytes yet to be read.
struct Rest<'a> {
    bytes: &'a [u8],
    atoms: u32,
}

impl<'a> Rest<'a> {
    /// The next value, inside of `depth` others.
    fn value(&mut self, depth: usize) -> Option<Value> {
        Some(match self.byte()? {
            FLOATS => {
                let len = self.length()?;
                let (floats, _) = self.take(len.checked_mul(8)?)?.as_chunks();
                Value::Floats(floats.iter().map(|float| f64::from_le_bytes(*float)).collect())
            }
            STRINGS => Value::Strings(self.many(|rest| {
                let len = rest.length()?;
                rest.take(len).map(<[u8]>::to_vec)
            })?),
            BOOLS => {
                let len = self.length()?;
                let bytes = self.take(len)?;
                Value::Bools(bytes.iter().map(|&byte| byte != 0).collect())
            }
            LINKS if depth < Value::DEEPEST => {
                Value::Links(self.many(|rest| rest.value(depth + 1))?)
            }
            VOID => Value::Void,
            ATOM => {
                let atom = self.u32()?;
                Value::Atom((atom < self.atoms).then_some(AtomId(atom))?)
            }
            TRUTH => {
                let kind = *TruthKind::ALL.get(usize::from(self.byte()?))?;
                Value::Truth(TruthValue::from_numbers(kind, self.three()?))
            }
            ATTENTION => {
                let [sti, lti, vlti] = self.three()?;
                Value::Attention(AttentionValue { sti, lti, vlti })
            }
            _ => return None,
        })
    }

    /// As many as a number says. They are not made room for before they are there.
    fn many<T>(&mut self, mut next: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let len = self.length()?;
        let mut out = Vec::new();
        for _ in 0..len {
            out.push(next(self)?);
        }
        Some(out)
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(len)?;
        self.bytes = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(*self.take(4)?.first_chunk()?))
    }

    fn length(&mut self) -> Option<usize> {
        Some(self.u32()? as usize)
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
        leaf.prop_recursive(4, 16, 3, |inner| vec(inner, 0..4).prop_map(Value::Links))
    }

    fn bytes_of(value: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        encode(value, &|atom| atom, &mut out);
        out
    }

    proptest! {
        #[test]
        fn values_come_back(value in value(9)) {
            let decoded = decode(&bytes_of(&value), 9).unwrap();
            prop_assert!(decoded.is_identical(&value, &|a, b| a == b), "{:?}", decoded);
        }

        #[test]
        fn no_bytes_panic(value in value(9), cut in any::<prop::sample::Index>(), with in any::<u8>()) {
            let mut bytes = bytes_of(&value);
            let at = cut.index(bytes.len());
            prop_assert!(decode(&bytes[..at], 9).is_none());
            bytes[at] = with;
            decode(&bytes, 9);
        }
    }

    #[test]
    fn depth_and_atoms_are_bounded() {
        let nested =
            |depth: usize| (0..depth).fold(Value::Void, |inner, _| Value::Links(vec![inner]));
        assert!(decode(&bytes_of(&nested(Value::DEEPEST)), 0).is_some());
        assert!(decode(&bytes_of(&nested(Value::DEEPEST + 1)), 0).is_none());
        assert!(decode(&bytes_of(&Value::Atom(AtomId(3))), 4).is_some());
        assert!(decode(&bytes_of(&Value::Atom(AtomId(3))), 3).is_none());
        assert!(decode(&[FLOATS, 0xff, 0xff, 0xff, 0xff], 3).is_none());
    }
}
