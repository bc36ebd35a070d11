//! A small model, quantized, and text for it.

mod blocks;
mod end_to_end;
mod latent;

use std::sync::OnceLock;

use crate::block;
use crate::gguf::{Format, Gguf};
use crate::model::layer_part;
use crate::quantize::candidate::Candidate;
use crate::quantize::encoded::{Encoded, Encodings};
use crate::quantize::error::SearchError;
use crate::work::Work;

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
        encodings.insert(tensor.name.clone(), Encoded::new(Candidate::encoded(format), bytes));
    }
    encodings
}

fn numbers(n: usize, salt: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7919 + salt * 131) % 1009) as f32 / 504.5 - 1.0).collect()
}

/// Sequences of unlike lengths.
fn text(sequences: u32) -> Vec<Vec<u32>> {
    let sequence = |s: u32| (0..24 + s).map(|i| (i * i * 7 + s * 31) % 2000).collect();
    (0..sequences).map(sequence).collect()
}

fn contents(encodings: &Encodings) -> Vec<(String, Format, Vec<u8>)> {
    let content = |(name, encoded): (&String, &Encoded)| {
        (name.clone(), encoded.format, encoded.bytes.to_vec())
    };
    encodings.iter().map(content).collect()
}
