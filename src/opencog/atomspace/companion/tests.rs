//! What both forms promise: nothing is lost, the file is the same whatever the order of the atoms
//! was, and no mutated file makes a query panic.

use std::hint::black_box;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::gguf::Gguf;
use crate::opencog::atomspace::codec::{Quantity, TOLERANCE};
use crate::opencog::atomspace::read::{ReadOptions, read};
use crate::opencog::atomspace::value_bytes::tests::value;
use crate::opencog::atomspace::{
    AtomId, AtomSpace, AtomStore, AttentionValue, Builder, Kind, TruthKind, TruthValue, Value,
};
use crate::opencog::ecan::{AtomAttention, AttentionCodec};
use crate::opencog::section::{Section, save, write};

/// What a random space is made of; members, atoms and keys are picked from what there is.
#[derive(Debug, Clone)]
struct Recipe {
    nodes: Vec<(usize, Vec<u8>)>,
    links: Vec<(usize, Vec<Index>)>,
    truth: Vec<(Index, TruthValue)>,
    attention: Vec<(Index, [f64; 3])>,
    values: Vec<(Index, Index, Value)>,
}

const NODE_TYPES: [&str; 3] = ["ConceptNode", "PredicateNode", "OddNode"];
const LINK_TYPES: [&str; 3] = ["ListLink", "SetLink", "ConceptNode"];

fn truth() -> impl Strategy<Value = TruthValue> {
    let number = prop_oneof![0.0..1.0f64, Just(0.0), Just(1.0), -1.0..2.0f64];
    let kind = prop_oneof![4 => Just(TruthKind::Simple), 1 => prop::sample::select(TruthKind::ALL.to_vec())];
    (kind, [number.clone(), number.clone(), number]).prop_map(|(kind, mut numbers)| {
        numbers[kind.arity()..].fill(0.0);
        TruthValue::from_numbers(kind, numbers)
    })
}

fn recipe() -> impl Strategy<Value = Recipe> {
    (
        vec((0..3usize, vec(97u8..101, 0..4)), 1..40),
        vec((0..3usize, vec(any::<Index>(), 0..5)), 0..60),
        vec((any::<Index>(), truth()), 0..30),
        vec((any::<Index>(), any::<[f64; 3]>()), 0..10),
        vec((any::<Index>(), any::<Index>(), value(1)), 0..10),
    )
        .prop_map(|(nodes, links, truth, attention, values)| Recipe {
            nodes,
            links,
            truth,
            attention,
            values,
        })
}

/// The space of a recipe. Where `turned`, nodes come in the opposite order.
fn space(recipe: &Recipe, turned: bool) -> AtomSpace {
    let mut builder = Builder::new();
    let mut types =
        |names: [&str; 3], kind| names.map(|name| builder.add_type(name, kind).unwrap());
    let (nodes, links) = (types(NODE_TYPES, Kind::Node), types(LINK_TYPES, Kind::Link));
    let mut order: Vec<usize> = (0..recipe.nodes.len()).collect();
    if turned {
        order.reverse();
    }
    let mut atoms = vec![AtomId(0); recipe.nodes.len()];
    for i in order {
        let (of, name) = &recipe.nodes[i];
        atoms[i] = builder.add_node(nodes[*of], name).unwrap().atom;
    }
    for (of, members) in &recipe.links {
        let members: Vec<AtomId> = members.iter().map(|pick| *pick.get(&atoms)).collect();
        atoms.push(builder.add_link(links[*of], &members).unwrap().atom);
    }
    for (pick, value) in &recipe.truth {
        builder.set_truth_value(*pick.get(&atoms), Some(*value));
    }
    for (pick, [sti, lti, vlti]) in &recipe.attention {
        let value = AttentionValue { sti: *sti, lti: *lti, vlti: *vlti };
        builder.set_attention_value(*pick.get(&atoms), Some(value));
    }
    for (atom, key, value) in &recipe.values {
        // The only atom in these values is the first, which `turned` must not change.
        let value = moved(value, atoms[0]);
        builder.set_value(*atom.get(&atoms), *key.get(&atoms), Some(value));
    }
    builder.finish()
}

/// The value with every atom in it replaced.
fn moved(value: &Value, atom: AtomId) -> Value {
    match value {
        Value::Atom(_) => Value::Atom(atom),
        Value::Links(values) => {
            Value::Links(values.iter().map(|value| moved(value, atom)).collect())
        }
        Value::Derived(kind, held) => Value::Derived(kind.clone(), moved(held, atom).into()),
        other => other.clone(),
    }
}

fn bytes(section: Section) -> Vec<u8> {
    write(Vec::new(), Path::new("test.gguf"), &[section]).unwrap()
}

fn file(ordered: &Ordered, form: Form) -> Vec<u8> {
    bytes(ordered.section(form))
}

fn open(bytes: Vec<u8>) -> Gguf {
    Gguf::from_bytes("test.gguf", bytes).unwrap()
}

/// The atom of `b` for each of `a`, by what they are.
fn counterparts(a: &impl AtomStore, b: &impl AtomStore) -> Vec<AtomId> {
    let mut out: Vec<AtomId> = Vec::new();
    for atom in a.atoms() {
        let of = &a.types()[a.type_of(atom).index()];
        let of = b.find_type(&of.name, of.kind).expect("the type is there");
        let found = match a.name(atom) {
            Some(name) => b.by_name(of, &name),
            None => {
                let members: Vec<AtomId> =
                    a.outgoing(atom).map(|member| out[member.index()]).collect();
                b.by_outgoing(of, &members)
            }
        };
        out.push(found.expect("the atom is there"));
    }
    out
}

/// Checks that two stores say the same, but for truth values.
fn assert_same(a: &impl AtomStore, b: &impl AtomStore) {
    assert_eq!(a.atom_count(), b.atom_count());
    let there = counterparts(a, b);
    for (atom, &twin) in a.atoms().zip(&there) {
        let mut incoming: Vec<AtomId> = a.incoming(atom).map(|link| there[link.index()]).collect();
        incoming.sort_unstable();
        assert_eq!(b.incoming(twin).len(), incoming.len());
        assert_eq!(b.incoming(twin).collect::<Vec<_>>(), incoming);
        assert_eq!(a.outgoing(atom).len(), b.outgoing(twin).len());
        let bits = |value: Option<AttentionValue>| value.map(|value| value.bits());
        assert_eq!(bits(a.attention_value(atom)), bits(b.attention_value(twin)));
        let mut values: Vec<_> =
            a.values(atom).map(|(key, value)| (there[key.index()], value.to_value())).collect();
        values.sort_unstable_by_key(|(key, _)| *key);
        let twins: Vec<_> = b.values(twin).map(|(key, value)| (key, value.to_value())).collect();
        assert_eq!(values.len(), twins.len());
        for ((key, value), (twin_key, twin_value)) in values.iter().zip(&twins) {
            assert_eq!(key, twin_key);
            let is_same = |atom: AtomId, twin: AtomId| there[atom.index()] == twin;
            assert!(value.is_identical(twin_value, &is_same));
            let by_key = b.value(twin, *key).expect("it was listed").to_value();
            assert!(value.is_identical(&by_key, &is_same));
        }
    }
    for (of, kind) in a.types().iter().zip(0u16..) {
        let mut atoms: Vec<AtomId> = a
            .by_type(crate::opencog::atomspace::TypeId(kind))
            .map(|atom| there[atom.index()])
            .collect();
        atoms.sort_unstable();
        let twins = b.find_type(&of.name, of.kind);
        let twins: Vec<AtomId> = twins.into_iter().flat_map(|of| b.by_type(of)).collect();
        assert_eq!(atoms, twins);
    }
}

/// Checks that truth values are the same bit by bit.
fn assert_same_truth(a: &impl AtomStore, b: &impl AtomStore) {
    let bits = |value: Option<TruthValue>| value.map(|value| value.bits());
    for (atom, twin) in a.atoms().zip(counterparts(a, b)) {
        assert_eq!(bits(a.truth_value(atom)), bits(b.truth_value(twin)));
    }
}

/// Asks everything about every atom.
fn ask_all(store: &impl AtomStore) -> usize {
    let mut answers = 0;
    for atom in store.atoms() {
        let name = store.name(atom);
        answers += name.as_ref().map_or(0, |name| name.len());
        answers +=
            name.and_then(|name| store.by_name(store.type_of(atom), &name)).is_some() as usize;
        let outgoing: Vec<AtomId> = store.outgoing(atom).collect();
        assert!(outgoing.iter().all(|member| *member < atom), "no cycles");
        answers += store.by_outgoing(store.type_of(atom), &outgoing).is_some() as usize;
        answers += store.incoming(atom).map(|link| store.type_of(link).index()).sum::<usize>();
        answers += store.truth_value(atom).is_some() as usize;
        answers += store.attention_value(atom).is_some() as usize;
        for (key, value) in store.values(atom) {
            answers += store.type_of(key).index() + store.value(atom, key).is_some() as usize;
            black_box(value.to_value());
        }
    }
    for of in 0..store.types().len() {
        answers += store.by_type(crate::opencog::atomspace::TypeId(of as u16)).count();
    }
    answers
}

proptest! {
    #[test]
    fn nothing_is_lost(recipe in recipe()) {
        let space = space(&recipe, false);
        let ordered = Ordered::of(&space, TruthCoding::Exact);
        let gguf = open(file(&ordered, Form::Mapped));
        let packed = PackedSpace::of(&gguf).unwrap();
        assert_same(&space, &packed);
        assert_same(&packed, &space);
        assert_same_truth(&space, &packed);
        ask_all(&packed);
        // What was packed is in order already.
        prop_assert!(Ordered::of(&packed, TruthCoding::Exact).section(Form::Mapped) == ordered.section(Form::Mapped));
    }

    #[test]
    fn both_forms_are_of_one_content(recipe in recipe()) {
        let space = space(&recipe, false);
        for coding in [TruthCoding::Exact, TruthCoding::Named { codec: Codec::PerColumn, tolerance: TOLERANCE }] {
            let ordered = Ordered::of(&space, coding);
            let expanded = expand(&open(file(&ordered, Form::AtRest))).unwrap();
            prop_assert!(file(&expanded, Form::Mapped) == file(&ordered, Form::Mapped));
            prop_assert!(file(&expanded, Form::AtRest) == file(&ordered, Form::AtRest));
        }
    }

    #[test]
    fn the_order_of_atoms_makes_no_difference(recipe in recipe()) {
        let [a, b] = [false, true].map(|turned| Ordered::of(&space(&recipe, turned), TruthCoding::Exact));
        prop_assert!(file(&a, Form::Mapped) == file(&b, Form::Mapped));
    }

    #[test]
    fn coded_truth_values_keep_within_the_tolerance(recipe in recipe()) {
        let space = space(&recipe, false);
        for codec in Codec::all().filter(|&codec| codec != Codec::PlainUniform) {
            let ordered = Ordered::of(&space, TruthCoding::Named { codec, tolerance: TOLERANCE });
            let gguf = open(file(&ordered, Form::Mapped));
            let packed = PackedSpace::of(&gguf).unwrap();
            prop_assert_eq!(packed.truth_codec(), Some(codec));
            assert_same(&space, &packed);
            for (atom, twin) in space.atoms().zip(counterparts(&space, &packed)) {
                let (before, after) = (space.truth_value(atom), packed.truth_value(twin));
                prop_assert_eq!(before.is_some(), after.is_some());
                let Some((before, after)) = before.zip(after) else { continue };
                prop_assert_eq!(before.kind(), after.kind());
                if before.kind() != TruthKind::Simple {
                    prop_assert!(before.is_identical(&after));
                    continue;
                }
                let strength = Quantity::Strength.error(before.strength(), after.strength());
                let confidence = Quantity::Confidence.error(before.confidence(), after.confidence());
                prop_assert!(strength <= TOLERANCE && confidence <= TOLERANCE, "{} {:?} {:?}", codec, before, after);
            }
        }
    }

    #[test]
    fn coded_attention_stands_for_that_of_the_atoms(mut recipe in recipe()) {
        for (_, [sti, lti, vlti]) in &mut recipe.attention {
            (*sti, *lti) = (f64::from(*sti as i16), f64::from(*lti as i16));
            *vlti = f64::from(*vlti as u8);
        }
        let space = space(&recipe, false);
        let mut ordered = Ordered::of(&space, TruthCoding::Exact);
        let (atoms, values) = ordered.attention_values().expect("small counts");
        let kept = ordered.clone();
        ordered.take_attention();
        let coded = AtomAttention::encode(AttentionCodec::Palette, atoms, &values);
        for form in [Form::Mapped, Form::AtRest] {
            let sections = [ordered.section(form), coded.section()];
            let file = write(Vec::new(), Path::new("test.gguf"), &sections).unwrap();
            let gguf = open(file);
            match form {
                Form::Mapped => assert_same(&space, &PackedSpace::of(&gguf).unwrap()),
                Form::AtRest => prop_assert!(expand(&gguf).unwrap() == kept),
            }
        }
    }

    #[test]
    fn no_mutated_file_makes_a_query_panic(
        recipe in recipe(),
        coded in any::<bool>(),
        changes in vec((any::<Index>(), any::<u8>()), 1..6),
        cut in proptest::option::weighted(0.1, any::<Index>()),
    ) {
        let coding = match coded {
            true => TruthCoding::Named { codec: Codec::LogCount, tolerance: TOLERANCE },
            false => TruthCoding::Exact,
        };
        let ordered = Ordered::of(&space(&recipe, false), coding);
        for form in [Form::Mapped, Form::AtRest] {
            let mut bytes = file(&ordered, form);
            for (at, with) in &changes {
                let at = at.index(bytes.len());
                bytes[at] = *with;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            read_whatever(bytes);
        }
    }

    #[test]
    fn no_wrong_number_makes_a_query_panic(
        recipe in recipe(),
        which in any::<Index>(),
        number in prop_oneof![0u64..200, any::<u64>(), Just(u64::MAX), Just(u64::from(u32::MAX))],
    ) {
        use crate::gguf::Value as Number;
        let ordered = Ordered::of(&space(&recipe, false), TruthCoding::Exact);
        for form in [Form::Mapped, Form::AtRest] {
            let mut section = ordered.section(form);
            let numbers: Vec<String> = section
                .metadata
                .iter()
                .filter(|(key, value)| !key.ends_with(".version") && value.as_u64().is_some())
                .map(|(key, _)| key.to_string())
                .collect();
            let key: &String = which.get(&numbers);
            section.set(key, Number::U64(number));
            read_whatever(bytes(section));
        }
    }

    #[test]
    fn no_foreign_section_makes_a_query_panic(recipe in recipe(), other in recipe(), swapped in vec(any::<Index>(), 1..4)) {
        let [a, b] = [recipe, other].map(|recipe| Ordered::of(&space(&recipe, false), TruthCoding::Exact));
        for form in [Form::Mapped, Form::AtRest] {
            let mut section = a.section(form);
            let others = b.section(form).parts;
            for pick in &swapped {
                let part = pick.get_mut(&mut section.parts);
                if let Some(other) = others.iter().find(|other| other.name == part.name) {
                    *part = other.clone();
                }
            }
            read_whatever(bytes(section));
        }
    }
}

/// Reads a file in both forms, and where it can be opened, asks it everything.
fn read_whatever(bytes: Vec<u8>) {
    let Ok(gguf) = Gguf::from_bytes("test.gguf", bytes) else { return };
    if let Ok(packed) = PackedSpace::of(&gguf) {
        ask_all(&packed);
        for atom in packed.atoms() {
            // No cycles, and no atoms that are not there, whatever the file says.
            assert!(packed.outgoing(atom).all(|held| held < atom));
            assert!(packed.incoming(atom).all(|link| link.index() < packed.atom_count()));
        }
        assert!(packed.verify().is_err() || packed.fault().is_none());
    }
    if let Ok(ordered) = expand(&gguf) {
        let gguf = open(file(&ordered, Form::Mapped));
        ask_all(&PackedSpace::of(&gguf).expect("what was expanded is sound"));
    }
}

#[test]
fn what_contradicts_others_is_found_when_it_is_asked_for() {
    let text = r#"(List (stv 0.5 0.5) (Concept "a") (Concept "b")) (Evaluation (Predicate "p"))"#;
    let (space, _) = read(text.as_bytes(), &ReadOptions::default()).unwrap();
    let ordered = Ordered::of(&space, TruthCoding::Exact);
    for part in ["outgoing", "incoming", "truth.codes", "name_starts", "incoming_starts"] {
        let mut section = ordered.section(Form::Mapped);
        let name = format!("atomspace.{part}");
        let broken = section.parts.iter_mut().find(|part| part.name == name).unwrap();
        let numbers = broken.bytes.len() - 8;
        broken.bytes[..numbers].fill(0xee);
        let gguf = open(bytes(section));
        let packed = PackedSpace::of(&gguf).unwrap();
        assert!(packed.fault().is_none(), "nothing was asked yet");
        ask_all(&packed);
        let expected = format!("part `{name}` is not what others say of it");
        let errors = [packed.fault().unwrap(), packed.verify().unwrap_err()];
        for error in errors.map(|error| error.to_string()) {
            assert!(error.contains(&expected), "{part}: {error}");
        }
    }
}

#[test]
fn an_empty_space_is_a_file_too() {
    let ordered = Ordered::of(&Builder::new().finish(), TruthCoding::Exact);
    let gguf = open(file(&ordered, Form::Mapped));
    assert_eq!(PackedSpace::of(&gguf).unwrap().atom_count(), 0);
    let at_rest = open(file(&ordered, Form::AtRest));
    assert_eq!(expand(&at_rest).unwrap(), ordered);
    let error = PackedSpace::of(&at_rest).unwrap_err().to_string();
    assert!(error.contains("test.gguf: its AtomSpace is in the form `at rest`"), "{error}");
}

#[test]
fn a_model_is_no_companion() {
    let mut section = Section::default();
    section.set("general.architecture", crate::gguf::Value::string("llama"));
    let gguf = open(bytes(section));
    let error = PackedSpace::of(&gguf).unwrap_err().to_string();
    assert!(error.contains("its architecture is `llama`, expected `opencog`"), "{error}");
}

#[test]
fn it_appears_under_its_name_when_it_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kb.opencog.gguf");
    let ordered = Ordered::of(&Builder::new().finish(), TruthCoding::Exact);
    let sections = [ordered.section(Form::Mapped)];
    save(&path, false, &sections).unwrap();
    assert!(save(&path, false, &sections).is_err());
    let gguf = Gguf::open(&path).unwrap();
    assert!(PackedSpace::of(&gguf).is_ok());
}

#[test]
fn the_matcher_works_on_what_is_packed() {
    use crate::opencog::atomspace::query::{Query, TruthFilter};
    let text = r#"(Inheritance (Concept "cat") (Concept "animal"))
        (Inheritance (Concept "dog") (Concept "animal"))
        (Inheritance (Concept "cat") (Concept "pet"))
        (Similarity (Concept "dog") (Concept "cat"))"#;
    let (space, _) = read(text.as_bytes(), &ReadOptions::default()).unwrap();
    let gguf = open(file(&Ordered::of(&space, TruthCoding::Exact), Form::Mapped));
    let packed = PackedSpace::of(&gguf).unwrap();
    let query = r#"(Inheritance (Variable "$x") (Concept "animal"))
        (Similarity (Concept "cat") (Variable "$x"))"#;
    let matches = Query::parse(query, &packed).unwrap().matches(&packed, TruthFilter::Any, 10);
    let names: Vec<_> = matches.iter().map(|atoms| packed.name(atoms[0]).unwrap()).collect();
    assert_eq!(names, [&b"dog"[..]]);
}

#[test]
fn of_deep_nesting_little_is_kept_at_rest() {
    let mut builder = Builder::new();
    let list = builder.add_type("ListLink", Kind::Link).unwrap();
    let mut last = builder.add_link(list, &[]).unwrap().atom;
    for _ in 0..100_000 {
        last = builder.add_link(list, &[last]).unwrap().atom;
    }
    let ordered = Ordered::of(&builder.finish(), TruthCoding::Exact);
    let section = ordered.section(Form::AtRest);
    // Were the heights not steps, this would be 50 times as much, and zstd take minutes for millions.
    assert!(section.tensor_bytes() < 2000, "{}", section.tensor_bytes());
    let file = write(Vec::new(), Path::new("deep"), &[section]).unwrap();
    assert_eq!(expand(&Gguf::from_bytes("deep", file).unwrap()).unwrap(), ordered);
}
