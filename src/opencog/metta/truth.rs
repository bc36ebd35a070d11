//! Truth values as PLN in MeTTa writes them, `(STV strength confidence)` or with a small `stv`, in few
//! distinct ones.

use super::super::atomspace::codec::{Codec, Coded, Truth};
use super::super::atomspace::{AtomId, AtomSpace, AtomStore, Builder, Error};
use super::leaf::{float, number_of};
use super::print::sorts;
use super::read::Metta;
use super::sort::Sort;

/// The symbols at the head of truth values.
const HEADS: [&[u8]; 2] = [b"STV", b"stv"];

/// The truth values of a text, each once, in the order in which they are first written.
#[derive(Debug, Clone, PartialEq)]
pub struct Truths {
    atoms: Vec<AtomId>,
    /// How often each is written. Coding makes several of them one, which then weighs as much.
    times: Vec<usize>,
    /// What they are.
    pub values: Vec<Truth>,
}

impl Truths {
    /// Of a text: all expressions `(STV s c)` or `(stv s c)` of two finite numbers, wherever they stand.
    pub fn of(metta: &Metta) -> Truths {
        let space = &metta.space;
        let sorts = sorts(space.types()).unwrap_or_default();
        let of = |atom: AtomId| {
            let mut held = space.outgoing(atom);
            let (head, strength, confidence) = (held.next()?, held.next()?, held.next()?);
            let is_head = held.next().is_none() && HEADS.contains(&&*space.name(head)?);
            let sort = |atom: AtomId| sorts[space.type_of(atom).index()];
            let number = |atom: AtomId| {
                let number = number_of(sort(atom), &space.name(atom)?)?.as_float();
                Some(number).filter(|number| number.is_finite())
            };
            let (strength, confidence) = (number(strength)?, number(confidence)?);
            let is_truth = is_head && sort(head) == Sort::Symbol;
            is_truth.then_some((atom, Truth { strength, confidence }))
        };
        let (atoms, values): (Vec<AtomId>, Vec<Truth>) = space.atoms().filter_map(of).unzip();
        let times = times(metta);
        let times = atoms.iter().map(|atom| times[atom.index()]).collect();
        Truths { atoms, times, values }
    }

    /// The same text with these truth values as a codec gives them back, and what it made of them;
    /// none where the codec cannot code them. A number that it does not change stays as it is
    /// written.
    ///
    /// # Errors
    /// There is too much of it.
    pub fn coded(
        &self,
        metta: &Metta,
        codec: Codec,
        tolerance: f64,
    ) -> Result<Option<(Metta, Coded)>, Error> {
        let Some(coded) = codec.encode_counted(&self.values, Some(&self.times), tolerance) else {
            return Ok(None);
        };
        let after = coded.decode();
        let mut changed: Vec<Option<Truth>> = vec![None; metta.space.atom_count()];
        for ((atom, before), after) in self.atoms.iter().zip(&self.values).zip(after) {
            changed[atom.index()] = (*before != after).then_some(after);
        }
        Ok(Some((replaced(metta, &changed)?, coded)))
    }
}

/// How often each atom is written in a text.
fn times(Metta { space, order, .. }: &Metta) -> Vec<usize> {
    let mut times = vec![0usize; space.atom_count()];
    order.iter().for_each(|atom| times[atom.index()] += 1);
    // What an expression holds has smaller ids.
    for atom in (0..times.len()).rev() {
        for held in space.outgoing(AtomId(atom as u32)) {
            times[held.index()] = times[held.index()].saturating_add(times[atom]);
        }
    }
    times
}

/// The text with other truth values in place of some; what only these held is gone.
fn replaced(metta: &Metta, changed: &[Option<Truth>]) -> Result<Metta, Error> {
    let Metta { space, order, commands } = metta;
    let mut wanted = vec![false; space.atom_count()];
    order.iter().for_each(|atom| wanted[atom.index()] = true);
    for atom in (0..wanted.len()).rev().filter(|&atom| changed[atom].is_none()) {
        if wanted[atom] {
            space.outgoing(AtomId(atom as u32)).for_each(|held| wanted[held.index()] = true);
        }
    }
    let mut builder = Builder::new();
    let types = space.types().iter();
    let types: Result<Vec<_>, _> = types.map(|of| builder.add_type(&of.name, of.kind)).collect();
    let types = types?;
    let float_type = builder.add_type(Sort::Float.name(), Sort::Float.kind())?;
    let mut new = vec![AtomId(0); wanted.len()];
    let mut held = Vec::new();
    for atom in space.atoms().filter(|atom| wanted[atom.index()]) {
        let of = types[space.type_of(atom).index()];
        let added = match (changed[atom.index()], space.name(atom)) {
            (_, Some(name)) => builder.add_node(of, &name)?,
            (None, None) => {
                held.clear();
                held.extend(space.outgoing(atom).map(|held| new[held.index()]));
                builder.add_link(of, &held)?
            }
            (Some(truth), None) => {
                held.clear();
                let mut outgoing = space.outgoing(atom);
                // Its numbers may be held by it alone, and have no new ids.
                let head = outgoing.next().expect("a truth value has a head");
                let of_head = types[space.type_of(head).index()];
                held.push(builder.add_node(of_head, &space.name(head).unwrap_or_default())?.atom);
                for (old, number) in outgoing.zip(numbers(truth)) {
                    let (of, name) = match is_written(space, old, number) {
                        true => {
                            (types[space.type_of(old).index()], space.name(old).unwrap_or_default())
                        }
                        false => (float_type, float(number).1),
                    };
                    held.push(builder.add_node(of, &name)?.atom);
                }
                builder.add_link(of, &held)?
            }
        };
        new[atom.index()] = added.atom;
    }
    let order = order.iter().map(|atom| new[atom.index()]).collect();
    Ok(Metta { space: builder.finish(), order, commands: commands.clone() })
}

fn numbers(Truth { strength, confidence }: Truth) -> [f64; 2] {
    [strength, confidence]
}

/// Whether a number of a text is this one.
fn is_written(space: &AtomSpace, atom: AtomId, number: f64) -> bool {
    let sort = Sort::of(&space.types()[space.type_of(atom).index()]);
    let found = sort.and_then(|sort| number_of(sort, &space.name(atom)?));
    found.is_some_and(|found| found.as_float() == number)
}

#[cfg(test)]
mod tests {

    use rand::{RngExt, SeedableRng};
    use rand_pcg::Pcg64Mcg;

    use super::super::super::atomspace::codec::TOLERANCE;
    use super::super::print::Printing;
    use super::super::read;
    use super::*;

    fn text(metta: &Metta) -> String {
        let sorts = sorts(metta.space.types()).unwrap();
        let mut out = Vec::new();
        for &atom in &metta.order {
            Printing::of(&metta.space, &sorts, atom).write(usize::MAX, &mut out);
            out.push(b'\n');
        }
        String::from_utf8(out).unwrap()
    }

    const TEXT: &str = "(Inheritance cat animal (STV 1 0.9))\n(cat (stv 0.123456 0.9))\n\
        (STV $s 0.9)\n(STV 0.5)\n(\"STV\" 0.3 0.3)\n(p (STV 0.123456 0.9) 0.123456)\n(STV 0 1e999)\n";

    /// What is written of a text after a codec coded its truth values.
    fn coded(text_before: &str, codec: Codec) -> Option<String> {
        let metta = read(text_before.as_bytes()).unwrap();
        let coded = Truths::of(&metta).coded(&metta, codec, TOLERANCE).unwrap()?;
        Some(text(&coded.0))
    }

    #[test]
    fn what_was_coded_is_coded_so_again() {
        let mut random = Pcg64Mcg::seed_from_u64(7);
        let mut number = |kind: u32| match kind % 4 {
            0 => random.random::<f64>(),
            1 => 10f64.powf(random.random_range(-8.0..0.0)),
            2 => random.random_range(-0.5..1.5),
            _ => f64::from(random.random_range(0..50)) / 50.0,
        };
        for kinds in 0..16 {
            let mut line = |i: u32| {
                let (s, c) = (number(kinds / 4), number(kinds));
                let times = if i.is_multiple_of(300) { 1 + i / 300 } else { 1 };
                format!("(c{i} (STV {s} {c}))\n(k (k (stv {s} {c})))\n").repeat(times as usize)
            };
            let text: String = (0..3000).map(&mut line).collect();
            for codec in Codec::all() {
                let Some(once) = coded(&text, codec) else { continue };
                assert!(coded(&once, codec) == Some(once), "{codec} {kinds}");
            }
        }
    }

    #[test]
    fn only_expressions_of_two_numbers_are_truth_values() {
        let metta = read(TEXT.as_bytes()).unwrap();
        let values = Truths::of(&metta).values;
        let value = |strength, confidence| Truth { strength, confidence };
        assert_eq!(values, [value(1.0, 0.9), value(0.123456, 0.9), value(0.123456, 0.9)]);
    }

    #[test]
    fn a_lossy_code_changes_them_alone_and_only_once() {
        let mut metta = read(TEXT.as_bytes()).unwrap();
        let once = "(Inheritance cat animal (STV 1 0.9019607843137255))\n\
            (cat (stv 0.12156862745098039 0.9019607843137255))\n(STV $s 0.9)\n(STV 0.5)\n\
            (\"STV\" 0.3 0.3)\n(p (STV 0.12156862745098039 0.9019607843137255) 0.123456)\n\
            (STV 0 1e999)\n";
        for _ in 0..2 {
            let truths = Truths::of(&metta);
            let (coded, _) = truths.coded(&metta, Codec::PlainUniform, 0.005).unwrap().unwrap();
            assert_eq!(text(&coded), once);
            metta = coded;
        }
        let sections = metta.sections(crate::opencog::atomspace::companion::Form::Mapped);
        assert_eq!(
            read(once.as_bytes())
                .unwrap()
                .sections(crate::opencog::atomspace::companion::Form::Mapped),
            sections
        );
    }
}
