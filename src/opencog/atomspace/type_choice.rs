//! What a declaration says of the type of a variable, however it is put (`TypeChoice.cc`).

use std::collections::BTreeSet;

use super::atom_store::AtomId;
use super::atoms::Atoms;
use super::number;
use super::types::{AtomType, Kind};

/// The types of which one is chosen.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct TypeChoice {
    /// Whether any atom will do.
    has_any: bool,
    /// Types, and what else is told apart by the atom that it is: signatures, intersections, atoms
    /// that stand for themselves.
    choices: BTreeSet<AtomId>,
    /// How many atoms a glob stands for: the least and the most.
    interval: Option<(i64, i64)>,
}

impl TypeChoice {
    /// What an atom says. None where it holds too many: each costs one of `left`.
    pub fn read(
        atoms: &Atoms,
        types: &[AtomType],
        of: AtomId,
        left: &mut usize,
    ) -> Option<TypeChoice> {
        let mut choice = TypeChoice::default();
        let mut open = vec![of];
        while let Some(atom) = open.pop() {
            *left = left.checked_sub(1)?;
            let of = &types[atoms.type_of(atom).index()];
            let is_top = || matches!(atoms.name(atom), b"Atom" | b"Value");
            match (of.kind, &*of.name) {
                (Kind::Link, "TypeChoice") => open.extend(atoms.outgoing(atom)),
                (Kind::Link, "IntervalLink") => choice.add_interval(atoms, types, atom),
                (Kind::Node, "TypeNode") if is_top() => choice.has_any = true,
                // There is nothing above the topmost; variables say nothing.
                (Kind::Node, "TypeCoInhNode") if is_top() => {}
                (Kind::Node, "VariableNode") => {}
                _ => drop(choice.choices.insert(atom)),
            }
        }
        Some(choice)
    }

    /// Widens the interval by an `IntervalLink` of two numbers.
    fn add_interval(&mut self, atoms: &Atoms, types: &[AtomType], link: AtomId) {
        let is_number = |atom: AtomId| &*types[atoms.type_of(atom).index()].name == "NumberNode";
        let &[least, most] = atoms.outgoing(link) else { return };
        if !is_number(least) || !is_number(most) {
            return;
        }
        let [least, most] = [least, most].map(|of| bound(atoms.name(of)));
        let (least, most) = (least.max(0), if most < 0 { i64::MAX } else { most });
        if least <= most {
            let (low, high) = self.interval.unwrap_or((least, most));
            self.interval = Some((low.min(least), high.max(most)));
        }
    }

    /// All of it in bytes, the same for what says the same; none if any atom will do.
    pub fn written(&self, is_glob: bool) -> Vec<u8> {
        let default = (1, if is_glob { i64::MAX } else { 1 });
        let interval = self.interval.unwrap_or(default);
        // An interval alone, unless it is the usual one, leaves the type open.
        let is_any = self.choices.is_empty() && (self.has_any || interval != default);
        if is_any && interval == default {
            return Vec::new();
        }
        let mut out = vec![u8::from(is_any)];
        out.extend([interval.0, interval.1].iter().flat_map(|bound| bound.to_le_bytes()));
        out.extend(self.choices.iter().flat_map(|choice| choice.0.to_le_bytes()));
        out
    }
}

/// A bound of an interval by the name of its number; rounded.
fn bound(name: &[u8]) -> i64 {
    let numbers = number::numbers_of_name(name).unwrap_or_default();
    numbers.first().map_or(0, |number| number.round() as i64)
}
