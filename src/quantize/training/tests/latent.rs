use super::super::adam::Step;
use super::super::latent::{Latent, Rates};
use super::numbers;
use crate::block::{self, can_encode};
use crate::gguf::Format;

fn encodable() -> impl Iterator<Item = Format> {
    Format::all().filter(|&format| can_encode(format))
}

fn encoded(format: Format, values: &[f32]) -> Vec<u8> {
    let mut bytes = vec![0; format.bytes_of(values.len() as u64).unwrap() as usize];
    block::encode(format, values, 512, None, &mut bytes);
    bytes
}

fn decoded(format: Format, bytes: &[u8]) -> Vec<f32> {
    let mut values = vec![0.0; bytes.len() / format.block_bytes() * format.block_len()];
    block::decode(format, bytes, &mut values);
    values
}

const RATES: Rates = Rates { weights: 3e-3, scales: 1e-4, mins: 1e-3 };

#[test]
fn what_is_exported_decodes_to_what_was_evaluated() {
    for format in encodable() {
        // More than one task; some blocks of zeros; some weights far out.
        let mut full = numbers(20 * 1024, 1);
        full[512..1024].fill(0.0);
        full.iter_mut().step_by(97).for_each(|x| *x *= 5.0);
        let start = encoded(format, &full);
        // Weights that the encoding was not made of.
        let others: Vec<f32> =
            full.iter().zip(numbers(full.len(), 2)).map(|(x, y)| x + 0.2 * y).collect();
        let mut latent = Latent::new(format, &start, &others);
        let mut evaluated = vec![f32::NAN; full.len()];
        latent.evaluate(&mut evaluated);
        assert_eq!(evaluated, decoded(format, &start), "{format} begins as it is encoded");
        assert_eq!(decoded(format, &latent.export(&start)), evaluated, "{format}");
        for step in 1..=20 {
            latent.step(Step::new(step), RATES, &numbers(full.len(), 3 + step % 3));
        }
        latent.evaluate(&mut evaluated);
        let exported = latent.export(&start);
        assert_ne!(exported, start, "{format} learns");
        assert_eq!(evaluated, decoded(format, &exported), "{format}");
    }
}

/// Neither the grids of the encoding nor its codes are the best for a target that counts by
/// another measure; both are learnt.
#[test]
fn weights_and_grids_learn() {
    for format in encodable() {
        let full = numbers(8 * 512, 1);
        // What counts is the sum over 8 neighbours, and the target has grown by a twentieth.
        let target: Vec<f32> = full.iter().map(|x| 1.05 * x).collect();
        let start = encoded(format, &full);
        let mut latent = Latent::new(format, &start, &full);
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
        assert!(last < 0.5 * first, "{format}: {first} became {last}");
    }
}
