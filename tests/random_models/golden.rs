//! What llama-perplexity writes with `--kl-divergence-base`: tokens, and log-probabilities in 16
//! bits of what may follow them.
//!
//! Little endian: `_logits_`; context length, size of the vocabulary, number of chunks; the tokens
//! of all chunks; then for each scored position (from the middle of a chunk to its last but one)
//! the step and the least log-probability, as two f32, and one code of 16 bits for each token of
//! the vocabulary, filled up to an even number. Logits more than 16 below the greatest have code 0.
//!
//! Each chunk is evaluated by itself from position 0, with BOS in place of its first token where
//! the model adds BOS. The file has the tokens of the text.

use std::fs;
use std::path::{Path, PathBuf};

/// The golden logits of one model.
pub struct Golden {
    pub n_ctx: usize,
    pub n_vocab: usize,
    /// The chunks of the text, `n_ctx` tokens each.
    pub chunks: Vec<Vec<u32>>,
    /// Of each chunk, the scored positions, the first of which is [`Golden::first`].
    pub scored: Vec<Vec<Row>>,
}

/// What may follow one position.
pub struct Row {
    /// Between the log-probabilities of neighbouring codes.
    pub step: f32,
    pub least: f32,
    pub codes: Vec<u16>,
}

/// How far logits are from the golden ones.
pub struct Agreement {
    /// Mean KLD as llama-perplexity computes it, in nats per token. It takes what the codes say for
    /// the base's probabilities; as these do not quite sum to 1, about 1e-5 is noise.
    pub kld: f64,
    /// The same over the tokens whose probabilities the base knows, and with both sums made 1:
    /// noise below 1e-8.
    pub normalized_kld: f64,
    /// The share of positions where both find the same token the likeliest.
    pub same_top: f64,
    /// The greatest difference of log-probabilities, in steps of the base.
    pub steps: f64,
}

impl Golden {
    /// Where the golden logits of the model `name` are.
    pub fn path(name: &str) -> PathBuf {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/golden_logits");
        folder.join(format!("{name}.bin"))
    }

    /// The committed golden logits of the model `name`.
    pub fn of(name: &str) -> Golden {
        let path = Golden::path(name);
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Golden::parse(&bytes)
    }

    pub fn parse(bytes: &[u8]) -> Golden {
        let mut bytes = Bytes(bytes);
        assert_eq!(bytes.take(8), b"_logits_", "the beginning");
        let [n_ctx, n_vocab, n_chunk] = [(); 3].map(|()| bytes.u32() as usize);
        let chunks: Vec<Vec<u32>> =
            (0..n_chunk).map(|_| (0..n_ctx).map(|_| bytes.u32()).collect()).collect();
        let row = |bytes: &mut Bytes| {
            let (step, least) = (f32::from_bits(bytes.u32()), f32::from_bits(bytes.u32()));
            let mut codes: Vec<u16> =
                (0..n_vocab.next_multiple_of(2)).map(|_| bytes.u16()).collect();
            codes.truncate(n_vocab);
            Row { step, least, codes }
        };
        let positions = n_ctx - 1 - n_ctx / 2;
        let scored =
            (0..n_chunk).map(|_| (0..positions).map(|_| row(&mut bytes)).collect()).collect();
        assert!(bytes.0.is_empty(), "{} bytes are left", bytes.0.len());
        Golden { n_ctx, n_vocab, chunks, scored }
    }

    /// The first scored position of each chunk.
    pub fn first(&self) -> usize {
        self.n_ctx / 2
    }

    /// The tokens that were evaluated: each chunk, begun with BOS where there is one.
    pub fn evaluated(&self, bos: Option<u32>) -> Vec<Vec<u32>> {
        let mut chunks = self.chunks.clone();
        if let Some(bos) = bos {
            chunks.iter_mut().for_each(|chunk| chunk[0] = bos);
        }
        chunks
    }

    /// Compares with the logits that `forward` gives for each position of a chunk.
    pub fn compare(
        &self,
        bos: Option<u32>,
        mut forward: impl FnMut(&[u32]) -> Vec<Vec<f64>>,
    ) -> Agreement {
        let mut sum = Agreement { kld: 0.0, normalized_kld: 0.0, same_top: 0.0, steps: 0.0 };
        let mut count = 0.0;
        for (chunk, rows) in self.evaluated(bos).iter().zip(&self.scored) {
            let logits = forward(chunk);
            assert_eq!(logits.len(), self.n_ctx, "one row of logits for each token");
            for (row, logits) in rows.iter().zip(&logits[self.first()..]) {
                let one = row.compare(logits);
                sum.kld += one.kld;
                sum.normalized_kld += one.normalized_kld;
                sum.same_top += one.same_top;
                sum.steps = sum.steps.max(one.steps);
                count += 1.0;
            }
        }
        sum.kld /= count;
        sum.normalized_kld /= count;
        sum.same_top /= count;
        sum
    }
}

impl Row {
    /// Log-probabilities as the codes have them.
    pub fn log_probs(&self) -> Vec<f64> {
        let (step, least) = (f64::from(self.step), f64::from(self.least));
        self.codes.iter().map(|&code| step * f64::from(code) + least).collect()
    }

    /// Of this position alone.
    pub fn compare(&self, logits: &[f64]) -> Agreement {
        let (base, ours) = (self.log_probs(), log_softmax(logits));
        assert_eq!(base.len(), ours.len(), "one logit for each token of the vocabulary");
        let pairs = || base.iter().copied().zip(ours.iter().copied());
        // Of a token with code 0 it is only known that it is no likelier than that.
        let known =
            || pairs().zip(&self.codes).filter(|(_, code)| **code > 0).map(|(pair, _)| pair);
        let base_total = known().map(|(base, _)| base.exp()).sum::<f64>().ln();
        let our_total = known().map(|(_, ours)| ours.exp()).sum::<f64>().ln();
        let kld = |(base, ours): (f64, f64)| base.exp() * (base - ours);
        let steps = known().map(|(base, ours)| (base - ours).abs() / f64::from(self.step));
        Agreement {
            kld: pairs().filter(|(base, _)| *base > -16.0).map(kld).sum(),
            normalized_kld: known()
                .map(|(base, ours)| kld((base - base_total, ours - our_total)))
                .sum(),
            same_top: f64::from(top(&base) == top(&ours)),
            steps: steps.fold(0.0, f64::max),
        }
    }
}

/// Logits as log-probabilities.
pub fn log_softmax(logits: &[f64]) -> Vec<f64> {
    let greatest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|logit| (logit - greatest).exp()).sum();
    logits.iter().map(|logit| logit - greatest - sum.ln()).collect()
}

/// The first of the greatest.
fn top(values: &[f64]) -> usize {
    (0..values.len()).fold(0, |best, i| if values[i] > values[best] { i } else { best })
}

/// What is left to read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at_checked(count).expect("the file ends early");
        self.0 = rest;
        taken
    }

    fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.take(2).try_into().unwrap())
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take(4).try_into().unwrap())
    }
}
