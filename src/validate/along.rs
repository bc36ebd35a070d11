//! Where in a text a quantized model is furthest from the full-precision one.

use serde::Serialize;

use super::{Chunks, Likeliest, Position};

/// Stretches that a text is cut into, at most.
const STRETCHES: usize = 64;
/// Positions that are shown with their context.
const SURPRISES: usize = 12;
/// Tokens before a position that are shown.
const CONTEXT: usize = 24;

/// KLD along a text, and the positions at which it is largest.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Along {
    /// Stretches of scored positions, side by side, in the order of the text.
    pub stretches: Vec<Stretch>,
    /// The positions of the largest KLD, that first.
    pub worst: Vec<Surprise>,
}

/// Scored positions that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Stretch {
    /// The first of them, counted over all scored positions of the text.
    pub first: usize,
    /// How many there are.
    pub positions: usize,
    /// Their mean KLD in nats per token.
    pub mean_kld: f64,
    /// The largest of their KLDs.
    pub max_kld: f32,
}

/// A position at which the models say different things. Probabilities are fractions of 1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Surprise {
    /// The chunk, counted from 0.
    pub chunk: usize,
    /// The position in it, counted from 0.
    pub position: usize,
    /// KL(full precision || quantized) in nats.
    pub kld: f32,
    /// The end of the text that both models have seen.
    pub before: String,
    /// What follows in the text.
    pub next: Said,
    /// Its probability by the quantized model.
    pub next_quantized: f32,
    /// What the full-precision model finds the likeliest.
    pub full_precision: Said,
    /// What the quantized model finds the likeliest.
    pub quantized: Said,
}

/// A token, and the probability that a model gives it: the full-precision model, where it is what
/// follows in the text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Said {
    /// Its text. Bytes that are no UTF-8 by themselves are shown as U+FFFD.
    pub token: String,
    /// As a fraction of 1.
    pub probability: f32,
}

impl Along {
    /// Of the scored positions of these chunks, in order; `decode` gives the bytes that tokens
    /// stand for.
    ///
    /// # Panics
    /// If there are more positions than the chunks have.
    pub fn of(
        chunks: &Chunks,
        positions: &[Position],
        decode: impl Fn(&[u32]) -> Vec<u8>,
    ) -> Along {
        let decode = |tokens: &[u32]| String::from_utf8_lossy(&decode(tokens)).into_owned();
        let worst = largest(positions).into_iter();
        let worst = worst.map(|at| Surprise::of(chunks, at, &positions[at], &decode)).collect();
        Along { stretches: stretches(positions), worst }
    }
}

/// Stretches of equal length, but for the last.
fn stretches(positions: &[Position]) -> Vec<Stretch> {
    let len = positions.len().div_ceil(STRETCHES).max(1);
    let stretch = |(i, positions): (usize, &[Position])| Stretch {
        first: i * len,
        positions: positions.len(),
        mean_kld: positions.iter().map(|position| f64::from(position.kld)).sum::<f64>()
            / positions.len() as f64,
        max_kld: positions.iter().map(|position| position.kld).fold(0.0, f32::max),
    };
    positions.chunks(len).enumerate().map(stretch).collect()
}

/// The places of the largest KLDs, the largest first; of equal ones the first in the text. Where
/// nothing differs, there are none.
fn largest(positions: &[Position]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..positions.len()).filter(|&i| positions[i].kld > 0.0).collect();
    places.sort_by(|&a, &b| positions[b].kld.total_cmp(&positions[a].kld));
    places.truncate(SURPRISES);
    places
}

impl Surprise {
    fn of(
        chunks: &Chunks,
        index: usize,
        position: &Position,
        decode: &dyn Fn(&[u32]) -> String,
    ) -> Surprise {
        let (chunk, place) = chunks.place(index);
        let (before, next) = chunks.around(chunk, place, CONTEXT);
        let said = |Likeliest { token, probability }| Said { token: decode(&[token]), probability };
        let next = Likeliest { token: next, probability: (-position.nll_base).exp() };
        Surprise {
            chunk,
            position: place,
            kld: position.kld,
            before: decode(before),
            next: said(next),
            next_quantized: (-position.nll).exp(),
            full_precision: said(position.top_base),
            quantized: said(position.top),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logits of ten tokens, one of which both models agree on but for a shift at some places.
    fn positions(n: usize) -> Vec<Position> {
        let of = |i: usize| {
            let base: Vec<f32> =
                (0..10).map(|token| if token == i % 10 { 3.0 } else { 0.0 }).collect();
            let mut quantized = base.clone();
            quantized[(i + 1) % 10] += if i % 40 == 7 { 4.0 } else { 0.01 * (i % 5) as f32 };
            Position::of(&base, &quantized, (i % 10) as u32).unwrap()
        };
        (0..n).map(of).collect()
    }

    fn letters(tokens: &[u32]) -> Vec<u8> {
        tokens.iter().map(|&token| b'a' + (token % 10) as u8).collect()
    }

    #[test]
    fn stretches_cover_all_positions_and_keep_the_mean() {
        for n in [1, 63, 64, 65, 1000] {
            let positions = positions(n);
            let stretches = stretches(&positions);
            assert!(stretches.len() <= STRETCHES);
            let mut next = 0;
            for stretch in &stretches {
                assert_eq!(stretch.first, next);
                next += stretch.positions;
                assert!(stretch.mean_kld <= f64::from(stretch.max_kld));
            }
            assert_eq!(next, n);
            let sum: f64 = stretches.iter().map(|s| s.mean_kld * s.positions as f64).sum();
            let truth: f64 = positions.iter().map(|p| f64::from(p.kld)).sum();
            assert!((sum - truth).abs() < 1e-9 * truth.max(1.0), "{n}: {sum} for {truth}");
        }
        assert_eq!(stretches(&[]), []);
    }

    #[test]
    fn the_worst_are_shown_with_what_was_said() {
        let chunks = Chunks::new((0..64 * 4).collect(), 64, None, None).unwrap();
        let positions = positions(chunks.positions());
        let along = Along::of(&chunks, &positions, letters);
        // Of 124 positions, 7, 47 and 87 have the shift.
        assert!(along.worst.len() == SURPRISES && along.worst[2].kld > 100.0 * along.worst[3].kld);
        assert!(along.worst.windows(2).all(|pair| pair[0].kld >= pair[1].kld));
        let worst = along.worst.iter().find(|worst| worst.chunk == 0).unwrap();
        assert_eq!((worst.position, worst.kld), (32 + 7, positions[7].kld));
        // The position itself has token 39, and token 40 follows.
        let expected: String = (16..=39).map(|token| char::from(b'a' + token % 10)).collect();
        assert_eq!((&worst.before, &worst.next.token[..]), (&expected, "a"));
        assert_eq!((&worst.full_precision.token[..], &worst.quantized.token[..]), ("h", "i"));
        let sum = 9.0 + 3f32.exp();
        assert!((worst.full_precision.probability - 3f32.exp() / sum).abs() < 1e-6);
        let sum = 8.0 + 3f32.exp() + 4f32.exp();
        assert!((worst.quantized.probability - 4f32.exp() / sum).abs() < 1e-6);
    }

    #[test]
    fn equal_models_have_no_worst_position() {
        let same = |_| Position::of(&[1.0, 2.0], &[1.0, 2.0], 0).unwrap();
        let positions: Vec<Position> = (0..31).map(same).collect();
        let chunks = Chunks::new(vec![0; 64], 64, None, None).unwrap();
        let along = Along::of(&chunks, &positions, letters);
        assert!(along.worst.is_empty() && along.stretches.iter().all(|s| s.mean_kld == 0.0));
    }
}
