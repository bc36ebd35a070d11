use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use super::adam::Step;
use super::latent::{Latent, Rates};
use super::{BlockTraining, Trained, TrainedBlock, Training, train_blocks};
use crate::block::{self, can_encode};
use crate::gguf::{Format, Gguf};
use crate::model::{Model, layer_part};
use crate::progress::Silent;
use crate::quantize::encoded::{Encoded, Encodings};
use crate::quantize::search::SearchError;
use crate::threads;
use crate::work::{Foreign, Work};

fn encodable() -> impl Iterator<Item = Format> {
    Format::all().filter(|&format| can_encode(format))
}

fn numbers(n: usize, salt: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7919 + salt * 131) % 1009) as f32 / 504.5 - 1.0).collect()
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

fn tiny() -> &'static Gguf {
    static TINY: OnceLock<Gguf> = OnceLock::new();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tiny.gguf");
    TINY.get_or_init(|| Gguf::open(path.as_ref()).unwrap())
}

/// The matrices of the layers of the small model, plainly rounded.
fn quantized() -> Encodings {
    let mut encodings = Encodings::new();
    let formats = [Format::Q4_0, Format::Q4_K, Format::IQ4_XS];
    for (i, tensor) in tiny().tensors().iter().enumerate() {
        let format = formats[i % 3];
        let format = if format.fits(tensor.row_len()) { format } else { Format::Q4_0 };
        if layer_part(&tensor.name).is_none() || tensor.rows() == 1 {
            continue;
        }
        let mut values = vec![0.0; tensor.elements() as usize];
        block::decode(tensor.format, tiny().data(tensor), &mut values);
        let mut bytes = vec![0; format.bytes_of(tensor.elements()).unwrap() as usize];
        block::encode(format, &values, tensor.row_len(), None, &mut bytes);
        let bytes = Work::Forgetful.remember_bytes::<SearchError>("", None, || Ok(bytes)).unwrap();
        encodings.insert(tensor.name.clone(), Encoded { format, bytes });
    }
    encodings
}

fn train(training: Training, work: &Work) -> Trained {
    train_within(None, training, work)
}

fn train_within(time: Option<Duration>, training: Training, work: &Work) -> Trained {
    let model = Model::of(tiny()).unwrap();
    let text: Vec<Vec<u32>> =
        (0..12).map(|s| (0..24 + s).map(|i| (i * i * 7 + s * 31) % 2000).collect()).collect();
    let text: Vec<&[u32]> = text.iter().map(Vec::as_slice).collect();
    let (learn, held_out) = text.split_at(8);
    let (model, progress) = (&model, &Silent);
    let context =
        BlockTraining { model, learn, held_out, training, time, round: 0, work, progress };
    train_blocks(&context, &quantized()).unwrap()
}

const SHORT: Training =
    Training { passes: 2, batch: 2, weight_rate: 1e-2, scale_rate: 1e-3, gain_rate: 1e-3, seed: 1 };

fn contents(encodings: &Encodings) -> Vec<(String, Format, Vec<u8>)> {
    let content = |(name, encoded): (&String, &Encoded)| {
        (name.clone(), encoded.format, encoded.bytes.to_vec())
    };
    encodings.iter().map(content).collect()
}

#[test]
fn layers_come_nearer_and_any_number_of_threads_gives_the_same() {
    let Trained { encodings, blocks, .. } = train(SHORT, &Work::Forgetful);
    assert!(!blocks.is_empty());
    for TrainedBlock { layer, before, after, .. } in &blocks {
        println!("layer {layer}: {before:.3e} became {after:.3e}");
        assert!(after < before, "layer {layer}: {before} became {after}");
    }
    let one = threads::pool(Some(1)).unwrap().install(|| train(SHORT, &Work::Forgetful));
    assert_eq!(one.blocks, blocks);
    assert_eq!(contents(&one.encodings), contents(&encodings));
}

#[test]
fn what_is_no_better_stays_what_it_was() {
    let training = Training { weight_rate: 50.0, ..SHORT };
    let Trained { encodings, blocks, .. } = train(training, &Work::Forgetful);
    assert!(blocks.iter().all(|block| block.after == block.before));
    assert_eq!(contents(&encodings), contents(&quantized()));
}

#[test]
fn layers_that_there_is_no_time_for_stay_what_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.gguf");
    let open = || Work::beside(&output, "a run", Foreign::Refuse).unwrap();
    let Trained { encodings, blocks, seconds } =
        train_within(Some(Duration::from_nanos(1)), SHORT, &open());
    assert_eq!((blocks, seconds), (vec![], 0.0));
    assert_eq!(contents(&encodings), contents(&quantized()));
    // What was measured then must be what is found again, whatever time there is.
    assert_eq!(train_within(None, SHORT, &open()).blocks, vec![]);
}

#[test]
fn a_run_that_was_ended_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.gguf");
    let open = || Work::beside(&output, "a run", Foreign::Refuse).unwrap();
    // What is kept is mapped, and must not be while files are changed.
    let run = || {
        let Trained { encodings, blocks, .. } = train(SHORT, &open());
        (contents(&encodings), blocks)
    };
    let all = run();
    let kept = folder.path().join("out.gguf.work");
    let entries = || std::fs::read_dir(&kept).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_string();
    // As if it had ended within layer 1, of which some is written.
    for path in entries() {
        let name = name(&path);
        let done = name.starts_with("trained-0-0") || name.contains("attn_q");
        if name.starts_with("trained-") && !done {
            std::fs::remove_file(path).unwrap();
        }
    }
    assert_eq!(run(), all);
    // All is there, but something is damaged.
    let damaged = entries().find(|path| name(path).contains("ffn_down")).unwrap();
    std::fs::write(damaged, "damaged").unwrap();
    assert_eq!(run(), all);
}
