//! What a companion costs: how fast text is read, its size, the time to open it, and how long
//! operations on it take, against the unpacked store of the same atoms. One thread.
//!
//! `cargo bench --bench opencog [FILE.scm]`; without a file, on a made up set that is shaped like the
//! largest of OpenCog's benchmark. It is read as it is, and five copies with other names, more than
//! a million atoms; read are texts in memory, into a store with all its indexes. For the other
//! figures each link gets a truth value; the last table is of the copies. Asked for are any atoms, and 1000 that stay in the
//! cache, which tells what a store's size does from what the cache's does.

use std::fs::File;
use std::path::Path;
use std::time::Instant;

use opencog_qat::gguf::Gguf;
use opencog_qat::opencog::atomspace::companion::{Form, Ordered, PackedSpace, TruthCoding};
use opencog_qat::opencog::atomspace::export::{Target, export};
use opencog_qat::opencog::atomspace::read::{ReadOptions, read};
use opencog_qat::opencog::atomspace::{
    AtomId, AtomSpace, AtomStore, Builder, Kind, TruthValue, Value,
};
use opencog_qat::opencog::section::save;
use opencog_qat::validate::opencog::latency::{Sample, latencies};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// Batches a turn.
const BATCHES: usize = 2000;

/// Times that a file is opened.
const OPENINGS: usize = 21;

/// Times that a text is read.
const READINGS: usize = 5;

/// Copies that make more than a million atoms.
const COPIES: usize = 5;

fn main() {
    // Cargo adds `--bench`.
    let file = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let set = match &file {
        Some(path) => read_file(Path::new(path)),
        None => made_up(),
    };
    println!("{}", file.as_deref().unwrap_or("made up"));
    let text = file.as_ref().map(|path| std::fs::read(path).expect("it was read before"));
    print_reading("as it is", &text.unwrap_or_else(|| text_of(&set)));
    for (what, given) in [("plain", Given::Nothing), ("with truth values", Given::Truth)] {
        let copies = relabelled(&set, COPIES, given);
        print_reading(&format!("{COPIES} x, {what}"), &text_of(&copies));
    }
    sizes("as it is", &set);
    for copies in [1, COPIES] {
        println!("\n{copies} x, with truth values on links");
        measure(&relabelled(&set, copies, Given::Truth));
    }
    println!("\n1 x, with truth values and two floats on links");
    measure(&relabelled(&set, 1, Given::TruthAndFloats));
}

fn read_file(path: &Path) -> AtomSpace {
    let text = File::open(path).expect("the file can be opened");
    let (space, summary) = read(text, &ReadOptions::default()).expect("it is AtomSpace text");
    println!("{}", summary.skipped);
    space
}

/// What FileStorage would write.
fn text_of(space: &AtomSpace) -> Vec<u8> {
    let mut text = Vec::new();
    export(space, &Target::AtomSpace5_0.into(), &mut text).expect("memory suffices");
    text
}

/// Prints how fast a text is read: the best of some times, which other work disturbs least.
fn print_reading(what: &str, text: &[u8]) {
    let reading = |_| {
        let started = Instant::now();
        let (space, _) = read(text, &ReadOptions::default()).expect("it is AtomSpace text");
        (started.elapsed().as_secs_f64(), space.atom_count())
    };
    let times: Vec<(f64, usize)> = (0..READINGS).map(reading).collect();
    let (best, atoms) = times.iter().copied().min_by(|a, b| a.0.total_cmp(&b.0)).expect("some");
    println!(
        "{what}: {atoms} atoms of {:.1} MB read in {best:.3} s: {:.2} M atoms/s, {:.0} MB/s",
        text.len() as f64 / 1e6,
        atoms as f64 / best / 1e6,
        text.len() as f64 / best / 1e6,
    );
}

/// What values links get.
#[derive(Clone, Copy, PartialEq)]
enum Given {
    Nothing,
    Truth,
    /// And a `FloatValue` of two numbers, other ones for each link.
    TruthAndFloats,
}

/// Genes and molecules that are members of pathways, as the benchmark set has them.
fn made_up() -> AtomSpace {
    let mut random = Pcg64Mcg::seed_from_u64(1);
    let mut builder = Builder::new();
    let mut node_type = |name| builder.add_type(name, Kind::Node).expect("few types");
    let types = [node_type("GeneNode"), node_type("MoleculeNode"), node_type("ConceptNode")];
    let member = builder.add_type("MemberLink", Kind::Link).expect("few types");
    let nodes = types.map(|of| {
        let name = |i: u32| format!("R-HSA-{}", 100_000 + 37 * i);
        let add = |i| builder.add_node(of, name(i).as_bytes()).expect("few atoms").atom;
        (0..18_000).map(add).collect::<Vec<AtomId>>()
    });
    for _ in 0..190_000 {
        let part = &nodes[random.random_range(0..2)];
        let mut pick = |nodes: &[AtomId]| nodes[random.random_range(0..nodes.len())];
        let pair = [pick(part), pick(&nodes[2])];
        builder.add_link(member, &pair).expect("few atoms");
    }
    builder.finish()
}

/// So many copies of a space, each with other names; truth values, where there are to be any, have
/// counts of up to 60 and strengths of four levels.
fn relabelled(space: &AtomSpace, copies: usize, given: Given) -> AtomSpace {
    let mut random = Pcg64Mcg::seed_from_u64(2);
    let mut builder = Builder::new();
    let key = (given == Given::TruthAndFloats).then(|| {
        let of = builder.add_type("PredicateNode", Kind::Node).expect("few types");
        builder.add_node(of, b"weights").expect("few atoms").atom
    });
    for copy in 0..copies {
        let mut ids: Vec<AtomId> = Vec::with_capacity(space.atom_count());
        for atom in space.atoms() {
            let of = &space.types()[space.type_of(atom).index()];
            let of = builder.add_type(&of.name, of.kind).expect("as many types as before");
            let added = match space.name(atom) {
                Some(name) if copy == 0 => builder.add_node(of, &name),
                Some(name) => {
                    builder.add_node(of, &[&name, format!("#{copy}").as_bytes()].concat())
                }
                None => {
                    let held: Vec<AtomId> =
                        space.outgoing(atom).map(|held| ids[held.index()]).collect();
                    builder.add_link(of, &held)
                }
            };
            let id = added.expect("there are ids enough").atom;
            let is_link = space.name(atom).is_none();
            if given != Given::Nothing && is_link {
                let count = f64::from(random.random_range(1..=60u32));
                let strength = f64::from(random.random_range(1..=4u32)) / 4.0;
                let confidence = count / (count + 800.0);
                builder.set_truth_value(id, Some(TruthValue::Simple { strength, confidence }));
            }
            if let Some(key) = key.filter(|_| is_link) {
                let floats = vec![random.random(), random.random()];
                builder.set_value(id, key, Some(Value::Floats(floats)));
            }
            ids.push(id);
        }
    }
    builder.finish()
}

/// Prints the bytes of both forms.
fn sizes(what: &str, space: &AtomSpace) {
    let ordered = Ordered::of(space, TruthCoding::Exact);
    let folder = tempfile::tempdir().expect("a folder for the files");
    for form in [Form::Mapped, Form::AtRest] {
        let path = folder.path().join(format!("{form:?}.opencog.gguf"));
        let started = Instant::now();
        save(&path, false, &[ordered.section(form)]).expect("it is written");
        let bytes = path.metadata().expect("it is there").len();
        println!(
            "{what}, {form:?}: {bytes} bytes, {:.3} an atom of {}, made in {:.2} s",
            bytes as f64 / space.atom_count() as f64,
            space.atom_count(),
            started.elapsed().as_secs_f64(),
        );
    }
}

/// Prints sizes, the time to open, and latencies.
fn measure(space: &AtomSpace) {
    sizes("with truth values", space);
    let ordered = Ordered::of(space, TruthCoding::Exact);
    let folder = tempfile::tempdir().expect("a folder for the file");
    let path = folder.path().join("bench.opencog.gguf");
    save(&path, false, &[ordered.section(Form::Mapped)]).expect("it is written");
    let mut openings: Vec<f64> = (0..OPENINGS).map(|_| opening(&path)).collect();
    openings.sort_unstable_by(f64::total_cmp);
    println!(
        "opened in {:.2} ms (median of {OPENINGS}; slowest {:.2})",
        openings[OPENINGS / 2],
        openings[OPENINGS - 1]
    );
    let gguf = Gguf::open(&path).expect("it can be opened");
    let packed = PackedSpace::of(&gguf).expect("it is sound");
    for (what, atoms) in [("any atoms", usize::MAX), ("1000 atoms", 1000)] {
        println!(
            "{:<18}{:>20}{:>22}{:>8}",
            format!("ns, {what}"),
            "packed p50     p99",
            "unpacked p50     p99",
            "ratio"
        );
        print_latencies(&packed, space, atoms);
    }
}

fn print_latencies(packed: &PackedSpace, space: &AtomSpace, atoms: usize) {
    for row in latencies(packed, space, &Sample { batches: BATCHES, atoms, seed: 3 }) {
        println!(
            "{:<18}{:>12.1}{:>8.1}{:>14.1}{:>8.1}{:>8.2}",
            row.operation.to_string(),
            row.store.p50,
            row.store.p99,
            row.reference.p50,
            row.reference.p99,
            row.ratio(),
        );
    }
}

/// Milliseconds to open a companion and check it.
fn opening(path: &Path) -> f64 {
    let started = Instant::now();
    let gguf = Gguf::open(path).expect("it can be opened");
    let packed = PackedSpace::of(&gguf).expect("it is sound");
    std::hint::black_box(packed.atom_count());
    1e3 * started.elapsed().as_secs_f64()
}
