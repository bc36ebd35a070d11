//! Encoding tensors on what they will really see: the inputs that the layers before them, already
//! quantized, make of calibration text.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use crate::calibrate::{Gram, HEAD, Importance, Place, place};
use crate::gguf::{Format, Gguf, TensorInfo};
use crate::model::{LinearInput, Model, Stepwise, layer_part};
use crate::progress::{Amount, Progress};
use crate::work::{Bytes, Work};

use super::candidate::Candidate;
use super::compensate::{Compensation, Polish, Regularisation};
use super::encode::{encode_tensor, for_each_batch};
use super::encoded::{Encoded, Encodings, with_encodings};
use super::error::SearchError;

/// What a pass needs beside what it encodes.
#[derive(Clone, Copy)]
pub struct PassContext<'c, 'a> {
    pub gguf: &'a Gguf,
    /// In full precision.
    pub model: &'c Model<'a>,
    pub sequences: &'c [&'c [u32]],
    pub importance: &'c Importance,
    pub work: &'c Work,
    pub progress: &'c dyn Progress,
}

/// Encodes tensors without compensation, each in its format. `pass` names the pass in the work
/// folder.
pub fn encode_plainly(
    context: PassContext,
    pass: &str,
    todo: &BTreeMap<String, Candidate>,
) -> Result<Encodings, SearchError> {
    let PassContext { gguf, importance, work, progress, .. } = context;
    let tensors = || gguf.tensors().iter().filter(|tensor| todo.contains_key(&tensor.name));
    progress.start("encoding", Amount::Bytes(tensors().map(TensorInfo::bytes).sum()));
    let encoded = tensors().map(|tensor| {
        let to = todo[&tensor.name];
        let bytes = kept(work, pass, gguf, tensor, to.format, || {
            plain(gguf, tensor, to, importance.of(&tensor.name))
        })?;
        progress.advance(tensor.bytes());
        Ok((tensor.name.clone(), Encoded::new(to, bytes)))
    });
    let encoded = encoded.collect();
    progress.finish();
    encoded
}

/// Encodes tensors layer by layer, and input by input in a layer, with compensation, on the inputs
/// that the model has with what is `finished` and with what this pass encoded before.
pub fn encode_in_passing(
    context: PassContext,
    pass: &str,
    finished: &Encodings,
    todo: &BTreeMap<String, Candidate>,
) -> Result<Encodings, SearchError> {
    let PassContext { gguf, model, sequences, importance, work, progress } = context;
    let mut made = Encodings::new();
    // Where a run goes on that was ended, all may be there.
    if let Some(all) = all_kept(work, pass, gguf, todo)? {
        return Ok(all);
    }
    let tied = model.weights.tied;
    let mut by_place: BTreeMap<Option<Place>, Vec<&String>> = BTreeMap::new();
    for name in todo.keys() {
        by_place.entry(place(name, tied)).or_default().push(name);
    }
    let tokens: u64 = sequences.iter().map(|tokens| tokens.len() as u64).sum();
    progress.start("encoding in passing", Amount::Tokens(tokens));
    let encode = Encode { gguf, importance, work, pass, todo };
    if let Some(inputless) = by_place.remove(&None) {
        made.extend(encode.all(&inputless, None)?);
    }
    // An embedding of its own is what all layers see first.
    let mut before = finished.clone();
    before.extend(made.clone());
    let variant = with_encodings(model, &before);
    let last = by_place.keys().flatten().map(|&(layer, _)| layer).max();
    let mut steps = Stepwise::start(&variant, sequences)?;
    for (number, layer) in variant.weights.layers.iter().enumerate() {
        if last.is_none_or(|last| number > last) {
            break;
        }
        let names = |input| by_place.get(&Some((number, input)));
        if LinearInput::OF_LAYER.into_iter().all(|input| names(input).is_none()) {
            steps.advance(layer)?;
        } else {
            for input in LinearInput::OF_LAYER {
                let encoded = match names(input) {
                    Some(names) => {
                        encode.all(names, Gram::of(|sums| steps.look(layer, sums)).as_ref())?
                    }
                    None => Encodings::new(),
                };
                let mut changed = layer.clone();
                for (name, encoded) in &encoded {
                    let part = layer_part(name).map_or(&name[..], |(_, part)| part);
                    let is_known = changed.replace(part, encoded.format, &encoded.bytes);
                    debug_assert!(is_known, "{name} is a tensor of the layer");
                }
                steps.advance_part(&changed)?;
                drop(changed);
                made.extend(encoded);
            }
        }
        progress.advance(tokens / variant.shape.layers as u64);
    }
    if let Some(names) = by_place.get(&Some(HEAD)) {
        let gram = Gram::of(|sums| steps.look_at_head(sums));
        made.extend(encode.all(names, gram.as_ref())?);
    }
    progress.finish();
    Ok(made)
}

/// How tensors of a pass are encoded.
struct Encode<'e> {
    gguf: &'e Gguf,
    importance: &'e Importance,
    work: &'e Work,
    pass: &'e str,
    todo: &'e BTreeMap<String, Candidate>,
}

impl Encode<'_> {
    /// Encodes tensors that share an input, with compensation where there is a Gram matrix of it.
    fn all(&self, names: &[&String], gram: Option<&Gram>) -> Result<Encodings, SearchError> {
        let compensation = OnceCell::new();
        let compensation = |gram| {
            let new = || Compensation::new(gram, Regularisation::of(gram), Polish::default());
            compensation.get_or_init(new)
        };
        let mut made = Encodings::new();
        for &name in names {
            let Some(tensor) = self.gguf.tensor(name) else { continue };
            let to = self.todo[name];
            // What is exact has nothing to make good.
            let gram = gram.filter(|_| to.is_searched());
            let bytes = kept(self.work, self.pass, self.gguf, tensor, to.format, || match gram {
                None => plain(self.gguf, tensor, to, self.importance.of(name)),
                Some(gram) => compensated(self.gguf, tensor, to, compensation(gram), gram),
            })?;
            made.insert(name.clone(), Encoded::new(to, bytes));
        }
        Ok(made)
    }
}

fn plain(
    gguf: &Gguf,
    tensor: &TensorInfo,
    to: Candidate,
    importance: Option<&[f32]>,
) -> Result<Vec<u8>, SearchError> {
    let mut bytes = Vec::new();
    encode_tensor::<SearchError>(gguf, tensor, to, importance, |batch| {
        bytes.extend(batch);
        Ok(())
    })?;
    Ok(bytes)
}

/// The better of the compensated and of the plain encoding, on the outputs of the linear map, for
/// each batch of rows.
fn compensated(
    gguf: &Gguf,
    tensor: &TensorInfo,
    to: Candidate,
    compensation: &Compensation,
    gram: &Gram,
) -> Result<Vec<u8>, SearchError> {
    let mut bytes: Vec<u8> = Vec::new();
    let (mut kept, mut all) = (0, 0);
    let importance = gram.diagonal();
    for_each_batch(gguf, tensor, |_, values| {
        let start = bytes.len();
        bytes.resize(start + to.format.size_of(values.len()), 0);
        let out = &mut bytes[start..];
        let better = compensation.encode_best(to, values, &importance, gram, out).gains();
        (kept, all) = (kept + usize::from(better), all + 1);
    })?;
    tracing::debug!(tensor = tensor.name, format = %to.format, kept, all, "compensated");
    Ok(bytes)
}

/// The name of a tensor's encoding in the work folder.
fn entry(gguf: &Gguf, pass: &str, tensor: &TensorInfo, format: Format) -> String {
    let at = gguf.tensors().iter().position(|other| other.name == tensor.name).unwrap_or(0);
    format!("{pass}-tensor-{at}-{format}")
}

fn kept(
    work: &Work,
    pass: &str,
    gguf: &Gguf,
    tensor: &TensorInfo,
    format: Format,
    encode: impl FnOnce() -> Result<Vec<u8>, SearchError>,
) -> Result<Bytes, SearchError> {
    work.remember_bytes(
        &entry(gguf, pass, tensor, format),
        format.bytes_of(tensor.elements()),
        encode,
    )
}

/// Removes what a pass kept in the work folder: no later run will ask for it.
pub fn forget_pass(
    context: PassContext,
    pass: &str,
    todo: &BTreeMap<String, Candidate>,
) -> Result<(), SearchError> {
    for (name, &to) in todo {
        let Some(tensor) = context.gguf.tensor(name) else { continue };
        context.work.forget(&entry(context.gguf, pass, tensor, to.format))?;
    }
    Ok(())
}

/// All encodings of a pass, where all are in the work folder.
fn all_kept(
    work: &Work,
    pass: &str,
    gguf: &Gguf,
    todo: &BTreeMap<String, Candidate>,
) -> Result<Option<Encodings>, SearchError> {
    let mut all = Encodings::new();
    for (name, &to) in todo {
        let Some(tensor) = gguf.tensor(name) else { continue };
        let entry = entry(gguf, pass, tensor, to.format);
        match work.recall_bytes(&entry, to.format.bytes_of(tensor.elements())) {
            Some(bytes) => all.insert(name.clone(), Encoded::new(to, bytes)),
            None => return Ok(None),
        };
    }
    Ok(Some(all))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::gguf::{TensorSpec, Writer};
    use crate::progress::Silent;

    /// tiny.gguf with an output head of its own.
    fn untied() -> Gguf {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tiny.gguf");
        let tiny = Gguf::open(path.as_ref()).unwrap();
        let embedding = tiny.tensor("token_embd.weight").unwrap();
        let head = TensorSpec { name: "output.weight".into(), ..embedding.spec() };
        let specs: Vec<_> = tiny.tensors().iter().map(TensorInfo::spec).chain([head]).collect();
        let name = Path::new("untied.gguf");
        let mut writer = Writer::new(Vec::new(), name, tiny.metadata(), &specs).unwrap();
        for tensor in tiny.tensors().iter().chain([embedding]) {
            writer.tensor_bytes(tiny.data(tensor)).unwrap();
        }
        Gguf::from_bytes("untied.gguf", writer.finish().unwrap()).unwrap()
    }

    #[test]
    fn tensors_are_encoded_on_what_the_same_pass_encoded_before() {
        let down = "blk.1.ffn_down.weight";
        // An embedding, a layer before, and a map before in the same layer.
        for before in ["token_embd.weight", "blk.0.attn_v.weight", "blk.1.ffn_up.weight"] {
            let (together, after, alone) = encoded_after(before, down);
            assert!(together == after, "{before}");
            assert!(together != alone, "{before}");
        }
    }

    /// A tensor that is encoded in one pass with another, after that, and without it.
    fn encoded_after(before: &str, tensor: &str) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
        let gguf = untied();
        let model = Model::of(&gguf).unwrap();
        assert!(!model.weights.tied);
        let tokens: Vec<u32> = (0..256).map(|i| i * 29 % 2000).collect();
        let context = PassContext {
            gguf: &gguf,
            model: &model,
            sequences: &[&tokens],
            importance: &Importance::default(),
            work: &Work::Forgetful,
            progress: &Silent,
        };
        let todo = |names: &[&str]| {
            names
                .iter()
                .map(|&name| (name.to_owned(), Candidate::encoded(Format::Q4_0)))
                .collect::<BTreeMap<_, _>>()
        };
        let pass = |finished: &Encodings, names: &[&str]| {
            encode_in_passing(context, "pass", finished, &todo(names)).unwrap()
        };
        let none = Encodings::new();
        let bytes = |encodings: Encodings| encodings[tensor].bytes.to_vec();
        let first = pass(&none, &[before]);
        (
            bytes(pass(&none, &[before, tensor])),
            bytes(pass(&first, &[tensor])),
            bytes(pass(&none, &[tensor])),
        )
    }
}
