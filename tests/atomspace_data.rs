//! The AtomSpace files that OpenCog projects ship: how many atoms they have, and that nothing is
//! lost by writing them again.

mod opencog_data;

use std::path::Path;

use opencog_data::{folder, read_file, text};
use opencog_qat::gguf::Gguf;
use opencog_qat::opencog::atomspace::companion::{Form, Ordered, PackedSpace, TruthCoding};
use opencog_qat::opencog::atomspace::export::{ExportSummary, Target, export};
use opencog_qat::opencog::atomspace::read::{ReadOptions, TvMerge, read};
use opencog_qat::opencog::atomspace::{AtomSpace, AtomStore, Kind, difference};
use opencog_qat::opencog::section::write;

/// How many nodes and links.
fn counts(space: &AtomSpace) -> (usize, usize) {
    let is_node = |atom| space.types()[space.type_of(atom).index()].kind == Kind::Node;
    let nodes = space.atoms().filter(|&atom| is_node(atom)).count();
    (nodes, space.atom_count() - nodes)
}

#[test]
fn files_have_as_many_atoms_as_upstream_finds() {
    for (name, nodes, links) in [
        ("ugly-male-soda-drinker-corpus.scm", 25, 60),
        ("lojban-dataset.scm", 52, 104),
        ("qa-knowledge-base.scm", 347, 1335),
        // 1706 nodes where the numbers 1 and 1.0 are counted apart
        ("embodiment-corpus-av.scm", 1705, 9978),
        ("mozi-ai-sample.scm", 4778, 27583),
        ("biospace-go-plau-ryr1.scm", 14074, 28585),
        ("bench-reactome-uniprot-all.scm", 55986, 186_855),
    ] {
        let Some((space, summary)) = read_file(name) else { continue };
        println!("{name}: {:?} atoms, skipped:\n{}", counts(&space), summary.skipped);
        assert_eq!(counts(&space), (nodes, links), "{name}");
    }
    for (name, atoms) in
        [("load-file-test-data.scm", 27), ("sumo-merge.scm", 652), ("dbpedia-small.scm", 9830)]
    {
        let Some((space, _)) = read_file(name) else { continue };
        assert_eq!(space.atom_count(), atoms, "{name}");
    }
}

/// The text of a packed space, and how it was written.
fn packed_text(space: &AtomSpace, target: Target) -> (Vec<u8>, ExportSummary) {
    let section = Ordered::of(space, TruthCoding::Exact).section(Form::Mapped);
    let file = write(Vec::new(), Path::new("kb.opencog.gguf"), &[section]).unwrap();
    let gguf = Gguf::from_bytes("kb.opencog.gguf", file).unwrap();
    let mut text = Vec::new();
    let summary = export(&PackedSpace::of(&gguf).unwrap(), &target.into(), &mut text).unwrap();
    (text, summary)
}

#[test]
fn what_is_written_is_read_back_and_written_so_again() {
    let Ok(files) = std::fs::read_dir(folder()) else {
        return println!("skipped: {} is missing", folder().display());
    };
    for file in files {
        let name = file.unwrap().file_name().into_string().unwrap();
        let Some(text) = text(name.trim_end_matches(".xz")) else { continue };
        for (target, tv_merge) in
            [(Target::AtomSpace5_0, TvMerge::FirstNested), (Target::AtomSpace2026, TvMerge::Last)]
        {
            let options = ReadOptions { tv_merge, ..ReadOptions::default() };
            let (space, _) = read(&text[..], &options).unwrap();
            let (written, summary) = packed_text(&space, target);
            let (back, read_back) = read(&written[..], &ReadOptions::default()).unwrap();
            println!("{name}: {} atoms, {summary:?}", space.atom_count());
            assert!(read_back.skipped.is_empty(), "{name}: {}", read_back.skipped);
            assert_eq!(difference(&space, &back), None, "{name}");
            assert!(packed_text(&back, target).0 == written, "{name}: another text");
        }
    }
}

#[test]
fn aliases_give_what_their_types_give() {
    let (Some(short), Some(long)) =
        (text("bench-alias-form-sample.scm"), text("bench-reactome-chebi.scm"))
    else {
        return;
    };
    let aliases = [("s", "Member"), ("m", "Molecule"), ("c", "Concept")];
    let aliases = aliases.map(|(word, of)| (word.to_owned(), of.to_owned())).to_vec();
    let options = ReadOptions { aliases, ..ReadOptions::default() };
    let (from_short, summary) = read(&short[..], &options).unwrap();
    assert!(summary.skipped.is_empty(), "{}", summary.skipped);
    let first_lines = long.split_inclusive(|&byte| byte == b'\n').take(40).flatten().copied();
    let first_lines: Vec<u8> = first_lines.collect();
    let (from_long, _) = read(&first_lines[..], &ReadOptions::default()).unwrap();
    assert_eq!(
        from_short.by_type(from_short.find_type("MemberLink", Kind::Link).unwrap()).len(),
        21
    );
    assert_eq!(difference(&from_short, &from_long), None);
}

#[test]
fn values_are_those_of_the_files() {
    if let Some((space, summary)) = read_file("embodiment-corpus-av.scm") {
        let all = || space.atoms().filter_map(|atom| space.attention_value(atom));
        let sti = |fold: fn(f64, f64) -> f64| all().map(|value| value.sti).reduce(fold).unwrap();
        assert_eq!((sti(f64::min), sti(f64::max)), (-40.0, 977.0));
        assert!(
            all().all(|value| matches!(value.lti, 0.0 | 1.0) && matches!(value.vlti, 0.0 | 1.0))
        );
        assert_eq!(summary.values_taken + summary.values_ignored, 7756 + 27758);
    }
    if let Some((space, _)) = read_file("biospace-go-plau-ryr1.scm") {
        let mut distinct: Vec<_> =
            space.atoms().filter_map(|atom| space.truth_value(atom)).collect();
        distinct.sort_by(|a, b| a.numbers().partial_cmp(&b.numbers()).unwrap());
        distinct.dedup();
        assert_eq!(distinct.len(), 3);
    }
}
