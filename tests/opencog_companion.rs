//! The AtomSpace files that OpenCog projects ship, as companions: nothing is lost, they are small,
//! and their truth values fit in 8 bits.

mod opencog_data;

use std::path::Path;

use opencog_data::{folder, read_file};
use opencog_qat::gguf::Gguf;
use opencog_qat::opencog::atomspace::codec::{Codec, Damage, TOLERANCE, Truth, choose};
use opencog_qat::opencog::atomspace::companion::{Form, Ordered, PackedSpace, TruthCoding, expand};
use opencog_qat::opencog::atomspace::{AtomSpace, AtomStore, TruthValue, difference};
use opencog_qat::opencog::section::write;

/// The atoms of a file, which may be packed; none, said aloud, where it or `xz` is missing.
fn space(name: &str) -> Option<AtomSpace> {
    read_file(name).map(|(space, _)| space)
}

fn file(ordered: &Ordered, form: Form) -> Vec<u8> {
    write(Vec::new(), Path::new("test.gguf"), &[ordered.section(form)]).unwrap()
}

/// Packs a space in both forms, checks that both hold all of it, and gives their bytes.
fn both_forms(name: &str, space: &AtomSpace) -> [usize; 2] {
    let ordered = Ordered::of(space, TruthCoding::Exact);
    let mapped = file(&ordered, Form::Mapped);
    let at_rest = file(&ordered, Form::AtRest);
    let sizes = [mapped.len(), at_rest.len()];
    let gguf = Gguf::from_bytes(name, at_rest).unwrap();
    assert!(file(&expand(&gguf).unwrap(), Form::Mapped) == mapped, "{name}: expanded otherwise");
    let gguf = Gguf::from_bytes(name, mapped).unwrap();
    let packed = PackedSpace::of(&gguf).unwrap();
    assert_eq!(difference(space, &packed), None, "{name}");
    let [a, b] = sizes.map(|bytes| bytes as f64 / space.atom_count() as f64);
    println!("{name}: {} atoms, mapped {a:.3} bytes an atom, at rest {b:.3}", space.atom_count());
    sizes
}

#[test]
fn every_file_is_kept_without_loss() {
    let Ok(files) = std::fs::read_dir(folder()) else {
        return println!("skipped: {} is missing", folder().display());
    };
    for file in files {
        let name = file.unwrap().file_name().into_string().unwrap();
        let name = name.trim_end_matches(".xz");
        if let Some(space) = space(name) {
            both_forms(name, &space);
        }
    }
}

#[test]
fn the_benchmark_set_is_small_in_both_forms() {
    let name = "bench-reactome-uniprot-all.scm";
    let Some(space) = space(name) else { return };
    assert_eq!(space.atom_count(), 242_841);
    let [mapped, at_rest] = both_forms(name, &space).map(|bytes| bytes as f64 / 242_841.0);
    assert!(mapped <= 24.0, "{mapped} bytes an atom");
    assert!(at_rest <= 2.8, "{at_rest} bytes an atom");
}

/// The simple truth values of a space.
fn truths(space: &AtomSpace) -> Vec<Truth> {
    let simple = |atom| match space.truth_value(atom)? {
        TruthValue::Simple { strength, confidence } => Some(Truth { strength, confidence }),
        _ => None,
    };
    space.atoms().filter_map(simple).collect()
}

#[test]
fn eight_bits_keep_truth_values_where_the_plain_code_zeroes_most() {
    for name in ["biospace-go-plau-ryr1.scm", "embodiment-corpus-av.scm"] {
        let Some(space) = space(name) else { continue };
        let values = truths(&space);
        let (codec, coded) = choose(&values, TOLERANCE);
        let chosen = Damage::between(&values, &coded.decode());
        println!("{name}, {codec}, {} bytes: {chosen:#?}", coded.bytes());
        assert_eq!(chosen.guards_broken(), 0, "{name}");
        for column in [chosen.strength, chosen.confidence] {
            assert!(column.max_error <= 0.005, "{name}: {column:?}");
        }
        let plain = Codec::PlainUniform.encode(&values, TOLERANCE).unwrap();
        let plain = Damage::between(&values, &plain.decode());
        println!("{name}, {}: {plain:#?}", Codec::PlainUniform);
        let zeroed = plain.strength.zeroed + plain.confidence.zeroed;
        assert!(2 * zeroed > values.len(), "{name}: {zeroed} of {}", values.len());
        // Whatever is asked for, no other codec breaks a guard.
        for codec in Codec::all().filter(|&codec| codec != Codec::PlainUniform) {
            for tolerance in [TOLERANCE, f64::INFINITY] {
                let Some(coded) = codec.encode(&values, tolerance) else { continue };
                let damage = Damage::between(&values, &coded.decode());
                assert_eq!(damage.guards_broken(), 0, "{name}, {codec}");
            }
        }
    }
}
