//! Whatever alignment the input has, readers that use tensors where the file has them can: each
//! begins at a multiple of 32 bytes in the file.

use opencog_qat::gguf::{Format, Gguf, TensorInfo, Value};

use crate::folder::Folder;
use crate::models::Model;

/// Alignments of inputs, in bytes.
const ALIGNMENTS: [u32; 9] = [1, 2, 4, 8, 16, 32, 64, 256, 4096];

/// A model of this alignment whose header is `more` bytes longer than it need be. A tensor of seven
/// values ends at an odd place.
fn model(alignment: u32, more: usize) -> Model {
    let named = Model::empty().key("general.name", Value::string(&"n".repeat(more)));
    let aligned = named.key("general.alignment", Value::U32(alignment));
    let with_norm = aligned.weights("blk.0.attn_norm.weight", Format::F32, &[7]);
    with_norm.weights("blk.0.attn_q.weight", Format::F16, &[96, 3])
}

#[track_caller]
fn check(output: &Gguf, asked: u32) {
    let written = u64::from(asked.max(32));
    assert_eq!(output.alignment(), written);
    let key = output.metadata().get("general.alignment");
    assert_eq!(key.and_then(Value::as_u64), Some(written));
    let aligned = |tensor: &TensorInfo| tensor.offset().is_multiple_of(written);
    assert!(output.tensors().iter().all(aligned));
}

/// Each length of a header up to a multiple of 64 comes with each alignment, in turn.
#[test]
fn headers_of_all_lengths_are_followed_by_aligned_tensors() {
    let folder = Folder::empty();
    for more in 0..64 {
        // 9 and 64 have no divisor in common: five alignments of nine, others for each length.
        for turn in 0..2 {
            let asked = ALIGNMENTS[(more + 4 * turn) % ALIGNMENTS.len()];
            folder.write("in.gguf", &model(asked, more).bytes());
            folder.run("-q --effort fast --force in.gguf out.gguf").success();
            check(&folder.open("out.gguf"), asked);
            gguf_rs_agrees(&folder, asked.max(32).into());
        }
    }
}

/// gguf-rs, as a witness, finds the same tensors in the same places.
#[track_caller]
fn gguf_rs_agrees(folder: &Folder, alignment: u64) {
    let path = folder.path("out.gguf");
    let mut container =
        gguf_rs::get_gguf_container_array_size(path.to_str().unwrap(), u64::MAX).unwrap();
    let model = container.decode().unwrap();
    assert_eq!(model.alignment(), alignment);
    let ours = folder.open("out.gguf");
    for (theirs, ours) in model.tensors().iter().zip(ours.tensors()) {
        let place = model.data_offset() + theirs.offset;
        assert_eq!((&theirs.name, place), (&ours.name, ours.offset()));
        assert!(place.is_multiple_of(alignment));
    }
}

#[test]
fn a_shard_may_have_an_alignment_of_its_own() {
    let whole = model(8, 5);
    let first = whole.shards(2).swap_remove(0);
    for asked in ALIGNMENTS {
        let folder = Folder::empty();
        folder.write("m-00001-of-00002.gguf", &first);
        let second = model(asked, 0).shards(2).swap_remove(1);
        folder.write("m-00002-of-00002.gguf", &second);
        folder.run("-q --effort fast m-00001-of-00002.gguf out.gguf").success();
        check(&folder.open("out.gguf"), 8);
        folder.write("in.gguf", &whole.bytes());
        folder.run("-q --effort fast in.gguf whole.gguf").success();
        assert!(folder.read("out.gguf") == folder.read("whole.gguf"));
    }
}

#[test]
fn figures_are_of_the_alignment_that_is_written() {
    for asked in ALIGNMENTS {
        let folder = Folder::with(&model(asked, 11));
        let report = folder.quantize("--bpw 8.5");
        assert_eq!(folder.read("out.gguf").len() as u64, report.metrics.output_bytes);
    }
}
