use super::super::adam::Step;
use super::super::latent::{Latent, Rates, anchor};
use super::numbers;
use crate::block::codes::{Levels, SubGrid, has_min, sub_len, unit};
use crate::block::{self, SharedScale, can_encode};
use crate::gguf::Format;

/// A format, and what its blocks share.
type Form = (Format, Option<SharedScale>);

/// All that rows of [`ROW`] weights may be encoded in.
fn forms() -> impl Iterator<Item = Form> {
    let formats = Format::all().filter(|&format| can_encode(format));
    let shared = [SharedScale::Row(ROW), SharedScale::Tile(128), SharedScale::Tile(64)];
    let shared = shared.map(|shared| (shared.format(), Some(shared)));
    formats.map(|format| (format, None)).chain(shared)
}

const ROW: usize = 512;

fn encoded((format, shared): Form, values: &[f32]) -> Vec<u8> {
    encoded_rows((format, shared), ROW, values)
}

fn encoded_rows((format, shared): Form, row_len: usize, values: &[f32]) -> Vec<u8> {
    let mut bytes = vec![0; format.size_of(values.len())];
    match shared {
        None => block::encode(format, values, row_len, None, &mut bytes),
        Some(shared) => block::encode_shared(shared, values, row_len, None, &mut bytes),
    }
    bytes
}

/// Weights that have one grid.
fn run((format, shared): Form) -> usize {
    shared.map_or_else(|| sub_len(format), SharedScale::columns)
}

fn decoded(format: Format, bytes: &[u8]) -> Vec<f32> {
    let mut values = vec![0.0; bytes.len() / format.block_bytes() * format.block_len()];
    block::decode(format, bytes, &mut values);
    values
}

const RATES: Rates = Rates { weights: 3e-3, scales: 1e-4, mins: 1e-3 };

#[test]
fn what_is_exported_decodes_to_what_was_evaluated() {
    for form @ (format, shared) in forms() {
        // More than one task; some blocks of zeros; some weights far out.
        let mut full = numbers(20 * 1024, 1);
        full[512..1024].fill(0.0);
        full.iter_mut().step_by(97).for_each(|x| *x *= 5.0);
        let start = encoded(form, &full);
        // Weights that the encoding was not made of.
        let others: Vec<f32> =
            full.iter().zip(numbers(full.len(), 2)).map(|(x, y)| x + 0.2 * y).collect();
        let mut latent = Latent::new(format, shared, &start, &others);
        let mut evaluated = vec![f32::NAN; full.len()];
        latent.evaluate(&mut evaluated);
        assert_eq!(evaluated, decoded(format, &start), "{form:?} begins as it is encoded");
        assert_eq!(decoded(format, &latent.export(&start)), evaluated, "{form:?}");
        for step in 1..=20 {
            latent.step(Step::new(step), RATES, &numbers(full.len(), 3 + step % 3));
        }
        latent.evaluate(&mut evaluated);
        let exported = latent.export(&start);
        assert_ne!(exported, start, "{form:?} learns");
        assert_eq!(evaluated, decoded(format, &exported), "{form:?}");
    }
}

/// Neither the grids of the encoding nor its codes are the best for a target that counts by
/// another measure; both are learnt.
#[test]
fn weights_and_grids_learn() {
    for form @ (format, shared) in forms() {
        let full = numbers(8 * 512, 1);
        // What counts is the sum over 8 neighbours, and the target has grown by a twentieth.
        let target: Vec<f32> = full.iter().map(|x| 1.05 * x).collect();
        let start = encoded(form, &full);
        let mut latent = Latent::new(format, shared, &start, &full);
        let held = |latent: &mut Latent| -> Vec<f32> {
            let grids = Numbers::of(latent, full.len()).grids;
            grids.iter().map(|[held, ..]| held.scale).collect()
        };
        let before = held(&mut latent);
        let mut values = vec![0.0; full.len()];
        let mut losses = Vec::new();
        for step in 1..=200 {
            latent.evaluate(&mut values);
            let (mut gradients, mut loss) = (vec![0.0; full.len()], 0.0);
            let groups = values.chunks(8).zip(target.chunks(8)).zip(gradients.chunks_mut(8));
            for ((values, target), gradients) in groups {
                let error = values.iter().sum::<f32>() - target.iter().sum::<f32>();
                loss += error * error;
                gradients.fill(2.0 * error);
            }
            losses.push(loss);
            let left = 1.0 - step as f32 / 200.0;
            let scale = latent.typical_scale();
            let rates =
                Rates { weights: 2e-3 * left, scales: 1e-3 * scale * left, mins: 1e-3 * left };
            latent.step(Step::new(step), rates, &gradients);
        }
        let (first, last) = (losses[0], losses[losses.len() - 1]);
        assert!(last < 0.5 * first, "{form:?}: {first} became {last}");
        let after = held(&mut latent);
        let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
        // Powers of two are too far apart.
        if format == Format::MXFP4 {
            continue;
        }
        assert!(4 * moved > before.len(), "{form:?}: {moved} of {} scales moved", before.len());
    }
}

/// The numbers of a latent, as `visit` shows them.
struct Numbers {
    weights: Vec<f32>,
    /// Of each sub-block: what is held, what is wanted, and the mean gradient.
    grids: Vec<[SubGrid; 3]>,
}

impl Numbers {
    fn of(latent: &mut Latent, weights: usize) -> Numbers {
        let mut all = Vec::new();
        latent.visit(&mut |x: &mut f32| all.push(*x));
        let grid = |numbers: &[f32]| {
            [0, 2, 4].map(|at| SubGrid { scale: numbers[at], min: numbers[at + 1] })
        };
        Numbers {
            weights: all[..weights].to_vec(),
            grids: all[3 * weights..].chunks_exact(8).map(grid).collect(),
        }
    }
}

/// What a weight stands for on a grid near `at`, with the step of rounding there as a constant: its
/// slopes are those that pass rounding.
fn straight_through(levels: Levels, at: SubGrid, near: [f64; 2], weight: f32) -> f64 {
    let (low, high) = levels.borders();
    let rounded = |place: f32| {
        let mut place = [place];
        levels.round(&mut place);
        f64::from(place[0])
    };
    let [scale, min] = near;
    let place = at.place(weight);
    if at.scale == 0.0 || place < low || place > high {
        return scale * rounded(place) + min;
    }
    let step = rounded(place) - f64::from(place);
    scale * ((f64::from(weight) - min) / scale + step) + min
}

#[test]
fn gradients_of_grids_are_those_of_what_passes_rounding() {
    for form @ (format, shared) in forms() {
        let levels = shared.map_or_else(|| Levels::of(format), SharedScale::levels);
        let sub = run(form);
        let mut full = numbers(4 * 512, 1);
        // A sub-block that may have no extent, and weights beyond the ends of their grids.
        full[512..512 + sub].fill(-0.5);
        let start = encoded(form, &full);
        full.iter_mut().step_by(13).for_each(|x| *x *= 3.0);
        full[512..512 + sub].fill(-0.5);
        let mut latent = Latent::new(format, shared, &start, &full);
        let gradients = numbers(full.len(), 2);
        let before = Numbers::of(&mut latent, full.len());
        let still = Rates { weights: 0.0, scales: 0.0, mins: 0.0 };
        latent.step(Step::new(1), still, &gradients);
        let after = Numbers::of(&mut latent, full.len());
        let subs = before.weights.chunks(sub).zip(gradients.chunks(sub));
        for (k, (weights, gradients)) in subs.enumerate() {
            let ([held, ..], [.., mean]) = (before.grids[k], after.grids[k]);
            let loss = |near: [f64; 2]| -> f64 {
                let value = |&weight: &f32| straight_through(levels, held, near, weight);
                let values = weights.iter().map(value).zip(gradients);
                values.map(|(value, &gradient)| value * f64::from(gradient)).sum()
            };
            let at = [f64::from(held.scale), f64::from(held.min)];
            for (i, found) in [mean.scale, mean.min].into_iter().enumerate() {
                if i == 1 && !has_min(format) {
                    continue;
                }
                let step = 1e-4 * at[0].abs().max(1e-3);
                let [ahead, behind] = [step, -step].map(|by| {
                    let mut near = at;
                    near[i] += by;
                    if i == 0 {
                        near[1] -= f64::from(anchor(format)) * by;
                    }
                    loss(near)
                });
                let expected = (ahead - behind) / (2.0 * step);
                let found = f64::from(found) / 0.1;
                assert!(
                    (found - expected).abs() < 1e-3 * (1.0 + expected.abs()),
                    "{form:?}, run {k}, {i}: {found} for {expected}"
                );
            }
        }
    }
}

#[test]
fn what_is_wanted_stays_near_what_can_be_held() {
    for format in [Format::Q4_K, Format::Q5_K, Format::Q6_K, Format::IQ4_XS] {
        let full = numbers(4 * 256, 1);
        let start = encoded((format, None), &full);
        let mut latent = Latent::new(format, None, &start, &full);
        let far = Rates { weights: 0.0, scales: 1e-2, mins: 1e-2 };
        let gradients = numbers(full.len(), 2);
        (1..=50).for_each(|step| latent.step(Step::new(step), far, &gradients));
        let grids = Numbers::of(&mut latent, full.len()).grids;
        let of_blocks = grids.chunks(256 / sub_len(format));
        for (grids, block) in of_blocks.zip(start.chunks(format.block_bytes())) {
            let unit = unit(format, block);
            for [held, wanted, _] in grids {
                let near =
                    |held: f32, wanted: f32, unit: f32| (held - wanted).abs() <= 0.501 * unit.abs();
                assert!(
                    near(held.scale, wanted.scale, unit.scale),
                    "{format}: {held:?} {wanted:?}"
                );
                assert!(near(held.min, wanted.min, unit.min), "{format}: {held:?} {wanted:?}");
            }
        }
    }
}

/// Runs that are longer than what one task takes, shorter, and none of its parts.
#[test]
fn scales_that_are_shared_stay_so_whoever_adds_up_their_gradients() {
    for (shared, row_len) in [
        (SharedScale::Row(20 * 1024), 20 * 1024),
        (SharedScale::Row(16 * 1024), 16 * 1024),
        (SharedScale::Row(608), 608),
        (SharedScale::Tile(128), 640),
        (SharedScale::Tile(32), 608),
    ] {
        let form = (shared.format(), Some(shared));
        let rows = (50 * 1024 / row_len).max(2);
        let full = numbers(rows * row_len, 1);
        let start = encoded_rows(form, row_len, &full);
        let trained = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut latent = Latent::new(form.0, form.1, &start, &full);
                let mut values = vec![0.0; full.len()];
                let rates = Rates { scales: 1e-3, ..RATES };
                for step in 1..=5 {
                    // Towards weights that are larger by a twentieth.
                    latent.evaluate(&mut values);
                    let pairs = values.iter().zip(&full);
                    let gradients: Vec<f32> = pairs.map(|(y, x)| y - 1.05 * x).collect();
                    latent.step(Step::new(step), rates, &gradients);
                }
                latent.export(&start)
            })
        };
        let exported = trained(1);
        assert_eq!(exported, trained(3), "{shared:?}");
        let scales = |bytes: &[u8]| -> Vec<f32> {
            let blocks = bytes.chunks(form.0.block_bytes());
            blocks.map(|block| unit(form.0, block).scale).collect()
        };
        for run in scales(&exported).chunks(shared.columns() / 32) {
            assert!(run.iter().all(|scale| scale.to_bits() == run[0].to_bits()), "{shared:?}");
            assert_eq!(shared.round(run[0]), run[0], "{shared:?}");
        }
        let moved = scales(&exported).iter().zip(&scales(&start)).filter(|(a, b)| a != b).count();
        assert!(2 * moved > exported.len() / form.0.block_bytes(), "{shared:?}: {moved}");
        if let SharedScale::Row(_) = shared {
            let codes = exported.chunks(34).flat_map(|block| &block[2..]);
            assert!(codes.map(|&byte| byte as i8).min() >= Some(-127));
        }
    }
}
