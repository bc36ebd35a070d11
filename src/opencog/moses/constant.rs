//! Constants as evolution changes them: numbers, and codes that it never decodes.

use rand::RngExt;
use rand_pcg::Pcg64Mcg;

use super::codebook::{Code, Codebook, ConstantCodec};

/// A constant of a program that is evolved.
pub trait Constant: Copy + PartialEq {
    /// What its changes are measured on.
    type Scale;

    /// The number that it stands for.
    fn value(self, scale: &Self::Scale) -> f64;

    /// A new one.
    fn drawn(scale: &Self::Scale, random: &mut Pcg64Mcg) -> Self;

    /// One some way off.
    fn turned(self, scale: &Self::Scale, random: &mut Pcg64Mcg) -> Self;

    /// Those next to it.
    fn neighbours(self, scale: &Self::Scale) -> Vec<Self>;
}

/// How far the neighbours of a number lie: the last turns of MOSES' knobs.
const STEPS: [f64; 3] = [1.0, 0.25, 0.0625];

/// A number, changed as MOSES' knobs do it: by what the lattice of [`Lattice`] holds.
impl Constant for f64 {
    type Scale = Lattice;

    fn value(self, _: &Lattice) -> f64 {
        self
    }

    fn drawn(scale: &Lattice, random: &mut Pcg64Mcg) -> f64 {
        let levels = scale.0.levels();
        levels[random.random_range(0..levels.len())]
    }

    fn turned(self, scale: &Lattice, random: &mut Pcg64Mcg) -> f64 {
        let turned = self + f64::drawn(scale, random);
        if turned.is_finite() { turned } else { self }
    }

    fn neighbours(self, _: &Lattice) -> Vec<f64> {
        let near = STEPS.iter().flat_map(|step| [self - step, self + step]);
        near.filter(|near| near.is_finite() && *near != self).collect()
    }
}

/// The values that a knob of MOSES turns to.
#[derive(Debug, Clone)]
pub struct Lattice(Codebook);

impl Default for Lattice {
    fn default() -> Lattice {
        Lattice(Codebook::new(ConstantCodec::Lattice, &[]))
    }
}

/// A code, changed to other levels of its codebook.
impl Constant for Code {
    type Scale = Codebook;

    fn value(self, book: &Codebook) -> f64 {
        book.value(self)
    }

    fn drawn(book: &Codebook, random: &mut Pcg64Mcg) -> Code {
        Code::Level(random.random_range(0..book.levels().len() as u8))
    }

    fn turned(self, book: &Codebook, random: &mut Pcg64Mcg) -> Code {
        let near = self.neighbours(book);
        match random.random_range(0..4u8) {
            0 => Code::drawn(book, random),
            _ if near.is_empty() => self,
            _ => near[random.random_range(0..near.len())],
        }
    }

    /// The two levels below and above; those around a constant that is no level.
    fn neighbours(self, book: &Codebook) -> Vec<Code> {
        let (middle, is_level) = match self {
            Code::Level(level) => (level, true),
            Code::Exact(_) => (book.nearest(book.value(self)), false),
        };
        let last = book.levels().len() as u8 - 1;
        let near = middle.saturating_sub(2)..=middle.saturating_add(2).min(last);
        near.filter(|level| !is_level || *level != middle).map(Code::Level).collect()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn codes_turn_to_levels_of_their_book() {
        let mut random = Pcg64Mcg::seed_from_u64(1);
        let book = |levels| Codebook::from_parts(ConstantCodec::Palette, levels, vec![]).unwrap();
        let one = book(vec![5.0]);
        let mut book = book(vec![0.0, 1.0, 2.0, 3.0]);
        let exact = book.lossless(1.2);
        assert_eq!(Code::Level(0).neighbours(&book), [Code::Level(1), Code::Level(2)]);
        assert_eq!(exact.neighbours(&book).len(), 4);
        for _ in 0..100 {
            let code = exact.turned(&book, &mut random);
            assert!(matches!(code, Code::Level(0..4)), "{code:?}");
        }
        assert_eq!(Code::Level(0).turned(&one, &mut random), Code::Level(0));
    }

    #[test]
    fn numbers_turn_by_the_lattice() {
        let mut random = Pcg64Mcg::seed_from_u64(2);
        let scale = Lattice::default();
        for _ in 0..100 {
            let moved = (0.3f64.turned(&scale, &mut random) - 0.3) * 16.0;
            assert!((moved - moved.round()).abs() < 1e-9, "{moved}");
        }
        assert_eq!(2.0f64.neighbours(&scale), [1.0, 3.0, 1.75, 2.25, 1.9375, 2.0625]);
    }
}
